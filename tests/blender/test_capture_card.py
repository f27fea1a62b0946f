"""The card of a photo capture: what it says, what is measured for it, and what is decided on it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest

from support.photo_files import exif, png_chunk, write_png
from support.recording_layout import drawn, texts
from support.scenes import write_ball_capture_files


@pytest.fixture
def tasks(extension):
    """What is at work, with nothing known."""

    class Tasks:
        checking = extension.module("splat_addon.scene.tasks.checking")
        preflight = extension.module("splat_addon.scene.tasks.preflight")
        live_run = extension.module("splat_addon.scene.tasks.live_run")

    extension.module("splat_addon.scene.settings.preferences").write_own("checks.json", None)
    extension.drop(Tasks.checking.Checks)
    Tasks.preflight.forget()
    yield Tasks
    Tasks.preflight.wait()
    Tasks.preflight.forget()
    extension.drop(Tasks.checking.Checks)


@pytest.fixture
def panel(extension):
    return extension.module("panels.card").SPLAT_PT_card


@pytest.fixture
def photos(extension):
    return extension.module("splat_addon.scene.photos.photo_capture")


@pytest.fixture
def trained_by(extension, trainer_python):
    chosen = bpy.context.preferences.addons[extension.name].preferences
    chosen.trainer_python = str(trainer_python)
    yield
    chosen.trainer_python = ""


def write_capture(folder: Path, turned: bool = False, **options) -> Path:
    """Nine photos of a ball, 120 x 90; with `turned`, each stored upside down with a record that says so."""
    record = png_chunk(b"eXIf", exif(3)) if turned else b""

    def save(path: Path, pixels: np.ndarray) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(path, pixels[::-1, ::-1] if turned else pixels, before=record)

    return write_ball_capture_files(folder, save, **options)


def open_folder(folder: Path) -> bpy.types.Object:
    assert bpy.ops.splat.open_photo_capture(directory=str(folder)) == {"FINISHED"}
    bpy.context.view_layer.update()
    return bpy.context.view_layer.objects.active


def known(tasks):
    tasks.preflight.look(bpy.context.scene)
    tasks.preflight.wait()
    return tasks.preflight.look(bpy.context.scene)


def test_the_card_says_what_was_opened_and_what_is_wrong(tasks, panel, tmp_path):
    assert not panel.poll(bpy.context), "no capture is chosen"
    folder = write_capture(tmp_path / "ball")
    (folder / "images/view_03.png").unlink()
    open_folder(folder)
    known(tasks)
    assert panel.poll(bpy.context)
    record = drawn(panel, bpy.context)
    said = texts(record)
    facts = "Photos 8, 120 × 90 px, 1 missing", "Cameras 9", "Lenses 1, 53° wide", "Split 6 to train on, 2 held out"
    facts += "Masks none", "Points 300", "Agreement not measured", "Frame z is up", "Scale cameras within"
    assert [fact for fact in facts if fact not in said] == []
    assert "1 of 9 photos are missing, for example images/view_03.png" in said
    assert "Put them there, or choose the folder that holds them" in said
    assert all(len(entry[1]) <= 60 for entry in record if entry[0] == "label"), "sentences are wrapped"
    assert [entry[1] for entry in record if entry[0] == "prop"] == [
        "orientation", "photos_folder", "model_folder", "points_frame", "masks",
    ]  # fmt: skip
    assert ("operator", "splat.open_again", None) in record


def test_a_capture_of_a_scene_has_no_card_and_one_that_cannot_be_read_has(tasks, panel, tmp_path):
    bpy.context.scene.splat.capture.folder = str(write_capture(tmp_path / "own", own=True))
    answer = known(tasks)
    assert answer.card is not None and answer.key == "" and not panel.poll(bpy.context)
    bpy.context.scene.splat.capture.folder = str(write_capture(tmp_path / "ball"))
    bpy.context.scene.splat.training.photos_folder = str(tmp_path / "nowhere")
    known(tasks)
    assert panel.poll(bpy.context), "else nobody could choose another folder"
    assert "The chosen folder of the photos," in texts(drawn(panel, bpy.context))


def test_another_capture_begins_without_decisions_and_the_same_one_keeps_them(tmp_path):
    scene = bpy.context.scene
    scene.splat.capture.folder = str(tmp_path / "a")
    scene.splat.training.masks, scene.splat.training.photos_folder = "INVERTED", str(tmp_path)
    scene.splat.capture.folder = str(tmp_path / "a") + "/"
    assert scene.splat.training.masks == "INVERTED"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    scene.splat.capture.folder = "//a"
    assert scene.splat.training.masks == "INVERTED", "the same folder, as the file has it now"
    scene.splat.capture.folder = "//b"
    assert (scene.splat.training.masks, scene.splat.training.photos_folder) == ("AUTO", "")


def test_what_is_decided_reaches_every_reader(extension, tasks, photos, tmp_path):
    folder = write_capture(tmp_path / "ball", turned=True)
    shutil.copytree(folder / "images", folder / "masks")
    root = open_folder(folder)
    scene = bpy.context.scene
    scene.splat.training.orientation, scene.splat.training.masks = "TURNED", "IGNORED"
    assert bpy.ops.splat.open_again() == {"FINISHED"}
    entry = photos.photo_cameras(root)[0].data.background_images[0]
    assert entry.rotation == pytest.approx(np.pi) and len(photos.photo_cameras(root)[0].data.background_images) == 1
    config = extension.module("splat_addon.scene.settings.training").train_config(scene)
    assert (config.orientation, config.masks) == ("turned", "ignored")
    assert "The masks of 9 photos are not used, as was chosen." in [remark.text for remark in known(tasks).card.remarks]
    views, _ = extension.module("splat_addon.scene.review.held_out")._views_of(
        folder, 8, extension.module("splat_addon.capture.choices").choices_of(config), 0
    )
    assert {view.orientation for view in views.values()} == {3}
    read = extension.module("splat_addon.scene.review.pictures").read_picture
    view = views["view_00"]
    assert np.array_equal(read(view.image_path, 3).pixels, read(view.image_path).pixels[::-1, ::-1])
    bpy.ops.splat.export_capture(directory=str(tmp_path / "out"), formats={"TRANSFORMS"})
    exported = extension.module("splat_addon.capture.capture").open_capture(tmp_path / "out")
    assert {view.orientation for view in exported.views} == {1} and exported.views[0].mask_path is None
    assert np.abs(read(exported.views[0].image_path).pixels - read(view.image_path, 3).pixels).max() < 2 / 255


def test_opening_again_keeps_what_the_artist_has_made(tasks, photos, tmp_path):
    folder = write_capture(tmp_path / "ball")
    root = open_folder(folder)
    scene, items = bpy.context.scene, photos.photo_cameras(root)
    root.location.x = 7
    items[1].lock_location = (False, False, False)
    items[1].location.z += 1
    moved, still = items[1].matrix_basis.copy(), items[2].matrix_basis.copy()
    own = bpy.data.objects.new("Own Camera", bpy.data.cameras.new("Own Camera"))
    scene.collection.objects.link(own)
    own.parent = items[2]
    mine = bpy.data.images.new("reference", 4, 4)
    items[2].data.background_images.new().image = mine
    placed = root.matrix_basis.copy()
    document = json.loads((folder / "transforms.json").read_text())
    document["frames"] = [frame for frame in document["frames"] if "view_08" not in frame["file_path"]]
    (folder / "transforms.json").write_text(json.dumps(document))
    (folder / "images").rename(folder / "elsewhere")
    scene.splat.training.photos_folder = str(folder / "elsewhere")
    assert bpy.ops.splat.open_again() == {"FINISHED"}
    again = photos.photo_cameras(root)
    assert again == items[:8], "the same objects, but for the one that is gone"
    assert root.matrix_basis == placed and own.parent == items[2]
    assert items[1].matrix_basis == moved and items[2].matrix_basis == still
    entries = [entry.image for entry in items[2].data.background_images]
    assert mine in entries and len(entries) == 2
    assert {Path(image.filepath).parent.name for image in entries if image != mine} == {"elsewhere"}
    assert not [image for image in bpy.data.images if "/images/" in image.filepath], "what nobody shows is gone"
    assert len([item for item in root.children if "splat_points" in item]) == 1


def test_a_capture_that_is_not_the_chosen_one_is_read_as_it_was(tasks, photos, tmp_path):
    first = open_folder(write_capture(tmp_path / "a", turned=True))
    scene = bpy.context.scene
    scene.splat.training.orientation = "TURNED"
    bpy.ops.splat.open_again()
    second = open_folder(write_capture(tmp_path / "b", turned=True))
    assert photos.choices_of(scene, first).orientation == "turned"
    assert photos.choices_of(scene, second).orientation == "auto"
    bpy.context.view_layer.objects.active = first
    bpy.ops.splat.open_again()
    assert photos.photo_cameras(first)[0].data.background_images[0].rotation == pytest.approx(np.pi)


def test_a_handful_of_photos_is_compared_in_slices(extension, tasks, tmp_path):
    folder = write_capture(tmp_path / "ball")
    capture = extension.module("splat_addon.capture.capture").open_capture(folder)
    bpy.context.scene.splat.capture.folder = str(folder)
    assert known(tasks).card.inspection is None
    tasks.checking.look_first(capture, capture)
    look, count = tasks.checking.part(tasks.checking.Checks).first, 0
    while look.thread is None:
        tasks.checking.look_on()
        count += 1
    assert count == tasks.checking.FIRST_VIEWS + 1, "one photo in each, and then the next task"
    tasks.checking.wait()
    agreement = known(tasks).card.inspection.check.agreement
    assert agreement.agrees and agreement.photo_count == 8 and known(tasks).problems == ()


def test_photos_that_are_too_large_to_decode_in_passing_are_left_to_the_child(extension, tasks, tmp_path, monkeypatch):
    capture = extension.module("splat_addon.capture.capture").open_capture(write_capture(tmp_path / "ball"))
    monkeypatch.setattr(tasks.checking, "read_image_size", lambda path: (4000, 3000))
    tasks.checking.look_first(capture, capture)
    assert tasks.checking.part(tasks.checking.Checks).first is None


@pytest.mark.parametrize("by_child", [False, True])
def test_what_photos_have_settled_takes_the_place_of_the_doubt(extension, tasks, request, tmp_path, by_child):
    """Photos upside down with a record, which fit their cameras both ways: the points tell. Blender decodes no photo in
    the preflight's thread, so that this comes from who has opened the capture, or from the child."""
    folder = write_capture(tmp_path / "ball", turned=True)
    scene = bpy.context.scene
    scene.splat.capture.folder = str(folder)
    answer = known(tasks)
    opened = extension.module("splat_addon.capture.capture").open_capture(folder)
    (doubt,) = opened.doubts
    assert doubt.remark in answer.card.remarks and doubt.corrected not in answer.card.remarks
    if by_child:
        request.getfixturevalue("trained_by")
        tasks.checking.want(answer.key, extension.module("splat_addon.scene.settings.training").train_config(scene))
    else:
        tasks.checking.look_first(opened, extension.module("splat_addon.scene.photos.pixels").settle(opened))
    tasks.checking.wait()
    card = tasks.preflight.look(scene).card
    assert doubt.corrected in card.remarks and doubt.remark not in card.remarks
    assert card.inspection.check.agreement.agrees and not card.warnings


