"""Blame: from a wrong pixel of a held-out view to its splats, from all photos to all splats, and from a splat to its
photos."""

import bpy

from ...splat_addon.errors import RunError
from ...splat_addon.run.folder import RunFolder
from ...splat_addon.run.wording import counted
from ...splat_addon.scene.blame import mapped, photos, picked
from ...splat_addon.scene.blame.mapped import WHICH
from ...splat_addon.scene.inspection import choosing
from ...splat_addon.scene.review import held_out, overlay
from ...splat_addon.scene.runs import run_object
from ...splat_addon.scene.settings.paths import run_path
from ...splat_addon.scene.splats.data import is_splats
from ...splat_addon.scene.tasks import inspecting
from ...splat_addon.scene.trust.views import camera_of_matrices
from ..reporting import allows, reports_errors


class SPLAT_OT_blame(bpy.types.Operator):
    """Click a wrong pixel of the held-out view, or drag a box: the splats it comes from are selected and lit, by their
    share. It tells where photos disagree, not what is wrong with a splat"""

    bl_idname = "splat.blame"
    bl_label = "Blame"
    bl_options = {"REGISTER", "UNDO"}

    box: bpy.props.FloatVectorProperty(
        name="Box",
        description="Left, top, right and bottom as parts of the image, from its upper left",
        size=4,
        min=0.0,
        max=1.0,
        default=(0.5, 0.5, 0.5, 0.5),
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context):
        if not held_out.is_reviewing(context.scene):
            cls.poll_message_set("Look through a held-out view first")
            return False
        return True

    def invoke(self, context, event):
        self.begin = None
        context.window.cursor_modal_set("EYEDROPPER")
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        if event.type in {"ESC", "RIGHTMOUSE"}:
            context.window.cursor_modal_restore()
            return {"CANCELLED"}
        if event.type != "LEFTMOUSE":
            return {"PASS_THROUGH"}
        place = self._place(context, event)
        if event.value == "PRESS":
            if place is None:
                return {"PASS_THROUGH"}
            self.begin = place
            return {"RUNNING_MODAL"}
        if self.begin is None or event.value != "RELEASE":
            return {"RUNNING_MODAL"}
        end = place or self.begin
        low, high = map(min, zip(self.begin, end, strict=True)), map(max, zip(self.begin, end, strict=True))
        self.box = (*low, *high)
        context.window.cursor_modal_restore()
        return self.execute(context)

    @staticmethod
    def _place(context, event):
        """Where the mouse is, in parts of the image of the viewport below it; None outside."""
        for area in context.screen.areas:
            region = next((other for other in area.regions if other.type == "WINDOW"), None)
            if area.type != "VIEW_3D" or region is None:
                continue
            with context.temp_override(area=area, region=region):
                frame = overlay.frame_in_view(bpy.context)
            if frame is None:
                continue
            x, y = event.mouse_x - region.x - frame.left, event.mouse_y - region.y - frame.bottom
            if 0 <= x < frame.width and 0 <= y < frame.height:
                return x / frame.width, 1 - y / frame.height
        return None

    @reports_errors
    def execute(self, context):
        found = picked.pick(context.scene, tuple(self.box))
        first = found.found.shares[0]
        self.report({"INFO"}, f"{counted(found.selected)} splats are selected; the first has {first:.0%}")
        return {"FINISHED"}


class _OfSplats:
    """What is done with an object's splats: the named one's, the active one's, or those of the scene's run."""

    of: bpy.props.StringProperty(
        name="Object", description="Whose splats; empty: the active object's", options={"SKIP_SAVE", "HIDDEN"}
    )

    def subject(self, context):
        return bpy.data.objects.get(self.of) or _subject(context) or picked.run_splats(context.scene)


class SPLAT_OT_map_blame(_OfSplats, bpy.types.Operator):
    """Compare all splats with their photos, and say how much each has to do with what these contradict. Nothing is
    changed but what is said about them"""

    bl_idname = "splat.map_blame"
    bl_label = "Make Blame Map"
    bl_options = {"REGISTER"}

    photos: bpy.props.EnumProperty(name="Photos", description="Which photos the splats are compared with", items=WHICH)
    wait: bpy.props.BoolProperty(
        name="Wait", description="For scripts: return once it is done", options={"SKIP_SAVE", "HIDDEN"}
    )

    @classmethod
    def poll(cls, context):
        if inspecting.is_running():
            return allows(cls, "Splats are being inspected")
        return allows(cls, choosing.problem(_subject(context)))

    @reports_errors
    def execute(self, context):
        inspecting.start(context.scene, self.subject(context), mapped.look(self.photos))
        if self.wait:
            inspecting.wait()
        else:
            inspecting.begin_watching()
        return {"FINISHED"}


