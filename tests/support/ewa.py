"""What a camera sees of a few gaussians, in plain float64 NumPy: the judge of Blender's renders of splats.

The rules are the trainer's (`trainer/backend/reference/textbook.py`; a test of the trainer holds the two equal), kept
apart so that Blender's tests need no PyTorch. In the blend space "blender" every gaussian's color is decoded before it
is blended and the picture is encoded afterwards, as Blender does; in "display" the encoded colors are blended.
"""

import numpy as np

SH_C0 = 0.28209479177387814
DILATION_PX2, ALPHA_CAP, ALPHA_CUTOFF, NEAR_PLANE, MARGIN = 0.3, 0.999, 1 / 255, 0.01, 0.15
ANTIALIAS_FLOOR = 0.000025


def render(cloud, camera, blend_space: str = "display", orthographic_span_px: float | None = None) -> np.ndarray:
    """(H, W, 4) display-encoded color over black and alpha, of a GaussianCloud through a capture Camera.

    `orthographic_span_px`: pixels per world unit of an orthographic camera, which has no perspective.
    """
    camera_from_world = np.asarray(camera.camera_from_world, dtype=np.float64)
    rotation, translation = camera_from_world[:3, :3], camera_from_world[:3, 3]
    points = cloud.means.astype(np.float64) @ rotation.T + translation
    order = np.argsort(points[:, 2].astype(np.float32), kind="stable")  # the trainer's depths have 32 bits
    order = order[points[order, 2] >= NEAR_PLANE]
    points, means = points[order], cloud.means[order].astype(np.float64)
    x, y, z = points.T
    zero, one = np.zeros_like(z), np.ones_like(z)
    if orthographic_span_px is None:
        beyond_x, beyond_y = MARGIN * camera.width, MARGIN * camera.height
        shown_x = np.clip(camera.fx * x / z + camera.cx, -beyond_x, camera.width + beyond_x)
        shown_y = np.clip(camera.fy * y / z + camera.cy, -beyond_y, camera.height + beyond_y)
        tilt_x, tilt_y = (shown_x - camera.cx) / camera.fx, (shown_y - camera.cy) / camera.fy
        jacobian = np.array([[camera.fx / z, zero, -camera.fx * tilt_x / z],
                             [zero, camera.fy / z, -camera.fy * tilt_y / z]]).transpose(2, 0, 1)  # fmt: skip
        centres = np.column_stack([camera.fx * x / z, camera.fy * y / z]) + [camera.cx, camera.cy]
        directions = means + rotation.T @ translation
    else:
        jacobian = orthographic_span_px * np.array([[one, zero, zero], [zero, one, zero]]).transpose(2, 0, 1)
        centres = orthographic_span_px * points[:, :2] + [camera.cx, camera.cy]
        directions = np.broadcast_to(rotation[2], means.shape)
    spreads = jacobian @ rotation @ (_matrices(cloud.rotations[order]) * cloud.scales[order][:, None, :])
    covariances = spreads @ spreads.transpose(0, 2, 1) + DILATION_PX2 * np.eye(2)
    colors = _colors(cloud.sh[order].astype(np.float64), directions)
    if blend_space == "blender":
        colors = decode(colors)
    opacities = 1 / (1 + np.exp(-cloud.logit_opacities[order].astype(np.float64)))
    if cloud.antialiased:
        undilated = np.sum(np.cross(spreads[:, 0], spreads[:, 1]) ** 2, axis=1)
        opacities *= np.sqrt(np.maximum(undilated / np.linalg.det(covariances), ANTIALIAS_FLOOR))

    image, left = np.zeros((camera.height, camera.width, 3)), np.ones((camera.height, camera.width))
    for centre, covariance, color, opacity in zip(centres, covariances, colors, opacities, strict=True):
        if opacity < ALPHA_CUTOFF:
            continue
        half = np.sqrt(2 * np.log(opacity / ALPHA_CUTOFF) * np.diag(covariance))
        first = np.maximum(np.floor(centre - half - 0.5), 0).astype(int)
        last = np.minimum(np.ceil(centre + half + 0.5), [camera.width, camera.height]).astype(int)
        if (first >= last).any():
            continue
        columns, rows = (np.arange(first[axis], last[axis]) + 0.5 - centre[axis] for axis in (0, 1))
        offsets = np.stack(np.broadcast_arrays(columns[None, :], rows[:, None]), axis=-1)
        distance = np.einsum("hwi,ij,hwj->hw", offsets, np.linalg.inv(covariance), offsets)
        alpha = np.minimum(opacity * np.exp(-0.5 * distance), ALPHA_CAP)
        alpha[alpha < ALPHA_CUTOFF] = 0
        window = np.s_[first[1] : last[1], first[0] : last[0]]
        image[window] += (left[window] * alpha)[..., None] * color
        left[window] *= 1 - alpha
    if blend_space == "blender":
        image = encode(image)
    return np.concatenate([image, 1 - left[..., None]], axis=2)


def encode(linear: np.ndarray) -> np.ndarray:
    """The sRGB encoding."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)


def decode(encoded: np.ndarray) -> np.ndarray:
    """The inverse of `encode`."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def psnr_db(image: np.ndarray, reference: np.ndarray) -> float:
    """Peak signal to noise ratio of two images in 0..1, both cut to that range."""
    difference = np.clip(image, 0, 1) - np.clip(reference, 0, 1)
    return float(-10 * np.log10(max(np.mean(difference**2), 1e-20)))


def _matrices(units: np.ndarray) -> np.ndarray:
    w, x, y, z = units.astype(np.float64).T
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]).transpose(2, 0, 1)  # fmt: skip


def _colors(sh: np.ndarray, directions: np.ndarray) -> np.ndarray:
    x, y, z = (directions / np.linalg.norm(directions, axis=1, keepdims=True)).T
    xx, yy, zz = x * x, y * y, z * z
    basis = np.array([
        np.full_like(x, SH_C0), -0.48860251 * y, 0.48860251 * z, -0.48860251 * x,
        1.09254843 * x * y, -1.09254843 * y * z, 0.31539157 * (2 * zz - xx - yy), -1.09254843 * x * z,
        0.54627422 * (xx - yy), -0.59004359 * y * (3 * xx - yy), 2.89061144 * x * y * z,
        -0.45704580 * y * (4 * zz - xx - yy), 0.37317633 * z * (2 * zz - 3 * xx - 3 * yy),
        -0.45704580 * x * (4 * zz - xx - yy), 1.44530572 * z * (xx - yy), -0.59004359 * x * (xx - 3 * yy),
    ])  # fmt: skip
    return np.maximum(0.5 + np.einsum("kn,nkc->nc", basis[: sh.shape[1]], sh), 0)
