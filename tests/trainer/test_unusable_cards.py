"""A card that cannot be used, whatever is wrong with it: one sentence with its remedy, and the CPU trains meanwhile."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from splat_addon.environment.card import Card, Driver
from splat_addon.errors import SetupError
from splat_addon.trainer.backend import choose
from splat_addon.trainer.backend.cuda import doctor, kernels, self_check, toolkit
from splat_addon.trainer.backend.cuda.build import copied_sources
from splat_addon.trainer.notices import about_unused_card
from support.small_disk import a_disk_of

RTX, GTX = Card("NVIDIA GeForce RTX 4070", (8, 9)), Card("NVIDIA GeForce GTX 1080", (6, 1))


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """`machine(driver)`: a PyTorch for CUDA 13.0 and gsplat on a machine with that driver, whose kernels are kept in
    tmp_path."""
    monkeypatch.setattr(kernels, "folder", lambda: tmp_path / "kernels")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(doctor, "_package", lambda name: doctor.Finding(name, "there", True))
    monkeypatch.setattr(doctor, "compilers", list)

    def make(driver: Driver | None) -> None:
        cards = driver.cards if driver and driver.cuda >= (13, 0) else ()
        memory = {"total_memory": 12 << 30, "name": "", "major": 0, "minor": 0}
        for name, answer in {
            "is_available": lambda: bool(cards),
            "device_count": lambda: len(cards),
            "get_device_name": lambda place=0: cards[place].name,
            "get_device_capability": lambda place=0: cards[place].capability,
            "get_device_properties": lambda place=0: SimpleNamespace(**memory),
        }.items():
            monkeypatch.setattr(torch.cuda, name, answer)
        for module in (doctor, self_check):
            monkeypatch.setattr(module, "read_driver", lambda: driver)

    return make


def built_for(*architectures: str, library: bytes = b"no library") -> None:
    """Kernels, as a build leaves them."""
    kernels.folder().mkdir(mode=0o700)
    kernels.library().write_bytes(library)
    (kernels.folder() / "about.json").write_text(json.dumps({"architectures": architectures}))


def passed() -> None:
    self_check.keep(self_check.Verdict(True, 1e-6, 1e-5, "means", 1.0))


def refusal_of_cuda() -> SetupError:
    with pytest.raises(SetupError) as refusal:
        choose("cuda")
    return refusal.value


WITHOUT = {
    "no driver": (None, "CUDA device: No NVIDIA driver was found", "Install NVIDIA's driver 580 or newer"),
    "an old driver": (
        Driver((12, 4), (RTX,), "550.54"),
        "CUDA device: The NVIDIA driver is too old: it runs CUDA 12.4, and 13.0 is needed",
        "Install NVIDIA's driver 580 or newer",
    ),
    "a driver without a card": (Driver((13, 0), ()), "CUDA device: The NVIDIA driver finds no card", "Check that"),
    "an old card": (
        Driver((13, 0), (GTX,)),
        "CUDA device: NVIDIA GeForce GTX 1080 is too old for CUDA 13.0: it has compute capability 6.1, and 7.5 is"
        " needed",
        "Choose CPU.",
    ),
    "an old card before a new one": (
        Driver((13, 0), (GTX, RTX)),
        "CUDA device: NVIDIA GeForce GTX 1080 is too old for CUDA 13.0",
        "Set the environment variable CUDA_VISIBLE_DEVICES to 1 (NVIDIA GeForce RTX 4070)",
    ),
}


@pytest.mark.parametrize("name", WITHOUT)
def test_without_a_card_that_computes_the_cpu_trains_and_a_sentence_says_why(name, machine):
    driver, message, remedy = WITHOUT[name]
    machine(driver)
    assert choose("auto").name == "cpu"
    (warned,) = about_unused_card()
    assert warned.message.startswith(f"The NVIDIA card is not used ({message}")
    assert warned.remedy.startswith(remedy)
    asked = refusal_of_cuda()
    assert asked.message.startswith(f"CUDA cannot be used ({message}") and asked.remedy == warned.remedy


def test_the_first_of_two_cards_trains_and_the_doctor_says_so(machine):
    machine(Driver((13, 0), (RTX, GTX)))
    device = doctor._device()
    assert device.is_fine and device.found == "NVIDIA GeForce RTX 4070, 12 GiB, compute 8.9; the first of 2"
    built_for("6.1")
    assert not doctor._kernels().is_fine, "they are built for the second"


@pytest.mark.skipif(shutil.which("cc") is None, reason="compiles a library")
def test_kernels_of_another_pytorch_are_refused_when_they_do_not_load(machine, tmp_path):
    """A library that needs a function which this PyTorch does not have."""
    source = tmp_path / "kernels.c"
    source.write_text(
        "void of_another_pytorch(void); void *PyInit_gsplat_cuda(void) { of_another_pytorch(); return 0; }"
    )
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "kernels.so", source], check=True)
    machine(Driver((13, 0), (RTX,)))
    built_for("8.9", library=(tmp_path / "kernels.so").read_bytes())
    passed()
    assert choose("auto").name == "cpu"
    (warned,) = about_unused_card()
    assert "do not load" in warned.message and "of_another" in warned.message
    assert warned.remedy.startswith("Remove that folder and start again")
    assert "do not load" in refusal_of_cuda().message


def test_another_pytorch_looks_for_kernels_of_its_own(monkeypatch):
    before = kernels.folder()
    monkeypatch.setattr(torch, "__version__", "2.14.2+cu130")
    assert kernels.folder() != before and kernels.folder().name.startswith("torch-2.14.2+cu130-")


def test_a_verdict_holds_for_one_driver(machine):
    machine(Driver((13, 0), (RTX,), "580.65"))
    built_for("8.9")
    passed()
    assert self_check.kept() is not None
    machine(Driver((13, 0), (RTX,), "580.95"))
    assert self_check.kept() is None, "what another driver draws is not known"


def test_a_card_whose_memory_is_full_is_not_judged():
    def full(space):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB.")

    with pytest.raises(SetupError, match=r"no memory left.* Close what else uses it"):
        self_check.check(full)


@pytest.mark.skipif(sys.platform == "win32", reason="makes a program of a script")
def test_a_toolkit_of_another_major_version_is_named_with_what_to_install(tmp_path, monkeypatch):
    nvcc = tmp_path / "bin" / "nvcc"
    nvcc.parent.mkdir()
    nvcc.write_text("#!/bin/sh\necho 'Cuda compilation tools, release 12.4, V12.4.131'\n")
    nvcc.chmod(0o755)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(toolkit, "own_cuda_folder", lambda: None)
    monkeypatch.setattr(toolkit, "system_toolkits", lambda: [tmp_path])
    toolkit.find_toolkit.cache_clear()
    try:
        found = doctor._nvcc()
    finally:
        toolkit.find_toolkit.cache_clear()
    assert not found.is_fine and found.found == f"12.4 in {tmp_path}, and PyTorch needs CUDA 13.0"
    assert '"nvidia-cuda-nvcc==13.*"' in found.remedy


# Building

FAILURES = {
    "a full disk": (
        "fatal error: error writing to one.o: No space left on device",
        "The disk became full",
        "Free 2 GB",
    ),
    "little memory": ("c++: fatal error: Killed signal terminated program cc1plus", "The memory did not", "Close"),
    "a new compiler": (
        "#error -- unsupported GNU version! gcc versions later than 15 are not supported!",
        "newer than NVIDIA's compiler accepts",
        "an older C++ compiler",
    ),
    "a new compiler, as PyTorch sees it": (
        "RuntimeError: The current installed version of g++ (17.1.0) is greater than the maximum required version by",
        "newer than NVIDIA's compiler accepts",
        "an older C++ compiler",
    ),
    "an old compiler": (
        "RuntimeError: The current installed version of g++ (5.4.0) is less than the minimum required version by CUDA",
        "older than NVIDIA's compiler accepts",
        "a newer C++ compiler",
    ),
    "no Visual Studio": (
        "DistutilsPlatformError: Unable to find vcvarsall.bat",
        "Visual Studio was not",
        "Build Tools",
    ),
    "a wrong source": ("one.cu(3): error: identifier is undefined", "(one.cu(3): error: identifier", "build.log"),
    "a Python error": ("RuntimeError: Ninja is required", "(RuntimeError: Ninja is required)", "build.log"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_build_that_fails_says_why_in_a_sentence(name, tmp_path):
    log, message, remedy = FAILURES[name]
    failure = kernels.failure(f"[1/2] c++ one.cpp\n{log}\nninja: build stopped\n", tmp_path / "build.log")
    assert message in failure.message and remedy in failure.remedy


def test_what_is_compiled_of_gsplat_calls_no_kernel_that_is_not(tmp_path):
    gsplat = pytest.importorskip("gsplat", reason="gsplat is not installed")
    sources = copied_sources(Path(gsplat.__file__).parent / "cuda", tmp_path)
    assert len(sources) == 10
    text = "".join(path.read_text(encoding="utf-8") for path in sources)
    headers = "".join(path.read_text(encoding="utf-8") for path in tmp_path.glob("csrc/*.h"))
    called = set(re.findall(r"\b(launch_\w+)", text))
    left_out = set(re.findall(r"inline void (launch_\w+)", headers))
    defined = set(re.findall(r"\nvoid (launch_\w+)\(", text))
    assert len(called) > 15 and called == (called & left_out) | defined and not left_out & defined
    assert set(re.findall(r"^__INS__\((\d+)\)", text, re.MULTILINE)) == {"3", "4"}


def test_a_disk_that_becomes_full_while_kernels_are_built_is_named(tmp_path, monkeypatch):
    """gsplat's sources alone do not fit on it; the log cannot be written either."""
    pytest.importorskip("gsplat", reason="gsplat is not installed")
    with a_disk_of("256k", tmp_path / "disk") as disk:
        monkeypatch.setattr(kernels, "folder", lambda: disk / "kernels")
        with pytest.raises(SetupError, match="The disk became full while CUDA kernels were built") as refusal:
            kernels.build(["8.6"], lambda text: None)
        assert str(disk) in refusal.value.remedy
        assert kernels.architectures() == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "kernels").write_text("a file")
    monkeypatch.setattr(kernels, "folder", lambda: tmp_path / "kernels")
    with pytest.raises(SetupError, match=r"CUDA kernels cannot be built \(.*kernels") as refusal:
        kernels.build(["8.6"], lambda text: None)
    assert "set Device to CPU" in refusal.value.remedy


