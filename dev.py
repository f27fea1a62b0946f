#!/usr/bin/env python3
"""Everything a developer starts from a terminal; one file on purpose: it runs before anything is installed.

    python3 dev.py demo [--out DIR]      a Blender scene is captured, trained and shown again, on this machine
    python3 dev.py test [pytest args]    the checks, then all tests: trainer, COLMAP, the oldest and the newest Blender
    python3 dev.py train CAPTURE [...]   train a capture folder
    python3 dev.py baseline CAPTURE      its points splatted without training, beside a trained run
    python3 dev.py report RUN [--out F]  a run's curves, held-out table and images as one HTML page
    python3 dev.py convert IN OUT [...]  splats from one format into another
    python3 dev.py inspect-capture DIR   what a capture holds, and whether its points and photos agree
    python3 dev.py inspect-splats RUN    how likely each splat is a floater, and why
    python3 dev.py build                 the extension's zip in dist/, validated
    python3 dev.py check [--fix]         ruff, types, register and unregister twice in each Blender
    python3 dev.py bench NAME [...]      run benchmarks/NAME.py
    python3 dev.py fuzz [--seconds N]    hostile files of every format, given to what reads it
    python3 dev.py torture [--kills N]   trainers and Blenders are killed, disks fill: what was promised must hold
    python3 dev.py doctor [--build]      what training on an NVIDIA card needs here; builds its kernels ahead
    python3 dev.py libraries             the Debian packages Blender needs that this system lacks

With --help each says more, and installs nothing. The environments live in `.venv/`, one per purpose, each installed at
its first use. Deleting one installs it again. Python 3.11 or newer starts this file, with the standard library alone.
"""

import sys

if sys.version_info < (3, 11):  # before what an older Python cannot import; this file has to parse there, too
    sys.exit(
        "dev.py: this is Python %d.%d, and 3.11 or newer is needed. Start it with one, for example: python3.11 dev.py"
        % sys.version_info[:2]
    )

import ast
import contextlib
import ctypes
import glob
import hashlib
import importlib
import inspect
import os
import re
import shutil
import signal
import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from splat_addon.environment.builds import why_not
from splat_addon.environment.failures import explain
from splat_addon.environment.machine import this_machine
from splat_addon.environment.place import require_short
from splat_addon.environment.pythons import find_python, version_of
from splat_addon.environment.requirements import is_index_reachable, read_requirements
from splat_addon.errors import SetupError
from splat_addon.files import move_into_place, remove_folder

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTEST = "pytest==9.2.0"
AGAIN = "run this again"


class Environment(NamedTuple):
    """A virtual environment: which Python it may have, what is installed in it, and what must then import."""

    name: str
    title: str
    pythons: tuple[str, ...]
    requirements: tuple[str, ...]
    must_import: str
    disk_gb: float


def blender(bpy: str, python: str, numpy: str) -> Environment:
    """The environment of one Blender: its bpy module, the Python that is built for, and a NumPy that it accepts."""
    series = bpy.rpartition(".")[0]
    requirements = (f"bpy=={bpy}", f"numpy=={numpy}", PYTEST)
    return Environment(f"blender-{series}", f"Blender {series}", (python,), requirements, "import numpy, bpy", 1.5)


# Every Blender that the extension runs in, the oldest first. A new one is one line.
ALL_BLENDERS = (
    blender("4.2.23", "3.11", "1.26.4"),
    blender("4.5.15", "3.11", "1.26.4"),
    blender("5.0.1", "3.11", "1.26.4"),
    blender("5.1.2", "3.13", "2.4.6"),
    blender("5.2.3", "3.13", "2.4.6"),
    blender("5.3.0", "3.13", "2.4.6"),
)
BLENDERS = (ALL_BLENDERS[0], ALL_BLENDERS[-1])  # what is used unless --all-blenders asks for the others, too
# What training needs is listed once, for the extension's own set-up and for this.
TRAINING = read_requirements("cpu")
# Of what a card needs, what runs without one: gsplat's Python, over a stand-in for its compiled module.
WITHOUT_CARD = tuple(p for p in read_requirements("cuda").packages if p.startswith(("gsplat", "packaging", "rich")))
TRAINER = Environment(
    "trainer",
    "the trainer",
    TRAINING.pythons,
    (*TRAINING.packages, *WITHOUT_CARD, PYTEST),
    "import torch, numba, PIL, matplotlib",
    TRAINING.disk_gb,
)
CHECKS = Environment(
    "checks",
    "the checks",
    ("3.11", "3.12", "3.13"),
    ("ruff==0.17.5", "mypy==2.4.1", "fake-bpy-module-4.2==20260730", "numpy==2.4.6"),
    "import mypy, numpy",
    0.3,
)
# COLMAP itself judges the models we write. Apart from the trainer, so that training never has to download it.
COLMAP = Environment(
    "colmap",
    "COLMAP",
    ("3.11", "3.12", "3.13"),
    ("pycolmap==4.2.1", "numpy==2.4.6", PYTEST),
    "import numpy, pycolmap",
    0.4,
)

