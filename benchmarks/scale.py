"""Whether the time for large things grows as they do: captures, lists of runs, records, splats.

    python3 dev.py bench scale [--only CASE ...] [--share S] [--json FILE]

Every case is done with a quarter, a half and the whole of its number, each in a process of its own so that its memory
is its own. Times are those of the processor, all threads together, which other programs disturb less than the clock on
the wall. `per 2 x` is 2 where time grows as the number does: the geometric mean of the two steps. Peak memory is
counted from before the case. The splats are taken into every Blender, too. --share 0.1 does a tenth of everything.
"""

import argparse
import functools
import itertools
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import _blenders
import _trees
from _figures import Peak, current_memory

from splat_addon.capture import export
from splat_addon.capture.capture import open_capture
from splat_addon.gaussians.formats import splat_ply
from splat_addon.run.children.detached import DetachedTrainer, FolderLink
from splat_addon.run.events import Progressed
from splat_addon.run.find import find_runs, look_at
from splat_addon.run.folder import RunFolder
from splat_addon.run.history import History

PARTS = (0.25, 0.5, 1.0)
REPEATS = 3  # of what takes less than a second: the fastest counts


@dataclass(frozen=True)
class Case:
    """`prepare` lays out as many things in a folder; `act` does what is timed with them, and says what it found, which
    must be `found(count)`."""

    title: str
    count: int
    prepare: Callable[[Path, int], Any]
    act: Callable[[Path], int]
    found: Callable[[int], int] = lambda count: count


def read_capture(folder: Path) -> int:
    return len(open_capture(folder / "capture").views)


def export_capture(folder: Path) -> int:
    capture = open_capture(folder / "capture")
    began = time.process_time()
    export.export_capture(capture, folder / "out", export.ExportOptions(copy_photos=False, replace_earlier=True))
    _beside.append(began)
    return len(capture.views)


def list_runs(folder: Path) -> int:
    return len(find_runs([folder]))


def read_record(folder: Path) -> int:
    """As Blender reads what its curves are drawn from."""
    return len(History(RunFolder(folder)).read_all().loss.steps)


def watch_record(folder: Path) -> int:
    """As Blender takes in the record of a run that trains without it; here the run is over at the end of it."""
    run, count = RunFolder(folder), 0
    trainer = DetachedTrainer(run, FolderLink(run))
    while not trainer.is_over:
        count += sum(isinstance(event, Progressed) for event in trainer.wait(1.0))
    return count


def look_at_run(folder: Path) -> int:
    found = look_at(folder)
    return round(found.fraction * 1e9) if found else 0


def read_splats(folder: Path) -> int:
    return len(splat_ply.read_splats(folder / "splats.ply"))


def write_splats(folder: Path) -> int:
    cloud = splat_ply.read_splats(folder / "splats.ply")
    began = time.process_time()
    splat_ply.write_splats(folder / "again.ply", cloud)
    _beside.append(began)
    return len(cloud)


def import_splats(folder: Path) -> int:
    """In Blender: read, made into an object, and evaluated."""
    import bpy

    files = _extension().module("splat_addon.scene.splats.files")
    items, _ = files.import_splats(folder / "splats.ply", "STORED", bpy.context.scene, bpy.context.scene.collection)
    splat_count = _extension().module("splat_addon.scene.splats.data").splat_count
    count = sum(map(splat_count, items))
    bpy.data.batch_remove(items)
    bpy.data.orphans_purge()
    return count


_beside: list[float] = []  # when the timed part of an act began, where what comes before does not count

CASES = {
    "open": Case("open a COLMAP model, 500 points a camera", 2000, _trees.colmap_capture, read_capture),
    "open-text": Case("the same as text", 2000, _trees.text_capture, read_capture),
    "open-transforms": Case("the same as transforms.json", 2000, _trees.transforms_capture, read_capture),
    "export": Case("export the COLMAP model with its tracks", 2000, _trees.colmap_capture, export_capture),
    "list": Case("list runs", 2000, _trees.runs, list_runs),
    "record": Case("read the events of a run", 1_000_000, _trees.record, read_record),
    "watch": Case("watch a run from its first event", 1_000_000, _trees.record, watch_record),
    "look": Case("look at that run in a list", 1_000_000, _trees.record, look_at_run, lambda count: 10**9),
    "read": Case("read splats", 5_000_000, _trees.splats, read_splats),
    "write": Case("write splats", 5_000_000, _trees.splats, write_splats),
}
CASES_IN_BLENDER = {"import": Case("import splats", 5_000_000, _trees.splats, import_splats)}


