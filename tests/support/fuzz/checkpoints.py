"""Checkpoints: what a run goes on from, read as resuming reads it and then trained on by compiled code, which trusts
what it is given."""

import codecs
import collections
import copy
import functools
import io
import math
import os
import pickle
import tempfile
import zipfile
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from splat_addon.capture.blend_space import blend_space_of
from splat_addon.capture.capture import open_capture
from splat_addon.run.config import TrainConfig
from splat_addon.run.folder import RunFolder
from splat_addon.run.wire import Wire
from splat_addon.trainer.backend import choose
from splat_addon.trainer.checkpoint import frame_of, read_checkpoint
from splat_addon.trainer.model import GaussianModel
from splat_addon.trainer.photos.store import load_photos
from splat_addon.trainer.seeds import first_cloud
from splat_addon.trainer.train import Run
from splat_addon.trainer.training_frame import TrainingFrame

from ..scenes import write_ball_capture
from .mutations import DOUBLES, VALUES, Mutator, holders_in
from .trial import Broken, Trial, require_finite

STRATEGIES = ("default", "budget", "mcmc")
STEPS = 2  # that an accepted checkpoint is trained on
_HUGE = 10**12  # of rows, in a file of some kilobytes


class Made(NamedTuple):
    """A run that has trained a little, the checkpoint that it saved, and the content of that."""

    run: Run
    checkpoint: bytes
    state: dict[str, Any]


def checkpoint(mutator: Mutator) -> Trial:
    """A run's checkpoint with other parts, shapes, types and numbers, other objects, other archives, broken bytes."""
    strategy = mutator.one_of(STRATEGIES)
    made = _made(strategy)
    kind = mutator.random.randrange(20)
    if kind == 0:
        content = mutator.bytes(made.checkpoint)
    elif kind <= 2:
        content = _repacked(mutator, made.checkpoint)
    else:
        content = _saved(_broken(mutator, made.state))
    return Trial({"checkpoint.pt": content}, functools.partial(_read, strategy))


def _read(strategy: str, folder: Path) -> None:
    run = _made(strategy).run
    state = read_checkpoint(RunFolder(folder), run.fingerprint)
    frame = frame_of(state, RunFolder(folder))
    for view in run.capture.moved(frame.training_from_world).all_views:
        require_finite("camera", view.camera.camera_from_world)
    run.restore(state)
    sizes = {len(parameter) for parameter in run.model.gaussians}
    if len(sizes) != 1:
        raise Broken(f"gaussians of {sizes} rows")
    first = run.step
    for _ in range(STEPS):
        run.train_step()
    if run.step != first + STEPS:
        raise Broken(f"{run.step - first} steps instead of {STEPS}")


def _broken(mutator: Mutator, state: dict[str, Any]) -> dict[str, Any]:
    state = copy.deepcopy(state)
    for _ in mutator.a_few():
        holder = mutator.one_of(list(holders_in(state)))
        key = mutator.one_of(list(holder) if isinstance(holder, dict) else range(len(holder)))
        value, kind = holder[key], mutator.random.randrange(10)
        if kind <= 4 and isinstance(value, Tensor):
            holder[key] = _other_tensor(mutator, value)
        elif kind <= 5:
            holder[key] = copy.deepcopy(mutator.one_of(VALUES))
        elif kind == 6:
            holder[key] = mutator.one_of(_OBJECTS)(mutator)
        elif kind == 7:
            del holder[key]
        elif kind == 8:
            other = mutator.one_of(list(holders_in(state)))
            holder[key] = _copied(mutator.one_of(list(other.values()) if isinstance(other, dict) else other))
        elif isinstance(holder, list):
            holder.insert(key, value)
        else:
            holder[f"{key}s"] = holder.pop(key)
        if not state:
            break
    return state


def _copied(value: Any) -> Any:
    """A copy, or the same where PyTorch cannot copy it, as it cannot a nested tensor."""
    try:
        return copy.deepcopy(value)
    except (NotImplementedError, RuntimeError):
        return value


