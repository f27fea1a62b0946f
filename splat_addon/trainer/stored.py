"""What a checkpoint holds, checked before anything uses it: compiled code trusts shapes, and the file may be damaged,
of other settings, or made by a stranger."""

import math
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from ..files import open_regular

_KEYS = (
    "model", "densifier", "step", "train_seconds", "queue", "random", "torch_random", "capture_fingerprint",
)  # fmt: skip


class Misfit(ValueError):
    """A checkpoint that is not of this run. It says what of it does not fit."""


def read_stored(path: Path) -> dict:
    """The content of a checkpoint on the CPU, its parts unchecked but free of code. Raises OSError or Misfit."""
    try:
        with open_regular(path) as file:
            _require_unpacked(file, path)
            found = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, Misfit):
        raise
    except (Exception, pickle.UnpicklingError) as error:  # damaged bytes fail in any way
        raise Misfit(f"it cannot be read: {type(error).__name__}") from error
    return table(found, "it", _KEYS)


def _require_unpacked(file: BinaryIO, path: Path) -> None:
    """Raise Misfit unless an archive's records are in all no longer than its file, as PyTorch writes them: a few packed
    bytes could fill the memory."""
    with zipfile.ZipFile(file) as archive:
        size = sum(record.file_size for record in archive.infolist())
    if size > path.stat().st_size:
        raise Misfit("it is packed")
    file.seek(0)


def table(value, what: str, keys: Sequence[str] = ()) -> dict:
    """A dictionary that has `keys`. Raises Misfit."""
    if not isinstance(value, dict):
        raise Misfit(f"{what} is not a table")
    missing = [key for key in keys if key not in value]
    if missing:
        raise Misfit(f"{what} lacks {missing[0]}")
    return value


def rows(value, what: str) -> list:
    """A list. Raises Misfit."""
    if not isinstance(value, list):
        raise Misfit(f"{what} is not a list")
    return value


def row_of(count: int, value, what: str) -> Sequence:
    """A list or tuple of `count` values: no tensor, which may seem to have any number of rows and none in memory.
    Raises Misfit."""
    if not isinstance(value, list | tuple) or len(value) != count:
        raise Misfit(f"{what} is not a row of {count}")
    return value


def tensors(values, like: Sequence[Tensor], count: int | None, what: str, lowest: float = -math.inf) -> list[Tensor]:
    """Contiguous float32 tensors on the devices of `like`, each with as many rows as the others (`count` if given) and
    otherwise in the shape of its counterpart, finite and at least `lowest`. Raises Misfit."""
    values = rows(values, what)
    if len(values) != len(like):
        raise Misfit(f"{what} has {len(values)} parts instead of {len(like)}")
    fitting = []
    for value, model in zip(values, like, strict=True):
        if not _is_plain(value, torch.float32):
            raise Misfit(f"{what} holds something other than float32 numbers")
        count = len(value) if count is None and value.dim() else count
        if value.shape != (count, *model.shape[1:]):
            raise Misfit(f"{what} has a part of shape {tuple(value.shape)} instead of {(count, *model.shape[1:])}")
        if not torch.isfinite(value).all() or (value < lowest).any():
            raise Misfit(f"{what} holds a number that is impossible there")
        fitting.append(value.detach().resolve_neg().to(model.device).contiguous())
    return fitting


def random_state(value, like: Mapping[str, Any], what: str) -> dict:
    """The state of a random generator, its parts of the types of those in `like`. Raises Misfit."""
    value = table(value, what, tuple(like))
    for key, other in like.items():
        if isinstance(other, dict):
            random_state(value[key], other, what)
        elif type(value[key]) is not type(other):
            raise Misfit(f"{what} holds something other than random numbers")
    return value


def _is_plain(value, dtype: torch.dtype) -> bool:
    """Whether a value is a tensor of numbers that lie in memory, each in a place that its file had: a few bytes can
    stand for any number of rows, or for none at all."""
    if type(value) is not Tensor or value.is_nested or value.layout != torch.strided or value.dtype != dtype:
        return False
    return value.device.type == "cpu" and value.numel() * value.itemsize <= value.untyped_storage().nbytes()


def whole_number(value, what: str, lowest: int = 0, highest: int = 2**53) -> int:
    """An integer within bounds, both included. Raises Misfit."""
    if type(value) is not int or not lowest <= value <= highest:
        raise Misfit(f"{what} is not a whole number from {lowest} to {highest}")
    return value


def real_number(value, what: str, lowest: float, highest: float) -> float:
    """A number within bounds, both included. Raises Misfit."""
    if type(value) not in (int, float) or not lowest <= value <= highest:
        raise Misfit(f"{what} is not a number that is possible there")
    return float(value)


def seconds(value, what: str) -> float:
    """A length of time. Raises Misfit."""
    if type(value) not in (int, float) or not 0 <= value <= 1e300:
        raise Misfit(f"{what} is not a time")
    return float(value)
