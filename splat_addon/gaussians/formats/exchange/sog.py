"""SOG, PlayCanvas's splats in images: versions 1 and 2 are read, from a zip (`.sog`) or a folder's `meta.json`.

Texel i of each image is splat i. Bytes are indices into codebooks (version 2) or places between bounds (version 1);
harmonics are entries of a palette. The published text is wrong in places; this is what the programs write.
"""

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ....errors import SplatFileError
from ...cloud import GaussianCloud
from ...transform import Y_DOWN
from ..splat_file import Header, Pixels, Reading, SplatFile, SplatPart, broken, degree_of_rest, file_bytes, logits_of
from .packing import from_smallest_three
from .sog_writing import losses, write, write_in_steps

NAME, TITLE, EXTENSIONS = "sog", "SOG", (".sog", "meta.json")
READ_AXES, WRITE_AXES = Y_DOWN, Y_DOWN

__all__ = [
    "EXTENSIONS", "NAME", "READ_AXES", "TITLE", "WRITE_AXES", "losses", "open_file", "recognizes", "write",
    "write_in_steps",
]  # fmt: skip
_ZIP = b"PK\x03\x04"
_META = "meta.json"
_COLUMNS = 64  # entries of the palette in a row of its image
_MOST_PIXELS = 1 << 26
_LARGEST_ENTRY = 1 << 30
_BLOCK = 1 << 15


def recognizes(start: bytes, path: Path) -> bool:
    """A zip that is not called USDZ, or the file of a folder that describes the images."""
    if start.startswith(_ZIP):
        return path.suffix.lower() != ".usdz"
    return path.name.lower() == _META and start.lstrip()[:1] == b"{"


def open_file(path: Path, reading: Reading) -> SplatFile:
    """Read the description and decode all images."""
    pixels = reading.pixels
    if pixels is None:
        raise SplatFileError(f"{path.name} keeps splats in images, which cannot be decoded here.", "Convert it to PLY.")
    entry = _entries(path)
    try:
        meta = json.loads(entry(_META))
    except (ValueError, RecursionError) as error:
        raise broken(path, "has a description that cannot be read") from error
    try:
        return _opened(path, meta, lambda name: _image(path, entry(name), pixels))
    except (TypeError, KeyError, IndexError, ValueError, AttributeError, OverflowError) as error:
        raise broken(path, "has a description of other contents than SOG's") from error


def _entries(path: Path) -> Callable[[str], bytes]:
    """The files of a zip, or beside `meta.json`, by name. Raises SplatFileError for what is not there."""
    if path.name.lower() == _META:

        def beside(name: str) -> bytes:
            if not isinstance(name, str) or not name or "/" in name or "\\" in name or ":" in name or "\0" in name:
                raise broken(path, "names images elsewhere")
            return file_bytes(path if name == _META else path.with_name(name))

        return beside
    data = file_bytes(path)

    def inside(name: str) -> bytes:
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                info = archive.getinfo(name)
                if info.file_size > _LARGEST_ENTRY or info.file_size > 1100 * max(info.compress_size, 1):
                    raise broken(path, "holds more than its size allows")
                return archive.read(info)
        except KeyError as error:
            raise broken(path, f"lacks {str(name)[:60]}") from error
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError) as error:
            raise broken(path, "is a zip that cannot be read") from error
        except (struct.error, UnicodeDecodeError) as error:
            raise broken(path, "is a zip that cannot be read") from error

    return inside


def _image(path: Path, data: bytes, pixels: Pixels) -> np.ndarray:
    """(H, W, 4) of an image whose size is sane."""
    width, height = _size_of_webp(data)
    if not 0 < width * height <= _MOST_PIXELS:
        raise broken(path, "has an image of impossible size")
    try:
        return pixels(data)
    except ValueError as error:
        raise broken(path, "has an image that cannot be decoded") from error


