"""COLMAP itself reads the models we write and sees in them what we see; and we read what it writes."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pycolmap
import pytest

from splat_addon.capture.capture import open_capture
from splat_addon.capture.export import COLMAP_BINARY, COLMAP_TEXT, ExportOptions, export_capture
from splat_addon.capture.formats import colmap
from splat_addon.capture.formats.transforms import write_transforms
from splat_addon.capture.photos.image_size import read_image_size
from splat_addon.gaussians.formats.splat_ply import write_points
from support.capture_layouts import LAYOUTS, original
from support.scenes import ring_of_cameras

DATA = Path(os.environ.get("SPLAT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared captures are not on this machine")
FORMATS = [COLMAP_BINARY, COLMAP_TEXT]
LENSES = [(), (-0.16,), (0.1, -0.02, 0.003, -0.004), (0.1, -0.02, 0.003, -0.004, 0.01, 0.02, 0.03, 0.04)]


def assert_pycolmap_agrees(capture, folder: Path, with_tracks: bool) -> None:
    """Every camera, pose, projection, point and colour to 1e-6, and the mean reprojection error."""
    reconstruction = pycolmap.Reconstruction(folder)
    assert reconstruction.num_reg_images() == len(capture.all_views)
    by_name = {image.name: image for image in reconstruction.images.values()}
    points = capture.points.positions
    for view in capture.all_views:
        image = by_name[view.name + view.image_path.suffix]
        pose = np.vstack([image.cam_from_world().matrix(), [0, 0, 0, 1]])
        assert np.abs(pose - view.camera.camera_from_world).max() < 1e-6
        lens = reconstruction.cameras[image.camera_id]
        assert (lens.width, lens.height) == (view.camera.width, view.camera.height)
        pixels, depths = view.camera.project(points)
        in_view = (depths > 0) & (pixels > 0).all(axis=1) & (pixels < (lens.width, lens.height)).all(axis=1)
        theirs = lens.img_from_cam(points[in_view] @ pose[:3, :3].T + pose[:3, 3])
        assert in_view.any() and np.abs(theirs - pixels[in_view]).max() < 1e-6
    found = np.array([point.xyz for _, point in sorted(reconstruction.points3D.items())])
    colors = np.array([point.color for _, point in sorted(reconstruction.points3D.items())])
    assert np.abs(found - points).max() < 1e-6
    assert np.abs(colors / 255 - capture.points.colors).max() < 1e-6
    if with_tracks:
        model = colmap.read_model(folder, with_observations=True)
        assert reconstruction.compute_num_observations() == len(model.reprojection_errors())
        rows = np.concatenate([seen.points[seen.points >= 0] for seen in model.observations.values()])
        by_point = np.bincount(rows, model.reprojection_errors()) / np.bincount(rows)
        reconstruction.update_point_3d_errors()
        assert abs(by_point.mean() - reconstruction.compute_mean_reprojection_error()) < 1e-6


def assert_shared_data_agrees(capture_folder: Path, out: Path, form: str) -> None:
    capture = open_capture(capture_folder, needs_photos=False)
    export_capture(capture, out, ExportOptions(frozenset({form})))
    assert_pycolmap_agrees(capture, out / "sparse/0", with_tracks=True)
    original = pycolmap.Reconstruction(colmap.find_model(capture_folder))
    again = pycolmap.Reconstruction(out / "sparse/0")
    assert again.compute_num_observations() == original.compute_num_observations()
    lengths = (again.compute_mean_track_length(), original.compute_mean_track_length())
    assert abs(lengths[0] - lengths[1]) < 1e-12


@needs_data
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", ["sceaux_model", "banana"])
def test_real_models_come_out_as_they_went_in(tmp_path, name, form):
    assert_shared_data_agrees(DATA / name, tmp_path, form)


@pytest.mark.parametrize("form", FORMATS)
def test_captures_of_a_scene_and_all_lenses_are_read(tmp_path, form):
    cameras = {
        name: replace(camera, fx=41.5, cx=18.25, distortion=LENSES[index % len(LENSES)])
        for index, (name, camera) in enumerate(ring_of_cameras(8).items())
    }
    (tmp_path / "capture/images").mkdir(parents=True)
    for name in cameras:
        (tmp_path / "capture" / name).write_bytes(b"photo")
    random = np.random.default_rng(0)
    points = random.uniform(-0.5, 0.5, size=(60, 3))
    write_points(tmp_path / "capture/points3d.ply", points, random.integers(0, 256, size=(60, 3)) / 255)
    write_transforms(tmp_path / "capture/transforms.json", cameras, set(), "points3d.ply", {"source": "blender-scene"})
    capture = open_capture(tmp_path / "capture")
    export_capture(capture, tmp_path / "out", ExportOptions(frozenset({form})))
    assert_pycolmap_agrees(capture, tmp_path / "out/sparse/0", with_tracks=False)


@needs_data
@pytest.mark.parametrize("as_text", [False, True])
def test_models_as_colmap_4_writes_them_are_read(tmp_path, as_text):
    """With rigs and frames beside the three files."""
    reconstruction = pycolmap.Reconstruction(DATA / "sceaux_model/sparse/0")
    (reconstruction.write_text if as_text else reconstruction.write_binary)(str(tmp_path))
    assert any(path.stem in ("rigs", "frames") for path in tmp_path.iterdir()), "COLMAP 4 adds files"
    theirs = colmap.read_model(tmp_path, with_observations=True)
    ours = colmap.read_model(DATA / "sceaux_model/sparse/0", with_observations=True)
    assert abs(theirs.reprojection_errors().mean() - ours.reprojection_errors().mean()) < 1e-9
    for photo, camera in ours.cameras.items():
        assert np.abs(theirs.cameras[photo].camera_from_world - camera.camera_from_world).max() < 1e-12


@needs_data
@pytest.mark.parametrize("place", ["dense", "dense/0"])
def test_photos_that_colmap_has_undistorted_go_with_the_model_that_it_wrote_for_them(tmp_path, place):
    """Opened by the workspace, in which the photos as taken lie beside a distorted model, too, and by itself."""
    images = tmp_path / "images"
    shutil.copytree(DATA / "banana/images_400", images)
    (tmp_path / place).mkdir(parents=True)
    pycolmap.undistort_images(tmp_path / place, DATA / "banana/sparse_400/0", images)
    capture = open_capture(tmp_path)
    assert capture.model_folder == tmp_path / place / "sparse" and len(capture.views) == 15
    for view in capture.views:
        assert view.image_path.parent == tmp_path / place / "images"
        assert (
            read_image_size(view.image_path) == (view.camera.width, view.camera.height) and not view.camera.distortion
        )
    assert [view.image_path for view in open_capture(tmp_path / place).views] == [v.image_path for v in capture.views]
    assert not [remark for remark in capture.remarks if remark.is_warning]
    shutil.copytree(DATA / "banana/sparse_400/0", tmp_path / "sparse/0")
    as_taken = open_capture(tmp_path)
    assert as_taken.model_folder == tmp_path / "sparse/0"
    assert {view.image_path.parent for view in as_taken.views} == {images}


@pytest.mark.parametrize("program", ["COLMAP", "Metashape", "RealityScan", "Meshroom", "LichtFeld", "Postshot"])
def test_layouts_of_other_programs_hold_models_that_colmap_reads(tmp_path, program):
    source = original()
    LAYOUTS[program](tmp_path, source)
    capture = open_capture(tmp_path)
    theirs = {image.name: image for image in pycolmap.Reconstruction(capture.model_folder).images.values()}
    assert theirs.keys() == {view.listed_as for view in capture.views} and len(theirs) == len(source.cameras)
    for view in capture.views:
        pose = theirs[view.listed_as].cam_from_world().matrix()
        assert np.abs(pose - view.camera.camera_from_world[:3]).max() < 1e-9


def test_numbers_of_camera_models_are_colmaps():
    from splat_addon.capture.formats.colmap.model import LENS_MODELS

    known = {int(model): name for name, model in pycolmap.CameraModelId.__members__.items() if int(model) >= 0}
    assert {number: name for number, (name, _) in LENS_MODELS.items()} == known
