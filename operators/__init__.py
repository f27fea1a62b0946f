"""Verbs that the user can invoke, one file per noun. Each gathers its inputs, makes one core call and reports."""


def classes():
    """All operator classes, in order of registration."""
    from . import capture, photos, review, sample, seeds, splats, training

    modules = (sample, capture, photos, seeds, training, splats, review)
    return tuple(cls for module in modules for cls in module.CLASSES)