BENCHMARKS_IN_BLENDER = ("blender", "capture", "exactness")  # all others run in the trainer's environment
BENCHMARKS_IN_EVERY_BLENDER = ("blender", "editing", "look", "scale", "trust")
TYPED = ("__init__.py", "splat_addon", "operators", "panels")
COMMANDS = {
    "train": "splat_addon.trainer.cli",
    "baseline": "splat_addon.trainer.baseline",
    "report": "splat_addon.trainer.report.write",
    "convert": "splat_addon.trainer.exchange.convert",
}  # they have main()

# What Blender loads from the system at import, or later for its GPU module: file -> (Debian package, Fedora package).
LIBRARIES = {
    "libX11.so.6": ("libx11-6", "libX11"),
    "libXext.so.6": ("libxext6", "libXext"),
    "libXi.so.6": ("libxi6", "libXi"),
    "libXfixes.so.3": ("libxfixes3", "libXfixes"),
    "libXrender.so.1": ("libxrender1", "libXrender"),
    "libXxf86vm.so.1": ("libxxf86vm1", "libXxf86vm"),
    "libXt.so.6": ("libxt6", "libXt"),
    "libxkbcommon.so.0": ("libxkbcommon0", "libxkbcommon"),
    "libSM.so.6": ("libsm6", "libSM"),
    "libICE.so.6": ("libice6", "libICE"),
    "libGL.so.1": ("libgl1", "libglvnd-glx"),
    "libEGL.so.1": ("libegl1", "libglvnd-egl"),
    "libgomp.so.1": ("libgomp1", "libgomp"),
    "libz.so.1": ("zlib1g", "zlib"),
    "libstdc++.so.6": ("libstdc++6", "libstdc++"),
}


# --- Environments ----------------------------------------------------------------------------------------------------


def stamp(environment: Environment, version: str) -> str:
    """What `.venv/<name>/installed` holds when the environment is complete."""
    content = "\n".join((version, *environment.requirements))
    return hashlib.sha256(content.encode()).hexdigest()


def environment_python(environment: Environment) -> Path:
    """Where the environment's Python is, or will be."""
    return VENV / environment.name / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def is_installed(environment: Environment) -> bool:
    """Was the installation completed with exactly these requirements?"""
    try:
        found = (VENV / environment.name / "installed").read_text()
    except OSError:
        return False
    return environment_python(environment).exists() and found in [stamp(environment, v) for v in environment.pythons]


def is_possible(environment: Environment) -> bool:
    """Does this machine have the environment, or a Python to make it with?"""
    with contextlib.suppress(SetupError):
        return is_installed(environment) or bool(find_python(environment.pythons))
    return False


def ensure(environment: Environment) -> str:
    """The path of the environment's Python, after installing the environment if that was not done yet."""
    python = environment_python(environment)
    folder = VENV / environment.name
    if not (is_installed(environment) and (folder / "works").exists()):
        with one_at_a_time(environment.name):
            if not is_installed(environment):
                install(environment)
            check_imports(environment)
            (folder / "works").touch()
    return str(python)


