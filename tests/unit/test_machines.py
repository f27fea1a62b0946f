"""What set-up says on other machines than this one, before anything is downloaded. Machines are values.

The table of builds was asked of PyPI: `pip install --dry-run --no-deps --only-binary=:all: --target t --platform
win_amd64 --python-version 3.11 torch==2.13.0`, and so on for each package, platform and Python.
"""

import os
import sys
from pathlib import Path

import pytest

from splat_addon.environment.builds import what_to_know, why_not
from splat_addon.environment.machine import Machine, macos_version, one_name, python_processor, this_machine
from splat_addon.environment.place import choose_place
from splat_addon.environment.pythons import Found, _candidates, ask, find_python
from splat_addon.environment.requirements import read_requirements
from splat_addon.errors import SetupError

LINUX, LINUX_ON_ARM = Machine("linux", "x86_64", "x86_64"), Machine("linux", "arm64", "arm64")
WINDOWS, SHORT_WINDOWS = (Machine("win32", "x86_64", "x86_64", has_long_paths=long) for long in (True, False))
WINDOWS_ON_ARM, EMULATED = Machine("win32", "arm64", "arm64"), Machine("win32", "arm64", "x86_64")
APPLE, OLD_APPLE = Machine("darwin", "arm64", "arm64", (15, 2)), Machine("darwin", "arm64", "arm64", (13, 6))
TRANSLATED, INTEL_MAC = Machine("darwin", "arm64", "x86_64", (15, 2)), Machine("darwin", "x86_64", "x86_64", (13, 6))
NEWEST_INTEL_MAC, UNNUMBERED_MAC = Machine("darwin", "x86_64", "x86_64", (26, 0)), Machine("darwin", "arm64", "arm64")
needs_posix = pytest.mark.skipif(os.name == "nt", reason="uses POSIX scripts")

_INSTEAD = (
    "Everything but training works here. Train on another machine with the command line (docs/command-line.md), and"
    " open the run here."
)
_NO_INTEL = f"PyTorch 2.13.0 has no build for Macs with an Intel processor. {_INSTEAD}"


def refusal(machine: Machine, device: str = "cpu") -> str:
    return str(why_not(read_requirements(device, machine=machine), machine) or "")


@pytest.mark.parametrize(
    "machine", [LINUX, LINUX_ON_ARM, WINDOWS, WINDOWS_ON_ARM, EMULATED, APPLE, TRANSLATED, UNNUMBERED_MAC]
)
def test_where_there_are_builds_nothing_is_in_the_way(machine):
    assert refusal(machine) == ""


@pytest.mark.parametrize(
    ("machine", "device", "sentence"),
    [
        (INTEL_MAC, "cpu", _NO_INTEL),
        (NEWEST_INTEL_MAC, "cpu", _NO_INTEL),
        (
            OLD_APPLE,
            "cpu",
            f"PyTorch 2.13.0 needs macOS 14 or newer, and this is macOS 13.6. Update macOS. {_INSTEAD}",
        ),
        (APPLE, "cuda", "Macs cannot train on an NVIDIA card. Choose CPU."),
        (
            Machine("linux", "riscv64", "riscv64"),
            "cpu",
            f"PyTorch 2.13.0 has no build for this machine, Linux (riscv64). {_INSTEAD}",
        ),
        (
            Machine("freebsd14", "x86_64", "x86_64"),
            "cpu",
            f"PyTorch 2.13.0 has no build for this machine, freebsd14 (x86_64). {_INSTEAD}",
        ),
    ],
)
def test_where_there_is_no_build_it_is_said_with_what_is_possible_instead(machine, device, sentence):
    assert refusal(machine, device) == sentence


def test_what_has_to_be_done_first_is_said_before_the_set_up():
    said = {machine: what_to_know(read_requirements("cpu", machine=machine), machine) for machine in (
        LINUX, WINDOWS, APPLE, INTEL_MAC, WINDOWS_ON_ARM, TRANSLATED)}  # fmt: skip
    assert said[WINDOWS_ON_ARM].startswith("PyTorch has no build for Windows on ARM. A Python for x64 (python.org:")
    assert said[WINDOWS_ON_ARM].endswith("This has not been tried.")
    assert said[TRANSLATED].startswith("This Blender is the one for Intel Macs, translated")
    assert {said[machine] for machine in (LINUX, WINDOWS, APPLE, INTEL_MAC)} == {""}


def test_sizes_are_those_of_the_system():
    sizes = {
        (machine.system, device): (wanted.download_gb, wanted.disk_gb)
        for machine in (LINUX, WINDOWS, APPLE)
        for device in ("cpu", "cuda")
        if (wanted := read_requirements(device, machine=machine)).disk_gb
    }
    assert sizes == {
        ("linux", "cpu"): (0.3, 1.5),
        ("win32", "cpu"): (0.2, 1.2),
        ("darwin", "cpu"): (0.2, 1.2),
        ("linux", "cuda"): (3, 9),
        ("win32", "cuda"): (3, 9),
    }


