"""The factors of one gaussian's positional gradient, as the lesson's equation has them:

    dL/dmu_i = sum_p  dL/dR(p)  .  c_i w_i(p)  (p - mu_i) / sigma_i²
                     residual      from the kernel

Under transmittance, c_i is what the gaussian adds to what is behind it, T_i (c_i - behind_i), and w_i is its alpha.
"""

from dataclasses import dataclass

import numpy as np

from .fitter import PAIRS_KEPT, Measured
from .pairs import pairs_in, shapes_of
from .rendering import Blend, blending_of


@dataclass(frozen=True)
class Terms:
    """One gaussian, and the pixel that pulls it most."""

    center: tuple[float, float]  # px
    pixel: tuple[int, int]  # column, row
    pixel_count: int  # that it reaches
    residual: np.ndarray  # (3,) dL/dR(p)
    color: np.ndarray  # (3,)
    weight: float
    lever: np.ndarray  # (2,) S^-1 (p - mu), 1/px: (p - mu) / sigma² where it is isotropic
    term: np.ndarray  # (2,) their product: dL/dmu by this pixel alone
    gradient: np.ndarray  # (2,) the sum over all pixels


def terms_of(measured: Measured, number: int, is_additive: bool) -> Terms | None:
    """None for a gaussian that reaches no pixel, or where looking would take long."""
    gaussians, size = measured.gaussians, measured.image.shape[:2]
    shapes = shapes_of(gaussians, size)
    if not shapes.counts[number] or shapes.counts.sum() > PAIRS_KEPT:
        return None
    top, bottom = int(shapes.first[number, 1]), int(shapes.last[number, 1])
    pairs = pairs_in(shapes, size[1], top, bottom)
    blending = blending_of(pairs, gaussians, is_additive)
    place = int(np.searchsorted(pairs.reaching, number))
    own = slice(pairs.starts[place], pairs.starts[place] + pairs.counts[place])
    residuals = measured.residual[top:bottom].reshape(-1, 3)[pairs.pixels[own]]
    if isinstance(blending, Blend):
        spread = (pairs.spread(gaussians.colors[:, channel]) for channel in range(3))
        colors = np.stack([blending.by_alpha(color)[own] for color in spread], axis=1)
        weights = np.where(blending.is_capped[own], 0, blending.alphas[own])
    else:
        colors, weights = np.broadcast_to(gaussians.colors[number], residuals.shape), pairs.weights[own]
    xx, xy, yy = shapes.inverse[number]
    x, y = pairs.x[own], pairs.y[own]
    levers = np.stack([xx * x + xy * y, xy * x + yy * y], axis=1)
    terms = ((residuals * colors).sum(axis=1) * weights)[:, None] * levers
    most = int(np.argmax(np.square(terms).sum(axis=1)))
    row, column = divmod(int(pairs.pixels[own][most]), size[1])
    return Terms(
        center=(float(gaussians.means[number, 0]), float(gaussians.means[number, 1])),
        pixel=(column, row + top),
        pixel_count=int(pairs.counts[place]),
        residual=residuals[most],
        color=colors[most],
        weight=float(weights[most]),
        lever=levers[most],
        term=terms[most],
        gradient=measured.gradients.means[number],
    )
