"""From what went wrong, or is not possible, to what the user reads."""

import functools

from ..splat_addon.errors import SplatError
from ..splat_addon.scene.own_data import require_local


def reports_errors(execute):
    """An operator's `execute`, or what it does at an event, whose SplatError becomes a report with its remedy. Anything
    else is a bug and shows.

    What makes an undo step changes the scene, which is refused where that is linked from another file.
    """

    @functools.wraps(execute)
    def reporting(self, context, *event):
        try:
            if "UNDO" in self.bl_options:
                require_local(context.scene)
            return execute(self, context, *event)
        except SplatError as error:
            self.report({"ERROR"}, f"{error.message} {error.remedy}".strip())
            return {"CANCELLED"}

    return reporting


def allows(cls, problem: str) -> bool:
    """What an operator's `poll` answers: whether there is no problem. Else the gray button tells it."""
    if problem:
        cls.poll_message_set(problem)
    return not problem
