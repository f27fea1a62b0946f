"""glTF 2.0 with KHR_gaussian_splatting (Khronos, ratified 2026): `.glb`, and `.gltf` with its `.bin`.

One mesh primitive of points holds the splats: linear scales, opacities 0..1, quaternions x y z w, one accessor for each
harmonic. The text of January 2026 had the logarithms of scales: one negative value tells. Splats in SPZ inside
(KHR_gaussian_splatting_compression_spz_2, a draft) are read.
"""

import base64
import binascii
import json
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import numpy as np

from ....errors import SplatFileError
from ...cloud import BLENDER, DISPLAY, GaussianCloud
from ...harmonics import MAX_DEGREE
from ...transform import Y_UP
from ..splat_file import (
    SMALLEST_OPACITY_32_BITS,
    Header,
    Reading,
    Settings,
    SplatFile,
    SplatPart,
    broken,
    file_bytes,
    gathered,
    kept_degree,
    logits_of,
    logs_of,
    losses_of,
    save_bytes,
)
from . import spz

NAME, TITLE, EXTENSIONS = "glb", "glTF", (".glb", ".gltf")
READ_AXES, WRITE_AXES = Y_UP, Y_UP

EXTENSION = "KHR_gaussian_splatting"
_SPZ = "KHR_gaussian_splatting_compression_spz_2"
_PREFIX = f"{EXTENSION}:"
_SPACE_KEY, _ANTIALIASED_KEY = "splatBlendSpace", "splatAntialiased"  # of the asset's extras; other readers ignore it
_KINDS = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_MOST_PARTS = 1000  # a few bytes could place one mesh any number of times
_LARGEST_BUFFER = 1 << 32
_BLOCK = 1 << 12


def recognizes(start: bytes, path: Path) -> bool:
    """By the mark of binary files, or JSON under its name."""
    return start.startswith(b"glTF") or (path.suffix.lower() == ".gltf" and start.lstrip()[:1] == b"{")


