"""How long captures take to come in and go out, rendering aside. Run by `python3 dev.py bench capture [--json FILE]`.

Each `case_...` prepares what it needs in a folder of its own and returns the seconds of the part that an artist waits
for. The best of three, so that a first touch of files and code is not what is measured.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import _capture_cameras
import _capture_seeds

from support import extension as support

REPEATS = 3
PHOTOS, POINTS, SEEN_PER_PHOTO = 300, 40_000, 4000
PHOTO_SIZE = (1600, 1200)


def case_import_colmap_binary(extension, folder: Path) -> float:
    """300 photos and 40 000 points with 1.2 million observations, opened in Blender: cameras, backgrounds, points."""
    return _seconds_to_open(extension, folder, as_text=False)


def case_import_colmap_text(extension, folder: Path) -> float:
    """The same as text."""
    return _seconds_to_open(extension, folder, as_text=True)


def case_export_colmap_binary(extension, folder: Path) -> float:
    """The same, written again with its tracks; photos are referred to."""
    return _seconds_to_export(extension, folder, "COLMAP_BINARY")


def case_export_transforms(extension, folder: Path) -> float:
    """The same as transforms.json."""
    return _seconds_to_export(extension, folder, "TRANSFORMS")


def _seconds_to_open(extension, folder: Path, as_text: bool) -> float:
    import bpy

    _write_colmap_capture(extension, folder, as_text)
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    began = time.perf_counter()
    bpy.ops.splat.open_photo_capture(directory=str(folder))
    bpy.context.view_layer.update()
    seconds = time.perf_counter() - began
    cameras = [item for item in bpy.context.scene.objects if item.type == "CAMERA"]
    if len(cameras) != PHOTOS or not all(item.data.background_images[0].image for item in cameras):
        raise SystemExit("bench: the capture was not opened as a whole")
    return seconds


def _seconds_to_export(extension, folder: Path, form: str) -> float:
    import bpy

    _write_colmap_capture(extension, folder / "capture", as_text=False)
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    bpy.context.scene.splat.capture.folder = str(folder / "capture")
    began = time.perf_counter()
    bpy.ops.splat.export_capture(directory=str(folder / "out"), formats={form}, copy_photos=False)
    return time.perf_counter() - began


def _write_colmap_capture(extension, folder: Path, as_text: bool) -> None:
    """Random cameras that look at the origin, random points, and photos of a real size in one color."""
    import bpy

    camera_module = extension.module("splat_addon.capture.camera")
    rotation_module = extension.module("splat_addon.capture.rotation")
    model_module = extension.module("splat_addon.capture.formats.colmap.model")
    random = np.random.default_rng(0)
    cameras, observations = {}, {}
    (folder / "images").mkdir(parents=True)
    (folder / "sparse/0").mkdir(parents=True)
    image = bpy.data.images.new("photo", *PHOTO_SIZE)
    image.filepath_raw, image.file_format = str(folder / "photo.jpg"), "JPEG"
    image.save()
    photo = (folder / "photo.jpg").read_bytes()
    for index in range(PHOTOS):
        pose = np.eye(4)
        pose[:3, :3] = rotation_module.rotation_from_quaternion(random.normal(size=4))
        pose[2, 3] = 5.0
        name = f"IMG_{index:04d}.jpg"
        cameras[name] = camera_module.Camera(*PHOTO_SIZE, 1500.0, 1500.0, 800.0, 600.0, pose)
        pixels = random.uniform(0, 1200, size=(SEEN_PER_PHOTO, 2))
        rows = np.where(random.random(SEEN_PER_PHOTO) < 0.5, random.integers(0, POINTS, SEEN_PER_PHOTO), -1)
        observations[name] = model_module.Observations(pixels, rows)
        (folder / "images" / name).write_bytes(photo)
    points = random.normal(size=(POINTS, 3))
    model = model_module.ColmapModel(cameras, points, random.random((POINTS, 3)), random.random(POINTS), observations)
    extension.module("splat_addon.capture.formats.colmap").write_model(folder / "sparse/0", model, as_text)


CASES = (
    case_import_colmap_binary,
    case_import_colmap_text,
    case_export_colmap_binary,
    case_export_transforms,
    *_capture_seeds.CASES,
    *_capture_cameras.CASES,
)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    options = parser.parse_args()
    extension = support.Extension(support.enable_extension())
    figures = []
    for case in CASES:
        seconds = []
        for _ in range(REPEATS):
            with tempfile.TemporaryDirectory() as folder:
                seconds.append(case(extension, Path(folder)))
        name = case.__name__.removeprefix("case_")
        figures.append({"name": name, "seconds": round(min(seconds), 4)})
        print(f"{name:40s} {min(seconds):8.3f} s", flush=True)
    if options.json:
        options.json.write_text(json.dumps({"cases": figures}, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
