"""Accidents of Blender: it is killed while it follows a run, imports or exports."""

import os
import subprocess
import time
from pathlib import Path

from splat_addon.errors import SplatError
from splat_addon.gaussians.formats.splat_ply import read_splats
from splat_addon.run.children.detached import DetachedTrainer
from splat_addon.run.events import Finished, Progressed, SnapshotSaved
from splat_addon.run.find import look_at

from .place import LeftOut, Place
from .promises import Broken, require_no_traceback, require_whole

ROOT = Path(__file__).resolve().parents[3]
VERBS = ("follow", "import", "export")


def killed_blender(place: Place) -> None:
    """A run outlives the Blender that follows it, imports or exports its splats, and can be found and watched again."""
    if place.blender is None:
        raise LeftOut("there is no Python with bpy; --blender names one")
    verb = place.random.choice(VERBS)
    folder = place.new_run(iterations=1_000_000, save_every=40, eval_every=100)
    trainer = place.start(folder, outlives=True)
    place.until(trainer, lambda event: isinstance(event, SnapshotSaved))
    trainer.let_go()
    own = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    environment = {**os.environ, "PYTHONPATH": own}  # without the packages of the trainer's Python
    command = [str(place.blender), "-m", "support.torture.blender_at_work", verb, str(folder.path)]
    with open(place.folder / "blender.txt", "wb") as log:
        blender = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment)
    with blender:
        said = b""
        while said.strip() != b"at work" and (said := blender.stdout.readline()):
            pass
        time.sleep(place.random.uniform(0.0, 1.0))
        is_at_work = blender.poll() is None
        blender.kill()
    place.kills += is_at_work
    if not is_at_work:
        raise Broken(f"Blender ended by itself: {(place.folder / 'blender.txt').read_text()[-500:]}")
    found = look_at(folder.path)
    if found is None or not found.is_training:
        raise Broken(f"the run is not found as one that trains: {found}")
    again = DetachedTrainer.watch(folder)
    place.until(again, lambda event: isinstance(event, Progressed) and event.step > 0)
    again.send("stop")
    last = place.until_over(again)[-1]
    if not isinstance(last, Finished):
        raise Broken(f"the run ended with {last}")
    exported = place.folder / "exported.ply"
    try:
        if exported.exists() and not len(read_splats(exported)):
            raise Broken("an export without splats")
    except SplatError as error:
        raise Broken(f"an export that is not whole: {error}") from error
    place.require_free(folder)
    require_whole(folder, is_finished=True)
    require_no_traceback(folder)
