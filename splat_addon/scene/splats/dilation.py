"""Blender's own splats (5.3) made as wide as trainers draw them.

Trainers add 0.3 px^2 to every gaussian's footprint on the image, or surfaces would have holes where gaussians are
smaller than a pixel. Blender adds nothing. These geometry nodes widen each gaussian in space by what that is at its
depth, for the scene's camera, and make those fainter that were trained antialiased. The scale of objects counts by its
mean over the axes, and so does the shape of pixels.
Only what is drawn changes: the data, and so exports, stay as they are.
"""

from typing import Any

import bpy

from ...gaussians.rules import DEFAULT_RULES, PictureRules
from ..own_data import emptied, ensure_local
from .camera_values import CameraValues, add_camera_values, driven
from .data import BASE
from .hidden_points import HIDDEN
from .material import encoding_material
from .node_math import NodeTree, Scalar, Socket, Vector, enabled
from .quads import ANTIALIASED, DISPLAY_SPACE, HIDDEN_SPLATS, add_look, antialiasing, has_look, screen_row, tilt

GROUP_NAME = "Splat Dilation"
VERSION = 3  # 1 knew no antialiasing, 2 drew hidden splats always

EEVEE_WIDTH = 1.0607  # EEVEE and Workbench draw exp(-x^2) with x = 2 at three sigma: 3 / (2 sqrt 2) times as wide
_ANGLE_OF_PIXEL = "(east - west) / floor(columns * percent / 100) if panorama == 0 else view / {}".format(
    "min(floor(columns * percent / 100), floor(rows * percent / 100))"
)


def splat_dilation() -> bpy.types.NodeTree:
    """The group, made at its first use. Its sockets are those of `quads.splat_quads`."""
    return ensure_local(
        "node_groups", GROUP_NAME, lambda former: _make_group(DEFAULT_RULES, former), VERSION, is_former=has_look
    )


def _make_group(rules: PictureRules, former: Any) -> bpy.types.NodeTree:
    group = emptied(former or bpy.data.node_groups.new(GROUP_NAME, "GeometryNodeTree"))
    add_look(group)
    _fill(NodeTree(group), rules)
    return group


def _fill(tree: NodeTree, rules: PictureRules) -> None:
    """Few nodes take a value for each gaussian, or a million would wait; what is the same for all comes before."""
    start = tree.add("NodeGroupInput").outputs

    tree.frame("Camera")
    values = add_camera_values(tree)
    is_panoramic = driven(tree, "Panoramic", "kind == 2")
    angle = driven(tree, "Angle of a pixel", _ANGLE_OF_PIXEL)
    pixel = tree.choose(is_panoramic, angle * angle, values.pixel_x * values.pixel_y)
    active_camera = tree.add("GeometryNodeInputActiveCamera").outputs[0]
    camera, own = _place_of(tree, active_camera), _place_of(tree, tree.add("GeometryNodeSelfObject").outputs[0])
    x, y, z = Vector(tree, own["Scale"]).parts
    object_scale = tree.math("ABSOLUTE", x * y * z) ** (1.0 / 3.0)
    center = Vector(tree, _place_of(tree, active_camera, "RELATIVE")["Location"])
    # The camera's axis as a gradient in the object's frame, whose product with a step there is a depth in its units.
    back = tree.add("FunctionNodeRotateVector", None, (0, 0, 1), camera["Rotation"]).outputs[0]
    transposed = tree.add("FunctionNodeTransposeMatrix", None, own["Transform"]).outputs[0]
    gradient = Vector(tree, tree.add("FunctionNodeTransformDirection", None, back, transposed).outputs[0])
    gradient = gradient * (1.0 / object_scale)
    added = rules.dilation_px2 * pixel  # to the square of a scale, at distance 1
    # Far is measured along the camera's axis. What no pixel looks at can be seen in mirrors, and how far that is only
    # its distance tells here; so it is for all that panoramic cameras see.
    corner_x, corner_y = (
        tree.math("ABSOLUTE", middle) + half
        for middle, half in ((values.middle_x, values.half_width), (values.middle_y, values.half_height))
    )
    to_corner = tree.choose(is_panoramic, 0.0, 1.0 + corner_x * corner_x + corner_y * corner_y)

    tree.frame("Distance")
    from_camera = Vector(tree, tree.add("GeometryNodeInputPosition").outputs[0]) - center
    depth, squared = gradient.dot(from_camera), from_camera.dot(from_camera)
    along = depth * depth
    squared = tree.choose(squared > along * to_corner, squared, along)
    added = tree.choose(values.is_orthographic, added / (object_scale * object_scale), squared * added)

    tree.frame("Hidden")
    is_hidden = _attribute(tree, HIDDEN, "BOOLEAN")
    shown = tree.add(
        "GeometryNodeDeleteGeometry", {"domain": "POINT"}, Geometry=start["Geometry"], Selection=is_hidden
    ).outputs[0]
    splats = _choose_geometry(tree, start[HIDDEN_SPLATS], start["Geometry"], shown)

    antialiased = _with_compensated_opacities(tree, splats, values, is_panoramic, rules)
    splats = _choose_geometry(tree, start[ANTIALIASED], antialiased, splats)

    tree.frame("Dilation")
    scale = Vector(tree, _attribute(tree, "scale", "FLOAT_VECTOR"))
    wider = tree.vector(*(tree.math("MULTIPLY_ADD", part, part, added).sqrt() for part in scale.parts))
    drawn = tree.choose(driven(tree, "EEVEE or Workbench", "engine < 2"), wider * (1.0 / EEVEE_WIDTH), wider)
    splats = tree.add(
        "GeometryNodeStoreNamedAttribute",
        {"data_type": "FLOAT_VECTOR", "domain": "POINT"},
        Geometry=splats,
        Name="scale",
        Value=drawn,
    ).outputs[0]

    tree.frame("Look")
    encoded = tree.add("GeometryNodeSetMaterial", Geometry=splats, Material=encoding_material()).outputs[0]
    tree.add("NodeGroupOutput", None, _choose_geometry(tree, start[DISPLAY_SPACE], encoded, splats))


