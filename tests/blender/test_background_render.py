"""The process that renders a capture: progress, cancelling, going on, crashes, and what the artist does meanwhile."""

import json
import os
import signal
import time
from pathlib import Path

import bpy
import pytest

from support import pixels
from support.cube_scene import add_camera, prepare, select
from support.held_files import HeldFiles


@pytest.fixture
def live_render(extension):
    module = extension.module("splat_addon.scene.tasks.live_render")
    yield module
    if module.is_rendering():
        module.current().process.close()
    extension.drop(module.Rendered)


def start(extension, live_render):
    """As a click on the button starts it; returns the render."""
    capture = extension.module("operators.capture")
    return capture._start(bpy.context)


def pump_until(live_render, is_reached, limit_s: float = 60.0) -> None:
    deadline = time.monotonic() + limit_s
    while not is_reached(live_render.current()):
        assert time.monotonic() < deadline, live_render.current()
        for event in live_render.current().process.wait(limit_s=0.5):
            live_render.current().apply(event)


def has_images(count: int):
    return lambda render: render.is_over or (render.progress is not None and render.progress.done >= count)


def stamps(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in (folder / "images").glob("Splat_???.png")}


def interrupted(extension, live_render, folder: Path) -> dict[str, int]:
    """A capture of 12 views, cancelled after two or more; returns when its images were written."""
    prepare(folder, camera_count=12, samples=64, width=128, height=96)
    start(extension, live_render)
    pump_until(live_render, has_images(2))
    live_render.cancel()
    pump_until(live_render, lambda render: render.is_over)
    assert live_render.current().state == "stopped"
    kept = stamps(folder / ".rendering")
    assert 2 <= len(kept) < 12
    select(bpy.data.objects["Cube"])
    return kept


def test_cancelling_keeps_finished_images_and_the_next_capture_goes_on(extension, live_render, tmp_path):
    kept = interrupted(extension, live_render, tmp_path / "c")
    assert live_render.current().message.endswith("of 12 views: capture again to continue.")
    assert not (tmp_path / "c" / "transforms.json").exists()
    events = (tmp_path / "c" / ".rendering" / "events.jsonl").read_text().splitlines()
    assert [json.loads(events[index])["event"] for index in (0, -1)] == ["RenderStarted", "RenderFinished"]
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    assert f"{len(kept)} finished images of the interrupted capture are kept." in live_render.current().warnings
    now = stamps(tmp_path / "c")
    assert len(now) == 12 and {name: now[name] for name in kept} == kept
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == ["images", "points3d.ply", "transforms.json"]


@pytest.mark.parametrize("change", ["shape", "light", "samples", "camera"])
def test_what_has_changed_is_rendered_again(extension, live_render, tmp_path, change):
    kept = interrupted(extension, live_render, tmp_path / "c")
    scene = bpy.context.scene
    if change == "shape":
        bpy.data.objects["Cube"].data.vertices[0].co.x -= 0.01
    elif change == "light":
        bpy.data.worlds["World"].color = (0.3, 0.2, 0.1)
        scene.world.use_nodes = False if bpy.app.version < (5, 0) else scene.world.use_nodes
    elif change == "samples":
        scene.splat.capture.samples = 8
    else:
        scene.splat.capture.lens_mm = 60.0
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    assert not [text for text in live_render.current().warnings if "kept" in text]
    now = stamps(tmp_path / "c")
    assert all(now[name] != kept[name] for name in kept)


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
def test_a_crash_is_said_with_its_remedy_and_finished_images_are_kept(extension, live_render, tmp_path):
    prepare(tmp_path / "c", camera_count=12, samples=64, width=128, height=96)
    render = start(extension, live_render)
    pump_until(live_render, has_images(2))
    os.kill(render.process.pid, signal.SIGKILL)
    pump_until(live_render, lambda render: render.is_over)
    assert render.state == "failed"
    assert render.message.startswith("The Blender that renders was ended by signal 9")
    assert "finished images are kept: capture again to continue." in render.message
    select(bpy.data.objects["Cube"])
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    assert len(stamps(tmp_path / "c")) == 12


