"""Splats of other trainers in the scene: drawn as they were trained, and given back."""

import os
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest

from support import ewa, splat_renders

DATA = Path(os.environ.get("SPLAT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
CASES = DATA.parent / "cases" / "splats"
needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason="the shared splat files are not on this machine")


@pytest.fixture
def ply(extension):
    return extension.module("splat_addon.gaussians.formats.splat_ply")


@pytest.fixture
def splats(extension):
    return extension.module("splat_addon.scene.splats.data")


@pytest.fixture
def stage(extension, tmp_path):
    splat_renders.use_cycles()
    return splat_renders.Stage(extension, bpy.context.scene, tmp_path)


def import_file(path, **options):
    assert bpy.ops.splat.import_ply(filepath=str(path), **options) == {"FINISHED"}
    return bpy.context.view_layer.objects.active


def small_splats(stage, count=400, **changes):
    """Most are smaller than a pixel of the camera below."""
    random = np.random.default_rng(5)
    values = {"log_scales": random.normal(-5, 1, (count, 3)), "logit_opacities": random.normal(2, 1, count)}
    return replace(stage.random_cloud(count, degree=1, **values), antialiased=True, **changes)


@pytest.mark.parametrize("look", ["BLENDER", "DISPLAY"])
def test_antialiased_splats_look_as_trained(stage, look):
    cloud = small_splats(stage)
    item = stage.add(cloud)
    splat_renders.add_camera(stage.scene, (3, -3, 2), size=(90, 60))
    assert stage.worst(cloud, look) < 0.2
    thick = 255 * np.abs(stage.render(look) - ewa.render(replace(cloud, antialiased=False), stage.camera(), "display"))
    assert thick.max() > 20, "it matters here"
    item.splat.antialiased = False
    assert stage.worst(replace(cloud, antialiased=False), look) < 0.2


def test_antialiased_splats_look_as_trained_through_an_orthographic_camera(stage):
    cloud = small_splats(stage)
    item = stage.add(cloud)
    item.scale = (2, 2, 2)
    camera = splat_renders.add_camera(stage.scene, (6, -6, 4), size=(90, 60))
    view = stage.camera()
    camera.data.type, camera.data.ortho_scale = "ORTHO", 9.0
    in_object = view.camera_from_world @ np.diag([2.0, 2.0, 2.0, 1.0])
    in_object[:3] /= 2
    view = replace(view, camera_from_world=in_object)
    assert stage.worst(cloud, camera=view, orthographic_span_px=90 / 9.0 * 2) < 0.2


def test_both_kinds_of_splats_can_be_in_one_scene(stage):
    """Each object is drawn as its own splats were trained."""
    first, second = small_splats(stage), small_splats(stage)
    second = replace(second, means=second.means + np.float32([0, 0, 40]), antialiased=False)
    stage.add(first)
    stage.add(second)
    splat_renders.add_camera(stage.scene, (3, -3, 2), size=(90, 60))
    assert stage.worst(first) < 0.2, "the second is out of view"


def test_a_run_s_object_follows_what_its_splats_are(extension, stage):
    """`replace_splats` and the look's fitting, as previews and results use them."""
    appearance = extension.module("splat_addon.scene.splats.appearance")
    data = extension.module("splat_addon.scene.splats.data")
    cloud = small_splats(stage)
    item = stage.add(replace(cloud, antialiased=False))
    splat_renders.add_camera(stage.scene, (3, -3, 2), size=(90, 60))
    data.replace_splats(item, cloud)
    appearance.fit_to_splats(item)
    assert item.splat.antialiased and stage.worst(cloud) < 0.2


def test_antialiasing_is_imported_and_exported(stage, ply, splats, tmp_path):
    cloud = small_splats(stage)
    ply.write_splats(tmp_path / "in.ply", cloud)
    item = import_file(tmp_path / "in.ply")
    assert item.splat.antialiased and splats.splats_from_object(item).antialiased
    assert bpy.ops.splat.export_ply(filepath=str(tmp_path / "out.ply")) == {"FINISHED"}
    assert (tmp_path / "out.ply").read_bytes()[:300] == (tmp_path / "in.ply").read_bytes()[:300]
    splat_renders.add_camera(stage.scene, (3, -3, 2), size=(90, 60))
    assert stage.worst(cloud) < 0.2
    item.splat.antialiased = False
    bpy.ops.splat.export_ply(filepath=str(tmp_path / "out.ply"))
    assert not ply.read_splats(tmp_path / "out.ply").antialiased


def test_opacities_are_read_as_they_look_or_as_they_are_told(stage, ply, splats, tmp_path):
    logits = np.linspace(0.05, 0.95, 40)
    ply.write_splats(tmp_path / "in.ply", stage.random_cloud(40, logit_opacities=logits))
    for option, expected in (("AUTO", logits), ("LINEAR", logits), ("LOGIT", 1 / (1 + np.exp(-logits)))):
        item = import_file(tmp_path / "in.ply", opacities=option)
        np.testing.assert_allclose(splats.splats_from_object(item).opacities, expected, atol=1e-6)


def test_columns_that_are_no_part_of_splats_come_back(stage, ply, splats, tmp_path):
    """Of every type, the largest numbers included; also when splats were left out and deleted in between."""
    random, cloud = np.random.default_rng(7), stage.random_cloud(5000, degree=0)
    cloud.means[17] = np.nan
    extras = {
        "score": random.normal(size=5000).astype(np.float32),
        "label": random.integers(0, 256, 5000).astype(np.uint8),
        "seen": random.integers(-(2**15), 2**15, 5000).astype(np.int16),
        "identity": random.integers(2**31, 2**32, 5000).astype(np.uint32),
        "when": random.integers(0, 2**20, 5000).astype(np.float64),
    }
    kinds = {name: values.dtype for name, values in extras.items()}
    whole = replace(cloud, extras=extras)
    blocks = iter([whole.select(slice(0, 4096)), whole.select(slice(4096, None))])
    ply.write_splat_blocks(tmp_path / "in.ply", 5000, 0, blocks, "display", extras=kinds)
    item = import_file(tmp_path / "in.ply")
    assert "ply:score" in item.data.attributes and "ply:when" in item.data.attributes
    splat_renders.delete_points(item, np.arange(4999) < 10)
    bpy.ops.object.mode_set(mode="OBJECT")
    item.data.attributes.new("ply:x", "FLOAT", "POINT")  # a name that is taken
    bpy.ops.splat.export_ply(filepath=str(tmp_path / "out.ply"))
    before, after = (ply.read_vertices(tmp_path / name) for name in ("in.ply", "out.ply"))
    kept = np.delete(np.arange(5000), [*range(10), 17])
    assert after.dtype == before.dtype and len(after) == len(kept)
    for name in extras:
        assert np.array_equal(after[name], extras[name][kept]), name
    assert ply.read_splats(tmp_path / "out.ply").extras == {}, "training does not ask for them"


@needs_cases
@pytest.mark.parametrize("name", ["inf_opacity", "inf_scale", "two_scales", "rgb_mode", "cc_names", "filter_3d"])
def test_every_splat_of_the_collected_files_comes_in(stage, splats, name):
    """What they hold is known from the names: see `cases/splats/README.txt`."""
    item = import_file(CASES / f"{name}.ply")
    cloud = splats.splats_from_object(item)
    assert len(cloud) == {"inf_opacity": 3, "inf_scale": 2}.get(name, 1)
    usual = 1 / (1 + np.exp(-2.0))
    opacities = {"inf_opacity": [1, usual, 0], "inf_scale": [usual] * 2, "filter_3d": [usual * FUSED]}
    np.testing.assert_allclose(cloud.opacities, opacities.get(name, [usual]), rtol=1e-5, atol=1e-8)
    scales = {"inf_scale": [np.exp(-2), np.exp(-2), 0], "two_scales": [np.exp(-2), np.exp(-2), 1e-4 * np.exp(-2)]}
    scales["filter_3d"] = [np.hypot(np.exp(-5), 0.05)] * 3
    np.testing.assert_allclose(cloud.scales[0], scales.get(name, [np.exp(-2)] * 3), rtol=1e-5, atol=1e-30)
    colors = {"rgb_mode": np.array([200, 100, 50]) / 255}.get(name, 0.5 + 0.28209479 * np.array([1, 0, -1]))
    np.testing.assert_allclose(0.5 + 0.28209479 * cloud.sh[0, 0], colors, atol=1e-6)


FUSED = (np.exp(-10) / (np.exp(-10) + 0.05**2)) ** 1.5


@needs_cases
def test_what_says_mip_is_antialiased_and_what_has_a_column_twice_is_named():
    assert import_file(CASES / "mip_mode.ply").splat.antialiased
    with pytest.raises(RuntimeError, match=r"dup\.ply has two columns named 'opacity'"):
        bpy.ops.splat.import_ply(filepath=str(CASES / "dup.ply"))
