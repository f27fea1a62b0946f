"""Splat files of other programs' formats."""

import functools
import json
import struct
import tempfile
import zlib
from pathlib import Path

from splat_addon.gaussians.formats.exchange import spz as spz_format
from splat_addon.gaussians.formats.registry import cloud_of, open_splats, write_splats
from splat_addon.gaussians.formats.splat_file import Reading, Settings

from .. import exchange_files
from ..scenes import random_cloud
from .mutations import Mutator, holders_in
from .splat_files import require_sound
from .trial import Trial

_UNKNOWN = ("", "a", "low.webp", "../x", "/etc/passwd", "a\0b")


def spz(mutator: Mutator) -> Trial:
    """Versions 2 and 3, their content broken before it is compressed, and 4."""
    version = mutator.one_of((2, 3, 4))
    content = _spzs()[version]
    if mutator.is_chosen(0.5):
        place = mutator.random.randrange(4, 16)
        content = content[:place] + mutator.random.randbytes(1) + content[place + 1 :]
    if mutator.is_chosen(0.7):
        content = mutator.bytes(content)
    if version < 4 and mutator.is_chosen(0.9):
        packer = zlib.compressobj(1, zlib.DEFLATED, 31)
        content = packer.compress(content) + packer.flush()
        content = mutator.bytes(content) if mutator.is_chosen(0.3) else content
    return Trial({"a.spz": content}, lambda folder: _read(folder / "a.spz", folder))


def splat(mutator: Mutator) -> Trial:
    """antimatter15's records."""
    return Trial({"a.splat": mutator.bytes(_written(".splat"))}, lambda folder: _read(folder / "a.splat", folder))


def ksplat(mutator: Mutator) -> Trial:
    """All three levels; headers are where it hurts."""
    content = bytearray(mutator.one_of(_ksplats()))
    for _ in mutator.a_few():
        place = mutator.one_of((mutator.random.randrange(48), 4096 + mutator.random.randrange(48)))
        content[place : place + 2] = mutator.random.randbytes(2)
    found = mutator.bytes(bytes(content)) if mutator.is_chosen(0.3) else bytes(content)
    return Trial({"a.ksplat": found}, lambda folder: _read(folder / "a.ksplat", folder))


def gltf(mutator: Mutator) -> Trial:
    """Both kinds of container, JSON of other values."""
    content = mutator.one_of(_gltfs())
    (size,) = struct.unpack_from("<I", content, 12)
    document, data = json.loads(content[20 : 20 + size]), content[28 + size :]
    text = mutator.json(document)
    if mutator.is_chosen(0.3):
        text = mutator.json({**document, "buffers": [{"byteLength": len(data), "uri": "a.bin"}]})
        return Trial({"a.gltf": text, "a.bin": data}, lambda folder: _read(folder / "a.gltf", folder))
    text += b" " * (-len(text) % 4)
    content = struct.pack("<4sIII4s", b"glTF", 2, 28 + len(text) + len(data), len(text), b"JSON") + text
    content += struct.pack("<I4s", len(data), b"BIN\0") + data
    content = mutator.bytes(content) if mutator.is_chosen(0.2) else content
    return Trial({"a.glb": content}, lambda folder: _read(folder / "a.glb", folder))


def sog(mutator: Mutator) -> Trial:
    """A folder with its description broken, or a zip broken as bytes."""
    files = dict(mutator.one_of(_sogs()))
    if mutator.is_chosen(0.3):
        content = mutator.bytes(mutator.one_of(_sog_zips()))
        return Trial({"a.sog": content}, lambda folder: _read(folder / "a.sog", folder))
    if mutator.is_chosen(0.8):
        document = json.loads(files["meta.json"])
        if mutator.is_chosen(0.2):
            holder = mutator.one_of([held for held in holders_in(document) if isinstance(held, dict)])
            holder[mutator.one_of(list(holder))] = mutator.one_of(_UNKNOWN)
        files["meta.json"] = mutator.json(document)
    else:
        name = mutator.one_of([name for name in files if name != "meta.json"])
        files[name] = mutator.bytes(files[name])
    return Trial(files, lambda folder: _read(folder / "meta.json", folder))


def usd(mutator: Mutator) -> Trial:
    """Text, which is read by hand where there is no USD."""
    return Trial({"a.usda": mutator.text(_written(".usda"))}, lambda folder: _read(folder / "a.usda", folder))


def _read(path: Path, folder: Path) -> None:
    file = open_splats(path, Reading(_pixels))
    require_sound(cloud_of(file), folder, file.count, times=1032)  # what deflate makes of one byte at most


def _pixels(data: bytes):
    try:
        return exchange_files.raw_pixels(data)
    except struct.error as error:
        raise ValueError("not an image") from error


@functools.cache
def _written(ending: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{ending}"
        write_splats(path, random_cloud(3, degree=1))
        return path.read_bytes()


@functools.cache
def _spzs() -> dict[int, bytes]:
    """Uncompressed."""
    found = {}
    for version in (2, 3):
        head, streams = spz_format.encoded(random_cloud(3, degree=version - 2), version)
        found[version] = head + b"".join(streams)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.spz"
        write_splats(path, random_cloud(3, degree=1), Settings("Y_UP", 4))
        found[4] = path.read_bytes()
    return found


@functools.cache
def _ksplats() -> tuple[bytes, ...]:
    return tuple(exchange_files.ksplat(random_cloud(7, degree=level), level) for level in range(3))


@functools.cache
def _gltfs() -> tuple[bytes, ...]:
    cloud = random_cloud(3, degree=1)
    return (_written(".glb"), exchange_files.quantized_glb(cloud), exchange_files.quantized_glb(cloud, True))


@functools.cache
def _sogs() -> tuple[dict[str, bytes], ...]:
    return tuple(
        exchange_files.sog_files(random_cloud(5, degree=degree), version) for version, degree in ((1, 1), (2, 2))
    )


@functools.cache
def _sog_zips() -> tuple[bytes, ...]:
    return tuple(
        exchange_files.sog(random_cloud(3, degree=1), is_deflated=is_deflated) for is_deflated in (False, True)
    )
