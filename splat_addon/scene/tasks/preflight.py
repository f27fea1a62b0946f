"""What a run will need and whether it fits, said before it is started.

Panels ask `look` at each drawing, which compares what was chosen with what is known, and draws nothing else. Captures
are read in a thread, which never touches Blender; a timer redraws the panels when it is done.
"""

import contextlib
import itertools
import os
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import bpy

from ...capture.capture import Capture, capture_folder, open_capture
from ...capture.card import Card, card_of
from ...capture.choices import choices_of
from ...capture.formats.transforms import is_own_capture
from ...capture.inspection import Inspection, key_of
from ...capture.photos.image_size import read_image_size
from ...capture.photos.orientation import turned_size
from ...errors import CaptureError, RunError, SplatError
from ...run.config import TrainConfig
from ...run.forecast import Forecast, PhotoSizes, forecast
from ...run.resources import free_disk_bytes, free_memory_bytes
from ...run.wording import counted, in_bytes, in_time, processor, rounded
from ..session import part, timer
from ..session.redraw import redraw
from ..settings.paths import absolute
from ..settings.training import train_config
from . import checking, speeds
from .live_run import LiveRun

LASTS_S = 10.0  # after that, a capture on disk may have changed, and the disk have filled
TICK_S = 0.1
TELLING_PART = 0.5  # of a run: before, steps are cheaper, with smaller photos and fewer splats
_FEWEST_STEPS = 50  # of a run that tells anything about speed
_COARSE_PIXELS = 0.25  # of a photo's, while it is trained at half resolution
_MOST_STAMPED = 500  # in one folder
_SPARE_BYTES = 2**30  # memory that Blender and the system need in addition to the trainer


@dataclass(frozen=True)
class Listing:
    """A capture as far as a forecast needs it."""

    stamp: tuple
    photos: PhotoSizes
    trained_size: tuple[int, int]  # of the largest photo, pixels
    original_size: tuple[int, int]
    seed_count: int
    card: Card  # before anything was measured
    key: str  # of what can be measured; empty where nothing needs to be


@dataclass(frozen=True)
class Preflight:
    """What is known about a run that was not started: `rows` of a name and what is known, `problems` to solve first,
    and in `hint` what is to be done before anything can be known. With `is_impossible` a run would fail at once, as the
    last problem says. `card` is the capture's, and `key` the name under which `checking` knows it, empty where it needs
    no check: a capture of a scene, if there is a card."""

    rows: tuple[tuple[str, str], ...] = ()
    problems: tuple[str, ...] = ()
    needs: Forecast | None = None
    hint: str = ""
    card: Card | None = None
    key: str = ""
    is_impossible: bool = False


class Known:
    """The last answer: what was asked, what was found, and when (s). Replaced as a whole, so that no lock is needed."""

    def __init__(self) -> None:
        self.answer: tuple[TrainConfig, Preflight, float] | None = None
        self.listing: tuple[tuple, Listing] | None = None  # what it was made for, and it
        self.thread: threading.Thread | None = None


def _known() -> Known:
    return part(Known)


def look(scene: bpy.types.Scene) -> Preflight | None:
    """What is known about the run that the scene's settings describe; None while nobody knows.

    Costs microseconds. When what is known is old or about something else, the answer is looked for in a thread.
    """
    try:
        config = train_config(scene)
    except RunError as error:
        return Preflight(problems=(f"{error.message} {error.remedy}",), is_impossible=True)
    asked, answer, answered_at = _known().answer or (None, None, 0.0)
    if asked != config or time.monotonic() - answered_at > LASTS_S:
        _search(config)
    return _inspected(answer, config) if asked == config and answer is not None else None


def why_impossible(scene: bpy.types.Scene) -> str:
    """Why a run with the scene's settings would fail at once, as far as that is known already; empty otherwise. Looks
    for nothing."""
    asked, answer, _ = _known().answer or (None, None, 0.0)
    try:
        if answer is None or asked != train_config(scene):
            return ""
    except RunError as error:
        return f"{error.message} {error.remedy}"
    return answer.hint or (answer.problems[-1] if answer.is_impossible else "")


def latest(scene: bpy.types.Scene) -> Preflight | None:
    """What was last known about the chosen capture, while the answer to other settings is looked for; None where that
    is nothing."""
    asked, answer, _ = _known().answer or (None, None, 0.0)
    with contextlib.suppress(RunError):
        if asked is not None and answer is not None and asked.capture == str(absolute(scene.splat.capture.folder)):
            return _inspected(answer, asked)
    return None


