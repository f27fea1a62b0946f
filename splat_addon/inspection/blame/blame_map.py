"""What was found about every splat's part in what photos contradict, and the file in which it lies.

*Fading* names culprits. Making a splat less opaque, by a part t of its opacity, changes a pixel by t Δγ, where Δγ is
what its removal does; with the residual r = photo - γ the squared error is Σ |r - t Δγ|². At the best t in 0..1 it
falls by max(0, Σ r·Δγ)² / Σ |Δγ|², or by what removal takes away where even that is too little. A splat that has
another color than it should have, or is where it should not be, gains much by it; one that a wrong neighbor hides or
uncovers gains little, since what it does to pixels is not what is wrong with them.

What one photo alone calls for is often its own fault, so the order is by what photos *agree* on: with g the part of
that gain which each of V views has at the common t, negative where it loses, (Σ sign(g) √|g|)² / V. A splat of the sky
gains a little in each of thousands of pixels that are hardly wrong at all. So that is multiplied by how wrong they are,
the weighted mean of the residual. Where training had too few splats for what is there, as along thin bars, all of them
are a little wrong; a culprit *stands out*: with v that product, it is v (v / Σ n v)² over the splats around, itself
included, with n = exp(-d² / 2 s²) at the distance d, and s 1.5 times the sum of the two largest sigmas.
"""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...errors import SplatFileError

VERSION = 2  # of the file; 1 was ordered by agreement alone
REMEDY = "Make the map again."
COLUMNS = ("agreed", "fading", "wrong", "mean", "weight")
AROUND = 1.5  # times the sum of two splats' largest sigmas: how far what they have counts as shared, as a sigma
MOST_COMPARED = 2048  # splats
DECADES = 4.0  # that `brightness` tells apart


@dataclass(frozen=True)
class BlameMap:
    """Columns (N,) about the splats that `key` names, and about the photos that they were compared with."""

    key: str  # see `inspection/file.py`
    agreed: np.ndarray  # what culprits are ordered by: what photos agree on, times `mean`, where it stands out
    fading: np.ndarray  # 0..1, the part of the photos' squared error that fading the splat alone takes away
    wrong: np.ndarray  # the weight u of least squares, see `trainer/inspection/blame/solve.py`
    mean: np.ndarray  # Σ w |r| / Σ w
    weight: np.ndarray  # Σ w, pixels of the reduced photos
    photos: str  # which: all, training or held-out
    view_count: int


class ViewGains(NamedTuple):
    """What one view says about the splats that it shows (K of them); see `trainer/backend/cpu/kernels/evidence.py`."""

    splats: np.ndarray  # (K,) indices in the cloud
    importance: np.ndarray  # (K,) Σ |Δγ|²
    gain: np.ndarray  # (K,) Σ |Δγ|² - 2 r·Δγ
    weight: np.ndarray  # (K,) Σ w
    wrong: np.ndarray  # (K,) Σ w |r|
    error: float  # Σ |r|², of the whole view

    @classmethod
    def of(
        cls, importance: np.ndarray, gain: np.ndarray, weight: np.ndarray, wrong: np.ndarray, error: float
    ) -> "ViewGains":
        """Of all splats' sums, (N,) each."""
        splats = np.flatnonzero(importance > 0).astype(np.int32)
        return cls(splats, importance[splats], gain[splats], weight[splats], wrong[splats], error)


def agreement(count: int, views: Sequence[ViewGains]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N,) each, of `count` splats: what the views agree on, how wrong they are where they show it, and the fading; the
    first and the last as parts of the views' squared error. See `standing_out`."""
    importance, gain, roots, weight, wrong = np.zeros((5, count))
    for view in views:
        importance[view.splats] += view.importance
        gain[view.splats] += view.gain
        weight[view.splats] += view.weight
        wrong[view.splats] += view.wrong
    fade = best_fade(importance, gain)
    for view in views:
        roots[view.splats] += roots_of_gain(view.importance, view.gain, fade[view.splats])
    error = sum(view.error for view in views) or 1.0
    agreed = np.maximum(roots, 0) ** 2 / len(views) / error
    return agreed, wrong / np.where(weight > 0, weight, 1), fading_of(importance, gain) / error


