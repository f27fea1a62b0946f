"""How the number of gaussians changes while an image is fitted: architecture search, in the lesson's words.

*Adaptive density control* (Kerbl et al. 2023, section 5.2): the transparent are pruned; of the others, the quarter with
the highest accumulated positional gradient grows: small ones are cloned, large ones split. So N become
`N - pruned + ceil((N - pruned) / 4)`, or as many as the limit allows.
*MCMC* (Kheradmand et al. 2024): the transparent move to others, chosen by how much these show, 5 % are added in the
same way, and after every step faint gaussians are pushed at random.
"""

import math
from dataclasses import dataclass

import numpy as np

from .adam import Adam
from .gaussians import FAINTEST, Gaussians
from .pairs import shapes_of

GROWING_PART = 0.25  # of the gaussians, at each densification
SPLIT_SHRINK = 1.6  # children are this much smaller (Kerbl et al. 2023, section 5.2)
CLONE_MOVE = 0.5  # sigmas by which a copy is moved down the gradient
ADDED_BY_MCMC = 0.05
NOISE_RATE, NOISE_SHARPNESS = 0.1, 100.0  # 1/px; how fast noise fades above the faintest peak


@dataclass(frozen=True)
class Change:
    """What a densification did."""

    pruned: int
    cloned: int
    split: int
    relocated: int = 0

    def sentence(self, count: int) -> str:
        """For the artist: what happened, and how many there are now."""
        parts = ((self.cloned, "cloned"), (self.split, "split"), (self.relocated, "relocated"), (self.pruned, "pruned"))
        done = [f"{number} {what}" for number, what in parts if number] or ["nothing to change"]
        return f"{', '.join(done)}: {count} gaussians"


class Asking:
    """The positional gradients of N gaussians since the last densification."""

    def __init__(self, count: int):
        self.norms, self.sums, self.steps = np.zeros(count), np.zeros((count, 2)), 0

    def observe(self, by_means: np.ndarray) -> None:
        """Take in dL/dmu (N, 2) of one step."""
        self.norms += np.linalg.norm(by_means, axis=1)
        self.sums += by_means
        self.steps += 1


def densify(
    gaussians: Gaussians,
    adam: Adam,
    asking: Asking,
    size: tuple[int, int],
    is_additive: bool,
    most: int,
    random: np.random.Generator,
) -> tuple[Gaussians, np.ndarray, Change]:
    """Prune, then clone and split in an image of `size` (H, W). Changes `adam`, too.

    Returns the gaussians, what number each had before (-1: it is new), and what was done.
    """
    kept = np.flatnonzero((gaussians.peaks(is_additive) >= FAINTEST) & (shapes_of(gaussians, size).counts > 0))
    pruned = len(gaussians) - len(kept)
    gaussians, norms, sums = gaussians.select(kept), asking.norms[kept], asking.sums[kept]
    adam.keep(kept)
    wanted = min(math.ceil(GROWING_PART * len(gaussians)), max(most - len(gaussians), 0))
    growing = np.argsort(-norms, kind="stable")[:wanted]
    growing = growing[norms[growing] > 0]
    sizes = gaussians.log_sigmas.max(axis=1)
    is_small = sizes[growing] <= np.median(sizes) if len(sizes) else np.zeros(0, bool)
    small, large = growing[is_small], growing[~is_small]

    _thin_out(gaussians, small, 2, is_additive)
    copies = gaussians.select(small)
    downhill = -sums[small] / np.maximum(np.linalg.norm(sums[small], axis=1, keepdims=True), 1e-30)
    copies.means += (CLONE_MOVE * copies.sigmas.max(axis=1, keepdims=True) * downhill).astype(copies.means.dtype)

    # Drawn from the parent's distribution, on opposite sides and so far apart that the two together are, on average,
    # where the parent was and as wide.
    halves = gaussians.select(large)
    offsets = (math.sqrt(1 - SPLIT_SHRINK**-2) * _drawn(halves, random)).astype(halves.means.dtype)
    halves.log_sigmas -= math.log(SPLIT_SHRINK)
    if is_additive:
        halves.colors *= SPLIT_SHRINK**2 / 2  # the same sum over the image
    others = halves.select(np.arange(len(halves)))
    halves.means += offsets
    others.means -= offsets

    left = np.setdiff1d(np.arange(len(gaussians)), large)
    adam.keep(left)
    gaussians = gaussians.select(left)
    for new in (copies, halves, others):
        adam.append(new)
        gaussians = gaussians.joined(new)
    origins = np.concatenate([kept[left], np.full(len(gaussians) - len(left), -1)])
    return gaussians, origins, Change(pruned, len(small), len(large))


