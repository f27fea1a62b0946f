"""Splats of other programs' formats in the scene, and on their way out: turned exactly, moved as the artist moved."""

import itertools
import math

import bpy
import numpy as np
import pytest
from mathutils import Euler, Matrix

from support import exchange_files


@pytest.fixture
def exchange(extension):
    """The modules that are asked what a file holds."""
    return Exchange(extension)


class Exchange:
    def __init__(self, extension):
        self.registry = extension.module("splat_addon.gaussians.formats.registry")
        self.file = extension.module("splat_addon.gaussians.formats.splat_file")
        self.cloud_type = extension.module("splat_addon.gaussians.cloud").GaussianCloud
        self.transform = extension.module("splat_addon.gaussians.transform")
        self.exporting = extension.module("splat_addon.scene.exchange.exporting")
        self.data = extension.module("splat_addon.scene.splats.data")

    def cloud(self, count=30, degree=2, seed=0):
        """Gaussians whose sizes survive Blender's linear ones bit for bit."""
        random = np.random.default_rng(seed)
        return self.cloud_type(
            means=random.normal(size=(count, 3)),
            log_scales=random.uniform(-6, -1.1, size=(count, 3)),
            quaternions=random.normal(size=(count, 4)),
            logit_opacities=random.uniform(-4, 4, size=count),
            sh=random.uniform(-0.9, 0.9, size=(count, (degree + 1) ** 2, 3)),
        )

    def write(self, path, cloud):
        self.registry.write_splats(path, cloud)
        return path

    def read(self, path):
        return self.registry.read_splats(path)

    def in_world(self, item):
        """The gaussians of an object where they are in the scene."""
        return self.transform.transformed(self.data.splats_from_object(item), np.array(item.matrix_world))

    def covariances(self, cloud):
        axes = self.transform.rotation_matrices(cloud.rotations) * cloud.scales[:, None, :]
        return axes @ axes.transpose(0, 2, 1)

    def assert_same_place(self, found, expected, atol=2e-6):
        assert np.allclose(found.means, expected.means, atol=atol)
        assert np.allclose(self.covariances(found), self.covariances(expected), rtol=1e-4, atol=1e-6)
        assert np.allclose(found.sh, expected.sh, atol=1e-5)
        assert np.allclose(found.opacities, expected.opacities, atol=1e-6)


def import_file(path, **options):
    assert bpy.ops.splat.import_ply(filepath=str(path), **options) == {"FINISHED"}
    bpy.context.view_layer.update()
    return bpy.context.view_layer.objects.active


def export(path, **options):
    assert bpy.ops.splat.export_ply(filepath=str(path), **options) == {"FINISHED"}
    return path


@pytest.mark.parametrize(
    ("ending", "axes"),
    [("ply", "STORED"), ("spz", "Y_UP"), ("glb", "Y_UP"), ("gltf", "Y_UP"), ("splat", "Y_DOWN"), ("usda", "Z_UP"),
     ("compressed.ply", "STORED")],
)  # fmt: skip
def test_an_import_stands_upright_and_goes_out_as_it_came(exchange, tmp_path, ending, axes):
    exchange.write(tmp_path / f"in.{ending}", exchange.cloud())
    stored = exchange.read(tmp_path / f"in.{ending}")
    item = import_file(tmp_path / f"in.{ending}")
    assert item.name == "in"
    assert np.allclose(np.array(item.matrix_world), exchange.transform.z_up_from(axes), atol=1e-6)
    again = exchange.read(export(tmp_path / f"out.{ending}"))
    if ending != "compressed.ply":  # which is sorted, and bounded anew
        assert np.array_equal(again.means, stored.means) and np.array_equal(again.sh, stored.sh)
        for name in ("log_scales", "logit_opacities"):
            assert np.allclose(getattr(again, name), getattr(stored, name), atol=1e-5), name
        assert np.allclose(np.abs((again.rotations * stored.rotations).sum(axis=1)), 1, atol=1e-4)
    assert len(again) == 30


