#!/usr/bin/env python3
"""Everything a developer of this extension starts from a terminal, with nothing installed but Python.

    python3 dev.py demo [--out DIR]      a Blender scene is captured, trained and shown again, on this machine
    python3 dev.py test [pytest args]    the checks, then all tests: trainer, COLMAP, Blender 4.2, Blender 5.2
    python3 dev.py train CAPTURE [...]   train a capture folder; the arguments go to splat_addon.trainer.cli
    python3 dev.py report RUN [--out F]  a run's curves, held-out table and images as one HTML page
    python3 dev.py build                 the extension's zip in dist/, validated
    python3 dev.py check [--fix]         ruff, types, register and unregister twice in each Blender
    python3 dev.py bench NAME [...]      run benchmarks/NAME.py
    python3 dev.py doctor [--build]      what training on an NVIDIA card needs here; builds its kernels ahead
    python3 dev.py libraries             the Debian packages Blender needs that this system lacks

The environments live in `.venv/`, one per purpose, each installed at its first use. Deleting one installs it again.
This file runs on Python 3.8 and newer, with the standard library alone.
"""

import contextlib
import ctypes
import glob
import hashlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import NamedTuple, Tuple

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTEST = "pytest==9.2.0"


class Environment(NamedTuple):
    """A virtual environment: which Python it may have, what is installed in it, and what must then import."""

    name: str
    title: str
    pythons: Tuple[str, ...]
    requirements: Tuple[str, ...]
    must_import: str


BLENDER_42 = Environment(
    "blender-4.2", "Blender 4.2", ("3.11",), ("bpy==4.2.23", "numpy==1.26.4", PYTEST), "import numpy, bpy"
)
BLENDER_52 = Environment(
    "blender-5.2", "Blender 5.2", ("3.13",), ("bpy==5.2.3", "numpy==2.4.6", PYTEST), "import numpy, bpy"
)
BLENDERS = (BLENDER_42, BLENDER_52)
# The one list of what training needs, which the extension's own set-up installs, too.
REQUIREMENTS = json.loads((ROOT / "splat_addon" / "environment" / "requirements.json").read_text(encoding="utf-8"))
TRAINER = Environment(
    "trainer",
    "the trainer",
    tuple(REQUIREMENTS["pythons"]),
    (*REQUIREMENTS["packages"], PYTEST),
    "import torch, numba, PIL, matplotlib",
)
CHECKS = Environment(
    "checks",
    "the checks",
    ("3.11", "3.12", "3.13"),
    ("ruff==0.17.5", "mypy==2.4.1", "fake-bpy-module-4.2==20260730", "numpy==2.4.6"),
    "import mypy, numpy",
)
# COLMAP itself judges the models we write. Apart from the trainer, so that training never has to download it.
COLMAP = Environment(
    "colmap", "COLMAP", ("3.11", "3.12", "3.13"), ("pycolmap==4.2.1", "numpy==2.4.6", PYTEST), "import numpy, pycolmap"
)

BENCHMARKS_IN_BLENDER = (
    "blender",
    "capture",
    "demo",
    "exactness",
)  # all others run in the trainer's environment
BENCHMARKS_IN_EVERY_BLENDER = ("blender", "look")
TYPED = ("__init__.py", "splat_addon", "operators", "panels")
# Type errors that are no news, because the stubs of Blender know only the base class of what a collection returns,
# one type per argument, nothing of features newer than the oldest Blender, and nothing of the extension's property.
STUB_LIMITS = re.compile(
    r"has no attribute \"(splat|foreach_[gs]et)\""
    r"|\"(Attribute|BlenderRNA|ID|Light|Modifier|Node|NodeSocket|PointCloud|Property)\" has no attribute"
    r"|\"SPLAT_OT_\w+\" has no attribute \"filepath\""
    r"|incompatible type \"(Scene|Object|ShaderNodeTree|Armature \| [^\"]*) \| None\"; expected"
    r"|incompatible type \"str\"; expected \"Literal\["
    r"|of \"BlendDataNodeTrees\" has incompatible type|operand type for in \(\"(Scene|Object)\"\)"
)

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


