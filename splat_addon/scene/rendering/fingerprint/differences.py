"""What two states of a scene say of each other, in words."""

from collections.abc import Collection
from dataclasses import dataclass

from ....errors import some_of
from .state import State

_OF_OBJECTS = {
    "shape": "has another shape",
    "place": "stands elsewhere",
    "copies": "has other instances",
    "settings": "has other settings",
    "hair": "has other hair",
}
_KINDS = {
    "World": "The world",
    "Image": "The image",
    "PointLight": "The light",
    "SunLight": "The light",
    "SpotLight": "The light",
    "AreaLight": "The light",
    "ParticleSettings": "The particle settings",
    "GeometryNodeTree": "The node group",
    "ShaderNodeTree": "The node group",
}
_SETTINGS = {"setting", "settings", "ParticleSettings", "GeometryNodeTree"}
BAKE = "has a simulation that is not baked: bake it"
KEYFRAME = "is animated, and was moved without a keyframe: insert one, or go to its frame again"


@dataclass(frozen=True)
class Differences:
    """Sentences about what two states of a scene do not have in common."""

    seen: list[str]  # what a render shows
    settings: list[str]  # what shows only if it is used: a setting of a modifier, of particles, of the render


def compare(mine: State, copy: State, simulated: set[str], animated: Collection[str] = ()) -> Differences:
    """A sentence for everything that differs, with its remedy where that is known; `simulated` are the objects with a
    simulation that may not be baked, `animated` those whose animation a render follows."""
    both = mine.keys() & copy.keys()
    one = {part for part in mine.keys() ^ copy.keys() if part[0] not in _SETTINGS}
    parts = {part for part in both if not mine[part].is_like(copy[part])} | one
    by_name: dict[tuple[str, str], list[str]] = {}
    for aspect, name in sorted(parts, key=lambda part: part[::-1]):
        by_name.setdefault((name, "" if aspect in _OF_OBJECTS else aspect), []).append(aspect)
    found = Differences([], [])
    for (name, _), aspects in by_name.items():
        texts = found.settings if set(aspects) <= _SETTINGS else found.seen
        texts.append(_sentence(name, aspects, mine, copy, simulated, animated))
    return found


def _sentence(
    name: str, aspects: list[str], mine: State, copy: State, simulated: set[str], animated: Collection[str]
) -> str:
    aspect = aspects[0]
    if aspect == "setting":
        return f"The setting '{name}' is another one."
    if aspect not in _OF_OBJECTS:
        kind = _KINDS.get(aspect, f"The {aspect.lower().removesuffix('s')}")
        remedy = ": save it, or pack it into the file" if aspect == "Image" else ""
        if (aspect, name) not in copy:
            return f"{kind} '{name}' is not used there."
        if (aspect, name) not in mine:
            return f"{kind} '{name}' is used only there."
        return f"{kind} '{name}' is different{remedy}."
    if name in simulated and set(aspects) & {"shape", "place", "copies", "hair"}:
        return f"'{name}' {BAKE}."
    known = [{part for part in _OF_OBJECTS if (part, name) in state} for state in (mine, copy)]
    if not known[1]:
        return f"'{name}' is missing."
    if not known[0]:
        return f"'{name}' is there, but not in your scene."
    if aspects == ["place"] and name in animated:
        return f"'{name}' {KEYFRAME}."
    return f"'{name}' {some_of([_OF_OBJECTS[aspect] for aspect in aspects])}."
