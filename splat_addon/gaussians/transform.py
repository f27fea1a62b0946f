"""Moving splats exactly: rotation, translation, uniform scale, mirroring, and joining what belongs together.

For x' = s R x + t, with s > 0 and R orthogonal: means follow, ln s is added to log-scales, quaternions are multiplied
by that of R, opacity and base color stay, and the harmonics of degree l are mixed among themselves by one matrix
X_l(R) for all splats and channels (Wigner's matrix for real harmonics). Mirroring is as exact: a gaussian is its own
mirror image along its axes, so that M R_q diag(1, 1, -1) is a rotation with the mirrored covariance.

An affine map that is none of these is exact for the covariance, A Sigma A^T. Harmonics cannot follow it, because
directions bend: they are turned by the rotation nearest to A.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .cloud import GaussianCloud, empty_cloud
from .harmonics import coefficient_count, harmonics

# Where the axes of a file point, as the turn about x from there to Blender's z up.
STORED, Y_UP, Y_DOWN, Z_UP = "STORED", "Y_UP", "Y_DOWN", "Z_UP"
_Z_UP_FROM = {
    STORED: np.eye(3),
    Z_UP: np.eye(3),
    Y_UP: np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),
    Y_DOWN: np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
}

_DIRECTIONS = 64  # in which harmonics are compared; their matrix then has a condition of at most 1.02 up to degree 4
_ROUNDING = 1e-13  # nearer to 0, 1 or -1 than this, what was computed is that: turns by quarters then cost no bits
_SAME_SCALE = 1e-6  # relative; matrices of objects come in 32 bits
_BLOCK = 1 << 12


def z_up_from(axes: str) -> np.ndarray:
    """(4, 4) the turn from the axes of a file (`Y_UP`, …) to z up; the identity for those that are `STORED`."""
    matrix = np.eye(4)
    matrix[:3, :3] = _Z_UP_FROM[axes]
    return matrix


def harmonics_rotations(rotation: np.ndarray, degree: int) -> list[np.ndarray]:
    """X_1 … X_degree for an orthogonal matrix (3, 3), proper or not: ((2l + 1), (2l + 1)) each, float64.

    What is turned shows in the direction d what it showed in R^T d. Harmonics of one degree stay among themselves, so
    X_l is the solution of Y_l(d) X_l = Y_l(R^T d) over a few directions d.
    """
    number = np.arange(_DIRECTIONS) + 0.5
    z, angle = 1 - 2 * number / _DIRECTIONS, np.pi * (1 + 5**0.5) * number
    around = np.sqrt(1 - z * z)
    directions = np.stack([around * np.cos(angle), around * np.sin(angle), z], axis=1)
    rotation = np.asarray(rotation, dtype=np.float64)
    after, before = harmonics(directions, degree), harmonics(directions @ rotation, degree)
    found = []
    for level in range(1, degree + 1):
        part = slice(coefficient_count(level - 1), coefficient_count(level))
        found.append(_rounded(np.linalg.lstsq(after[:, part], before[:, part], rcond=None)[0]))
    return found


def rotated_harmonics(sh: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """(N, K, 3) coefficients of what is turned, or mirrored, by an orthogonal matrix (3, 3); K up to 25. In the
    precision of `sh`."""
    count, coefficients, _ = sh.shape
    matrices = harmonics_rotations(rotation, math.isqrt(coefficients) - 1)
    if all(np.array_equal(matrix, np.eye(len(matrix))) for matrix in matrices):
        return sh
    # One product of matrices for all channels is faster than one of small ones for each splat.
    tables = [np.kron(matrix.T, np.eye(3)).astype(sh.dtype) for matrix in matrices]
    result = np.empty((count, 3 * coefficients), sh.dtype)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is dropped by whoever shows it
        for start in range(0, count, _BLOCK):
            block = sh[start : start + _BLOCK].reshape(-1, 3 * coefficients)
            turned = result[start : start + _BLOCK]
            turned[:, :3] = block[:, :3]
            for level, table in enumerate(tables, 1):
                part = slice(3 * coefficient_count(level - 1), 3 * coefficient_count(level))
                np.matmul(block[:, part], table, out=turned[:, part])
    return result.reshape(sh.shape)


def transformed(cloud: GaussianCloud, matrix: np.ndarray) -> GaussianCloud:
    """The gaussians moved by an affine `matrix` (4, 4): exactly where it is a similarity or mirrors, see `is_exact`."""
    matrix = np.asarray(matrix, dtype=np.float64)
    if np.array_equal(matrix, np.eye(4)):
        return cloud
    linear = matrix[:3, :3]
    rotation, scale = nearest_orthogonal(linear), size_of(linear)
    with np.errstate(over="ignore", invalid="ignore"):
        if is_exact(matrix):
            log_scales = cloud.log_scales if scale == 1 else cloud.log_scales + np.float32(math.log(scale))
            quaternions = turned_quaternions(cloud.quaternions, rotation)
        else:
            log_scales, quaternions = reshaped(cloud.log_scales, cloud.rotations, linear)
    return replace(
        cloud,
        means=moved_points(cloud.means, matrix),
        log_scales=log_scales,
        quaternions=quaternions,
        sh=rotated_harmonics(cloud.sh, rotation),
    )


def moved_points(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(N, 3) points under an affine matrix (4, 4), computed in 64 bits and kept in those of `points`."""
    moved = np.empty_like(points)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(points), _BLOCK):
            rows = slice(start, start + _BLOCK)
            moved[rows] = points[rows].astype(np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
    return moved


def is_exact(matrix: np.ndarray) -> bool:
    """Whether gaussians and their harmonics follow an affine matrix (4, 4) exactly: it rotates, translates, scales all
    axes alike and may mirror."""
    linear = np.asarray(matrix, dtype=np.float64)[:3, :3]
    square = linear.T @ linear
    size = np.trace(square) / 3
    return bool(size > 0 and np.abs(square - size * np.eye(3)).max() <= 4 * _SAME_SCALE * size)


def joined(clouds: Sequence[GaussianCloud], blend_space: str | None = None) -> GaussianCloud:
    """All gaussians of `clouds` (at least one) in one, in order: harmonics that some lack are 0.

    A cloud has one blend space: unless it is given, that of most of the gaussians. Whether it is antialiased, the first
    one says. Colors stay as they are, since both
    are display-encoded; what is different is how they mix.
    """
    degree = max(cloud.sh_degree for cloud in clouds)
    if blend_space is None:
        counts: dict[str, int] = {}
        for cloud in clouds:
            counts[cloud.blend_space] = counts.get(cloud.blend_space, 0) + len(cloud)
        blend_space = max(counts, key=counts.__getitem__)
    result, done = empty_cloud(sum(map(len, clouds)), degree, blend_space, clouds[0].antialiased), 0
    for cloud in clouds:
        rows = slice(done, done + len(cloud))
        result.means[rows], result.log_scales[rows] = cloud.means, cloud.log_scales
        result.quaternions[rows], result.logit_opacities[rows] = cloud.quaternions, cloud.logit_opacities
        result.sh[rows] = with_degree(cloud.sh, degree)
        done = rows.stop
    return result


def with_degree(sh: np.ndarray, degree: int) -> np.ndarray:
    """(N, K, 3) coefficients with exactly those of `degree`: higher ones dropped, missing ones 0."""
    coefficients = coefficient_count(degree)
    if sh.shape[1] >= coefficients:
        return sh[:, :coefficients]
    return np.concatenate([sh, np.zeros((len(sh), coefficients - sh.shape[1], 3), sh.dtype)], axis=1)


def quaternions_of(rotations: np.ndarray) -> np.ndarray:
    """(N, 4) w, x, y, z of proper rotations (N, 3, 3), float64, up to the sign.

    Shepperd (1978): the largest of the four comes first, so that nothing is divided by what is near 0.
    """
    r = np.asarray(rotations, dtype=np.float64)
    trace = np.trace(r, axis1=1, axis2=2)
    products = np.empty((len(r), 4, 4))  # of all pairs of components, times 4
    products[:, 0, 0] = 1 + trace
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        products[:, 1 + i, 1 + i] = 1 + 2 * r[:, i, i] - trace
        products[:, 0, 1 + i] = products[:, 1 + i, 0] = r[:, k, j] - r[:, j, k]
        products[:, 1 + i, 1 + j] = products[:, 1 + j, 1 + i] = r[:, i, j] + r[:, j, i]
    largest = np.diagonal(products, axis1=1, axis2=2).argmax(axis=1)
    rows = products[np.arange(len(r)), largest]
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def rotation_matrices(quaternions: np.ndarray) -> np.ndarray:
    """(N, 3, 3) float64 of quaternions (N, 4) w, x, y, z of any length but zero."""
    q = np.asarray(quaternions, dtype=np.float64)
    w, x, y, z = (q / np.linalg.norm(q, axis=1, keepdims=True)).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=1) for row in rows], axis=1)


