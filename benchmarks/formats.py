"""How long splat files of each format take to read and to write, and how exact they are.

    python3 dev.py bench formats [--splats 1000000] [--only spz,glb] [--json F]

One cloud of degree 3 is written and read in every format, then rotated. Seconds are those on the clock, which limits
are for; those of the processor, all cores together, are beside them: on a machine that others use, too, they tell more.
Ratios of both are to PLY in the same run. .ksplat, which is only read, is made by the tests' own writer, of which
nobody measures the time.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _figures import Peak, current_memory

from splat_addon.gaussians.cloud import GaussianCloud
from splat_addon.gaussians.formats.registry import read_splats, write_splats
from splat_addon.gaussians.formats.splat_file import Reading, Settings
from splat_addon.gaussians.transform import transformed
from splat_addon.trainer.exchange.image_pixels import pixels_of, webp_of
from support import exchange_files

ENDINGS = {
    "ply": ".ply", "compressed.ply": ".compressed.ply", "spz": ".spz", "glb": ".glb", "sog": ".sog", "usd": ".usda",
    "splat": ".splat", "ksplat": ".ksplat",
}  # fmt: skip
LIMITS_S = {
    ("spz", "read"): 1.5,
    ("sog", "read"): 2.0,
    ("glb", "read"): 0.6,
    ("spz", "write"): 4.0,
    ("glb", "write"): 1,
    ("sog", "write"): 60,
}
ROTATION_LIMIT_S = 0.5
MEMORY_LIMIT = 2.5  # of the data


class Took(NamedTuple):
    """Seconds on the clock, and of the processor."""

    seconds: float
    busy_s: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splats", type=int, default=1_000_000, help="how many")
    parser.add_argument("--only", help="formats, with commas between them")
    parser.add_argument("--json", type=Path, help="where the cases are written")
    options = parser.parse_args()
    wanted = options.only.split(",") if options.only else list(ENDINGS)
    cloud = smooth_cloud(options.splats)
    cases: list[dict] = []
    ply: dict[str, Took] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in dict.fromkeys(["ply", *wanted]):
            path = Path(folder) / f"a{ENDINGS[name]}"
            some = cloud
            if name == "ksplat":
                some = replace(cloud, sh=cloud.sh[:, :9])
                path.write_bytes(exchange_files.ksplat(some, 1, 256))
            else:
                took, memory, _ = measured(partial(write_splats, path, cloud, Settings(encode=webp_of)))
                ply.setdefault("write", took)
                cases.append(case(name, "write", took, ply["write"], memory / bytes_of(cloud), len(cloud)))
            took, memory, found = measured(partial(read_splats, path, reading=Reading(pixels_of)))
            ply.setdefault("read", took)
            cases.append(case(name, "read", took, ply["read"], memory / bytes_of(some), len(some)))
            cases[-1]["bytes_per_splat"] = round(path.stat().st_size / len(some), 1)
            cases[-1]["errors"] = errors(found, some)
            path.unlink()
            print(*(line(each) for each in cases if each["format"] == name), sep="\n", flush=True)
    took, memory, _ = measured(partial(transformed, cloud, rotation()))
    cases.append(case("ply", "rotate", took, ply["read"], memory / bytes_of(cloud), len(cloud)))
    print(line(cases[-1]))
    if options.json:
        options.json.write_text(json.dumps({"splats": options.splats, "cases": cases}, indent=1))
    return 0 if all(each["is_within_limits"] for each in cases) else 1


def case(name: str, what: str, took: Took, ply: Took, memory: float, count: int) -> dict:
    """One measurement; limits are for a million splats, and memory is that beyond what there was, in clouds."""
    limit = ROTATION_LIMIT_S if what == "rotate" else LIMITS_S.get((name, what))
    limit = None if limit is None else limit * count / 1e6
    found = {"format": name, "what": what, "seconds": round(took.seconds, 3), "cpu_seconds": round(took.busy_s, 3)}
    found |= {"ratio_to_ply": round(took.seconds / ply.seconds, 2), "cpu_ratio": round(took.busy_s / ply.busy_s, 2)}
    found |= {"limit_s": limit, "clouds_of_memory": round(memory, 2), "splats": count}
    is_fast = limit is None or took.seconds <= limit
    return found | {"is_within_limits": bool(is_fast and memory <= MEMORY_LIMIT)}


def line(found: dict) -> str:
    limit = "" if found["limit_s"] is None else f" (≤ {found['limit_s']:.2f})"
    errors_ = ", ".join(f"{name} {value:.2g}" for name, value in found.get("errors", {}).items())
    text = f"{found['format']:<15}{found['what']:<7}{found['seconds']:>8.2f} s{limit:<11}"
    text += f"{found['ratio_to_ply']:>7.2f} x PLY   CPU {found['cpu_seconds']:>7.2f} s {found['cpu_ratio']:>7.2f} x"
    text += f"  {found['clouds_of_memory']:>5.2f} clouds"
    if "bytes_per_splat" in found:
        text += f"  {found['bytes_per_splat']:g} bytes each"
    return f"{text}  {errors_}"


def measured(act) -> tuple[Took, int, Any]:
    """How long it took, bytes beyond what was resident before, and what came of it."""
    before = current_memory()
    with Peak() as peak:
        began, busy = time.perf_counter(), time.process_time()
        found = act()
        took = Took(time.perf_counter() - began, time.process_time() - busy)
    return took, peak.bytes - before, found


def smooth_cloud(count: int) -> GaussianCloud:
    """Splats as training leaves them: sizes of a few orders, small harmonics, opacities at both ends."""
    random = np.random.default_rng(0)
    return GaussianCloud(
        means=random.normal(size=(count, 3)).astype(np.float32) * 3,
        log_scales=random.normal(-5, 1, size=(count, 3)),
        quaternions=random.normal(size=(count, 4)),
        logit_opacities=random.normal(0, 3, size=count),
        sh=random.normal(0, 0.05, size=(count, 16, 3))
        + np.eye(16, 1)[None] * random.normal(0, 0.8, size=(count, 1, 3)),
    )


def bytes_of(cloud: GaussianCloud) -> int:
    return 4 * len(cloud) * (3 + 3 + 4 + 1 + 3 * cloud.sh.shape[1])


def errors(found: GaussianCloud, cloud: GaussianCloud) -> dict[str, float]:
    """Largest ones, of splats in the same order; those that sorted are not compared."""
    if len(found) != len(cloud) or np.abs(found.means[:100] - cloud.means[:100]).max() > 0.01:
        return {}
    turned = np.abs((found.rotations * cloud.rotations).sum(axis=1)).min()
    kept = min(found.sh.shape[1], cloud.sh.shape[1])
    return {
        "place": float(np.abs(found.means - cloud.means).max()),
        "log-scale": float(np.abs(found.log_scales - cloud.log_scales).max()),
        "degrees": float(np.degrees(2 * np.arccos(min(1.0, turned)))),
        "opacity": float(np.abs(found.opacities - cloud.opacities).max()),
        "base": float(np.abs(found.sh[:, 0] - cloud.sh[:, 0]).max()),
        "higher": float(np.abs(found.sh[:, 1:kept] - cloud.sh[:, 1:kept]).max(initial=0)),
    }


def rotation() -> np.ndarray:
    matrix = np.eye(4)
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    matrix[:3, :3] = turn * np.sign(np.linalg.det(turn))
    return matrix


if __name__ == "__main__":
    sys.exit(main())
