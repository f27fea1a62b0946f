"""What the artist decides about a capture where its reader would have decided by itself."""

from dataclasses import dataclass

ORIENTATIONS = ("auto", "stored", "turned")
POINTS_FRAMES = ("auto", "cameras", "original")
MASKS = ("auto", "inverted", "ignored")


@dataclass(frozen=True)
class CaptureChoices:
    """The defaults leave everything to the reader.

    `orientation`: whether cameras measured the photos' pixels as stored, or turned as their Exif records say.
    `photos_folder`, `model_folder`: relative to the capture, or whole; empty = found.
    `points_frame`: whether the points stand where the cameras do, or where they did before `applied_transform`.
    `masks`: white keeps ("auto" also knows programs whose white leaves out), the reverse, or none are used.
    """

    orientation: str = "auto"
    photos_folder: str = ""
    model_folder: str = ""
    points_frame: str = "auto"
    masks: str = "auto"


AUTOMATIC = CaptureChoices()
