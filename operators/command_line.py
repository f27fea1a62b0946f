"""`blender --command splat …`: the whole loop without a window, for farms.

    blender --online-mode --command splat setup ~/splat_trainer
    blender --command splat capture --blend scene.blend --folder /captures/vase
    blender --command splat inspect-capture /captures/vase
    blender --command splat train /captures/vase --run /runs/vase --iterations 7000
    blender --command splat import /runs/vase --blend scene.blend --save scene.blend
    blender --command splat export vase.ply --run /runs/vase
    blender --command splat convert vase.ply vase.spz

The exit code is 0 when it was done, 1 when it could not be (a sentence says why) or when an inspected capture has a
warning, 2 when the command was wrong.
"""

import argparse
import json
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import bpy

from ..splat_addon.capture.capture import capture_folder
from ..splat_addon.capture.card import card_of
from ..splat_addon.capture.choices import choices_of
from ..splat_addon.capture.inspection import inspect_photos
from ..splat_addon.errors import CaptureError, RunError, SetupError, SplatError
from ..splat_addon.gaussians.converting import convert
from ..splat_addon.run.arguments import CONVERSION, add_conversion, add_settings, with_settings
from ..splat_addon.run.config import TrainConfig
from ..splat_addon.run.events import Decided, Evaluated, Event, Finished, Progressed, Started, Warned
from ..splat_addon.run.folder import RunFolder, next_run_path
from ..splat_addon.run.wording import counted, processor
from ..splat_addon.scene.photos.pixels import decode, open_settled, small_photo
from ..splat_addon.scene.runs import found_runs
from ..splat_addon.scene.runs.run_object import bring_in
from ..splat_addon.scene.seeds.choosing import surfaces_to_capture
from ..splat_addon.scene.session import part
from ..splat_addon.scene.settings import preferences
from ..splat_addon.scene.settings.paths import remember_run
from ..splat_addon.scene.settings.training import READING_FIELDS, train_config
from ..splat_addon.scene.splats import data as splats
from ..splat_addon.scene.splats.contents.bundled import expose_usd, pixels_of, webp_of
from ..splat_addon.scene.tasks import live_run, trainer_setup

NAME = "splat"
_POLL = re.compile(r"^Operator bpy\.ops\.\S+\.poll\(\) ")  # what Blender puts before an operator's own sentence


class Command:
    """What Blender knows the command by."""

    def __init__(self) -> None:
        self.handle = None

    def close(self) -> None:
        """Take the command back."""
        if self.handle is not None:
            bpy.utils.unregister_cli_command(self.handle)


def register() -> None:
    """Make the command known to Blender (4.2 and newer have commands)."""
    part(Command).handle = bpy.utils.register_cli_command(NAME, main)


