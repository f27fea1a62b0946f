"""A capture shows what the artist's Blender shows: what lives only there is brought over, played, or named."""

from pathlib import Path

import bpy
import numpy as np
import pytest

from support import pixels, splat_renders
from support import scene_kinds as scenes
from support.cube_scene import add_camera, prepare, select


@pytest.fixture
def warnings(extension):
    """What the last capture has said."""
    live_render = extension.module("splat_addon.scene.tasks.live_render")
    yield lambda: " ".join(live_render.current().warnings)
    extension.drop(live_render.Rendered)


def stage(folder: Path, distance: float = 6.0) -> tuple[bpy.types.Scene, bpy.types.Object]:
    """The cube before a camera from which it is captured."""
    scene = prepare(folder / "c", width=40, height=30, source="SELECTED")
    splat_renders.use_cycles()
    camera = scene.camera = add_camera("Eye", distance)
    scene.render.resolution_x, scene.render.resolution_y, scene.cycles.samples = 40, 30, 2
    select(camera)
    return scene, bpy.data.objects["Cube"]


def center(alpha: np.ndarray) -> np.ndarray:
    """Mean column and row of what is seen."""
    rows, columns = np.indices(alpha.shape)
    return np.array([(alpha * columns).sum(), (alpha * rows).sum()]) / alpha.sum()


def capture_as_rendered(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Where the scene stands in Blender's own render, and in the capture."""
    scene = bpy.context.scene
    mine = center(splat_renders.render(scene, folder)[..., 3])
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    return mine, center(pixels.read(folder / "c" / "images" / "Eye.png")[..., 3])


def test_a_simulation_zone_that_was_only_played_is_played_in_the_copy(warnings, tmp_path):
    scene, cube = stage(tmp_path)
    scenes.simulation_zone(cube)
    for frame in range(1, 16):
        scene.frame_set(frame)
    mine, captured = capture_as_rendered(tmp_path)
    assert mine[0] > 22 and abs(mine - captured).max() < 0.2
    assert "The simulation of Cube was played from frame 1 on." in warnings()


def test_a_rigid_body_that_was_only_played_is_played_in_the_copy(warnings, tmp_path):
    scene, cube = stage(tmp_path, distance=7.0)
    camera = scene.camera
    bpy.ops.rigidbody.world_add()
    select(cube)
    bpy.context.view_layer.objects.active = cube
    bpy.ops.rigidbody.object_add()
    select(camera)
    for frame in range(1, 13):
        scene.frame_set(frame)
    mine, captured = capture_as_rendered(tmp_path)
    assert mine[1] > 18 and abs(mine - captured).max() < 0.2


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_baked_cache_is_found_by_the_copy(warnings, tmp_path, on_disk):
    _, cube = stage(tmp_path)
    cache = cube.modifiers.new("Cloth", "CLOTH").point_cache
    cache.frame_start, cache.frame_end = 1, 12
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    cube = bpy.data.objects["Cube"]
    cache = cube.modifiers["Cloth"].point_cache
    cache.use_disk_cache = on_disk
    with bpy.context.temp_override(point_cache=cache, active_object=cube, object=cube):
        bpy.ops.ptcache.bake(bake=True)
    assert (tmp_path / "blendcache_shot").is_dir() == on_disk
    bpy.context.scene.frame_set(10)
    mine, captured = capture_as_rendered(tmp_path)
    assert mine[1] > 16 and abs(mine - captured).max() < 0.2
    assert "played" not in warnings()


@pytest.mark.parametrize("place", ["", "//bakes", "packed"])
def test_a_baked_simulation_zone_is_found_by_the_copy(warnings, tmp_path, place):
    """Baked further than playing it would come now: its step was changed since."""
    scene, cube = stage(tmp_path)
    scenes.simulation_zone(cube)
    scene.frame_end = 20
    select(cube)
    bpy.context.view_layer.objects.active = cube
    (tmp_path / "shots").mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shots" / "shot.blend"))
    scene, cube = bpy.context.scene, bpy.data.objects["Cube"]
    modifier = cube.modifiers["Nodes"]
    bake = modifier.bakes[0]
    if place == "packed":
        if not hasattr(bake, "bake_target"):
            pytest.skip("this Blender bakes to disk alone")
        bake.bake_target = "PACKED"
    else:
        modifier.bake_directory = place
        if hasattr(bake, "bake_target"):
            bake.bake_target = "DISK"
    assert bpy.ops.object.geometry_node_bake_single(
        session_uid=cube.session_uid, modifier_name=modifier.name, bake_id=bake.bake_id
    ) == {"FINISHED"}
    modifier.node_group.nodes["Transform Geometry"].inputs["Translation"].default_value.x = -0.01
    scene.frame_set(15)
    select(bpy.data.objects["Eye"])
    mine, captured = capture_as_rendered(tmp_path)
    assert mine[0] > 22 and abs(mine - captured).max() < 0.2
    assert "played" not in warnings()


def test_a_simulation_that_cannot_be_played_alike_is_named_before_anything_is_rendered(warnings, tmp_path):
    scene, cube = stage(tmp_path)
    scenes.simulation_zone(cube)
    scene.frame_set(20)
    cube.modifiers["Nodes"].node_group.nodes["Transform Geometry"].inputs["Translation"].default_value.x = 0.1
    scene.frame_set(30)
    scene.frame_start = 25  # the copy begins elsewhere than this session did
    with pytest.raises(RuntimeError, match=r"'Cube' has a simulation that is not baked: bake it\. Then capture again."):
        bpy.ops.splat.capture_scene()
    assert not (tmp_path / "c" / "images").exists()


def test_what_the_copy_lacks_is_named_and_rendered_only_when_asked_for_again(warnings, tmp_path):
    """The library was saved by somebody else since this file was opened."""
    scenes.image(tmp_path / "skin.png")
    cube = prepare(tmp_path / "none") and bpy.data.objects["Cube"]
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"))
    cube.data.vertices[0].co.x = -2.0
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "newer.blend"))
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    _, mine = stage(tmp_path)
    bpy.data.objects.remove(mine)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (_, wanted):
        wanted.objects = ["Cube"]
    scenes.link(wanted.objects[0])
    bpy.context.view_layer.update()
    (tmp_path / "newer.blend").replace(tmp_path / "library.blend")
    with pytest.raises(RuntimeError, match=r"not what your Blender shows: 'Cube \[library.blend\]' has another shape"):
        bpy.ops.splat.capture_scene()
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}, "asked for again"
    assert "is not what your Blender shows: 'Cube [library.blend]' has another shape." in warnings()