def open_file(path: Path, reading: Reading) -> SplatFile:
    """All primitives that hold splats, each where its nodes put it."""
    document, data = _document(path, file_bytes(path))
    try:
        return _opened(_Reader(path, document, data))
    except (TypeError, KeyError, IndexError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise broken(path, "has contents that glTF does not allow") from error


def _document(path: Path, content: bytes) -> tuple[dict, bytes | memoryview]:
    """The JSON, and the binary chunk where there is one."""
    text: bytes | memoryview = content
    data: bytes | memoryview = b""
    chunks: dict[bytes, memoryview] = {}
    if content.startswith(b"glTF"):
        at = 12
        while at + 8 <= len(content):
            size, kind = struct.unpack_from("<I4s", content, at)
            if at + 8 + size > len(content):
                raise broken(path, "is shorter than it says")
            chunks.setdefault(kind, memoryview(content)[at + 8 : at + 8 + size])
            at += 8 + size
        text, data = chunks.get(b"JSON", b""), chunks.get(b"BIN\0", b"")
    try:
        document = json.loads(bytes(text))
    except (ValueError, RecursionError) as error:
        raise broken(path, "holds no JSON that can be read") from error
    if not isinstance(document, dict) or not isinstance(document.get("asset"), dict):
        raise broken(path, "is not a glTF file")
    return document, data


def _opened(reader: "_Reader") -> SplatFile:
    path, document = reader.path, reader.document
    known = {EXTENSION, _SPZ}
    if unknown := [name for name in document.get("extensionsRequired", []) if name not in known]:
        raise SplatFileError(f"{path.name} needs the extension {unknown[0]}.", "Export it without that extension.")
    extras = document["asset"].get("extras")
    extras = extras if isinstance(extras, dict) else {}
    space = BLENDER if extras.get(_SPACE_KEY) == BLENDER else DISPLAY
    parts: list[SplatPart] = []
    notes: list[str] = []
    for name, matrix, primitive in reader.primitives():
        held = primitive.get("extensions", {}).get(EXTENSION)
        if held is None:
            continue
        if held.get("kernel", "ellipse") != "ellipse":
            raise SplatFileError(
                f"{path.name} has splats of another kind ({held['kernel']}).", "Only ellipses are read."
            )
        if held.get("colorSpace", "srgb_rec709_display") != "srgb_rec709_display":
            notes.append("Its colors are linear, and are shown here as if they were display-encoded: too dark.")
        if len(parts) == _MOST_PARTS:
            raise SplatFileError(f"{path.name} places splats more than {_MOST_PARTS} times.", "Export it in parts.")
        blob = held.get("extensions", {}).get(_SPZ)
        if blob is not None:
            inner = spz.opened(path, bytes(reader.view(blob["bufferView"])[0]))
            notes += inner.notes
            parts.append(SplatPart(inner.parts[0].header, inner.parts[0].read, name, matrix))
            continue
        part, more = _part(reader, primitive["attributes"], space, bool(extras.get(_ANTIALIASED_KEY)))
        notes += more
        parts.append(SplatPart(part.header, part.read, name, matrix))
    if not parts:
        raise SplatFileError(f"{path.name} holds no gaussian splats.", "Choose a glTF with KHR_gaussian_splatting.")
    return SplatFile(path, NAME, tuple(parts), READ_AXES, tuple(dict.fromkeys(notes)))


def _part(reader: "_Reader", attributes: dict, space: str, antialiased: bool) -> tuple[SplatPart, tuple[str, ...]]:
    columns = {
        name: reader.accessor(number) for name, number in attributes.items() if name.startswith((_PREFIX, "POSITION"))
    }
    place, turn = columns["POSITION"], columns[_PREFIX + "ROTATION"]
    scale, opacity = columns[_PREFIX + "SCALE"], columns[_PREFIX + "OPACITY"]
    stored = 0
    while f"{_PREFIX}SH_DEGREE_{stored + 1}_COEF_0" in columns and stored < MAX_DEGREE + 1:
        stored += 1
    degree, notes = kept_degree(stored)
    names = [f"{_PREFIX}SH_DEGREE_{d}_COEF_{k}" for d in range(degree + 1) for k in range(2 * d + 1)]
    harmonics = [columns[name] for name in names]
    expected = [(place, 3), (turn, 4), (scale, 3), (opacity, 1), *((each, 3) for each in harmonics)]
    if any(column.shape != (len(place), width) for column, width in expected):
        raise broken(reader.path, "has attributes of different lengths")
    has_logs = bool((scale < 0).any()) if scale.dtype.kind != "u" else False
    header = Header(len(place), degree, space, antialiased)

    def blocks() -> Iterator[GaussianCloud]:
        for start in range(0, len(place), _BLOCK):
            rows = slice(start, start + _BLOCK)
            with np.errstate(over="ignore", invalid="ignore"):
                sizes = _as_float(scale[rows], reader.is_normalized(attributes[_PREFIX + "SCALE"]))
                alpha = _as_float(opacity[rows], opacity.dtype.kind != "f")[:, 0]
                smallest = SMALLEST_OPACITY_32_BITS if opacity.dtype.kind == "f" else 1e-6
                yield GaussianCloud(
                    means=_as_float(place[rows], reader.is_normalized(attributes["POSITION"])),
                    log_scales=sizes if has_logs else logs_of(sizes),
                    quaternions=_as_float(turn[rows], turn.dtype.kind != "f")[:, [3, 0, 1, 2]],
                    logit_opacities=logits_of(alpha, smallest),
                    sh=_side_by_side([each[rows] for each in harmonics]),
                    blend_space=space,
                    antialiased=antialiased,
                )

    return SplatPart(header, blocks), notes


def _as_float(values: np.ndarray, is_normalized: bool) -> np.ndarray:
    """Float32 of an accessor's numbers, a copy where they are none; normalized ones as 0..1 or -1..1."""
    found = np.asarray(values, np.float32)
    if values.dtype.kind == "f" or not is_normalized:
        return found
    return np.maximum(found / np.float32(np.iinfo(values.dtype).max), np.float32(-1))


def _side_by_side(columns: list[np.ndarray]) -> np.ndarray:
    """(N, K, 3) float32 of K times (N, 3). Three numbers are moved as one, which takes two thirds of the time."""
    found = np.empty((len(columns[0]), len(columns)), "V12")
    for k, column in enumerate(columns):
        found[:, k] = np.ascontiguousarray(column, np.float32).view("V12")[:, 0]
    return found.view(np.float32).reshape(len(found), -1, 3)


class _Reader:
    """A document, its buffers, and what is asked of them. What is not as glTF has it ends in errors of Python."""

    def __init__(self, path: Path, document: dict, data: bytes | memoryview):
        self.path, self.document, self._binary = path, document, data
        self._buffers: dict[int, bytes | memoryview] = {}

    def primitives(self) -> Iterator[tuple[str, np.ndarray, dict]]:
        """(name, world from primitive (4, 4), primitive) for each node that has a mesh; without nodes, every mesh."""
        nodes, meshes = self.document.get("nodes", []), self.document.get("meshes", [])
        scenes = self.document.get("scenes", [])
        children = {child for node in nodes for child in node.get("children", [])}
        roots = [number for number in range(len(nodes)) if number not in children]
        if scenes:
            roots = scenes[_index(self.document.get("scene", 0), scenes)].get("nodes", [])
        open_ends = [(number, np.eye(4)) for number in reversed(roots)]
        seen: set[int] = set()
        while open_ends:
            number, above = open_ends.pop()
            node = nodes[_index(number, nodes)]
            if number in seen:
                raise ValueError("a node has two parents")
            seen.add(number)
            matrix = above @ _node_matrix(node)
            open_ends += [(child, matrix) for child in reversed(node.get("children", []))]
            if "mesh" in node:
                mesh = meshes[_index(node["mesh"], meshes)]
                name = node.get("name") or mesh.get("name") or ""
                for primitive in mesh["primitives"]:
                    yield str(name)[:60], matrix, primitive
        if not nodes:
            for mesh in meshes:
                for primitive in mesh["primitives"]:
                    yield str(mesh.get("name") or "")[:60], np.eye(4), primitive

    def is_normalized(self, number: int) -> bool:
        return bool(self.document["accessors"][number].get("normalized", False))

    def accessor(self, number: Any) -> np.ndarray:
        """(N, width) numbers as they are stored, without a copy."""
        accessors = self.document["accessors"]
        held = accessors[_index(number, accessors)]
        if "sparse" in held or "bufferView" not in held:
            raise SplatFileError(f"{self.path.name} has sparse or empty accessors.", "Export it without them.")
        dtype, width = np.dtype(_KINDS[held["componentType"]]), _WIDTHS[held["type"]]
        data, stride = self.view(held["bufferView"])
        offset, count = _whole(held.get("byteOffset", 0)), _whole(held["count"])
        stride = stride or width * dtype.itemsize
        if count and (offset + (count - 1) * stride + width * dtype.itemsize > len(data)):
            raise broken(self.path, f"announces {count} splats but is too short for them")
        if count == 0:
            return np.empty((0, width), dtype)
        strides = (stride, dtype.itemsize)
        return np.ndarray((count, width), dtype, data, offset, strides)

    def view(self, number: Any) -> tuple[memoryview, int]:
        """The bytes of a buffer view, and its stride, or 0."""
        views = self.document["bufferViews"]
        held = views[_index(number, views)]
        buffer = self._buffer(held["buffer"])
        start, size = _whole(held.get("byteOffset", 0)), _whole(held["byteLength"])
        if start + size > len(buffer):
            raise broken(self.path, "is shorter than its contents say")
        return memoryview(buffer)[start : start + size], _whole(held.get("byteStride", 0))

    def _buffer(self, number: Any) -> bytes | memoryview:
        buffers = self.document["buffers"]
        number = _index(number, buffers)
        if number not in self._buffers:
            address = buffers[number].get("uri")
            if address is None:
                self._buffers[number] = self._binary
            elif address.startswith("data:"):
                self._buffers[number] = _of_data_address(self.path, address)
            else:
                self._buffers[number] = file_bytes(self._beside(unquote(address)))
        return self._buffers[number]

    def _beside(self, address: str) -> Path:
        """A file in the document's own folder or below. Raises SplatFileError for any other place."""
        parts = PurePosixPath(address).parts
        if "\\" in address or ":" in address or "\0" in address or not parts or ".." in parts or parts[0] == "/":
            raise SplatFileError(f"{self.path.name} keeps its data elsewhere ({address[:80]!r}).", "Put it beside.")
        return self.path.parent.joinpath(*parts)


def _of_data_address(path: Path, address: str) -> bytes:
    head, _, text = address.partition(",")
    if not head.endswith(";base64"):
        raise broken(path, "holds data that is not in base64")
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError) as error:
        raise broken(path, "holds data that is not in base64") from error


