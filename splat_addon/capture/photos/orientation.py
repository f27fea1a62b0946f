"""Which way a photo's pixels lie: its file stores them one way, and its Exif record says how a viewer shows them.

The eight orientations are Exif's: 1 as stored, 2 mirrored, 3 upside down, 4 mirrored upside down, 5 transposed,
6 to be turned clockwise, 7 transposed the other way, 8 to be turned counterclockwise. Programs that measure cameras
(COLMAP among them) mostly ignore the record.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import CaptureError, some_of
from ..camera import Camera
from ..doubts import Doubt
from ..remarks import Remark
from .image_size import read_image_size
from .records import read_orientation
from .sizes import Size, fits

AS_STORED = 1


@dataclass(frozen=True)
class Orientations:
    """What was decided: the orientation of each photo by name, where it is not 1. `unclear` are those whose sizes fit
    both ways and whose cameras may have been measured on either; they are taken as stored, with a doubt."""

    by_name: dict[str, int]
    remarks: tuple[Remark, ...]
    doubt: Doubt | None = None

    @property
    def unclear(self) -> dict[str, int]:
        return {} if self.doubt is None else dict(self.doubt.orientations)


def swaps_sides(orientation: int) -> bool:
    """Whether turning by it makes width of height."""
    return orientation >= 5


def turned_size(size: Size, orientation: int) -> Size:
    """Width and height after turning."""
    return (size[1], size[0]) if swaps_sides(orientation) else size


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Stored pixels (H, W, …) as a viewer that obeys the record shows them; a view of the same memory."""
    if swaps_sides(orientation):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def inverse_orientation(orientation: int) -> int:
    """What turns back."""
    return {6: 8, 8: 6}.get(orientation, orientation)


def orientation_by_size(record: int, stored: Size, camera: Size) -> tuple[int, bool]:
    """The orientation that a camera of size `camera` was measured in, and whether the sizes could tell.

    As stored, unless only the turned picture has the camera's proportion. They cannot tell where both have it.
    """
    if record == AS_STORED:
        return AS_STORED, True
    is_stored, is_turned = fits(stored, camera), fits(turned_size(stored, record), camera)
    if is_turned and not is_stored:
        return record, True
    return AS_STORED, not (is_stored and is_turned)


def decide_orientations(
    photos: Mapping[str, Path], cameras: Mapping[str, Camera], choice: str = "auto", measures_stored: bool = True
) -> Orientations:
    """The orientation of each photo by the rule above, or by the artist's `choice` ("stored", "turned").

    `measures_stored` says that whoever measured the cameras is known to ignore records (COLMAP); then nothing is
    unclear. Photos that cannot be read are taken as stored.
    """
    by_name: dict[str, int] = {}
    unclear: dict[str, int] = {}
    for name, path in photos.items() if choice != "stored" else ():
        record = read_orientation(path) if name in cameras else AS_STORED
        if record == AS_STORED:
            continue
        if choice == "turned":
            by_name[name] = record
            continue
        try:
            stored = read_image_size(path)
        except CaptureError:
            continue
        orientation, is_certain = orientation_by_size(record, stored, (cameras[name].width, cameras[name].height))
        if orientation != AS_STORED:
            by_name[name] = orientation
        elif not is_certain and not measures_stored:
            unclear[name] = record
    remarks = []
    if by_name and choice == "auto":
        remarks.append(
            Remark(
                f"Photos that are turned as their Exif orientation says, since only so they fit their cameras:"
                f" {len(by_name)} ({some_of(by_name)})."
            )
        )
    doubt = _doubt(unclear) if unclear else None
    if doubt is not None and doubt.remark is not None:
        remarks.append(doubt.remark)
    return Orientations(by_name, tuple(remarks), doubt)


def _doubt(unclear: dict[str, int]) -> Doubt:
    names = f"{len(unclear)} ({some_of(unclear)})"
    text = f"Photos with an Exif orientation whose cameras fit them stored and turned: {names}."
    return Doubt(
        Remark(f"{text} They are used as stored.", "If training does not converge, choose the other orientation."),
        Remark(f"{text} They are used as stored: only so the points agree with them."),
        Remark(f"{text} They are turned: only so the points agree with them."),
        orientations=unclear,
    )
