"""Seeds in Blender: from point clouds, into captures, shown as splats; the same as the trainer's."""

import json
import subprocess
from pathlib import Path

import bpy
import numpy as np
import pytest
from mathutils import Matrix

from support.scenes import ball_color, write_ball_capture_files

ROOT = Path(__file__).resolve().parents[2]


def encoded(linear):
    return 1.055 * np.asarray(linear) ** (1 / 2.4) - 0.055


def vertex_cloud(name="Cloud", count=30, attribute="Col", kind="FLOAT_COLOR") -> bpy.types.Object:
    """A mesh of vertices alone, its colours red by height."""
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(count)
    places = np.random.default_rng(0).random((count, 3)).astype(np.float32)
    mesh.vertices.foreach_set("co", places.ravel())
    if attribute:
        entry = mesh.attributes.new(attribute, kind, "POINT")
        colors = np.stack([places[:, 2], 0 * places[:, 2] + 0.2, 0 * places[:, 2] + 0.5, 0 * places[:, 2] + 1], axis=1)
        if kind == "FLOAT_VECTOR":
            entry.data.foreach_set("vector", colors[:, :3].ravel())
        else:
            entry.data.foreach_set("color", colors.ravel())
    item = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(item)
    return item


@pytest.fixture
def clouds(extension):
    return extension.module("splat_addon.scene.seeds.point_clouds")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("Col", "FLOAT_COLOR"), ("Color", "BYTE_COLOR"), ("odd name", "FLOAT_COLOR"), ("rgb", "FLOAT_VECTOR")],
)
def test_vertices_without_faces_are_points_with_colours(clouds, name, kind):
    item = vertex_cloud(attribute=name, kind=kind)
    item.matrix_world = Matrix.Translation((0, 0, 7)) @ Matrix.Scale(2, 4)
    bpy.context.view_layer.update()
    points = clouds.read_points([item])
    heights = (points.positions[:, 2] - 7) / 2
    assert clouds.is_point_cloud(item) and len(points.positions) == 30 and heights.max() < 1
    assert np.abs(points.colors - encoded(np.stack([heights, 0 * heights + 0.2, 0 * heights + 0.5], axis=1)))[
        heights > 0.01
    ].max() < (0.004 if kind != "BYTE_COLOR" else 2 / 255)
    assert points.normals is None


def test_points_without_colour_ask_the_photos_and_normals_turn_with_the_object(clouds):
    item = vertex_cloud(attribute="")
    entry = item.data.attributes.new("normal", "FLOAT_VECTOR", "POINT")
    entry.data.foreach_set("vector", np.tile([0.0, 0.0, 3.0], 30).astype(np.float32))
    item.matrix_world = Matrix.Rotation(np.pi / 2, 4, "X") @ Matrix.Diagonal((1, 2, 3, 1))
    bpy.context.view_layer.update()
    points = clouds.read_points([item, vertex_cloud("Other")])
    assert np.isnan(points.colors[:30]).all() and np.isfinite(points.colors[30:]).all()
    assert np.allclose(points.normals[:30], (0, -1, 0), atol=1e-6) and not points.normals[30:].any()


def test_a_point_cloud_object_is_points(clouds):
    if not hasattr(bpy.types.PointCloud, "bl_rna") or "resize" not in bpy.types.PointCloud.bl_rna.functions:
        pytest.skip("this Blender makes no point clouds from Python")
    data = bpy.data.pointclouds.new("Points")
    data.resize(5)
    data.attributes["position"].data.foreach_set("vector", np.arange(15, dtype=np.float32))
    entry = data.attributes.new("Col", "FLOAT_COLOR", "POINT")
    entry.data.foreach_set("color", np.tile([0.5, 0.1, 0.9, 1], 5).astype(np.float32))
    item = bpy.data.objects.new("Points", data)
    bpy.context.scene.collection.objects.link(item)
    bpy.context.view_layer.update()
    points = clouds.read_points([item])
    assert clouds.is_point_cloud(item) and np.array_equal(points.positions.ravel(), np.arange(15))
    assert np.allclose(points.colors, encoded([0.5, 0.1, 0.9]), atol=1e-4)


