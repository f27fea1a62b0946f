"""Memory for the tensors of a step, used again when nobody holds them any longer."""

import math
import threading
import weakref

import numpy as np
import torch
from torch import Tensor

LINE = 64  # a record is one line of the cache
SMALLEST, LARGEST = 1 << 20, 1 << 25  # bytes; from 32 MiB on the C library asks the system each time, and gives it back
PATIENCE = 100  # a block that nobody took while so many were asked for is given back
_NUMPY = {torch.float32: np.float32, torch.int32: np.int32, torch.int64: np.int64}


class Shelf:
    """Each step needs the same few blocks of megabytes. Asked of the C library, they come fresh from the system, page
    by page, or from a heap that falls to pieces in time, which is 10 to 20 MB larger at 100 000 gaussians."""

    def __init__(self) -> None:
        self._free: list[tuple[int, np.ndarray]] = []  # when it was lent, and the block
        self._lent: dict[int, tuple[weakref.ref, int, np.ndarray]] = {}
        self._asked = 0
        self._lock = threading.Lock()

    def empty(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """As `torch.empty`. The memory is the caller's, and its views', until the last of them is gone."""
        kind = np.dtype(_NUMPY[dtype])
        size = math.prod(shape) * kind.itemsize
        if not SMALLEST <= size < LARGEST:
            return torch.empty(shape, dtype=dtype)
        with self._lock:
            block = self._taken(size)
            asked = self._asked
        lent = np.ndarray(shape, kind, block)
        watch = weakref.ref(lent, self._come_back)
        self._lent[id(watch)] = watch, asked, block
        return torch.from_numpy(lent)  # which alone holds `lent`

    def _come_back(self, watch: weakref.ref) -> None:
        """The last holder has let go, wherever that was: so no lock, only an entry at the end."""
        _, asked, block = self._lent.pop(id(watch))
        self._free.append((asked, block))

    def _taken(self, size: int) -> np.ndarray:
        """A block of at least `size` bytes and not much more: the smallest that is free, or a new one."""
        self._asked += 1
        free = list(self._free)  # others may add to it at any time, at the end
        fitting = [at for at, (_, block) in enumerate(free) if size <= len(block) <= size + size // 2]
        if fitting:
            return self._free.pop(min(fitting, key=lambda at: (len(free[at][1]), -at)))[1]
        for at in reversed(range(len(free))):
            if self._asked - free[at][0] > PATIENCE:
                del self._free[at]
        room = size + size // 8 // LINE * LINE  # the lists of tiles are a little longer or shorter in each view
        memory = np.empty(room + LINE, dtype=np.uint8)
        return memory[-memory.ctypes.data % LINE :][:room]
