"""Splats in the coordinates of a country: in 32 bits they would lie half a meter apart, in the scene they do not."""

import bpy
import numpy as np
import pytest
from mathutils import Matrix

PLACE = np.array([448251.37, 5411932.21, 203.4])
COUNT = 300


@pytest.fixture
def ply(extension):
    return extension.module("splat_addon.gaussians.formats.splat_ply")


@pytest.fixture
def splats(extension):
    return extension.module("splat_addon.scene.splats.data")


def cloud_near_origin(extension, seed=0):
    random = np.random.default_rng(seed)
    return extension.module("splat_addon.gaussians.cloud").GaussianCloud(
        means=random.normal(0, 0.5, (COUNT, 3)),
        log_scales=random.normal(-4, 0.5, (COUNT, 3)),
        quaternions=random.normal(size=(COUNT, 4)),
        logit_opacities=random.normal(0, 3, COUNT),
        sh=random.normal(size=(COUNT, 1, 3)),
    )


def true_places(cloud) -> np.ndarray:
    return cloud.means.astype(np.float64) + PLACE


def places_in(ply, path) -> np.ndarray:
    vertices = ply.read_vertices(path)
    assert vertices.dtype["x"] == np.float64
    return np.stack([vertices[name] for name in "xyz"], axis=1)


def import_file(path, **options):
    assert bpy.ops.splat.import_ply(filepath=str(path), **options) == {"FINISHED"}
    return bpy.context.view_layer.objects.active


TURNS = {
    "STORED": np.eye(3),
    "Y_DOWN": np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]]),
    "Y_UP": np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]),
}


@pytest.mark.parametrize("axes", TURNS)
def test_places_are_kept_on_import_and_given_back_on_export(extension, ply, splats, tmp_path, axes):
    cloud = cloud_near_origin(extension)
    ply.write_splats(tmp_path / "in.ply", cloud, PLACE)
    item = import_file(tmp_path / "in.ply", axes=axes)
    origin = np.array(splats.origin_of(item))
    assert np.array_equal(np.float32(origin), origin) and np.abs(origin - PLACE).max() < 64
    assert np.array_equal(np.array(item.location), TURNS[axes] @ origin), "to the last bit"
    assert np.abs(splats.splats_from_object(item).means + origin - true_places(cloud)).max() < 5e-6
    bpy.ops.splat.export_ply(filepath=str(tmp_path / "out.ply"))
    assert np.abs(places_in(ply, tmp_path / "out.ply") - true_places(cloud)).max() < 5e-6
    item.location = (0, 0, 0)  # to work there
    bpy.context.view_layer.update()
    bpy.ops.splat.export_ply(filepath=str(tmp_path / "near.ply"))
    assert ply.read_vertices(tmp_path / "near.ply").dtype["x"] == np.float32, "the artist has moved them"
    bpy.ops.splat.export_ply(filepath=str(tmp_path / "out.ply"), space="OBJECT")
    assert np.abs(places_in(ply, tmp_path / "out.ply") - true_places(cloud)).max() < 5e-6
    again = import_file(tmp_path / "out.ply", axes=axes)
    assert np.array_equal(splats.splats_from_object(again).means, splats.splats_from_object(item).means)


def test_what_the_artist_has_moved_is_moved_in_the_file(extension, ply, tmp_path):
    cloud = cloud_near_origin(extension)
    ply.write_splats(tmp_path / "in.ply", cloud, PLACE)
    item = import_file(tmp_path / "in.ply", axes="Y_DOWN")
    item.location.z += 64  # up, which is -y in the file
    bpy.context.view_layer.update()
    bpy.ops.splat.export_ply(filepath=str(tmp_path / "out.ply"))
    assert np.abs(places_in(ply, tmp_path / "out.ply") - true_places(cloud) - [0, -64, 0]).max() < 5e-6


def test_formats_that_have_no_room_for_that_say_so(extension, ply, tmp_path, capfd):
    ply.write_splats(tmp_path / "in.ply", cloud_near_origin(extension), PLACE)
    import_file(tmp_path / "in.ply")
    bpy.ops.splat.export_ply(filepath=str(tmp_path / "out.glb"))
    assert "rounds positions to 0.5: a PLY keeps them" in capfd.readouterr().out


@pytest.mark.parametrize("shift", [(0, 0, 0), (5, -3, 2)])
def test_doubles_near_the_origin_are_as_any_file(extension, ply, splats, tmp_path, shift):
    ply.write_splats(tmp_path / "in.ply", cloud_near_origin(extension), shift)
    item = import_file(tmp_path / "in.ply")
    assert splats.origin_of(item) is None and item.matrix_basis == Matrix.Identity(4)


def test_a_run_s_result_lies_where_it_was_trained(extension, ply, splats, tmp_path):
    """Also when a later save counts from elsewhere, and its views are looked at from there."""
    folders = extension.module("splat_addon.run.folder")
    config = extension.module("splat_addon.run.config").TrainConfig(capture=str(tmp_path))
    run_object = extension.module("splat_addon.scene.runs.run_object")
    run, scene = folders.RunFolder.create(tmp_path / "run", config), bpy.context.scene
    cloud = cloud_near_origin(extension)
    for shift in (np.zeros(3), np.array([5000.0, 0.0, 0.0])):
        ply.write_splats(run.splats_file, cloud, PLACE + shift)
        item = run_object.bring_in(scene, bpy.context.view_layer, run).item
        origin = np.array(splats.origin_of(item))
        places = splats.splats_from_object(item).means + np.array(item.location, dtype=np.float64)
        assert np.abs(places - true_places(cloud) - shift).max() < 5e-6 and np.array_equal(item.location, origin)
        assert run_object.world_from_run(scene, run) == Matrix.Identity(4)
    near = run_object.put(scene, run, cloud)
    assert near.location.length == 0 and splats.origin_of(near) is None


def test_a_preview_lies_where_the_result_will(extension, ply, tmp_path):
    preview = extension.module("splat_addon.scene.tasks.preview")
    texels = extension.module("splat_addon.scene.viewport.texels")
    folders = extension.module("splat_addon.run.folder")
    config = extension.module("splat_addon.run.config").TrainConfig(capture=str(tmp_path))
    run_object = extension.module("splat_addon.scene.runs.run_object")
    folder, scene = folders.RunFolder.create(tmp_path / "run", config), bpy.context.scene
    cloud = cloud_near_origin(extension)
    ply.write_splats(folder.splats_file, cloud, PLACE)
    item = run_object.bring_in(scene, bpy.context.view_layer, folder).item

    class Run:
        pass

    run = Run()
    run.folder = folder
    origin = ply.SplatPly(folder.splats_file).origin()
    read = ply.read_splats(folder.splats_file, origin)
    shown = preview.RunPreview(run, texels.CloudSplats(read), origin)
    shown.refresh(scene)
    assert np.array_equal(shown.place, np.array(item.matrix_world)) and shown.replaces(item)
    assert np.abs(read.means + shown.place[:3, 3] - true_places(cloud)).max() < 5e-6