def _size_of_webp(data: bytes) -> tuple[int, int]:
    """(width, height) by the head of a WebP; (0, 0) of anything else."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        return 0, 0
    kind = data[12:16]
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    return 0, 0  # VP8 is lossy, and so not SOG


def _opened(path: Path, meta: Any, image: Callable[[Any], np.ndarray]) -> SplatFile:
    has_codebooks = meta.get("version", 1) != 1
    if meta.get("version", 1) not in (1, 2):
        raise SplatFileError(f"{path.name} is SOG of version {meta['version']}.", "Export it as version 2.")
    count = meta["count"] if has_codebooks else meta["means"]["shape"][0]
    if not isinstance(count, int) or not 0 <= count <= _MOST_PIXELS:
        raise broken(path, "has an impossible number of splats")

    def texels(section: str, number: int) -> np.ndarray:
        found = image(meta[section]["files"][number]).reshape(-1, 4)
        if len(found) < count:
            raise broken(path, f"announces {count} splats but has images of {len(found)}")
        return found[:count]

    low, high, turn = texels("means", 0), texels("means", 1), texels("quats", 0)
    scale, base = texels("scales", 0), texels("sh0", 0)
    scale_table, base_table = _table(meta["scales"], has_codebooks, 3), _table(meta["sh0"], has_codebooks, 4)
    mins, maxs = (np.array(meta["means"][side], dtype=np.float64).reshape(3) for side in ("mins", "maxs"))
    degree, palette, label = 0, np.zeros((1, 0, 3), np.float32), np.zeros(count, np.intp)
    if meta.get("shN"):
        degree, palette = _palette(path, meta["shN"], image, has_codebooks)
        texel = texels("shN", 1)
        label = np.minimum(texel[:, 0] + 256 * texel[:, 1].astype(np.intp), len(palette) - 1)
    is_antialiased = bool(meta.get("antialias")) or meta.get("model") == "antialiased"
    header = Header(count, degree, antialiased=is_antialiased)

    def blocks() -> Iterator[GaussianCloud]:
        for start in range(0, count, _BLOCK):
            rows = slice(start, start + _BLOCK)
            with np.errstate(over="ignore", invalid="ignore"):
                place = (low[rows, :3] + 256.0 * high[rows, :3]) / 65535
                place = mins + place * (maxs - mins)
                color = np.stack([base_table[i][base[rows, i]] for i in range(3)], axis=1)
                yield GaussianCloud(
                    means=np.sign(place) * np.expm1(np.abs(place)),
                    log_scales=np.stack([scale_table[i][scale[rows, i]] for i in range(3)], axis=1),
                    quaternions=_quaternions(turn[rows]),
                    logit_opacities=logits_of(base[rows, 3] / 255) if has_codebooks else base_table[3][base[rows, 3]],
                    sh=np.concatenate([color[:, None], palette[label[rows]]], axis=1),
                    antialiased=is_antialiased,
                )

    return SplatFile(path, NAME, (SplatPart(header, blocks),), READ_AXES)


def _table(section: dict, has_codebook: bool, channels: int) -> np.ndarray:
    """(channels, 256) what each byte means in each channel."""
    if has_codebook:
        return np.tile(np.array(section["codebook"], dtype=np.float64).reshape(256), (channels, 1))
    mins, maxs = (np.array(section[side], dtype=np.float64).reshape(channels, 1) for side in ("mins", "maxs"))
    return mins + (maxs - mins) * np.arange(256) / 255


def _palette(path: Path, section: dict, image: Callable, has_codebook: bool) -> tuple[int, np.ndarray]:
    """Degree, and (entries, K - 1, 3) coefficients of the palette."""
    centroids = image(section["files"][0])[..., :3]
    degree = degree_of_rest(centroids.shape[1] // _COLUMNS)
    if not degree or degree > 3 or centroids.shape[1] % _COLUMNS:
        raise broken(path, "has a palette of a size that fits no degree")
    if has_codebook:
        values = np.array(section["codebook"], dtype=np.float32).reshape(256)
    else:
        values = (section["mins"] + (section["maxs"] - section["mins"]) * np.arange(256) / 255).astype(np.float32)
    return degree, values[centroids].reshape(-1, centroids.shape[1] // _COLUMNS, 3)


def _quaternions(texels: np.ndarray) -> np.ndarray:
    """(N, 4) w, x, y, z: the alpha tells which is left out, the largest; below 252 stands for no rotation."""
    others = (texels[:, :3] / np.float32(255) * 2 - 1) / np.float32(np.sqrt(2))
    largest = texels[:, 3].astype(np.intp) - 252
    found = from_smallest_three(np.maximum(largest, 0), others)
    found[largest < 0] = (1, 0, 0, 0)
    return found
