"""Processes of this machine, for tests that start some."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def is_alive(pid: int) -> bool:
    """Whether a process with this id exists. On Windows, always False (asking would end it)."""
    if sys.platform == "win32":
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def code_of_parent(run: Path, outlives: bool, is_enough: str) -> str:
    """Python that starts a run's trainer, waits until `is_enough` is true of its `events`, says "ready", and rests."""
    start = "DetachedTrainer.start(command, folder)" if outlives else "TrainerProcess(command, folder)"
    return f"""if True:
        import sys
        sys.path.insert(0, {str(ROOT)!r})
        from pathlib import Path
        from splat_addon.run.children.detached import DetachedTrainer
        from splat_addon.run.events import Progressed
        from splat_addon.run.folder import RunFolder
        from splat_addon.run.children.trainer_process import TrainerProcess, trainer_command
        folder = RunFolder(Path({str(run)!r}))
        command = trainer_command(Path(sys.executable), folder)
        trainer = {start}
        events = []
        while not ({is_enough}):
            assert not trainer.is_over
            events += trainer.wait(1.0)
        print("ready", flush=True)
        sys.stdin.read()
    """
