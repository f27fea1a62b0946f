"""Commands to a trainer through its run folder: one small file each, obeyed in the order of their names."""

import contextlib
import errno
import itertools
import os
import queue
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import RunError
from ..files import is_link, remove_file, written_aside
from .events import decode_command, encode_command

LOOK_INTERVAL_S = 0.2
_numbers = itertools.count()


class Inbox:
    """The folder `commands/` of a run. Whoever can write there can command the run."""

    def __init__(self, folder: Path):
        self._folder = folder

    def put(self, command: str) -> None:
        """Leave a command, written aside and moved into place. Raises RunError when that is impossible."""
        name = f"{time.time_ns():020d}_{os.getpid()}_{next(_numbers):06d}.json"
        try:
            if is_link(self._folder):
                raise OSError(errno.ELOOP, "It is a link")
            self._folder.mkdir(parents=True, exist_ok=True)
            with written_aside(self._folder / name) as aside:
                aside.write_text(encode_command(command), encoding="utf-8")
        except OSError as error:
            raise RunError(
                f"The run cannot be told to {command}: {self._folder} cannot be written ({error.strerror}).",
                "Check that the run folder is still there and that its disk has space.",
            ) from error

    def take(self) -> list[str]:
        """All commands that wait, oldest first; they are gone from the folder afterwards."""
        commands = []
        for path in self._waiting():
            try:
                text = path.read_text(encoding="utf-8", errors="replace")
                remove_file(path)
            except OSError:
                continue  # not ours to read yet, or not to remove: it must not be obeyed twice
            command = decode_command(text)
            if command:
                commands.append(command)
        return commands

    def clear(self) -> None:
        """Forget what was meant for an earlier trainer."""
        for path in self._waiting():
            with contextlib.suppress(OSError):
                remove_file(path)

    def _waiting(self) -> list[Path]:
        if is_link(self._folder):  # it leads to somebody's own files
            return []
        try:
            return sorted(path for path in self._folder.iterdir() if path.suffix == ".json")
        except OSError:
            return []


class CommandLines:
    """What a trainer is told, line by line, by its parent and through its inbox.

    The lines end when the parent is gone, which means stop; with `outlives`, they never end. "outlive" and "follow"
    change that during the run.
    """

    def __init__(self, from_parent: Iterable[str], inbox: Inbox, outlives: bool):
        self.outlives = outlives
        self._lines: queue.Queue[str | None] = queue.Queue()
        if not outlives:
            inbox.clear()  # else the parent has done so, before anybody could say anything
        threading.Thread(target=self._listen, args=(from_parent,), name="commands of the parent", daemon=True).start()
        threading.Thread(target=self._look, args=(inbox,), name="commands in files", daemon=True).start()

    def __iter__(self) -> Iterator[str]:
        while True:
            line = self._lines.get()
            if line is None:
                if not self.outlives:
                    return
                continue
            command = decode_command(line)
            if command in ("outlive", "follow"):
                self.outlives = command == "outlive"
            else:
                yield line

    def _listen(self, stream: Iterable[str]) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in stream:
                self._lines.put(line)
        self._lines.put(None)

    def _look(self, inbox: Inbox) -> None:
        while True:
            for command in inbox.take():
                self._lines.put(encode_command(command))
            time.sleep(LOOK_INTERVAL_S)
