"""A package that is installed but does not start, because a library of the system is missing: told as what it is.

The packages are folders on the path of a real child process; what they raise is what PyTorch raises on Windows.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from splat_addon.run.config import TrainConfig
from splat_addon.run.folder import RunFolder

ROOT = Path(__file__).resolve().parents[2]
_DLL = r"C:\env\Lib\site-packages\torch\lib\c10.dll"
_ON_WINDOWS = f"[WinError 126] The specified module could not be found. Error loading {_DLL} or one of its dependencies"
_RUNTIME = "Install the Microsoft Visual C++ Redistributable, which it needs: https://aka.ms/vs/17/release/vc_redist."


def package(folder: Path, name: str, raises: str) -> Path:
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(f"raise {raises}\n", encoding="utf-8")
    return folder


def checked(folder: Path, machine: tuple) -> tuple[str, str]:
    """Message and remedy of `check_modules` in a child whose packages lie in `folder`, as told on a machine."""
    script = (
        "import json\n"
        "from splat_addon.environment.machine import Machine\n"
        "from splat_addon.errors import SplatError\n"
        "from splat_addon.trainer.__main__ import check_modules\n"
        "try:\n"
        f"    check_modules(Machine(*{machine!r}))\n"
        "except SplatError as error:\n"
        "    print(json.dumps([error.message, error.remedy]))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]), "PYTHONUTF8": "1"}
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    message, remedy = json.loads(answer.stdout)
    return message, remedy


@pytest.mark.parametrize(
    ("raised", "machine", "kind"),
    [
        (f"OSError(126, {_ON_WINDOWS!r})", ("win32", "x86_64", "x86_64"), "x64"),
        (
            "OSError('[WinError 1114] A dynamic link library (DLL) initialization routine failed')",
            ("win32", "x86_64", "x86_64"),
            "x64",
        ),
        (
            "ImportError('DLL load failed while importing _C: The specified module could not be found.')",
            ("win32", "x86_64", "x86_64"),
            "x64",
        ),
        (f"OSError(126, {_ON_WINDOWS!r})", ("win32", "arm64", "x86_64"), "x64"),
        (f"OSError(126, {_ON_WINDOWS!r})", ("win32", "arm64", "arm64"), "arm64"),
    ],
    ids=["missing", "too old", "of an extension module", "emulated", "ARM"],
)
def test_a_missing_runtime_of_microsoft_is_named_with_where_to_get_it(tmp_path, raised, machine, kind):
    message, remedy = checked(package(tmp_path, "torch", raised), machine)
    assert message.startswith(f"torch is installed in {sys.executable}, but it does not start (")
    assert remedy == f"{_RUNTIME}{kind}.exe"


@pytest.mark.parametrize(
    "raised",
    [
        "OSError('libtorch_cpu.so: cannot open shared object file: No such file or directory')",
        "ImportError('libgomp.so.1: cannot open shared object file: No such file or directory')",
        "ImportError('dlopen(/env/torch/_C.so, 0x0002): Library not loaded: @rpath/libomp.dylib')",
    ],
)
def test_a_library_that_does_not_load_is_a_broken_installation_elsewhere(tmp_path, raised):
    message, remedy = checked(package(tmp_path, "torch", raised), ("linux", "x86_64", "x86_64"))
    assert message.startswith(f"torch is installed in {sys.executable}, but it does not start (")
    assert remedy == f'Install it again: "{sys.executable}" -m pip install --force-reinstall --no-deps torch'


def test_a_package_that_is_absent_is_still_said_to_be_missing(tmp_path):
    packages = package(tmp_path, "torch", "ModuleNotFoundError('No module named torch')")
    message, remedy = checked(packages, ("win32", "x86_64", "x86_64"))
    assert message.startswith(f"The trainer Python ({sys.executable}) lacks torch")
    assert remedy.startswith(f'Run: "{sys.executable}" -m pip install torch')


def test_the_trainer_tells_it_as_the_end_of_the_run_and_blames_no_disk(tmp_path):
    run = RunFolder.create(tmp_path / "run", TrainConfig(capture=str(tmp_path)))
    packages = package(tmp_path / "packages", "torch", f"OSError(126, {_ON_WINDOWS!r})")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(packages), str(ROOT)]), "PYTHONUTF8": "1"}
    command = [sys.executable, "-u", "-m", "splat_addon.trainer", str(run.path)]
    answer = subprocess.run(command, input="", capture_output=True, text=True, env=environment)
    last = json.loads(answer.stdout.splitlines()[-1])
    assert last["event"] == "Failed" and answer.returncode == 1
    assert last["message"].startswith("torch is installed in ") and "c10.dll" in last["message"]
    assert last["remedy"].startswith(_RUNTIME if os.name == "nt" else "Install it again: ")


def test_the_doctor_has_the_same_remedy(tmp_path):
    """It asks pip's records first, so the package has them, too."""
    package(tmp_path, "torch", f"OSError(126, {_ON_WINDOWS!r})")
    (tmp_path / "torch-2.13.0.dist-info").mkdir()
    (tmp_path / "torch-2.13.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: torch\nVersion: 2.13.0\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]), "PYTHONUTF8": "1"}
    command = [sys.executable, "-m", "splat_addon.trainer.doctor", "--json"]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, env=environment).stdout)
    torch = next(piece for piece in told["findings"] if piece["name"] == "PyTorch")
    again = f'Install it again: "{sys.executable}" -m pip install --force-reinstall --no-deps torch==2.13.0'
    assert torch["found"].startswith("does not start ([") and not torch["is_fine"]
    assert torch["remedy"] == (f"{_RUNTIME}x64.exe" if os.name == "nt" else again)
