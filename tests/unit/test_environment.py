"""The trainer's environment: what it needs, where it is made, what its failures mean, and making small ones."""

import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

import dev
from splat_addon.environment.child import JsonChild
from splat_addon.environment.failures import explain
from splat_addon.environment.install import spoken_line
from splat_addon.environment.place import Place, choose_place
from splat_addon.environment.pythons import find_python
from splat_addon.environment.requirements import read_requirements
from splat_addon.errors import SetupError
from support.small_disk import a_disk_of

ROOT = Path(__file__).resolve().parents[2]
needs_posix = pytest.mark.skipif(os.name == "nt", reason="uses POSIX scripts or mounts")


def test_development_and_the_set_up_install_the_same_list():
    wanted = read_requirements("cpu")
    assert (
        *wanted.packages,
        *dev.WITHOUT_CARD,
        dev.PYTEST,
    ) == dev.TRAINER.requirements and wanted.pythons == dev.TRAINER.pythons
    assert all("==" in package for package in read_requirements("cuda").packages), "everything is pinned"
    names, for_card = (
        {package.partition("==")[0] for package in read_requirements(device).packages} for device in ("cpu", "cuda")
    )
    assert names < for_card
    assert wanted.stamp != read_requirements("cuda").stamp


@needs_posix
def test_a_python_of_the_system_is_found_before_blenders_own(tmp_path, monkeypatch):
    for name, answer in (("python3.11", "3.11"), ("python3.12", "3.12")):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\necho '{answer}|linux-x86_64|x86_64'\n")
        path.chmod(0o755)
    shims = tmp_path / "shims"
    shims.mkdir()
    (shims / "python3.11").write_text("#!/bin/sh\necho 'not found' >&2; exit 127\n")
    (shims / "python3.11").chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(shims), str(tmp_path)]))
    assert find_python(["3.11", "3.12"]) == [str(tmp_path / "python3.11")]
    assert find_python(["3.12"]) == [str(tmp_path / "python3.12")]
    monkeypatch.setenv("PATH", str(shims))
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert find_python([own])[0].endswith(Path(sys.executable).name)
    with pytest.raises(SetupError, match=r"No Python 3\.98 or 3\.99 with venv and pip was found\. Install one"):
        find_python(["3.98", "3.99"])


@needs_posix
def test_a_python_that_only_pyenv_knows_is_found(tmp_path, monkeypatch):
    folder = tmp_path / "versions" / "3.99.1" / "bin"
    folder.mkdir(parents=True)
    (folder / "python").write_text("#!/bin/sh\necho '3.99|linux-x86_64|x86_64'\n")
    (folder / "python").chmod(0o755)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert find_python(["3.98", "3.99"]) == [str(folder / "python")]


@needs_posix
def test_a_python_that_lies_about_its_version_is_passed_over(tmp_path, monkeypatch):
    (tmp_path / "python3.99").write_text("#!/bin/sh\necho '3.10|linux-x86_64|x86_64'\n")
    (tmp_path / "python3.99").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError):
        find_python(["3.99"])


def test_an_environment_never_lands_among_other_files(tmp_path):
    assert choose_place(tmp_path / "new").path == tmp_path / "new"
    (tmp_path / "empty").mkdir()
    assert choose_place(tmp_path / "empty").path == tmp_path / "empty"
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "letter.txt").touch()
    place = choose_place(tmp_path / "documents")
    assert place.path == tmp_path / "documents" / "splat_trainer"
    place.mark("begun x")
    assert choose_place(tmp_path / "documents") == place == choose_place(place.path)
    place.marker_file.unlink()
    (place.path / "other").touch()
    with pytest.raises(SetupError, match=r"splat_trainer holds something else\. Choose an empty folder"):
        choose_place(tmp_path / "documents")


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "The disk is full"),
        ("OSError: [WinError 112] There is not enough space on the disk", "The disk is full"),
        (
            "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(...)': /simple/torch/\n"
            "ERROR: No matching distribution found for torch==2.13.0",
            "A download failed. Check the network",
        ),
        (
            "ERROR: No matching distribution found for torch==2.13.0",
            "torch==2.13.0 was not found: there is no",
        ),
        ("PermissionError: [Errno 13] Permission denied: '/opt/x'", "/there cannot be written. Choose a folder"),
        ("The virtual environment was not created because ensurepip is not available.", "The Python that was found"),
        ("Collecting x\nERROR: something new", "The installation failed: ERROR: something new Correct that."),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 2] No such file or directory: 'C:\\\\x'\n"
            "HINT: This error might have occurred since this system does not have Windows Long Path support enabled."
            " You can find information on how to enable this at https://pip.pypa.io/warnings/enable-long-paths",
            "/there is too long a path for the files of PyTorch. Choose a folder nearer to the drive, or enable long",
        ),
        ("", "The installation failed: no output"),
    ],
)
def test_a_failure_is_told_in_a_sentence_with_its_remedy(output, sentence):
    assert str(explain(output, "/there", 2.5)).startswith(sentence)


