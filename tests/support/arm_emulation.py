"""The kernels' tests on an emulated ARM processor: what `python3 dev.py test --arm` does.

On a Debian of x86-64, QEMU runs Debian's own Python for arm64 with PyTorch, NumPy and llvmlite for it, all below
`.venv/arm`, nothing of it installed into the system. The kernels are compiled here, for Linux and for macOS, and what
judges them is what judges this processor's: the tests of rasterizer, loss and optimizer. Minutes for each system.
"""

import importlib.metadata
import json
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import dev
from splat_addon.errors import SetupError
from splat_addon.trainer.backend.cpu.compile_kernels import packed

from .foreign_kernels import JUDGES, KERNELS_VARIABLE
from .kernel_targets import TARGETS, compiled_for, texts_of
from .source_tree import ROOT

EMULATED = ("linux-arm", "macos-arm")
FOLDER = dev.VENV / "arm"
DEBIAN = ("python3", "libgomp1", "libstdc++6")
# The last PyTorch on PyPI for ARM without CUDA, which nothing here could load. All others as training has them.
TORCH = "torch==2.10.0"
PURE = "typing-extensions sympy mpmath networkx jinja2 markupsafe fsspec filelock iniconfig packaging pluggy pygments"


def emulator() -> str:
    """The path of QEMU. Raises SetupError where ARM cannot be emulated."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise SetupError(
            "ARM is emulated on a Linux of x86-64 only.", "On an ARM machine, python3 dev.py test runs the same tests."
        )
    found = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    if found is None:
        raise SetupError("QEMU, which emulates ARM, is not installed.", "Install: apt install qemu-user-static.")
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise SetupError("The Python for ARM comes from Debian, and this is another system.", "Use a Debian.")
    return found


def install_system() -> None:
    """Debian's Python for arm64 and what it needs, unpacked into a folder."""
    state = FOLDER / "apt"
    for folder in (state / "lists/partial", state / "cache/archives/partial"):
        folder.mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    places = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "Dir::State": state,
        "Dir::State::Lists": state / "lists",
        "Dir::State::status": state / "status",
        "Dir::Cache": state / "cache",
    }
    command = [
        "apt-get",
        "-qq",
        "-y",
        "--no-install-recommends",
        *(f"-o{key}={value}" for key, value in places.items()),
    ]
    _must([*command, "update"], "Debian's list of arm64 packages cannot be read here.")
    _must([*command, "--download-only", "install", *DEBIAN], "Debian's arm64 packages cannot be downloaded here.")
    for package in (state / "cache/archives").glob("*.deb"):
        _must(["dpkg-deb", "-x", package, FOLDER / "system"], f"{package.name} cannot be unpacked.")


def install_packages(python: Path) -> None:
    """PyTorch and the others for that Python, which pip chooses without running it."""
    version = python.resolve().name.removeprefix("python")
    pinned = [pin for pin in dev.TRAINING.packages if not pin.startswith(("torch", "matplotlib"))]
    llvmlite = f"llvmlite=={importlib.metadata.version('llvmlite')}"
    platforms = [f"--platform=manylinux{name}_aarch64" for name in ("_2_28", "_2_27", "_2_17", "2014")]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", *platforms, f"--python-version={version}", "--implementation=cp"]
    command += [f"--abi=cp{version.replace('.', '')}", f"--target={FOLDER / 'packages'}"]
    _must([*command, TORCH, *pinned, llvmlite, dev.PYTEST, *PURE.split()], "PyTorch for ARM cannot be installed.")


def _must(command: list, message: str) -> None:
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        last = (done.stdout.strip().splitlines() or ["it said nothing"])[-1]
        raise SetupError(message, f"{command[0]} says: {last}")


def main(options: list[str]) -> int:
    """Install what is missing, compile, and run the tests under emulation; returns pytest's worst exit code."""
    qemu = emulator()
    python = FOLDER / "system/usr/bin/python3"
    if not (FOLDER / "installed").exists():
        dev.say("Installing Python and PyTorch for ARM into .venv/arm (only the first time; 1.2 GB)")
        shutil.rmtree(FOLDER, ignore_errors=True)
        install_system()
        install_packages(python)
        (FOLDER / "installed").touch()
    worst = 0
    with tempfile.TemporaryDirectory() as folder:
        texts = Path(folder, "texts.json")
        if texts_of(8, texts).wait() != 0:
            raise SetupError("The kernels were not compiled.", "What stands above says why.")
        for name in EMULATED:
            index = compiled_for(TARGETS[name], json.loads(texts.read_text(encoding="utf-8")))
            file = Path(folder, f"{name}.json")
            file.write_bytes(packed(index))
            dev.say(f"\n== {name}, emulated")
            command = [qemu, "-L", FOLDER / "system", python, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
            command += ["-p", "support.foreign_kernels", *JUDGES, *options]
            variables = dev.child_environment(
                FOLDER / "packages", ROOT, ROOT / "tests", **{KERNELS_VARIABLE: str(file)}
            )
            worst = max(worst, subprocess.call([str(word) for word in command], cwd=ROOT, env=variables))
    return worst


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except SetupError as error:
        sys.exit(f"dev.py: {error}")
