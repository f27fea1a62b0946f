"""What the training cameras of an object's splats cover, and what quality to expect of a view. In the session only."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import bpy
import numpy as np
from bpy.app.handlers import persistent

from ...capture.camera import Camera
from ...capture.choices import AUTOMATIC, choices_of
from ...errors import CaptureError
from ...inspection.trust.coverage import Coverage, cover
from ...inspection.trust.expectation import Expectation, calibrate, trusted_angle
from ...run.config import TrainConfig
from ...run.folder import RunFolder
from ..photos.pixels import open_settled
from ..session import part
from ..splats.data import from_origin, splats_from_object
from ..tasks.inspecting import photos_for

MOST_VIEWS = 64  # training cameras that are asked, evenly chosen
INSIDE_FROM = 0.5  # of a picture made of splats around the camera
CLOSER_FROM = 1.8  # times as fine as the photos: what is within is no longer as sharp
INSIDE_DEG = 5.0  # a view that near to the photos is not outside
NO_HELD_OUT = "no held-out view was measured"


@dataclass(frozen=True)
class Trust:
    """What is known about one object's splats. Cameras and lengths are in the object's own frame."""

    uid: int  # of the object
    coverage: Coverage
    expectation: Expectation | None  # None: no held-out view was measured
    cameras: tuple[Camera, ...]  # that trained, and are asked
    reaches: np.ndarray  # (C,) median depth of what each of them sees
    longer_side: int  # of the photos, pixels
    inside_db: float  # what is expected of the training views themselves, in the median; NaN without an expectation
    said: tuple[str, ...]  # what the artist should know


class Answer(NamedTuple):
    """What is said of one view. `db` None: there is no number, for the reason `why`."""

    angle_deg: float
    db: float | None
    why: str = ""
    closer: float = 1.0  # how many times as fine as the sharpest photos it is, in the mean

    @property
    def text(self) -> str:
        """The badge's line."""
        if self.why and self.why != NO_HELD_OUT:
            return f"Trust unknown: {self.why}"
        where = "Within the training views"
        if self.angle_deg >= INSIDE_DEG:
            where = f"{self.angle_deg:.0f}° outside the nearest view"
        elif self.closer >= CLOSER_FROM:
            where = f"{self.closer:.0f} times closer than the training views"
        return f"{where}: quality unknown, {self.why}" if self.db is None else f"{where}: expect {self.db:.0f} dB"

    @property
    def short(self) -> str:
        """For a list in a narrow sidebar: what is expected, and how far outside."""
        if self.why and self.why != NO_HELD_OUT:
            return "unknown"
        where = f"{self.closer:.0f} times closer" if self.closer >= CLOSER_FROM else "within"
        where = f"{self.angle_deg:.0f}° outside" if self.angle_deg >= INSIDE_DEG else where
        return where if self.db is None else f"{self.db:.0f} dB, {where}"


class Measured:
    """The object that was asked about last."""

    def __init__(self) -> None:
        self.trust: Trust | None = None


def trust() -> Trust | None:
    """What was measured last, while its object is there."""
    found = part(Measured).trust
    return found if found is not None and object_of(found) is not None else None


def object_of(found: Trust) -> bpy.types.Object | None:
    return next((item for item in bpy.data.objects if item.session_uid == found.uid), None)


