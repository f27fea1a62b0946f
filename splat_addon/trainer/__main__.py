"""`python -m splat_addon.trainer RUN_FOLDER [--resume] [--outlive]`: train what the folder's config.json asks for.

Standard output carries events, standard input commands (see `run/events.py`). Nothing else may use them. Events are
also recorded in the run folder, and commands are also taken from it. The end of the input means stop, except with
--outlive.
"""

import contextlib
import signal
import sys
import traceback
from pathlib import Path

from ..environment.failures import does_not_start, is_broken
from ..environment.machine import Machine
from ..environment.remedies import install_command
from ..errors import RunError, SplatError
from ..files import is_disk_full
from ..run.children.detached import OUTLIVE
from ..run.config import TrainConfig
from ..run.events import Event, Failed, encode_event
from ..run.folder import RunFolder
from ..run.inbox import CommandLines, Inbox
from ..run.lines import lines_of_parent
from ..run.lock import RunLock
from ..run.wire import Wire, take_standard_output

# Of CUDA; of PyTorch on the CPU; of Python, when there is none for the stack of a thread.
MEMORY_SIGNS = ("out of memory", "allocate memory", "can't start new thread")
MODULES_NEEDED = {"torch": "torch", "numpy": "numpy", "PIL": "pillow", "numba": "numba==0.68.1"}


def main(arguments: list[str]) -> int:
    """0 when the run finished or was stopped, 1 when it failed; the last event says how."""
    events_to = take_standard_output()
    paths = [argument for argument in arguments if argument not in ("--resume", OUTLIVE)]
    if len(paths) != 1:
        print(f"usage: python -m splat_addon.trainer RUN_FOLDER [--resume] [{OUTLIVE}]", file=sys.stderr)
        return 2
    folder = RunFolder(Path(paths[0]).resolve())
    try:
        folder.require_no_links()
        lock = RunLock.take(folder.lock_file)
        if lock is None:  # its record belongs to the other trainer: tell the parent alone
            told = Failed("Another trainer is running in this run folder.", "Stop it first, or start a new run.")
            print(encode_event(told), file=events_to, flush=True)
            return 1
        folder.end_cut_line()
        commands = CommandLines(lines_of_parent(), Inbox(folder.commands_folder), outlives=OUTLIVE in arguments)
        wire = Wire(folder, events_to, commands)
    except RunError as error:  # its record may lead elsewhere: tell the parent alone
        print(encode_event(Failed(error.message, error.remedy)), file=events_to, flush=True)
        return 1
    except OSError as error:
        with contextlib.suppress(OSError):  # the log, and who hears us, may be on the disk that is full, or gone
            print(f"{folder.path} is not a run folder that can be written: {error}", file=sys.stderr)
        with contextlib.suppress(OSError):
            print(encode_event(explained(error, folder)), file=events_to, flush=True)
        return 2
    except RuntimeError as error:  # no thread can be started: nobody else would tell
        print(encode_event(explained(error, folder)), file=events_to, flush=True)
        return 1
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches the parent, which says stop
    with contextlib.suppress(AttributeError, ValueError):
        signal.signal(signal.SIGTERM, lambda *_: wire.ask_to_stop())
    with contextlib.suppress(AttributeError, ValueError):  # the terminal that Blender was started from is closed
        signal.signal(signal.SIGHUP, lambda *_: None if commands.outlives else wire.ask_to_stop())
    last = run(folder, wire, resume="--resume" in arguments)
    # Recorded, unlocked, told, in this order: the folder never shows a run that neither trains nor has an end, no other
    # trainer can write before our end, and the parent that hears of it may resume at once.
    wire.send(last, recorded=lock.release)
    return 1 if isinstance(last, Failed) else 0


def run(folder: RunFolder, wire: Wire, resume: bool) -> Event:
    """Train and return the last event, whatever happens."""
    try:
        check_modules()
        config = TrainConfig.read(folder.config_file)
        from .train import train

        return train(folder, config, wire, resume)
    except SplatError as error:
        return disk_full(folder) if is_disk_full(error) else Failed(error.message, error.remedy)
    except Exception as error:
        with contextlib.suppress(OSError):  # the log may lie on the very disk that is full
            traceback.print_exc()
        return explained(error, folder)


def disk_full(folder: RunFolder) -> Failed:
    """What to say when no file could be written any more, whichever it was."""
    return Failed("The disk is full.", f"Free some space. {folder.what_is_left()}")


def explained(error: Exception, folder: RunFolder) -> Failed:
    """What went wrong outside of what the trainer foresees, in words that help."""
    if is_disk_full(error):
        return disk_full(folder)
    if isinstance(error, OSError):
        return Failed(f"A file of the run cannot be used ({error}).", f"Check its disk. {folder.what_is_left()}")
    if isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in MEMORY_SIGNS):
        remedy = f"Lower Max Splats or Max Resolution. {folder.what_is_left()}"
        return Failed("There is not enough memory for this run.", remedy)
    return Failed(
        f"The trainer failed with an unexpected error ({type(error).__name__}: {error}).",
        f"{folder.what_is_left()} Please report it with {folder.log_file}.",
    )


def check_modules(machine: Machine | None = None) -> None:
    """Raise RunError, naming what to install, when this Python lacks a package that training needs; SetupError when
    one is there but a library of it does not load."""
    missing = []
    for module, package in MODULES_NEEDED.items():
        try:
            __import__(module)
        except (ImportError, OSError) as error:
            with contextlib.suppress(OSError):
                traceback.print_exc()
            if is_broken(error):
                raise does_not_start(package, error, machine) from error
            missing.append(package)
    if missing:
        raise RunError(
            f"The trainer Python ({sys.executable}) lacks {', '.join(missing)}.",
            f"Run: {install_command(missing)}",
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
