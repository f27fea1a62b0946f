"""Sentences and facts as panels write them. Labels are one line each and cut what does not fit: text is broken where
the region ends."""

from itertools import zip_longest
from typing import Any

import blf
import bpy

_SIDEBAR = 280  # the usual width, for what is drawn without a region
_BESIDE = 54  # tabs, margins and the scroll bar beside what a panel draws, at an interface scale of 1
_ICON = 22  # before the letters
_PADDING = 8  # around the letters of a label
_NARROWEST = 60
_NAME = 0.4  # of a panel: the names of settings and facts
_UI_FONT = 0


def wrapped(text: str, width: float, size_of=len) -> list[str]:
    """The lines of a sentence, none wider than `width` by `size_of`; it is broken at spaces, and within a word only
    where that is wider than a line."""
    lines = [""]
    for word in text.replace("\n", " ").split(" "):  # not at the spaces within numbers
        if lines[-1] and size_of(f"{lines[-1]} {word}") > width:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
        while len(lines[-1]) > 1 and size_of(lines[-1]) > width:
            fits = next((n for n in range(len(lines[-1]) - 1, 1, -1) if size_of(lines[-1][:n]) <= width), 1)
            lines[-1:] = [lines[-1][:fits], lines[-1][fits:]]
    return lines


def draw_sentence(layout, text: str, icon: str = "NONE") -> None:
    """A sentence over as many labels as it needs, with an icon before the first."""
    column = layout.column(align=True)
    room = _room() - _PADDING - (_ICON if icon != "NONE" else 0)
    for line in wrapped(text, room, _width):
        column.label(text=line, icon=icon)
        icon = "BLANK1" if icon != "NONE" else icon


def draw_fact(layout, name: str, value: str) -> None:
    """A name and what is known about it, aligned with the settings around them, over as many lines as they need."""
    names = wrapped(name, _NAME * _room() - _PADDING, _width)
    values = wrapped(value, (1 - _NAME) * _room() - _PADDING, _width)
    for left, right in zip_longest(names, values, fillvalue=""):
        split = layout.split(factor=_NAME)
        row = split.row()
        row.alignment = "RIGHT"
        row.label(text=left)
        split.label(text=right)


def _room() -> float:
    """How wide a panel's contents are in the region that is drawn, at an interface scale of 1."""
    region = bpy.context.region
    width = region.width / _scale() if region is not None and region.width > 1 else _SIDEBAR
    return max(_NARROWEST, width - _BESIDE)


def _width(text: str) -> float:
    """Of letters as labels draw them, at an interface scale of 1."""
    styles: Any = bpy.context.preferences.ui_styles
    blf.size(_UI_FONT, (styles[0].widget.points if styles else 11.0) * _scale())
    size: Any = blf.dimensions(_UI_FONT, text)
    return size[0] / _scale()


def _scale() -> float:
    return bpy.context.preferences.system.ui_scale or 1.0  # 0 without a window