def measure(scene: bpy.types.Scene, item: bpy.types.Object) -> Trust:
    """Look through the training cameras of an object's splats. Raises CaptureError without a capture or cameras,
    RunError when the run is gone, SplatFileError when the object holds no splats."""
    photos = photos_for(scene, item)
    if photos.capture is None:
        raise CaptureError(
            "These splats have no capture, so nobody knows which views they were trained on.",
            "Choose the capture's folder in the Capture panel.",
        )
    hold_out_every, choices, held_out_db = 8, AUTOMATIC, {}
    if photos.run is not None:
        folder = RunFolder(photos.run)
        config = TrainConfig.read(folder.config_file).moved_to(photos.capture)
        hold_out_every, choices = config.hold_out_every, choices_of(config)
        evaluated = folder.latest_evaluation()
        held_out_db = {view.name: view.psnr_db for view in evaluated.views} if evaluated else {}
    capture = open_settled(Path(photos.capture), hold_out_every, needs_photos=False, choices=choices)
    trained = [view for view in capture.all_views if not view.is_held_out]
    if not trained:
        raise CaptureError("The capture has no training view.", "Hold out fewer views.")
    places = np.linspace(0, len(trained) - 1, min(len(trained), MOST_VIEWS)).round().astype(int)
    local_from_capture = np.array(from_origin(item).inverted(), dtype=np.float64)

    def own(camera: Camera) -> Camera:
        return camera.without_distortion().moved(local_from_capture)

    cameras = tuple(own(trained[place].camera) for place in places)
    coverage = cover(splats_from_object(item, largest_degree=0), cameras)
    held_out = [view for view in capture.all_views if view.name in held_out_db]
    expectation = calibrate(
        [coverage.around(own(view.camera)) for view in held_out], [held_out_db[view.name] for view in held_out]
    )
    envelopes = [coverage.around(camera) for camera in cameras]
    depths = [np.median(each.seen.depths) if len(each.seen.depths) else np.nan for each in envelopes]
    if not np.isfinite(depths).any():
        raise CaptureError(
            "No camera of the capture sees these splats.", "Choose the capture that they were trained on."
        )
    expected = [db for each in envelopes if expectation is not None and (db := expectation.db(each)) is not None]
    found = Trust(
        uid=item.session_uid,
        coverage=coverage,
        expectation=expectation,
        cameras=cameras,
        reaches=np.nan_to_num(depths, nan=float(np.nanmedian(depths))),
        longer_side=int(np.median([max(camera.width, camera.height) for camera in cameras])),
        inside_db=float(np.median(expected)) if expected else float("nan"),
        said=_said(len(trained), expectation, len(capture.missing)),
    )
    part(Measured).trust = found
    return found


def _said(count: int, expectation: Expectation | None, missing: int) -> tuple[str, ...]:
    said = []
    if count == 1:
        said.append("One photo alone confirms nothing: every other view is a guess.")
    if expectation is None:
        said.append("No held-out view was measured, so angles are told, and no quality.")
    if missing:
        said.append(f"{missing} photos are gone; their cameras count all the same.")
    return tuple(said)


def ask(found: Trust, camera: Camera) -> Answer:
    """What to say of a view of `camera`, in the object's frame. Its pixels do not count, its angle of view does."""
    larger = found.longer_side / max(camera.width, camera.height)
    camera = camera.resized(max(1, round(camera.width * larger)), max(1, round(camera.height * larger)))
    envelope = found.coverage.around(camera)
    if len(envelope.shares) == 0:
        return Answer(0.0, None, "no splat is seen")
    if envelope.inside > INSIDE_FROM:
        return Answer(0.0, None, "the view is from inside a splat")
    angle = trusted_angle(envelope)
    closer = float(2 ** np.average(envelope.closer, weights=envelope.shares))
    if found.expectation is None:
        return Answer(angle, None, NO_HELD_OUT, closer)
    return Answer(angle, found.expectation.db(envelope), closer=closer)


def ask_in_world(found: Trust, camera: Camera) -> Answer:
    """The same of a camera in the scene's world."""
    item = object_of(found)
    if item is None:
        return Answer(0.0, None, "the splats are gone")
    matrix = np.array(item.matrix_world, dtype=np.float64)
    if abs(np.linalg.det(matrix[:3, :3])) < 1e-30:
        return Answer(0.0, None, "the splats have a scale of zero")
    return ask(found, replace(camera, distortion=()).moved(np.linalg.inv(matrix)))


def forget() -> None:
    """What was measured is about splats that have gone or changed."""
    part(Measured).trust = None


@persistent
def _on_load(*_) -> None:
    forget()


HANDLERS = {"load_pre": _on_load}
