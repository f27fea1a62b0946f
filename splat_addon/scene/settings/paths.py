"""Paths as the artist types them and as a .blend keeps them."""

import contextlib
import ntpath
import os
import posixpath
from collections.abc import Callable
from pathlib import Path, PurePath, PureWindowsPath
from typing import Any

import bpy

from ...capture.file_names import is_on_network, share_of
from ...errors import RunError
from ..session import part

# Newer Blenders want to be told that a path may begin with "//"
_IS_ASKED = "is_path_supports_blend_relative" in bpy.types.Property.bl_rna.properties
MAY_BE_RELATIVE = {"PATH_SUPPORTS_BLEND_RELATIVE"} if _IS_ASKED else set()


class Asked:
    """The network shares that the artist has chosen something on, in this session."""

    def __init__(self) -> None:
        self.shares: set[str] = set()
        self.is_rewriting = False  # paths are written in another way, and nothing was chosen


def absolute(path: str, is_asked: bool = False) -> Path:
    """A folder or file as the user typed it: `~` is the home folder, `//` and relative paths start at the .blend.

    After `//` both slashes divide folders, whichever system the file was saved on. Links are not followed. Raises
    RunError when the .blend has no place yet, and for a path on another machine, unless the artist chose one there in
    this session (`is_asked`: does so now) or the .blend lies there: Windows tells that machine who looks at it.
    """
    if not path:
        return Path()
    if path.startswith("//"):
        path = path.replace("\\", "/")
    is_share = path.startswith("\\\\")  # of Windows, whichever system reads it
    is_beside = path.startswith("//") or not (path.startswith("~") or is_share or Path(path).is_absolute())
    if is_beside and not bpy.data.filepath:
        raise RunError(
            f"{path} is relative to a .blend that was not saved yet.", "Save the file, or choose a full path."
        )
    if not is_beside:
        if is_asked:
            ask_for(path)
        require_asked(path)
        return Path(path).expanduser()
    if path.startswith("//"):
        path = path.lstrip("/")  # one slash more would make it a share
    return Path(os.path.abspath(Path(bpy.data.filepath).parent / path))


def ask_for(path: str) -> None:
    """The artist has chosen a path: from now on, what lies on its share may be looked at."""
    if is_on_network(path):
        part(Asked).shares.add(share_of(path))


def require_asked(path: str) -> None:
    """Raise RunError for a path on another machine, unless the artist has chosen one there in this session, or the
    .blend lies there."""
    if is_on_network(path) and share_of(path) not in {share_of(bpy.data.filepath), *part(Asked).shares}:
        raise RunError(
            f"{path} lies on another machine, which is not asked for it only because a file was opened.",
            "Choose it again to use it.",
        )


def chosen(name: str, then: Callable[[Any, Any], None] | None = None) -> Callable[[Any, Any], None]:
    """The `update` of the property `name`, a path: the artist has chosen it. `then` is another."""

    def update(group, context) -> None:
        if part(Asked).is_rewriting:
            return
        ask_for(getattr(group, name))
        if then is not None:
            then(group, context)

    return update


def without_templates(path: Path, owner: bpy.types.bpy_struct, name: str) -> str:
    """A path for a property in which newer Blenders fill in `{fields}`: braces that are part of it stay as they are."""
    fills_in = getattr(owner.bl_rna.properties[name], "is_path_supports_templates", False)
    return str(path).replace("{", "{{").replace("}", "}}") if fills_in else str(path)


def local_or_asked(text: str) -> Path:
    """A whole path that a run or an object names, in which `//` begins a share. Raises RunError for one on a share that
    the artist has not chosen."""
    require_asked(text)
    return Path(text)


def capture_now(scene: bpy.types.Scene, named: str) -> Path:
    """Where the capture is that a run names: there, or where the scene has its own, since a project may have moved.

    Raises RunError when it is on a share that the artist has not chosen.
    """
    with contextlib.suppress(RunError):
        capture = local_or_asked(named)
        if os.path.isdir(capture):  # never raises, whatever the name
            return capture
    if scene.splat.capture.folder:
        moved = absolute(scene.splat.capture.folder)
        if os.path.isdir(moved):
            return moved
    return local_or_asked(named)


def run_path(scene: bpy.types.Scene) -> Path | None:
    """The folder of the scene's run; None when it has none or its place cannot be told."""
    try:
        return absolute(scene.splat.run_folder) if scene.splat.run_folder else None
    except RunError:
        return None


def why_no_run(scene: bpy.types.Scene) -> str:
    """Why the place of the scene's run cannot be told, with what to do; empty where it can, or there is none."""
    try:
        absolute(scene.splat.run_folder)
    except RunError as error:
        return f"{error.message} {error.remedy}"
    return ""


def path_text(path: Path) -> str:
    """A path as it is kept in the .blend: relative to it where possible, so that a project can be moved."""
    return relative_text(path, Path(bpy.data.filepath).parent) if bpy.data.filepath else str(path)


def relative_text(path: PurePath, folder: PurePath) -> str:
    """A path as seen from the .blend's folder: `//` and forward slashes, which every system reads.

    The whole path where that cannot be said: from another drive, or with a backslash in a name.
    """
    flavor = ntpath if isinstance(path, PureWindowsPath) else posixpath
    try:
        relative = "//" + flavor.relpath(path, folder).replace(flavor.sep, "/")
    except ValueError:  # another drive on Windows
        return str(path)
    return str(path) if "\\" in relative else relative


def remember_run(scene: bpy.types.Scene, path: Path) -> None:
    """Make a run the scene's: relative to the .blend where possible, so that a project can be moved."""
    text = path_text(path)
    if scene.splat.run_folder != text:
        scene.splat.run_folder = text
