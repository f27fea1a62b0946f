"""The splats in the viewport follow the training.

The trainer is asked for a preview; it is read in a thread and shown as the run's object when that disturbs nobody, and
only then the next one is asked for. Nothing here makes undo steps; the import of the result replaces what was shown.
`tick` is called by the timer that watches the run, and directly by scripts and tests.
"""

import contextlib
import threading
import time
from dataclasses import dataclass

import bpy
import numpy as np

from ...errors import SplatError
from ...gaussians.cloud import GaussianCloud
from ...gaussians.formats.splat_ply import read_splats
from ...run.events import SnapshotSaved
from ..tasks import live_run
from . import run_object
from ..splats import data as splat_data
from ..splats.quads import splat_quads

MOST_SPLATS = 100_000  # shown in a preview; the main thread is held about 1 ms for 1000
FEWEST_SPLATS = 20_000
LONGEST_HOLD_S = 0.15  # where showing takes longer, fewer splats are shown
LARGEST_SHARE = 0.05  # of the time, that previews may take from this Blender and from the trainer
_DISTURBED_JOBS = ("RENDER", "OBJECT_BAKE")
_DISTURBED_TOOLS = ("TRANSFORM_OT_", "VIEW3D_OT_", "PAINT_OT_", "SCULPT_OT_")


@dataclass(frozen=True)
class Shown:
    """What the viewport shows: `count` of `total` splats as they were after `step` steps."""

    step: int
    count: int
    total: int
    hidden: tuple[str, ...] = ()  # earlier runs' objects that were hidden for it, by name


@dataclass(frozen=True)
class _Read:
    """What the thread made of a file; `cloud` is None when it could not be read."""

    event: SnapshotSaved
    cloud: GaussianCloud | None
    total: int = 0
    seconds: float = 0.0


class Follower:
    """Follows one run. `obstacle` is why it does not: "" or "deleted" or "edited"."""

    def __init__(self, run: live_run.LiveRun):
        self.run = run
        self.obstacle = ""
        self.shown: Shown | None = None
        self.hidden: tuple[str, ...] = ()  # objects of earlier runs that were hidden for it, by name
        self.limit = MOST_SPLATS
        self._is_asked = False
        self._taken: SnapshotSaved | None = None  # the newest that was given to the thread
        self._thread: threading.Thread | None = None
        self._read: _Read | None = None
        self._next_at = 0.0  # when the next preview may be asked for, s
        self._object: tuple[str, int] | None = None  # name and session_uid of what was shown; None: look again
        self._cost_s = 0.0  # of the last preview
        self._left_at: float | None = None  # when it had just been shown, s

    def tick(self, now: float, interval_s: float) -> bool:
        """Do what is due, `interval_s` after the last time if nothing held Blender up; True when something changed."""
        self._measure_delay(now, interval_s)
        scene = live_run.scene_of(self.run)
        if self.run.is_over or scene is None or not scene.splat.follow_training:
            return False
        former = self.obstacle
        self.look_after_object(scene)
        if self.obstacle:
            return self.obstacle != former
        self._take_up_newest(now)
        if is_disturbing(scene):
            return False
        if self._read is not None:
            read, self._read = self._read, None
            return read.cloud is not None and self._show(scene, read)
        if self._is_worth_asking(scene, now):
            self._ask(now, scene)
        return False

    def forget_object(self, now: float) -> None:
        """After undo, redo or loading a file: the object may be gone or hold older splats, by nobody's wish."""
        self._object, self.shown, self._next_at = None, None, min(self._next_at, now)
        scene = live_run.scene_of(self.run)
        if scene is not None and self.obstacle == "deleted" and run_object.find(scene, self.run.folder) is not None:
            self.obstacle = ""

    def begin_again(self, scene: bpy.types.Scene) -> None:
        """Follow, whatever the obstacle was. Splats that the artist edited become the artist's own."""
        item = run_object.find(scene, self.run.folder)
        if self.obstacle == "edited" and item is not None:
            run_object.give_away(item)
        self.obstacle, self._object, self._next_at = "", None, 0.0

    def _measure_delay(self, now: float, interval_s: float) -> None:
        """What Blender did since the last preview beyond waiting, mostly drawing it, is part of what it costs."""
        if self._left_at is not None:
            self._cost_s += max(0.0, now - self._left_at - interval_s)
            self._next_at = max(self._next_at, self._left_at + self._cost_s / LARGEST_SHARE)
            self._left_at = None

    def look_after_object(self, scene: bpy.types.Scene) -> None:
        """Notice that the object is gone: then the artist has deleted it, since undo makes `_object` None."""
        if self._object is None:
            return
        name, uid = self._object
        item = scene.objects.get(name)
        if item is None or item.session_uid != uid:  # renamed, or gone
            item = next((item for item in scene.objects if item.session_uid == uid), None)
        if item is None:
            self.obstacle, self._object, self.shown, self._read = "deleted", None, None, None
        else:
            self._object = item.name, uid

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
            cloud = read_splats(self.run.folder.path / event.path)
            cloud, total = most_visible(cloud.select(cloud.finite()), limit), len(cloud)
            self._read = _Read(event, cloud, total, time.perf_counter() - began)
        except (SplatError, OSError, ValueError, MemoryError):  # it was replaced or removed meanwhile: the next one
            self._read = _Read(event, None)

    def _show(self, scene: bpy.types.Scene, read: _Read) -> bool:
        began, folder = time.perf_counter(), self.run.folder
        item = run_object.find(scene, folder)
        if item is not None and not run_object.is_untouched(item):
            self.obstacle = "edited"
            return True
        assert read.cloud is not None
        is_first = item is None
        item = run_object.put(scene, folder, read.cloud)
        if is_first:
            self.hidden = tuple(run_object.hide_others(scene, folder))
        _evaluate(scene)
        self._left_at, hold_s = time.monotonic(), time.perf_counter() - began
        if not is_first:  # making the object is dearer, whatever the count
            self.limit = _fitting(self.limit, len(read.cloud), hold_s)
        self._object = item.name, item.session_uid
        self.shown = Shown(read.event.step, len(read.cloud), read.total, self.hidden)
        self._cost_s = hold_s + read.seconds  # reading takes about as long as the trainer took for writing
        self._next_at = self._left_at + max(float(scene.splat.follow_every_s), self._cost_s / LARGEST_SHARE)
        return True

    def _is_worth_asking(self, scene: bpy.types.Scene, now: float) -> bool:
        progress, shown = self.run.progress, self.shown
        if (
            self._is_asked
            or self._is_reading()
            or now < self._next_at
            or self.run.state != "training"
            or progress is None
        ):
            return False
        if progress.step <= (shown.step if shown else 0):
            return False
        item = scene.objects.get(self._object[0]) if self._object else None
        return item is None or any(item.visible_get(view_layer=layer) for layer in scene.view_layers)

    def _ask(self, now: float, scene: bpy.types.Scene) -> None:
        self._next_at = now + scene.splat.follow_every_s
        with contextlib.suppress(SplatError):  # its folder is gone, which the trainer will say
            self.run.process.send("preview")
            self._is_asked = True


