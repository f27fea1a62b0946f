"""PLY files: splats as the INRIA trainer writes them, and coloured points.

Splat layout (Kerbl et al. 2023, reference implementation): x y z, nx ny nz (zeros), f_dc_0..2, f_rest_* with all
coefficients of red first, then green, then blue, opacity (logit), scale_0..2 (logarithm), rot_0..3 (w, x, y, z).
"""

import os
from pathlib import Path

import numpy as np

from ..errors import SplatFileError
from .cloud import GaussianCloud

_NUMPY_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip
_BYTE_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": "="}
_PLY_TYPES = {"<f4": "float", "|u1": "uchar"}


def read_splats(path: Path) -> GaussianCloud:
    """The gaussians of an INRIA-layout PLY, properties found by name, bytes after the last record ignored.

    Raises SplatFileError when the file is no PLY, is cut short, or holds no splats.
    """
    vertices = read_vertices(path)
    names = vertices.dtype.names or ()
    needed = ["x", "y", "z", *_names("f_dc", 3), "opacity", *_names("scale", 3), *_names("rot", 4)]
    missing = [name for name in needed if name not in names]
    if missing:
        raise SplatFileError(
            f"{Path(path).name} holds points but no splats (it lacks {', '.join(missing[:4])}).",
            "Choose a PLY written by a splat trainer or editor.",
        )
    rest_count = sum(name.startswith("f_rest_") for name in names) // 3
    if rest_count not in (0, 3, 8, 15):
        raise SplatFileError(
            f"{Path(path).name} has {rest_count} colour harmonics per channel, which is no degree from 0 to 3.",
            "Export it again from the tool that wrote it.",
        )
    base = _columns(vertices, _names("f_dc", 3))[:, None, :]
    rest = _columns(vertices, _names("f_rest", 3 * rest_count)).reshape(len(vertices), 3, rest_count).transpose(0, 2, 1)
    return GaussianCloud(
        means=_columns(vertices, ["x", "y", "z"]),
        log_scales=_columns(vertices, _names("scale", 3)),
        quaternions=_columns(vertices, _names("rot", 4)),
        logit_opacities=vertices["opacity"],
        sh=np.concatenate([base, rest], axis=1),
    )


def write_splats(path: Path, cloud: GaussianCloud) -> None:
    """Write `cloud` in the INRIA layout, aside first and then moved into place, so that no reader sees half a file."""
    rest_count = cloud.sh.shape[1] - 1
    rest = cloud.sh[:, 1:].transpose(0, 2, 1).reshape(len(cloud), 3 * rest_count)
    columns = {
        ("x", "y", "z"): cloud.means,
        ("nx", "ny", "nz"): np.zeros_like(cloud.means),
        tuple(_names("f_dc", 3)): cloud.sh[:, 0],
        tuple(_names("f_rest", 3 * rest_count)): rest,
        ("opacity",): cloud.logit_opacities[:, None],
        tuple(_names("scale", 3)): cloud.log_scales,
        tuple(_names("rot", 4)): cloud.quaternions,
    }
    vertices = np.empty(len(cloud), dtype=[(name, "<f4") for names in columns for name in names])
    for names, values in columns.items():
        for index, name in enumerate(names):
            vertices[name] = values[:, index]
    _write_vertices(path, vertices)


def write_points(path: Path, positions: np.ndarray, colors: np.ndarray, normals: np.ndarray | None = None) -> None:
    """Write P points: positions (P, 3) in capture units, colors (P, 3) display-encoded 0..1, unit normals (P, 3).

    Colours that are not known are NaN: they are written as mid grey and marked by `has_color` 0, which other readers
    pass over.
    """
    has_color = np.isfinite(colors).all(axis=1)
    colors = np.where(has_color[:, None], colors, 0.5)
    fields = [("x", "<f4"), ("y", "<f4"), ("z", "<f4")]
    if normals is not None:
        fields += [("nx", "<f4"), ("ny", "<f4"), ("nz", "<f4")]
    fields += [("red", "|u1"), ("green", "|u1"), ("blue", "|u1")]
    if not has_color.all():
        fields.append(("has_color", "|u1"))
    vertices = np.empty(len(positions), dtype=fields)
    if not has_color.all():
        vertices["has_color"] = has_color
    for index in range(3):
        vertices["xyz"[index]] = positions[:, index]
        vertices[("red", "green", "blue")[index]] = np.clip(np.rint(colors[:, index] * 255), 0, 255)
        if normals is not None:
            vertices["n" + "xyz"[index]] = normals[:, index]
    _write_vertices(path, vertices)