@pytest.mark.parametrize("axes", ["STORED", "Y_DOWN", "Y_UP"])
def test_what_nobody_moved_goes_out_bit_for_bit_whatever_turned_it(exchange, tmp_path, axes):
    cloud = exchange.cloud()
    exchange.write(tmp_path / "in.ply", cloud)
    import_file(tmp_path / "in.ply", axes=axes)
    for space in ("WORLD", "OBJECT"):
        again = exchange.read(export(tmp_path / "out.ply", space=space))
        for name in ("means", "sh", "logit_opacities"):
            assert np.array_equal(getattr(again, name), getattr(cloud, name)), (axes, space, name)
    if axes != "STORED":
        again = exchange.read(export(tmp_path / "named.ply", axes=axes))
        assert np.array_equal(again.means, cloud.means) and np.array_equal(again.sh, cloud.sh)


def test_axes_of_an_export_turn_what_is_seen(exchange, tmp_path):
    item = import_file(exchange.write(tmp_path / "in.ply", exchange.cloud()), axes="Y_DOWN")
    seen = exchange.in_world(item)
    for axes in ("Y_UP", "Y_DOWN", "Z_UP"):
        found = exchange.read(export(tmp_path / "out.glb", axes=axes))
        exchange.assert_same_place(exchange.transform.transformed(found, exchange.transform.z_up_from(axes)), seen)


@pytest.mark.parametrize("ending", ["ply", "glb", "usda"])
def test_what_the_artist_moved_is_part_of_the_file(exchange, tmp_path, ending):
    item = import_file(exchange.write(tmp_path / "in.glb", exchange.cloud()))
    item.matrix_world = (
        Matrix.Translation((1, -2, 3)) @ Euler((0.3, 0.5, -0.7)).to_matrix().to_4x4() @ Matrix.Scale(1.5, 4)
    ) @ item.matrix_world
    bpy.context.view_layer.update()
    seen = exchange.in_world(item)
    path = export(tmp_path / f"out.{ending}", axes="Z_UP" if ending == "ply" else "AUTO")
    again = import_file(path)
    exchange.assert_same_place(exchange.in_world(again), seen, atol=1e-5)
    stored = exchange.read(export(tmp_path / "stored.glb", space="OBJECT", axes="STORED"))
    assert np.array_equal(stored.means, exchange.data.splats_from_object(again).means)


def test_motion_is_expressed_in_the_files_own_axes_when_these_are_kept(exchange, tmp_path):
    cloud = exchange.cloud()
    item = import_file(exchange.write(tmp_path / "in.ply", cloud), axes="Y_DOWN")
    item.location = (0, 0, 5)  # up, in the scene
    bpy.context.view_layer.update()
    found = exchange.read(export(tmp_path / "out.ply"))
    assert np.allclose(found.means, cloud.means + (0, -5, 0), atol=1e-5)


def test_a_run_below_the_root_of_its_capture_goes_out_as_it_was_trained(extension, exchange, tmp_path):
    cloud = exchange.cloud()
    item = exchange.data.splats_to_object(cloud, "run", bpy.context.scene.collection)
    root = bpy.data.objects.new("root", None)
    root[extension.module("splat_addon.scene.photos.photo_capture").ROOT_KEY] = str(tmp_path)
    bpy.context.scene.collection.objects.link(root)
    root.rotation_euler, root.scale, root.location = (-math.pi / 2, 0.1, 0.2), (3, 3, 3), (1, 2, 3)
    item.parent = root
    bpy.context.view_layer.objects.active = item
    bpy.context.view_layer.update()
    again = exchange.read(export(tmp_path / "out.ply"))
    assert np.array_equal(again.means, cloud.means) and np.array_equal(again.sh, cloud.sh)
    upright = exchange.read(export(tmp_path / "out.glb"))
    seen = exchange.transform.transformed(upright, exchange.transform.z_up_from("Y_UP"))
    exchange.assert_same_place(seen, exchange.in_world(item), atol=1e-5)


