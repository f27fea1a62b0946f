"""The object that shows a run's splats: found again, filled, and never overwritten once the artist edited it."""

import contextlib
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from ...errors import RunError
from ...gaussians.cloud import GaussianCloud
from ...gaussians.formats.splat_ply import SplatPly, read_splats
from ...run.config import TrainConfig
from ...run.folder import RunFolder
from ..own_data import is_local, make_active, require_local
from ..photos import photo_capture
from ..settings.paths import capture_now, local_or_asked
from ..splats import appearance, render_setup
from ..splats import data as splat_data
from ..splats.box_modifier import hand_over
from ..splats.transforms import is_same_place
from . import run_identity

_HIDDEN_KEY = "splat_hidden_for"  # of the object: the run folder whose splats lie in its place, while it is hidden
_FILE_KEY = "splat_run_file"  # of the object: the file of its run that it shows, the result or a snapshot
_MADE_KEY = "splat_as_made"  # of its data: what `_digest` said when it was written


def find(scene: bpy.types.Scene, folder: RunFolder) -> bpy.types.Object | None:
    """The scene's own object for a run; None when it has none: what is linked shows its own file's result. Among
    duplicates, the one that still has the run's name."""
    named = (item for item in scene.objects if run_identity.RUN_KEY in item and is_local(item))
    found = [item for item in named if run_identity.belongs_to(item, folder) and splat_data.is_splats(item)]
    return min(found, key=lambda item: item.name != folder.path.name, default=None)


def source_of(scene: bpy.types.Scene, folder: RunFolder) -> bpy.types.Object | None:
    """The object whose splats a run goes on from; None when it goes on from none that is still there."""
    key = run_identity.GOES_ON_KEY
    found = (item for item in scene.objects if key in item and run_identity.belongs_to(item, folder, key))
    return next((item for item in found if is_local(item) and splat_data.is_splats(item)), None)


def put(
    scene: bpy.types.Scene,
    folder: RunFolder,
    cloud: GaussianCloud,
    view_layer: bpy.types.ViewLayer | None = None,
    origin: splat_data.Origin = None,
) -> bpy.types.Object:
    """Show `cloud`, whose means count from `origin`, as the splats of a run: what its object held before is replaced;
    without one, it is made, where `view_layer` (unless given, the one at hand) has it. Raises SceneError when the scene
    is linked."""
    require_local(scene)
    item = find(scene, folder)
    if item is None:
        collection = splat_data.splat_collection(scene, view_layer)
        item = splat_data.splats_to_object(cloud, folder.path.name, collection, origin)
        run_identity.mark(item, folder)
        appearance.show_splats(item, scene)
        hand_over(scene)
        source = source_of(scene, folder)
        if source is None:
            follow_capture(scene, item, folder)
        else:  # it stands where that stands, whatever the artist did with it
            item.parent, item.matrix_parent_inverse = source.parent, source.matrix_parent_inverse
            own = splat_data.from_origin(source).inverted() @ splat_data.from_origin(item)
            item.matrix_basis = source.matrix_basis @ own
    else:
        run_identity.point_to(item, folder)
        name = item.data.name
        splat_data.replace_splats(item, cloud, origin)
        item.data.name = name  # it was taken while both were there
        appearance.fit_to_splats(item)
    data: Any = item.data
    data[_MADE_KEY] = _digest(item)
    return item


@dataclass(frozen=True)
class BroughtIn:
    """What `bring_in` has brought, the names of other runs' objects that are hidden for it, and what was set."""

    item: bpy.types.Object
    count: int
    file_name: str
    hidden: list[str]
    settings: list[str]  # sentences about render settings that were made for the first splats of the scene


def bring_in(scene: bpy.types.Scene, view_layer: bpy.types.ViewLayer, folder: RunFolder) -> BroughtIn:
    """Bring the newest splats of a run into the scene, at the place of what was captured, as the active object.

    Nothing is selected afterwards: thousands of outlines would hide the splats. Raises RunError when the run has saved
    none, SplatFileError when they cannot be read, SceneError when the scene is linked; then nothing was changed.
    """
    require_local(scene)
    if not os.path.isdir(folder.path):
        raise RunError(f"The run folder {folder.path} is gone.", "Choose where it is now in the Splats panel.")
    path = folder.result_file()
    if path is None:
        raise RunError(
            f"The run in {folder.path} has no splats yet.", "Wait for a snapshot, or take one with Snapshot."
        )
    origin = SplatPly(path).origin()
    cloud = read_splats(path, origin)
    item = put(scene, folder, cloud, view_layer, origin)
    follow_capture(scene, item, folder)
    item[_FILE_KEY] = path.name
    unhide(scene, item)
    hidden = hide_others(scene, folder, is_result=path == folder.splats_file)
    view_layer.update()
    for other in list(view_layer.objects.selected):
        other.select_set(False, view_layer=view_layer)
    make_active(view_layer, item)
    return BroughtIn(item, len(cloud), path.name, hidden, render_setup.prepare(scene, [item]))


def shows_snapshot(item: bpy.types.Object) -> str:
    """The file name of the snapshot that an object shows; empty when it shows a result."""
    name = str(item.get(_FILE_KEY, ""))
    return "" if name == RunFolder(Path()).splats_file.name else name


def is_behind(item: bpy.types.Object, folder: RunFolder) -> bool:
    """Whether an object that nobody has edited shows a snapshot of a run whose result is there meanwhile."""
    return bool(shows_snapshot(item)) and folder.splats_file.is_file() and is_untouched(item)


