"""The rules by which gaussians become a picture: one record, handed to kernels, node trees and shaders alike."""

from dataclasses import dataclass


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
    image_margin: float = 0.15  # x/z and y/z in the projection's Jacobian are held within the image and this part of
    # its width and height beyond each edge; 3DGS: the same, but around the optical axis
    transmittance_stop: float = 1e-4  # a pixel is finished before the gaussian that would leave less: 3DGS, appendix C

    def require_default(self, *names: str) -> None:
        """Raise ValueError where one of these rules is not its default: for those that are compiled into a backend."""
        for name in names:
            value, compiled = getattr(self, name), getattr(DEFAULT_RULES, name)
            if value != compiled:
                raise ValueError(f"{name} is {value}, but this backend is compiled for {compiled}")


DEFAULT_RULES = PictureRules()
