"""The extension's own source as tests of its structure see it: its files, and what they import from each other."""

import ast
import functools
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]


class Import(NamedTuple):
    """One imported name: where, how many dots, and the dotted parts behind them."""

    line: int
    level: int
    parts: tuple[str, ...]


def assert_none(offenders: list[str], rule: str) -> None:
    """Fail with every offender on a line of its own below the rule."""
    if offenders:
        pytest.fail("\n  ".join([rule, *offenders]), pytrace=False)


def _source_files() -> list[Path]:
    found = [ROOT / "__init__.py"]
    for folder in ("splat_addon", "operators", "panels"):
        found += sorted((ROOT / folder).rglob("*.py"))
    return found


def _is_shipped(path: Path) -> bool:
    """Whether the manifest leaves a file in the zip, as far as whole folders are concerned."""
    manifest = tomllib.loads((ROOT / "blender_manifest.toml").read_text(encoding="utf-8"))
    left_out = [pattern for pattern in manifest["build"]["paths_exclude_pattern"] if pattern.startswith("/")]
    return not any(f"/{shown(path)}".startswith(pattern) for pattern in left_out if pattern.endswith("/"))


def name_of(path: Path) -> tuple[str, ...]:
    """The parts of a module's name below the extension's root."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def docstring_of(path: Path) -> str:
    return ast.get_docstring(_tree(path)) or ""


def is_docstring_only(path: Path) -> bool:
    """Whether a file is empty or only explains, as the `__init__.py` of a room does."""
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in _tree(path).body)


def texts_of(path: Path) -> Iterator[str]:
    """Every text in a file, also the fixed parts of f-strings."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@functools.cache
def imports_of(path: Path) -> tuple[Import, ...]:
    """Everything a file imports, also inside functions."""
    found = []
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            found += [Import(node.lineno, 0, tuple(alias.name.split("."))) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = (node.module or "").split(".")
            found += [Import(node.lineno, node.level, (*module, alias.name)) for alias in node.names]
    return tuple(found)


def own_imports(path: Path) -> Iterator[tuple[int, tuple[str, ...]]]:
    """(line, name below the root) of every relative import; the extension's own name, `__package__`, is left out."""
    name = name_of(path)
    package = name if path.name == "__init__.py" else name[:-1]
    for line, level, parts in imports_of(path):
        if level:
            assert level - 1 <= len(package), f"{shown(path)}:{line} imports from above the extension"
            target = (*package[: len(package) - level + 1], *filter(None, parts))
            if target != ("__package__",):
                yield line, target


def third_party_imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, top-level package) of every absolute import from outside the standard library."""
    for line, level, parts in imports_of(path):
        if level == 0 and parts[0] not in sys.stdlib_module_names:
            yield line, parts[0]


@functools.cache
def file_of(target: tuple[str, ...]) -> Path:
    """The file that an imported name comes from: a module, or the module or package that holds the name."""
    for name in (target, target[:-1]):
        module = ROOT.joinpath(*name).with_suffix(".py") if name else ROOT / "__init__.py"
        for path in (module, ROOT.joinpath(*name, "__init__.py")):
            if path.is_file():
                return path
    raise AssertionError(f"{'.'.join(target)} is imported, and there is no such module")


@functools.cache
def files_imported_by(path: Path) -> dict[Path, int]:
    """The files of the extension that a file imports, each with the line of its first import. Packages that only
    explain themselves do not count."""
    found: dict[Path, int] = {}
    for line, target in own_imports(path):
        file = file_of(target)
        if file != path and not is_docstring_only(file):
            found.setdefault(file, line)
    return found


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


SOURCES = _source_files()
SHIPPED = [path for path in SOURCES if _is_shipped(path)]
