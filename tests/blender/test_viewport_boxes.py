"""The box that stands for splats in the viewport: how large it is, that it is not seen, and when it is drawn."""

from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from mathutils import Euler, Matrix

from support.splat_objects import make_splats


@pytest.fixture
def boxes(extension):
    return extension.module("splat_addon.scene.viewport.selection_boxes")


def boxed(extension, points):
    """A splat object with gaussians at `points` whose splats the viewport draws."""
    item = make_splats(extension, points)
    extension.module("splat_addon.scene.splats.appearance").show_splats(item, bpy.context.scene)
    extension.module("splat_addon.scene.splats.box_modifier").hand_over(bpy.context.scene)
    bpy.context.view_layer.update()
    return item


def extent(item) -> np.ndarray:
    """(2, 3) the lowest and the highest corner of its box."""
    corners = np.array(item.evaluated_get(bpy.context.evaluated_depsgraph_get()).bound_box)
    return np.stack([corners.min(axis=0), corners.max(axis=0)])


@pytest.mark.parametrize("count", [50, 20_001])
def test_the_box_encloses_all_splats_where_none_is_far_away(extension, count):
    points = np.random.default_rng(0).uniform((-1, -2, 0), (1, 2, 0.1), (count, 3))
    assert np.allclose(extent(boxed(extension, points)), [points.min(axis=0), points.max(axis=0)], atol=1e-4)


def test_far_floaters_do_not_make_the_box_huge(extension):
    random = np.random.default_rng(1)
    points = np.concatenate([random.uniform(-1, 1, (990, 3)), random.normal(size=(10, 3)) * 1000])
    low, high = extent(boxed(extension, points))
    assert (low < -0.95).all() and (high > 0.95).all() and (high - low < 15).all()


def test_nothing_of_the_box_is_drawn_in_a_shaded_viewport(extension):
    """Blender draws faces with an area, loose edges and loose vertices; points have a radius."""
    item = boxed(extension, np.random.default_rng(2).normal(size=(40, 3)))
    evaluated = item.evaluated_get(bpy.context.evaluated_depsgraph_get())
    if item.type == "POINTCLOUD" and hasattr(evaluated, "evaluated_geometry"):
        parts = evaluated.evaluated_geometry()
        mesh, points = parts.mesh, parts.pointcloud
        assert len(points.points) == 2 and all(point.radius == 0 for point in points.points)
    else:
        mesh = evaluated.data
    assert mesh is not None and len(mesh.polygons) == 12 and all(face.area < 1e-9 for face in mesh.polygons)
    used = {key for face in mesh.polygons for key in face.edge_keys}
    assert {tuple(sorted(edge.vertices)) for edge in mesh.edges} == used, "no edge is loose"


def test_a_file_with_the_former_box_gets_the_new_one(extension):
    item = make_splats(extension, np.zeros((3, 3)))
    former = item.modifiers.new("Splat Bounds", "NODES")
    former.node_group = bpy.data.node_groups.new("Splat Bounds", "GeometryNodeTree")
    bounds = extension.module("splat_addon.scene.splats.box_modifier")
    bounds.show_box(item)
    assert [modifier.name for modifier in item.modifiers] == ["Splat Box"]
    assert "Splat Bounds" not in bpy.data.node_groups
    bounds.show_own_geometry(item)
    assert not item.modifiers and "Splat Box" not in bpy.data.node_groups


def test_only_selected_objects_that_nobody_edits_get_a_box(extension, boxes):
    chosen, other = (make_splats(extension, np.zeros((3, 3)), name) for name in ("Chosen", "Other"))
    chosen.select_set(True)
    other.select_set(False)
    assert boxes.selected([chosen, other], bpy.context.view_layer) == [chosen]
    chosen.select_set(False)
    assert boxes.selected([chosen, other], bpy.context.view_layer) == []


def test_the_edges_stand_where_the_object_stands(extension, boxes):
    points = np.random.default_rng(3).uniform(-1, 1, (60, 3))
    item = boxed(extension, points)
    item.matrix_world = Matrix.LocRotScale((5, 0, 1), Euler((0, 0, np.pi / 2)), (2, 2, 2))
    bpy.context.view_layer.update()
    edges = boxes.edges_of(item).reshape(12, 2, 3)
    lengths = np.sort(np.linalg.norm(edges[:, 1] - edges[:, 0], axis=1))
    assert np.allclose(lengths, np.sort(np.repeat(2 * np.ptp(points, axis=0), 4)), atol=1e-4)
    placed = np.array([item.matrix_world @ Matrix.Translation(point).translation for point in points])
    assert np.allclose(edges.reshape(-1, 3).min(axis=0), placed.min(axis=0), atol=1e-4)
    assert np.allclose(edges.reshape(-1, 3).max(axis=0), placed.max(axis=0), atol=1e-4)


@pytest.mark.parametrize("is_selected", [True, False])
def test_the_box_is_drawn_in_the_themes_color_around_selected_splats_only(extension, boxes, graphics, is_selected):
    points = np.array([[-1, -1, 0], [1, 1, 0], [-1, 1, 0], [1, -1, 0]] * 3, dtype=float)
    item = boxed(extension, points)
    item.select_set(is_selected)
    bpy.context.view_layer.objects.active = item
    context = SimpleNamespace(
        preferences=bpy.context.preferences,
        view_layer=bpy.context.view_layer,
        space_data=SimpleNamespace(overlay=SimpleNamespace(show_overlays=True, show_outline_selected=True)),
    )
    seen = drawn(graphics, lambda: boxes.draw(context, [item]))
    color = np.array(bpy.context.preferences.themes[0].view_3d.object_active)
    found = np.argwhere(np.abs(seen - color).max(axis=2) < 0.02)
    assert (len(found) > 0) == is_selected
    if is_selected:
        assert np.abs(found.min(axis=0) - 16).max() <= 1 and np.abs(found.max(axis=0) - 48).max() <= 1
    context.space_data.overlay.show_overlays = False
    assert not drawn(graphics, lambda: boxes.draw(context, [item])).any()


def drawn(graphics, draw) -> np.ndarray:
    """(64, 64, 3) what `draw` leaves on black, seen straight from above, four units wide."""
    offscreen = graphics.types.GPUOffScreen(64, 64, format="RGBA32F")
    with offscreen.bind(), graphics.matrix.push_pop(), graphics.matrix.push_pop_projection():
        framebuffer = graphics.state.active_framebuffer_get()
        framebuffer.clear(color=(0, 0, 0, 0), depth=1.0)
        graphics.matrix.load_matrix(Matrix.Identity(4))
        graphics.matrix.load_projection_matrix(Matrix.Diagonal((0.5, 0.5, -0.1, 1)))
        draw()
        pixels = np.array(framebuffer.read_color(0, 0, 64, 64, 4, 0, "FLOAT").to_list())
    offscreen.free()
    return pixels.reshape(64, 64, 4)[..., :3]
