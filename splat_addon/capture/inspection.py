"""What is measured in a capture's photos: whether they belong to cameras and points, and how much masks keep."""

import math
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np

from ..errors import CaptureError
from .capture import Capture, View
from .check.check import Agreement, Check, check_capture
from .check.measuring import Decode as DecodeSmall
from .photos.image_size import read_image_size
from .photos.orientation import turned_size
from .photos.reading import Decode, read_mask
from .remarks import Remark

_MOST_MASKS = 16  # spread over the capture
_CHECKING = 0.9  # of the work


@dataclass(frozen=True)
class Inspection:
    """`kept_share` is how much of the photos masks keep, 0..1, in the mean of a sample; None where there are none, or
    nobody has looked. Where photos have settled what the capture's files leave open, `settled` are the remarks about
    that, in place of those in `superseded`."""

    check: Check
    kept_share: float | None = None
    settled: tuple[Remark, ...] = ()
    superseded: tuple[Remark, ...] = ()

    def with_settled(self, opened: Capture, settled: Capture) -> "Inspection":
        """The same with what became of the doubts about a capture that was opened."""
        before, after = opened.remarks, settled.remarks
        return replace(
            self,
            settled=tuple(remark for remark in after if remark not in before),
            superseded=tuple(remark for remark in before if remark not in after),
        )

    def remarks_after(self, remarks: tuple[Remark, ...]) -> tuple[Remark, ...]:
        """What is to be said of a capture of which `remarks` was said when it was opened."""
        kept = [remark for remark in remarks if remark not in self.superseded]
        return (*kept, *(remark for remark in self.settled if remark not in kept), *self.check.remarks)

    def as_json(self) -> dict:
        """For a parent process, and to be kept."""
        agreement = self.check.agreement
        return {
            "agreement": None if agreement is None else {name: _plain(of) for name, of in asdict(agreement).items()},
            "remarks": [asdict(remark) for remark in self.check.remarks],
            "kept_share": self.kept_share,
            "settled": [asdict(remark) for remark in self.settled],
            "superseded": [asdict(remark) for remark in self.superseded],
        }


def inspect_photos(
    capture: Capture,
    decode_small: DecodeSmall,
    decode: Decode,
    tell: Callable[[float], None] = lambda fraction: None,
) -> Inspection:
    """Check a capture, and look into a sample of its masks. `tell` hears the fraction that is done."""
    check = check_capture(capture, decode_small, lambda fraction: tell(_CHECKING * fraction))
    masked = [view for view in capture.views if view.mask_path is not None]
    shares = [_kept_share(view, decode) for view in masked[:: -(-len(masked) // _MOST_MASKS) or 1]]
    known = [share for share in shares if share is not None]
    tell(1.0)
    return Inspection(check, float(np.mean(known)) if known else None)


def key_of(capture: Capture) -> str:
    """A short text that is another one when an inspection may find something else: by the capture's fingerprint and
    its points. Raises OSError when a photo is gone."""
    points = b"" if capture.points is None else np.ascontiguousarray(capture.points.positions).tobytes()
    return f"{capture.fingerprint()}:{zlib.crc32(points):08x}"


def read_inspection(values: object) -> Inspection | None:
    """What `Inspection.as_json` gave; None where it is something else."""
    if not isinstance(values, dict):
        return None
    agreement, known = None, values.get("agreement")
    if known is not None:
        try:
            score, chance = (math.nan if known[name] is None else float(known[name]) for name in ("score", "chance"))
            agreement = Agreement(score, chance, int(known["photo_count"]), bool(known["agrees"]))
        except (TypeError, ValueError, KeyError, OverflowError):
            return None
    share = values.get("kept_share")
    kept_share = float(share) if isinstance(share, int | float) and 0 <= share <= 1 else None
    check, settled = Check(agreement, read_remarks(values.get("remarks"))), read_remarks(values.get("settled"))
    return Inspection(check, kept_share, settled, read_remarks(values.get("superseded")))


def read_remarks(values: object) -> tuple[Remark, ...]:
    """Remarks from JSON; what is none is left out."""
    entries = [entry for entry in values if isinstance(entry, dict)] if isinstance(values, list) else []
    told = [(entry.get("text"), entry.get("remedy", ""), entry.get("is_warning", False)) for entry in entries]
    return tuple(
        Remark(text, remedy, bool(is_warning))
        for text, remedy, is_warning in told
        if isinstance(text, str) and isinstance(remedy, str)
    )


def _kept_share(view: View, decode: Decode) -> float | None:
    """How much of its photo a mask keeps, 0..1; None where it cannot be used."""
    try:
        photo = turned_size(read_image_size(view.image_path), view.orientation)
        weights = read_mask(view, photo, decode)
    except CaptureError:
        return None
    return None if weights is None else float(weights.mean()) / 255


def _plain(value: float) -> float | None:
    """What JSON can hold."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
