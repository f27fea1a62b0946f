"""What becomes of every render setting in a capture: one table, complete for each Blender."""

from collections import Counter
from fnmatch import fnmatchcase

import bpy
import pytest

from support.cube_scene import add_camera, prepare


@pytest.fixture
def table(extension):
    if not hasattr(bpy.types.Scene, "cycles"):
        bpy.ops.preferences.addon_enable(module="cycles")
    return extension.module("splat_addon.scene.rendering.render_settings")


def properties(table) -> list[tuple[str, str]]:
    """(struct, name) of all settings that this Blender has."""
    scene = bpy.context.scene
    structs = {path: table.struct_of(scene, scene.view_layers[0], path) for path in table.STRUCTS}
    return [
        (path, spec.identifier)
        for path, struct in structs.items()
        if struct is not None
        for spec in struct.bl_rna.properties
        if spec.identifier != "rna_type"
    ]


def test_every_setting_of_this_blender_has_one_group(table):
    found = properties(table)
    without = [f"{struct}.{name}" for struct, name in found if not table.group_of(struct, name)]
    assert not without, "put these into scene/rendering/render_settings.py: neutral, kept or irrelevant"
    groups = Counter(table.group_of(struct, name) for struct, name in found)
    assert min(groups["neutral"], groups["kept"], groups["irrelevant"]) >= 30
    kept, irrelevant = (
        {(s, name) for s, name in found if any(fnmatchcase(name, p) for p in group.get(s, "").split())}
        for group in (table.KEPT, table.IRRELEVANT)
    )
    neutral = {(s, name) for s, name in found if f"{s}.{name}" in table.NEUTRAL}
    assert not (kept & irrelevant | kept & neutral | irrelevant & neutral), "in one group only"


def test_what_would_change_pixels_is_neutral_in_the_copy_and_said(extension, table, tmp_path):
    settings = extension.module("splat_addon.scene.rendering.image_settings")
    plans = extension.module("splat_addon.run.render_folder")
    scene = prepare(tmp_path / "c")
    scene.render.engine = "CYCLES"
    for path, value in {
        "render.use_motion_blur": True,
        "render.use_stamp": True,
        "render.dither_intensity": 2.0,
        "render.save_output": False,
        "render.image_settings.color_management": "OVERRIDE",
        "cycles.film_exposure": 2.0,
        "cycles.film_transparent_glass": True,
        "cycles.use_sample_subset": True,
        "view_settings.exposure": 1.0,
        "view_settings.use_white_balance": True,
        "cycles.max_bounces": 3,
        "render.use_simplify": True,
    }.items():
        struct, _, name = path.rpartition(".")
        owner = table.struct_of(scene, scene.view_layers[0], struct)
        if hasattr(owner, name):
            setattr(owner, name, value)
    shot = plans.Shot("images/Eye.png", "Eye", 1.0)
    said = settings.set_up(scene, plans.RenderPlan(scene.name, (shot,)), [add_camera("Eye")])
    for path, neutral in table.NEUTRAL.items():
        struct, _, name = path.rpartition(".")
        owner = table.struct_of(scene, scene.view_layers[0], struct)
        if neutral.value is not None and hasattr(owner, name):
            assert getattr(owner, name) == neutral.value, path
    text = " ".join(said)
    words = ["Motion blur", "Metadata", "output's own color management", "Film Exposure", "Transparent Glass"]
    words += ["view transform"] + (["Sample Subset"] if hasattr(scene.cycles, "use_sample_subset") else [])
    assert [word for word in words if word not in text] == []
    assert (scene.cycles.max_bounces, scene.render.use_simplify) == (3, True), "the artist's own"
    again = settings.set_up(scene, plans.RenderPlan(scene.name, (shot,)), [bpy.data.objects["Eye"]])
    assert again == [], "nothing is said of what is neutral already"
