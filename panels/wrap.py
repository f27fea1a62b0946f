"""Sentences and times as panels write them. Labels are one line each: sentences are broken at spaces."""

import math

WRAP = 35  # letters that fit into the sidebar at its usual width, beside an icon


def wrapped(text: str, width: int) -> list[str]:
    """The lines of a sentence, each at most `width` letters unless a word is longer."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    return lines


def draw_sentence(layout, text: str, icon: str, width: int) -> None:
    """A sentence over as many labels as it needs, with an icon before the first."""
    column = layout.column(align=True)
    for line in wrapped(text, width):
        column.label(text=line, icon=icon)
        icon = "BLANK1"


def duration(seconds: float) -> str:
    """As "2 h 5 min", "3 min 10 s" or "12 s"; empty when it is not known."""
    if math.isnan(seconds):
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