def _other_tensor(mutator: Mutator, tensor: Tensor) -> Any:
    """The same numbers in another shape, type or memory, or others in the same."""
    is_plain = tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_nested
    if not is_plain or tensor.is_quantized or tensor.numel() > 10**6:  # it is already another
        return tensor
    tensor = tensor.detach().resolve_neg()
    kinds = _NUMBERS if tensor.is_floating_point() and mutator.is_chosen(0.4) else _KINDS
    return mutator.one_of(kinds)(tensor, mutator)


def _number(mutator: Mutator) -> Tensor:
    return torch.tensor(mutator.one_of(DOUBLES), dtype=torch.float64)


def _one_other(tensor: Tensor, mutator: Mutator) -> Tensor:
    tensor = tensor.contiguous().clone()
    if tensor.numel():
        tensor.view(-1)[mutator.random.randrange(tensor.numel())] = _number(mutator).to(tensor.dtype)
    return tensor


_NUMBERS = (
    _one_other,
    _one_other,
    lambda tensor, mutator: _number(mutator).to(tensor.dtype).repeat(tensor.shape),
    lambda tensor, mutator: tensor * _number(mutator).to(tensor.dtype),
    lambda tensor, mutator: tensor + mutator.one_of((-100.0, 100.0, 1e6)),
)
_KINDS = (
    lambda tensor, mutator: tensor[: mutator.random.randrange(8)].clone(),
    lambda tensor, mutator: torch.cat([tensor, tensor]),
    lambda tensor, mutator: tensor[..., :1].clone(),
    lambda tensor, mutator: tensor.reshape(-1),
    lambda tensor, mutator: tensor[None],
    lambda tensor, mutator: tensor[..., None],
    lambda tensor, mutator: tensor.T if tensor.dim() == 2 else tensor.flip(0),
    lambda tensor, mutator: torch.tensor(0.0),
    lambda tensor, mutator: tensor.to(mutator.one_of((torch.float64, torch.float16, torch.int64, torch.bool))),
    lambda tensor, mutator: tensor.to(torch.bfloat16),
    lambda tensor, mutator: tensor.to(torch.complex64),
    lambda tensor, mutator: tensor.to(torch.complex64).conj().imag,  # in memory the other way round
    lambda tensor, mutator: tensor.float().to_sparse(),
    lambda tensor, mutator: tensor[:1].expand(_HUGE, *tensor.shape[1:]) if tensor.dim() else tensor,
    lambda tensor, mutator: tensor[:1].expand_as(tensor) if tensor.dim() else tensor,
    lambda tensor, mutator: torch.empty_like(tensor, device="meta"),
    lambda tensor, mutator: torch.empty((_HUGE, *tensor.shape[1:]), device="meta"),
    lambda tensor, mutator: torch.quantize_per_tensor(tensor.float(), 0.1, 0, torch.qint8),
    lambda tensor, mutator: torch.nested.nested_tensor([tensor.float(), tensor.float()]),
    lambda tensor, mutator: tensor.float().requires_grad_(),
    lambda tensor, mutator: torch.nn.Parameter(tensor.float()),
    lambda tensor, mutator: tensor.tolist(),
    lambda tensor, mutator: tensor.numpy(),
)


class _Calls:
    """What is a call of something when it is read."""

    def __init__(self, function, *arguments):
        self._call = function, arguments

    def __reduce__(self):
        return self._call

    def __deepcopy__(self, memo):
        return self  # a copy would call


_OBJECTS = (
    lambda mutator: _Calls(os.mkdir, "made"),
    lambda mutator: _Calls(os.system, "touch made"),
    lambda mutator: _Calls(eval, "1"),
    lambda mutator: _Calls(bytearray, mutator.one_of((0, 10, 10**13))),
    lambda mutator: _Calls(codecs.encode, "x", "utf-8"),
    lambda mutator: _Calls(torch.device, mutator.one_of(("cpu", "meta", "cuda:3", "x"))),
    lambda mutator: _Calls(torch.Size, [-1]),
    lambda mutator: _Calls(torch._utils._rebuild_meta_tensor_no_storage, torch.float32, (_HUGE, 3), (3, 1), False),
    lambda mutator: collections.OrderedDict(a=1),
    lambda mutator: collections.Counter("aab"),
    lambda mutator: {1, 2},
    lambda mutator: 1j,
    lambda mutator: Fraction(1, 3),
    lambda mutator: b"x" * mutator.random.randrange(100),
    lambda mutator: torch.float32,
    lambda mutator: np.float64(1.0),
    lambda mutator: np.zeros(3),
    lambda mutator: TrainConfig(),
)


