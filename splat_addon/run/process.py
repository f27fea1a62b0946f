"""A child process, the trainer or a render, seen from the parent: start, listen, command, end without leftovers."""

import contextlib
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Protocol

from ..errors import RunError, SetupError
from .events import Event, Failed, Finished, Started, decode_event, encode_command
from .folder import RunFolder

START_LIMIT_S = 180.0  # importing PyTorch from a cold, slow disk takes a minute
STOP_LIMIT_S = 60.0  # finishing the step, evaluating and saving
_PACKAGE_ROOT = Path(__file__).resolve().parents[2]


def trainer_command(python: Path, folder: RunFolder, resume: bool = False) -> list[str]:
    """The command line that trains `folder` with the interpreter `python`, or goes on from its checkpoint.

    Raises SetupError when there is no such interpreter.
    """
    if not str(python) or str(python) == ".":
        raise SetupError(
            "No trainer Python is set.",
            "Set it in the add-on preferences: a Python with PyTorch, see docs/set-up.md.",
        )
    if not Path(python).is_file():
        raise SetupError(f"The trainer Python {python} does not exist.", "Choose it in the add-on preferences.")
    return [
        str(python),
        "-u",
        "-m",
        "splat_addon.trainer",
        str(folder.path.resolve()),
        *(["--resume"] if resume else []),
    ]


def trainer_environment() -> dict[str, str]:
    """The environment of the trainer: this package on the path.

    Threads that wait sleep instead of spinning: where Blender or another program uses the same cores, spinning threads
    were measured to make training twelve times slower.
    """
    own = {"PYTHONPATH": str(_PACKAGE_ROOT), "PYTHONSAFEPATH": "1"}
    return {"OMP_WAIT_POLICY": "PASSIVE", **clean_environment(), **own}


def clean_environment() -> dict[str, str]:
    """The environment of a child: ours without the settings of Blender's Python, UTF-8."""
    dropped = ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONNOUSERSITE", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return {**kept, "PYTHONUTF8": "1"}


class ChildFolder(Protocol):
    """Where a child works, and what it leaves there."""

    @property
    def path(self) -> Path: ...

    @property
    def log_file(self) -> Path: ...

    def log_tail(self) -> str:
        """The last lines that libraries printed."""

    def what_is_left(self) -> str:
        """A sentence about what a child that broke off has left."""


class ChildProcess:
    """A running child. One reader thread puts its events into a queue; `poll` hands them over and never blocks.

    Whatever happens to the child, the last event is exactly one `Finished` or `Failed`. `title` and `remedy` are how
    the child is called in sentences, and what to do when it does not start.
    """

    def __init__(
        self,
        command: list[str],
        folder: ChildFolder,
        environment: dict[str, str],
        start_limit_s: float,
        title: str,
        remedy: str,
    ):
        self.folder = folder
        self._title, self._remedy = title, remedy
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._start_deadline = time.monotonic() + start_limit_s
        self._start_limit_s = start_limit_s
        self._kill_deadline: float | None = None
        self._has_answered = False
        self._is_over = False
        self._log = open(folder.log_file, "ab")  # noqa: SIM115 - lives as long as the child
        try:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env=environment,
                cwd=folder.path,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            self._log.close()
            raise RunError(f"{title} could not be started ({error.strerror or error}).", f"{remedy}.") from error
        assert self._child.stdin is not None and self._child.stdout is not None  # PIPE gives both
        self._stdin, self._stdout = self._child.stdin, self._child.stdout
        self._reader = threading.Thread(target=self._read, name="splat child events", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def is_over(self) -> bool:
        """Whether `Finished` or `Failed` has been handed over."""
        return self._is_over

    def send(self, command: str) -> None:
        """Give a command (`stop`, `pause`, `resume`, `snapshot`). A child that is gone hears nothing."""
        if command == "stop" and self._kill_deadline is None:
            self._kill_deadline = time.monotonic() + STOP_LIMIT_S
        with contextlib.suppress(OSError, ValueError):
            self._stdin.write(encode_command(command).encode() + b"\n")
            self._stdin.flush()

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
        """Block until there is an event, the run is over, or `limit_s` has passed; return the events, if any.

        For terminals, scripts and tests; an interface polls.
        """
        deadline = time.monotonic() + limit_s
        events = self.poll()
        while not events and not self._is_over and time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                line = self._lines.get(timeout=min(0.25, max(0.0, deadline - time.monotonic())))
                events += self._end() if line is None else self._take(line)
            events += self.poll()
        return events

    def close(self) -> None:
        """End the child at once and give back its handles. The run folder stays as it is."""
        with contextlib.suppress(OSError):
            self._child.kill()
        self._child.wait()
        self._reader.join(timeout=5)
        for stream in (self._stdin, self._stdout, self._log):
            with contextlib.suppress(OSError):
                stream.close()

    def let_go(self) -> None:
        """Close the child's input: it saves its result and ends by itself. For the end of the parent."""
        with contextlib.suppress(OSError):
            self._stdin.close()

    def _read(self) -> None:
        """The reader thread. It touches nothing but the pipe and the queue."""
        with contextlib.suppress(OSError, ValueError):
            for line in self._stdout:
                self._lines.put(line.decode("utf-8", "replace"))
        self._lines.put(None)

    def _take(self, line: str) -> list[Event]:
        try:
            event = decode_event(line)
        except RunError as error:
            return self._fail(error.message, error.remedy)
        if event is None:
            return []
        if not self._has_answered and not isinstance(event, Started | Failed):
            return []
        self._has_answered = True
        if isinstance(event, Finished | Failed):
            self._is_over = True
            self._release()
        return [event]

    def _end(self) -> list[Event]:
        """The pipe closed without a last event: the child crashed, was killed, or is no trainer."""
        code = self._child.wait()
        how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        said = self.folder.log_tail()
        return self._fail(
            f"{self._title} {how}" + (f": {said}" if said else "."),
            f"{self.folder.what_is_left()} See {self.folder.log_file}.",
        )

    def _check_deadlines(self) -> list[Event]:
        now = time.monotonic()
        if not self._has_answered and now > self._start_deadline:
            return self._fail(
                f"{self._title} has not answered for {self._start_limit_s:.0f} s.",
                f"{self._remedy}; see {self.folder.log_file}.",
            )
        if self._kill_deadline is not None and now > self._kill_deadline:
            return self._fail(f"{self._title} did not stop when asked and was ended.", self.folder.what_is_left())
        return []

    def _fail(self, message: str, remedy: str) -> list[Event]:
        self._is_over = True
        self.close()
        return [Failed(message, remedy)]

    def _release(self) -> None:
        """After the last event the child ends by itself; wait for it off the main thread."""
        self.let_go()
        threading.Thread(target=self._reap, name="splat child end", daemon=True).start()

    def _reap(self) -> None:
        try:
            self._child.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._reader.join(timeout=5)
        for stream in (self._stdout, self._log):
            with contextlib.suppress(OSError):
                stream.close()


class TrainerProcess(ChildProcess):
    """The trainer at work in a run folder."""

    def __init__(self, command: list[str], folder: RunFolder, start_limit_s: float = START_LIMIT_S):
        remedy = "Check the trainer Python in the add-on preferences"
        super().__init__(command, folder, trainer_environment(), start_limit_s, "The trainer", remedy)
        self.folder: RunFolder = folder


def is_alive(pid: int) -> bool:
    """Whether a process with this id exists. On Windows, always False (asking would end it)."""
    if sys.platform == "win32":
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
