"""The folder of the trainer's environment: where it is, and whether it was completed.

splat_trainer.json    begun or complete, with what      log.txt    what venv and pip said
env/                  the virtual environment           set_up.lock    held while somebody sets up
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path, PurePath

from ..errors import SetupError
from ..run.folder import write_json
from .failures import AGAIN, too_deep
from .machine import Machine, this_machine

_NAME = "splat_trainer"
_LONGEST_PATH = 259  # letters that Windows takes unless long paths are enabled (MAX_PATH, less the zero at the end)


@dataclass(frozen=True)
class Place:
    """Names in the folder."""

    path: Path

    @property
    def marker_file(self) -> Path:
        return self.path / f"{_NAME}.json"

    @property
    def log_file(self) -> Path:
        return self.path / "log.txt"

    @property
    def lock_file(self) -> Path:
        return self.path / "set_up.lock"

    @property
    def environment(self) -> Path:
        return self.path / "env"

    @property
    def python(self) -> Path:
        """The interpreter of the environment, be it there or not."""
        return self.environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def is_ours(self) -> bool:
        """Whether a set-up was begun here."""
        return self.marker_file.is_file()

    def is_complete(self, stamp: str) -> bool:
        """Whether exactly these requirements were installed to the end."""
        return self.state() == f"complete {stamp}" and self.python.is_file()

    def state(self) -> str:
        """ "begun …", "complete …", or "" where nothing was begun."""
        try:
            return str(json.loads(self.marker_file.read_text(encoding="utf-8"))["state"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def mark(self, state: str) -> None:
        """Remember how far it got. Raises OSError."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.marker_file, {"state": state, "what": "Trainer environment of the Splat Training extension"})


def choose_place(folder: Path, longest_name: int = 0, machine: Machine | None = None) -> Place:
    """The place for an environment in a folder that the artist chose: the folder itself when it is empty, new or has
    one, else a folder in it. Raises SetupError when that is taken by something else, or so deep that Windows refuses
    the paths of files that are installed there, up to `longest_name` letters below `site-packages`."""
    folder = folder.expanduser().resolve()
    for candidate in (Place(folder), Place(folder / _NAME)):
        is_free = candidate.path.is_dir() and not any(candidate.path.iterdir())
        if candidate.is_ours or not candidate.path.exists() or is_free:
            require_short(candidate.environment, longest_name, machine or this_machine())
            return candidate
    raise SetupError(f"{folder / _NAME} holds something else.", "Choose an empty folder.")


def require_short(environment: PurePath, longest_name: int, machine: Machine, again: str = AGAIN) -> None:
    """Raise SetupError where packages with names of `longest_name` letters do not fit below a virtual environment."""
    room = _LONGEST_PATH - longest_name - len("/Lib/site-packages/")
    if machine.system == "win32" and not machine.has_long_paths and len(str(environment)) > room:
        raise too_deep(str(environment.parent), room - len(f"/{environment.name}"), again)
