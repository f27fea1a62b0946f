"""Inspecting the splats of an object, in the trainer's Python, while the artist goes on: for floaters, or for blame.

The child gets a copy of the splats as the object holds them now, edits included. What it found is taken in only if the
object still holds exactly these, and in Object Mode: otherwise it waits, or says so.
"""

import contextlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import bpy
import numpy as np
from bpy.app.handlers import persistent

from ...capture.capture import capture_folder
from ...errors import RunError, SetupError, SplatError
from ...files import remove_folder
from ...gaussians.cloud import GaussianCloud
from ...gaussians.formats.splat_ply import write_splats
from ...inspection.file import read_inspection
from ...run.children.child import Child, PipeLink
from ...run.children.exit_codes import how_it_ended
from ...run.children.trainer_process import REMEDY, trainer_environment
from ...run.events import Event, Failed, InspectionFinished, InspectionProgressed, Last, Warned, decode_event
from ...run.folder import RunFolder
from ..inspection import columns, found
from ..runs.run_identity import path_of
from ..runs.run_object import capture_of
from ..session import part, timer
from ..session.redraw import redraw
from ..settings import preferences
from ..settings.paths import absolute, capture_now
from ..splats.data import origin_of, splats_from_object

LOOK_EVERY_S = 0.25
_TITLE = "The inspection"


class InspectionChild(Child[Event]):
    """The inspection at work. Raises SetupError when it cannot be started."""

    def __init__(self, command: list[str], folder: Path, title: str = _TITLE):
        self._last_line, self._title = "", title
        super().__init__(PipeLink(command, trainer_environment(), title, REMEDY, folder), title, REMEDY)

    def _decode(self, line: str) -> Event | None:
        event = decode_event(line)
        if event is None:
            self._last_line = line.strip() or self._last_line
        return event

    def _is_first(self, message: Event) -> bool:
        return True

    def _is_last(self, message: Event) -> bool:
        return isinstance(message, Last)

    def _failed(self, message: str, remedy: str) -> Event:
        return Failed(message, remedy)

    def _ended(self, code: int | None) -> Event:
        reason = f": {self._last_line.rstrip('.')}." if self._last_line else "."
        return Failed(f"{self._title} {how_it_ended(code)}{reason}", REMEDY)


@dataclass(frozen=True)
class Photos:
    """Which photos an object's splats are compared with. `run` None: the object is no run's; `capture` None: none."""

    run: Path | None
    capture: Path | None


class Look(NamedTuple):
    """What is asked about an object's splats."""

    arguments: tuple[str, ...]  # the child's module and options
    needs_photos: bool
    take_in: Callable[[bpy.types.Object, Path, GaussianCloud], None]  # raises SplatError when it is of other splats
    title: str  # of the undo step


class Inspecting:
    """The one inspection at work, and what the last one said."""

    def __init__(self) -> None:
        self.look = FLOATERS
        self.child: InspectionChild | None = None
        self.folder: Path | None = None  # of the copy, and of what the child writes
        self.uid = 0  # of the object
        self.name = ""
        self.fraction, self.state = 0.0, ""
        self.finished: Path | None = None  # the inspection, until it is taken in
        self.said: list[str] = []
        self.is_done = False  # what was found was taken in

    def close(self) -> None:
        """An inspection is not finished for nobody."""
        if self.child is not None:
            self.child.close()
        self.child = self.finished = None
        if self.folder is not None:
            with contextlib.suppress(OSError):  # Blender removes what stays, when it quits
                remove_folder(self.folder)
        self.folder = None


def _inspecting() -> Inspecting:
    return part(Inspecting)


def is_running() -> bool:
    """Whether something is being inspected, or waits to be taken in."""
    return _inspecting().folder is not None


def progress() -> tuple[float, str]:
    """How far it is, 0..1, and what it is at."""
    inspecting = _inspecting()
    if inspecting.finished is not None:
        return 1.0, "Waits for Object Mode"
    return inspecting.fraction, inspecting.state[:1].upper() + inspecting.state[1:] or "Starting"


def said_of(item: bpy.types.Object) -> list[str]:
    """Warnings of the last inspection of an object, and why it failed, if it did."""
    return _inspecting().said if _inspecting().uid == item.session_uid else []


def photos_for(scene: bpy.types.Scene, item: bpy.types.Object) -> Photos:
    """The photos of the run that an object came from; else those of the scene's capture, if it has one.

    Raises RunError when the run or its capture is gone.
    """
    path = path_of(item)
    if path is not None:
        run = RunFolder(path)
        named = capture_of(run)
        if named is None:
            raise RunError(
                f"The run {run.path}, which these splats come from, cannot be read.",
                "Put it back, or export and import the splats to inspect them without it.",
            )
        capture = capture_now(scene, str(named))
        if not capture.is_dir():
            raise RunError(
                f"The capture {named}, which these splats were trained on, is gone.",
                "Put it back, or choose where it is now in the Capture panel.",
            )
        return Photos(run.path, capture)
    folder = scene.splat.capture.folder
    if folder and absolute(folder).is_dir():
        try:
            return Photos(None, capture_folder(absolute(folder)))
        except SplatError:  # it holds no capture
            return Photos(None, None)
    return Photos(None, None)


def _take_scores(item: bpy.types.Object, path: Path, cloud: GaussianCloud) -> None:
    inspection = read_inspection(path)
    inspection.require_for(cloud)
    columns.put(item.data, inspection)
    found.forget(item.data)


