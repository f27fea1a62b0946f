"""The training run this Blender watches. Never saved: what was chosen is in the scene, what was made in its folder.

`pump` is called by a timer in the interface and directly by scripts and tests; it never waits. `wait` is for scripts.
"""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import bpy

from ...capture.card import Card
from ...capture.inspection import Inspection
from ...errors import RunError, SplatError
from ...run.children.detached import DetachedTrainer
from ...run.children.trainer_process import TrainerProcess, trainer_command
from ...run.config import TrainConfig
from ...run.events import Decided, Evaluated, Event, Failed, Finished, Progressed, SnapshotSaved, Started, Warned
from ...run.find import delete_run
from ...run.folder import RunFolder, write_json
from ...run.lock import is_held
from ..review.views import list_views
from ..session import part
from ..settings import preferences
from ..settings.paths import capture_now, remember_run, require_asked, run_path


@dataclass
class LiveRun:
    """What is known about a run. `state` is starting, training, evaluating, paused, stopping, finished or failed."""

    folder: RunFolder
    process: TrainerProcess | DetachedTrainer
    scene_uid: int
    iterations: int
    is_own: bool = True  # started by this Blender, not only watched
    file_and_scene: tuple[str, str] = (
        "",
        "",
    )  # where it was started, to find the scene again when the file is reverted
    state: str = "starting"
    backend: str = ""
    progress: Progressed | None = None
    evaluations: list[Evaluated] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    decisions: list[str] = field(default_factory=list)  # of the trainer, each once
    message: str = ""
    splats: SnapshotSaved | None = None  # the newest that were saved, a snapshot or a preview
    snapshot: SnapshotSaved | None = None  # the newest that stay in the run's folder
    is_settled: bool = False  # over, and nothing is left to do for it
    was_shown: bool = False  # by its scene, before the undo or redo that is under way
    waits: bool = False  # its result waits for its file to be open again

    @property
    def is_over(self) -> bool:
        return self.state in ("finished", "failed")

    @property
    def fraction(self) -> float:
        """How much of the run is done, 0..1."""
        return self.progress.fraction if self.progress else 0.0

    def apply(self, event: Event) -> None:
        """Take in one event."""
        if isinstance(event, Started):
            self.state, self.backend, self.iterations = "training", event.backend, event.iterations
            self.message = ""
        elif isinstance(event, Progressed):
            self.progress = event
            if self.state != "stopping":
                self.state = event.state
        elif isinstance(event, Evaluated):
            self.evaluations = [earlier for earlier in self.evaluations if earlier.step < event.step] + [event]
        elif isinstance(event, SnapshotSaved):
            self.splats = event
            if event.path != self.folder.preview_file.name:
                self.snapshot = event
        elif isinstance(event, Warned):
            self.warnings.append(f"{event.message} {event.remedy}".strip())
        elif isinstance(event, Decided):
            told = f"{event.message} {event.remedy}".strip()
            self.decisions = [*(earlier for earlier in self.decisions if earlier != told), told]
        elif isinstance(event, Failed):
            self.state, self.message = "failed", f"{event.message} {event.remedy}"
        elif isinstance(event, Finished):
            self.state = "finished"
            self.message = f"{'Stopped' if event.stopped else 'Finished'} after {event.step} steps."


class Watched:
    """The one run that is watched."""

    def __init__(self) -> None:
        self.run: LiveRun | None = None

    def close(self) -> None:
        """The trainer of a run that was started here saves its result and ends, or goes on, as the preferences say. A
        run that was only watched is left alone."""
        run, self.run = self.run, None
        if run is not None and not run.is_over:
            if run.is_own:
                with contextlib.suppress(RunError):  # its folder is gone: it will end by itself
                    run.process.send("outlive" if preferences.outlives() else "stop")
            run.process.let_go()


def watched() -> Watched:
    """The session's own."""
    return part(Watched)


def current() -> LiveRun | None:
    """The run that is watched, also when it is over; None when none was started since Blender or the add-on started."""
    return watched().run


def is_training() -> bool:
    """Whether a trainer is at work for this Blender."""
    run = watched().run
    return run is not None and not run.is_over


def start(
    scene: bpy.types.Scene,
    config: TrainConfig,
    path: Path,
    python: Path,
    outlives: bool = False,
    inspection: Inspection | None = None,
) -> LiveRun:
    """Start training in a new run folder. With `outlives`, it goes on when Blender quits or crashes. What an
    `inspection` has measured of the capture is left for the run's record of it.

    Raises RunError or SetupError; then nothing was started.
    """
    _require_none_training()
    command = trainer_command(python, RunFolder(path))
    folder = RunFolder.create(path, config)
    if inspection is not None:
        with contextlib.suppress(OSError):  # the trainer will say what cannot be written
            write_json(folder.capture_file, Card((), (), inspection).as_json())
    return _watch_child(scene, folder, config, command, outlives)


def go_on(
    scene: bpy.types.Scene,
    path: Path,
    python: Path,
    make: Callable[[], tuple[RunFolder, TrainConfig]],
    outlives: bool = False,
) -> LiveRun:
    """Start training in the folder `path` that `make` makes, with what the run goes on from. Raises SplatError; then
    nothing was started."""
    _require_none_training()
    command = trainer_command(python, RunFolder(path))
    folder, config = make()
    return _watch_child(scene, folder, config, command, outlives)


def resume(scene: bpy.types.Scene, path: Path, python: Path, outlives: bool = False) -> LiveRun:
    """Go on with a run from its checkpoint. Raises RunError or SetupError; then nothing was started."""
    _require_none_training()
    folder = RunFolder(path.resolve())
    recorded = TrainConfig.read(folder.config_file)
    config = _where_the_capture_is_now(recorded, scene)
    if is_held(folder.lock_file):
        raise RunError(f"{folder.path} is already training.", "Watch it in the list of runs.")
    command = trainer_command(python, folder, resume=True)
    if config != recorded:
        config.write(folder.config_file)
    run = _watch_child(scene, folder, config, command, outlives)
    run.evaluations = folder.evaluations()
    return run


