"""Which gaussian reaches which pixel, and with what weight: all pairs of a band of rows in flat arrays.

A gaussian reaches the pixels whose centers are within 3 sigma of its center, across and down: of its peak, at most
exp(-4.5) = 1.1 % is cut off.
"""

from dataclasses import dataclass

import numpy as np

from .gaussians import Gaussians

REACH_SIGMA = 3.0


@dataclass
class Shapes:
    """What pairs are made from, once for all bands of an image."""

    gaussians: Gaussians
    inverse: np.ndarray  # (N, 3) xx, xy, yy of the inverse covariance, 1/px²
    first: np.ndarray  # (N, 2) the first column and row that is reached
    last: np.ndarray  # (N, 2) one beyond the last

    @property
    def counts(self) -> np.ndarray:
        """(N,) how many pixels each gaussian reaches."""
        return np.prod(np.maximum(self.last - self.first, 0), axis=1)


@dataclass
class Pairs:
    """P pairs, by gaussian and then by pixel."""

    reaching: np.ndarray  # (M,) the gaussians that reach a pixel here, rising
    starts: np.ndarray  # (M,) where the pairs of each begin
    counts: np.ndarray  # (M,) how many they are
    pixels: np.ndarray  # (P,) row by row, from the band's first
    x: np.ndarray  # (P,) p - mu, px
    y: np.ndarray  # (P,)
    weights: np.ndarray  # (P,) exp(-(p - mu)^T S^-1 (p - mu) / 2)

    def spread(self, values: np.ndarray) -> np.ndarray:
        """(P,) a number of every gaussian (N,), for each of its pairs."""
        return np.repeat(values[self.reaching], self.counts)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """(M,) the sum over the pairs of each gaussian that reaches a pixel."""
        return np.add.reduceat(values, self.starts) if len(self.starts) else np.zeros(0, values.dtype)


def shapes_of(gaussians: Gaussians, size: tuple[int, int]) -> Shapes:
    """Reach and form of all gaussians in an image of `size` (H, W)."""
    covariances = gaussians.covariances()
    xx, xy, yy = covariances[:, 0, 0], covariances[:, 0, 1], covariances[:, 1, 1]
    determinants = np.prod(gaussians.sigmas**2, axis=1)
    inverse = np.stack([yy, -xy, xx], axis=1) / determinants[:, None]
    reach = REACH_SIGMA * np.sqrt(np.stack([xx, yy], axis=1))
    limits = np.array([size[1], size[0]])
    first = np.clip(np.ceil(gaussians.means - reach - 0.5), 0, limits).astype(np.int64)
    last = np.clip(np.floor(gaussians.means + reach - 0.5) + 1, 0, limits).astype(np.int64)
    return Shapes(gaussians, inverse, first, last)


def pairs_in(shapes: Shapes, width: int, top: int, bottom: int) -> Pairs:
    """The pairs in the rows `top` to `bottom` of an image that is `width` wide."""
    first_row, last_row = np.maximum(shapes.first[:, 1], top), np.minimum(shapes.last[:, 1], bottom)
    columns, rows = shapes.last[:, 0] - shapes.first[:, 0], last_row - first_row
    reaching = np.flatnonzero((columns > 0) & (rows > 0))
    columns, rows = columns[reaching], rows[reaching]
    counts = columns * rows
    starts = np.cumsum(counts) - counts
    # Rows of all gaussians, then the pixels of each row.
    row_number = np.arange(rows.sum()) - np.repeat(np.cumsum(rows) - rows, rows)
    row = np.repeat(first_row[reaching], rows) + row_number
    row_columns = np.repeat(columns, rows)
    row_start = np.cumsum(row_columns) - row_columns
    order = np.arange(int(counts.sum()))
    column = order + np.repeat(np.repeat(shapes.first[reaching, 0], rows) - row_start, row_columns)
    pixels = column + np.repeat((row - top) * width, row_columns)
    means = shapes.gaussians.means[reaching]
    dtype = means.dtype
    x = column.astype(dtype) - np.repeat(means[:, 0] - dtype.type(0.5), counts)
    y = np.repeat((row + 0.5).astype(dtype) - np.repeat(means[:, 1], rows), row_columns)
    xx, xy, yy = (np.repeat(part, counts) for part in shapes.inverse[reaching].T)
    exponent = xx * x
    exponent += 2 * xy * y
    exponent *= x
    exponent += yy * y * y
    exponent *= -0.5
    return Pairs(reaching, starts, counts, pixels, x, y, np.exp(exponent, out=exponent))
