"""One case: the files of a trial, how they are read, and what must hold whatever is in them."""

import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np

from splat_addon.errors import SplatError
from splat_addon.files import remove_folder

from .mutations import Mutator


class Broken(AssertionError):
    """A reader accepted what it should have refused, or did what a reader must not do."""


class Trial(NamedTuple):
    """Files by their names in a folder, and the reader that is given the folder.

    The reader raises SplatError when it refuses them. `takes` says that it may remove files of the folder.
    """

    files: dict[str, bytes]
    read: Callable[[Path], None]
    takes: bool = False


Format = Callable[[Mutator], Trial]


def trial_of(format_: Format, name: str, seed: int, case: int) -> Trial:
    """The case of that number."""
    return format_(Mutator(Random(f"{name}/{seed}/{case}")))


class Workplace:
    """Where one trial after the other is laid out and read: in a folder for each set of names, so that only what
    differs from the trial before is written."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._rooms: dict[frozenset[str], _Room] = {}

    def try_out(self, trial: Trial) -> tuple[bool, str]:
        """Whether the files were accepted, and what went wrong, which is "" when nothing did."""
        names = frozenset(trial.files)
        room = self._rooms.get(names)
        if room is None:
            room = self._rooms[names] = _Room(self.folder / str(len(self._rooms)))
        room.lay_out(trial.files)
        accepted, wrong = False, ""
        try:
            with watched(room.folder, trial.takes):
                trial.read(room.folder)
            accepted = True
        except SplatError as error:
            if not (error.message and error.remedy):
                wrong = f"{type(error).__name__} without a sentence or a remedy"
        except (Exception, RecursionError) as error:
            wrong = described(error)
        changed = room.what_changed(trial.takes)
        return accepted, wrong or (f"Broken: the folder changed: {changed[:3]}" if changed else "")


class _Room:
    """A folder of files that are always called the same."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._written: dict[str, bytes] = {}
        self._stamps: dict[str, tuple[int, int]] = {}

    def lay_out(self, files: dict[str, bytes]) -> None:
        for name, content in files.items():
            if self._written.get(name) != content:
                path = os.path.join(self.folder, name)
                if name not in self._written:
                    os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "wb", buffering=0) as file:
                    file.write(content)
                    self._stamps[name] = _stamp(os.fstat(file.fileno()))
                self._written[name] = content

    def what_changed(self, takes: bool) -> list:
        """The files that are not as they were laid out; those that are gone count only where nobody may take them."""
        now = self._look()
        if takes:
            gone = self._written.keys() - now.keys()
            for name in gone:
                del self._written[name], self._stamps[name]
        if now == self._stamps:
            return []
        changed = sorted(set(now.items()) ^ set(self._stamps.items()))
        remove_folder(self.folder)
        self._written, self._stamps = {}, {}
        return changed

    def _look(self) -> dict[str, tuple[int, int]]:
        """Size and time of each file."""
        found, folders = {}, [""]
        while folders:
            below = folders.pop()
            with os.scandir(os.path.join(self.folder, below)) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(f"{below}{entry.name}/")
                    else:
                        found[below + entry.name] = _stamp(entry.stat(follow_symlinks=False))
        return found


def _stamp(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


_CREATING = os.O_CREAT | os.O_TRUNC | os.O_APPEND
_WRITING = os.O_WRONLY | os.O_RDWR
_DEEDS = (
    "os.chmod", "os.exec", "os.fork", "os.kill", "os.link", "os.mkdir", "os.posix_spawn", "os.rename", "os.rmdir",
    "os.spawn", "os.symlink", "os.system", "os.truncate", "os.utime", "shutil.", "socket.", "subprocess.", "pickle.",
)  # fmt: skip
_watched_folder: list[tuple[str, bool]] = []  # an audit hook cannot be taken off again: this switches it


@contextmanager
def watched(folder: Path, takes: bool = False) -> Iterator[None]:
    """Within it, what writes, removes, starts or connects raises Broken. Files that are there may be opened to write,
    as locks are; that nothing is written is seen by their sizes and times."""
    if _judge not in _hooked:
        sys.addaudithook(_judge)
        _hooked.append(_judge)
    _watched_folder.append((str(folder), takes))
    try:
        yield
    finally:
        _watched_folder.pop()


def _judge(event: str, arguments: tuple) -> None:
    if not _watched_folder:
        return
    folder, takes = _watched_folder[-1]
    if event == "open":
        path, _, flags = arguments
        is_inside = isinstance(path, str | os.PathLike) and os.fspath(path).startswith(folder)
        if isinstance(flags, int) and (flags & _CREATING or (flags & _WRITING and not is_inside)):
            raise Broken(f"opened {path!r} to write")
    elif event == "os.remove":
        if not (takes and os.fspath(arguments[0]).startswith(folder)):
            raise Broken(f"removed {arguments[0]!r}")
    elif event.startswith(_DEEDS):
        raise Broken(f"did {event}")


_hooked: list[Callable] = []


def described(error: BaseException) -> str:
    """A line that is the same for all failures of one kind: the error, and where the project raised it; not what came
    of a certain file's numbers."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "splat_addon" in Path(frame.filename).parts] or frames
    place = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "?"
    said = re.sub(r"\d+|'.*?'", "…", " ".join(str(error)[:200].split()))
    return f"{type(error).__name__} at {place}: {said[:100]}"


def require_finite(what: str, *arrays: np.ndarray) -> None:
    """Raise Broken when an accepted array holds what is not a finite number."""
    for array in arrays:
        if not np.isfinite(array).all():
            raise Broken(f"{what} not finite")


def require_bounded(what: str, count: int, folder: Path) -> None:
    """Raise Broken when there are more of something than the files have bytes."""
    size = 0
    for place, _, names in os.walk(folder):
        size += sum(os.stat(os.path.join(place, name)).st_size for name in names)
    if count > size:
        raise Broken(f"{count} {what} of {size} bytes")