@functools.cache
def _extension():
    from support import extension as support

    extension = support.Extension(support.enable_extension())
    import bpy

    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    return extension


def run_case(name: str, folder: Path, count: int) -> None:
    """Do a case in this process and answer with seconds and bytes."""
    case = (CASES | CASES_IN_BLENDER)[name]
    if name in CASES_IN_BLENDER:
        _extension()
    before = current_memory()
    taken: list[float] = []
    with Peak() as peak:
        while not taken or (sum(taken) < 1.0 and len(taken) < REPEATS):
            _beside.clear()
            began = time.process_time()
            found = case.act(folder)
            taken.append(time.process_time() - (_beside or [began])[-1])
            if found != case.found(count):
                raise SystemExit(f"{name}: found {found} of {count}")
    _blenders.answer([min(taken), peak.bytes - before])


class Trees:
    """What cases work on, laid out once for all that want the same."""

    def __init__(self, place: Path):
        self._place = place
        self._known: dict[tuple[Callable, int], tuple[Path, int]] = {}

    def of(self, case: Case, count: int) -> tuple[Path, int]:
        """The folder, and the bytes of its files."""
        key = case.prepare, count
        if key not in self._known:
            folder = self._place / str(len(self._known))
            folder.mkdir()
            case.prepare(folder, count)
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            self._known[key] = folder, size
        return self._known[key]


def measure(name: str, case: Case, python: str, share: float, trees: Trees) -> dict:
    """Seconds and peak bytes of each part of a case, and how much more each doubling takes."""
    counts = [max(1, round(case.count * share * part)) for part in PARTS]
    seconds, peaks, sizes = [], [], []
    for count in counts:
        folder, size = trees.of(case, count)
        taken, peak = _blenders.ask(python, Path(__file__), "--case", name, "--folder", folder, "--count", count)
        seconds.append(taken)
        peaks.append(peak)
        sizes.append(size)
    steps = [after / before for before, after in itertools.pairwise(seconds)]
    return {
        "case": name,
        "counts": counts,
        "seconds": seconds,
        "steps": steps,
        "per_doubling": math.exp(statistics.fmean(map(math.log, steps))),
        "peak_bytes": peaks,
        "file_bytes": sizes,
    }


def show(title: str, found: dict) -> None:
    """A row of the table."""
    times = "".join(f"{value:>9.2f} s" for value in found["seconds"])
    peak = f"{found['peak_bytes'][-1] / 1e6:>8.0f} MB{found['peak_bytes'][-1] / found['file_bytes'][-1]:>6.1f} x"
    print(f"{title:<46}{found['counts'][-1]:>9}{times}{found['per_doubling']:>8.2f}{peak}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[*CASES, *CASES_IN_BLENDER], metavar="CASE")
    parser.add_argument("--share", type=float, default=1.0, help="of every number")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        run_case(options.case, options.folder, options.count)
        return 0
    wanted = options.only or [*CASES, *CASES_IN_BLENDER]
    figures = []
    print(f"{'case':<46}{'n':>9}{'n/4':>11}{'n/2':>11}{'n':>11}{'per 2 x':>8}   peak, and to the files")
    with tempfile.TemporaryDirectory(prefix="splat_scale_") as place:
        trees = Trees(Path(place))
        for name, case in (CASES | CASES_IN_BLENDER).items():
            for python in _blenders.pythons() if name in CASES_IN_BLENDER else [sys.executable]:
                if name in wanted:
                    found = measure(name, case, python, options.share, trees)
                    blender = next((part for part in Path(python).parts if part.startswith("blender-")), "")
                    figures.append({**found, "blender": blender})
                    show(f"{case.title} {blender.replace('blender-', 'into Blender ')}".strip(), found)
    if options.json:
        options.json.write_text(json.dumps({"cases": figures}, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
