"""Training runs from beginning to end."""

import sys
from pathlib import Path

from splat_addon.run.children.trainer_process import TrainerProcess, trainer_command
from splat_addon.run.config import TrainConfig
from splat_addon.run.events import Event, Failed, Finished
from splat_addon.run.folder import RunFolder


def finish(path: Path, config: TrainConfig) -> tuple[RunFolder, list[Event]]:
    """The folder of a run that has finished, and what it said; a run that failed ends the benchmark with its reason."""
    folder = RunFolder.create(path, config)
    process = TrainerProcess(trainer_command(Path(sys.executable), folder), folder)
    events: list[Event] = []
    while not process.is_over:
        events += process.wait(limit_s=1.0)
    last = events[-1]
    if not isinstance(last, Finished):
        raise SystemExit(f"{last.message} {last.remedy}" if isinstance(last, Failed) else "The run did not end.")
    return folder, events
