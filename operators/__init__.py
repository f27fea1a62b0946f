"""Verbs that the user can invoke, one file per noun. Each gathers its inputs, makes one core call and reports."""


def modules():
    """All modules with operators, in order of registration."""
    from . import (
        capture,
        hide_source,
        photos,
        review,
        review_wipe,
        rigs,
        runs,
        sample,
        save_report,
        seeds,
        set_up,
        set_up_render,
        splat_files,
        splats,
        training,
        viewport,
    )

    return (
        *(sample, rigs, capture, photos, seeds, training, runs, set_up, splats, splat_files),
        *(hide_source, viewport, set_up_render, review, review_wipe, save_report),
    )
