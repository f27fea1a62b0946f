"""Images and flat colours for tests in Blender."""

from pathlib import Path

import numpy as np


def read(path: Path) -> np.ndarray:
    """(H, W, 4) as stored, 0..1, the top row first."""
    import bpy

    image = bpy.data.images.load(str(path))
    values = np.empty(image.size[0] * image.size[1] * image.channels, dtype=np.float32)
    image.pixels.foreach_get(values)
    found = values.reshape(image.size[1], image.size[0], image.channels)[::-1]
    bpy.data.images.remove(image)
    return found


def emissive(name: str, color: tuple[float, float, float]):
    """A material that shines in one scene-linear colour."""
    import bpy

    material = bpy.data.materials.new(name)
    if material.node_tree is None:
        material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    emission, output = tree.nodes.new("ShaderNodeEmission"), tree.nodes.new("ShaderNodeOutputMaterial")
    emission.inputs["Color"].default_value = (*color, 1.0)
    material.diffuse_color = (*color, 1.0)
    tree.links.new(emission.outputs[0], output.inputs[0])
    return material
