"""OpenUSD's particle field of gaussian splats (UsdVol, since 26.03): `.usda`, and with USD at hand `.usdc` and `.usdz`.

Prims are found by the names of their type and attributes, so that older USD reads and writes them, too. Where Python
has no USD (`pxr`), text is read and written by hand, as far as prims hold plain numbers and nothing moves them.
"""

import importlib
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ....errors import SplatFileError
from ....files import move_into_place, open_regular, remove_file
from ...cloud import BLENDER, DISPLAY, GaussianCloud
from ...harmonics import MAX_DEGREE, coefficient_count
from ...transform import Y_DOWN, Y_UP, Z_UP
from ..splat_file import (
    SMALLEST_OPACITY_32_BITS,
    Header,
    Progress,
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
    save_in_steps,
    unreadable,
)
from .usd_text import Text, numbers_in, read_text

NAME, TITLE, EXTENSIONS = "usd", "USD", (".usda", ".usdc", ".usd", ".usdz")
READ_AXES, WRITE_AXES = Y_UP, Z_UP

_PRIM = "ParticleField3DGaussianSplat"
_DEGREE = "radiance:sphericalHarmonicsDegree"
_ATTRIBUTES = {  # of ours: (theirs, type in text, numbers each)
    "means": ("positions", "point3f[]", 3),
    "scales": ("scales", "float3[]", 3),
    "quaternions": ("orientations", "quatf[]", 4),
    "opacities": ("opacities", "float[]", 1),
    "sh": ("radiance:sphericalHarmonicsCoefficients", "float3[]", 3),
}
_SPACE_KEY, _ANTIALIASED_KEY = "splatBlendSpace", "splatAntialiased"  # of the prim's customData
_TEXT, _BINARY, _ZIP = b"#usda", b"PXR-USDC", b"PK\x03\x04"
_ONLY_WITH_USD = (b"xformOp", b"timeSamples", b"references =", b"payload =", b"subLayers =", b"variantSet")
_BLOCK = 1 << 12
_NUMBERS_AT_ONCE = 1 << 15  # in text: some hundredths of a second


def recognizes(start: bytes, path: Path) -> bool:
    """By the marks of text and binary; a zip by its name."""
    return start.startswith((_TEXT, _BINARY)) or (start.startswith(_ZIP) and path.suffix.lower() == ".usdz")


def open_file(path: Path, reading: Reading) -> SplatFile:
    """All prims that hold splats, each where its transforms put it."""
    if library("Usd") is not None and path.suffix.lower() in EXTENSIONS:  # it goes by names
        found = _with_usd(path)
    else:
        found = _by_hand(path)
    if not found.parts:
        raise SplatFileError(f"{path.name} holds no gaussian splats.", f"Choose a USD file with a {_PRIM}.")
    return found


def library(name: str) -> Any:
    """A module of USD's Python, or None where there is none."""
    try:
        return importlib.import_module(f"pxr.{name}")
    except ImportError:
        return None


def _part(path: Path, values: dict[str, np.ndarray], degree: int, name: str, matrix: np.ndarray, custom: dict):
    """One prim's splats, from numbers in arrays of one dimension or two; longer ones than needed are cut."""
    count = len(values["means"])
    stored = coefficient_count(degree)
    wanted = {"means": count, "scales": count, "quaternions": count, "opacities": count, "sh": count * stored}
    if any(len(values[each]) < number for each, number in wanted.items()):
        raise broken(path, "has attributes of different lengths")
    kept, notes = kept_degree(degree)
    space = BLENDER if custom.get(_SPACE_KEY) == BLENDER else DISPLAY
    header = Header(count, kept, space, bool(custom.get(_ANTIALIASED_KEY)))
    sh = values["sh"][: count * stored].reshape(count, stored, 3)[:, : coefficient_count(kept)]

    def blocks() -> Iterator[GaussianCloud]:
        for start in range(0, count, _BLOCK):
            rows = slice(start, min(start + _BLOCK, count))
            yield GaussianCloud(
                means=values["means"][rows],
                log_scales=logs_of(values["scales"][rows]),
                quaternions=values["quaternions"][rows],
                logit_opacities=logits_of(values["opacities"][rows].reshape(-1), SMALLEST_OPACITY_32_BITS),
                sh=sh[rows],
                blend_space=space,
                antialiased=header.antialiased,
            )

    return SplatPart(header, blocks, name, matrix), notes


