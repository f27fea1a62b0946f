"""Verbs that the user can invoke, one file per noun. Each gathers its inputs, makes one core call and reports."""


def classes():
    """All operator classes, in order of registration."""
    from . import capture, photos, review, review_wipe, sample, save_report, seeds, splats, training

    modules = (sample, capture, photos, seeds, training, splats, review, review_wipe, save_report)
    return tuple(cls for module in modules for cls in module.CLASSES)