def test_splats_and_meshes_with_faces_are_no_points(extension, clouds):
    bpy.ops.mesh.primitive_cube_add()
    assert not clouds.is_point_cloud(bpy.context.active_object)
    bpy.ops.splat.show_seeds()
    assert not clouds.is_point_cloud(bpy.context.active_object)
    with pytest.raises(extension.module("splat_addon.errors").CaptureError, match="the selection has no points"):
        clouds.read_points([])


# --- Show Seeds, Sample Seeds -----------------------------------------------------------------------------------------


def save_png(path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = pixels.shape[:2]
    image = bpy.data.images.new(path.stem, width, height, alpha=True)
    image.alpha_mode = "STRAIGHT"
    image.pixels.foreach_set((pixels[::-1] / 255).astype(np.float32).ravel())
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)


@pytest.fixture
def ball_capture(tmp_path):
    """Photos of a ball with transparency around it; `own`: as if a scene had been captured."""

    def make(points: str = "plain", own: bool = False) -> Path:
        return write_ball_capture_files(tmp_path / "capture", save_png, points, own)

    return make


def choose(folder, source: str, **training) -> None:
    splat = bpy.context.scene.splat
    splat.capture.folder, splat.capture.seed_source = str(folder), source
    for name, value in training.items():
        setattr(splat.training, name, value)


def shown(extension):
    seeds, splats = (extension.module(f"splat_addon.scene.{name}") for name in ("seeds.showing", "splats.data"))
    return splats.splats_from_object(seeds.shown_seeds(bpy.context.scene))


TRAINERS_FIRST_CLOUD = """
import sys
from pathlib import Path
from splat_addon.capture.capture import open_capture
from splat_addon.gaussians.formats.splat_ply import write_splats
from splat_addon.run.config import TrainConfig
from splat_addon.trainer.seeds import first_cloud

config = TrainConfig.read(Path(sys.argv[1]))
cloud, _ = first_cloud(open_capture(Path(config.capture), config.hold_out_every), config)
write_splats(Path(sys.argv[2]), cloud)
"""


def trainers_cloud(extension, trainer_python, folder: Path):
    config = extension.module("splat_addon.scene.settings.training").train_config(bpy.context.scene)
    config.write(folder / "config.json")
    command = [str(trainer_python), "-c", TRAINERS_FIRST_CLOUD, str(folder / "config.json"), str(folder / "first.ply")]
    subprocess.run(command, check=True, cwd=ROOT, timeout=300)
    return extension.module("splat_addon.gaussians.formats.splat_ply").read_splats(folder / "first.ply")


@pytest.mark.parametrize("case", ["points", "points without colour", "few splats", "random", "nothing", "sky"])
def test_seeds_are_shown_as_the_trainer_makes_them(extension, ball_capture, trainer_python, tmp_path, case):
    folder = ball_capture({"points without colour": "colourless", "nothing": ""}.get(case, "plain"))
    choose(folder, "RANDOM" if case == "random" else "CAPTURE")
    training = bpy.context.scene.splat.training
    training.seed_count = {"few splats": 70, "random": 500, "nothing": 400}.get(case, 0)
    training.sky_seeds = "ON" if case == "sky" else "AUTO"
    assert bpy.ops.splat.show_seeds() == {"FINISHED"}
    here, there = shown(extension), trainers_cloud(extension, trainer_python, tmp_path)
    assert len(here) == len(there) == {"few splats": 70, "random": 500, "nothing": 400}.get(case, 300)
    for name in ("means", "scales", "rotations", "opacities"):
        assert np.abs(getattr(here, name) - getattr(there, name)).max() <= 1e-6, name
    assert np.abs(here.sh[:, 0] - there.sh[:, 0]).max() <= 1e-6 and not there.sh[:, 1:].any()
    if case == "points without colour":
        truth = ball_color(here.means / 0.8)
        seen = here.means[:, 2] > 0
        error = np.abs(0.5 + 0.28209479 * here.sh[:, 0] - truth)[seen]
        assert np.median(error) < 0.05, "the photos gave the colours"


