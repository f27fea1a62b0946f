"""What a scene shows, as hashes: the same in every Blender that opens it, and every difference named."""

import json
import os
import subprocess
import sys
from pathlib import Path

import bpy
import numpy as np
import pytest

from support import scene_kinds as scenes
from support.cube_scene import add_camera, add_cube, prepare, select
from support.extension import ROOT

STATES = f"""
import json, sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
from support import extension as support
extension = support.Extension(support.enable_extension())
import bpy
read_state = extension.module("splat_addon.scene.rendering.fingerprint.state").read_state
rendered_layer = extension.module("splat_addon.scene.rendering.image_settings").rendered_layer
for file in sys.argv[1:]:
    bpy.ops.wm.open_mainfile(filepath=file, load_ui=False)
    scene = bpy.data.scenes["Scene"]
    state = read_state(scene, rendered_layer(scene), set(), False)
    print("state " + json.dumps([[*part, *vars(mark).values()] for part, mark in state.items()]), flush=True)
"""


@pytest.fixture
def read(extension):
    """The state of the open scene."""
    state = extension.module("splat_addon.scene.rendering.fingerprint.state")
    layer = extension.module("splat_addon.scene.rendering.image_settings").rendered_layer

    def read(painted=()):
        scene = bpy.context.scene
        return state.read_state(scene, layer(scene), set(painted), False)

    return read


@pytest.fixture
def mark(extension):
    return extension.module("splat_addon.scene.rendering.fingerprint.marks").Mark


@pytest.fixture
def compare(extension):
    module = extension.module("splat_addon.scene.rendering.fingerprint.differences")
    return lambda mine, copy, simulated=(): module.compare(mine, copy, set(simulated))


def states(mark, *files: Path) -> list[dict]:
    """The state of each file, after each other in a Blender of its own, which must not crash."""
    environment = {name: value for name, value in os.environ.items() if name != "BLENDER_USER_RESOURCES"}
    command = [sys.executable, "-c", STATES, *map(str, files)]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert answer.returncode == 0, f"{answer.stdout}\n{answer.stderr}"
    lines = [line.removeprefix("state ") for line in answer.stdout.splitlines() if line.startswith("state ")]
    return [
        {(aspect, name): mark(exact, firm, tuple(sketch)) for aspect, name, exact, firm, sketch in json.loads(line)}
        for line in lines
    ]


def saved(path: Path) -> Path:
    bpy.ops.wm.save_as_mainfile(filepath=str(path), copy=True, relative_remap=True)
    return path


def test_unchanged_scenes_of_every_kind_differ_in_nothing(read, compare, mark, tmp_path):
    """Each as the session that built it shows it, against a copy that another Blender opens."""
    mine, files = {}, []
    for kind, build in scenes.KINDS.items():
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
        (tmp_path / kind / "copy").mkdir(parents=True)
        build(tmp_path / kind)
        mine[kind] = read()
        assert read() == mine[kind], "reading changes nothing"
        files.append(saved(tmp_path / kind / "copy" / "scene.blend"))
    found = {kind: compare(mine[kind], copy) for kind, copy in zip(mine, states(mark, *files), strict=True)}
    assert len(found) >= 12
    assert {kind: text for kind, text in found.items() if text.seen or text.settings} == {}
    assert ("copies", "Cube") in mine["geometry nodes"] and ("copies", "B") in mine["instances"]
    assert ("copies", "Cube") in mine["particles"] and ("hair", "Cube") in mine["hair"]
    assert ("shape", "Cube Left") not in mine["view layers"], "excluded from the layer that is rendered"
    assert ("shape", "Cube.002") in mine["hidden"], "not rendered, but it cuts what is"


def planted(tmp_path: Path) -> dict:
    """A scene with a bit of everything."""
    prepare(tmp_path / "c")
    cube = bpy.data.objects["Cube"]
    textured = scenes.textured(cube, scenes.image(tmp_path / "skin.png"))
    scenes.link(bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "POINT")))
    ground = add_cube(3.0)
    ground.name = "Ground"
    spread, *_ = scenes.scatter(ground, scenes.leaf())
    library = bpy.data.collections.new("Library")
    library.objects.link(bpy.data.objects.new("Kept", cube.data))
    empty = scenes.link(bpy.data.objects.new("Stand", None))
    empty.instance_type, empty.instance_collection = "COLLECTION", library
    group = bpy.data.node_groups.new("Inside", "ShaderNodeTree")
    group.nodes.new("ShaderNodeValue")
    textured.node_tree.nodes.new("ShaderNodeGroup").node_tree = group
    cube.modifiers.new("Later", "SUBSURF").show_viewport = False
    return {"cube": cube, "material": textured, "spread": spread, "group": group, "folder": tmp_path}


def _repaint(there):
    picture = bpy.data.images["skin.png"]
    picture.pixels.foreach_set(np.tile(np.float32([0, 0, 1, 1]), 64))
    picture.update()


def _new_file(there):
    scenes.image(there["folder"] / "skin.png", (0, 1, 0), size=4)


def _raise_vertex(there):
    there["cube"].data.vertices[0].co.z += 1e-4


