"""Who trains in a run folder: a file that the trainer keeps locked for as long as it lives.

The system lets go of the lock when the process ends, however it ends, so that neither a crash nor another process that
got the same number later can be mistaken for a run that is training.
"""

import json
import os
import sys
import time
from pathlib import Path

_PATIENCE_S = 2.0  # whoever asks whether the lock is held holds it for an instant
_LOCKED_BYTE = 1 << 30  # Windows keeps others from reading what is locked: lock a byte behind the text


class RunLock:
    """The lock of a run folder, held from `take` until `release` or the end of the process."""

    def __init__(self, descriptor: int):
        self._descriptor = descriptor

    @staticmethod
    def take(path: Path) -> "RunLock | None":
        """Hold the lock; None when another process holds it. Raises OSError when the file cannot be written."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        deadline = time.monotonic() + _PATIENCE_S
        while not _lock(descriptor, is_shared=False):
            if time.monotonic() > deadline:
                os.close(descriptor)
                return None
            time.sleep(0.02)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps({"pid": os.getpid()}).encode())
        return RunLock(descriptor)

    def release(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return not _lock(descriptor, is_shared=True)
    finally:
        os.close(descriptor)


def holder_pid(path: Path) -> int | None:
    """The process that holds the lock; None when nobody does."""
    try:
        pid = json.loads(path.read_text(encoding="utf-8"))["pid"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return pid if isinstance(pid, int) and is_held(path) else None


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int, is_shared: bool) -> bool:
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            if is_shared:
                os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
                msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def _lock(descriptor: int, is_shared: bool) -> bool:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