def test_the_child_measures_what_is_wrong_and_it_is_kept(extension, tasks, panel, trained_by, tmp_path):
    """All photos stored upside down, which nothing but the points can tell."""
    folder = write_capture(tmp_path / "ball")
    for path in sorted((folder / "images").iterdir()):
        image = bpy.data.images.load(str(path))
        pixels = np.array(image.pixels[:]).reshape(90, 120, 4)[::-1, ::-1]
        image.pixels.foreach_set(pixels.astype(np.float32).ravel())
        image.save()
        bpy.data.images.remove(image)
    scene = bpy.context.scene
    scene.splat.capture.folder = str(folder)
    answer = known(tasks)
    tasks.checking.want(answer.key, extension.module("splat_addon.scene.settings.training").train_config(scene))
    tasks.checking.wait()
    measured = tasks.preflight.look(scene)
    assert any(problem.startswith("Points and photos do not agree: they would with the photos turned by 180 degrees")
               for problem in measured.problems)  # fmt: skip
    said = texts(drawn(panel, bpy.context))
    assert "Points and photos do not agree" in said and "in 9 photos" in said
    extension.drop(tasks.checking.Checks)
    assert tasks.checking.known(answer.key) == measured.card.inspection, "also after the next start"
    assert (
        tasks.preflight.inspection_of(extension.module("splat_addon.scene.settings.training").train_config(scene))
        == measured.card.inspection
    ), "it is handed to the run"


