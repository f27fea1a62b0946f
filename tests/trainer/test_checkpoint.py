"""A checkpoint is checked as a whole before compiled code sees it: damaged, of other settings, or a stranger's."""

import io
import math
import os
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from splat_addon.errors import RunError
from splat_addon.run.children.trainer_process import TrainerProcess, trainer_command
from splat_addon.run.config import TrainConfig
from splat_addon.run.events import Failed, Finished
from splat_addon.run.folder import RunFolder
from splat_addon.run.wire import Wire
from splat_addon.trainer.train import train
from support.scenes import write_ball_capture


@pytest.fixture(scope="module", params=["default", "budget"])
def stopped(request, tmp_path_factory) -> tuple[RunFolder, bytes]:
    """A run that stopped after three of twelve steps, and its checkpoint."""
    root = tmp_path_factory.mktemp("ball")
    capture = write_ball_capture(root / "capture")
    settings = {"device": "cpu", "eval_every": 0, "save_every": 3, "strategy": request.param}
    folder = RunFolder.create(root / "run", TrainConfig(capture=str(capture), iterations=4, **settings))
    resume(folder, is_first=True)
    TrainConfig(capture=str(capture), iterations=12, **settings).write(folder.config_file)
    return folder, folder.checkpoint_file.read_bytes()


def resume(folder: RunFolder, is_first: bool = False) -> Finished:
    parent_is_gone = threading.Event()

    def says_nothing() -> Iterator[str]:
        parent_is_gone.wait()
        yield from ()

    wire = Wire(folder, io.StringIO(), says_nothing())
    try:
        return train(folder, TrainConfig.read(folder.config_file), wire, resume=not is_first)
    finally:
        parent_is_gone.set()


def changed(stopped: tuple[RunFolder, bytes], change) -> RunFolder:
    """The run with another checkpoint: `change` works on its content, or returns another."""
    folder, checkpoint = stopped
    state = torch.load(io.BytesIO(checkpoint), weights_only=True)
    torch.save(change(state) or state, folder.checkpoint_file)
    return folder


def put(*path, value):
    """A change that replaces what lies at `path`; a `value` that can be called is given what was there."""

    def change(state) -> None:
        for key in path[:-1]:
            state = state[key]
        state[path[-1]] = value(state[path[-1]]) if callable(value) else value

    return change


def with_one(number: float):
    def change(tensor):
        tensor = tensor.clone()
        tensor.view(-1)[0] = number
        return tensor

    return change


CHANGES = {
    "the moments of fewer": (
        put("model", "means_of_gradients", value=lambda all_: [tensor[:4].clone() for tensor in all_]),
        "means_of_gradients has a part of shape",
    ),
    "the squares of fewer": (put("model", "means_of_squares", 4, value=lambda t: t[:1].clone()), "means_of_squares"),
    "moments of no size": (put("model", "means_of_gradients", 0, value=torch.tensor(0.0)), "shape () instead of"),
    "moments in float64": (put("model", "means_of_gradients", 1, value=lambda t: t.double()), "other than float32"),
    "a sparse moment": (put("model", "means_of_squares", 0, value=lambda t: t.to_sparse()), "other than float32"),
    "numbers for a tensor": (put("model", "means_of_squares", 0, value=[0.0] * 3), "other than float32"),
    "a negative square": (put("model", "means_of_squares", 0, value=with_one(-1.0)), "impossible"),
    "an infinite moment": (put("model", "means_of_gradients", 2, value=with_one(math.inf)), "impossible"),
    "a NaN position": (put("model", "gaussians", 0, value=with_one(math.nan)), "gaussians holds a number"),
    "fewer harmonics": (put("model", "gaussians", 4, value=lambda t: t[:, :1].clone()), "gaussians has a part"),
    "fewer opacities": (put("model", "gaussians", 3, value=lambda t: t[:5].clone()), "gaussians has a part"),
    "four parts": (put("model", "gaussians", value=lambda all_: all_[:4]), "has 4 parts instead of 5"),
    "no gaussian": (put("model", "gaussians", value=lambda all_: [t[:0].clone() for t in all_]), "gaussians is empty"),
    "averages of several sizes": (
        put("model", "averages", value=[torch.zeros(3, 3)] + [torch.zeros(1, 3)] * 4),
        "averages has a part",
    ),
    "a step that is true": (put("model", "steps", value=True), "steps is not a whole number"),
    "a step before the first": (put("step", value=-1), "step is not a whole number"),
    "a step beyond all": (put("model", "steps", value=10**400), "steps is not a whole number"),
    "a time that is NaN": (put("train_seconds", value=math.nan), "train_seconds is not a time"),
    "a time beyond all": (put("train_seconds", value=10**400), "train_seconds is not a time"),
    "a view that is not there": (put("queue", value=[0, 10_000]), "queue is not a whole number"),
    "rows without numbers": (
        put("model", "gaussians", 0, value=lambda t: torch.empty_like(t, device="meta")),
        "gaussians holds something other than float32",
    ),
    "one number for a billion rows": (
        put("model", "gaussians", value=lambda all_: [t[:1].expand(10**9, *t.shape[1:]) for t in all_]),
        "gaussians holds something other than float32",
    ),
    "nested numbers": (
        put("model", "averages", value=lambda all_: [torch.nested.nested_tensor([torch.zeros(3, 3)])] * 5),
        "averages holds something other than float32",
    ),
    "an origin beyond all": (put("frame", value=((1e16, 0.0, 0.0), 1.0)), "frame is not a number"),
    "a frame so small that it is none": (put("frame", value=((0.0, 0.0, 0.0), 1e-300)), "frame is not a number"),
    "an origin of a trillion rows that are nowhere": (  # to count them took all memory there is
        put("frame", value=(torch.zeros(1, 3).expand(10**12, 3), 1.0)),
        "frame is not a row of 3",
    ),
    "a frame of two tensors": (put("frame", value=torch.zeros(2, 3)), "frame is not a row of 2"),
    "an origin of two": (put("frame", value=((0.0, 0.0), 1.0)), "frame is not a row of 3"),
    "a tensor for randomness": (
        put("random", "state", value=torch.zeros(2, 2, 2)),
        "random is not a table",
    ),
    "half numbers for randomness": (put("random", "uinteger", value=0.5), "random holds something other than"),
    "no list of views": (put("queue", value=7), "queue is not a list"),
    "gradients of fewer": (
        put("densifier", "gradients", "sums", value=lambda t: t[:4].clone()),
        "gradients has a part of shape",
    ),
    "no gradients": (put("densifier", value={}), "densifier lacks"),
    "no randomness": (put("random", value={"bit_generator": "MT19937"}), "random lacks state"),
    "short randomness": (put("torch_random", value=torch.zeros(5, dtype=torch.uint8)), "random numbers cannot go on"),
    "no model": (lambda state: state.pop("model") and None, "it lacks model"),
    "a list": (lambda state: [1, 2], "it is not a table"),
}


