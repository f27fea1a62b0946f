"""A trainer that needs no parent, watched through its run folder: events are read from a file, commands are files."""

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from pathlib import Path

from ..errors import RunError
from . import process
from .events import Event, Failed, Finished, decode_event
from .folder import RunFolder
from .inbox import Inbox
from .lock import holder_pid, is_held

OUTLIVE = "--outlive"  # tells the trainer that the end of its input does not mean stop
LOOK_INTERVAL_S = 0.1


class DetachedTrainer:
    """A run that is watched, with the face of `TrainerProcess`: `poll` never blocks, exactly one last event.

    A last event counts once the trainer is gone: a run that was resumed has last events of its earlier parts.
    """

    def __init__(self, folder: RunFolder, child: subprocess.Popen | None = None, offset: int = 0):
        self.folder = folder
        self._child = child
        self._inbox = Inbox(folder.commands_folder)
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._is_left = threading.Event()
        self._start_deadline = None if child is None else time.monotonic() + process.START_LIMIT_S
        self._kill_deadline: float | None = None
        self._last: Finished | Failed | None = None
        self._is_over = False
        self._reader = threading.Thread(target=self._read, args=(offset,), name="splat run events", daemon=True)
        self._reader.start()

    @staticmethod
    def start(command: list[str], folder: RunFolder) -> "DetachedTrainer":
        """Start the trainer in a session of its own, so that it survives this process. Raises RunError."""
        Inbox(folder.commands_folder).clear()
        offset = folder.events_file.stat().st_size if folder.events_file.is_file() else 0
        try:
            with open(folder.log_file, "ab") as log:
                child = subprocess.Popen(
                    [*command, OUTLIVE],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    env=process.trainer_environment(),
                    cwd=folder.path,
                    start_new_session=True,
                    creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0)
                    | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
                )
        except OSError as error:
            raise RunError(
                f"The trainer could not be started ({error.strerror or error}).",
                "Check the trainer Python in the add-on preferences.",
            ) from error
        return DetachedTrainer(folder, child, offset)

    @staticmethod
    def watch(folder: RunFolder) -> "DetachedTrainer":
        """Watch a run that somebody started, from its first event on. Raises RunError when nobody trains there."""
        if not is_held(folder.lock_file):
            raise RunError(f"Nobody trains in {folder.path} any more.", "Resume the run, or import its splats.")
        return DetachedTrainer(folder)

    @property
    def pid(self) -> int | None:
        """The trainer's process; None when it is gone."""
        return holder_pid(self.folder.lock_file) or (self._child.pid if self._child else None)

    @property
    def is_over(self) -> bool:
        """Whether the last event has been handed over."""
        return self._is_over

    def send(self, command: str) -> None:
        """Give a command. Raises RunError when the folder cannot be written."""
        self._inbox.put(command)
        if command == "stop" and self._kill_deadline is None:
            self._kill_deadline = time.monotonic() + process.STOP_LIMIT_S

    def poll(self) -> list[Event]:
        """The events since the last call, in order. Never waits."""
        events: list[Event] = []
        while not self._is_over:
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                break
            events += self._end() if line is None else self._take(line)
        if not self._is_over:
            events += self._check_deadlines()
        return events

    def wait(self, limit_s: float) -> list[Event]:
        """Block until there is an event, the run is over, or `limit_s` has passed; return the events, if any."""
        deadline = time.monotonic() + limit_s
        events = self.poll()
        while not events and not self._is_over and time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                line = self._lines.get(timeout=min(0.25, max(0.0, deadline - time.monotonic())))
                events += self._end() if line is None else self._take(line)
            events += self.poll()
        return events

    def close(self) -> None:
        """End the trainer at once. The run folder stays as it is."""
        pid = self.pid
        if self._child is not None:
            self._child.kill()
            self._child.wait()
        elif pid is not None:
            with contextlib.suppress(OSError):
                os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        self.let_go()

    def let_go(self) -> None:
        """Watch no longer; the run goes on."""
        self._is_left.set()
        if self._child is not None and self._child.poll() is None:
            self._child.returncode = 0  # else Python warns that it still runs, which is what was asked for

    def _read(self, offset: int) -> None:
        """The reader thread. It touches nothing but the folder and the queue."""
        while True:
            is_alive = self._is_alive()  # asked first: what was written before the end is read below
            text = _read_from(self.folder.events_file, offset)
            complete = text[: text.rfind(b"\n") + 1]
            offset += len(complete)
            for line in complete.splitlines():
                self._lines.put(line.decode("utf-8", "replace"))
            if not is_alive:
                self._lines.put(None)
                return
            if self._is_left.wait(LOOK_INTERVAL_S):
                return

    def _is_alive(self) -> bool:
        if not self.folder.path.is_dir():
            return False
        if self._child is not None and self._child.poll() is None:
            return True
        return is_held(self.folder.lock_file)

    def _take(self, line: str) -> list[Event]:
        try:
            event = decode_event(line)
        except RunError as error:
            self._is_over = True
            self.let_go()
            return [Failed(error.message, error.remedy)]
        if event is None:
            return []
        self._start_deadline = None
        self._last = None
        if isinstance(event, Finished | Failed):
            self._last = event
            return []
        return [event]

    def _end(self) -> list[Event]:
        """The trainer is gone: what it said last counts, or else it crashed."""
        self._is_over = True
        if self._last is not None:
            return [self._last]
        if not self.folder.path.is_dir():
            remedy = "Find it and watch it there; the trainer ends by itself if the folder was deleted."
            return [Failed(f"The run folder {self.folder.path} is gone.", remedy)]
        code = self._child.poll() if self._child is not None else None
        how = "has ended" if code is None else f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        said = self.folder.log_tail()
        return [
            Failed(
                f"The trainer {how}" + (f": {said}" if said else " without a word."),
                f"{self.folder.what_is_left()} See {self.folder.log_file}.",
            )
        ]

    def _check_deadlines(self) -> list[Event]:
        now = time.monotonic()
        if self._start_deadline is not None and now > self._start_deadline:
            message = f"The trainer has not answered for {process.START_LIMIT_S:.0f} s."
            remedy = f"Check the trainer Python in the add-on preferences; see {self.folder.log_file}."
        elif self._kill_deadline is not None and now > self._kill_deadline:
            message, remedy = "The trainer did not stop when asked and was ended.", self.folder.what_is_left()
        else:
            return []
        self._is_over = True
        self.close()
        return [Failed(message, remedy)]


def _read_from(path: Path, offset: int) -> bytes:
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            return file.read()
    except OSError:
        return b""
