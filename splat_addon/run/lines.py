"""Lines from standard input: what the parent says, until it is gone.

On Windows, a read that waits in a pipe holds up everybody else who asks about that pipe, and libraries ask about the
standard handles while they are loaded: importing PyTorch would hang until the parent's next word (numpy#24290). So
nothing is read there before it has come. What standard input is decides what that means:

a pipe        looked into ten times a second; broken: the end
a console     read once a key was pressed: only then it waits, for the end of the line
all else      (NUL, a file) read at once, which never waits; where there is no standard input at all, it has ended
"""

import os
import sys
import time
from collections.abc import Iterator
from typing import Protocol

LOOK_INTERVAL_S = 0.1
_MOST_BYTES = 1 << 16
_STANDARD_INPUT = 0  # its file descriptor: neither `sys.stdin`, which may be None, nor its buffers are touched


class Source(Protocol):
    """What is asked of the system about an input."""

    def waiting(self) -> int:
        """How many bytes can be read without waiting. Raises OSError when there will never be any."""

    def read(self, most_bytes: int) -> bytes:
        """At least one byte, waiting for it if need be; nothing at the end. Raises OSError."""

    def rest(self) -> None:
        """Let a moment pass."""


def lines_of_parent() -> Iterator[str]:
    """The lines of standard input without their ends, as they come; its end, or a failure, is the end of them."""
    return lines_in(_from_standard_input())


def lines_in(chunks: Iterator[bytes]) -> Iterator[str]:
    """The UTF-8 lines of bytes that come in any pieces. The last one needs no end."""
    begun = b""
    for chunk in chunks:
        *whole, begun = (begun + chunk).split(b"\n")
        for line in whole:
            yield line.decode("utf-8", "replace").removesuffix("\r")
    if begun:
        yield begun.decode("utf-8", "replace")


def without_waiting(source: Source) -> Iterator[bytes]:
    """What comes from a source, never inside `read` before there is something to be read."""
    try:
        while True:
            count = source.waiting()
            if count == 0:
                source.rest()
            elif chunk := source.read(min(count, _MOST_BYTES)):
                yield chunk
            else:
                return
    except OSError:
        return


def waiting_inside(descriptor: int) -> Iterator[bytes]:
    """What comes from a file descriptor, read in the plain way."""
    try:
        while chunk := os.read(descriptor, _MOST_BYTES):
            yield chunk
    except OSError:
        return


if sys.platform == "win32":
    import ctypes
    import msvcrt
    from ctypes import wintypes

    _PIPE = 3  # FILE_TYPE_PIPE
    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    _kernel32.GetFileType.argtypes = (wintypes.HANDLE,)
    _kernel32.GetFileType.restype = wintypes.DWORD
    _kernel32.GetConsoleMode.argtypes = (wintypes.HANDLE, ctypes.POINTER(wintypes.DWORD))
    _kernel32.GetConsoleMode.restype = wintypes.BOOL
    _kernel32.PeekNamedPipe.argtypes = (
        wintypes.HANDLE, ctypes.c_void_p, wintypes.DWORD,
        ctypes.POINTER(wintypes.DWORD), ctypes.POINTER(wintypes.DWORD), ctypes.POINTER(wintypes.DWORD),
    )  # fmt: skip
    _kernel32.PeekNamedPipe.restype = wintypes.BOOL

    class _Pipe:
        def __init__(self, descriptor: int):
            self._descriptor, self._handle = descriptor, msvcrt.get_osfhandle(descriptor)

        def waiting(self) -> int:
            count = wintypes.DWORD()
            if not _kernel32.PeekNamedPipe(self._handle, None, 0, None, ctypes.byref(count), None):
                raise ctypes.WinError(ctypes.get_last_error())  # a broken pipe, as a rule
            return count.value

        def read(self, most_bytes: int) -> bytes:
            return os.read(self._descriptor, most_bytes)

        def rest(self) -> None:
            time.sleep(LOOK_INTERVAL_S)

    class _Console(_Pipe):
        def waiting(self) -> int:
            return _MOST_BYTES if msvcrt.kbhit() else 0

    def _from_standard_input() -> Iterator[bytes]:
        try:
            handle = msvcrt.get_osfhandle(_STANDARD_INPUT)
        except OSError:
            return iter(())
        if _kernel32.GetFileType(handle) == _PIPE:
            return without_waiting(_Pipe(_STANDARD_INPUT))
        if _kernel32.GetConsoleMode(handle, ctypes.byref(wintypes.DWORD())):
            return without_waiting(_Console(_STANDARD_INPUT))
        return waiting_inside(_STANDARD_INPUT)

else:

    def _from_standard_input() -> Iterator[bytes]:
        return waiting_inside(_STANDARD_INPUT)
