"""Looking at another frame of the artist's scene, and coming back to what was there: edits without a keyframe, too.

Whoever goes to a frame gets what is keyed there, and so loses what was posed or set by hand since. So animated
properties are noted before, and those that came back with other values are set again.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import bpy

from ...cameras.shots import set_frame

_KEY = re.compile(r'^(.*)\["((?:[^"\\]|\\.)*)"\]$', re.DOTALL)  # of a path to a property of the artist's own


@contextmanager
def at_frame(scene: bpy.types.Scene, frame: float) -> Iterator[None]:
    """The scene at `frame`; afterwards it is where it was, as it was."""
    before = scene.frame_current_final
    if frame == before:
        yield
        return
    values = [(place, place.value()) for block in _blocks() for place in _animated(block)]
    try:
        set_frame(scene, frame)
        yield
    finally:
        set_frame(scene, before)
        lost = [(place, value) for place, value in values if place.value() != value]
        for place, value in lost:
            place.put(value)
        if lost:
            bpy.context.view_layer.update()


class _Place:
    """One animated number or choice: `index` of a property of `owner`, or of its own property `key`."""

    def __init__(self, owner: Any, name: str, is_key: bool, index: int):
        self._owner, self._name, self._is_key = owner, name, is_key
        found = self._get()
        self._index = index if hasattr(found, "__setitem__") else None

    def _get(self) -> Any:
        return self._owner[self._name] if self._is_key else getattr(self._owner, self._name)

    def value(self) -> Any:
        """What it is now."""
        found = self._get()
        return found if self._index is None else found[self._index]

    def put(self, value: Any) -> None:
        """Set it."""
        if self._index is not None:
            self._get()[self._index] = value
        elif self._is_key:
            self._owner[self._name] = value
        else:
            setattr(self._owner, self._name, value)


def _blocks() -> Iterator[Any]:
    """All data-blocks that can be edited and have an animation, those inside of others included."""
    for block in bpy.data.user_map():  # type: ignore[call-arg] # all are optional
        if block.library is not None:
            continue
        for each in (block, getattr(block, "node_tree", None)):
            if getattr(each, "animation_data", None) is not None:
                yield each


def _animated(block: Any) -> Iterator[_Place]:
    animation = block.animation_data
    users = [animation, *(strip for track in animation.nla_tracks for strip in track.strips)]
    seen = set()
    for user in users:
        for curve in _curves(user):
            key = (curve.data_path, curve.array_index)
            place = None if key in seen else _place(block, *key)
            seen.add(key)
            if place is not None:
                yield place


def _curves(user: Any) -> Iterator[Any]:
    """The curves of an action, of the slot that is used where Blender has slots (4.4)."""
    action = user.action
    if action is None:
        return
    slot = getattr(user, "action_slot", None)
    if slot is None:
        yield from getattr(action, "fcurves", ())
        return
    for layer in action.layers:
        for strip in layer.strips:
            bag = strip.channelbag(slot)
            yield from bag.fcurves if bag is not None else ()


def _place(block: Any, path: str, index: int) -> _Place | None:
    """Where a curve puts its values; None when that is nowhere."""
    key = _KEY.match(path)
    owner, name = (key[1], re.sub(r"\\(.)", r"\1", key[2])) if key else path.rpartition(".")[::2]
    try:
        return _Place(block.path_resolve(owner) if owner else block, name, key is not None, index)
    except (ValueError, AttributeError, KeyError, TypeError):
        return None
