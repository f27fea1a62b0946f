"""COLMAP itself on how photos lie and what a lens does to them: what it measures is what training reads."""

import numpy as np
import pycolmap
import pytest

from splat_addon.capture.camera import Camera
from splat_addon.capture.capture import open_capture
from splat_addon.capture.formats import colmap
from splat_addon.capture.formats.colmap.model import ColmapModel
from splat_addon.capture.photos.reading import read_photo
from splat_addon.capture.photos.undistort import undistorted_photo
from splat_addon.capture.photos.values import Decoded
from support.photo_files import exif, png_chunk, write_png


@pytest.mark.parametrize("size", [(48, 48), (64, 48), (48, 64)])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_colmap_measures_pixels_as_stored_and_so_they_are_read(tmp_path, orientation, size):
    pixels = np.random.default_rng(orientation).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    (tmp_path / "images").mkdir()
    (tmp_path / "sparse/0").mkdir(parents=True)
    file = tmp_path / "images/a.png"
    write_png(file, pixels, before=png_chunk(b"eXIf", exif(orientation)))
    measured = pycolmap.infer_camera_from_image(str(file))
    camera = Camera(measured.width, measured.height, 50, 50, size[0] / 2, size[1] / 2, np.eye(4))
    model = ColmapModel({"a.png": camera}, np.zeros((1, 3)), np.zeros((1, 3)))
    colmap.write_model(tmp_path / "sparse/0", model)
    (view,) = open_capture(tmp_path, 0).views
    read = read_photo(view, lambda path: Decoded(pixels))
    assert np.array_equal(read.pixels, pycolmap.Bitmap.read(str(file), True).to_array())


def test_colmap_undistorts_a_photo_to_the_same_pixels():
    down, across = np.mgrid[0:120, 0:160]
    pixels = np.stack([across, down * 2, 90 + 40 * np.sin(across / 9) * np.cos(down / 7)], axis=-1).astype(np.uint8)
    lens = (-0.15, 0.02, 0.002, -0.003)
    camera = Camera(160, 120, 150, 151, 81, 59, np.eye(4), lens)
    theirs = pycolmap.Camera(model="OPENCV", width=160, height=120, params=[150, 151, 81, 59, *lens])
    options = pycolmap.UndistortCameraOptions(min_scale=1.0, max_scale=1.0)
    bitmap, ideal = pycolmap.undistort_image(options, pycolmap.Bitmap.from_array(pixels), theirs)
    assert (ideal.width, ideal.height) == (160, 120)
    fx, fy, cx, cy = ideal.params
    found, is_seen = undistorted_photo(pixels, camera, Camera(160, 120, fx, fy, cx, cy, np.eye(4)))
    difference = np.abs(found.astype(int) - bitmap.to_array())
    assert is_seen.mean() > 0.9 and difference[2:-2, 2:-2][is_seen[2:-2, 2:-2]].max() <= 2
