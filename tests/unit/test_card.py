"""What an NVIDIA card needs of a machine, asked before anything is downloaded."""

import os
import subprocess
import sys

import pytest

from splat_addon.environment.card import Card, Driver, read_driver, why_not_card
from splat_addon.environment.install import spoken_line, told_by_program
from splat_addon.environment.machine import Machine
from splat_addon.environment.requirements import CardNeeds, read_card_needs, read_requirements
from splat_addon.environment.toolkits import compiler_in, system_toolkits, version_in

LINUX, WINDOWS = Machine("linux", "x86_64", "x86_64"), Machine("win32", "x86_64", "x86_64")
UBUNTU, FEDORA = 'NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\n', "ID=fedora\n"
NEEDS = CardNeeds((13, 0), "580", (7, 5))
RTX, GTX = Card("NVIDIA GeForce RTX 4070", (8, 9)), Card("NVIDIA GeForce GTX 1080", (6, 1))


class NvidiaLibrary:
    """CUDA's driver API as far as it is asked, over two cards."""

    def __init__(self, version: int = 13010, starts: bool = True):
        self._version, self._starts = version, starts

    def cuInit(self, flags):
        return 0 if self._starts else 100

    def cuDriverGetVersion(self, version):
        version._obj.value = self._version
        return 0

    def cuDeviceGetCount(self, count):
        count._obj.value = 2
        return 0

    def cuDeviceGet(self, device, place):
        device._obj.value = place
        return 0

    def cuDeviceGetName(self, name, size, device):
        name.value = (b"NVIDIA GeForce RTX 4070", b"NVIDIA GeForce GTX 1080")[device.value]
        return 0

    def cuDeviceGetAttribute(self, value, attribute, device):
        value._obj.value = {(75, 0): 8, (76, 0): 9, (75, 1): 6, (76, 1): 1}[attribute, device.value]
        return 0


def test_the_driver_names_its_cards_and_the_newest_cuda_that_it_runs():
    found = read_driver(lambda name: NvidiaLibrary())
    assert found == Driver((13, 1), (RTX, Card("NVIDIA GeForce GTX 1080", (6, 1))))
    assert read_driver(lambda name: NvidiaLibrary(12080, starts=False)) == Driver((12, 8), ())


def test_no_library_is_no_driver():
    def load(name):
        raise OSError(f"{name}: cannot open shared object file")

    assert read_driver(load) is None


@pytest.mark.skipif(sys.platform != "linux", reason="compiles a library for Linux")
def test_a_real_library_is_called_as_the_driver_api_declares_it(tmp_path):
    """The calls through ctypes, with a library of the same functions that a C compiler has made."""
    import ctypes
    import shutil

    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    (tmp_path / "cuda.c").write_text(
        "#include <string.h>\n"
        "int cuInit(unsigned f) { return 0; } int cuDriverGetVersion(int *v) { *v = 13000; return 0; }\n"
        "int cuDeviceGetCount(int *n) { *n = 1; return 0; } int cuDeviceGet(int *d, int i) { *d = i; return 0; }\n"
        'int cuDeviceGetName(char *s, int n, int d) { strncpy(s, "Card A", n); return 0; }\n'
        "int cuDeviceGetAttribute(int *v, int a, int d) { *v = a == 75 ? 12 : a == 76 ? 0 : -1; return 0; }\n"
        "int nvmlInit_v2(void) { return 0; }\n"
        'int nvmlSystemGetDriverVersion(char *s, unsigned n) { strncpy(s, "580.95.05", n); return 0; }\n'
    )
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "libcuda.so.1", tmp_path / "cuda.c"], check=True)
    found = read_driver(lambda name: ctypes.CDLL(os.fspath(tmp_path / "libcuda.so.1")))
    assert found == Driver((13, 0), (Card("Card A", (12, 0)),), "580.95.05")


