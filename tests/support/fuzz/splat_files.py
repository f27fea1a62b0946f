"""Splat and point files."""

import functools
import tempfile
from pathlib import Path

import numpy as np

from splat_addon.errors import SplatFileError
from splat_addon.gaussians.cloud import GaussianCloud
from splat_addon.gaussians.formats.splat_ply import SplatPly, read_points, read_splats, write_points, write_splats

from ..scenes import random_cloud
from .mutations import COUNTS, Mutator
from .trial import Broken, Trial, require_bounded, require_finite

_TYPES = ("char", "uchar", "short", "ushort", "int", "uint", "float", "double", "uint8", "float32", "half", "list")
_FORMATS = ("binary_little_endian", "binary_big_endian", "ascii", "binary", "")
_NAMES = ("x", "red", "has_color", "nx", "f_dc_0", "f_rest_0", "f_rest_3", "opacity", "scale_0", "rot_0", "min_x",
          "packed_color", "scalar_opacity", "scalar_f_dc_0", "filter_3D", "green", "label", "t", "color_space", "", "é",
          )  # fmt: skip
_ELEMENTS = ("vertex", "chunk", "sh", "face", "color_space", "")


def ply(mutator: Mutator) -> Trial:
    """INRIA's splats and colored points: binary of either byte order, and text."""
    content = _broken(mutator, mutator.one_of(_plys()))
    return Trial({"a.ply": content}, _read)


def compressed_ply(mutator: Mutator) -> Trial:
    """SuperSplat's compressed splats."""
    content = _broken(mutator, mutator.one_of(_compressed_plys()))
    return Trial({"a.ply": content}, _read)


def _read(folder: Path) -> None:
    """As splats and as points; refused when it is neither."""
    refused: SplatFileError | None = None
    try:
        require_sound(read_splats(folder / "a.ply"), folder)
        file = SplatPly(folder / "a.ply")
        if any(set(block.extras) != set(file.extras) for block in file.blocks(file.origin(), with_extras=True)):
            raise Broken("other columns than announced")
    except SplatFileError as error:
        refused = error
    try:
        positions, colors, normals = read_points(folder / "a.ply")
    except SplatFileError:
        if refused is not None:
            raise refused from None
        return
    require_bounded("points", len(positions), folder)
    require_finite("points", positions, colors[~np.isnan(colors).all(axis=1)])
    if normals is not None:
        require_finite("normals", normals)
    if len(colors) != len(positions) or (normals is not None and len(normals) != len(positions)):
        raise Broken("points, colors and normals of different lengths")


