"""What happens when the artist changes a setting, and what is offered for choice.

Settings know no feature. They name a hook; features declare functions for hooks as `ON_CHANGE`, as they declare
handlers and menus; the root binds them.

    look                 (scene)         all splats of the scene get the chosen look
    render_hidden        (scene)         renders are to show hidden splats, or not
    drawn_by             (object)        the object's splats are to be drawn by quads or by Blender
    follow_training      (scene)         following a run was switched on or off
    run_folder           (scene)         another run is the scene's
    held_out_index       (scene)         another held-out view is chosen in the list
    review.opacity       (scene)         images are to cover what is behind them more or less
    review.show_splats   (scene)         splats are to be seen behind the images, or not
    review.show_points   (scene)         so are sparse points
    trained_for          (object)        it was said what an object's splats were trained for
    inspection           (scene)         another score, or another way to show what is above it
    viewport             (scene)         splats are to be drawn in another way
    viewport.show        (scene)         splats are to be drawn, or their objects to be shown
    lesson.shown         (scene)         the lesson's gaussians are to be colored in another way
    editing.crop         (scene)         another crop is to be shown, or none
    viewport.attributes  (scene, typed)  names of attributes that splats can be colored by
"""

from collections.abc import Callable, Mapping
from typing import Any

from ..session import part


class Hooks:
    """The functions that are bound, by the name of their hook."""

    def __init__(self) -> None:
        self.functions: dict[str, Callable[..., Any]] = {}


def bind(functions: Mapping[str, Callable[..., Any]]) -> None:
    """Let features answer. Each hook has one function."""
    part(Hooks).functions.update(functions)


def on_change(name: str) -> Callable[[Any, Any], None]:
    """The `update` of a property whose change the hook `name` hears of."""

    def update(group, _context) -> None:
        part(Hooks).functions[name](group.id_data)

    return update


def on_search(name: str) -> Callable[[Any, Any, str], list[str]]:
    """The `search` of a property whose values the hook `name` offers."""

    def search(group, _context, typed: str) -> list[str]:
        return part(Hooks).functions[name](group.id_data, typed)

    return search