class _Followed:
    """Holds who follows the run that is watched."""

    follower: Follower | None = None


def tick(interval_s: float = 0.0) -> bool:
    """Let the viewport follow the watched run, `interval_s` after the last call; True when something is to be drawn
    anew."""
    follower = current()
    return follower is not None and follower.tick(time.monotonic(), interval_s)


def current() -> Follower | None:
    """Who follows the watched run; None when no run is watched."""
    run = live_run.current()
    if run is None:
        _Followed.follower = None
    elif _Followed.follower is None or _Followed.follower.run is not run:
        _Followed.follower = Follower(run)
    return _Followed.follower


def is_unwanted(run: live_run.LiveRun, scene: bpy.types.Scene) -> bool:
    """Whether the artist deleted or edited the splats of this run, so that its result must not come by itself."""
    item = run_object.find(scene, run.folder)
    if item is not None:
        return not run_object.is_untouched(item)
    follower = current()
    if follower is None or follower.run is not run:
        return False
    follower.look_after_object(scene)
    return follower.obstacle == "deleted"


def prepare() -> None:
    """Make what displays splats, which takes a quarter of a second in a file that has none: at a click, not later."""
    if not splat_data.has_native_splats():
        splat_quads()


def forget_object() -> None:
    """After undo, redo or loading a file."""
    follower = current()
    if follower is not None:
        follower.forget_object(time.monotonic())


def begin_again(scene: bpy.types.Scene) -> None:
    """The artist wants to see the splats of the watched run, if it is this scene's."""
    follower = current()
    if follower is not None and live_run.scene_of(follower.run) == scene:
        follower.begin_again(scene)


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


def _evaluate(scene: bpy.types.Scene) -> None:
    """Let Blender take in the change now, which belongs to what showing costs."""
    for window in bpy.context.window_manager.windows:
        if window.scene == scene:
            window.view_layer.update()