def _index(number: Any, items: Any) -> int:
    if not isinstance(number, int) or not 0 <= number < len(items):
        raise IndexError(number)
    return number


def _whole(number: Any) -> int:
    if not isinstance(number, int) or not 0 <= number < 1 << 62:
        raise ValueError(number)
    return number


def _node_matrix(node: dict) -> np.ndarray:
    """(4, 4) of a node: its matrix, or translation, rotation and scale."""
    if "matrix" in node:
        matrix = np.array(node["matrix"], dtype=np.float64).reshape(4, 4).T
    else:
        x, y, z, w = np.array(node.get("rotation", (0, 0, 0, 1)), dtype=np.float64)
        length = np.sqrt(x * x + y * y + z * z + w * w)
        x, y, z, w = (value / (length or 1) for value in (x, y, z, w))
        matrix = np.eye(4)
        matrix[:3, :3] = [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
        matrix[:3, :3] *= np.array(node.get("scale", (1, 1, 1)), dtype=np.float64).reshape(3)
        matrix[:3, 3] = np.array(node.get("translation", (0, 0, 0)), dtype=np.float64).reshape(3)
    if not np.isfinite(matrix).all() or np.abs(matrix).max() > 1e30:
        raise ValueError("a node's transform is not finite")
    return matrix


def losses(header: Header, settings: Settings) -> list[str]:
    """What it cannot hold."""
    return losses_of(header, MAX_DEGREE, has_flag=True, keeps_space=True)


def write(path: Path, header: Header, blocks: Iterable[GaussianCloud], settings: Settings) -> None:
    """Write `.glb`, or `.gltf` with a `.bin` beside it. Raises SplatFileError."""
    cloud = gathered(header, blocks)
    views: list[dict] = []
    accessors: list[dict] = []
    columns, at = dict(_columns(cloud)), 0
    for name, column in columns.items():
        views.append({"buffer": 0, "byteOffset": at, "byteLength": column.nbytes, "target": 34962})
        kind = {1: "SCALAR", 3: "VEC3", 4: "VEC4"}[column.shape[1]]
        accessors.append({"bufferView": len(accessors), "componentType": 5126, "count": len(column), "type": kind})
        if name == "POSITION" and len(column):
            accessors[-1].update(min=column.min(axis=0).tolist(), max=column.max(axis=0).tolist())
        at += column.nbytes
    if at >= _LARGEST_BUFFER:
        raise SplatFileError(f"{len(cloud)} splats are more than one glTF holds.", "Choose SPZ or PLY.")
    held = {"kernel": "ellipse", "colorSpace": "srgb_rec709_display"}
    held |= {"projection": "perspective", "sortingMethod": "cameraDistance"}
    numbers = {name: number for number, name in enumerate(columns)}
    asset: dict = {"version": "2.0", "generator": "Splat Training"}
    extras: dict = {_SPACE_KEY: BLENDER} if cloud.blend_space == BLENDER else {}
    extras |= {_ANTIALIASED_KEY: True} if cloud.antialiased else {}
    if extras:
        asset["extras"] = extras
    document = {
        "asset": asset,
        "extensionsUsed": [EXTENSION],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": path.stem}],
        "meshes": [{"primitives": [{"attributes": numbers, "mode": 0, "extensions": {EXTENSION: held}}]}],
        "buffers": [{"byteLength": at}],
        "bufferViews": views,
        "accessors": accessors,
    }
    data = [column.data.cast("B") if column.size else b"" for column in columns.values()]
    if path.suffix.lower() == ".gltf":
        beside = path.with_suffix(".bin")
        document["buffers"] = [{"byteLength": at, "uri": beside.name.replace("%", "%25")}]
        save_bytes(beside, data)
        save_bytes(path, [json.dumps(document, indent=1).encode()])
        return
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    head = struct.pack("<4sIII4s", b"glTF", 2, 28 + len(text) + at, len(text), b"JSON")
    save_bytes(path, [head, text, struct.pack("<I4s", at, b"BIN\0"), *data])


def _columns(cloud: GaussianCloud) -> Iterator[tuple[str, np.ndarray]]:
    """Each attribute's numbers (N, width) in 32 bits."""
    yield "POSITION", np.ascontiguousarray(cloud.means, "<f4")
    yield _PREFIX + "ROTATION", np.ascontiguousarray(cloud.rotations[:, [1, 2, 3, 0]], "<f4")
    yield _PREFIX + "SCALE", np.exp(cloud.log_scales, dtype=np.float64).astype("<f4")
    yield _PREFIX + "OPACITY", np.ascontiguousarray(cloud.opacities[:, None], "<f4")
    by_coefficient = np.empty((cloud.sh.shape[1], len(cloud), 3), "<f4")
    for start in range(0, len(cloud), _BLOCK):  # some rows at a time: the cache holds them
        rows = slice(start, start + _BLOCK)
        by_coefficient[:, rows] = cloud.sh[rows].transpose(1, 0, 2)
    names = [(degree, number) for degree in range(cloud.sh_degree + 1) for number in range(2 * degree + 1)]
    for (degree, number), column in zip(names, by_coefficient, strict=True):
        yield f"{_PREFIX}SH_DEGREE_{degree}_COEF_{number}", column