def test_seeds_in_the_coordinates_of_a_country_are_shown_where_they_are(extension, ball_capture):
    folder, place = ball_capture("plain"), np.array([448251.37, 5411932.21, 203.4])
    listing = json.loads((folder / "transforms.json").read_text())
    for frame in listing["frames"]:
        for row in range(3):
            frame["transform_matrix"][row][3] += place[row]
    (folder / "transforms.json").write_text(json.dumps(listing))
    splat_ply = extension.module("splat_addon.gaussians.formats.splat_ply")
    positions, colors, normals = splat_ply.read_points(folder / "points3d.ply")
    splat_ply.write_points(folder / "points3d.ply", positions.astype(np.float64) + place, colors, normals)
    choose(folder, "CAPTURE")
    assert bpy.ops.splat.show_seeds() == {"FINISHED"}
    item = bpy.data.objects["Seeds"]
    places = shown(extension).means + np.array(item.location, dtype=np.float64)
    nearest = np.linalg.norm(places[:, None] - (positions + place)[None], axis=2).min(axis=1)
    assert len(places) == len(positions) and nearest.max() < 5e-6


def test_seeds_can_be_looked_at_before_any_capture(extension):
    bpy.ops.mesh.primitive_uv_sphere_add()
    bpy.context.scene.splat.capture.seed_count = 700
    assert bpy.ops.splat.show_seeds() == {"FINISHED"}
    cloud = shown(extension)
    assert len(cloud) == 700 and np.abs(np.linalg.norm(cloud.means, axis=1) - 1).max() < 0.03
    assert np.allclose(cloud.opacities, 0.5) and np.allclose(cloud.scales[:, 2] / cloud.scales[:, 0], 0.1)
    assert bpy.context.active_object.name == "Seeds" and not bpy.context.selected_objects
    bpy.context.scene.splat.training.max_gaussians = 90
    bpy.ops.splat.show_seeds()
    assert len(shown(extension)) == 90, "Max Splats holds"
    assert len([item for item in bpy.context.scene.objects if item.get("splat_seeds")]) == 1


def test_sampled_seeds_replace_those_of_a_captured_scene(extension, ball_capture):
    folder = ball_capture(own=True)
    bpy.ops.mesh.primitive_cube_add(size=0.5)
    choose(folder, "SURFACES")
    bpy.context.scene.splat.capture.seed_count = 60
    assert bpy.ops.splat.sample_seeds() == {"FINISHED"}
    positions, _, normals = extension.module("splat_addon.gaussians.formats.splat_ply").read_points(
        folder / "points3d.ply"
    )
    assert len(positions) == 60 and np.allclose(np.abs(positions).max(axis=1), 0.25, atol=1e-6)
    assert normals is not None and not (folder / "seeds.ply").exists()


def test_photo_captures_keep_their_points_and_can_go_back_to_them(extension, ball_capture):
    folder = ball_capture()
    before = (folder / "points3d.ply").read_bytes()
    root = bpy.data.objects.new("Root", None)
    root["splat_capture"] = str(folder)
    root.matrix_world = Matrix.Translation((1, 2, 3)) @ Matrix.Rotation(np.pi / 2, 4, "X") @ Matrix.Scale(2, 4)
    bpy.context.scene.collection.objects.link(root)
    item = vertex_cloud(count=50)
    bpy.context.view_layer.update()
    choose(folder, "POINT_CLOUDS")
    bpy.ops.splat.show_seeds()
    assert len(shown(extension)) == 300
    assert bpy.ops.splat.sample_seeds() == {"FINISHED"}
    assert (folder / "points3d.ply").read_bytes() == before
    seeds = extension.module("splat_addon.scene.seeds.showing")
    cloud, shown_item = shown(extension), seeds.shown_seeds(bpy.context.scene)
    assert len(cloud) == 50, "what is shown follows"
    bpy.context.view_layer.update()
    world = cloud.means @ np.array(shown_item.matrix_world)[:3, :3].T + np.array(shown_item.matrix_world)[:3, 3]
    assert np.allclose(world, [tuple(vertex.co) for vertex in item.data.vertices], atol=1e-5), "at their place"
    bpy.context.scene.splat.capture.seed_source = "CAPTURE"
    assert bpy.ops.splat.sample_seeds() == {"FINISHED"}
    assert not (folder / "seeds.ply").exists() and len(shown(extension)) == 300


