"""A crew of threads for kernels that release the interpreter's lock."""

import functools
import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


class Crew:
    """Runs one function once for each of `size` parts, the first part on the calling thread."""

    def __init__(self, size: int | None = None):
        """`size` None: as many as there are processors that this process may use."""
        available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        self.size = size or available or 1
        if self.size < 1:
            raise ValueError(f"{size} is not a number of threads")
        self._pool = ThreadPoolExecutor(self.size - 1, "rasterizer") if self.size > 1 else None

    def run(self, work: Callable[[int], object]) -> list:
        """`[work(0), … work(size - 1)]`, at the same time. Every part ends before an error of one is raised."""
        if self._pool is None:
            return [work(0)]
        others = [self._pool.submit(work, part) for part in range(1, self.size)]
        try:
            first = work(0)
        finally:
            for other in others:
                other.exception()
        return [first, *(other.result() for other in others)]

    def ranges(self, count: int, multiple: int = 1) -> list[tuple[int, int]]:
        """`range(count)` cut into one (begin, end) for each part, at multiples of `multiple`."""
        blocks = -(-count // multiple)
        cuts = [min(blocks * part // self.size * multiple, count) for part in range(self.size + 1)]
        return list(itertools.pairwise(cuts))


@functools.cache
def shared_crew() -> Crew:
    """A crew of all cores, made when it is first asked for."""
    return Crew()
