"""Blender's own splats (5.3) made as wide as trainers draw them.

Trainers add 0.3 px^2 to every gaussian's footprint on the image, or surfaces would have holes where gaussians are
smaller than a pixel. Blender adds nothing. These geometry nodes widen each gaussian in space by what that is at its
depth, for the scene's camera. The scale of objects counts by its mean over the axes, and so does the shape of pixels.
Only what is drawn changes: the data, and so exports, stay as they are.
"""

import bpy

from ...gaussians.rules import DEFAULT_RULES, PictureRules
from .camera_values import add_camera_values, driven
from .material import encoding_material
from .node_math import NodeTree, Scalar, Vector, enabled
from .quads import DISPLAY_SPACE

GROUP_NAME = "Splat Dilation"
VERSION_KEY, VERSION = "splat_version", 1  # of the group

EEVEE_WIDTH = 1.0607  # EEVEE and Workbench draw exp(-x^2) with x = 2 at three sigma: 3 / (2 sqrt 2) times as wide
_ANGLE_OF_PIXEL = "(around - back) / floor(columns * percent / 100) if panorama == 0 else view / {}".format(
    "min(floor(columns * percent / 100), floor(rows * percent / 100))"
)


def splat_dilation() -> bpy.types.NodeTree:
    """The group, made at its first use. Its sockets are those of `quads.splat_quads`."""
    group = bpy.data.node_groups.get(GROUP_NAME)
    return _make_group(DEFAULT_RULES) if group is None else group


def _make_group(rules: PictureRules) -> bpy.types.NodeTree:
    group = bpy.data.node_groups.new(GROUP_NAME, "GeometryNodeTree")
    group[VERSION_KEY] = VERSION
    interface = group.interface
    interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    look = interface.new_socket(DISPLAY_SPACE, in_out="INPUT", socket_type="NodeSocketBool")
    look.description = "Blend display colors as the trainer does: for a layer of splats alone under the view Raw"
    interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    _fill(NodeTree(group), rules)
    return group


def _fill(tree: NodeTree, rules: PictureRules) -> None:
    start = tree.add("NodeGroupInput").outputs

    tree.frame("Pixel at the gaussian")
    unit, pixel = _unit_and_pixel(tree, rules)
    own = tree.add("GeometryNodeSelfObject").outputs[0]
    x, y, z = Vector(tree, _place_of(tree, own)["Scale"]).parts
    object_scale = tree.math("ABSOLUTE", x * y * z) ** (1.0 / 3.0)
    added = rules.dilation_px2 * pixel * (unit / object_scale) * (unit / object_scale)

    tree.frame("Dilation")
    named = tree.add("GeometryNodeInputNamedAttribute", {"data_type": "FLOAT_VECTOR"}, Name="scale")
    scale = Vector(tree, enabled(named.outputs, "Attribute"))
    narrower = tree.choose(driven(tree, "EEVEE or Workbench", "engine < 2"), 1.0 / EEVEE_WIDTH, 1.0)
    wider = tree.vector(*((part * part + added).sqrt() * narrower for part in scale.parts))
    splats = tree.add(
        "GeometryNodeStoreNamedAttribute",
        {"data_type": "FLOAT_VECTOR", "domain": "POINT"},
        Geometry=start["Geometry"],
        Name="scale",
        Value=wider,
    ).outputs[0]

    tree.frame("Look")
    encoded = tree.add("GeometryNodeSetMaterial", Geometry=splats, Material=encoding_material()).outputs[0]
    values = {"Switch": start[DISPLAY_SPACE], "True": encoded, "False": splats}
    look = tree.add("GeometryNodeSwitch", {"input_type": "GEOMETRY"}, **values)
    tree.add("NodeGroupOutput", None, enabled(look.outputs, "Output"))


def _unit_and_pixel(tree: NodeTree, rules: PictureRules) -> tuple[Scalar, Scalar]:
    """How far a gaussian is, in world units, and the area of a pixel at distance 1. Far is measured along the axis of
    perspective cameras, along the ray of panoramic ones, and is 1 for orthographic ones."""
    values = add_camera_values(tree)
    is_panoramic = driven(tree, "Panoramic", "kind == 2")
    angle = driven(tree, "Angle of a pixel", _ANGLE_OF_PIXEL)
    camera = tree.add("GeometryNodeInputActiveCamera").outputs[0]
    place = _place_of(tree, camera)
    own = _place_of(tree, tree.add("GeometryNodeSelfObject").outputs[0])
    position = tree.add("GeometryNodeInputPosition").outputs[0]
    in_world = Vector(tree, tree.add("FunctionNodeTransformPoint", None, position, own["Transform"]).outputs[0])
    from_camera = in_world - Vector(tree, place["Location"])
    back = Vector(tree, tree.add("FunctionNodeRotateVector", None, (0, 0, 1), place["Rotation"]).outputs[0])
    depth = back.dot(from_camera) * -1.0
    distance = Scalar(tree, tree.add("ShaderNodeVectorMath", {"operation": "LENGTH"}, from_camera).outputs["Value"])
    # What no pixel looks at can be seen in mirrors; how far, only its distance tells here.
    farthest_x, farthest_y = (
        tree.math("ABSOLUTE", middle) + half
        for middle, half in ((values.middle_x, values.half_width), (values.middle_y, values.half_height))
    )
    to_corner = (1.0 + farthest_x * farthest_x + farthest_y * farthest_y).sqrt()
    by_ray = tree.math("MAXIMUM", is_panoramic, distance > depth * to_corner)
    unit = tree.choose(values.is_orthographic, 1.0, tree.choose(by_ray, distance, depth)).at_least(rules.near_plane)
    return unit, tree.choose(is_panoramic, angle * angle, values.pixel_x * values.pixel_y)


def _place_of(tree: NodeTree, item):
    """The outputs with an object's place in the world."""
    return tree.add("GeometryNodeObjectInfo", {"transform_space": "ORIGINAL"}, Object=item).outputs
