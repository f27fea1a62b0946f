"""`python -m splat_addon.trainer RUN_FOLDER [--resume]`: train what the folder's config.json asks for.

Standard output carries events, standard input commands (see `run/events.py`). Nothing else may use them.
"""

import contextlib
import errno
import signal
import sys
import traceback
from pathlib import Path

from ..errors import RunError, SplatError
from ..run.config import TrainConfig
from ..run.events import Event, Failed
from ..run.folder import RunFolder
from ..run.wire import Wire, take_standard_output

MODULES_NEEDED = {"torch": "torch", "numpy": "numpy", "scipy": "scipy", "PIL": "pillow", "numba": "numba==0.68.1"}


def main(arguments: list[str]) -> int:
    """0 when the run finished or was stopped, 1 when it failed; the last event says how."""
    events_to = take_standard_output()
    paths = [argument for argument in arguments if argument != "--resume"]
    if len(paths) != 1:
        print("usage: python -m splat_addon.trainer RUN_FOLDER [--resume]", file=sys.stderr)
        return 2
    folder = RunFolder(Path(paths[0]).resolve())
    try:
        wire = Wire(folder, events_to, sys.stdin)
    except OSError as error:
        print(f"{folder.path} is no run folder that can be written: {error}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches the parent, which says stop
    with contextlib.suppress(AttributeError, ValueError):
        signal.signal(signal.SIGTERM, lambda *_: wire.ask_to_stop())
    last = run(folder, wire, resume="--resume" in arguments)
    wire.send(last)
    return 1 if isinstance(last, Failed) else 0


def run(folder: RunFolder, wire: Wire, resume: bool) -> Event:
    """Train and return the last event, whatever happens."""
    try:
        check_modules()
        config = TrainConfig.read(folder.config_file)
        from .train import train

        return train(folder, config, wire, resume)
    except SplatError as error:
        return Failed(error.message, error.remedy)
    except MemoryError:
        traceback.print_exc()
        return Failed("There is not enough memory for this run.", "Lower Max Splats or Max Resolution.")
    except OSError as error:
        traceback.print_exc()
        if error.errno == errno.ENOSPC:
            return Failed("The disk is full.", f"Free some space. {folder.what_is_left()}")
        return Failed(f"A file of the run cannot be used ({error}).", "Check that its folder is still there.")
    except Exception as error:
        traceback.print_exc()
        if "out of memory" in str(error).lower():
            return Failed("The device has not enough memory for this run.", "Lower Max Splats or Max Resolution.")
        return Failed(
            f"The trainer met an error it did not expect ({type(error).__name__}: {error}).",
            f"{folder.what_is_left()} Please report it with {folder.log_file}.",
        )


def check_modules() -> None:
    """Raise RunError, naming what to install, when this Python lacks a package that training needs."""
    missing = []
    for module, package in MODULES_NEEDED.items():
        try:
            __import__(module)
        except ImportError:
            traceback.print_exc()
            missing.append(package)
    if missing:
        raise RunError(
            f"The trainer Python ({sys.executable}) lacks {', '.join(missing)}.",
            f'Run: "{sys.executable}" -m pip install {" ".join(missing)}',
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
