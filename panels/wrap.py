"""Sentences and facts as panels write them. Labels are one line each: sentences are broken at spaces."""

WRAP = 35  # letters that fit into the sidebar at its usual width, next to an icon
WRAP_FACT = 22  # that fit next to the name of a fact


def wrapped(text: str, width: int) -> list[str]:
    """The lines of a sentence, each at most `width` letters unless a word is longer."""
    lines = [""]
    for word in text.replace("\n", " ").split(" "):  # not at the spaces within numbers
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


def draw_fact(layout, name: str, value: str) -> None:
    """A name and what is known about it, aligned with the settings around them."""
    split = layout.split(factor=0.4)
    left = split.row()
    left.alignment = "RIGHT"
    left.label(text=name)
    split.label(text=value)


def draw_long_fact(layout, name: str, value: str) -> None:
    """The same over as many lines as the value needs."""
    for line in wrapped(value, WRAP_FACT):
        draw_fact(layout, name, line)
        name = ""
