"""The world as training sees it: near its origin, and of a size for which the numbers of the backends are made.

Kernels compute in 32 bits and draw nothing nearer than the near plane of `gaussians/rules.py`. A capture in kilometers
or millimeters, or one in the coordinates of a country, is therefore trained shifted and scaled, and what comes of it is
put back, both in double precision. Captures of ordinary size around their own origin are trained as they are; scales
are powers of two, which change no digit.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from ..capture.capture import Capture
from ..gaussians.cloud import GaussianCloud

ORDINARY_EXTENTS = 0.25, 4096.0  # capture units: between them, a capture keeps its own
USUAL_EXTENT = 2.0  # training units; captures of other sizes are made this large, to twice as large
COARSE_ROUNDING = 1e-3  # training units; where 32 bits round to more than that, results have 64
ORIGIN_GRID = 64.0  # in sizes of the capture: the origin is a multiple of this, so that most captures keep their own


@dataclass(frozen=True)
class TrainingFrame:
    """Where in the world training takes place: its `origin`, and how long its `unit` is, in capture units."""

    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    unit: float = 1.0

    @staticmethod
    def around(capture: Capture) -> "TrainingFrame":
        """The frame in which `capture` is of ordinary size and lies near the origin."""
        least, most = ORDINARY_EXTENTS
        size = 2.0 ** math.floor(math.log2(capture.extent / USUAL_EXTENT))
        x, y, z = (np.round(capture.center / (ORIGIN_GRID * size)) * (ORIGIN_GRID * size) + 0.0).tolist()
        return TrainingFrame((x, y, z), 1.0 if least <= capture.extent < most else size)

    @property
    def training_from_world(self) -> np.ndarray:
        """(4, 4) takes capture coordinates to those of training."""
        return np.linalg.inv(self.world_from_training)

    @property
    def world_from_training(self) -> np.ndarray:
        """(4, 4) takes coordinates of training to those of the capture."""
        matrix = np.diag([self.unit, self.unit, self.unit, 1.0])
        matrix[:3, 3] = self.origin
        return matrix

    @property
    def rounding(self) -> float:
        """How far apart the positions are that 32 bits can tell around the origin, in training units."""
        return float(np.spacing(np.float32(np.abs(self.origin).max()))) / self.unit

    def to_world(self, cloud: GaussianCloud) -> GaussianCloud:
        """Gaussians of training in capture coordinates, rounded to 32 bits once."""
        means = cloud.means.astype(np.float64) * self.unit + self.origin
        return replace(cloud, means=means, log_scales=cloud.log_scales + math.log(self.unit))

    def placed(self, cloud: GaussianCloud) -> tuple[GaussianCloud, tuple[float, float, float] | None]:
        """Gaussians of training as they are written: in capture coordinates, or, where those are too large for 32 bits,
        in capture units about an origin that is returned with them."""
        if self.rounding < COARSE_ROUNDING:
            return self.to_world(cloud), None
        return replace(self, origin=(0.0, 0.0, 0.0)).to_world(cloud), self.origin

    def from_origin(self, cloud: GaussianCloud) -> GaussianCloud:
        """Gaussians in capture units about the origin of training, as training has them."""
        means = cloud.means.astype(np.float64) / self.unit
        return replace(cloud, means=means, log_scales=cloud.log_scales - math.log(self.unit))


WORLD = TrainingFrame()
"""The capture's own coordinates: what runs were trained in whose checkpoint names no frame."""
