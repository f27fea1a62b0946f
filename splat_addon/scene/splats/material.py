"""The materials of splats, which glow and are lit by nothing: one of quads, one of Blender's own splats."""

from typing import Any

import bpy
import numpy as np

from ...gaussians.rules import PictureRules
from ..own_data import emptied, ensure_local
from ..settings import working_space
from .node_math import NodeTree, Scalar, Vector

MATERIAL_NAME = "Splat Radiance"
COLOR = "splat_color"  # rgb as it is blended, and the peak opacity
ENCODING_NAME = "Splat Radiance, Display"
PLACE = "splat_place"  # -1..1 in the quad; its border circle is where opacity has fallen to the cutoff


def splat_material(rules: PictureRules) -> bpy.types.Material:
    """The material, made by these rules at its first use."""
    return ensure_local("materials", MATERIAL_NAME, lambda former: _make_material(rules, former))


def _make_material(rules: PictureRules, former: Any) -> bpy.types.Material:
    material, tree = _glowing(MATERIAL_NAME, former)
    if hasattr(material, "surface_render_method"):
        material.surface_render_method = "BLENDED"
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


def _glowing(name: str, former: Any) -> tuple[bpy.types.Material, NodeTree]:
    """A material, new unless there was one before, whose tree is empty."""
    material = former or bpy.data.materials.new(name)
    if material.node_tree is None:
        material.use_nodes = True
    if hasattr(material, "cycles"):
        material.cycles.emission_sampling = "NONE"  # millions of splats are not lamps
    emptied(material.node_tree)
    return material, NodeTree(material.node_tree)


def encoding_material() -> bpy.types.Material:
    """For Blender's own splats under the view Raw: their color, which Blender decodes to linear, encoded again, so that
    display colors are blended. Their opacity needs no material."""
    return ensure_local("materials", ENCODING_NAME, _make_encoding_material, working_space.version_here(1))


def _make_encoding_material(former: Any) -> bpy.types.Material:
    material, tree = _glowing(ENCODING_NAME, former)
    radiance = tree.add("ShaderNodeAttribute", {"attribute_type": "GEOMETRY", "attribute_name": "radiance"}).outputs
    linear = Vector(tree, radiance["Color"])
    if not working_space.is_usual():
        rows = np.linalg.inv(working_space.working_from_rec709())
        linear = tree.vector(*(linear.dot(tuple(row)).at_least(0.0) for row in rows))
    encoded = tree.vector(*(_srgb_encoded(part) for part in linear.parts))
    tree.add("ShaderNodeOutputMaterial", Surface=tree.add("ShaderNodeEmission", Color=encoded).outputs[0])
    return material


def _srgb_encoded(linear: Scalar) -> Scalar:
    """IEC 61966-2-1, written without a choice, which shader trees lack."""
    is_bright = linear > 0.0031308
    return is_bright * (1.055 * linear ** (1.0 / 2.4) - 0.055) + (1.0 - is_bright) * (12.92 * linear)
