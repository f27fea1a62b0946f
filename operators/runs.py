"""Runs that were found: watched, gone on with, imported, deleted."""

from pathlib import Path

import bpy

from ..splat_addon.errors import RunError
from ..splat_addon.run.find import delete_run, is_run
from ..splat_addon.run.folder import RunFolder
from ..splat_addon.scene.runs import found_runs
from ..splat_addon.scene.runs.run_object import bring_in
from ..splat_addon.scene.settings import preferences
from ..splat_addon.scene.settings.paths import remember_run
from ..splat_addon.scene.tasks import live_run, watching
from .reporting import reports_errors
from .splats.result import report_brought_in
from .training import has_trainer


class _OfOneRun:
    """An operator on the run in `path`."""

    path: bpy.props.StringProperty(name="Run Folder", subtype="DIR_PATH", options={"SKIP_SAVE"})

    def folder(self) -> Path:
        """The run's folder. Raises RunError when it holds none."""
        path = Path(self.path)
        if not self.path or not is_run(path):
            raise RunError(f"{path} no longer holds a run.", "It was moved or deleted; look for runs again.")
        return path


class SPLAT_OT_watch_run(_OfOneRun, bpy.types.Operator):
    """Watch this run while it trains: follow, pause or stop it from here, whichever Blender started it"""

    bl_idname = "splat.watch_run"
    bl_label = "Watch"
    bl_options = {"REGISTER"}

    @reports_errors
    def execute(self, context):
        run = live_run.current()
        if run is not None and not run.is_over and run.folder.path == self.folder().resolve():
            remember_run(context.scene, run.folder.path)  # another run was being looked at
        else:
            run = live_run.watch(context.scene, self.folder())
            watching.begin()
        self.report({"INFO"}, f"Watching {run.folder.path}")
        return {"FINISHED"}


class SPLAT_OT_resume_run(_OfOneRun, bpy.types.Operator):
    """Continue this run from its last save"""

    bl_idname = "splat.resume_run"
    bl_label = "Resume"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        return _is_free(cls) and has_trainer(cls, context)

    @reports_errors
    def execute(self, context):
        folder = self.folder()
        live_run.resume(context.scene, folder, Path(preferences.trainer_python()), preferences.outlives())
        remember_run(context.scene, folder)
        watching.begin()
        self.report({"INFO"}, f"Continuing in {folder}")
        return {"FINISHED"}


class SPLAT_OT_import_run(_OfOneRun, bpy.types.Operator):
    """Make this the run of the scene: import its splats and list its held-out views"""

    bl_idname = "splat.import_run"
    bl_label = "Import"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        if context.mode != "OBJECT":
            cls.poll_message_set("Switch to Object Mode first")
            return False
        return True

    @reports_errors
    def execute(self, context):
        folder = RunFolder(self.folder().resolve())
        brought = bring_in(context.scene, context.view_layer, folder)
        remember_run(context.scene, folder.path)
        found_runs.look_again()
        report_brought_in(self, brought)
        return {"FINISHED"}


class SPLAT_OT_delete_run(_OfOneRun, bpy.types.Operator):
    """Delete this run from the disk: its splats, checkpoint and record. The capture is kept. This cannot be undone"""

    bl_idname = "splat.delete_run"
    bl_label = "Delete Run"
    bl_options = {"REGISTER"}

    def invoke(self, context, event):
        return context.window_manager.invoke_confirm(
            self,
            event,
            title="Delete this run from the disk?",
            message=f"{self.path}\nIts splats, checkpoint and record are lost. Splats in scenes are kept.",
            confirm_text="Delete",
            icon="WARNING",
        )

    @reports_errors
    def execute(self, context):
        folder = self.folder()
        watched = live_run.current()
        if watched is not None and watched.folder.path == folder.resolve() and not watched.is_over:
            raise RunError(f"{folder.name} is training.", "Stop it first; nothing was deleted.")
        left = delete_run(folder)
        found_runs.look_again()
        if left:
            self.report({"WARNING"}, f"Deleted the run; other files stay in {folder}: {', '.join(left[:5])}")
        else:
            self.report({"INFO"}, f"Deleted {folder}")
        return {"FINISHED"}


class SPLAT_OT_find_runs(bpy.types.Operator):
    """Look for runs again: next to the captures of this file, where runs were started before, and where the preferences
    say"""

    bl_idname = "splat.find_runs"
    bl_label = "Look Again"
    bl_options = {"REGISTER"}

    @reports_errors
    def execute(self, context):
        found_runs.look_again()
        if bpy.app.background:
            self.report({"INFO"}, f"Found {len(found_runs.runs())} runs")
        return {"FINISHED"}


def _is_free(cls) -> bool:
    if live_run.is_training():
        cls.poll_message_set("A run is already training: stop it first")
        return False
    return True


CLASSES = (SPLAT_OT_watch_run, SPLAT_OT_resume_run, SPLAT_OT_import_run, SPLAT_OT_delete_run, SPLAT_OT_find_runs)
