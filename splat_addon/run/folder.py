"""The run folder: everything a run needs to be repeated, watched, resumed and shown."""

import contextlib
import itertools
import json
import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import RunError
from ..files import PARTIAL, is_link, links_in, open_own, partial_of, remove_file, written_aside
from .config import TrainConfig
from .events import Evaluated, Event, decode_event, recorded_events
from .lock import RunLock

# What a run writes, and nothing else: only this is ever deleted. The settings come last, they make it a run.
WRITTEN_FILES = (
    "about.json", "capture.json", "checkpoint.pt", "cleared.ply", "empty.obj", "events.jsonl", "held_out.png",
    "inspection.npz", "log.txt", "metrics.json", "photos.cache", "preview.ply", "report.html", "run.id", "splats.ply",
    "start.ply", "summary.json", "trained.obj", "trainer.lock", "config.json",
)  # fmt: skip
WRITTEN_FOLDERS = ("commands", "held_out", "report", "snapshots")
RECORD_END_BYTES = 1 << 22  # of a record: as much as is looked through while somebody waits
_PIECE_BYTES = 1 << 14
ABANDONED_S = 60.0  # what others than the trainer write takes an instant: older than this, nobody is at it any more


@dataclass(frozen=True)
class RunFolder:
    """The names of the files in a run folder.

    config.json    the settings              events.jsonl   every event, as it was sent
    about.json     versions, capture         log.txt        what libraries printed
    run.id         what it is known by wherever it is moved
    capture.json   the capture's card: what it holds, what was decided about it, what is wrong with it
    snapshots/     step_000200.ply           held_out/      step_000200/<view>.png
    start.ply, cleared.ply  what a run starts from that goes on from finished splats, and those that were deleted
    empty.obj, trained.obj  volumes in which such a run has no splats, and outside of which it changes none
    splats.ply     the result                checkpoint.pt  what training can go on from
    metrics.json   held-out quality by step  summary.json   the run in one record
    report.html    curves, table and images, when asked for
    inspection.npz what photos tell about each of the splats, when asked for
    trainer.lock   held while it trains      commands/      what the trainer is told by others than its parent
    """

    path: Path

    @property
    def config_file(self) -> Path:
        return self.path / "config.json"

    @property
    def id_file(self) -> Path:
        """What it is known by wherever it is moved: a text that no other run has."""
        return self.path / "run.id"

    def id(self) -> str:
        """The run's id; empty when it has none, as those of earlier versions."""
        try:
            return self.id_file.read_text(encoding="ascii").strip()[:64]
        except (OSError, ValueError):
            return ""

    def ensure_id(self) -> str:
        """The run's id, given to it now when it has none; empty where that cannot be written."""
        if not self.id() and self.is_there:
            with contextlib.suppress(OSError), written_aside(self.id_file) as aside:
                aside.write_text(uuid.uuid4().hex, encoding="ascii")
        return self.id()

    @property
    def about_file(self) -> Path:
        return self.path / "about.json"

    def capture_fingerprint(self) -> str:
        """Of the capture that its splats were trained on; empty where that is not known."""
        try:
            about = json.loads(self.about_file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return ""
        return str(about.get("capture_fingerprint", "")) if isinstance(about, dict) else ""

    @property
    def capture_file(self) -> Path:
        return self.path / "capture.json"

    @property
    def events_file(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def log_file(self) -> Path:
        return self.path / "log.txt"

    @property
    def splats_file(self) -> Path:
        return self.path / "splats.ply"

    @property
    def checkpoint_file(self) -> Path:
        return self.path / "checkpoint.pt"

    @property
    def metrics_file(self) -> Path:
        return self.path / "metrics.json"

    @property
    def report_file(self) -> Path:
        return self.path / "report.html"

    @property
    def inspection_file(self) -> Path:
        return self.path / "inspection.npz"

    @property
    def summary_file(self) -> Path:
        return self.path / "summary.json"

    @property
    def preview_file(self) -> Path:
        """The splats as they lately were, while the run lasts."""
        return self.path / "preview.ply"

    @property
    def photos_file(self) -> Path:
        """Decoded photos beyond the memory budget, while the run lasts."""
        return self.path / "photos.cache"

    @property
    def lock_file(self) -> Path:
        return self.path / "trainer.lock"

    @property
    def commands_folder(self) -> Path:
        return self.path / "commands"

    @property
    def held_out_folder(self) -> Path:
        return self.path / "held_out"

    @property
    def contact_sheet_file(self) -> Path:
        return self.path / "held_out.png"

    def snapshot_file(self, step: int) -> Path:
        return self.path / "snapshots" / f"step_{step:06d}.ply"

    def renders_folder(self, step: int) -> Path:
        return self.held_out_folder / f"step_{step:06d}"

    @staticmethod
    def create(path: Path, config: TrainConfig) -> "RunFolder":
        """Make a run folder and write the settings into it.

        Raises RunError when the place cannot be written or already holds a run.
        """
        folder = RunFolder(Path(path).resolve())
        config.check()
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
            if folder.config_file.exists():
                raise RunError(f"{folder.path} already holds a run.", "Choose a new folder, or delete that run.")
            config.write(folder.config_file)
            folder.ensure_id()
        except OSError as error:
            raise RunError(
                f"The run folder {path} cannot be written ({error.strerror}).",
                "Choose a folder that can be written and has space.",
            ) from error
        return folder

    @property
    def is_there(self) -> bool:
        """Whether it holds its settings: where it was moved away or deleted, its trainer may leave pieces."""
        return self.config_file.is_file()

    def require(self) -> None:
        """Raise RunError when the folder was moved or deleted: writing would only scatter its pieces."""
        if not self.is_there:
            raise RunError(
                f"The run folder {self.path} is gone.", "Put it back, or start a new run in a folder that stays."
            )

    def require_no_links(self) -> None:
        """Raise RunError when anything that a trainer writes is a link: it would write where that leads."""
        files = (self.path / (name + ending) for name in WRITTEN_FILES for ending in ("", PARTIAL))
        inside = (link for name in WRITTEN_FOLDERS for link in links_in(self.path / name))
        link = next(itertools.chain(filter(is_link, files), inside), None)
        if link is not None:
            raise RunError(
                f"{link} is a link to somewhere else.",
                "A run writes into its own folder alone: remove the link, or put what it leads to in its place.",
            )

    def end_cut_line(self) -> None:
        """A trainer that was killed may have left half an event: what is recorded next must not be glued to it."""
        with contextlib.suppress(OSError), open_own(self.events_file, "rb+") as file:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")

    def remove_left_over(self) -> None:
        """Remove what a trainer that died has left: decoded photos, and what was half written. For the one that holds
        the lock."""
        trainers = (
            self.about_file, self.capture_file, self.checkpoint_file, self.metrics_file, self.preview_file,
            self.splats_file, self.summary_file, self.contact_sheet_file,
        )  # fmt: skip
        own = [*map(partial_of, trainers), *self.snapshot_file(0).parent.glob(f"step_*.ply{PARTIAL}")]
        own += [self.photos_file]
        own += self.held_out_folder.rglob(f"*.png{PARTIAL}")
        others = [
            partial_of(self.report_file),
            partial_of(self.inspection_file),
            *self.commands_folder.glob(f"*.json{PARTIAL}"),
        ]
        for path in [*own, *others]:
            with contextlib.suppress(OSError):  # most of them are not there
                if path in own or time.time() - path.lstat().st_mtime > ABANDONED_S:
                    remove_file(path)

    def remove_photos(self) -> None:
        """Remove the decoded photos that a trainer has left which is gone, gigabytes perhaps; not those of another one
        that trains here by now."""
        if not self.photos_file.exists():
            return
        with contextlib.suppress(OSError):
            lock = RunLock.take(self.lock_file)
            if lock is not None:
                try:
                    remove_file(self.photos_file)
                finally:
                    lock.release()

    def events(self) -> list[Event]:
        """All events recorded so far, a line that was cut short left out. A night of training records more than can be
        read in an instant: not for Blender's main thread."""
        try:
            return list(recorded_events(self.events_file.read_bytes().splitlines()))
        except OSError:
            return []

    def evaluations(self) -> list[Evaluated]:
        """All held-out measurements in order, from `metrics.json`, which is short, else the last of the record."""
        try:
            entries = json.loads(self.metrics_file.read_text(encoding="utf-8"))
            found = [decode_event(json.dumps({**entry, "event": Evaluated.__name__})) for entry in entries]
        except (OSError, ValueError, TypeError, RecursionError):
            found = list(recorded_events(reversed([*self.last_lines(RECORD_END_BYTES, Evaluated)])))
        return [event for event in found if isinstance(event, Evaluated)]

    def latest_evaluation(self) -> Evaluated | None:
        """The newest held-out measurement of trained splats."""
        found = [event for event in self.evaluations() if event.step > 0]
        return found[-1] if found else None

    def result_file(self) -> Path | None:
        """The best splats the run left: the final result, else the snapshot of its last step, else None."""
        if self.splats_file.is_file():
            return self.splats_file
        snapshots = [path for path in self.snapshot_file(0).parent.glob("step_*.ply") if path.is_file()]
        return max(snapshots, key=lambda path: (len(path.name), path.name), default=None)

    def last_lines(self, most_bytes: int, *kinds: type[Event]) -> Iterator[bytes]:
        """The lines of the record that may be events of `kinds` (all, when none is given), the newest first, as far as
        its last bytes go. Nothing where there is no record."""
        needles = [f'"{kind.__name__}"'.encode() for kind in kinds]
        try:
            with open(self.events_file, "rb") as file:
                left = file.seek(0, os.SEEK_END)
                begun, least = b"", max(0, left - most_bytes)
                while left > least:
                    piece = min(_PIECE_BYTES, left - least)
                    left = file.seek(left - piece)
                    text = file.read(piece) + begun
                    begun, _, rest = text.partition(b"\n")
                    if _has_any(text, needles):
                        yield from (line for line in reversed(rest.split(b"\n")) if line and _has_any(line, needles))
        except OSError:
            return
        if left == 0 and begun and _has_any(begun, needles):
            yield begun

    def what_is_left(self) -> str:
        """A sentence about what a run that broke off has left."""
        if self.checkpoint_file.is_file():
            return "What it had saved is kept, and it can be resumed."
        return "The last snapshot is kept." if self.result_file() else "It had saved nothing yet."

    def log_tail(self, lines: int = 3) -> str:
        """The last lines that libraries printed, for a message about a crash."""
        return tail_of(self.log_file, lines)


def _has_any(text: bytes, needles: list[bytes]) -> bool:
    return not needles or any(needle in text for needle in needles)


def next_run_path(parent: Path) -> Path:
    """The first of `run_001`, `run_002`, … below `parent` that does not exist."""
    number = 1
    while (parent / f"run_{number:03d}").exists():
        number += 1
    return parent / f"run_{number:03d}"


def tail_of(log: Path, lines: int) -> str:
    """The last lines of a text file in one; empty when it cannot be read."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, os.path.getsize(log) - 4000))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return " | ".join([line.strip() for line in text.splitlines() if line.strip()][-lines:])


def write_json(path: Path, value) -> None:
    """Write JSON aside, then move it into place."""
    with written_aside(path) as aside:
        aside.write_text(json.dumps(value, indent=1), encoding="utf-8")
