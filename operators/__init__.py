"""Verbs that the user can invoke, one file per noun. Each gathers its inputs, makes one core call and reports."""


def classes():
    """All operator classes, in order of registration."""
    from . import capture, render, review, sample, seeds, splat_files, splats, training

    modules = (sample, capture, seeds, training, splats, splat_files, render, review)
    return tuple(cls for module in modules for cls in module.CLASSES)
