"""Splat files as other programs write them, for formats that are only read here, or are written in one way only."""

import io
import json
import struct
import zipfile

import numpy as np

from splat_addon.gaussians.cloud import GaussianCloud
from splat_addon.gaussians.harmonics import sh_to_color

_PREFIX = "KHR_gaussian_splatting:"


def webp(pixels: np.ndarray) -> bytes:
    """(H, W, 4) uint8 behind the head of a lossless WebP. Only `raw_pixels` decodes it: tests that run where nothing
    else decodes WebP need no more."""
    height, width = pixels.shape[:2]
    body = b"VP8L" + struct.pack("<IBI", 0, 0x2F, (width - 1) | (height - 1) << 14) + pixels.tobytes()
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def raw_pixels(data: bytes) -> np.ndarray:
    """What `webp` was given. Raises ValueError for anything else."""
    (bits,) = struct.unpack_from("<I", data, 21)
    width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return np.frombuffer(data, np.uint8, 4 * width * height, 25).reshape(height, width, 4)


def sog(cloud: GaussianCloud, version: int = 2, encode=webp, is_deflated: bool = False) -> bytes:
    """A zip of version 1 or 2, written plainly: codebooks are evenly spaced, each splat has its palette entry."""
    archive = io.BytesIO()
    files = sog_files(cloud, version, encode)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED if is_deflated else zipfile.ZIP_STORED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return archive.getvalue()


