"""Where training starts from."""

import bpy

from ..splat_addon.errors import CaptureError
from ..splat_addon.run.wording import counted
from ..splat_addon.scene.own_data import make_active
from ..splat_addon.scene.seeds import showing
from ..splat_addon.scene.seeds.capture_folder import chosen_capture
from ..splat_addon.scene.seeds.choosing import seeds_to_capture, why_no_seeds
from ..splat_addon.scene.settings.paths import absolute
from ..splat_addon.scene.settings.training import train_config
from .reporting import reports_errors


class SPLAT_OT_sample_seeds(bpy.types.Operator):
    """Take new seeds from the scene and put them into the capture, without rendering. Training starts from them"""

    bl_idname = "splat.sample_seeds"
    bl_label = "Sample Seeds"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        chosen, folder = context.scene.splat.capture, chosen_capture(context.scene)
        if chosen.seed_source == "RANDOM":
            cls.poll_message_set("Random seeds are drawn when training starts: Show Seeds shows them")
            return False
        if folder is None:
            cls.poll_message_set("Capture the scene first: seeds are part of a capture")
            return False
        missing = why_no_seeds(context)
        if chosen.seed_source == "CAPTURE" and not showing.has_chosen_seeds(folder):
            missing = "Training already starts from the capture's own points"
        if missing:
            cls.poll_message_set(missing)
        return not missing

    @reports_errors
    def execute(self, context):
        scene = context.scene
        folder = absolute(scene.splat.capture.folder)
        if scene.splat.capture.seed_source == "CAPTURE":
            showing.forget(folder)
            message = "Training starts from the capture's own points again"
        else:
            points = seeds_to_capture(context)
            path = showing.write(scene, folder, points)
            message = f"{counted(len(points.positions))} seeds are in {path}"
        if showing.shown_seeds(scene) is not None:
            cloud, origin, _ = showing.first_splats(train_config(scene))
            showing.show(scene, cloud, folder, origin)
        self.report({"INFO"}, message)
        return {"FINISHED"}


class SPLAT_OT_show_seeds(bpy.types.Operator):
    """Show the splats that training starts from, before any training"""

    bl_idname = "splat.show_seeds"
    bl_label = "Show Seeds"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        if context.mode != "OBJECT":
            cls.poll_message_set("Switch to Object Mode first")
            return False
        if chosen_capture(context.scene) is not None:
            return True
        missing = why_no_seeds(context)
        if context.scene.splat.capture.seed_source in ("CAPTURE", "RANDOM"):
            missing = "Choose a capture folder first: these seeds depend on its cameras"
        if missing:
            cls.poll_message_set(missing)
        return not missing

    @reports_errors
    def execute(self, context):
        scene = context.scene
        config, folder = train_config(scene), chosen_capture(scene)
        if folder is not None:
            cloud, origin, notes = showing.first_splats(config)
            what = "training starts from"
        else:
            cloud, notes = showing.splats_at(seeds_to_capture(context), config)
            origin, what = None, "a capture of the scene would start from"
        if len(cloud) == 0:
            raise CaptureError("There are no seeds.", "Select mesh objects to sample.")
        item = showing.show(scene, cloud, folder, origin)
        context.view_layer.update()
        for other in list(context.view_layer.objects.selected):
            other.select_set(False)  # outlines would hide the splats
        make_active(context.view_layer, item)
        for note in notes:
            self.report({"WARNING"}, note)
        self.report({"INFO"}, f"These are the {counted(len(cloud))} splats that {what}")
        return {"FINISHED"}


CLASSES = (SPLAT_OT_sample_seeds, SPLAT_OT_show_seeds)