def _with_compensated_opacities(
    tree: NodeTree, splats: Socket, values: CameraValues, is_panoramic: Scalar, rules: PictureRules
) -> Socket:
    """The splats with opacities that make up for the dilation: from their covariance on the image, as quads have it,
    in the object's frame. Panoramic cameras see each along the axes of its own ray."""
    tree.frame("Antialiasing")
    camera = tree.add("GeometryNodeInputActiveCamera").outputs[0]
    place = _place_of(tree, camera, "RELATIVE")
    right, up, back = (
        Vector(tree, tree.add("FunctionNodeRotateVector", None, axis, place["Rotation"]).outputs[0])
        for axis in ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    )
    own = _place_of(tree, tree.add("GeometryNodeSelfObject").outputs[0])
    from_camera = Vector(tree, tree.add("GeometryNodeInputPosition").outputs[0]) - Vector(tree, place["Location"])
    ray = from_camera.normalized()
    across = ray.cross(up).normalized()
    depth = tree.choose(is_panoramic, from_camera.dot(ray), -back.dot(from_camera))
    unit = tree.choose(values.is_orthographic, 1.0 / Vector(tree, own["Scale"]).parts[0], depth)
    scale = _attribute(tree, "scale", "FLOAT_VECTOR")
    rotation = _attribute(tree, "rotation", "QUATERNION")
    rows = []
    for axis, own_axis, middle, half in (
        (right, across, values.middle_x, values.half_width),
        (up, across.cross(ray), values.middle_y, values.half_height),
    ):
        slope = axis.dot(from_camera) / depth
        lean = tree.choose(is_panoramic, 0.0, tilt(tree, values, slope, middle, half, rules))
        seen_along = tree.choose(is_panoramic, own_axis, axis)
        rows.append(screen_row(tree, seen_along, back, Vector(tree, scale), rotation, unit, lean))
    row_x, row_y = rows
    dilation_x = rules.dilation_px2 * (values.pixel_x * values.pixel_x)
    dilation_y = rules.dilation_px2 * (values.pixel_y * values.pixel_y)
    angle = driven(tree, "Angle of a pixel", _ANGLE_OF_PIXEL)
    dilation_x, dilation_y = (
        tree.choose(is_panoramic, rules.dilation_px2 * (angle * angle), value) for value in (dilation_x, dilation_y)
    )
    area = row_x.cross(row_y)
    undilated = area.dot(area)
    rest = dilation_x * row_y.dot(row_y) + dilation_y * row_x.dot(row_x) + dilation_x * dilation_y
    base = _attribute(tree, BASE, "FLOAT_COLOR")
    red, green, blue, opacity = tree.add("FunctionNodeSeparateColor", None, base).outputs
    fainter = Scalar(tree, opacity) * antialiasing(undilated, undilated + rest)
    color = tree.add("FunctionNodeCombineColor", Red=red, Green=green, Blue=blue, Alpha=fainter).outputs[0]
    return tree.add(
        "GeometryNodeStoreNamedAttribute",
        {"data_type": "FLOAT_COLOR", "domain": "POINT"},
        Geometry=splats,
        Name=BASE,
        Value=color,
    ).outputs[0]


def _attribute(tree: NodeTree, name: str, kind: str) -> Socket:
    node = tree.add("GeometryNodeInputNamedAttribute", {"data_type": kind}, Name=name)
    return enabled(node.outputs, "Attribute")


def _choose_geometry(tree: NodeTree, condition: Socket, if_true: Socket, if_false: Socket) -> Socket:
    """Only what is chosen is computed."""
    switch = {"Switch": condition, "True": if_true, "False": if_false}
    return enabled(tree.add("GeometryNodeSwitch", {"input_type": "GEOMETRY"}, **switch).outputs, "Output")


def _place_of(tree: NodeTree, item, space: str = "ORIGINAL"):
    """The outputs with an object's place in the world, or in the frame of the object that the nodes belong to."""
    return tree.add("GeometryNodeObjectInfo", {"transform_space": space}, Object=item).outputs