def test_a_range_of_frames_plays_its_simulation_and_gives_the_frame_back(extension, warnings, tmp_path):
    scene, cube = stage(tmp_path)
    scenes.simulation_zone(cube)
    chosen = scene.splat.capture
    chosen.source, chosen.first_frame, chosen.last_frame, chosen.frame_step = "FRAMES", 1, 21, 10
    scene.frame_set(7, subframe=0.5)
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    assert scene.frame_current_final == 7.5
    names = [f"Eye_{frame:04d}.png" for frame in (1, 11, 21)]
    places = [center(pixels.read(tmp_path / "c" / "images" / name)[..., 3])[0] for name in names]
    steps = np.diff(places)
    assert steps.min() > 2 and abs(steps[0] - steps[1]) < 0.5, "0.5 m from each image to the next"


def animated_scene() -> tuple[bpy.types.Scene, dict]:
    """Everything that is animated by two keyframes: places in the data by what they are."""
    scene, cube = bpy.context.scene, bpy.data.objects["Cube"]
    material = scenes.textured(cube)
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    cube['my "own"]'] = 1.0
    cube.shape_key_add(name="Basis")
    key = cube.shape_key_add(name="Key")
    rig = scenes.link(bpy.data.objects.new("Rig", bpy.data.armatures.new("Rig")))
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    bone = rig.data.edit_bones.new("a.b")
    bone.tail = (0, 0, 1)
    bpy.ops.object.mode_set(mode="OBJECT")
    other = scenes.link(bpy.data.objects.new("Strip", None))
    bone, rough = rig.pose.bones["a.b"], shader.inputs["Roughness"]
    own = 'my "own"]'
    index = shader.inputs.find("Roughness")

    def second(owner) -> tuple:
        return lambda value: owner.location.__setitem__(1, value), lambda: owner.location[1]

    places = {
        "location": (cube, "location", *second(cube)),
        "own": (cube, '["my \\"own\\"]"]', lambda value: cube.__setitem__(own, value), lambda: cube[own]),
        "shape": (
            key.id_data,
            'key_blocks["Key"].value',
            lambda value: setattr(key, "value", value),
            lambda: key.value,
        ),
        "bone": (rig, 'pose.bones["a.b"].location', *second(bone)),
        "node": (
            material.node_tree,
            f'nodes["{shader.name}"].inputs[{index}].default_value',
            lambda value: setattr(rough, "default_value", value),
            lambda: rough.default_value,
        ),
        "strip": (other, "location", *second(other)),
    }
    for block, path, put, _ in places.values():
        for frame, value in ((1, 0.0), (20, 0.5)):
            put(value)
            block.keyframe_insert(path, frame=frame)
    animation = other.animation_data
    track = animation.nla_tracks.new()
    strip = track.strips.new("Strip", 1, animation.action)
    if hasattr(strip, "action_slot") and strip.action_slot is None:
        strip.action_slot = animation.action_slot
    animation.action = None
    return scene, places


def test_looking_at_another_frame_keeps_edits_without_keyframes(extension, tmp_path):
    at_frame = extension.module("splat_addon.scene.rendering.fingerprint.other_frame").at_frame
    prepare(tmp_path / "c")
    scene, places = animated_scene()
    scene.frame_set(20)
    seen = {}
    for kept in (0.5, 0.9):  # nobody edits; somebody does
        for _, _, put, _ in places.values():
            put(kept)
        bpy.context.view_layer.update()
        with at_frame(scene, 1):
            seen = {name: value() for name, (*_, value) in places.items()}
        assert scene.frame_current == 20
        assert seen == dict.fromkeys(places, 0.0)
        assert {name: round(value(), 6) for name, (*_, value) in places.items()} == dict.fromkeys(places, kept)
        cube = bpy.data.objects["Cube"]
        assert abs(cube.evaluated_get(bpy.context.evaluated_depsgraph_get()).matrix_world[1][3] - kept) < 1e-6


def test_a_capture_of_frames_keeps_what_was_moved_without_a_keyframe(warnings, tmp_path):
    scene, cube = stage(tmp_path)
    for frame, x in ((1, 0.0), (21, 0.4)):
        cube.location.x = x
        cube.keyframe_insert("location", frame=frame)
    chosen = scene.splat.capture
    chosen.source, chosen.first_frame, chosen.last_frame, chosen.frame_step = "FRAMES", 1, 21, 10
    scene.frame_set(21)
    cube.location.x = 0.9
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    assert scene.frame_current == 21 and abs(cube.location.x - 0.9) < 1e-6