FLOATERS = Look(("splat_addon.trainer.inspection",), False, _take_scores, "Inspect Splats")


def start(scene: bpy.types.Scene, item: bpy.types.Object, look: Look = FLOATERS) -> None:
    """Begin to inspect an object's splats. Raises RunError while something is inspected or when photos are gone,
    SetupError without a Python, SplatFileError when the object holds no splats."""
    if is_running():
        raise RunError("Splats are being inspected already.", "Wait until that is done, or cancel it.")
    photos = photos_for(scene, item)
    if look.needs_photos and photos.capture is None:
        raise RunError(
            "It is not known which photos these splats were trained on.", "Choose their capture in the Capture panel."
        )
    python = preferences.trainer_python()
    if not python or not Path(python).is_file():
        raise SetupError("Inspecting needs the trainer's Python.", "Set it up in the add-on preferences.")
    cloud = splats_from_object(item)
    inspecting = _inspecting()
    inspecting.folder = folder = Path(tempfile.mkdtemp(prefix="inspection_", dir=bpy.app.tempdir))
    inspecting.uid, inspecting.name = item.session_uid, item.name
    inspecting.fraction, inspecting.state, inspecting.said = 0.0, "", []
    inspecting.is_done, inspecting.look = False, look
    try:
        splats = folder / "splats.ply"
        write_splats(splats, cloud, origin_of(item))
        command = [python, "-u", "-m", *look.arguments]
        command += [str(splats)] if photos.run is None else [str(photos.run), "--splats", str(splats)]
        command += ["--without-photos"] if photos.capture is None else ["--capture", str(photos.capture)]
        command += ["--out", str(folder / "inspection.npz"), "--events"]
        inspecting.child = InspectionChild(command, folder)
    except BaseException:
        inspecting.close()
        raise


def begin_watching() -> None:
    """Let the timer listen to the child."""
    timer.start(follow, LOOK_EVERY_S)


def cancel() -> None:
    """Give up what is being inspected. What an earlier inspection found stays."""
    _inspecting().close()


def follow() -> float | None:
    """Hear what the child says, and take in what it found, as one undo step. A job of the timer."""
    inspecting = _inspecting()
    if inspecting.child is not None:
        messages = inspecting.child.poll()
        _hear(inspecting, messages)
        if messages:
            redraw()
    if inspecting.finished is not None and not bpy.app.is_job_running("RENDER"):
        window = next(iter(bpy.context.window_manager.windows), None)
        with bpy.context.temp_override(window=window) if window else contextlib.nullcontext():
            if bpy.context.mode == "OBJECT" and _take_in(inspecting):  # elsewhere it would not be in the undo step
                bpy.ops.ed.undo_push(message=inspecting.look.title)
        redraw()
    return LOOK_EVERY_S if is_running() else None


def wait() -> None:
    """Until what was found is taken in; for scripts. Raises RunError when it was not."""
    inspecting = _inspecting()
    while inspecting.child is not None:
        _hear(inspecting, inspecting.child.wait(1.0))
    if inspecting.finished is not None and not _take_in(inspecting) and is_running():
        inspecting.close()
        raise RunError(f"'{inspecting.name}' is being edited.", "Switch to Object Mode and inspect again.")
    if not inspecting.is_done:
        raise RunError(" ".join(inspecting.said) or "The inspection was stopped.", "")


def _hear(inspecting: Inspecting, messages: list[Event]) -> None:
    for event in messages:
        if isinstance(event, InspectionProgressed):
            inspecting.fraction, inspecting.state = event.fraction, event.state
        elif isinstance(event, Warned):
            inspecting.said.append(f"{event.message} {event.remedy}".strip())
        elif isinstance(event, Failed):
            _give_up(inspecting, f"{event.message} {event.remedy}".strip())
        elif isinstance(event, InspectionFinished):
            if inspecting.child is not None:
                inspecting.child.close()  # its folder is to be removed
            inspecting.child = None
            inspecting.finished = None if event.stopped else Path(event.path)
            if event.stopped:
                inspecting.close()


def _give_up(inspecting: Inspecting, why: str) -> None:
    inspecting.said = [*inspecting.said, why]
    inspecting.close()


def _take_in(inspecting: Inspecting) -> bool:
    """Write what was found into the object, if it still holds what was inspected; whether that was done."""
    item = next((other for other in bpy.data.objects if other.session_uid == inspecting.uid), None)
    if item is not None and item.mode != "OBJECT":
        return False  # its attributes are out of reach until then
    assert inspecting.finished is not None
    try:
        if item is None:
            raise RunError("The splats that were inspected are gone.", "")
        inspecting.look.take_in(item, inspecting.finished, _as_read(item))
    except SplatError as error:
        _give_up(inspecting, f"{error.message} {error.remedy}".strip())
        return False
    inspecting.close()
    inspecting.is_done = True
    return True


def _as_read(item: bpy.types.Object) -> GaussianCloud:
    """An object's splats as the child has read them: at their places in the capture, in 32 bits."""
    cloud, origin = splats_from_object(item), origin_of(item)
    if origin is None:
        return cloud
    return replace(cloud, means=(cloud.means.astype(np.float64) + origin).astype(np.float32))


@persistent
def _on_load_pre(*_) -> None:
    cancel()  # what was inspected is in the file that goes


HANDLERS = {"load_pre": _on_load_pre}
