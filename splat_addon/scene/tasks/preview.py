"""The splats in the viewport follow the training.

The trainer is asked for a preview, which is read in a thread and drawn when that disturbs nobody; only then the next
one is asked for. A preview is neither an object nor a data-block: the viewport draws it as it is. So it makes no undo
step, undo and redo have nothing of it to restore or to free, and a saved file holds only results.

`tick` is called by the timer that watches the run, and directly by scripts and tests.
"""

import contextlib
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np

from ...errors import SplatError
from ...gaussians.cloud import GaussianCloud
from ...gaussians.formats.splat_ply import SplatPly, read_splats
from ...run.events import SnapshotSaved
from ...run.folder import RunFolder
from ..runs import run_identity, run_object
from ..session import part
from ..splats.data import Origin, from_origin
from ..splats.transforms import is_same_place
from ..viewport import display
from ..viewport.texels import CloudSplats
from . import live_run

MOST_SPLATS = 100_000  # shown in a preview; drawing it for the first time holds the main thread for some 30 ms
FEWEST_SPLATS = 20_000
LONGEST_HOLD_S = 0.15  # where showing takes longer, fewer splats are shown
ANSWER_LIMIT_S = 30.0  # when training goes on for so long without an answer, the preview could not be written
LARGEST_SHARE = 0.05  # of the time, that previews may take from this Blender and from the trainer
_DISTURBED_JOBS = ("RENDER", "OBJECT_BAKE")
_DISTURBED_TOOLS = ("TRANSFORM_OT_", "VIEW3D_OT_", "PAINT_OT_", "SCULPT_OT_")


@dataclass(frozen=True)
class Shown:
    """What the viewport shows: `count` of `total` splats as they were after `step` steps."""

    step: int
    count: int
    total: int


@dataclass(frozen=True)
class _Read:
    """What the thread made of a file; `splats` is None when it could not be read."""

    event: SnapshotSaved
    splats: CloudSplats | None
    total: int = 0
    seconds: float = 0.0
    origin: Origin = None  # what positions count from


class RunPreview:
    """The splats of a run while it trains, for the viewport to draw (a `display.Preview`).

    Drawing asks for `place` at each redraw: it is brought up to date by `refresh`, a few times a second.
    """

    def __init__(self, run: live_run.LiveRun, splats: CloudSplats, origin: Origin = None):
        self.splats = splats
        self._place_in_capture = np.eye(4)
        self._place_in_capture[:3, 3] = origin or 0.0
        self._world_from_capture: np.ndarray | None = None
        self.scene_uid = 0  # the scene it is drawn in
        self.place: np.ndarray | None = None  # (4, 4), where the result will lie; None while it is not to be seen
        self._run = run
        self._capture = run_object.capture_of(run.folder)
        self._are_alike: dict[Path, bool] = {}  # run folders: were they trained on the same capture?

    def refresh(self, scene: bpy.types.Scene) -> bool:
        """Follow what the artist does with the run's object, or with the root of its capture; whether it changed."""
        former = self.scene_uid, None if self.place is None else self.place.tolist()
        item = run_object.find(scene, self._run.folder)
        is_hidden = item is not None and not any(item.visible_get(view_layer=layer) for layer in scene.view_layers)
        place = np.array(run_object.world_from_run(scene, self._run.folder, self._capture), dtype=np.float64)
        self.scene_uid, self._world_from_capture = scene.session_uid, place
        self.place = None if is_hidden else place @ self._place_in_capture
        return former != (self.scene_uid, None if self.place is None else self.place.tolist())

    def replaces(self, item: bpy.types.Object) -> bool:
        """Whether an object shows the same capture in the same place: what this run, or an earlier one, was before; or
        what the run goes on from."""
        if run_identity.GOES_ON_KEY in item and run_identity.belongs_to(
            item, self._run.folder, run_identity.GOES_ON_KEY
        ):
            return self.place is not None
        path = run_identity.path_of(item)
        if path is None or self.place is None or self._world_from_capture is None:
            return False
        if path not in self._are_alike:
            capture = run_object.capture_of(RunFolder(path))
            self._are_alike[path] = capture is not None and capture == self._capture
        place = self._world_from_capture @ np.array(from_origin(item), dtype=np.float64)
        return self._are_alike[path] and is_same_place(item.matrix_world, place, item.data)