def hide_others(scene: bpy.types.Scene, folder: RunFolder, is_result: bool = True) -> list[str]:
    """Hide the splats of other runs of the same capture that lie where those of `folder` do. Returns the names of all
    that are hidden for this run.

    Nothing else about them changes. They are hidden in the viewport and in renders: two results in one place hide each
    other. For a snapshot (not `is_result`) they are hidden in the viewport alone: renders go on to show what is
    finished, and not the snapshot.
    """
    item, capture = find(scene, folder), _capture_here(scene, folder)
    if item is None or capture is None:
        return []
    source = source_of(scene, folder)
    for other in scene.objects:
        path = run_identity.path_of(other)
        if other == source and source != item and path is None and _is_seen(other, scene):
            _hide_for(scene, other, folder, is_result)
        if path is None or other == item or other.library is not None or not splat_data.is_splats(other):
            continue
        if run_identity.belongs_to(other, folder) or not _is_seen(other, scene):
            continue
        if _capture_here(scene, RunFolder(path)) == capture and _lies_where(other, item):
            _hide_for(scene, other, folder, is_result)
    hidden = [other for other in scene.objects if other.get(_HIDDEN_KEY) == _name(folder) and _is_put_away(other)]
    if not is_result and any(not other.hide_render for other in hidden):
        item.hide_render, item[_HIDDEN_KEY] = True, ""  # until its result comes
    return [other.name for other in hidden]


def _name(folder: RunFolder) -> str:
    """What is kept of a run where it needs not be found again."""
    return folder.id() or str(folder.path)


def _is_put_away(item: bpy.types.Object) -> bool:
    return item.hide_render or item.hide_get()


def _hide_for(scene: bpy.types.Scene, other: bpy.types.Object, folder: RunFolder, in_renders: bool) -> None:
    other.hide_render, other[_HIDDEN_KEY] = other.hide_render or in_renders, _name(folder)
    _hide(scene, other, True)


def unhide(scene: bpy.types.Scene, item: bpy.types.Object) -> None:
    """Undo what `hide_others` did to an object, if it did."""
    if item.pop(_HIDDEN_KEY, None) is None:
        return
    item.hide_render = False
    _hide(scene, item, False)


def _hide(scene: bpy.types.Scene, item: bpy.types.Object, is_hidden: bool) -> None:
    """In all view layers that have the object."""
    for layer in scene.view_layers:
        if any(item == other for other in layer.objects):
            item.hide_set(is_hidden, view_layer=layer)


def capture_of(folder: RunFolder) -> Path | None:
    """The capture that a run was trained on; None when the run does not say."""
    with contextlib.suppress(RunError):  # also where a share would have to be asked that nobody has chosen
        place = RunFolder(local_or_asked(str(folder.path)))
        return local_or_asked(TrainConfig.read(place.config_file).capture)
    return None


def _capture_here(scene: bpy.types.Scene, folder: RunFolder) -> Path | None:
    """The capture that a run was trained on, where it is now if the project has moved."""
    named = capture_of(folder)
    if named is None or os.path.isdir(named):
        return named
    with contextlib.suppress(RunError):
        moved = capture_now(scene, str(named))
        return moved if moved.name == named.name else named
    return named


def _lies_where(other: bpy.types.Object, item: bpy.types.Object) -> bool:
    apart = splat_data.from_origin(other).inverted() @ splat_data.from_origin(item)
    return other.parent == item.parent and is_same_place(other.matrix_basis @ apart, item.matrix_basis, item.data)


def _is_seen(item: bpy.types.Object, scene: bpy.types.Scene) -> bool:
    return not item.hide_render or any(item.visible_get(view_layer=layer) for layer in scene.view_layers)


def is_untouched(item: bpy.types.Object) -> bool:
    """Whether the object still holds the very splats that `put` gave it, not edited since."""
    made = item.data.get(_MADE_KEY)
    return made is not None and made == _digest(item)


def give_away(item: bpy.types.Object) -> None:
    """From now on the object is the artist's own: a run gets another one."""
    run_identity.forget(item)


def _digest(item: bpy.types.Object) -> str:
    """Changes when a splat is added, deleted, moved, or changed in its base color or opacity. About 3 ms for 100 000
    splats."""
    digest = 0
    for name, width in (("position", 3), (splat_data.BASE, 4)):
        attribute = item.data.attributes[name]
        values = np.empty(len(attribute.data) * width, np.float32)
        attribute.data.foreach_get("color" if attribute.data_type == "FLOAT_COLOR" else "vector", values)
        digest = zlib.crc32(values.data, digest)
    return f"{digest:08x}"


def follow_capture(scene: bpy.types.Scene, item: bpy.types.Object, folder: RunFolder) -> None:
    """Hang splats that nobody has moved below the root of the capture they were trained on, if that is open."""
    if item.parent is None and splat_data.is_unmoved(item):
        capture = _capture_here(scene, folder)
        if capture is not None:
            item.parent = photo_capture.find_root(scene, capture)


def world_from_capture_of(item: bpy.types.Object) -> Matrix:
    """Where the world that an object's splats were trained in lies in the scene."""
    return item.matrix_world @ splat_data.from_origin(item).inverted()


def world_from_run(scene: bpy.types.Scene, folder: RunFolder, capture: Path | None = None) -> Matrix:
    """Where the world of a run's capture lies in the scene: where the run's splats are, whatever the artist did with
    them, else where those are that it goes on from, else where the capture's own root is, else at the origin. `capture`
    is where it is now, if it has moved."""
    item = find(scene, folder) or source_of(scene, folder)
    if item is not None:
        return world_from_capture_of(item)
    capture = capture or capture_of(folder)
    root = photo_capture.find_root(scene, capture) if capture is not None else None
    return root.matrix_world.copy() if root is not None else Matrix.Identity(4)
