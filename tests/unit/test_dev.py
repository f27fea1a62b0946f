"""dev.py: environments that are installed once, sentences instead of tracebacks, and tests that are counted."""

import ast
import os
import signal
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

import dev
from splat_addon.environment.machine import Machine
from splat_addon.environment.requirements import read_requirements
from splat_addon.errors import SetupError

OWN_VERSION = ".".join(map(str, sys.version_info[:2]))
SMALL = dev.Environment("small", "the small one", (OWN_VERSION,), (), "import json", 0.1)
needs_posix = pytest.mark.skipif(os.name == "nt", reason="uses POSIX signals or scripts")


@pytest.fixture
def venv(tmp_path, monkeypatch):
    """An empty `.venv` for dev.py."""
    monkeypatch.setattr(dev, "VENV", tmp_path / "venv")
    return dev.VENV


@pytest.fixture
def installed(venv, monkeypatch):
    """Names of the environments whose installation was started; nothing is really installed."""
    names = []

    def pretend(environment):
        names.append(environment.name)
        python = dev.environment_python(environment)
        python.parent.mkdir(parents=True, exist_ok=True)
        python.touch()
        (venv / environment.name / "installed").write_text(dev.stamp(environment, environment.pythons[0]))

    monkeypatch.setattr(dev, "install", pretend)
    monkeypatch.setattr(dev, "check_imports", lambda environment: None)
    return names


