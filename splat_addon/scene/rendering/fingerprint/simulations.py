"""Simulations that are not baked: what they move is known only to the Blender that has played them."""

from collections.abc import Iterator
from typing import Any

import bpy


def unbaked(scene: bpy.types.Scene) -> dict[str, int]:
    """The frame from which a simulation that may not be baked is played, by the full name of the object it moves.

    Whether a simulation zone of geometry nodes is baked, Blender does not say: it always counts as not baked.
    """
    starts: dict[str, int] = {}
    world = scene.rigidbody_world
    for item in scene.objects:
        frames = [cache.frame_start for cache in _caches(item) if not cache.is_baked]
        if world is not None and item.rigid_body is not None and not world.point_cache.is_baked:
            frames.append(world.point_cache.frame_start)
        if any(modifier.type == "NODES" and _has_zone(modifier.node_group, set()) for modifier in item.modifiers):
            frames.append(scene.frame_start)
        if frames:
            starts[item.name_full] = min(frames)
    return starts


def play(scene: bpy.types.Scene, first: int, last: float) -> None:
    """Go through all frames from `first` to `last`, one after the other, as playing the timeline does."""
    for frame in range(first, int(last // 1) + 1):
        scene.frame_set(frame)
    scene.frame_set(int(last // 1), subframe=last % 1)


def _caches(item: bpy.types.Object) -> Iterator[Any]:
    modifier: Any
    for modifier in item.modifiers:
        if modifier.type in ("CLOTH", "SOFT_BODY"):
            yield modifier.point_cache
        elif modifier.type == "DYNAMIC_PAINT" and modifier.canvas_settings is not None:
            for surface in modifier.canvas_settings.canvas_surfaces:
                yield surface.point_cache
        elif modifier.type == "PARTICLE_SYSTEM":
            system = modifier.particle_system
            if system.settings.type == "EMITTER" or system.use_hair_dynamics:
                yield system.point_cache


def _has_zone(group: Any, seen: set[str]) -> bool:
    """Whether a node group, or one inside of it, holds a simulation zone."""
    if group is None or group.name_full in seen:
        return False
    seen.add(group.name_full)
    return any(
        node.type == "SIMULATION_OUTPUT" or _has_zone(getattr(node, "node_tree", None), seen) for node in group.nodes
    )