def test_a_render_that_fails_half_way_leaves_the_earlier_capture(extension, live_render, tmp_path):
    """The last image cannot be written: its place is taken by a folder."""
    prepare(tmp_path / "c")
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    before = (tmp_path / "c" / "transforms.json").read_text()
    select(bpy.data.objects["Cube"])
    bpy.context.scene.splat.capture.camera_count = 8
    bpy.context.scene.splat.capture.samples = 256
    start(extension, live_render)
    pump_until(live_render, has_images(0))
    (tmp_path / "c" / ".rendering" / "images" / "Splat_007.partial.png").mkdir()
    pump_until(live_render, lambda render: render.is_over)
    message = live_render.current().message
    assert live_render.current().state == "failed" and "'Splat 007'" in message
    assert "7 finished images are kept: capture again to continue." in message
    assert (tmp_path / "c" / "transforms.json").read_text() == before
    assert len(stamps(tmp_path / "c")) == 3


CAPTURE = dict.fromkeys(("images/a.png", "depths/a.exr", "points3d.ply", "transforms.json"), "earlier")


def finished_work(extension, capture: Path, monkeypatch):
    """An earlier capture and a finished one in its work folder, without depths; the swap, the folder, and who holds
    files of it."""
    for name, text in CAPTURE.items():
        for place in (capture, capture / ".rendering"):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
        (capture / name).write_text(text)
        if not name.startswith("depths"):
            (capture / ".rendering" / name).write_text("new")
    (capture / "mine.txt").write_text("mine")
    monkeypatch.setattr(extension.module("splat_addon.files"), "PATIENCE_S", 0.5)
    folder = extension.module("splat_addon.run.render_folder").RenderFolder(capture)
    return extension.module("splat_addon.scene.rendering.child").swap_in, folder, HeldFiles(monkeypatch)


def contents(capture: Path) -> dict[str, str]:
    files = [file for file in capture.rglob("*") if file.is_file() and ".rendering" not in file.parts]
    return {file.relative_to(capture).as_posix(): file.read_text() for file in files}


def test_a_capture_that_somebody_looks_at_for_an_instant_is_replaced(extension, tmp_path, monkeypatch):
    swap_in, folder, held = finished_work(extension, tmp_path, monkeypatch)
    for path in (tmp_path / "images" / "a.png", folder.path / "images" / "a.png", tmp_path / "transforms.json"):
        held.hold(path, refusals=3)
    swap_in(folder)
    new = {name: "new" for name in CAPTURE if not name.startswith("depths")}
    assert contents(tmp_path) == {**new, "mine.txt": "mine"}
    assert held.refused == ["a.png"] * 6 + ["transforms.json"] * 3


@pytest.mark.parametrize("name", CAPTURE)
def test_a_capture_that_is_held_open_for_good_stays_whole(extension, tmp_path, monkeypatch, name):
    swap_in, folder, held = finished_work(extension, tmp_path, monkeypatch)
    held.hold(tmp_path / name)
    for _ in range(2):  # what the first attempt left is not in the way of the second
        with pytest.raises(PermissionError):
            swap_in(folder)
        assert contents(tmp_path) == {**CAPTURE, "mine.txt": "mine"}
        assert (folder.path / "images" / "a.png").read_text() == "new"


def test_undo_another_file_and_the_end_of_the_scene_do_not_disturb_a_render(extension, live_render, tmp_path):
    prepare(tmp_path / "c", camera_count=4)
    bpy.ops.ed.undo_push(message="before")
    start(extension, live_render)
    bpy.ops.ed.undo_push(message="started")
    bpy.ops.ed.undo()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "mine.blend"))
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    pump_until(live_render, lambda render: render.is_over)
    assert live_render.current().state == "finished", live_render.current().message
    assert len(extension.module("splat_addon.capture.capture").open_capture(tmp_path / "c").views) == 4


def test_a_second_capture_waits_for_the_first(extension, live_render, tmp_path):
    prepare(tmp_path / "c", camera_count=40, samples=256, width=256, height=192)
    start(extension, live_render)
    select(bpy.data.objects["Cube"])
    with pytest.raises(RuntimeError, match="A capture is already being rendered: cancel it first"):
        bpy.ops.splat.capture_scene()
    assert bpy.ops.splat.cancel_capture() == {"FINISHED"}
    pump_until(live_render, lambda render: render.is_over)
    assert live_render.current().message.endswith("of 40 views: capture again to continue."), "also before it began"
    with pytest.raises(RuntimeError, match="No capture is being rendered"):
        bpy.ops.splat.cancel_capture()