REFUSALS = {
    "no driver": (None, "g++", UBUNTU, "No NVIDIA driver was found.", "sudo ubuntu-drivers install"),
    "an old driver": (Driver((12, 4), (RTX,)), "g++", FEDORA, "it runs CUDA 12.4, and 13.0 is needed", "akmod-nvidia"),
    "no card": (Driver((13, 0), ()), "g++", UBUNTU, "finds no card", "choose CPU"),
    "an old card": (
        Driver((13, 0), (GTX,)), "g++", UBUNTU,
        "NVIDIA GeForce GTX 1080 is too old for CUDA 13.0: it has compute capability 6.1, and 7.5 is needed.",
        "Choose CPU.",
    ),
    "an old card before a new one": (
        Driver((13, 0), (GTX, RTX)), "g++", UBUNTU, "NVIDIA GeForce GTX 1080 is too old for CUDA 13.0",
        "Set the environment variable CUDA_VISIBLE_DEVICES to 1 (NVIDIA GeForce RTX 4070), or choose CPU.",
    ),
    "no compiler, Ubuntu": (Driver((13, 0), (RTX,)), None, UBUNTU, "no C++ compiler", "sudo apt install g++"),
    "no compiler, Fedora": (Driver((13, 0), (RTX,)), None, FEDORA, "no C++ compiler", "sudo dnf install gcc-c++"),
    "no compiler, another Linux": (Driver((13, 0), (RTX,)), None, "ID=void", "no C++ compiler", "the package g++"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_missing_is_said_with_the_command_of_this_system(name):
    driver, compiler, release, message, remedy = REFUSALS[name]
    refusal = why_not_card(NEEDS, LINUX, driver, compiler, (), release)
    assert refusal is not None and message in refusal.message and remedy in refusal.remedy


def test_windows_is_told_windows_commands():
    assert "nvidia.com/drivers" in why_not_card(NEEDS, WINDOWS, None, None).remedy
    assert "winget install" in why_not_card(NEEDS, WINDOWS, Driver((13, 0), (RTX,)), None).remedy


def test_windows_needs_a_toolkit_of_its_own_before_anything_is_downloaded():
    driver, compiler = Driver((13, 0), (RTX,)), r"C:\Program Files\Microsoft Visual Studio"
    none = why_not_card(NEEDS, WINDOWS, driver, compiler)
    assert none.message == "NVIDIA's CUDA toolkit 13, which builds gsplat's CUDA kernels once, was not found."
    assert "winget install Nvidia.CUDA --version 13.0" in none.remedy
    other = why_not_card(NEEDS, WINDOWS, driver, compiler, [(12, 4), (11, 8)])
    assert other.message.endswith("was not found; there is 12.4 and 11.8.")
    assert why_not_card(NEEDS, WINDOWS, driver, compiler, [(12, 4), (13, 2)]) is None
    assert why_not_card(NEEDS, LINUX, driver, "/usr/bin/c++", [(12, 4)]) is None, "pip brings the compiler along"


@pytest.mark.skipif(sys.platform == "win32", reason="makes a program of a script")
def test_toolkits_are_found_where_they_are_named_and_tell_their_version(tmp_path, monkeypatch):
    for name, answer in (("old", "Cuda compilation tools, release 12.4, V12.4.131"), ("broken", "")):
        nvcc = compiler_in(tmp_path / name)
        nvcc.parent.mkdir(parents=True)
        nvcc.write_text(f"#!/bin/sh\necho '{answer}'\n")
        nvcc.chmod(0o755)
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "old"))
    monkeypatch.setenv("CUDA_PATH", str(tmp_path / "nowhere"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'broken' / 'bin'}")
    assert system_toolkits()[:2] == [tmp_path / "old", tmp_path / "broken"]
    monkeypatch.setenv("PATH", os.defpath)
    assert version_in(tmp_path / "old") == (12, 4) and version_in(tmp_path / "broken") == (0, 0)


def test_a_machine_with_everything_is_not_refused():
    assert why_not_card(NEEDS, LINUX, Driver((13, 2), (RTX,)), "/usr/bin/c++") is None


def test_a_card_has_its_own_pytorch_and_the_compiler_of_the_same_cuda():
    needs, packages = read_card_needs(), read_requirements("cuda").packages
    assert needs == NEEDS
    assert [package for package in packages if package.startswith("torch==")] == ["torch==2.14.1"]
    cuda = ".".join(map(str, needs.cuda))
    assert any(package.startswith(f"nvidia-cuda-nvcc=={cuda}.") for package in packages)
    assert "torch==2.13.0" in read_requirements("cpu").packages


def test_the_building_of_kernels_is_told_and_its_failure_is_what_its_last_lines_say():
    assert spoken_line("building CUDA kernels once: 3 of 30 files\n") == "Building CUDA kernels: 3 of 30"
    failure = told_by_program("ok      PyTorch: 2.14.1\nThe disk became full.\nFree 2 GB and start again.")
    assert (failure.message, failure.remedy) == ("The disk became full.", "Free 2 GB and start again.")
