"""Splats that are edited show their points over the splats: which there are, and where they are orange."""

from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from mathutils import Matrix

from support.splat_objects import make_splats


@pytest.fixture
def edit_points(extension):
    return extension.module("splat_addon.scene.viewport.edit_points")


def as_mesh(item):
    """The splats of `item` on vertices, as Blender before 5.1 has them."""
    places = np.array([point.vector for point in item.data.attributes["position"].data])
    mesh = bpy.data.meshes.new("Vertices")
    mesh.from_pydata(places.tolist(), [], [])
    mesh.attributes.new("radiance:base", "FLOAT_COLOR", "POINT")
    other = bpy.data.objects.new("On a mesh", mesh)
    bpy.context.scene.collection.objects.link(other)
    return other


def edited(item, is_selected):
    """`item` in edit mode, with these of its points selected."""
    bpy.context.view_layer.objects.active = item
    if item.type == "MESH":
        item.data.vertices.foreach_set("select", np.asarray(is_selected, bool))
    else:
        marks = item.data.attributes.new(".selection", "BOOLEAN", "POINT")
        marks.data.foreach_set("value", np.asarray(is_selected, bool))
    bpy.ops.object.mode_set(mode="EDIT")
    return item


CARRIERS = [lambda item: item, as_mesh]


@pytest.mark.parametrize("carrier", CARRIERS, ids=["own", "mesh"])
def test_places_and_selection_are_those_of_edit_mode(extension, edit_points, carrier):
    points = np.random.default_rng(0).normal(size=(30, 3))
    is_selected = np.arange(30) % 3 == 0
    item = edited(carrier(make_splats(extension, points)), is_selected)
    places, found = edit_points.points_of(item)
    assert np.allclose(places, points, atol=1e-6) and (found == is_selected).all()
    assert edit_points.edited([item]) == [item]
    select = bpy.ops.mesh if item.type == "MESH" else bpy.ops.pointcloud
    select.select_all(action="SELECT")
    assert edit_points.points_of(item)[1].all()


def test_hidden_vertices_have_no_point(extension, edit_points):
    item = edited(as_mesh(make_splats(extension, np.eye(3))), [True, False, False])
    bpy.ops.mesh.hide()
    assert np.allclose(edit_points.points_of(item)[0], np.eye(3)[1:])


def test_points_are_drawn_nearer_and_in_the_same_place(edit_points):
    view = Matrix.Translation((0.1, -0.2, -5)) @ Matrix.Rotation(0.4, 4, "X")
    for is_perspective in (True, False):
        region = SimpleNamespace(view_matrix=view, is_perspective=is_perspective, view_distance=5.0)
        here = np.array(view @ Matrix.Translation((0.3, 0.7, 0.2)))[:3, 3]
        there = np.array(view @ edit_points.nearer(region) @ Matrix.Translation((0.3, 0.7, 0.2)))[:3, 3]
        if is_perspective:
            assert np.allclose(there[:2] / there[2], here[:2] / here[2], atol=1e-6)
        else:
            assert np.allclose(there[:2], here[:2], atol=1e-6)
        assert 0 < there[2] - here[2] < 0.1


@pytest.mark.parametrize("carrier", CARRIERS, ids=["own", "mesh"])
def test_what_is_selected_is_orange_and_nothing_is_drawn_without_overlays(extension, edit_points, graphics, carrier):
    points = np.array([[-1, 0, 0], [1, 0, 0]], dtype=float)
    item = edited(carrier(make_splats(extension, points)), [True, False])
    overlay = SimpleNamespace(show_overlays=True)
    context = SimpleNamespace(
        preferences=bpy.context.preferences,
        region_data=SimpleNamespace(view_matrix=Matrix.Identity(4), is_perspective=False, view_distance=0.0),
        space_data=SimpleNamespace(overlay=overlay, shading=SimpleNamespace(type="WIREFRAME")),
    )
    theme = bpy.context.preferences.themes[0].view_3d
    seen = drawn(graphics, lambda: edit_points.draw(context, [item]))
    orange = np.argwhere(np.abs(seen[..., :3] - np.array(theme.vertex_select)).max(axis=2) < 0.02)
    assert len(orange) >= 9 and np.abs(orange.mean(axis=0) - (31.5, 15.5)).max() < 1
    other = np.argwhere((seen[..., 3] > 0.5) & (np.abs(seen[..., :3] - np.array(theme.vertex)).max(axis=2) < 0.02))
    assert len(other) >= 9 and np.abs(other.mean(axis=0) - (31.5, 47.5)).max() < 1
    overlay.show_overlays = False
    assert not drawn(graphics, lambda: edit_points.draw(context, [item])).any()


def drawn(graphics, draw) -> np.ndarray:
    """(64, 64, 4) what `draw` leaves on nothing, seen straight from above, four units wide."""
    offscreen = graphics.types.GPUOffScreen(64, 64, format="RGBA32F")
    with offscreen.bind(), graphics.matrix.push_pop(), graphics.matrix.push_pop_projection():
        framebuffer = graphics.state.active_framebuffer_get()
        framebuffer.clear(color=(0, 0, 0, 0), depth=1.0)
        graphics.matrix.load_matrix(Matrix.Identity(4))
        graphics.matrix.load_projection_matrix(Matrix.Diagonal((0.5, 0.5, -0.1, 1)))
        draw()
        pixels = np.array(framebuffer.read_color(0, 0, 64, 64, 4, 0, "FLOAT").to_list())
    offscreen.free()
    return pixels.reshape(64, 64, 4)


def test_meshes_cut_no_holes_in_wireframe_shading(extension):
    read_depth = extension.module("splat_addon.scene.viewport.depth").read_depth
    space = SimpleNamespace(shading=SimpleNamespace(type="WIREFRAME"))
    assert read_depth(space, (0, 0, 8, 8)) is None
