"""The pixels that a view's camera measured, and its mask, from what a decoder gives. The one place that decides."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import CaptureError
from ..capture import View
from .masks import mask_weights
from .orientation import AS_STORED, inverse_orientation, turned, turned_size
from .profiles import CONVERTED, NOT_UNDERSTOOD, read_profile
from .records import is_float_color_tiff, is_heif, read_orientation, read_records
from .sizes import Size, fits
from .values import Decoded, to_bytes, to_color

Decode = Callable[[Path], Decoded]
"""Decodes a file, whatever its orientation and profile say. Raises CaptureError when it cannot."""

Reduce = Callable[[np.ndarray], np.ndarray]
"""Makes bytes (H, W, 3 or 4) smaller, colors weighted by alpha."""


@dataclass(frozen=True)
class PhotoPixels:
    """(H, W, 3) bytes, (H, W, 4) where the photo is transparent somewhere: display-encoded sRGB, straight alpha, as the
    camera measured them, at `full_size` or reduced. `notes` complete sentences that begin with a photo's name."""

    pixels: np.ndarray
    full_size: Size
    notes: tuple[str, ...] = ()


def read_photo(view: View, decode: Decode, reduce: Reduce | None = None) -> PhotoPixels:
    """A view's photo. Raises CaptureError, naming it, when it cannot be read or is not what its camera measured."""
    decoded = decoded_file(view.image_path, "photo", decode)
    size, camera = turned_size(decoded.size, view.orientation), view.camera
    if not fits(size, (camera.width, camera.height)):
        raise CaptureError(
            f"The photo {view.image_path.name} is {size[0]} x {size[1]}, its camera {camera.width} x {camera.height}.",
            "Use the photos that the cameras were measured on, not rotated or cropped.",
        )
    pixels, notes = _bytes_of(decoded, view.image_path)
    pixels = np.ascontiguousarray(turned(to_color(pixels), view.orientation))
    if reduce is not None:
        pixels = reduce(pixels)
    content = read_records(view.image_path).profile
    profile = read_profile(content) if content else None
    if profile is not None and not profile.is_srgb():
        pixels = profile.to_srgb(pixels)
        notes.append(CONVERTED)
    elif content and profile is None:
        notes.append(NOT_UNDERSTOOD)
    return PhotoPixels(pixels, size, tuple(notes))


def read_small_photo(view: View, longest_px: int, decode: Decode) -> np.ndarray:
    """A view's photo to compare colors with, its longer side at most `longest_px`: every n-th pixel, (h, w, 4) floats
    0..1, alpha 0 where its mask leaves nothing. Raises CaptureError, naming photo or mask, when one cannot be used."""

    def reduce(pixels: np.ndarray) -> np.ndarray:
        step = -(-max(pixels.shape[:2]) // longest_px)
        return np.ascontiguousarray(pixels[step // 2 :: step, step // 2 :: step])

    read = read_photo(view, decode, reduce)
    colors = read.pixels.astype(np.float32) / 255
    height, width = colors.shape[:2]
    alpha = colors[..., 3] if colors.shape[2] == 4 else np.ones((height, width), np.float32)
    weights = read_mask(view, read.full_size, decode)
    if weights is not None:  # of each pixel, the mask's nearest
        rows, columns = (
            (2 * np.arange(photo) + 1) * mask // (2 * photo)
            for photo, mask in zip((height, width), weights.shape, strict=True)
        )
        alpha = np.where(weights[np.ix_(rows, columns)] > 0, alpha, 0)
    return np.dstack([colors[..., :3], alpha])


def read_mask(view: View, photo: Size, decode: Decode) -> np.ndarray | None:
    """(h, w) uint8 at the mask's own size, how much each pixel of the view's photo of size `photo` counts; None without
    a mask. Raises CaptureError, naming it, when it cannot be read or does not fit.

    A mask lies as its photo does: as stored if that fits, else turned as its own record says, else as the photo is.
    """
    path = view.mask_path
    if path is None:
        return None
    decoded = decoded_file(path, "mask", decode)
    by_photo = view.orientation
    if by_photo == AS_STORED:
        by_photo = inverse_orientation(read_orientation(view.image_path))
    own = read_orientation(path)
    candidates = [AS_STORED, own, by_photo]
    if own != AS_STORED and own == view.orientation:
        candidates = [own, AS_STORED]
    for orientation in candidates:
        if fits(turned_size(decoded.size, orientation), photo):
            try:
                return np.ascontiguousarray(turned(mask_weights(decoded, view.mask_is_inverted), orientation))
            except ValueError as error:
                raise _of_another_depth("mask", path, str(error)) from error
    width, height = decoded.size
    raise CaptureError(
        f"The mask {path} is {width} x {height}, its photo {photo[0]} x {photo[1]}.",
        "Make masks in the proportions of their photos: white where a pixel counts, black where not.",
    )


def decoded_file(path: Path, what: str, decode: Decode) -> Decoded:
    """A decoded photo or mask. Raises CaptureError, in one sentence about the file, when it cannot be read."""
    if is_heif(path):
        raise CaptureError(
            f"The {what} {path} is a HEIC or AVIF file, which cannot be read.",
            "Convert it to JPEG or PNG, without changing its size.",
        )
    try:
        return decode(path)
    except MemoryError as error:
        raise CaptureError(f"There is not enough memory for the {what} {path}.", "Make it smaller.") from error
    except CaptureError as error:
        if is_float_color_tiff(path):
            raise CaptureError(
                f"The {what} {path} is a TIFF of floating-point colors, which training cannot read.",
                "Save it as PNG with 16 bits per channel.",
            ) from error
        raise CaptureError(
            f"The {what} {path} cannot be read.",
            "Replace the file, save it as JPEG or PNG with 8 or 16 bits per channel, or remove it.",
        ) from error


def _bytes_of(decoded: Decoded, path: Path) -> tuple[np.ndarray, list[str]]:
    try:
        return to_bytes(decoded.pixels)
    except ValueError as error:
        raise _of_another_depth("photo", path, str(error)) from error


def _of_another_depth(what: str, path: Path, values: str) -> CaptureError:
    return CaptureError(f"The {what} {path} holds {values}.", "Save it with 8 or 16 bits per channel.")
