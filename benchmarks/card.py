"""What training on an NVIDIA card does: whether it draws right, how fast and in what memory, beside plain gsplat.

    python3 dev.py bench card [--python ENVIRONMENT_PYTHON] [--captures DIR] [--json FILE]

It needs a card whose set-up is complete, no network, and at most ten minutes. Parity: every scene of the tests against
the float64 textbook, image and gradients. Steps: whole steps of training but for growth, and their phases, for three
counts at two sizes, beside the loop of gsplat's example trainer over the same gaussians in the same run, by turns.
Banana: seconds of training until the held-out views are at 29 dB, on the card and on the processor. Resume: a run that
begins on one of the two and goes on on the other.
"""

import argparse
import dataclasses
import gc
import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import numpy as np
import torch
from _card_steps import Ours, Plain, wait_for
from _scene import make_camera, make_gaussians

from splat_addon.errors import SplatError
from splat_addon.files import written_aside
from splat_addon.gaussians.cloud import DISPLAY
from splat_addon.run.config import TrainConfig
from splat_addon.run.events import Evaluated, Event
from splat_addon.run.folder import RunFolder
from splat_addon.run.wire import Wire
from splat_addon.trainer import train as training
from splat_addon.trainer.backend.cuda import doctor, kernels, self_check
from splat_addon.trainer.backend.cuda.rasterizer import CudaRasterizer
from splat_addon.trainer.backend.protocol import Gaussians, Rasterizer
from splat_addon.trainer.backend.reference import textbook
from support.scenes import write_ball_capture
from support.splat_scenes import scenes, scenes_in_linear_light, undecided_pixels

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
GOAL_DB = 29.0
IMAGE_LIMIT, GRADIENT_LIMIT = 1e-3, 1e-2


@dataclasses.dataclass(frozen=True)
class Extent:
    """How much is measured. A test measures next to nothing, on a card that is pretended."""

    counts: tuple[int, ...] = (100_000, 1_000_000, 3_000_000)
    sizes: tuple[tuple[int, int], ...] = ((800, 600), (1600, 1066))
    repeats: int = 20
    turns: int = 2
    scenes: tuple[str, ...] = ()  # all, where none is named
    seconds: int = 20  # of training on banana
    resumed_steps: int = 300
    limit_s: float = 600.0


MakeCard = Callable[[str, bool], Rasterizer]  # takes a blend space, and whether it is antialiased


def card_of_this_machine(blend_space: str, antialiased: bool) -> Rasterizer:
    return CudaRasterizer(blend_space=blend_space, antialiased=antialiased)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--captures", type=Path, default=SHARED, help="the folder that holds the capture banana")
    parser.add_argument("--json", type=Path, help="where the figures are written")
    options = parser.parse_args()
    try:
        doctor.require_cuda()
        card_of_this_machine(DISPLAY, False).prepare(print)
    except SplatError as error:
        print(f"No card is measured: {error.message} {error.remedy}")
        return 1
    measured = measure(card_of_this_machine, Extent(), options.captures / "banana")
    if options.json:
        with written_aside(options.json) as aside:
            aside.write_text(json.dumps(measured, indent=1), encoding="utf-8")
    print("\n".join(["", *table(measured)]))
    return 0


def measure(make_card: MakeCard, extent: Extent, banana: Path) -> dict[str, Any]:
    """All figures, as far as the time suffices; what did not come about says why."""
    began = time.monotonic()
    measured: dict[str, Any] = {"card": about(make_card(DISPLAY, False).device)}
    parts: dict[str, Callable[[], Any]] = {
        "parity": lambda: parity(make_card, extent),
        "steps": lambda: steps(make_card, extent),
        "banana": lambda: banana_runs(banana, extent),
        "resume": lambda: resumed_runs(extent),
    }
    for name, part in parts.items():
        if time.monotonic() - began > 0.8 * extent.limit_s:
            measured[name] = "left out: the time is over"
            continue
        print(f"{name} …", file=sys.stderr, flush=True)
        measured[name] = part()
    measured["seconds"] = round(time.monotonic() - began, 1)
    return measured


def about(device: torch.device) -> dict[str, Any]:
    """On what this was measured."""
    if device.type != "cuda":
        return {"card": str(device)}
    built = json.loads((kernels.folder() / "about.json").read_text()) if kernels.architectures() else None
    return {**self_check.conditions(), "cuda": torch.version.cuda, "kernels": built}


def parity(make_card: MakeCard, extent: Extent) -> dict[str, Any]:
    """Each scene against the textbook: the largest error of a pixel, the worst gradient relative to its length."""
    found = {}
    for name, scene in (scenes() | scenes_in_linear_light()).items():
        if not extent.scenes or name in extent.scenes:
            options = scene.options
            card = make_card(options.get("blend_space", DISPLAY), options.get("antialiased", False))
            card.rules = options.get("rules", card.rules)
            found[name] = _against_textbook(card, scene)
    within = [image <= IMAGE_LIMIT and gradient <= GRADIENT_LIMIT for image, gradient in found.values()]
    return {"within": sum(within), "of": len(found), "scenes": found}


