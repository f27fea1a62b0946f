"""How long a training step takes on the CPU, phase by phase: `python benchmarks/rasterize.py [--json FILE]`.

Also what the kernels take to compile, and to load when they are compiled, and what blending in linear light costs.
Every size is measured in a process of its own, so that peak memory is its own too. Times are medians; "cpu" is process
time over all threads, "wall" what passes. Beside the compiled backend stands the plain PyTorch one, tile by tile.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

SIZES = [(20_000, 200, 150), (20_000, 400, 300), (100_000, 400, 300), (20_000, 800, 600), (100_000, 800, 600)]
PHASES = [
    "projection", "binning", "blending", "loss", "blending backward", "projection backward", "adam",
]  # fmt: skip
RATES = {"means": 1e-5, "log_scales": 1e-4, "quaternions": 1e-4, "logit_opacities": 1e-3, "sh": 1e-4}
# Multiply-adds (and products) for one lane of a row, counted in the compiled loops of the blend kernels.
MULTIPLY_ADDS_FORWARD, MULTIPLY_ADDS_BACKWARD = 13, 19


class Stopwatch:
    """Collects CPU and wall milliseconds for each phase; a phase begins where the last one ended."""

    def __init__(self):
        self.laps: dict[str, list[tuple[float, float]]] = {}
        self.start()

    def start(self) -> None:
        self._begin = self._step = time.process_time(), time.perf_counter()

    def lap(self, phase: str) -> None:
        now = time.process_time(), time.perf_counter()
        self._add(phase, self._begin, now)
        self._begin = now

    def stop(self) -> None:
        self._add("step", self._step, (time.process_time(), time.perf_counter()))

    def _add(self, phase, begin, end) -> None:
        self.laps.setdefault(phase, []).append(((end[0] - begin[0]) * 1e3, (end[1] - begin[1]) * 1e3))

    def medians(self) -> dict[str, dict[str, float]]:
        """Phase to {"cpu": ms, "wall": ms}."""
        return {
            phase: {"cpu": statistics.median(lap[0] for lap in laps), "wall": statistics.median(lap[1] for lap in laps)}
            for phase, laps in self.laps.items()
        }


def measure_cpu(count: int, width: int, height: int, threads: int, repeats: int) -> dict:
    """One size with the compiled backend."""
    import torch

    torch.set_num_threads(threads)
    from _scene import make_camera, make_gaussians

    from splat_addon.trainer.backend.cpu.adam import adam_step
    from splat_addon.trainer.backend.cpu.photometric import photometric_loss
    from splat_addon.trainer.backend.cpu.rasterizer import CpuRasterizer
    from splat_addon.trainer.backend.protocol import Gaussians, Moments

    rasterizer, watch = CpuRasterizer(threads=threads), Stopwatch()
    gaussians = Gaussians(*(value.requires_grad_() for value in make_gaussians(count)))
    camera, background, target = make_camera(width, height), torch.zeros(3), torch.rand(height, width, 3)
    moments = [Moments.like(value) for value in gaussians]
    sh_rates = torch.full((16, 3), RATES["sh"] / 20)
    sh_rates[0] = RATES["sh"]
    rates = [*list(RATES.values())[:-1], sh_rates]
    for step in range(1, repeats + 3):
        if step == 3:  # two to warm up
            watch = Stopwatch()
        rasterizer.on_phase = watch.lap
        watch.start()
        offsets = torch.zeros(count, 2, requires_grad=True)
        drawn = rasterizer.render(gaussians, camera, background, sh_degree=3, screen_offsets_px=offsets)
        loss = photometric_loss(drawn.image, target, None, 0.2, rasterizer.crew)
        watch.lap("loss")
        loss.backward()
        adam_step(gaussians, [value.grad for value in gaussians], moments, rates, step, crew=rasterizer.crew)
        for value in gaussians:
            value.grad = None
        watch.lap("adam")
        watch.stop()
        del offsets, drawn, loss  # as at the end of the trainer's step
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
    rasterizer.on_phase = None
    pairs = count_pairs(rasterizer, gaussians, camera)
    return {"phases": watch.medians(), "peak_mb": peak_mb, "pairs": pairs}


def measure_blend_spaces(count: int, width: int, height: int, threads: int, repeats: int) -> dict[str, float]:
    """Milliseconds a step in each blend space, in turns, so that both see the same machine."""
    import torch

    torch.set_num_threads(threads)
    from _scene import make_camera, make_gaussians

    from splat_addon.trainer.backend.cpu.rasterizer import CpuRasterizer
    from splat_addon.trainer.backend.protocol import Gaussians, Moments

    camera, background, target = make_camera(width, height), torch.full((3,), 0.2), torch.rand(height, width, 3)
    runs = {}
    for space in ("display", "blender"):
        gaussians = Gaussians(*(value.requires_grad_() for value in make_gaussians(count)))
        moments = [Moments.like(value) for value in gaussians]
        runs[space] = CpuRasterizer(threads=threads, blend_space=space), gaussians, moments, Stopwatch()
    for step in range(1, repeats + 3):
        for rasterizer, gaussians, moments, watch in runs.values():
            watch.start()
            offsets = torch.zeros(count, 2, requires_grad=True)
            drawn = rasterizer.render(gaussians, camera, background, sh_degree=3, screen_offsets_px=offsets)
            rasterizer.photometric_loss(drawn.image, target, None, 0.2).backward()
            gradients = [value.grad for value in gaussians]
            rasterizer.adam_step(gaussians, gradients, moments, list(RATES.values()), step)
            for value in gaussians:
                value.grad = None
            watch.stop()
            if step == 2:  # two to warm up
                watch.laps.clear()
            del offsets, drawn, gradients
    clock = "cpu" if threads == 1 else "wall"
    return {space: watch.medians()["step"][clock] for space, (*_, watch) in runs.items()}


def measure_start() -> dict[str, float]:
    """Seconds until the kernels can be called, PyTorch being imported."""
    import torch  # noqa: F401

    begin = time.perf_counter()
    from splat_addon.trainer.backend.cpu.kernel_cache import kernels

    kernels()
    return {"s": time.perf_counter() - begin}


def measure_starts() -> dict[str, float]:
    """Cold, with an empty cache, and cached."""
    from splat_addon.trainer.backend.cpu.kernel_cache import CACHE_VARIABLE

    with tempfile.TemporaryDirectory() as folder:
        starts = [in_own_process("start", **{CACHE_VARIABLE: folder})["s"] for _ in range(2)]
    return {"cold_compile_s": round(starts[0], 2), "cached_start_s": round(starts[1], 3)}


def measure_torch(count: int, width: int, height: int, threads: int, repeats: int) -> dict | None:
    """One size with PyTorch's own operators throughout; None where that backend is not there."""
    import torch

    torch.set_num_threads(threads)
    try:
        from splat_addon.trainer.backend.reference.torch_tiles import TorchTilesRasterizer
    except ImportError:
        return None
    from _scene import make_camera, make_gaussians

    from splat_addon.trainer.backend.protocol import Gaussians

    rasterizer = TorchTilesRasterizer(torch.device("cpu"))
    gaussians = Gaussians(*(value.requires_grad_() for value in make_gaussians(count)))
    camera, background, target = make_camera(width, height), torch.zeros(3), torch.rand(height, width, 3)
    groups = [{"params": [value], "lr": RATES[name]} for name, value in gaussians._asdict().items()]
    adam, watch = torch.optim.Adam(groups, eps=1e-15), Stopwatch()
    for _ in range(repeats):
        adam.zero_grad()
        watch.start()
        offsets = torch.zeros(count, 2, requires_grad=True)
        drawn = rasterizer.render(gaussians, camera, background, sh_degree=3, screen_offsets_px=offsets)
        torch_loss(drawn.image, target).backward()
        adam.step()
        watch.stop()
    return {"phases": watch.medians()}


