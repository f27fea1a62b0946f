"""Who may import whom: read from the source of all shipped code, and tried in fresh interpreters."""

import ast
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
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
CORE = {"errors", "gaussians", "capture", "run", "environment"}

# layer: (layers it may import, third-party packages it may import)
RULES: dict[str, tuple[set[str], set[str]]] = {
    "root": ({"errors", "gaussians", "capture", "run", "environment", "scene", "operators", "panels"}, BLENDER),
    "errors": (set(), set()),
    "gaussians": ({"errors"}, {"numpy", "plyfile"}),
    "capture": ({"errors", "gaussians"}, {"numpy", "plyfile"}),
    "run": ({"errors"}, set()),
    "environment": ({"errors", "run"}, set()),
    "trainer": (CORE, LEARNING | {"numpy", "plyfile"}),
    "scene": (CORE, BLENDER | {"numpy"}),
    "operators": (CORE | {"scene"}, BLENDER | {"numpy"}),
    "panels": ({"errors", "run", "environment", "scene", "operators"}, BLENDER),
}
SHIPPED = [ROOT / "__init__.py"]
for folder in ("splat_addon", "operators", "panels"):
    SHIPPED += sorted((ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> tuple[str, ...]:
    """The parts of a shipped module's name below the extension's root."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def layer_of(name: tuple[str, ...]) -> str:
    """The layer a module belongs to; `splat_addon/` itself only holds layers."""
    below = name[1:] if name[:1] == ("splat_addon",) else name
    return below[0] if below else ("map" if name else "root")


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports_of(path: Path):
    """Yield (node, level, dotted parts) for everything a module imports, wherever in the file it does."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, 0, tuple(alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node, node.level, (*(node.module or "").split("."), alias.name)


def own_imports(path: Path):
    """Yield (node, name below the root) for every relative import."""
    name = name_of(path)
    package = name if path.name == "__init__.py" else name[:-1]
    for node, level, parts in imports_of(path):
        if level:
            assert level - 1 <= len(package), f"{shown(path)}:{node.lineno} imports from above the extension"
            yield node, (*package[: len(package) - level + 1], *filter(None, parts))


def third_party_imports(path: Path):
    """Yield (node, top-level package) for every absolute import from outside the standard library."""
    for node, level, parts in imports_of(path):
        if level == 0 and parts[0] not in sys.stdlib_module_names:
            yield node, parts[0]


@pytest.mark.parametrize("path", SHIPPED, ids=shown)
def test_a_module_imports_only_the_layers_below_it(path):
    layer = layer_of(name_of(path))
    if layer == "map":
        assert not list(imports_of(path)), "splat_addon/__init__.py is a docstring only"
        return
    for node, target in own_imports(path):
        if target == ("__package__",):
            continue  # the extension's own name, which preferences need
        other = layer_of(target)
        allowed = {layer} | RULES[layer][0]
        assert other in allowed, f"{shown(path)}:{node.lineno}: {layer} may not import {other}"


@pytest.mark.parametrize("path", SHIPPED, ids=shown)
def test_a_module_imports_only_the_packages_of_its_layer(path):
    allowed = RULES.get(layer_of(name_of(path)), (set(), set()))[1]
    for node, package in third_party_imports(path):
        assert package not in ("splat_addon", "operators", "panels"), (
            f"{shown(path)}:{node.lineno}: own modules are imported relatively, they have another name inside Blender"
        )
        assert package in allowed, f"{shown(path)}:{node.lineno} may not import {package}"
        if package == "gsplat":
            assert path.parent.name == "cuda", f"{shown(path)}:{node.lineno}: gsplat is imported in backend/cuda only"


@pytest.mark.parametrize("path", SHIPPED, ids=shown)
def test_annotations_are_not_postponed(path):
    for node, _, parts in imports_of(path):
        assert parts != ("__future__", "annotations"), (
            f"{shown(path)}:{node.lineno}: postponed annotations break Blender's properties and run-time shape checks"
        )


def test_the_root_imports_nothing_until_it_is_registered():
    top_level = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8")).body
    found = [
        node.lineno
        for node in top_level
        for part in ast.walk(node)
        if isinstance(part, (ast.Import, ast.ImportFrom)) and not isinstance(node, ast.FunctionDef)
    ]
    assert not found, f"__init__.py imports at its top level in line {found}"


# The same rules, tried: a fresh interpreter imports every module of a layer while the forbidden ones cannot be found.
FENCE = """
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
        if error.name != "gsplat":  # an optional package, in cuda.py only
            raise
inside = [name for name in sys.modules if name in forbidden]
assert not inside, inside
print(len(names))
"""


def reach(layer: str) -> set[str]:
    """A layer and all that it may import, directly or through others."""
    return {layer}.union(*(reach(other) for other in RULES[layer][0]))


@pytest.mark.parametrize("layer", sorted(set(RULES) - {"root"}))
def test_a_layer_can_be_imported_without_what_it_must_not_use(layer):
    packages = set().union(*(RULES[other][1] for other in reach(layer)))
    missing = sorted(name for name in packages & {"bpy", "numpy", "torch"} if find_spec(name) is None)
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed in this Python")
    names = {other: other if other in ("operators", "panels") else f"splat_addon.{other}" for other in RULES}
    forbidden = (BLENDER | LEARNING | {"numpy"}) - packages
    forbidden |= {f"splat_training.{names[other]}" for other in set(RULES) - reach(layer) - {"root"}}
    answer = subprocess.run(
        [sys.executable, "-c", FENCE, str(ROOT), names[layer], ",".join(forbidden)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert answer.returncode == 0, answer.stderr
    expected = [path for path in SHIPPED if layer_of(name_of(path)) == layer]
    assert int(answer.stdout.split()[-1]) == len(expected), "the fence did not see every module"
