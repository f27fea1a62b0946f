"""Whether the chosen folder holds a capture, for what is drawn again and again.

Looking searches folders below it, which takes long on a network or in a large folder: it is done in a thread, and the
answer holds for some seconds. Where nothing is drawn (background mode), it is done at once.
"""

import os
import threading
import time
from pathlib import Path

import bpy

from ...capture.formats import colmap
from ...capture.formats.transforms import FILE_NAME
from ...errors import SplatError
from ..session import part, timer
from ..session.redraw import redraw
from ..settings.paths import absolute

LASTS_S = 5.0
TICK_S = 0.1


class Looked:
    """What was found, and when (s), by folder. Entries are replaced as a whole, so that no lock is needed."""

    def __init__(self) -> None:
        self.answers: dict[Path, tuple[bool, float]] = {}
        self.thread: threading.Thread | None = None


def is_capture(folder: Path) -> bool:
    """Whether a folder looks like a capture, without reading it: now, from the disk."""
    return os.path.isdir(folder) and ((folder / FILE_NAME).is_file() or colmap.find_model(folder) is not None)


def chosen_capture(scene: bpy.types.Scene, at_once: bool | None = None) -> Path | None:
    """The chosen capture folder if it holds a capture, as far as is known. Costs microseconds in the interface.

    `at_once` looks before answering; unless said otherwise, where nothing is drawn.
    """
    try:
        folder = absolute(scene.splat.capture.folder)
    except SplatError:
        return None
    if not scene.splat.capture.folder:
        return None
    if bpy.app.background if at_once is None else at_once:
        return folder if is_capture(folder) else None
    answer, answered_at = part(Looked).answers.get(folder, (False, -LASTS_S))
    if time.monotonic() - answered_at >= LASTS_S:
        _look(folder)
    return folder if answer else None


def _look(folder: Path) -> None:
    looked = part(Looked)
    if looked.thread is not None and looked.thread.is_alive():
        return
    looked.thread = threading.Thread(target=_answer, args=(looked, folder), name="splat capture folder", daemon=True)
    looked.thread.start()
    timer.start(_draw_when_known, TICK_S)


def _answer(looked: Looked, folder: Path) -> None:
    """The thread. It touches nothing but the disk and the answer."""
    looked.answers = {**looked.answers, folder: (is_capture(folder), time.monotonic())}


def _draw_when_known() -> float | None:
    thread = part(Looked).thread
    if thread is not None and thread.is_alive():
        return TICK_S
    redraw()
    return None
