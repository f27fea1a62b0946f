"""Points hidden in edit mode: Blender keeps that from geometry nodes, so it is copied to an attribute they can read."""

import bpy
import numpy as np

from .data import BASE

HIDDEN = "splat_hidden"  # true where a splat is not drawn


@bpy.app.handlers.persistent
def follow_edit_mode(_scene, depsgraph) -> None:
    """After edit mode (of mesh carriers; point clouds have no hidden points) the display leaves out what was hidden."""
    for update in depsgraph.updates:
        data = update.id.original
        if update.is_updated_geometry and isinstance(data, bpy.types.Mesh) and BASE in data.attributes:
            copy_hidden(data)


def copy_hidden(mesh: bpy.types.Mesh) -> None:
    """Bring the attribute up to date; nothing is written when nothing changed."""
    if mesh.is_editmode:
        return
    hidden = np.empty(len(mesh.vertices), dtype=bool)
    mesh.vertices.foreach_get("hide", hidden)
    attribute = mesh.attributes.get(HIDDEN)
    if attribute is None:
        if not hidden.any():
            return
        attribute = mesh.attributes.new(HIDDEN, "BOOLEAN", "POINT")
    former = np.empty_like(hidden)
    attribute.data.foreach_get("value", former)
    if not np.array_equal(former, hidden):
        attribute.data.foreach_set("value", hidden)
        mesh.update()


HANDLERS = {"depsgraph_update_post": follow_edit_mode}
