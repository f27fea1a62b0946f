"""Replacing, renaming and removing files and folders that others may hold open: the one place that does any of it.
And opening what strangers have written.

Windows refuses all of this while anybody has the file, or one in the folder, open: a reader, an indexer, a virus
scanner, which opens every new file for an instant. So what is refused for that reason is tried again for a while. No
other refusal is: waiting does not mend a missing permission.

Folders travel between people, and a link in one leads wherever its maker wanted. So what is written here never goes
through a link: it is refused, or replaced by a file or folder of our own.
"""

import contextlib
import errno
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO

PARTIAL = ".partial"  # how a file ends that is being written
PATIENCE_S = 2.0
PAUSE_S = 0.02
DISK_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
# Windows' access denied, which is also what a file says that is being deleted; sharing and lock violation; a folder
# that is not empty yet, because something deleted in it is still open.
_HELD_ON_WINDOWS = (5, 32, 33, 145)


def open_regular(path: Path) -> BinaryIO:
    """Open a file to read its bytes. Raises OSError: also for a pipe or a device, of which reading might never end, and
    for a name that no file can have. Its `strerror` is always a text."""
    try:
        return open(path, "rb", opener=_only_regular)
    except ValueError as error:
        raise OSError(errno.EINVAL, "no file can have that name", str(path)) from error


def _only_regular(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # else a pipe waits for somebody to write
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder", path)
    raise OSError(errno.EINVAL, "it is not a file but a pipe or a device", path)


def partial_of(path: Path) -> Path:
    """Where `path` is written before it is moved into place."""
    return path.with_name(path.name + PARTIAL)


@contextlib.contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """The path to write to instead of `path`, where it is moved at the end, so that no reader ever sees half of it.

    When writing fails, nothing is left aside, and what `path` held before stays.
    """
    partial = partial_of(path)
    if is_link(partial):
        remove_file(partial)
    try:
        yield partial
        move_into_place(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            remove_file(partial)
        raise


def move_into_place(aside: Path, path: Path) -> None:
    """Move a file to `path`, replacing what is there, or a folder to where nothing is. Raises OSError."""
    _patiently(lambda: os.replace(aside, path))


def move_all_into_place(moves: Iterable[tuple[Path, Path]]) -> None:
    """Carry out moves (from, to) in order. When one is refused, those before it go back, and OSError is raised.

    A file that was replaced does not come back: let it be moved out of the way first. Each move is asked for when those
    before it are done.
    """
    done: list[tuple[Path, Path]] = []
    try:
        for start, end in moves:
            move_into_place(start, end)
            done.append((start, end))
    except OSError:
        for start, end in reversed(done):
            with contextlib.suppress(OSError):  # the others must go back, too
                move_into_place(end, start)
        raise


def remove_file(path: Path) -> None:
    """Remove a file, or a link itself, if it is there. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        _patiently(lambda: os.unlink(path))


def remove_folder(path: Path) -> None:
    """Remove a folder with all it holds, or a link to one itself, if it is there.

    Raises OSError when something stays; the rest is gone.
    """
    if is_link(path):
        remove_file(path)
        return
    try:
        _patiently(lambda: shutil.rmtree(path))
    except OSError:
        shutil.rmtree(path, ignore_errors=True)
        if os.path.lexists(path):
            raise


def remove_empty_folder(path: Path) -> None:
    """Remove a folder. Raises OSError when it holds something."""
    os.rmdir(path)


def is_link(path: Path) -> bool:
    """Whether there is a link, of whatever kind and wherever it leads: on Windows, also a junction."""
    try:
        found = os.lstat(path)
    except (OSError, ValueError):
        return False
    tag = getattr(found, "st_reparse_tag", 0)
    return stat.S_ISLNK(found.st_mode) or (tag != 0 and tag == getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", None))


def links_in(folder: Path) -> Iterator[Path]:
    """The folder itself if it is a link, else all links in it and below; none where there is no folder."""
    if is_link(folder):
        yield folder
        return
    for place, folders, names in os.walk(folder):
        links = [name for name in (*folders, *names) if is_link(Path(place, name))]
        folders[:] = [name for name in folders if name not in links]
        yield from (Path(place, name) for name in links)


def own_folder(path: Path) -> Path:
    """Make a folder with its parents, if it is not there; links in its place and in it go. Raises OSError."""
    for link in list(links_in(path)):
        remove_file(link)
    path.mkdir(parents=True, exist_ok=True)
    return path


def open_own(path: Path, mode: str, **options: Any) -> IO[Any]:
    """As `open`, but never through a link, and what is appended to or changed is first made a file of its own where it
    has other names (hard links). Raises OSError."""
    if ("a" in mode or "+" in mode) and _has_other_names(path):
        with written_aside(path) as aside:
            shutil.copyfile(path, aside)
    return open(path, mode, opener=open_no_link, **options)


def open_no_link(path: Path | str, flags: int, mode: int = 0o666) -> int:
    """As `os.open`, but never through a link: OSError (ELOOP)."""
    if is_link(Path(path)):
        raise OSError(errno.ELOOP, "It is a link", str(path))
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), mode)


def _has_other_names(path: Path) -> bool:
    try:
        return os.lstat(path).st_nlink > 1
    except OSError:
        return False


def cause_in_system(error: BaseException | None) -> OSError | None:
    """The system's refusal behind an error, which others may have wrapped into words of their own; None if there is
    none. A full disk comes before all others."""
    found = None
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, OSError) and (found is None or error.errno in DISK_FULL):
            found = error
        error = error.__cause__ or error.__context__
    return found


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or what it was caused by, says that there is no space left, or none for this user."""
    cause = cause_in_system(error)
    return cause is not None and cause.errno in DISK_FULL


def is_full(folder: Path) -> bool:
    """Whether the disk of a folder has no room for as much as a message."""
    try:
        return shutil.disk_usage(folder).free < 1 << 12
    except OSError:
        return False


def _patiently(act: Callable[[], None]) -> None:
    """Do what the system may refuse because somebody holds a file open; raise its OSError in the end."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            act()
            return
        except OSError as error:
            if not _is_held(error) or time.monotonic() > deadline:
                raise
        time.sleep(PAUSE_S)


def _is_held(error: OSError) -> bool:
    """Whether the system refused because somebody holds the file. Elsewhere than on Windows, that is EBUSY alone (of
    network drives): EACCES means there what it says."""
    return getattr(error, "winerror", None) in _HELD_ON_WINDOWS or error.errno == errno.EBUSY
