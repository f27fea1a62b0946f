"""Real spherical harmonics, in the order and with the signs of the INRIA implementation.

Clouds hold them to degree 3; some files to degree 4, which is evaluated here, too, so that it can be rotated.
"""

import numpy as np

SH_C0 = 0.28209479177387814  # Y0, the constant harmonic
MAX_DEGREE = 3


def coefficient_count(degree: int) -> int:
    """Harmonics per color channel up to `degree`: (degree + 1)**2."""
    return (degree + 1) ** 2


def degree_of(coefficients: int) -> int:
    """The degree that has `coefficients` harmonics per channel; ValueError when none has."""
    for degree in range(MAX_DEGREE + 1):
        if coefficient_count(degree) == coefficients:
            return degree
    raise ValueError(f"{coefficients} is not 1, 4, 9 or 16 harmonics")


def color_to_sh(color):
    """The base coefficient that shows `color` (display-encoded rgb, 0..1) from every direction."""
    return (color - 0.5) / SH_C0


def sh_to_color(base):
    """The color (display-encoded rgb, may leave 0..1) that the base coefficient alone shows."""
    return base * SH_C0 + 0.5


def harmonics(directions: np.ndarray, degree: int) -> np.ndarray:
    """Values of the harmonics in unit `directions` (N, 3): (N, K). Equation B.4 of the backward process."""
    x, y, z = (directions[:, i] for i in range(3))
    return np.stack([np.full_like(x, SH_C0), *higher_harmonics(x, y, z, degree)], axis=1)


def higher_harmonics(x, y, z, degree: int) -> list:
    """The harmonics of degree 1 and above in the direction (x, y, z), of anything that can be added and multiplied."""
    values = []
    if degree >= 1:
        values += [-0.4886025119029199 * y, 0.4886025119029199 * z, -0.4886025119029199 * x]
    if degree >= 2:
        xx, yy, zz = x * x, y * y, z * z
        values += [
            1.0925484305920792 * (x * y),
            -1.0925484305920792 * (y * z),
            0.31539156525252005 * (2 * zz - xx - yy),
            -1.0925484305920792 * (x * z),
            0.5462742152960396 * (xx - yy),
        ]
    if degree >= 3:
        values += [
            -0.5900435899266435 * y * (3 * xx - yy),
            2.890611442640554 * (x * y) * z,
            -0.4570457994644658 * y * (4 * zz - xx - yy),
            0.3731763325901154 * z * (2 * zz - 3 * xx - 3 * yy),
            -0.4570457994644658 * x * (4 * zz - xx - yy),
            1.445305721320277 * z * (xx - yy),
            -0.5900435899266435 * x * (xx - 3 * yy),
        ]
    if degree >= 4:
        values += [
            2.5033429417967046 * (x * y) * (xx - yy),
            -1.7701307697799304 * (y * z) * (3 * xx - yy),
            0.9461746957575601 * (x * y) * (6 * zz - xx - yy),
            -0.6690465435572892 * (y * z) * (4 * zz - 3 * xx - 3 * yy),
            0.10578554691520431 * (8 * zz * zz - 24 * zz * (xx + yy) + 3 * (xx + yy) * (xx + yy)),
            -0.6690465435572892 * (x * z) * (4 * zz - 3 * xx - 3 * yy),
            0.47308734787878004 * (xx - yy) * (6 * zz - xx - yy),
            -1.7701307697799304 * (x * z) * (xx - 3 * yy),
            0.6258357354491761 * (xx * (xx - 3 * yy) - yy * (3 * xx - yy)),
        ]
    return values
