"""`python -m splat_addon.trainer.inspection RUN_OR_SPLATS`: how likely each splat is a floater, and why.

It looks through the photos that the splats were trained on and writes `inspection.npz` into the run, or beside the
splats. With --events, standard output carries events, and the command "stop" on standard input, or its end, cancels;
without, it prints what it found. Nothing is changed about the splats.
"""

import argparse
import contextlib
import json
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...capture.capture import Capture, capture_folder, open_capture
from ...capture.check.settling import settled
from ...capture.choices import AUTOMATIC, CaptureChoices, choices_of
from ...errors import CaptureError, RunError, SplatError
from ...files import is_disk_full, open_own, written_aside
from ...gaussians.cloud import GaussianCloud
from ...gaussians.formats.registry import read_splats
from ...inspection.evidence import COLUMNS, Evidence
from ...inspection.file import Inspection, arrays_of, key_of, places_of
from ...inspection.reasons import reasons
from ...inspection.regions import find_regions
from ...inspection.score import LOOK_FROM, SELECT_FROM, UNSEEN, Findings, score_by_geometry
from ...inspection.source_mesh import with_source_mesh
from ...run.config import TrainConfig
from ...run.events import (
    Event,
    Failed,
    InspectionFinished,
    InspectionProgressed,
    InspectionStarted,
    Warned,
    decode_command,
    encode_event,
)
from ...run.folder import RunFolder
from ...run.lines import lines_of_parent
from ...run.resources import free_memory_bytes
from ...run.wire import PROGRESS_INTERVAL_S, take_standard_output
from ...run.wording import counted, in_bytes
from ..backend.cpu.rasterizer import CpuRasterizer
from ..notices import about_changed_capture
from ..photos.decoding import decode
from ..photos.photo import Photo
from ..photos.store import load_photos
from ..training_frame import TrainingFrame
from .gather import LONGER_SIDE_PX, Stopped, chosen_views
from .judge import judge
from .meshes import off_source_mesh

BYTES_PER_SPLAT = 850  # parameters, what a view is drawn from, sums, columns, regions: 820 measured with 5 million
BYTES_ANYWAY = 400 << 20
REGIONS_SHOWN = 5


@dataclass(frozen=True)
class Task:
    """What is to be inspected. `capture` None: by positions alone. `out` is where the inspection goes."""

    splats: Path
    capture: Path | None
    out: Path
    hold_out_every: int = 8
    capture_fingerprint: str = ""  # of the run, empty where it is not known
    blend_space: str = ""  # of the run, empty: what the file says
    choices: CaptureChoices = AUTOMATIC  # how the run has read the capture


def task_of(
    target: Path,
    capture: Path | None,
    without_photos: bool = False,
    out: Path | None = None,
    splats: Path | None = None,
    needs_photos: bool = False,
) -> Task:
    """What to inspect for a run folder or a splat file; `splats` stand for the run's result, edited since. Raises
    RunError when there is nothing to inspect there, CaptureError when the capture is gone."""
    target = Path(target).resolve()
    if not target.is_dir():
        if not target.is_file():
            raise RunError(f"{target} does not exist.", "Give the folder of a run, or a file of splats.")
        found = None if capture is None else capture_folder(capture)
        beside = target.with_name(f"{target.stem}.inspection.npz")
        return Task(target, None if without_photos else found, out or beside)
    folder = RunFolder(target)
    out = out or (folder.inspection_file if splats is None else splats.with_name(f"{splats.stem}.inspection.npz"))
    splats = splats or folder.result_file()
    if splats is None:
        raise RunError(f"{target} holds no splats yet.", "Give a run that has saved some, or a file of splats.")
    folder.require_no_links()
    config, about = TrainConfig.read(folder.config_file), {}
    with contextlib.suppress(OSError, ValueError, RecursionError):
        about = json.loads(folder.about_file.read_text(encoding="utf-8"))
    about = about if isinstance(about, dict) else {}
    place = Path(config.capture) if capture is None else capture_folder(capture)
    if without_photos:
        return Task(splats, None, out)
    if not place.is_dir():
        raise CaptureError(
            f"The capture {place}, which the splats were trained on, is gone.",
            "Put it back, or say where it lies now (--capture)."
            if needs_photos
            else "Put it back, say where it lies now (--capture), or go by positions alone (--without-photos).",
        )
    fingerprint, blend = str(about.get("capture_fingerprint", "")), str(about.get("blend_space", ""))
    choices = choices_of(config.moved_to(place))
    return Task(splats, place, out, config.hold_out_every, fingerprint, blend, choices)


