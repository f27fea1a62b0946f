"""Starting, watching and ending a training run."""

from pathlib import Path

import bpy

from ..splat_addon.errors import RunError
from ..splat_addon.run.folder import RunFolder, next_run_path
from ..splat_addon.scene.review import curves, held_out
from ..splat_addon.scene.runs import found_runs, preview
from ..splat_addon.scene.settings import preferences
from ..splat_addon.scene.settings.scene import remember_run, run_path, train_config
from ..splat_addon.scene.tasks import live_run, preflight
from .reporting import reports_errors

TICK_S = 0.25

_WAIT = bpy.props.BoolProperty(
    name="Wait",
    description="For scripts: return only when the run is over; it is an error when it failed",
    options={"SKIP_SAVE", "HIDDEN"},
)


class SPLAT_OT_start_training(bpy.types.Operator):
    """Train splats on the capture in a process of its own; Blender stays free"""

    bl_idname = "splat.start_training"
    bl_label = "Start Training"
    bl_options = {"REGISTER"}

    wait: _WAIT

    @classmethod
    def poll(cls, context):
        if live_run.is_training():
            cls.poll_message_set("A run is training already: stop it first")
            return False
        if not context.scene.splat.capture.folder:
            cls.poll_message_set("Choose a capture folder first")
            return False
        return has_trainer(cls, context)

    @reports_errors
    def execute(self, context):
        config = train_config(context.scene)
        capture = Path(config.capture)
        if not capture.is_dir():
            raise RunError(f"The capture folder {capture} does not exist.", "Capture the scene, or choose a capture.")
        runs = capture.with_name(capture.name + "_runs")
        python = Path(preferences.trainer_python())
        run = live_run.start(context.scene, config, next_run_path(runs), python, preferences.outlives())
        found_runs.remember(run.folder.path)
        self.report({"INFO"}, f"Training in {run.folder.path}")
        return _go_on(self.wait)


class SPLAT_OT_resume_training(bpy.types.Operator):
    """Go on with the run of this scene from what it last saved"""

    bl_idname = "splat.resume_training"
    bl_label = "Resume Run"
    bl_options = {"REGISTER"}

    wait: _WAIT

    @classmethod
    def poll(cls, context):
        if live_run.is_training():
            cls.poll_message_set("A run is training already: stop it first")
            return False
        path = run_path(context.scene)
        if path is None or not RunFolder(path).checkpoint_file.is_file():
            cls.poll_message_set("This scene has no run that has saved anything to go on from")
            return False
        return has_trainer(cls, context)

    @reports_errors
    def execute(self, context):
        path, python = held_out.require_run(context.scene), Path(preferences.trainer_python())
        run = live_run.resume(context.scene, path, python, preferences.outlives())
        self.report({"INFO"}, f"Going on in {run.folder.path}")
        return _go_on(self.wait)


def _go_on(is_to_wait: bool) -> set[str]:
    """Leave the run to the timer, or wait for its end. Raises RunError when it was waited for and failed."""
    if not is_to_wait:
        start_ticking()
        return {"FINISHED"}
    run = live_run.wait()
    if run.state == "failed":
        raise RunError(run.message, "")
    return {"FINISHED"}


def has_trainer(cls, context) -> bool:
    """Whether a Python that trains was chosen; the poll message says how to choose one."""
    chosen = preferences.of_addon()
    if not chosen or not chosen.trainer_python:
        cls.poll_message_set("Set the trainer Python in the add-on preferences first")
        return False
    return True


class SPLAT_OT_command_training(bpy.types.Operator):
    """Tell the run what to do"""

    bl_idname = "splat.command_training"
    bl_label = "Command Training"
    bl_options = {"INTERNAL"}

    command: bpy.props.EnumProperty(
        items=[
            ("stop", "Stop", "Finish this step, save the result and end"),
            ("pause", "Pause", "Rest until resumed; the processor is free meanwhile"),
            ("resume", "Resume", "Go on training"),
            ("snapshot", "Snapshot", "Save the splats as they are now"),
        ]
    )

    @classmethod
    def description(cls, context, properties):
        return cls.bl_rna.properties["command"].enum_items[properties.command].description

    @classmethod
    def poll(cls, context):
        if not live_run.is_training():
            cls.poll_message_set("No run is training")
            return False
        return True

    @reports_errors
    def execute(self, context):
        live_run.send(self.command)
        return {"FINISHED"}


