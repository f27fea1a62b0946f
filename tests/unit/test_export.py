"""Captures written for other programs: the same cameras come back, and nothing that is there is lost."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from splat_addon.capture.camera import Camera
from splat_addon.capture.capture import Capture, open_capture
from splat_addon.capture.export import COLMAP_BINARY, COLMAP_TEXT, TRANSFORMS, ExportOptions, export_capture
from splat_addon.capture.formats import colmap
from splat_addon.capture.formats.colmap.model import ColmapModel, Observations
from splat_addon.capture.formats.transforms import is_own_capture, write_transforms
from splat_addon.capture.photos.undistort import pinhole_within, undistorted_photo
from splat_addon.errors import CaptureError
from splat_addon.gaussians.formats.splat_ply import write_points
from support.scenes import ring_of_cameras

ALL = frozenset({TRANSFORMS, COLMAP_BINARY, COLMAP_TEXT})
DISTORTION = (0.05, -0.02, 0.003, -0.004)


def scene_capture(folder: Path, **extra) -> Capture:
    cameras = ring_of_cameras(10)
    (folder / "images").mkdir(parents=True)
    for name in cameras:
        (folder / name).write_bytes(f"photo {name}".encode())
    random = np.random.default_rng(0)
    normals = random.normal(size=(40, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    write_points(folder / "points3d.ply", normals, random.integers(0, 256, size=(40, 3)) / 255, normals)
    write_transforms(folder / "transforms.json", cameras, set(), "points3d.ply", {"source": "blender-scene", **extra})
    return open_capture(folder)


def photo_capture(folder: Path, distortion=DISTORTION) -> Capture:
    """A COLMAP capture with observations that its distorted cameras see exactly; the last photo is missing."""
    cameras = {
        name.split("/")[1]: replace(camera, distortion=distortion) for name, camera in ring_of_cameras(6).items()
    }
    points = np.random.default_rng(1).uniform(-0.4, 0.4, size=(25, 3))
    observations = {}
    for name, camera in cameras.items():
        pixels, _ = camera.project(points)
        observations[name] = Observations(pixels, np.arange(25))
    (folder / "sparse/0").mkdir(parents=True)
    (folder / "images").mkdir()
    for name in list(cameras)[:-1]:
        (folder / "images" / name).write_bytes(f"photo {name}".encode())
    model = ColmapModel(cameras, points, np.full((25, 3), 0.2), np.full(25, 0.5), observations)
    colmap.write_model(folder / "sparse/0", model)
    return open_capture(folder)


def assert_same_cameras(capture: Capture, other: Capture, names: bool = True) -> None:
    """Identical cameras to 1e-6, in all their numbers."""
    assert [view.name for view in other.views] == [view.name for view in capture.views]
    for view, found in zip(capture.views, other.views, strict=True):
        for field in ("width", "height", "fx", "fy", "cx", "cy"):
            assert abs(getattr(found.camera, field) - getattr(view.camera, field)) < 1e-6
        assert np.abs(found.camera.camera_from_world - view.camera.camera_from_world).max() < 1e-6
        distortions = [(*camera.distortion, *[0.0] * 8)[:8] for camera in (view.camera, found.camera)]
        assert np.allclose(*distortions, atol=1e-12)


@pytest.mark.parametrize("make", [scene_capture, photo_capture])
@pytest.mark.parametrize("chosen", [{TRANSFORMS}, {COLMAP_BINARY}, {COLMAP_TEXT}])
@pytest.mark.parametrize("copy", [True, False])
def test_any_capture_comes_back_from_any_format(tmp_path, make, chosen, copy):
    capture = make(tmp_path / "capture")
    target = tmp_path / "out"
    notes = export_capture(capture, target, ExportOptions(frozenset(chosen), copy_photos=copy))
    if not copy and TRANSFORMS not in chosen:
        assert any("names its photos from" in note for note in notes)
        model = colmap.read_model(target / "sparse/0")
        assert sorted(model.cameras) == [view.image_path.name for view in capture.views]
        return
    again = open_capture(target, needs_photos=True)
    assert len(again.views) == len(capture.views)
    if copy:
        assert_same_cameras(capture, again)
    for view, found in zip(capture.views, again.views, strict=True):
        assert found.image_path.read_bytes() == view.image_path.read_bytes()
        assert np.abs(found.camera.camera_from_world - view.camera.camera_from_world).max() < 1e-6
    assert np.abs(again.points.positions - capture.points.positions).max() < 1e-6
    assert np.abs(again.points.colors - capture.points.colors).max() < 1e-6
    assert not (target / ".export.partial").exists()


def test_the_split_and_the_view_transform_go_along(tmp_path):
    capture = scene_capture(tmp_path / "capture", view_transform="Standard")
    export_capture(capture, tmp_path / "out", ExportOptions(frozenset({TRANSFORMS})))
    document = json.loads((tmp_path / "out/transforms.json").read_text())
    assert document["view_transform"] == "Standard"
    assert document["val_filenames"] == ["images/view_00.png", "images/view_08.png"]
    assert not is_own_capture(tmp_path / "out"), "a second capture of the scene must not replace what was exported"


def test_tracks_and_errors_of_a_colmap_model_are_kept(tmp_path):
    capture = photo_capture(tmp_path / "capture")
    export_capture(capture, tmp_path / "out", ExportOptions(frozenset({COLMAP_BINARY})))
    model = colmap.read_model(tmp_path / "out/sparse/0", with_observations=True)
    assert len(model.observations) == 5 and model.reprojection_errors().max() < 1e-9
    assert model.errors.tolist() == [0.5] * 25


@pytest.mark.parametrize("masked", [10, 4])
def test_masks_go_along(tmp_path, masked):
    capture = scene_capture(tmp_path / "capture")
    for view in capture.views[:masked]:
        path = tmp_path / "capture/masks" / (view.image_path.name + ".png")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(f"mask of {view.name}".encode())
    export_capture(open_capture(tmp_path / "capture"), tmp_path / "out", ExportOptions(frozenset({TRANSFORMS})))
    frames = json.loads((tmp_path / "out/transforms.json").read_text())["frames"]
    assert ("mask_path" in frames[0]) == (masked == 10), "nerfstudio wants masks of all photos or of none"
    again = open_capture(tmp_path / "out")
    for view in again.views[:masked]:
        assert view.mask_path.read_bytes() == f"mask of {view.name}".encode()
    assert all(view.mask_path is None for view in again.views[masked:])


def test_views_without_photo_are_named_and_left_out(tmp_path):
    notes = export_capture(photo_capture(tmp_path / "capture"), tmp_path / "out", ExportOptions())
    assert "Views without a photo: 1 (view_05). They were left out." in notes
    assert len(open_capture(tmp_path / "out").views) == 5


def test_cameras_alone_are_exported_when_there_is_no_photo_at_all(tmp_path):
    photo_capture(tmp_path / "capture")
    for photo in (tmp_path / "capture/images").iterdir():
        photo.unlink()
    capture = open_capture(tmp_path / "capture", needs_photos=False)
    notes = export_capture(capture, tmp_path / "out", ExportOptions(ALL))
    assert any("They were written anyway" in note for note in notes)
    assert len(colmap.read_model(tmp_path / "out/sparse/0").cameras) == 6


def test_another_world_moves_cameras_and_points_together(tmp_path):
    capture = photo_capture(tmp_path / "capture")
    similarity = np.array([[0.0, -2, 0, 1], [2, 0, 0, 2], [0, 0, 2, 3], [0, 0, 0, 1]])
    options = ExportOptions(frozenset({TRANSFORMS, COLMAP_BINARY}), world_from_capture=similarity)
    export_capture(capture, tmp_path / "out", options)
    again = open_capture(tmp_path / "out")
    expected = capture.points.positions @ similarity[:3, :3].T + similarity[:3, 3]
    assert np.allclose(again.points.positions, expected, atol=1e-6)
    for view, found in zip(capture.views, again.views, strict=True):
        assert np.allclose(found.camera.position, similarity[:3, :3] @ view.camera.position + similarity[:3, 3])
        here, there = view.camera.project(capture.points.positions)[0], found.camera.project(expected)[0]
        assert np.abs(here - there).max() < 1e-6, "the same pixels"
    model = colmap.read_model(tmp_path / "out/sparse/0", with_observations=True)
    assert model.reprojection_errors().max() < 1e-6


def test_nothing_that_is_there_is_replaced_unasked(tmp_path):
    capture = scene_capture(tmp_path / "capture")
    (tmp_path / "out/images").mkdir(parents=True)
    (tmp_path / "out/images/mine.png").write_bytes(b"mine")
    with pytest.raises(CaptureError, match=r"already holds images\. Choose an empty folder, or switch on Replace"):
        export_capture(capture, tmp_path / "out", ExportOptions())
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()] == ["mine.png"]
    export_capture(capture, tmp_path / "out", ExportOptions(replace_earlier=True))
    assert_same_cameras(capture, open_capture(tmp_path / "out"))


def test_a_capture_never_replaces_itself(tmp_path):
    capture = scene_capture(tmp_path / "capture")
    before = (tmp_path / "capture/transforms.json").read_bytes()
    with pytest.raises(CaptureError, match=r"holds transforms\.json, points3d\.ply of the capture itself"):
        export_capture(capture, tmp_path / "capture", ExportOptions(replace_earlier=True))
    assert (tmp_path / "capture/transforms.json").read_bytes() == before


def test_a_colmap_model_can_be_added_to_a_scenes_capture(tmp_path):
    capture = scene_capture(tmp_path / "capture")
    export_capture(capture, tmp_path / "capture", ExportOptions(frozenset({COLMAP_BINARY})))
    model = colmap.read_model(tmp_path / "capture/sparse/0")
    assert sorted(model.cameras) == [f"view_{index:02d}.png" for index in range(10)], "named from images/"
    (tmp_path / "capture/transforms.json").rename(tmp_path / "capture/other.json")
    assert_same_cameras(capture, open_capture(tmp_path / "capture"))


def test_a_folder_that_cannot_be_written_is_named_and_nothing_changes(tmp_path):
    capture = scene_capture(tmp_path / "capture")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CaptureError, match=r"The export folder .*file/out cannot be written .* nothing was changed"):
        export_capture(capture, tmp_path / "file/out", ExportOptions())
    with pytest.raises(CaptureError, match="No format is chosen"):
        export_capture(capture, tmp_path / "out", ExportOptions(frozenset()))
    assert not (tmp_path / "out").exists()


def test_what_was_moved_goes_back_when_the_rest_cannot_be_moved(tmp_path, monkeypatch):
    capture = scene_capture(tmp_path / "capture")
    export_capture(capture, tmp_path / "out", ExportOptions())
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    moved, real = [], os.replace

    def fail_at_the_model(start, end):
        moved.append(str(start))
        if ".export.partial/sparse" in str(start):
            raise OSError(28, "No space left on device")
        real(start, end)

    monkeypatch.setattr(os, "replace", fail_at_the_model)
    with pytest.raises(CaptureError, match="No space left on device"):
        export_capture(capture, tmp_path / "out", ExportOptions(replace_earlier=True))
    assert any("images" in path for path in moved)
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before


# --- Undistorting ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("distortion", [(-0.16,), DISTORTION, (0.3, 0.1, 0.01, 0.01, 0.02, 0.1, 0.01, 0.01)])
def test_undistorting_inverts_the_lens(distortion):
    camera = Camera(600, 400, 500, 510, 310, 190, np.eye(4), distortion)
    pixels = np.random.default_rng(0).uniform(0, 1, size=(300, 2)) * (600, 400)
    ideal = camera.undistort_pixels(pixels)
    slopes = (ideal - (310, 190)) / (500, 510)
    assert np.abs(camera.distort(slopes) * (500, 510) + (310, 190) - pixels).max() < 1e-9


@pytest.mark.parametrize("distortion", [(-0.16,), (0.2, 0.05), DISTORTION])
def test_the_undistorted_camera_sees_only_what_the_photo_shows(distortion):
    camera = Camera(600, 400, 500, 510, 310, 190, np.eye(4), distortion)
    pinhole = pinhole_within(camera)
    across, down = np.meshgrid(np.linspace(0, 600, 40), np.linspace(0, 400, 40))
    slopes = np.stack([(across - 310) / pinhole.fx, (down - 190) / pinhole.fy], axis=-1).reshape(-1, 2)
    source = camera.distort(slopes) * (500, 510) + (310, 190)
    assert (source >= -1e-3).all() and (source <= (600.001, 400.001)).all()
    assert (pinhole.fx >= 500) and abs(pinhole.fx / pinhole.fy - 500 / 510) < 1e-12


def test_an_undistorted_photo_shows_things_where_the_pinhole_camera_projects_them():
    """A photo whose colour is the place it was taken from: each undistorted pixel must say where that is."""
    camera = Camera(300, 200, 250, 255, 155, 95, np.eye(4), (-0.16, 0.02, 0.002, -0.003))
    across, down = np.meshgrid(np.arange(300) + 0.5, np.arange(200) + 0.5)
    photo = np.stack([across, down], axis=-1).astype(np.float32)
    pinhole = pinhole_within(camera)
    result, _ = undistorted_photo(photo, camera, pinhole)
    slopes = np.stack([(across - 155) / pinhole.fx, (down - 95) / pinhole.fy], axis=-1).reshape(-1, 2)
    expected = (camera.distort(slopes) * (250, 255) + (155, 95)).reshape(200, 300, 2)
    inside = ((expected > 0.5) & (expected < (299.5, 199.5))).all(axis=-1)
    assert inside.mean() > 0.95 and np.abs(result - expected)[inside].max() < 1e-3


def test_exported_observations_follow_undistorted_photos(tmp_path):
    capture = photo_capture(tmp_path / "capture")
    written = []

    def write(view, pinhole, target, mask):
        written.append(view.name)
        target.write_bytes(view.image_path.read_bytes())

    options = ExportOptions(frozenset({COLMAP_BINARY}), copy_photos=False, undistort=True, write_photo=write)
    export_capture(capture, tmp_path / "out", options)
    assert len(written) == 5
    model = colmap.read_model(tmp_path / "out/sparse/0", with_observations=True)
    assert all(camera.distortion == () for camera in model.cameras.values())
    assert model.reprojection_errors().max() < 1e-6


@pytest.mark.parametrize("undistorts", [False, True])
def test_files_that_are_not_images_in_the_capture_are_not_copied_and_named(tmp_path, undistorts):
    """A stranger's capture may name any file of this machine as a photo, or as a mask."""
    (tmp_path / "home/.ssh").mkdir(parents=True)
    (tmp_path / "home/.ssh/id_rsa").write_text("secret")
    (tmp_path / "home/private.png").write_text("secret")
    cameras = ring_of_cameras(3)
    (tmp_path / "c/images").mkdir(parents=True)
    for name in cameras:
        (tmp_path / "c" / name).write_bytes(b"a photo")
    camera = next(iter(cameras.values()))
    strange = ("../home/private.png", str(tmp_path / "home/.ssh/id_rsa"), "images/key")
    (tmp_path / "c/images/key").symlink_to(tmp_path / "home/.ssh/id_rsa")
    listed = {**cameras, **dict.fromkeys(strange, camera)}
    masks = {name: "../home/private.png" for name in listed}
    write_transforms(tmp_path / "c/transforms.json", listed, set(), None, {}, masks)
    options = ExportOptions(undistort=undistorts, write_photo=lambda *_: pytest.fail("reads it"))
    notes = export_capture(open_capture(tmp_path / "c"), tmp_path / "out", options)
    copied = {file.read_bytes() for file in tmp_path.joinpath("out").rglob("*.*") if file.parent.name == "images"}
    assert copied == {b"a photo"} and not (tmp_path / "out/masks").exists()
    assert len(open_capture(tmp_path / "out").views) == 3
    (note,) = (note for note in notes if note.startswith("Not copied, since they are not images in the capture's"))
    assert "more" in note
    with pytest.raises(CaptureError, match="is an image that lies in it"):
        write_transforms(tmp_path / "c/transforms.json", {strange[1]: camera, strange[0]: camera}, set(), None, {})
        export_capture(open_capture(tmp_path / "c", 0), tmp_path / "none", options)