@contextlib.contextmanager
def one_at_a_time(name: str) -> Iterator[None]:
    """Two terminals that install the same environment wait for each other (not on Windows)."""
    VENV.mkdir(exist_ok=True)
    with open(VENV / f"{name}.lock", "w") as lock:
        with contextlib.suppress(ImportError):
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install(environment: Environment) -> None:
    """Make the environment anew. The stamp comes last, so that an interrupted installation is done again."""
    try:
        command = choose_python(environment)
    except SetupError as error:
        raise SetupError(f"{environment.title} cannot be installed: {error.message}", error.remedy) from error
    version = version_of(command)
    folder, log = VENV / environment.name, VENV / f"{environment.name}.log"
    say(f"Installing {environment.title} into .venv/{environment.name} (only the first time)")
    if folder.exists():
        remove_folder(folder)
    pip = [environment_python(environment), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    pip += ["--progress-bar", "off", "--only-binary", ":all:", *torch_index(environment), *environment.requirements]
    output = []
    with open(log, "w", encoding="utf-8") as log_file:
        for step in ([*command, "-m", "venv", folder], pip):
            step = [str(part) for part in step]
            child = subprocess.Popen(step, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=child_environment())
            for line in (raw.decode(errors="replace").strip() for raw in child.stdout):
                output.append(line)
                log_file.write(line + "\n")
                if line.startswith("Downloading") and re.search(r"\d\d(\.\d+)? MB|GB", line):
                    say("  " + line)
            if child.wait() != 0:
                error = explain("\n".join(output), str(VENV), environment.disk_gb, AGAIN)
                raise SetupError(error.message, f"{error.remedy} The whole output is in {log}.")
    (folder / "installed").write_text(stamp(environment, version))


def choose_python(environment: Environment) -> list[str]:
    """A Python to make an environment with. Raises SetupError, also where the trainer's packages have no builds."""
    if not needs_torch(environment):
        return find_python(environment.pythons)
    if refusal := why_not(TRAINING, this_machine()):
        raise refusal
    require_short(VENV / environment.name, TRAINING.longest_name, this_machine(), AGAIN)
    return find_python(environment.pythons, TRAINING.processors)


def needs_torch(environment: Environment) -> bool:
    return any(requirement.startswith("torch=") for requirement in environment.requirements)


def torch_index(environment: Environment) -> list[str]:
    """Where pip also looks for PyTorch: on Linux without an NVIDIA card, at PyTorch's own index of CPU builds.

    PyPI's Linux wheels carry CUDA, several gigabytes that such a machine cannot use. Without the index, pip takes what
    it is configured to find: a CPU build where a mirror or find-links offers one ("2.13.0+cpu" counts as newer than
    "2.13.0"), otherwise PyPI's.
    """
    if not needs_torch(environment) or not TRAINING.index or shutil.which("nvidia-smi"):
        return []
    return ["--extra-index-url", TRAINING.index] if is_index_reachable(TRAINING.index, sys.executable) else []


def check_imports(environment: Environment) -> None:
    """Raise SetupError when the environment is complete but does not start, naming missing system packages."""
    command = [str(environment_python(environment)), "-c", environment.must_import]
    answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=child_environment())
    if answer.returncode != 0:
        output = answer.stdout.decode(errors="replace").strip() or f"it ended with code {answer.returncode}"
        raise import_failure(environment.title, output, missing_libraries())


def import_failure(title: str, output: str, missing: Iterable[str]) -> SetupError:
    """Why `import bpy` (or torch) failed. `missing` names the known system libraries that cannot be loaded here."""
    library = re.search(r"(\S+\.so[.\d]*): cannot open shared object file", output)
    if library is None:
        reason = output.splitlines()[-1]
        return SetupError(f"{title} is installed but does not start ({reason}).", "Delete .venv to install it again.")
    libraries = sorted({library.group(1), *missing})
    known = [LIBRARIES[name] for name in libraries if name in LIBRARIES]
    debian, fedora = (" ".join(names) for names in zip(*known)) if known else ("", "")
    remedy = f"apt install {debian} (Debian, Ubuntu) or dnf install {fedora}" if known else "that library"
    return SetupError(f"The system lacks {', '.join(libraries)}, which {title} needs.", f"Install: {remedy}.")


def missing_libraries() -> list[str]:
    """Those of LIBRARIES that this system cannot load (Linux only)."""
    missing = []
    for name in LIBRARIES if sys.platform == "linux" else ():
        try:
            ctypes.CDLL(name)
        except OSError:
            missing.append(name)
    return missing


# --- Running ---------------------------------------------------------------------------------------------------------


def say(text: str) -> None:
    """Print at once, so that the order is right between this process and its children."""
    print(text, flush=True)


