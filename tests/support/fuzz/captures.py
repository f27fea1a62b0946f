"""Captures: transforms.json in its dialects, COLMAP models in both forms, heads of photos."""

import functools
import json
import math
import struct
import tempfile
from pathlib import Path

import numpy as np

from splat_addon.capture.capture import Capture, open_capture
from splat_addon.capture.formats import colmap
from splat_addon.capture.formats.colmap.model import ColmapModel, Observations
from splat_addon.capture.formats.transforms import is_own_capture, write_transforms
from splat_addon.capture.photos.image_size import read_image_size
from splat_addon.gaussians.formats.splat_ply import write_points

from ..scenes import ring_of_cameras
from .mutations import NAMES, WORDS, Mutator
from .trial import Broken, Trial, require_bounded, require_finite

_POSE = [[1.0, 0, 0, 1], [0, 1, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]]


def transforms(mutator: Mutator) -> Trial:
    """nerfstudio's, with points, split and masks; instant-ngp's; a NeRF scene's three files."""
    files = dict(mutator.one_of(_transforms()))
    documents = [name for name in files if name.endswith(".json")]
    chosen = mutator.one_of(documents)
    files[chosen] = mutator.json(json.loads(files[chosen]))
    if mutator.is_chosen(0.1):
        other = mutator.one_of(sorted(files.keys() - set(documents)))
        files[other] = mutator.bytes(files[other])
    return Trial(files, _read_capture)


def colmap_binary(mutator: Mutator) -> Trial:
    """A model's three files as COLMAP's programs exchange them."""
    files = dict(_models()[0])
    chosen = mutator.one_of([name for name in files if name.endswith(".bin")])
    files[chosen] = mutator.bytes(files[chosen])
    return Trial(files, _read_model)


def colmap_text(mutator: Mutator) -> Trial:
    """A model's three files as people read them."""
    files = dict(_models()[1])
    chosen = mutator.one_of([name for name in files if name.endswith(".txt")])
    files[chosen] = mutator.text(files[chosen], (*WORDS, *NAMES) if chosen.endswith("images.txt") else WORDS)
    return Trial(files, _read_model)


def photo_head(mutator: Mutator) -> Trial:
    """The beginning of a photo, of which the size is read."""
    return Trial({"a": mutator.bytes(mutator.one_of(tuple(_heads().values())))}, _read_head)


def _read_capture(folder: Path) -> None:
    is_own_capture(folder)
    capture = open_capture(folder, hold_out_every=2, needs_photos=False)
    _require_sound(capture, folder)
    if len(capture.views) * 2 >= len(capture.all_views):  # as training does, which wants photos
        capture = open_capture(folder, hold_out_every=2)
        _require_sound(capture, folder)
        capture.fingerprint()


def _read_model(folder: Path) -> None:
    model = colmap.read_model(folder / "sparse/0", with_observations=True)
    for seen in model.observations.values():
        if len(seen.points) and seen.points.max() >= len(model.positions):
            raise Broken("an observation of a point that is not there")
    _read_capture(folder)


def _read_head(folder: Path) -> None:
    width, height = read_image_size(folder / "a")
    if not (isinstance(width, int) and isinstance(height, int) and min(width, height) >= 1):
        raise Broken(f"a photo of {width} x {height}")


def _require_sound(capture: Capture, folder: Path) -> None:
    require_bounded("views", len(capture.all_views), folder)
    for view in capture.all_views:
        camera = view.camera
        camera.check(view.name)
        require_finite("camera", [camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy])
        require_finite("camera", camera.camera_from_world, list(camera.distortion), camera.position)
        if view.name.startswith("/") or {"..", ""} & set(view.name.split("/")):
            raise Broken(f"a view is called {view.name!r}")
    if len({view.name for view in capture.all_views}) != len(capture.all_views):
        raise Broken("two views of one name")
    if capture.points is not None:
        require_bounded("points", len(capture.points.positions), folder)
        require_finite("points", capture.points.positions)
    if capture.views:
        require_finite("extent", np.array(capture.extent))


