"""Borrowing the artist's settings: whatever happens, they get them back."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Borrowed:
    """Remembers each setting before it is changed."""

    def __init__(self):
        self._before: list[tuple[Any, dict[str, Any]]] = []

    def set(self, owner: Any, **values: Any) -> None:
        """Change attributes of a Blender struct, in order; those that this version of Blender lacks are left out.

        Settings that pull others along (a file format its colour depth) belong into one call, the leading one first:
        all are remembered before the first is changed, and given back in the same order.
        """
        present = {name: value for name, value in values.items() if hasattr(owner, name)}
        self._before.append((owner, {name: getattr(owner, name) for name in present}))
        for name, value in present.items():
            setattr(owner, name, value)

    def give_back(self) -> None:
        """Restore everything, the last call's settings first."""
        while self._before:
            owner, before = self._before.pop()
            for name, value in before.items():
                setattr(owner, name, value)


@contextmanager
def borrow() -> Iterator[Borrowed]:
    """`with borrow() as settings: settings.set(scene.render, resolution_x=400)`: restored on every way out."""
    settings = Borrowed()
    try:
        yield settings
    finally:
        settings.give_back()