def require_sound(cloud: GaussianCloud, folder: Path, count: int | None = None, times: int = 1) -> None:
    """Of what is read of files that hold at most `times` their size."""
    require_bounded("splats", -(-(len(cloud) if count is None else count) // times), folder)
    kept = cloud.select(cloud.finite())
    require_finite("splats", kept.means, kept.scales**2, kept.rotations, kept.opacities, kept.sh)
    require_finite("splats", kept.log_scales, kept.quaternions, kept.logit_opacities)


def _broken(mutator: Mutator, content: bytes) -> bytes:
    """The header's lines, the body, or both."""
    header, body = content.split(b"end_header\n", 1)
    if mutator.is_chosen(0.7):
        header = _broken_header(mutator, header)
    if mutator.is_chosen(0.4):
        body = mutator.text(body) if b"ascii" in header else mutator.bytes(body)
    content = header + b"end_header\n" + body
    return mutator.bytes(content) if mutator.is_chosen(0.05) else content


def _broken_header(mutator: Mutator, header: bytes) -> bytes:
    lines = [line.split(" ") for line in header.decode().splitlines()]
    for _ in mutator.a_few():
        row = mutator.random.randrange(len(lines))
        elements = [words for words in lines if words[0] == "element"] or lines
        properties = [words for words in lines if words[0] == "property"] or lines
        kind = mutator.random.randrange(10)
        if kind <= 1:
            mutator.one_of(elements)[-1] = str(mutator.one_of((*COUNTS, -1, 10**400)))
        elif kind == 2:
            mutator.one_of(properties)[1:2] = [mutator.one_of(_TYPES)]
        elif kind == 3:
            mutator.one_of(properties)[-1] = mutator.one_of(_NAMES)
        elif kind == 4:
            mutator.one_of(elements)[1:2] = [mutator.one_of(_ELEMENTS)]
        elif kind == 5:
            lines[row:row] = [["property", mutator.one_of(_TYPES), mutator.one_of(_NAMES)]]
        elif kind == 6:
            lines[row:row] = [["element", mutator.one_of(_ELEMENTS), str(mutator.one_of(COUNTS))]]
        elif kind == 7:
            del lines[row : row + 1 if len(lines) > 1 else row]
        elif kind == 8:
            lines[row:row] = [["property", "list", "uchar", "int", "vertex_indices"]]
        else:
            lines[row:row] = [["format", mutator.one_of(_FORMATS), "1.0"]]
    return ("\n".join(" ".join(words) for words in lines) + "\n").encode()


@functools.cache
def _dialect() -> bytes:
    """Of Mip-Splatting, 2DGS, CloudCompare and SHARP at once: twelve splats with opacities from 0 to 1, far away."""
    names = [
        "x",
        "y",
        "z",
        "scalar_opacity",
        "scale_0",
        "scale_1",
        *(f"rot_{i}" for i in range(4)),
        "filter_3D",
        "label",
    ]
    kinds = [(name, "<f8" if name in "xyz" else "<f4") for name in names]
    rows = np.zeros(12, np.dtype([*kinds, *((name, "u1") for name in ("red", "green", "blue"))]))
    random = np.random.default_rng(0)
    for name in rows.dtype.names:
        rows[name] = random.uniform(0, 1, 12)
    rows["x"] += 4e6
    words = {"<f8": "double", "<f4": "float", "|u1": "uchar"}
    properties = "".join(f"property {words[rows.dtype[name].str]} {name}\n" for name in rows.dtype.names)
    header = f"ply\nformat binary_little_endian 1.0\ncomment SplatRenderMode: mip\nelement vertex 12\n{properties}"
    header += "element color_space 1\nproperty uchar color_space\nend_header\n"
    return header.encode() + rows.tobytes() + b"\x01"


def _plys() -> tuple[bytes, ...]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.ply"
        found = []
        for degree in (0, 1, 3):
            write_splats(path, random_cloud(3, degree=degree))
            found.append(path.read_bytes())
        points = np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0], [1.0, 0.0, 0.0]])
        colors = np.array([[0.1, 0.5, 1.0], [np.nan] * 3, [0.2, 0.2, 0.2]])
        write_points(path, points, colors, np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]]))
        found.append(path.read_bytes())
    names = ["x", "y", "z", *(f"f_dc_{i}" for i in range(3)), "opacity", *(f"scale_{i}" for i in range(3))]
    names += [f"rot_{i}" for i in range(4)]
    table = np.random.default_rng(0).normal(size=(4, len(names)))
    properties = "".join(f"property double {name}\n" for name in names)
    header = f"ply\nformat {{}} 1.0\nelement vertex 4\n{properties}end_header\n"
    rows = "\n".join(" ".join(f"{value:.6g}" for value in row) for row in table)
    found.append(header.format("ascii").encode() + rows.encode())
    found.append(header.format("binary_big_endian").encode() + table.astype(">f8").tobytes())
    found.append(_dialect())
    found.append(
        b"ply\nformat ascii 1.0\nelement camera 1\nproperty float a\nelement vertex 2\nproperty float x\n"
        b"property float y\nproperty float z\nproperty uchar red\nproperty uchar green\nproperty uchar blue\n"
        b"end_header\n1\n0 0 0 1 2 3\n1 1 1 200 100 0\n"
    )
    return tuple(found)


@functools.cache
def _compressed_plys() -> tuple[bytes, ...]:
    return (compressed(3, 0, True), compressed(3, 3, True), compressed(260, 0, False))


def compressed(count: int, rest: int, has_color_bounds: bool) -> bytes:
    """A file of `count` splats with `rest` higher coefficients per channel, as newer or older programs write it."""
    random = np.random.default_rng(1)
    chunks = -(-count // 256)
    bounds = [f"{side}_{axis}" for side in ("min", "max") for axis in "xyz"]
    bounds += [f"{side}_scale_{axis}" for side in ("min", "max") for axis in "xyz"]
    bounds += [f"{side}_{channel}" for side in ("min", "max") for channel in "rgb"] if has_color_bounds else []
    packed = [f"packed_{name}" for name in ("position", "rotation", "scale", "color")]
    lines = ["ply", "format binary_little_endian 1.0", f"element chunk {chunks}"]
    lines += [f"property float {name}" for name in bounds]
    lines += [f"element vertex {count}", *(f"property uint {name}" for name in packed)]
    body = random.normal(size=(chunks, len(bounds))).astype("<f4").tobytes()
    body += random.integers(0, 2**32, size=(count, 4), dtype=np.uint32).astype("<u4").tobytes()
    if rest:
        lines += [f"element sh {count}", *(f"property uchar f_rest_{index}" for index in range(3 * rest))]
        body += random.integers(0, 256, size=(count, 3 * rest), dtype=np.uint8).tobytes()
    return ("\n".join(lines) + "\nend_header\n").encode() + body
