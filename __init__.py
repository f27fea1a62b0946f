"""Splat Training: train and inspect 3D gaussian splats inside Blender. Nothing is imported before `register()`."""


def _classes():
    """Everything that Blender knows by class, in order: properties, preferences, operators, panels."""
    from . import operators, panels
    from .splat_addon.scene import settings

    return (*settings.CLASSES, *operators.classes(), *panels.classes())


def register():
    import bpy

    from .operators import command_line, review_interface
    from .operators.photos import MENUS
    from .operators.training import HANDLERS, look_for_runs
    from .splat_addon.scene.settings import SPLAT_PG_scene

    for cls in _classes():
        bpy.utils.register_class(cls)
    bpy.types.Scene.splat = bpy.props.PointerProperty(type=SPLAT_PG_scene)
    for name, handler in HANDLERS.items():
        getattr(bpy.app.handlers, name).append(handler)
    for menu, draw in MENUS.items():
        getattr(bpy.types, menu).append(draw)
    review_interface.register()
    command_line.register()
    if not bpy.app.background:  # while an add-on is registered there is no file yet
        bpy.app.timers.register(look_for_runs, first_interval=0.5)


def unregister():
    import bpy

    from .operators import command_line, review_interface, setup
    from .operators.photos import MENUS
    from .operators.training import HANDLERS, look_for_runs, stop_ticking
    from .splat_addon.scene import found_runs, live_run, machine, preflight, trainer_setup

    review_interface.unregister()
    for menu, draw in MENUS.items():
        getattr(bpy.types, menu).remove(draw)
    for name, handler in HANDLERS.items():
        getattr(bpy.app.handlers, name).remove(handler)
    if bpy.app.timers.is_registered(look_for_runs):
        bpy.app.timers.unregister(look_for_runs)
    stop_ticking()
    setup.stop_ticking()
    live_run.close(machine.outlives())
    trainer_setup.close()
    found_runs.forget()
    preflight.forget()
    command_line.unregister()
    del bpy.types.Scene.splat
    for cls in reversed(_classes()):
        bpy.utils.unregister_class(cls)
