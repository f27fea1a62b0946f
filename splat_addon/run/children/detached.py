"""A trainer that needs no parent, watched through its run folder: events are read from a file, commands are files."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from ...errors import RunError
from ..events import Event, Failed
from ..folder import RunFolder
from ..inbox import Inbox
from ..lock import holder_pid, is_held
from .child import start_process
from .event_child import EventChild
from .trainer_process import REMEDY, START_LIMIT_S, TITLE, trainer_environment

OUTLIVE = "--outlive"  # tells the trainer that the end of its input does not mean stop
LOOK_INTERVAL_S = 0.1
_PIECE_BYTES = 1 << 18  # of the record, read at a time
_NEW_GROUP = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)


class FolderLink:
    """The way to a trainer through its run folder, whoever started it: `child` where that was us.

    Its lines are those of the record from `offset` on.
    """

    is_record = True

    def __init__(self, folder: RunFolder, child: "subprocess.Popen[bytes] | None" = None, offset: int = 0):
        self._folder, self._child, self._offset = folder, child, offset
        self._inbox = Inbox(folder.commands_folder)
        self._left = threading.Event()
        self._goes_on = False  # a child of ours that was let go, and that nobody has waited for

    @property
    def pid(self) -> int | None:
        return holder_pid(self._folder.lock_file) or (self._child.pid if self._child else None)

    @property
    def is_left(self) -> bool:
        return self._left.is_set()

    def lines(self) -> Iterator[str]:
        while True:
            is_alive = self._is_alive()  # asked first: what was written before the end is read below
            while not self.is_left and (lines := _lines_from(self._folder.events_file, self._offset)):
                self._offset += sum(map(len, lines))
                for line in lines:
                    yield line.decode("utf-8", "replace")
            if not is_alive or self._left.wait(LOOK_INTERVAL_S):
                return

    def tell(self, command: str) -> None:
        self._inbox.put(command)

    def kill(self) -> None:
        with contextlib.suppress(OSError):
            if self._child is not None:
                if self._goes_on:
                    self._child.returncode = None  # nobody has waited for it, so that its number is still its own
                self._child.kill()
                if self._goes_on:
                    self._goes_on = False
                    threading.Thread(target=self._child.wait, name="end of a trainer", daemon=True).start()
            elif (pid := self.pid) is not None:
                os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))

    def let_go(self) -> None:
        """Stop watching; the run goes on, and can still be ended."""
        self._left.set()
        if self._child is not None and self._child.poll() is None:
            self._goes_on = True
            self._child.returncode = 0  # else Python warns that it still runs, which is what was asked for

    def exit_code(self) -> int | None:
        return self._child.poll() if self._child is not None else None

    def finish(self) -> None:
        self.let_go()

    def _is_alive(self) -> bool:
        if not self._folder.is_there:
            return False
        if self._child is not None and self._child.poll() is None:
            return True
        return is_held(self._folder.lock_file)


class DetachedTrainer(EventChild):
    """A trainer that is watched. A last event counts once it is gone: a resumed run has those of its earlier parts."""

    def __init__(self, folder: RunFolder, link: FolderLink, start_limit_s: float | None = None):
        super().__init__(link, folder, TITLE, REMEDY, start_limit_s)
        self.folder: RunFolder = folder

    @staticmethod
    def start(command: list[str], folder: RunFolder) -> "DetachedTrainer":
        """Start the trainer in a session of its own, so that it survives this process. Raises SetupError."""
        Inbox(folder.commands_folder).clear()
        offset = folder.events_file.stat().st_size if folder.events_file.is_file() else 0
        child = start_process(
            [*command, OUTLIVE],
            TITLE,
            REMEDY,
            folder.log_file,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=trainer_environment(),
            cwd=folder.path,
            start_new_session=True,
            creationflags=_NEW_GROUP,
        )
        return DetachedTrainer(folder, FolderLink(folder, child, offset), START_LIMIT_S)

    @staticmethod
    def watch(folder: RunFolder) -> "DetachedTrainer":
        """Watch a run that somebody started, from its first event on. Raises RunError when nobody trains there."""
        if not is_held(folder.lock_file):
            raise RunError(f"No trainer is running in {folder.path} anymore.", "Resume the run, or import its splats.")
        return DetachedTrainer(folder, FolderLink(folder))

    def _clear_up(self) -> None:
        self.folder.remove_photos()

    def _ended(self, code: int | None) -> Event:
        if not self.folder.is_there:
            remedy = "Find it and watch it there; the trainer ends by itself if the folder was deleted."
            return Failed(f"The run folder {self.folder.path} is gone.", remedy)
        return super()._ended(code)


def _lines_from(path: Path, offset: int) -> list[bytes]:
    """The whole lines that come next, a few hundred of them: nobody wants to hold the record of a night at once."""
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            lines = file.readlines(_PIECE_BYTES)
    except OSError:
        return []
    return lines if lines and lines[-1].endswith(b"\n") else lines[:-1]
