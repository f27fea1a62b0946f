"""Scores and evidence as attributes of splats, in the .blend, where they follow the splats when others are deleted.

Each splat has a print of what it was when it was inspected. Where that is not its print any more, it was edited, or it
came from elsewhere, and its score is not believed: `is_current`. Colors may change, since the score is about places,
shapes and opacities.
"""

import json
import zlib
from typing import Any

import bpy
import numpy as np

from ...errors import SplatFileError
from ...inspection.evidence import COLUMNS, Evidence
from ...inspection.file import VERSION, Inspection
from ...inspection.score import REFLECTION as DETECTED
from ...inspection.score import Findings
from ...inspection.strongest import strongest
from ..splats.contents import attributes
from ..splats.contents.attributes import BASE

KEPT = "splat_kept"  # true where a splat is protected by the artist
REFLECTION = "splat_reflection"  # true where the artist says that it shows a mirror image
KEY = "splat_inspection"  # of the data: what the columns were measured on
SCORE = "floater_score"
_FINDINGS = {"score": SCORE, "open": "floater_gap_others", "lonely": "floater_lonely", "kind": ".floater_kind"}
_EVIDENCE = {  # what reasons and regions are made of; those that begin with a dot are not offered as colors
    "hang": "floater_gap",
    "behind": "floater_behind",
    "distance": "floater_distance",
    "view_open": "floater_looked_through",
    "weight": ".floater_weight",
    "seen": ".floater_seen",
    "looked_through": ".floater_looked_through_by",
    "nearness": ".floater_nearness",
    "nearest": ".floater_nearest",
    "needed_most": ".floater_needed_most",
    "needed_next": ".floater_needed_next",
    "growth": ".floater_growth",
    "mesh_distance": ".floater_mesh_distance",
    "mesh_sigmas": ".floater_mesh_sigmas",
}
_REASON = "floater_reason"  # the number of the strongest reason
_VIEWS = "floater_views"  # how many photos use a splat
_USED_BY = (".floater_used_by_0", ".floater_used_by_1")  # 32 bits each
_PRINT = ".floater_print"
_WHOLE = (*_USED_BY, _PRINT)  # integers


def is_inspected(data: Any) -> bool:
    """Whether some inspection's columns came to these splats."""
    return KEY in data and SCORE in data.attributes


def put(data: Any, inspection: Inspection) -> None:
    """Write what an inspection says about all splats of `data`, in place of an earlier one's. Raises SplatFileError
    when it is about another number of splats."""
    count = attributes.points_in(data)
    findings, evidence = inspection.findings, inspection.evidence
    if len(findings.score) != count:
        raise SplatFileError("The inspection was made of other splats than these.", "Inspect them again.")
    salt = zlib.crc32(inspection.key.encode())
    columns = {name: getattr(findings, column) for column, name in _FINDINGS.items()}
    about: dict[str, Any] = {"salt": f"{salt:08x}", "version": VERSION}
    if evidence is not None:
        columns |= {name: getattr(evidence, column) for column, name in _EVIDENCE.items()}
        columns[_VIEWS] = evidence.used
        columns |= dict(zip(_USED_BY, evidence.used_by.astype("<u8").view("<i4").reshape(-1, 2).T))
        about |= {"reach": float(evidence.reach), "views": json.dumps(evidence.view_names)}
        about["view_positions"] = np.asarray(evidence.view_positions, np.float64).ravel().tolist()
    columns[_REASON] = strongest(findings, evidence)
    columns[_PRINT] = prints(data, salt)
    remove(data)
    for name in columns:  # all are made before any is written: making one moves the others
        data.attributes.new(name, "INT" if name in _WHOLE else "FLOAT", "POINT")
    for name, values in columns.items():
        attributes.write(data, name, values)
    data[KEY] = about
    data.update_tag()


def remove(data: Any) -> None:
    """Take away what an earlier inspection has left."""
    for name in (*_FINDINGS.values(), *_EVIDENCE.values(), _VIEWS, _REASON, *_WHOLE):
        former = data.attributes.get(name)
        if former is not None:
            data.attributes.remove(former)
    if KEY in data:
        del data[KEY]