class Follower:
    """Follows one run. `obstacle` is why it does not: "", or "edited" when the artist has changed the run's object."""

    def __init__(self, run: live_run.LiveRun):
        self.run = run
        self.obstacle = ""
        self.shown: Shown | None = None
        self.limit = MOST_SPLATS
        self._preview: RunPreview | None = None
        self._is_asked = False
        self._taken: SnapshotSaved | None = None  # the newest that was given to the thread
        self._thread: threading.Thread | None = None
        self._read: _Read | None = None
        self._asked_at_step = 0  # what was reached when a preview was last asked for
        self._next_at = 0.0  # when the next preview may be asked for, s
        self._cost_s = 0.0  # of the last preview
        self._left_at: float | None = None  # when it had just been shown, s

    def tick(self, now: float, interval_s: float) -> bool:
        """Do what is due, `interval_s` after the last time if nothing held Blender up; True when something changed."""
        self._measure_drawing(now, interval_s)
        scene = live_run.scene_of(self.run)
        if self.run.is_over or scene is None or not scene.splat.follow_training:
            return False
        if not live_run.is_shown(self.run, scene):  # the artist looks at another one
            return self._preview is not None and self.hide()
        has_moved = self._preview is not None and self._preview.refresh(scene)
        if self.obstacle:
            return has_moved
        self._take_up_newest(now)
        if is_disturbing(scene):
            return has_moved
        if self._read is not None:
            read, self._read = self._read, None
            return (read.splats is not None and self._show(scene, read, read.splats)) or has_moved
        if self._is_worth_asking(scene, now):
            self._ask(now, scene)
        return has_moved

    def begin_again(self, scene: bpy.types.Scene) -> None:
        """Follow, whatever the obstacle was. Splats that the artist edited become the artist's own."""
        item = run_object.find(scene, self.run.folder)
        if item is not None and not run_object.is_untouched(item):
            run_object.give_away(item)
        self.obstacle, self._next_at = "", 0.0

    def hide(self) -> bool:
        """Stop drawing a preview; the next one is shown again. Always True: something is to be redrawn."""
        self.shown = self._preview = None
        display.set_preview(None)
        return True

    def _measure_drawing(self, now: float, interval_s: float) -> None:
        """What Blender did since the last preview beyond waiting, mostly drawing it, is part of what it costs."""
        if self._left_at is None or self.shown is None:
            return
        held_s = max(0.0, now - self._left_at - interval_s)
        self._cost_s += held_s
        self._next_at = max(self._next_at, self._left_at + self._cost_s / LARGEST_SHARE)
        self.limit = _fitting(self.limit, self.shown.count, held_s)
        self._left_at = None

    def _take_up_newest(self, now: float) -> None:
        """Read what was saved last, unless that is done; what was not asked for, only when a preview is due anyway."""
        event = self.run.splats
        if event is None or event is self._taken or not (self._is_asked or now >= self._next_at) or self._is_reading():
            return
        self._taken, self._is_asked = event, False
        self._thread = threading.Thread(
            target=self._read_file, args=(event, self.limit), name="splat preview", daemon=True
        )
        self._thread.start()

    def _is_reading(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _read_file(self, event: SnapshotSaved, limit: int) -> None:
        """The thread. It touches nothing but the file and the answer."""
        began = time.perf_counter()
        try:
            path = self.run.folder.path / event.path
            origin = SplatPly(path).origin()
            cloud = read_splats(path, origin)
            splats, total = CloudSplats(most_visible(cloud.select(cloud.finite()), limit)), len(cloud)
            self._read = _Read(event, splats, total, time.perf_counter() - began, origin)
        except (SplatError, OSError, ValueError, MemoryError):  # it was replaced or removed meanwhile: the next one
            self._read = _Read(event, None)

    def _show(self, scene: bpy.types.Scene, read: _Read, splats: CloudSplats) -> bool:
        item = run_object.find(scene, self.run.folder)
        if item is not None and not run_object.is_untouched(item):
            self.hide()
            self.obstacle = "edited"
            return True
        self._preview = RunPreview(self.run, splats, read.origin)
        self._preview.refresh(scene)
        display.set_preview(self._preview)
        self.shown = Shown(read.event.step, splats.count, read.total)
        self._left_at = time.monotonic()
        self._cost_s = read.seconds  # which is about as long as the trainer took for writing
        self._next_at = self._left_at + max(float(scene.splat.follow_every_s), self._cost_s / LARGEST_SHARE)
        return True

    def _is_worth_asking(self, scene: bpy.types.Scene, now: float) -> bool:
        progress, shown = self.run.progress, self.shown
        if self._is_reading() or now < self._next_at:
            return False
        if self.run.state != "training" or progress is None or progress.step <= (shown.step if shown else 0):
            return False
        if self._is_asked and (progress.step <= self._asked_at_step or now < self._next_at + ANSWER_LIMIT_S):
            return False
        item = run_object.find(scene, self.run.folder)
        return item is None or any(item.visible_get(view_layer=layer) for layer in scene.view_layers)

    def _ask(self, now: float, scene: bpy.types.Scene) -> None:
        self._next_at = now + scene.splat.follow_every_s
        with contextlib.suppress(SplatError):  # its folder is gone, which the trainer will say
            self.run.process.send("preview")
            self._is_asked = True
            self._asked_at_step = self.run.progress.step if self.run.progress else 0


class Followed:
    """Who follows the run that is watched."""

    def __init__(self) -> None:
        self.follower: Follower | None = None


def tick(interval_s: float = 0.0) -> bool:
    """Let the viewport follow the watched run, `interval_s` after the last call; True when something is to be drawn
    anew."""
    follower = current()
    return follower is not None and follower.tick(time.monotonic(), interval_s)


def current() -> Follower | None:
    """Who follows the watched run; None when no run is watched."""
    run, followed = live_run.current(), part(Followed)
    if followed.follower is not None and followed.follower.run is not run:
        followed.follower.hide()
        followed.follower = None
    if run is not None and followed.follower is None:
        followed.follower = Follower(run)
    return followed.follower


def end() -> None:
    """The run is over, and its result is there or waits in its folder: no preview stands in for it any longer."""
    follower = current()
    if follower is not None:
        follower.hide()


def follow_or_not(scene: bpy.types.Scene) -> None:
    """The artist wants to see the splats of the watched run, or not, if it is this scene's."""
    follower = current()
    if follower is None or live_run.scene_of(follower.run) != scene:
        return
    if scene.splat.follow_training:
        follower.begin_again(scene)
    else:
        follower.hide()


def is_disturbing(scene: bpy.types.Scene) -> bool:
    """Whether a change of the scene would disturb: something is edited, rendered, played or dragged, or no window
    shows the scene."""
    windows = bpy.context.window_manager.windows
    if not any(window.scene == scene for window in windows):
        return True
    if any(bpy.app.is_job_running(job) for job in _DISTURBED_JOBS):  # type: ignore[arg-type] # a str
        return True
    if any(window.screen.is_animation_playing for window in windows):
        return True
    if any(tool.bl_idname.startswith(_DISTURBED_TOOLS) for window in windows for tool in window.modal_operators):
        return True
    actives = [layer.objects.active for layer in scene.view_layers]
    return any(item is not None and item.mode not in ("OBJECT", "POSE") for item in actives)


def most_visible(cloud: GaussianCloud, limit: int) -> GaussianCloud:
    """The `limit` gaussians that cover most, by opacity and size, in their order; all when there are no more."""
    if len(cloud) <= limit:
        return cloud
    sizes = np.sort(cloud.log_scales, axis=1)[:, 1:].sum(axis=1)  # of the largest cross-section
    visibility = np.log(np.maximum(cloud.opacities, 1e-6)) + sizes
    return cloud.select(np.sort(np.argpartition(visibility, -limit)[-limit:]))


def _fitting(limit: int, count: int, hold_s: float) -> int:
    """How many splats to show next time, after `count` have held the main thread for `hold_s`."""
    if hold_s > LONGEST_HOLD_S:
        return max(FEWEST_SPLATS, int(count * 0.8 * LONGEST_HOLD_S / hold_s))
    if count == limit and hold_s < 0.5 * LONGEST_HOLD_S:
        return min(MOST_SPLATS, int(1.5 * limit))
    return limit


ON_CHANGE = {"follow_training": follow_or_not}
