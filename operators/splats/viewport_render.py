"""Rendering what a viewport shows, splats included: Blender's own viewport renders leave them out."""

import bpy

from ...splat_addon.run.wording import counted
from ...splat_addon.scene.rendering import playblast
from ...splat_addon.scene.settings.viewport import RENDER_FROM
from ...splat_addon.scene.splats.data import is_splats
from ...splat_addon.scene.viewport import display, still
from ...splat_addon.scene.viewport.picture import Picture
from ..reporting import allows, reports_errors

_PAUSE_S = 0.01  # between frames, in which Blender draws and hears Esc


class SPLAT_OT_render_viewport(bpy.types.Operator):
    """Render what the viewport shows, splats included, which Blender's own viewport renders leave out: an image in the
    Image Editor, or the frames of the scene as its output format and path say"""

    bl_idname = "splat.render_viewport"
    bl_label = "Render Viewport with Splats"
    bl_options = {"REGISTER"}

    animation: bpy.props.BoolProperty(
        name="Animation",
        description="Render all frames to the scene's output path; Esc stops",
        options={"SKIP_SAVE"},
    )
    source: bpy.props.EnumProperty(name="From", description="From where the scene is seen", items=RENDER_FROM)
    overlays: bpy.props.BoolProperty(
        name="Overlays",
        description="With the grid, outlines and the like, as the viewport draws them",
    )

    @classmethod
    def poll(cls, context):
        problem = ""
        if not still.has_graphics():
            problem = "Blender draws no viewports in background: open the file in a window"
        elif _area(context) is None:
            problem = "There is no 3D view here to render"
        elif not display.shown_in(context.scene, context.view_layer, _area(context).spaces.active).placed:
            problem = "The viewport shows no splats: import some, or Show Splats in Viewport"
        elif bpy.app.is_job_running("RENDER"):
            problem = "A render is running already"
        return allows(cls, problem)

    def invoke(self, context, _event):
        return self._begin(context) if self.animation else self.execute(context)

    @reports_errors
    def execute(self, context):
        viewport = self._viewport(context)
        if still.stands_in(viewport):
            self.report(
                {"INFO"}, f"{context.scene.render.engine.title()} draws in windows alone: Material Preview instead"
            )
        if not self.animation:
            image = playblast.shown_image(still.draw(viewport, Picture()))
            _show(context, image)
            self.report({"INFO"}, f"{image.name}: {image.size[0]} × {image.size[1]} px, not saved yet")
            return {"FINISHED"}
        run = playblast.Playblast(viewport)
        try:
            while run.step():
                pass
            self._tell(run)
        finally:
            run.close()
        return {"FINISHED"}

    @reports_errors
    def _begin(self, context):
        self._run = playblast.Playblast(self._viewport(context))
        self._timer = context.window_manager.event_timer_add(_PAUSE_S, window=context.window)
        context.window_manager.progress_begin(0, 100)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        if event.type == "ESC":
            self.report({"WARNING"}, f"Stopped: {self._run.text}. {_written(self._run)}")
            return self._end(context, {"CANCELLED"})
        if event.type != "TIMER":
            return {"RUNNING_MODAL"}
        context.workspace.status_text_set(f"Render Viewport with Splats: {self._run.text} · Esc stops")
        context.window_manager.progress_update(100 * self._run.fraction)
        result = self._advance(context)
        return result if result == {"RUNNING_MODAL"} else self._end(context, result)

    @reports_errors
    def _advance(self, _context):
        if self._run.step():
            return {"RUNNING_MODAL"}
        self._tell(self._run)
        return {"FINISHED"}

    def cancel(self, context):
        self._end(context, {"CANCELLED"})

    def _end(self, context, result):
        self._run.close()
        context.window_manager.event_timer_remove(self._timer)
        context.window_manager.progress_end()
        context.workspace.status_text_set(None)
        return result

    def _tell(self, run) -> None:
        self.report({"INFO"}, _written(run))

    def _viewport(self, context):
        area = _area(context)
        region = next(region for region in area.regions if region.type == "WINDOW")
        is_through_camera = self.source == "CAMERA"
        space = area.spaces.active
        return still.Viewport(
            context.scene, context.view_layer, space, region, is_through_camera, has_overlays=self.overlays
        )


def _written(run) -> str:
    """What a playblast has written, in words."""
    left = f"; {counted(run.skipped)} were there already (Overwrite is off)" if run.skipped else ""
    if not run.paths:
        return f"Nothing was written{left}."
    frames = f"{counted(len(run.paths))} frames, the last" if len(run.paths) > 1 else "Written:"
    return f"{frames} {run.paths[-1]}{left}."


def _area(context):
    """The 3D view that is meant: the one in which the operator is called, else the largest."""
    if context.area is not None and context.area.type == "VIEW_3D":
        return context.area
    areas = [area for area in context.screen.areas if area.type == "VIEW_3D"] if context.screen else []
    return max(areas, key=lambda area: area.width * area.height, default=None)


def _show(context, image) -> None:
    """Show an image in an Image Editor; where there is none, Blender opens one as it does for renders."""
    editors = _image_editors(context)
    if not editors and not bpy.app.background:
        bpy.ops.render.view_show("INVOKE_DEFAULT")
        editors = _image_editors(context)
    for editor in editors[:1]:
        editor.image = image


def _image_editors(context) -> list:
    windows = context.window_manager.windows
    areas = [area for window in windows for area in window.screen.areas if area.type == "IMAGE_EDITOR"]
    return [area.spaces.active for area in areas]


def draw_buttons(layout, scene, still_text: str, animation_text: str) -> None:
    """The still and the animation, as the scene has them set."""
    for text, icon, is_animation in ((still_text, "RENDER_STILL", False), (animation_text, "RENDER_ANIMATION", True)):
        chosen = layout.operator(SPLAT_OT_render_viewport.bl_idname, text=text, icon=icon)
        chosen.animation = is_animation
        chosen.source, chosen.overlays = scene.splat.viewport.render_from, scene.splat.viewport.render_overlays


def draw_in_view_menu(self, context):
    """In the menu View, where Blender's own viewport renders are."""
    if any(map(is_splats, context.scene.objects)):
        self.layout.separator()
        names = "Render Viewport with Splats", "Render Viewport Animation with Splats"
        draw_buttons(self.layout, context.scene, *names)


MENUS = {"VIEW3D_MT_view": draw_in_view_menu}
CLASSES = (SPLAT_OT_render_viewport,)
