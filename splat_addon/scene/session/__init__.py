"""What this Blender is doing, from the moment the add-on is registered until it is unregistered. Never saved.

    __init__.py  the one session, in which features keep their state
    timer.py     the one timer, which runs what is due
    redraw.py    the one way to have windows drawn again
    changes.py   the one way to forget what was read from data that change
    icons.py     the one way to show a picture in a panel

A feature's state is an object of a class of its own: `part(Display)` makes it at the first call and returns the same
one from then on. When the session is closed, parts that have a `close` method are told, the newest first.
"""

from typing import Any, TypeVar

Part = TypeVar("Part")


class Session:
    """The state of all features, by class."""

    def __init__(self) -> None:
        self._parts: dict[type, Any] = {}

    def part(self, kind: type[Part]) -> Part:
        """The one object of class `kind`, made without arguments when it is asked for the first time."""
        if kind not in self._parts:
            self._parts[kind] = kind()
        return self._parts[kind]

    def drop(self, kind: type) -> None:
        """Tell the part of class `kind`, if there is one, and forget it."""
        close = getattr(self._parts.pop(kind, None), "close", None)
        if close is not None:
            close()

    def close(self) -> None:
        """Tell all parts, the newest first, and forget them."""
        while self._parts:
            self.drop(next(reversed(self._parts)))


_open: list[Session] = []  # none or one


def begin() -> None:
    """When the add-on is registered."""
    _open.append(Session())


def end() -> None:
    """When the add-on is unregistered: whatever runs is let go of."""
    try:
        _open[-1].close()
    finally:
        _open.pop()


def part(kind: type[Part]) -> Part:
    """The open session's part of class `kind`."""
    return _open[-1].part(kind)
