"""When a process started: with its number, it says which one is meant, since systems give numbers out again."""

import subprocess
import sys
from pathlib import Path

if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    _MAY_BE_ASKED = 0x1000  # PROCESS_QUERY_LIMITED_INFORMATION
    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    _kernel32.OpenProcess.argtypes = (wintypes.DWORD, wintypes.BOOL, wintypes.DWORD)
    _kernel32.OpenProcess.restype = wintypes.HANDLE
    _kernel32.GetProcessTimes.argtypes = (wintypes.HANDLE, *(ctypes.POINTER(wintypes.FILETIME),) * 4)
    _kernel32.GetProcessTimes.restype = wintypes.BOOL
    _kernel32.CloseHandle.argtypes = (wintypes.HANDLE,)

    def process_start(pid: int) -> str:
        """A text that is another one for every process of that number; empty when there is none, or nobody may ask."""
        handle = _kernel32.OpenProcess(_MAY_BE_ASKED, False, pid)
        if not handle:
            return ""
        try:
            times = [wintypes.FILETIME() for _ in range(4)]
            if not _kernel32.GetProcessTimes(handle, *map(ctypes.byref, times)):
                return ""
            return f"{times[0].dwHighDateTime}:{times[0].dwLowDateTime}"
        finally:
            _kernel32.CloseHandle(handle)

elif sys.platform == "linux":

    def process_start(pid: int) -> str:
        """A text that is another one for every process of that number; empty when there is none, or nobody may ask."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
            return f"{boot}:{fields[19]}"  # starttime, the 22nd field, in ticks since the boot
        except (OSError, IndexError):
            return ""

else:

    def process_start(pid: int) -> str:
        """A text that is another one for every process of that number; empty when there is none, or nobody may ask."""
        command = ["/bin/ps", "-o", "lstart=", "-p", str(pid)]
        try:
            answer = subprocess.run(command, capture_output=True, text=True, timeout=5, env={"LC_ALL": "C"})
        except (OSError, subprocess.SubprocessError):
            return ""
        return answer.stdout.strip() if answer.returncode == 0 else ""
