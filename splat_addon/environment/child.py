"""A child of Blender that prints JSON objects, one per line, seen from the parent."""

import contextlib
import json
import queue
import subprocess
import threading
from collections import deque

from ..errors import SetupError
from ..run.process import trainer_environment


class JsonChild:
    """A running child. A reader thread fills a queue; `poll` never waits. Closing its input tells it to end."""

    def __init__(self, command: list[str]):
        self._objects: queue.Queue[dict | None] = queue.Queue()
        self._other_lines: deque[str] = deque(maxlen=20)
        self.is_over = False
        try:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=trainer_environment(),
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise SetupError(
                f"{command[0]} could not be started ({error.strerror or error}).", "Choose another Python."
            ) from error
        self._reader = threading.Thread(target=self._read, name="splat set-up", daemon=True)
        self._reader.start()

    def poll(self) -> list[dict]:
        """What was said since the last call. `is_over` is set after the last."""
        found = []
        while not self.is_over:
            try:
                said = self._objects.get_nowait()
            except queue.Empty:
                break
            if said is None:
                self.is_over = True
            else:
                found.append(said)
        return found

    def join(self, limit_s: float) -> None:
        """Block until it has ended or `limit_s` has passed. For scripts."""
        self._reader.join(limit_s)

    def last_words(self) -> str:
        """The last line that was no JSON, to explain an end without a word."""
        return self._other_lines[-1] if self._other_lines else f"it ended with code {self._child.returncode}"

    def let_go(self) -> None:
        """Close its input."""
        with contextlib.suppress(OSError):
            if self._child.stdin is not None:
                self._child.stdin.close()

    def kill(self) -> None:
        """End it at once."""
        with contextlib.suppress(OSError):
            self._child.kill()

    def _read(self) -> None:
        assert self._child.stdout is not None
        with contextlib.suppress(OSError, ValueError):
            for raw in self._child.stdout:
                line = raw.decode("utf-8", "replace").strip()
                try:
                    said = json.loads(line)
                except ValueError:
                    said = None
                if isinstance(said, dict):
                    self._objects.put(said)
                elif line:
                    self._other_lines.append(line)
        self._child.wait()
        self._objects.put(None)
