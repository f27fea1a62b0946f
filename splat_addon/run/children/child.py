"""A child process, seen from its parent: start it, listen, tell it what to do, end it without leftovers.

`Child` is the one class for all of them. What differs is put in from two sides: a `Link` carries lines and commands
(`PipeLink` here; `FolderLink` in detached.py needs no parent), and a kind of child says what its lines mean (events in
event_child.py, JSON objects in environment/child.py).
"""

import contextlib
import os
import queue
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from ...errors import RunError, SetupError
from ...files import open_own
from ..events import encode_command

STOP_LIMIT_S = 60.0  # of silence, for a child that was told to stop: it finishes a step, evaluates and saves
END_LIMIT_S = 30.0  # for a child that has nothing more to say, or no way to say it
NO_WINDOW = getattr(subprocess, "CREATE_NO_WINDOW", 0)  # Windows would open a console for it

Message = TypeVar("Message")


def clean_environment() -> dict[str, str]:
    """The environment of a child: ours without the settings of Blender's Python, UTF-8."""
    dropped = ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONNOUSERSITE", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return {**kept, "PYTHONUTF8": "1"}


def start_process(
    command: list[str], title: str, remedy: str, log: Path | None = None, **options: Any
) -> "subprocess.Popen[bytes]":
    """Start a program without a window; `options` are those of `subprocess.Popen`. Raises SetupError.

    What it writes to standard error is appended to `log`; without one, it goes where standard output goes.
    """
    options["creationflags"] = options.get("creationflags", 0) | NO_WINDOW
    try:
        with open_own(log, "ab") if log else contextlib.nullcontext(subprocess.STDOUT) as errors_to:
            return subprocess.Popen(command, stderr=errors_to, **options)
    except OSError as error:
        raise SetupError(f"{title} could not be started ({error.strerror or error}).", remedy) from error


class Link(Protocol):
    """The way between parent and child. `lines`, `exit_code` and `finish` may block: the reader thread calls them."""

    is_record: bool  # its lines may go on after a last message: only the end of the child tells which one counts

    @property
    def pid(self) -> int | None:
        """The child's process; None when it is gone."""

    @property
    def is_left(self) -> bool:
        """Whether nobody is listening any longer, so that the end of the lines is not the end of the child."""

    def lines(self) -> Iterator[str]:
        """What the child says, until it is gone or was let go."""
        ...

    def tell(self, command: str) -> None:
        """Give the child a command."""

    def kill(self) -> None:
        """End the child at once. Never waits."""

    def let_go(self) -> None:
        """Leave the child to itself."""

    def exit_code(self) -> int | None:
        """How the child ended, after waiting for it; None when that cannot be known."""

    def finish(self) -> None:
        """Give back all handles."""