def test_several_objects_become_one_file_or_one_each(exchange, tmp_path):
    one = import_file(exchange.write(tmp_path / "one.ply", exchange.cloud(10, 1)))
    two = import_file(exchange.write(tmp_path / "two.ply", exchange.cloud(20, 3, 1)))
    two.location = (0, 0, 7)
    one.select_set(True)
    two.select_set(True)
    bpy.context.view_layer.objects.active = one
    bpy.context.view_layer.update()
    both = exchange.read(export(tmp_path / "both.ply", which="SELECTED"))
    assert len(both) == 30 and both.sh_degree == 3 and not both.sh[:10, 4:].any()
    assert np.allclose(both.means[10:], exchange.cloud(20, 3, 1).means + (0, 0, 7), atol=1e-5)
    assert len(exchange.read(export(tmp_path / "active.ply"))) == 10
    (tmp_path / "each").mkdir()
    export(tmp_path / "each" / "x.spz", which="EACH")
    assert {path.name for path in (tmp_path / "each").iterdir()} == {"one.spz", "two.spz"}


def test_what_a_format_cannot_hold_is_said_before_it_is_written(exchange, tmp_path):
    item = import_file(exchange.write(tmp_path / "in.ply", exchange.cloud()))
    item["splat_blend_space"], item["splat_antialiased"] = "blender", True
    item.scale = (1, 2, 1)
    bpy.context.view_layer.update()
    said = " ".join(exchange.exporting.Export(tmp_path / "a.splat", [item], exchange.exporting.Choices()).losses())
    for part in ("depends on the view is lost", "linear light", "look thicker", "scale differs by axis", "to 8 bits"):
        assert part in said
    assert not (tmp_path / "a.splat").exists()
    item.scale = (1, 1, 1)
    bpy.context.view_layer.update()
    assert exchange.exporting.Export(tmp_path / "a.glb", [item], exchange.exporting.Choices()).losses() == []
    export(tmp_path / "a.glb")
    again = import_file(tmp_path / "a.glb")
    assert (again["splat_blend_space"], bool(again["splat_antialiased"])) == ("blender", True)


def test_hidden_splats_are_written_or_not_as_chosen_and_that_is_said(exchange, extension, tmp_path):
    choosing = extension.module("splat_addon.scene.inspection.choosing")
    item = import_file(exchange.write(tmp_path / "in.ply", exchange.cloud(9000)))
    before = exchange.read(tmp_path / "in.ply")
    which = np.arange(9000) % 3 == 0
    which[:8400] = True  # more than a whole block
    choosing.hide(item.data, which)
    choices = exchange.exporting.Choices
    said = {
        every: exchange.exporting.Export(tmp_path / "a.ply", [item], choices(all_splats=every)).losses()
        for every in (True, False)
    }
    assert said[True] == ["What is hidden is written, too: 8\u00a0600 splats."]
    assert said[False] == ["What is hidden stays out: 8\u00a0600 splats."]
    whole, shown = (exchange.read(export(tmp_path / f"{every}.ply", all_splats=every)) for every in (True, False))
    assert len(whole) == 9000
    np.testing.assert_array_equal(shown.means, before.means[~which])
    np.testing.assert_array_equal(shown.sh, before.sh[~which])
    assert choosing.hidden(item.data).sum() == 8600, "the object keeps them"
    choosing.hide(item.data, ~which)
    with pytest.raises(RuntimeError, match="Every splat is hidden, and would stay out"):
        export(tmp_path / "none.ply", all_splats=False)
    assert not (tmp_path / "none.ply").exists()


def test_the_format_gives_the_name_its_ending(exchange, tmp_path):
    import_file(exchange.write(tmp_path / "in.ply", exchange.cloud(3)))
    for format_, name, expected in (
        ("spz", "vase.ply", "vase.spz"), ("glb", "vase.v2", "vase.v2.glb"), ("glb", "vase.gltf", "vase.gltf"),
        ("compressed.ply", "bowl.ply", "bowl.compressed.ply"), ("ply", "cup.compressed.ply", "cup.ply"),
    ):  # fmt: skip
        export(tmp_path / name, format=format_)
        assert (tmp_path / expected).is_file(), expected


