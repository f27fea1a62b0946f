"""Whether the copy that is rendered shows what the artist's Blender shows: told there, and compared here.

A copy of the file lacks what lives only in the session that saved it: simulations that were played, what scripts and
add-ons have done since. What can be mended is: simulations are played. All else stops the capture, named with what to
do about it, before anything is rendered; the artist may ask for it again and have it as the copy shows it.
"""

import json

import bpy

from ....errors import CaptureError, some_of
from ....run.folder import write_json
from ....run.render_folder import RenderFolder, RenderPlan
from ...cameras.shots import set_frame
from ..image_settings import rendered_layer
from . import simulations
from .differences import BAKE, KEYFRAME, Differences, compare
from .marks import Mark
from .other_frame import at_frame
from .state import State, read_state

_MOST = 6  # sentences of one message


def tell(folder: RenderFolder, plan: RenderPlan) -> None:
    """In the artist's Blender: write down what the scene shows at the first image's frame. Raises OSError."""
    scene = _scene_of(plan)
    has_cycles = hasattr(bpy.types.Scene, "cycles")
    with at_frame(scene, plan.shots[0].frame):
        state = read_state(scene, rendered_layer(scene), _painted(plan), has_cycles)
    parts = [[*part, mark.exact, mark.firm, mark.sketch] for part, mark in sorted(state.items(), key=lambda it: it[0])]
    write_json(folder.shown_file, {"has_cycles": has_cycles, "parts": parts})


def require(folder: RenderFolder, plan: RenderPlan, scene: bpy.types.Scene) -> list[str]:
    """In the copy, before it is set up: play what must be played, and leave the scene at the first image's frame.

    Returns sentences for the artist. Raises CaptureError when the copy shows something else, and the artist was not
    told so before.
    """
    told = json.loads(folder.shown_file.read_text(encoding="utf-8"))
    mine: State = {tuple(part[:2]): Mark(part[2], part[3], tuple(part[4])) for part in told["parts"]}
    painted, first = _painted(plan), plan.shots[0].frame
    last = max(shot.frame for shot in plan.shots)
    starts = simulations.unbaked(scene)
    animated = [item.name_full for item in scene.objects if item.animation_data and item.animation_data.action]

    def differences() -> Differences:
        state = read_state(scene, rendered_layer(scene), painted, told["has_cycles"])
        return compare(mine, state, set(starts), animated)

    set_frame(scene, first)
    different, notes = differences(), []
    if starts and (different.seen or last > first):
        simulations.play(scene, min(starts.values()), last)
        set_frame(scene, first)
        different = differences()
        if not different.seen:
            notes.append(f"The simulation of {some_of(starts)} was played from frame {min(starts.values())} on.")
    if different.settings:
        notes.append(f"{_UNLIKE}: {_listed(different.settings)}")
    found = different.seen
    if not found:
        folder.forget_told()
        return notes
    if folder.was_told(found):
        return [*notes, f"{_UNLIKE}: {_listed(found)}"]
    folder.remember_told(found)
    then = f"Then {plan.again}."
    remedy = then if all(BAKE in text or KEYFRAME in text for text in found) else _REOPEN.format(plan.again)
    raise CaptureError(f"{_UNLIKE}: {_listed(found)}", remedy)


_UNLIKE = "The copy of the scene that is rendered is not what your Blender shows"
_REOPEN = (
    "Save the file and open it again (File > Revert): that is how it is rendered. Mend it there, "
    "or {} to have it that way."
)


def _listed(texts: list[str]) -> str:
    return " ".join(texts[:_MOST]) + (f" And {len(texts) - _MOST} more." if len(texts) > _MOST else "")


def _scene_of(plan: RenderPlan) -> bpy.types.Scene:
    return next(scene for scene in bpy.data.scenes if scene.name_full == plan.scene)


def _painted(plan: RenderPlan) -> set[str]:
    return {name for name, _ in plan.unsaved_images}
