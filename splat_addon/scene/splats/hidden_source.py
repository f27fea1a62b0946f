"""The source of a capture: what the scene renders apart from splats. It can be hidden and put back.

It is hidden as by the outliner's eye, in one view layer; renders, captures and other view layers are not affected. What
was hidden is remembered in the scene, object by object, so that what the artist had hidden stays hidden.
"""

import bpy

from ..settings.scene import SPLAT_PG_hidden_source
from .data import is_splats

_SURFACES = ("MESH", "CURVE", "SURFACE", "META", "FONT", "VOLUME", "CURVES", "POINTCLOUD", "GPENCIL", "GREASEPENCIL")


def objects_of(layer: bpy.types.ViewLayer) -> list[bpy.types.Object]:
    """What a render of the view layer shows: surfaces and instances, never cameras, lights or splats."""
    return [item for item in rendered_objects(layer) if has_surface(item)]


def rendered_objects(layer: bpy.types.ViewLayer) -> list[bpy.types.Object]:
    """The objects of a view layer that are enabled in renders, whatever they are."""
    rendered = _rendered_in(layer.layer_collection)
    return [item for item in layer.objects if item in rendered and not item.hide_render]


def is_visible(layer: bpy.types.ViewLayer) -> bool:
    """Whether the viewport shows any of it. For panels: ends at the first one found."""
    return any(
        not item.hide_render and has_surface(item) and item.visible_get(view_layer=layer) for item in layer.objects
    )


def is_hidden(scene: bpy.types.Scene, layer: bpy.types.ViewLayer) -> bool:
    """Whether `show` would put anything back."""
    return any(_waits(entry, scene, layer) for entry in scene.splat.hidden_source)


def hidden(scene: bpy.types.Scene, layer: bpy.types.ViewLayer) -> list[bpy.types.Object]:
    """What `hide` has hidden in the view layer, and is hidden still."""
    return [entry.item for entry in scene.splat.hidden_source if _waits(entry, scene, layer)]


def hide(scene: bpy.types.Scene, layer: bpy.types.ViewLayer) -> int:
    """Hide the source in the viewport; returns how many objects that are."""
    found = [item for item in objects_of(layer) if item.visible_get(view_layer=layer)]
    for item in found:
        item.hide_set(True, view_layer=layer)
        entry = scene.splat.hidden_source.add()
        entry.item, entry.layer = item, layer.name
    return len(found)


def show(scene: bpy.types.Scene, layer: bpy.types.ViewLayer) -> int:
    """Put back what `hide` has hidden; returns how many objects that are."""
    found = hidden(scene, layer)
    for item in found:
        item.hide_set(False, view_layer=layer)
    entries = scene.splat.hidden_source
    for index in reversed(range(len(entries))):
        if entries[index].item is None or _is_of(entries[index], scene, layer):
            entries.remove(index)
    return len(found)


def _waits(entry: SPLAT_PG_hidden_source, scene: bpy.types.Scene, layer: bpy.types.ViewLayer) -> bool:
    """Whether an object that is still in the view layer is still hidden there."""
    return entry.item is not None and _is_of(entry, scene, layer) and entry.item.hide_get(view_layer=layer)


def _is_of(entry: SPLAT_PG_hidden_source, scene: bpy.types.Scene, layer: bpy.types.ViewLayer) -> bool:
    return entry.layer == layer.name or entry.layer not in scene.view_layers  # it was renamed


def has_surface(item: bpy.types.Object) -> bool:
    """Whether renders show something of an object that is not splats."""
    if item.type == "EMPTY":
        return item.instance_type == "COLLECTION" and item.instance_collection is not None
    return item.type in _SURFACES and not is_splats(item)


def _rendered_in(top: bpy.types.LayerCollection) -> set[bpy.types.Object]:
    """What lies in collections that renders show."""
    if top.exclude or top.collection.hide_render:
        return set()
    return set(top.collection.objects).union(*map(_rendered_in, top.children))
