"""Capturing a scene through its operator: what is written, what is refused, what the artist gets back."""

import json
import sys

import bpy
import numpy as np
import pytest
from mathutils import Matrix

from support import pixels
from support.cube_scene import prepare, select


def settings_of(scene: bpy.types.Scene) -> dict:
    """Everything of the artist's that a capture may touch."""
    found = {}
    for name, owner in (
        ("render", scene.render),
        ("image", scene.render.image_settings),
        ("view", scene.view_settings),
        ("display", scene.display_settings),
        ("cycles", scene.cycles),
    ):
        for spec in owner.bl_rna.properties:
            if spec.type in {"BOOLEAN", "INT", "FLOAT", "STRING", "ENUM"} and not spec.is_readonly:
                value = getattr(owner, spec.identifier)
                found[f"{name}.{spec.identifier}"] = tuple(value) if hasattr(value, "__len__") and not isinstance(
                    value, str | set
                ) else value  # fmt: skip
    return {**found, "camera": scene.camera, "frame": scene.frame_current}


def make_unusual(scene: bpy.types.Scene) -> dict:
    """Settings that a careless capture would change; returns them all."""
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.render.filepath = "//somewhere/else"
    scene.render.resolution_percentage = 37
    scene.render.dither_intensity = 1.0
    scene.view_settings.exposure = 1.5
    scene.view_settings.gamma = 1.2
    scene.render.image_settings.file_format = "OPEN_EXR"
    scene.render.image_settings.color_depth = "32"
    scene.frame_set(17)
    return settings_of(scene)


def test_a_dome_capture_is_a_folder_that_trainers_read(extension, tmp_path):
    prepare(tmp_path / "c")
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    capture = extension.module("splat_addon.capture.capture").open_capture(tmp_path / "c")
    assert [view.name for view in capture.views] == ["Splat_000", "Splat_001", "Splat_002"]
    assert [view.is_held_out for view in capture.views] == [True, False, False]
    assert capture.points.positions.shape == (50, 3) and capture.points.normals is not None
    assert np.abs(np.abs(capture.points.positions).max(axis=1) - 0.5).max() < 1e-6, "points lie on the cube"
    for view in capture.views:
        image = pixels.read(view.image_path)
        assert image.shape == (24, 32, 4)
        inside, outside = image[12, 16], image[0, 0]
        assert inside[3] > 0.99 and outside[3] == 0, "the film is transparent around the cube"
        assert 0.05 < inside[:3].max() < 1
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == ["images", "points3d.ply", "transforms.json"]


def test_the_artists_settings_are_not_touched(tmp_path):
    scene = prepare(tmp_path / "c")
    before = make_unusual(scene)
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    assert settings_of(scene) == before
    assert not bpy.data.filepath, "the open file keeps its name"


def test_other_files_in_the_folder_are_left_alone(tmp_path):
    prepare(tmp_path / "c")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "notes.txt").write_text("mine")
    bpy.ops.splat.capture_scene()
    assert (tmp_path / "c" / "notes.txt").read_text() == "mine"


def test_images_are_the_srgb_encoding_of_the_standard_view(tmp_path):
    """An emission of 0.2 under AgX, exposure and dither is written as the sRGB encoding of 0.2."""
    scene = prepare(tmp_path / "c")
    scene.view_settings.view_transform = "AgX"
    scene.view_settings.exposure = 2.0
    material = bpy.data.materials.new("Flat")
    if material.node_tree is None:
        material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    emission, output = tree.nodes.new("ShaderNodeEmission"), tree.nodes.new("ShaderNodeOutputMaterial")
    emission.inputs["Color"].default_value = (0.2, 0.02, 0.9, 1)
    tree.links.new(emission.outputs[0], output.inputs[0])
    bpy.data.objects["Cube"].data.materials.append(material)
    bpy.ops.splat.capture_scene()
    pixel = pixels.read(tmp_path / "c" / "images" / "Splat_000.png")[12, 16, :3]
    linear = np.array([0.2, 0.02, 0.9])
    assert np.abs(pixel - (1.055 * linear ** (1 / 2.4) - 0.055)).max() <= 1.01 / 255


