"""Splat Training: train and inspect 3D gaussian splats inside Blender. Nothing is imported before `register()`."""


def _classes():
    """Everything that Blender knows by class, in order: properties, preferences, operators, panels."""
    from . import operators, panels
    from .splat_addon.scene import settings

    return (*settings.CLASSES, *operators.classes(), *panels.classes())


def _handlers():
    """What Blender calls by itself: (name of the list in bpy.app.handlers, function)."""
    from .operators import training
    from .splat_addon.scene import hiding

    return (*training.HANDLERS.items(), *hiding.HANDLERS.items())


def register():
    import bpy

    from .operators.splat_files import add_menu_entries
    from .splat_addon.scene.settings import SPLAT_PG_scene

    for cls in _classes():
        bpy.utils.register_class(cls)
    bpy.types.Scene.splat = bpy.props.PointerProperty(type=SPLAT_PG_scene)
    for name, handler in _handlers():
        getattr(bpy.app.handlers, name).append(handler)
    add_menu_entries()


def unregister():
    import bpy

    from .operators.splat_files import remove_menu_entries
    from .operators.training import stop_ticking
    from .splat_addon.scene import live_run

    remove_menu_entries()
    for name, handler in _handlers():
        getattr(bpy.app.handlers, name).remove(handler)
    stop_ticking()
    live_run.close()
    del bpy.types.Scene.splat
    for cls in reversed(_classes()):
        bpy.utils.unregister_class(cls)
