"""Whether the artist's session runs the Python that is in the open file: the second Blender must not run more.

Blender decides that when a file is opened, from the preferences, the excluded paths, the command line and what was
ticked in the file browser, and tells nobody. `bpy.app.autoexec_fail` only says that something was blocked already:
a driver on an object that is hidden in the viewport was not even tried. So a driver of our own is tried.
"""

from collections.abc import Iterator

import bpy

_NAME = "capture_asks_whether_python_of_this_file_may_run"


def session_runs_scripts() -> bool:
    """Whether Python in the open file runs here; False also where it holds none.

    Where it is blocked, Blender tells the artist, as it does of every driver that it blocks.
    """
    if bpy.app.autoexec_fail or not _holds_scripts():
        return False
    return _runs_a_driver()


def _holds_scripts() -> bool:
    return any(text.use_module for text in bpy.data.texts) or any(
        driver.driver.type == "SCRIPTED" and not driver.driver.is_simple_expression for driver in _drivers()
    )


def _drivers() -> Iterator[bpy.types.FCurve]:
    """All drivers of the file, those of node trees inside of materials, worlds, lights and scenes included."""
    for item in bpy.data.user_map():  # type: ignore[call-arg] # all are optional
        for owner in (item, getattr(item, "node_tree", None), getattr(item, "shape_keys", None)):
            animation = getattr(owner, "animation_data", None)
            if animation is not None:
                yield from animation.drivers


def _runs_a_driver() -> bool:
    """Evaluate a driver, in a scene of its own, that only runs where Python may."""
    ran: list[bool] = []
    bpy.app.driver_namespace[_NAME] = lambda _: float(ran.append(True) is None)
    scene = bpy.data.scenes.new("Splat Scripts")
    try:
        scene["splat_asked"] = 0.0
        scene.driver_add(
            '["splat_asked"]'
        ).driver.expression = f"{_NAME}(__import__)"  # a name that is refused where scripts are
        scene.view_layers[0].update()
    finally:
        bpy.data.scenes.remove(scene)
        del bpy.app.driver_namespace[_NAME]
    return bool(ran)
