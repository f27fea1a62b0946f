"""The first steps of somebody who has read nothing: the sample scene in the default file, and choosing folders."""

from pathlib import Path

import bpy
import numpy as np
import pytest

from support import pixels
from support.cube_scene import add_camera, add_cube, prepare, select


@pytest.fixture
def default_file():
    """The scene that Blender starts with: cube, camera, light."""
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    return bpy.context.scene


def small(scene, folder: Path) -> None:
    """Capture settings that take a second."""
    chosen = scene.splat.capture
    chosen.folder, chosen.engine, chosen.camera_count, chosen.seed_count = str(folder), "CYCLES", 3, 100
    chosen.width, chosen.height, chosen.samples, chosen.use_denoising = 48, 36, 2, False


def test_the_sample_scene_is_not_hidden_in_the_default_cube(default_file, tmp_path, capfd):
    cube = bpy.data.objects["Cube"]
    bpy.ops.splat.add_sample_scene()
    assert "'Cube' in the same place is hidden, also in renders" in "".join(capfd.readouterr())
    assert cube.hide_render and not cube.visible_get()
    assert not any(item.hide_render for item in bpy.context.selected_objects) and len(bpy.context.selected_objects) == 6
    small(default_file, tmp_path / "c")
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    for file in sorted((tmp_path / "c/images").iterdir()):
        image = pixels.read(file)
        assert 0.15 < (image[..., 3] > 0.5).mean() < 0.6, "the cube would fill the picture"
        assert np.ptp(image[image[..., 3] > 0.99][:, :3], axis=0).min() > 0.2, "it is in color"


def test_the_sample_scene_is_framed_and_asks_for_few_small_views(default_file):
    areas = [area for area in bpy.context.window.screen.areas if area.type == "VIEW_3D"]
    view = max(areas, key=lambda area: area.width * area.height).spaces.active.region_3d
    far = view.view_distance
    bpy.ops.splat.add_sample_scene()
    chosen = default_file.splat.capture
    assert (chosen.camera_count, chosen.width, chosen.height) == (24, 400, 300)
    assert view.view_distance < far / 2, "it is a few decimeters wide"
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    chosen = bpy.context.scene.splat.capture
    chosen.camera_count, chosen.width = 48, 640
    bpy.ops.splat.add_sample_scene()
    assert (chosen.camera_count, chosen.width, chosen.height) == (48, 640, 300), "what was chosen stays"


def test_what_stands_aside_stays_visible_and_what_is_only_rendered_is_hidden_too(default_file):
    cube = bpy.data.objects["Cube"]
    cube.location.x = 3.0
    low = add_cube(0.5)
    low.hide_set(True)
    bpy.context.view_layer.update()
    bpy.ops.splat.add_sample_scene()
    assert cube.visible_get() and not cube.hide_render
    assert low.hide_render, "renders would show what the viewport hides"


def test_a_mesh_around_the_targets_is_told(tmp_path, capfd):
    prepare(tmp_path / "c")
    select(add_cube(0.4))
    bpy.ops.splat.capture_scene()
    said = "".join(capfd.readouterr())
    assert "'Cube' encloses what is captured: 3 of 3 cameras stand outside. Disable it in renders" in said


@pytest.mark.parametrize("is_eye_closed", [False, True])
def test_a_mesh_around_cameras_is_told(tmp_path, capfd, is_eye_closed):
    scene = prepare(tmp_path / "c", source="ALL")
    targets = [bpy.data.objects["Cube"]]
    for name, distance in (("a", 4.0), ("b", 6.0)):
        add_camera(name, distance)
    wall = add_cube(1.0)
    wall.name, wall.location = "Wall", (0, -4, 0)
    bpy.context.view_layer.update()
    select(*targets)
    wall.hide_set(is_eye_closed)
    bpy.ops.splat.capture_scene()
    said = "".join(capfd.readouterr())
    assert "'Wall' encloses cameras, but not what is captured: 1 of 2 cameras stand inside." in said
    wall.hide_render = True
    bpy.ops.splat.capture_scene()
    assert "encloses" not in "".join(capfd.readouterr()) and scene.splat.capture.source == "ALL"