def test_a_failure_names_what_starts_it_again():
    assert str(explain("Errno 28", "/there", 2.5, "run this again")).endswith("another disk, and run this again.")
    assert str(explain("timed out", "/there", 2.5, "run this again")).endswith("kept by pip; run this again.")


def test_only_what_an_artist_wants_to_see_of_pip_is_shown():
    assert spoken_line("Collecting torch==2.13.0") == "Collecting torch==2.13.0"
    line = "  Downloading https://files.example/torch-2.13.0-cp311.whl (850.1 MB)"
    assert spoken_line(line) == "Downloading torch-2.13.0-cp311.whl (850.1 MB)"
    assert spoken_line("Requirement already satisfied: numpy") == ""


# Making environments for real, with a small list: a package made here, no network, and a doctor that is satisfied.


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """A folder with one package, and pip told to look nowhere else."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    make_wheel(folder, "splatlet", "1.0")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def make_wheel(folder: Path, name: str, version: str, content: str = "") -> None:
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}/__init__.py", content)
        info = f"{name}-{version}.dist-info"
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")


def requirements(path: Path, *packages: str, disk_gb: float = 0.0001, **changes) -> Path:
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    system, processors = sys.platform, ["x86_64", "arm64"]
    device = {"packages": [], "indexes": {}, "needs_index": False, "processors": {system: processors}, **changes}
    device |= {"download_gb": {system: 0.0}, "disk_gb": {system: disk_gb}}
    values = {"pythons": [own], "packages": list(packages), "oldest_macos": 0, "longest_name": 0}
    values["devices"] = {"cpu": device}
    path.write_text(json.dumps(values))
    return path


def set_up(folder: Path, wanted: Path) -> JsonChild:
    command = [sys.executable, "-u", "-m", "splat_addon.environment.install", str(folder)]
    command += ["--requirements", str(wanted), "--base-python", sys.executable]
    return JsonChild(command, "The set-up ended unexpectedly", "Start it again.")


def outcome(child: JsonChild, limit_s: float = 120.0) -> dict:
    deadline, last = time.monotonic() + limit_s, {}
    while not child.is_over:
        assert time.monotonic() < deadline, last
        child.join(0.2)
        last = ([last] + child.poll())[-1]
    return last


@pytest.mark.parametrize(
    ("script", "reason"),
    [("print('loading'); raise SystemExit('no disk')", "no disk."), ("raise SystemExit(3)", "it ended with code 3.")],
)
def test_a_child_that_breaks_off_is_explained_by_its_last_line(script, reason):
    child = JsonChild([sys.executable, "-c", script], "The set-up ended unexpectedly", "Start it again.")
    assert outcome(child) == {"failed": f"The set-up ended unexpectedly: {reason}", "remedy": "Start it again."}


def test_a_set_up_that_lacks_pytorch_says_so_and_is_not_taken_for_complete(tmp_path, wheels):
    """Everything was installed, but the environment itself says that it cannot train."""
    wanted = requirements(tmp_path / "r.json", "splatlet==1.0")
    last = outcome(set_up(tmp_path / "env", wanted))
    assert last["failed"].startswith("The environment was made, but PyTorch does not work there: not installed")
    place = Place(tmp_path / "env")
    assert place.state().startswith("begun") and place.python.is_file()
    installed = subprocess.run([place.python, "-c", "import splatlet"], capture_output=True)
    assert installed.returncode == 0


def test_without_network_it_says_so_and_can_be_started_again(tmp_path, wheels, monkeypatch):
    wanted = requirements(tmp_path / "r.json", "splatlet==1.0", "absent-package==9.9")
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    last = outcome(set_up(tmp_path / "env", wanted))
    assert last["failed"] == "A download failed." and "start the set-up again" in last["remedy"]
    make_wheel(wheels, "absent_package", "9.9")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    last = outcome(set_up(tmp_path / "env", wanted))
    assert "The environment was made" in last["failed"], "the second attempt gets further"


def test_a_set_up_that_is_cancelled_or_loses_its_parent_ends_at_once(tmp_path, wheels):
    child = set_up(tmp_path / "env", requirements(tmp_path / "r.json", "splatlet==1.0"))
    while not any("Making the environment" in said.get("text", "") for said in child.poll()):
        assert not child.is_over
    child.let_go()
    last = outcome(child, limit_s=20)
    assert last == {"failed": "The set-up was canceled.", "remedy": "Start it again whenever you like."}
    place = Place(tmp_path / "env")
    assert place.state().startswith("begun"), "half done, and known to be"


def test_what_was_half_done_is_made_anew(tmp_path, wheels):
    place = Place(tmp_path / "env")
    place.mark("begun long ago")
    place.environment.mkdir()
    (place.environment / "half a package").touch()
    (place.path / "notes.txt").write_text("mine")
    outcome(set_up(place.path, requirements(tmp_path / "r.json", "splatlet==1.0")))
    assert place.python.is_file() and not (place.environment / "half a package").exists()
    assert (place.path / "notes.txt").read_text() == "mine"


def test_too_little_room_is_said_before_anything_is_downloaded(tmp_path, wheels):
    wanted = requirements(tmp_path / "r.json", "splatlet==1.0", disk_gb=1e6)
    last = outcome(set_up(tmp_path / "env", wanted))
    assert last["failed"].startswith("The disk is full: the environment needs about 1e+06 GB in")
    assert not Place(tmp_path / "env").environment.exists()


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 8 MB."""
    with a_disk_of("8m", tmp_path / "disk") as folder:
        yield folder


