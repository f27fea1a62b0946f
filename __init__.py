"""Splat Training: train and inspect 3D gaussian splats inside Blender. Nothing is imported before `register()`."""


def _classes():
    """Everything that Blender knows by class, in order: properties, preferences, operators, panels."""
    from . import operators, panels
    from .splat_addon.scene import settings

    return (*settings.CLASSES, *operators.classes(), *panels.classes())


def register():
    import bpy

    from .operators.training import HANDLERS
    from .splat_addon.scene.settings import SPLAT_PG_object, SPLAT_PG_scene

    for cls in _classes():
        bpy.utils.register_class(cls)
    bpy.types.Scene.splat = bpy.props.PointerProperty(type=SPLAT_PG_scene)
    bpy.types.Object.splat = bpy.props.PointerProperty(type=SPLAT_PG_object)
    for name, handler in HANDLERS.items():
        getattr(bpy.app.handlers, name).append(handler)


def unregister():
    import bpy

    from .operators import capture
    from .operators.training import HANDLERS, stop_ticking
    from .splat_addon.scene import live_render, live_run

    for name, handler in HANDLERS.items():
        getattr(bpy.app.handlers, name).remove(handler)
    stop_ticking()
    live_run.close()
    capture.stop_ticking()
    live_render.close()
    del bpy.types.Object.splat
    del bpy.types.Scene.splat
    for cls in reversed(_classes()):
        bpy.utils.unregister_class(cls)
