"""Views of a scene from off the path of its capture's cameras: rendered for truth, never trained on.

They lie in a folder of the capture's folder, a capture of their own whose views are all held out, with depths. It names
the fingerprint of the capture that they were chosen for, and is used with no other.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import CaptureError, SplatError
from .capture import Capture, View, open_capture
from .formats.json_values import read_json
from .formats.transforms import FILE_NAME

FOLDER_NAME = "outside_views"  # in the capture's; no search for photos goes there
MADE_FOR = "outside_of"  # in its transforms.json: the fingerprint of the capture
DEPTHS = "depths"


@dataclass(frozen=True)
class OutsideView:
    """A view, in the axes of the capture, and the file with its true depths."""

    view: View
    depths_path: Path


def outside_folder(capture: Path) -> Path:
    """Where the views off the path of the capture in a folder are."""
    return Path(capture) / FOLDER_NAME


def listed_views(capture: Path) -> tuple[int, str]:
    """How many views off the path there are, and the fingerprint of the capture that they are for; 0 where there are
    none. Quick: nothing is opened but their list."""
    try:
        document = read_json(outside_folder(capture) / FILE_NAME)
    except (OSError, ValueError):
        return 0, ""
    if not isinstance(document, dict) or not isinstance(document.get("frames"), list):
        return 0, ""
    return len(document["frames"]), str(document.get(MADE_FOR, ""))


def open_outside(capture: Capture) -> list[OutsideView]:
    """The views that were rendered off the path of an opened capture, in its own axes; none where there are none.

    Raises CaptureError when they are of another capture, or cannot be read.
    """
    count, made_for = listed_views(capture.folder)
    if not count:
        if os.path.isfile(outside_folder(capture.folder) / FILE_NAME):
            raise CaptureError("The views off the path are not used. Their list cannot be read.", "Render them again.")
        return []
    if made_for != capture.fingerprint():
        raise CaptureError(
            "The views off the path were rendered for another capture than this is now: they are not used.",
            "If these splats were trained on it before, train on it as it is now and bring that in; then render them"
            " again.",
        )
    try:
        views = open_capture(outside_folder(capture.folder), needs_photos=False).views
    except SplatError as error:  # who wrote them mends them
        raise CaptureError(f"The views off the path are not used. {error.message}", "Render them again.") from error
    return [OutsideView(view, depths_of(view)) for view in views]


def depths_of(view: View) -> Path:
    """Where a capture of a scene has the depths of a view, if they were written."""
    return view.image_path.parent.parent / DEPTHS / (os.path.splitext(view.image_path.name)[0] + ".exr")
