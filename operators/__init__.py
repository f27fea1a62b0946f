"""Verbs that the user can invoke, one file per noun. Each gathers its inputs, makes one core call and reports."""


def classes():
    """All operator classes, in order of registration."""
    from . import capture, photos, review, review_wipe, runs, sample, save_report, seeds, setup, splats, training

    modules = (sample, capture, photos, seeds, training, runs, setup, splats, review, review_wipe, save_report)
    return tuple(cls for module in modules for cls in module.CLASSES)
