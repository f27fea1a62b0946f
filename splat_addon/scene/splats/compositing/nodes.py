"""The compositor's nodes that lay a view layer of splats over the other ones, as trainers blend: in display colors.

Before 5.0 a scene has a compositing tree with an output of its own, since then it shows a node group, and several nodes
have others for them.
"""

from typing import Any

import bpy

from ...settings.working_space import present

OURS = "splat_layer"  # of a node: that it was added here
_GROUP = "Splat Compositing"


def tree_of(scene: Any, is_wanted: bool = False) -> Any:
    """The scene's compositing nodes; None where it has none, unless they `is_wanted`."""
    if hasattr(scene, "compositing_node_group"):
        if scene.compositing_node_group is None and is_wanted:
            group = bpy.data.node_groups.new(_GROUP, "CompositorNodeTree")
            group.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
            scene.compositing_node_group = group
        return scene.compositing_node_group
    if is_wanted and not scene.use_nodes:
        scene.use_nodes = True
    return scene.node_tree if scene.use_nodes else None


def forget_tree(scene: Any) -> None:
    """Show no compositing, as before there was a tree."""
    if hasattr(scene, "compositing_node_group"):
        group, scene.compositing_node_group = scene.compositing_node_group, None
        if group is not None and group.users == 0:
            bpy.data.node_groups.remove(group)
    else:
        scene.use_nodes = False


def render_layers(scene: Any) -> list[Any]:
    """The nodes that give view layers of this scene."""
    tree = tree_of(scene)
    nodes = tree.nodes if tree is not None else ()
    return [node for node in nodes if node.bl_idname == "CompositorNodeRLayers" and node.scene in (scene, None)]


def lay_over(scene: Any, below: str, splats: str, is_sky_kept: bool) -> None:
    """Blend the view layer `splats` over what the scene's compositing shows, of the view layer `below` where there is
    nothing else. With `is_sky_kept`, what the film leaves transparent shows the world."""
    tree = tree_of(scene, is_wanted=True)
    output = _output(scene, tree)
    links = output.inputs[0].links
    source = links[0].from_socket if links else None
    if source is None:
        source = _layer(tree, scene, below).outputs["Image"]
    if is_sky_kept:
        for node in [node for node in render_layers(scene) if node.layer == below]:
            whole = _with_sky(tree, node)
            source = whole if source == node.outputs["Image"] else source
    encoded = _converted(tree, source, present(), "sRGB", not is_sky_kept)
    over = _add(tree, "CompositorNodeAlphaOver")
    images = [socket for socket in over.inputs if socket.type == "RGBA"]
    tree.links.new(encoded, images[0])
    tree.links.new(_layer(tree, scene, splats).outputs["Image"], images[1])
    tree.links.new(_converted(tree, over.outputs[0], "sRGB", present(), not is_sky_kept), output.inputs[0])


def remove(scene: Any) -> None:
    """Take away what `lay_over` has added; what it was laid over is shown again."""
    tree = tree_of(scene)
    if tree is None:
        return
    for node in [node for node in tree.nodes if OURS in node]:
        before = next((socket for socket in node.inputs if socket.type == "RGBA" and socket.is_linked), None)
        if before is not None:
            for link in [link for socket in node.outputs for link in socket.links]:
                tree.links.new(before.links[0].from_socket, link.to_socket)
        tree.nodes.remove(node)


def _output(scene: Any, tree: Any) -> Any:
    kind = "NodeGroupOutput" if hasattr(scene, "compositing_node_group") else "CompositorNodeComposite"
    found = [node for node in tree.nodes if node.bl_idname == kind]
    found.sort(key=lambda node: not getattr(node, "is_active_output", True))
    return found[0] if found else tree.nodes.new(kind)


def _add(tree: Any, kind: str, **settings: Any) -> Any:
    node = tree.nodes.new(kind)
    node[OURS] = True
    for name, value in settings.items():
        setattr(node, name, value)
    return node


def _layer(tree: Any, scene: Any, name: str) -> Any:
    return _add(tree, "CompositorNodeRLayers", scene=scene, layer=name)


def _converted(tree: Any, source: Any, come_from: str, go_to: str, is_clear: bool) -> Any:
    """`source` in another color space: as light is, with its alpha taken out where the image `is_clear` in places."""
    node = _add(tree, "CompositorNodeConvertColorSpace", from_color_space=come_from, to_color_space=go_to)
    tree.links.new(_alpha(tree, source, is_straight=True) if is_clear else source, node.inputs[0])
    return _alpha(tree, node.outputs[0], is_straight=False) if is_clear else node.outputs[0]


def _alpha(tree: Any, source: Any, is_straight: bool) -> Any:
    node = _add(tree, "CompositorNodePremulKey")
    if hasattr(node, "mapping"):
        node.mapping = "PREMUL_TO_STRAIGHT" if is_straight else "STRAIGHT_TO_PREMUL"
    else:
        node.inputs["Type"].default_value = "To Straight" if is_straight else "To Premultiplied"
    tree.links.new(source, node.inputs["Image"])
    return node.outputs[0]


def _with_sky(tree: Any, node: Any) -> Any:
    """The image of a view layer and the world behind it, which has a pass of its own, as one opaque image."""
    image, sky = node.outputs["Image"], node.outputs.get("Environment") or node.outputs["Env"]
    targets = [link.to_socket for link in image.links]
    if hasattr(bpy.types, "CompositorNodeMixRGB"):
        total = _add(tree, "CompositorNodeMixRGB", blend_type="ADD")
        colors, result = total.inputs[1:], total.outputs[0]
        total.inputs[0].default_value = 1.0
    else:
        total = _add(tree, "ShaderNodeMix", data_type="RGBA", blend_type="ADD")
        colors = [socket for socket in total.inputs if socket.type == "RGBA"]
        result = next(socket for socket in total.outputs if socket.type == "RGBA")
        total.inputs[0].default_value = 1.0
    tree.links.new(image, colors[0])
    tree.links.new(sky, colors[1])
    opaque = _add(tree, "CompositorNodeSetAlpha")
    if hasattr(opaque, "mode"):
        opaque.mode = "REPLACE_ALPHA"
    else:
        opaque.inputs["Type"].default_value = "Replace Alpha"
    opaque.inputs["Alpha"].default_value = 1.0
    tree.links.new(result, opaque.inputs["Image"])
    for target in targets:
        tree.links.new(opaque.outputs[0], target)
    return opaque.outputs[0]