def turned_quaternions(quaternions: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """(N, 4) of the gaussians under an orthogonal matrix; their lengths stay. Zero means the identity."""
    is_zero = (quaternions == 0).all(axis=1)
    if is_zero.any():
        quaternions = np.where(is_zero[:, None], np.array([1, 0, 0, 0], quaternions.dtype), quaternions)
    if np.linalg.det(rotation) < 0:
        # R = (R M) M with M = diag(-1, 1, 1): along x, the mirror image has the signs of y and z changed.
        quaternions = quaternions * np.array([1, 1, -1, -1], quaternions.dtype)
        rotation = rotation * np.array([-1.0, 1, 1])
    a, b, c, d = (float(value) for value in _rounded(quaternions_of(_rounded(rotation)[None])[0]))
    product = np.array([[a, -b, -c, -d], [b, a, -d, c], [c, d, a, -b], [d, -c, b, a]])
    if np.array_equal(product, np.eye(4)):
        return quaternions
    turned = np.empty_like(quaternions)
    for start in range(0, len(quaternions), _BLOCK):
        rows = slice(start, start + _BLOCK)
        turned[rows] = quaternions[rows].astype(np.float64) @ product.T
    return turned


def reshaped(log_scales: np.ndarray, rotations: np.ndarray, linear: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3) log-scales and (N, 4) quaternions of A Sigma A^T, by the singular values of A R diag(sigma).

    `log_scales` (N, 3) and unit quaternions `rotations` (N, 4) are those of Sigma, `linear` (3, 3) is A.

    Sizes are taken relative to each gaussian's largest, so that neither huge nor tiny ones leave the range of numbers.
    """
    found, quaternions = np.empty_like(log_scales), np.empty_like(rotations)
    for start in range(0, len(log_scales), _BLOCK):
        rows = slice(start, start + _BLOCK)
        stored = log_scales[rows].astype(np.float64)
        largest = stored.max(axis=1, keepdims=True)
        axes = linear @ rotation_matrices(rotations[rows]) * np.exp(stored - largest)[:, None, :]
        is_sound = np.isfinite(axes).all(axis=(1, 2))
        left, sizes, _ = np.linalg.svd(np.where(is_sound[:, None, None], axes, np.eye(3)))
        left[:, :, 2] *= np.where(np.linalg.det(left) < 0, -1.0, 1.0)[:, None]
        found[rows] = np.where(is_sound[:, None], np.log(np.maximum(sizes, 1e-45)) + largest, np.nan)
        quaternions[rows] = quaternions_of(left)
    return found, quaternions


def nearest_orthogonal(linear: np.ndarray) -> np.ndarray:
    """The orthogonal factor of the polar decomposition; entries that mean 0, 1 or -1 are that."""
    left, _, right = np.linalg.svd(linear)
    return _rounded(left @ right)


def size_of(linear: np.ndarray) -> float:
    """By how much a linear map scales on average; exactly 1 where that was meant."""
    scale = abs(float(np.linalg.det(linear))) ** (1 / 3)
    return 1.0 if abs(scale - 1) < _ROUNDING else scale


def _rounded(matrix: np.ndarray) -> np.ndarray:
    nearest = np.rint(matrix)
    return np.where(np.abs(matrix - nearest) < _ROUNDING, nearest, matrix)
