"""What this machine has free: disk and memory."""

import ctypes
import os
import shutil
import struct
import sys
from pathlib import Path


def free_disk_bytes(path: Path) -> int | None:
    """What is free where `path` is or will be; None when the system does not say."""
    for place in (path, *path.parents):
        if place.is_dir():
            try:
                return shutil.disk_usage(place).free
            except OSError:
                return None
    return None


def free_memory_bytes() -> int | None:
    """What programs can still take, caches counted as free; None when the system does not say."""
    try:
        if sys.platform == "win32":
            return _free_memory_of_windows()
        if sys.platform.startswith("linux"):
            with open("/proc/meminfo", encoding="ascii") as file:
                line = next(line for line in file if line.startswith("MemAvailable:"))
            return int(line.split()[1]) * 1024
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")  # all there is: macOS makes room
    except (OSError, ValueError, StopIteration, AttributeError):
        return None


def _free_memory_of_windows() -> int | None:
    """GlobalMemoryStatusEx: its size and the load, 32 bits each, then seven numbers of 64 bits: all physical memory,
    what is free of it, and others."""
    layout = "II7Q"
    size = struct.calcsize(layout)
    buffer = ctypes.create_string_buffer(struct.pack(layout, size, *([0] * 8)), size)
    kernel32 = getattr(ctypes, "windll").kernel32  # noqa: B009 - only Windows has it
    return struct.unpack(layout, buffer.raw)[3] if kernel32.GlobalMemoryStatusEx(buffer) else None
