"""The capture this Blender has being rendered in the background. Never saved, and holds no data of Blender's.

`pump` is called by a timer in the interface and directly by scripts and tests; it never waits.
"""

from dataclasses import dataclass, field
from pathlib import Path

from ...capture.capture import Points
from ...errors import CaptureError
from ...run.event_child import EventChild
from ...run.events import Event, Failed, RenderFinished, RenderProgressed, RenderStarted, Warned
from ...run.render_folder import RenderPlan
from ..rendering import launch


@dataclass
class LiveRender:
    """What is known about a render. `state` is starting, rendering, stopping, finished, stopped or failed."""

    capture: Path
    process: EventChild
    total: int
    state: str = "starting"
    engine: str = ""
    progress: RenderProgressed | None = None
    warnings: list[str] = field(default_factory=list)
    message: str = ""

    @property
    def is_over(self) -> bool:
        return self.state in ("finished", "stopped", "failed")

    @property
    def fraction(self) -> float:
        """How much is rendered, 0..1."""
        return self.progress.done / self.progress.view_count if self.progress else 0.0

    def apply(self, event: Event) -> None:
        """Take in one event."""
        if isinstance(event, RenderStarted):
            self.state, self.engine, self.total = "rendering", event.engine, event.view_count
        elif isinstance(event, RenderProgressed):
            self.progress = event
        elif isinstance(event, Warned):
            self.warnings.append(f"{event.message} {event.remedy}".strip())
        elif isinstance(event, Failed):
            self.state, self.message = "failed", f"{event.message} {event.remedy}"
        elif isinstance(event, RenderFinished) and event.stopped:
            self.state = "stopped"
            self.message = f"Stopped with {event.done} of {self.total} views: capture again to go on."
        elif isinstance(event, RenderFinished):
            self.state = "finished"
            self.message = f"Captured {event.done} views in {event.seconds:.0f} s."


class _Watched:
    """Holds the one render that is watched."""

    render: LiveRender | None = None


def current() -> LiveRender | None:
    """The render that is watched, also when it is over; None when none was started."""
    return _Watched.render


def is_rendering() -> bool:
    """Whether a capture is being rendered for this Blender."""
    return _Watched.render is not None and not _Watched.render.is_over


def start(plan: RenderPlan, points: Points, capture: Path) -> LiveRender:
    """Render a capture in the background. Raises CaptureError or SetupError; then nothing was started."""
    if is_rendering():
        raise CaptureError("A capture is being rendered already.", "Cancel it first, or wait until it is finished.")
    process = launch.start_render(plan, points, capture)
    _Watched.render = LiveRender(Path(capture), process, len(plan.shots))
    return _Watched.render


def cancel() -> None:
    """End the render; finished images are kept. Raises CaptureError when there is none."""
    if not is_rendering():
        raise CaptureError("No capture is being rendered.", "Start one first.")
    assert _Watched.render is not None
    _Watched.render.process.send("stop")
    _Watched.render.state = "stopping"


def pump() -> list[Event]:
    """Take in what the render said since the last call; returns those events."""
    render = _Watched.render
    if render is None or render.is_over:
        return []
    events = render.process.poll()
    for event in events:
        render.apply(event)
    return events


def wait(tell_progress=lambda done: None) -> LiveRender:
    """Block until the render is over, for scripts. Raises CaptureError when it failed."""
    render = _Watched.render
    assert render is not None
    while not render.is_over:
        for event in render.process.wait(limit_s=1.0):
            render.apply(event)
            if isinstance(event, RenderProgressed):
                tell_progress(event.done)
            if isinstance(event, Failed):
                raise CaptureError(event.message, event.remedy)
    return render


def close() -> None:
    """Let go of the render when the add-on or Blender ends: it stops, and finished images are kept."""
    if is_rendering():
        assert _Watched.render is not None
        _Watched.render.process.let_go()
    _Watched.render = None
