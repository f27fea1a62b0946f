"""COLMAP's text files. The format is that of COLMAP's `src/colmap/scene/reconstruction_io_text.cc`."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ....errors import CaptureError
from ....files import open_regular
from .model import NO_POINT, ImageRecord, Lens, PointRecords, Tables, no_points, parameter_count, tracks

_HEADS = {
    "cameras": "# Camera list with one line of data per camera:\n#   CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]\n",
    "images": "# Image list with two lines of data per image:\n"
    "#   IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME\n#   POINTS2D[] as (X, Y, POINT3D_ID)\n",
    "points": "# 3D point list with one line of data per point:\n"
    "#   POINT3D_ID, X, Y, Z, R, G, B, ERROR, TRACK[] as (IMAGE_ID, POINT2D_IDX)\n",
}

_MOST_DIGITS = 20  # of a count: more records than any file holds
_NO_TRIPLES = "has {} numbers, which are not triples of x, y, point"


def read_tables(folder: Path, with_observations: bool) -> Tables:
    """Read `cameras.txt`, `images.txt` and, where it is there, `points3D.txt`. Raises CaptureError."""
    lenses = read_lenses(folder)
    images = _read_images(_Lines(folder / "images.txt", "images"), with_observations)
    points_file = folder / "points3D.txt"
    points = _read_points(_Lines(points_file, "points")) if points_file.is_file() else no_points()
    return Tables(lenses, images, points)


def read_lenses(folder: Path) -> dict[int, Lens]:
    """Read `cameras.txt`. Raises CaptureError."""
    return _read_lenses(_Lines(folder / "cameras.txt", "cameras"))


def count_images(folder: Path) -> int:
    """How many images `images.txt` lists; 0 where it cannot be read."""
    try:
        return sum(1 for _ in _Lines(folder / "images.txt", "images").records_of_two())
    except CaptureError:
        return 0


def write_tables(folder: Path, tables: Tables) -> None:
    """Write the three files, numbers as long as they must be to be read back the same. Raises OSError."""
    lines = [_HEADS["cameras"] + f"# Number of cameras: {len(tables.lenses)}"]
    for number, lens in tables.lenses.items():
        lines.append(f"{number} {lens.model} {lens.width} {lens.height} {_numbers(lens.parameters)}")
    _write(folder / "cameras.txt", lines)

    lines = [_HEADS["images"] + f"# Number of images: {len(tables.images)}"]
    for number, image in tables.images.items():
        pose = _numbers((*image.quaternion, *image.translation))
        lines.append(f"{number} {pose} {image.camera_id} {image.photo}")
        seen = []
        if image.pixels is not None and image.point_ids is not None:
            for (x, y), point in zip(image.pixels.tolist(), image.point_ids.tolist(), strict=True):
                seen.append(f"{x!r} {y!r} {-1 if point == NO_POINT else point}")
        lines.append(" ".join(seen))
    _write(folder / "images.txt", lines)

    points = tables.points
    pairs, lengths = tracks(tables)
    lines = [_HEADS["points"] + f"# Number of points: {len(points.ids)}"]
    columns = (points.ids, points.positions, points.colors, points.errors, lengths)
    flat, at = pairs.ravel().tolist(), 0
    for number, place, color, error, length in zip(*(column.tolist() for column in columns), strict=True):
        track = " ".join(map(str, flat[2 * at : 2 * (at + length)]))
        lines.append(f"{number} {_numbers(place)} {color[0]} {color[1]} {color[2]} {error!r} {track}".rstrip())
        at += length
    _write(folder / "points3D.txt", lines)


def _numbers(values) -> str:
    return " ".join(map(repr, values))


def _write(path: Path, lines: list[str]) -> None:
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write("\n".join(lines) + "\n")


class _Lines:
    """The lines of a file that hold data, with their numbers and, where its head tells it, how many records."""

    def __init__(self, path: Path, noun: str):
        self.path, self.noun = path, noun
        try:
            with open_regular(path) as file:
                text = file.read().decode("utf-8-sig", errors="replace")
        except OSError as error:
            raise CaptureError(
                f"{path} cannot be read ({error.strerror}).", "Choose a folder with a complete COLMAP model."
            ) from error
        self._lines = text.replace("\r\n", "\n").replace("\r", "\n").rstrip().split("\n")
        if self._lines == [""]:
            raise CaptureError(f"{path} is empty.", "Copy it again or run COLMAP again.")
        announced = re.search(rf"^#\s*Number of {noun}:\s*([0-9]+)", "\n".join(self._lines[:10]), re.MULTILINE)
        self._announced = int(announced.group(1)[:_MOST_DIGITS]) if announced else None

    def records(self) -> Iterator[tuple[int, str]]:
        """(line number, line) of each line that is neither a comment nor blank."""
        for index, line in enumerate(self._lines):
            if line.strip() and not line.startswith("#"):
                yield index + 1, line

    def records_of_two(self) -> Iterator[tuple[int, str, str]]:
        """(line number, line, the line below), which may be blank and is not a record of its own."""
        skipped = 0
        for number, line in self.records():
            if number != skipped:
                skipped = number + 1
                yield number, line, self._lines[number] if number < len(self._lines) else ""

    def wrong(self, number: int, what: str) -> CaptureError:
        return CaptureError(
            f"Line {number} of {self.path} {what}.", "Copy the file again, or write the model again with COLMAP."
        )

    def check_count(self, found: int) -> None:
        """Raise CaptureError when the head announces another number of records."""
        if self._announced is not None and self._announced != found:
            raise CaptureError(
                f"{self.path} announces {self._announced} {self.noun} but holds {found}.",
                "Copy the file again, or correct the number in its head if lines were removed on purpose.",
            )


def _read_lenses(lines: _Lines) -> dict[int, Lens]:
    lenses = {}
    for number, line in lines.records():
        words = line.split()
        try:
            lens_id, name, width, height = int(words[0]), words[1], int(words[2]), int(words[3])
            parameters = tuple(map(float, words[4:]))
        except (ValueError, IndexError) as error:
            raise lines.wrong(number, "is not a camera") from error
        count = parameter_count(name, str(lines.path.parent))
        if len(parameters) != count:
            raise lines.wrong(number, f"has {len(parameters)} parameters where {name} has {count}")
        lenses[lens_id] = Lens(name, width, height, parameters)
    lines.check_count(len(lenses))
    return lenses


def _read_images(lines: _Lines, with_observations: bool) -> dict[int, ImageRecord]:
    images = {}
    for number, line, below in lines.records_of_two():
        words = line.split(maxsplit=9)
        try:
            image_id, camera_id, photo = int(words[0]), int(words[8]), words[9].strip()
            pose = tuple(map(float, words[1:8]))
        except (ValueError, IndexError) as error:
            raise lines.wrong(number, "is not an image") from error
        if below.count(" ") % 3 != 2 and len(below.split()) % 3:  # counting spaces is quick, and mostly enough
            raise lines.wrong(number + 1, _NO_TRIPLES.format(len(below.split())))
        kept = _observations(lines, number + 1, below) if with_observations else (None, None)
        images[image_id] = ImageRecord(photo, camera_id, pose[:4], pose[4:], *kept)
    lines.check_count(len(images))
    return images


def _observations(lines: _Lines, number: int, line: str) -> tuple[np.ndarray, np.ndarray]:
    words = line.split()
    if len(words) % 3:
        raise lines.wrong(number, _NO_TRIPLES.format(len(words)))
    try:
        pixels = np.array([words[0::3], words[1::3]], dtype=np.float64).T.reshape(-1, 2)
        points = np.array([int(word) for word in words[2::3]], dtype=np.int64).view(np.uint64)
    except (ValueError, OverflowError) as error:
        raise lines.wrong(number, "holds something that is not a number") from error
    return pixels, points


def _read_points(lines: _Lines) -> PointRecords:
    ids, rows = [], []
    for number, line in lines.records():
        words = line.split()
        if len(words) < 8 or len(words) % 2:
            raise lines.wrong(number, f"has {len(words)} words, which is not a point with its track")
        try:
            ids.append(int(words[0]))
            rows.append(tuple(map(float, words[1:8])))
        except ValueError as error:
            raise lines.wrong(number, "is not a point") from error
        if not 0 <= ids[-1] <= NO_POINT:
            raise lines.wrong(number, "is not a point: its number is impossible")
    lines.check_count(len(ids))
    values = np.array(rows, dtype=np.float64).reshape(-1, 7)
    colors = np.nan_to_num(values[:, 3:6], nan=0.0).clip(0, 255).astype(np.uint8)
    return PointRecords(np.array(ids, dtype=np.uint64), values[:, :3].copy(), colors, values[:, 6].copy())
