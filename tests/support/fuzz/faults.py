"""Readers that are wrong on purpose, each in one way that the campaign must notice."""

import faulthandler
import os
import time
from pathlib import Path

from splat_addon.errors import SplatError

from .mutations import Mutator
from .trial import Trial


def sound(_mutator: Mutator) -> Trial:
    """Nothing is wrong with this one."""
    return Trial({"a": b"content"}, lambda folder: (folder / "a").read_bytes())


def raises(_mutator: Mutator) -> Trial:
    """An error that is not the project's own."""
    return Trial({"a": b"content"}, lambda folder: {}["missing"])


def says_nothing(_mutator: Mutator) -> Trial:
    """The project's own error, without what to do."""

    def read(folder: Path) -> None:
        raise SplatError("This is wrong.", "")

    return Trial({"a": b"content"}, read)


def writes(_mutator: Mutator) -> Trial:
    """A file of its own."""
    return Trial({"a": b"content"}, lambda folder: (folder / "b").write_bytes(b"mine"))


def removes(_mutator: Mutator) -> Trial:
    """What it was given."""
    return Trial({"a": b"content"}, lambda folder: os.unlink(folder / "a"))


def makes_none(mutator: Mutator) -> Trial:
    """Its cases cannot be made, now and then."""
    if mutator.is_chosen(0.2):
        raise NotImplementedError("not made")
    return Trial({"a": b"content"}, lambda folder: None)


def hangs(mutator: Mutator) -> Trial:
    """Now and then."""
    pause = 3600 if mutator.is_chosen(0.2) else 0
    return Trial({"a": b"content"}, lambda folder: time.sleep(pause))


def crashes(mutator: Mutator) -> Trial:
    """The interpreter, now and then."""
    is_fatal = mutator.is_chosen(0.2)
    return Trial({"a": b"content"}, lambda folder: faulthandler._sigabrt() if is_fatal else None)


def takes_memory(_mutator: Mutator) -> Trial:
    """Much more than the file is long."""
    return Trial({"a": b"content"}, lambda folder: bytearray(1 << 42))
