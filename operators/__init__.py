"""Verbs that the user can invoke, one file per noun. Each gathers its inputs, makes one core call and reports."""


def classes():
    """All operator classes, in order of registration."""
    from . import capture, review, rigs, sample, seeds, splats, training

    modules = (sample, rigs, capture, seeds, training, splats, review)
    return tuple(cls for module in modules for cls in module.CLASSES)
