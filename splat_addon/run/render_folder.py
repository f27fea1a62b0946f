"""What the process that renders a capture is asked to do, and the folder in which it works.

Blender starts another Blender, which opens a copy of the .blend, renders one image per shot and puts the finished
capture into its place. It speaks the vocabulary of `run/events.py`.
"""

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import CaptureError
from ..files import remove_file, remove_folder
from .folder import tail_of, write_json

WORK_NAME = ".rendering"  # below the capture folder, until the capture is complete
PARTIAL = ".partial.png"  # how an image ends that is being written


@dataclass(frozen=True)
class Shot:
    """One image to be made."""

    photo: str  # path of the image, relative to the capture folder
    camera: str  # full name of the camera object
    frame: float  # of the scene, with its subframe
    is_held_out: bool = False  # marked by the artist


@dataclass(frozen=True)
class Placed:
    """A camera that the scene does not have: OpenCV axes, pixels. `camera_from_world` is row by row."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    camera_from_world: tuple[float, ...]


@dataclass(frozen=True)
class OutsidePlan:
    """Views off the path of a capture's cameras, which are chosen and put into the copy: `shots` of the plan says at
    which frame. The splats, of which they are to show what the training cameras saw, lie in the work folder."""

    made_for: str  # fingerprint of that capture
    count: int  # views at most
    trained: tuple[Placed, ...]  # training cameras, some of them, in the scene's world
    # Photos of the capture, of one size, and their cameras: rendered once more to see whether the scene is still what
    # they show.
    photos: tuple[tuple[str, Placed], ...]


@dataclass(frozen=True)
class RenderPlan:
    """All that decides the images of a capture, in addition to the scene itself."""

    scene: str
    shots: tuple[Shot, ...]
    engine: str = ""  # identifier; empty: the scene's own
    samples: int = 0  # per pixel; 0: the scene's own, and its own denoising
    use_denoising: bool = True
    resolution: tuple[int, int] | None = None  # width and height in pixels; None: the scene's own
    depth: bool = False
    normals: bool = False
    hold_out_every: int = 8
    use_scripts: bool = False  # whether Python in the file may run, as in the artist's session
    blend_file: str = ""  # the artist's file, which has caches beside it; empty when it was never saved
    outside: OutsidePlan | None = None  # then `shots` are those that are chosen
    unsaved_images: tuple[tuple[str, str], ...] = ()  # image name and the file in the work folder with its pixels

    @property
    def again(self) -> str:
        """How the artist goes on with it after it was stopped."""
        return "capture again" if self.outside is None else "render them again"

    def write(self, path: Path) -> None:
        """Save as JSON."""
        write_json(path, asdict(self))

    @staticmethod
    def read(path: Path) -> "RenderPlan":
        """Read what `write` saved. Raises CaptureError."""
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            values["shots"] = tuple(Shot(**shot) for shot in values["shots"])
            values["resolution"] = tuple(values["resolution"]) if values["resolution"] else None
            values["unsaved_images"] = tuple(map(tuple, values["unsaved_images"]))
            if values["outside"] is not None:
                values["outside"] = _read_outside(values["outside"])
            return RenderPlan(**values)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise CaptureError(f"{path} holds no render plan ({error}).", "Capture the scene again.") from error


def _read_outside(values: dict) -> OutsidePlan:
    def placed(camera: dict) -> Placed:
        return Placed(**{**camera, "camera_from_world": tuple(camera["camera_from_world"])})

    return OutsidePlan(
        **{
            **values,
            "trained": tuple(map(placed, values["trained"])),
            "photos": tuple((photo, placed(camera)) for photo, camera in values["photos"]),
        }
    )


@dataclass(frozen=True)
class RenderFolder:
    """The work area of a capture that is being rendered: it goes when the capture is complete.

    plan.json    the settings          scene.blend  the copy that is rendered
    events.jsonl every event, as sent    log.txt      what Blender printed
    shown.json   what the artist's Blender showed       told.json    the differences from it that the artist was told
    splats.ply   what views off the path are to show
    state.json   what finished images were made of    images/ depths/ normals/ points3d.ply   the capture so far
    """

    capture: Path
    again: str = "capture again"  # how the artist goes on

    @property
    def path(self) -> Path:
        return self.capture / WORK_NAME

    @property
    def plan_file(self) -> Path:
        return self.path / "plan.json"

    @property
    def blend_file(self) -> Path:
        return self.path / "scene.blend"

    @property
    def events_file(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def log_file(self) -> Path:
        return self.path / "log.txt"

    @property
    def state_file(self) -> Path:
        return self.path / "state.json"

    @property
    def splats_file(self) -> Path:
        return self.path / "splats.ply"

    @property
    def shown_file(self) -> Path:
        return self.path / "shown.json"

    @property
    def _told_file(self) -> Path:
        return self.path / "told.json"

    def was_told(self, differences: list[str]) -> bool:
        """Whether exactly these are the differences that stopped the last attempt."""
        try:
            return json.loads(self._told_file.read_text(encoding="utf-8")) == {"differences": differences}
        except (OSError, ValueError):
            return False

    def remember_told(self, differences: list[str]) -> None:
        """Before a capture is stopped for differences."""
        write_json(self._told_file, {"differences": differences})

    def forget_told(self) -> None:
        """When there are none any more."""
        remove_file(self._told_file)

    def finished_count(self) -> int:
        """How many images are there already."""
        return sum(not file.name.endswith(PARTIAL) for file in (self.path / "images").glob("*.png"))

    def what_is_left(self) -> str:
        """A sentence about what a render that broke off has left."""
        count = self.finished_count()
        kept = f"{count} finished image{'s are' if count != 1 else ' is'} kept: {self.again} to continue."
        return kept if count else "No image was finished."

    def log_tail(self, lines: int = 3) -> str:
        """The last lines that Blender printed, for a message about a crash."""
        return tail_of(self.log_file, lines)

    def remove(self) -> None:
        """Delete the work area with all it holds, as far as that is possible."""
        with contextlib.suppress(OSError):
            remove_folder(self.path)
