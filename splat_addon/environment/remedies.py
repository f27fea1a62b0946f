"""Commands that bring what a Python lacks, complete enough to be copied."""

import os
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from .requirements import read_requirements

OWN_PLACE = "splat_trainer_python"  # below the home folder: where a managed Python's own environment is suggested


def install_command(packages: Iterable[str]) -> str:
    """The command that installs these packages, by name or with a version, into the Python that runs this. Those that
    training needs get the version it needs.

    Where the system manages this Python, pip refuses to change it: the command then makes an environment with all that
    training needs.
    """
    pinned = {wanted.partition("==")[0]: wanted for wanted in read_requirements("cpu").packages}
    if not is_managed():
        return f'"{sys.executable}" -m pip install {_words(pinned.get(name, name) for name in packages)}'
    place = Path.home() / OWN_PLACE
    python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    both = {**pinned, **{name.partition("==")[0]: pinned.get(name, name) for name in packages}}
    return f'"{sys.executable}" -m venv "{place}" && "{python}" -m pip install {_words(both.values())}'


def is_managed() -> bool:
    """Whether this Python belongs to the system and is no environment (PEP 668)."""
    return sys.prefix == sys.base_prefix and (Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED").is_file()


def _words(packages: Iterable[str]) -> str:
    return " ".join(f'"{package}"' if set(package) & set("<>;* ") else package for package in packages)