def test_a_model_that_names_files_elsewhere_has_no_photo_there(tmp_path):
    (tmp_path / "secret.png").write_text("secret")
    cameras = {f"{index}.png": camera for index, camera in enumerate(ring_of_cameras(3).values())}
    (tmp_path / "c/images").mkdir(parents=True)
    (tmp_path / "c/sparse/0").mkdir(parents=True)
    for name in cameras:
        (tmp_path / "c/images" / name).write_bytes(b"a photo")
    named = {**cameras, str(tmp_path / "secret.png"): cameras["0.png"], "../../secret.png": cameras["1.png"]}
    model = ColmapModel(named, np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0), {})
    colmap.write_model(tmp_path / "c/sparse/0", model, as_text=False)
    capture = open_capture(tmp_path / "c")
    assert [view.image_path.name for view in capture.views] == ["0.png", "1.png", "2.png"]
    assert len(capture.missing) == 2


def test_photos_and_masks_that_do_not_lie_as_their_cameras_measured_are_written_or_named(tmp_path):
    capture = photo_capture(tmp_path / "capture")
    mask = tmp_path / "capture/masks/m.png"
    mask.parent.mkdir()
    mask.write_bytes(b"a mask")
    views = list(capture.views)
    views[0] = replace(views[0], orientation=6)
    views[1] = replace(views[1], mask_path=mask, mask_is_inverted=True)
    capture = replace(capture, views=tuple(views))
    written = []

    def write(view, camera, photo, mask):
        written.append((view.name, mask is not None))
        photo.write_bytes(b"written")

    export_capture(capture, tmp_path / "out", ExportOptions(write_photo=write))
    assert written == [(views[0].name, False), (views[1].name, True)]
    notes = " ".join(export_capture(capture, tmp_path / "where_they_are", ExportOptions(copy_photos=False)))
    assert f"must turn as their Exif records say: 1 ({views[0].name})" in notes
    assert f"Masks in which black keeps, which other programs must know: 1 ({views[1].name})" in notes
