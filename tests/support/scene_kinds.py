"""Scenes of every kind that artists capture, small, for comparing one Blender's evaluation with another's."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import bpy
import numpy as np

from support.cube_scene import add_cube


def link(item: bpy.types.Object) -> bpy.types.Object:
    bpy.context.scene.collection.objects.link(item)
    return item


def leaf() -> bpy.types.Object:
    mesh = bpy.data.meshes.new("Leaf")
    mesh.from_pydata([(-0.1, -0.1, 0), (0.1, -0.1, 0), (0, 0.1, 0.1)], [], [(0, 1, 2)])
    return link(bpy.data.objects.new("Leaf", mesh))


def nodes_modifier(item: bpy.types.Object, *types: str) -> list:
    """Geometry nodes on an object, in a row; returns the nodes of `types`."""
    group = bpy.data.node_groups.new("Nodes", "GeometryNodeTree")
    for way in ("INPUT", "OUTPUT"):
        group.interface.new_socket("Geometry", in_out=way, socket_type="NodeSocketGeometry")
    nodes = [group.nodes.new(name) for name in ("NodeGroupInput", *types, "NodeGroupOutput")]
    for before, after in pairwise(nodes):
        group.links.new(before.outputs[0], after.inputs[0])
    item.modifiers.new("Nodes", "NODES").node_group = group
    return nodes[1:-1]


def scatter(item: bpy.types.Object, shown: bpy.types.Object) -> list:
    spread, place = nodes_modifier(item, "GeometryNodeDistributePointsOnFaces", "GeometryNodeInstanceOnPoints")
    info = place.id_data.nodes.new("GeometryNodeObjectInfo")
    info.inputs["Object"].default_value = shown
    spread.inputs["Density"].default_value = 5.0
    place.id_data.links.new(info.outputs["Geometry"], place.inputs["Instance"])
    return [spread, place, info]


def simulation_zone(item: bpy.types.Object, step: float = 0.05) -> bpy.types.Node:
    """A zone that moves the object's geometry by `step` meters along x every frame."""
    (move,) = nodes_modifier(item, "GeometryNodeTransform")
    tree = move.id_data
    start, end = (tree.nodes.new(f"GeometryNodeSimulation{way}") for way in ("Input", "Output"))
    tree.links.clear()
    start.pair_with_output(end)
    first, last = tree.nodes["Group Input"], tree.nodes["Group Output"]
    move.inputs["Translation"].default_value = (step, 0, 0)
    for source, target in (
        (first.outputs[0], start.inputs["Geometry"]),
        (start.outputs["Geometry"], move.inputs[0]),
        (move.outputs[0], end.inputs["Geometry"]),
        (end.outputs["Geometry"], last.inputs[0]),
    ):
        tree.links.new(source, target)
    return move


def image(path: Path, color=(1.0, 0.0, 0.0), size: int = 8) -> bpy.types.Image:
    """An image file of one color, loaded."""
    made = bpy.data.images.new("Made", size, size)
    made.pixels.foreach_set(np.tile(np.float32([*color, 1]), size * size))
    made.filepath_raw, made.file_format = str(path), "PNG"
    made.save()
    bpy.data.images.remove(made)
    return bpy.data.images.load(str(path))


def textured(item: bpy.types.Object, *images: bpy.types.Image) -> bpy.types.Material:
    """A material with the images on an object with a UV map."""
    material = bpy.data.materials.new("Paint")
    if material.node_tree is None:
        material.use_nodes = True
    tree = material.node_tree
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    for one, socket in zip(images, ("Base Color", "Roughness", "Metallic", "Alpha")):
        node = tree.nodes.new("ShaderNodeTexImage")
        node.image = one
        tree.links.new(node.outputs[0], shader.inputs[socket])
    item.data.uv_layers.new(name="Map")
    item.data.materials.append(material)
    return material


def _geometry_nodes(folder: Path) -> None:
    scatter(add_cube(), leaf())


def _particles(folder: Path) -> None:
    cube, scene = add_cube(), bpy.context.scene
    cube.modifiers.new("Emitter", "PARTICLE_SYSTEM")
    settings = cube.particle_systems[0].settings
    settings.count, settings.render_type, settings.instance_object = 40, "OBJECT", leaf()
    settings.frame_start, settings.frame_end = 1, 5
    for frame in range(1, 11):
        scene.frame_set(frame)


def _hair(folder: Path) -> None:
    for kind in ("PATH", "OBJECT"):
        cube = add_cube()
        cube.modifiers.new("Hair", "PARTICLE_SYSTEM")
        settings = cube.particle_systems[0].settings
        settings.type, settings.count, settings.render_type = "HAIR", 30, kind
        if kind == "OBJECT":
            settings.instance_object = leaf()


def _instances(folder: Path) -> None:
    inner, outer = bpy.data.collections.new("Inner"), bpy.data.collections.new("Outer")
    inner.objects.link(bpy.data.objects.new("Deep", add_cube().data))
    for name, source, target in (("A", inner, outer), ("B", outer, bpy.context.scene.collection)):
        empty = bpy.data.objects.new(name, None)
        empty.instance_type, empty.instance_collection, empty.location.x = "COLLECTION", source, 1.0
        target.objects.link(empty)
    parent = link(bpy.data.objects.new("Grid", bpy.data.objects["Cube"].data))
    parent.instance_type = "FACES"
    leaf().parent = parent


def _drivers(folder: Path) -> None:
    cube, scene = add_cube(), bpy.context.scene
    cube.driver_add("location", 2).driver.expression = "frame * 0.1"
    material = textured(cube)
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Roughness"].driver_add("default_value").driver.expression = "0.01 * frame"
    cube["mine"] = 3.0
    scene.frame_set(17, subframe=0.5)


