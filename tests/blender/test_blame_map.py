"""The blame map in Blender: a task with an end, attributes that follow their splats, and a splat's photos."""

import bpy
import numpy as np
import pytest

from support.floating_wall import COUNT, WALL, photographed_run
from support.recording_layout import drawn, texts
from support.splat_renders import delete_points


@pytest.fixture
def mapped(extension):
    return extension.module("splat_addon.scene.blame.mapped")


@pytest.fixture
def run_object(extension, trainer_python, tmp_path):
    chosen = bpy.context.preferences.addons[extension.name].preferences
    chosen.trainer_python = str(trainer_python)
    yield photographed_run(extension, tmp_path, hold_out_every=3)
    chosen.trainer_python = ""


def panel_texts(extension) -> str:
    return texts(drawn(extension.module("panels.inspection.blame").SPLAT_PT_blame_map, bpy.context))


def column(data, name) -> np.ndarray:
    values = np.empty(len(data.attributes[name].data), np.float32)
    data.attributes[name].data.foreach_get("value", values)
    return values


def put(extension, mapped, item, tmp_path) -> np.ndarray:
    """Give an object a map that is made up: splats have the more blame, the higher their number."""
    core = extension.module("splat_addon.inspection.blame.blame_map")
    cloud = extension.module("splat_addon.scene.splats.data").splats_from_object(item)
    fading = np.linspace(0, 0.1, len(cloud), dtype=np.float32)
    key = extension.module("splat_addon.inspection.file").key_of(cloud)
    made = core.BlameMap(key, fading, fading, fading, fading, fading, "all", 6)
    np.savez(tmp_path / "made.npz", **core.arrays_of(made))
    mapped.take_in(item, tmp_path / "made.npz", cloud)
    return fading


@pytest.mark.parametrize("photos, count", [("ALL", 6), ("TRAINING", 4), ("HELD_OUT", 2)])
def test_the_map_becomes_attributes_and_the_panel_says_it(extension, run_object, mapped, photos, count):
    assert bpy.ops.splat.map_blame(photos=photos, wait=True) == {"FINISHED"}
    data = run_object.data
    blame, fading = column(data, "blame"), column(data, "blame_fading")
    assert len(blame) == COUNT and blame.max() == 1 and blame.argmax() == column(data, "blame_agreed").argmax()
    assert 0 < fading.max() <= 1 and np.isfinite(column(data, "blame_least_squares")).all()
    told = mapped.told(data)
    assert (told.photos, told.view_count, told.changed) == (photos, count, 0)
    assert told.worst[0] == blame.argmax() and told.fading[0] == fading[told.worst[0]]
    text = panel_texts(extension)
    assert f"splat {told.worst[0]}" in text and f"{count} photos" in text
    assert "It does not say which splats are wrong" in text and "elete" not in text
    assert bpy.ops.splat.show_blame() == {"FINISHED"}
    viewport = bpy.context.scene.splat.viewport
    assert (viewport.color_by, viewport.attribute) == ("ATTRIBUTE", "blame")
    bpy.ops.splat.show_blame()
    assert viewport.color_by == "RADIANCE"


def test_a_splat_that_was_recolored_since_is_left_out_and_told(extension, run_object, mapped, tmp_path):
    fading = put(extension, mapped, run_object, tmp_path)
    assert mapped.told(run_object.data).worst[0] == COUNT - 1
    attributes = extension.module("splat_addon.scene.splats.contents.attributes")
    base = attributes.read(run_object.data, attributes.BASE)
    base[COUNT - 1, 0] += 0.25
    attributes.write(run_object.data, attributes.BASE, base)
    run_object.data.update_tag()
    bpy.context.view_layer.update()
    told = mapped.told(run_object.data)
    assert told.changed == 1 and told.worst[0] == COUNT - 2 and told.fading[0] == fading[COUNT - 2]
    assert "1 splats are not what was compared" in panel_texts(extension)


def test_a_map_of_another_version_is_not_shown(extension, run_object, mapped, tmp_path):
    put(extension, mapped, run_object, tmp_path)
    about = run_object.data[mapped.KEY]
    del about["version"]  # as earlier versions left it
    mapped.forget(run_object.data)
    told = mapped.told(run_object.data)
    assert len(told.worst) == 0 and told.changed == COUNT
    assert "Make the map again" in panel_texts(extension)


