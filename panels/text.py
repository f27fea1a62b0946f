"""Sentences and numbers as panels write them."""

import math

WRAP = 35  # letters that fit into the sidebar at its usual width, beside an icon


def draw_sentence(column, sentence: str, icon: str) -> None:
    """Labels are one line each: a sentence takes several, the first with the icon."""
    for line in wrapped(sentence, WRAP):
        column.label(text=line, icon=icon)
        icon = "BLANK1"


def wrapped(text: str, width: int) -> list[str]:
    """Break a sentence at spaces."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    return lines


def duration(seconds: float) -> str:
    """As "2 h 5 min", "3 min 10 s" or "12 s"."""
    if math.isnan(seconds):
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
