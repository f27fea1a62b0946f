"""From what went wrong to what the user reads."""

import functools

from ..splat_addon.errors import SplatError


def reports_errors(execute):
    """An operator's `execute` whose SplatError becomes a report with its remedy. Anything else is a bug and shows."""

    @functools.wraps(execute)
    def reporting(self, context):
        try:
            return execute(self, context)
        except SplatError as error:
            self.report({"ERROR"}, f"{error.message} {error.remedy}".strip())
            return {"CANCELLED"}

    return reporting
