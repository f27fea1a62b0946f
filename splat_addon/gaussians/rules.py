"""The rules by which gaussians become a picture: one record, handed to kernels, node trees and shaders alike."""

from dataclasses import dataclass

import numpy as np

ORDINARY_SIZE = 0.1  # of splats: half of them lie farther than that from their middle
NEAR_OF_SIZE = 0.4  # what the near plane of smaller ones is multiplied with, times their size
_SAMPLE = 4096
# Antialiased gaussians (Yu et al. 2024, Mip-Splatting, equation 9): their opacity is multiplied with the root of
# det S / det(S + dilation I), S being the covariance on the image; the ratio is not let below this. As in 3DGS.
ANTIALIAS_FLOOR = 0.000025


@dataclass(frozen=True)
class PictureRules:
    """The numbers that EWA splatting leaves open. Splats look as trained where a picture is made by the same ones.

    Defaults are those of gsplat 1.5.3 (Ye et al. 2024), so that its splats look here as there; where the original 3DGS
    (Kerbl et al. 2023) has another number, it is named.
    """

    dilation_px2: float = 0.3  # added to the diagonal of every 2D covariance, so that none falls between pixels
    alpha_cap: float = 0.999  # no gaussian hides all behind it, or gradients there would vanish; 3DGS: 0.99
    alpha_cutoff: float = 1.0 / 255.0  # contributions below one 8-bit step are skipped: 3DGS, appendix C
    near_plane: float = 0.01  # gaussians nearer than this (capture units, along +z) are not drawn; 3DGS: 0.2
    image_margin: float = 0.15  # the projection's Jacobian, which exaggerates far off the image, is taken at most this
    # part of the image's size beyond its edges; 3DGS: as far from the optical axis, wherever the image is
    transmittance_stop: float = 1e-4  # a pixel is finished before the gaussian that would leave less: 3DGS, appendix C

    def slope_limits(self, size_px: float, focal_px: float, center_px: float) -> tuple[float, float]:
        """The least and the largest x/z, or y/z, at which the projection's Jacobian is taken.

        They belong to the image, wherever its principal point `center_px` is, so that what is visible is never held.
        """
        beyond_px = self.image_margin * size_px
        return (-beyond_px - center_px) / focal_px, (size_px + beyond_px - center_px) / focal_px

    def require_default(self, *names: str) -> None:
        """Raise ValueError where one of these rules is not its default: for those that are compiled into a backend."""
        for name in names:
            value, compiled = getattr(self, name), getattr(DEFAULT_RULES, name)
            if value != compiled:
                raise ValueError(f"{name} is {value}, but this backend is compiled for {compiled}")


DEFAULT_RULES = PictureRules()


def near_plane_scale(positions: np.ndarray) -> float:
    """What to multiply the near plane with when splats at `positions` (N, 3) are drawn, in their own units.

    1 for scenes of ordinary size. Of smaller ones, whose cameras stand nearer to everything than that, nothing would be
    drawn: they get a near plane in proportion to their size.
    """
    some = np.asarray(positions[:: max(1, len(positions) // _SAMPLE)], dtype=np.float64)
    some = some[np.isfinite(some).all(axis=1)]
    if len(some) == 0:
        return 1.0
    size = float(np.median(np.linalg.norm(some - np.median(some, axis=0), axis=1)))
    return NEAR_OF_SIZE * size if 0 < size < ORDINARY_SIZE else 1.0
