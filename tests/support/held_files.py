"""Files that somebody has open, on a system that does not let them be moved or removed then, as Windows does not."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SHARING_VIOLATION = 32  # Windows' ERROR_SHARING_VIOLATION


class HeldFiles:
    """Refuses as Windows does to replace, remove or rename what is held, or a folder with something held in it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self._held: dict[Path, int | None] = {}  # how often it is refused before it is let go; None: always
        self.refused: list[str] = []  # the name of what was held, once for each refusal
        for name in ("replace", "unlink", "rmdir"):
            monkeypatch.setattr(os, name, self._refusing(getattr(os, name)))

    def hold(self, path: Path, refusals: int | None = None) -> None:
        """Let `path`, which need not exist yet, be held until it was refused so often; else for good."""
        self._held[path] = refusals

    def let_go(self, path: Path) -> None:
        """Nobody holds it any longer."""
        self._held.pop(path, None)

    def _refusing(self, act: Callable) -> Callable:
        def refusing(*paths: Any, dir_fd: int | None = None, **options: Any) -> None:
            for path in map(Path, paths):
                for held in list(self._held):
                    is_same = held.name == path.name if dir_fd is not None else held.is_relative_to(path)
                    if is_same:
                        self.refused.append(held.name)
                        left = self._held.get(held)
                        if left is not None:
                            self._held[held] = left - 1
                        if left == 1:
                            self.let_go(held)
                        raise sharing_violation(path)
            return act(*paths, **({} if dir_fd is None else {"dir_fd": dir_fd}), **options)

        return refusing


def sharing_violation(path: Path) -> PermissionError:
    """What Windows says when a file is used by another process."""
    error = PermissionError(errno.EACCES, "The process cannot access the file", str(path))
    error.winerror = SHARING_VIOLATION  # type: ignore[attr-defined, unused-ignore]
    return error