def _scaled(meters: float) -> np.ndarray:
    """(4, 4) from a stage's units to meters."""
    if not (np.isfinite(meters) and 1e-9 < meters < 1e9):
        meters = 1.0
    return np.diag([meters, meters, meters, 1.0])


# --- With USD ---


def _with_usd(path: Path) -> SplatFile:
    usd, geometry = library("Usd"), library("UsdGeom")
    try:
        stage = usd.Stage.Open(str(path))
        units = 1.0
        if stage.HasAuthoredMetadata("metersPerUnit"):
            units = float(geometry.GetStageMetersPerUnit(stage))
        axes = Z_UP if geometry.GetStageUpAxis(stage) == geometry.Tokens.z else Y_UP
        places = geometry.XformCache()
        parts, notes = [], []
        for prim in stage.Traverse():
            if prim.GetTypeName() != _PRIM:
                continue
            values = {}
            for ours, (theirs, _, width) in _ATTRIBUTES.items():
                value = _value(prim, theirs)
                if value is None:
                    raise broken(path, f"lacks '{theirs}'")
                values[ours] = np.array(value, dtype=np.float32).reshape(-1, width)
            values["quaternions"] = values["quaternions"][:, [3, 0, 1, 2]]  # arrays have the real part last
            degree = _value(prim, _DEGREE)
            degree = 3 if degree is None else int(degree)
            if not 0 <= degree <= 8:
                raise broken(path, f"has harmonics of degree {degree}")
            matrix = _scaled(units) @ np.array(places.GetLocalToWorldTransform(prim), dtype=np.float64).T
            part, more = _part(path, values, degree, prim.GetName(), matrix, dict(prim.GetCustomData()))
            parts.append(part)
            notes += more
    except (RuntimeError, ValueError, TypeError) as error:  # USD's own errors are RuntimeErrors
        raise broken(path, "cannot be read as USD") from error
    return SplatFile(path, NAME, tuple(parts), axes, tuple(dict.fromkeys(notes)))


def _value(prim: Any, name: str) -> Any:
    """An attribute's value: in 32 bits where it has that, else in 16."""
    for each in (name, name + "h"):
        attribute = prim.GetAttribute(each)
        if attribute and attribute.HasAuthoredValue():
            return attribute.Get()
    return None


def _write_with_usd(path: Path, cloud: GaussianCloud, settings: Settings) -> None:
    usd, geometry, sdf, vt = (library(name) for name in ("Usd", "UsdGeom", "Sdf", "Vt"))
    if usd is None:
        raise SplatFileError(
            f"{path.name} needs USD, which this Python lacks.",
            "Choose a name that ends with .usda, or convert it in Blender 4.4 or newer.",
        )
    if path.suffix.lower() == ".usdz":
        raise SplatFileError(f"{path.name}: packages are not written.", "Choose a name that ends with .usdc.")
    stage = usd.Stage.CreateInMemory()
    geometry.SetStageUpAxis(stage, geometry.Tokens.y if settings.axes == Y_UP else geometry.Tokens.z)
    geometry.SetStageMetersPerUnit(stage, 1.0)
    prim = stage.DefinePrim("/Splats", _PRIM)
    stage.SetDefaultPrim(prim)
    types = sdf.ValueTypeNames
    kinds = {"point3f[]": types.Point3fArray, "float3[]": types.Float3Array}
    kinds |= {"quatf[]": types.QuatfArray, "float[]": types.FloatArray}
    arrays = {"quatf[]": vt.QuatfArray, "float[]": vt.FloatArray}
    for name, kind, numbers in _numbers(cloud):
        if kind == "quatf[]":
            numbers = numbers[:, [1, 2, 3, 0]]
        numbers = np.ascontiguousarray(numbers if numbers.shape[1] > 1 else numbers[:, 0], np.float32)
        prim.CreateAttribute(name, kinds[kind], False).Set(arrays.get(kind, vt.Vec3fArray).FromNumpy(numbers))
    for name, kind, value, _ in _uniforms(cloud):
        prim.CreateAttribute(name, getattr(types, kind), False, sdf.VariabilityUniform).Set(value)
    for key, value in _custom(cloud).items():
        prim.SetCustomDataByKey(key, value)
    aside = path.with_name(f"{path.stem}.partial.usdc")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not stage.GetRootLayer().Export(str(aside)):
            raise OSError(0, "USD refused")
        move_into_place(aside, path)
    except (OSError, RuntimeError) as error:
        remove_file(aside)
        raise SplatFileError(
            f"{path} cannot be written.", "Choose a folder that can be written and has space."
        ) from error


