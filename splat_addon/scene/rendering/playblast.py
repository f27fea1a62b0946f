"""Playblasts: frames of a scene as a viewport shows them, splats included, written where the scene's renders go.

As with Blender's own viewport renders: the scene's output path, format, frame range (or preview range) and step;
*Overwrite* off leaves frames that are there alone. Every file is written aside and then moved into place.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ...errors import OutputError
from ...files import written_aside
from ..settings.paths import absolute
from ..splats.render_setup import VIEWS
from ..viewport import still
from ..viewport.picture import Picture
from .image_settings import DISPLAYS
from .movie import Movie

KEY = "splat_viewport_render"


class Playblast:
    """One playblast: `step` until it says that nothing is left, then `close`, which also ends it before that."""

    def __init__(self, viewport: still.Viewport):
        scene = viewport.scene
        self.frames = frames_of(scene)
        self.paths: list[Path] = []  # what was written
        self.skipped = 0
        self._viewport = viewport
        self._picture = Picture()
        self._before = scene.frame_current, scene.frame_subframe
        self._next = 0
        self._movie: Movie | None = None
        if scene.render.is_movie_format:
            self._movie = Movie(scene, path_of(scene, self.frames[0]), len(self.frames))

    @property
    def text(self) -> str:
        """What is being done, in words."""
        if self._next < len(self.frames):
            return f"frame {self._next + 1} of {len(self.frames)}"
        return "writing the movie"

    @property
    def fraction(self) -> float:
        """How far it is, 0 to 1."""
        return self._next / len(self.frames)

    def step(self) -> bool:
        """Draw and write the next frame, or see how far the movie is; whether anything is left to be done.

        Raises SplatError.
        """
        if self._next < len(self.frames):
            self._draw(self.frames[self._next])
            self._next += 1
            return self._next < len(self.frames) or self._movie is not None
        if self._movie is not None and self._movie.is_written():
            self.paths = [self._movie.path]
            self._movie = None
        return self._movie is not None

    def _draw(self, frame: int) -> None:
        scene = self._viewport.scene
        path = path_of(scene, frame) if self._movie is None else None
        if path is not None and not scene.render.use_overwrite and path.exists():
            self.skipped += 1
            return
        scene.frame_set(frame)
        image = still.draw(self._viewport, self._picture)
        if self._movie is not None:
            with as_image(image) as made:
                self._movie.add(made)
        elif path is not None:
            save(image, scene, path)
            self.paths.append(path)

    def close(self) -> None:
        """Go back to the frame that was shown; a movie that is not finished is not written."""
        if self._movie is not None:
            self._movie.close()
            self._movie = None
        self._viewport.scene.frame_set(self._before[0], subframe=self._before[1])


def frames_of(scene: bpy.types.Scene) -> list[int]:
    """The frames that are rendered, in order."""
    first, last = scene.frame_start, scene.frame_end
    if scene.use_preview_range:
        first, last = scene.frame_preview_start, scene.frame_preview_end
    return list(range(first, last + 1, scene.frame_step))


def path_of(scene: bpy.types.Scene, frame: int) -> Path:
    """The file of a frame, or the movie's. Raises RunError when the path starts at a .blend that has no place yet."""
    return absolute(scene.render.frame_path(frame=frame), is_asked=True)


@contextlib.contextmanager
def as_image(numbers: np.ndarray) -> Iterator[bpy.types.Image]:
    """An image of Blender's for a while. `numbers` are as `still.draw` returns them."""
    image = bpy.data.images.new("Viewport Render", numbers.shape[1], numbers.shape[0], alpha=True)
    try:
        image.pixels.foreach_set(np.ascontiguousarray(numbers, dtype=np.float32).ravel())
        yield image
    finally:
        bpy.data.images.remove(image)


def save(numbers: np.ndarray, scene: bpy.types.Scene, path: Path) -> None:
    """Write an image in the scene's output format, with the colors that it has. Raises OutputError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with as_image(numbers) as image, written_aside(path) as aside, _plain(scene):
            image.save_render(str(aside), scene=scene)
    except (OSError, RuntimeError) as error:
        raise OutputError(
            f"{path} cannot be written ({' '.join(str(error).split())}).",
            "Choose another Output folder in Properties › Output, or make room on that disk.",
        ) from error


@contextlib.contextmanager
def _plain(scene: bpy.types.Scene) -> Iterator[None]:
    """Let the scene write colors as they are shown: they went through its view already."""
    view: Any = scene.view_settings
    output: Any = scene.render.image_settings
    wanted = [
        (output, "color_management", ("FOLLOW_SCENE",)),
        (scene.display_settings, "display_device", DISPLAYS),
        (view, "view_transform", VIEWS["BLENDER"]),
        (view, "look", ("None",)),
        (view, "exposure", (0.0,)),
        (view, "gamma", (1.0,)),
        (view, "use_curve_mapping", (False,)),
        (view, "use_white_balance", (False,)),
        (scene.render, "dither_intensity", (0.0,)),
    ]
    wanted = [(owner, name, values) for owner, name, values in wanted if hasattr(owner, name)]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in wanted]
    try:
        for owner, name, values in wanted:
            _choose(owner, name, values)
        yield
    finally:
        for owner, name, value in before:
            _choose(owner, name, (value,))


def _choose(owner: Any, name: str, values: tuple[Any, ...]) -> None:
    """Set the first of these that there is; other color configurations may have none."""
    for value in values:
        if getattr(owner, name) == value:
            return
        with contextlib.suppress(TypeError):
            setattr(owner, name, value)
            return


def shown_image(numbers: np.ndarray) -> bpy.types.Image:
    """The image that holds the last still, filled anew; once it was saved to a file or packed, another one."""
    height, width = numbers.shape[:2]
    image = next((image for image in bpy.data.images if KEY in image and image.source == "GENERATED"), None)
    if image is None or image.packed_files:
        image = bpy.data.images.new("Viewport Render", width, height, alpha=True)
        image[KEY] = True
    if tuple(image.size) != (width, height):
        image.scale(width, height)
    image.pixels.foreach_set(np.ascontiguousarray(numbers, dtype=np.float32).ravel())
    image.update()
    return image
