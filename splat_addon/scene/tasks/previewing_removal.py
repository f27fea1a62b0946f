"""What removing splats would change in the held-out views, measured by a child before anything is deleted."""

import contextlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from bpy.app.handlers import persistent

from ...capture.formats.transforms import FILE_NAME
from ...capture.outside import outside_folder
from ...errors import RunError, SetupError, SplatError
from ...files import remove_folder
from ...gaussians.formats.splat_ply import write_splats
from ...run.events import Event, Failed, InspectionFinished, InspectionProgressed, Warned
from ...training_on.removal import AFTER, BEFORE, SHEET, Removal
from ..inspection import choosing
from ..own_data import ensure_local
from ..session import part, timer
from ..session.redraw import redraw
from ..settings import preferences
from ..splats.data import origin_of, splats_from_object
from .inspecting import LOOK_EVERY_S, InspectionChild
from .training_further import settings_for

PICTURE = "Splat Removal Preview"


@dataclass(frozen=True)
class Measured:
    """What removing `count` splats of an object would change; `mark` is a fingerprint of the object's splats and of
    which of them are removed, `outside` the list of views off the path, and its `stamp_of` when that was begun."""

    uid: int
    count: int
    mark: tuple
    outside: tuple[Path, tuple]
    removal: Removal


class Previewing:
    """The one preview at work, and what the last one found."""

    def __init__(self) -> None:
        self.child: InspectionChild | None = None
        self.folder: Path | None = None
        self.asked: tuple[int, int, tuple, tuple[Path, tuple]] = (0, 0, (), (Path(), ()))  # as `Measured` has them
        self.fraction, self.state = 0.0, ""
        self.said: list[str] = []
        self.measured: Measured | None = None

    def close(self) -> None:
        """A preview is not finished for nobody."""
        if self.child is not None:
            self.child.close()
        self.child = None
        if self.folder is not None:
            with contextlib.suppress(OSError):  # Blender removes what stays, when it quits
                remove_folder(self.folder)
        self.folder = None


def _previewing() -> Previewing:
    return part(Previewing)


def is_running() -> bool:
    """Whether a removal is being previewed."""
    return _previewing().folder is not None


def progress() -> tuple[float, str]:
    """How far it is, 0..1, and what it is at."""
    return _previewing().fraction, _previewing().state[:1].upper() + _previewing().state[1:] or "Starting"


def said_of(item: bpy.types.Object) -> list[str]:
    """Warnings of the last preview of an object, and why it failed, if it did."""
    return _previewing().said if _previewing().asked[0] == item.session_uid else []


def measured_of(item: bpy.types.Object) -> Measured | None:
    """What the last preview found, if it was of this object; `is_current` says whether it is about what goes now."""
    measured = _previewing().measured
    return measured if measured is not None and measured.uid == item.session_uid else None


def is_current(measured: Measured, item: bpy.types.Object, count: int) -> bool:
    """Whether a preview is about the splats that `item` has, of which `count` would be removed; cheap."""
    return measured.count == count and measured.mark[0] == choosing.splat_count(item.data)


def is_current_outside(measured: Measured) -> bool:
    """Whether the views off the path are those that a preview has measured; cheap."""
    path, stamp = measured.outside
    return stamp_of(path) == stamp


def stamp_of(path: Path) -> tuple[int, ...]:
    """What tells a file from one that was written in its place; empty where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size


def start(scene: bpy.types.Scene, item: bpy.types.Object, doomed: np.ndarray) -> None:
    """Begin to measure what the removal of the splats at a mask (N,) would change. Hidden splats are neither before nor
    after.

    Raises RunError while one is measured, when photos are gone, or when nothing would be left; SetupError without a
    Python; SplatFileError when the object holds no splats.
    """
    if is_running():
        raise RunError("A removal is being previewed already.", "Wait until that is done, or cancel it.")
    python = preferences.trainer_python()
    if not python or not Path(python).is_file():
        raise SetupError("Previewing a removal needs the trainer's Python.", "Set it up in the add-on preferences.")
    config = settings_for(scene, item)
    cloud, hidden = splats_from_object(item), choosing.hidden(item.data)
    if not (~doomed & ~hidden).any():
        raise RunError("Every splat that is shown would be removed.", "Choose a higher score, or select fewer.")
    previewing = _previewing()
    previewing.folder = folder = Path(tempfile.mkdtemp(prefix="removal_", dir=bpy.app.tempdir))
    listed = outside_folder(Path(config.capture)) / FILE_NAME
    previewing.asked = item.session_uid, int(doomed.sum()), (len(cloud),), (listed, stamp_of(listed))
    previewing.fraction, previewing.state, previewing.said, previewing.measured = 0.0, "", [], None
    try:
        config.write(folder / "config.json")
        write_splats(folder / BEFORE, cloud.select(~hidden), origin_of(item))
        write_splats(folder / AFTER, cloud.select(~hidden & ~doomed), origin_of(item))
        command = [python, "-u", "-m", "splat_addon.trainer.inspection.removal", str(folder)]
        previewing.child = InspectionChild(command, folder, "The preview of the removal")
    except BaseException:
        previewing.close()
        raise


def begin_watching() -> None:
    """Let the timer listen to the child."""
    timer.start(follow, LOOK_EVERY_S)


def cancel() -> None:
    """Give up what is being previewed."""
    _previewing().close()


def follow() -> float | None:
    """Hear what the child says. A job of the timer."""
    previewing = _previewing()
    if previewing.child is not None:
        messages = previewing.child.poll()
        _hear(previewing, messages)
        if messages:
            redraw()
    return LOOK_EVERY_S if is_running() else None


def wait() -> Measured:
    """Until it is measured; for scripts. Raises RunError when it was not."""
    previewing = _previewing()
    while previewing.child is not None:
        _hear(previewing, previewing.child.wait(1.0))
    if previewing.measured is None:
        raise RunError(" ".join(previewing.said) or "The preview was stopped.", "")
    return previewing.measured


def _hear(previewing: Previewing, messages: list[Event]) -> None:
    for event in messages:
        if isinstance(event, InspectionProgressed):
            previewing.fraction, previewing.state = event.fraction, event.state
        elif isinstance(event, Warned | Failed):
            previewing.said.append(f"{event.message} {event.remedy}".strip())
            if isinstance(event, Failed):
                previewing.close()
        elif isinstance(event, InspectionFinished):
            if not event.stopped:
                _take_in(previewing, Path(event.path))
            previewing.close()


def _take_in(previewing: Previewing, record: Path) -> None:
    try:
        previewing.measured = Measured(*previewing.asked, Removal.read(record))
    except SplatError as error:
        previewing.said.append(f"{error.message} {error.remedy}".strip())
        return
    with contextlib.suppress(RuntimeError):  # the picture is an extra
        _show_picture(record.with_name(SHEET))


def _show_picture(path: Path) -> None:
    """Keep the picture of the views that change most with the file, for an image editor."""
    loaded = bpy.data.images.load(str(path))
    pixels: np.ndarray = np.empty(len(loaded.pixels), np.float32)
    loaded.pixels.foreach_get(pixels)
    width, height = loaded.size
    bpy.data.images.remove(loaded)

    def make(former: Any) -> Any:
        return former or bpy.data.images.new(PICTURE, width, height)

    image = ensure_local("images", PICTURE, make)
    image.scale(width, height)
    image.pixels.foreach_set(pixels)
    image.update()
    image.pack()


@persistent
def _on_load_pre(*_) -> None:
    cancel()
    _previewing().measured = None


HANDLERS = {"load_pre": _on_load_pre}