class Problem(Exception):
    """What is wrong, in one sentence, and what to do about it. Shown without a traceback."""


# --- Pythons ---------------------------------------------------------------------------------------------------------


def find_python(versions):
    """(command, version) of a Python of the first of `versions` (like "3.11") that this machine has, or None."""
    for version in versions:
        for command in python_candidates(version):
            if runs_python(command, version):
                return command, version
    return None


def python_candidates(version):
    """Commands that may start Python `version`, the likeliest first. They are only guesses: pyenv's shims may fail."""
    if "%d.%d" % sys.version_info[:2] == version:
        yield [sys.executable]
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        found = folder and shutil.which("python" + version, path=folder)
        if found:
            yield [found]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for folder in sorted(pyenv.glob("versions/%s.*" % version), reverse=True):
        yield [str(folder / "bin" / "python")]
    if os.name == "nt" and shutil.which("py"):
        yield ["py", "-" + version]


def runs_python(command, version):
    """Does `command` start a 64-bit Python `version` that can make virtual environments?"""
    probe = "import ensurepip, venv, sys; print('%d.%d' % sys.version_info[:2] if sys.maxsize > 2**32 else '32 bit')"
    try:
        answer = subprocess.run([*command, "-c", probe], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and answer.stdout.decode().strip() == version


# --- Environments ----------------------------------------------------------------------------------------------------


def stamp(environment, version):
    """What `.venv/<name>/installed` holds when the environment is complete."""
    content = "\n".join((version,) + environment.requirements)
    return hashlib.sha256(content.encode()).hexdigest()


def environment_python(environment):
    """Where the environment's Python is, or will be."""
    return VENV / environment.name / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def is_installed(environment):
    """Was the installation completed with exactly these requirements?"""
    try:
        found = (VENV / environment.name / "installed").read_text()
    except OSError:
        return False
    return environment_python(environment).exists() and found in [stamp(environment, v) for v in environment.pythons]


def is_possible(environment):
    """Does this machine have the environment, or a Python to make it with?"""
    return is_installed(environment) or find_python(environment.pythons) is not None


def ensure(environment):
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
def one_at_a_time(name):
    """Two terminals that install the same environment wait for each other (not on Windows)."""
    VENV.mkdir(exist_ok=True)
    with open(VENV / (name + ".lock"), "w") as lock:
        with contextlib.suppress(ImportError):
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install(environment):
    """Make the environment anew. The stamp comes last, so that an interrupted installation is done again."""
    found = find_python(environment.pythons)
    if found is None:
        wanted = environment.pythons[0]
        raise Problem(
            "No Python %s with venv and pip was found, which %s needs. Install it (python.org; on Debian and Ubuntu: "
            "apt install python%s-venv; or: pyenv install %s) and run this again."
            % (" or ".join(environment.pythons), environment.title, wanted, wanted)
        )
    command, version = found
    folder, log = VENV / environment.name, VENV / (environment.name + ".log")
    say("Installing %s into .venv/%s (only the first time)" % (environment.title, environment.name))
    if folder.exists():
        shutil.rmtree(folder)
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
                sentences = install_failure_sentences("\n".join(output), version)
                raise Problem("%s The whole output is in %s." % (sentences, log))
    (folder / "installed").write_text(stamp(environment, version))


def torch_index(environment):
    """Where pip also looks for PyTorch: on Linux without an NVIDIA card, at PyTorch's own index of CPU builds.

    PyPI's Linux wheels carry CUDA, several gigabytes that such a machine cannot use. The index is asked first, for a
    few seconds and in a process of its own (a dead name server ignores time-outs), because pip would spend minutes on
    one that does not answer. Without it, pip takes what it is configured to find: a CPU build where a mirror or
    find-links offers one ("2.13.0+cpu" counts as newer than "2.13.0"), otherwise PyPI's.
    """
    needs_torch = any(requirement.startswith("torch=") for requirement in environment.requirements)
    if not needs_torch or sys.platform != "linux" or shutil.which("nvidia-smi"):
        return []
    index = REQUIREMENTS["devices"]["cpu"]["indexes"]["linux"]
    ask = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1] + '/torch/', timeout=5).close()"
    try:
        answer = subprocess.run(
            [sys.executable, "-c", ask, index], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=8
        )
    except subprocess.TimeoutExpired:
        return []
    return ["--extra-index-url", index] if answer.returncode == 0 else []