DIFFERENCES = {
    "place": (lambda it: setattr(it["cube"].location, "x", 1e-3), "'Cube' stands elsewhere."),
    "vertex": (_raise_vertex, "'Cube' has another shape."),
    "UV map": (lambda it: setattr(it["cube"].data.uv_layers[0].uv[0], "vector", (0.7, 0.1)), "another shape"),
    "material": (
        lambda it: setattr(it["material"].node_tree.nodes[-1], "mute", True),
        "The material 'Paint' is differ",
    ),
    "node group": (lambda it: it["group"].nodes.new("ShaderNodeRGB"), "The node group 'Inside' is different."),
    "world": (lambda it: setattr(bpy.context.scene.world, "color", (1, 0, 0)), "The world 'World' is different."),
    "light": (lambda it: setattr(bpy.data.lights["Lamp"], "energy", 7.0), "The light 'Lamp' is different."),
    "painted image": (_repaint, "The image 'skin.png' is different: save it, or pack it into the file."),
    "image file": (_new_file, "The image 'skin.png' is different: save it, or pack it into the file."),
    "gone": (lambda it: bpy.data.objects.remove(it["cube"]), "'Cube' is missing."),
    "new": (lambda it: add_cube(), "'Cube.001' is there, but not in your scene."),
    "instances": (lambda it: setattr(it["spread"].inputs["Density"], "default_value", 9.0), "has other instances."),
    "in a collection": (lambda it: setattr(bpy.data.objects["Kept"].location, "x", 1.0), "'Stand' has other inst"),
    "hidden in renders": (lambda it: setattr(it["cube"], "hide_render", True), "'Cube' is missing."),
    "slot": (lambda it: it["cube"].data.materials.clear(), "'Cube' has another shape."),
    "holdout": (lambda it: setattr(it["cube"], "is_holdout", True), "'Cube' has other settings."),
    "for renders": (lambda it: setattr(it["cube"].modifiers[-1], "render_levels", 4), "'Cube' has other settings."),
}


@pytest.mark.parametrize("kind", DIFFERENCES)
def test_every_difference_is_named(read, compare, tmp_path, kind):
    there = planted(tmp_path)
    painted = {"skin.png"} if kind == "painted image" else set()
    before = read(painted)
    assert not compare(before, read(painted)).seen
    plant, sentence = DIFFERENCES[kind]
    plant(there)
    found = compare(before, read(painted))
    texts = found.seen or found.settings
    assert any(sentence in text for text in texts), found
    assert bool(found.seen) == (kind not in ("holdout", "for renders")), "told apart from what may not show"


def test_rounding_is_no_difference_and_one_vertex_is(extension, mark):
    """UV maps of a bevel differ in the last bit from one evaluation to the next."""
    marks = extension.module("splat_addon.scene.rendering.fingerprint.marks")
    random = np.random.default_rng(0)
    values = random.normal(size=3_000_000).astype(np.float32)
    before = marks.mark_of(values)
    rounded = np.nextafter(values, np.where(random.random(len(values)) < 0.5, -np.inf, np.inf).astype(np.float32))
    assert marks.mark_of(rounded).exact != before.exact and before.is_like(marks.mark_of(rounded))
    moved = values.copy()
    moved[1_234_567] += 1e-3
    assert not before.is_like(marks.mark_of(moved))
    assert not before.is_like(marks.mark_of(values[:-1])) and not mark("a").is_like(mark("b"))


def test_a_simulation_that_is_not_baked_is_named_with_its_remedy(extension, read, compare):
    simulations = extension.module("splat_addon.scene.rendering.fingerprint.simulations")
    scenes.simulation_zone(add_cube())
    still = add_cube()
    still.name = "Still"
    before = read()
    for frame in range(1, 6):
        bpy.context.scene.frame_set(frame)
    still.location.x = 1.0
    moving = simulations.unbaked(bpy.context.scene)
    assert moving == {"Cube": 1}
    assert compare(before, read(), moving).seen == [
        "'Cube' has a simulation that is not baked: bake it.",
        "'Still' stands elsewhere.",
    ]


def scatter_leaves(kind: str, render_type: str) -> bpy.types.ParticleSettings:
    """Let the cube's particles show a leaf, or a collection that holds it; returns their settings."""
    cube, leaf = bpy.data.objects["Cube"], scenes.leaf()
    leaves = bpy.data.collections.new("Leaves")
    leaves.objects.link(leaf)
    cube.modifiers.new("Leaves", "PARTICLE_SYSTEM")
    settings = cube.particle_systems[0].settings
    settings.type, settings.count, settings.render_type = kind, 50, render_type
    settings.instance_object, settings.instance_collection = leaf, leaves
    return settings


def test_scattered_objects_have_one_fingerprint_until_their_particles_change(mark, tmp_path):
    files = []
    for kind in ("EMITTER", "HAIR"):
        for render_type in ("OBJECT", "COLLECTION"):
            bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
            prepare(tmp_path / "c")
            settings = scatter_leaves(kind, render_type)
            one = saved(tmp_path / f"{kind} {render_type}.blend")
            settings.particle_size *= 2
            files += [one, one, saved(tmp_path / f"{kind} {render_type} larger.blend")]
    found = states(mark, *files)
    for first, again, larger in zip(found[::3], found[1::3], found[2::3], strict=True):
        assert first == again != larger


def test_a_scene_with_scattered_objects_can_be_captured(tmp_path):
    prepare(tmp_path / "c", source="SELECTED")
    scatter_leaves("EMITTER", "OBJECT")
    select(add_camera("Front"))
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    assert [file.name for file in (tmp_path / "c" / "images").iterdir()] == ["Front.png"]


def test_what_is_hidden_in_the_viewport_alone_changes_nothing_that_is_kept(extension, read, tmp_path):
    show = extension.module("splat_addon.scene.rendering.kept_images").evaluate_what_renders
    prepare(tmp_path / "c")
    cube, seen = bpy.data.objects["Cube"], read()
    cube.hide_viewport = True
    assert read() != seen
    show(bpy.context.view_layer)
    assert read() == seen
    cube.hide_render = True
    show(bpy.context.view_layer)
    assert read() != seen