def inspect(task: Task, send: Callable[[Event], None], is_stopped: Callable[[], bool]) -> Inspection:
    """Inspect, telling `send`, and write the result. Raises Stopped when `is_stopped`, and SplatError."""
    whole = read_splats(task.splats)
    if len(whole) == 0:
        raise RunError(f"{task.splats.name} holds no splats.", "Train again, or choose another file.")
    require_memory(len(whole))
    is_finite = whole.finite()
    if not is_finite.any():
        raise RunError("No splat has numbers that can be drawn.", "Train again, or choose another file.")
    if not is_finite.all():
        broken = counted(int((~is_finite).sum()))
        send(Warned(f"{broken} splats have numbers that cannot be drawn. They are not judged.", "Delete them."))

    capture, photos, frame = None, [], TrainingFrame()
    if task.capture is not None:
        capture = settled(open_capture(task.capture, task.hold_out_every, choices=task.choices), decode)
        fingerprint = capture.fingerprint()
        for warning in about_changed_capture(task.capture_fingerprint, fingerprint):
            send(warning)
        frame = TrainingFrame.around(capture)
        send(InspectionStarted(len(whole), len(chosen_views(capture.training_views))))
        send(InspectionProgressed(0.0, "reading photos"))
        photos = photos_of(capture, frame, send, is_stopped)
        if len(photos) == 1:
            send(Warned("One photo alone cannot tell how far away anything is.", "Inspect with more photos."))
    else:
        send(InspectionStarted(len(whole), 0))
        send(Warned("Without photos, splats are judged by their positions alone.", "Give their capture."))

    cloud = whole if is_finite.all() else whole.select(is_finite)
    cloud = replace(cloud, quaternions=cloud.rotations)
    evidence, off_mesh = None, None
    if photos:
        if any(frame.origin):  # read anew: positions in 64 bits keep what 32 would round away out there
            quaternions = cloud.quaternions
            cloud = replace(read_splats(task.splats, frame.origin).select(is_finite), quaternions=quaternions)
        cloud = frame.from_origin(cloud)
        rasterizer = rasterizer_for(task, cloud, send)
        findings, evidence = judge(rasterizer, cloud, photos, telling("looking through photos", send, is_stopped))
        assert capture is not None
        off = off_source_mesh(cloud, capture, frame, photos, evidence.reach, send)
        if off is not None:
            off_mesh, findings = off.share, with_source_mesh(findings, off.hanging)
            evidence = replace(evidence, mesh_distance=off.distance, mesh_sigmas=off.sigmas)
        if not evidence.used_by.any():
            raise CaptureError(
                "No photo of the capture sees these splats.", "Choose the capture that they were trained on."
            )
        evidence = in_capture_units(evidence, frame)
    else:
        findings = score_by_geometry(cloud)
    if not is_finite.all():
        findings = spread(findings, is_finite)
        evidence = None if evidence is None else spread_evidence(evidence, is_finite)
        off_mesh = None if off_mesh is None else over_all(off_mesh, is_finite)
    if is_stopped():
        raise Stopped
    inspection = Inspection(
        key_of(whole),
        places_of(whole.means),
        findings,
        evidence,
        str(task.capture or ""),
        "" if capture is None else fingerprint,
        "cpu" if photos else "",
        rasterizer.blend_space if photos else "",
        off_mesh,
    )
    with written_aside(task.out) as aside, open_own(aside, "wb") as file:
        np.savez(file, **arrays_of(inspection))
    return inspection


def rasterizer_for(task: Task, cloud: GaussianCloud, send: Callable[[Event], None]) -> CpuRasterizer:
    """What draws the splats as they were trained, its kernels compiled."""
    rasterizer = CpuRasterizer(antialiased=cloud.antialiased, blend_space=task.blend_space or cloud.blend_space)
    rasterizer.prepare(lambda what: send(InspectionProgressed(0.0, "compiling kernels once")))
    return rasterizer