def torch_loss(image, target):
    """The photometric loss by convolutions."""
    import torch

    window = torch.exp(-(torch.arange(-5.0, 6.0) ** 2) / 4.5)
    window = (window / window.sum()).outer(window / window.sum()).expand(3, 1, 11, 11)
    x, y = image.permute(2, 0, 1)[None], target.permute(2, 0, 1)[None]

    def blur(values):
        return torch.nn.functional.conv2d(values, window, padding=5, groups=3)

    mx, my = blur(x), blur(y)
    variances, covariance = blur(x * x) + blur(y * y) - mx * mx - my * my, blur(x * y) - mx * my
    ssim = (2 * mx * my + 1e-4) * (2 * covariance + 9e-4) / ((mx * mx + my * my + 1e-4) * (variances + 9e-4))
    return 0.8 * (x - y).abs().mean() + 0.2 * (1 - ssim).mean()


def count_pairs(rasterizer, gaussians, camera) -> dict[str, int]:
    """How many gaussian-pixel pairs a view blends, and how many it looks at."""
    import numba
    import numpy as np
    import torch

    from splat_addon.trainer.backend.cpu.kernels.layout import (
        ALPHA_CAP,
        LOG2_CUTOFF,
        LOG2_OPACITY,
        NEGATIVE_B,
        ROOT_A,
        TRANSMITTANCE_STOP,
    )  # fmt: skip
    from splat_addon.trainer.backend.cpu.passes import Parameters, draw

    drawn, _, _ = draw(rasterizer.workshop, Parameters.of(gaussians, None, 16), camera, torch.zeros(3))

    @numba.njit
    def count(entries, starts, used, records, places, width, height):
        tiles_down, blended, looked_at = (height + 63) // 64, 0, 0
        for tile in range(len(used)):
            x0, y0 = tile // tiles_down * 8, tile % tiles_down * 64
            left = np.ones((64, 8), dtype=np.float64)
            left[:, min(8, width - x0) :] = 0.0
            for i in range(starts[tile], starts[tile] + used[tile]):
                entry = entries[i]
                at = (entry & 0xFFFFFFFF) * 16
                for row in range((entry >> 32) & 0xFF, entry >> 40):
                    dy = places[at // 2 + 1] - y0 - row
                    for lane in range(8):
                        looked_at += 1
                        s = places[at // 2] - x0 - lane + places[at // 2 + 2] * dy
                        p = records[at + LOG2_OPACITY] - (records[at + ROOT_A] * s) ** 2
                        p += records[at + NEGATIVE_B] * dy * dy
                        arriving = left[row, lane]
                        if p >= LOG2_CUTOFF and arriving > 0.0:
                            leaving = arriving * (1.0 - min(2.0**p, ALPHA_CAP))
                            left[row, lane] = leaving if leaving >= TRANSMITTANCE_STOP else 0.0
                            blended += leaving >= TRANSMITTANCE_STOP
        return blended, looked_at

    arrays = drawn.entries, drawn.starts, drawn.entries_used, drawn.records, drawn.records.view(torch.float64)
    blended, looked_at = count(*(array.numpy() for array in arrays), camera.width, camera.height)
    return {"blended": int(blended), "looked_at": int(looked_at)}


def measure_peaks() -> dict[str, float]:
    """What one core can do: 1e9 multiply-adds and 1e9 evaluations of 2^x a second, in single precision."""
    import numba
    import numpy as np

    from splat_addon.trainer.backend.cpu.kernel_cache import kernels
    from splat_addon.trainer.backend.cpu.kernels.lanes.simd_math import exp2, lane_numbers, lane_sum, madd, splat

    kernels()  # compiled here, so that no measurement has to

    @numba.njit
    def multiply_add(count):
        b, one = splat(np.float32(0.999)), splat(np.float32(1.0))
        a0, a1, a2, a3, a4 = one, one + 1.0, one + 2.0, one + 3.0, one + 4.0
        a5, a6, a7, a8, a9 = one + 5.0, one + 6.0, one + 7.0, one + 8.0, one + 9.0
        for _ in range(count):
            a0, a1, a2, a3, a4 = madd(a0, b, b), madd(a1, b, b), madd(a2, b, b), madd(a3, b, b), madd(a4, b, b)
            a5, a6, a7, a8, a9 = madd(a5, b, b), madd(a6, b, b), madd(a7, b, b), madd(a8, b, b), madd(a9, b, b)
        return lane_sum(a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7 + a8 + a9)

    @numba.njit
    def exponential(count):
        x, total = lane_numbers() * -0.1, lane_numbers() * 0.0
        for _ in range(count):
            x = x - 1e-7
            total = total + (exp2(x) + exp2(x - 1.0)) + (exp2(x - 2.0) + exp2(x - 3.0))
        return lane_sum(total)

    peaks = {}
    for name, function, each in (("multiply_add_g", multiply_add, 10), ("exp_g", exponential, 4)):
        function(10)
        times = []
        for _ in range(5):
            begin = time.process_time()
            function(3_000_000)
            times.append(time.process_time() - begin)
        peaks[name] = 3_000_000 * each * 8 / statistics.median(times) / 1e9
    return peaks


def in_own_process(*arguments, **variables: str) -> dict:
    """What this file prints as JSON when it is called with `--worker` and the arguments, in this environment."""
    command = [sys.executable, __file__, "--worker", *map(str, arguments)]
    worker = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **variables})
    return json.loads(worker.stdout.splitlines()[-1])


