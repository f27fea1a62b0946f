"""Where training starts from."""

import bpy

from ..splat_addon.capture.transforms import is_own_capture
from ..splat_addon.errors import SplatError
from ..splat_addon.scene import capturing, meshes
from ..splat_addon.scene.settings import absolute
from .capture import surfaces_to_capture
from .report import reports_errors


def _is_captured(scene) -> bool:
    try:
        return is_own_capture(absolute(scene.splat.capture.folder))
    except SplatError:
        return False


class SPLAT_OT_sample_seeds(bpy.types.Operator):
    """Spread points over the surfaces of the selected objects anew and put them into the capture, without rendering"""

    bl_idname = "splat.sample_seeds"
    bl_label = "Sample Seeds"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        if not context.scene.splat.capture.folder or not _is_captured(context.scene):
            cls.poll_message_set("Capture the scene first: seeds are part of a capture")
            return False
        if not surfaces_to_capture(context):
            cls.poll_message_set("Select mesh objects to sample")
            return False
        return True

    @reports_errors
    def execute(self, context):
        splat = context.scene.splat
        points = meshes.sample_surfaces(surfaces_to_capture(context), splat.capture.seed_count, splat.training.seed)
        capturing.write_seeds(absolute(splat.capture.folder), points)
        self.report({"INFO"}, f"Sampled {len(points.positions)} seeds")
        return {"FINISHED"}


CLASSES = (SPLAT_OT_sample_seeds,)