def telling(activity: str, send: Callable[[Event], None], is_stopped: Callable[[], bool]) -> Callable[[float], None]:
    """Tells how far an activity is; raises Stopped where somebody asked for it."""

    def tell(fraction: float) -> None:
        if is_stopped():
            raise Stopped
        send(InspectionProgressed(fraction, activity))

    return tell


def photos_of(capture: Capture, frame: TrainingFrame, send, is_stopped) -> list[Photo]:
    """The chosen training photos, reduced, in the frame of training."""
    chosen = replace(capture, views=tuple(chosen_views(capture.training_views))).moved(frame.training_from_world)
    settings = TrainConfig(max_resolution=LONGER_SIDE_PX, coarse_until=0.0, photo_memory_mb=10_000)
    loaded: list[Photo] = []
    for start in range(0, len(chosen.views), 8):  # some at a time, so that it can be stopped in between
        if is_stopped():
            raise Stopped
        part = replace(chosen, views=chosen.views[start : start + 8], remarks=())
        try:
            photos = load_photos(part, settings, Path())
        except CaptureError as error:
            send(Warned(f"{error.message} These views are left out.", error.remedy))
            continue
        for warning in photos.warnings:
            send(warning)
        loaded += photos.training
    if not loaded:
        raise CaptureError(f"No photo of {capture.folder} can be read.", "Choose the folder that holds them.")
    return loaded


def require_memory(count: int, bytes_besides: int = 0) -> None:
    """Raise RunError when there is not enough memory to inspect so many splats, with some bytes for each besides."""
    needed, free = BYTES_ANYWAY + (BYTES_PER_SPLAT + bytes_besides) * count, free_memory_bytes()
    if free is not None and needed > free:
        raise RunError(
            f"Inspecting {counted(count)} splats takes {in_bytes(needed)} of memory, and {in_bytes(free)} are free.",
            "Close other programs, or inspect a part of them.",
        )


def in_capture_units(evidence: Evidence, frame: TrainingFrame) -> Evidence:
    """The evidence with the lengths of the capture instead of those of training."""
    return replace(
        evidence,
        distance=evidence.distance * np.float32(frame.unit),
        mesh_distance=evidence.mesh_distance * np.float32(frame.unit),
        nearest=evidence.nearest * np.float32(frame.unit),
        reach=evidence.reach * frame.unit,
        view_positions=evidence.view_positions * frame.unit + frame.origin,
    )


def spread(findings: Findings, is_judged: np.ndarray) -> Findings:
    """Findings about the splats of a mask (N,) as findings about all: the others have no score, as if unseen."""

    kind = over_all(findings.kind, is_judged)
    kind[~is_judged] = UNSEEN
    columns = {name: over_all(getattr(findings, name), is_judged) for name in ("score", "open", "lonely")}
    return Findings(**columns, kind=kind)


def over_all(values: np.ndarray, is_judged: np.ndarray) -> np.ndarray:
    """A column about the splats of a mask (N,) as a column about all, zero for the others."""
    whole = np.zeros(len(is_judged), values.dtype)
    whole[is_judged] = values
    return whole


def spread_evidence(evidence: Evidence, is_judged: np.ndarray) -> Evidence:
    """Evidence about the splats of a mask (N,) as evidence about all: none is about the others."""
    columns: dict[str, Any] = {}
    for name in COLUMNS:
        values = getattr(evidence, name)
        columns[name] = np.full(len(is_judged), np.inf if name in ("nearness", "nearest") else 0).astype(values.dtype)
        columns[name][is_judged] = values
    return replace(evidence, **columns)


