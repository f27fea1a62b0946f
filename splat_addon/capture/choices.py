"""What the artist decides about a capture where its reader would have decided by itself."""

from dataclasses import dataclass, fields
from typing import Protocol

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


class ChoiceSettings(Protocol):
    """What of a `TrainConfig` decides how a capture is read."""

    @property
    def orientation(self) -> str: ...
    @property
    def photos_folder(self) -> str: ...
    @property
    def model_folder(self) -> str: ...
    @property
    def points_frame(self) -> str: ...
    @property
    def masks(self) -> str: ...


def choices_of(settings: ChoiceSettings) -> CaptureChoices:
    """The choices among the settings of a run."""
    return CaptureChoices(**{spec.name: getattr(settings, spec.name) for spec in fields(CaptureChoices)})
