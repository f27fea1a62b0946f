"""COLMAP's binary files. The format is that of COLMAP's `src/colmap/scene/reconstruction_io_binary.cc`."""

import struct
from pathlib import Path

import numpy as np

from ....errors import CaptureError
from ....files import open_regular
from .model import LENS_MODELS, ImageRecord, Lens, PointRecords, Tables, no_points, parameter_count, tracks

_OBSERVATION = np.dtype([("pixels", "<f8", 2), ("point", "<u8")])
_POINT = np.dtype([("id", "<u8"), ("position", "<f8", 3), ("color", "u1", 3), ("error", "<f8"), ("track", "<u8")])
_MODEL_NUMBERS = {name: number for number, (name, _) in LENS_MODELS.items()}


def read_tables(folder: Path, with_observations: bool) -> Tables:
    """Read `cameras.bin`, `images.bin` and, where it is there, `points3D.bin`. Raises CaptureError."""
    lenses = read_lenses(folder)
    images = _read_images(_Reader(folder / "images.bin"), with_observations)
    points_file = folder / "points3D.bin"
    return Tables(lenses, images, _read_points(_Reader(points_file)) if points_file.is_file() else no_points())


def read_lenses(folder: Path) -> dict[int, Lens]:
    """Read `cameras.bin`. Raises CaptureError."""
    return _read_lenses(_Reader(folder / "cameras.bin"))


def count_images(folder: Path) -> int:
    """How many images the head of `images.bin` promises; 0 where it cannot be read."""
    try:
        with open_regular(folder / "images.bin") as file:
            return struct.unpack("<Q", file.read(8))[0]
    except (OSError, struct.error):
        return 0


def write_tables(folder: Path, tables: Tables) -> None:
    """Write the three files. Raises OSError."""
    content = [struct.pack("<Q", len(tables.lenses))]
    for number, lens in tables.lenses.items():
        content.append(struct.pack("<iiQQ", number, _MODEL_NUMBERS[lens.model], lens.width, lens.height))
        content.append(struct.pack(f"<{len(lens.parameters)}d", *lens.parameters))
    (folder / "cameras.bin").write_bytes(b"".join(content))

    content = [struct.pack("<Q", len(tables.images))]
    for number, image in tables.images.items():
        content.append(struct.pack("<i7di", number, *image.quaternion, *image.translation, image.camera_id))
        content.append(image.photo.encode("utf-8") + b"\0")
        seen = np.empty(0 if image.pixels is None else len(image.pixels), _OBSERVATION)
        seen["pixels"], seen["point"] = image.pixels, image.point_ids
        content.append(struct.pack("<Q", len(seen)) + seen.tobytes())
    (folder / "images.bin").write_bytes(b"".join(content))

    points = tables.points
    pairs, lengths = tracks(tables)
    heads = np.empty(len(points.ids), _POINT)
    heads["id"], heads["position"], heads["color"] = points.ids, points.positions, points.colors
    heads["error"], heads["track"] = points.errors, lengths
    head_bytes, pair_bytes = heads.tobytes(), pairs.astype("<i4").tobytes()
    content = [struct.pack("<Q", len(heads))]
    ends = np.cumsum(lengths)
    for row, (end, length) in enumerate(zip(ends.tolist(), lengths.tolist(), strict=True)):
        content.append(head_bytes[row * _POINT.itemsize : (row + 1) * _POINT.itemsize])
        content.append(pair_bytes[8 * (end - length) : 8 * end])
    (folder / "points3D.bin").write_bytes(b"".join(content))


class _Reader:
    """Little-endian values from a file, with one clear error when it ends early."""

    def __init__(self, path: Path):
        self.path = path
        try:
            with open_regular(path) as file:
                self.content = file.read()
        except OSError as error:
            raise CaptureError(
                f"{path} cannot be read ({error.strerror}).", "Choose a folder with a complete COLMAP model."
            ) from error
        if not self.content:
            raise CaptureError(f"{path} is empty.", "Copy it again or run COLMAP again.")
        self.at = 0

    def take(self, layout: str) -> tuple:
        try:
            values = struct.unpack_from("<" + layout, self.content, self.at)
        except struct.error as error:
            raise self.cut_short() from error
        self.at += struct.calcsize("<" + layout)
        return values

    def take_count(self, smallest: int) -> int:
        """A count of records of at least `smallest` bytes each: more than the file can hold means it was cut."""
        (count,) = self.take("Q")
        if count * smallest > len(self.content) - self.at:
            raise self.cut_short()
        return count

    def take_text(self) -> str:
        end = self.content.find(b"\0", self.at)
        if end < 0:
            raise self.cut_short()
        text = self.content[self.at : end].decode("utf-8", "replace")
        self.at = end + 1
        return text

    def take_array(self, dtype: np.dtype, count: int) -> np.ndarray:
        """`count` records; the file was asked for room before."""
        values = np.frombuffer(self.content, dtype, count, self.at)
        self.at += values.nbytes
        return values

    def cut_short(self) -> CaptureError:
        return CaptureError(f"{self.path} ends too early.", "It was cut short: copy it or run COLMAP again.")


def _read_lenses(reader: _Reader) -> dict[int, Lens]:
    lenses = {}
    for _ in range(reader.take_count(24)):
        number, model_number, width, height = reader.take("iiQQ")
        name, _ = LENS_MODELS.get(model_number, (f"number {model_number}", 0))
        count = parameter_count(name, str(reader.path.parent))
        lenses[number] = Lens(name, width, height, reader.take(f"{count}d"))
    return lenses


def _read_images(reader: _Reader, with_observations: bool) -> dict[int, ImageRecord]:
    images = {}
    for _ in range(reader.take_count(73)):
        number, qw, qx, qy, qz, tx, ty, tz, camera_id = reader.take("i7di")
        photo = reader.take_text()
        seen = reader.take_array(_OBSERVATION, reader.take_count(_OBSERVATION.itemsize))
        kept = (seen["pixels"], seen["point"]) if with_observations else (None, None)
        images[number] = ImageRecord(photo, camera_id, (qw, qx, qy, qz), (tx, ty, tz), *kept)
    return images


def _read_points(reader: _Reader) -> PointRecords:
    """Records differ in length by their tracks: walk over these, then gather all the rest at once."""
    count = reader.take_count(_POINT.itemsize)
    starts = np.empty(count, np.int64)
    content, at, length_at = reader.content, reader.at, _POINT.itemsize - 8
    take_length = struct.Struct("<Q").unpack_from
    try:
        for row in range(count):
            starts[row] = at
            at += _POINT.itemsize + 8 * take_length(content, at + length_at)[0]
    except (struct.error, OverflowError) as error:
        raise reader.cut_short() from error
    if at > len(content):
        raise reader.cut_short()
    whole = np.frombuffer(content, np.uint8)
    heads = whole[starts[:, None] + np.arange(_POINT.itemsize)].view(_POINT)[:, 0]
    return PointRecords(heads["id"].copy(), heads["position"].copy(), heads["color"].copy(), heads["error"].copy())