def test_the_render_ends_with_its_parent(extension, live_render, tmp_path):
    prepare(tmp_path / "c", camera_count=12, samples=64, width=128, height=96)
    process = start(extension, live_render).process
    pump_until(live_render, has_images(1))
    extension.drop(live_render.Rendered)
    assert process.join(20)
    assert process.poll()[-1].stopped, "it ended by itself"
    assert stamps(tmp_path / "c" / ".rendering")


def textured_cube(tmp_path: Path, image: bpy.types.Image) -> None:
    material = pixels.emissive("Screen", (1, 1, 1))
    node = material.node_tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    emission = next(node for node in material.node_tree.nodes if node.type == "EMISSION")
    material.node_tree.links.new(node.outputs[0], emission.inputs[0])
    cube = bpy.data.objects["Cube"]
    cube.data.uv_layers.new()
    cube.data.materials.append(material)


@pytest.mark.parametrize("kind", ["relative", "painted", "packed", "packed and painted", "tiled and painted"])
def test_the_copy_has_the_textures_of_the_open_file(live_render, tmp_path, kind):
    """A file beside the .blend, painted over and not saved, pixels that live in the .blend alone, and tiles."""
    prepare(tmp_path / "far" / "away" / "c")
    image = bpy.data.images.new("Screen", 4, 4)
    image.pixels.foreach_set([1.0, 0.0, 0.0, 1.0] * 16)
    image.filepath_raw, image.file_format = str(tmp_path / "screen.1001.png"), "PNG"
    image.save()
    if not kind.startswith("packed"):
        bpy.data.images.remove(image)
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "mine.blend"))
        image = bpy.data.images.load("//screen.1001.png")
    else:
        image.update()
        image.pack()
        (tmp_path / "screen.1001.png").unlink()
    if kind.startswith("tiled"):
        image.source, image.filepath = "TILED", "//screen.<UDIM>.png"
        image.reload()
        assert len(image.pixels) == 64
    textured_cube(tmp_path, image)
    is_painted = kind.endswith("painted")
    if is_painted:
        image.pixels.foreach_set([0.0, 1.0, 0.0, 1.0] * 16)
        image.update()
        assert image.is_dirty
    select(bpy.data.objects["Cube"])
    path = image.filepath
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    seen = pixels.read(tmp_path / "far" / "away" / "c" / "images" / "Splat_000.png")[12, 16, :3]
    assert abs(seen - ((0, 1, 0) if is_painted else (1, 0, 0))).max() < 0.02
    assert image.is_dirty == is_painted, "the artist's image is as it was"
    assert image.filepath == path, "and where it was"


def test_what_is_switched_off_is_said(live_render, tmp_path):
    scene = prepare(tmp_path / "c", source="SELECTED")
    camera = add_camera("Eye")
    camera.data.dof.use_dof = True
    scene.render.use_motion_blur = scene.render.use_border = scene.render.use_multiview = True
    select(bpy.data.objects["Cube"], camera)
    bpy.ops.splat.capture_scene()
    said = " ".join(live_render.current().warnings)
    for sentence in (
        "Depth of field of 'Eye' was switched off",
        "Motion blur was switched off",
        "Stereoscopy was switched off",
        "The render region was switched off",
        "The view transform AgX was replaced by Standard",
    ):
        assert sentence in said
    assert "Compositing" not in said and "sequencer" not in said, "nothing is said of what was not used"
    assert camera.data.dof.use_dof and scene.render.use_motion_blur


def test_depth_and_normals_are_written_as_floats(extension, live_render, tmp_path):
    scene = prepare(tmp_path / "c", source="SELECTED", depth=True, normals=True)
    camera = add_camera("Eye", distance=3.0)
    scene.splat.training.hold_out_every = 0
    select(bpy.data.objects["Cube"], camera)
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    frame = json.loads((tmp_path / "c" / "transforms.json").read_text())["frames"][0]
    assert frame["depth_file_path"] == "depths/Eye.exr" and frame["normal_file_path"] == "normals/Eye.exr"
    depth = pixels.read(tmp_path / "c" / "depths" / "Eye.exr")
    normals = pixels.read(tmp_path / "c" / "normals" / "Eye.exr")
    inside = pixels.read(tmp_path / "c" / "images" / "Eye.png")[..., 3] == 1
    assert inside.sum() > 50
    assert abs(depth[inside][:, 0] - 2.5).max() < 1e-5, "along the viewing direction, also beside the middle"
    assert abs(normals[inside][:, :3] - (0, -1, 0)).max() < 1e-5
    assert depth[0, 0, 0] > 1e9
