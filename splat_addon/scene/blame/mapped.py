"""The blame map of an object's splats: asked of a child, and kept as attributes, in the .blend, with the splats.

Each splat has a print of what it was, color included, as scores of floaters have: the blame of one that was edited
since is not believed. Nothing here selects splats for removal.
"""

import zlib
from pathlib import Path
from typing import Any, NamedTuple

import bpy
import numpy as np

from ...errors import SplatFileError
from ...gaussians.cloud import GaussianCloud
from ...inspection.blame.blame_map import VERSION, brightness, read_blame_map
from ...inspection.file import key_of
from ..inspection.columns import prints
from ..session import part
from ..session.changes import forgetting
from ..splats.contents import attributes
from ..tasks.inspecting import Look

KEY = "splat_blame"  # of the data: which photos the map was made of
BLAME = "blame"  # to color by, 0..1, see `inspection/blame/blame_map.py`
AGREED, FADING = "blame_agreed", "blame_fading"
_COLUMNS = {"wrong": "blame_least_squares", "mean": "blame_residual", "weight": ".blame_weight"}
_PRINT = ".blame_print"
_ALL = (BLAME, AGREED, FADING, *_COLUMNS.values(), _PRINT)
MOST_TOLD = 20
WHICH = (
    (
        "TRAINING",
        "Training Photos",
        "What training could not explain, or what was changed since: this names splats that were made wrong best",
    ),
    ("ALL", "All Photos", "Photos that were trained on and held out: faults off the path of the training, too"),
    ("HELD_OUT", "Held-out Photos", "What training has not seen. Alone they often name a neighbor"),
)


class Told(NamedTuple):
    """The map of some splats, for the interface."""

    photos: str  # which, of `WHICH`
    view_count: int
    worst: np.ndarray  # (K,) splats that are what they were, those first whose fading most photos call for
    fading: np.ndarray  # (K,) part of the photos' squared error
    changed: int  # splats that are not what was compared


class Known:
    """What was read of data, by `session_uid`; what changed is forgotten."""

    def __init__(self) -> None:
        self.told: dict[int, Told | None] = {}


def look(which: str) -> Look:
    """What the child is asked, for one of `WHICH`."""
    arguments = "splat_addon.trainer.inspection.blame", "--photos", which.lower().replace("_", "-")
    return Look(arguments, True, take_in, "Blame Map")


def take_in(item: bpy.types.Object, path: Path, cloud: GaussianCloud) -> None:
    """Write a map into the object whose splats are `cloud`. Raises SplatFileError when it is of others."""
    found = read_blame_map(path)
    if found.key != key_of(cloud):
        raise SplatFileError("The blame map was made of other splats than these.", "Make it again.")
    data: Any = item.data
    salt = zlib.crc32(found.key.encode())
    values = {BLAME: brightness(found.agreed), AGREED: found.agreed, FADING: found.fading}
    values |= {name: getattr(found, column) for column, name in _COLUMNS.items()}
    remove(data)
    values[_PRINT] = prints(data, salt, with_color=True)
    for name in values:  # all are made before any is written: making one moves the others
        data.attributes.new(name, "INT" if name == _PRINT else "FLOAT", "POINT")
    for name, column in values.items():
        attributes.write(data, name, column)
    photos = found.photos.upper().replace("-", "_")
    data[KEY] = {"salt": f"{salt:08x}", "photos": photos, "view_count": found.view_count, "version": VERSION}
    data.update_tag()
    forget(data)


def remove(data: Any) -> None:
    """Take away an earlier map."""
    for name in _ALL:
        former = data.attributes.get(name)
        if former is not None:
            data.attributes.remove(former)
    if KEY in data:
        del data[KEY]


def is_current(data: Any) -> np.ndarray:
    """(N,) which splats are what they were when the map was made; none where another version made it."""
    stored, count = data.attributes.get(_PRINT), attributes.points_in(data)
    if KEY not in data or stored is None or stored.data_type != "INT" or len(stored.data) != count:
        return np.zeros(count, bool)
    try:
        if data[KEY]["version"] != VERSION:
            return np.zeros(count, bool)
        salt = int(str(data[KEY]["salt"]), 16)
    except (KeyError, TypeError, ValueError):  # not ours
        return np.zeros(count, bool)
    return attributes.numbers(stored) == prints(data, salt, with_color=True)


def told(data: Any) -> Told | None:
    """The map of splats that are not being edited, for the interface; None where none was made."""
    if KEY not in data or getattr(data, "is_editmode", False):
        return None
    known = part(Known).told
    if data.session_uid not in known:
        known[data.session_uid] = _read(data)
    return known[data.session_uid]


def _read(data: Any) -> Told | None:
    stored, count = [data.attributes.get(name) for name in (AGREED, FADING)], attributes.points_in(data)
    if any(one is None or one.data_type != "FLOAT" or len(one.data) != count for one in stored):
        return None
    (values, fading), current = map(attributes.numbers, stored), is_current(data)
    order = np.argsort(np.where(current, -values, np.inf), kind="stable")[: min(MOST_TOLD, int(current.sum()))]
    order, about = order[values[order] > 0], data[KEY]
    try:
        which, views = str(about["photos"]), int(about["view_count"])
    except (KeyError, TypeError, ValueError):  # not ours
        return None
    return Told(which, views, order, fading[order], int((~current).sum()))


def forget(data: Any) -> None:
    """What was changed is to be read again."""
    part(Known).told.pop(data.session_uid, None)


HANDLERS = forgetting(forget, lambda: part(Known).told.clear())