def child_environment(*import_folders: Path | str, **variables: str) -> dict[str, str]:
    """Environment variables for a child: nothing of the caller's Python, `import_folders` first on its path."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONHOME", "PYTHONPATH")}
    environment["PYTHONUTF8"] = "1"
    if import_folders:
        environment["PYTHONPATH"] = os.pathsep.join(str(folder) for folder in import_folders)
    environment.update(variables)
    return environment


def hand_over(command: Sequence[Path | str], environment: dict[str, str]) -> int:
    """Become `command`: Ctrl-C reaches it once, and its exit code is ours. Returns (the code) on Windows only."""
    sys.stdout.flush()
    sys.stderr.flush()
    command = [str(part) for part in command]
    if os.name != "nt":
        os.execve(command[0], command, environment)
    signal.signal(signal.SIGINT, lambda *_: None)  # the console tells the child, too
    return subprocess.Popen(command, env=environment).wait()


def possible_blenders(wanted: Sequence[Environment] = BLENDERS) -> list[Environment]:
    """Those of the `wanted` Blenders that this machine can have; at least one."""
    possible = [environment for environment in wanted if is_possible(environment)]
    if not possible:
        pythons = " or ".join(f"{environment.pythons[0]} (for {environment.title})" for environment in wanted)
        raise SetupError(
            f"No Python {pythons} was found.",
            f"Install one of them (python.org, or: pyenv install {wanted[0].pythons[0]}) and {AGAIN}.",
        )
    return possible


def preferred_blender() -> Environment:
    """The Blender that fits the running Python, or whichever this machine can have."""
    possible = possible_blenders()
    running = "%d.%d" % sys.version_info[:2]
    return next((environment for environment in possible if running in environment.pythons), possible[0])


# --- Verbs: what each docstring says is what its --help prints -------------------------------------------------------


def demo(arguments: list[str]) -> int:
    """Scene, capture, training, and the splats back in the scene, in a Blender without a window.

    The results are in the folder demo/, or where --out says.
    """
    if not any(argument == "--out" or argument.startswith("--out=") for argument in arguments):
        arguments = ["--out", str(ROOT / "demo"), *arguments]
    blender, trainer = ensure(preferred_blender()), ensure(TRAINER)
    variables = child_environment(ROOT, ROOT / "tests", SPLAT_TRAINER_PYTHON=trainer)
    return hand_over([blender, ROOT / "benchmarks" / "demo.py", *arguments, "--trainer-python", trainer], variables)


def train(arguments: list[str]) -> int:
    """Train a capture folder in the trainer's environment."""
    if not arguments:
        raise SetupError(
            "No capture folder was given.", "Use: python3 dev.py train CAPTURE_FOLDER [--iterations N ...]"
        )
    return hand_over([ensure(TRAINER), "-m", COMMANDS["train"], *arguments], child_environment(ROOT))


def report(arguments: list[str]) -> int:
    """Write the report of a run in the trainer's environment."""
    if not arguments:
        raise SetupError("No run was given.", "Use: python3 dev.py report RUN_FOLDER [--out PAGE.html]")
    return hand_over([ensure(TRAINER), "-m", "splat_addon.trainer.report", *arguments], child_environment(ROOT))


def convert(arguments: list[str]) -> int:
    """Convert a splat file into another format, in the trainer's environment. The endings of the names say which."""
    return hand_over([ensure(TRAINER), "-m", COMMANDS["convert"], *arguments], child_environment(ROOT))


def baseline(arguments: list[str]) -> int:
    """Compare traditional splatting of a capture's points with a trained run, in the trainer's environment."""
    if not arguments:
        raise SetupError("No capture folder was given.", "Use: python3 dev.py baseline CAPTURE_FOLDER [--beside RUN]")
    return hand_over([ensure(TRAINER), "-m", COMMANDS["baseline"], *arguments], child_environment(ROOT))


def inspect_capture(arguments: list[str]) -> int:
    """Show what a capture holds and what is wrong with it, in the trainer's environment.

    --hold-out-every N      every N-th view is held out (8)
    --orientation WAY       how cameras measured the photos: auto, stored, turned
    --photos-folder DIR     where the photos lie, instead of what is found
    --model-folder DIR      which COLMAP model is read, instead of what is found
    --points-frame FRAME    where the points stand: auto, cameras, original
    --masks HOW             auto, inverted, ignored
    --json                  as one JSON object

    The exit code is 0 when nothing is wrong, 1 when there is a warning, 2 when the capture cannot be opened.
    """
    if not arguments:
        raise SetupError("No capture folder was given.", "Use: python3 dev.py inspect-capture CAPTURE_FOLDER")
    command = [ensure(TRAINER), "-m", "splat_addon.trainer.photos.inspect_capture", *arguments]
    return hand_over(command, child_environment(ROOT))


def inspect_splats(arguments: list[str]) -> int:
    """Say for each splat of a run, or of a file, how likely it is a floater, in the trainer's environment.

    --capture DIR       the capture, instead of that of the run
    --without-photos    go by positions alone
    --out FILE          where the inspection is written, instead of in the run
    --splats FILE       inspect these in place of the run's own result, with its photos
    """
    if not arguments:
        raise SetupError("No run was given.", "Use: python3 dev.py inspect-splats RUN_FOLDER [--capture DIR]")
    return hand_over([ensure(TRAINER), "-m", "splat_addon.trainer.inspection", *arguments], child_environment(ROOT))


