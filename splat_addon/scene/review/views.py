"""The scene's list of held-out views, as the run measured them last."""

import bpy

from ...run.events import Evaluated
from ...run.folder import RunFolder
from ..settings.paths import run_path


def list_views_of_run(scene: bpy.types.Scene) -> None:
    """Fill the list from what the scene's run last measured; empty when it measured nothing."""
    path = run_path(scene)
    evaluated = RunFolder(path).latest_evaluation() if path else None
    if evaluated is None:
        scene.splat.held_out_views.clear()
    else:
        list_views(scene, evaluated)


def list_views(scene: bpy.types.Scene, evaluated: Evaluated) -> None:
    """Fill the scene's list of held-out views, the worst first. The view that the artist chose stays chosen; where
    none was chosen, or it is no longer measured, it is the worst."""
    views, chosen = scene.splat.held_out_views, scene.splat.held_out_choice
    views.clear()
    for quality in sorted(evaluated.views, key=lambda quality: quality.psnr_db):
        entry = views.add()
        entry.name, entry.psnr_db, entry.ssim = quality.name, quality.psnr_db, quality.ssim
    names = [entry.name for entry in views]
    place = names.index(chosen) if chosen in names else 0
    if scene.splat.held_out_index != place:  # writing it shows the view, which lists the views, and is not a choice
        scene.splat.held_out_index = place
        scene.splat.held_out_choice = chosen


ON_CHANGE = {"run_folder": list_views_of_run}
