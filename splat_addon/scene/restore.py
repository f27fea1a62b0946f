"""Borrowing the artist's settings: whatever happens, they get them back."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Borrowed:
    """Remembers each setting before it is changed."""

    def __init__(self):
        self._before: list[tuple[Any, str, Any]] = []

    def set(self, owner: Any, **values: Any) -> None:
        """Change attributes of a Blender struct; those that this version of Blender lacks are left out."""
        for name, value in values.items():
            if not hasattr(owner, name):
                continue
            before = getattr(owner, name)
            setattr(owner, name, value)
            self._before.append((owner, name, before))

    def give_back(self) -> None:
        """Restore everything, the last change first, because some settings depend on others."""
        while self._before:
            owner, name, before = self._before.pop()
            setattr(owner, name, before)


@contextmanager
def borrow() -> Iterator[Borrowed]:
    """`with borrow() as settings: settings.set(scene.render, resolution_x=400)`: restored on every way out."""
    settings = Borrowed()
    try:
        yield settings
    finally:
        settings.give_back()
