"""What removing splats would change in held-out views and off the path: the record a child leaves for its parent."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import RunError
from ..files import written_aside

BEFORE, AFTER, RECORD, SHEET = "before.ply", "after.ply", "removal.json", "removal.png"  # in the folder of both


@dataclass(frozen=True)
class OffPath:
    """Means over views off the path, before and after, of the pixels that training could know: those whose true surface
    two training photos show. `holes`, 0..1: those that were covered, as they are in truth, and are not any more."""

    views: int
    psnr_db: tuple[float, float]
    holes: float
    worst_view: str


@dataclass(frozen=True)
class Removal:
    """Means over the held-out views, before and after. `holes`, 0..1: pixels that were covered and are not any more."""

    views: int
    psnr_db: tuple[float, float]
    ssim: tuple[float, float]
    holes: float
    worst_view: str  # which changes most
    off_path: OffPath | None = None  # None: no views off the path were measured

    def write(self, path: Path) -> None:
        """Save as JSON."""
        with written_aside(path) as aside:
            aside.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @staticmethod
    def read(path: Path) -> "Removal":
        """Read what `write` saved. Raises RunError when it cannot be."""
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            views, holes, worst = int(record["views"]), float(record["holes"]), str(record["worst_view"])
            off_path = None if record["off_path"] is None else _off_path(record["off_path"])
            return Removal(views, _pair(record["psnr_db"]), _pair(record["ssim"]), holes, worst, off_path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError("What the removal would change cannot be read.", "Preview it again.") from error


def _off_path(record: dict) -> OffPath:
    return OffPath(int(record["views"]), _pair(record["psnr_db"]), float(record["holes"]), str(record["worst_view"]))


def _pair(values: list) -> tuple[float, float]:
    before, after = map(float, values)
    return before, after
