"""What a benchmark in Blender has measured, and how it measures time and memory."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class Memory(NamedTuple):
    """An amount, what it may be at most, and what both are counted in."""

    amount: float
    limit: float
    unit: str

    def __str__(self) -> str:
        return f"{self.amount:.2f} {self.unit} (≤ {self.limit:g})"


@dataclass(frozen=True)
class Figure:
    """`ratio`: to Blender's own doing of the same in the same run. What ends in `limit` is the most that is allowed."""

    name: str
    seconds: float
    limit_s: float
    ratio: float | None = None
    ratio_limit: float | None = None
    memory: Memory | None = None

    @property
    def is_within_limits(self) -> bool:
        pairs = [(self.seconds, self.limit_s), (self.ratio, self.ratio_limit), (self.memory or (0, 0))[:2]]
        return all(value is None or limit is None or value <= limit for value, limit in pairs)


def as_time(seconds: float) -> str:
    """In seconds or milliseconds, whichever reads better."""
    return f"{seconds:.2f} s" if seconds >= 0.3 else f"{1000 * seconds:.2f} ms"


def timed(function: Callable) -> float:
    """Seconds that a call took."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def current_memory() -> int:
    """Resident bytes of this process (0 where the system does not say)."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


class Peak:
    """The most memory that was resident within the `with`, looked at 200 times a second."""

    def __enter__(self):
        self.bytes, self._is_over = current_memory(), threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._is_over.wait(0.005):
            self.bytes = max(self.bytes, current_memory())
