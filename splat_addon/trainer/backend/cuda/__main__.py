"""`python -m splat_addon.trainer.backend.cuda [--build [--arch 8.6,9.0]]`: what an NVIDIA card needs here; builds the
kernels ahead, for the card that is here or, where there is none, for those that are named."""

import argparse
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import torch

from ....errors import SetupError
from ....run.lines import lines_of_parent
from . import doctor, kernels, self_check
from .build import compile_into
from .rasterizer import CudaRasterizer

_LOADS = f"import torch; from {kernels.__name__} import load; load()"
_LOAD_LIMIT_S = 300


def main(arguments: list[str]) -> int:
    """Print the findings; with `--build`, build the kernels and check the card. 1 when that is not possible."""
    parser = argparse.ArgumentParser(prog="python -m splat_addon.trainer.backend.cuda", description=__doc__)
    parser.add_argument("--build", action="store_true", help="build the kernels, and check the card if there is one")
    parser.add_argument("--arch", type=_capabilities, default=[], help="compute capabilities, such as 8.6,9.0,12.0")
    parser.add_argument("--compile", type=Path, help=argparse.SUPPRESS)  # what `kernels.build` starts
    options = parser.parse_args(arguments)
    if options.compile:
        threading.Thread(target=_end_with_parent, daemon=True).start()
        compile_into(options.compile)
        return 0
    for finding in doctor.examine():
        print(f"{'ok     ' if finding.is_fine else 'MISSING'} {finding.name}: {finding.found}")
        if not finding.is_fine:
            print(f"        {finding.remedy}")
    if not options.build:
        print(_what_trains())
        return 0
    try:
        build(options.arch)
    except SetupError as error:
        print(f"{error.message}\n{error.remedy}")  # set-up reads the last two lines
        return 1
    print(_what_trains())
    return 0


def build(wanted: list[str]) -> None:
    """Build what is not there yet, load it as a run does, and let the card prove itself. Raises SetupError."""
    if torch.cuda.is_available():
        doctor.require_cuda()
        wanted = [*wanted, ".".join(map(str, torch.cuda.get_device_capability()))]
    elif not wanted:
        doctor.require_cuda()
    there = kernels.architectures()
    if not kernels.came_with_gsplat() and not set(wanted) <= set(there):
        missing = [finding for finding in doctor.compilers() if not finding.is_fine]
        if missing:
            raise SetupError(f"{missing[0].name}: {missing[0].found}.", missing[0].remedy)
        seconds = kernels.build([*there, *wanted], lambda text: print(text, flush=True))
        size = kernels.library().stat().st_size / 2**20
        print(f"Built in {seconds:.0f} s: {kernels.library()}, {size:.1f} MiB")
    print("Loading it without any compiler")
    require_load()
    if torch.cuda.is_available():
        check()


def require_load() -> None:
    """Load the kernels in a fresh process that finds no program. Raises SetupError."""
    bare = {name: value for name, value in os.environ.items() if name not in ("CUDA_HOME", "CUDA_PATH", "CXX")}
    command = [sys.executable, "-c", _LOADS]
    loaded = subprocess.run(command, env={**bare, "PATH": ""}, capture_output=True, text=True, timeout=_LOAD_LIMIT_S)
    if loaded.returncode != 0:
        last = (loaded.stderr.strip().splitlines() or ["no output"])[-1]
        raise SetupError(f"The CUDA kernels were built but do not load ({last}).", "See build.log beside them.")


def check() -> None:
    """Prepare as a run does, and tell how the card compares. Raises SetupError when it has not passed."""
    CudaRasterizer().prepare(print)
    verdict = self_check.kept()
    if verdict is not None:
        print(
            f"Self-check: image {verdict.image_error:.1e}, gradients {verdict.gradient_error:.1e} ({verdict.worst}),"
            f" {verdict.seconds:.1f} s"
        )


def _end_with_parent() -> None:
    """End this process and all the compilers it has started when `kernels.build`, which holds our input, is gone."""
    for _ in lines_of_parent():
        pass
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(os.getpid())], capture_output=True)
    else:
        os.killpg(0, signal.SIGKILL)


def _what_trains() -> str:
    if doctor.is_proven():
        return "Training uses this card."
    if doctor.is_cuda_ready():
        return "Training uses the CPU, and this card where Device is CUDA."
    return "Training uses the CPU."


def _capabilities(text: str) -> list[str]:
    found = text.split(",")
    if not all(re.fullmatch(r"\d{1,2}\.\d", entry) for entry in found):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list such as 8.6,9.0,12.0")
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