def view_positions(data: Any) -> np.ndarray:
    """(C, 3) where the cameras of the photos were, in the capture's coordinates; (0, 3) where that is not known."""
    try:
        numbers = np.array(data[KEY]["view_positions"], np.float64)
        return numbers.reshape(-1, 3)
    except (KeyError, TypeError, ValueError):  # of an earlier version, or not ours
        return np.zeros((0, 3))


def is_reflection(data: Any) -> np.ndarray:
    """(N,) which splats are taken for mirror images: marked by the artist, or detected."""
    kind = _column(data, _FINDINGS["kind"])
    return flags(data, REFLECTION) | (np.rint(kind).astype(np.int64) == DETECTED)


def flags(data: Any, name: str) -> np.ndarray:
    """(N,) of an attribute that is true or false; false where there is none."""
    found = np.zeros(attributes.points_in(data), bool)
    attribute = data.attributes.get(name)
    if attribute is not None and attribute.data_type == "BOOLEAN" and len(attribute.data) == len(found):
        attribute.data.foreach_get("value", found)
    return found


def score_of(data: Any) -> np.ndarray:
    """(N,) scores as they were found, of edited splats as well."""
    return _column(data, SCORE)


def is_of_another_version(data: Any) -> bool:
    """Whether splats were inspected by a version of the add-on whose scores mean something else."""
    about = data.get(KEY)
    return is_inspected(data) and hasattr(about, "get") and about.get("version") != VERSION


def is_current(data: Any) -> np.ndarray:
    """(N,) which splats are what they were when they were inspected; none where another version did that."""
    stored = data.attributes.get(_PRINT)
    count = attributes.points_in(data)
    if not is_inspected(data) or stored is None or stored.data_type != "INT" or len(stored.data) != count:
        return np.zeros(count, bool)
    if is_of_another_version(data):
        return np.zeros(count, bool)
    try:
        salt = int(str(data[KEY]["salt"]), 16)
    except (KeyError, TypeError, ValueError):  # not ours
        return np.zeros(count, bool)
    return attributes.numbers(stored) == prints(data, salt)


def findings_of(data: Any) -> Findings:
    """What was found, as far as it was stored."""
    columns = {column: _column(data, name) for column, name in _FINDINGS.items()}
    return Findings(**columns | {"kind": columns["kind"].astype(np.uint8)})


def evidence_of(data: Any) -> Evidence | None:
    """The evidence that reasons and regions need, the other columns 0; None where there were no photos."""
    try:
        about = data[KEY]
        reach, names = float(about["reach"]), tuple(map(str, json.loads(about["views"])))
    except (KeyError, TypeError, ValueError):  # without photos, or not ours
        return None
    count = attributes.points_in(data)
    columns = {name: np.zeros(count, np.float32) for name in COLUMNS}
    columns |= {column: _column(data, name) for column, name in _EVIDENCE.items()}
    halves = [_column(data, name).astype(np.int32).view(np.uint32).astype(np.uint64) for name in _USED_BY]
    columns["used_by"] = halves[0] | halves[1] << np.uint64(32)
    return Evidence(**columns, reach=reach, view_names=names, view_positions=np.zeros((len(names), 3)))


def _column(data: Any, name: str) -> np.ndarray:
    attribute = data.attributes.get(name)
    count = attributes.points_in(data)
    if attribute is None or attribute.data_type not in ("FLOAT", "INT") or len(attribute.data) != count:
        return np.zeros(count, np.float32)
    return attributes.numbers(attribute)


def prints(data: bpy.types.ID, salt: int, with_color: bool = False) -> np.ndarray:
    """(N,) int32 that nearly surely differ when place, shape or opacity do, or the base color, or the inspection."""
    values = [attributes.read(data, name) for name in ("position", "scale", "rotation")]
    base = attributes.read(data, BASE)
    words = np.concatenate([*values, base if with_color else base[:, 3:]], axis=1).view(np.uint32)
    found = np.full(len(words), salt, np.uint32)
    for column in words.T:
        found = (found ^ column) * np.uint32(0x01000193)  # FNV-1a, with a shift that lets high bits reach low ones
        found ^= found >> np.uint32(15)
    return found.view(np.int32)
