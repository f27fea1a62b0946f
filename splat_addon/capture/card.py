"""A capture in one look: what was opened, what was decided and why, and what is wrong with it."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..errors import some_of
from .camera import Camera
from .capture import Capture, View
from .check.check import Agreement, Check
from .formats.json_values import read_json
from .inspection import Inspection, read_inspection, read_remarks
from .photos.orientation import AS_STORED
from .photos.records import read_orientation
from .remarks import Remark
from .upright import held_upright, up_direction

AGREEMENT, MASKS, POINTS = "Agreement", "Masks", "Points"
_MOST_HELD = 64  # cameras that are asked which way is up


@dataclass(frozen=True)
class Card:
    """`rows` of a name and what is known, and what was remarked when the capture was opened and inspected."""

    rows: tuple[tuple[str, str], ...]
    remarks: tuple[Remark, ...]
    inspection: Inspection | None = None

    @property
    def warnings(self) -> tuple[Remark, ...]:
        """What is wrong with it."""
        return tuple(remark for remark in self.remarks if remark.is_warning)

    @property
    def has_points(self) -> bool:
        """Whether there is something to compare with photos."""
        return dict(self.rows).get(POINTS, "0") != "0"

    def inspected(self, inspection: Inspection | None) -> "Card":
        """This card, of a capture that was not inspected yet, with what was measured."""
        if inspection is None:
            return self
        rows = dict(self.rows)
        if inspection.check.agreement is not None:
            rows[AGREEMENT] = _said(inspection.check.agreement)
        if inspection.kept_share is not None:
            rows[MASKS] += f", keeping {100 * inspection.kept_share:.0f} %"
        return Card(tuple(rows.items()), inspection.remarks_after(self.remarks), inspection)

    def as_json(self) -> dict:
        """For files, and for a parent process."""
        return {
            "rows": [list(row) for row in self.rows],
            "remarks": [asdict(remark) for remark in self.remarks],
            "inspection": None if self.inspection is None else self.inspection.as_json(),
        }

    def lines(self) -> list[str]:
        """For a terminal."""
        rows = [f"{name + ':':<12}{value}" for name, value in self.rows]
        return rows + [f"{'Warning' if remark.is_warning else 'Note'}: {remark.told}" for remark in self.remarks]


def card_of(capture: Capture, check: Check | None = None) -> Card:
    """The card of a capture, with what its check has measured, if there was one."""
    views = capture.all_views
    sizes = sorted({(view.camera.width, view.camera.height) for view in views})
    size = f"{sizes[0][0]} × {sizes[0][1]} px" if len(sizes) == 1 else f"{len(sizes)} sizes"
    photos = f"{len(capture.views)}, {size}"
    if capture.missing:
        photos += f", {len(capture.missing)} missing ({some_of(capture.missing)})"
    masked = [view for view in capture.views if view.mask_path is not None]
    rows = [
        ("Photos", photos),
        ("Cameras", str(len(views))),
        ("Lenses", _lenses(view.camera for view in views)),
        ("Split", f"{len(capture.training_views)} to train on, {len(capture.held_out_views)} held out"),
        (MASKS, f"{len(masked)} of {len(capture.views)} photos" if masked else "none"),
        (POINTS, str(0 if capture.points is None else len(capture.points.positions))),
        (AGREEMENT, "not measured"),
        ("Frame", _frame(views[:: -(-len(views) // _MOST_HELD)])),
    ]
    if capture.views:
        rows.append(("Scale", f"cameras within {capture.extent:.3g} units of their middle"))
    card = Card(tuple(rows), capture.remarks)
    return card if check is None else card.inspected(Inspection(check))


def read_card(path: Path) -> Card | None:
    """The card in a file, as `as_json` gave it; None where there is none. What is broken of it is left out."""
    try:
        values = read_json(path)
    except (OSError, ValueError):
        return None
    if not isinstance(values, dict):
        return None
    listed = values.get("rows")
    rows = [row for row in listed if isinstance(row, list) and len(row) == 2] if isinstance(listed, list) else []
    texts = tuple((name, value) for name, value in rows if isinstance(name, str) and isinstance(value, str))
    return Card(texts, read_remarks(values.get("remarks")), read_inspection(values.get("inspection")))


def _lenses(cameras: Iterable[Camera]) -> str:
    lenses = {
        (camera.width, camera.fx, camera.fy, camera.cx, camera.cy, camera.distortion): camera for camera in cameras
    }
    angles = [2 * math.degrees(math.atan(camera.width / camera.fx / 2)) for camera in lenses.values()]
    distortion_px = max((camera.distortion_px() for camera in lenses.values()), default=0.0)
    bends = f", distorted by up to {distortion_px:.0f} px" if distortion_px >= 0.5 else ""
    return f"{len(lenses)}, {np.median(angles):.0f}° wide{bends}"


def _frame(views: Sequence[View]) -> str:
    """Which of the axes is up, by how the cameras were held: photos stored lying count as viewers show them."""
    records = [read_orientation(view.image_path) if view.orientation == AS_STORED else AS_STORED for view in views]
    up = up_direction([held_upright(view.camera, turn) for view, turn in zip(views, records, strict=True)])
    axis = int(np.abs(up).argmax())
    off = math.degrees(math.acos(min(1.0, float(abs(up[axis])))))
    name = f"{'-' if up[axis] < 0 else ''}{'xyz'[axis]}"
    return f"{name} is up" + (f", {off:.0f}° off" if off >= 0.5 else "")


def _said(agreement: Agreement) -> str:
    chance = "" if math.isnan(agreement.chance) else f" ({agreement.chance:.2f} by chance)"
    return f"{agreement.score:.2f}{chance} in {agreement.photo_count} photos"
