"""What removing splats would change in the held-out views: the record that a child leaves for its parent."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import RunError
from ..files import written_aside

BEFORE, AFTER, RECORD, SHEET = "before.ply", "after.ply", "removal.json", "removal.png"  # in the folder of both


@dataclass(frozen=True)
class Removal:
    """Means over the held-out views, before and after. `holes`, 0..1: pixels that were covered and are not any more."""

    views: int
    psnr_db: tuple[float, float]
    ssim: tuple[float, float]
    holes: float
    worst_view: str  # which changes most

    def write(self, path: Path) -> None:
        """Save as JSON."""
        with written_aside(path) as aside:
            aside.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @staticmethod
    def read(path: Path) -> "Removal":
        """Read what `write` saved. Raises RunError when it cannot be."""
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            psnr, ssim = (tuple(float(value) for value in record[name]) for name in ("psnr_db", "ssim"))
            return Removal(int(record["views"]), psnr, ssim, float(record["holes"]), str(record["worst_view"]))  # type: ignore[arg-type]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError("What the removal would change cannot be read.", "Preview it again.") from error