def test_parts_of_a_gltf_are_objects_where_its_nodes_put_them(exchange, tmp_path):
    cloud = exchange.cloud(12, 1)
    node = {"translation": [1, 2, 3], "rotation": [0, 0.5**0.5, 0, 0.5**0.5]}
    (tmp_path / "in.glb").write_bytes(exchange_files.quantized_glb(cloud, node=node))
    item = import_file(tmp_path / "in.glb")
    matrix = np.array([[0, 0, 2, 1], [0, 2, 0, 2], [-2, 0, 0, 3], [0, 0, 0, 1]])
    expected = exchange.transform.z_up_from("Y_UP") @ matrix
    assert np.allclose(np.array(item.matrix_world), expected, atol=1e-6)
    assert np.array_equal(exchange.data.splats_from_object(item).means, cloud.means)
    assert np.array_equal(exchange.read(export(tmp_path / "out.ply")).means, cloud.means)


def encode(pixels):
    """Lossless WebP, as Blender writes it."""
    path = bpy.app.tempdir + "texels.webp"
    height, width = pixels.shape[:2]
    image = bpy.data.images.new("texels", width, height, alpha=True)
    image.colorspace_settings.name = "Non-Color"
    image.pixels.foreach_set((pixels[::-1] / 255).astype(np.float32).ravel())
    image.file_format, image.filepath_raw = "WEBP", path
    image.save(quality=100)
    bpy.data.images.remove(image)
    with open(path, "rb") as file:
        return file.read()


def test_sog_goes_out_and_comes_back(exchange, tmp_path):
    cloud = exchange.cloud(70, 1)
    item = import_file(exchange.write(tmp_path / "in.ply", cloud), axes="Y_DOWN")
    seen = exchange.in_world(item)
    images = len(bpy.data.images)
    again = exchange.in_world(import_file(export(tmp_path / "out.sog")))
    assert len(bpy.data.images) == images
    order = [np.abs(again.means - mean).max(axis=1).argmin() for mean in seen.means]
    again = again.select(order)
    assert np.allclose(again.means, seen.means, atol=2e-4) and np.allclose(again.sh, seen.sh, atol=0.03)
    assert np.allclose(again.opacities, seen.opacities, atol=0.003)


@pytest.mark.parametrize("version", [1, 2])
def test_sog_is_decoded_by_blender(exchange, tmp_path, version):
    cloud = exchange.cloud(70, 3)
    (tmp_path / "in.sog").write_bytes(exchange_files.sog(cloud, version, encode))
    images = len(bpy.data.images)
    item = import_file(tmp_path / "in.sog")
    assert len(bpy.data.images) == images, "decoding leaves no image behind"
    found = exchange.data.splats_from_object(item)
    if version == 1:  # lossless WebP clears the color of texels whose alpha is 0: here, the lowest logit
        seen = cloud.logit_opacities > cloud.logit_opacities.min()
        found, cloud = found.select(seen), cloud.select(seen)
    assert np.allclose(found.means, cloud.means, atol=2e-4) and np.allclose(found.sh, cloud.sh, atol=0.01)
    assert np.allclose(found.log_scales, cloud.log_scales, atol=0.02)
    assert np.allclose(found.opacities, cloud.opacities, atol=0.02)
    assert np.allclose(np.array(item.matrix_world), exchange.transform.z_up_from("Y_DOWN"), atol=1e-6)


def test_usd_binary_goes_out_and_comes_in_where_blender_shows_its_usd(exchange, tmp_path):
    cloud = exchange.cloud()
    import_file(exchange.write(tmp_path / "in.ply", cloud))
    if not hasattr(bpy.utils, "expose_bundled_modules"):
        with pytest.raises(RuntimeError, match="needs USD, which this Python lacks"):
            export(tmp_path / "out.usdc")
        return
    item = import_file(export(tmp_path / "out.usdc"))
    exchange.assert_same_place(exchange.in_world(item), cloud)
    exchange.assert_same_place(exchange.in_world(import_file(export(tmp_path / "out.usda"))), cloud)


def test_the_command_converts(extension, exchange, tmp_path, capsys):
    cloud = exchange.cloud()
    exchange.write(tmp_path / "in.glb", cloud)
    main = extension.module("operators.command_line").main
    for target, version in itertools.product(("a.spz", "a.usda"), (3, 4)):
        assert main(["convert", str(tmp_path / "in.glb"), str(tmp_path / target), "--spz-version", str(version)]) == 0
        found = exchange.read(tmp_path / target)
        turn = exchange.transform.z_up_from("Y_UP") if target == "a.usda" else np.eye(4)
        assert np.allclose(found.means, exchange.transform.transformed(cloud, turn).means, atol=1e-4)
    assert "Wrote 30 splats of degree 2" in capsys.readouterr().out
    assert main(["convert", str(tmp_path / "none.spz"), str(tmp_path / "a.ply")]) == 1
    assert "none.spz cannot be read" in capsys.readouterr().err


