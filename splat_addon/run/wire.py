"""The child's end of the contract: events out, commands in."""

import contextlib
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Protocol, TextIO

from ..files import open_own
from .events import Event, Progressed, RenderProgressed, decode_command, encode_event

PROGRESS_INTERVAL_S = 0.2


class RecordsEvents(Protocol):
    """A folder that keeps every event of its child."""

    @property
    def events_file(self) -> Path: ...


class Wire:
    """Sends events to the parent and into the run folder; hears commands. A parent that is gone is not an error.

    Commands wait until the child asks for the `next_command`; with `obey`, they are handed to it at once instead, in
    the thread that listens.
    """

    def __init__(
        self,
        folder: RecordsEvents,
        events_to: TextIO,
        commands_from: Iterable[str],
        obey: Callable[[str], None] | None = None,
    ):
        self._out = events_to
        self._record = open_own(folder.events_file, "a", encoding="utf-8")  # lives as long as the run
        self._commands: queue.Queue[str] = queue.Queue()
        self._obey = obey or self._commands.put
        self._progressed_at = 0.0
        threading.Thread(target=self._listen, args=(commands_from,), name="commands", daemon=True).start()

    def send(self, event: Event, at_once: bool = False, recorded: Callable[[], None] = lambda: None) -> None:
        """Send one event. Progress is thinned to five a second unless it must be seen `at_once`.

        `recorded` is called when the event is in the run folder, before the parent is told.
        """
        if isinstance(event, Progressed | RenderProgressed):
            now = time.monotonic()
            if not at_once and now - self._progressed_at < PROGRESS_INTERVAL_S:
                return
            self._progressed_at = now
        line = encode_event(event) + "\n"
        _write(self._record, line)
        recorded()
        _write(self._out, line)

    def next_command(self, wait: bool = False) -> str | None:
        """The oldest command not yet obeyed, or None; with `wait`, sleep until there is one."""
        try:
            return self._commands.get(block=wait)
        except queue.Empty:
            return None

    def ask_to_stop(self) -> None:
        """As if the parent had said stop (for signals)."""
        self._commands.put("stop")

    def _listen(self, stream: Iterable[str]) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in stream:
                command = decode_command(line)
                if command:
                    self._obey(command)
        self._obey("stop")  # the end of the input: the parent is gone


def take_standard_output() -> TextIO:
    """The real standard output, for events alone; from now on everything that is printed goes to standard error."""
    try:
        events_to = os.fdopen(os.dup(1), "w", encoding="utf-8")
    except OSError:  # it was closed by whoever started this process: events are only recorded
        events_to = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - as the standard output it stands for
    if sys.stdout is not None:
        sys.stdout.flush()
    with contextlib.suppress(OSError):  # standard error is closed, too
        os.dup2(2, 1)
    return events_to


def _write(stream: IO[str], line: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        stream.write(line)
        stream.flush()
