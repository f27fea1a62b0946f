"""What the user chose for this machine (the add-on's preferences), and the small files the add-on keeps for itself."""

import contextlib
import json
from pathlib import Path
from typing import Any

import bpy

from ...run.folder import write_json
from .paths import absolute

ROOT_PACKAGE = __package__.rsplit(".", 3)[0]


def of_addon() -> Any:
    """The add-on's preferences; None when it runs without having been enabled as an extension."""
    entry = bpy.context.preferences.addons.get(ROOT_PACKAGE)
    return entry.preferences if entry else None


def trainer_python() -> str:
    """The full path of the Python that trains, links not followed: an environment's Python is one. "" when none is
    chosen. Raises RunError when it is relative to a .blend that was not saved yet."""
    chosen = of_addon()
    return str(absolute(chosen.trainer_python, is_asked=True)) if chosen and chosen.trainer_python else ""


def outlives() -> bool:
    """Whether a run is to go on when Blender quits."""
    chosen = of_addon()
    return chosen is not None and chosen.when_quitting == "GO_ON"


def read_own(name: str) -> Any:
    """What `write_own` kept under this name; None when there is nothing that can be read."""
    path = _own_file(name, create=False)
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path else None
    except (OSError, ValueError):
        return None


def write_own(name: str, value: Any) -> None:
    """Keep something next to the extension, for the next start. A place that cannot be written is ignored."""
    path = _own_file(name, create=True)
    if path is not None:
        with contextlib.suppress(OSError):
            write_json(path, value)


def _own_file(name: str, create: bool) -> Path | None:
    try:
        return Path(bpy.utils.extension_path_user(ROOT_PACKAGE, create=create)) / name
    except (ValueError, OSError):  # not enabled as an extension, or the user's folder cannot be written
        return None