def main(arguments: Sequence[str]) -> int:
    """0 when the inspection is written or was stopped, 1 when it could not be made."""
    options = parse(arguments)
    stop = threading.Event()
    if options.events:
        send = sending(take_standard_output())
        threading.Thread(target=listen, args=(stop,), name="commands", daemon=True).start()
    else:
        send = showing()
    began = time.perf_counter()
    try:
        task = task_of(options.target, options.capture, options.without_photos, options.out, options.splats)
        inspection = inspect(task, send, stop.is_set)
    except (Stopped, KeyboardInterrupt):
        send(InspectionFinished(stopped=True))
        return 0
    except Exception as error:
        if not isinstance(error, SplatError):
            traceback.print_exc()
        send(explained(error))
        return 1
    score = inspection.findings.score
    count, selected = len(score), int((score > SELECT_FROM).sum())
    seconds = time.perf_counter() - began
    if not options.events:
        print_findings(task, inspection)
    send(InspectionFinished(False, str(task.out), count, selected, seconds))
    return 0


def explained(error: Exception) -> Failed:
    """What went wrong, in words that help."""
    if isinstance(error, SplatError):
        return Failed(error.message, error.remedy)
    if is_disk_full(error):
        return Failed("The disk is full.", "Free some space and inspect again.")
    if isinstance(error, MemoryError):
        return Failed("There is not enough memory to inspect these splats.", "Inspect a part of them.")
    if isinstance(error, OSError):
        return Failed(f"The inspection cannot be written ({error}).", "Choose a place that can be written.")
    return Failed(f"The inspection failed with an unexpected error ({type(error).__name__}: {error}).", "Report it.")


def listen(stop: threading.Event) -> None:
    """Obey the parent: "stop", or its end, ends the inspection."""
    for line in lines_of_parent():
        if decode_command(line) == "stop":
            break
    stop.set()


def sending(events_to) -> Callable[[Event], None]:
    """Tells events as lines, progress at most five times a second."""
    told_at = [0.0]

    def send(event: Event) -> None:
        if isinstance(event, InspectionProgressed):
            now = time.monotonic()
            if now - told_at[0] < PROGRESS_INTERVAL_S:
                return
            told_at[0] = now
        with contextlib.suppress(OSError, ValueError):
            print(encode_event(event), file=events_to, flush=True)

    return send


def showing() -> Callable[[Event], None]:
    """Tells events to a person."""

    def send(event: Event) -> None:
        if isinstance(event, InspectionStarted):
            print(f"{counted(event.gaussian_count)} splats, {event.view_count} photos")
        elif isinstance(event, Warned | Failed):
            kind = "Warning" if isinstance(event, Warned) else "Failed"
            print(f"{kind}: {event.message} {event.remedy}".rstrip(), file=sys.stderr)
        elif isinstance(event, InspectionFinished):
            print("Stopped." if event.stopped else f"{event.path}  ({event.seconds:.1f} s)")

    return send


def print_findings(task: Task, inspection: Inspection) -> None:
    """What was found, for a terminal."""
    findings, evidence = inspection.findings, inspection.evidence
    score = findings.score
    for name, threshold in (("select", SELECT_FROM), ("look at", LOOK_FROM)):
        print(f"{name:<8} (score above {threshold}): {counted(int((score > threshold).sum()))} splats")
    if evidence is None:
        return
    regions = find_regions(read_splats(task.splats), score, evidence, LOOK_FROM)
    covered = float(evidence.weight.sum(dtype=np.float64)) or 1.0
    for number, region in enumerate(regions[:REGIONS_SHOWN], 1):
        print(
            f"region {number}: {counted(len(region.splats))} splats, {region.weight / covered:.2%} of the photos,"
            f" around {', '.join(f'{value:.3g}' for value in region.center)}, used by {len(region.used_by)} photos"
        )
        for told in reasons(findings, evidence, int(region.splats[0])):
            print(f"    {told}")
    if len(regions) > REGIONS_SHOWN:
        print(f"and {len(regions) - REGIONS_SHOWN} smaller ones")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="dev.py inspect-splats", description="Say for each splat how likely it is a floater, and why."
    )
    parser.add_argument("target", type=Path, help="folder of a run, or a file of splats")
    parser.add_argument("--capture", type=Path, help="folder of the capture (default: that of the run)")
    parser.add_argument("--splats", type=Path, help="inspect these in place of the run's own result")
    parser.add_argument("--without-photos", action="store_true", help="go by positions alone")
    parser.add_argument("--out", type=Path, help="the inspection (default: in the run, or beside the splats)")
    parser.add_argument("--events", action="store_true", help="talk to a program: events out, commands in")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
