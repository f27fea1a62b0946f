"""The material of splat quads: fuzzy, glowing in the color that the geometry nodes computed, lit by nothing."""

import bpy

from ...gaussians.rules import PictureRules
from .node_math import NodeTree, Scalar, Vector

MATERIAL_NAME = "Splat Radiance"
COLOR = "splat_color"  # rgb as it is blended, and the peak opacity
PLACE = "splat_place"  # -1..1 in the quad; its border circle is where opacity has fallen to the cutoff


def splat_material(rules: PictureRules) -> bpy.types.Material:
    """The material, made by these rules at its first use."""
    return bpy.data.materials.get(MATERIAL_NAME) or _make_material(rules)


def _make_material(rules: PictureRules) -> bpy.types.Material:
    material = bpy.data.materials.new(MATERIAL_NAME)
    if material.node_tree is None:
        material.use_nodes = True
    if hasattr(material, "surface_render_method"):
        material.surface_render_method = "BLENDED"
    if hasattr(material, "cycles"):
        material.cycles.emission_sampling = "NONE"  # millions of quads are not lamps
    material.node_tree.nodes.clear()
    tree = NodeTree(material.node_tree)
    splat = tree.add("ShaderNodeAttribute", {"attribute_type": "GEOMETRY", "attribute_name": COLOR}).outputs
    place = tree.add("ShaderNodeAttribute", {"attribute_type": "GEOMETRY", "attribute_name": PLACE}).outputs
    opacity, radius = Scalar(tree, splat["Alpha"]), Vector(tree, place["Vector"])
    squared = radius.dot(radius)
    # opacity * exp(-d^2 / 2) with d = reach * radius and reach^2 = 2 ln(opacity / cutoff)
    alpha = (opacity * (opacity / rules.alpha_cutoff) ** -squared).at_most(rules.alpha_cap) * (squared < 1.0)
    clear = tree.add("ShaderNodeBsdfTransparent").outputs[0]
    glow = tree.add("ShaderNodeEmission", Color=splat["Color"]).outputs[0]
    surface = tree.add("ShaderNodeMixShader", None, alpha, clear, glow).outputs[0]
    tree.add("ShaderNodeOutputMaterial", Surface=surface)
    return material
