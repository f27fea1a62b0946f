"""The hash of a scene that decides whether images of an interrupted capture are kept."""

import os
import subprocess
import sys
from pathlib import Path

import bpy
import pytest

from support.cube_scene import add_camera, prepare, select
from support.extension import ROOT

FINGERPRINTS = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
from support import extension as support
extension = support.Extension(support.enable_extension())
import bpy
fingerprint = extension.module("splat_addon.scene.rendering.fingerprint")
for file in sys.argv[1:]:
    bpy.ops.wm.open_mainfile(filepath=file, load_ui=False)
    bpy.context.scene.frame_set(20)
    print("fingerprint", fingerprint.scene_fingerprint(set()), flush=True)
"""


def fingerprints(*files: Path) -> list[str]:
    """The fingerprint of each file, after each other in a Blender of its own, which must not crash."""
    environment = {name: value for name, value in os.environ.items() if name != "BLENDER_USER_RESOURCES"}
    command = [sys.executable, "-c", FINGERPRINTS, *map(str, files)]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert answer.returncode == 0, f"{answer.stdout}\n{answer.stderr}"
    return [line.split()[1] for line in answer.stdout.splitlines() if line.startswith("fingerprint ")]


def scatter_leaves(kind: str, render_type: str) -> bpy.types.ParticleSettings:
    """Let the cube's particles show a leaf, or a collection that holds it; returns their settings."""
    scene, cube = bpy.context.scene, bpy.data.objects["Cube"]
    mesh = bpy.data.meshes.new("Leaf")
    mesh.from_pydata([(-0.1, -0.1, 0), (0.1, -0.1, 0), (0, 0.1, 0.1)], [], [(0, 1, 2)])
    leaves, leaf = bpy.data.collections.new("Leaves"), bpy.data.objects.new("Leaf", mesh)
    scene.collection.objects.link(leaf)
    leaves.objects.link(leaf)
    cube.modifiers.new("Leaves", "PARTICLE_SYSTEM")
    settings = cube.particle_systems[0].settings
    settings.type, settings.count, settings.render_type = kind, 50, render_type
    settings.instance_object, settings.instance_collection = leaf, leaves
    return settings


def saved(path: Path) -> Path:
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    return path


@pytest.mark.parametrize("render_type", ["OBJECT", "COLLECTION"])
@pytest.mark.parametrize("kind", ["EMITTER", "HAIR"])
def test_scattered_objects_have_one_fingerprint_until_their_particles_change(tmp_path, kind, render_type):
    prepare(tmp_path / "c")
    settings = scatter_leaves(kind, render_type)
    one = saved(tmp_path / "one.blend")
    settings.particle_size *= 2
    larger = saved(tmp_path / "larger.blend")
    first, again, other = fingerprints(one, one, larger)
    assert first == again != other
    assert fingerprints(one) == [first], "nor does it change from one Blender to the next"


def test_a_scene_with_scattered_objects_can_be_captured(tmp_path):
    prepare(tmp_path / "c", source="SELECTED")
    scatter_leaves("EMITTER", "OBJECT")
    select(add_camera("Front"))
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    assert [file.name for file in (tmp_path / "c" / "images").iterdir()] == ["Front.png"]


def test_what_is_hidden_in_the_viewport_alone_changes_nothing(tmp_path):
    prepare(tmp_path / "c")
    cube, seen = bpy.data.objects["Cube"], saved(tmp_path / "seen.blend")
    cube.hide_viewport = True
    hidden = saved(tmp_path / "hidden.blend")
    cube.hide_render = True
    first, still, gone = fingerprints(seen, hidden, saved(tmp_path / "gone.blend"))
    assert first == still != gone