def install_failure_sentences(output, version):
    """What the output of venv and pip means, and the remedy: no wheel, no network, no space, or its own last words."""
    if "No space left on device" in output:
        return "The disk is full: the environments need about 6 GB in %s. Make room and run this again." % VENV
    network = "connection broken by|Could not fetch URL|timed out|ConnectionError|ProxyError|SSLError|IncompleteRead"
    if re.search(network + "|Network is unreachable|name resolution|HTTP error|DO NOT MATCH THE HASHES", output):
        return "A download failed. Check the network (or pip's proxy and index settings) and run this again."
    missing = re.search(r"No matching distribution found for (\S+)", output)
    if missing:
        machine = "%s %s" % (platform.system(), platform.machine())
        return (
            "There is no wheel of %s for Python %s on %s. Use another machine or Python: Blender's wheels exist for "
            "64-bit Linux (glibc), Windows and macOS." % (missing.group(1), version, machine)
        )
    lines = output.splitlines() or ["no output"]
    errors = [line for line in lines if line.startswith("ERROR")]
    return "The installation failed (%s). Correct that and run this again." % (errors or lines)[-1]


def check_imports(environment):
    """Raise Problem when the environment is complete but does not start, naming missing system packages."""
    command = [str(environment_python(environment)), "-c", environment.must_import]
    answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=child_environment())
    if answer.returncode != 0:
        output = answer.stdout.decode(errors="replace").strip() or "it ended with code %d" % answer.returncode
        raise Problem(import_failure_sentences(environment.title, output, missing_libraries()))


def import_failure_sentences(title, output, missing):
    """Why `import bpy` (or torch) failed. `missing` names the known system libraries that cannot be loaded here."""
    library = re.search(r"(\S+\.so[.\d]*): cannot open shared object file", output)
    if library is None:
        reason = output.splitlines()[-1]
        return "%s is installed but does not start (%s). Delete .venv to install it again." % (title, reason)
    libraries = sorted({library.group(1), *missing})
    known = [LIBRARIES[name] for name in libraries if name in LIBRARIES]
    debian, fedora = (" ".join(names) for names in zip(*known)) if known else ("", "")
    remedy = "apt install %s (Debian, Ubuntu) or dnf install %s" % (debian, fedora) if known else "that library"
    return "The system lacks %s, which %s needs. Install: %s." % (", ".join(libraries), title, remedy)


def missing_libraries():
    """Those of LIBRARIES that this system cannot load (Linux only)."""
    missing = []
    for name in LIBRARIES if sys.platform == "linux" else ():
        try:
            ctypes.CDLL(name)
        except OSError:
            missing.append(name)
    return missing


# --- Running ---------------------------------------------------------------------------------------------------------


def say(text):
    """Print at once, so that the order is right between this process and its children."""
    print(text, flush=True)