def test_greyed_buttons_say_why(ball_capture, tmp_path):
    def why(operator) -> str:
        with pytest.raises(RuntimeError) as error:
            operator()
        return str(error.value)

    choose(tmp_path / "nowhere", "SURFACES")
    assert "Capture the scene first" in why(bpy.ops.splat.sample_seeds)
    assert "Select mesh objects" in why(bpy.ops.splat.show_seeds)
    choose(tmp_path / "nowhere", "RANDOM")
    assert "Random seeds are drawn when training starts" in why(bpy.ops.splat.sample_seeds)
    assert "these seeds depend on its cameras" in why(bpy.ops.splat.show_seeds)
    choose(ball_capture(), "POINT_CLOUDS")
    assert "Select a point cloud" in why(bpy.ops.splat.sample_seeds)
    choose(tmp_path / "capture", "CAPTURE")
    assert "already starts from the capture's own points" in why(bpy.ops.splat.sample_seeds)
    choose(tmp_path / "capture", "CAPTURE", init_splats=str(tmp_path / "a.ply"))
    assert "Clear Init Splats to use seeds" in why(bpy.ops.splat.show_seeds)


@pytest.mark.parametrize(("source", "seeds"), [("SURFACES", "points"), ("CAPTURE", "points"), ("RANDOM", "random")])
def test_the_choice_reaches_the_run_and_comes_back(extension, tmp_path, source, seeds):
    settings = extension.module("splat_addon.scene.settings.training")
    choose(tmp_path, source)
    config = settings.train_config(bpy.context.scene)
    assert config.seeds == seeds
    bpy.context.scene.splat.capture.seed_source = "SURFACES"
    settings.apply_train_config(bpy.context.scene, config)
    assert settings.train_config(bpy.context.scene) == config
    assert json.loads(json.dumps(config.seeds)) == seeds


def test_a_scene_is_captured_with_the_chosen_kind_of_points(extension, tmp_path):
    bpy.ops.mesh.primitive_cube_add(size=1)
    cube = bpy.context.active_object
    vertex_cloud(count=40)
    cube.select_set(True)
    chosen = bpy.context.scene.splat.capture
    chosen.folder, chosen.seed_source = str(tmp_path / "c"), "POINT_CLOUDS"
    chosen.camera_count, chosen.width, chosen.height, chosen.samples = 2, 16, 12, 1
    chosen.engine = "CYCLES"
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    assert (
        len(extension.module("splat_addon.gaussians.formats.splat_ply").read_points(tmp_path / "c" / "points3d.ply")[0])
        == 40
    )


@pytest.mark.parametrize(
    ("stored", "shown_now", "trained"), [(1, "ON", "on"), (0, "OFF", "off"), (None, "AUTO", "auto")]
)
def test_sky_seeds_of_earlier_files_keep_their_meaning(extension, stored, shown_now, trained):
    """Blender has kept the switch as a number: 1 and 0, or none where nobody had touched it."""
    group = bpy.context.scene.splat.training
    raw = group.bl_system_properties_get(do_create=True) if hasattr(group, "bl_system_properties_get") else group
    if stored is not None:
        raw["sky_seeds"] = stored
    assert group.sky_seeds == shown_now
    assert extension.module("splat_addon.scene.settings.training").chosen_config(group).sky_seeds == trained
