"""How a splat object is drawn: a geometry-nodes instancer of ellipsoids and a material of fuzzy gaussians.

Each gaussian is an ellipsoid at `REACH` sigma. Its material lets through what a gaussian lets through along the ray:
opacity * exp(-r^2 / 2), where r is how near the ray passes the centre, in sigma. Colour is the base coefficient alone.
Blender blends in scene-linear light, so overlapping splats look a little different from the trainer's image.
"""

import bpy

from ..gaussians.harmonics import SH_C0
from .splats import BASE, has_native_splats

REACH = 3.0  # sigma; beyond it less than 1.2 % of the opacity is left
GROUP_NAME = "Splat Ellipsoids"
MATERIAL_NAME = "Splat Radiance"


def show_as_ellipsoids(item: bpy.types.Object) -> None:
    """Give a splat object its instancer and material. Native splats draw themselves and get none."""
    if has_native_splats():
        return
    modifier = item.modifiers.get(GROUP_NAME) or item.modifiers.new(GROUP_NAME, "NODES")
    modifier.node_group = bpy.data.node_groups.get(GROUP_NAME) or _make_group()


def _make_group() -> bpy.types.NodeTree:
    group = bpy.data.node_groups.new(GROUP_NAME, "GeometryNodeTree")
    group.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    group.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    build = _Builder(group)
    points = build.add("NodeGroupInput")
    sphere = build.add("GeometryNodeMeshIcoSphere")
    sphere.inputs["Radius"].default_value = REACH
    sphere.inputs["Subdivisions"].default_value = 2
    smooth = build.add("GeometryNodeSetShadeSmooth", Geometry=sphere.outputs["Mesh"])
    painted = build.add("GeometryNodeSetMaterial", Geometry=smooth.outputs[0])
    painted.inputs["Material"].default_value = bpy.data.materials.get(MATERIAL_NAME) or _make_material()
    scale = build.add("GeometryNodeInputNamedAttribute")
    scale.data_type = "FLOAT_VECTOR"
    scale.inputs["Name"].default_value = "scale"
    rotation = build.add("GeometryNodeInputNamedAttribute")
    rotation.data_type = "QUATERNION"
    rotation.inputs["Name"].default_value = "rotation"
    instances = build.add(
        "GeometryNodeInstanceOnPoints",
        Points=points.outputs[0],
        Instance=painted.outputs[0],
        Scale=_enabled(scale.outputs, "Attribute"),
        Rotation=_enabled(rotation.outputs, "Attribute"),
    )
    build.add("NodeGroupOutput", Geometry=instances.outputs[0])
    return group


def _make_material() -> bpy.types.Material:
    material = bpy.data.materials.new(MATERIAL_NAME)
    if material.node_tree is None:
        material.use_nodes = True
    if hasattr(material, "surface_render_method"):
        material.surface_render_method = "BLENDED"
    tree = material.node_tree
    tree.nodes.clear()
    build = _Builder(tree)
    base = build.add("ShaderNodeAttribute")
    base.attribute_type, base.attribute_name = "INSTANCER", BASE

    # colour: coefficient -> display-encoded -> scene-linear: the encoding's power law, with its foot pulled down to 0
    encoded = build.vector("MULTIPLY_ADD", base.outputs["Vector"], (SH_C0,) * 3, (0.5,) * 3)
    shown = build.vector("MAXIMUM", encoded, (0.0,) * 3)
    shifted = build.vector("MULTIPLY_ADD", shown, (1 / 1.055,) * 3, (0.055 / 1.055,) * 3)
    linear = build.add("ShaderNodeGamma", Color=shifted)
    linear.inputs["Gamma"].default_value = 2.4
    foot = build.vector("MAXIMUM", build.vector("MULTIPLY_ADD", shown, (-1 / 0.04045,) * 3, (1.0,) * 3), (0.0,) * 3)
    decoded = build.vector("MULTIPLY_ADD", foot, (-((0.055 / 1.055) ** 2.4),) * 3, linear.outputs[0])

    # distance of the ray from the centre in sigma: |p|^2 - (p . d)^2 with the surface point p and the ray d there
    place = build.add("ShaderNodeTexCoord").outputs["Object"]
    geometry = build.add("ShaderNodeNewGeometry")
    to_object = build.add("ShaderNodeVectorTransform", Vector=geometry.outputs["Incoming"])
    to_object.vector_type, to_object.convert_from, to_object.convert_to = "VECTOR", "WORLD", "OBJECT"
    ray = build.vector("NORMALIZE", to_object.outputs[0])
    along = build.vector("DOT_PRODUCT", place, ray)
    beyond = build.vector("DOT_PRODUCT", place, place)
    squared = build.math("SUBTRACT", beyond, build.math("MULTIPLY", along, along))
    response = build.math("EXPONENT", build.math("MULTIPLY", squared, -0.5))
    front = build.math("SUBTRACT", 1.0, geometry.outputs["Backfacing"])
    alpha = build.math("MULTIPLY", build.math("MULTIPLY", response, base.outputs["Alpha"]), front)

    emission = build.add("ShaderNodeEmission", Color=decoded)
    mix = build.add("ShaderNodeMixShader", Fac=alpha)
    tree.links.new(build.add("ShaderNodeBsdfTransparent").outputs[0], mix.inputs[1])
    tree.links.new(emission.outputs[0], mix.inputs[2])
    build.add("ShaderNodeOutputMaterial", Surface=mix.outputs[0])
    return material


class _Builder:
    """Adds nodes to a tree, linking sockets by name, each node a little further right."""

    def __init__(self, tree: bpy.types.NodeTree):
        self._tree = tree

    def add(self, kind: str, **inputs: bpy.types.NodeSocket) -> bpy.types.Node:
        node = self._tree.nodes.new(kind)
        count = len(self._tree.nodes)
        node.location = (180 * (count // 4), -200 * (count % 4))
        for name, socket in inputs.items():
            self._tree.links.new(socket, node.inputs[name])
        return node

    def vector(self, operation: str, *values) -> bpy.types.NodeSocket:
        node = self.add("ShaderNodeVectorMath")
        node.operation = operation
        self._fill(node, values)
        return node.outputs["Value" if operation == "DOT_PRODUCT" else "Vector"]

    def math(self, operation: str, *values) -> bpy.types.NodeSocket:
        node = self.add("ShaderNodeMath")
        node.operation = operation
        self._fill(node, values)
        return node.outputs[0]

    def _fill(self, node: bpy.types.Node, values) -> None:
        for socket, value in zip(node.inputs, values, strict=False):
            if isinstance(value, bpy.types.NodeSocket):
                self._tree.links.new(value, socket)
            else:
                socket.default_value = value


def _enabled(sockets, name: str) -> bpy.types.NodeSocket:
    """The socket of that name that the node's data type uses."""
    return next(socket for socket in sockets if socket.name == name and socket.enabled)