def doctor(arguments: list[str]) -> int:
    """Say what training on an NVIDIA card needs and what of it is here, in the trainer's environment.

    --build              build the kernels for the card ahead, which otherwise set-up or the first run does
    --arch 8.6,9.0       for these compute capabilities, with or without a card
    --python PATH        in another environment: one that Set Up Trainer has made for a card
    """
    python, arguments = chosen_python(arguments)
    command = [python or ensure(TRAINER), "-m", "splat_addon.trainer.backend.cuda", *arguments]
    return hand_over(command, child_environment(ROOT))


def chosen_python(arguments: list[str]) -> tuple[str | None, list[str]]:
    """What --python names, if anything, and the arguments without it."""
    if "--python" not in arguments[:-1]:
        return None, arguments
    place = arguments.index("--python")
    return arguments[place + 1], [*arguments[:place], *arguments[place + 2 :]]


def bench(arguments: list[str]) -> int:
    """Run one of the benchmarks in the environment it needs. With NAME and --help: what it measures and takes.

    --blenders 4.2,5.2,5.3    these, where a benchmark compares Blenders, instead of the oldest and the newest
    --python PATH             in another environment: `card` needs one that Set Up Trainer has made for a card
    """
    own, arguments = chosen_python(arguments)
    arguments, blenders = chosen_blenders(arguments)
    if not arguments or arguments[0] not in benchmarks():
        raise SetupError("No benchmark was named.", f"Say which one to run: {', '.join(benchmarks())}.")
    name, *rest = arguments
    trainer = own or ensure(TRAINER)
    python = ensure(preferred_blender()) if name in BENCHMARKS_IN_BLENDER else trainer
    variables = child_environment(ROOT, ROOT / "tests", SPLAT_TRAINER_PYTHON=trainer)
    if name in BENCHMARKS_IN_EVERY_BLENDER:
        variables["SPLAT_BLENDER_PYTHONS"] = os.pathsep.join(ensure(blender) for blender in possible_blenders(blenders))
    return hand_over([python, ROOT / "benchmarks" / f"{name}.py", *rest], variables)


def chosen_blenders(arguments: Sequence[str]) -> tuple[list[str], Sequence[Environment]]:
    """The arguments without --blenders, and the Blenders that it names. Raises SetupError for an unknown one."""
    rest = list(arguments)
    if "--blenders" not in rest:
        return rest, BLENDERS
    place = rest.index("--blenders")
    named = "".join(rest[place + 1 : place + 2]).split(",")
    del rest[place : place + 2]
    known = {environment.name.removeprefix("blender-"): environment for environment in ALL_BLENDERS}
    if not set(named) <= known.keys():
        raise SetupError(f"--blenders names {', '.join(named)}.", f"Name some of {','.join(known)}.")
    return rest, [known[series] for series in named]


def fuzz(arguments: list[str]) -> int:
    """Give broken files of every format to what reads them, in the trainer's environment, and name what goes wrong.

    --seconds N    for each format (20)
    --cases N      so many of each format, instead of a time
    --format F     only this format; may be given several times
    --seed S       repeats a campaign; otherwise every one is another
    --case N       a single case of a format and a seed, whose files are kept
    --jobs N       processes at a time
    """
    return hand_over([ensure(TRAINER), "-m", "support.fuzz", *arguments], child_environment(ROOT, ROOT / "tests"))


def torture(arguments: list[str]) -> int:
    """Kill trainers, parents and Blenders at random moments, fill disks, take folders away, in the trainer's
    environment, and name each promise that is broken then.

    --seconds N      until no further trial begins (120)
    --kills N        until so many processes were killed, instead of a time
    --kind K         only this kind; may be given several times
    --seed S         repeats a campaign; otherwise every one is another
    --number N       a single trial of a kind and a seed
    --jobs N         trials at a time
    --blender PATH   a Python with bpy; else one of those in .venv, if there is one
    """
    return hand_over([ensure(TRAINER), "-m", "support.torture", *arguments], child_environment(ROOT, ROOT / "tests"))


def benchmarks() -> list[str]:
    """The names that `bench` takes; the demo is a verb of its own."""
    names = {path.stem for path in ROOT.glob("benchmarks/*.py") if not path.stem.startswith("_")}
    return sorted(names - {"demo"})


def build(_arguments: list[str]) -> int:
    """Build the extension's zip in dist/, validate it with Blender's own tool, and print its path and size."""
    (ROOT / "dist").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "dist") as folder:
        built = build_zip(ensure(preferred_blender()), folder)
        final = ROOT / "dist" / built.name
        move_into_place(built, final)
    say(f"{final}  {final.stat().st_size / 1000:.1f} kB")
    return 0