_BUILDS_FOR_EVER = """
import sys, time
from pathlib import Path
from splat_addon.trainer.backend.cuda import kernels
kernels.folder = lambda: Path(sys.argv[1])
def compile(place, wanted, announce):
    (place / "lock").touch()
    kernels.library().write_bytes(b"half of it")
    print("building", flush=True)
    time.sleep(600)
kernels._compile = compile
kernels.build(["8.6"], print)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kills a process as Linux and macOS do")
def test_a_build_that_was_interrupted_is_not_used_and_the_next_one_goes_on(machine, tmp_path, monkeypatch):
    machine(Driver((13, 0), (RTX,)))
    built_for("8.6")
    command = [sys.executable, "-c", _BUILDS_FOR_EVER, str(kernels.folder())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as builder:
        assert builder.stdout.readline() == "building\n"
        with pytest.raises(SetupError, match="Another process is building the CUDA kernels"):
            kernels.build(["8.9"], lambda text: None)
        os.kill(builder.pid, signal.SIGKILL)
    assert kernels.architectures() == [], "half a library"
    assert choose("auto").name == "cpu"
    assert "has not passed a self-check" in about_unused_card()[0].message

    def compiled(place, wanted, announce):
        assert not (place / "lock").exists(), "PyTorch would wait for it"
        kernels.library().write_bytes(b"all of it")

    monkeypatch.setattr(kernels, "_compile", compiled)
    kernels.build(["8.9", "8.6"], lambda text: None)
    assert kernels.architectures() == ["8.6", "8.9"]


_STARTS_A_COMPILER = """
import subprocess, threading
from splat_addon.trainer.backend.cuda.__main__ import _end_with_parent
compiler = subprocess.Popen(["sleep", "600"])
print(compiler.pid, flush=True)
threading.Thread(target=_end_with_parent).start()
compiler.wait()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="starts a program that Windows does not have")
def test_compilers_end_with_the_process_that_waits_for_them():
    """They would go on for minutes, into the folder of the next build."""
    command = [sys.executable, "-c", _STARTS_A_COMPILER]
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "start_new_session": True}
    with subprocess.Popen(command, **options) as worker:
        assert int(worker.stdout.readline()) > 0
        worker.stdin.close()
        assert worker.wait(60) == -signal.SIGKILL
        assert worker.stdout.read() == b"", "the compiler, which could write there, too, is gone"