def test_processors_have_one_name_each():
    assert [one_name(name) for name in ("AMD64", "x86_64", "arm64", "aarch64", "ARM64", "i686")] == [
        "x86_64", "x86_64", "arm64", "arm64", "arm64", "i686"]  # fmt: skip


@pytest.mark.parametrize(
    ("build", "machine", "processor"),
    [
        ("win-amd64", "AMD64", "x86_64"),
        ("win-amd64", "ARM64", "x86_64"),  # emulated, from Python 3.12 on
        ("win-arm64", "ARM64", "arm64"),
        ("macosx-11-universal2", "arm64", "arm64"),
        ("macosx-11-universal2", "x86_64", "x86_64"),
        ("linux-aarch64", "aarch64", "arm64"),
    ],
)
def test_what_a_python_is_built_for_is_told_from_what_the_processor_is(build, machine, processor):
    assert python_processor(build, machine) == processor


def test_macos_16_of_old_programs_is_not_taken_for_its_number():
    assert [macos_version(text) for text in ("14.5", "13.6.1", "26.0", "10.16", "")] == [
        (14, 5), (13, 6), (26, 0), (), ()]  # fmt: skip


def test_this_machine_is_the_one_that_runs_the_tests():
    machine, own = this_machine(), ask([sys.executable])
    assert machine.system == sys.platform
    assert own == Found(f"{sys.version_info.major}.{sys.version_info.minor}", machine.python_processor)


def shim(folder: Path, name: str, answer: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\necho '{answer}'\n")
    (folder / name).chmod(0o755)
    return folder


@needs_posix
def test_a_python_of_another_processor_is_passed_over(tmp_path, monkeypatch):
    intel = shim(tmp_path / "intel", "python3.99", "3.99|macosx-13-x86_64|x86_64")
    arm = shim(tmp_path / "arm", "python3.99", "3.99|macosx-11-universal2|arm64")
    monkeypatch.setenv("PATH", os.pathsep.join([str(intel), str(arm)]))
    assert find_python(["3.99"], ["arm64"], APPLE) == [str(arm / "python3.99")]
    assert find_python(["3.99"], (), APPLE) == [str(arm / "python3.99")]
    assert find_python(["3.99"], (), LINUX) == [str(intel / "python3.99")]


@needs_posix
def test_where_only_other_processors_have_a_python_it_says_which_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(shim(tmp_path / "arm", "python3.99", "3.99|win-arm64|ARM64")))
    with pytest.raises(SetupError) as raised:
        find_python(["3.99"], ["x86_64"], WINDOWS_ON_ARM)
    assert str(raised.value) == (
        "No Python 3.99 for x86_64 was found, only for arm64."
        " Install one from python.org: the Windows installer for 64-bit, not for ARM64. Then try again."
    )


@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="this system has no /usr/bin/python3")
def test_macos_offer_to_install_developer_tools_is_not_started(monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin")
    bare = Machine("darwin", "arm64", "arm64", (15, 2), has_developer_tools=False)
    in_usr_bin = {
        machine: [command[0] for command in _candidates(["3.11"], machine) if command[0].startswith("/usr/bin/")]
        for machine in (APPLE, bare)
    }
    assert "/usr/bin/python3" in in_usr_bin[APPLE] and in_usr_bin[bare] == []


def test_a_folder_too_deep_for_windows_is_refused_before_anything_is_made(tmp_path):
    room = 259 - 167 - len("/Lib/site-packages/") - len("/env")
    assert room == 69, "what docs/set-up.md says"
    wanted = read_requirements("cpu", machine=SHORT_WINDOWS).longest_name
    deep = tmp_path / ("a" * (room + 1))
    with pytest.raises(SetupError) as raised:
        choose_place(deep, wanted, SHORT_WINDOWS)
    assert str(raised.value) == (
        f"{deep} is too long a path: it has {len(str(deep))} letters, and at most 69 leave room for the files of"
        " PyTorch. Choose a folder nearer to the drive, or enable long paths in Windows (docs/set-up.md), and start"
        " the set-up again."
    )
    assert not deep.exists()
    for machine in (WINDOWS, LINUX, APPLE):
        assert choose_place(deep, wanted, machine).path == deep


def test_the_longest_folder_that_windows_takes_is_taken():
    longest = Path(Path.cwd().anchor + "x" * (69 - len(Path.cwd().anchor)))
    assert choose_place(longest, 167, SHORT_WINDOWS).path == longest
    with pytest.raises(SetupError, match="it has 70 letters, and at most 69 leave room"):
        choose_place(longest.with_name(longest.name + "x"), 167, SHORT_WINDOWS)
