"""Who may import whom: read from the source, and tried in fresh interpreters. Each test names all that break a rule."""

import ast

import pytest

from support.layers import LAYERS, LAYERS_OF_BLENDER, RULES, layer_of, try_behind_a_fence
from support.source_tree import (
    ROOT,
    SHIPPED,
    SOURCES,
    assert_none,
    files_imported_by,
    imports_of,
    is_docstring_only,
    name_of,
    own_imports,
    shown,
    texts_of,
    third_party_imports,
)

BACKEND = "splat_addon/trainer/backend/"
# package: the only folder that may import it
ROOM_OF = {
    "gsplat": BACKEND + "cuda/",
    "numba": BACKEND + "cpu/",
    "llvmlite": BACKEND + "cpu/",
    "matplotlib": "splat_addon/trainer/report/",
}


def test_every_layer_has_a_rule():
    assert_none(sorted(set(LAYERS) - set(RULES)), "tests/support/layers.py has no rule for")


def test_every_folder_is_a_package():
    folders = sorted({path.parent for path in SOURCES})
    assert_none([shown(folder) for folder in folders if not (folder / "__init__.py").is_file()], "no __init__.py in:")


def test_the_map_is_a_docstring_only():
    assert is_docstring_only(ROOT / "splat_addon" / "__init__.py")


def test_a_module_imports_only_the_layers_below_it():
    offenders = []
    for path in SOURCES:
        layer = layer_of(name_of(path))
        for line, target in own_imports(path):
            if layer_of(target) not in {layer} | RULES[layer][0]:
                offenders.append(f"{shown(path)}:{line}: {layer} imports {layer_of(target)}")
    assert_none(offenders, "a layer imports what is not below it:")


def test_a_module_imports_only_the_packages_of_its_layer():
    offenders = []
    for path in SOURCES:
        allowed = RULES.get(layer_of(name_of(path)), (set(), set()))[1]
        for line, package in third_party_imports(path):
            if package not in allowed:
                offenders.append(f"{shown(path)}:{line}: {package}")
    assert_none(offenders, "a layer imports a package that is not its own (own modules are imported relatively):")


def test_a_package_that_one_room_keeps_is_imported_nowhere_else():
    offenders = []
    for path in SOURCES:
        for line, package in third_party_imports(path):
            if not shown(path).startswith(ROOM_OF.get(package, "")):
                offenders.append(f"{shown(path)}:{line}: {package} belongs to {ROOM_OF[package]}")
    assert_none(offenders, "a package is imported outside of its room:")


def test_settings_import_no_feature():
    offenders = []
    for path in (ROOT / "splat_addon" / "scene" / "settings").rglob("*.py"):
        for line, (_, *room) in own_imports(path):
            if room[:1] == ["scene"] and room[1:2] not in (["settings"], ["session"]):
                offenders.append(f"{shown(path)}:{line}: scene.{'.'.join(room[1:])}")
    assert_none(offenders, "scene/settings may import scene/session, and no other room of scene/:")


def test_nothing_that_ships_imports_what_does_not():
    offenders = []
    for path in SHIPPED:
        for file, line in files_imported_by(path).items():
            if file not in SHIPPED:
                offenders.append(f"{shown(path)}:{line}: {shown(file)}")
    assert_none(offenders, "this is missing in the zip, and imported there:")


def test_everything_that_ships_is_used_by_what_ships():
    """From what Blender or a command line starts: the root, `__main__`, and modules whose full name is a text."""
    texts = {text for path in SHIPPED for text in texts_of(path)} | set(texts_of(ROOT / "dev.py"))
    modules = {".".join(name_of(path)): path for path in SHIPPED}
    open_ends = [path for name, path in modules.items() if not name or path.name == "__main__.py" or name in texts]
    # The render child is started by an import in a text, and kernels are compiled by the list of their names.
    open_ends += [path for name, path in modules.items() if any(f".{name} import " in text for text in texts)]
    open_ends += [path for path in SHIPPED if path.parent.name == "kernels" and path.stem in texts]
    used: set = set()
    while open_ends:
        path = open_ends.pop()
        if path not in used:
            used.add(path)
            open_ends += files_imported_by(path)
    unused = [shown(path) for path in SHIPPED if path not in used and not is_docstring_only(path)]
    assert_none(unused, "only tests and benchmarks use this, so it belongs to them:")


def test_annotations_are_not_postponed():
    offenders = [
        f"{shown(path)}:{line}"
        for path in SOURCES
        for line, _, parts in imports_of(path)
        if parts == ("__future__", "annotations")
    ]
    assert_none(offenders, "postponed annotations break Blender's properties and run-time checks of shapes:")


def test_the_root_imports_nothing_until_it_is_registered():
    top_level = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8")).body
    found = [
        f"line {part.lineno}"
        for node in top_level
        for part in ast.walk(node)
        if isinstance(part, (ast.Import, ast.ImportFrom)) and not isinstance(node, ast.FunctionDef)
    ]
    assert_none(found, "__init__.py imports at its top level:")


@pytest.mark.parametrize("layer", sorted(set(LAYERS) - set(LAYERS_OF_BLENDER)))
def test_a_layer_can_be_imported_without_what_it_must_not_use(layer):
    """Those that need Blender are tried in tests/blender/test_import_fence.py."""
    try_behind_a_fence(layer)