@pytest.fixture
def writing(extension, monkeypatch):
    """What is being written, a step in each turn."""
    module = extension.module("splat_addon.scene.exchange.writing")
    monkeypatch.setattr(module, "TURN_S", 0.0)
    yield module
    extension.drop(module.Writing)


def test_sog_is_written_in_turns_while_the_artist_edits(exchange, writing, extension, tmp_path):
    item = import_file(exchange.write(tmp_path / "in.ply", exchange.cloud(3000)))
    before = exchange.read(tmp_path / "in.ply")
    path = tmp_path / "out.sog"
    choices = exchange.exporting.Choices(axes="STORED")
    writing.start([exchange.exporting.Export(path, [item], choices)])
    assert writing.is_running() and not path.exists() and not writing.written()
    assert not bpy.ops.splat.export_ply.poll(), "one after the other"
    bpy.data.objects.remove(item)
    shown = []
    while writing.follow() is not None:
        shown.append(writing.progress()[0])
    assert len(shown) > 1 and shown == sorted(shown)
    assert writing.written() == [
        f"Exported 3\u00a0000 splats to {path}. Its palette of view-dependent colors has 2048 entries."
    ]
    found = exchange.data.splats_from_object(import_file(path))
    assert np.allclose(np.sort(found.means, axis=0), np.sort(before.means, axis=0), atol=1e-3)


def test_an_export_that_is_canceled_leaves_what_there_was(exchange, writing, tmp_path):
    item = import_file(exchange.write(tmp_path / "in.ply", exchange.cloud(3000)))
    path = tmp_path / "out.sog"
    path.write_bytes(b"before")
    writing.start([exchange.exporting.Export(path, [item], exchange.exporting.Choices())])
    writing.follow()
    assert 0 < writing.progress()[0] < 1
    assert bpy.ops.splat.cancel_export() == {"FINISHED"}
    assert path.read_bytes() == b"before" and sorted(file.name for file in tmp_path.iterdir()) == ["in.ply", "out.sog"]
    assert not writing.is_running() and writing.follow() is None and not bpy.ops.splat.cancel_export.poll()


def test_sog_says_how_large_its_palette_is(exchange, writing, tmp_path, capfd):
    import_file(exchange.write(tmp_path / "in.ply", exchange.cloud(3000)))
    export(tmp_path / "out.sog")
    assert "Its palette of view-dependent colors has 2048 entries." in capfd.readouterr().out


def test_the_name_says_the_format_until_one_is_chosen(exchange, tmp_path):
    import_file(exchange.write(tmp_path / "in.ply", exchange.cloud(3)))
    formats = bpy.ops.splat.export_ply.get_rna_type().properties["format"]
    assert formats.enum_items[formats.default].name == "By Name"
    assert exchange.registry.format_for(export(tmp_path / "a.spz")).NAME == "spz"
    export(tmp_path / "b.spz", format="splat")
    assert (tmp_path / "b.splat").stat().st_size == 3 * 32 and not (tmp_path / "b.spz").exists()


@pytest.mark.parametrize("is_applied", [False, True])
def test_axes_in_the_objects_own_space_are_those_it_stands_by(exchange, tmp_path, is_applied):
    """What an import has turned counts once, also when it was made part of the splats."""
    item = import_file(exchange.write(tmp_path / "in.ply", exchange.cloud()), axes="Y_DOWN")
    seen = exchange.in_world(item)
    if is_applied:
        assert bpy.ops.splat.apply_transform() == {"FINISHED"}
        bpy.context.view_layer.update()
        exchange.assert_same_place(exchange.in_world(item), seen)
    for axes in ("Y_UP", "Y_DOWN", "Z_UP"):
        found = exchange.read(export(tmp_path / "out.glb", axes=axes, space="OBJECT"))
        exchange.assert_same_place(exchange.transform.transformed(found, exchange.transform.z_up_from(axes)), seen)
