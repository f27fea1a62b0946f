"""Paths of ours in a .blend that is saved for the first time, or to another place.

What lies below the file is kept relative to it, so that the folder of a project can be moved; what was relative stays
so and leads to the same place. Blender does this for paths of its own only.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy

from ..photos.photo_capture import ROOT_KEY
from ..session import part
from ..settings.paths import Asked, relative_text
from .run_identity import GOES_ON_KEY, RUN_KEY


class Saving:
    """What was written for the file that is being saved: how to undo that, and its folder."""

    def __init__(self) -> None:
        self.undo: list[tuple[Callable[[str], None], str]] = []
        self.folder: Path | None = None


def _places() -> Iterator[tuple[str, Callable[[str], None]]]:
    """The paths that the file keeps, as they are written, and what writes each."""
    for scene in bpy.data.scenes:
        if scene.library is None and scene.override_library is None:
            for group, name in ((scene.splat, "run_folder"), (scene.splat.capture, "folder")):
                yield getattr(group, name), _set_of(group, name)
    for item in bpy.data.objects:
        if item.library is None:
            for key in (RUN_KEY, GOES_ON_KEY, ROOT_KEY):
                if key in item:
                    yield str(item[key]), _key_of(item, key)


def _set_of(group: Any, name: str) -> Callable[[str], None]:
    def write(text: str) -> None:
        setattr(group, name, text)

    return write


def _key_of(item: Any, key: str) -> Callable[[str], None]:
    def write(text: str) -> None:
        item[key] = text

    return write


def _write(changes: list[tuple[Callable[[str], None], str]]) -> None:
    """It is the same place that is written in another way: nobody is told."""
    part(Asked).is_rewriting = True
    try:
        for write, text in changes:
            write(text)
    finally:
        part(Asked).is_rewriting = False


@bpy.app.handlers.persistent
def before_saving(path: str = "", *_: Any) -> None:
    """Write the paths as they read from the place that the file is about to have."""
    saving = part(Saving)
    saving.undo, saving.folder = [], Path(path).parent if path else None
    if saving.folder is None:
        return
    former = Path(bpy.data.filepath).parent if bpy.data.filepath else None
    changes = []
    for text, write in _places():
        wanted = _text_for(text, former, saving.folder)
        if wanted != text:
            changes.append((write, wanted))
            saving.undo.append((write, text))
    _write(changes)


def _text_for(text: str, former: Path | None, folder: Path) -> str:
    if text.startswith("//"):
        if former is None or former == folder:
            return text
        place = Path(os.path.abspath(former / text.replace("\\", "/").lstrip("/")))
        return relative_text(place, folder)
    path = Path(text)
    return relative_text(path, folder) if text and path.is_absolute() and path.is_relative_to(folder) else text


@bpy.app.handlers.persistent
def after_saving(*_: Any) -> None:
    """A copy was saved, or nothing: the file that is open has stayed where it was, and its paths are as they were."""
    saving = part(Saving)
    has_moved = bool(bpy.data.filepath) and Path(bpy.data.filepath).parent == saving.folder
    if not has_moved:
        _write(saving.undo)
    saving.undo = []


HANDLERS = {"save_pre": before_saving, "save_post": after_saving, "save_post_fail": after_saving}
