"""A capture in one look: what was opened, what was decided and why, and what is wrong with it."""

from dataclasses import asdict, dataclass

import numpy as np

from ..errors import some_of
from .capture import Capture
from .check.check import Agreement, Check
from .remarks import Remark


@dataclass(frozen=True)
class Card:
    """`rows` of a name and what is known, and what was remarked when the capture was opened and checked."""

    rows: tuple[tuple[str, str], ...]
    remarks: tuple[Remark, ...]

    def as_json(self) -> dict:
        """For files, and for a parent process."""
        return {"rows": [list(row) for row in self.rows], "remarks": [asdict(remark) for remark in self.remarks]}


def card_of(capture: Capture, check: Check | None = None) -> Card:
    """The card of a capture, with what its check has measured, if there was one."""
    cameras = [view.camera for view in capture.all_views]
    sizes = sorted({(camera.width, camera.height) for camera in cameras})
    size = f"{sizes[0][0]} × {sizes[0][1]} px" if len(sizes) == 1 else f"{len(sizes)} sizes"
    photos = f"{len(capture.views)}, {size}"
    if capture.missing:
        photos += f", {len(capture.missing)} missing ({some_of(capture.missing)})"
    lenses = {(camera.width, camera.fx, camera.fy, camera.cx, camera.cy, camera.distortion) for camera in cameras}
    angle = np.degrees(2 * np.arctan(np.median([camera.width / camera.fx for camera in cameras]) / 2))
    distortion_px = max((camera.distortion_px() for camera in cameras), default=0.0)
    bends = f", distorted by up to {distortion_px:.0f} px" if distortion_px >= 0.5 else ""
    masked = [view for view in capture.views if view.mask_path is not None]
    rows = [
        ("Photos", photos),
        ("Cameras", str(len(cameras))),
        ("Lenses", f"{len(lenses)}, {angle:.0f}° wide{bends}"),
        ("Split", f"{len(capture.training_views)} to train on, {len(capture.held_out_views)} held out"),
        ("Masks", f"{len(masked)} of {len(capture.views)} photos" if masked else "none"),
        ("Points", str(0 if capture.points is None else len(capture.points.positions))),
        ("Agreement", "not measured" if check is None or check.agreement is None else _said(check.agreement)),
    ]
    if capture.views:
        rows.append(("Scale", f"cameras within {capture.extent:.3g} units of their middle"))
    return Card(tuple(rows), (*capture.remarks, *(() if check is None else check.remarks)))


def _said(agreement: Agreement) -> str:
    chance = "" if np.isnan(agreement.chance) else f" ({agreement.chance:.2f} by chance)"
    return f"{agreement.score:.2f}{chance} in {agreement.photo_count} photos"
