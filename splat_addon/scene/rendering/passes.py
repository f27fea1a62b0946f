"""Depth and normals of each image as 32-bit OpenEXR, written by Blender's compositor next to the image."""

from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

import bpy

from ...errors import CaptureError
from ...files import move_into_place, remove_file
from ...run.render_folder import RenderPlan
from ..settings.paths import without_templates


def pass_name(photo: str) -> str:
    """The name of an image's depth or normals file."""
    return PurePosixPath(photo).stem + ".exr"


class PassWriter:
    """A compositor tree with one File Output per pass; the image itself goes through unchanged.

    Depth is the distance along the viewing direction (not along the ray) in scene units, about 1e10 where nothing is
    seen; normals are in the world's axes.
    """

    def __init__(self, scene: bpy.types.Scene, plan: RenderPlan, work: Path):
        self._scene, self._work = scene, work
        self._aside = work / "passes.partial"
        self._remedy = "Switch depth and normals off, or render with Cycles."
        if plan.outside is not None:  # which needs depths
            self._remedy = "Choose Cycles in the Capture panel, or EEVEE as the scene's engine."
        self._passes = [
            (folder, socket)
            for folder, socket, is_wanted in (("depths", "Depth", plan.depth), ("normals", "Normal", plan.normals))
            if is_wanted
        ]
        layer = next(layer for layer in scene.view_layers if layer.use)
        layer.use_pass_z, layer.use_pass_normal = plan.depth, plan.normals
        scene.render.use_compositing = True
        self._tree = _empty_tree(scene)
        layers = self._tree.nodes.new("CompositorNodeRLayers")
        layers.scene, layers.layer = scene, layer.name
        _link_image(self._tree, layers)
        for folder, socket in self._passes:
            output = _file_output(self._tree, self._aside / folder, folder, is_gray=folder == "depths")
            self._tree.links.new(layers.outputs[socket], output)

    def prepare(self) -> None:
        """Before a render: nothing of the last one is there."""
        for folder, _ in self._passes:
            (self._aside / folder).mkdir(parents=True, exist_ok=True)
            for file in (self._aside / folder).iterdir():
                remove_file(file)

    def collect(self, photo: str) -> None:
        """Move what was written into the work folder under the image's name. Raises CaptureError."""
        for folder, _ in self._passes:
            found = list((self._aside / folder).glob("*.exr"))
            if len(found) != 1:
                raise CaptureError(f"{self._scene.render.engine} wrote no {folder} for {photo}.", self._remedy)
            move_into_place(found[0], self._work / folder / pass_name(photo))


def _empty_tree(scene: bpy.types.Scene) -> Any:
    if hasattr(scene, "compositing_node_group"):  # Blender 5.0
        tree = bpy.data.node_groups.new("Splat Passes", "CompositorNodeTree")
        scene.compositing_node_group = tree
        return tree
    scene.use_nodes = True
    scene.node_tree.nodes.clear()
    return scene.node_tree


def _link_image(tree: Any, layers: Any) -> None:
    """The image that is rendered is the render itself."""
    if hasattr(bpy.types, "CompositorNodeComposite"):
        output = tree.nodes.new("CompositorNodeComposite")
    else:
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        output = tree.nodes.new("NodeGroupOutput")
    tree.links.new(layers.outputs["Image"], output.inputs[0])
    if "Alpha" in output.inputs:
        tree.links.new(layers.outputs["Alpha"], output.inputs["Alpha"])


def _file_output(tree: Any, folder: Path, name: str, is_gray: bool) -> Any:
    """A File Output node for one 32-bit EXR; returns its input."""
    node = tree.nodes.new("CompositorNodeOutputFile")
    if hasattr(node, "file_output_items"):  # Blender 5.0
        node.directory, node.file_name = without_templates(folder, node, "directory"), name
        node.file_output_items.clear()
        node.file_output_items.new("FLOAT" if is_gray else "VECTOR", name)
    else:
        node.base_path = str(folder)
        node.file_slots.clear()
        node.file_slots.new(name)
    format = node.format
    if hasattr(format, "media_type"):
        format.media_type = "IMAGE"
    format.file_format = "OPEN_EXR"
    format.color_depth, format.exr_codec = "32", "ZIP"
    format.color_mode = "RGB"
    if is_gray:
        with suppress(TypeError):  # Blender 4 repeats one channel three times
            format.color_mode = "BW"
    return node.inputs[0]
