"""What editing operators act on, and why their buttons are gray."""

from ...splat_addon.run.wording import counted
from ...splat_addon.scene.editing import target
from ...splat_addon.scene.splats.contents.attributes import points_in
from ..reporting import allows

_STEP_BYTES = {0: 76, 1: 112, 2: 172, 3: 256}  # of one splat, by degree
_WORTH_SAYING = 100e6


def splat_objects_of(context):
    """The selected objects that hold splats, and the active one: the active one first."""
    items = dict.fromkeys([*filter(None, [context.active_object]), *context.selected_objects])
    return target.splats_among(list(items))


class ActsOnActive:
    """What edits the splats of the active object."""

    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        return allows(cls, target.problem(context.active_object))


class ActsOnSelected:
    """What edits the splats of all selected objects."""

    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        items = splat_objects_of(context)
        if not items:
            return allows(cls, "Select splat objects first")
        return allows(cls, next(filter(None, map(target.problem, items)), ""))


def undo_memory(items) -> str:
    """How much memory the undo step of an edit of all attributes takes, where that is worth a word; else empty."""
    size = sum(points_in(item.data) * _STEP_BYTES[_degree(item)] for item in items)
    return f" (Undo keeps {counted(round(size / 1e6))} MB)" if size > _WORTH_SAYING else ""


def _degree(item) -> int:
    return min(target.degree_in(item.data), 3)
