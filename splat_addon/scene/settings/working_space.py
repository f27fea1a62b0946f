"""The file's working space, in which Blender (5.0 and newer) computes light, and colors of splats in it.

Splats, seeds and photos have colors of Rec.709, encoded or linear; a file may work in Linear Rec.2020 or ACEScg.
Between linear colors a matrix converts. It commutes with blending, so pictures are what they were trained to be.
"""

from typing import Any

import bpy
import numpy as np
from mathutils import Color

from ...gaussians.srgb import decode_srgb

LINEAR = "Linear Rec.709"


def present() -> str:
    """The name of the open file's working space."""
    return str(getattr(getattr(bpy.data, "colorspace", None), "working_space", LINEAR))


def is_usual() -> bool:
    """Whether colors need no conversion."""
    return present() == LINEAR


def version_here(version: int) -> int | str:
    """The version of what converts colors and was made by `version` of its code for the present working space."""
    return version if is_usual() else f"{version} {present()}"


def is_for_another(version: int | str) -> bool:
    """Whether what has this version converts to another working space."""
    return (str(version).partition(" ")[2] or LINEAR) != present()


def working_from_rec709() -> np.ndarray:
    """(3, 3) from linear Rec.709 to scene-linear colors, as Blender converts."""
    primaries = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    return np.array([Color(color).from_rec709_linear_to_scene_linear()[:] for color in primaries]).T


def vertex_colors(attribute: Any) -> np.ndarray:
    """(P, 4) scene-linear colors of a color attribute, as Cycles shows them: it decodes bytes and takes them for the
    working space, while Blender's `color` converts them to it."""
    is_byte = attribute.data_type == "BYTE_COLOR" and not is_usual()
    flat = np.empty(4 * len(attribute.data), dtype=np.float32)
    attribute.data.foreach_get("color_srgb" if is_byte else "color", flat)
    values = flat.reshape(-1, 4)
    if is_byte:
        values[:, :3] = decode_srgb(values[:, :3])
    return values


def to_working(colors: np.ndarray) -> np.ndarray:
    """(P, 3) scene-linear colors of linear Rec.709 ones."""
    return colors if is_usual() else (colors @ working_from_rec709().T).astype(colors.dtype)


def to_rec709(colors: np.ndarray) -> np.ndarray:
    """(P, 3) linear Rec.709 colors of scene-linear ones."""
    return colors if is_usual() else (colors @ np.linalg.inv(working_from_rec709()).T).astype(colors.dtype)
