"""The geometry nodes that turn gaussians into what a camera sees of them: one quad per gaussian, far ones first.

The trainer's own projection (EWA splatting as 3DGS uses it; equations as in `trainer/backend/reference/equations.py`,
numbers from `gaussians/rules.py`), in the object's own frame, with Blender's camera axes (+x right, +y up, -z forward).
A gaussian's footprint is an ellipse on the image; the quad around it is parallel to the image plane, so that
perspective maps it there exactly.
"""

from typing import Any

import bpy

from ...gaussians.harmonics import MAX_DEGREE, SH_C0, higher_harmonics
from ...gaussians.rules import ANTIALIAS_FLOOR, DEFAULT_RULES, PictureRules
from .. import own_data
from ..settings import working_space
from .camera_values import CameraValues, add_camera_values
from .data import BASE, HIGHER
from .hidden_points import HIDDEN
from .material import COLOR, PLACE, splat_material
from .node_math import NodeTree, Scalar, Socket, Vector, enabled

GROUP_NAME = "Splat Quads"
# 1 held the projection's slopes about the optical axis, 2 had one near plane for scenes of any size, 3 laid the last of
# splats at one depth on top and knew no antialiasing, 4 never drew hidden splats.
VERSION = 5
DISPLAY_SPACE = "Trainer Look"
ANTIALIASED = "Antialiased"
HIDDEN_SPLATS = "Hidden Splats"
NEAR_SCALE = "Near Plane Scale"

APART = 2.0**-20  # relative depth by which quads must differ, or a ray meets two at one float and Cycles sees but one
FARTHEST = 2.0**-8  # relative depth by which a quad may be moved away for that


def splat_quads() -> bpy.types.NodeTree:
    """The group, made at its first use. One that an earlier version has made is filled again, for all that use it."""
    return own_data.ensure_local(
        "node_groups",
        GROUP_NAME,
        lambda former: _make_group(DEFAULT_RULES, former),
        working_space.version_here(VERSION),
        is_former=has_look,
    )


def has_look(group: bpy.types.NodeTree) -> bool:
    """Whether a node group has the socket that all have which draw splats, in any version."""
    return DISPLAY_SPACE in group.interface.items_tree


def add_look(group: bpy.types.NodeTree) -> None:
    """The sockets that all groups have which draw splats, where they are missing."""
    own_data.ensure_socket(group, "Geometry", "INPUT", "NodeSocketGeometry")
    look = own_data.ensure_socket(group, DISPLAY_SPACE, "INPUT", "NodeSocketBool")
    look.description = "Blend display colors as the trainer does: for a layer of splats alone under the view Raw"
    antialiased = own_data.ensure_socket(group, ANTIALIASED, "INPUT", "NodeSocketBool")
    antialiased.description = "Opacities make up for the dilation, as splats trained with Mip-Splatting need it"
    hidden = own_data.ensure_socket(group, HIDDEN_SPLATS, "INPUT", "NodeSocketBool")
    hidden.description = "Also draw splats that are hidden in their object"
    own_data.ensure_socket(group, "Geometry", "OUTPUT", "NodeSocketGeometry")


def _make_group(rules: PictureRules, former: Any = None) -> bpy.types.NodeTree:
    group = own_data.emptied(former or bpy.data.node_groups.new(GROUP_NAME, "GeometryNodeTree"))
    add_look(group)
    near = own_data.ensure_socket(group, NEAR_SCALE, "INPUT", "NodeSocketFloat")
    near.default_value, near.min_value = 1.0, 0.0
    near.description = "Smaller for small scenes, so that what stands near to their cameras is drawn"
    _fill(group, rules)
    return group


