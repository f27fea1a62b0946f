"""One small capture, laid out as the programs that people use lay theirs out.

Each writer follows what its program documents or writes: names of folders and files, spelling of paths, which frame the
points stand in, and what lies about beside what is meant. Pictures are PNG data whatever their suffix, each different.
"""

import json
import math
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from splat_addon.capture.camera import OPENCV_FROM_OPENGL, Camera
from splat_addon.capture.formats import colmap
from splat_addon.capture.formats.colmap.model import ColmapModel
from splat_addon.gaussians.formats.splat_ply import write_points

from .scenes import ring_of_cameras

SIZE = 40, 30
APPLIED = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0]])  # nerfstudio's


@dataclass
class Original:
    """What every layout must give back: by stem, cameras, pictures and masks; points, and which stems are held out."""

    cameras: dict[str, Camera]
    pictures: dict[str, bytes]
    masks: dict[str, bytes]
    positions: np.ndarray
    colors: np.ndarray
    held_out: set[str] = field(default_factory=set)


@dataclass
class Expected:
    """What of the original a layout can hold. `world` (3, 4) is where its cameras and points were moved."""

    has_masks: bool = False
    masks_are_inverted: bool = False
    has_points: bool = True
    held_out: set[str] | None = None  # None: the layout says nothing
    world: np.ndarray = field(default_factory=lambda: np.eye(3, 4))
    suffix: str = ".jpg"


def png(seed: int, size: tuple[int, int] = SIZE) -> bytes:
    """A gray picture that no other seed gives."""
    width, height = size
    rows = np.random.default_rng(seed).integers(0, 256, (height, 1), dtype=np.uint8).repeat(width, axis=1)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(raw)))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in (*chunks, (b"IEND", b""))
    )
    return b"\x89PNG\r\n\x1a\n" + body


def original(count: int = 6) -> Original:
    """A ring of cameras around points."""
    stems = [f"DSC_{number:04d}" for number in range(count)]
    cameras = dict(zip(stems, ring_of_cameras(count, width=SIZE[0], height=SIZE[1]).values(), strict=True))
    random = np.random.default_rng(5)
    return Original(
        cameras,
        {stem: png(number) for number, stem in enumerate(stems)},
        {stem: png(1000 + number) for number, stem in enumerate(stems)},
        random.uniform(-0.4, 0.6, (60, 3)),
        random.integers(0, 256, (60, 3)) / 255,
        set(stems[1::3]),
    )


