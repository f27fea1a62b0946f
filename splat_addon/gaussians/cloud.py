"""A splat cloud: N gaussians with their stored parameters."""

from dataclasses import dataclass, field

import numpy as np

from .harmonics import coefficient_count, degree_of

# What colors are blended in: as they are displayed, as other trainers and viewers do and so where a file does not say;
# or decoded to linear light, as Blender does.
DISPLAY, BLENDER = "display", "blender"
BLEND_SPACES = (DISPLAY, BLENDER)

# Opacities that are 1 and 0 in 32 bits: what infinite logits of a file are read as.
OPAQUE_LOGIT = 20.0
LARGEST_LOG_SCALE = 44.0  # sigma squared, which drawing needs, is finite in 32 bits up to 44.36


@dataclass
class GaussianCloud:
    """N gaussians as they are stored and optimized, float32, in the capture's world frame.

    Kerbl et al. 2023, section 4: position, covariance as quaternion and scale, opacity, view-dependent color.
    """

    means: np.ndarray  # (N, 3) capture units
    log_scales: np.ndarray  # (N, 3) natural logarithm of sigma
    quaternions: np.ndarray  # (N, 4) w, x, y, z; any length but zero
    logit_opacities: np.ndarray  # (N,)
    sh: np.ndarray  # (N, K, 3) K = 1, 4, 9 or 16
    blend_space: str = DISPLAY  # what the colors were trained, or are going to be trained, to be blended in
    # Whether opacities were trained to fall by what the dilation adds: see `rules.ANTIALIAS_FLOOR`.
    antialiased: bool = False
    # What a file says of each gaussian besides, (N,) each by the name of its column: kept for the way back.
    extras: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self):
        count = len(self.means)
        shapes = {
            "means": (count, 3),
            "log_scales": (count, 3),
            "quaternions": (count, 4),
            "logit_opacities": (count,),
            "sh": (count, self.sh.shape[1] if self.sh.ndim == 3 else -1, 3),
        }
        for name, shape in shapes.items():
            array = np.asarray(getattr(self, name), dtype=np.float32)
            if array.shape != shape:
                raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
            setattr(self, name, array)
        degree_of(self.sh.shape[1])
        if self.blend_space not in BLEND_SPACES:
            raise ValueError(f"{self.blend_space!r} is not a blend space: {DISPLAY!r} or {BLENDER!r}")

    def __len__(self) -> int:
        return len(self.means)

    @property
    def sh_degree(self) -> int:
        """The highest degree of the stored harmonics, 0 to 3."""
        return degree_of(self.sh.shape[1])

    @property
    def scales(self) -> np.ndarray:
        """(N, 3) sigma along the gaussian's own axes, capture units."""
        return np.exp(self.log_scales)

    @property
    def opacities(self) -> np.ndarray:
        """(N,) peak opacity, 0..1."""
        return opacities_of(self.logit_opacities)

    @property
    def rotations(self) -> np.ndarray:
        """(N, 4) unit quaternions w, x, y, z; the identity where the stored one is zero."""
        lengths = self.quaternion_lengths
        if lengths.all():
            return self.quaternions / lengths[:, None]
        unit = self.quaternions / np.where(lengths > 0, lengths, 1)[:, None]
        unit[lengths == 0] = (1, 0, 0, 0)
        return unit

    @property
    def quaternion_lengths(self) -> np.ndarray:
        """(N,) how long the stored quaternions are; their direction alone turns the gaussian."""
        return np.sqrt(np.einsum("ni,ni->n", self.quaternions, self.quaternions))

    def finite(self) -> np.ndarray:
        """(N,) whether every parameter of the gaussian is a finite number, and so is what it means: its covariance and
        its rotation."""
        with np.errstate(over="ignore", invalid="ignore"):
            # The usual case, at a fraction of the cost. Columns one by one are faster than short rows together.
            is_usual = len(self) > 0 and all(
                -np.inf < column.min() and column.max() <= LARGEST_LOG_SCALE for column in self.log_scales.T
            )
            sums = [array.sum() for array in (self.means, self.logit_opacities, self.sh)]
            if is_usual and np.isfinite([*sums, *(column @ column for column in self.quaternions.T)]).all():
                return np.ones(len(self), dtype=bool)
            scales = np.where(self.log_scales <= LARGEST_LOG_SCALE, self.log_scales, np.nan)
            lengths = self.quaternion_lengths[:, None]
        rows = [self.means, scales, lengths, self.logit_opacities[:, None], self.sh]
        return np.logical_and.reduce([np.isfinite(array).all(axis=tuple(range(1, array.ndim))) for array in rows])

    def select(self, which: np.ndarray | slice) -> "GaussianCloud":
        """The gaussians at a boolean mask, at indices or in a slice, order kept."""
        return GaussianCloud(
            self.means[which],
            self.log_scales[which],
            self.quaternions[which],
            self.logit_opacities[which],
            self.sh[which],
            self.blend_space,
            self.antialiased,
            {name: values[which] for name, values in self.extras.items()},
        )

    def put(self, start: int, block: "GaussianCloud") -> None:
        """Replace the gaussians from `start` on by those of `block`, without extras. ValueError when those were trained
        otherwise."""
        if block.blend_space != self.blend_space:
            raise ValueError(f"{block.blend_space!r} colors cannot be put among {self.blend_space!r} ones")
        if block.antialiased != self.antialiased:
            raise ValueError("Antialiased gaussians and others cannot be in one cloud")
        rows = slice(start, start + len(block))
        self.means[rows], self.log_scales[rows], self.quaternions[rows] = (
            block.means,
            block.log_scales,
            block.quaternions,
        )
        self.logit_opacities[rows], self.sh[rows] = block.logit_opacities, block.sh


def empty_cloud(count: int, sh_degree: int, blend_space: str = DISPLAY, antialiased: bool = False) -> GaussianCloud:
    """A cloud whose numbers are still to be filled in."""
    return GaussianCloud(
        means=np.empty((count, 3), np.float32),
        log_scales=np.empty((count, 3), np.float32),
        quaternions=np.empty((count, 4), np.float32),
        logit_opacities=np.empty(count, np.float32),
        sh=np.empty((count, coefficient_count(sh_degree), 3), np.float32),
        blend_space=blend_space,
        antialiased=antialiased,
    )


def opacities_of(logits: np.ndarray) -> np.ndarray:
    """The sigmoid, without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * logits))
