"""Rotations as COLMAP writes them: unit quaternions (w, x, y, z)."""

import numpy as np


def rotation_from_quaternion(quaternion: np.ndarray) -> np.ndarray:
    """(3, 3) from (w, x, y, z), normalized first. NaN out where the quaternion's length is not a finite number above
    zero."""
    with np.errstate(all="ignore"):
        length = np.linalg.norm(quaternion)
        w, x, y, z = np.asarray(quaternion, dtype=np.float64) / (length if np.isfinite(length) else np.nan)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_from_rotation(rotation: np.ndarray) -> np.ndarray:
    """(4,) unit quaternion with w >= 0: the eigenvector of Bar-Itzhack's (2000) matrix, exact for any turn."""
    r = np.asarray(rotation, dtype=np.float64)
    symmetric = np.array(
        [
            [r[0, 0] - r[1, 1] - r[2, 2], 0, 0, 0],
            [r[0, 1] + r[1, 0], r[1, 1] - r[0, 0] - r[2, 2], 0, 0],
            [r[0, 2] + r[2, 0], r[1, 2] + r[2, 1], r[2, 2] - r[0, 0] - r[1, 1], 0],
            [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], np.trace(r)],
        ]
    )
    _, vectors = np.linalg.eigh(symmetric, UPLO="L")
    quaternion = vectors[[3, 0, 1, 2], -1]
    return -quaternion if quaternion[0] < 0 else quaternion


def is_rotation(matrix: np.ndarray) -> bool:
    """Whether a (3, 3) matrix is a rotation, but for rounding to about three digits."""
    return bool(np.abs(matrix @ matrix.T - np.eye(3)).max() <= 1e-3 and np.linalg.det(matrix) > 0)


def nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    """(3, 3) the rotation nearest to a matrix that is one but for rounding (polar decomposition)."""
    left, _, right = np.linalg.svd(matrix)
    return left @ right