def build_zip(python: str, folder: Path | str) -> Path:
    """Build and validate the zip in `folder` with the tool of Blender's own extension system; returns its path."""
    packages = "Lib/site-packages" if os.name == "nt" else "lib/python*/site-packages"
    pattern = Path(python).parent.parent / packages / "bpy/*/scripts/addons_core/bl_pkg/cli/blender_ext.py"
    tool = (glob.glob(str(pattern)) or [str(pattern)])[0]
    command = [str(python), tool, "build", "--source-dir", str(ROOT), "--output-dir", str(folder)]
    if subprocess.call(command) != 0:
        raise SetupError(
            "The extension was not built.", "Correct what is named above (often in blender_manifest.toml)."
        )
    built = next(Path(folder).glob("*.zip"))
    if subprocess.call([str(python), tool, "validate", str(built)]) != 0:
        raise SetupError("The built extension is not valid.", "Correct what is named above.")
    return built


def check(arguments: list[str]) -> int:
    """Ruff, types, and the extension registered and unregistered twice in the oldest and in the newest Blender.

    --fix    ruff corrects and formats first
    """
    if "--fix" in arguments:
        ruff = [ensure(CHECKS), "-m", "ruff"]
        subprocess.call([*ruff, "check", "--fix", "--quiet", str(ROOT)])
        subprocess.call([*ruff, "format", str(ROOT)])
    failed = [title for title, is_right in run_checks(BLENDERS) if not is_right]
    say("checks: " + (", ".join(failed) + " failed" if failed else "all right"))
    return 1 if failed else 0


def run_checks(blenders: Sequence[Environment]) -> Iterator[tuple[str, bool]]:
    """Yield (title, is it right?) for every check."""
    python = ensure(CHECKS)
    for title, words in (("ruff check", ["check"]), ("ruff format", ["format", "--check"])):
        say(f"\n== {title}")
        yield title, subprocess.call([python, "-m", "ruff", *words, str(ROOT)]) == 0
    # mypy sees the extension as Blender does: as a package named by its id, whatever the checkout's folder is called.
    package = VENV / "types" / "splat_training"
    remove_folder(package)
    package.mkdir(parents=True)
    for name in TYPED:
        link_or_copy(ROOT / name, package / name)
    mypy = [python, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "-p", "splat_training"]
    mypy += ["--cache-dir", str(VENV / "types" / "cache")]
    say("\n== types")
    environment = child_environment(MYPYPATH=str(package.parent))
    yield "types", subprocess.call(mypy, env=environment, cwd=package) == 0
    for blender in possible_blenders(blenders):
        title = f"register twice, {blender.title}"
        say(f"\n== {title}")
        command = [ensure(blender), "-c", "from support.extension import register_twice; register_twice()"]
        is_right = subprocess.call(command, env=child_environment(ROOT / "tests")) == 0
        say("all gone after disabling, twice" if is_right else "")
        yield title, is_right


def link_or_copy(source: Path, target: Path) -> None:
    """A symbolic link, or a copy where the system refuses links (Windows without developer mode)."""
    try:
        target.symlink_to(source, target_is_directory=source.is_dir())
    except OSError:
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, target)


class Count(NamedTuple):
    """How the tests of one stage ended."""

    passed: int
    failed: int
    skipped: int


def test(arguments: list[str]) -> int:
    """All checks and all tests; the last line is the sum of all counts.

    --all-blenders    in every Blender that the extension runs in, not in the oldest and the newest alone
    --arm             only the kernels' tests, on an emulated ARM processor: needs a Debian of x86-64, and minutes
    tests/…           only the tests of these folders and files, without the checks
    everything else   goes to pytest (-k, -x, …), also without the checks
    """
    if "--arm" in arguments:
        options = [argument for argument in arguments if argument != "--arm"]
        command = [ensure(TRAINER), "-m", "support.arm_emulation", *options]
        return hand_over(command, child_environment(ROOT, ROOT / "tests"))
    blenders = ALL_BLENDERS if "--all-blenders" in arguments else BLENDERS
    arguments = [argument for argument in arguments if argument != "--all-blenders"]
    checks, tests, chosen, options = {}, {}, [], []
    for argument in arguments:
        (chosen if re.match(r"(\./)?tests[/\\]", argument) else options).append(argument)
    if arguments:
        say("The checks are left out, because the tests were narrowed down: python3 dev.py check runs them.")
        ensure(TRAINER)  # Blender's tests use it, too
    else:
        try:
            for title, is_right in run_checks(blenders):
                checks[title] = Count(int(is_right), int(not is_right), 0)
        except SetupError as error:
            say(str(error))
            checks["checks"] = Count(0, 1, 0)
    stages, left_out = [], []
    for title, environment, places in all_stages(blenders):
        paths = test_paths(places, chosen)
        if paths and environment in blenders and not is_possible(environment):
            left_out.append(f"{title} is left out: there is no Python {environment.pythons[0]}.")
        elif paths:
            try:
                others = [other for other in blenders if other != environment] if environment in blenders else []
                stages.append(Stage(title, ensure(environment), paths, others))
            except SetupError as error:
                say(f"\n== {title}\n{error}")
                tests[title] = Count(0, 1, 0)
    tests.update(run_stages(stages, options))
    say("\n== summary")
    if not any(sum(count) for count in tests.values()):
        tests["no test was found"] = Count(0, 1, 0)
    for sentence in left_out:
        say(sentence)
    for title, count in {**checks, **tests}.items():
        say("%-32s %5d passed %3d failed %3d skipped" % (title, *count))
    total = Count(*(sum(values) for values in zip(*checks.values(), *tests.values())))
    say("%d passed, %d failed, %d skipped" % total)
    return 1 if total.failed else 0