def watch(scene: bpy.types.Scene, path: Path) -> LiveRun:
    """Watch a run that is training without this Blender, from its first event on. Raises RunError."""
    _require_none_training()
    folder = RunFolder(path.resolve())
    config = TrainConfig.read(folder.config_file)
    process = DetachedTrainer.watch(folder)
    run = watched().run = LiveRun(folder, process, scene.session_uid, config.iterations, False, _home(scene))
    remember_run(scene, folder.path)
    return run


def wait(limit_s: float = float("inf"), tell: Callable[[Event], None] = lambda event: None) -> LiveRun:
    """Block until the watched run is over or `limit_s` has passed; `tell` gets every event. For scripts.

    Raises RunError when no run is watched.
    """
    run, deadline = watched().run, time.monotonic() + limit_s
    if run is None:
        raise RunError("No run is training.", "Start one first.")
    while not run.is_over and time.monotonic() < deadline:
        for event in _take_in(run, run.process.wait(min(1.0, deadline - time.monotonic()))):
            tell(event)
    return run


def outlive(is_wanted: bool) -> None:
    """Decide again whether the run that this Blender started goes on without it."""
    run = watched().run
    if run is not None and run.is_own and not run.is_over:
        run.process.send("outlive" if is_wanted else "follow")


def _require_none_training() -> None:
    if is_training():
        raise RunError("A run is already training.", "Stop it first, or wait until it is finished.")


def _watch_child(
    scene: bpy.types.Scene, folder: RunFolder, config: TrainConfig, command: list[str], outlives: bool
) -> LiveRun:
    try:
        process = DetachedTrainer.start(command, folder) if outlives else TrainerProcess(command, folder)
    except SplatError:
        _remove_if_empty(folder)
        raise
    run = watched().run = LiveRun(folder, process, scene.session_uid, config.iterations, True, _home(scene))
    return run


def _where_the_capture_is_now(config: TrainConfig, scene: bpy.types.Scene) -> TrainConfig:
    """The settings of a run whose project has moved; the trainer checks that the capture is the same one. Raises
    RunError for what they name on a share that the artist has not chosen: the trainer would look there."""
    files = (config.init_splats, config.cleared_splats, config.empty_volume, config.trained_volume)
    for path in (*files, config.photos_folder, config.model_folder):
        require_asked(path)
    capture = capture_now(scene, config.capture)
    return config if capture == Path(config.capture) else config.moved_to(capture)


def _home(scene: bpy.types.Scene) -> tuple[str, str]:
    return bpy.data.filepath, scene.name


def scene_of(run: LiveRun) -> bpy.types.Scene | None:
    """The scene that a run belongs to: the one it was started from, or one that remembers it (after a reload).

    Scenes of linked libraries only mirror another file; nothing is brought into them.
    """
    scenes = [scene for scene in bpy.data.scenes if scene.library is None]
    for scene in scenes:
        if scene.session_uid == run.scene_uid:
            return scene
    for scene in scenes:
        if is_shown(run, scene):
            return scene
    return None


def find_scene_again() -> None:
    """After a file was loaded: the file that the run was started from, in a state that does not know it yet."""
    run = watched().run
    if run is None or scene_of(run) is not None:
        return
    path, name = run.file_and_scene
    scene = bpy.data.scenes.get((name, None))
    if path and path == bpy.data.filepath and scene is not None:
        run.scene_uid = scene.session_uid
        if run.backend:
            remember_run(scene, run.folder.path)


def send(command: str) -> None:
    """Tell the trainer to stop, pause, resume or snapshot."""
    run = watched().run
    if run is None or run.is_over:
        raise RunError("No run is training.", "Start one first.")
    run.process.send(command)
    if command == "stop":
        run.state = "stopping"


def pump() -> list[Event]:
    """Take in what the trainer said since the last call; returns those events."""
    run = watched().run
    return [] if run is None or run.is_over else _take_in(run, run.process.poll())


def _take_in(run: LiveRun, events: list[Event]) -> list[Event]:
    scene = scene_of(run) if events else None
    measured = None
    for event in events:
        run.apply(event)
        if scene is not None and isinstance(event, Started):
            remember_run(scene, run.folder.path)  # only now: a run that never starts must not hide an earlier one
        measured = event if isinstance(event, Evaluated) else measured
    if run.state == "failed" and not run.backend and run.is_own:
        _remove_if_empty(run.folder)
    if scene is not None and measured is not None and is_shown(run, scene):
        list_views(scene, measured)
    return events


def _remove_if_empty(folder: RunFolder) -> None:
    """Remove the folder of a run that never began, unless it holds anything that was trained before."""
    if not any(file.exists() for file in (folder.checkpoint_file, folder.splats_file, folder.metrics_file)):
        with contextlib.suppress(RunError):  # somebody looks into it: it stays
            delete_run(folder.path)


def home_of(run: LiveRun, scene: bpy.types.Scene) -> str:
    """Which scene or file a run belongs to, where that is not `scene`; empty where it is."""
    home = scene_of(run)
    if home == scene:
        return ""
    return f"scene '{home.name}'" if home is not None else Path(run.file_and_scene[0]).name or "another file"


def is_shown(run: LiveRun, scene: bpy.types.Scene) -> bool:
    """Whether a run is the one that its scene shows: the artist may have chosen to look at another."""
    path = run_path(scene)
    return path is not None and path.resolve() == run.folder.path.resolve()