def standing_out(agreed: np.ndarray, means: np.ndarray, log_scales: np.ndarray) -> np.ndarray:
    """(N,) `agreed` times the square of each splat's part of what it and those around it have, for means (N, 3) and
    log_scales (N, 3). Those that have least, beyond `MOST_COMPARED`, get the median of that part."""
    compared = np.argsort(-agreed, kind="stable")[:MOST_COMPARED]
    values, places = agreed[compared], np.asarray(means, np.float64)[compared]
    sizes = np.exp(np.asarray(log_scales, np.float64).max(axis=1)[compared])
    lengths = (places**2).sum(axis=1)
    squares = np.maximum(lengths[:, None] + lengths - 2 * places @ places.T, 0)
    nearness = np.exp(-0.5 * squares / (AROUND * (sizes[:, None] + sizes)) ** 2)
    around = nearness @ values  # each itself included
    part = values / np.where(around > 0, around, 1)
    found = agreed * (float(np.median(part)) if len(part) else 0.0) ** 2
    found[compared] = values * part**2
    return found


def fading_of(importance: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """(N,) by how much the squared error falls when each splat alone is faded as much as is best, for importance
    Σ |Δγ|² and gain Σ |Δγ|² - 2 r·Δγ, see `trainer/backend/cpu/kernels/evidence.py`."""
    importance, gain = np.asarray(importance, np.float64), np.asarray(gain, np.float64)
    along = np.maximum((importance - gain) / 2, 0)  # Σ r·Δγ
    is_whole = along >= importance  # less than nothing would be best
    return np.where(is_whole, np.maximum(-gain, 0), along**2 / np.where(is_whole, 1, importance))


def best_fade(importance: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """(N,) the t in 0..1 at which `fading_of` is what it is."""
    along = np.maximum((np.asarray(importance, np.float64) - gain) / 2, 0)
    return np.clip(along / np.where(importance > 0, importance, 1), 0, 1)


def roots_of_gain(importance: np.ndarray, gain: np.ndarray, fade: np.ndarray) -> np.ndarray:
    """(N,) sign(g) √|g| of what one view gains when splats are faded by t, for that view's importance and gain."""
    gained = fade * (np.asarray(importance, np.float64) - gain) - fade**2 * importance
    return np.sign(gained) * np.sqrt(np.abs(gained))


def brightness(agreed: np.ndarray) -> np.ndarray:
    """(N,) 0..1 to color by: 1 for the largest, a quarter less for each tenth of it."""
    largest = float(agreed.max(initial=0.0))
    if largest <= 0:
        return np.zeros(len(agreed), np.float32)
    with np.errstate(divide="ignore"):
        return np.clip(1 + np.log10(agreed / largest) / DECADES, 0, 1).astype(np.float32)


def arrays_of(found: BlameMap) -> dict[str, Any]:
    """What `np.savez` is to write."""
    about = {"version": VERSION, "key": found.key, "photos": found.photos, "view_count": found.view_count}
    columns = {name: getattr(found, name).astype(np.float32) for name in COLUMNS}
    return {"about": np.frombuffer(json.dumps(about).encode(), np.uint8), **columns}


def read_blame_map(path: Path) -> BlameMap:
    """Read what was written with `arrays_of`. Raises SplatFileError when it cannot be, or is of another version."""
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(bytes(file["about"]))
            if about["version"] != VERSION:
                raise SplatFileError(f"{path.name} is the blame map of another version.", REMEDY)
            columns = {name: file[name] for name in COLUMNS}
            count = int(about["key"].partition(":")[0])
            if any(column.shape != (count,) or not np.isfinite(column).all() for column in columns.values()):
                raise ValueError("its columns are not numbers about its splats")
            return BlameMap(
                str(about["key"]), **columns, photos=str(about["photos"]), view_count=int(about["view_count"])
            )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise SplatFileError(f"{path.name} is not a blame map that can be read ({error}).", REMEDY) from error
