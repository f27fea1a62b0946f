"""Whole trainings on the pretended card, with gsplat's Python above its stand-in."""

import contextlib
import io
from collections import Counter
from collections.abc import Iterator

import pytest

from splat_addon.run.config import TrainConfig
from splat_addon.run.folder import RunFolder
from splat_addon.run.wire import Wire
from splat_addon.trainer import train as training
from splat_addon.trainer.backend.cuda.rasterizer import CudaRasterizer

from . import gsplat_kernels
from .pretended import CARD, Card, crossings, kernel


@contextlib.contextmanager
def gsplat_on_the_cpu() -> Iterator[None]:
    """gsplat with the stand-in for its compiled module. Skips where gsplat is not installed."""
    gsplat = pytest.importorskip("gsplat", reason="gsplat is not installed")
    gsplat.csrc = gsplat_kernels.module()
    from gsplat.cuda import _backend

    before, _backend._C = _backend._C, gsplat.csrc
    try:
        yield
    finally:
        _backend._C = before
        del gsplat.csrc


class PretendedCard(CudaRasterizer):
    """The CUDA backend on the pretended card, which needs no preparation."""

    def __init__(self, blend_space: str, antialiased: bool):
        super().__init__(antialiased=antialiased, blend_space=blend_space, device=CARD)

    def prepare(self, announce) -> None:
        """Nothing to build."""


def train_in(folder: RunFolder, resume: bool = False) -> RunFolder:
    """Train in `folder`, on what its settings name."""
    training.train(
        folder,
        TrainConfig.read(folder.config_file),
        Wire(folder, io.StringIO(), (), obey=lambda command: None),
        resume,
    )
    return folder


def train_on_card(
    folder: RunFolder, monkeypatch, resume: bool = False, room_bytes: int = 1 << 30, look_at: int = 0
) -> Counter:
    """Train in `folder`, within `gsplat_on_the_cpu`, on the pretended card, which has room for so many bytes of photos.

    Returns what crosses between card and host in step `look_at`."""
    counted: Counter = Counter()
    step = training.Run.train_step

    def watched(run) -> float:
        if run.step + 1 != look_at:
            return step(run)
        with crossings() as crossing:
            loss = step(run)
        counted.update(crossing)
        return loss

    from gsplat.cuda import _backend

    with monkeypatch.context() as patch, Card():
        patch.setattr(_backend, "_C", gsplat_kernels.module(kernel))
        patch.setattr(training.Run, "train_step", watched)
        patch.setattr(
            training, "choose", lambda device, blend_space, antialiased: PretendedCard(blend_space, antialiased)
        )
        patch.setattr(training, "room_for_photos", lambda device: room_bytes)
        train_in(folder, resume)
    return counted
