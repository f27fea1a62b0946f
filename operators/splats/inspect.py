"""Floaters: inspecting splats, and what is done about what was found."""

import bpy

from ...splat_addon.errors import RunError
from ...splat_addon.run.wording import counted
from ...splat_addon.scene.inspection import choosing, ghost, stepping
from ...splat_addon.scene.inspection.columns import SCORE
from ...splat_addon.scene.tasks import inspecting, live_render, outside_views, previewing_removal
from ..reporting import allows, reports_errors


class _ActsOnFloaters:
    """What needs scores of the active object's splats."""

    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        return allows(cls, choosing.problem_with_scores(context.active_object))


def _floaters(context):
    """The active object's data and which of its splats are floaters. Raises SceneError when none is."""
    item = context.active_object
    return item.data, choosing.require_floaters(item, context.scene.splat.inspection.threshold)


class SPLAT_OT_inspect_splats(bpy.types.Operator):
    """Find floaters: look through the photos that these splats were trained on, and say for each splat how likely it
    hangs where there is nothing. Nothing is changed but what is said about them"""

    bl_idname = "splat.inspect_splats"
    bl_label = "Inspect Splats"
    bl_options = {"REGISTER"}

    wait: bpy.props.BoolProperty(
        name="Wait", description="For scripts: return once it is done", options={"SKIP_SAVE", "HIDDEN"}
    )

    @classmethod
    def poll(cls, context):
        if inspecting.is_running():
            return allows(cls, "Splats are being inspected")
        return allows(cls, choosing.problem(context.active_object))

    @reports_errors
    def execute(self, context):
        inspecting.start(context.scene, context.active_object)
        if self.wait:
            inspecting.wait()
        else:
            inspecting.begin_watching()
        return {"FINISHED"}


class SPLAT_OT_cancel_inspection(bpy.types.Operator):
    """Stop inspecting; what an earlier inspection found stays"""

    bl_idname = "splat.cancel_inspection"
    bl_label = "Cancel"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        return allows(cls, "" if inspecting.is_running() else "Nothing is being inspected")

    @reports_errors
    def execute(self, context):
        inspecting.cancel()
        return {"FINISHED"}


class SPLAT_OT_show_floater_score(_ActsOnFloaters, bpy.types.Operator):
    """Color splats by their score in the viewport, yellow where it is high, or by their own colors again"""

    bl_idname = "splat.show_floater_score"
    bl_label = "Show Score"

    @reports_errors
    def execute(self, context):
        chosen = context.scene.splat.viewport
        is_shown = chosen.color_by == "ATTRIBUTE" and chosen.attribute == SCORE
        chosen.attribute, chosen.color_by = SCORE, "RADIANCE" if is_shown else "ATTRIBUTE"
        return {"FINISHED"}


class SPLAT_OT_select_floaters(_ActsOnFloaters, bpy.types.Operator):
    """Select the splats with a higher score, and no others: Edit Mode shows them. Kept ones are left out"""

    bl_idname = "splat.select_floaters"
    bl_label = "Select"

    @reports_errors
    def execute(self, context):
        count = choosing.select(*_floaters(context))
        self.report({"INFO"}, f"Selected {counted(count)} splats: see them in Edit Mode")
        return {"FINISHED"}


class SPLAT_OT_keep_splats(bpy.types.Operator):
    """Protect the selected splats: they are not selected, hidden or deleted as floaters any more"""

    bl_idname = "splat.keep_splats"
    bl_label = "Keep Selected"
    bl_options = {"REGISTER", "UNDO"}

    keep: bpy.props.BoolProperty(name="Keep", description="Off: protect them no more", default=True)

    @classmethod
    def poll(cls, context):
        return allows(cls, choosing.problem(context.active_object))

    @reports_errors
    def execute(self, context):
        count = choosing.keep(context.active_object.data, self.keep)
        ghost.refresh(context.scene)
        if not count:
            raise RunError("No splat is selected.", "Select some in Edit Mode, or step to a region.")
        self.report({"INFO"}, f"{counted(count)} splats are {'kept' if self.keep else 'not kept any more'}")
        return {"FINISHED"}


class SPLAT_OT_mark_reflections(bpy.types.Operator):
    """Say that the selected splats show what a mirror, glass or water shows: they look like floaters, and are not
    offered for removal"""

    bl_idname = "splat.mark_reflections"
    bl_label = "Mark as Reflection"
    bl_options = {"REGISTER", "UNDO"}

    mark: bpy.props.BoolProperty(name="Mark", description="Off: they are no reflections", default=True)

    @classmethod
    def poll(cls, context):
        return allows(cls, choosing.problem(context.active_object))

    @reports_errors
    def execute(self, context):
        count = choosing.mark_reflections(context.active_object.data, self.mark)
        ghost.refresh(context.scene)
        if not count:
            raise RunError("No splat is selected.", "Select some in Edit Mode, or step to a region.")
        self.report({"INFO"}, f"{counted(count)} splats are {'' if self.mark else 'not '}taken for reflections")
        return {"FINISHED"}


