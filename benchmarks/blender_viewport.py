"""How fast the viewport takes in and orders a million splats: python3 dev.py bench blender_viewport [--json FILE]

Each case is a function that returns {"name", "blender", "seconds", "ratio", "limit_s"}; `ratio` is None where nothing
is compared. Packing reads the attributes; with a Blender that draws in background (5.2), the upload is measured, too.
"""

import argparse
import json
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests")]
from support import extension as support  # noqa: E402

COUNT = 1_000_000
_kept: dict = {}


def _extension() -> support.Extension:
    if "extension" not in _kept:
        _kept["extension"] = support.Extension(support.enable_extension())
    return _kept["extension"]


def _million():
    """A splat object of a million gaussians with harmonics to degree 3."""
    import bpy
    import numpy as np

    if "item" not in _kept:
        random = np.random.default_rng(0)
        cloud = (
            _extension()
            .module("splat_addon.gaussians.cloud")
            .GaussianCloud(
                means=random.normal(0, 1, (COUNT, 3)).astype(np.float32),
                log_scales=random.normal(-5, 0.5, (COUNT, 3)).astype(np.float32),
                quaternions=random.normal(size=(COUNT, 4)).astype(np.float32),
                logit_opacities=random.normal(size=COUNT).astype(np.float32),
                sh=random.standard_normal((COUNT, 16, 3), dtype=np.float32),
            )
        )
        to_object = _extension().module("splat_addon.scene.splats").splats_to_object
        _kept["item"] = to_object(cloud, "Million", bpy.context.scene.collection)
        bpy.context.view_layer.update()
    return _kept["item"]


def _case(name: str, seconds: float, limit_s: float) -> dict:
    import bpy

    version = "{}.{}".format(*bpy.app.version)
    return {"name": name, "blender": version, "seconds": seconds, "ratio": None, "limit_s": limit_s}


def _best(action, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def case_viewport_sort() -> dict:
    """From a turned view to the order: depths, keys, sorting, and as the numbers that are uploaded."""
    import numpy as np

    ordering = _extension().module("splat_addon.scene.viewport_order")
    texels = _extension().module("splat_addon.scene.viewport_texels")
    positions = texels.read(_million().data, "position", 3)
    turns = iter(np.random.default_rng(1).normal(size=(100, 3)).astype(np.float32))

    def turn_and_sort():
        depths = positions @ next(turns) + np.float32(5)
        return ordering.far_to_near(depths, is_perspective=True).astype(np.float32)

    return _case("viewport sort, 1 M splats", _best(turn_and_sort, 7), 0.015)


def case_viewport_build() -> dict:
    """From the attributes to the texture; without a graphics context, to what would be uploaded."""
    import gpu
    import numpy as np

    item = _million()
    if hasattr(gpu, "init"):
        gpu.init()
        atlas_of = _extension().module("splat_addon.scene.viewport_picture").Atlas
        seconds = _best(lambda: atlas_of({item.data.session_uid: item.data}), 3)
        return _case("viewport build, 1 M splats", seconds, 1.5)
    texels = _extension().module("splat_addon.scene.viewport_texels")

    def read_and_pack():
        texels.fingerprint(item.data)
        texels.pack(item.data, np.zeros((COUNT, 60), dtype=np.float32), 3)

    return _case("viewport build without upload, 1 M splats", _best(read_and_pack, 3), 1.5)


CASES = (case_viewport_sort, case_viewport_build)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    path = parser.parse_args().json
    cases = [case() for case in CASES]
    for case in cases:
        verdict = "" if case["seconds"] <= case["limit_s"] else "  too slow"
        print(f"{case['name']:<45} {case['seconds'] * 1000:9.1f} ms of {case['limit_s'] * 1000:.0f}{verdict}")
    if path:
        path.write_text(json.dumps({"cases": cases}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