def test_blame_follows_its_splats_and_lies_in_the_file(extension, run_object, mapped, tmp_path):
    fading = put(extension, mapped, run_object, tmp_path)
    delete_points(run_object, np.arange(COUNT) < WALL)
    bpy.ops.object.mode_set(mode="OBJECT")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    name = run_object.name
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    data = bpy.data.objects[name].data
    assert column(data, "blame_fading") == pytest.approx(fading[WALL:])
    told = mapped.told(data)
    assert told.changed == 0 and told.worst[0] == COUNT - WALL - 1


def test_what_cannot_be_mapped_is_a_sentence_and_an_earlier_map_stays(extension, run_object, mapped, tmp_path):
    fading = put(extension, mapped, run_object, tmp_path)
    (tmp_path / "capture" / "images").rename(tmp_path / "away")
    with pytest.raises(RuntimeError, match="photo"):
        bpy.ops.splat.map_blame(wait=True)
    assert "photo" in panel_texts(extension)
    (tmp_path / "capture").rename(tmp_path / "elsewhere")
    with pytest.raises(RuntimeError, match="is gone"):
        bpy.ops.splat.map_blame(wait=True)
    assert column(run_object.data, "blame_fading") == pytest.approx(fading)


def test_splats_of_no_run_need_a_capture(extension, run_object, tmp_path):
    cloud = extension.module("splat_addon.scene.splats.data").splats_from_object(run_object)
    make = extension.module("splat_addon.scene.splats.data").splats_to_object
    bpy.context.view_layer.objects.active = make(cloud, "Foreign", bpy.context.scene.collection)
    bpy.context.scene.splat.capture.folder = ""
    for verb, arguments in ((bpy.ops.splat.map_blame, {"wait": True}), (bpy.ops.splat.photos_of_splat, {"splat": 1})):
        with pytest.raises(RuntimeError, match="not known which photos"):
            verb(**arguments)


def test_it_can_be_cancelled_and_an_earlier_map_stays(extension, run_object, mapped, tmp_path):
    fading = put(extension, mapped, run_object, tmp_path)
    inspecting = extension.module("splat_addon.scene.tasks.inspecting")
    assert bpy.ops.splat.map_blame() == {"FINISHED"}
    assert inspecting.is_running() and not bpy.ops.splat.map_blame.poll() and not bpy.ops.splat.inspect_splats.poll()
    assert "Starting" in panel_texts(extension)
    assert bpy.ops.splat.cancel_inspection() == {"FINISHED"}
    assert not inspecting.is_running() and column(run_object.data, "blame_fading") == pytest.approx(fading)


def test_a_clicked_splat_is_selected_and_its_photos_are_shown(extension, run_object):
    photos = extension.module("splat_addon.scene.blame.photos")
    choosing = extension.module("splat_addon.scene.inspection.choosing")
    wall = 318  # near the middle
    assert bpy.ops.splat.click_splat(splat=wall) == {"FINISHED"}
    assert np.flatnonzero(choosing.selected(run_object.data)).tolist() == [wall]
    found = photos.known(run_object.data, wall)
    assert [one.is_held_out for one in found] == sorted(one.is_held_out for one in found) and 5 <= len(found) <= 6
    assert f"Splat {wall}" in panel_texts(extension) and "(held out)" in panel_texts(extension)
    picture = bpy.data.images["Splat in Photos"]
    assert tuple(picture.size) == (4 * photos.CELL_PX, 2 * photos.CELL_PX)
    pixels = np.empty(len(picture.pixels), np.float32)
    picture.pixels.foreach_get(pixels)
    cell = pixels.reshape(*reversed(picture.size), 4)[::-1][: photos.CELL_PX, : photos.CELL_PX]
    middle = photos.CELL_PX // 2
    assert cell[middle, middle + 10, :3] == pytest.approx([1, 0, 1], abs=0.01)  # the cross
    assert cell[middle + 9, middle + 9, :3] == pytest.approx([120 / 255] * 3, abs=0.01)  # the photo
    with pytest.raises(RuntimeError, match="There is no splat"):
        bpy.ops.splat.click_splat(splat=COUNT)
