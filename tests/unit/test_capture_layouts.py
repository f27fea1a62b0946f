"""Captures as twelve programs lay them out, and as they look after a journey between systems: what was photographed is
found, and what is not is said."""

import json
import os
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from splat_addon.capture.capture import Capture, capture_folder, open_capture
from splat_addon.capture.choices import CaptureChoices
from splat_addon.capture.export import COLMAP_BINARY, ExportOptions, export_capture
from splat_addon.capture.finding.files import Files, is_auxiliary
from splat_addon.capture.finding.photos import find_photos, photo_places
from splat_addon.capture.formats import colmap
from splat_addon.capture.formats.listing import _stand_alike
from splat_addon.errors import CaptureError
from splat_addon.gaussians.formats.splat_ply import write_points
from support.capture_layouts import (
    APPLIED,
    LAYOUTS,
    SIZE,
    Original,
    frame,
    lens,
    moved,
    original,
    png,
    put,
    put_json,
    put_masks,
    put_model,
    put_photos,
)
from support.scenes import ring_of_cameras

DATA = Path(os.environ.get("SPLAT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared captures are not on this machine")
KINDS = ("colmap", "transforms")


def lay_out(folder: Path, source: Original, kind: str, name: str = "{}.jpg") -> None:
    """The list of cameras only: photos are called `name`, below images/ where nothing else is said."""
    if kind == "colmap":
        put_model(folder / "sparse/0", source, name=name)
    else:
        frames = [frame(camera, "images/" + name.format(stem)) for stem, camera in source.cameras.items()]
        put_json(folder / "transforms.json", {**lens(source), "frames": frames})


def texts(capture: Capture, is_warning: bool | None = None) -> list[str]:
    return [remark.text for remark in capture.remarks if is_warning is None or remark.is_warning == is_warning]


def said(capture: Capture, *parts: str) -> str:
    """The one remark that has all the parts."""
    fitting = [text for text in texts(capture) if all(part in text for part in parts)]
    assert len(fitting) == 1, (parts, texts(capture))
    return fitting[0]


def assert_photos(capture: Capture, source: Original) -> None:
    assert {view.image_path.read_bytes() for view in capture.views} == set(source.pictures.values())
    assert len(capture.views) == len(source.pictures)
    by_picture = {picture: stem for stem, picture in source.pictures.items()}
    for view in capture.views:
        expected = source.cameras[by_picture[view.image_path.read_bytes()]]
        assert np.allclose(view.camera.camera_from_world, expected.camera_from_world, atol=1e-9), view.name


# --- Layouts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", LAYOUTS)
def test_what_a_program_writes_opens_as_it_was(tmp_path, program):
    source = original()
    expected = LAYOUTS[program](tmp_path, source)
    capture = open_capture(tmp_path, hold_out_every=3)
    by_picture = {picture: stem for stem, picture in source.pictures.items()}
    views = {by_picture[view.image_path.read_bytes()]: view for view in capture.views}
    assert views.keys() == source.cameras.keys() and not capture.missing
    for stem, camera in moved(source, expected.world).items():
        view = views[stem]
        numbers = ("width", "height", "fx", "fy", "cx", "cy")
        assert np.allclose([getattr(view.camera, n) for n in numbers], [getattr(camera, n) for n in numbers])
        assert np.allclose(view.camera.camera_from_world, camera.camera_from_world, atol=1e-9)
        assert view.image_path.suffix == expected.suffix
        assert (view.mask_path.read_bytes() if view.mask_path else None) == (
            source.masks[stem] if expected.has_masks else None
        )
        assert view.mask_is_inverted == expected.masks_are_inverted
    if expected.has_points:
        assert np.allclose(capture.points.positions, source.positions @ expected.world[:, :3].T, atol=1e-6)
        assert np.allclose(capture.points.colors, source.colors, atol=1e-6)
    else:
        assert capture.points is None
    held_out = {stem for stem, view in views.items() if view.is_held_out}
    assert held_out == (set(list(views)[::3]) if expected.held_out is None else expected.held_out)
    assert texts(capture, is_warning=True) == []


PROJECTS = {
    "project.psx": ("<document/>", r"project\.psx is a Metashape project.*Export Cameras.*COLMAP"),
    "cameras.xml": ("<document version='2.0.0'><chunk label='1'>", r"cameras\.xml holds cameras as Metashape's XML"),
    "cams.csv": ("#name,x,y,alt,yaw", r"cams\.csv is RealityScan's list of cameras.*Registration > COLMAP"),
    "scene.rcproj": ("x", r"scene\.rcproj is a RealityCapture project"),
    "StructureFromMotion/1f/cameras.sfm": ("{}", r"cameras\.sfm is cameras of Meshroom.*ExportColmap"),
    "keyframes/corrected_cameras/1.json": ("{}", r"keyframes holds raw data of Polycam.*ns-process-data polycam"),
    "scan.r3d": ("x", r"scan\.r3d is a Record3D recording.*ns-process-data record3d"),
    "walk.MOV": ("x", r"walk\.MOV is a video, which has no cameras.*Take photos from it"),
    "banana/a.jpg": ("x", r"holds 1 photos, such as a\.jpg, but no cameras.*COLMAP"),
    "scene/transforms.json": ("{}", r"holds no cameras itself, but scene/ does\. Choose that folder"),
    "all.zip": ("x", r"all\.zip is an archive.*Unpack it"),
}


@pytest.mark.parametrize("name", PROJECTS)
def test_another_programs_project_is_told_which_export_to_use(tmp_path, name):
    content, sentence = PROJECTS[name]
    put(tmp_path / name, content)
    put(tmp_path / "photos/b.jpg", png(1)) if name != "banana/a.jpg" and name != "walk.MOV" else None
    with pytest.raises(CaptureError, match=sentence):
        open_capture(tmp_path)


# --- Names ----------------------------------------------------------------------------------------------------------

ACCENT = "Ä ö%20ü {}"
SPELLINGS = {  # (as listed, as on disk below images/, whether that is another spelling)
    "as written": ("{}.jpg", "{}.jpg", False),
    "case": ("{}.JPG", "{}.jpg", True),
    "case of a folder": ("Cam1/{}.jpg", "cam1/{}.jpg", True),
    "backslash": ("cam1\\{}.jpg", "cam1/{}.jpg", False),
    "suffix": ("{}.jpg", "{}.png", True),
    "suffix and case": ("{}.JPG", "{}.Png", True),
    "raw": ("{}.NEF", "{}.jpg", True),
    "long suffix": ("{}.jpeg", "{}.JPG", True),
    "no suffix": ("{}", "{}.jpg", False),
    "decomposed": (unicodedata.normalize("NFD", ACCENT) + ".jpg", unicodedata.normalize("NFC", ACCENT) + ".jpg", True),
    "composed": (unicodedata.normalize("NFC", ACCENT) + ".jpg", unicodedata.normalize("NFD", ACCENT) + ".jpg", True),
    "percent": ("a%20{}.jpg", "a {}.jpg", False),
    "dot": ("./{}.jpg", "{}.jpg", False),
    "dots within": ("cam1/./{}.v1.2.jpg", "cam1/{}.v1.2.jpg", False),
    "trailing dots": ("{}..jpg", "{}..jpg", False),
    "spaces": (" {} 1 .jpg", " {} 1 .jpg", False),
    "another machine": ("/home/me/shoot/{}.jpg", "{}.jpg", True),
    "another Windows machine": ("C:\\Users\\Me\\shoot\\{}.jpg", "{}.jpg", True),
    "a folder more": ("{}.jpg", "cam1/{}.jpg", None),
    "a folder less": ("cam1/{}.jpg", "{}.jpg", True),
    "twice": ("{}.jpg", "images/{}.jpg", None),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", SPELLINGS)
def test_photos_are_found_under_the_names_they_have_here(tmp_path, case, kind):
    listed, on_disk, is_respelled = SPELLINGS[case]
    source = original(4)
    if kind == "transforms" and "machine" in case:
        frames = [frame(camera, listed.format(stem)) for stem, camera in source.cameras.items()]
        put_json(tmp_path / "transforms.json", {**lens(source), "frames": frames})
    else:
        lay_out(tmp_path, source, kind, listed)
    put_photos(tmp_path / "images", source, on_disk)
    for hidden in ("._DSC_0000.jpg", ".DS_Store", "Thumbs.db", "@eaDir/DSC_0000.jpg", ".trash/DSC_0001.jpg"):
        put(tmp_path / "images" / hidden, b"system")
    capture = open_capture(tmp_path)
    assert_photos(capture, source)
    if is_respelled is not None:
        found = [text for text in texts(capture) if "are called otherwise" in text]
        assert bool(found) == is_respelled and ("4 of 4" in found[0] if found else True)
    assert texts(capture, is_warning=True) == []


def test_frames_that_climb_out_of_their_folder_are_found_in_another_spelling(tmp_path):
    source = original(4)
    frames = [frame(camera, f"../images/{stem}.JPG") for stem, camera in source.cameras.items()]
    put_json(tmp_path / "nerf/transforms.json", {**lens(source), "frames": frames})
    put_photos(tmp_path / "images", source)
    assert_photos(open_capture(tmp_path / "nerf"), source)


def test_a_photo_in_two_folders_is_ambiguous_and_left_out(tmp_path):
    source = original(6)
    lay_out(tmp_path, source, "colmap")
    for number, (stem, picture) in enumerate(source.pictures.items()):
        put(tmp_path / f"images/cam{number % 2}/{stem}.jpg", picture)
    put(tmp_path / "images/cam1/DSC_0000.jpg", png(77))
    capture = open_capture(tmp_path)
    assert capture.missing == ("DSC_0000.jpg",) and len(capture.views) == 5
    text = said(capture, "1 of 6 photos cannot be told apart")
    assert "DSC_0000.jpg could be images/cam0/DSC_0000.jpg, images/cam1/DSC_0000.jpg" in text


def test_of_two_suffixes_the_one_of_the_cameras_size_is_the_photo(tmp_path):
    source = original(4)
    lay_out(tmp_path, source, "colmap", "{}.tif")
    put_photos(tmp_path / "images", source)
    for stem in source.pictures:
        put(tmp_path / f"images/{stem}.png", png(9, (10, 10)))
    assert_photos(open_capture(tmp_path), source)


def test_a_picture_of_the_same_stem_beside_the_listed_photo_is_not_a_photo_without_camera(tmp_path):
    source = original(4)
    lay_out(tmp_path, source, "colmap")
    put_photos(tmp_path / "images", source)
    put_photos(tmp_path / "images", source, "{}.png")
    put(tmp_path / "images/DSC_0001_depth_0001.png", png(3))
    put(tmp_path / "images/extra.jpg", png(4))
    capture = open_capture(tmp_path)
    assert [view.image_path.suffix for view in capture.views] == [".jpg"] * 4
    assert "1, for example images/extra.jpg" in said(capture, "Photos without a camera")


def test_one_file_is_not_given_to_two_names(tmp_path):
    """a.jpg and a.tif are listed, and only a.png is there: whose it is, nobody knows."""
    source = original(4)
    cameras = list(source.cameras.values())
    frames = [frame(c, f"images/{name}") for c, name in zip(cameras, ("a.jpg", "a.tif", "b.png", "c.png"), strict=True)]
    put_json(tmp_path / "transforms.json", {**lens(source), "frames": frames})
    for name in "abc":
        put(tmp_path / f"images/{name}.png", png(ord(name)))
    capture = open_capture(tmp_path)
    assert set(capture.missing) == {"images/a.jpg", "images/a.tif"}
    assert "images/a.png could be images/a.jpg or another" in said(capture, "2 of 4 photos cannot be told apart")


def test_missing_photos_are_not_replaced_by_those_of_another_folder(tmp_path):
    source = original(6)
    for kind in KINDS:
        folder = tmp_path / kind
        lay_out(folder, source, kind)
        put_photos(folder / "images", source)
        put_photos(folder / "input", source)
        (folder / "images/DSC_0003.jpg").rename(folder / "gone")
        capture = open_capture(folder)
        assert len(capture.missing) == 1 and len(capture.views) == 5
        assert "there is no images/DSC_0003.jpg" in said(capture, "1 of 6 photos are missing")


@pytest.mark.skipif(sys.platform != "linux", reason="only there is a name any bytes")
def test_names_that_are_not_text_can_be_told(tmp_path):
    source = original(3)
    lay_out(tmp_path, source, "colmap")
    put_photos(tmp_path / "images", source)
    put(Path(os.fsdecode(os.fsencode(tmp_path) + b"/images/\xff.jpg")), png(1))
    assert "images/?.jpg" in said(open_capture(tmp_path), "Photos without a camera").encode().decode()


@pytest.mark.skipif(sys.platform == "win32" or getattr(os, "geteuid", int)() == 0, reason="permissions are asked for")
def test_a_folder_that_cannot_be_read_is_told(tmp_path):
    source = original(3)
    lay_out(tmp_path, source, "transforms")
    put_photos(tmp_path / "images", source)
    (tmp_path / "images").chmod(0)
    with pytest.raises(CaptureError, match=r"that folder cannot be read \(Permission denied\)"):
        open_capture(tmp_path)
    (tmp_path / "images").chmod(0o700)


def test_photos_that_lie_turned_count_as_of_the_cameras_size(tmp_path):
    source = original(4)
    put_model(tmp_path / "sparse/0", source)
    for number, stem in enumerate(source.pictures):
        put(tmp_path / f"images/{stem}.jpg", png(number, (20, 15)))
        put(tmp_path / f"images_upright/{stem}.jpg", png(number, SIZE[::-1]))
    assert {view.image_path.parent.name for view in open_capture(tmp_path).views} == {"images_upright"}


def test_whole_paths_of_another_machine_among_others_are_found_by_their_ends(tmp_path):
    source = original(6)
    names = ["C:\\Users\\me\\x\\train\\{}.jpg", "train/{}.jpg", "/home/me/train/{}.jpg"] * 2
    frames = [
        frame(camera, name.format(stem)) for name, (stem, camera) in zip(names, source.cameras.items(), strict=True)
    ]
    put_json(tmp_path / "transforms.json", {**lens(source), "frames": frames})
    put_photos(tmp_path / "train", source)
    put_photos(tmp_path / "images_2", original(6), "{}.png")
    capture = open_capture(tmp_path)
    assert_photos(capture, source)
    assert {view.image_path.parent.name for view in capture.views} == {"train"}


def test_small_copies_do_not_stand_in_for_photos_that_are_lost(tmp_path):
    source = original(6)
    put_model(tmp_path / "sparse/0", source)
    put_photos(tmp_path / "images", source)
    for number, stem in enumerate(source.pictures):
        put(tmp_path / f"images_4/{stem}.jpg", png(60 + number, (10, 7)))
    for stem in list(source.pictures)[:3]:
        (tmp_path / f"images/{stem}.jpg").rename(tmp_path / f"{stem}.lost")
    capture = open_capture(tmp_path)
    assert {view.image_path.parent.name for view in capture.views} == {"images"} and len(capture.missing) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_no_photo_at_all_is_told_with_what_was_expected_and_found(tmp_path, kind):
    source = original(3)
    lay_out(tmp_path, source, kind, "shoot/{}.jpg")
    put(tmp_path / ("images/a.png" if kind == "colmap" else "images/shoot/a.png"), png(1))
    told = r"No photo found for 3 of 3 cameras.*lists (images/)?shoot/DSC_0000\.jpg, and that folder "
    with pytest.raises(CaptureError, match=told + ("is not there" if kind == "colmap" else r"holds a\.png")):
        open_capture(tmp_path)


def test_renders_of_masked_photos_are_not_masks(tmp_path):
    source = original(3)
    lay_out(tmp_path, source, "colmap")
    put_photos(tmp_path / "images", source)
    put_photos(tmp_path / "images_masked", source, "{}.png")
    capture = open_capture(tmp_path)
    assert_photos(capture, source)
    assert {view.mask_path for view in capture.views} == {None}


@pytest.mark.parametrize("name", ["/etc/hostname.jpg", "../../secret.jpg", "\\\\server\\share\\a.jpg", "C:secret.jpg"])
def test_a_models_names_never_leave_the_capture(tmp_path, name):
    put(tmp_path / "secret.jpg", png(1))
    put(tmp_path / "case/a/images/ok.jpg", png(2))
    source = original(2)
    first, second = source.cameras.values()
    (tmp_path / "case/a/sparse/0").mkdir(parents=True)
    model = colmap.ColmapModel({name: first, "ok.jpg": second}, source.positions, source.colors)
    colmap.write_model(tmp_path / "case/a/sparse/0", model)
    capture = open_capture(tmp_path / "case/a")
    assert capture.missing == (name,) and [view.name for view in capture.views] == ["ok"]


# --- Which folder holds the photos ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place", ["images", "photos", "input", "undistorted", "rgb", "My Shoot", ".", "undistorted/images"]
)
@pytest.mark.parametrize("model", ["sparse/0", "sparse", "colmap/sparse/0", "distorted/sparse/0", "."])
def test_photos_are_found_wherever_they_lie_beside_the_model(tmp_path, place, model):
    source = original(3)
    put_model(tmp_path / model, source)
    (tmp_path / "images").mkdir()
    put_photos(tmp_path / place, source)
    put_photos(tmp_path / "masks", source)
    put_photos(tmp_path / "depth_maps", source)
    put_photos(tmp_path / "thumbnails", source)
    capture = open_capture(tmp_path)
    assert_photos(capture, source)
    assert {view.image_path.parent for view in capture.views} == {tmp_path / place}


@pytest.mark.parametrize("kind", ["images_2", "images_4", "undistorted", "distorted_images"])
def test_of_equal_folders_the_one_with_the_cameras_sizes_is_read(tmp_path, kind):
    """The photos as taken lie in images/, those that the model measured in another folder."""
    source = original(4)
    put_model(tmp_path / "sparse/0", source)
    put_photos(tmp_path / kind, source)
    for number, stem in enumerate(source.pictures):
        put(tmp_path / f"images/{stem}.jpg", png(40 + number, (80, 60)))
    capture = open_capture(tmp_path)
    assert_photos(capture, source)
    assert "others of these names lie in images/" in said(capture, f"Photos are read from {kind}/")


def test_the_undistorted_photos_go_with_their_own_model(tmp_path):
    """COLMAP's workspace without the photos as taken: those in dense/ do not fit the distorted sparse/0."""
    source = original(4)
    bent = original(4)
    bent.cameras = {stem: camera.resized(44, 33) for stem, camera in bent.cameras.items()}
    put_model(tmp_path / "sparse/0", bent)
    put_model(tmp_path / "dense/0/sparse", source)
    put_photos(tmp_path / "dense/0/images", source)
    capture = open_capture(tmp_path)
    assert capture.model_folder == tmp_path / "dense/0/sparse"
    assert {view.camera.width for view in capture.views} == {SIZE[0]}


def test_the_chosen_folder_of_photos_is_read(tmp_path):
    source = original(4)
    for kind in KINDS:
        folder = tmp_path / kind
        lay_out(folder, source, kind)
        put_photos(folder / "elsewhere", source)
        for number, stem in enumerate(source.pictures):
            put(folder / f"images/{stem}.jpg", png(40 + number))
        assert_photos(open_capture(folder, choices=CaptureChoices(photos_folder="elsewhere")), source)
        assert_photos(open_capture(folder, choices=CaptureChoices(photos_folder=str(folder / "elsewhere"))), source)
        with pytest.raises(CaptureError, match=r"chosen folder of the photos, .*nowhere, does not exist"):
            open_capture(folder, choices=CaptureChoices(photos_folder="nowhere"))


@pytest.mark.parametrize("name", ["masks", "Mask", "image_masks", "depth_maps", "normals", "segments", "stereo"])
def test_folders_of_masks_and_depths_are_known_by_name(name):
    assert is_auxiliary(name)


@pytest.mark.parametrize("name", ["images", "unmasked", "indepth", "normalized", "images_2", "cam1", "statue"])
def test_other_folders_are_not(name):
    assert not is_auxiliary(name)


@pytest.mark.parametrize("place", ["images", "deep/er/images"])
def test_few_of_many_folders_are_read(tmp_path, place):
    source = original(4)
    put_photos(tmp_path / place, source)
    for number in range(600):
        (tmp_path / f"cache/{number:04d}").mkdir(parents=True)
    files = Files()
    names = [f"{stem}.jpg" for stem in source.pictures]
    found = find_photos(files, photo_places(files, tmp_path / "sparse/0", tmp_path), names, {}, tmp_path)
    assert found.folder == tmp_path / place and not found.missing
    assert len(files.read) < 300


# --- Masks ----------------------------------------------------------------------------------------------------------

MASKS = {  # (file of the mask of DSC_0000.jpg, whether white leaves out)
    "stem": ("masks/{}.png", False),
    "COLMAP": ("masks/{}.jpg.png", False),
    "RealityScan": ("masks/{}.jpg.mask.png", False),
    "same name": ("masks/{}.JPG", False),
    "one folder": ("mask/{}.png", False),
    "suffix mask": ("masks/{}_mask.png", False),
    "beside": ("images/{}_mask.png", False),
    "beside with dots": ("images/{}.jpg.mask.png", False),
    "beside short": ("images/{}.mask.png", False),
    "beside, instant-ngp": ("images/dynamic_mask_{}.png", True),
    "in masks, instant-ngp": ("masks/dynamic_mask_{}.png", True),
    "other case": ("Masks/{}.PNG", False),
}


@pytest.mark.parametrize("kind", [*KINDS, "nested"])
@pytest.mark.parametrize("scheme", MASKS)
def test_masks_are_found_under_the_names_programs_give_them(tmp_path, scheme, kind):
    name, is_inverted = MASKS[scheme]
    source = original(4)
    if kind == "nested":
        lay_out(tmp_path, source, "colmap", "cam1/{}.jpg")
        put_photos(tmp_path / "images/cam1", source)
        name = name.replace("/", "/cam1/")
    else:
        lay_out(tmp_path, source, kind)
        put_photos(tmp_path / "images", source)
    put_masks(tmp_path, source, name)
    capture = open_capture(tmp_path)
    assert_photos(capture, source)
    by_picture = {picture: stem for stem, picture in source.pictures.items()}
    for view in capture.views:
        assert view.mask_path.read_bytes() == source.masks[by_picture[view.image_path.read_bytes()]]
        assert view.mask_is_inverted == is_inverted
    assert "4 of 4" in said(capture, "have a mask") and texts(capture, is_warning=True) == []
    assert bool([text for text in texts(capture) if "White leaves out" in text]) == is_inverted
    inverted = open_capture(tmp_path, choices=CaptureChoices(masks="inverted"))
    assert {view.mask_is_inverted for view in inverted.views} == {not is_inverted}
    ignored = open_capture(tmp_path, choices=CaptureChoices(masks="ignored"))
    assert {view.mask_path for view in ignored.views} == {None} and said(ignored, "masks", "not used", "chosen")


def test_masks_in_one_folder_serve_photos_in_several_when_names_differ(tmp_path):
    source = original(4)
    lay_out(tmp_path, source, "colmap", "cam1/{}.jpg")
    put_photos(tmp_path / "images/cam1", source)
    put_masks(tmp_path / "masks", source, "{}.png")
    assert [view.mask_path.name for view in open_capture(tmp_path).views] == [f"DSC_000{n}.png" for n in range(4)]


def test_masks_of_which_no_name_fits_are_a_warning_with_both_names(tmp_path):
    source = original(4)
    lay_out(tmp_path, source, "colmap")
    put_photos(tmp_path / "images", source)
    put_masks(tmp_path / "masks", source, "{}-keyed.png")
    capture = open_capture(tmp_path)
    assert {view.mask_path for view in capture.views} == {None}
    text = said(capture, "masks holds 4 pictures, none of them named like a photo")
    assert "masks/DSC_0000-keyed.png" in text and "masks/DSC_0000.png" in text and text in texts(capture, True)


def test_flat_masks_of_photos_with_equal_names_are_not_guessed_at(tmp_path):
    """masks/a.png could mask cam0/a.jpg or cam1/a.jpg."""
    source = original(3)
    cameras = list(source.cameras.values())
    (tmp_path / "sparse/0").mkdir(parents=True)
    names = ["cam0/a.jpg", "cam1/a.jpg", "cam1/b.jpg"]
    model = colmap.ColmapModel(dict(zip(names, cameras, strict=True)), source.positions, source.colors)
    colmap.write_model(tmp_path / "sparse/0", model)
    for number, name in enumerate(names):
        put(tmp_path / "images" / name, png(number))
    put(tmp_path / "masks/a.png", png(7))
    capture = open_capture(tmp_path)
    assert {view.mask_path for view in capture.views} == {None}
    assert "masks/a.png is there, masks/cam0/a.png would be the mask of a.jpg" in said(capture, "none of them named")
    put(tmp_path / "masks/b.png", png(8))
    assert [view.mask_path and view.mask_path.name for view in open_capture(tmp_path).views] == [None, None, "b.png"]


def test_of_several_masks_of_a_photo_the_one_that_is_used_is_told(tmp_path):
    source = original(3)
    lay_out(tmp_path, source, "colmap")
    put_photos(tmp_path / "images", source)
    put_masks(tmp_path / "masks", source, "{}.jpg.png")
    put(tmp_path / "masks/DSC_0001.png", png(1))
    put(tmp_path / "images/dynamic_mask_DSC_0001.png", png(1))
    capture = open_capture(tmp_path)
    assert not any(view.mask_is_inverted for view in capture.views)
    assert [view.mask_path.name for view in capture.views] == [f"DSC_000{number}.jpg.png" for number in range(3)]
    text = said(capture, "several masks: 1")
    assert "masks/DSC_0001.jpg.png is used, and not masks/DSC_0001.png, images/dynamic_mask_DSC_0001.png" in text


def test_photos_without_a_mask_among_others_are_named(tmp_path):
    source = original(4)
    lay_out(tmp_path, source, "colmap")
    put_photos(tmp_path / "images", source)
    put(tmp_path / "masks/DSC_0000.png", png(1))
    assert "DSC_0001.jpg" in said(open_capture(tmp_path), "3 of 4 photos have no mask")


def test_a_mask_that_a_frame_names_and_that_is_gone_is_named(tmp_path):
    source = original(3)
    frames = [frame(c, f"images/{s}.jpg", mask_path=f"alpha/{s}.png") for s, c in source.cameras.items()]
    put_json(tmp_path / "transforms.json", {**lens(source), "frames": frames})
    put_photos(tmp_path / "images", source)
    put(tmp_path / "alpha/DSC_0000.PNG", png(1))
    capture = open_capture(tmp_path)
    assert capture.views[0].mask_path == tmp_path / "alpha/DSC_0000.PNG"
    assert "alpha/DSC_0001.png of images/DSC_0001.jpg" in said(capture, "2 masks are missing")


# --- Models ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_text", [False, True])
def test_of_several_models_the_largest_is_read(tmp_path, as_text):
    source = original(6)
    put_photos(tmp_path / "images", source)
    for number, count in enumerate((2, 6, 4)):
        put_model(tmp_path / f"sparse/{number}", source, as_text, count=count)
    capture = open_capture(tmp_path)
    assert len(capture.views) == 6 and capture.model_folder == tmp_path / "sparse/1"
    text = said(capture, "sparse/1 holds 6 images, sparse/0 holds 2 images, sparse/2 holds 4 images")
    assert text in texts(capture, is_warning=True)
    chosen = open_capture(tmp_path, choices=CaptureChoices(model_folder="sparse/2"))
    assert len(chosen.views) == 4 and chosen.model_folder == tmp_path / "sparse/2"
    assert capture_folder(tmp_path / "sparse/1") == tmp_path and capture_folder(tmp_path / "sparse") == tmp_path


def test_a_model_without_images_gives_way_to_another(tmp_path):
    source = original(4)
    put_photos(tmp_path / "images", source)
    put_model(tmp_path / "sparse/0", source, count=0)
    put_model(tmp_path / "sparse/1", source)
    assert len(open_capture(tmp_path).views) == 4


def test_an_export_keeps_the_tracks_of_the_model_that_was_read(tmp_path):
    source = original(4)
    put_photos(tmp_path / "c/images", source)
    put_model(tmp_path / "c/sparse/0", source, count=2)
    put_model(tmp_path / "c/sparse/1", source)
    errors = np.linspace(0.1, 0.9, 60)
    cameras = {f"{stem}.jpg": camera for stem, camera in source.cameras.items()}
    colmap.write_model(tmp_path / "c/sparse/1", colmap.ColmapModel(cameras, source.positions, source.colors, errors))
    export_capture(open_capture(tmp_path / "c"), tmp_path / "out", ExportOptions(frozenset({COLMAP_BINARY})))
    assert np.allclose(colmap.read_model(tmp_path / "out/sparse/0").errors, errors)


def test_both_forms_of_a_model_that_differ_are_told(tmp_path):
    source = original(4)
    put_photos(tmp_path / "images", source)
    put_model(tmp_path / "sparse/0", source)
    put_model(tmp_path / "sparse/0", source, as_text=True)
    assert [text for text in texts(open_capture(tmp_path)) if "differ" in text] == []
    put_model(tmp_path / "sparse/0", source, as_text=True, count=3)
    assert said(open_capture(tmp_path), "differ (4 and 3 images): binary is used")
    put_model(tmp_path / "sparse/0", source, as_text=True)
    cameras = tmp_path / "sparse/0/cameras.txt"
    opencv = cameras.read_text().replace("PINHOLE", "OPENCV").rstrip() + " 0.1 0 0 0\n"
    cameras.write_text(opencv)
    assert said(open_capture(tmp_path), "differ (the first camera is PINHOLE 40 30 and OPENCV 40 30)")


def test_the_folder_of_photos_leads_to_its_capture(tmp_path):
    source = original(3)
    put_photos(tmp_path / "images", source)
    put_model(tmp_path / "sparse/0", source)
    assert capture_folder(tmp_path / "images") == tmp_path
    assert capture_folder(tmp_path / "images/DSC_0000.jpg") == tmp_path


def test_a_folder_that_holds_one_capture_stands_for_it(tmp_path):
    source = original(3)
    put_photos(tmp_path / "project/shot/images", source)
    put_model(tmp_path / "project/shot/sparse/0", source)
    (tmp_path / "project/renders").mkdir()
    assert capture_folder(tmp_path / "project") == tmp_path / "project/shot"
    lay_out(tmp_path / "other/shot", source, "transforms")
    assert capture_folder(tmp_path / "other") == tmp_path / "other/shot"
    with pytest.raises(CaptureError, match=r"holds 2 captures: other/shot, project/shot\. Choose the one"):
        capture_folder(tmp_path)


def test_what_belongs_to_a_capture_is_not_taken_for_another(tmp_path):
    source = original(3)
    put_photos(tmp_path / "images", source)
    put_model(tmp_path / "sparse/0", source)
    put_photos(tmp_path / "dense/images", source)
    put_model(tmp_path / "dense/sparse", source)
    assert capture_folder(tmp_path) == tmp_path
    assert capture_folder(tmp_path / "dense") == tmp_path / "dense"


def test_a_second_model_finds_its_photos_beside_it(tmp_path):
    """`sparse_400` with `images_400`, beside `sparse` with `images`, as INRIA's scripts and others leave them."""
    source = original(3)
    for suffix in ("", "_400"):
        put_photos(tmp_path / f"images{suffix}", source)
        put_model(tmp_path / f"sparse{suffix}/0", source)
    assert capture_folder(tmp_path) == tmp_path
    chosen = capture_folder(tmp_path / "sparse_400")
    capture = open_capture(chosen)
    assert len(capture.views) == 3 and capture.model_folder == tmp_path / "sparse_400/0" and not capture.missing


def test_a_model_beside_transforms_json_is_told_and_can_be_chosen(tmp_path):
    source = original(4)
    put_photos(tmp_path / "images", source)
    lay_out(tmp_path, source, "transforms")
    other = original(4)
    other.cameras = {stem: camera.moved(np.diag([3.0, 3, 3, 1])) for stem, camera in source.cameras.items()}
    put_model(tmp_path / "sparse/0", other)
    capture = open_capture(tmp_path)
    assert_photos(capture, source)
    assert capture.points is None and said(capture, "points of sparse/0 are not used: its cameras stand elsewhere")
    assert said(capture, "cameras are those of transforms.json, not those of sparse/0")
    assert_photos(open_capture(tmp_path, choices=CaptureChoices(model_folder="sparse/0")), other)


# --- Splits ---------------------------------------------------------------------------------------------------------

HELD_OUT = ["DSC_0001", "DSC_0004"]
TRAINED = ["DSC_0000", "DSC_0002", "DSC_0003", "DSC_0005"]
SPLITS = {
    "sparse/0/test.txt": "DSC_0001.jpg\nDSC_0004.jpg\n",
    "test.txt": "\ufeffimages/DSC_0001.jpg\r\nimages\\dsc_0004.JPG\r\n",
    "test_list.txt": "DSC_0001\nDSC_0004\n\n# others are trained\n",
    "train_list.txt": "\n".join(TRAINED),
    "train.txt": "\n".join(f"./images/{stem}.png" for stem in TRAINED),
    "split.json": json.dumps({"train": [f"{s}.jpg" for s in TRAINED], "test": [f"{s}.jpg" for s in HELD_OUT]}),
    "train_test_split.json": json.dumps({"train": TRAINED, "test": HELD_OUT}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SPLITS)
def test_a_split_beside_the_capture_is_followed(tmp_path, name, kind):
    source = original(6)
    lay_out(tmp_path, source, kind)
    put_photos(tmp_path / "images", source)
    if kind == "transforms" and name.startswith("sparse"):
        name_here = "test.txt"
    else:
        name_here = name
    put(tmp_path / name_here, SPLITS[name])
    capture = open_capture(tmp_path, hold_out_every=3)
    assert [view.name for view in capture.held_out_views] == HELD_OUT
    assert said(capture, f"2 of 6 photos are held out, as {name_here} says")
    assert texts(capture, is_warning=True) == []


@pytest.mark.parametrize(
    "written", ["images/{}.jpg", "./images/{}.jpg", "{}.jpg", "images\\{}.JPG", "/data/x/images/{}.jpg"]
)
def test_lists_in_transforms_json_are_compared_as_files(tmp_path, written):
    source = original(6)
    put_photos(tmp_path / "images", source)
    frames = [frame(camera, f"images/{stem}.jpg") for stem, camera in source.cameras.items()]
    document = {**lens(source), "frames": frames}
    for split in (
        {"test_filenames": [written.format(stem) for stem in HELD_OUT]},
        {"train_filenames": [written.format(stem) for stem in TRAINED]},
    ):
        put_json(tmp_path / "transforms.json", {**document, **split})
        assert [view.name for view in open_capture(tmp_path).held_out_views] == HELD_OUT


def test_names_in_a_split_that_no_photo_has_are_told(tmp_path):
    source = original(6)
    lay_out(tmp_path, source, "colmap")
    put_photos(tmp_path / "images", source)
    put(tmp_path / "test.txt", "DSC_0001.jpg\nIMG_7.jpg\n")
    capture = open_capture(tmp_path)
    assert [view.name for view in capture.held_out_views] == ["DSC_0001"]
    assert "IMG_7.jpg" in said(capture, "test.txt names 1 photos that the capture does not list")
    put(tmp_path / "test.txt", "remember the milk\n")
    capture = open_capture(tmp_path, hold_out_every=3)
    assert [view.name for view in capture.held_out_views] == ["DSC_0000", "DSC_0003"]
    assert said(capture, "test.txt is not used: it names no photo of the capture (remember the milk)")


def test_test_frames_that_were_never_rendered_are_left_out(tmp_path):
    source = original(6)
    LAYOUTS["BlenderNeRF"](tmp_path, source)
    for stem in HELD_OUT:
        (tmp_path / f"test/{stem}.png").rename(tmp_path / stem)
    capture = open_capture(tmp_path)
    assert [view.image_path.stem for view in capture.views] == TRAINED and not capture.missing
    assert "test/DSC_0001.png, test/DSC_0004.png" in said(capture, "2 frames of transforms_test.json")
    assert said(capture, "No view is held out")


@pytest.mark.parametrize("written", ["./train/{}", "train/{}.png", "train\\{}.PNG"])
def test_photos_in_both_files_of_a_scene_are_held_out_as_files(tmp_path, written):
    """Some list every frame in the training file, and those for tests once more."""
    source = original(6)
    put_photos(tmp_path / "train", source, "{}.png")
    frames = {stem: frame(camera, f"train/{stem}.png") for stem, camera in source.cameras.items()}
    put_json(tmp_path / "transforms_train.json", {**lens(source), "frames": list(frames.values())})
    tests = [{**frames[stem], "file_path": written.format(stem)} for stem in HELD_OUT]
    put_json(tmp_path / "transforms_test.json", {**lens(source), "frames": tests})
    capture = open_capture(tmp_path)
    assert [view.image_path.stem for view in capture.held_out_views] == HELD_OUT and len(capture.views) == 6
    assert said(capture, "transforms_train.json and transforms_test.json both list train/DSC_0001.png")
    (tmp_path / "transforms_train.json").rename(tmp_path / "transforms.json")
    capture = open_capture(tmp_path)
    assert [view.image_path.stem for view in capture.held_out_views] == HELD_OUT
    assert said(capture, "2 of 6 photos are held out, as transforms_test.json says")


def test_a_test_file_that_lists_all_photos_holds_nothing_out(tmp_path):
    source = original(4)
    put_photos(tmp_path / "train", source, "{}.png")
    frames = [frame(camera, f"train/{stem}.png") for stem, camera in source.cameras.items()]
    for part in ("train", "test"):
        put_json(tmp_path / f"transforms_{part}.json", {**lens(source), "frames": frames})
    capture = open_capture(tmp_path)
    assert len(capture.training_views) == 4 and said(capture, "No view is held out")
    assert said(capture, "transforms_test.json lists all photos of transforms_train.json")


def test_a_training_file_alone_holds_nothing_out_and_says_so(tmp_path):
    source = original(4)
    frames = [frame(camera, f"train/{stem}") for stem, camera in source.cameras.items()]
    put_json(tmp_path / "transforms_train.json", {**lens(source), "frames": frames})
    put_photos(tmp_path / "train", source, "{}.png")
    capture = open_capture(tmp_path)
    assert len(capture.training_views) == 4 and said(capture, "No view is held out")


def test_nothing_held_out_is_said_in_every_kind(tmp_path):
    source = original(4)
    for kind in KINDS:
        lay_out(tmp_path / kind, source, kind)
        put_photos(tmp_path / kind / "images", source)
        assert said(open_capture(tmp_path / kind, hold_out_every=0), "No view is held out")
        assert "No view is held out" not in " ".join(texts(open_capture(tmp_path / kind)))


# --- Points, matrices -----------------------------------------------------------------------------------------------

EARLY = np.array([[0.0, 1, 0, 0], [1, 0, 0, 0], [0, 0, -1, 0]])


@pytest.mark.parametrize("applied", [EARLY, APPLIED])
@pytest.mark.parametrize("are_original", [True, False])
def test_points_of_colmap_are_moved_to_where_the_cameras_are(tmp_path, applied, are_original):
    """Early nerfstudio moved the cameras and left the points; later versions moved both."""
    source = original(12)
    source.positions = source.positions + (0.3, 0.1, 0)
    right = source.positions @ applied[:, :3].T
    frames = [frame(camera, f"images/{stem}.jpg") for stem, camera in moved(source, applied).items()]
    document = {**lens(source), "frames": frames, "applied_transform": applied.tolist(), "ply_file_path": "pc.ply"}
    put_json(tmp_path / "transforms.json", document)
    put_photos(tmp_path / "images", source)
    write_points(tmp_path / "pc.ply", source.positions if are_original else right, source.colors)
    put_model(tmp_path / "colmap/sparse/0", source)
    capture = open_capture(tmp_path)
    assert np.allclose(capture.points.positions, right, atol=1e-6)
    assert bool([text for text in texts(capture) if "were moved by applied_transform" in text]) == are_original
    for frame_of_points, expected in (
        ("cameras", source.positions if are_original else right),
        ("original", (source.positions if are_original else right) @ applied[:, :3].T),
    ):
        chosen = open_capture(tmp_path, choices=CaptureChoices(points_frame=frame_of_points))
        assert np.allclose(chosen.points.positions, expected, atol=1e-6)


@needs_data
@pytest.mark.parametrize("applied", [EARLY, APPLIED])
@pytest.mark.parametrize("are_original", [True, False])
@pytest.mark.parametrize("folder", ["banana/sparse_400/0", "sceaux_model/sparse/0"])
def test_cameras_tell_where_points_stand_without_colmaps_own(tmp_path, folder, are_original, applied):
    model = colmap.read_model(DATA / folder)
    right = model.positions @ applied[:, :3].T
    similarity = np.vstack([applied, [0, 0, 0, 1]])
    frames = [
        frame(camera.moved(similarity), f"images/{name}", w=camera.width, h=camera.height, fl_x=camera.fx)
        for name, camera in model.cameras.items()
    ]
    document = {"frames": frames, "applied_transform": applied.tolist(), "ply_file_path": "pc.ply"}
    put_json(tmp_path / "transforms.json", document)
    write_points(tmp_path / "pc.ply", model.positions if are_original else right, model.colors)
    capture = open_capture(tmp_path, needs_photos=False)
    assert np.allclose(capture.points.positions, right, atol=1e-4)
    assert not [text for text in texts(capture, is_warning=True) if "applied_transform" in text]


def test_points_around_which_everything_is_alike_are_left_with_a_warning(tmp_path):
    source = original(12)
    frames = [frame(camera, f"images/{stem}.jpg") for stem, camera in moved(source, EARLY).items()]
    document = {**lens(source), "frames": frames, "applied_transform": EARLY.tolist(), "ply_file_path": "pc.ply"}
    put_json(tmp_path / "transforms.json", document)
    put_photos(tmp_path / "images", source)
    write_points(tmp_path / "pc.ply", source.positions, source.colors)
    capture = open_capture(tmp_path)
    assert np.allclose(capture.points.positions, source.positions, atol=1e-6)
    assert said(capture, "Whether applied_transform still has to move the points of pc.ply cannot be told") in texts(
        capture, is_warning=True
    )


def test_an_orbit_of_early_nerfstudio_has_its_points_where_it_looks(tmp_path):
    source = original(2)
    cameras = {}
    for number, turn in enumerate(np.linspace(0, 2 * np.pi, 40, endpoint=False)):
        place = 4 * np.array([np.cos(turn), -0.4, np.sin(turn)])
        back = -place / np.linalg.norm(place)
        right = np.cross((0, 1.0, 0), back) / np.linalg.norm(np.cross((0, 1.0, 0), back))
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = np.stack([right, np.cross(back, right), back], axis=1), place
        camera = next(iter(source.cameras.values()))
        cameras[f"{number}"] = type(camera)(1000, 750, 1000, 1000, 500, 375, np.linalg.inv(pose))
    source.cameras = cameras
    frames = [frame(camera, f"images/{stem}.png") for stem, camera in moved(source, EARLY).items()]
    document = {"w": 1000, "h": 750, "fl_x": 1000, "fl_y": 1000, "frames": frames, "ply_file_path": "sparse_pc.ply"}
    put_json(tmp_path / "transforms.json", {**document, "applied_transform": EARLY.tolist()})
    points = np.random.default_rng(0).normal(size=(2000, 3)) * (0.3, 0.3, 1) + (0.8, 0, 0)
    write_points(tmp_path / "sparse_pc.ply", points, np.full((2000, 3), 0.5))
    capture = open_capture(tmp_path, needs_photos=False)
    assert np.allclose(capture.points.positions.mean(axis=0), (0, 0.8, 0), atol=0.05)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1.0, 1e6])
