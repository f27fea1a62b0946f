"""The depth of what Blender has drawn in a viewport, behind which splats are hidden."""

from typing import Any

import gpu
import numpy as np

from ..session import part


class Depth:
    """What was found of the last viewport that was drawn."""

    def __init__(self) -> None:
        self.is_kept = True


def lacks_depth() -> bool:
    """Whether the last viewport drawn kept no depth, so that nothing could hide splats."""
    return not part(Depth).is_kept


def read_depth(space: Any, box: tuple[int, int, int, int]) -> gpu.types.GPUTexture | None:
    """The depth in `box` (x, y, width and height in pixels) of the viewport that is being drawn.

    None in wireframe shading: surfaces that nobody sees would cut holes into the splats. EEVEE leaves it at 0 while
    overlays are off.
    """
    if space.shading.type == "WIREFRAME":
        return None
    x, y, width, height = box
    state: Any = gpu.state
    types: Any = gpu.types
    values = state.active_framebuffer_get().read_depth(x, y, width, height)
    part(Depth).is_kept = bool(np.asarray(values, dtype=np.float32).any())
    return types.GPUTexture((width, height), format="R32F", data=values)
