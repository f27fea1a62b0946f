"""What the viewport's draw handler paints, offscreen, in a Blender that draws in background (5.2)."""

import numpy as np


def draw(drawing, items, view, look, picture=None, depth=None) -> np.ndarray:
    """(H, W, 4) first row on top, premultiplied, of splat objects from a Viewpoint with a Look.

    `drawing` is the module `viewport.picture`; `depth` (H, W) is the scene's, 0 near to 1 far.
    """
    blocks = {item.data.session_uid: item.data for item in items}
    placed = [
        drawing.Placed(item.data.session_uid, np.array(item.matrix_world), item.splat.antialiased) for item in items
    ]
    picture = picture or drawing.Picture()
    if depth is not None:
        depth = drawing.make_texture(depth[::-1], view.width_px, view.height_px, "R32F")
    picture.paint(drawing.Atlas(blocks), blocks, placed, view, look, depth)
    return pixels(picture.texture)


def pixels(texture) -> np.ndarray:
    """(H, W, 4) first row on top, of a texture on the graphics card."""
    return np.array(texture.read().to_list(), dtype=np.float32).reshape(texture.height, texture.width, 4)[::-1]