def command_named(folder: Path, name: str, script: str) -> Path:
    """An executable shell script."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)
    return path


def test_an_environment_is_installed_once(installed):
    assert dev.ensure(SMALL) == dev.ensure(SMALL) == str(dev.environment_python(SMALL))
    assert installed == ["small"]


def test_other_requirements_install_the_environment_again(installed):
    dev.ensure(SMALL)
    dev.ensure(SMALL._replace(requirements=("wheel==0.45.1",)))
    assert installed == ["small", "small"]


def test_an_interrupted_installation_is_done_again(venv, monkeypatch):
    def interrupted(environment):
        raise KeyboardInterrupt

    monkeypatch.setattr(dev, "torch_index", interrupted)
    monkeypatch.setattr(dev, "find_python", lambda *_: [sys.executable])
    monkeypatch.setattr(dev, "version_of", lambda command: OWN_VERSION)
    with pytest.raises(KeyboardInterrupt):
        dev.install(SMALL)
    (venv / "small").mkdir(parents=True, exist_ok=True)
    (venv / "small" / "half a package").touch()
    assert not dev.is_installed(SMALL)

    calls = []
    real_popen = subprocess.Popen

    def without_pip(command, **options):
        calls.append(command)
        return real_popen(
            [sys.executable, "-c", "pass"] if "pip" in command else [*command, "--without-pip"], **options
        )

    monkeypatch.setattr(dev, "torch_index", lambda environment: [])
    monkeypatch.setattr(subprocess, "Popen", without_pip)
    dev.install(SMALL)
    assert len(calls) == 2 and dev.is_installed(SMALL)
    assert not (venv / "small" / "half a package").exists()


def test_a_failed_installation_leaves_no_stamp_and_names_its_log(venv, monkeypatch):
    monkeypatch.setattr(dev, "find_python", lambda *_: [sys.executable, "-c", "print('no room'); exit(1)"])
    with pytest.raises(SetupError, match=r"The installation failed: no room Correct that.* run this again.*small\.log"):
        venv.mkdir()
        dev.install(SMALL)
    assert not dev.is_installed(SMALL)


def test_a_missing_python_is_named_with_a_way_to_get_it(venv):
    told = r"Blender 9\.9 cannot be installed: No Python 3\.99 .*was found\. Install one from python\.org"
    with pytest.raises(SetupError, match=told):
        dev.install(SMALL._replace(title="Blender 9.9", pythons=("3.99",)))


def test_a_missing_system_library_is_told_with_the_packages_to_install():
    error = "ImportError: libXi.so.6: cannot open shared object file: No such file or directory"
    told = str(dev.import_failure("Blender 4.2", error, ["libXi.so.6", "libEGL.so.1"]))
    assert "lacks libEGL.so.1, libXi.so.6, which Blender 4.2 needs" in told
    assert "apt install libegl1 libxi6" in told and "dnf install libglvnd-egl libXi" in told


def test_an_unknown_system_library_is_named_itself():
    error = "ImportError: libnew-2.so.7: cannot open shared object file: No such file or directory"
    assert "lacks libnew-2.so.7" in str(dev.import_failure("Blender 4.2", error, []))


def test_another_import_failure_ends_in_its_last_line():
    told = str(dev.import_failure("the trainer", "Traceback ...\nImportError: GLIBC_2.99 not found", []))
    assert "the trainer is installed but does not start (ImportError: GLIBC_2.99 not found)" in told


@pytest.mark.parametrize("arguments", [["train"], ["bench"], ["bench", "nothing"]])
def test_wrong_use_ends_in_one_line_without_a_traceback(arguments):
    answer = subprocess.run([sys.executable, str(dev.ROOT / "dev.py"), *arguments], capture_output=True, text=True)
    assert answer.returncode == 1
    assert answer.stderr.startswith("dev.py: ") and answer.stderr.count("\n") == 1


HELP = """
import pathlib, sys
import dev
dev.VENV = pathlib.Path(sys.argv[1])
sys.exit(dev.main(sys.argv[2:]))
"""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["demo"], "--iterations"),
        (["test"], "--all-blenders"),
        (["test", "tests/unit"], "--all-blenders"),
        (["train"], "--max-gaussians"),
        (["report"], "--out OUT"),
        (["build"], "validate it"),
        (["check"], "--fix"),
        (["fuzz"], "--seed S"),
        (["torture"], "--kills N"),
        (["doctor"], "--build"),
        (["libraries"], "Debian packages"),
        (["bench"], "step_overhead"),
        *[(["bench", name], "options:") for name in dev.benchmarks()],
    ],
)
def test_help_is_printed_and_nothing_is_installed_for_it(tmp_path, arguments, told):
    command = [sys.executable, "-S", "-c", HELP, tmp_path / "venv", *arguments, "--help"]  # -S: without site-packages
    answer = subprocess.run(command, cwd=dev.ROOT, capture_output=True, text=True, encoding="utf-8")
    assert answer.returncode == 0 and told in answer.stdout, answer.stderr
    assert not (tmp_path / "venv").exists()


def test_an_old_python_is_told_in_one_line_which_one_is_needed():
    ast.parse((dev.ROOT / "dev.py").read_text(encoding="utf-8"), feature_version=(3, 8))  # it can be read there
    script = "import sys; sys.version_info = (3, 8, 18); import dev"
    answer = subprocess.run([sys.executable, "-c", script], cwd=dev.ROOT, capture_output=True, text=True)
    assert answer.returncode == 1 and answer.stderr.count("\n") == 1
    assert answer.stderr.startswith("dev.py: this is Python 3.8, and 3.11 or newer is needed.")


def test_a_child_does_not_see_the_callers_python_settings(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    monkeypatch.setenv("PYTHONHOME", "elsewhere")
    environment = dev.child_environment("a", "b", EXTRA="c")
    assert environment["PYTHONPATH"] == os.pathsep.join(["a", "b"]) and environment["EXTRA"] == "c"
    assert "PYTHONHOME" not in environment and "PYTHONPATH" not in dev.child_environment()


def handed_over(child: str) -> list[str]:
    """The command of a process that hands over to `child`, a script."""
    script = "import dev, os, sys; sys.exit(dev.hand_over([sys.executable, '-c', sys.argv[1]], dict(os.environ)))"
    return [sys.executable, "-c", script, textwrap.dedent(child)]


def test_the_exit_code_of_the_command_is_handed_back():
    assert subprocess.run(handed_over("raise SystemExit(7)"), cwd=dev.ROOT).returncode == 7


@needs_posix
def test_ctrl_c_reaches_the_command_once():
    child = """
        import signal, sys, time
        count = 0
        def interrupted(*_):
            global count
            count += 1
        signal.signal(signal.SIGINT, interrupted)
        print("ready", flush=True)
        while not count:
            time.sleep(0.01)
        end = time.monotonic() + 0.5  # for another
        while time.monotonic() < end:
            time.sleep(0.01)
        sys.exit(10 + count)
    """
    process = subprocess.Popen(handed_over(child), cwd=dev.ROOT, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout.readline() == b"ready\n"
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does
    assert process.wait(timeout=30) == 11


REPORT = """<testsuites><testsuite name="pytest" errors="1" failures="2" skipped="3" tests="10"/></testsuites>"""


def test_tests_are_counted_from_pytests_own_report(tmp_path):
    (tmp_path / "report.xml").write_text(REPORT)
    assert dev.read_report(tmp_path / "report.xml") == dev.Count(passed=4, failed=3, skipped=3)
    assert dev.read_report(tmp_path / "missing.xml") == dev.Count(0, 0, 0)


@pytest.fixture
def small_project(tmp_path, monkeypatch):
    """A repository with a single test folder, whose every environment is the running Python."""
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    monkeypatch.setattr(dev, "ensure", lambda environment: sys.executable)
    monkeypatch.setattr(dev, "is_possible", lambda environment: environment is dev.TRAINER)
    monkeypatch.setattr(dev, "run_checks", lambda blenders: iter([("ruff", True), ("types", True)]))
    (tmp_path / "tests" / "unit").mkdir(parents=True)
    return tmp_path / "tests" / "unit"


def test_the_last_line_counts_all_tests_and_checks(small_project, capfd):
    (small_project / "test_one.py").write_text("import pytest\ndef test_a(): pass\ndef test_b(): pytest.skip('why')\n")
    assert dev.test([]) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "3 passed, 0 failed, 1 skipped"


def test_a_blender_that_this_machine_cannot_have_is_named(small_project, capfd):
    (small_project / "test_one.py").write_text("import numpy\ndef test_a(): pass\n")
    assert dev.test([]) == 0
    assert "Blender 4.2 is left out: there is no Python 3.11." in capfd.readouterr().out.splitlines()


def test_every_blender_repeats_the_tests_of_arrays_and_no_others(small_project, monkeypatch):
    (small_project / "test_arrays.py").write_text("import numpy as np\ndef test_a(): pass\n")
    (small_project / "test_words.py").write_text("def test_b(): pass\n")
    ran = {}
    monkeypatch.setattr(dev, "is_possible", lambda environment: True)
    monkeypatch.setattr(
        dev, "run_pytest", lambda stage, *_: ran.update({stage.title: stage.paths}) or dev.Count(1, 0, 0)
    )
    dev.test([])
    arrays = ["tests/unit/test_arrays.py"]
    assert ran == {"unit": ["tests/unit"], dev.BLENDERS[0].title: arrays, dev.BLENDERS[1].title: arrays}
    ran.clear()
    dev.test(["tests/unit", "-x"])
    assert ran == {"unit": ["tests/unit"], dev.BLENDERS[0].title: arrays, dev.BLENDERS[1].title: arrays}
    ran.clear()
    dev.test(["tests/unit/test_words.py::test_b"])
    assert ran == {"unit": ["tests/unit/test_words.py::test_b"]}
    ran.clear()
    dev.test(["--all-blenders"])
    assert ran.keys() == {"unit", *(blender.title for blender in dev.ALL_BLENDERS)}


def test_the_tests_of_each_blender_are_told_where_the_others_of_the_run_are(small_project, monkeypatch):
    named = "import os\ndef test_a(): print(os.environ['SPLAT_OTHER_BLENDERS'], file=open('told.txt', 'a'))\n"
    (small_project / "test_one.py").write_text(named)
    oldest, newest = dev.BLENDERS
    monkeypatch.setattr(dev, "is_possible", lambda environment: True)
    for stage, others in ((dev.TRAINER, []), (newest, [oldest]), (oldest, [newest])):
        dev.run_pytest(dev.Stage(stage.title, sys.executable, ["tests/unit"], others))
    own = {environment: f"{environment.name.removeprefix('blender-')}={sys.executable}" for environment in dev.BLENDERS}
    assert (dev.ROOT / "told.txt").read_text().splitlines() == ["", own[oldest], own[newest]]


def test_a_benchmark_compares_the_blenders_that_are_named():
    rest, chosen = dev.chosen_blenders(["look", "--blenders", "4.2,5.2", "--views", "1"])
    assert rest == ["look", "--views", "1"] and [blender.title for blender in chosen] == ["Blender 4.2", "Blender 5.2"]
    assert dev.chosen_blenders(["look"]) == (["look"], dev.BLENDERS)
    with pytest.raises(SetupError, match=r"--blenders names 9\.9\. Name some of 4\.2,4\.5"):
        dev.chosen_blenders(["look", "--blenders", "9.9"])


def test_the_oldest_and_the_newest_blender_are_tested_by_default():
    titles = [blender.title for blender in dev.ALL_BLENDERS]
    assert titles == sorted(titles, key=lambda title: [int(part) for part in title.split()[1].split(".")])
    assert (dev.ALL_BLENDERS[0], dev.ALL_BLENDERS[-1]) == dev.BLENDERS
    manifest = tomllib.loads((dev.ROOT / "blender_manifest.toml").read_text(encoding="utf-8"))
    assert manifest["blender_version_min"].startswith(titles[0].split()[1])


def test_a_failed_test_fails_the_run(small_project, capfd):
    (small_project / "test_one.py").write_text("def test_a(): pass\ndef test_b(): assert False\n")
    assert dev.test([]) == 1
    assert capfd.readouterr().out.splitlines()[-1] == "3 passed, 1 failed, 0 skipped"


def test_of_several_stages_each_is_shown_whole_when_it_ends(small_project, monkeypatch, capfd):
    (small_project / "test_one.py").write_text("import numpy\ndef test_a(): assert 'what went wrong' == ''\n")
    monkeypatch.setattr(dev, "is_possible", lambda environment: True)
    assert dev.test([]) == 1
    output = capfd.readouterr().out
    stages = output.split("\n== ")[1:-1]
    titles = {stage.partition(":")[0] for stage in stages}
    assert titles == {"unit", *(blender.title for blender in dev.BLENDERS)}
    assert all("what went wrong" in stage and "1 failed in" in stage for stage in stages)
    assert output.splitlines()[-1] == "2 passed, 3 failed, 0 skipped"


def test_a_crash_after_the_tests_fails_the_run(small_project, capfd):
    crash = "import atexit, os\natexit.register(os._exit, 11)\ndef test_a(): pass\n"
    (small_project / "test_one.py").write_text(crash)
    assert dev.test([]) == 1
    assert "pytest ended with code 11" in capfd.readouterr().out


def test_no_test_at_all_fails_the_run(small_project, capfd):
    assert dev.test([]) == 1
    assert capfd.readouterr().out.splitlines()[-1] == "2 passed, 1 failed, 0 skipped"


def test_arguments_narrow_the_run_and_leave_the_checks_out(small_project, capfd):
    (small_project / "test_one.py").write_text("def test_a(): pass\ndef test_b(): pass\n")
    (small_project / "test_two.py").write_text("def test_c(): pass\n")
    assert dev.test(["tests/unit/test_one.py", "-k", "test_b"]) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "1 passed, 0 failed, 0 skipped"


def test_a_machine_without_builds_of_pytorch_is_told_so_before_anything_is_made(tmp_path, monkeypatch):
    intel_mac = Machine("darwin", "x86_64", "x86_64", (15, 2))
    monkeypatch.setattr(dev, "VENV", tmp_path)
    monkeypatch.setattr(dev, "this_machine", lambda: intel_mac)
    monkeypatch.setattr(dev, "TRAINING", read_requirements("cpu", machine=intel_mac))
    sentence = "the trainer cannot be installed: PyTorch 2.13.0 has no build for Macs with an Intel processor."
    with pytest.raises(SetupError, match=sentence):
        dev.ensure(dev.TRAINER)
    assert not (tmp_path / "trainer").exists()