@functools.cache
def _heads() -> dict[str, bytes]:
    """The beginnings of photos of 40 x 30 pixels, by suffix."""
    entries = [(256, 3, 1, struct.pack("<HH", 40, 0)), (257, 4, 1, struct.pack("<I", 30))]
    frame = struct.pack(">BHBHH", 0xC0, 11, 8, 30, 40)
    return {
        ".png": b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 40, 30) + bytes(8),
        ".jpg": b"\xff\xd8\xff\xe0" + struct.pack(">H", 16) + b"JFIF\0" + bytes(9) + b"\xff" + frame + bytes(8),
        ".webp": b"RIFF\0\0\0\0WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + bytes((39, 0, 0, 29, 0, 0)) + bytes(40),
        ".bmp": b"BM" + bytes(16) + struct.pack("<ii", 40, 30) + bytes(30),
        ".tif": b"II*\0" + struct.pack("<IH", 8, 2) + b"".join(struct.pack("<HHI4s", *entry) for entry in entries),
    }


@functools.cache
def _transforms() -> tuple[dict[str, bytes], ...]:
    cameras = ring_of_cameras(4)
    photos = {name: _heads()[".png"] for name in cameras}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_points(folder / "points3d.ply", np.eye(3), np.full((3, 3), 0.5))
        points = {"points3d.ply": (folder / "points3d.ply").read_bytes()}
        more = {"applied_transform": np.eye(3, 4).tolist(), "applied_scale": 2.0, "source": "blender-scene",
                "held_out_by": "mark"}  # fmt: skip
        masks = {name: name.replace("images", "masks") for name in cameras}
        write_transforms(folder / "a.json", cameras, list(cameras)[:1], "points3d.ply", more, masks)
        write_transforms(folder / "b.json", dict(list(cameras.items())[:1]), [], None, {})
        nerfstudio, plain = (folder / "a.json").read_bytes(), (folder / "b.json").read_bytes()
    masked = {masks[name]: content for name, content in photos.items()}
    frames = [{"file_path": f"./train/r_{index}", "rotation": 0.1, "transform_matrix": _POSE} for index in range(3)]
    train = {"camera_angle_x": math.pi / 2, "frames": frames[:2]}
    test = {"camera_angle_x": math.pi / 3, "frames": [{**frames[2], "file_path": "./test/r_0"}]}
    ngp = {"camera_angle_x": 1.0, "fl_x": 30.0, "fl_y": 31.0, "k1": 0.1, "k2": 0.0, "p1": 0.0, "p2": 0.0, "cx": 20.0,
           "cy": 15.0, "w": 40.0, "h": 30.0, "aabb_scale": 4, "scale": 0.3, "offset": [0.5, 0.5, 0.5],
           "frames": [{"file_path": "images/a.jpg", "sharpness": 3.0, "transform_matrix": _POSE}]}  # fmt: skip
    bent = {"file_path": "images\\a", "transform_matrix": _POSE[:3], "k4": 0.1, "k5": 0.1, "k6": 0.1}
    fields = {"x_fov": 60.0, "camera_model": "OPENCV", "is_fisheye": False, "frames": [bent]}
    train_photos = {"train/r_0.png": _heads()[".png"], "train/r_1.png": _heads()[".png"]}
    return (
        {"transforms.json": nerfstudio, **photos, **masked, **points},
        {"transforms.json": plain, "sparse_pc.ply": points["points3d.ply"]},
        {"transforms.json": json.dumps(ngp).encode(), "images/a.jpg": _heads()[".jpg"]},
        {"transforms.json": json.dumps(fields).encode(), "images/a.tif": _heads()[".tif"]},
        {"transforms_train.json": json.dumps(train).encode(), "transforms_test.json": json.dumps(test).encode(),
         "transforms_val.json": json.dumps(test).encode(), **train_photos},
        {"transforms.json": nerfstudio, **photos, **_models()[0]},
    )  # fmt: skip


@functools.cache
def _models() -> tuple[dict[str, bytes], dict[str, bytes]]:
    """A model's files, binary and text, with photos."""
    random = np.random.default_rng(0)
    cameras = {name.removeprefix("images/"): camera for name, camera in ring_of_cameras(3).items()}
    seen = {name: Observations(random.uniform(0, 30, (4, 2)), np.array([0, 2, -1, 4])) for name in cameras}
    model = ColmapModel(cameras, random.normal(size=(5, 3)), random.random((5, 3)), random.random(5), seen)
    photos = {f"images/{name}": _heads()[".png"] for name in cameras}
    forms = []
    for as_text in (False, True):
        with tempfile.TemporaryDirectory() as place:
            colmap.write_model(Path(place), model, as_text)
            files = {f"sparse/0/{path.name}": path.read_bytes() for path in sorted(Path(place).iterdir())}
        forms.append({**files, **photos})
    return forms[0], forms[1]
