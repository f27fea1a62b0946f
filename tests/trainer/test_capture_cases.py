"""Captures as people bring them, each in the small and, where it is on this machine, of banana's photographs.

A capture in COLMAP's form is changed in the way that a report of a user describes, then opened and read as training
reads it. What must come out is known from the capture before the change.
"""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from splat_addon.capture.camera import OPENCV_FROM_OPENGL
from splat_addon.capture.capture import Capture, View, open_capture
from splat_addon.capture.formats import colmap
from splat_addon.capture.formats.colmap.model import ColmapModel
from splat_addon.capture.photos.orientation import inverse_orientation, turned
from splat_addon.errors import CaptureError
from splat_addon.run.config import TrainConfig
from splat_addon.trainer.photos.photo import Photo, load_photo
from splat_addon.trainer.seeds import first_cloud
from support.photo_files import exif, with_exif
from support.textured_ball import ball_capture

DATA = Path(os.environ.get("SPLAT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared captures are not on this machine")
GL = OPENCV_FROM_OPENGL


class Source:
    """A capture before it is changed: photos as JPEG files by name, and their model."""

    def __init__(self, folder: Path, kind: str):
        self.folder, self.photos = folder, {}
        if kind == "banana":
            self.model = colmap.read_model(DATA / "banana/sparse_400/0")
            for name in self.model.cameras:
                self.photos[name] = (DATA / "banana/images_400" / name).read_bytes()
        else:
            capture, photos = ball_capture(10)
            cameras = {f"DSC_{view.name}.JPG": view.camera for view in capture.views}
            self.model = ColmapModel(cameras, capture.points.positions, capture.points.colors, np.zeros(800), {})
            for view in capture.views:
                Image.fromarray(photos[view.name]).save(folder / "a.jpg", quality=95)
                self.photos[f"DSC_{view.name}.JPG"] = (folder / "a.jpg").read_bytes()
        self.names = sorted(self.photos)
        self.size = next(iter(self.model.cameras.values())).width, next(iter(self.model.cameras.values())).height
        self.out = folder / "capture"

    def write(self, place: str, content: bytes) -> Path:
        path = self.out / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def write_photos(self, place: str = "images/{}", change=lambda content: content) -> None:
        for name, content in self.photos.items():
            self.write(place.format(name), change(content))

    def write_model(self, place: str = "sparse/0", as_text: bool = False, **changes) -> None:
        (self.out / place).mkdir(parents=True, exist_ok=True)
        colmap.write_model(self.out / place, replace(self.model, **changes), as_text)

    def write_mask(self, place: str, picture: Image.Image, form: str = "PNG") -> None:
        for name in self.names:
            path = self.out / place.format(name=name, stem=Path(name).stem)
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path, form)

    def pixels(self, name: str) -> np.ndarray:
        (self.folder / "b.jpg").write_bytes(self.photos[name])
        with Image.open(self.folder / "b.jpg") as file:
            return np.array(file.convert("RGB"))

    def transforms(self, names: list[str], folder: str) -> bytes:
        frames = []
        for name in names:
            camera = self.model.cameras[name]
            pose = (camera.world_from_camera @ GL).tolist()
            lens = {"w": camera.width, "h": camera.height, "fl_x": camera.fx, "fl_y": camera.fy}
            frames.append({"file_path": f"{folder}/{name}", "transform_matrix": pose, **lens})
        return json.dumps({"frames": frames}).encode()

    def opened(self) -> Capture:
        return open_capture(self.out)


@pytest.fixture(params=["small", pytest.param("banana", marks=needs_data)])
def source(request, tmp_path) -> Source:
    return Source(tmp_path, request.param)


def photo_of(view: View) -> Photo:
    """As stored, for comparing pixels: without its lens taken out."""
    return load_photo(replace(view, camera=view.camera.without_distortion()), 2000)


def told(capture: Capture) -> str:
    return " ".join(remark.told for remark in capture.remarks)


@pytest.mark.parametrize("orientation", [2, 3, 4, 6, 8])
def test_a_record_turns_no_photo_that_colmap_has_measured(source, orientation):
    source.write_model()
    source.write_photos(change=lambda content: with_exif(content, exif(orientation)))
    for view in source.opened().views[:2]:
        assert np.array_equal(photo_of(view).rgb.numpy(), source.pixels(view.listed_as))


def test_photos_stored_turned_fit_cameras_that_were_measured_upright(source):
    source.write_model()

    def lying(content: bytes) -> bytes:
        with Image.open(source.write("aside/a.jpg", content)) as file:
            stored = np.ascontiguousarray(turned(np.array(file), inverse_orientation(6)))
        Image.fromarray(stored).save(source.out / "aside/a.jpg", quality=98, subsampling=0)
        return with_exif((source.out / "aside/a.jpg").read_bytes(), exif(6))

    source.write_photos(change=lying)
    shutil.rmtree(source.out / "aside")
    capture = source.opened()
    assert {view.orientation for view in capture.views} == {6} and "turned as their Exif orientation says" in told(
        capture
    )
    view = capture.views[0]
    assert np.abs(photo_of(view).rgb.numpy().astype(int) - source.pixels(view.listed_as)).mean() < 3


MASKS = ["0 and 1", "16 bits", "alpha", "RealityScan", "same name", "dynamic"]


