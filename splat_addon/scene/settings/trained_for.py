"""What an object's splats were trained for: its blend space, shown as *Trained For*, and whether they are antialiased.

Custom properties are the one truth, since files of every version have them; settings read and write those.
"""

from typing import Any

BLEND_SPACE_KEY = "splat_blend_space"  # of an object: "display" or "blender"
ANTIALIASED_KEY = "splat_antialiased"  # of an object: whether opacities make up for the dilation; missing: they do not
TRAINED_FOR = [
    (
        "DISPLAY",
        "Trainer Look",
        "Colors were blended as displayed, as most trainers do: photographs, and files of other programs",
    ),
    ("BLENDER", "Scene Light", "Colors were blended in linear light: a capture of a scene, trained here"),
]
_NAMES = [identifier.lower() for identifier, _, _ in TRAINED_FOR]


def shown_blend_space(item: Any) -> int:
    """The number of the choice that an object's property makes; the first where it has none."""
    stored = item.get(BLEND_SPACE_KEY)
    return _NAMES.index(stored) if stored in _NAMES else 0


def choose_blend_space(item: Any, number: int) -> None:
    """Write the choice with that number to the object."""
    item[BLEND_SPACE_KEY] = _NAMES[number]


def is_antialiased(item: Any) -> bool:
    """Whether an object's splats were trained antialiased."""
    return bool(item.get(ANTIALIASED_KEY, False))


def set_antialiased(item: Any, wanted: bool) -> None:
    """Write it to the object."""
    item[ANTIALIASED_KEY] = bool(wanted)