class PipeLink:
    """A child of ours: lines from its standard output, commands to its standard input, whose end means we are gone.

    Without a `log`, what it writes to standard error comes among the lines. Raises SetupError.
    """

    is_record = False
    is_left = False

    def __init__(
        self,
        command: list[str],
        environment: dict[str, str],
        title: str,
        remedy: str,
        folder: Path | None = None,
        log: Path | None = None,
    ):
        self._child = start_process(
            command, title, remedy, log, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=folder
        )
        assert self._child.stdin is not None and self._child.stdout is not None  # PIPE gives both
        self._stdin, self._stdout = self._child.stdin, self._child.stdout

    @property
    def pid(self) -> int:
        return self._child.pid

    def lines(self) -> Iterator[str]:
        with contextlib.suppress(OSError, ValueError):
            for line in self._stdout:
                yield line.decode("utf-8", "replace")

    def tell(self, command: str) -> None:
        """Give a command. A child that is gone hears nothing."""
        with contextlib.suppress(OSError, ValueError):
            self._stdin.write(encode_command(command).encode() + b"\n")
            self._stdin.flush()

    def kill(self) -> None:
        with contextlib.suppress(OSError):
            self._child.kill()

    def let_go(self) -> None:
        """Close the child's input: it saves its result and ends by itself."""
        with contextlib.suppress(OSError):
            self._stdin.close()

    def exit_code(self) -> int:
        """How the child ended. One that lives on without output is ended."""
        try:
            return self._child.wait(timeout=END_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._child.wait()

    def finish(self) -> None:
        self.let_go()
        self.exit_code()
        with contextlib.suppress(OSError):
            self._stdout.close()


class Child(ABC, Generic[Message]):
    """A running child. A thread reads and understands its lines; `poll` hands the messages over and never waits.

    Whatever happens to the child, exactly one last message is handed over. `title` is how sentences call it, `remedy`
    what to do when it does not answer within `start_limit_s`.
    """

    def __init__(self, link: Link, title: str, remedy: str, start_limit_s: float | None = None):
        """Begin to listen: a kind of child sets what its own methods need before it calls this."""
        self._link, self._title, self._remedy = link, title, remedy
        self._messages: queue.Queue[tuple[Message, bool]] = queue.Queue()
        self._start_limit_s = start_limit_s or 0.0
        self._start_deadline = None if start_limit_s is None else time.monotonic() + start_limit_s
        self._stop_deadline: float | None = None
        self._is_over = False
        self._reader = threading.Thread(target=self._listen, name=f"splat: {title}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int | None:
        """The child's process; None when it is gone."""
        return self._link.pid

    @property
    def is_over(self) -> bool:
        """Whether the last message has been handed over."""
        return self._is_over

    def send(self, command: str) -> None:
        """Give a command (`stop`, `pause`, `resume`, `snapshot`). Raises RunError when there is no way to give it."""
        self._link.tell(command)
        if command == "stop" and self._stop_deadline is None:  # one that starts yet hears nothing until it has
            self._stop_deadline = max(time.monotonic() + STOP_LIMIT_S, self._start_deadline or 0.0)

    def poll(self) -> list[Message]:
        """The messages since the last call, in order. Never waits."""
        messages: list[Message] = []
        while not self._is_over:
            try:
                messages.append(self._take(*self._messages.get_nowait()))
            except queue.Empty:
                break
        return messages if self._is_over else messages + self._end_when_overdue()

    def wait(self, limit_s: float) -> list[Message]:
        """Block until there is a message, the child is over, or `limit_s` has passed; return the messages, if any.

        For terminals, scripts and tests; an interface polls.
        """
        deadline = time.monotonic() + limit_s
        messages = self.poll()
        while not messages and not self._is_over and time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                left = max(0.0, deadline - time.monotonic())
                messages.append(self._take(*self._messages.get(timeout=min(0.25, left))))
            messages += self.poll()
        return messages

    def kill(self) -> None:
        """End the child at once. Never waits."""
        self._link.kill()

    def let_go(self) -> None:
        """Leave the child to itself: at the end of the parent."""
        self._link.let_go()

    def join(self, limit_s: float) -> bool:
        """Block until the child is gone and its handles are given back; False when `limit_s` has passed before."""
        self._reader.join(limit_s)
        return not self._reader.is_alive()

    def close(self) -> None:
        """End the child at once and give back its handles. The files it wrote stay as they are."""
        self._link.kill()
        self.join(5.0)
        self._link.let_go()

    @abstractmethod
    def _decode(self, line: str) -> Message | None:
        """What a line means; None: nothing. Raises RunError when the child cannot be understood at all."""

    @abstractmethod
    def _is_first(self, message: Message) -> bool:
        """Whether a child may begin with this. What comes before is not believed."""

    @abstractmethod
    def _is_last(self, message: Message) -> bool:
        """Whether nothing is to come after this."""

    @abstractmethod
    def _failed(self, message: str, remedy: str) -> Message:
        """The last message of a child that failed."""

    @abstractmethod
    def _ended(self, code: int | None) -> Message:
        """The last message of a child that ended without one."""

    def _remains(self) -> str:
        """What there is of the work of a child that broke off, and where more can be read."""
        return ""

    def _clear_up(self) -> None:
        """Remove what a child should not have left. In the reader thread, when the child is gone."""

    def _take(self, message: Message, is_last: bool) -> Message:
        self._is_over = is_last
        self._start_deadline = None
        if self._stop_deadline is not None:  # it is still at work
            self._stop_deadline = time.monotonic() + STOP_LIMIT_S
        return message

    def _end_when_overdue(self) -> list[Message]:
        now = time.monotonic()
        if self._start_deadline is not None and now > self._start_deadline:
            message = f"{self._title} has not answered for {self._start_limit_s:.0f} s."
            remedy = f"{self._remedy} {self._remains()}".rstrip()
        elif self._stop_deadline is not None and now > self._stop_deadline:
            message, remedy = f"{self._title} did not stop when asked and was ended.", self._remains()
        else:
            return []
        self._is_over = True
        self._link.kill()
        return [self._failed(message, remedy)]

    def _listen(self) -> None:
        """The reader thread. It touches nothing but the link, the queue and what the child has left."""
        last = self._pass_on()
        is_left = self._link.is_left
        if not is_left:
            self._messages.put((self._ended(self._link.exit_code()) if last is None else last, True))
        self._link.finish()
        if not is_left:
            self._clear_up()

    def _pass_on(self) -> Message | None:
        """Put what the child says into the queue, until it is gone or has said its last, which is returned."""
        last, has_begun = None, False
        try:
            for line in self._link.lines():
                message = self._decode(line)
                if message is None or not (has_begun or self._is_first(message)):
                    continue
                has_begun, last = True, message if self._is_last(message) else None
                if last is None:
                    self._messages.put((message, False))
                elif not self._link.is_record:
                    break
        except RunError as error:  # it speaks another protocol
            return self._failed(error.message, error.remedy)
        return last