def child_environment(*import_folders, **variables):
    """Environment variables for a child: nothing of the caller's Python, `import_folders` first on its path."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONHOME", "PYTHONPATH")}
    environment["PYTHONUTF8"] = "1"
    if import_folders:
        environment["PYTHONPATH"] = os.pathsep.join(str(folder) for folder in import_folders)
    environment.update(variables)
    return environment


def hand_over(command, environment):
    """Become `command`: Ctrl-C reaches it once, and its exit code is ours. Returns (the code) on Windows only."""
    sys.stdout.flush()
    sys.stderr.flush()
    command = [str(part) for part in command]
    if os.name != "nt":
        os.execve(command[0], command, environment)
    signal.signal(signal.SIGINT, lambda *_: None)  # the console tells the child, too
    return subprocess.Popen(command, env=environment).wait()


def possible_blenders():
    """The Blender environments that this machine can have; at least one."""
    possible = [blender for blender in BLENDERS if is_possible(blender)]
    if not possible:
        raise Problem(
            "No Python 3.11 (for Blender 4.2) or 3.13 (for Blender 5.2) was found. "
            "Install one of them (python.org, or: pyenv install 3.11) and run this again."
        )
    return possible


def preferred_blender():
    """The Blender that fits the running Python, or whichever this machine can have."""
    possible = possible_blenders()
    running = "%d.%d" % sys.version_info[:2]
    return next((blender for blender in possible if running in blender.pythons), possible[0])


# --- Verbs -----------------------------------------------------------------------------------------------------------


def demo(arguments):
    """Scene, capture, training, and the splats back in the scene, in a Blender without a window."""
    if not any(argument == "--out" or argument.startswith("--out=") for argument in arguments):
        arguments = ["--out", str(ROOT / "demo"), *arguments]
    blender, trainer = ensure(preferred_blender()), ensure(TRAINER)
    variables = child_environment(ROOT, ROOT / "tests", SPLAT_TRAINER_PYTHON=trainer)
    return hand_over([blender, ROOT / "benchmarks" / "demo.py", *arguments, "--trainer-python", trainer], variables)


def train(arguments):
    """Train a capture folder in the trainer's environment."""
    if not arguments:
        raise Problem("No capture folder was given. Use: python3 dev.py train CAPTURE_FOLDER [--iterations N ...]")
    return hand_over([ensure(TRAINER), "-m", "splat_addon.trainer.cli", *arguments], child_environment(ROOT))


def report(arguments):
    """Write the report of a run in the trainer's environment."""
    if not arguments:
        raise Problem("No run was given. Use: python3 dev.py report RUN_FOLDER [--out PAGE.html]")
    return hand_over([ensure(TRAINER), "-m", "splat_addon.trainer.report", *arguments], child_environment(ROOT))


def doctor(arguments):
    """Say what training on CUDA needs and has, and build its kernels ahead if asked."""
    command = [ensure(TRAINER), "-m", "splat_addon.trainer.backend.cuda", *arguments]
    return hand_over(command, child_environment(ROOT))


def bench(arguments):
    """Run one of the benchmarks in the environment it needs."""
    names = sorted(path.stem for path in ROOT.glob("benchmarks/*.py") if not path.stem.startswith("_"))
    if not arguments or arguments[0] not in names:
        raise Problem("Say which benchmark to run: %s." % (", ".join(names) or "there is none yet"))
    name, *rest = arguments
    trainer = ensure(TRAINER)
    python = ensure(preferred_blender()) if name in BENCHMARKS_IN_BLENDER else trainer
    variables = child_environment(ROOT, ROOT / "tests", SPLAT_TRAINER_PYTHON=trainer)
    if name in BENCHMARKS_IN_EVERY_BLENDER:
        variables["SPLAT_BLENDER_PYTHONS"] = os.pathsep.join(ensure(blender) for blender in possible_blenders())
    return hand_over([python, ROOT / "benchmarks" / (name + ".py"), *rest], variables)


def build(_arguments):
    """Build the extension's zip, validate it, and print its path and size."""
    (ROOT / "dist").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=str(ROOT / "dist")) as folder:
        built = build_zip(ensure(preferred_blender()), folder)
        final = ROOT / "dist" / built.name
        os.replace(str(built), str(final))
    say("%s  %.1f kB" % (final, final.stat().st_size / 1000))
    return 0