@pytest.mark.parametrize(("change", "sentence"), CHANGES.values(), ids=CHANGES)
def test_what_does_not_fit_is_said_in_one_sentence_with_what_to_do(stopped, change, sentence):
    folder = changed(stopped, change)
    with pytest.raises(RunError) as failure:
        resume(folder)
    assert failure.value.message.startswith(f"{folder.checkpoint_file} is damaged, or not of this run with these")
    assert sentence in failure.value.message
    assert failure.value.remedy == "Start a new run; the splats that this one has saved can be imported."


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04" + bytes(90)], ids=["empty", "text", "half"])
def test_bytes_that_are_not_a_checkpoint_are_said(stopped, content):
    folder, _ = stopped
    folder.checkpoint_file.write_bytes(content)
    with pytest.raises(RunError, match="is damaged"):
        resume(folder)


def test_a_checkpoint_that_is_packed_is_refused_before_it_fills_the_memory(stopped):
    folder, checkpoint = stopped
    with (
        zipfile.ZipFile(io.BytesIO(checkpoint)) as before,
        zipfile.ZipFile(folder.checkpoint_file, "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for record in before.infolist():
            packed.writestr(record.filename, before.read(record) + bytes(1_000_000))
    with pytest.raises(RunError, match="it is packed"):
        resume(folder)


def test_a_stranger_cannot_have_code_run_by_a_checkpoint(stopped, tmp_path):
    class Payload:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    folder = changed(stopped, lambda state: {**state, "queue": Payload()})
    with pytest.raises(RunError, match="is damaged"):
        resume(folder)
    assert not (tmp_path / "ran").exists()


def test_moments_that_end_early_do_not_end_the_process(stopped):
    """Compiled code would write behind them."""
    folder = changed(stopped, CHANGES["the moments of fewer"][0])
    process = TrainerProcess(trainer_command(Path(sys.executable), folder, resume=True), folder)
    events = []
    while not process.is_over:
        events += process.wait(limit_s=60.0)
    assert isinstance(events[-1], Failed) and "means_of_gradients has a part of shape" in events[-1].message


def test_a_checkpoint_that_is_not_contiguous_goes_on_as_it_would(stopped):
    folder = changed(stopped, lambda state: None)
    resume(folder)
    expected = folder.splats_file.read_bytes()
    folder = changed(stopped, put("model", "gaussians", 0, value=lambda t: t.t().contiguous().t()))
    assert resume(folder).step == 12
    assert folder.splats_file.read_bytes() == expected
