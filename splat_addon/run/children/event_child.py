"""A child that works in a folder and speaks the vocabulary of `events.py`: the trainer, the render of a capture."""

from pathlib import Path
from typing import Protocol

from ...files import is_full
from ..events import Event, Failed, First, Last, decode_event
from .child import Child, Link
from .exit_codes import how_it_ended


class ChildFolder(Protocol):
    """Where a child works, and what it leaves there."""

    @property
    def path(self) -> Path: ...

    @property
    def log_file(self) -> Path: ...

    def log_tail(self) -> str:
        """The last lines that libraries printed."""

    def what_is_left(self) -> str:
        """A sentence about what a child that broke off has left."""


class EventChild(Child[Event]):
    """A child whose messages are events, in the order that `events.py` tells."""

    def __init__(self, link: Link, folder: ChildFolder, title: str, remedy: str, start_limit_s: float | None):
        self.folder = folder
        super().__init__(link, title, remedy, start_limit_s)

    def _decode(self, line: str) -> Event | None:
        return decode_event(line)

    def _is_first(self, message: Event) -> bool:
        return isinstance(message, First)

    def _is_last(self, message: Event) -> bool:
        return isinstance(message, Last)

    def _failed(self, message: str, remedy: str) -> Event:
        return Failed(message, remedy)

    def _ended(self, code: int | None) -> Event:
        said = self.folder.log_tail()
        if not said and is_full(self.folder.path):  # neither an event nor the log could be written
            return Failed("The disk is full.", f"Free some space. {self._remains()}")
        reason = f": {said}" if said else " without saying why."
        return Failed(f"{self._title} {how_it_ended(code)}{reason}", self._remains())

    def _remains(self) -> str:
        return f"{self.folder.what_is_left()} See {self.folder.log_file}."
