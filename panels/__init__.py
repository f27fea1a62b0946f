"""What the user sees: one sidebar tab "Splats". Panels draw and compute nothing."""


def classes():
    """All panel and preference classes, in order of registration, which is the order in the sidebar."""
    from . import capture, curves, photos, preferences, review, runs, splats, training

    modules = (preferences, capture, photos, training, curves, runs, splats, review)
    return tuple(cls for module in modules for cls in module.CLASSES)
