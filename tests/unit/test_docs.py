"""The documentation: its links lead somewhere, its names are those of the interface, its settings those of the code."""

import ast
import functools
import re
from dataclasses import fields
from pathlib import Path

import pytest

from splat_addon.run.config import PRESETS, TrainConfig, label

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
ELSEWHERE = ("capture", "seeds")  # the settings that other panels hold
INTERFACE = ("operators", "panels", "splat_addon/scene")
SHIPPED = ("operators", "panels", "splat_addon")
HOLE = "…"  # in a message of the pages: what differs from case to case
CHOICES = {"cpu": "CPU", "cuda": "CUDA", "mcmc": "MCMC"}
_CODE = re.compile(r"```.*?```|`[^`]*`", re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_BOLD = re.compile(r"\*\*(.+?)\*\*", re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_image_of_a_page_exists(page):
    for target in _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.is_relative_to(ROOT) and file.is_file(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors_of(file), f"{page.name} links to {target}; there is no such heading"


def test_the_index_lists_every_page():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert {page.name for page in PAGES if page.parent.name == "docs"} - {"README.md"} == {
        target for target in _LINK.findall(index) if "/" not in target
    }


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name == "docs"], ids=lambda page: page.name)
def test_every_bold_name_of_a_page_is_in_the_interface(page):
    text = _CODE.sub("", page.read_text(encoding="utf-8"))
    bold = {" ".join(name.split()) for name in _BOLD.findall(text)}
    headings = {name for name in bold if name.endswith(".")}  # within a paragraph
    assert not bold - headings - names_in_the_interface()


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name == "docs"], ids=lambda page: page.name)
def test_every_message_of_a_page_is_one_that_the_code_can_give(page):
    said = texts_of_the_code()
    for message in messages_of(page):
        parts = [part.strip(" .:;,") for part in message.split(HOLE)]
        unknown = [part for part in parts if not any(part in text for text in said)]
        assert not unknown, f"docs/{page.name}: '{message}'"


def test_the_training_page_has_every_setting_under_its_heading_with_its_default_and_range():
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    sections = {part.partition("\n")[0]: part for part in page.split("\n### ")}
    for spec in fields(TrainConfig):
        if spec.name not in ELSEWHERE:
            group = spec.metadata["group"] or "In the panel"
            assert row_of(spec) in sections[group], f"docs/training.md lacks under '{group}': {row_of(spec)} …"


def test_the_training_page_lists_no_setting_that_is_gone():
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    options = {option_of(spec) for spec in fields(TrainConfig) if spec.name not in ELSEWHERE}
    assert set(re.findall(r"\| `(--[a-z-]+)` \|", page)) == options


def test_the_training_page_has_every_preset():
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    for name, values in PRESETS.items():
        row = f"| **{name.title()}** | {counted(values['iterations'])} | {counted(values['max_resolution'])} px |"
        assert len(values) == 2 and row in page, f"docs/training.md lacks: {row} …"


def messages_of(page: Path) -> list[str]:
    """The first column of the tables of messages; alternatives are divided by a slash."""
    tables = re.findall(r"^\| message \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    rows = [row.split("|")[1].strip() for table in tables for row in table.splitlines()]
    return [message for row in rows for message in row.split(" / ")]


@functools.cache
def texts_of_the_code() -> tuple[str, ...]:
    """Every text in the shipped code, with holes where values are put in."""
    said = []
    for file in (file for folder in SHIPPED for file in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                said.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                said.append(
                    "".join(
                        getattr(part, "value", HOLE) if isinstance(part, ast.Constant) else HOLE for part in node.values
                    )
                )
    return tuple(said)


def row_of(spec) -> str:
    """The first four columns of a setting's row in docs/training.md."""
    metadata, default = spec.metadata, spec.default
    if metadata["choices"]:
        values = ", ".join(map(choice_name, metadata["choices"]))
        shown = choice_name(default)
    elif spec.type is bool:
        values, shown = "on, off", "on" if default else "off"
    elif spec.type is str:
        values, shown = "a folder" if metadata["is_folder"] else "a file", default or "empty"
    else:
        values, shown = f"{counted(metadata['low'])} … {counted(metadata['high'])}", counted(default)
    unit = f" {metadata['unit']}" if metadata["unit"] else ""
    return f"| **{label(spec)}** | {shown}{unit} | {values} | `{option_of(spec)}` |"


def option_of(spec) -> str:
    return "--" + spec.name.replace("_", "-")


def choice_name(choice: str) -> str:
    return CHOICES.get(choice, choice.title())


def counted(number: float) -> str:
    """As in the tables: "30 000", "0.0003"."""
    return f"{number:,}".replace(",", " ") if isinstance(number, int) else f"{number:g}"


def anchors_of(page: Path) -> set[str]:
    """What GitHub calls the headings of a page in links."""
    headings = _HEADING.findall(re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL))
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}


@functools.cache
def names_in_the_interface() -> frozenset[str]:
    """Every text of the code that draws or registers the interface, and the names made from settings."""
    known = {label(spec) for spec in fields(TrainConfig)} | {name.title() for name in (*PRESETS, "custom")}
    known |= {choice_name(choice) for spec in fields(TrainConfig) for choice in spec.metadata["choices"]}
    for folder in INTERFACE:
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    known.add(node.value.strip())
    return frozenset(known)
