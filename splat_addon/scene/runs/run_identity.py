"""Which run an object belongs to: by the id in the run's folder, wherever that was moved, else by its path.

Objects keep both. A path below the .blend is kept relative to it (`moved_paths.py`), as the scene's own are.
"""

import contextlib
import os
from pathlib import Path

import bpy

from ...errors import RunError
from ...run.folder import RunFolder
from ..settings.paths import absolute, local_or_asked, path_text

RUN_KEY = "splat_run"  # of the object: the run folder that it came from
GOES_ON_KEY = "splat_goes_on_in"  # of an object: the folder of the run that goes on from its splats
_ID = "_id"  # after either: the id of that run, where its folder has one


def mark(item: bpy.types.Object, folder: RunFolder, key: str = RUN_KEY) -> None:
    """Let an object belong to a run; one of an earlier version gets an id, where its folder can be written."""
    item[key], known = path_text(folder.path), folder.ensure_id()
    if known:
        item[key + _ID] = known
    else:
        item.pop(key + _ID, None)


def forget(item: bpy.types.Object, key: str = RUN_KEY) -> None:
    """Let an object belong to no run."""
    for name in (key, key + _ID):
        item.pop(name, None)


def path_of(item: bpy.types.Object, key: str = RUN_KEY) -> Path | None:
    """The run folder that an object names; None when it names none, or none that can be told."""
    text = str(item.get(key, ""))
    if not text:
        return None
    if not text.startswith("//"):
        return Path(text)
    with contextlib.suppress(RunError):
        return absolute(text)
    return None


def belongs_to(item: bpy.types.Object, folder: RunFolder, key: str = RUN_KEY) -> bool:
    """Whether an object belongs to a run, also where that was moved: with its id, or, without one, from a folder that
    is gone, of the same name in one of the same name."""
    path = path_of(item, key)
    if path is None:
        return key + _ID in item and item[key + _ID] == folder.id()
    known = str(item.get(key + _ID, ""))
    if path == folder.path or known:
        return path == folder.path or known == folder.id()
    return path.parts[-2:] == folder.path.parts[-2:] and _is_gone(path)


def _is_gone(path: Path) -> bool:
    """Not known of a share that the artist has not chosen, which is not asked."""
    with contextlib.suppress(RunError):
        return not os.path.isdir(local_or_asked(str(path)))
    return False


def point_to(item: bpy.types.Object, folder: RunFolder) -> None:
    """The object's run was found in another place: let it name that."""
    if path_of(item) != folder.path:
        mark(item, folder)
