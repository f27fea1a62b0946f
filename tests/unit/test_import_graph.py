"""The shape of the tree: no circle between files or rooms, rooms and files of a size to read, and maps that are true.

A room is a folder, without the folders below it. Each test names all that break a rule.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from support.source_tree import ROOT, SHIPPED, assert_none, docstring_of, files_imported_by, shown

FILES_IN_A_ROOM = 16
LINES_IN_A_FILE = 400
REASON = "on purpose"  # in the first line of a longer file's docstring, before or after the reason itself
MAPS = ("splat_addon/scene", "splat_addon/trainer/backend")  # whose __init__.py lists what is in the room


def circles(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Groups of nodes that can all be reached from each other, largest first (Tarjan 1972)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    open_nodes: list[str] = []
    found = []

    def visit(node: str) -> None:
        order[node] = lowest[node] = len(order)
        open_nodes.append(node)
        for target in graph.get(node, ()):
            if target not in order:
                visit(target)
            if target in open_nodes:
                lowest[node] = min(lowest[node], lowest[target])
        if lowest[node] == order[node]:
            group = open_nodes[open_nodes.index(node) :]
            del open_nodes[-len(group) :]
            if len(group) > 1:
                found.append(sorted(group))

    for node in graph:
        if node not in order:
            visit(node)
    return sorted(found, key=len, reverse=True)


def room_of(path: Path) -> str:
    return shown(path.parent) + "/" if path.parent != ROOT else "(root)"


def is_one_wing(room: str, other: str) -> bool:
    """Whether one of two rooms lies within the other: between a folder and what is below it, files decide."""
    return room.startswith(other) or other.startswith(room)


def test_circles_are_found():
    assert circles({"a": "b", "b": "cd", "c": "a", "d": "e", "e": "d", "f": "a"}) == [["a", "b", "c"], ["d", "e"]]
    assert circles({"a": "bc", "b": "c", "c": ""}) == []


def test_no_files_import_each_other_in_a_circle():
    graph = {shown(path): [shown(file) for file in files_imported_by(path)] for path in SHIPPED}
    offenders = []
    for group in circles(graph):
        offenders.append("circle of " + ", ".join(group))
        for path in (ROOT / name for name in group):
            for file, line in files_imported_by(path).items():
                if shown(file) in group:
                    offenders.append(f"    {shown(path)}:{line} imports {shown(file)}")
    assert_none(offenders, "files import each other:")


def test_every_arrow_between_rooms_points_down():
    arrows: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path in SHIPPED:
        for file, line in files_imported_by(path).items():
            if not is_one_wing(room_of(path), room_of(file)):
                arrows[room_of(path), room_of(file)].append(f"{shown(path)}:{line} imports {shown(file)}")
    graph: dict[str, list[str]] = defaultdict(list)
    for source, target in sorted(arrows):
        graph[source].append(target)
    offenders = []
    for group in circles(graph):
        offenders.append("circle of " + ", ".join(group))
        for (source, target), examples in sorted(arrows.items()):
            if source in group and target in group:
                more = f" and {len(examples) - 2} more" if len(examples) > 2 else ""
                offenders.append(f"    {source} -> {target}: {'; '.join(examples[:2])}{more}")
    assert_none(offenders, "rooms import each other:")


def test_a_room_is_small_enough_to_be_looked_through():
    counts = Counter(room_of(path) for path in SHIPPED)
    offenders = [f"{room}: {count} files" for room, count in counts.items() if count > FILES_IN_A_ROOM]
    assert_none(sorted(offenders), f"a room of more than {FILES_IN_A_ROOM} files is two:")


def test_a_long_file_says_why_it_is_one_file():
    offenders = []
    for path in (*SHIPPED, ROOT / "dev.py"):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > LINES_IN_A_FILE and REASON not in docstring_of(path).partition("\n")[0]:
            offenders.append(f"{shown(path)}: {lines} lines")
    rule = f"a file of more than {LINES_IN_A_FILE} lines is split, or its docstring's first line says '… {REASON}: …':"
    assert_none(offenders, rule)


@pytest.mark.parametrize("room", MAPS)
def test_the_map_of_a_room_lists_what_is_there(room):
    """One per line in the docstring of its __init__.py: `name/   what it is`, `name.py   what it is`."""
    folder = ROOT / room
    listed = re.findall(r"^\s*(\w+(?:/|\.py))\s{2,}\S", docstring_of(folder / "__init__.py"), re.MULTILINE)
    there = {path.name for path in folder.glob("*.py")} - {"__init__.py"}
    there |= {path.parent.name + "/" for path in folder.glob("*/*.py")}
    offenders = [f"{name} is not in the map" for name in sorted(there - set(listed))]
    offenders += [f"{name} is in the map, but not there" for name in sorted(set(listed) - there)]
    offenders += [f"{name} is in the map {count} times" for name, count in Counter(listed).items() if count > 1]
    assert_none(offenders, f"{room}/__init__.py:")