class Stage(NamedTuple):
    """The tests that one environment runs in one process. `others`: Blenders that make files for its tests."""

    title: str
    python: str
    paths: Sequence[str]
    others: Sequence[Environment] = ()


def all_stages(blenders: Sequence[Environment]) -> Iterator[tuple[str, Environment, list[str]]]:
    """Yield (title, environment, places below tests/), the longest first, so that two at a time end together."""
    for blender in reversed(blenders):
        yield blender.title, blender, ["blender", *tests_of_arrays()]
    yield "trainer", TRAINER, ["trainer"]
    yield "unit", TRAINER, ["unit"]
    yield "COLMAP", COLMAP, ["colmap"]
    yield "other programs", TRAINER, ["oracles"]
    for blender in reversed(blenders):  # in a process of its own: there the built zip is enabled, not the checkout
        yield f"{blender.title}, end to end", blender, ["e2e"]


def run_stages(stages: Sequence[Stage], options: Sequence[str]) -> dict[str, Count]:
    """Run them, two at a time; of several, each prints what it has to say when it ends."""
    if len(stages) < 2 or os.cpu_count() == 1:
        return {stage.title: run_pytest(stage, options) for stage in stages}
    say(f"\n{len(stages)} stages, two at a time: each is shown when it ends.")
    pool = ThreadPoolExecutor(2)
    try:
        running = {stage.title: pool.submit(run_pytest, stage, options, True) for stage in stages}
        return {title: future.result() for title, future in running.items()}
    finally:
        pool.shutdown(cancel_futures=True)


def tests_of_arrays() -> list[str]:
    """The files of tests/unit that every Blender repeats: those that import NumPy.

    All of tests/unit runs once, in the trainer's environment. Blender brings a NumPy of its own (1.26 before 5.1) and
    since 5.1 another Python: what reads, writes and computes arrays has to give the same there.
    """
    imports_numpy = re.compile(r"^(import|from) numpy\b", re.MULTILINE)
    files = sorted((ROOT / "tests" / "unit").glob("test_*.py"))
    return [f"unit/{file.name}" for file in files if imports_numpy.search(file.read_text(encoding="utf-8"))]


def test_paths(places: Sequence[str], chosen: Sequence[str]) -> list[str]:
    """What pytest is given of `places`, folders and files below tests/: all that hold tests, or what was `chosen`."""
    paths = [ROOT / "tests" / place for place in places]
    if not chosen:
        return [path.relative_to(ROOT).as_posix() for path in paths if path.is_file() or any(path.rglob("test_*.py"))]
    found = []
    for choice in chosen:
        real = (ROOT / choice.split("::")[0]).resolve()
        if any(path == real or path in real.parents for path in paths):
            found.append(choice)
        else:
            found += [path.relative_to(ROOT).as_posix() for path in paths if real in path.parents and path.exists()]
    return found


