"""Gaussians as Blender keeps them, one array for each attribute: moved and recolored in place.

The mathematics is that of `gaussians.transform` and `gaussians.color`. What is spared is the way through a cloud, whose
harmonics lie in another order and whose scales are logarithms: half the time for a million of degree 3, and no bit of
what does not change is touched.
"""

from dataclasses import dataclass

import numpy as np

from ..gaussians.color import AffineColor
from ..gaussians.harmonics import SH_C0, coefficient_count
from ..gaussians.transform import (
    harmonics_rotations,
    is_exact,
    moved_points,
    nearest_orthogonal,
    reshaped,
    size_of,
    turned_quaternions,
)

_SMALLEST = 1e-45  # a scale of 0 has no logarithm


@dataclass
class Rows:
    """N gaussians, float32: `positions` (N, 3), `scales` (N, 3) sigma, `rotations` (N, 4) unit w x y z, `base` (N, 4)
    the base coefficients and the opacity 0..1, and for each degree l from 1 on one array of `levels` (2l + 1, N, 3)."""

    positions: np.ndarray
    scales: np.ndarray
    rotations: np.ndarray
    base: np.ndarray
    levels: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def sh_degree(self) -> int:
        """The highest degree of the harmonics."""
        return len(self.levels)

    def move(self, matrix: np.ndarray) -> None:
        """Move them by an affine matrix (4, 4): exactly where it is a similarity or mirrors, see `is_exact`; else
        covariances follow and harmonics are turned by the nearest rotation."""
        matrix = np.asarray(matrix, np.float64)
        self.positions = moved_points(self.positions, matrix)
        self.turn(matrix[:3, :3])

    def turn(self, linear: np.ndarray) -> None:
        """Let shapes and harmonics follow a linear map (3, 3) that the positions have followed already."""
        linear = np.asarray(linear, np.float64)
        rotation, scale = nearest_orthogonal(linear), size_of(linear)
        matrix = np.eye(4)
        matrix[:3, :3] = linear
        if is_exact(matrix):
            if scale != 1:
                self.scales = (self.scales * scale).astype(np.float32)
            self.rotations = turned_quaternions(self.rotations, rotation)
        else:
            logs = np.log(np.maximum(np.abs(self.scales, dtype=np.float64), _SMALLEST))
            sizes, self.rotations = reshaped(logs, self.rotations, linear)
            self.scales = np.exp(sizes).astype(np.float32)
        for number, mixing in enumerate(harmonics_rotations(rotation, self.sh_degree)):
            if not np.array_equal(mixing, np.eye(len(mixing))):
                level = self.levels[number]
                flat = mixing.astype(np.float32) @ level.reshape(len(level), -1)  # all splats and channels in one
                self.levels[number] = flat.reshape(level.shape)

    def recolor(self, change: AffineColor) -> None:
        """Let them show that change of color from every direction."""
        matrix = change.matrix.T
        # c = C0 k + 1/2 becomes G c + b, so that k becomes G k + (G 1/2 + b - 1/2) / C0.
        offset = (change.matrix @ np.full(3, 0.5) + change.offset - 0.5) / SH_C0
        base = self.base.copy()
        base[:, :3] = self.base[:, :3].astype(np.float64) @ matrix + offset
        self.base = base
        self.levels = [(level.reshape(-1, 3) @ matrix.astype(np.float32)).reshape(level.shape) for level in self.levels]

    def set_degree(self, degree: int) -> None:
        """Drop the harmonics above `degree`, or add those that are missing as 0."""
        del self.levels[degree:]
        while self.sh_degree < degree:
            self.levels.append(np.zeros((2 * self.sh_degree + 3, len(self), 3), np.float32))

    def select(self, which: np.ndarray) -> "Rows":
        """Those at a boolean mask (N,) or at indices."""
        levels = [level[:, which] for level in self.levels]
        return Rows(self.positions[which], self.scales[which], self.rotations[which], self.base[which], levels)

    def put(self, which: np.ndarray, others: "Rows") -> None:
        """Replace those at a boolean mask (N,) or at indices by `others`, which have the same degree."""
        self.positions[which], self.scales[which] = others.positions, others.scales
        self.rotations[which], self.base[which] = others.rotations, others.base
        for level, other in zip(self.levels, others.levels, strict=True):
            level[:, which] = other


def dropped_color(rows: Rows, degree: int) -> np.ndarray:
    """(N,) the root mean square, over all directions and the three channels, of what harmonics above `degree` add to
    the color (0..1): harmonics are orthonormal, so that it is the root of the sum of their squares over 4 pi."""
    total = np.zeros(len(rows))
    for level in rows.levels[degree:]:
        total += np.einsum("knc,knc->n", level, level, dtype=np.float64)
    return np.sqrt(total / (3 * 4 * np.pi))


def names_of_level(level: int) -> range:
    """The numbers k of the higher coefficients `radiance:sh_k` of degree `level`."""
    return range(coefficient_count(level - 1) - 1, coefficient_count(level) - 1)