def test_the_child_gives_way_to_training(extension, tasks, panel, trained_by, tmp_path, monkeypatch):
    scene = bpy.context.scene
    scene.splat.capture.folder = str(write_capture(tmp_path / "ball"))
    key = known(tasks).key
    config = extension.module("splat_addon.scene.settings.training").train_config(scene)
    tasks.checking.want(key, config)
    assert tasks.checking.follow() is not None and tasks.checking.fraction(key) == 0.0
    assert ("progress", "Comparing photos and points") in drawn(panel, bpy.context)
    child = tasks.checking.part(tasks.checking.Checks).child
    tasks.checking.want(key, replace(config, iterations=77))
    tasks.checking.follow()
    assert tasks.checking.part(tasks.checking.Checks).child is child, "what it measures is the same"
    monkeypatch.setattr(tasks.live_run, "is_training", lambda: True)
    assert tasks.checking.follow() is None and tasks.checking.fraction(key) is None
    assert child.join(10.0) and tasks.checking.known(key) is None


def test_a_python_that_cannot_check_says_why_once(extension, tasks, panel, tmp_path):
    """The tests' Blender environment has no Pillow."""
    import sys

    chosen = bpy.context.preferences.addons[extension.name].preferences
    chosen.trainer_python = sys.executable
    scene = bpy.context.scene
    scene.splat.capture.folder = str(write_capture(tmp_path / "ball"))
    key = known(tasks).key
    tasks.checking.want(key, extension.module("splat_addon.scene.settings.training").train_config(scene))
    tasks.checking.wait()
    assert "The capture could not be checked: ModuleNotFoundError: No module named 'PIL'" in texts(
        drawn(panel, bpy.context)
    )
    tasks.checking.want(key, extension.module("splat_addon.scene.settings.training").train_config(scene))
    assert tasks.checking.follow() is None
    chosen.trainer_python = ""
    assert tasks.checking.why_not(key) == "", "another Python may be able to"


def test_the_command_prints_the_card(extension, tmp_path, capsys):
    command = extension.module("operators.command_line").main
    folder = write_capture(tmp_path / "ball")
    assert command(["inspect-capture", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "Photos:     9, 120 × 90 px" in said and "in 9 photos" in said and "Warning" not in said
    assert command(["inspect-capture", str(folder), "--json", "--hold-out-every", "3"]) == 0
    assert ["Split", "7 to train on, 2 held out"] in json.loads(capsys.readouterr().out)["rows"], "its own split stays"
    (folder / "images/view_03.png").unlink()
    assert command(["inspect-capture", str(folder)]) == 1
    assert "Warning: 1 of 9 photos are missing" in capsys.readouterr().out
    assert command(["inspect-capture", str(tmp_path / "nowhere")]) == 1
    assert "does not exist" in capsys.readouterr().err
