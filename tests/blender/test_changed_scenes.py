"""Before views off the path are rendered: whether the scene is still what the photos of its capture show."""

import re
from pathlib import Path

import bpy
import numpy as np
import pytest

from support.shelf_scene import PARTS, build_shelf, run_of_shelf

ROW = (1, 2, 4)


@pytest.fixture
def live_render(extension):
    module = extension.module("splat_addon.scene.tasks.live_render")
    yield module
    extension.drop(module.Rendered)


@pytest.fixture
def outside(extension):
    return extension.module("splat_addon.scene.rendering.outside")


@pytest.fixture
def render_folder(extension):
    return extension.module("splat_addon.run.render_folder")


@pytest.fixture
def capture_error(extension):
    return extension.module("splat_addon.errors").CaptureError


def captured(extension, tmp_path: Path, prepare=lambda scene: None, **changes) -> bpy.types.Object:
    """The object of a run of the shelf's capture; two views are wanted."""
    build_shelf(tmp_path / "capture", **changes)
    prepare(bpy.context.scene)
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    bpy.context.scene.splat.inspection.outside_count = 2
    return run_of_shelf(extension, tmp_path)[0]


def light_by_a_lamp(scene: bpy.types.Scene) -> None:
    """The shelf no longer shines: soft shadows, which few samples leave noisy."""
    for name, (_, _, color) in PARTS.items():
        nodes = bpy.data.materials[name].node_tree.nodes
        shader = next(node for node in nodes if node.type == "BSDF_PRINCIPLED")
        shader.inputs["Base Color"].default_value = (*color, 1)
        shader.inputs["Emission Strength"].default_value = 0.0
    lamp = bpy.data.lights.new("Lamp", "AREA")
    lamp.energy, lamp.size = 500.0, 2.0
    item = bpy.data.objects.new("Lamp", lamp)
    item.location, item.rotation_euler = (-2.5, -3.0, 4.0), (0.75, 0.0, -0.65)
    scene.collection.objects.link(item)


def shoot(folder: Path) -> list[Path]:
    """What cameras of the row see, as a capture has it."""
    scene, found = bpy.context.scene, []
    scene.render.engine, scene.render.film_transparent, scene.cycles.samples = "CYCLES", True, 2
    scene.view_settings.view_transform = "Standard"
    scene.render.resolution_x, scene.render.resolution_y = 64, 48
    scene.render.image_settings.file_format, scene.render.image_settings.color_mode = "PNG", "RGBA"
    for number in ROW:
        scene.camera = bpy.data.objects[f"Row {number}"]
        found.append(folder / f"Row_{number}.png")
        scene.render.filepath = str(found[-1])
        bpy.ops.render.render(write_still=True, scene=scene.name)
    return found


@pytest.fixture
def asked(outside, render_folder):
    """A plan that compares these photos; their cameras are put into the scene elsewhere."""
    nowhere = render_folder.Placed(64, 48, 60.0, 60.0, 32.0, 24.0, tuple(np.eye(4).ravel()))

    def made(photos: list[Path]):
        return render_folder.OutsidePlan("", 2, (nowhere,), tuple((str(photo), nowhere) for photo in photos))

    return made


@pytest.fixture
def shelf_photos(extension, tmp_path):
    """The row's photos of the shelf as it is first, and then."""
    build_shelf(tmp_path / "capture")
    for name in ("before", "now"):
        (tmp_path / name).mkdir()
    return lambda name: shoot(tmp_path / name)


@pytest.mark.parametrize("box", ["Red", "Green", "Blue", "Yellow", "Pink"])
def test_no_box_can_be_hidden_or_moved(shelf_photos, asked, outside, capture_error, box):
    before, item = asked(shelf_photos("before")), bpy.data.objects[box]
    outside.require_same(before, shelf_photos("now"))
    item.hide_render = True
    side = {"Red": "left", "Blue": "middle", "Pink": "right"}.get(box, "(left|middle|right)")
    said = rf"The scene is not what Row_\d\.png of the capture shows .*{side}: [123] of 3 photos differ"
    with pytest.raises(capture_error, match=said):
        outside.require_same(before, shelf_photos("now"))
    item.hide_render = False
    for axis, by in ((0, 0.6), (0, -0.6), (2, 0.6)):
        item.location[axis] = by
        with pytest.raises(capture_error, match=r"Go back to what was captured, its frame and engine"):
            outside.require_same(before, shelf_photos("now"))
        item.location[axis] = 0.0
    outside.require_same(before, shelf_photos("now"))


@pytest.mark.parametrize("samples, use_denoising", [(1, False), (4, False), (1, True)])
def test_other_noise_is_no_change(extension, live_render, tmp_path, samples, use_denoising):
    captured(extension, tmp_path, light_by_a_lamp, samples=samples, use_denoising=use_denoising)
    bpy.context.scene.cycles.seed = 77
    assert bpy.ops.splat.render_outside_views(wait=True) == {"FINISHED"}
    bpy.context.scene.splat.capture.samples, bpy.context.scene.splat.capture.use_denoising = 16, not use_denoising
    assert bpy.ops.splat.render_outside_views(wait=True) == {"FINISHED"}