def move_by_mcmc(
    gaussians: Gaussians, adam: Adam, is_additive: bool, most: int, random: np.random.Generator
) -> tuple[Gaussians, np.ndarray, Change]:
    """Relocate the dead and add a few, each a share of a living one. Returns as `densify` does."""
    origins = np.arange(len(gaussians))
    peaks = gaussians.peaks(is_additive).astype(np.float64)
    dead, alive = np.flatnonzero(peaks < FAINTEST), np.flatnonzero(peaks >= FAINTEST)
    if not len(alive):
        return gaussians, origins, Change(0, 0, 0)
    added = min(math.ceil(ADDED_BY_MCMC * len(gaussians)), max(most - len(gaussians), 0))
    sources = random.choice(alive, len(dead) + added, p=peaks[alive] / peaks[alive].sum())
    named, times = np.unique(sources, return_counts=True)
    for number in np.unique(times):
        _thin_out(gaussians, named[times == number], int(number) + 1, is_additive)
    copies = gaussians.select(sources)
    copies.means += CLONE_MOVE * _drawn(copies, random)  # at one place, additive ones would stay one for ever
    for name, array in gaussians.arrays().items():
        array[dead] = getattr(copies, name)[: len(dead)]
    adam.forget(np.concatenate([named, dead]))
    new = copies.select(np.arange(len(dead), len(copies)))
    adam.append(new)
    origins[dead] = -1
    return gaussians.joined(new), np.append(origins, np.full(added, -1)), Change(0, added, 0, len(dead))


def push_the_faint(gaussians: Gaussians, is_additive: bool, random: np.random.Generator) -> None:
    """The noise of MCMC (Kheradmand et al. 2024, equation 8): by the gaussian's own covariance, and only where it is
    faint."""
    exponents = NOISE_SHARPNESS * (gaussians.peaks(is_additive) - FAINTEST)
    faintness = 0.5 * (1 - np.tanh(0.5 * exponents))
    noise = random.standard_normal(gaussians.means.shape) * faintness[:, None] * NOISE_RATE
    gaussians.means += np.einsum("nij,nj->ni", gaussians.covariances(), noise).astype(gaussians.means.dtype)


def _drawn(gaussians: Gaussians, random: np.random.Generator) -> np.ndarray:
    """(N, 2) px from the center, drawn from each gaussian's own distribution."""
    offsets = gaussians.sigmas * random.standard_normal((len(gaussians), 2))
    return np.einsum("nij,nj->ni", gaussians.axes(), offsets).astype(gaussians.means.dtype)


def _thin_out(gaussians: Gaussians, which: np.ndarray, copies: int, is_additive: bool) -> None:
    """Let `copies` equal gaussians in one place show what each of `which` shows alone.

    Additive: an equal share of the color, exactly. Under transmittance, opacity 1 - (1 - o)^(1/n) (Rota Bulò et al.
    2024) and a sigma with which the sum over the plane is the same: Kheradmand et al. 2024, equation 9, whose integral
    along a line, 1/sqrt(k), is one over a plane here, 1/k.
    """
    if is_additive:
        gaussians.colors[which] /= copies
        return
    opacities = np.minimum(gaussians.opacities[which].astype(np.float64), 1 - 1e-6)
    shared = 1 - (1 - opacities) ** (1 / copies)
    shown = sum(math.comb(copies, k) * (-1) ** (k - 1) * shared**k / k for k in range(1, copies + 1))
    gaussians.log_sigmas[which] += (0.5 * np.log(opacities / shown))[:, None].astype(gaussians.log_sigmas.dtype)
    gaussians.logit_opacities[which] = np.log(shared / (1 - shared))
