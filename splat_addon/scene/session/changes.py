"""What was read from the data of objects is kept until these change: edits, undo and redo, another file."""

from collections.abc import Callable
from typing import Any

import bpy
from bpy.app.handlers import persistent


def forgetting(forget: Callable[[Any], None], forget_all: Callable[[], None]) -> dict[str, Callable[..., None]]:
    """The `HANDLERS` of a module that keeps what it read from meshes and point clouds: `forget` is called with data
    that has changed, `forget_all` where anything may have."""

    @persistent
    def on_update(_scene, depsgraph) -> None:
        for update in depsgraph.updates:
            block = update.id.original
            if isinstance(block, bpy.types.Mesh | bpy.types.PointCloud):
                forget(block)

    @persistent
    def on_other_data(*_) -> None:
        forget_all()

    return {
        "depsgraph_update_post": on_update,
        "undo_post": on_other_data,
        "redo_post": on_other_data,
        "load_pre": on_other_data,
    }