def read_points(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Positions (P, 3), display-encoded colors (P, 3) in 0..1 (mid grey where the file has none, NaN where it says that
    they are not known), normals (P, 3) of unit length (zero where not known) or None."""
    vertices = read_vertices(path)
    names = vertices.dtype.names or ()
    if not all(name in names for name in "xyz"):
        raise SplatFileError(f"{Path(path).name} has no point positions.", "Choose a PLY file that holds points.")
    positions = _columns(vertices, ["x", "y", "z"])
    colors = np.full_like(positions, 0.5)
    if all(name in names for name in ("red", "green", "blue")):
        colors = _columns(vertices, ["red", "green", "blue"])
        if vertices.dtype["red"].kind in "iu":
            colors = colors / 255.0
    if "has_color" in names:
        colors[vertices["has_color"] == 0] = np.nan
    normals = None
    if all(name in names for name in ("nx", "ny", "nz")):
        normals = _columns(vertices, ["nx", "ny", "nz"])
        lengths = np.linalg.norm(normals, axis=1, keepdims=True)
        normals = normals / np.where(lengths > 0, lengths, 1) if (lengths > 0).any() else None
    return positions, colors.astype(np.float32), normals


def read_vertices(path: Path) -> np.ndarray:
    """The vertex element of a PLY as a structured array (P,): ascii or binary of either byte order."""
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SplatFileError(f"{path} cannot be read ({error.strerror}).", "Choose a PLY file that exists.") from error
    end = content.find(b"end_header")
    if not content.startswith(b"ply") or end < 0:
        raise SplatFileError(f"{path.name} is no PLY file.", "Choose a file that begins with 'ply'.")
    body = content.index(b"\n", end) + 1 if b"\n" in content[end:] else len(content)
    order, count, fields = _parse_header(path, content[:end].decode("ascii", "replace"))
    dtype = np.dtype([(name, order + kind) for name, kind in fields])
    if order == "=":
        rows = content[body:].split(b"\n")[:count]
        try:
            vertices = np.array([tuple(map(float, row.split()[: len(fields)])) for row in rows], dtype=dtype)
        except ValueError:
            vertices = np.empty(0, dtype)
    else:
        vertices = np.frombuffer(content[body : body + count * dtype.itemsize], dtype=np.uint8)
        vertices = vertices[: len(vertices) // dtype.itemsize * dtype.itemsize].view(dtype)
    if len(vertices) < count:
        raise SplatFileError(
            f"{path.name} promises {count} points and holds {len(vertices)}.",
            "It was cut short: copy or export it again.",
        )
    return vertices


def _parse_header(path: Path, header: str) -> tuple[str, int, list[tuple[str, str]]]:
    order, count, fields, element = "", -1, [], ""
    for line in header.splitlines()[1:]:
        words = line.split()
        if not words or words[0] in ("comment", "obj_info"):
            continue
        if words[0] == "format":
            order = _BYTE_ORDERS.get(words[1], "")
        elif words[0] == "element":
            if words[1] != "vertex" and count < 0:
                break  # records before the vertices would have to be skipped; no splat tool writes them
            element = words[1]
            count = int(words[2]) if element == "vertex" else count
        elif words[0] == "property" and element == "vertex":
            if words[1] not in _NUMPY_TYPES:
                break
            fields.append((words[2], _NUMPY_TYPES[words[1]]))
    if not order or count < 0 or not fields:
        raise SplatFileError(
            f"The header of {path.name} is not one this add-on reads.", "Export it again as a plain vertex PLY."
        )
    return order, count, fields


def _write_vertices(path: Path, vertices: np.ndarray) -> None:
    path = Path(path)
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(vertices)}"]
    for name in vertices.dtype.names or ():
        header.append(f"property {_PLY_TYPES[vertices.dtype[name].str]} {name}")
    header.append("end_header\n")
    aside = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(aside, "wb") as file:
            file.write("\n".join(header).encode("ascii"))
            file.write(vertices.tobytes())
        os.replace(aside, path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise SplatFileError(
            f"{path} cannot be written ({error.strerror}).", "Choose a folder that can be written and has space."
        ) from error


def _names(stem: str, count: int) -> list[str]:
    return [f"{stem}_{index}" for index in range(count)]


def _columns(vertices: np.ndarray, names: list[str]) -> np.ndarray:
    columns = np.empty((len(vertices), len(names)), dtype=np.float32)
    for index, name in enumerate(names):
        columns[:, index] = vertices[name]
    return columns
