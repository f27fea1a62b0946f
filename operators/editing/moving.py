"""Apply Transform, Mirror and Repair."""

import bpy

from ...splat_addon.errors import SceneError, some_of
from ...splat_addon.gaussians.transform import is_exact
from ...splat_addon.run.wording import counted
from ...splat_addon.scene.editing import moving, target
from ...splat_addon.scene.splats.transforms import is_broken
from ..reporting import allows, reports_errors
from .subject import ActsOnSelected, splat_objects_of, undo_memory


class SPLAT_OT_apply_transform(ActsOnSelected, bpy.types.Operator):
    """Make the objects' transform part of their splats: positions, shapes and colors from every side. Blender's own
    Apply moves the points alone"""

    bl_idname = "splat.apply_transform"
    bl_label = "Apply Transform to Splats"

    location: bpy.props.BoolProperty(name="Location", default=True)
    rotation: bpy.props.BoolProperty(name="Rotation", default=True)
    scale: bpy.props.BoolProperty(name="Scale", default=True)

    @reports_errors
    def execute(self, context):
        items = splat_objects_of(context)
        target.require_editable(items)
        parts = moving.Parts(self.location, self.rotation, self.scale)
        moved = [item for item in items if moving.data_from_data(item, parts) is not None]
        bent = [item.name for item in moved if not moving.apply_transform(item, parts)]
        if bent:
            self.report({"WARNING"}, f"{some_of(bent)}: {moving.BENT}")
        what = some_of([item.name for item in moved]) or "nothing: all is applied already"
        self.report({"INFO"}, f"Applied to {what}{undo_memory(moved)}")
        return {"FINISHED"}


class SPLAT_OT_mirror_splats(ActsOnSelected, bpy.types.Operator):
    """Mirror splats across a plane: positions, shapes and colors from every side"""

    bl_idname = "splat.mirror"
    bl_label = "Mirror Splats"

    axis: bpy.props.EnumProperty(
        name="Axis",
        description="What the mirror stands across",
        items=[(axis, axis, f"Swap the sides along {axis}") for axis in moving.AXES],
    )
    space: bpy.props.EnumProperty(
        name="Space",
        description="Where the mirror stands",
        items=[
            (moving.LOCAL, "Object", "At the object's origin, along its own axes"),
            (moving.WORLD, "World", "At the world's origin"),
            (moving.CURSOR, "3D Cursor", "At the 3D cursor, along its axes"),
        ],
    )

    @reports_errors
    def execute(self, context):
        items = splat_objects_of(context)
        target.require_editable(items)
        bent = []
        for item in items:
            matrix = moving.mirror_matrix(item, self.axis, self.space, context.scene.cursor.matrix)
            moving.move(item, matrix)
            if not is_exact(matrix):
                bent.append(item.name)
        if bent:
            self.report({"WARNING"}, f"{some_of(bent)}: {moving.BENT}")
        self.report({"INFO"}, f"Mirrored {some_of([item.name for item in items])}{undo_memory(items)}")
        return {"FINISHED"}


class SPLAT_OT_repair_splats(ActsOnSelected, bpy.types.Operator):
    """Turn and resize splats to fit their points, which Blender's own Apply, Join, Realize Instances or mirroring have
    moved alone"""

    bl_idname = "splat.repair"
    bl_label = "Repair"

    @classmethod
    def poll(cls, context):
        if not super().poll(context):
            return False
        broken = any(is_broken(item.data) for item in splat_objects_of(context))
        return allows(cls, "" if broken else "No points were turned or resized without their splats")

    @reports_errors
    def execute(self, context):
        items = [item for item in splat_objects_of(context) if is_broken(item.data)]
        target.require_editable(items)
        if not items:
            raise SceneError("No points were turned or resized without their splats.", "Nothing has to be repaired.")
        found = [moving.repair(item) for item in items]
        count = sum(number for number, _ in found)
        if not all(exact for _, exact in found):
            self.report({"WARNING"}, f"Points were sheared or scaled unevenly: {moving.BENT}")
        self.report({"INFO"}, f"Repaired {counted(count)} splats{undo_memory(items)}")
        return {"FINISHED"}


CLASSES = (SPLAT_OT_apply_transform, SPLAT_OT_mirror_splats, SPLAT_OT_repair_splats)
