"""Whether the splats of an object can be edited: one sentence says why not, before anything is changed."""

from collections.abc import Sequence

import bpy

from ...errors import SceneError, some_of
from ..own_data import is_local
from ..splats.contents import attributes
from ..splats.contents.attributes import points_in
from ..splats.data import is_splats


def problem(item: bpy.types.Object | None) -> str:
    """Why an object's splats cannot be edited, as a gray button says it; empty when they can."""
    if item is None or not is_splats(item):
        return "Make a splat object active first"
    return problem_with_splats(item)


def problem_with_splats(item: bpy.types.Object) -> str:
    """The same for an object that holds splats."""
    if not (is_local(item) and is_local(item.data)):
        return "Linked splats cannot be changed: Object > Relations > Make Local first"
    if problem_with_joined(item):
        return problem_with_joined(item)
    others = users_of(item.data) - 1
    if others > 0:
        return "Other objects use these splats, too: Object > Relations > Make Single User > Object & Data first"
    return ""


def problem_with_joined(item: bpy.types.Object) -> str:
    """Why splats cannot become part of another object; other users of them do not matter for that."""
    if not is_local(item):
        return "Linked objects cannot be removed: Object > Relations > Make Local first"
    if item.mode != "OBJECT":
        return "Switch to Object Mode first"
    return "There are no splats in it" if points_in(item.data) == 0 else ""


def users_of(data: bpy.types.ID) -> int:
    """How many objects use a data-block; a fake user is none."""
    return data.users - int(data.use_fake_user)


def require_editable(items: Sequence[bpy.types.Object]) -> None:
    """Raise SceneError where one of the objects cannot be edited."""
    wrong = [(item, problem(item)) for item in items if problem(item)]
    if wrong:
        item, sentence = wrong[0]
        what, remedy = sentence.split(": ", 1) if ": " in sentence else (sentence, "")
        others = f" Nor can {some_of([other.name for other, _ in wrong[1:]])}." if len(wrong) > 1 else ""
        raise SceneError(f"'{item.name}': {what[0].lower()}{what[1:]}.{others}", f"{remedy}." if remedy else "")


def splats_among(items: Sequence[bpy.types.Object]) -> list[bpy.types.Object]:
    """Those that hold splats."""
    return [item for item in items if is_splats(item)]


def degree_in(data: bpy.types.ID) -> int:
    """The degree of the harmonics of splats."""
    return attributes.degree_for(attributes.harmonics_in(data))
