"""All operators, wherever they may be called: they do their work or say in a sentence of ours why not, and never show
a traceback or Blender's own "context is incorrect"."""

import inspect
import re

import bpy
import numpy as np
import pytest

from support.cube_scene import add_camera, add_cube, select
from support.splat_objects import make_splats

STARTS_PROCESSES = {
    *("capture_scene", "start_training", "resume_training", "set_up_trainer", "examine_trainer"),
    *("render", "render_viewport"),
}
CHANGES_MUCH = {"add_camera_rig", "add_sample_scene", "import_ply", "open_photo_capture"}  # called last
_POLL = re.compile(r"Operator bpy\.ops\.splat\.\w+\.poll\(\)")


@pytest.fixture
def furnished(extension, tmp_path):
    """A scene with a cube, splats, a camera and a world; the file is saved."""
    scene = bpy.context.scene
    scene.world = bpy.data.worlds.new("World")
    cube, camera = add_cube(), add_camera("Camera")
    splats = make_splats(extension, np.random.default_rng(1).normal(size=(30, 3)))
    extension.module("splat_addon.scene.splats.appearance").show_splats(splats, scene)
    scene.camera = camera
    select(cube, splats)
    bpy.context.view_layer.objects.active = splats
    assert bpy.ops.splat.export_ply(filepath=str(tmp_path / "in.ply")) == {"FINISHED"}
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    return tmp_path


def nothing_special(_):
    pass


def empty_scene(_):
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)


def no_active_object(_):
    select()
    bpy.context.view_layer.objects.active = None


def no_camera_and_no_world(_):
    bpy.context.scene.camera = bpy.context.scene.world = None


def linked_objects(folder):
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    with bpy.data.libraries.load(str(folder / "scene.blend"), link=True) as (there, wanted):
        wanted.objects = list(there.objects)
    for item in wanted.objects:
        bpy.context.scene.collection.objects.link(item)
    select(*wanted.objects)
    bpy.context.view_layer.objects.active = bpy.context.scene.objects["Splats"]


def overridden_objects(folder):
    linked_objects(folder)
    for item in [item for item in bpy.data.objects if item.library is not None]:
        item.override_create(remap_local_usages=True)
    select(*(item for item in bpy.context.scene.objects if item.override_library is not None))
    bpy.context.view_layer.objects.active = next(o for o in bpy.context.scene.objects if o.name == "Splats")


def linked_data(folder):
    linked_objects(folder)
    bpy.ops.object.make_local(type="SELECT_OBJECT")


def linked_scene(folder):
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    with bpy.data.libraries.load(str(folder / "scene.blend"), link=True) as (there, wanted):
        wanted.scenes = there.scenes[:1]
    bpy.context.window.scene = wanted.scenes[0]


def excluded_collections(_):
    home = bpy.data.collections.new("Splats")
    top = bpy.context.scene.collection
    top.children.link(home)
    for item in list(top.objects):
        home.objects.link(item)
        top.objects.unlink(item)
    bpy.context.view_layer.layer_collection.children["Splats"].exclude = True


def object_in_two_scenes(_):
    bpy.data.scenes.new("Other").collection.objects.link(bpy.data.objects["Splats"])


def without_3d_view(_):
    for area in bpy.context.screen.areas:
        area.type = "TEXT_EDITOR"


def mode(name: str):
    def enter(_):
        select(bpy.data.objects["Cube"])
        bpy.context.view_layer.objects.active = bpy.data.objects["Cube"]
        bpy.ops.object.mode_set(mode=name)

    enter.__name__ = f"mode {name.lower()}"
    return enter


def editing_splats(_):
    select(bpy.data.objects["Splats"])
    bpy.ops.object.mode_set(mode="EDIT")


def folder_that_cannot_be_written(folder):
    """Whose place a file has taken; also what was a file is a folder."""
    (folder / "in.ply").unlink()
    (folder / "in.ply").mkdir()
    (folder / "out.ply").mkdir()
    scene = bpy.context.scene
    scene.splat.capture.folder = str(folder / "scene.blend" / "capture")
    scene.splat.run_folder = str(folder / "scene.blend" / "run")


CONTEXTS = [
    nothing_special, empty_scene, no_active_object, no_camera_and_no_world, linked_objects, overridden_objects,
    linked_data, linked_scene, excluded_collections, object_in_two_scenes, without_3d_view, mode("EDIT"),
    mode("SCULPT"), mode("VERTEX_PAINT"), editing_splats, folder_that_cannot_be_written,
]  # fmt: skip


def operators(extension) -> dict[str, type]:
    """All operators of the add-on, by name."""
    modules = extension.module("operators").modules()
    classes = [cls for module in modules for cls in module.CLASSES if issubclass(cls, bpy.types.Operator)]
    return {cls.bl_idname.removeprefix("splat."): cls for cls in classes}


def options_of(name: str, folder) -> dict:
    files = {"import_ply": "in.ply", "export_ply": "out.ply"}
    folders = {"open_photo_capture": "capture", "export_capture": "exported"}
    if name in files:
        return {"filepath": str(folder / files[name])}
    return {"directory": str(folder / folders[name])} if name in folders else {}


def said_by(name: str, folder) -> str:
    """What the operator said instead of doing its work; empty when it did it."""
    try:
        getattr(bpy.ops.splat, name)(**options_of(name, folder))
    except RuntimeError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("context", CONTEXTS, ids=lambda context: context.__name__.replace("_", " "))
def test_every_operator_works_or_says_why_not(extension, furnished, context):
    context(furnished)
    bad = []
    polls = [getattr(bpy.ops.splat, name).poll() for name in sorted(STARTS_PROCESSES)]  # they are only asked
    assert set(polls) <= {True, False}, "what can start depends on where the tests before have left a capture"
    for name in sorted(set(operators(extension)) - STARTS_PROCESSES, key=lambda name: (name in CHANGES_MUCH, name)):
        mode_before = bpy.context.mode
        said = said_by(name, furnished)
        is_sentence = said.strip().endswith(".") or _POLL.search(said)  # what greys a button has no period
        if said and ("Traceback" in said or "context is incorrect" in said or not is_sentence):
            bad.append(f"{name}: {said.strip()[-600:]}")
        assert bpy.context.mode == mode_before, name
    assert not bad, "\n".join(bad)


def test_every_operator_reports_errors(extension):
    bare = [
        name
        for name, cls in operators(extension).items()
        if not hasattr(inspect.getattr_static(cls, "execute", None), "__wrapped__")
    ]
    assert not bare


def test_a_name_with_a_dot_is_kept_on_export(extension, furnished):
    assert bpy.ops.splat.export_ply(filepath=str(furnished / "vase.v2")) == {"FINISHED"}
    assert bpy.ops.splat.export_ply(filepath=str(furnished / "bowl.PLY")) == {"FINISHED"}
    assert {path.name for path in furnished.iterdir()} >= {"vase.v2.ply", "bowl.PLY"}
    assert not (furnished / "vase.ply").exists()