class SPLAT_OT_show_blame(bpy.types.Operator):
    """Color splats by their blame in the viewport, yellow where it is high, or by their own colors again"""

    bl_idname = "splat.show_blame"
    bl_label = "Show Blame"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        item = _subject(context)
        return allows(cls, "" if item is not None and mapped.told(item.data) else "Make a blame map first")

    @reports_errors
    def execute(self, context):
        chosen = context.scene.splat.viewport
        is_shown = chosen.color_by == "ATTRIBUTE" and chosen.attribute == mapped.BLAME
        chosen.attribute, chosen.color_by = mapped.BLAME, "RADIANCE" if is_shown else "ATTRIBUTE"
        return {"FINISHED"}


class SPLAT_OT_photos_of_splat(_OfSplats, bpy.types.Operator):
    """Say in which photos this splat appears, and where: those that were trained on have put it there"""

    bl_idname = "splat.photos_of_splat"
    bl_label = "Photos of This Splat"
    bl_options = {"REGISTER"}

    splat: bpy.props.IntProperty(name="Splat", description="Its index; -1: the one selected splat", default=-1, min=-1)

    @reports_errors
    def execute(self, context):
        item = self.subject(context)
        splat = self.splat if self.splat >= 0 else picked.selected_splat(item)
        _tell_photos(self, context.scene, item, splat)
        return {"FINISHED"}


class SPLAT_OT_click_splat(_OfSplats, bpy.types.Operator):
    """Click a splat in the viewport: it is selected, and the photos are listed in which it appears"""

    bl_idname = "splat.click_splat"
    bl_label = "Click a Splat"
    bl_options = {"REGISTER", "UNDO"}

    splat: bpy.props.IntProperty(name="Splat", description="Its index", default=0, min=0, options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, context):
        return allows(cls, choosing.problem(_subject(context)))

    def invoke(self, context, event):
        context.window.cursor_modal_set("EYEDROPPER")
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        if event.type in {"ESC", "RIGHTMOUSE"}:
            context.window.cursor_modal_restore()
            return {"CANCELLED"}
        if event.type != "LEFTMOUSE" or event.value != "PRESS":
            return {"PASS_THROUGH"}
        context.window.cursor_modal_restore()
        return self._clicked(context, event)

    @reports_errors
    def _clicked(self, context, event):
        for area in context.screen.areas:
            region = next((other for other in area.regions if other.type == "WINDOW"), None)
            if area.type != "VIEW_3D" or region is None:
                continue
            x, y = event.mouse_x - region.x, region.y + region.height - 1 - event.mouse_y
            if not (0 <= x < region.width and 0 <= y < region.height):
                continue
            view = area.spaces.active.region_3d
            camera = camera_of_matrices(view.view_matrix, view.window_matrix, region.width, region.height)
            self.splat = picked.splat_at(self.subject(context), camera, (x + 0.5, y + 0.5))
            return self.execute(context)
        return {"CANCELLED"}

    @reports_errors
    def execute(self, context):
        item = self.subject(context)
        picked.select_one(item, self.splat)
        _tell_photos(self, context.scene, item, self.splat)
        return {"FINISHED"}


def _subject(context) -> bpy.types.Object | None:
    """The active object's splats; else those of the scene's run."""
    active, path = context.active_object, run_path(context.scene)
    if active is not None and is_splats(active):
        return active
    return run_object.find(context.scene, RunFolder(path)) if path else None


def _tell_photos(operator, scene, item, splat: int) -> None:
    found = photos.appearances(scene, item, splat)
    trained = [one.view for one in found if not one.is_held_out]
    if not found:
        raise RunError("No photo shows this splat at its center.", "Choose another one.")
    names = f": {', '.join(trained[:6])}" if trained else ""
    operator.report({"INFO"}, f"{counted(len(trained))} training views show splat {splat}{names}")


CLASSES = (SPLAT_OT_blame, SPLAT_OT_map_blame, SPLAT_OT_show_blame, SPLAT_OT_photos_of_splat, SPLAT_OT_click_splat)
