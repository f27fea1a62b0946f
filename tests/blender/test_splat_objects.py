"""Splats as Blender objects: attributes, carriers, display, and the way back."""

import bpy
import numpy as np
import pytest


@pytest.fixture
def cloud(extension):
    random = np.random.default_rng(0)
    return extension.module("splat_addon.gaussians.cloud").GaussianCloud(
        means=random.normal(size=(40, 3)),
        log_scales=random.normal(-3, 1, size=(40, 3)),
        quaternions=3 * random.normal(size=(40, 4)),
        logit_opacities=random.normal(size=40),
        sh=random.normal(size=(40, 16, 3)),
    )


@pytest.fixture
def splats(extension):
    return extension.module("splat_addon.scene.splats.data")


def make(splats, cloud):
    return splats.splats_to_object(cloud, "Splats", bpy.context.scene.collection)


def test_attributes_carry_the_native_names_and_activated_values(splats, cloud):
    data = make(splats, cloud).data
    names = set(data.attributes.keys())
    assert {"position", "scale", "rotation", "radiance:base"} | {f"radiance:sh_{k}" for k in range(15)} <= names
    assert np.allclose(splats.attributes.read(data, "scale"), cloud.scales, rtol=1e-6)
    assert np.allclose(np.linalg.norm(splats.attributes.read(data, "rotation"), axis=1), 1, atol=1e-6)
    base = splats.attributes.read(data, "radiance:base")
    assert np.array_equal(base[:, :3], cloud.sh[:, 0]) and np.allclose(base[:, 3], cloud.opacities, atol=1e-7)
    assert np.array_equal(splats.attributes.read(data, "radiance:sh_4"), cloud.sh[:, 5])


def test_the_carrier_is_what_this_blender_allows(splats, cloud):
    data = make(splats, cloud).data
    if bpy.app.version >= (5, 1, 0):
        assert isinstance(data, bpy.types.PointCloud) and len(data.points) == 40
    else:
        assert isinstance(data, bpy.types.Mesh) and len(data.vertices) == 40


def test_a_cloud_comes_back_from_its_object(splats, cloud):
    again = splats.splats_from_object(make(splats, cloud))
    assert np.array_equal(again.means, cloud.means) and np.array_equal(again.sh, cloud.sh)
    assert np.allclose(again.log_scales, cloud.log_scales, atol=1e-5)
    assert np.allclose(again.rotations, cloud.rotations, atol=1e-6)
    assert np.allclose(again.logit_opacities, cloud.logit_opacities, atol=1e-5)


def test_gaussians_that_are_not_finite_are_left_out(splats, cloud):
    cloud.means[7] = np.nan
    assert len(splats.splats_from_object(make(splats, cloud))) == 39


def test_scales_come_back_bit_for_bit_however_thin_the_splat(splats, cloud):
    cloud.log_scales = np.random.default_rng(1).uniform(-80, -1, (40, 3)).astype(np.float32)
    again = splats.splats_from_object(make(splats, cloud))
    assert np.array_equal(again.log_scales, cloud.log_scales)


def test_a_scale_of_zero_stays_zero_and_is_exported_as_a_number(splats, cloud):
    cloud.log_scales[3] = -200
    item = make(splats, cloud)
    scales = splats.attributes.read(item.data, "scale")
    assert not scales[3].any() and np.delete(scales, 3, axis=0).all()
    again = splats.splats_from_object(item)
    assert np.isfinite(again.log_scales).all()
    assert np.array_equal(splats.attributes.read(make(splats, again).data, "scale"), scales)


def test_a_stored_scale_of_either_sign_means_the_same(splats, cloud):
    item = make(splats, cloud)
    before = splats.splats_from_object(item).log_scales
    splats.attributes.write(item.data, "scale", -splats.attributes.read(item.data, "scale"))
    assert np.array_equal(splats.splats_from_object(item).log_scales, before)


def test_lower_degrees_have_fewer_attributes(extension, splats, cloud):
    low = extension.module("splat_addon.gaussians.cloud").GaussianCloud(
        cloud.means, cloud.log_scales, cloud.quaternions, cloud.logit_opacities, cloud.sh[:, :4]
    )
    data = make(splats, low).data
    assert "radiance:sh_2" in data.attributes and "radiance:sh_3" not in data.attributes
    assert splats.splats_from_object(bpy.data.objects["Splats"]).sh_degree == 1


def test_other_objects_are_no_splats(extension, splats):
    item = bpy.data.objects.new("Mesh", bpy.data.meshes.new("Mesh"))
    assert not splats.is_splats(item)
    with pytest.raises(extension.module("splat_addon.errors").SplatFileError, match="'Mesh' holds no splats"):
        splats.splats_from_object(item)


def test_two_splat_objects_share_their_nodes(extension, splats, cloud):
    show = extension.module("splat_addon.scene.splats.appearance").show_splats
    items = [make(splats, cloud) for _ in range(2)]
    for item in items:
        show(item, bpy.context.scene)
        show(item, bpy.context.scene)
    assert items[0].modifiers[0].node_group == items[1].modifiers[0].node_group
    assert len(bpy.data.node_groups) == 1 and len(bpy.data.materials) == 1
    assert [len(item.modifiers) for item in items] == [1, 1]