def measure_peer(path: str, count: int, width: int, height: int) -> float:
    """Milliseconds a step of another program: called with the three numbers, it prints that as its last word."""
    command = [path, str(count), str(width), str(height)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the cases to this file")
    parser.add_argument("--repeats", type=int, default=9, help="steps measured of the compiled backend, at least 5")
    parser.add_argument("--torch-repeats", type=int, default=1, help="steps measured of plain PyTorch; 0 leaves it out")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--sizes", nargs="+", help="like 20000x400x300; all five if not given")
    parser.add_argument("--peer", help="another program to compare with, see measure_peer")
    options = parser.parse_args(arguments)
    sizes = [tuple(map(int, size.split("x"))) for size in options.sizes] if options.sizes else SIZES

    peaks = in_own_process("peaks")
    print(f"one core: {peaks['multiply_add_g']:.1f} G multiply-adds/s, {peaks['exp_g']:.1f} G exp/s")
    starts = measure_starts()
    print(f"kernels: cold compile {starts['cold_compile_s']:.1f} s, cached start {starts['cached_start_s']:.2f} s")
    cases = []
    for size in sizes:
        plain = in_own_process("torch", *size, 1, options.torch_repeats) if options.torch_repeats else None
        if plain:
            cases.append(case("torch tiles", size, 1, plain, None))
        for threads in options.threads:
            result = in_own_process("cpu", *size, threads, max(options.repeats, 5))
            cases.append(case("cpu", size, threads, result, plain if threads == 1 else None))
            report(cases[-1], result, peaks, plain)
            if options.peer:
                print(f"    peer: {measure_peer(options.peer, *size):.1f} ms a step")
    spaces = []
    for threads in options.threads:
        size = SIZES[1]
        ms = in_own_process("spaces", *size, threads, max(options.repeats, 5) * 4)
        more = ms["blender"] / ms["display"] - 1
        spaces.append({"gaussians": size[0], "width": size[1], "height": size[2], "threads": threads, "step_ms": ms})
        print(
            f"\n{size[0]} gaussians @ {size[1]}x{size[2]}, {threads} threads, in turns: blend space display "
            f"{ms['display']:.1f} ms, blender {ms['blender']:.1f} ms a step ({more:+.1%})"
        )
    if options.json:
        results = {"cases": cases, "start": starts, "blend_spaces": spaces}
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def case(backend: str, size: tuple, threads: int, result: dict, plain: dict | None) -> dict:
    """One row of the JSON. One thread: CPU time; several: wall time. Plain PyTorch is timed on one thread."""
    clock, phases = ("cpu" if threads == 1 else "wall"), result["phases"]
    forward = sum(phases[phase][clock] for phase in PHASES[:3] if phase in phases)
    backward = sum(phases[phase][clock] for phase in PHASES[4:6] if phase in phases)
    step = phases["step"][clock]
    return {
        "backend": backend, "gaussians": size[0], "width": size[1], "height": size[2], "threads": threads,
        "step_ms": round(step, 2), "forward_ms": round(forward, 2) or None, "backward_ms": round(backward, 2) or None,
        "ratio_to_torch": round(plain["phases"]["step"]["cpu"] / step, 1) if plain else None,
        "phases_ms": {name: {key: round(ms, 2) for key, ms in times.items()} for name, times in phases.items()},
        "peak_mb": round(result["peak_mb"]) if "peak_mb" in result else None,
    }  # fmt: skip


def report(row: dict, result: dict, peaks: dict, plain: dict | None) -> None:
    """Say one case in words and numbers."""
    phases, pairs = result["phases"], result["pairs"]
    pixels = row["width"] * row["height"]
    print(
        f"\n{row['gaussians']} gaussians @ {row['width']}x{row['height']}, {row['threads']} threads: "
        f"step {phases['step']['cpu']:.1f} ms cpu, {phases['step']['wall']:.1f} ms wall, "
        f"peak {result['peak_mb']:.0f} MB"
    )
    if row["ratio_to_torch"]:
        print(f"    PyTorch tile by tile {plain['phases']['step']['cpu']:.0f} ms: {row['ratio_to_torch']}x")
    for phase in PHASES:
        print(f"    {phase:20s} {phases[phase]['cpu']:7.2f} ms cpu {phases[phase]['wall']:7.2f} ms wall")
    forward = pairs["blended"] / phases["blending"]["cpu"] / 1e6
    backward = pairs["blended"] / phases["blending backward"]["cpu"] / 1e6
    lanes_forward = pairs["looked_at"] / phases["blending"]["cpu"] / 1e6
    lanes_backward = pairs["looked_at"] / phases["blending backward"]["cpu"] / 1e6
    print(
        f"    {pairs['blended'] / pixels:.1f} pairs blended a pixel, {pairs['looked_at'] / pixels:.1f} looked at; "
        f"G pairs blended a second and core: forward {forward:.2f}, backward {backward:.2f}"
    )
    print(
        f"    of the multiply-add peak {lanes_forward * MULTIPLY_ADDS_FORWARD / peaks['multiply_add_g']:.0%} and "
        f"{lanes_backward * MULTIPLY_ADDS_BACKWARD / peaks['multiply_add_g']:.0%}; "
        f"of the exp peak {lanes_forward / peaks['exp_g']:.0%} and {lanes_backward / peaks['exp_g']:.0%}"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        kind, numbers = sys.argv[2], list(map(int, sys.argv[3:]))
        measures = {
            "cpu": measure_cpu, "torch": measure_torch, "peaks": measure_peaks, "spaces": measure_blend_spaces,
            "start": measure_start,
        }  # fmt: skip
        print(json.dumps(measures[kind](*numbers)))
    else:
        main(sys.argv[1:])
