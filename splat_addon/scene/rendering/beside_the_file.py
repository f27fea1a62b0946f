"""What a .blend has beside it and finds by its own name and place, brought to the copy that is rendered."""

import os
import shutil
from pathlib import Path

import bpy

from ...run.render_folder import RenderFolder, RenderPlan

_CACHES = "blendcache_"  # begins the name of the folder with a file's point caches


def copy_point_caches(folder: RenderFolder, plan: RenderPlan) -> None:
    """Copy point caches that were saved to disk to where the copy looks for them; before it is opened. Raises OSError.

    A copy, since Blender writes into caches that are not baked.
    """
    if not plan.blend_file:  # it was never saved
        return
    mine = Path(plan.blend_file)
    source = mine.with_name(_CACHES + mine.stem)
    target = folder.blend_file.with_name(_CACHES + folder.blend_file.stem)
    if not source.is_dir():
        return
    target.mkdir(exist_ok=True)
    for file in source.glob("*.bphys"):
        there, before = target / file.name, file.stat()
        if not there.is_file() or (there.stat().st_size, there.stat().st_mtime_ns) != (
            before.st_size,
            before.st_mtime_ns,
        ):
            shutil.copy2(file, there)


def find_bakes(plan: RenderPlan) -> bool:
    """Let geometry nodes find bakes on disk where the artist's file has them: Blender does not remap these paths.

    Returns whether there is a path that was changed.
    """
    is_changed = False
    for item in bpy.data.objects:
        if item.library is not None:
            continue
        for modifier in item.modifiers:
            if modifier.type == "NODES":
                for owner, name in ((modifier, "bake_directory"), *((bake, "directory") for bake in modifier.bakes)):
                    path = getattr(owner, name, "")
                    if path.startswith("//"):
                        setattr(owner, name, os.path.join(os.path.dirname(plan.blend_file), path[2:]))
                        is_changed = True
    return is_changed