def _fill(group: bpy.types.NodeTree, rules: PictureRules) -> None:
    """The nodes of a group that has its sockets and nothing else."""
    tree = NodeTree(group)
    start = tree.add("NodeGroupInput").outputs
    splats = start["Geometry"]

    tree.frame("Gaussians")
    mean = Vector(tree, tree.add("GeometryNodeInputPosition").outputs[0])
    scale = Vector(tree, _attribute(tree, "scale", "FLOAT_VECTOR"))
    rotation = _attribute(tree, "rotation", "QUATERNION")
    base = _attribute(tree, BASE, "FLOAT_COLOR")
    opacity = Scalar(tree, tree.add("FunctionNodeSeparateColor", None, base).outputs["Alpha"])
    is_left_out = Scalar(tree, _attribute(tree, HIDDEN, "BOOLEAN")) > start[HIDDEN_SPLATS]

    tree.frame("Camera")
    values = add_camera_values(tree)
    camera = tree.add("GeometryNodeInputActiveCamera").outputs[0]
    place = tree.add("GeometryNodeObjectInfo", {"transform_space": "RELATIVE"}, Object=camera).outputs
    center, turn = Vector(tree, place["Location"]), place["Rotation"]
    self_object = tree.add("GeometryNodeSelfObject").outputs[0]
    own = tree.add("GeometryNodeObjectInfo", {"transform_space": "ORIGINAL"}, Object=self_object).outputs
    object_scale = Vector(tree, own["Scale"]).parts[0]
    right, up, back = (_rotated(tree, axis, turn) for axis in ((1, 0, 0), (0, 1, 0), (0, 0, 1)))

    tree.frame("Projection")
    from_camera = mean - center
    x, depth = right.dot(from_camera), -back.dot(from_camera)
    y = up.dot(from_camera)
    # One unit of length on the image is `unit` object units at the gaussian: its depth, or for orthographic cameras 1.
    unit = tree.choose(values.is_orthographic, 1.0 / object_scale, depth)
    row_x, row_y = (
        screen_row(tree, axis, back, scale, rotation, unit, tilt(tree, values, offset / depth, middle, half, rules))
        for axis, offset, middle, half in (
            (right, x, values.middle_x, values.half_width),
            (up, y, values.middle_y, values.half_height),
        )
    )

    tree.frame("Footprint")
    # Covariance on the image [[a, b], [b, c]] = rows times rows plus dilation; its determinant without cancellation.
    dilation_x = rules.dilation_px2 * (values.pixel_x * values.pixel_x)
    dilation_y = rules.dilation_px2 * (values.pixel_y * values.pixel_y)
    xx, yy, area = row_x.dot(row_x), row_y.dot(row_y), row_x.cross(row_y)
    a, b = xx + dilation_x, row_x.dot(row_y)
    determinant = area.dot(area) + dilation_x * yy + dilation_y * xx + dilation_x * dilation_y
    opacity = tree.choose(start[ANTIALIASED], opacity * antialiasing(area.dot(area), determinant), opacity)
    # Cholesky: the unit circle under [[l, 0], [m, n]] is the ellipse at one sigma, under `reach` times that where
    # opacity falls to the cutoff.
    reach = (2.0 * (opacity / rules.alpha_cutoff).at_least(1.0).ln()).sqrt() * unit
    root = a.sqrt()
    l, m, n = root, b / root, (determinant / a).sqrt()  # noqa: E741
    axis_u = (right * l + up * m) * reach
    axis_v = up * (n * reach)
    near_plane = rules.near_plane * Scalar(tree, start[NEAR_SCALE])
    is_drawn = (depth > near_plane) * (opacity > rules.alpha_cutoff) * (1.0 - is_left_out)

    color = _color(tree, base, _view_direction(tree, values, from_camera, back), start[DISPLAY_SPACE])

    tree.frame("Quads")
    splats, captured = _capture(
        tree, splats, color=color, opacity=opacity, axis_u=axis_u, axis_v=axis_v, drawn=is_drawn, depth=depth
    )
    splats = _without_attributes(tree, splats)
    # Of those at one depth the trainer lays the first on top: sorting keeps their order, which is turned before.
    index = Scalar(tree, tree.add("GeometryNodeInputIndex").outputs[0])
    for weight in (-index, -Scalar(tree, captured["depth"])):
        splats = tree.add("GeometryNodeSortElements", {"domain": "POINT"}, Geometry=splats, Sort_Weight=weight).outputs[
            0
        ]
    depth = Scalar(tree, captured["depth"])
    splats, moved = _capture(tree, splats, depth=_kept_apart(tree, depth))
    instances = tree.add(
        "GeometryNodeInstanceOnPoints", Points=splats, Selection=captured["drawn"], Instance=_unit_quad(tree, rules)
    ).outputs[0]
    axis_u, axis_v = Vector(tree, captured["axis_u"]), Vector(tree, captured["axis_v"])
    size, move = _moved_away(tree, values, Scalar(tree, moved["depth"]), depth, center, back)
    transform = _matrix(tree, axis_u * size, axis_v * size, back, mean.times_plus(size, move))
    instances = tree.add("GeometryNodeSetInstanceTransform", None, instances, Transform=transform).outputs[0]
    rgba = _rgba(tree, Vector(tree, captured["color"]), captured["opacity"])
    quads = tree.add(
        "GeometryNodeStoreNamedAttribute",
        {"data_type": "FLOAT_COLOR", "domain": "INSTANCE"},
        Geometry=instances,
        Name=COLOR,
        Value=rgba,
    ).outputs[0]
    quads = tree.add("GeometryNodeRealizeInstances", None, quads).outputs[0]

    tree.add("NodeGroupOutput", None, quads)


