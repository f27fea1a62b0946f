"""A child that prints JSON objects, one per line: a set-up, or a Python that is asked what it has."""

import json

from ..run.children.child import Child, PipeLink
from ..run.children.exit_codes import how_it_ended
from ..run.children.trainer_process import trainer_environment

_LAST = {"finished", "failed", "findings"}  # an object with one of these is the last


class JsonChild(Child[dict]):
    """A child whose messages are JSON objects. Closing its input tells it to end.

    The last of one that breaks off is {"failed": message, "remedy": remedy}; `failure` begins the message, and the last
    line that was not JSON explains it. Raises SetupError when it cannot be started.
    """

    def __init__(self, command: list[str], failure: str, remedy: str):
        self._failure, self._last_line = failure, ""
        link = PipeLink(command, trainer_environment(), command[0], "Choose another Python.")
        super().__init__(link, command[0], remedy)

    def _decode(self, line: str) -> dict | None:
        try:
            said = json.loads(line)
        except ValueError:
            said = None
        if isinstance(said, dict):
            return said
        self._last_line = line.strip() or self._last_line
        return None

    def _is_first(self, message: dict) -> bool:
        return True

    def _is_last(self, message: dict) -> bool:
        return not _LAST.isdisjoint(message)

    def _failed(self, message: str, remedy: str) -> dict:
        return {"failed": message, "remedy": remedy}

    def _ended(self, code: int | None) -> dict:
        reason = self._last_line or f"it {how_it_ended(code)}"
        return self._failed(f"{self._failure}: {reason.rstrip('.')}.", self._remedy)