# --- By hand ---


def _by_hand(path: Path) -> SplatFile:
    try:
        with open_regular(path) as file:
            start = file.read(len(_BINARY))
            if start.startswith(_ZIP):
                return _of_text(path, io.BytesIO(_first_of_zip(path, file_bytes(path))))
            return _of_text(path, file)
    except OSError as error:
        raise unreadable(path, error) from error


def _of_text(path: Path, file: BinaryIO) -> SplatFile:
    file.seek(0)
    if not file.read(len(_TEXT)).startswith(_TEXT):
        raise _needs_usd(path, "is binary USD")
    file.seek(0)
    text = read_text(file)
    outline = text.outline
    if any(word in outline for word in _ONLY_WITH_USD):
        raise _needs_usd(path, "has transforms or references")
    axes = Z_UP if re.search(rb'\bupAxis\s*=\s*"Z"', outline[:4096]) else Y_UP
    units = re.search(rb"\bmetersPerUnit\s*=\s*([-+.\deE]+)", outline[:4096])
    try:
        matrix = _scaled(float(units[1]) if units else 1.0)
    except ValueError:
        matrix = np.eye(4)
    parts, notes = [], []
    starts = [found.start() for found in re.finditer(rb"\bdef\b", outline)]
    for start, end in pairwise([*starts, len(outline)]):
        block = outline[start:end]
        head = re.match(rb'def\s+%s\s+"([^"\n]{0,200})"' % _PRIM.encode(), block)
        if head is None:
            continue
        values = {}
        for ours, (theirs, _, width) in _ATTRIBUTES.items():
            numbers = numbers_in(path, file, _place_of(path, text, block, theirs), theirs)
            if len(numbers) % width:
                raise broken(path, f"has '{theirs}' that is not made of numbers")
            values[ours] = numbers.reshape(-1, width)
        degree = re.search(rb"\b%s\s*=\s*(\d)\b" % _DEGREE.encode(), block)
        custom: dict = {_SPACE_KEY: BLENDER} if re.search(rb'\b%s\s*=\s*"blender"' % _SPACE_KEY.encode(), block) else {}
        if re.search(rb"\b%s\s*=\s*(1|true)\b" % _ANTIALIASED_KEY.encode(), block):
            custom[_ANTIALIASED_KEY] = True
        part, more = _part(
            path, values, int(degree[1]) if degree else 3, head[1].decode("utf-8", "replace"), matrix, custom
        )
        parts.append(part)
        notes += more
    return SplatFile(path, NAME, tuple(parts), axes, tuple(dict.fromkeys(notes)))


def _place_of(path: Path, text: Text, block: bytes, name: str) -> tuple[int, int]:
    """Where a prim's array of that name is: of 32 bits where it has that, else of 16."""
    for each in (name, name + "h"):
        found = re.search(rb"[\s\]]%s\s*=\s*\[(\d+)\]" % re.escape(each).encode(), block)
        if found:
            return text.arrays[int(found[1])]
    raise broken(path, f"lacks '{name}'")


def _needs_usd(path: Path, what: str) -> SplatFileError:
    return SplatFileError(
        f"{path.name} {what}, and this Python has no USD.", "Import or convert it in Blender 4.4 or newer."
    )