@pytest.mark.parametrize("kind", MASKS)
def test_the_left_half_is_kept(source, kind):
    width, height = source.size
    keep = np.zeros((height, width), np.uint8)
    keep[:, : width // 2] = 1
    pictures = {
        "0 and 1": Image.fromarray(keep),
        "16 bits": Image.fromarray(keep.astype(np.uint16) * 255),
        "alpha": Image.fromarray(np.dstack([np.full((height, width, 3), 255, np.uint8), keep * 255])),
        "dynamic": Image.fromarray((1 - keep) * 255),
    }
    places = {"RealityScan": "masks/{name}.mask.png", "same name": "masks/{name}"}
    places["dynamic"] = "images/dynamic_mask_{stem}.png"
    source.write_model()
    source.write_photos()
    form = "JPEG" if kind == "same name" else "PNG"
    source.write_mask(places.get(kind, "masks/{stem}.png"), pictures.get(kind, Image.fromarray(keep * 255)), form)
    capture = source.opened()
    assert len(capture.views) == len(source.names)
    found = photo_of(capture.views[1]).mask.numpy() > 0
    assert np.array_equal(found[:, : width // 2 - 8], keep[:, : width // 2 - 8] > 0)
    assert not found[:, width // 2 + 8 :].any() and abs(found.mean() - 0.5) < 0.01


def test_photos_are_not_their_masks(source):
    width, height = source.size
    keep = np.repeat((np.arange(width) < 3 * width // 4)[None], height, axis=0)
    source.write_model()
    source.write_photos("photos/{}")
    source.write_mask("masks/{name}", Image.fromarray(keep.astype(np.uint8) * 255), "JPEG")
    photo, view = photo_of(source.opened().views[0]), source.opened().views[0]
    assert np.array_equal(photo.rgb.numpy(), source.pixels(view.listed_as))
    assert abs(float((photo.mask.numpy() > 0).mean()) - 0.75) < 0.02


def test_of_two_models_the_one_with_most_images_is_read(source):
    few = dict(list(source.model.cameras.items())[:3])
    source.write_photos()
    source.write_model("sparse/0", cameras=few, observations={})
    source.write_model("sparse/1", observations={})
    capture = source.opened()
    assert len(capture.views) == len(source.names) and capture.model_folder == source.out / "sparse/1"
    assert "sparse/0 holds 3 images" in told(capture)


def test_the_undistorted_photos_go_with_their_model(source):
    source.write_model("dense/sparse", cameras={n: c.without_distortion() for n, c in source.model.cameras.items()})
    source.write_photos("dense/images/{}")
    for name in source.names:
        marked = source.pixels(name)
        marked[:20, :20] = (255, 0, 0)
        Image.fromarray(marked).save(source.write(f"images/{name}", b""), "JPEG")
    for view in source.opened().views:
        assert view.image_path.parent == source.out / "dense/images" and not any(view.camera.distortion)


def test_cropped_photos_are_refused_with_both_sizes(source):
    width, height = source.size
    source.write_model()
    for name in source.names:
        Image.fromarray(source.pixels(name)[: height - 5]).save(source.write(f"images/{name}", b""), "JPEG")
    with pytest.raises(CaptureError, match=f"is {width} x {height - 5}, its camera {width} x {height}"):
        load_photo(source.opened().views[0], 2000)


def test_inrias_list_of_test_views_is_followed(source):
    source.write_photos()
    source.write_model()
    source.write("sparse/0/test.txt", "\n".join(source.names[2::5]).encode())
    assert {view.listed_as for view in source.opened().held_out_views} == set(source.names[2::5])


def test_test_frames_that_were_never_rendered_are_left_out(source):
    for name in source.names[::3]:
        source.write(f"train/{name}", source.photos[name])
    source.write("transforms_train.json", source.transforms(source.names[::3], "train"))
    source.write("transforms_test.json", source.transforms(source.names, "test"))
    capture = source.opened()
    assert {Path(view.listed_as).name for view in capture.training_views} == set(source.names[::3])
    assert "have no photo and are left out" in told(capture)


@pytest.mark.parametrize("kind", ["gray of 16 bits", "record 6"])
def test_random_seeds_have_the_colors_of_the_photos(source, kind):
    source.write_model(positions=np.empty((0, 3)), colors=np.empty((0, 3)), errors=np.empty(0), observations={})
    for name in source.names:
        pixels = source.pixels(name)
        if kind == "record 6":
            source.write(f"images/{name}", with_exif(source.photos[name], exif(6)))
        else:
            gray = pixels.mean(axis=2).astype(np.uint16) * 257
            Image.fromarray(gray).save(source.write(f"images/{name}", b""), "PNG")
    expected = np.mean([source.pixels(name).reshape(-1, 3).mean(axis=0) for name in source.names], axis=0) / 255
    cloud, _ = first_cloud(source.opened(), TrainConfig(seeds="random", seed_count=500))
    found = (cloud.sh[:, 0] * 0.28209479177387814 + 0.5).mean(axis=0)
    assert np.abs(found - (expected if kind == "record 6" else expected.mean())).max() < 0.12


@pytest.mark.parametrize(
    ("said", "held"),
    [("cam1\\{}", "cam1/{}"), ("{}.JPG", "{}.jpg"), ("{}.JPG", "{}.png")],
    ids=["backslash", "lower", "png"],
)
def test_photos_are_found_under_the_names_they_have_on_disk(source, said, held):
    stems = [Path(name).stem for name in source.names]
    cameras = {said.format(stem): source.model.cameras[name] for stem, name in zip(stems, source.names, strict=True)}
    source.write_model("sparse/0", True, cameras=cameras, observations={})
    for stem, name in zip(stems, source.names, strict=True):
        source.write("images/" + held.format(stem), source.photos[name])
    capture = source.opened()
    assert len(capture.views) == len(source.names) and not capture.missing
    assert {view.image_path.read_bytes() for view in capture.views} == set(source.photos.values())