def sog_files(cloud: GaussianCloud, version: int = 2, encode=webp) -> dict[str, bytes]:
    """The files of a folder."""
    count, rest = len(cloud), cloud.sh.shape[1] - 1
    width = max(4, -(-int(np.ceil(np.sqrt(count))) // 4) * 4)
    height = -(-count // width)

    def image(texels: np.ndarray) -> bytes:
        found = np.zeros((width * height, 4), np.uint8)
        found[:, 3] = 255
        found[:count, : texels.shape[1]] = texels
        return encode(found.reshape(height, width, 4))

    def levels(values: np.ndarray, low, high, top: int = 255) -> np.ndarray:
        return np.rint((values - low) / np.maximum(np.subtract(high, low), 1e-12) * top).astype(np.int64)

    logs = np.sign(cloud.means) * np.log1p(np.abs(cloud.means, dtype=np.float64))
    mins, maxs = logs.min(axis=0), logs.max(axis=0)
    place = levels(logs, mins, maxs, 65535)
    rotations = cloud.rotations.astype(np.float64)
    largest = np.abs(rotations).argmax(axis=1)
    rotations *= np.sign(rotations[np.arange(count), largest])[:, None]
    others = np.array([np.delete(rotations[i], largest[i]) for i in range(count)])
    turn = np.c_[np.rint((others * np.sqrt(2) + 1) / 2 * 255), largest + 252]
    values = {"scales": cloud.log_scales.astype(np.float64), "sh0": cloud.sh[:, 0].astype(np.float64)}
    meta: dict = {"means": {"mins": mins.tolist(), "maxs": maxs.tolist(), "files": ["low.webp", "high.webp"]}}
    files = {"low.webp": image(place & 255), "high.webp": image(place >> 8), "quats.webp": image(turn)}
    meta["quats"] = {"files": ["quats.webp"]}
    if version == 1:
        values["sh0"] = np.c_[values["sh0"], cloud.logit_opacities]
        meta["means"]["shape"] = [count, 3]
    else:
        meta |= {"version": 2, "count": count}
    for name, value in values.items():
        low, high = (value.min(axis=0), value.max(axis=0)) if version == 1 else (value.min(), value.max())
        meta[name] = {"files": [f"{name}.webp"]}
        texels = levels(value, low, high)
        if version == 1:
            meta[name] |= {"mins": low.tolist(), "maxs": high.tolist()}
        else:
            meta[name]["codebook"] = np.linspace(low, high, 256).tolist()
            if name == "sh0":
                texels = np.c_[texels, np.rint(255 * cloud.opacities)]
        files[f"{name}.webp"] = image(texels)
    if rest:
        higher = cloud.sh[:, 1:].astype(np.float64)
        low, high = float(higher.min()), float(higher.max())
        rows = -(-count // 64)
        palette = np.zeros((rows * 64, rest, 4), np.uint8)
        palette[:count, :, :3] = levels(higher, low, high)
        palette[..., 3] = 255
        label = np.arange(count)
        files["centroids.webp"] = encode(palette.reshape(rows, 64 * rest, 4))
        files["labels.webp"] = image(np.c_[label & 255, label >> 8])
        meta["shN"] = {"files": ["centroids.webp", "labels.webp"]}
        meta["shN"] |= (
            {"mins": low, "maxs": high} if version == 1 else {"codebook": np.linspace(low, high, 256).tolist()}
        )
    files["meta.json"] = json.dumps(meta).encode()
    return files


def ksplat(cloud: GaussianCloud, level: int = 0, bucket: int = 5) -> bytes:
    """One section at a level of compression; degree at most 2. The last bucket is not full."""
    count, degree = len(cloud), cloud.sh_degree
    header = bytearray(4096)
    header[1] = 1
    struct.pack_into("<4I", header, 4, 1, 1, count, count)
    struct.pack_into("<H", header, 20, level)
    struct.pack_into("<2f", header, 36, -1.5, 1.5)
    full = count // bucket
    partial = int(full * bucket < count) if level else 0
    buckets = full + partial if level else 0
    section, block_size = bytearray(1024), 8.0
    struct.pack_into("<4I", section, 0, count, count, bucket, buckets)
    struct.pack_into("<fH", section, 16, block_size, 12)
    struct.pack_into("<I", section, 24, 32767 if level else 1)
    struct.pack_into("<2I", section, 32, full if level else 0, partial)
    struct.pack_into("<H", section, 40, degree)
    place, number, harmonic = (("<f4", "<f4", "<f4"), ("<u2", "<f2", "<f2"), ("<u2", "<f2", "u1"))[level]
    rest = 3 * (cloud.sh.shape[1] - 1)
    fields = [("mean", place, 3), ("scale", number, 3), ("rotation", number, 4), ("color", "u1", 4)]
    records = np.zeros(count, np.dtype([*fields, ("rest", harmonic, rest)]))
    records["mean"], extra = cloud.means, b""
    if level:
        which = np.arange(count) // bucket
        centers = np.array([cloud.means[which == each].mean(axis=0) for each in range(buckets)], "<f4")
        records["mean"] = np.rint((cloud.means - centers[which]) / (block_size / 2 / 32767) + 32767)
        extra = struct.pack("<I", count - full * bucket) * partial + centers.tobytes()
    records["scale"], records["rotation"] = cloud.scales, cloud.rotations
    records["color"][:, :3] = np.clip(np.rint(255 * sh_to_color(cloud.sh[:, 0])), 0, 255)
    records["color"][:, 3] = np.rint(255 * cloud.opacities)
    parts = [cloud.sh[:, d * d : (d + 1) ** 2].transpose(0, 2, 1).reshape(count, -1) for d in range(1, degree + 1)]
    higher = np.concatenate([np.zeros((count, 0)), *parts], axis=1)
    records["rest"] = np.clip(np.rint((higher + 1.5) / 3 * 255), 0, 255) if level == 2 else higher
    return bytes(header + section) + extra + records.tobytes()


def quantized_glb(cloud: GaussianCloud, has_log_scales: bool = False, node: dict | None = None) -> bytes:
    """Interleaved and with small integers where the extension allows them, below two nodes."""
    count = len(cloud)
    fields = [("mean", "<f4", 3), ("turn", "<i2", 4), ("opacity", "<u2"), ("pad", "<u2")]
    fields += [("scale", "<f4", 3), ("sh", "<f4", (cloud.sh.shape[1], 3))]
    table = np.zeros(count, np.dtype(fields))
    table["mean"], table["turn"] = cloud.means, np.rint(32767 * cloud.rotations[:, [1, 2, 3, 0]])
    table["opacity"] = np.rint(65535 * cloud.opacities)
    table["scale"] = cloud.log_scales if has_log_scales else cloud.scales
    table["sh"] = cloud.sh
    offsets = {name: table.dtype.fields[name][1] for name in table.dtype.names}

    def accessor(offset: int, component: int, kind: str, **more) -> dict:
        return {"bufferView": 0, "byteOffset": offset, "componentType": component, "count": count, "type": kind, **more}

    held = {"POSITION": accessor(offsets["mean"], 5126, "VEC3")}
    held[_PREFIX + "ROTATION"] = accessor(offsets["turn"], 5122, "VEC4", normalized=True)
    held[_PREFIX + "OPACITY"] = accessor(offsets["opacity"], 5123, "SCALAR", normalized=True)
    held[_PREFIX + "SCALE"] = accessor(offsets["scale"], 5126, "VEC3")
    names = [(d, k) for d in range(cloud.sh_degree + 1) for k in range(2 * d + 1)]
    for place, (degree, number) in enumerate(names):
        name = f"{_PREFIX}SH_DEGREE_{degree}_COEF_{number}"
        held[name] = accessor(offsets["sh"] + 12 * place, 5126, "VEC3")
    splats = {"kernel": "ellipse", "colorSpace": "srgb_rec709_display"}
    primitive = {"attributes": {name: i for i, name in enumerate(held)}, "mode": 0}
    primitive["extensions"] = {"KHR_gaussian_splatting": splats}
    document = {
        "asset": {"version": "2.0"},
        "extensionsUsed": ["KHR_gaussian_splatting"],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"children": [1], **(node or {})}, {"mesh": 0, "name": "vase", "scale": [2, 2, 2]}],
        "meshes": [{"primitives": [primitive]}],
        "buffers": [{"byteLength": table.nbytes}],
        "bufferViews": [{"buffer": 0, "byteLength": table.nbytes, "byteStride": table.dtype.itemsize}],
        "accessors": list(held.values()),
    }
    return glb(document, table.tobytes())


def glb(document: dict, data: bytes) -> bytes:
    """The two chunks of a binary glTF."""
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    data += bytes(-len(data) % 4)
    head = struct.pack("<4sIII4s", b"glTF", 2, 28 + len(text) + len(data), len(text), b"JSON")
    return head + text + struct.pack("<I4s", len(data), b"BIN\0") + data