@pytest.mark.parametrize("what", ["room", "fog", "ground", "bowl"])
def test_what_hides_nothing_is_not_told(tmp_path, capfd, what):
    prepare(tmp_path / "c", source="ALL")
    add_camera("a")
    if what == "ground":
        bpy.ops.mesh.primitive_plane_add(size=50, location=(0, 0, -0.5))
    else:
        around = add_cube(20.0 if what == "room" else 2.0)
        if what == "bowl":  # open above and below
            mesh = around.data
            corners = [tuple(vertex.co) for vertex in mesh.vertices]
            sides = [tuple(face.vertices) for face in mesh.polygons if abs(face.normal.z) < 0.5]
            mesh.clear_geometry()
            mesh.from_pydata(corners, [], sides[:2])
        if what == "fog":
            material = bpy.data.materials.new("Fog")
            if material.node_tree is None:
                material.use_nodes = True
            nodes, links = material.node_tree.nodes, material.node_tree.links
            nodes.clear()
            fog, output = nodes.new("ShaderNodeVolumeScatter"), nodes.new("ShaderNodeOutputMaterial")
            links.new(fog.outputs[0], output.inputs["Volume"])
            around.data.materials.append(material)
    bpy.context.view_layer.update()
    select(bpy.data.objects["Cube"])
    bpy.ops.splat.capture_scene()
    assert "encloses" not in "".join(capfd.readouterr())


@pytest.fixture
def colmap_capture(extension):
    """Writes a COLMAP capture of two photos into a folder."""
    camera = extension.module("splat_addon.capture.camera").Camera
    model = extension.module("splat_addon.capture.formats.colmap.model").ColmapModel
    write = extension.module("splat_addon.capture.formats.colmap").write_model

    def make(folder: Path) -> Path:
        cameras = {}
        for index in range(2):
            pose = np.eye(4)
            pose[:3, 3] = (0.3 * index, 0, 3)
            cameras[f"{index}.png"] = camera(32, 24, 30.0, 30.0, 16.0, 12.0, pose)
            image = bpy.data.images.new("photo", 32, 24)
            image.filepath_raw, image.file_format = str(folder / "images" / f"{index}.png"), "PNG"
            (folder / "images").mkdir(parents=True, exist_ok=True)
            image.save()
            bpy.data.images.remove(image)
        (folder / "sparse/0").mkdir(parents=True)
        positions = np.random.default_rng(0).normal(size=(20, 3))
        write(folder / "sparse/0", model(cameras, positions, np.zeros((20, 3)), np.zeros(20)))
        return folder

    return make


def test_the_folder_setting_takes_the_capture_that_is_meant(colmap_capture, tmp_path):
    capture, chosen = colmap_capture(tmp_path / "project/shot"), bpy.context.scene.splat.capture
    for near in (tmp_path / "project", capture / "sparse", capture / "sparse/0", capture / "images", capture):
        chosen.folder = str(near)
        assert Path(chosen.folder) == capture, near
    empty = tmp_path / "new"
    chosen.folder = str(empty)
    assert Path(chosen.folder) == empty


def test_a_capture_of_a_scene_below_the_chosen_folder_is_not_rendered_over(extension, tmp_path):
    scene = prepare(tmp_path / "project/first")
    bpy.ops.splat.capture_scene()
    scene.splat.capture.folder = str(tmp_path / "project")
    assert Path(scene.splat.capture.folder) == tmp_path / "project"
    preflight = extension.module("splat_addon.scene.tasks.preflight")
    preflight.look(scene)
    preflight.wait()
    (problem,) = preflight.look(scene).problems
    assert (
        problem == f"{tmp_path / 'project'} is not the folder of a capture, but {tmp_path / 'project/first'} is. "
        "Choose that one."
    )


def test_opening_a_folder_of_two_captures_names_both(colmap_capture, tmp_path):
    colmap_capture(tmp_path / "a")
    colmap_capture(tmp_path / "b")
    with pytest.raises(RuntimeError, match=r"holds 2 captures: a, b\. Choose the one you mean."):
        bpy.ops.splat.open_photo_capture(directory=str(tmp_path))
    assert not bpy.data.objects


def test_closing_one_of_two_captures_leaves_the_folder_on_the_open_one(colmap_capture, tmp_path, capfd):
    chosen = bpy.context.scene.splat.capture
    for name in ("a", "b"):
        bpy.ops.splat.open_photo_capture(directory=str(colmap_capture(tmp_path / name)))
    assert Path(chosen.folder) == tmp_path / "b"
    bpy.ops.splat.close_photo_capture()
    assert Path(chosen.folder) == tmp_path / "a" and "'a' is chosen now" in "".join(capfd.readouterr())
    bpy.ops.splat.close_photo_capture()
    assert Path(chosen.folder) == tmp_path / "a", "nothing else is open"
