"""Writing SOG, version 2: see `sog` for what is in it.

What costs time is the palette of harmonics: k-means over all splats. It gets as many entries as about a minute allows
on the machine that writes, at most 65 536, which is what the format has room for. So writing goes in steps, some
hundredths of a second each but for images.
"""

import io
import json
import time
import zipfile
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

import numpy as np

from ....errors import SplatFileError
from ...cloud import GaussianCloud
from ...harmonics import MAX_DEGREE
from ..splat_file import Encode, Header, Progress, Settings, gathered, losses_of, save_bytes
from .compressed_files import morton_order
from .packing import smallest_three

WITHIN_S = 50.0  # up to where the palette is found; its images take the rest of a minute
_LEAST_S = 5.0  # for the palette, however slow the rest was
_ROUNDS = 4
_SAMPLE = 8  # splats for each entry, of which the palette is found
_MOST_ENTRIES = 1 << 16
_COLUMNS = 64
_DISTANCES = 1 << 22  # that are computed at a time
_LEVELS = 256
_MOST_VALUES = 1 << 20


def losses(header: Header, settings: Settings) -> list[str]:
    """What SOG cannot hold."""
    found = ["Precision is lost: sizes, rotations, colors and opacities to 8 bits. The order changes."]
    if header.sh_degree:
        found.append("Color that depends on the view is approximated by a palette; finding it takes up to a minute.")
    return [*found, *losses_of(header, MAX_DEGREE, has_flag=True)]


def write(path: Path, header: Header, blocks: Iterable[GaussianCloud], settings: Settings) -> None:
    """Write a zip of images. Raises SplatFileError, also where nobody encodes images."""
    for _ in write_in_steps(path, header, blocks, settings):
        pass


def write_in_steps(
    path: Path, header: Header, blocks: Iterable[GaussianCloud], settings: Settings
) -> Iterator[Progress]:
    """The same, step by step. The last one says how large the palette is."""
    if settings.encode is None:
        raise SplatFileError(f"{path.name} needs images, which cannot be encoded here.", "Choose SPZ.")
    began, cloud = time.perf_counter(), gathered(header, blocks)
    if len(cloud) == 0:
        raise SplatFileError("There are no splats to write.", "Choose an object that has some.")
    _sort(cloud)
    yield Progress(0.01)
    files = _Files(cloud, settings.encode, began)
    yield from files.made()
    note = f"Its palette of view-dependent colors has {files.entries} entries."
    save_bytes(path, [_zipped(files.content)])
    yield Progress(1.0, note if files.entries else "")


def _sort(cloud: GaussianCloud) -> None:
    """Bring gaussians into Morton order, one parameter after the other: no second cloud is made."""
    order = morton_order(cloud.means)
    for name in ("means", "log_scales", "quaternions", "logit_opacities", "sh"):
        setattr(cloud, name, getattr(cloud, name)[order])


