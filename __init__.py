"""Splat Training: train and inspect 3D gaussian splats inside Blender. Nothing is imported before `register()`.

A module that has something for Blender declares it: `CLASSES`, `HANDLERS` (by the name of their list in
`bpy.app.handlers`), `MENUS` (functions that draw, by menu), `ON_CHANGE` (functions by the name of a settings hook), and
`register`. What is started then ends with the session: only the order is known here.
"""


def _features():
    """All modules that declare something, in the order of registration."""
    from . import operators, panels
    from .operators import command_line
    from .operators.review import keys
    from .splat_addon.scene.blame import mapped
    from .splat_addon.scene.editing import crop_preview, histograms
    from .splat_addon.scene.inspection import found, ghost
    from .splat_addon.scene.lesson import arrow, live, picture
    from .splat_addon.scene.review import curves, held_out, switches, views
    from .splat_addon.scene.runs import moved_paths
    from .splat_addon.scene.settings import scene
    from .splat_addon.scene.splats import appearance, hidden_points, render_setup, transforms
    from .splat_addon.scene.splats.contents import findings
    from .splat_addon.scene.tasks import inspecting, preview, previewing_removal, watching
    from .splat_addon.scene.trust import measured
    from .splat_addon.scene.viewport import display

    splats = (appearance, render_setup, findings, transforms, hidden_points)
    rooms = (scene, moved_paths, *splats, display, curves, views, held_out, switches)
    tasks = (preview, watching)
    floaters = (found, ghost, inspecting, previewing_removal, mapped, measured)
    editing = (crop_preview, histograms)
    lesson = (picture, live, arrow)
    return (*rooms, *tasks, *floaters, *editing, *lesson, *operators.modules(), *panels.modules(), command_line, keys)


def _declared(name):
    """What the features declare under `name`, in order: members of tuples, or items of mappings."""
    for feature in _features():
        found = getattr(feature, name, ())
        yield from found.items() if isinstance(found, dict) else found


def register():
    import bpy

    from .splat_addon.scene import session
    from .splat_addon.scene.settings import hooks

    session.begin()
    hooks.bind(dict(_declared("ON_CHANGE")))
    for cls in _declared("CLASSES"):
        bpy.utils.register_class(cls)
    for feature in _features():
        if hasattr(feature, "register"):
            feature.register()
    for name, handler in _declared("HANDLERS"):
        getattr(bpy.app.handlers, name).append(handler)
    for menu, draw in _declared("MENUS"):
        getattr(bpy.types, menu).append(draw)


def unregister():
    import bpy

    from .splat_addon.scene import session
    from .splat_addon.scene.settings import scene

    for menu, draw in _declared("MENUS"):
        getattr(bpy.types, menu).remove(draw)
    for name, handler in _declared("HANDLERS"):
        getattr(bpy.app.handlers, name).remove(handler)
    session.end()
    scene.unregister()
    for cls in reversed(list(_declared("CLASSES"))):
        bpy.utils.unregister_class(cls)