def run_pytest(stage: Stage, options: Sequence[str] = (), is_shown_at_end: bool = False) -> Count:
    """Run one stage and count its tests from pytest's own report."""
    variables = {"SPLAT_TRAINER_PYTHON": str(environment_python(TRAINER))}
    variables["SPLAT_OTHER_BLENDERS"] = os.pathsep.join(other_blenders(stage.others))
    data = ROOT.parent / "shared" / "data"
    if "SPLAT_TEST_DATA" not in os.environ and data.is_dir():
        variables["SPLAT_TEST_DATA"] = str(data)
    with tempfile.TemporaryDirectory() as folder, open(Path(folder, "output"), "w+b") as output:
        report = Path(folder, "report.xml")
        command = [stage.python, "-m", "pytest", "-rs", "--junitxml", str(report), *stage.paths, *options]
        title = f"\n== {stage.title}: {' '.join(stage.paths)}"
        if not is_shown_at_end:
            say(title)
        kept = {"stdout": output, "stderr": subprocess.STDOUT} if is_shown_at_end else {}
        code = subprocess.call(command, cwd=ROOT, env=child_environment(**variables), **kept)
        count = read_report(report)
        output.seek(0)
        ending = "" if not is_shown_at_end else f"{title}\n{output.read().decode(errors='replace').rstrip()}"
    if code not in (0, 5) and count.failed == 0:  # 5: no test was chosen here; others: it crashed, perhaps at exit
        ending += f"\n{stage.title}: pytest ended with code {code}."
        count = count._replace(failed=1)
    if ending:
        say(ending)
    return count


def other_blenders(others: Sequence[Environment]) -> Iterator[str]:
    """As tests read them, "4.2=/…/python", those of the Blenders that this machine can have."""
    for other in others:
        with contextlib.suppress(SetupError):  # said where its own tests are run
            if is_possible(other):
                yield f"{other.name.removeprefix('blender-')}={ensure(other)}"


def read_report(report: Path) -> Count:
    """The counts in a JUnit file, or zeros if the tests did not get as far as writing it."""
    try:
        suites = list(ElementTree.parse(report).iter("testsuite"))
    except (OSError, ElementTree.ParseError):
        return Count(0, 0, 0)
    tests, failures, errors, skipped = (
        sum(int(suite.get(key, 0)) for suite in suites) for key in ("tests", "failures", "errors", "skipped")
    )
    return Count(tests - failures - errors - skipped, failures + errors, skipped)


def libraries(_arguments: list[str]) -> int:
    """Print the Debian packages that Blender needs and this system lacks."""
    say(" ".join(LIBRARIES[name][0] for name in missing_libraries()))
    return 0


_VERBS = (
    *(demo, test, train, baseline, report, convert, inspect_capture, inspect_splats),
    *(build, check, bench, fuzz, torture, doctor, libraries),
)
VERBS = {verb.__name__.replace("_", "-"): verb for verb in _VERBS}


def explain_verb(name: str, arguments: Sequence[str]) -> int:
    """What `dev.py NAME --help` prints. It installs nothing, so it imports only what needs nothing."""
    if name in COMMANDS:
        return importlib.import_module(COMMANDS[name]).main(["--help"])
    named = [benchmark for benchmark in benchmarks() if name == "bench" and benchmark in arguments[:1]]
    if named:
        say(script_help(ROOT / "benchmarks" / f"{named[0]}.py"))
        return 0
    usage = next(line for line in __doc__.splitlines() if f"dev.py {name} " in line)
    say(f"usage: {usage.strip().partition('  ')[0]}\n\n{inspect.getdoc(VERBS[name])}")
    if name == "demo":
        say("\n" + script_help(ROOT / "benchmarks" / "demo.py"))
    elif name == "bench":
        for benchmark in benchmarks():
            summary = docstring(ROOT / "benchmarks" / f"{benchmark}.py").partition("\n")[0]
            say(f"\n  {benchmark:<15} {summary}")
    return 0


def docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def script_help(path: Path) -> str:
    """What a script does and takes, read from its source: it could not be started without what it imports."""
    lines = [docstring(path), "", "options:"]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument":
            text = next((keyword.value for keyword in node.keywords if keyword.arg == "help"), ast.Constant(""))
            if isinstance(text, ast.Constant):  # the others are argparse.SUPPRESS
                name = ", ".join(word.value for word in node.args if isinstance(word, ast.Constant))
                lines.append(f"  {name:<20} {text.value}".rstrip())
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Run the verb; every foreseeable failure ends in one sentence and exit code 1."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    if not arguments or arguments[0] not in VERBS:
        print(__doc__)
        return 0 if arguments in (["-h"], ["--help"], ["help"]) else 2
    name, *rest = arguments
    try:
        return explain_verb(name, rest) if {"-h", "--help"} & set(rest) else VERBS[name](rest)
    except SetupError as error:
        print(f"dev.py: {error}", file=sys.stderr)
        return 1
    except PermissionError as error:
        print(f"dev.py: {error.filename} cannot be written. Make it writable for you.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("dev.py: stopped. What was not completed is done again the next time.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