class _Files:
    """All files of the zip: `content` by their names."""

    def __init__(self, cloud: GaussianCloud, encode: Encode, began: float):
        self.content: dict[str, bytes] = {}
        self.entries = 0  # of the palette
        self._cloud, self._encode, self._began = cloud, encode, began
        self._width = _whole_fours(int(np.ceil(np.sqrt(len(cloud)))))
        self._height = _whole_fours(-(-len(cloud) // self._width))
        self._meta: dict = {"version": 2, "count": len(cloud), "antialias": cloud.antialiased}

    def made(self) -> Iterator[Progress]:
        """Make them, and say how far that is."""
        for number, part in enumerate((self._low_places, self._high_places, self._rotations, self._scales, self._base)):
            part()
            yield Progress(0.02 + 0.01 * number)
        if self._cloud.sh_degree:
            for done in self._harmonics():
                yield Progress(0.06 + 0.92 * done)
        self.content["meta.json"] = json.dumps(self._meta).encode()

    def _image(self, name: str, texels: np.ndarray) -> str:
        """Add an image of (N, 1 to 4) bytes, a texel for each splat; returns its name."""
        pixels = np.zeros((self._width * self._height, 4), np.uint8)
        pixels[:, 3] = 255
        pixels[: len(texels), : texels.shape[1]] = texels
        self.content[name] = self._encode(pixels.reshape(self._height, self._width, 4))
        return name

    def _low_places(self) -> None:
        logs = np.sign(self._cloud.means) * np.log1p(np.abs(self._cloud.means, dtype=np.float64))
        mins, maxs = logs.min(axis=0), logs.max(axis=0)
        self._place = np.rint((logs - mins) / np.maximum(maxs - mins, 1e-12) * 65535).astype(np.uint16)
        names = [self._image("means_l.webp", self._place & 255), "means_u.webp"]
        self._meta["means"] = {"mins": mins.tolist(), "maxs": maxs.tolist(), "files": names}

    def _high_places(self) -> None:
        self._image("means_u.webp", self._place >> 8)

    def _rotations(self) -> None:
        largest, others = smallest_three(self._cloud.rotations.astype(np.float64))
        turn = np.column_stack([np.rint((others * np.sqrt(2) + 1) / 2 * 255), largest + 252])
        self._meta["quats"] = {"files": [self._image("quats.webp", turn)]}

    def _scales(self) -> None:
        sizes = even_codebook(self._cloud.log_scales)
        name = self._image("scales.webp", nearest(sizes, self._cloud.log_scales))
        self._meta["scales"] = {"codebook": sizes.tolist(), "files": [name]}

    def _base(self) -> None:
        base = self._cloud.sh[:, 0]
        levels = codebook(base)
        name = self._image("sh0.webp", np.column_stack([nearest(levels, base), np.rint(255 * self._cloud.opacities)]))
        self._meta["sh0"] = {"codebook": levels.tolist(), "files": [name]}

    def _harmonics(self) -> Iterator[float]:
        within_s = max(_LEAST_S, WITHIN_S - (time.perf_counter() - self._began))
        entries, labels = yield from palette(self._cloud.sh.reshape(len(self._cloud), -1)[:, 3:], within_s)
        self.entries = len(entries)
        levels = codebook(entries)
        rows = -(-len(entries) // _COLUMNS)
        texels = np.full((rows * _COLUMNS, entries.shape[1] // 3, 4), 255, np.uint8)
        texels[: len(entries), :, :3] = nearest(levels, entries).reshape(len(entries), -1, 3)
        self.content["shN_centroids.webp"] = self._encode(texels.reshape(rows, -1, 4))
        yield 1.0
        names = ["shN_centroids.webp", self._image("shN_labels.webp", np.column_stack([labels & 255, labels >> 8]))]
        self._meta["shN"] = {"count": len(entries), "bands": self._cloud.sh_degree, "codebook": levels.tolist()}
        self._meta["shN"]["files"] = names


def _whole_fours(number: int) -> int:
    """The next number that 4 divides; readers expect such sizes of images."""
    return max(4, (number + 3) // 4 * 4)


def _zipped(files: dict[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:
        for name, content in files.items():
            packed.writestr(zipfile.ZipInfo(name), content)
    return archive.getvalue()


def even_codebook(values: np.ndarray) -> np.ndarray:
    """(256,) evenly spaced numbers up to the largest: of sizes, where the few large ones are what is seen, and must not
    have larger errors than others. The few that are far smaller than all others become as small as these."""
    least = max(float(values.min()), float(np.quantile(values, 0.005)) - 1)
    return np.linspace(least, float(values.max()), _LEVELS)


def codebook(values: np.ndarray) -> np.ndarray:
    """(256,) ascending numbers near which `values` lie: k-means in one dimension, begun between quantiles and even
    spacing."""
    flat = np.sort(values.reshape(-1)[:: max(1, values.size // _MOST_VALUES)].astype(np.float64))
    even = np.linspace(flat[0], flat[-1], _LEVELS)
    levels = (even + np.quantile(flat, np.linspace(0, 1, _LEVELS))) / 2
    sums = np.concatenate([[0.0], np.cumsum(flat)])
    for _ in range(12):
        ends = np.concatenate([[0], np.searchsorted(flat, (levels[1:] + levels[:-1]) / 2), [len(flat)]])
        counts = np.diff(ends)
        levels = np.where(counts > 0, np.diff(sums[ends]) / np.maximum(counts, 1), levels)
    levels[0], levels[-1] = flat[0], flat[-1]
    return np.sort(levels)


def nearest(levels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The index of the level nearest to each value, in the shape of `values`."""
    return np.searchsorted((levels[1:] + levels[:-1]) / 2, values).astype(np.uint8)


def palette(rows: np.ndarray, within_s: float = WITHIN_S) -> Generator[float, None, tuple[np.ndarray, np.ndarray]]:
    """(P, D) entries, and (N,) which of them stands for each of `rows` (N, D): k-means, with as many entries as the
    time allows. Yields how much of it is done."""
    random, began = np.random.default_rng(0), time.perf_counter()
    entries = min(_MOST_ENTRIES, 1024 << max(0, int(np.log2(max(len(rows) / 1024, 1)))), len(rows))
    while True:
        some = random.permutation(len(rows))[: _SAMPLE * entries]
        few, table = some[: _DISTANCES // entries], _table(rows[some[:entries]])
        row_s = min(_seconds(rows[few], table) for _ in range(3)) / len(few)
        if entries <= 1024 or row_s * (_ROUNDS * len(some) + len(rows)) <= within_s:
            break
        entries //= 2
        yield 0.0
    sample, total = rows[some], _ROUNDS * len(some) + len(rows)
    found = sample[:entries].astype(np.float32)
    for turn in range(_ROUNDS):
        spent = time.perf_counter() - began
        if turn > 1 and spent * (1 + (len(some) + len(rows)) / (turn * len(some))) > within_s:
            break  # others use the machine, too
        labels = yield from _closest_in_steps(sample, found, turn * len(some), total)
        counts = np.bincount(labels, minlength=entries)
        sums = np.stack([np.bincount(labels, column, entries) for column in sample.T], axis=1)
        found = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], found).astype(np.float32)
    labels = yield from _closest_in_steps(rows, found, _ROUNDS * len(some), total)
    return found, labels


def _seconds(rows: np.ndarray, table: np.ndarray) -> float:
    """How long it takes to find the entries nearest to some rows."""
    began = time.perf_counter()
    _closest(rows, table)
    return time.perf_counter() - began


def _closest_in_steps(
    rows: np.ndarray, entries: np.ndarray, before: int, total: int
) -> Generator[float, None, np.ndarray]:
    """(N,) the entry nearest to each row. Yields the part of `total` rows that is done, when `before` were."""
    step, found = max(1, _DISTANCES // len(entries)), np.empty(len(rows), np.int32)
    table = _table(entries)
    for at in range(0, len(rows), step):
        found[at : at + step] = _closest(rows[at : at + step], table)
        yield (before + min(at + step, len(rows))) / total
    return found


def _table(entries: np.ndarray) -> np.ndarray:
    """(D + 1, P): (row, 1) times that is half of what the squared distance to each entry has beyond the row's own
    square."""
    return np.concatenate([-entries.T, np.einsum("pd,pd->p", entries, entries)[None] / 2]).astype(np.float32)


def _closest(rows: np.ndarray, table: np.ndarray) -> np.ndarray:
    """(N,) the entry nearest to each of a few rows, by the `_table` of entries."""
    with_one = np.ones((len(rows), rows.shape[1] + 1), np.float32)
    with_one[:, :-1] = rows
    return (with_one @ table).argmin(axis=1)
