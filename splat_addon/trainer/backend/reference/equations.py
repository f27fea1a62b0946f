"""Every step of the rasterizer and its Jacobian, written to be read: one function each, float64 NumPy, no autograd.

`textbook.py` chains them into the whole picture and the whole gradient; fast backends are judged by that.

The labels (B.1.1 … B.5, Eq. 3 … 7) are those of the document "The Backward Process of 3D Gaussian Splatting";
"Corrected" says where that document has a slip, "Added" what it leaves out.

`d_y_d_x` is the Jacobian ∂y/∂x, shape (N, size of y, size of x): one matrix for each gaussian. Matrices are
flattened row by row; symmetric ones are their upper triangle: Σ is (xx, xy, xz, yy, yz, zz), Σ' is (a, b, c).
Camera parameters are `camera_from_world` (3, 4) flattened to 12, and the intrinsics (fx, fy, cx, cy).
Frames are those of this package: OpenCV axes, pixel centers at +0.5, quaternions (w, x, y, z).
"""

import numpy as np

from ....capture.camera import Camera
from ....gaussians.harmonics import harmonics
from ....gaussians.rules import ANTIALIAS_FLOOR, PictureRules
from ....gaussians.srgb import FOOT_ENCODED, FOOT_LINEAR, FOOT_SLOPE, POWER, SHIFT, decode_srgb, encode_srgb


def chain(gradient: np.ndarray, jacobian: np.ndarray) -> np.ndarray:
    """∂L/∂x = ∂L/∂y · ∂y/∂x for each gaussian: (N, y) and (N, y, x) give (N, x)."""
    return np.einsum("ny,nyx->nx", gradient, jacobian)


# --- 1. Transform and projection ---------------------------------------------------------------------------------


def rotation_of(camera: Camera) -> np.ndarray:
    """R_cw (3, 3)."""
    return np.asarray(camera.camera_from_world, dtype=np.float64)[:3, :3]


def translation_of(camera: Camera) -> np.ndarray:
    """t_cw (3,)."""
    return np.asarray(camera.camera_from_world, dtype=np.float64)[:3, 3]


def points_in_camera(means: np.ndarray, camera: Camera) -> np.ndarray:
    """p_c = R_cw p_w + t_cw: (N, 3)."""
    return means @ rotation_of(camera).T + translation_of(camera)


def d_point_d_mean(means: np.ndarray, camera: Camera) -> np.ndarray:
    """B.1.1: ∂p_c/∂p_w = R_cw, the same for every gaussian: (N, 3, 3)."""
    return np.broadcast_to(rotation_of(camera), (len(means), 3, 3))


def d_point_d_camera(means: np.ndarray) -> np.ndarray:
    """Added: ∂p_c/∂camera_from_world, row i of the point sees row i of the matrix as (p_w, 1): (N, 3, 12)."""
    homogeneous = np.concatenate([means, np.ones((len(means), 1))], axis=1)
    return np.einsum("ik,nl->nikl", np.eye(3), homogeneous).reshape(-1, 3, 12)


def project(points: np.ndarray, camera: Camera) -> np.ndarray:
    """u = (fx x/z + cx, fy y/z + cy): (N, 2) pixels."""
    x, y, z = points.T
    return np.stack([camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy], axis=1)


def d_pixel_d_point(points: np.ndarray, camera: Camera) -> np.ndarray:
    """B.1.2: ∂u/∂p_c = [[fx/z, 0, -fx x/z²], [0, fy/z, -fy y/z²]]: (N, 2, 3). Also the J of the 2D covariance."""
    x, y, z = points.T
    zero = np.zeros_like(z)
    return _matrix(
        [camera.fx / z, zero, -camera.fx * x / z**2],
        [zero, camera.fy / z, -camera.fy * y / z**2],
    )


def d_pixel_d_intrinsics(points: np.ndarray) -> np.ndarray:
    """Added: ∂u/∂(fx, fy, cx, cy): (N, 2, 4)."""
    x, y, z = points.T
    zero, one = np.zeros_like(z), np.ones_like(z)
    return _matrix([x / z, zero, one, zero], [zero, y / z, zero, one])


# --- 2. 3D covariance: Σ = M Mᵀ, M = R(q/|q|) diag(s) ------------------------------------------------------------


def unit_quaternions(quaternions: np.ndarray) -> np.ndarray:
    """q̂ = q/|q|: (N, 4)."""
    return quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)


