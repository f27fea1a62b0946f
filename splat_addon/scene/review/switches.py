"""What can be switched off while a camera of a capture is looked through: splats, sparse points, and parts of the
images' cover. `looking.end` switches all on again."""

import bpy

from ..photos.photo_capture import PHOTO_KEY, POINTS_KEY
from ..session.redraw import redraw
from ..splats.data import is_splats

_ASIDE_KEY = "splat_set_aside"  # on an object that a switch has hidden: in which view layers, a line each


def has_points(scene: bpy.types.Scene) -> bool:
    """Whether there are sparse points to be switched."""
    return any(POINTS_KEY in item for item in scene.objects)


def _show_splats(scene: bpy.types.Scene) -> None:
    _show([item for item in scene.objects if is_splats(item)], scene, scene.splat.review.show_splats)


def _show_points(scene: bpy.types.Scene) -> None:
    _show([item for item in scene.objects if POINTS_KEY in item], scene, scene.splat.review.show_points)


def _show(items: list[bpy.types.Object], scene: bpy.types.Scene, wanted: bool) -> None:
    """Show what was hidden here, or hide what is visible; what the artist has hidden stays so."""
    for item in items:
        aside = str(item.get(_ASIDE_KEY, "")).splitlines()
        for layer in scene.view_layers:
            if item.name in layer.objects and item.hide_get(view_layer=layer) == wanted:
                if wanted and layer.name in aside:
                    item.hide_set(False, view_layer=layer)
                elif not wanted:
                    aside.append(layer.name)
                    item.hide_set(True, view_layer=layer)
        if wanted:
            item.pop(_ASIDE_KEY, None)
        elif aside:
            item[_ASIDE_KEY] = "\n".join(aside)
    redraw()


def _cover(scene: bpy.types.Scene) -> None:
    """Photos behind cameras cover what is behind them as far as the review's images do."""
    for item in scene.objects:
        if PHOTO_KEY in item and isinstance(item.data, bpy.types.Camera):
            for entry in item.data.background_images:
                if entry.image is not None and PHOTO_KEY in entry.image:
                    entry.alpha = scene.splat.review.opacity
    redraw()


ON_CHANGE = {"review.show_splats": _show_splats, "review.show_points": _show_points, "review.opacity": _cover}
