"""The capture this Blender has being rendered in the background. Never saved, and holds no data of Blender's.

`pump` is called by a timer in the interface and directly by scripts and tests; it never waits.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...capture.capture import Points
from ...errors import CaptureError
from ...gaussians.cloud import GaussianCloud
from ...run.children.render_process import RenderProcess
from ...run.events import Event, Failed, RenderFinished, RenderProgressed, RenderStarted, Warned
from ...run.render_folder import RenderPlan
from ..rendering import launch
from ..session import part, timer
from ..session.redraw import redraw
from ..splats.data import Origin
from . import preflight

TICK_S = 0.25


@dataclass
class LiveRender:
    """What is known about a render. `state` is starting, rendering, stopping, finished, stopped or failed."""

    capture: Path
    process: RenderProcess
    total: int
    again: str = "capture again"  # how the artist goes on with what was stopped
    is_outside: bool = False  # views off the path of a capture, and no capture
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
            self.message = f"Stopped with {event.done} of {self.total} views: {self.again} to continue."
        elif isinstance(event, RenderFinished):
            self.state = "finished"
            verb, where = ("Rendered", " off the path") if self.is_outside else ("Captured", "")
            self.message = f"{verb} {event.done} views{where} in {event.seconds:.0f} s."


class Rendered:
    """The one render that is watched."""

    def __init__(self) -> None:
        self.render: LiveRender | None = None

    def close(self) -> None:
        """The render stops, and finished images are kept."""
        render, self.render = self.render, None
        if render is not None and not render.is_over:
            render.process.let_go()


def watched() -> Rendered:
    """The session's own."""
    return part(Rendered)


def current() -> LiveRender | None:
    """The render that is watched, also when it is over; None when none was started."""
    return watched().render


def is_rendering() -> bool:
    """Whether a capture is being rendered for this Blender."""
    render = watched().render
    return render is not None and not render.is_over


def is_capturing() -> bool:
    """Whether what is being rendered is a capture, which nothing can be trained on before it is done."""
    render = watched().render
    return is_rendering() and render is not None and not render.is_outside


def start(
    plan: RenderPlan,
    points: Points | None,
    capture: Path,
    warnings: Sequence[str] = (),
    splats: tuple[GaussianCloud, Origin] | None = None,
) -> LiveRender:
    """Render a capture in the background; `warnings` are known already, `points` are what training starts from, if
    anything is trained, `splats` what views off the path are to show. Raises CaptureError or SetupError; then nothing
    was started."""
    if is_rendering():
        raise CaptureError("A capture is already being rendered.", "Cancel it first, or wait until it is finished.")
    process = launch.start_render(plan, points, capture, splats)
    render = watched().render = LiveRender(
        Path(capture),
        process,
        len(plan.shots) if plan.outside is None else plan.outside.count,
        plan.again,
        plan.outside is not None,
        warnings=list(warnings),
    )
    return render


def cancel() -> None:
    """End the render; finished images are kept. Raises CaptureError when there is none."""
    render = watched().render
    if render is None or render.is_over:
        raise CaptureError("No capture is being rendered.", "Start one first.")
    render.process.send("stop")
    render.state = "stopping"


def pump() -> list[Event]:
    """Take in what the render said since the last call; returns those events."""
    render = watched().render
    if render is None or render.is_over:
        return []
    events = render.process.poll()
    for event in events:
        render.apply(event)
    return events


def wait(tell_progress=lambda done: None) -> LiveRender:
    """Block until the render is over, for scripts. Raises CaptureError when it failed."""
    render = watched().render
    assert render is not None
    while not render.is_over:
        for event in render.process.wait(limit_s=1.0):
            render.apply(event)
            if isinstance(event, RenderProgressed):
                tell_progress(event.done)
            if isinstance(event, Failed):
                raise CaptureError(event.message, event.remedy)
    return render


def begin_watching() -> None:
    """Let the timer watch the render. It does not tick in background mode; scripts wait."""
    timer.start(_watch, TICK_S)


def _watch() -> float | None:
    events = pump()
    is_last = not events and not is_rendering()
    if is_last:
        preflight.forget()  # what was known was about no capture, or another one
    if events or is_last:  # once more after the end: only then panels have moved to their places
        redraw()
    return None if is_last else TICK_S