def _attribute(tree: NodeTree, name: str, kind: str) -> Socket:
    """The attribute's value, or zeros where there is none."""
    node = tree.add("GeometryNodeInputNamedAttribute", {"data_type": kind}, Name=name)
    return enabled(node.outputs, "Attribute")


def _rotated(tree: NodeTree, vector, rotation: Socket) -> Vector:
    return Vector(tree, tree.add("FunctionNodeRotateVector", None, vector, rotation).outputs[0])


def tilt(
    tree: NodeTree, values: CameraValues, slope: Scalar, middle: Scalar, half: Scalar, rules: PictureRules
) -> Scalar:
    """How far the ray to the gaussian leans away from the axis. Beyond the image and its margin it is held, since the
    linear projection exaggerates there; 0 for orthographic cameras."""
    reach = half * (1.0 + 2.0 * rules.image_margin)
    return tree.choose(values.is_orthographic, 0.0, slope.at_most(middle + reach).at_least(middle - reach))


def screen_row(
    tree: NodeTree, axis: Vector, back: Vector, scale: Vector, rotation: Socket, unit: Scalar, tilt: Scalar
) -> Vector:
    """A row of J R_cw R(q) diag(s): what a step of one sigma along each of the gaussian's own axes does on the image.

    J is [1, tilt along `back`] / unit, which is turned from the object's frame into the gaussian's own.
    """
    inverse = tree.add("FunctionNodeInvertRotation", None, rotation).outputs[0]
    slope_per_step = back.times_plus(tilt, axis) * (1.0 / unit)
    return _rotated(tree, slope_per_step, inverse) * scale


def antialiasing(undilated: Scalar, dilated: Scalar) -> Scalar:
    """What opacities of antialiased gaussians are multiplied with, from the determinants of their covariance on the
    image. Yu et al. 2024, Mip-Splatting, equation 9."""
    return (undilated / dilated).at_least(ANTIALIAS_FLOOR).sqrt()


def _view_direction(tree: NodeTree, values: CameraValues, from_camera: Vector, back: Vector) -> Vector:
    return tree.choose(values.is_orthographic, back * -1.0, from_camera.normalized())


def _color(tree: NodeTree, base: Socket, direction: Vector, is_display_space: Socket) -> Vector:
    """The gaussian's color as seen from the camera: display-encoded, or decoded to scene-linear."""
    tree.frame("Color")
    encoded = Vector(tree, base).times_plus((SH_C0,) * 3, (0.5,) * 3)
    for k, value in enumerate(higher_harmonics(*direction.parts, MAX_DEGREE)):
        encoded = Vector(tree, _attribute(tree, f"{HIGHER}{k}", "FLOAT_VECTOR")).times_plus(value, encoded)
    encoded = encoded.at_least((0.0,) * 3)
    linear = tree.vector(*(_srgb_decoded(tree, channel) for channel in encoded.parts))
    if not working_space.is_usual():
        rows = working_space.working_from_rec709()
        linear = tree.vector(*(linear.dot(tuple(row)) for row in rows))
    return tree.choose(is_display_space, encoded, linear)


