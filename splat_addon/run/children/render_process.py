"""The Blender that renders a capture, seen from its parent."""

from ..events import Event, RenderFinished
from ..render_folder import RenderFolder
from .child import PipeLink, clean_environment
from .event_child import EventChild

TITLE = "The Blender that renders"
START_LIMIT_S = 1800.0  # opening a heavy file takes its time


class RenderProcess(EventChild):
    """A Blender at work for as long as its parent lives. Its last event is handed over when it is gone.

    Only then nobody uses the work folder any more, which is removed when the capture is complete. On Windows, the
    child itself could not: its output goes there. Raises SetupError when it cannot be started.
    """

    def __init__(self, command: list[str], folder: RenderFolder):
        # Not in the work folder: no system removes the folder that a process is in without harm, Windows never.
        remedy = f"Restart Blender and {folder.again}."
        link = PipeLink(command, clean_environment(), TITLE, remedy, folder.capture, folder.log_file)
        super().__init__(link, folder, TITLE, remedy, START_LIMIT_S)
        self.folder: RenderFolder = folder

    def _pass_on(self) -> Event | None:
        last = super()._pass_on()
        if last is not None:
            self._link.finish()
        if isinstance(last, RenderFinished) and not last.stopped:
            self.folder.remove()
        return last
