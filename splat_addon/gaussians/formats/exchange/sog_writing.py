"""Writing SOG, version 2: see `sog` for what is in it.

What costs time is the palette of harmonics: k-means over all splats. It gets as many entries as about a minute allows
on the machine that writes, at most 65 536, which is what the format has room for.
"""

import io
import json
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ....errors import SplatFileError
from ...cloud import GaussianCloud
from ...harmonics import MAX_DEGREE
from ..splat_file import Header, Settings, gathered, losses_of, save_bytes
from .compressed_files import morton_order
from .packing import smallest_three

WITHIN_S = 45.0  # for the palette; the rest takes the rest of a minute
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
    if settings.encode is None:
        raise SplatFileError(f"{path.name} needs images, which cannot be encoded here.", "Choose SPZ.")
    cloud = gathered(header, blocks)
    if len(cloud) == 0:
        raise SplatFileError("There are no splats to write.", "Choose an object that has some.")
    save_bytes(path, [_zipped(_files(cloud.select(morton_order(cloud.means)), settings.encode))])


def _files(cloud: GaussianCloud, encode) -> dict[str, bytes]:
    """All files of the zip by their names."""
    count = len(cloud)
    width = _whole_fours(int(np.ceil(np.sqrt(count))))
    height = _whole_fours(-(-count // width))

    def image(texels: np.ndarray) -> bytes:
        pixels = np.zeros((width * height, 4), np.uint8)
        pixels[:, 3] = 255
        pixels[:count, : texels.shape[1]] = texels
        return encode(pixels.reshape(height, width, 4))

    logs = np.sign(cloud.means) * np.log1p(np.abs(cloud.means, dtype=np.float64))
    mins, maxs = logs.min(axis=0), logs.max(axis=0)
    place = np.rint((logs - mins) / np.maximum(maxs - mins, 1e-12) * 65535).astype(np.int64)
    largest, others = smallest_three(cloud.rotations.astype(np.float64))
    turn = np.column_stack([np.rint((others * np.sqrt(2) + 1) / 2 * 255), largest + 252])
    sizes, bases = even_codebook(cloud.log_scales), codebook(cloud.sh[:, 0])
    base = np.column_stack([nearest(bases, cloud.sh[:, 0]), np.rint(255 * cloud.opacities)])
    files = {
        "means_l.webp": image(place & 255),
        "means_u.webp": image(place >> 8),
        "quats.webp": image(turn),
        "scales.webp": image(nearest(sizes, cloud.log_scales)),
        "sh0.webp": image(base),
    }
    meta: dict = {
        "version": 2,
        "count": count,
        "antialias": cloud.antialiased,
        "means": {"mins": mins.tolist(), "maxs": maxs.tolist(), "files": ["means_l.webp", "means_u.webp"]},
        "scales": {"codebook": sizes.tolist(), "files": ["scales.webp"]},
        "quats": {"files": ["quats.webp"]},
        "sh0": {"codebook": bases.tolist(), "files": ["sh0.webp"]},
    }
    if cloud.sh_degree:
        entries, labels = palette(cloud.sh[:, 1:].reshape(count, -1))
        values = codebook(entries)
        rows = -(-len(entries) // _COLUMNS)
        texels = np.full((rows * _COLUMNS, entries.shape[1] // 3, 4), 255, np.uint8)
        texels[: len(entries), :, :3] = nearest(values, entries).reshape(len(entries), -1, 3)
        files["shN_centroids.webp"] = encode(texels.reshape(rows, -1, 4))
        files["shN_labels.webp"] = image(np.column_stack([labels & 255, labels >> 8]))
        meta["shN"] = {"count": len(entries), "bands": cloud.sh_degree, "codebook": values.tolist()}
        meta["shN"]["files"] = ["shN_centroids.webp", "shN_labels.webp"]
    return {**files, "meta.json": json.dumps(meta).encode()}


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


def palette(rows: np.ndarray, within_s: float = WITHIN_S) -> tuple[np.ndarray, np.ndarray]:
    """(P, D) entries, and (N,) which of them stands for each of `rows` (N, D): k-means, with as many entries as the
    time allows."""
    random = np.random.default_rng(0)
    entries = min(_MOST_ENTRIES, 1024 << max(0, int(np.log2(max(len(rows) / 1024, 1)))), len(rows))
    while True:
        some = random.permutation(len(rows))[: _SAMPLE * entries]
        few = some[: _DISTANCES // entries]
        began = time.perf_counter()
        _closest(rows[few], rows[some[:entries]])
        row_s = (time.perf_counter() - began) / len(few)
        if entries <= 1024 or row_s * (_ROUNDS * len(some) + len(rows)) <= within_s:
            break
        entries //= 2
    sample = rows[some]
    found = sample[:entries].astype(np.float32)
    for _ in range(_ROUNDS):
        labels = _closest(sample, found)
        counts = np.bincount(labels, minlength=entries)
        sums = np.stack([np.bincount(labels, column, entries) for column in sample.T], axis=1)
        found = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], found).astype(np.float32)
    return found, _closest(rows, found)


def _closest(rows: np.ndarray, entries: np.ndarray) -> np.ndarray:
    """(N,) the entry nearest to each row."""
    half_squares = np.einsum("pd,pd->p", entries, entries) / 2
    step, found = max(1, _DISTANCES // len(entries)), np.empty(len(rows), np.int64)
    for at in range(0, len(rows), step):
        found[at : at + step] = (half_squares - rows[at : at + step] @ entries.T).argmin(axis=1)
    return found
