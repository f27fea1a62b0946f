"""Who trains in a run folder: a file that the trainer keeps locked for as long as it lives.

The system lets go of the lock when the process ends, however it ends, so that neither a crash nor another process that
got the same number later can be mistaken for a run that is training.
"""

import json
import os
import platform
import sys
import time
from pathlib import Path

from ..files import open_no_link
from .process_start import process_start

_PATIENCE_S = 2.0  # whoever asks whether the lock is held shares it for an instant
_LOCKED_BYTE = 1 << 30  # Windows keeps others from reading what is locked: lock a byte behind the text


class RunLock:
    """The lock of a run folder, held from `take` until `release` or the end of the process."""

    def __init__(self, descriptor: int):
        self._descriptor = descriptor

    @staticmethod
    def take(path: Path) -> "RunLock | None":
        """Hold the lock; None when another process holds it. Raises OSError when the file cannot be written."""
        descriptor = open_no_link(path, os.O_RDWR | os.O_CREAT)
        deadline = time.monotonic() + _PATIENCE_S
        while not _lock(descriptor, is_shared=False):
            if time.monotonic() > deadline:
                os.close(descriptor)
                return None
            time.sleep(0.02)
        if os.fstat(descriptor).st_nlink <= 1:  # else it is also somebody's file of another name: it is only locked
            os.ftruncate(descriptor, 0)
            os.write(descriptor, json.dumps(_own_record()).encode())
        return RunLock(descriptor)

    def release(self) -> None:
        """Let go of it."""
        _close(self._descriptor)


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock."""
    try:
        descriptor = open_no_link(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return not _lock(descriptor, is_shared=True)  # shared: any number may ask at once
    finally:
        _close(descriptor)


def holder_pid(path: Path) -> int | None:
    """The process that holds the lock, proven to be the one that wrote its record, on this machine: it may be ended.

    None when nobody holds it, and when it is not known who: a record may come from anywhere.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        pid, host, started = record["pid"], record["host"], record["started"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if type(pid) is not int or pid <= 1 or host != platform.node() or not started:
        return None
    return pid if process_start(pid) == started and is_held(path) else None


def _own_record() -> dict:
    return {"pid": os.getpid(), "host": platform.node(), "started": process_start(os.getpid())}


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