def _against_textbook(card: Rasterizer, scene) -> tuple[float, float]:
    device, decided = card.device, ~undecided_pixels(scene)
    leaves = Gaussians(*(torch.tensor(np.asarray(v), dtype=torch.float32).to(device) for v in scene.gaussians))
    for leaf in leaves:
        leaf.requires_grad_()
    background = torch.tensor(np.asarray(scene.background), dtype=torch.float32).to(device)
    drawn = card.render(leaves, scene.camera, background, sh_degree=scene.sh_degree)
    expected = textbook.render(scene.gaussians, scene.camera, scene.background, **scene.textbook_options)
    image = drawn.image.detach().cpu().numpy()
    error = float(np.abs(image - expected.image)[decided].max(initial=0))
    d_image = np.random.default_rng(0).normal(size=expected.image.shape) * decided[..., None]
    wanted = textbook.render_backward(
        scene.gaussians, scene.camera, scene.background, d_image, **scene.textbook_options
    )
    loss = (drawn.image * torch.tensor(d_image, dtype=torch.float32).to(device)).sum()
    if loss.requires_grad:
        loss.backward()
    worst = 0.0
    for name, leaf in leaves._asdict().items():
        true = np.asarray(getattr(wanted, name))
        size = float(np.linalg.norm(true))
        if size > 1e-6:
            gradient = np.zeros(true.shape) if leaf.grad is None else leaf.grad.cpu().numpy()
            worst = max(worst, float(np.linalg.norm(gradient - true)) / size)
    return error, worst


def steps(make_card: MakeCard, extent: Extent) -> list[dict[str, Any]]:
    """A row for each count and size: milliseconds and MiB of both loops, and our phases."""
    rows = []
    for count in extent.counts:
        gaussians = make_gaussians(count)
        for width, height in extent.sizes:
            print(f"  {count} gaussians, {width} x {height}", file=sys.stderr, flush=True)
            row: dict[str, Any] = {"gaussians": count, "width": width, "height": height}
            try:
                row |= _by_turns(make_card, gaussians, make_camera(width, height), extent)
            except torch.OutOfMemoryError as error:
                row["failed"] = str(error).splitlines()[0]
            rows.append(row)
    return rows


def _by_turns(make_card: MakeCard, gaussians: Gaussians, camera, extent: Extent) -> dict[str, Any]:
    card = make_card(DISPLAY, False)
    loops: dict[str, Callable[[], Ours | Plain]] = {
        "ours": lambda: Ours(gaussians, camera, card),
        "plain": lambda: Plain(gaussians, camera, card.device),
    }
    times: dict[str, list[float]] = {name: [] for name in loops}
    peaks, phases = dict.fromkeys(loops, 0.0), []
    for _ in range(extent.turns):
        for name, make in loops.items():
            before = _memory_begins(card.device)
            loop = make()
            for _ in range(min(5, extent.repeats)):
                loop.step()
            for _ in range(extent.repeats):
                wait_for(card.device)
                began = time.perf_counter()
                loop.step()
                wait_for(card.device)
                times[name].append(1e3 * (time.perf_counter() - began))
            peaks[name] = max(peaks[name], _peak_mib(card.device, before))
            if isinstance(loop, Ours):
                phases += [loop.phases() for _ in range(extent.repeats)]
            del loop
    middle = {name: statistics.median(values) for name, values in times.items()}
    return {
        "ours_ms": middle["ours"],
        "plain_ms": middle["plain"],
        "ratio": middle["ours"] / middle["plain"],
        "phases_ms": {phase: statistics.median(lap[phase] for lap in phases) for phase in phases[0]},
        "ours_mib": peaks["ours"],
        "plain_mib": peaks["plain"],
    }


def _memory_begins(device: torch.device) -> int:
    """Bytes that are in use on the card when a loop is made."""
    gc.collect()
    if device.type != "cuda":
        return 0
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated()


def _peak_mib(device: torch.device, before: int) -> float:
    return (torch.cuda.max_memory_allocated() - before) / 2**20 if device.type == "cuda" else 0.0


class _UntilGood(Wire):
    """A run's wire that stops it when its held-out views are good enough."""

    def __init__(self, folder: RunFolder, goal_db: float):
        super().__init__(folder, io.StringIO(), (), obey=lambda command: None)
        self._goal_db = goal_db

    def send(self, event: Event, at_once: bool = False, recorded: Callable[[], None] = lambda: None) -> None:
        """As a wire does."""
        super().send(event, at_once, recorded)
        if isinstance(event, Evaluated) and event.psnr_db >= self._goal_db:
            self.ask_to_stop()


