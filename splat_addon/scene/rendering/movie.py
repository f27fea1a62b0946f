"""Frames that become a movie: another Blender, without a window, encodes them in the scene's format.

The frames are kept in a folder beside the movie's place until it is done. Playblasts have no sound.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import bpy

from ...errors import OutputError
from ...files import PARTIAL, move_into_place, own_folder, remove_folder
from ...run.children.child import clean_environment, start_process
from .launch import blender_command

_PLAN, _LOG = "movie.json", "log.txt"
_FORMATS = ("media_type", "file_format", "color_mode", "color_depth", "quality")  # in this order


class Movie:
    """One movie being made, for the parent."""

    def __init__(self, scene: bpy.types.Scene, path: Path, count: int):
        self.path = path
        self._count = count
        self._added = 0
        self._folder = path.with_name(path.name + PARTIAL)
        self._process: subprocess.Popen[bytes] | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            remove_folder(self._folder)
            own_folder(self._folder)
            (self._folder / _PLAN).write_text(json.dumps(_plan_of(scene, path.suffix)), encoding="utf-8")
        except OSError as error:
            raise self._unwritable(error) from error

    def add(self, image: bpy.types.Image) -> None:
        """The next frame. The last one starts the encoding. Raises OutputError or SetupError."""
        self._added += 1
        image.filepath_raw, image.file_format = str(self._folder / f"{self._added:06d}.png"), "PNG"
        try:
            image.save()
        except RuntimeError as error:
            raise self._unwritable(error) from error
        if self._added == self._count:
            command = blender_command(".splat_addon.scene.rendering.movie import main", str(self._folder))
            self._process = start_process(
                command, "Blender", "Choose an image format instead.", self._folder / _LOG,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=clean_environment(),
            )  # fmt: skip

    def is_written(self) -> bool:
        """Whether the movie is in its place. Raises OutputError when it cannot be made."""
        if self._process is None or self._process.poll() is None:
            return False
        made = self._folder / f"movie{self.path.suffix}"
        if self._process.returncode != 0 or not made.is_file():
            log = (self._folder / _LOG).read_text(encoding="utf-8", errors="replace")
            said = [line.strip() for line in log.splitlines() if "rror" in line]
            raise OutputError(
                f"The movie could not be made ({(said or ['Blender ended without it'])[-1].rstrip('.')}).",
                "Make width and height even, or choose another codec, container or format in Properties › Output.",
            )
        try:
            move_into_place(made, self.path)
            remove_folder(self._folder)
        except OSError as error:
            raise self._unwritable(error) from error
        return True

    def close(self) -> None:
        """End it; what was at its place before stays."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        remove_folder(self._folder)

    def _unwritable(self, error: Exception) -> OutputError:
        return OutputError(
            f"{self.path} cannot be written ({' '.join(str(error).split())}).",
            "Choose another Output folder in Properties › Output, or make room on that disk.",
        )


def _plan_of(scene: bpy.types.Scene, suffix: str) -> dict[str, Any]:
    """What the other Blender must know of the scene's output."""
    render = scene.render
    settings = render.image_settings
    return {
        "suffix": suffix,
        "fps": render.fps,
        "fps_base": render.fps_base,
        "image": {name: getattr(settings, name) for name in _FORMATS if hasattr(settings, name)},
        "ffmpeg": {
            found.identifier: getattr(render.ffmpeg, found.identifier)
            for found in render.ffmpeg.bl_rna.properties
            if not found.is_readonly and found.type in ("BOOLEAN", "INT", "FLOAT", "ENUM", "STRING")
        },
    }


def main(folder_name: str) -> int:
    """In the other Blender: 0 when the movie was made of the frames in the folder."""
    folder = Path(folder_name)
    plan = json.loads((folder / _PLAN).read_text(encoding="utf-8"))
    frames = sorted(folder.glob("*.png"))
    scene = bpy.context.scene
    editor: Any = scene.sequence_editor or scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strip = strips.new_image("Frames", str(frames[0]), channel=1, frame_start=1)
    for frame in frames[1:]:
        strip.elements.append(frame.name)
    strip.frame_final_duration = len(frames)
    size = strip.elements[0]
    render: Any = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = size.orig_width, size.orig_height, 100
    render.fps, render.fps_base = plan["fps"], plan["fps_base"]
    scene.frame_start, scene.frame_end, scene.frame_step = 1, len(frames), 1
    scene.display_settings.display_device = "sRGB"
    scene.view_settings.view_transform, scene.view_settings.look = "Standard", "None"
    scene.sequencer_colorspace_settings.name = "sRGB"
    render.dither_intensity = 0.0
    render.use_file_extension = False
    render.filepath = str(folder / f"movie{plan['suffix']}")
    _assign(render.image_settings, plan["image"])
    _assign(render.ffmpeg, {**plan["ffmpeg"], "audio_codec": "NONE"})
    bpy.ops.render.render(animation=True)
    return 0 if Path(render.filepath).is_file() else 1


def _assign(owner: Any, values: dict[str, Any]) -> None:
    """Set what can be set: which values there are depends on others."""
    for name, value in values.items():
        try:
            setattr(owner, name, value)
        except (TypeError, AttributeError) as error:
            print(f"{name} stays as it is ({error})", file=sys.stderr)