def test_splats_in_the_scene_are_not_photographed(extension, tmp_path):
    scene = prepare(tmp_path / "c")
    splats, appearance = (
        extension.module(f"splat_addon.scene.{name}") for name in ("splats.data", "splats.appearance")
    )
    cloud_module = extension.module("splat_addon.gaussians.cloud")
    cloud = cloud_module.GaussianCloud(
        np.zeros((1, 3)), np.full((1, 3), 2.0), np.array([[1.0, 0, 0, 0]]), np.array([9.0]), np.ones((1, 1, 3))
    )
    item = splats.splats_to_object(cloud, "Fog", scene.collection)
    appearance.show_splats(item, scene)
    select(bpy.data.objects["Cube"])
    bpy.ops.splat.capture_scene()
    assert pixels.read(tmp_path / "c" / "images" / "Splat_000.png")[0, 0, 3] == 0
    assert not item.hide_render


def test_selected_cameras_are_used_as_they_are(extension, tmp_path):
    scene = prepare(tmp_path / "c", source="SELECTED")
    cameras = []
    for index in range(2):
        item = bpy.data.objects.new(f"Mine.{index:03d}", bpy.data.cameras.new("Mine"))
        item.matrix_world = Matrix.Translation((0, -4 - index, 0)) @ Matrix.Rotation(np.pi / 2, 4, "X")
        item.data.dof.use_dof = True
        scene.collection.objects.link(item)
        cameras.append(item)
    select(bpy.data.objects["Cube"], *cameras)
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    capture = extension.module("splat_addon.capture.capture").open_capture(tmp_path / "c")
    assert [view.name for view in capture.views] == ["Mine_000", "Mine_001"]
    assert np.allclose(capture.views[1].camera.position, (0, -5, 0), atol=1e-6)
    assert all(item.data.dof.use_dof for item in cameras), "depth of field is given back"


def test_a_panoramic_camera_is_refused_before_anything_is_rendered(tmp_path):
    scene = prepare(tmp_path / "c", source="SELECTED")
    item = bpy.data.objects.new("Dome Master", bpy.data.cameras.new("Pano"))
    item.data.type = "PANO"
    scene.collection.objects.link(item)
    select(bpy.data.objects["Cube"], item)
    before = settings_of(scene)
    with pytest.raises(RuntimeError, match="The camera 'Dome Master' is panoramic"):
        bpy.ops.splat.capture_scene()
    assert settings_of(scene) == before
    assert not (tmp_path / "c" / "transforms.json").exists()


def test_photos_that_were_not_rendered_here_are_never_replaced(tmp_path):
    (tmp_path / "c" / "images").mkdir(parents=True)
    (tmp_path / "c" / "images" / "DSC_0001.JPG").write_bytes(b"mine")
    prepare(tmp_path / "c")
    with pytest.raises(RuntimeError, match=r"already holds images .*Choose an empty folder; nothing was changed"):
        bpy.ops.splat.capture_scene()
    assert (tmp_path / "c" / "images" / "DSC_0001.JPG").read_bytes() == b"mine"
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["images"]


@pytest.mark.parametrize("depth", [False, True], ids=["images", "and depths"])
def test_a_folder_with_braces_in_its_name_can_be_captured_into(tmp_path, depth):
    """Newer Blenders fill in what stands between braces."""
    folder = tmp_path / "{vase} {{2}"
    prepare(folder, depth=depth, width=16, height=12)
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    assert len(list((folder / "images").glob("*.png"))) == 3
    assert len(list(folder.glob("depths/*.exr"))) == (3 if depth else 0)


def test_cameras_whose_names_differ_in_signs_alone_get_files_of_their_own(extension, tmp_path):
    scene = prepare(tmp_path / "c", source="SELECTED")
    cameras = []
    for name in ("Cam.001", "Cam_001", "Cam 001"):
        item = bpy.data.objects.new(name, bpy.data.cameras.new(name))
        item.matrix_world = Matrix.Translation((0, -4 - len(cameras), 0)) @ Matrix.Rotation(np.pi / 2, 4, "X")
        scene.collection.objects.link(item)
        cameras.append(item)
    select(bpy.data.objects["Cube"], *cameras)
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    views = extension.module("splat_addon.capture.capture").open_capture(tmp_path / "c").views
    assert len({view.image_path for view in views}) == 3
    assert sorted(round(view.camera.position[1]) for view in views) == [-6, -5, -4]


