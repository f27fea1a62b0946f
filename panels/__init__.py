"""What the user sees: one sidebar tab "Splats". Panels draw and compute nothing."""


def modules():
    """All modules with panels or preferences, in order of registration, which is the order in the sidebar."""
    from . import (
        at_hand,
        blenders_splats,
        capture,
        card,
        curves,
        floaters,
        lesson,
        photos,
        preferences,
        review,
        runs,
        splats,
        train_further,
        training,
    )
    from .editing import choosing, tools
    from .inspection import blame, trust

    before = (preferences, at_hand, capture, photos, card, training, curves, runs)
    after = (blenders_splats, review, blame, lesson)
    return (*before, splats, tools, choosing, floaters, trust, train_further, *after)