def d_unit_d_quaternion(quaternions: np.ndarray) -> np.ndarray:
    """Added to B.2: ∂q̂/∂q = (I - q̂ q̂ᵀ)/|q|, since what is stored is not normalized: (N, 4, 4)."""
    return _d_normalized(quaternions)


def rotations(units: np.ndarray) -> np.ndarray:
    """R(q̂) of unit quaternions: (N, 3, 3)."""
    w, x, y, z = units.T
    return _matrix(
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    )


def spread(units: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """M = R(q̂) diag(s), which takes the unit ball to the gaussian's own ellipsoid: (N, 3, 3)."""
    return rotations(units) * scales[:, None, :]


def d_spread_d_unit(units: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """B.2a: ∂M/∂q̂: (N, 9, 4).

    Corrected: the lost q of -2 s₂ q_w, 2 s₀ q_z and 2 s₁ q_w is restored, and so is the lost row of M_11.
    """
    w, x, y, z = units.T
    s0, s1, s2 = scales.T
    zero = np.zeros_like(w)
    return 2 * _matrix(
        [zero, zero, -2 * s0 * y, -2 * s0 * z],
        [-s1 * z, s1 * y, s1 * x, -s1 * w],
        [s2 * y, s2 * z, s2 * w, s2 * x],
        [s0 * z, s0 * y, s0 * x, s0 * w],
        [zero, -2 * s1 * x, zero, -2 * s1 * z],
        [-s2 * x, -s2 * w, s2 * z, s2 * y],
        [-s0 * y, s0 * z, -s0 * w, s0 * x],
        [s1 * x, s1 * w, s1 * z, s1 * y],
        [zero, -2 * s2 * x, -2 * s2 * y, zero],
    )


def d_spread_d_scales(units: np.ndarray) -> np.ndarray:
    """B.2b: ∂M/∂s stacks diag(r) over the rows r of R: (N, 9, 3). (Added: ∂s/∂log_scales = diag(s).)"""
    return np.einsum("nij,jk->nijk", rotations(units), np.eye(3)).reshape(-1, 9, 3)


def covariances_3d(spreads: np.ndarray) -> np.ndarray:
    """σ = upper triangle of M Mᵀ: (N, 6)."""
    m0, m1, m2 = spreads.transpose(1, 0, 2)
    return np.stack([_dot(m0, m0), _dot(m0, m1), _dot(m0, m2), _dot(m1, m1), _dot(m1, m2), _dot(m2, m2)], axis=1)


def d_covariance_3d_d_spread(spreads: np.ndarray) -> np.ndarray:
    """B.2a and B.2b: ∂σ/∂M from the rows of M: (N, 6, 9)."""
    m0, m1, m2 = spreads.transpose(1, 0, 2)
    zero = np.zeros_like(m0)
    return _rows(
        [2 * m0, zero, zero],
        [m1, m0, zero],
        [m2, zero, m0],
        [zero, 2 * m1, zero],
        [zero, m2, m1],
        [zero, zero, 2 * m2],
    )


# --- 3. 2D covariance: Σ' = M Σ Mᵀ, M = J(t) R_cw ----------------------------------------------------------------


def clamp_to_frustum(points: np.ndarray, camera: Camera, rules: PictureRules) -> np.ndarray:
    """t = (z clamp(x/z), z clamp(y/z), z), where J is evaluated: (N, 3).

    Far off screen the linear J exaggerates without bound, so x/z is held where u = fx x/z + cx is between -m W and
    (1 + m) W; y/z likewise. With the margin m of 0.15 and a centered principal point that is ±1.3 tan(fov/2), the limit
    of the original 3DGS; like gsplat's it follows the image where the principal point is elsewhere.
    """
    least, largest = _slope_limits(camera, rules)
    z = points[:, 2:]
    return np.concatenate([z * np.clip(points[:, :2] / z, least, largest), z], axis=1)


def d_clamped_d_point(points: np.ndarray, camera: Camera, rules: PictureRules) -> np.ndarray:
    """Added: ∂t/∂p_c: (N, 3, 3). Where x/z is clamped, ∂t_x/∂x = 0 and ∂t_x/∂z = t_x/z.

    Together with ∂M/∂t this leaves the z-term fx t_x/z³ of the clamped J.
    """
    tx, ty, z = clamp_to_frustum(points, camera, rules).T
    x_clamped, y_clamped = _clamped(points, camera, rules)
    zero, one = np.zeros_like(z), np.ones_like(z)
    return _matrix(
        [~x_clamped, zero, x_clamped * tx / z],
        [zero, ~y_clamped, y_clamped * ty / z],
        [zero, zero, one],
    )


def d_clamped_d_intrinsics(points: np.ndarray, camera: Camera, rules: PictureRules) -> np.ndarray:
    """Added: ∂t/∂(fx, fy, cx, cy): (N, 3, 4). A limit (U - cx)/fx itself shrinks with fx and moves against cx."""
    tx, ty, z = clamp_to_frustum(points, camera, rules).T
    x_clamped, y_clamped = _clamped(points, camera, rules)
    zero = np.zeros_like(z)
    return _matrix(
        [x_clamped * -tx / camera.fx, zero, x_clamped * -z / camera.fx, zero],
        [zero, y_clamped * -ty / camera.fy, zero, y_clamped * -z / camera.fy],
        [zero, zero, zero, zero],
    )


def screen_maps(clamped: np.ndarray, camera: Camera) -> np.ndarray:
    """M = J(t) R_cw, which takes a small step in the world to pixels: (N, 2, 3)."""
    return d_pixel_d_point(clamped, camera) @ rotation_of(camera)


def d_map_d_clamped(clamped: np.ndarray, camera: Camera) -> np.ndarray:
    """B.3b: ∂M/∂t, with r0, r1, r2 the rows of R_cw: (N, 6, 3).

    Corrected: ∂M_0/∂x = -fx r2/z², ∂M_1/∂y = -fy r2/z², and r are rows; the document has columns and an x².
    """
    tx, ty, z = (component[:, None] for component in clamped.T)
    r0, r1, r2 = rotation_of(camera)
    fx, fy = camera.fx, camera.fy
    zero = np.zeros((len(clamped), 3))
    by_x = np.concatenate([-fx * r2 / z**2, zero], axis=1)
    by_y = np.concatenate([zero, -fy * r2 / z**2], axis=1)
    by_z = np.concatenate(
        [-fx * r0 / z**2 + 2 * fx * tx * r2 / z**3, -fy * r1 / z**2 + 2 * fy * ty * r2 / z**3], axis=1
    )
    return np.stack([by_x, by_y, by_z], axis=2)


def d_map_d_camera(clamped: np.ndarray, camera: Camera) -> np.ndarray:
    """Added: ∂M_ij/∂camera_from_world_kl = J_ik δ_jl, none for the translation: (N, 6, 12)."""
    return np.einsum("nik,jl->nijkl", d_pixel_d_point(clamped, camera), np.eye(3, 4)).reshape(-1, 6, 12)


def d_map_d_intrinsics(clamped: np.ndarray, camera: Camera) -> np.ndarray:
    """Added: ∂M/∂(fx, fy, cx, cy) at a given t: M_0/fx and M_1/fy: (N, 6, 4)."""
    m0, m1 = screen_maps(clamped, camera).transpose(1, 0, 2)
    zero = np.zeros_like(m0)
    columns = [[m0 / camera.fx, zero], [zero, m1 / camera.fy], [zero, zero], [zero, zero]]
    return np.stack([np.concatenate(column, axis=1) for column in columns], axis=2)


def covariances_2d(covariances: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """σ' = upper triangle of M Σ Mᵀ, before dilation: (N, 3) pixels²."""
    m0, m1 = maps.transpose(1, 0, 2)
    sigma = _symmetric(covariances)
    return np.stack([_dot(m0, _apply(sigma, m0)), _dot(m0, _apply(sigma, m1)), _dot(m1, _apply(sigma, m1))], axis=1)


def d_covariance_2d_d_covariance_3d(maps: np.ndarray) -> np.ndarray:
    """B.3a: ∂σ'/∂σ: (N, 3, 6)."""
    (m00, m01, m02), (m10, m11, m12) = maps.transpose(1, 2, 0)
    return _matrix(
        [m00**2, 2 * m00 * m01, 2 * m00 * m02, m01**2, 2 * m01 * m02, m02**2],
        [m00 * m10, m00 * m11 + m01 * m10, m00 * m12 + m02 * m10, m01 * m11, m01 * m12 + m02 * m11, m02 * m12],
        [m10**2, 2 * m10 * m11, 2 * m10 * m12, m11**2, 2 * m11 * m12, m12**2],
    )


def d_covariance_2d_d_map(covariances: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """B.3b: ∂σ'/∂M: (N, 3, 6). Corrected: the last row uses the second row of M, which has no third."""
    m0, m1 = maps.transpose(1, 0, 2)
    sigma = _symmetric(covariances)
    s0, s1 = _apply(sigma, m0), _apply(sigma, m1)
    zero = np.zeros_like(s0)
    return _rows([2 * s0, zero], [s1, s0], [zero, 2 * s1])


def dilate(covariances: np.ndarray, dilation_px2: float) -> np.ndarray:
    """Σ' + dilation · I: (N, 3). Its Jacobian is the identity."""
    return covariances + np.array([dilation_px2, 0.0, dilation_px2])


def antialiasing_factors(covariances: np.ndarray, dilation_px2: float) -> np.ndarray:
    """sqrt(det Σ' / det(Σ' + dilation · I)), from the undilated Σ': (N,).

    Added. Dilation makes a gaussian larger; multiplied by this, its opacity falls in proportion. The ratio is not
    let below 0.000025. Yu et al. 2024, Mip-Splatting, equation 9; floor as in the original 3DGS.
    """
    return np.sqrt(np.maximum(_determinant_ratios(covariances, dilation_px2), ANTIALIAS_FLOOR))


def d_antialiasing_d_covariance(covariances: np.ndarray, dilation_px2: float) -> np.ndarray:
    """Added: the Jacobian of `antialiasing_factors`, 0 where the floor holds: (N, 1, 3)."""
    a, b, c = covariances.T
    dilated_a, _, dilated_c = dilate(covariances, dilation_px2).T
    ratio = _determinant_ratios(covariances, dilation_px2)
    scale = (ratio > ANTIALIAS_FLOOR) / (dilated_a * dilated_c - b * b)
    scale = scale / (2 * antialiasing_factors(covariances, dilation_px2))
    return _matrix([scale * (c - ratio * dilated_c), scale * 2 * b * (ratio - 1), scale * (a - ratio * dilated_a)])


# --- 4. Color: spherical harmonics (the section that the document leaves empty) -----------------------------------


def camera_centre(camera: Camera) -> np.ndarray:
    """-R_cwᵀ t_cw (3,), the camera's place in the world."""
    return -translation_of(camera) @ rotation_of(camera)


def d_centre_d_camera(camera: Camera) -> np.ndarray:
    """Added: ∂center/∂camera_from_world, taking -Rᵀ t as its definition also where R is no rotation: (1, 3, 12)."""
    jacobian = np.zeros((3, 3, 4))
    jacobian[:, :, :3] = -np.einsum("jl,i->jil", np.eye(3), translation_of(camera))
    jacobian[:, :, 3] = -rotation_of(camera).T
    return jacobian.reshape(1, 3, 12)


def view_directions(means: np.ndarray, center: np.ndarray) -> np.ndarray:
    """r = (p_w - center)/|p_w - center|: (N, 3)."""
    offsets = means - center
    return offsets / np.linalg.norm(offsets, axis=1, keepdims=True)


def d_direction_d_mean(means: np.ndarray, center: np.ndarray) -> np.ndarray:
    """B.4: ∂r/∂p_w = (I - r rᵀ)/|p_w - center|: (N, 3, 3). With respect to the center it is the negative."""
    return _d_normalized(means - center)


def d_harmonics_d_direction(directions: np.ndarray, degree: int) -> np.ndarray:
    """B.4: ∂Y/∂r of the polynomials in `gaussians/harmonics.py`: (N, K, 3)."""
    x, y, z = directions.T
    xx, yy, zz = x * x, y * y, z * z
    zero, one = np.zeros_like(x), np.ones_like(x)
    gradients = [
        (0.0, [zero, zero, zero]),
        (-0.4886025119029199, [zero, one, zero]),
        (0.4886025119029199, [zero, zero, one]),
        (-0.4886025119029199, [one, zero, zero]),
        (1.0925484305920792, [y, x, zero]),
        (-1.0925484305920792, [zero, z, y]),
        (0.31539156525252005, [-2 * x, -2 * y, 4 * z]),
        (-1.0925484305920792, [z, zero, x]),
        (0.5462742152960396, [2 * x, -2 * y, zero]),
        (-0.5900435899266435, [6 * x * y, 3 * xx - 3 * yy, zero]),
        (2.890611442640554, [y * z, x * z, x * y]),
        (-0.4570457994644658, [-2 * x * y, 4 * zz - xx - 3 * yy, 8 * y * z]),
        (0.3731763325901154, [-6 * x * z, -6 * y * z, 6 * zz - 3 * xx - 3 * yy]),
        (-0.4570457994644658, [4 * zz - 3 * xx - yy, -2 * x * y, 8 * x * z]),
        (1.445305721320277, [2 * x * z, -2 * y * z, xx - yy]),
        (-0.5900435899266435, [3 * xx - 3 * yy, -6 * x * y, zero]),
    ]
    return _matrix(*([constant * part for part in parts] for constant, parts in gradients[: (degree + 1) ** 2]))


def colors(sh: np.ndarray, directions: np.ndarray, degree: int) -> np.ndarray:
    """c = max(0, Σ_k Y_k(r) h_k + 0.5): (N, 3). Coefficients of `sh` above `degree` are not used."""
    return np.maximum(_unclamped_colors(sh, directions, degree), 0.0)


def d_color_d_sh(sh: np.ndarray, directions: np.ndarray, degree: int) -> np.ndarray:
    """B.4: ∂c/∂h_k = Y_k I₃, zero where the color is clamped and for unused k: (N, 3, 3 K)."""
    lit = _unclamped_colors(sh, directions, degree) > 0
    used = harmonics(directions, degree)
    values = np.pad(used, [(0, 0), (0, sh.shape[1] - used.shape[1])])
    return np.einsum("nc,nk,cd->nckd", lit, values, np.eye(3)).reshape(len(sh), 3, sh.shape[1] * 3)


def d_color_d_direction(sh: np.ndarray, directions: np.ndarray, degree: int) -> np.ndarray:
    """B.4: ∂c/∂r = hᵀ ∂Y/∂r, zero where the color is clamped: (N, 3, 3)."""
    lit = _unclamped_colors(sh, directions, degree) > 0
    used = sh[:, : (degree + 1) ** 2]
    return lit[:, :, None] * np.einsum("nkc,nkx->ncx", used, d_harmonics_d_direction(directions, degree))


# Added: the blend space. Where blending is in linear light, colors and background are decoded before compositing, and
# what was composited is encoded. Both act on each channel alone, so their Jacobians are diagonal.


def linear_colors(encoded: np.ndarray) -> np.ndarray:
    """Linear light of display-encoded colors (IEC 61966-2-1), c/12.92 or ((c + 0.055)/1.055)^2.4: (N, 3)."""
    return decode_srgb(encoded)


def d_linear_d_encoded(encoded: np.ndarray) -> np.ndarray:
    """1/12.92 on the straight foot, 2.4/1.055 ((c + 0.055)/1.055)^1.4 on the curve: (N, 3, 3)."""
    base = (np.maximum(encoded, FOOT_ENCODED) + SHIFT) / (1 + SHIFT)
    return _diagonal(np.where(encoded <= FOOT_ENCODED, 1 / FOOT_SLOPE, POWER / (1 + SHIFT) * base ** (POWER - 1)))


def encoded_pixels(linear: np.ndarray) -> np.ndarray:
    """Display-encoded values of composited light, 12.92 γ or 1.055 γ^(1/2.4) - 0.055: (P, 3)."""
    return encode_srgb(linear)


def d_encoded_d_linear(linear: np.ndarray) -> np.ndarray:
    """12.92 on the straight foot, hence finite at 0, and 1.055/2.4 γ^(1/2.4 - 1) on the curve: (P, 3, 3)."""
    power = np.maximum(linear, FOOT_LINEAR) ** (1 / POWER - 1)
    return _diagonal(np.where(linear <= FOOT_LINEAR, FOOT_SLOPE, (1 + SHIFT) / POWER * power))


def opacities(logits: np.ndarray) -> np.ndarray:
    """α = 1/(1 + exp(-logit)): (N,)."""
    return 0.5 * (1.0 + np.tanh(0.5 * logits))


def d_opacity_d_logit(logits: np.ndarray) -> np.ndarray:
    """Added: ∂α/∂logit = α (1 - α): (N,)."""
    return opacities(logits) * opacities(-logits)


# --- 5. One gaussian in one pixel, and all of them together --------------------------------------------------------
# Per pixel: P pixels, `offsets` d = u - x_j (N, P, 2), gaussians sorted near to far.


def conics(covariances: np.ndarray) -> np.ndarray:
    """ω = upper triangle of the inverse of the dilated Σ' = (a, b, c): (c, -b, a)/det: (N, 3)."""
    a, b, c = covariances.T
    return np.stack([c, -b, a], axis=1) / (a * c - b * b)[:, None]


def d_conic_d_covariance(covariances: np.ndarray) -> np.ndarray:
    """B.5.2c: ∂ω/∂σ': (N, 3, 3). The document announces this matrix and does not print it."""
    a, b, c = covariances.T
    det = a * c - b * b
    matrices = _matrix(
        [-c * c, 2 * b * c, -a * c + det],
        [b * c, -2 * b * b - det, a * b],
        [-a * c + det, 2 * a * b, -a * a],
    )
    return matrices / (det * det)[:, None, None]


def falloffs(conic: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """g = exp(-½ dᵀ ω d), 1 at the gaussian's middle: (N, P)."""
    d0, d1 = offsets[..., 0], offsets[..., 1]
    w0, w1, w2 = conic.T[:, :, None]
    return np.exp(-0.5 * w0 * d0 * d0 - 0.5 * w2 * d1 * d1 - w1 * d0 * d1)


def d_falloff_d_pixel(conic: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """B.5.2b: ∂g/∂u = -g (ω0 d0 + ω1 d1, ω2 d1 + ω1 d0): (N, P, 2)."""
    d0, d1 = offsets[..., 0], offsets[..., 1]
    w0, w1, w2 = conic.T[:, :, None]
    return -falloffs(conic, offsets)[..., None] * np.stack([w0 * d0 + w1 * d1, w2 * d1 + w1 * d0], axis=-1)


def d_falloff_d_conic(conic: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """B.5.2c: ∂g/∂ω = -g (d0²/2, d0 d1, d1²/2): (N, P, 3)."""
    d0, d1 = offsets[..., 0], offsets[..., 1]
    return -falloffs(conic, offsets)[..., None] * np.stack([0.5 * d0 * d0, d0 * d1, 0.5 * d1 * d1], axis=-1)


def pixel_alphas(opacity: np.ndarray, falloff: np.ndarray, rules: PictureRules) -> np.ndarray:
    """α' = min(0.999, α g), and 0 where that is below 1/255 or where the pixel is finished: (N, P).

    Finished, exactly: with T the transmittance before a gaussian, a gaussian that would take it to T (1 - α') < 1e-4
    is not added, nor is any behind it. There is no cut at three sigma: 1/255 alone decides what a gaussian touches.
    """
    alphas = np.minimum(opacity[:, None] * falloff, rules.alpha_cap)
    alphas = np.where(alphas < rules.alpha_cutoff, 0.0, alphas)
    return np.where(np.cumprod(1.0 - alphas, axis=0) < rules.transmittance_stop, 0.0, alphas)


def d_alpha_d_opacity(alphas: np.ndarray, falloff: np.ndarray, rules: PictureRules) -> np.ndarray:
    """B.5.1a: ∂α'/∂α = g: (N, P). Added: 0 where the cap, the cutoff or the stop decides."""
    return _is_free(alphas, rules) * falloff


def d_alpha_d_falloff(alphas: np.ndarray, opacity: np.ndarray, rules: PictureRules) -> np.ndarray:
    """The α of B.5.2b and B.5.2c: ∂α'/∂g = α: (N, P). Added: 0 where the cap, the cutoff or the stop decides."""
    return _is_free(alphas, rules) * opacity[:, None]


def transmittances(alphas: np.ndarray) -> np.ndarray:
    """T_i = Π_{k<i} (1 - α'_k), what arrives from gaussian i and, in the last row, from the background: (N + 1, P)."""
    return np.concatenate([np.ones((1, alphas.shape[1])), np.cumprod(1.0 - alphas, axis=0)])


def composite(alphas: np.ndarray, features: np.ndarray, background: np.ndarray) -> np.ndarray:
    """γ = Σ_i T_i α'_i f_i + T_end background, for features f (N, F), of which color is three: (P, F)."""
    arriving = transmittances(alphas)
    return (arriving[:-1] * alphas).T @ features + arriving[-1][:, None] * background


def d_composite_d_feature(alphas: np.ndarray) -> np.ndarray:
    """B.5b: ∂γ/∂f_i = T_i α'_i, the weight of gaussian i in each pixel: (N, P)."""
    return transmittances(alphas)[:-1] * alphas


def d_composite_d_background(alphas: np.ndarray) -> np.ndarray:
    """Added: ∂γ/∂background = T_end: (P,)."""
    return transmittances(alphas)[-1]


def d_composite_d_alpha(alphas: np.ndarray, features: np.ndarray, background: np.ndarray) -> np.ndarray:
    """B.5a, far to near: ∂γ/∂α'_i = T_i (f_i - S), then S ← α'_i f_i + (1 - α'_i) S: (N, P, F).

    Corrected: S, what lies behind, starts as the background and not as 0.
    """
    arriving = transmittances(alphas)
    behind = np.broadcast_to(background, (alphas.shape[1], features.shape[1]))
    jacobian = np.empty((*alphas.shape, features.shape[1]))
    for i in reversed(range(len(alphas))):
        jacobian[i] = arriving[i][:, None] * (features[i] - behind)
        behind = alphas[i][:, None] * features[i] + (1.0 - alphas[i][:, None]) * behind
    return jacobian


def expected_depth(depth_sum: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Σ w z / Σ w, 0 where nothing is: (P,). Both sums are composited features, z and 1, over a background of 0."""
    return depth_sum / np.where(alpha > 0, alpha, 1.0)


def d_expected_depth(depth_sum: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Added: the derivatives with respect to Σ w z and to Σ w, 0 where nothing is: two of (P,)."""
    inverse = (alpha > 0) / np.where(alpha > 0, alpha, 1.0)
    return inverse, -depth_sum * inverse**2


# --- Arithmetic shared by the above --------------------------------------------------------------------------------


def _matrix(*rows: list[np.ndarray]) -> np.ndarray:
    """A matrix for each gaussian from rows of entries that are arrays (N,): (N, rows, columns)."""
    return np.stack([np.stack(row, axis=1) for row in rows], axis=1).astype(np.float64)


def _rows(*rows: list[np.ndarray]) -> np.ndarray:
    """A matrix for each gaussian from rows of blocks (N, 3): (N, rows, 3 · blocks)."""
    return np.stack([np.concatenate(row, axis=1) for row in rows], axis=1)


def _diagonal(entries: np.ndarray) -> np.ndarray:
    return np.einsum("nc,cd->ncd", entries, np.eye(entries.shape[1]))


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.sum(a * b, axis=1)


def _apply(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    return np.einsum("nij,nj->ni", matrices, vectors)


def _symmetric(triangles: np.ndarray) -> np.ndarray:
    return triangles[:, [0, 1, 2, 1, 3, 4, 2, 4, 5]].reshape(-1, 3, 3)


def _d_normalized(vectors: np.ndarray) -> np.ndarray:
    """∂(v/|v|)/∂v = (I - v̂ v̂ᵀ)/|v|."""
    lengths = np.linalg.norm(vectors, axis=1)[:, None, None]
    units = vectors[:, :, None] / lengths
    return (np.eye(vectors.shape[1]) - units * units.transpose(0, 2, 1)) / lengths


def _slope_limits(camera: Camera, rules: PictureRules) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest (x/z, y/z): two of (2,)."""
    size = np.array([camera.width, camera.height], dtype=np.float64)
    focal, center = np.array([camera.fx, camera.fy]), np.array([camera.cx, camera.cy])
    beyond = rules.image_margin * size
    return (-beyond - center) / focal, (size + beyond - center) / focal


def _clamped(points: np.ndarray, camera: Camera, rules: PictureRules) -> tuple[np.ndarray, np.ndarray]:
    least, largest = _slope_limits(camera, rules)
    slopes = points[:, :2] / points[:, 2:]
    x_clamped, y_clamped = ((slopes < least) | (slopes > largest)).T
    return x_clamped, y_clamped


def _determinant_ratios(covariances: np.ndarray, dilation_px2: float) -> np.ndarray:
    a, b, c = covariances.T
    dilated_a, _, dilated_c = dilate(covariances, dilation_px2).T
    return (a * c - b * b) / (dilated_a * dilated_c - b * b)


def _unclamped_colors(sh: np.ndarray, directions: np.ndarray, degree: int) -> np.ndarray:
    return np.einsum("nk,nkc->nc", harmonics(directions, degree), sh[:, : (degree + 1) ** 2]) + 0.5


def _is_free(alphas: np.ndarray, rules: PictureRules) -> np.ndarray:
    """Whether α' follows α g, rather than a cap, the cutoff or the stop."""
    return (alphas > 0) & (alphas < rules.alpha_cap)