def _first_of_zip(path: Path, data: bytes) -> bytes:
    """The first file of a package, which is the one to open; entries are stored, not compressed."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            info = archive.infolist()[0]
            if info.file_size > len(data):
                raise broken(path, "holds more than its size allows")
            return archive.read(info)
    except (zipfile.BadZipFile, IndexError, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise broken(path, "is a zip that cannot be read") from error
    except (struct.error, UnicodeDecodeError) as error:
        raise broken(path, "is a zip that cannot be read") from error


def losses(header: Header, settings: Settings) -> list[str]:
    """What it cannot hold."""
    found = losses_of(header, MAX_DEGREE, has_flag=True, keeps_space=True)
    return [*found, "The file cannot say that y points down."] if settings.axes == Y_DOWN else found


def write(path: Path, header: Header, blocks: Iterable[GaussianCloud], settings: Settings) -> None:
    """Text by hand, binary with USD. Raises SplatFileError."""
    for _ in write_in_steps(path, header, blocks, settings):
        pass


def write_in_steps(
    path: Path, header: Header, blocks: Iterable[GaussianCloud], settings: Settings
) -> Iterator[Progress]:
    """The same, step by step: text takes half a minute for a million splats."""
    cloud = gathered(header, blocks)
    if path.suffix.lower() == ".usda":
        yield from save_in_steps(path, _text(cloud, settings))
    else:
        _write_with_usd(path, cloud, settings)
        yield Progress(1.0)


def _text(cloud: GaussianCloud, settings: Settings) -> Iterator[tuple[bytes, float]]:
    """The text in pieces, each with how much of it is done then."""
    head = f'#usda 1.0\n(\n    defaultPrim = "Splats"\n    metersPerUnit = 1\n    upAxis = "{_up(settings)}"\n)\n\n'
    custom = "".join(f"        {_typed(key, value)}\n" for key, value in _custom(cloud).items())
    head += f'def {_PRIM} "Splats"' + (f" (\n    customData = {{\n{custom}    }}\n)" if custom else "") + "\n{\n"
    yield head.encode(), 0.0
    done, total = 0, max(1, len(cloud) * (11 + 3 * cloud.sh.shape[1]))
    for name, kind, numbers in _numbers(cloud):
        yield f"    {kind} {name} = [".encode(), done / total
        width = numbers.shape[1]
        form = "%.9g" if width == 1 else f"({', '.join(['%.9g'] * width)})"
        rows = _NUMBERS_AT_ONCE // width
        for start in range(0, len(numbers), rows):
            block = numbers[start : start + rows]
            piece = (", " if start else "") + ", ".join([form] * len(block)) % tuple(block.ravel().tolist())
            done = min(done + block.size, total)
            yield piece.encode(), done / total
        yield b"]\n", done / total
    tail = [f"    uniform {kind.lower()} {name} = {text}\n" for name, kind, _, text in _uniforms(cloud)]
    yield "".join([*tail, "}\n"]).encode(), 1.0


def _up(settings: Settings) -> str:
    return "Y" if settings.axes == Y_UP else "Z"


def _typed(key: str, value: Any) -> str:
    return f"bool {key} = {int(value)}" if isinstance(value, bool) else f'string {key} = "{value}"'


def _custom(cloud: GaussianCloud) -> dict[str, Any]:
    """What there is no attribute for."""
    found: dict[str, Any] = {_SPACE_KEY: BLENDER} if cloud.blend_space == BLENDER else {}
    return found | ({_ANTIALIASED_KEY: True} if cloud.antialiased else {})


def _numbers(cloud: GaussianCloud) -> Iterator[tuple[str, str, np.ndarray]]:
    """(attribute, type, numbers (N, width) float32), quaternions w x y z."""
    scales = np.exp(cloud.log_scales, dtype=np.float64).astype(np.float32)
    if len(cloud):
        reach = 3 * scales.max(axis=1, keepdims=True)
        bounds = np.stack([(cloud.means - reach).min(axis=0), (cloud.means + reach).max(axis=0)])
        yield "extent", "float3[]", bounds
    columns = {"means": cloud.means, "scales": scales, "quaternions": cloud.rotations}
    columns |= {"opacities": cloud.opacities[:, None], "sh": cloud.sh.reshape(-1, 3)}
    for ours, (theirs, kind, _) in _ATTRIBUTES.items():
        yield theirs, kind, columns[ours]


def _uniforms(cloud: GaussianCloud) -> list[tuple[str, str, Any, str]]:
    """(attribute, type, value, value in text)."""
    return [
        (_DEGREE, "Int", cloud.sh_degree, str(cloud.sh_degree)),
        ("projectionModeHint", "Token", "perspective", '"perspective"'),
        ("sortingModeHint", "Token", "zDepth", '"zDepth"'),
    ]
