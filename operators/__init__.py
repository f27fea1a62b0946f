"""Verbs that the user can invoke, one file per noun. Each gathers its inputs, makes one core call and reports."""


def classes():
    """All operator classes, in order of registration."""
    from . import (
        capture,
        photos,
        render,
        review,
        review_wipe,
        rigs,
        runs,
        sample,
        save_report,
        seeds,
        setup,
        source,
        splat_files,
        splats,
        training,
        viewport,
    )

    modules = (
        *(sample, rigs, capture, photos, seeds, training, runs, setup, splats, splat_files, source, viewport, render),
        *(review, review_wipe, save_report),
    )
    return tuple(cls for module in modules for cls in module.CLASSES)