def _inspected(answer: Preflight, config: TrainConfig) -> Preflight:
    """An answer with what was measured meanwhile, and what is wrong with the capture; what was not measured is asked
    for."""
    if answer.card is None:
        return answer
    if answer.key and not bpy.app.background:
        checking.want(answer.key, config)
    card = answer.card.inspected(checking.known(answer.key))
    if card == answer.card and not card.warnings:
        return answer
    return replace(answer, card=card, problems=(*answer.problems, *(remark.told for remark in card.warnings)))


def inspection_of(config: TrainConfig) -> Inspection | None:
    """What was measured of the capture that `config` trains on, as far as that is known at once."""
    asked, answer, _ = _known().answer or (None, None, 0.0)
    is_same = asked is not None and answer is not None and answer.key and _asked(asked) == _asked(config)
    return checking.known(answer.key) if is_same else None


def wait() -> None:
    """Until the thread has answered. For scripts and tests."""
    if _known().thread is not None:
        _known().thread.join()


def forget() -> None:
    """When something is known that changes the answer."""
    _known().answer = _known().listing = None


def _search(config: TrainConfig) -> None:
    if _known().thread is not None and _known().thread.is_alive():
        return  # when it is done, panels are drawn and ask again
    known, arguments = _known(), (_known(), config, speeds.of_device(config.device))
    known.thread = threading.Thread(target=_answer, args=arguments, name="splat preflight", daemon=True)
    known.thread.start()
    if not bpy.app.background:
        timer.start(_draw_when_known, TICK_S)


def _answer(known: Known, config: TrainConfig, speeds_known: speeds.KnownSpeeds) -> None:
    """The thread. The session may end meanwhile."""
    known.answer = config, examine(config, speeds_known, known), time.monotonic()


def _draw_when_known() -> float | None:
    thread = _known().thread
    if thread is not None and thread.is_alive():
        return TICK_S
    redraw()
    return None


def examine(config: TrainConfig, known: speeds.KnownSpeeds, kept: Known | None = None) -> Preflight:
    """What `config` will need, read from the capture's files and the heads of its photos. `kept` is where a listing is
    kept, and used again: the session's own, if None."""
    if _is_empty(Path(config.capture)):
        return Preflight(hint=f"{Path(config.capture).name} holds no capture yet: capture the scene first.")
    try:
        listing = listing_of(config, kept)
    except SplatError as error:
        return Preflight(problems=(f"{error.message} {error.remedy}",), is_impossible=True)
    except OSError as error:
        problem = f"The capture {config.capture} cannot be read ({error.strerror or error})."
        return Preflight(problems=(problem,), is_impossible=True)
    needs = forecast(config, listing.photos, listing.seed_count, known.speeds)
    capture = Path(config.capture)
    free_disk = free_disk_bytes(capture.parent)
    free_memory = free_memory_bytes()
    photos = listing.photos
    rows = [("Photos", f"{counted(photos.training)}, {counted(photos.held_out)} held out")]
    rows += _size_rows(listing)
    # Transparent and masked pixels ask for no splats, and nobody has read them yet.
    about = "up to" if photos.bytes_per_pixel > 3 else "about"
    rows.append(("Splats", f"{about} {rounded(needs.splats)}"))
    rows.append(("Memory", in_bytes(needs.memory_bytes)))
    rows.append(("Disk", in_bytes(needs.disk_bytes) + (f" of {in_bytes(free_disk)}" if free_disk is not None else "")))
    rows.append(("Time", _time(needs, about, known.backend)))
    problems = []
    if free_memory is not None and needs.memory_bytes > free_memory - _SPARE_BYTES:
        problems.append(
            f"It needs about {in_bytes(needs.memory_bytes)} of memory; {in_bytes(free_memory)} is free."
            " Lower Max Splats, Max Resolution or Photo Memory MB."
        )
    if free_disk is not None and needs.disk_bytes > free_disk:
        problems.append(
            f"It needs about {in_bytes(needs.disk_bytes)} of disk space next to {capture.name};"
            f" {in_bytes(free_disk)} is free. Free some, or raise Save Every."
        )
    if not listing.seed_count:
        problems.append("The capture has no points to start from. Capture again, or add points3d.ply.")
    return Preflight(tuple(rows), tuple(problems), needs, card=listing.card, key=listing.key)


def _is_empty(folder: Path) -> bool:
    """Whether a folder is not there, or holds nothing but what is hidden, as a capture that is being rendered."""
    with contextlib.suppress(OSError):
        return not folder.exists() or (folder.is_dir() and all(file.name[:1] == "." for file in folder.iterdir()))
    return False


