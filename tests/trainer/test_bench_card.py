"""The benchmark of a card, on one that is pretended: on the first real one it has to run at once."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from splat_addon.trainer import train as training
from splat_addon.trainer.backend import choose
from support.card import gsplat_kernels
from support.card.pretended import Card, kernel
from support.card.runs import PretendedCard, gsplat_on_the_cpu
from support.scenes import write_ball_capture

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def bench(monkeypatch):
    """benchmarks/card.py as a module."""
    for name in ("card", "_card_steps", "_scene"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module("card")
    for name in ("card", "_card_steps", "_scene"):
        sys.modules.pop(name, None)


def test_every_part_of_the_benchmark_runs_on_a_pretended_card(bench, tmp_path, monkeypatch):
    def chosen(device, blend_space, antialiased):
        if device == "cuda":
            return PretendedCard(blend_space, antialiased)
        return choose(device, blend_space, antialiased=antialiased)

    names = ("random", "linear light, random", "antialiased")
    extent = bench.Extent(counts=(90,), sizes=((32, 24),), repeats=2, turns=1, scenes=names, seconds=1, resumed_steps=6)
    banana = write_ball_capture(tmp_path / "banana", points=60, width=24, height=18, focal_px=24.0)
    with gsplat_on_the_cpu(), Card():
        from gsplat.cuda import _backend

        monkeypatch.setattr(_backend, "_C", gsplat_kernels.module(kernel))
        monkeypatch.setattr(training, "choose", chosen)
        monkeypatch.setattr(
            sys.modules["torch.optim.optimizer"], "_get_fused_kernels_supported_devices", lambda: ["meta"]
        )
        measured = bench.measure(PretendedCard, extent, banana)
    known = [name for name in names if name in measured["parity"]["scenes"]]
    assert measured["parity"]["within"] == measured["parity"]["of"] == len(known) >= 2
    (row,) = measured["steps"]
    assert set(row["phases_ms"]) == {"photo", "forward", "loss", "backward", "screen gradients", "Adam"}
    assert row["ratio"] == pytest.approx(row["ours_ms"] / row["plain_ms"])
    assert set(measured["banana"]) == {"cuda", "cpu"}
    decibels = [way["psnr_db"] for way in measured["resume"].values()]
    assert len(decibels) == 4 and decibels == pytest.approx([decibels[0]] * 4, abs=1e-2)
    lines = bench.table(json.loads(json.dumps(measured)))
    assert any("ours ms" in line and "plain MiB" in line for line in lines)
    assert any(line.startswith("  cuda to cpu: ") for line in lines)


def test_both_loops_step_alike(bench):
    """The plain loop measures what ours does: the same loss over the same gaussians."""
    steps = sys.modules["_card_steps"]
    gaussians, camera = bench.make_gaussians(120), bench.make_camera(40, 30)
    with gsplat_on_the_cpu():
        card = bench.CudaRasterizer(device=torch.device("cpu"))
        ours, plain = steps.Ours(gaussians, camera, card), steps.Plain(gaussians, camera, card.device)
        losses = [ours.step(), plain.step()]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
        assert ours.step() == pytest.approx(losses[0], rel=1e-6), "the gaussians stay where they are"


def test_without_a_card_it_is_one_sentence():
    if torch.cuda.is_available():
        pytest.skip("this machine has a card")
    root = BENCHMARKS.parent
    command = [sys.executable, str(BENCHMARKS / "card.py")]
    environment = {"PYTHONPATH": f"{root}:{root / 'tests'}", "PATH": ""}
    answer = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert answer.returncode == 1 and not answer.stderr
    assert answer.stdout.startswith("No card is measured: CUDA cannot be used (") and answer.stdout.count("\n") == 1