def build_zip(python, folder):
    """Build and validate the zip in `folder` with the tool of Blender's own extension system; returns its path."""
    packages = "Lib/site-packages" if os.name == "nt" else "lib/python*/site-packages"
    pattern = Path(python).parent.parent / packages / "bpy/*/scripts/addons_core/bl_pkg/cli/blender_ext.py"
    tool = (glob.glob(str(pattern)) or [str(pattern)])[0]
    command = [str(python), tool, "build", "--source-dir", str(ROOT), "--output-dir", str(folder)]
    if subprocess.call(command) != 0:
        raise Problem("The extension was not built. Correct what is named above (often in blender_manifest.toml).")
    built = next(Path(folder).glob("*.zip"))
    if subprocess.call([str(python), tool, "validate", str(built)]) != 0:
        raise Problem("The built extension is not valid. Correct what is named above.")
    return built


def check(arguments):
    """Ruff, types, and register/unregister twice; returns 0 when all are right. With --fix, ruff corrects first."""
    if "--fix" in arguments:
        ruff = [ensure(CHECKS), "-m", "ruff"]
        subprocess.call([*ruff, "check", "--fix", "--quiet", str(ROOT)])
        subprocess.call([*ruff, "format", str(ROOT)])
    failed = [title for title, is_right in run_checks() if not is_right]
    say("checks: " + (", ".join(failed) + " failed" if failed else "all right"))
    return 1 if failed else 0


def run_checks():
    """Yield (title, is it right?) for every check."""
    python = ensure(CHECKS)
    for title, words in (("ruff check", ["check"]), ("ruff format", ["format", "--check"])):
        say("\n== " + title)
        yield title, subprocess.call([python, "-m", "ruff", *words, str(ROOT)]) == 0
    # mypy sees the extension as Blender does: as a package named by its id, holding only what is shipped.
    package = VENV / "types" / "splat_training"
    shutil.rmtree(package, ignore_errors=True)
    package.mkdir(parents=True)
    for name in TYPED:
        link_or_copy(ROOT / name, package / name)
    mypy = [python, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "-p", "splat_training"]
    mypy += ["--cache-dir", str(VENV / "types" / "cache"), "--no-error-summary"]
    say("\n== types")
    environment = child_environment(MYPYPATH=str(package.parent))
    answer = subprocess.run(mypy, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, cwd=str(package))
    lines = answer.stdout.decode(errors="replace").splitlines()
    wrong = [line for line in lines if not STUB_LIMITS.search(line)]
    say("\n".join(wrong or ["No type errors"]))
    yield "types", not wrong and answer.returncode in (0, 1)
    for blender in possible_blenders():
        title = "register twice, " + blender.title
        say("\n== " + title)
        command = [ensure(blender), "-c", "from support.extension import register_twice; register_twice()"]
        is_right = subprocess.call(command, env=child_environment(ROOT / "tests")) == 0
        say("all gone after disabling, twice" if is_right else "")
        yield title, is_right


def link_or_copy(source, target):
    """A symbolic link, or a copy where the system refuses links (Windows without developer mode)."""
    try:
        target.symlink_to(source, target_is_directory=source.is_dir())
    except OSError:
        (shutil.copytree if source.is_dir() else shutil.copy2)(str(source), str(target))


class Count(NamedTuple):
    """How the tests of one stage ended."""

    passed: int
    failed: int
    skipped: int


