"""How points were moved without their gaussians: from where each was and where it is now to the motions that did it.

Blender's own tools (Apply, Join, Realize Instances, mirroring, Transform Geometry, turning in edit mode) move points by
one affine map for each group of them. Groups are found one after the other by sampling (Fischler and Bolles 1981,
RANSAC): four points give a map, which those that it explains make better. A translation needs nothing of a gaussian.
"""

from dataclasses import dataclass

import numpy as np

from ..gaussians.transform import is_exact, nearest_orthogonal, size_of

Map = tuple[np.ndarray, np.ndarray]  # now = linear (3, 3) @ before + offset (3,)
SAME = 1e-5  # of a linear map: nearer to the identity, or to a similarity, than this it is one
_ROUNDING = 32 * float(np.finfo(np.float32).eps)  # of coordinates that were multiplied and added a few times in 32 bits
_MOST_GROUPS = 64
_DRAWN = 48  # maps that are tried for each group, from points drawn in three ways
_TRIED = 6  # of these, the best, that are made better
_SAMPLED = 12_000  # points by which maps are compared
_FEWEST = 5  # points that make a group: four have a map in common whatever they do
_SMALLEST_SHARE = 20_000  # a group has at least one in so many points


@dataclass(frozen=True)
class Motion:
    """What `which` (M,) indices have in common: now = linear @ before + offset. `linear` (3, 3) is the identity,
    exactly a similarity (or mirrors), or whatever it is."""

    linear: np.ndarray
    offset: np.ndarray
    which: np.ndarray

    @property
    def is_translation(self) -> bool:
        """Whether gaussians have nothing to follow."""
        return np.array_equal(self.linear, np.eye(3))

    @property
    def is_similarity(self) -> bool:
        """Whether gaussians and their harmonics can follow exactly."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.linear
        return is_exact(matrix)


@dataclass(frozen=True)
class Motions:
    """All motions of a cloud's points that are known, the largest group first, and those that were `alone` (M,) moved,
    or bent: indices."""

    groups: list[Motion]
    alone: np.ndarray

    @property
    def broken(self) -> list[Motion]:
        """Those that gaussians did not follow."""
        return [motion for motion in self.groups if not motion.is_translation]

    @property
    def broken_count(self) -> int:
        """How many gaussians are broken, as far as they can be repaired."""
        return sum(len(motion.which) for motion in self.broken)


def find_motions(before: np.ndarray, now: np.ndarray) -> Motions:
    """The motions that took points from `before` (N, 3) to `now` (N, 3).

    A point whose place before is exactly (0, 0, 0) is one of which nothing is known; so is one that is not finite.
    """
    if np.array_equal(before, now):  # nothing moved: the usual case, at a fraction of the cost
        return Motions([Motion(np.eye(3), np.zeros(3), np.arange(len(now)))], np.zeros(0, int))
    known = np.flatnonzero((before != 0).any(axis=1) & np.isfinite(before).all(axis=1) & np.isfinite(now).all(axis=1))
    before, now = before[known].astype(np.float64), now[known].astype(np.float64)
    cloud = _Points(before, now)
    random = np.random.default_rng(0)  # the same points have the same motions
    left = np.arange(len(known))
    groups: list[Motion] = []
    fewest = max(_FEWEST, len(known) // _SMALLEST_SHARE)
    while len(left) and len(groups) < _MOST_GROUPS:
        linear, which = np.eye(3), _still(cloud, left, random)
        offset = _middle(now[which] - before[which])
        if 2 * len(which) < len(left):
            found = _best_map(cloud, left, random)
            if found is not None and len(found[2]) > len(which):
                linear, offset, which = found
        if len(which) < fewest:
            break  # what is left was moved point by point
        groups.append(Motion(linear, offset, known[which]))
        left = np.setdiff1d(left, which, assume_unique=True)
    return Motions(sorted(groups, key=lambda motion: -len(motion.which)), known[left])


@dataclass(frozen=True)
class _Points:
    before: np.ndarray
    now: np.ndarray

    def fits(self, rows: np.ndarray, linear: np.ndarray, offset: np.ndarray, slack: float = 1.0) -> np.ndarray:
        """(M,) whether a map explains these points, to the rounding of their coordinates."""
        before, now = self.before[rows], self.now[rows]
        wrong = np.abs(before @ linear.T + offset - now).max(axis=1)
        sizes = np.abs(before).max(axis=1) * float(np.abs(linear).sum(axis=1).max()) + np.abs(now).max(axis=1)
        return wrong <= _ROUNDING * slack * (sizes + float(np.abs(offset).max()))


def _still(cloud: _Points, left: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The largest group found among `left` that one translation explains."""
    best = np.zeros(0, int)
    sample = left if len(left) <= _SAMPLED else random.choice(left, _SAMPLED, replace=False)
    shift, count = None, 0
    for index in random.choice(left, min(16, len(left)), replace=False):
        moved = cloud.now[index] - cloud.before[index]
        inside = int(cloud.fits(sample, np.eye(3), moved).sum())
        if inside > count:
            shift, count = moved, inside
    if shift is not None:
        best = left[cloud.fits(left, np.eye(3), shift)]
        if len(best):
            best = left[cloud.fits(left, np.eye(3), _middle(cloud.now[best] - cloud.before[best]))]
    return best


