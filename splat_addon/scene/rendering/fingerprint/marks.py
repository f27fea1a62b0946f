"""What stands for a part of a scene when two states are compared: hashes, and a sketch of its numbers.

Blender's evaluation is not the same to the last bit every time (a bevel's UV map is not). So next to a hash of all
there is one of what is not a floating-point number, and the numbers are drawn up block by block: the product with fixed
random weights, which rounding moves by about 1e-7 of the block's length, and one vertex out of place by more.
"""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

_BLOCK = 4096
_ROUNDING = 2e-6  # of a block's length: some five times the most that rounding moved a product by
_WEIGHTS = np.random.default_rng(3).choice((-1.5, -1.0, 1.0, 1.5), _BLOCK).astype(np.float32)


@dataclass(frozen=True)
class Mark:
    """Of one part of a scene. `sketch`: product and length of each block of numbers."""

    exact: str
    firm: str = ""
    sketch: tuple[float, ...] = ()

    def is_like(self, other: "Mark") -> bool:
        """Whether both are the same but for rounding."""
        if self.exact == other.exact:
            return True
        if not self.firm or self.firm != other.firm or len(self.sketch) != len(other.sketch):
            return False
        mine, others = (np.array(mark.sketch).reshape(-1, 2) for mark in (self, other))
        allowed = _ROUNDING * np.maximum(mine[:, 1], others[:, 1]) + 1e-12
        return bool(np.all(np.abs(mine[:, 0] - others[:, 0]) <= allowed))


class MarkMaker:
    """Takes in texts and arrays, in order."""

    def __init__(self) -> None:
        self._exact, self._firm = blake2b(digest_size=8), blake2b(digest_size=8)
        self._sketch: list[float] = []

    def say(self, text: str) -> None:
        """Add a text."""
        self._add_firm(text.encode("utf-8", "replace"))

    def add(self, values: np.ndarray) -> None:
        """Add numbers."""
        if values.dtype.kind != "f":
            self._add_firm(values.tobytes())
            return
        self._exact.update(np.ascontiguousarray(values).data)
        self._firm.update(str(values.shape).encode())
        flat = values.ravel().astype(np.float32, copy=False)
        whole = len(flat) // _BLOCK * _BLOCK
        self._sketch += _sketch(flat[:whole].reshape(-1, _BLOCK))
        if whole < len(flat):
            self._sketch += _sketch(flat[None, whole:])

    def add_mark(self, mark: Mark) -> None:
        """Add what another mark stands for."""
        self._exact.update(mark.exact.encode())
        self._firm.update(mark.firm.encode())
        self._sketch += mark.sketch

    def mark(self) -> Mark:
        """The mark of all that was added."""
        return Mark(self._exact.hexdigest(), self._firm.hexdigest(), tuple(self._sketch))

    def _add_firm(self, data: Any) -> None:
        self._exact.update(data)
        self._firm.update(data)


def _sketch(blocks: np.ndarray) -> list[float]:
    """Product with the weights and length of each of (B, S) numbers, 32 bit, S at most the size of a block; summed in
    64 bits, since sums in 32 round as much as is allowed."""
    weights = _WEIGHTS[: blocks.shape[1]]
    products = np.einsum("ij,j->i", blocks, weights, dtype=np.float64)
    squares = np.einsum("ij,ij->i", blocks, blocks, dtype=np.float64)
    if not np.isfinite(products + squares).all():
        blocks = np.nan_to_num(blocks.astype(np.float64))
        products, squares = blocks @ weights, np.einsum("ij,ij->i", blocks, blocks)
    return [float(f"{number:.8g}") for number in np.stack([products, np.sqrt(squares)], axis=1).ravel()]


def mark_of(values: np.ndarray) -> Mark:
    """The mark of an array."""
    maker = MarkMaker()
    maker.add(values)
    return maker.mark()
