"""All photos of a run: decoded once, in memory up to a budget, beyond it in one file that the system pages."""

import os
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

from ...capture.capture import Capture, View
from ...capture.photos.reading import Decode
from ...errors import CaptureError, some_of
from ...files import open_own
from ...run.config import TrainConfig
from ...run.events import Decided, Warned
from .decoding import decode
from .photo import NothingLeft, Photo, load_photo

AT_ONCE = 16  # photos that are decoded side by side


@dataclass(frozen=True)
class Photos:
    """What training and evaluation look at. `coarse` are the training photos at half their size."""

    training: list[Photo]
    coarse: list[Photo]
    held_out: list[Photo]
    warnings: list[Warned | Decided]  # what the user should know


def load_photos(capture: Capture, config: TrainConfig, overflow: Path, decode: Decode = decode) -> Photos:
    """Decode every photo of `capture`. Those that cannot be read are left out with a warning.

    Beyond `config.photo_memory_mb` they are kept in the file `overflow`, which is the caller's to delete.
    Raises CaptureError when more than half of the photos cannot be used, or masks leave none to train on; OSError when
    the disk is full.
    """
    store = _Store(overflow, config.photo_memory_mb * 2**20)
    photos = Photos([], [], [], [Warned(remark.text, remark.remedy) for remark in capture.remarks if remark.is_warning])
    failures: list[CaptureError] = []
    empty: list[CaptureError] = []
    notes: dict[str, list[str]] = {}
    for view, loaded in _decoded(capture.views, config.max_resolution, decode):
        for note in loaded.notes if isinstance(loaded, Photo) else ():
            notes.setdefault(note, []).append(view.name)
        if isinstance(loaded, CaptureError):
            (empty if isinstance(loaded, NothingLeft) else failures).append(loaded)
            photos.warnings.append(Warned(f"{loaded.message} The view is left out.", loaded.remedy))
        elif view.is_held_out:
            photos.held_out.append(store.keep(loaded))
        else:
            photos.training.append(store.keep(loaded))
            if config.coarse_until > 0:
                photos.coarse.append(store.keep(loaded.halved()))
    store.close()
    for note, names in notes.items():
        photos.warnings.append(Warned(f"Photos that {note}: {len(names)} ({some_of(names)})."))
    if not photos.training and empty:
        raise CaptureError(
            f"Masks leave nothing of {len(empty)} of {len(capture.views)} photos, and no view to train on:"
            f" {empty[0].message}",
            empty[0].remedy,
        )
    if not photos.training or len(failures) * 2 > len(capture.views):
        raise CaptureError(
            f"{len(failures)} of {len(capture.views)} photos cannot be used: {failures[0].message}"
            if failures
            else "No photo is left to train on.",
            failures[0].remedy if failures else "Hold out fewer views.",
        )
    return photos


def _decoded(
    views: tuple[View, ...], max_resolution: int, decode: Decode
) -> Iterator[tuple[View, Photo | CaptureError]]:
    """Each view with its photo, or with why it has none, in order; a few are decoded ahead."""

    def load(view: View) -> Photo | CaptureError:
        try:
            return load_photo(view, max_resolution, decode)
        except CaptureError as error:
            return error

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for first in range(0, len(views), AT_ONCE):
            some = views[first : first + AT_ONCE]
            yield from zip(some, pool.map(load, some), strict=True)


class _Store:
    """Keeps photos in memory while the budget lasts, then on disk."""

    def __init__(self, overflow: Path, budget_bytes: int):
        self._overflow = overflow
        self._left = budget_bytes
        self._file: IO[bytes] | None = None

    def keep(self, photo: Photo) -> Photo:
        """The same photo; its pixels are in memory, or mapped from the file."""
        planes = [plane for plane in (photo.rgb, photo.alpha, photo.mask) if plane is not None]
        self._left -= sum(plane.numel() for plane in planes)
        if self._left >= 0:
            return photo
        return replace(
            photo,
            rgb=self._on_disk(photo.rgb),
            alpha=None if photo.alpha is None else self._on_disk(photo.alpha),
            mask=None if photo.mask is None else self._on_disk(photo.mask),
        )

    def _on_disk(self, plane: Tensor) -> Tensor:
        if self._file is None:
            self._file = open_own(self._overflow, "wb")  # closed when all photos are loaded
        offset = self._file.tell()
        self._file.write(plane.contiguous().numpy().data)
        self._file.flush()
        dtype = np.bool_ if plane.dtype == torch.bool else np.uint8
        return torch.from_numpy(np.memmap(self._overflow, dtype, "c", offset, tuple(plane.shape)))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def forget_frames(error: BaseException | None) -> None:
    """Let go of what the functions that an exception went through still hold. Its traceback can still be printed."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
