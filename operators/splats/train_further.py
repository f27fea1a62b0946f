"""Training on from splats that were edited or inspected."""

from pathlib import Path

import bpy

from ...splat_addon.run.wording import counted
from ...splat_addon.scene.inspection import choosing
from ...splat_addon.scene.runs import found_runs
from ...splat_addon.scene.settings import preferences
from ...splat_addon.scene.tasks import live_run, training_further
from ..reporting import reports_errors
from ..training import WAIT, go_on, has_trainer


class SPLAT_OT_train_further(bpy.types.Operator):
    """Train these splats further as they are now, in a run of its own: what was deleted or hidden stays away. This
    object and its run stay as they are"""

    bl_idname = "splat.train_further"
    bl_label = "Train Further"
    bl_options = {"REGISTER", "UNDO"}

    without_floaters: bpy.props.BoolProperty(
        name="Without Floaters",
        description="Leave out the splats whose score is higher, too",
        options={"SKIP_SAVE"},
    )
    wait: WAIT

    @classmethod
    def description(cls, context, properties):
        if properties.without_floaters:
            return (
                "Train on without the splats that have a higher score, in a run of its own: closes the holes that they "
                "leave, and lets none grow there again. This object stays as it is"
            )
        return cls.__doc__

    @classmethod
    def poll(cls, context):
        if live_run.is_training():
            cls.poll_message_set("A run is already training: stop it first")
            return False
        problem = choosing.problem(context.active_object)
        if problem:
            cls.poll_message_set(problem)
            return False
        return has_trainer(cls, context)

    @reports_errors
    def execute(self, context):
        item, chosen = context.active_object, context.scene.splat.training_further
        doomed = None
        if self.without_floaters:
            threshold = context.scene.splat.inspection.threshold
            doomed = choosing.require_floaters(item, threshold)
        wishes = training_further.Wishes(
            chosen.steps, chosen.keep_empty, chosen.without_hidden, chosen.empty, chosen.trained
        )
        python, outlives = Path(preferences.trainer_python()), preferences.outlives()
        run = training_further.start(context.scene, item, wishes, python, outlives, doomed)
        found_runs.remember(run.folder.path)
        without = f" without {counted(int(doomed.sum()))} splats" if doomed is not None else ""
        self.report({"INFO"}, f"Training on{without} in {run.folder.path}")
        return go_on(self.wait)


CLASSES = (SPLAT_OT_train_further,)
