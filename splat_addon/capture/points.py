"""Measured surface points: what a reconstruction found, or what was sampled from a scene."""

from dataclasses import dataclass

import numpy as np

from .camera import Camera

POINTS_FILE = "points3d.ply"  # in the folder of a capture of a scene


@dataclass(frozen=True)
class Points:
    """P measured surface points in the capture's world."""

    positions: np.ndarray  # (P, 3) capture units
    colors: np.ndarray  # (P, 3) display-encoded, 0..1; NaN where only the photos can tell
    normals: np.ndarray | None = None  # (P, 3) unit length, zero where not known

    def moved(self, similarity: np.ndarray) -> "Points":
        """The same points in a world that a similarity, (3, 4) or (4, 4), has turned, scaled, mirrored or shifted."""
        if np.array_equal(similarity[:3], np.eye(3, 4)):
            return self
        matrix = similarity[:3, :3]
        normals = self.normals
        if normals is not None:
            normals = normals @ matrix.T / np.cbrt(abs(np.linalg.det(matrix)))
        return Points(self.positions @ matrix.T + similarity[:3, 3], self.colors, normals)

    def seen_share(self, cameras: list[Camera]) -> float:
        """How much of the points the cameras see, in the mean, 0..1; of a sample of both."""
        sample = self.positions[:: max(1, len(self.positions) // 1000)]
        shares = [0.0]
        for camera in cameras[:: max(1, len(cameras) // 30)]:
            shares.append(len(camera.seen(sample)[0]) / max(len(sample), 1))
        return sum(shares) / len(shares)