def along_frames(scene: bpy.types.Scene) -> None:
    """One camera that passes the shelf in five frames."""
    camera = scene.camera = bpy.data.objects["Row 0"]
    for frame, x in ((1, -1.0), (5, 1.0)):
        camera.location.x = x
        camera.keyframe_insert("location", frame=frame)
    chosen = scene.splat.capture
    chosen.source, chosen.first_frame, chosen.last_frame, chosen.frame_step = "FRAMES", 1, 5, 1


def test_a_camera_may_move_along_frames(extension, live_render, tmp_path):
    captured(extension, tmp_path, along_frames)
    for frame in (1, 4):
        bpy.context.scene.frame_set(frame)
        assert bpy.ops.splat.render_outside_views(wait=True) == {"FINISHED"}


def test_what_moves_from_photo_to_photo_has_no_truth_and_that_is_said(extension, live_render, tmp_path):
    def prepare(scene: bpy.types.Scene) -> None:
        along_frames(scene)
        box = bpy.data.objects["Blue"]
        for frame, x in ((1, -0.6), (5, 0.6)):
            box.location.x = x
            box.keyframe_insert("location", frame=frame)
        scene.frame_set(1)

    captured(extension, tmp_path, prepare)
    for frame in (1, 3, 5):
        bpy.context.scene.frame_set(frame)
        with pytest.raises(RuntimeError, match=r"The scene is not what .* capture again what holds still"):
            bpy.ops.splat.render_outside_views(wait=True)


def test_few_samples_are_compared_and_all_are_rendered_after(outside, live_render):
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.samples = "CYCLES", 4096
    with outside.few_samples(scene):
        assert scene.cycles.samples == outside.FEW_SAMPLES
    assert scene.cycles.samples == 4096
    scene.cycles.samples = 3
    with outside.few_samples(scene):
        assert scene.cycles.samples == 3


def test_a_photo_that_cannot_be_read_or_has_another_size_is_named(shelf_photos, asked, outside, capture_error):
    photos, now = shelf_photos("before"), shelf_photos("now")
    small = bpy.data.images.new("Small", 32, 24)
    small.filepath_raw, small.file_format = str(photos[1]), "PNG"
    small.save()
    with pytest.raises(capture_error, match=re.escape(f"{photos[1]}, a photo of the capture, has another size than")):
        outside.require_same(asked(photos), now)
    for content in (b"", bytes(2000), b"GIF89a"):
        photos[1].write_bytes(content)
        with pytest.raises(capture_error, match=re.escape(f"{photos[1]}, a photo of the capture, cannot be decoded.")):
            outside.require_same(asked(photos), now)
    photos[1].unlink()
    with pytest.raises(capture_error, match=r"cannot be decoded\. Put it back as it was; else capture the scene again"):
        outside.require_same(asked(photos), now)


def test_an_overwritten_photo_ends_the_render_with_a_sentence(extension, live_render, tmp_path):
    captured(extension, tmp_path)
    for photo in (tmp_path / "capture" / "images").iterdir():
        photo.write_bytes(bytes(photo.stat().st_size))
    with pytest.raises(RuntimeError, match=r"Row_\d\.png.*cannot be decoded"):
        bpy.ops.splat.render_outside_views(wait=True)
    assert not (tmp_path / "capture" / "outside_views" / "transforms.json").exists()


def test_what_the_copy_lacks_is_named_with_a_remedy_that_keeps_the_capture(extension, live_render, tmp_path):
    """The box was moved without a keyframe since: the copy shows it where it was captured."""

    def prepare(scene: bpy.types.Scene) -> None:
        bpy.data.objects["Blue"].keyframe_insert("location", frame=1)

    captured(extension, tmp_path, prepare)
    bpy.data.objects["Blue"].location.x = 1.0
    bpy.context.view_layer.update()
    with pytest.raises(RuntimeError, match=r"'Blue' is animated, and was moved.*\. Then render them again\."):
        bpy.ops.splat.render_outside_views(wait=True)
    assert bpy.ops.splat.render_outside_views(wait=True) == {"FINISHED"}, "asked for again"
    assert "is not what your Blender shows: 'Blue' is animated" in " ".join(live_render.current().warnings)


def test_all_remedies_of_the_render_say_how_to_go_on_with_these_views(
    extension, render_folder, capture_error, tmp_path
):
    child = extension.module("splat_addon.scene.rendering.child")
    passes = extension.module("splat_addon.scene.rendering.passes")
    scene = bpy.context.scene
    asked = render_folder.OutsidePlan("", 2, (), ())
    plan = render_folder.RenderPlan(scene.name_full, (), depth=True, outside=asked)
    assert child.about_blocked_scripts(plan).remedy.endswith("allow execution of its scripts, and render them again.")
    writer = passes.PassWriter(scene, plan, tmp_path)
    writer.prepare()
    with pytest.raises(capture_error, match=r"wrote no depths for .*\. Choose Cycles in the Capture panel, or"):
        writer.collect("images/outside_001.png")
