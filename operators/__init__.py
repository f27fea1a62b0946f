"""Verbs that the user can invoke, one file per noun. Each gathers its inputs, makes one core call and reports."""


def modules():
    """All modules with operators, in order of registration."""
    from . import capture, lesson, photos, rigs, runs, sample, seeds, set_up, training
    from .editing import cropping, joining, looks, moving, selecting
    from .inspection import blame, trust
    from .review import held_out, report, wipe
    from .splats import (
        adopt,
        files,
        hide_source,
        inspect,
        render,
        result,
        set_up_render,
        tidy,
        train_further,
        viewport,
        viewport_render,
    )

    return (
        *(sample, rigs, capture, photos, seeds, training, runs, set_up, result, files),
        *(adopt, hide_source, viewport, viewport_render, set_up_render, render, tidy, inspect, trust, train_further),
        *(held_out, wipe, report, blame, lesson, moving, joining, looks, selecting, cropping),
    )
