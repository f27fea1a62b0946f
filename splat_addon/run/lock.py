"""Who trains in a run folder: a file that the trainer keeps locked for as long as it lives.

The system lets go of the lock when the process ends, however it ends, so that neither a crash nor another process that
got the same number later can be mistaken for a run that is training.
"""

import json
import os
import sys
import time
from pathlib import Path

_PATIENCE_S = 2.0  # whoever asks whether the lock is held shares it for an instant
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
        _close(self._descriptor)


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return not _lock(descriptor, is_shared=True)  # shared: any number may ask at once
    finally:
        _close(descriptor)


def holder_pid(path: Path) -> int | None:
    """The process that holds the lock; None when nobody does."""
    try:
        pid = json.loads(path.read_text(encoding="utf-8"))["pid"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return pid if isinstance(pid, int) and is_held(path) else None


if sys.platform == "win32":
    import ctypes
    import msvcrt
    from ctypes import wintypes

    _FAIL_AT_ONCE, _EXCLUSIVE = 1, 2  # LOCKFILE_FAIL_IMMEDIATELY, LOCKFILE_EXCLUSIVE_LOCK

    class _Overlapped(ctypes.Structure):
        _fields_ = (
            ("Internal", ctypes.c_size_t),
            ("InternalHigh", ctypes.c_size_t),
            ("Offset", wintypes.DWORD),
            ("OffsetHigh", wintypes.DWORD),
            ("hEvent", wintypes.HANDLE),
        )

    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    _to_overlapped, _dword = ctypes.POINTER(_Overlapped), wintypes.DWORD
    _kernel32.LockFileEx.argtypes = (wintypes.HANDLE, _dword, _dword, _dword, _dword, _to_overlapped)
    _kernel32.LockFileEx.restype = wintypes.BOOL
    _kernel32.UnlockFileEx.argtypes = (wintypes.HANDLE, _dword, _dword, _dword, _to_overlapped)
    _kernel32.UnlockFileEx.restype = wintypes.BOOL

    def _lock(descriptor: int, is_shared: bool) -> bool:
        flags = _FAIL_AT_ONCE if is_shared else _FAIL_AT_ONCE | _EXCLUSIVE
        place = ctypes.byref(_Overlapped(Offset=_LOCKED_BYTE))
        return bool(_kernel32.LockFileEx(msvcrt.get_osfhandle(descriptor), flags, 0, 1, 0, place))

    def _close(descriptor: int) -> None:
        place = ctypes.byref(_Overlapped(Offset=_LOCKED_BYTE))
        _kernel32.UnlockFileEx(msvcrt.get_osfhandle(descriptor), 0, 1, 0, place)  # by closing alone: some time later
        os.close(descriptor)

else:
    import fcntl

    def _lock(descriptor: int, is_shared: bool) -> bool:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _close(descriptor: int) -> None:
        os.close(descriptor)
