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
    """A folder in which one trial after the other is laid out and read."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._written: dict[str, bytes] = {}

    def try_out(self, trial: Trial) -> tuple[bool, str]:
        """Whether the files were accepted, and what went wrong, which is "" when nothing did."""
        self._lay_out(trial.files)
        before = self._look()
        accepted, wrong = False, ""
        try:
            with watched(self.folder, trial.takes):
                trial.read(self.folder)
            accepted = True
        except SplatError as error:
            if not (error.message and error.remedy):
                wrong = f"{type(error).__name__} without a sentence or a remedy"
        except (Exception, RecursionError) as error:
            wrong = described(error)
        after = self._look()
        if trial.takes:
            self._written = {name: self._written[name] for name in after if name in self._written}
            before = {name: stamp for name, stamp in before.items() if name in after}
        if after != before:
            wrong = wrong or f"Broken: the folder changed: {sorted(set(after.items()) ^ set(before.items()))[:3]}"
            self._written = {}
        return accepted, wrong

    def _lay_out(self, files: dict[str, bytes]) -> None:
        for name in self._written.keys() - files.keys():
            os.unlink(self.folder / name)
        for name, content in files.items():
            if self._written.get(name) != content:
                path = self.folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        self._written = dict(files)

    def _look(self) -> dict[str, tuple[int, int]]:
        """Size and time of each file."""
        found, folders = {}, [""]
        while folders:
            below = folders.pop()
            with os.scandir(self.folder / below) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(f"{below}{entry.name}/")
                    else:
                        status = entry.stat(follow_symlinks=False)
                        found[below + entry.name] = (status.st_size, status.st_mtime_ns)
        return found


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
