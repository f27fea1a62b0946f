"""Photos decoded and written through Blender. What the values mean is decided in `capture/photos/`."""

import functools
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ...capture.camera import Camera
from ...capture.capture import Capture, View, open_capture
from ...capture.check.measuring import LONGEST_SIDE_PX
from ...capture.check.settling import settled
from ...capture.choices import AUTOMATIC, CaptureChoices
from ...capture.photos.reading import read_mask, read_photo
from ...capture.photos.records import is_one_bit_tiff
from ...capture.photos.undistort import undistorted_photo
from ...capture.photos.values import Decoded
from ...capture.seeds.photo_colors import Photo, read_seed_photo
from ...errors import CaptureError

_FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
    ".bmp": "BMP",
}
_QUALITY = 97
_READS_ONE_BIT = (4, 5)  # Blender 4.2 takes eight pixels of an uncompressed TIFF as one


def decode(path: Path, longest_px: int = 0) -> Decoded:
    """The picture in a file as it is stored, its longer side at most `longest_px`, unless that is 0. Raises
    CaptureError when it cannot be decoded."""
    if bpy.app.version < _READS_ONE_BIT and is_one_bit_tiff(path):
        raise CaptureError(f"{path} is misread by this Blender.", "Save it as PNG.")
    try:
        image: Any = bpy.data.images.load(str(path), check_existing=False)
    except RuntimeError as error:
        raise CaptureError(f"{path} cannot be decoded.", "Replace the file.") from error
    try:
        # Under whatever name the color configuration has for that; else what has more than 8 bits is made linear.
        image.colorspace_settings.is_data = True
        image.alpha_mode = "CHANNEL_PACKED"
        width, height = image.size
        if not width or not height:
            raise CaptureError(f"{path} cannot be decoded.", "Replace the file.")
        if 0 < longest_px < max(width, height):  # before numbers are made of it, which takes longer than decoding
            reduction = max(width, height) / longest_px
            width, height = max(1, round(width / reduction)), max(1, round(height / reduction))
            image.scale(width, height)
        values = np.empty(width * height * image.channels, dtype=np.float32)
        image.pixels.foreach_get(values)
        values = values.reshape(height, width, image.channels)[::-1]
        if not image.is_float:
            values = np.rint(values * 255).astype(np.uint8)
        return Decoded(values, image.file_format == "JPEG")
    finally:
        bpy.data.images.remove(image)


def settle(opened: Capture) -> Capture:
    """A capture that was opened, with what its files leave open settled by a few photos."""
    return settled(opened, functools.partial(decode, longest_px=LONGEST_SIDE_PX))


def open_settled(
    folder: Path, hold_out_every: int = 8, needs_photos: bool = True, choices: CaptureChoices = AUTOMATIC
) -> Capture:
    """The capture in `folder` as training reads it: what its files leave open is settled by a few photos. Raises
    CaptureError or CameraError, as `open_capture` does."""
    return settle(open_capture(folder, hold_out_every, needs_photos, choices))


def seed_photo(view: View) -> Photo | None:
    """A view's photo, for the colors of seeds; None when it cannot be used."""
    return read_seed_photo(view, decode)


def small_photo(view: View, longest_px: int) -> np.ndarray | None:
    """A view's photo as its camera saw it, reduced: (H, W, 3 or 4) floats 0..1; None when it cannot be used."""
    try:
        read = read_photo(view, functools.partial(decode, longest_px=longest_px))
    except CaptureError:
        return None
    return read.pixels.astype(np.float32) / 255


def write_photo(view: View, pinhole: Camera, photo: Path, mask: Path | None) -> None:
    """Write what `pinhole` sees of a view's photo, and of its mask, as its camera measured them: turned and without the
    lens's distortion. Raises CaptureError, naming the file."""
    read = read_photo(view, decode)
    _save(_seen_by(read.pixels, view.camera, pinhole), photo)
    if mask is not None:
        weights = read_mask(view, read.full_size, decode)
        assert weights is not None
        _save(np.repeat(_seen_by(weights[..., None], view.camera, pinhole), 3, axis=2), mask)


def _seen_by(pixels: np.ndarray, camera: Camera, pinhole: Camera) -> np.ndarray:
    if not any(camera.distortion):
        return pixels
    height, width = pixels.shape[:2]
    result, is_seen = undistorted_photo(pixels, camera.resized(width, height), pinhole.resized(width, height))
    return np.where(is_seen[..., None], result, 0).astype(np.uint8)


def _save(pixels: np.ndarray, target: Path) -> None:
    height, width, channels = pixels.shape
    image: Any = bpy.data.images.new(target.stem, width, height, alpha=channels == 4)
    try:
        image.alpha_mode = "STRAIGHT"
        whole = np.ones((height, width, 4), np.float32)
        whole[..., :channels] = pixels[::-1] / np.float32(255)
        image.pixels.foreach_set(whole.ravel())
        image.file_format = _FORMATS.get(target.suffix.lower(), "PNG")
        try:
            image.save(filepath=str(target), quality=_QUALITY)
        except RuntimeError as error:
            raise CaptureError(f"{target} cannot be written.", "Choose a folder with space.") from error
    finally:
        bpy.data.images.remove(image)