def test_a_capture_of_nothing_is_refused(tmp_path):
    prepare(tmp_path / "c")
    bpy.data.objects["Cube"].scale = (1e-7, 1e-7, 1e-7)
    with pytest.raises(RuntimeError, match="Nothing of the scene is visible in these views"):
        bpy.ops.splat.capture_scene()
    assert not (tmp_path / "c" / "transforms.json").exists()


def test_objects_that_are_not_rendered_are_not_sampled(tmp_path):
    prepare(tmp_path / "c")
    bpy.data.objects["Cube"].hide_render = True
    with pytest.raises(RuntimeError, match="No mesh object of the selection is rendered"):
        bpy.ops.splat.capture_scene()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda: select(), "Select the mesh objects that the dome is built around"),
        (lambda: setattr(bpy.context.scene.splat.capture, "folder", ""), "Choose a capture folder first"),
        (lambda: setattr(bpy.context.scene.splat.capture, "source", "SELECTED"), "Select the cameras"),
    ],
)
def test_a_greyed_button_says_why(tmp_path, change, sentence):
    prepare(tmp_path / "c")
    change()
    with pytest.raises(RuntimeError, match=sentence):
        bpy.ops.splat.capture_scene()


def test_an_unwritable_folder_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    prepare(tmp_path / "file" / "c")
    with pytest.raises(RuntimeError, match=r"cannot be written .*Choose a folder that can be written"):
        bpy.ops.splat.capture_scene()


def test_a_selection_without_faces_is_said(tmp_path):
    prepare(tmp_path / "c")
    empty = bpy.data.objects.new("Nothing", bpy.data.meshes.new("Nothing"))
    bpy.context.scene.collection.objects.link(empty)
    select(empty)
    with pytest.raises(RuntimeError, match="'Nothing' has no surface to sample"):
        bpy.ops.splat.capture_scene()


def test_transforms_json_has_what_other_trainers_read(tmp_path):
    prepare(tmp_path / "c")
    bpy.ops.splat.capture_scene()
    document = json.loads((tmp_path / "c" / "transforms.json").read_text())
    assert (document["w"], document["h"], document["camera_model"]) == (32, 24, "OPENCV")
    assert document["val_filenames"] == ["images/Splat_000.png"]
    assert document["ply_file_path"] == "points3d.ply" and document["view_transform"] == "Standard"


def test_a_blender_without_denoiser_renders_without_and_says_so(extension, empty_file):
    """Cycles refuses to render with a denoiser that it was built without, as some Linux distributions' is."""
    settings, scene = extension.module("splat_addon.scene.rendering.image_settings"), bpy.context.scene
    assert settings.has_denoiser(), "the builds that tests run in have one"
    scene.render.engine, scene.cycles.use_denoising = "CYCLES", True
    assert settings.without_missing_denoiser(scene, True) == [] and scene.cycles.use_denoising
    (note,) = settings.without_missing_denoiser(scene, False)
    assert not scene.cycles.use_denoising and "Denoising was switched off" in note
    assert settings.without_missing_denoiser(scene, False) == [], "it is off already"


@pytest.mark.skipif(sys.platform == "win32", reason="making links needs a permission there")
@pytest.mark.parametrize(
    "name", ["", "images", "depths", "old", "painted", "passes.partial", "scene.blend", "plan.json"]
)
def test_nothing_is_written_or_removed_where_a_link_in_the_work_folder_leads(tmp_path, name):
    """A shared project may have `.rendering/images` lead to somebody's own photos."""
    prepare(tmp_path / "c", depth=True)
    (tmp_path / "home").mkdir()
    for file in ("photo.jpg", "thesis.docx"):
        (tmp_path / "home" / file).write_text("precious")
    place = tmp_path / "c" / ".rendering" / name
    place.parent.mkdir(parents=True)
    target = tmp_path / "home" / "thesis.docx" if "." in name and name != "passes.partial" else tmp_path / "home"
    place.symlink_to(target)
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    assert {file.name: file.read_text() for file in (tmp_path / "home").iterdir()} == {
        "photo.jpg": "precious", "thesis.docx": "precious",
    }  # fmt: skip
    assert len(list((tmp_path / "c" / "images").iterdir())) == 3