def _libraries(folder: Path) -> None:
    cube = add_cube()
    textured(cube, image(folder / "linked.png"))
    scatter(cube, leaf())
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "library.blend"))
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    with bpy.data.libraries.load(str(folder / "library.blend"), link=True) as (there, wanted):
        wanted.objects = there.objects
    for item in wanted.objects:
        link(item)
    wanted.objects[0].override_create().location.z = 2.0


def _view_layers(folder: Path) -> None:
    scene = bpy.context.scene
    for name in ("Left", "Right"):
        collection = bpy.data.collections.new(name)
        scene.collection.children.link(collection)
        item = add_cube()
        item.name = f"Cube {name}"
        scene.collection.objects.unlink(item)
        collection.objects.link(item)
    other = scene.view_layers.new("Other")
    other.layer_collection.children["Left"].exclude = True
    scene.view_layers[0].layer_collection.children["Right"].holdout = True
    scene.view_layers[0].use = False
    other.material_override = bpy.data.materials.new("Clay")


def _curves_and_text(folder: Path) -> None:
    curve = bpy.data.curves.new("Path", "CURVE")
    curve.dimensions, curve.bevel_depth = "3D", 0.1
    curve.splines.new("BEZIER").bezier_points.add(2)
    curve.splines[0].bezier_points[1].co = (1, 0, 1)
    link(bpy.data.objects.new("Path", curve))
    text = bpy.data.curves.new("Text", "FONT")
    text.body, text.extrude = "Splat", 0.1
    link(bpy.data.objects.new("Text", text))
    for index in range(2):
        ball = bpy.data.metaballs.new("Ball")
        ball.elements.new().co.x = index
        link(bpy.data.objects.new("Ball", ball))


def _animated(folder: Path) -> None:
    cube, scene = add_cube(), bpy.context.scene
    armature = bpy.data.armatures.new("Rig")
    rig = link(bpy.data.objects.new("Rig", armature))
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    armature.edit_bones.new("Bone").tail = (0, 0, 1)
    bpy.ops.object.mode_set(mode="OBJECT")
    cube.modifiers.new("Rig", "ARMATURE").object = rig
    cube.vertex_groups.new(name="Bone").add(range(4), 0.7, "ADD")
    for frame, angle in ((1, 0.0), (20, 1.0)):
        rig.pose.bones["Bone"].rotation_quaternion.x = angle
        rig.pose.bones["Bone"].keyframe_insert("rotation_quaternion", frame=frame)
    cube.shape_key_add(name="Basis")
    key = cube.shape_key_add(name="Wide")
    key.data[0].co.x = -2.0
    for frame in (1, 20):
        key.value = frame / 20
        key.keyframe_insert("value", frame=frame)
    scene.frame_set(12, subframe=0.25)


def _images(folder: Path) -> None:
    packed, tiled = image(folder / "packed.png"), image(folder / "tile.1001.png")
    packed.pack()
    (folder / "packed.png").unlink()
    tiled.source, tiled.filepath = "TILED", str(folder / "tile.<UDIM>.png")
    textured(add_cube(), image(folder / "plain.png"), packed, tiled, bpy.data.images.new("Generated", 16, 16))


def _hidden(folder: Path) -> None:
    cubes = [add_cube() for _ in range(4)]
    cubes[0].hide_viewport = True
    cubes[1].hide_set(True)
    cubes[2].hide_render = True
    for item in cubes:
        item.location.x = 2.0
        item.modifiers.new("Render", "SUBSURF").show_viewport = False
        item.modifiers.new("Cut", "BOOLEAN").object = cubes[2] if item != cubes[2] else None


def _lights_and_nodes(folder: Path) -> None:
    scene = bpy.context.scene
    scene.world = bpy.data.worlds.new("World")
    for kind in ("POINT", "SUN", "SPOT", "AREA"):
        link(bpy.data.objects.new(kind, bpy.data.lights.new(kind, kind))).location.z = 3.0
    material = textured(add_cube())
    tree = material.node_tree
    group = bpy.data.node_groups.new("Inside", "ShaderNodeTree")
    group.nodes.new("ShaderNodeRGBCurve").mapping.curves[0].points.new(0.3, 0.7)
    ramp = group.nodes.new("ShaderNodeValToRGB")
    ramp.color_ramp.elements.new(0.4)
    group.links.new(group.nodes[0].outputs[0], ramp.inputs[0])
    tree.nodes.new("ShaderNodeGroup").node_tree = group
    tree.nodes.new("ShaderNodeValue").outputs[0].default_value = 0.7


def _normals_and_colors(folder: Path) -> None:
    cube = add_cube()
    mesh = cube.data
    mesh.normals_split_custom_set([(0.6, 0.0, 0.8)] * len(mesh.loops))
    mesh.color_attributes.new("Tint", "BYTE_COLOR", "CORNER").data[0].color = (0.2, 0.4, 0.6, 1.0)
    mesh.attributes.new("Wear", "FLOAT", "EDGE").data[0].value = 1.0
    mesh.uv_layers.new(name="One")
    mesh.uv_layers.new(name="Two").active_render = True
    cube.modifiers.new("Smooth", "SUBSURF")
    nodes_modifier(add_cube(), "GeometryNodeMeshToPoints")


KINDS: dict[str, Callable[[Path], None]] = {
    "geometry nodes": _geometry_nodes,
    "particles": _particles,
    "hair": _hair,
    "instances": _instances,
    "drivers": _drivers,
    "libraries": _libraries,
    "view layers": _view_layers,
    "curves and text": _curves_and_text,
    "animation": _animated,
    "images": _images,
    "hidden": _hidden,
    "lights and nodes": _lights_and_nodes,
    "normals and colors": _normals_and_colors,
}
