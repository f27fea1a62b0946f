"""The training run this Blender watches. Never saved: what was chosen is in the scene, what was made in its folder.

`pump` is called by a timer in the interface and directly by scripts and tests; it never waits.
"""

from dataclasses import dataclass, field
from pathlib import Path

import bpy

from ..errors import RunError
from ..run.config import TrainConfig
from ..run.events import Evaluated, Event, Failed, Finished, Progressed, SnapshotSaved, Started, Warned
from ..run.folder import RunFolder
from ..run.process import TrainerProcess, trainer_command
from .settings import remember_run, run_path


@dataclass
class LiveRun:
    """What is known about a run. `state` is starting, training, evaluating, paused, stopping, finished or failed."""

    folder: RunFolder
    process: TrainerProcess
    scene_uid: int
    iterations: int
    state: str = "starting"
    backend: str = ""
    progress: Progressed | None = None
    evaluations: list[Evaluated] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    message: str = ""
    snapshot: Path | None = None

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
        elif isinstance(event, Progressed):
            self.progress = event
            if self.state != "stopping":
                self.state = event.state
        elif isinstance(event, Evaluated):
            self.evaluations.append(event)
        elif isinstance(event, SnapshotSaved):
            self.snapshot = self.folder.path / event.path
        elif isinstance(event, Warned):
            self.warnings.append(f"{event.message} {event.remedy}".strip())
        elif isinstance(event, Failed):
            self.state, self.message = "failed", f"{event.message} {event.remedy}"
        elif isinstance(event, Finished):
            self.state = "finished"
            self.message = f"{'Stopped' if event.stopped else 'Finished'} after {event.step} steps."


class _Watched:
    """Holds the one run that is watched."""

    run: LiveRun | None = None


def current() -> LiveRun | None:
    """The run that is watched, also when it is over; None when none was started since Blender or the add-on started."""
    return _Watched.run


def is_training() -> bool:
    """Whether a trainer is at work for this Blender."""
    return _Watched.run is not None and not _Watched.run.is_over


def start(scene: bpy.types.Scene, config: TrainConfig, path: Path, python: Path) -> LiveRun:
    """Start training in a new run folder. Raises RunError or SetupError; then nothing was started."""
    if is_training():
        raise RunError("A run is training already.", "Stop it first, or wait until it is finished.")
    command = trainer_command(python, RunFolder(path))
    folder = RunFolder.create(path, config)
    process = TrainerProcess(command, folder)
    _Watched.run = LiveRun(folder, process, scene.session_uid, config.iterations)
    return _Watched.run


def resume(scene: bpy.types.Scene, path: Path, python: Path) -> LiveRun:
    """Go on with a run from its checkpoint. Raises RunError or SetupError; then nothing was started."""
    if is_training():
        raise RunError("A run is training already.", "Stop it first, or wait until it is finished.")
    folder = RunFolder(path.resolve())
    config = TrainConfig.read(folder.config_file)
    process = TrainerProcess(trainer_command(python, folder, resume=True), folder)
    _Watched.run = LiveRun(folder, process, scene.session_uid, config.iterations)
    return _Watched.run


def scene_of(run: LiveRun) -> bpy.types.Scene | None:
    """The scene that a run belongs to: the one it was started from, or one that remembers it (after a reload)."""
    for scene in bpy.data.scenes:
        if scene.session_uid == run.scene_uid or run_path(scene) == run.folder.path:
            return scene
    return None


def send(command: str) -> None:
    """Tell the trainer to stop, pause, resume or snapshot."""
    run = _Watched.run
    if run is None or run.is_over:
        raise RunError("No run is training.", "Start one first.")
    run.process.send(command)
    if command == "stop":
        run.state = "stopping"


def pump() -> list[Event]:
    """Take in what the trainer said since the last call; returns those events."""
    run = _Watched.run
    if run is None or run.is_over:
        return []
    events = run.process.poll()
    for event in events:
        run.apply(event)
        scene = scene_of(run)
        if scene is not None and isinstance(event, Started | Evaluated | Finished):
            remember_run(scene, run.folder.path)  # only now: a run that never starts must not hide an earlier one
        if scene is not None and isinstance(event, Evaluated):
            list_held_out_views(scene, event)
    return events


def list_views_of_run(scene: bpy.types.Scene) -> None:
    """Fill the list from what the scene's run last measured; empty when it measured nothing."""
    path = run_path(scene)
    evaluated = RunFolder(path).latest_evaluation() if path else None
    if evaluated is None:
        scene.splat.held_out_views.clear()
    else:
        list_held_out_views(scene, evaluated)


def list_held_out_views(scene: bpy.types.Scene, evaluated: Evaluated) -> None:
    """Fill the scene's list of held-out views, the worst first; the chosen view stays chosen."""
    views, index = scene.splat.held_out_views, scene.splat.held_out_index
    chosen = views[index].name if 0 <= index < len(views) else None
    views.clear()
    for quality in sorted(evaluated.views, key=lambda quality: quality.psnr_db):
        entry = views.add()
        entry.name, entry.psnr_db, entry.ssim = quality.name, quality.psnr_db, quality.ssim
    names = [entry.name for entry in views]
    place = names.index(chosen) if chosen in names else 0
    if scene.splat.held_out_index != place:  # writing it shows the view, which lists the views
        scene.splat.held_out_index = place


def close() -> None:
    """Let go of the run when the add-on or Blender ends: the trainer saves its result and ends by itself."""
    if _Watched.run is not None and not _Watched.run.is_over:
        _Watched.run.process.let_go()
    _Watched.run = None