def put(path: Path, content: bytes | str) -> None:
    """Write a file and the folders it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def put_photos(folder: Path, source: Original, name: str = "{}.jpg") -> None:
    for stem, picture in source.pictures.items():
        put(folder / name.format(stem), picture)


def put_masks(folder: Path, source: Original, name: str) -> None:
    for stem, mask in source.masks.items():
        put(folder / name.format(stem), mask)


def put_model(folder: Path, source: Original, as_text: bool = False, name: str = "{}.jpg", count: int | None = None):
    """A COLMAP model of the first `count` cameras."""
    folder.mkdir(parents=True, exist_ok=True)
    cameras = {name.format(stem): camera for stem, camera in list(source.cameras.items())[:count]}
    colmap.write_model(folder, ColmapModel(cameras, source.positions, source.colors), as_text)


def frame(camera: Camera, path: str, **more) -> dict:
    pose = camera.world_from_camera @ OPENCV_FROM_OPENGL
    return {"file_path": path, "transform_matrix": pose.tolist(), **more}


def lens(source: Original) -> dict:
    camera = next(iter(source.cameras.values()))
    return {"w": camera.width, "h": camera.height, "fl_x": camera.fx, "fl_y": camera.fy, "cx": camera.cx,
            "cy": camera.cy, "k1": 0.0, "k2": 0.0, "p1": 0.0, "p2": 0.0}  # fmt: skip


def put_json(path: Path, document: dict) -> None:
    put(path, json.dumps(document))


def moved(source: Original, world: np.ndarray) -> dict[str, Camera]:
    similarity = np.vstack([world, [0, 0, 0, 1]])
    return {stem: camera.moved(similarity) for stem, camera in source.cameras.items()}


def colmap_layout(folder: Path, source: Original) -> Expected:
    put_photos(folder / "images", source)
    put_masks(folder / "masks", source, "{}.jpg.png")
    put_model(folder / "sparse/0", source)
    put(folder / "database.db", b"SQLite format 3\0")
    return Expected(has_masks=True)


def colmap_dense_layout(folder: Path, source: Original) -> Expected:
    """A workspace of automatic_reconstructor in which the photos as taken lie beside the distorted model."""
    for number, stem in enumerate(source.pictures):
        put(folder / f"images/{stem}.jpg", png(500 + number, (44, 34)))
    put_photos(folder / "dense/images", source)
    put_model(folder / "dense/sparse", source)
    put(folder / "dense/stereo/depth_maps/DSC_0000.jpg.geometric.bin", b"depth")
    put(folder / "dense/stereo/fusion.cfg", "DSC_0000.jpg")
    return Expected()


def nerfstudio_layout(folder: Path, source: Original) -> Expected:
    put_photos(folder / "images", source)
    for number, stem in enumerate(source.pictures):
        put(folder / f"images_2/{stem}.jpg", png(600 + number, (20, 15)))
        put(folder / f"masks_2/{stem}.jpg", png(700 + number, (20, 15)))
    put_masks(folder / "masks", source, "{}.jpg")
    put_model(folder / "colmap/sparse/0", source)
    positions = source.positions @ APPLIED[:, :3].T
    write_points(folder / "sparse_pc.ply", positions, source.colors)
    paths = {stem: f"images/{stem}.jpg" for stem in source.cameras}
    frames = [
        frame(camera, paths[stem], colmap_im_id=number, mask_path=f"masks/{stem}.jpg")
        for number, (stem, camera) in enumerate(moved(source, APPLIED).items())
    ]
    put_json(
        folder / "transforms.json",
        {**lens(source), "camera_model": "OPENCV", "frames": frames, "applied_transform": APPLIED.tolist(),
         "ply_file_path": "sparse_pc.ply",
         "train_filenames": [paths[stem] for stem in paths if stem not in source.held_out],
         "val_filenames": [paths[stem] for stem in sorted(source.held_out)],
         "test_filenames": [paths[stem] for stem in sorted(source.held_out)]},
    )  # fmt: skip
    return Expected(has_masks=True, held_out=source.held_out, world=APPLIED)


def instant_ngp_layout(folder: Path, source: Original) -> Expected:
    put_photos(folder / "images", source)
    put_masks(folder / "images", source, "dynamic_mask_{}.png")
    angles = {
        "camera_angle_x": 2 * math.atan(SIZE[0] / (2 * lens(source)["fl_x"])),
        "camera_angle_y": 2 * math.atan(SIZE[1] / (2 * lens(source)["fl_y"])),
    }
    frames = [
        frame(camera, f"./images/{stem}.jpg", sharpness=30.0 + number)
        for number, (stem, camera) in enumerate(source.cameras.items())
    ]
    put_json(folder / "transforms.json", {**angles, **lens(source), "aabb_scale": 16, "frames": frames})
    return Expected(has_masks=True, masks_are_inverted=True, has_points=False)


def polycam_layout(folder: Path, source: Original) -> Expected:
    """As `ns-process-data polycam` writes it: lenses per frame, depths beside."""
    put_photos(folder / "images", source)
    for number, stem in enumerate(source.pictures):
        put(folder / f"depth/{stem}.png", png(800 + number, (16, 12)))
    frames = [
        frame(camera, f"./images/{stem}.jpg", depth_file_path=f"./depth/{stem}.png", **lens(source))
        for stem, camera in source.cameras.items()
    ]
    write_points(folder / "sparse_pc.ply", source.positions, source.colors)
    put_json(folder / "transforms.json", {"camera_model": "OPENCV", "frames": frames, "ply_file_path": "sparse_pc.ply"})
    return Expected()


def record3d_layout(folder: Path, source: Original) -> Expected:
    """As `ns-process-data record3d` writes it."""
    put_photos(folder / "images", source, "{}.png")
    put(folder / "images_4/DSC_0000.png", png(900, (10, 7)))
    write_points(folder / "sparse_pc.ply", source.positions, source.colors)
    frames = [frame(camera, f"images/{stem}.png") for stem, camera in source.cameras.items()]
    document = {**lens(source), "camera_model": "OPENCV", "frames": frames, "ply_file_path": "sparse_pc.ply"}
    put_json(folder / "transforms.json", document)
    return Expected(suffix=".png")


def metashape_layout(folder: Path, source: Original) -> Expected:
    """Export Cameras as COLMAP, with undistorted photos and masks; the project lies beside."""
    put_photos(folder / "images", source, "{}.JPG")
    put_masks(folder / "masks", source, "{}.png")
    put_model(folder / "sparse/0", source, as_text=True, name="{}.JPG")
    put(folder / "project.psx", "<document/>")
    return Expected(has_masks=True, suffix=".JPG")


def realityscan_layout(folder: Path, source: Original) -> Expected:
    """Registration exported as COLMAP: text, and masks with `.mask.png` after the whole name."""
    put_photos(folder / "images", source)
    put_masks(folder / "masks", source, "{}.jpg.mask.png")
    put_model(folder / "sparse/0", source, as_text=True)
    put(folder / "scene.rsproj", b"project")
    return Expected(has_masks=True)


def meshroom_layout(folder: Path, source: Original) -> Expected:
    """The output of ExportColmap: the model's names begin at the machine's root."""
    put_photos(folder / "images", source, "{}.jpg")
    put_model(folder / "sparse", source, as_text=True, name="/home/me/MeshroomCache/PrepareDenseScene/1f/{}.jpg")
    put(folder / "cameras.sfm", "{}")
    return Expected()


def blendernerf_layout(folder: Path, source: Original) -> Expected:
    """A subset of frames to train on, the test camera on its own path and rendered."""
    for part, chosen in (("train", source.cameras.keys() - source.held_out), ("test", source.held_out)):
        frames = []
        for stem in sorted(chosen):
            put(folder / f"{part}/{stem}.png", source.pictures[stem])
            frames.append(frame(source.cameras[stem], f"{part}/{stem}.png"))
        put_json(folder / f"transforms_{part}.json", {**lens(source), "frames": frames})
    write_points(folder / "points3d.ply", source.positions, source.colors)
    return Expected(held_out=source.held_out, suffix=".png")


def lichtfeld_layout(folder: Path, source: Original) -> Expected:
    put_photos(folder / "images", source, "{}.png")
    put_masks(folder / "masks", source, "{}.png")
    put_model(folder / "sparse", source, name="{}.png")
    put(folder / "test.txt", "".join(f"{stem}.png\n" for stem in sorted(source.held_out)))
    return Expected(has_masks=True, held_out=source.held_out, suffix=".png")


def postshot_layout(folder: Path, source: Original) -> Expected:
    """Photos and the three text files in one folder, as it takes them in."""
    put_photos(folder, source)
    put_masks(folder, source, "{}_mask.png")
    put_model(folder, source, as_text=True)
    return Expected(has_masks=True)


def nerf_synthetic_layout(folder: Path, source: Original) -> Expected:
    """Names without suffix, depths and normals among the test pictures."""
    angle = 2 * math.atan(SIZE[0] / (2 * lens(source)["fl_x"]))
    for part, chosen in (("train", source.cameras.keys() - source.held_out), ("test", source.held_out)):
        frames = []
        for stem in sorted(chosen):
            put(folder / f"{part}/{stem}.png", source.pictures[stem])
            frames.append(frame(source.cameras[stem], f"./{part}/{stem}", rotation=0.01))
            if part == "test":
                put(folder / f"{part}/{stem}_depth_0001.png", png(300))
                put(folder / f"{part}/{stem}_normal_0001.png", png(301))
        put_json(folder / f"transforms_{part}.json", {"camera_angle_x": angle, "frames": frames})
    return Expected(held_out=source.held_out, has_points=False, suffix=".png")


LAYOUTS: dict[str, Callable[[Path, Original], Expected]] = {
    "COLMAP": colmap_layout,
    "COLMAP dense": colmap_dense_layout,
    "nerfstudio": nerfstudio_layout,
    "instant-ngp": instant_ngp_layout,
    "Polycam": polycam_layout,
    "Record3D": record3d_layout,
    "Metashape": metashape_layout,
    "RealityScan": realityscan_layout,
    "Meshroom": meshroom_layout,
    "BlenderNeRF": blendernerf_layout,
    "LichtFeld": lichtfeld_layout,
    "Postshot": postshot_layout,
    "NeRF synthetic": nerf_synthetic_layout,
}
