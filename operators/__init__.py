"""Verbs that the user can invoke, one file per noun. Each gathers its inputs, makes one core call and reports."""


def classes():
    """All operator classes, in order of registration."""
    from . import capture, photos, review, runs, sample, seeds, setup, splats, training

    modules = (sample, capture, photos, seeds, training, splats, review, runs, setup)
    return tuple(cls for module in modules for cls in module.CLASSES)
