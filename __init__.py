"""Splat Training: train and inspect 3D gaussian splats inside Blender. Nothing is imported before `register()`."""


def _classes():
    """Everything that Blender knows by class, in order: properties, preferences, operators, panels."""
    from . import operators, panels
    from .splat_addon.scene.settings import scene

    return (*scene.CLASSES, *operators.classes(), *panels.classes())


def _handlers():
    """What Blender calls by itself: (name of the list in bpy.app.handlers, function)."""
    from .operators import training
    from .splat_addon.scene.splats import hidden_points

    return (*training.HANDLERS.items(), *hidden_points.HANDLERS.items())


def _menus():
    """Entries in Blender's own menus: (menu, what draws them)."""
    from .operators import photos, splat_files

    return (*photos.MENUS.items(), *splat_files.MENUS.items())


def register():
    import bpy

    from .operators import command_line, review_keys
    from .operators.training import look_for_runs
    from .splat_addon.scene.settings.scene import SPLAT_PG_object, SPLAT_PG_scene
    from .splat_addon.scene.viewport import display

    for cls in _classes():
        bpy.utils.register_class(cls)
    bpy.types.Scene.splat = bpy.props.PointerProperty(type=SPLAT_PG_scene)  # type: ignore[func-returns-value]
    bpy.types.Object.splat = bpy.props.PointerProperty(type=SPLAT_PG_object)  # type: ignore[func-returns-value]
    for name, handler in _handlers():
        getattr(bpy.app.handlers, name).append(handler)
    for menu, draw in _menus():
        getattr(bpy.types, menu).append(draw)
    review_keys.register()
    command_line.register()
    if not bpy.app.background:  # while an add-on is registered there is no file yet
        bpy.app.timers.register(look_for_runs, first_interval=0.5)
    display.register()


def unregister():
    import bpy

    from .operators import capture, command_line, review_keys, set_up
    from .operators.training import look_for_runs, stop_ticking
    from .splat_addon.scene.runs import found_runs
    from .splat_addon.scene.settings import preferences
    from .splat_addon.scene.tasks import live_render, live_run, preflight, trainer_setup
    from .splat_addon.scene.viewport import display

    display.unregister()
    review_keys.unregister()
    for menu, draw in _menus():
        getattr(bpy.types, menu).remove(draw)
    for name, handler in _handlers():
        getattr(bpy.app.handlers, name).remove(handler)
    if bpy.app.timers.is_registered(look_for_runs):
        bpy.app.timers.unregister(look_for_runs)
    stop_ticking()
    set_up.stop_ticking()
    capture.stop_ticking()
    live_run.close(preferences.outlives())
    live_render.close()
    trainer_setup.close()
    found_runs.forget()
    preflight.forget()
    command_line.unregister()
    del bpy.types.Object.splat
    del bpy.types.Scene.splat
    for cls in reversed(_classes()):
        bpy.utils.unregister_class(cls)