def listing_of(config: TrainConfig, kept: Known | None = None) -> Listing:
    """The capture as `config` trains it; read again only when its files have changed. Raises CaptureError."""
    kept = kept or _known()
    asked, stamp = _asked(config), _stamp(config)
    if kept.listing is not None and kept.listing[0] == asked and kept.listing[1].stamp == stamp:
        return kept.listing[1]
    if not config.capture or config.capture == ".":
        raise CaptureError("No capture was chosen.", "Capture the scene, or choose the folder of a capture.")
    meant = capture_folder(Path(config.capture))
    if meant != Path(config.capture):
        raise CaptureError(f"{config.capture} is not the folder of a capture, but {meant} is.", "Choose that one.")
    # As the files say: this is a thread, in which Blender decodes nothing. What photos settle, an inspection tells.
    capture = open_capture(Path(config.capture), config.hold_out_every, choices=choices_of(config))
    listing = _listed(capture, config, stamp)
    kept.listing = asked, listing
    return listing


def _asked(config: TrainConfig) -> tuple:
    """The settings that decide what `listing_of` gives."""
    return config.capture, config.hold_out_every, config.max_resolution, config.init_splats, choices_of(config)


def _listed(capture: Capture, config: TrainConfig, stamp: tuple) -> Listing:
    pixels, largest, original, is_masked, may_be_transparent = {True: 0, False: 0}, (0, 0), (0, 0), False, False
    for view in capture.views:
        size = view.camera.width, view.camera.height
        with contextlib.suppress(CaptureError):  # the trainer leaves it out, and says so
            size = turned_size(read_image_size(view.image_path), view.orientation)
        reduction = max(1.0, max(size) / config.max_resolution)
        trained = round(size[0] / reduction), round(size[1] / reduction)
        pixels[view.is_held_out] += trained[0] * trained[1]
        largest, original = max(largest, trained), max(original, size)
        is_masked |= view.mask_path is not None
        may_be_transparent |= view.image_path.suffix.lower() in (".png", ".webp", ".tif", ".tiff")
    sizes = PhotoSizes(
        len(capture.training_views),
        len(capture.held_out_views),
        pixels[False],
        pixels[True],
        3 + is_masked + may_be_transparent,
    )
    seed_count = len(capture.points.positions) if capture.points is not None else 0
    if config.init_splats:
        seed_count = _count_in_ply(Path(config.init_splats))
    key = "" if is_own_capture(capture.folder) else key_of(capture)
    return Listing(stamp, sizes, largest, original, seed_count, card_of(capture), key)


def _count_in_ply(path: Path) -> int:
    """How many vertices the head of a PLY promises. Raises CaptureError."""
    with contextlib.suppress(OSError, ValueError), open(path, "rb") as file:
        for line in file.read(10_000).split(b"end_header")[0].splitlines():
            if line.startswith(b"element vertex"):
                return int(line.split()[2])
    raise CaptureError(f"The splats to start from cannot be read ({path}).", "Choose a PLY, or clear Init Splats.")


def _stamp(config: TrainConfig) -> tuple:
    """Changes when a capture's files do: when they were written that lie in it, in its folders of models or in those
    that were chosen, and when anything was added to a folder or taken away."""
    found: list[tuple[str, int]] = []
    folder = Path(config.capture)
    chosen = [folder / name for name in (config.photos_folder, config.model_folder) if name]
    for place in (folder, folder / "sparse", folder / "sparse" / "0", folder / "dense", *chosen):
        with contextlib.suppress(OSError), os.scandir(place) as entries:
            found += [(entry.path, entry.stat().st_mtime_ns) for entry in itertools.islice(entries, _MOST_STAMPED)]
    return tuple(sorted(found))


def _size_rows(listing: Listing) -> list[tuple[str, str]]:
    (width, height), original = listing.trained_size, listing.original_size
    rows = [("Size", f"{width} × {height} px")]
    return rows if listing.trained_size == original else [*rows, ("Reduced", f"from {original[0]} × {original[1]}")]


def _time(needs: Forecast, about: str, backend: str) -> str:
    if needs.seconds is None:
        return "known after a run"
    return f"{about} {in_time(needs.seconds)}{' on ' + processor(backend) if backend else ''}"


def remember_speed(run: LiveRun) -> None:
    """Keep how fast a run was, for the forecast of the next, if its photos are known. One that was stopped early tells
    less, and is kept only while nothing better is known of its backend."""
    progress, known = run.progress, _known().listing
    if progress is None or progress.step < _FEWEST_STEPS or not progress.steps_per_s > 0 or known is None:
        return
    with contextlib.suppress(RunError):
        config = TrainConfig.read(run.folder.config_file)
        is_early = progress.fraction < TELLING_PART
        if known[0] != _asked(config) or (is_early and speeds.of_device(config.device).speeds):
            return
        pixels, seconds = known[1].photos.pixels, 1 / progress.steps_per_s
        if progress.fraction < config.coarse_until:
            pixels *= _COARSE_PIXELS
        speeds.remember(config.device, run.backend, seconds, pixels, progress.gaussian_count)
        _known().answer = None