def train(folder: RunFolder, config: TrainConfig, resume: bool = False, goal_db: float = np.inf) -> Evaluated:
    """The last measurement of a run in this process."""
    config.write(folder.config_file)
    training.train(folder, config, _UntilGood(folder, goal_db), resume)
    return [event for event in folder.events() if isinstance(event, Evaluated)][-1]


def banana_runs(capture: Path, extent: Extent) -> dict[str, Any] | str:
    """Runs that are planned for some seconds and end when they are good enough, on the card and on the processor."""
    if not capture.is_dir():
        return f"left out: {capture} is not there"
    found = {}
    for device in ("cuda", "cpu"):
        with tempfile.TemporaryDirectory() as place:
            config = TrainConfig(capture=str(capture), device=device, seconds=extent.seconds, eval_every=100)
            folder = RunFolder.create(Path(place) / "run", config)
            last = train(folder, config, goal_db=GOAL_DB)
            found[device] = {
                "psnr_db": last.psnr_db,
                "seconds": last.train_seconds if last.psnr_db >= GOAL_DB else None,
                "steps": last.step,
                "splats": last.gaussian_count,
            }
    return found


def resumed_runs(extent: Extent) -> dict[str, Any]:
    """Held-out dB of runs over a ball that change places half-way: all learn from the same photos in the same order."""
    found = {}
    with tempfile.TemporaryDirectory() as place:
        capture = write_ball_capture(Path(place) / "capture", points=500, width=160, height=120, focal_px=160.0)
        for first in ("cpu", "cuda"):
            for second in ("cpu", "cuda"):
                config = TrainConfig(capture=str(capture), device=first, iterations=extent.resumed_steps // 2)
                config = dataclasses.replace(config, eval_every=0, save_every=0)
                folder = RunFolder.create(Path(place) / f"{first}_{second}", config)
                train(folder, config)
                config = dataclasses.replace(config, device=second, iterations=extent.resumed_steps)
                last = train(folder, config, resume=True)
                found[f"{first} to {second}"] = {"psnr_db": last.psnr_db, "splats": last.gaussian_count}
    return found


def table(measured: dict[str, Any]) -> list[str]:
    """The figures in lines for people."""
    card, checked = measured["card"], measured["parity"]
    lines = [f"{card['card']}; {measured['seconds']:.0f} s in all"]
    if isinstance(checked, dict):
        lines.append(f"parity: {checked['within']} of {checked['of']} scenes within {IMAGE_LIMIT:g} (image) and"
                     f" {GRADIENT_LIMIT:g} (gradients)")  # fmt: skip
        lines += [
            f"  {name}: image {image:.1e}, gradients {gradient:.1e}"
            for name, (image, gradient) in checked["scenes"].items()
            if image > IMAGE_LIMIT or gradient > GRADIENT_LIMIT
        ]
    if isinstance(measured["steps"], list):
        lines += _table_of_steps(measured["steps"])
    for name in ("banana", "resume"):
        lines.append(f"{name}: {measured[name] if isinstance(measured[name], str) else ''}".rstrip())
        if isinstance(measured[name], dict):
            lines += [f"  {way}: {_in_words(figures)}" for way, figures in measured[name].items()]
    return lines


def _table_of_steps(rows: list[dict[str, Any]]) -> list[str]:
    phases = next((list(row["phases_ms"]) for row in rows if "phases_ms" in row), [])
    heads = ["gaussians", "size", "ours ms", "plain ms", "ratio", "ours MiB", "plain MiB", *phases]
    widths = [max(10, len(head) + 2) for head in heads]
    lines = ["".join(f"{head:>{width}}" for head, width in zip(heads, widths, strict=True))]
    for row in rows:
        cells = [f"{row['gaussians']}", f"{row['width']}x{row['height']}"]
        if "failed" in row:
            lines.append("".join(f"{cell:>{width}}" for cell, width in zip(cells, widths)) + f"  {row['failed']}")
            continue
        cells += [f"{row[name]:.2f}" for name in ("ours_ms", "plain_ms", "ratio")]
        cells += [f"{row[name]:.0f}" for name in ("ours_mib", "plain_mib")]
        cells += [f"{row['phases_ms'][phase]:.2f}" for phase in phases]
        lines.append("".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)))
    return lines


def _in_words(figures: dict[str, Any]) -> str:
    words = [f"{figures['psnr_db']:.2f} dB", f"{figures['splats']} splats"]
    if "seconds" in figures:
        reached = f"{figures['seconds']:.1f} s" if figures["seconds"] is not None else "not"
        words.append(f"{GOAL_DB:g} dB reached: {reached}, {figures['steps']} steps")
    return ", ".join(words)


if __name__ == "__main__":
    sys.exit(main())
