"""An independent picture of gaussians in NumPy, float64: EWA splatting after Zwicker et al. 2001 and Kerbl et al. 2023.

It shares no code with the viewport's shaders nor with the trainer, and knows orthographic views, which training does
not. Frames: OpenCV camera axes, pixel centres at +0.5, first row on top.
"""

import numpy as np

DILATION_PX2, ALPHA_CAP, ALPHA_CUTOFF, NEAR_PLANE, MARGIN = 0.3, 0.999, 1 / 255, 0.01, 0.15
ANTIALIAS_FLOOR = 0.000025


def harmonics(d: np.ndarray) -> np.ndarray:
    """(N, 16) real spherical harmonics to degree 3, INRIA order and signs."""
    x, y, z = d.T
    xx, yy, zz = x * x, y * y, z * z
    return np.stack([
        np.full_like(x, 0.28209479), -0.48860251 * y, 0.48860251 * z, -0.48860251 * x,
        1.09254843 * x * y, -1.09254843 * y * z, 0.31539157 * (2 * zz - xx - yy), -1.09254843 * x * z,
        0.54627422 * (xx - yy), -0.59004359 * y * (3 * xx - yy), 2.89061144 * x * y * z,
        -0.45704580 * y * (4 * zz - xx - yy), 0.37317633 * z * (2 * zz - 3 * xx - 3 * yy),
        -0.45704580 * x * (4 * zz - xx - yy), 1.44530572 * z * (xx - yy), -0.59004359 * x * (xx - 3 * yy),
    ], axis=1)  # fmt: skip


def rotation_matrices(quaternions: np.ndarray) -> np.ndarray:
    """(N, 3, 3) of quaternions (N, 4) w, x, y, z of any length."""
    w, x, y, z = (quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)).T
    return np.stack([
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ], axis=1).reshape(-1, 3, 3)  # fmt: skip


def picture(
    cloud, width, height, focal, center, camera_from_object, *, is_perspective=True, sh_degree=3, is_linear=False
) -> np.ndarray:
    """(H, W, 4) premultiplied colour and alpha of a cloud (stored parameters), unsorted on input.

    `focal` is pixels per slope, or per unit in orthographic views. `camera_from_object` (4, 4) may scale. Directions
    of colour are those in the object's frame.
    """
    frame = np.asarray(camera_from_object, dtype=np.float64)
    means = cloud.means.astype(np.float64) @ frame[:3, :3].T + frame[:3, 3]
    order = np.argsort(means[:, 2], kind="stable")
    if is_perspective:
        order = order[means[order, 2] >= NEAR_PLANE * np.linalg.norm(frame[:3, 0])]  # in the object's own units
    eye = np.linalg.inv(frame)[:3, 3] if is_perspective else None
    y, x = np.mgrid[:height, :width] + 0.5
    color, transmitted = np.zeros((height, width, 3)), np.ones((height, width))
    turns = rotation_matrices(cloud.quaternions.astype(np.float64))
    for i in order:
        spread = frame[:3, :3] @ turns[i] * np.exp(cloud.log_scales[i].astype(np.float64))
        mx, my, mz = means[i]
        if is_perspective:
            place = focal[0] * mx / mz + center[0], focal[1] * my / mz + center[1]
            held = (np.clip(p, -MARGIN * s, s + MARGIN * s) for p, s in zip(place, (width, height), strict=True))
            slope = [(h - c) / f for h, c, f in zip(held, center, focal, strict=True)]
            jacobian = np.array([[1, 0, -slope[0]], [0, 1, -slope[1]]]) * np.array(focal)[:, None] / mz
            direction = cloud.means[i] - eye
        else:
            jacobian = np.array([[focal[0], 0, 0], [0, focal[1], 0]])
            place = focal[0] * mx + center[0], focal[1] * my + center[1]
            direction = np.linalg.inv(frame)[:3, 2]
        half = jacobian @ spread
        inverse = np.linalg.inv(half @ half.T + DILATION_PX2 * np.eye(2))
        dx, dy = x - place[0], y - place[1]
        power = inverse[0, 0] * dx * dx + 2 * inverse[0, 1] * dx * dy + inverse[1, 1] * dy * dy
        opacity = 1 / (1 + np.exp(-float(cloud.logit_opacities[i])))
        if cloud.antialiased:
            ratio = np.sum(np.cross(*half) ** 2) * np.linalg.det(inverse)
            opacity *= np.sqrt(max(ratio, ANTIALIAS_FLOOR))
        alpha = np.minimum(ALPHA_CAP, opacity * np.exp(-0.5 * power))
        alpha[alpha < ALPHA_CUTOFF] = 0
        basis = harmonics((direction / np.linalg.norm(direction))[None])[0]
        kept = min(cloud.sh.shape[1], (sh_degree + 1) ** 2)
        shown = np.maximum(basis[:kept] @ cloud.sh[i, :kept].astype(np.float64) + 0.5, 0)
        if is_linear:
            shown = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)
        color += (transmitted * alpha)[..., None] * shown
        transmitted *= 1 - alpha
    return np.concatenate([color, 1 - transmitted[..., None]], axis=2)