def main(arguments: Sequence[str]) -> int:
    """Carry out one command; returns the exit code."""
    try:
        options = _parser().parse_args(list(arguments))
    except SystemExit as wrong:  # argparse has said what is wrong, or printed the help
        return wrong.code if isinstance(wrong.code, int) else 2
    try:
        if getattr(options, "blend", None):
            _open(options.blend)
        return options.carry_out(options) or 0
    except SplatError as error:
        print(f"{error.message} {error.remedy}".strip(), file=sys.stderr, flush=True)
        return 1
    except RuntimeError as error:  # an operator's report
        text = " ".join(str(error).split()).removeprefix("Error: ")
        print(_POLL.sub("", text), file=sys.stderr, flush=True)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"blender --command {NAME}", description="Train gaussian splats.")
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")

    def verb(name: str, carry_out, about: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=about, description=about)
        added.set_defaults(carry_out=carry_out)
        return added

    capture = verb("capture", _capture, "Render a scene from all around into a capture folder.")
    capture.add_argument("--blend", type=Path, help="the .blend to capture, with the settings saved in it")
    capture.add_argument("--sample-scene", action="store_true", help="capture the sample scene instead")
    capture.add_argument("--folder", type=Path, help="the capture folder (default: the one saved in the scene)")
    capture.add_argument("--objects", nargs="+", metavar="NAME", help="objects to capture (default: the selection)")
    capture.add_argument("--cameras", type=int, help="how many cameras the dome has")
    capture.add_argument("--resolution", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), help="size of the images")
    capture.add_argument("--engine", choices=("scene", "cycles"), help="what renders; EEVEE needs a display")
    capture.add_argument("--samples", type=int, help="samples per pixel")
    capture.add_argument("--seeds", type=int, help="how many gaussians training starts from")
    capture.add_argument("--save", type=Path, help="save the .blend with its cameras here")

    inspect = verb("inspect-capture", _inspect, "Show what a capture holds, and what is wrong with it.")
    inspect.add_argument("capture", type=Path, help="the folder of the capture")
    inspect.add_argument("--json", action="store_true", help="print it as one JSON object")
    add_settings(inspect, only=("hold_out_every", *(spec.name for spec in READING_FIELDS)))

    train = verb("train", _train, "Train on a capture, or resume a run, and wait for the result.")
    train.add_argument("capture", type=Path, nargs="?", help="the capture (default: the one of the .blend)")
    train.add_argument("--blend", type=Path, help="a .blend whose training settings are used")
    train.add_argument("--run", type=Path, help="the run folder to make (default: next to the capture)")
    train.add_argument("--resume", type=Path, metavar="RUN", help="resume this run from its last checkpoint")
    train.add_argument("--python", default="", help="the Python that trains (default: the one of the preferences)")
    add_settings(train)

    bring = verb("import", _import, "Bring the splats of a run into a .blend.")
    bring.add_argument("run", type=Path, help="the run folder")
    bring.add_argument("--blend", type=Path, help="the .blend to bring them into (default: an empty one)")
    bring.add_argument("--save", type=Path, required=True, help="where the .blend is saved")

    export = verb("export", _export, "Write splats as a file that other tools read: its ending says the format.")
    export.add_argument("file", type=Path, help="the file to write")
    source = export.add_mutually_exclusive_group(required=True)
    source.add_argument("--run", type=Path, help="the run whose result is written")
    source.add_argument("--blend", type=Path, help="the .blend whose splats are written")
    export.add_argument("--object", default="", help="which splat object (default: the only one)")

    add_conversion(verb("convert", _convert, CONVERSION))

    setup = verb("setup", _set_up, "Create the Python environment that trains; needs blender --online-mode.")
    setup.add_argument("folder", type=Path, help="where the environment is made")
    setup.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="what it is for")

    doctor = verb("doctor", _doctor, "Show what the Python that trains has, and how to fix what is missing.")
    doctor.add_argument("--python", default="", help="another Python than the one of the preferences")
    return parser


def _capture(options: argparse.Namespace) -> None:
    context, scene = bpy.context, bpy.context.scene
    chosen = scene.splat.capture
    if options.sample_scene:
        bpy.ops.splat.add_sample_scene()
    if options.folder:
        chosen.folder = str(options.folder.resolve())
    for name, value in (("camera_count", options.cameras), ("samples", options.samples), ("seed_count", options.seeds)):
        if value is not None:
            setattr(chosen, name, value)
    if options.engine or options.sample_scene:
        chosen.engine = (options.engine or "cycles").upper()  # which renders on every machine
    if options.resolution:
        chosen.use_scene_resolution = False
        chosen.width, chosen.height = options.resolution
    if options.objects:
        unknown = [name for name in options.objects if name not in context.view_layer.objects]
        if unknown:
            raise CaptureError(f"The scene has no object '{unknown[0]}'.", "Check the names given with --objects.")
    names = options.objects or ([] if context.selected_objects else [o.name for o in surfaces_to_capture(context)])
    for name in names:
        context.view_layer.objects[name].select_set(True)
    bpy.ops.splat.capture_scene()
    if options.save:
        bpy.ops.wm.save_as_mainfile(filepath=str(options.save.resolve()), check_existing=False)
    _say(f"Captured in {chosen.folder}")


def _inspect(options: argparse.Namespace) -> int:
    """0 when nothing is wrong with it, 1 when there is a warning."""
    config = with_settings(TrainConfig(), vars(options))
    folder = capture_folder(options.capture.resolve())
    capture = open_settled(folder, config.hold_out_every, False, choices_of(config))
    card = card_of(capture).inspected(inspect_photos(capture, small_photo, decode))
    _say(json.dumps(card.as_json()) if options.json else "\n".join(card.lines()))
    return 1 if card.warnings else 0


def _train(options: argparse.Namespace) -> None:
    scene = bpy.context.scene
    python = Path(options.python or preferences.trainer_python())
    if options.resume:
        live_run.resume(scene, options.resume, python)
    else:
        if options.capture:
            scene.splat.capture.folder = str(options.capture.resolve())
        if not scene.splat.capture.folder:
            raise RunError("No capture was given.", "Name its folder, or a .blend that has one.")
        config: TrainConfig = with_settings(train_config(scene), vars(options))
        capture = Path(config.capture)
        if not capture.is_dir():
            raise RunError(f"The capture folder {capture} does not exist.", "Give the folder of a capture.")
        path = options.run or next_run_path(capture.with_name(capture.name + "_runs"))
        run = live_run.start(scene, config, path.resolve(), python)
        found_runs.remember(run.folder.path)
        _say(f"Training {capture} in {run.folder.path}")
    run = live_run.wait(tell=_Teller())
    if run.state == "failed":
        raise RunError(run.message, "")
    _say(f"{run.message} Splats: {run.folder.splats_file}")


