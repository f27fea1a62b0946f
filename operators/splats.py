"""A run's splats in the scene."""

from pathlib import Path

import bpy
from mathutils import Matrix

from ..splat_addon.errors import RunError
from ..splat_addon.gaussians.ply import SplatPly, read_splats
from ..splat_addon.run.config import TrainConfig
from ..splat_addon.run.folder import RunFolder
from ..splat_addon.scene import appearance, photo_capture, review, splats, viewport_bounds
from .report import reports_errors

COLLECTION = "Splats"
RUN_KEY = "splat_run"  # the run folder that an object came from


class SPLAT_OT_import_result(bpy.types.Operator):
    """Bring the run's splats into the scene, at the place of what was captured"""

    bl_idname = "splat.import_result"
    bl_label = "Import Result"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        if context.mode != "OBJECT":
            cls.poll_message_set("Switch to Object Mode first")
            return False
        if not context.scene.splat.run_folder:
            cls.poll_message_set("Train first, or choose a run: this scene has none")
            return False
        return True

    @reports_errors
    def execute(self, context):
        folder = RunFolder(review.require_run(context.scene))
        path = folder.result_file()
        if path is None:
            raise RunError(f"The run in {folder.path} has no splats yet.", "Wait for a snapshot, or take one.")
        cloud = read_splats(path)
        item = _object_of_run(context.scene, folder, cloud)
        item[appearance.BLEND_SPACE_KEY] = SplatPly(path).blend_space
        appearance.show_splats(item, context.scene)
        viewport_bounds.hand_over(context.scene)
        context.view_layer.update()
        for other in context.selected_objects:
            other.select_set(False)  # nor is the new object selected: thousands of outlines would hide it
        context.view_layer.objects.active = item
        self.report({"INFO"}, f"Imported {len(cloud)} splats from {path.name}")
        return {"FINISHED"}


def _object_of_run(scene: bpy.types.Scene, folder: RunFolder, cloud) -> bpy.types.Object:
    """The scene's object for a run, with `cloud` as its data: a second import replaces the first."""
    for item in scene.objects:
        if item.get(RUN_KEY) == str(folder.path) and splats.is_splats(item):
            splats.replace_splats(item, cloud)
            _follow_capture(scene, item, folder)
            return item
    item = splats.splats_to_object(cloud, folder.path.name, splat_collection(scene))
    item[RUN_KEY] = str(folder.path)
    _follow_capture(scene, item, folder)
    return item


def _follow_capture(scene: bpy.types.Scene, item: bpy.types.Object, folder: RunFolder) -> None:
    """Hang splats that nobody has moved below the root of the capture they were trained on, if that is open."""
    if item.parent is None and item.matrix_basis == Matrix.Identity(4) and folder.config_file.is_file():
        item.parent = photo_capture.find_root(scene, Path(TrainConfig.read(folder.config_file).capture))


def splat_collection(scene: bpy.types.Scene) -> bpy.types.Collection:
    """Where splats are put in a scene, made when it is missing."""
    found = scene.collection.children.get(COLLECTION)
    if found is None:
        found = bpy.data.collections.new(COLLECTION)
        scene.collection.children.link(found)
    return found


CLASSES = (SPLAT_OT_import_result,)