def test_whether_cameras_stand_alike_depends_on_no_unit(scale, count):
    originals = {
        name: camera.moved(np.diag([scale, scale, scale, 1.0])) for name, camera in ring_of_cameras(count).items()
    }
    applied = APPLIED.copy()
    applied[:, 3] = scale * np.array([3.0, -2.0, 0.5])
    there = {name: camera.moved(np.vstack([applied, [0, 0, 0, 1]])) for name, camera in originals.items()}
    assert _stand_alike(originals, there, applied)
    aside = np.eye(4)
    aside[0, 3] = 0.3 * scale
    assert not _stand_alike(originals, {name: camera.moved(aside) for name, camera in there.items()}, applied)


def test_points_of_a_broken_model_are_told(tmp_path):
    source = original(4)
    lay_out(tmp_path, source, "transforms")
    put_photos(tmp_path / "images", source)
    put_model(tmp_path / "sparse/0", source)
    (tmp_path / "sparse/0/images.bin").write_bytes(b"cut")
    capture = open_capture(tmp_path)
    assert capture.points is None
    assert "images.bin ends too early" in said(capture, "The points of sparse/0 are not used")


def test_points_that_are_named_and_gone_are_told(tmp_path):
    source = original(4)
    lay_out(tmp_path, source, "transforms")
    document = json.loads((tmp_path / "transforms.json").read_text())
    put_json(tmp_path / "transforms.json", {**document, "ply_file_path": "dense.ply"})
    put_photos(tmp_path / "images", source)
    capture = open_capture(tmp_path)
    assert capture.points is None and said(capture, "The points dense.ply, which the capture names, are missing.")
    write_points(tmp_path / "points3d.ply", source.positions + 1, source.colors)
    assert said(open_capture(tmp_path), "The points dense.ply, which the capture names, are missing; others are used.")
    write_points(tmp_path / "Dense.PLY", source.positions, source.colors)
    assert np.allclose(open_capture(tmp_path).points.positions, source.positions, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda pose: np.vstack([pose[:3], [0, 0, 0, 2]]), r"is 0 0 0 2, not 0 0 0 1"),
        (lambda pose: pose.T, r"last row of transform_matrix is .*, not 0 0 0 1: the matrix is transposed"),
    ],
)
def test_a_last_row_that_says_something_is_refused(tmp_path, change, told):
    source = original(3)
    frames = [frame(camera, f"images/{stem}.jpg") for stem, camera in source.cameras.items()]
    frames[1]["transform_matrix"] = change(np.array(frames[1]["transform_matrix"])).tolist()
    put_json(tmp_path / "transforms.json", {**lens(source), "frames": frames})
    put_photos(tmp_path / "images", source)
    with pytest.raises(CaptureError, match=rf"images/DSC_0001\.jpg in .* has no complete camera \(.*{told}"):
        open_capture(tmp_path)