class SPLAT_OT_hide_floaters(_ActsOnFloaters, bpy.types.Operator):
    """Hide the splats with a higher score, in viewports and, unless Hidden Splats is on there, in renders. Show Hidden
    brings them back"""

    bl_idname = "splat.hide_floaters"
    bl_label = "Hide"

    @reports_errors
    def execute(self, context):
        self.report({"INFO"}, f"Hid {counted(choosing.hide(*_floaters(context)))} splats")
        return {"FINISHED"}


class SPLAT_OT_show_hidden(bpy.types.Operator):
    """Show all splats of this object that are hidden, by whatever they were hidden"""

    bl_idname = "splat.show_hidden"
    bl_label = "Show Hidden"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        return allows(cls, choosing.problem(context.active_object))

    @reports_errors
    def execute(self, context):
        self.report({"INFO"}, f"Showed {counted(choosing.show_all(context.active_object.data))} splats")
        return {"FINISHED"}


class SPLAT_OT_delete_floaters(_ActsOnFloaters, bpy.types.Operator):
    """Delete the splats with a higher score. This alone leaves holes: floaters hold color that photos demand"""

    bl_idname = "splat.delete_floaters"
    bl_label = "Delete"

    @reports_errors
    def execute(self, context):
        self.report({"INFO"}, f"Deleted {counted(choosing.delete(*_floaters(context)))} splats")
        ghost.refresh(context.scene)
        return {"FINISHED"}


class SPLAT_OT_preview_removal(bpy.types.Operator):
    """Measure on the held-out views what the removal would change, before anything is removed: PSNR and SSIM before and
    after, and the share of pixels that become holes. Nothing is changed"""

    bl_idname = "splat.preview_removal"
    bl_label = "Preview Removal"
    bl_options = {"REGISTER"}

    selected: bpy.props.BoolProperty(
        name="Selected",
        description="Of the selected splats instead of those with a higher score",
        options={"SKIP_SAVE"},
    )
    wait: bpy.props.BoolProperty(
        name="Wait", description="For scripts: return once it is done", options={"SKIP_SAVE", "HIDDEN"}
    )

    @classmethod
    def poll(cls, context):
        if previewing_removal.is_running():
            return allows(cls, "A removal is being previewed")
        return allows(cls, choosing.problem(context.active_object))

    @reports_errors
    def execute(self, context):
        item = context.active_object
        doomed = choosing.selected(item.data) if self.selected else _floaters(context)[1]
        if not doomed.any():
            raise RunError("No splat is selected.", "Select some in Edit Mode, or step to a region.")
        previewing_removal.start(context.scene, item, doomed)
        if self.wait:
            previewing_removal.wait()
        else:
            previewing_removal.begin_watching()
        return {"FINISHED"}


class SPLAT_OT_cancel_removal_preview(bpy.types.Operator):
    """Stop measuring what the removal would change"""

    bl_idname = "splat.cancel_removal_preview"
    bl_label = "Cancel"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        return allows(cls, "" if previewing_removal.is_running() else "Nothing is being previewed")

    @reports_errors
    def execute(self, context):
        previewing_removal.cancel()
        return {"FINISHED"}


class SPLAT_OT_render_outside_views(bpy.types.Operator):
    """Render the scene from off the path of its capture's cameras, where floaters show: Preview Removal then measures
    there, too. A second Blender renders a copy of the file, as for the capture; nothing is trained on these views"""

    bl_idname = "splat.render_outside_views"
    bl_label = "Render Outside Views"  # without REGISTER: adjusting the last operation would render all over again

    wait: bpy.props.BoolProperty(
        name="Wait", description="For scripts: return once it is done", options={"SKIP_SAVE", "HIDDEN"}
    )

    @classmethod
    def poll(cls, context):
        return allows(cls, outside_views.problem(context.scene, context.active_object))

    @reports_errors
    def execute(self, context):
        scene = context.scene
        render = outside_views.start(scene, context.active_object, scene.splat.inspection.outside_count)
        if self.wait:
            live_render.wait()
            for warning in render.warnings:
                self.report({"WARNING"}, warning)
            self.report({"INFO"}, render.message)
        else:
            live_render.begin_watching()
            self.report({"INFO"}, "Rendering views off the path in the background")
        return {"FINISHED"}


class SPLAT_OT_step_region(_ActsOnFloaters, bpy.types.Operator):
    """Go to another swarm of floaters, the one that covers most of the photos first: select its splats, and look at
    them"""

    bl_idname = "splat.step_region"
    bl_label = "Next Region"

    by: bpy.props.IntProperty(name="By", description="How many regions to go on; negative: back", default=1)

    @reports_errors
    def execute(self, context):
        item = context.active_object
        region = stepping.step(item, context.scene.splat.inspection.threshold, self.by)
        if context.region_data is not None:
            stepping.frame(context.region_data, item, region)
        ghost.refresh(context.scene)
        return {"FINISHED"}


CLASSES = (
    *(SPLAT_OT_inspect_splats, SPLAT_OT_cancel_inspection, SPLAT_OT_show_floater_score, SPLAT_OT_select_floaters),
    *(SPLAT_OT_keep_splats, SPLAT_OT_hide_floaters, SPLAT_OT_show_hidden, SPLAT_OT_delete_floaters),
    *(SPLAT_OT_mark_reflections, SPLAT_OT_step_region, SPLAT_OT_preview_removal, SPLAT_OT_cancel_removal_preview),
    SPLAT_OT_render_outside_views,
)