def start_ticking() -> None:
    """Let Blender's timers watch and follow the run. They do not tick in background mode; scripts call
    `live_run.pump`."""
    preview.prepare()
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=TICK_S, persistent=True)
    if not bpy.app.timers.is_registered(_follow):
        bpy.app.timers.register(_follow, first_interval=TICK_S, persistent=True)


def stop_ticking() -> None:
    """Before the add-on goes."""
    for timer in (_tick, _follow, _show_found_runs):
        if bpy.app.timers.is_registered(timer):
            bpy.app.timers.unregister(timer)


def _tick() -> float | None:
    if live_run.pump():
        curves.follow()
        _redraw()
    run = live_run.current()
    if run is None:
        return None
    if not run.is_over:
        return TICK_S
    if run.state == "finished" and not _import_result(run):
        return TICK_S
    preflight.remember_speed(run)
    look_for_runs()
    return None


def _follow() -> float | None:
    """Apart from `_tick`, so that whatever may happen here, the run is still watched."""
    if preview.tick(TICK_S):
        _redraw()
    return TICK_S if live_run.is_training() else None


def _import_result(run) -> bool:
    """The result appears by itself, as an undo step of its own, once nobody is disturbed by it; False: not yet."""
    scene = live_run.scene_of(run)
    if scene is None:
        return True  # another file is open: the result waits in its folder
    if preview.is_unwanted(run, scene):
        return True  # deleted or edited by the artist, who will ask for the result if it is wanted
    window = next((window for window in bpy.context.window_manager.windows if window.scene == scene), None)
    if window is None or bpy.app.is_job_running("RENDER"):
        return False
    with bpy.context.temp_override(window=window):
        if bpy.context.mode != "OBJECT":
            return False
        bpy.ops.splat.import_result("EXEC_DEFAULT", True)
    return True


def look_for_runs() -> None:
    """Look for runs in a thread and show them when they are found; at once where no timer ticks."""
    found_runs.search(wait=bpy.app.background)
    if not bpy.app.background and not bpy.app.timers.is_registered(_show_found_runs):
        bpy.app.timers.register(_show_found_runs, first_interval=TICK_S, persistent=True)


def _show_found_runs() -> float | None:
    if not found_runs.take_up():
        return TICK_S
    _redraw()
    return None


@bpy.app.handlers.persistent
def keep_run_through_undo(*_) -> None:
    """Undoing what was done before a run was started must not lose the run, nor what it measured since."""
    preview.forget_object()
    run = live_run.current()
    scene = live_run.scene_of(run) if run is not None and run.backend else None
    if run is not None and scene is not None:
        if not scene.splat.run_folder:
            remember_run(scene, run.folder.path)
        elif run.evaluations and run_path(scene) == run.folder.path:
            live_run.list_held_out_views(scene, run.evaluations[-1])


@bpy.app.handlers.persistent
def take_up_loaded_file(*_) -> None:
    """A file that was saved during a run lists what the run measured since, and finds its run again."""
    live_run.find_scene_again()
    preview.forget_object()
    for scene in bpy.data.scenes:
        if scene.splat.run_folder and scene.library is None:
            live_run.list_views_of_run(scene)
    look_for_runs()


HANDLERS = {"undo_post": keep_run_through_undo, "redo_post": keep_run_through_undo, "load_post": take_up_loaded_file}


def _redraw() -> None:
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()


CLASSES = (SPLAT_OT_start_training, SPLAT_OT_resume_training, SPLAT_OT_command_training)