@needs_posix
def test_a_disk_that_fills_up_is_said_and_the_set_up_can_be_started_again(tmp_path, wheels, small_disk):
    wanted = requirements(tmp_path / "r.json", "splatlet==1.0")
    last = outcome(set_up(small_disk / "env", wanted))
    assert last["failed"].startswith("The disk is full") and "start the set-up again" in last["remedy"]
    subprocess.run(["mount", "-o", "remount,size=200m", small_disk], check=True)
    assert "The environment was made" in outcome(set_up(small_disk / "env", wanted))["failed"]


def test_two_set_ups_do_not_share_a_folder(tmp_path, wheels):
    wanted = requirements(tmp_path / "r.json", "splatlet==1.0")
    first = set_up(tmp_path / "env", wanted)
    while not any("Making the environment" in said.get("text", "") for said in first.poll()):
        assert not first.is_over
    assert outcome(set_up(tmp_path / "env", wanted))["failed"].startswith("Another set-up is running in")
    first.let_go()
    outcome(first)


def test_a_folder_that_cannot_be_made_is_said(tmp_path, wheels):
    (tmp_path / "file").touch()
    last = outcome(set_up(tmp_path / "file" / "env", requirements(tmp_path / "r.json", "splatlet==1.0")))
    assert "cannot be used" in last["failed"] and "Choose a folder that is yours" in last["remedy"]


def test_the_doctor_answers_in_a_python_without_pytorch(tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('No module named torch')")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    command = [sys.executable, "-m", "splat_addon.trainer.doctor"]
    answer = subprocess.run([*command, "--json"], capture_output=True, text=True, env=environment, cwd=tmp_path)
    told = json.loads(answer.stdout)
    torch = next(piece for piece in told["findings"] if piece["name"] == "PyTorch")
    assert not torch["is_fine"] and torch["is_required"]
    assert torch["remedy"] == f'"{sys.executable}" -m pip install torch==2.13.0'
    assert told["verdict"].startswith("Cannot train: PyTorch")
    spoken = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert spoken.returncode == 1 and "missing PyTorch" in spoken.stdout
