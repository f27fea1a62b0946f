"""What the trainer's environment must hold."""

import functools
import hashlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .machine import Machine, this_machine

FILE = Path(__file__).with_name("requirements.json")
_INDEX_LIMIT_S = 8
_ASK_INDEX = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1] + '/torch/', timeout=5).close()"


@dataclass(frozen=True)
class Requirements:
    """What is installed for one device, "cpu" or "cuda".

    `index` is where pip also looks, because PyPI's build of PyTorch for this system is another one (with CUDA, or
    without); with `needs_index` there is no set-up without it. `processors` are those that all packages have builds
    for on this system, and `longest_name` is the longest path that they unpack into `site-packages`.
    """

    device: str
    pythons: tuple[str, ...]
    packages: tuple[str, ...]
    index: str
    needs_index: bool
    download_gb: float
    disk_gb: float
    processors: tuple[str, ...]
    oldest_macos: int
    longest_name: int

    @property
    def stamp(self) -> str:
        """Changes when an environment has to be installed again."""
        return hashlib.sha256("\n".join((self.device, *self.packages)).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class CardNeeds:
    """What the packages for a card need of it: a version of CUDA, the driver that has it, a compute capability."""

    cuda: tuple[int, int]
    driver: str
    capability: tuple[int, int]


def read_card_needs(path: Path = FILE) -> CardNeeds:
    """What `requirements.json` says of cards."""
    values = json.loads(path.read_text(encoding="utf-8"))["devices"]["cuda"]
    cuda, capability = (tuple(map(int, values[name].split("."))) for name in ("cuda", "compute"))
    return CardNeeds((cuda[0], cuda[1]), values["driver"], (capability[0], capability[1]))


def merged(packages: list[str], own: list[str]) -> tuple[str, ...]:
    """Pinned packages, those of one device's own in place of others of the same name."""
    by_name = {package.partition("==")[0]: package for package in (*packages, *own)}
    return tuple(by_name.values())


@functools.cache  # buttons ask at every redraw
def read_requirements(device: str, path: Path = FILE, machine: Machine | None = None) -> Requirements:
    """What `device` needs on this machine, or on another."""
    system = (machine or this_machine()).system
    values = json.loads(path.read_text(encoding="utf-8"))
    own = values["devices"][device]
    index = own["indexes"].get(system, "")
    return Requirements(
        device=device,
        pythons=tuple(values["pythons"]),
        packages=merged(values["packages"], own["packages"]),
        index=index,
        needs_index=bool(index) and own["needs_index"],
        download_gb=own["download_gb"].get(system, 0.0),
        disk_gb=own["disk_gb"].get(system, 0.0),
        processors=tuple(own["processors"].get(system, ())),
        oldest_macos=values["oldest_macos"],
        longest_name=values["longest_name"],
    )


def is_index_reachable(index: str, python: str) -> bool:
    """Whether an index answers, asked by the interpreter `python`: pip would spend minutes on one that does not.

    In a process of its own, because a dead name server ignores time-outs.
    """
    try:
        answer = subprocess.run(
            [python, "-c", _ASK_INDEX, index],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_INDEX_LIMIT_S,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except subprocess.TimeoutExpired:
        return False
    return answer.returncode == 0
