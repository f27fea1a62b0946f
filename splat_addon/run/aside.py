"""Writing a file aside and moving it into place, so that no reader ever sees half of it.

PLY files do the same in `gaussians/formats/ply.py`, with the same suffix.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

PARTIAL = ".partial"  # how a file ends that is being written


def partial_of(path: Path) -> Path:
    """Where `path` is written before it is moved into place."""
    return path.with_name(path.name + PARTIAL)


@contextlib.contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """The path to write to instead of `path`, where it is moved at the end.

    When writing fails, nothing is left aside, and what `path` held before stays.
    """
    partial = partial_of(path)
    try:
        yield partial
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