def _import(options: argparse.Namespace) -> None:
    context, run = bpy.context, RunFolder(options.run.resolve())
    assert context.view_layer is not None  # a file is open
    brought = bring_in(context.scene, context.view_layer, run)
    remember_run(context.scene, run.path)
    _say(f"Imported {counted(brought.count)} splats from {brought.file_name}")
    bpy.ops.wm.save_as_mainfile(filepath=str(options.save.resolve()), check_existing=False)
    _say(f"Saved {options.save}")


def _export(options: argparse.Namespace) -> None:
    target = options.file.resolve()
    if options.run:
        source = RunFolder(options.run.resolve()).result_file()
        if source is None:
            raise RunError(f"{options.run} has no splats.", "Train first, or give another run.")
        if target.suffix.lower() != ".ply":
            _convert(_parser().parse_args(["convert", str(source), str(target)]))
            return
        try:
            shutil.copyfile(source, target)
        except OSError as error:
            raise RunError(f"{target} cannot be written ({error.strerror}).", "Choose another place.") from error
    else:
        found = [item for item in bpy.context.scene.objects if splats.is_splats(item)]
        found = [item for item in found if item.name == options.object or not options.object]
        if len(found) != 1:
            names = ", ".join(item.name for item in found) or "none"
            raise RunError(f"Not exactly one splat object was found ({names}).", "Name one with --object.")
        bpy.context.view_layer.objects.active = found[0]
        bpy.ops.splat.export_ply(filepath=str(target))
    _say(f"Wrote {target}")


def _convert(options: argparse.Namespace) -> None:
    expose_usd(options.source, options.target)
    convert(options, _say, pixels_of, webp_of)


def _set_up(options: argparse.Namespace) -> None:
    chosen = preferences.of_addon()
    chosen.setup_folder, chosen.setup_device = str(options.folder.resolve()), options.device.upper()
    bpy.ops.splat.set_up_trainer(wait=True)
    bpy.ops.wm.save_userpref()
    _say(f"The trainer is set up: {chosen.trainer_python}")


def _doctor(options: argparse.Namespace) -> None:
    known = trainer_setup.examine(options.python or preferences.trainer_python())
    trainer_setup.wait()
    if known.message:
        raise SetupError(known.message, "Choose another Python.")
    for piece in known.findings:
        _say(f"{'ok     ' if piece['is_fine'] else 'missing'} {piece['name']}: {piece['found']}")
        if not piece["is_fine"]:
            _say(f"        {piece['remedy']}")
    if any(piece["is_required"] and not piece["is_fine"] for piece in known.findings):
        raise SetupError(f"{known.verdict}.", "")
    _say(known.verdict)


class _Teller:
    """Prints what a farm's log should hold: each tenth of the run, each measurement, each warning."""

    def __init__(self) -> None:
        self._told = 0

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started):
            views = f"{event.training_views} training views, {event.held_out_views} held out"
            _say(f"{processor(event.backend)}: {views}, {counted(event.gaussian_count)} seeds")
        elif isinstance(event, Evaluated):
            name = "init only" if event.step == 0 else f"step {event.step}"
            _say(f"Held-out at {name}: PSNR {event.psnr_db:.2f} dB, SSIM {event.ssim:.4f}")
        elif isinstance(event, Warned | Decided):
            kind = "Warning" if isinstance(event, Warned) else "Note"
            _say(f"{kind}: {event.message} {event.remedy}".rstrip())
        elif isinstance(event, Progressed) and int(10 * event.fraction) > self._told:
            self._told = int(10 * event.fraction)
            splats = f"{counted(event.gaussian_count)} splats"
            _say(f"{10 * self._told} %, step {counted(event.step)}, {splats}, {event.steps_per_s:.1f} it/s")
        elif isinstance(event, Finished):
            _say("Stopped; the result is saved." if event.stopped else "Finished.")


def _open(path: Path) -> None:
    if not path.is_file():
        raise RunError(f"{path} does not exist.", "Give the path of a .blend.")
    bpy.ops.wm.open_mainfile(filepath=str(path.resolve()))


def _say(text: str) -> None:
    print(text, flush=True)
