"""`python -m splat_addon.trainer.cli CAPTURE`: train from a terminal, with a progress bar. Ctrl-C stops and saves."""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import RunError, SplatError
from ..run.arguments import add_settings, with_settings
from ..run.children.trainer_process import TrainerProcess, trainer_command
from ..run.config import STEPS_ON, TrainConfig
from ..run.events import Decided, Evaluated, Event, Failed, Finished, Progressed, Started, Warned
from ..run.folder import RunFolder, next_run_path
from ..run.wording import counted, processor

BAR_WIDTH = 24


def main(arguments: Sequence[str]) -> int:
    """0 when the run finished or was stopped; 1 when it failed; 2 when it could not start."""
    options = parse(arguments)
    try:
        if options.resume:
            folder = RunFolder(options.resume.resolve())
            config = TrainConfig.read(folder.config_file)
        elif options.train_on:
            folder = go_on(options)
            config = TrainConfig.read(folder.config_file)
        else:
            config = configure(options)
            if not Path(config.capture).is_dir():
                raise RunError(f"The capture folder {config.capture} does not exist.", "Give the folder of a capture.")
            folder = RunFolder.create(options.run or next_run_path(Path("runs").resolve()), config)
        command = trainer_command(Path(sys.executable), folder, resume=bool(options.resume))
        process = TrainerProcess(command, folder)
    except SplatError as error:
        print(f"{error.message} {error.remedy}", file=sys.stderr)
        return 2
    print(f"Training {config.capture} in {folder.path}")
    screen = Screen(sys.stdout.isatty())
    last: Event | None = None
    while not process.is_over:
        try:
            events = process.wait(limit_s=1.0)
        except KeyboardInterrupt:
            screen.line("Stopping: finishing this step and saving …")
            process.send("stop")
            continue
        for event in events:
            screen.show(event)
            last = event
    if isinstance(last, Finished) and folder.summary_file.is_file():
        summary = json.loads(folder.summary_file.read_text(encoding="utf-8"))
        screen.line(summary_line(summary))
        screen.line(f"Splats: {folder.splats_file}")
    return 0 if isinstance(last, Finished) else 1


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line: the capture, the run folder, and every setting of `TrainConfig` as an option."""
    parser = argparse.ArgumentParser(prog="dev.py train", description="Train gaussian splats on a capture.")
    parser.add_argument("capture", type=Path, nargs="?", help="folder of the capture")
    parser.add_argument("--resume", type=Path, metavar="RUN", help="resume a run from its last checkpoint")
    parser.add_argument("--train-on", type=Path, metavar="RUN", help="go on from an inspected run without its floaters")
    parser.add_argument("--above", type=float, help="score from which --train-on deletes (default 0.74)")
    parser.add_argument("--untouched", action="store_true", help="--train-on deletes nothing")
    parser.add_argument("--splats", type=Path, help="--train-on from these, the run's result edited; deletes nothing")
    parser.add_argument("--may-return", action="store_true", help="what --train-on deletes may grow again")
    parser.add_argument("--run", type=Path, help="run folder to create (default: runs/run_001, …)")
    add_settings(parser)
    options = parser.parse_args(arguments)
    if sum(given is not None for given in (options.capture, options.resume, options.train_on)) != 1:
        parser.error("give the folder of a capture, or --resume or --train-on with a run folder")
    return options


def go_on(options: argparse.Namespace) -> RunFolder:
    """The run folder that --train-on asks for. Raises SplatError."""
    from ..gaussians.closed_mesh import read_volume
    from ..training_on.begin import Choices
    from .inspection.train_without import run_on, run_without

    earlier, path = RunFolder(options.train_on.resolve()), options.run or next_run_path(Path("runs").resolve())
    empty, trained = (read_volume(file) if file else None for file in (options.empty_volume, options.trained_volume))
    choices = Choices(options.iterations or STEPS_ON, not options.may_return, empty, trained)
    if options.untouched or options.splats:
        return run_on(earlier, path, options.splats, None, choices)
    folder, deleted = run_without(earlier, path, options.above, choices)
    print(f"Without the {counted(deleted)} splats of {earlier.path} that are floaters by their score")
    return folder


def configure(options: argparse.Namespace) -> TrainConfig:
    """The settings that the command line asks for. Raises RunError when one is out of range."""
    return with_settings(TrainConfig(capture=str(options.capture.resolve())), vars(options))


def summary_line(summary: dict) -> str:
    """The result in one line."""
    parts = [f"{summary['iterations']} steps in {summary['train_seconds']:.1f} s on {processor(summary['backend'])}"]
    parts.append(f"{counted(summary['gaussian_count'])} splats")
    if summary["held_out_psnr_db"] is not None:
        parts.append(f"held-out PSNR {summary['held_out_psnr_db']:.2f} dB, SSIM {summary['held_out_ssim']:.4f}")
        parts.append(f"training views {summary['train_psnr_db']:.2f} dB")
        parts.append(f"init only {summary['init_only_psnr_db']:.2f} dB")
    return " · ".join(parts)


class Screen:
    """One line that is drawn over and over while training, and lines that stay."""

    def __init__(self, is_terminal: bool):
        self._is_terminal = is_terminal
        self._quality = ""
        self._bar_length = 0

    def show(self, event: Event) -> None:
        """Put an event on the screen."""
        if isinstance(event, Started):
            self.line(
                f"{processor(event.backend)}: {event.training_views} training views, {event.held_out_views} held out,"
                f" {counted(event.gaussian_count)} seeds"
            )
        elif isinstance(event, Progressed):
            self._bar(event)
        elif isinstance(event, Evaluated):
            self._quality = f"{event.psnr_db:.2f} dB"
            name = "init only" if event.step == 0 else f"step {event.step}"
            self.line(f"held-out at {name}: PSNR {event.psnr_db:.2f} dB, SSIM {event.ssim:.4f}")
        elif isinstance(event, Warned | Decided | Failed):
            kind = {Warned: "Warning", Decided: "Note", Failed: "Failed"}[type(event)]
            self.line(f"{kind}: {event.message} {event.remedy}".rstrip())
        elif isinstance(event, Finished):
            self.line("Stopped; the result is saved." if event.stopped else "Finished.")

    def line(self, text: str) -> None:
        """Print a line that stays."""
        if self._bar_length:
            print("\r" + " " * self._bar_length + "\r", end="")
            self._bar_length = 0
        print(text, flush=True)

    def _bar(self, event: Progressed) -> None:
        if not self._is_terminal:
            return
        done = round(BAR_WIDTH * event.fraction)
        left = "" if math.isnan(event.seconds_left) else f" {event.seconds_left:.0f} s left"
        loss = "" if math.isnan(event.loss) else f" loss {event.loss:.4f}"
        text = (
            f"[{'█' * done}{'·' * (BAR_WIDTH - done)}] step {event.step} {event.steps_per_s:.1f} it/s"
            f"{left} {counted(event.gaussian_count)} splats{loss} {self._quality} {event.state}"
        )
        print("\r" + text.ljust(self._bar_length), end="", flush=True)
        self._bar_length = len(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