def _srgb_decoded(tree: NodeTree, encoded: Scalar) -> Scalar:
    return tree.choose(encoded > 0.04045, ((encoded + 0.055) / 1.055) ** 2.4, encoded / 12.92)


def _kept_apart(tree: NodeTree, depth: Scalar) -> Scalar:
    """The relative depth by which each splat, in their order from far to near, must be moved away so that none is as
    near as the next but for rounding. Grows with each such pair, so that the order stays."""
    following = Scalar(tree, tree.add("GeometryNodeInputIndex").outputs[0]) + 1.0
    node = tree.add("GeometryNodeFieldAtIndex", {"data_type": "FLOAT", "domain": "POINT"}, Value=depth, Index=following)
    nearer = Scalar(tree, enabled(node.outputs, "Value"))
    is_tied = depth - nearer < depth * APART
    sums = tree.add("GeometryNodeAccumulateField", {"data_type": "FLOAT", "domain": "POINT"}, Value=is_tied).outputs
    before, all_ties = (Scalar(tree, enabled(sums, name)) for name in ("Trailing", "Total"))
    return (all_ties - before) * (FARTHEST / all_ties.at_least(1.0)).at_most(APART)


def _moved_away(
    tree: NodeTree, values: CameraValues, step: Scalar, depth: Scalar, center: Vector, back: Vector
) -> tuple[Scalar, Vector]:
    """A scaling about the origin and a move after it that look the same from the camera, `step` times the depth
    farther away: larger about its center, for orthographic cameras moved along the axis."""
    size = tree.choose(values.is_orthographic, 1.0, 1.0 + step)
    return size, tree.choose(values.is_orthographic, back * (step * depth * -1.0), center * (1.0 - size))


def _matrix(tree: NodeTree, *columns: Vector) -> Socket:
    """A transform with the columns x, y, z and translation."""
    entries = [entry for column in columns for entry in (*column.parts, 0.0)]
    entries[-1] = 1.0
    return tree.add("FunctionNodeCombineMatrix", None, *entries).outputs[0]


def _capture(tree: NodeTree, geometry: Socket, **fields) -> tuple[Socket, dict[str, Socket]]:
    """The geometry with the fields' values on its points, and those values."""
    kinds = {"opacity": "FLOAT", "drawn": "BOOLEAN", "depth": "FLOAT"}  # the others are vectors
    node = tree.add("GeometryNodeCaptureAttribute", {"domain": "POINT"}, Geometry=geometry)
    for name in fields:
        node.capture_items.new(kinds.get(name, "VECTOR"), name)
    for name, field in fields.items():
        tree.fill(node.inputs[name], field)
    return node.outputs["Geometry"], {name: node.outputs[name] for name in fields}


def _without_attributes(tree: NodeTree, geometry: Socket) -> Socket:
    """Without named attributes, which would be copied to every corner of every quad."""
    node = tree.add("GeometryNodeRemoveAttribute", Geometry=geometry, Name="*")
    if hasattr(node, "pattern_mode"):
        node.pattern_mode = "WILDCARD"
    else:
        node.inputs["Pattern Mode"].default_value = "Wildcard"
    return node.outputs[0]


def _unit_quad(tree: NodeTree, rules: PictureRules) -> Socket:
    """A square from -1 to 1 that knows its own places and its material."""
    grid = tree.add("GeometryNodeMeshGrid", Size_X=2.0, Size_Y=2.0, Vertices_X=2, Vertices_Y=2).outputs["Mesh"]
    own_place = tree.add("GeometryNodeInputPosition").outputs[0]
    placed = tree.add(
        "GeometryNodeStoreNamedAttribute",
        {"data_type": "FLOAT2", "domain": "POINT"},
        Geometry=grid,
        Name=PLACE,
        Value=own_place,
    ).outputs[0]
    return tree.add("GeometryNodeSetMaterial", Geometry=placed, Material=splat_material(rules)).outputs[0]


def _rgba(tree: NodeTree, color: Vector, opacity: Socket) -> Socket:
    red, green, blue = color.parts
    node = tree.add("FunctionNodeCombineColor", Red=red, Green=green, Blue=blue, Alpha=opacity)
    return node.outputs[0]
