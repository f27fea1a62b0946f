"""In which light a training blends colors, as far as the capture decides it."""

from pathlib import Path

from ..gaussians.cloud import BLENDER, DISPLAY
from .formats.transforms import is_own_capture


def blend_space_of(setting: str, capture: Path | None) -> str:
    """The blend space, "blender" or "display", of a training on the folder `capture` with Blend Space at `setting`.

    "auto" blends as Blender does where the capture is one of a scene, so that renders show what was trained, and as
    other programs do where it is one of photographs. None stands for the scene itself, not captured yet.
    """
    if setting != "auto":
        return setting
    return BLENDER if capture is None or is_own_capture(capture) else DISPLAY
