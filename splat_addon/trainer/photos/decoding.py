"""Decoding with Pillow. What the values mean is decided in `capture/photos/`."""

from pathlib import Path

import numpy as np
from PIL import Image

from ...capture.photos.values import Decoded
from ...errors import CaptureError
from ...files import open_regular

_KEY_SCALES = {"L;2": 85, "L;4": 17}


def decode(path: Path) -> Decoded:
    """The picture in a file as it is stored; of several, the first. Raises CaptureError when it cannot be decoded."""
    try:
        with open_regular(path) as opened, Image.open(opened) as file:
            return Decoded(_values(file), file.format in ("JPEG", "MPO"))
    except MemoryError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly everything when a file is broken
        raise CaptureError(f"{path} cannot be decoded.", "Replace the file.") from error


def _values(file: Image.Image) -> np.ndarray:
    key = file.info.get("transparency")
    if file.mode.startswith("I") or file.mode == "F":
        values = np.array(file)
        values = values.astype(values.dtype.newbyteorder("="))
        if not isinstance(key, int) or file.mode == "F":
            return values
        alpha = np.where(values == key, 0, 65535).astype(values.dtype)
        return np.stack([values, alpha], axis=2)
    rawmode = file.tile[0].args if file.tile else ""
    if rawmode in _KEY_SCALES and isinstance(key, int):  # Pillow widens the values, but not the key
        file.info["transparency"] = key * _KEY_SCALES[rawmode]
    if rawmode == "RGB;16B" and isinstance(key, tuple):  # of values, it keeps the upper byte
        file.info["transparency"] = tuple(value >> 8 for value in key)
    if file.mode in ("1", "L", "LA", "RGB", "RGBA") and key is None:
        return np.array(file)
    has_alpha = key is not None or file.mode in ("PA", "La", "RGBa")
    return np.array(file.convert("RGBA" if has_alpha else "RGB"))