def _best_map(cloud: _Points, left: np.ndarray, random: np.random.Generator):
    """(linear, offset, which) of the largest group found among `left` that one affine map explains; None without."""
    if len(left) < _FEWEST:
        return None
    sample = left if len(left) <= _SAMPLED else np.sort(random.choice(left, _SAMPLED, replace=False))
    tried: list[tuple[int, int, Map, np.ndarray]] = []
    for seed in _draw(cloud, sample, left, random):
        found = fitted(cloud.before[seed], cloud.now[seed])
        if found is not None:
            tried.append((int(cloud.fits(sample, found[0], found[1], 30.0).sum()), len(tried), found, seed))
    tried.sort(reverse=True, key=lambda one: one[:2])
    best: Map | None = None
    count = 0
    for _, _, found, seed in tried[:_TRIED]:
        grown = _grown(cloud, sample, found, seed)
        inside = int(cloud.fits(sample, *grown).sum())
        if inside > count:
            best, count = grown, inside
    if best is None:
        return None
    for _ in range(2):
        which = left[cloud.fits(left, *best)]
        if len(which) < _FEWEST:
            return None
        best = fitted(cloud.before[which], cloud.now[which]) or best
    linear, offset = _named(cloud, which, *best)
    return linear, offset, left[cloud.fits(left, linear, offset, 2.0)]


def _draw(cloud: _Points, sample: np.ndarray, left: np.ndarray, random: np.random.Generator) -> list[np.ndarray]:
    """Each time four points, likely of one group: near each other in order, as joins leave them; near each other in
    space, as selections are; or any."""
    drawn = []
    for _ in range(_DRAWN // 3):
        start = int(random.integers(len(left)))
        window = left[max(0, start - 16) : start + 17]
        drawn.append(random.choice(window, min(4, len(window)), replace=False))
        distances = ((cloud.before[sample] - cloud.before[random.choice(sample)]) ** 2).sum(axis=1)
        near = sample[np.argpartition(distances, min(11, len(sample) - 1))[:12]]
        drawn.append(random.choice(near, min(4, len(near)), replace=False))
        drawn.append(random.choice(sample, min(4, len(sample)), replace=False))
    return drawn


def _grown(cloud: _Points, sample: np.ndarray, found: Map, seed: np.ndarray) -> Map:
    """A map of few points made better by more and more of those around them that it explains."""
    center = cloud.before[seed].mean(axis=0)
    distances = np.linalg.norm(cloud.before[sample] - center, axis=1)
    reach = float(np.linalg.norm(cloud.before[seed] - center, axis=1).max())
    farthest = float(distances.max())
    while True:
        near = sample[distances <= 4 * reach]
        inside = near[cloud.fits(near, found[0], found[1], 4.0)]
        better = fitted(cloud.before[inside], cloud.now[inside]) if len(inside) >= _FEWEST else None
        found = better or found
        if reach >= farthest or reach == 0:
            return found
        reach *= 4


def fitted(before: np.ndarray, now: np.ndarray) -> Map | None:
    """The affine map of least squares, (3, 3) and (3,), from points (M, 3) to points (M, 3).

    Points in one plane say nothing of what is across it: there it is a similarity that does not mirror. None for points
    on a line.
    """
    if len(before) < 3:
        return None
    origin, target = before.mean(axis=0), now.mean(axis=0)
    away, moved = before - origin, now - target
    values, axes = np.linalg.eigh(away.T @ away)  # ascending
    if values[1] <= 1e-12 * max(values[2], 1e-300):
        return None
    if values[0] > 1e-10 * values[2]:
        linear = np.linalg.solve(away.T @ away, away.T @ moved).T
    else:
        flat = away @ axes[:, 1:]
        images = np.linalg.lstsq(flat, moved, rcond=None)[0]  # (2, 3) of the two axes in the plane
        across = np.cross(axes[:, 1], axes[:, 2])
        image = np.cross(images[0], images[1])
        length = np.linalg.norm(image)
        if length == 0:
            return None
        linear = images.T @ axes[:, 1:].T + np.outer(image / np.sqrt(length), across)
    return linear, target - linear @ origin


def _named(cloud: _Points, which: np.ndarray, linear: np.ndarray, offset: np.ndarray) -> Map:
    """The map as the identity or as an exact similarity, where it is one as far as coordinates can tell."""
    before, now = cloud.before[which], cloud.now[which]
    spread = np.sqrt(np.linalg.eigvalsh(np.cov(before.T))[0]) if len(which) > 1 else 0.0
    spread = max(spread, 1e-3 * float(np.ptp(before, axis=0).max(initial=0.0)))
    rounding = _ROUNDING * float(np.median(np.abs(before).max(axis=1)) + np.median(np.abs(now).max(axis=1)))
    doubt = SAME + rounding / max(spread * np.sqrt(len(which)), 1e-300)
    for wanted in (np.eye(3), size_of(linear) * nearest_orthogonal(linear)):
        if np.abs(linear - wanted).max() <= doubt * max(1.0, float(np.abs(wanted).max())):
            return wanted, _middle(now - before @ wanted.T)
    return linear, offset


def _middle(values: np.ndarray) -> np.ndarray:
    return np.median(values, axis=0) if len(values) else np.zeros(3)
