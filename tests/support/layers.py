"""The layers of the extension: who may import whom, and a clean interpreter to try it in."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from .source_tree import ROOT, SOURCES, name_of

BLENDER = {
    "_cycles",
    "addon_utils",
    "bl_ext",
    "bl_operators",
    "bl_ui",
    "blf",
    "bmesh",
    "bpy",
    "bpy_extras",
    "gpu",
    "gpu_extras",
    "mathutils",
}
LEARNING = {"PIL", "gsplat", "jaxtyping", "llvmlite", "matplotlib", "numba", "scipy", "torch", "torchvision"}
PHOTOGRAPHS = {"PIL", "av", "pycolmap"}
CORE = {"errors", "files", "gaussians", "capture", "run", "environment"}
# More of the core, which Blender's side uses; the trainer, all but the lesson and editing.
PURE = {"editing", "inspection", "lesson", "training_on"}

# layer: (layers it may import, third-party packages it may import)
RULES: dict[str, tuple[set[str], set[str]]] = {
    "root": (CORE | {"scene", "operators", "panels"}, BLENDER),
    "errors": (set(), set()),
    "files": (set(), set()),
    "gaussians": ({"errors", "files"}, {"numpy", "plyfile"}),
    "capture": ({"errors", "files", "gaussians"}, {"numpy", "plyfile"}),
    "run": ({"errors", "files"}, set()),
    "environment": ({"errors", "files", "run"}, set()),
    "editing": ({"errors", "gaussians"}, {"numpy"}),
    "inspection": ({"errors", "gaussians", "capture"}, {"numpy"}),
    "lesson": ({"errors", "gaussians", "capture"}, {"numpy"}),
    "training_on": ({"errors", "files", "gaussians", "run"}, {"numpy"}),
    "trainer": (CORE | {"inspection", "training_on"}, LEARNING | {"numpy", "plyfile"}),
    "align": (CORE, PHOTOGRAPHS | {"numpy"}),
    "cluster": (CORE, {"ray"}),
    "scene": (CORE | PURE, BLENDER | {"numpy"}),
    "operators": (CORE | PURE | {"scene"}, BLENDER | {"numpy"}),
    "panels": ({"errors", "run", "environment", "scene", "operators"}, BLENDER),
}


def layer_of(name: tuple[str, ...]) -> str:
    """The layer a module belongs to; `splat_addon/` itself only holds layers."""
    below = name[1:] if name[:1] == ("splat_addon",) else name
    return below[0] if below else ("map" if name else "root")


LAYERS = sorted({layer_of(name_of(path)) for path in SOURCES} - {"map", "root"})  # those that are built
LAYERS_OF_BLENDER = [layer for layer in LAYERS if layer in ("scene", "operators", "panels")]

_FENCE = """
import importlib, pkgutil, sys, types

root, package, forbidden = sys.argv[1], sys.argv[2], sys.argv[3].split(",")
extension = types.ModuleType("splat_training")  # the name it has in Blender, without running its __init__.py
extension.__path__ = [root]
sys.modules["splat_training"] = extension


class Fence:
    def find_spec(self, name, path=None, target=None):
        if any(name == other or name.startswith(other + ".") for other in forbidden):
            raise ImportError("forbidden here: " + name)


sys.meta_path.insert(0, Fence())
module = importlib.import_module("splat_training." + package)
names = [module.__name__]
for found in pkgutil.walk_packages(getattr(module, "__path__", []), module.__name__ + "."):
    names.append(found.name)
    try:
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    except ModuleNotFoundError as error:
        if error.name not in ("gsplat", "pycolmap", "av", "ray"):  # what only some machines have
            raise
inside = [name for name in sys.modules if name in forbidden]
assert not inside, inside
print(len(names))
"""


def reach(layer: str) -> set[str]:
    """A layer and all that it may import, directly or through others."""
    return {layer}.union(*(reach(other) for other in RULES[layer][0]))


def try_behind_a_fence(layer: str) -> None:
    """Import every module of a layer in a fresh interpreter in which what the layer must not use cannot be found."""
    packages = set().union(*(RULES[other][1] for other in reach(layer)))
    missing = sorted(name for name in packages & {"bpy", "numpy", "torch"} if find_spec(name) is None)
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed in this Python")
    names = {other: other if other in ("operators", "panels") else f"splat_addon.{other}" for other in RULES}
    forbidden = (BLENDER | LEARNING | PHOTOGRAPHS | {"numpy", "ray"}) - packages
    forbidden |= {f"splat_training.{names[other]}" for other in set(RULES) - reach(layer) - {"root"}}
    answer = subprocess.run(
        [sys.executable, "-c", _FENCE, str(ROOT), names[layer], ",".join(forbidden)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert answer.returncode == 0, answer.stderr
    expected: list[Path] = [path for path in SOURCES if layer_of(name_of(path)) == layer]
    assert int(answer.stdout.split()[-1]) == len(expected), "the fence did not see every module"
