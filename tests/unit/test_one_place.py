"""What is done in one place only, read from the source: Windows needs care in each of these, and care is easily
forgotten. `dev.py` keeps to it, too; benchmarks and tests need not."""

import ast
from collections.abc import Iterator

import pytest

from support.source_tree import ROOT, SOURCES, assert_none, shown

FILES, LINES = "splat_addon/files.py", "splat_addon/run/lines.py"
PLACE_OF = {
    **dict.fromkeys(("os.replace", "os.rename", "os.renames", "os.remove", "os.unlink"), FILES),
    **dict.fromkeys(("os.rmdir", "os.removedirs", "shutil.rmtree", "shutil.move"), FILES),
    **dict.fromkeys(("sys.stdin", "sys.__stdin__"), LINES),
}
FILES_EMPTIED_OR_MOVED = {"unlink": 0, "rmdir": 0, "rename": 1, "replace": 1}  # methods of paths: positional arguments


def uses_in(tree: ast.AST) -> Iterator[tuple[int, str, str]]:
    """(line, what is used, the file it belongs to) of everything that has its one place."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name = f"{node.value.id}.{node.attr}"
            if name in PLACE_OF:
                yield node.lineno, name, PLACE_OF[name]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                if name in PLACE_OF:
                    yield node.lineno, name, PLACE_OF[name]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            method, is_module = node.func.attr, getattr(node.func.value, "id", "") in ("os", "shutil", "dataclasses")
            is_path = FILES_EMPTIED_OR_MOVED.get(method) == len(node.args)
            options = {keyword.arg for keyword in node.keywords}
            if is_path and not is_module and options <= {"missing_ok"}:  # texts and data-blocks take other arguments
                yield node.lineno, f"a path's {method}", FILES


@pytest.mark.parametrize(
    "code",
    [
        "os.replace(a, b)", "act = os.unlink", "from os import rename", "shutil.rmtree(a, ignore_errors=True)",
        "path.unlink()", "(a / b).unlink(missing_ok=True)", "path.replace(other)", "path.rename(other)", "path.rmdir()",
        "for line in sys.stdin: pass",
    ],
)  # fmt: skip
def test_what_has_its_place_is_found(code):
    assert len(list(uses_in(ast.parse(code)))) == 1


@pytest.mark.parametrize(
    "code", ["text.replace('a', 'b')", "replace(view, camera=camera)", "collection.objects.unlink(item)", "os.sep"]
)
def test_what_only_looks_like_it_is_not(code):
    assert not list(uses_in(ast.parse(code)))


def test_files_are_moved_and_removed_and_standard_input_is_read_in_one_place():
    offenders = []
    for path in (*SOURCES, ROOT / "dev.py"):
        for line, name, place in uses_in(ast.parse(path.read_text(encoding="utf-8"))):
            if shown(path) != place:
                offenders.append(f"{shown(path)}:{line}: {name} belongs to {place}")
    assert_none(offenders, "this is done outside of its one place:")
