"""Splat files in and out of the scene: any layout in, the same values out."""

import os
from pathlib import Path

import bpy
import numpy as np
import pytest

from support import splat_renders

DATA = Path(os.environ.get("SPLAT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
NAMES = ("means", "log_scales", "quaternions", "logit_opacities", "sh")
ULP = 4 * np.finfo(np.float32).eps

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared splat files are not on this machine")


@pytest.fixture
def ply(extension):
    return extension.module("splat_addon.gaussians.formats.splat_ply")


@pytest.fixture
def splats(extension):
    return extension.module("splat_addon.scene.splats.data")


def make_cloud(extension, count=40, degree=3, **changes):
    random = np.random.default_rng(0)
    values = {
        "means": random.normal(size=(count, 3)),
        "log_scales": random.normal(-3, 2, size=(count, 3)),
        "quaternions": 3 * random.normal(size=(count, 4)),
        "logit_opacities": random.normal(0, 8, size=count),
        "sh": random.normal(size=(count, (degree + 1) ** 2, 3)),
    }
    return extension.module("splat_addon.gaussians.cloud").GaussianCloud(**{**values, **changes})


def import_file(path, **options):
    assert bpy.ops.splat.import_ply(filepath=str(path), **options) == {"FINISHED"}
    return bpy.context.view_layer.objects.active


def assert_same(again, cloud):
    for name in NAMES:
        first, second = getattr(again, name), getattr(cloud, name)
        assert np.allclose(first, second, rtol=ULP, atol=ULP), (name, np.abs(first - second).max())


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_import_and_export_give_the_same_values(extension, ply, tmp_path, degree):
    """Unnormalised quaternions and opacities beyond what Blender's 0..1 can tell included."""
    cloud = make_cloud(extension, degree=degree)
    ply.write_splats(tmp_path / "in.ply", cloud)
    item = import_file(tmp_path / "in.ply")
    assert item.name == "in" and item.users_collection[0].name == "Splats"
    assert bpy.ops.splat.export_ply(filepath=str(tmp_path / "out.ply")) == {"FINISHED"}
    assert_same(ply.read_splats(tmp_path / "out.ply"), cloud)
    header = (tmp_path / "out.ply").read_bytes().split(b"end_header")[0]
    assert header == (tmp_path / "in.ply").read_bytes().split(b"end_header")[0]


def test_more_splats_than_one_block_keep_their_order(extension, ply, splats, tmp_path):
    cloud = make_cloud(extension, 10_007)
    cloud.means[5000] = np.nan
    ply.write_splats(tmp_path / "in.ply", cloud)
    item = import_file(tmp_path / "in.ply")
    assert_same(splats.splats_from_object(item), cloud.select(np.arange(10_007) != 5000))


def test_edits_in_blender_win_over_what_the_file_said(extension, ply, splats, tmp_path):
    cloud = make_cloud(extension, logit_opacities=np.full(40, 12.0))
    ply.write_splats(tmp_path / "in.ply", cloud)
    item = import_file(tmp_path / "in.ply")
    base = splats.attributes.read(item.data, "radiance:base")
    base[3, 3] = 0.25
    splats.attributes.write(item.data, "radiance:base", base)
    logits = splats.splats_from_object(item).logit_opacities
    assert np.isclose(logits[3], np.log(0.25 / 0.75)) and (np.delete(logits, 3) == 12).all()


def test_deleted_points_are_not_exported(extension, ply, tmp_path):
    cloud = make_cloud(extension)
    ply.write_splats(tmp_path / "in.ply", cloud)
    item = import_file(tmp_path / "in.ply")
    splat_renders.delete_points(item, np.arange(40) < 10)
    with pytest.raises(RuntimeError, match="Switch to Object Mode first"):
        bpy.ops.splat.export_ply(filepath=str(tmp_path / "out.ply"))
    bpy.ops.object.mode_set(mode="OBJECT")
    bpy.ops.splat.export_ply(filepath=str(tmp_path / "out.ply"))
    assert_same(ply.read_splats(tmp_path / "out.ply"), cloud.select(slice(10, None)))


@pytest.mark.parametrize(("axes", "up"), [("STORED", (0, 0, 1)), ("Y_DOWN", (0, -1, 0)), ("Y_UP", (0, 1, 0))])
def test_the_axis_choice_turns_the_object_and_not_the_data(extension, ply, splats, tmp_path, axes, up):
    cloud = make_cloud(extension)
    ply.write_splats(tmp_path / "in.ply", cloud)
    item = import_file(tmp_path / "in.ply", axes=axes)
    assert np.allclose(np.array(item.matrix_world)[:3, :3] @ up, (0, 0, 1), atol=1e-6)
    assert np.array_equal(splats.splats_from_object(item).means, cloud.means)


def test_several_files_are_imported_at_once(extension, ply, tmp_path):
    for name in ("a.ply", "b.ply"):
        ply.write_splats(tmp_path / name, make_cloud(extension, 5))
    files = [{"name": "a.ply"}, {"name": "b.ply"}]
    assert bpy.ops.splat.import_ply(directory=str(tmp_path), files=files) == {"FINISHED"}
    assert {"a", "b"} <= set(bpy.data.objects.keys())


def test_what_is_no_splat_file_is_refused_in_a_sentence(extension, ply, tmp_path):
    ply.write_points(tmp_path / "points.ply", np.zeros((2, 3)), np.zeros((2, 3)))
    (tmp_path / "text.ply").write_text("hello")
    ply.write_splats(tmp_path / "none.ply", make_cloud(extension, 0))
    sentences = {
        "points.ply": "holds points but no splats .* Choose a PLY written by a splat trainer",
        "text.ply": "is not a PLY file. Choose a file that begins",
        "none.ply": "holds no splats",
        "missing.ply": "cannot be read .* Choose a splat file that exists",
    }
    for name, sentence in sentences.items():
        with pytest.raises(RuntimeError, match=sentence):
            bpy.ops.splat.import_ply(filepath=str(tmp_path / name))
    nothing = make_cloud(extension, 3, means=np.full((3, 3), np.nan))
    ply.write_splats(tmp_path / "nan.ply", nothing)
    with pytest.raises(RuntimeError, match="holds no splats"):
        bpy.ops.splat.import_ply(filepath=str(tmp_path / "nan.ply"))
    assert len(bpy.data.objects) == 0 and len(bpy.data.meshes) + len(bpy.data.pointclouds) == 0


def test_export_without_splats_says_why():
    with pytest.raises(RuntimeError, match="Make a splat object active first"):
        bpy.ops.splat.export_ply(filepath="/nowhere.ply")


def test_the_file_menus_and_drops_lead_here(extension):
    module = extension.module("operators.splats.files")
    assert module.draw_import in bpy.types.TOPBAR_MT_file_import._dyn_ui_initialize()
    assert module.draw_export in bpy.types.TOPBAR_MT_file_export._dyn_ui_initialize()
    handler = bpy.types.FileHandler.bl_rna_get_subclass_py("SPLAT_FH_ply")
    assert handler.bl_import_operator == "splat.import_ply"
    assert {".ply", ".spz", ".sog", ".glb"} <= set(handler.bl_file_extensions.split(";"))


@needs_data
def test_every_shared_ply_is_imported_with_its_documented_values(ply, splats):
    """The hundred splats of `pcshort` as its CSV states them, in every layout; the statue's count."""
    folder = DATA / "splats"
    table = np.genfromtxt(folder / "pcshort_converted" / "pcshort_sh3.csv", delimiter=",", names=True)
    place = np.column_stack([table[name] for name in "xyz"])
    files = sorted(folder.rglob("*.ply"))
    assert len(files) >= 12
    for path in files:
        item = import_file(path)
        cloud = splats.splats_from_object(item)
        expected = {"banana_opensplat": 8151, "angel.compressed": 71_377}.get(path.stem, 100)
        assert len(cloud) == expected, path.name
        if expected != 100:
            continue
        which = np.linalg.norm(place[None] - cloud.means[:, None], axis=2).argmin(axis=1)
        assert sorted(which) == list(range(100)), path.name
        is_packed = path.stem.endswith("compressed")
        row = table[which]
        quaternions = np.column_stack([row[f"rot_{i}"] for i in range(4)])
        turned = np.abs(np.sum(quaternions * cloud.quaternions, axis=1))
        lengths = np.linalg.norm(quaternions, axis=1) * np.linalg.norm(cloud.quaternions, axis=1)
        assert np.allclose(turned, lengths, atol=1e-5), path.name
        scales = np.column_stack([row[f"scale_{i}"] for i in range(3)])
        assert np.allclose(cloud.log_scales, scales, atol=3e-3 if is_packed else 1e-6), path.name
        opacities = 1 / (1 + np.exp(-row["opacity"]))
        assert np.allclose(cloud.opacities, opacities, atol=2e-3 if is_packed else 1e-7), path.name
        base = np.column_stack([row[f"f_dc_{i}"] for i in range(3)])
        assert np.allclose(cloud.sh[:, 0], base, atol=1e-2 if is_packed else 1e-7), path.name
        for k in range(cloud.sh.shape[1] - 1):
            rest = np.column_stack([row[f"f_rest_{k + 15 * channel}"] for channel in range(3)])
            assert np.allclose(cloud.sh[:, k + 1], rest, atol=1.6e-2 if is_packed else 1e-7), (path.name, k)