def test(arguments):
    """All checks (unless pytest arguments narrow the run) and all tests; the last line is the sum of all counts."""
    checks, tests, chosen, options = {}, {}, [], []
    for argument in arguments:
        (chosen if re.match(r"(\./)?tests[/\\]", argument) else options).append(argument)
    if arguments:
        say("The checks are left out, because the tests were narrowed down: python3 dev.py check runs them.")
        ensure(TRAINER)  # Blender's tests use it, too
    else:
        try:
            for title, is_right in run_checks():
                checks[title] = Count(int(is_right), int(not is_right), 0)
        except Problem as problem:
            say(str(problem))
            checks["checks"] = Count(0, 1, 0)
    stages = [("trainer", TRAINER, ("unit", "trainer")), ("COLMAP", COLMAP, ("colmap",))]
    for blender in BLENDERS:
        # End to end in a process of its own: there the built zip is enabled instead of the checkout.
        stages.append((blender.title, blender, ("unit", "blender", "golden")))
        stages.append((blender.title + ", end to end", blender, ("e2e",)))
    left_out = []
    for title, environment, folders in stages:
        paths = test_paths(folders, chosen)
        if not paths:
            continue
        if environment in BLENDERS and not is_possible(environment):
            left_out.append("%s is left out: there is no Python %s." % (title, environment.pythons[0]))
            continue
        try:
            tests[title] = run_pytest(title, ensure(environment), paths, options)
        except Problem as problem:
            say("\n== %s\n%s" % (title, problem))
            tests[title] = Count(0, 1, 0)
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


def test_paths(folders, chosen):
    """The folders under tests/ that hold tests, or those of the `chosen` paths that lie in one of the folders."""
    tests = [ROOT / "tests" / folder for folder in folders]
    if not chosen:
        return ["tests/" + folder.name for folder in tests if list(folder.rglob("test_*.py"))]
    real = {path: (ROOT / path.split("::")[0]).resolve() for path in chosen}
    return [path for path in chosen if any(folder in (real[path], *real[path].parents) for folder in tests)]


def run_pytest(title, python, paths, options):
    """Run one stage and count its tests from pytest's own report."""
    variables = {"SPLAT_TRAINER_PYTHON": str(environment_python(TRAINER))}
    data = ROOT.parent / "shared" / "data"
    if "SPLAT_TEST_DATA" not in os.environ and data.is_dir():
        variables["SPLAT_TEST_DATA"] = str(data)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = [python, "-m", "pytest", "-rs", "--junitxml", str(report), *paths, *options]
        say("\n== %s: %s" % (title, " ".join(str(path) for path in paths)))
        code = subprocess.call(command, cwd=str(ROOT), env=child_environment(**variables))
        count = read_report(report)
    if code not in (0, 5) and count.failed == 0:  # 5: no test was chosen here; others: it crashed, perhaps at exit
        say("%s: pytest ended with code %d." % (title, code))
        count = count._replace(failed=1)
    return count


def read_report(report):
    """The counts in a JUnit file, or zeros if the tests did not get as far as writing it."""
    try:
        suites = list(ElementTree.parse(str(report)).iter("testsuite"))
    except (OSError, ElementTree.ParseError):
        return Count(0, 0, 0)
    tests, failures, errors, skipped = (
        sum(int(suite.get(key, 0)) for suite in suites) for key in ("tests", "failures", "errors", "skipped")
    )
    return Count(tests - failures - errors - skipped, failures + errors, skipped)


def libraries(_arguments):
    """Print the Debian packages that Blender needs and this system lacks."""
    say(" ".join(LIBRARIES[name][0] for name in missing_libraries()))
    return 0


VERBS = {verb.__name__: verb for verb in (demo, test, train, report, build, check, bench, doctor, libraries)}


def main(arguments):
    """Run the verb; every foreseeable failure ends in one sentence and exit code 1."""
    if sys.version_info < (3, 8):
        print("dev.py needs Python 3.8 or newer, this is %d.%d: start it with python3.11." % sys.version_info[:2])
        return 1
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    if not arguments or arguments[0] not in VERBS:
        print(__doc__)
        return 0 if arguments in (["-h"], ["--help"], ["help"]) else 2
    try:
        return VERBS[arguments[0]](arguments[1:])
    except Problem as problem:
        print("dev.py: %s" % problem, file=sys.stderr)
        return 1
    except PermissionError as error:
        print("dev.py: %s cannot be written. Make it writable for you." % error.filename, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("dev.py: stopped. What was not completed is done again the next time.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
