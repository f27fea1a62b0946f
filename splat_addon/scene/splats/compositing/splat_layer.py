"""A view layer for the splats alone, so that Trainer Look and everything else can be in one image.

Trainer Look blends display colors, everything else is light: one view transform cannot show both. So splats are
rendered in a view layer of their own, where all else only cuts out what it hides, and everything else in a copy of the
artist's view layer, which itself is not rendered meanwhile. The compositor blends them as trainers do.
"""

import json
from collections.abc import Iterator
from typing import Any

import bpy

from ...own_data import ensure_collection
from .. import hidden_source
from ..data import COLLECTION, is_splats
from . import nodes

SPLATS, REST = "Splats Alone", "Without Splats"  # the view layers
OTHERS = "Beside Splats"  # the collection of what lay in none
_KEY = "splat_layer"  # of the scene: what was there before


def is_there(scene: bpy.types.Scene) -> bool:
    """Whether the splats of the scene are rendered in a view layer of their own."""
    return _KEY in scene and SPLATS in scene.view_layers


def others(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """What renders of the scene show besides splats."""
    layers = [layer for layer in scene.view_layers if layer.use]
    found = [item for layer in layers for item in hidden_source.objects_of(layer)]
    return list(dict.fromkeys(found))


def make(scene: bpy.types.Scene, view_layer: bpy.types.ViewLayer) -> None:
    """Render the splats of a scene in a view layer of their own, and `view_layer`, the artist's, without them."""
    _set_apart(scene, view_layer)
    _gather_others(scene)
    before = {"layer": view_layer.name, "use": view_layer.use, "film": scene.render.film_transparent}
    before["compositing"] = scene.render.use_compositing
    before["nodes"] = nodes.tree_of(scene) is not None
    nodes.tree_of(scene, is_wanted=True)
    rest, alone = scene.view_layers.new(REST), scene.view_layers.new(SPLATS)
    _copy(view_layer, rest)
    for layer in (rest, alone):
        _copy_collections(view_layer.layer_collection, layer.layer_collection)
    for place in _places(rest.layer_collection):
        place.exclude = place.exclude or _has_only_splats(place.collection)
    for place in _places(alone.layer_collection):
        if not place.exclude:
            place.holdout = not _has_only_splats(place.collection)
    view_layer.use = False
    rest.use_pass_environment = True
    before["own nodes"] = [node.name for node in nodes.render_layers(scene) if node.layer == view_layer.name]
    for node in nodes.render_layers(scene):
        if node.layer == view_layer.name:
            node.layer = rest.name
    nodes.lay_over(scene, rest.name, alone.name, is_sky_kept=not scene.render.film_transparent)
    scene.render.film_transparent = scene.render.use_compositing = True
    scene[_KEY] = json.dumps(before)


def remove(scene: bpy.types.Scene) -> None:
    """Undo `make`, as far as its view layers and nodes are still there."""
    before = json.loads(str(scene.get(_KEY, "{}")))
    nodes.remove(scene)
    for node in nodes.render_layers(scene):
        if node.name in before.get("own nodes", ()):
            node.layer = before["layer"]
    for name in (REST, SPLATS):
        layer = scene.view_layers.get(name)
        if layer is not None and len(scene.view_layers) > 1:
            scene.view_layers.remove(layer)
    own = scene.view_layers.get(before.get("layer", ""))
    if own is not None:
        own.use = before["use"]
    if before:
        scene.render.film_transparent, scene.render.use_compositing = before["film"], before["compositing"]
        if not before["nodes"]:
            nodes.forget_tree(scene)
        del scene[_KEY]
        _scatter_others(scene)


def _set_apart(scene: bpy.types.Scene, view_layer: bpy.types.ViewLayer) -> None:
    """Let splats share no collection with other things: view layers choose by collections."""
    for item in [item for item in scene.objects if is_splats(item)]:
        mixed = [place for place in item.users_collection if not _has_only_splats(place)]
        if not mixed:
            continue
        own = ensure_collection(scene, COLLECTION, view_layer)
        if own in mixed:
            own = bpy.data.collections.new(COLLECTION)
            scene.collection.children.link(own)
        if item.name not in own.objects:
            own.objects.link(item)
        for place in mixed:
            place.objects.unlink(item)


def _gather_others(scene: bpy.types.Scene) -> None:
    """Put what lies in no collection but the scene's own into one: that of the scene can hold nothing out."""
    loose = [item for item in scene.collection.objects if hidden_source.has_surface(item)]
    if loose:
        others = bpy.data.collections.new(OTHERS)
        scene.collection.children.link(others)
        for item in loose:
            others.objects.link(item)
            scene.collection.objects.unlink(item)


def _scatter_others(scene: bpy.types.Scene) -> None:
    """Undo `_gather_others`."""
    others = scene.collection.children.get(OTHERS)
    if others is not None:
        for item in list(others.objects):
            scene.collection.objects.link(item)
        bpy.data.collections.remove(others)


def _has_only_splats(collection: bpy.types.Collection) -> bool:
    """Whether a collection has splats, and nothing that renders besides."""
    items = list(collection.all_objects)
    return any(map(is_splats, items)) and not any(map(hidden_source.has_surface, items))


def _places(top: bpy.types.LayerCollection) -> Iterator[bpy.types.LayerCollection]:
    yield top
    for place in top.children:
        yield from _places(place)


def _copy(source: Any, target: Any) -> None:
    """All settings of a view layer, those of engines included."""
    for name, kind in source.bl_rna.properties.items():
        value = getattr(source, name)
        if kind.type == "POINTER" and name in ("cycles", "eevee"):
            _copy(value, target.path_resolve(name))
        elif not kind.is_readonly and name != "name" and kind.type != "COLLECTION":
            setattr(target, name, value)


def _copy_collections(source: bpy.types.LayerCollection, target: bpy.types.LayerCollection) -> None:
    for name in ("exclude", "holdout", "indirect_only", "hide_viewport"):
        if getattr(target, name) != getattr(source, name):
            setattr(target, name, getattr(source, name))
    for place in source.children:
        other = target.children.get(place.name)
        if other is not None:
            _copy_collections(place, other)
