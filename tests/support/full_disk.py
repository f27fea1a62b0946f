"""A file that is always full, to be put where the code under test writes. A link to it would be refused there."""

import os
import stat
from pathlib import Path

import pytest


def put_full_file(path: Path) -> None:
    """Make `path` a device like /dev/full; the test is skipped where that is not permitted."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.stat("/dev/full").st_rdev)
        with open(path, "ab"):
            pass
    except (OSError, AttributeError) as error:
        pytest.skip(f"a device cannot be made or opened here ({error})")
