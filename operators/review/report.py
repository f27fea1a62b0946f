"""The report of a run: written by the trainer's Python, opened in the browser."""

import os
from pathlib import Path

import bpy

from ...splat_addon.errors import RunError
from ...splat_addon.run.folder import RunFolder
from ...splat_addon.scene.review import held_out
from ...splat_addon.scene.settings import preferences
from ...splat_addon.scene.settings.paths import run_path
from ...splat_addon.scene.tasks import report_writer
from ..reporting import reports_errors


class SPLAT_OT_save_report(bpy.types.Operator):
    """Write the run's curves, held-out table and images into one HTML page, even while it trains"""

    bl_idname = "splat.save_report"
    bl_label = "Save Report"
    bl_options = {"REGISTER"}

    wait: bpy.props.BoolProperty(
        name="Wait", description="For scripts: return once the page is written", options={"SKIP_SAVE", "HIDDEN"}
    )

    @classmethod
    def poll(cls, context):
        if report_writer.is_writing():
            cls.poll_message_set("A report is being written")
            return False
        if run_path(context.scene) is None:
            cls.poll_message_set("Train first, or choose a run: this scene has none")
            return False
        return True

    @reports_errors
    def execute(self, context):
        folder = RunFolder(held_out.require_run(context.scene))
        report_writer.start(folder, Path(preferences.trainer_python()))
        if self.wait:
            report_writer.wait()
            self.report({"INFO"}, f"Saved {folder.report_file}")
        else:
            report_writer.begin_watching()
        return {"FINISHED"}


class SPLAT_OT_open_report(bpy.types.Operator):
    """Open the run's report in the browser"""

    bl_idname = "splat.open_report"
    bl_label = "Open Report"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        path = run_path(context.scene)
        if path is None or not os.path.isfile(RunFolder(path).report_file):
            cls.poll_message_set("Save a report first")
            return False
        return True

    @reports_errors
    def execute(self, context):
        page = RunFolder(held_out.require_run(context.scene)).report_file
        if bpy.ops.wm.url_open(url=page.as_uri()) != {"FINISHED"}:
            raise RunError("No browser could be opened.", f"Open {page} yourself.")
        return {"FINISHED"}


CLASSES = (SPLAT_OT_save_report, SPLAT_OT_open_report)