def _repacked(mutator: Mutator, content: bytes) -> bytes:
    """The archive's records broken, lost, doubled, renamed, or packed so that few bytes become many."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        records = [(info.filename, archive.read(info)) for info in archive.infolist()]
    is_packed = False
    for _ in mutator.a_few():
        place = mutator.random.randrange(len(records))
        if mutator.is_chosen(0.3):
            place = next(index for index, (name, _) in enumerate(records) if name.endswith("data.pkl"))
        name, data = records[place]
        kind = mutator.random.randrange(6)
        if kind <= 1:
            records[place] = name, mutator.bytes(data)
        elif kind == 2 and len(records) > 1:
            del records[place]
            if not any(name.endswith("data.pkl") for name, _ in records):
                break
        elif kind == 3:
            records[place] = f"{name}{mutator.random.randrange(9)}", data
            if name.endswith("data.pkl"):
                break
        elif kind == 4:
            is_packed = True
            records[place] = name, data + bytes(mutator.one_of((1, 10**6)))
        else:
            records.append((mutator.one_of((name, "archive/other", "..", "other")), data))
    result = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if is_packed or mutator.is_chosen(0.2) else zipfile.ZIP_STORED
    with zipfile.ZipFile(result, "w", method, compresslevel=1) as archive:
        for name, data in records:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return result.getvalue()


def _saved(state: Any) -> bytes:
    """What PyTorch makes of it; where it cannot, its bytes as Python packs them."""
    result = io.BytesIO()
    try:
        torch.save(state, result)
    except (RuntimeError, NotImplementedError, TypeError, AttributeError, pickle.PicklingError):
        return pickle.dumps(repr(state))
    return result.getvalue()


class _Nowhere:
    """Where a run that is not watched keeps its events."""

    events_file = Path(os.devnull)


@functools.cache
def _made(strategy: str) -> Made:
    """A run of a few small photos, after some steps. Everything that is compiled or made once is made here."""
    with tempfile.TemporaryDirectory() as place:
        source = write_ball_capture(Path(place) / "capture", views=4, points=20, width=16, height=12, focal_px=16.0)
        config = TrainConfig(capture=str(source), device="cpu", iterations=100, strategy=strategy, sh_degree=1)
        folder = RunFolder.create(Path(place) / "run", config)
        capture = open_capture(source, config.hold_out_every)
        frame = TrainingFrame.around(capture)
        rasterizer = choose("cpu", blend_space_of(config.blend_space, capture.folder))
        rasterizer.prepare(lambda what: None)
        torch.manual_seed(0)
        cloud, _ = first_cloud(capture, config, frame)
        photos = load_photos(capture, config, folder.photos_file)
        wire = Wire(_Nowhere(), io.StringIO(), [])
        model = GaussianModel(cloud, rasterizer.device)
        run = Run(folder, config, wire, model, rasterizer, photos, capture, frame, capture.fingerprint())
        for _ in range(len(photos.training) + 2):
            run.train_step()
        run.model.average()
        run.save_checkpoint()
        content = folder.checkpoint_file.read_bytes()
    state = torch.load(io.BytesIO(content), weights_only=True)
    origin, unit = state["frame"]
    state["frame"] = [list(origin), unit]  # a list can be broken in place
    if not math.isfinite(run.train_seconds):
        raise Broken("a run without a time")
    torch.isfinite(torch.empty(1, device="meta"))  # the first time, PyTorch makes folders for it
    return Made(run, content, state)
