"""The trainer's process: its command line, its environment, and the trainer that ends with its parent."""

from pathlib import Path

from ...errors import SetupError
from ..folder import RunFolder
from .child import PipeLink, clean_environment
from .event_child import EventChild

TITLE = "The trainer"
REMEDY = "Check the trainer Python in the add-on preferences."
START_LIMIT_S = 180.0  # importing PyTorch from a cold, slow disk takes a minute
# As -m, but nothing is imported from the folder that the trainer starts in, which may be a stranger's run. (From Python
# 3.11 on, PYTHONSAFEPATH would do.)
_START = (
    "import sys; sys.path[:] = [place for place in sys.path if place]; "
    "import runpy; runpy.run_module('splat_addon.trainer', run_name='__main__')"
)
_PACKAGE_ROOT = Path(__file__).resolve().parents[3]


def trainer_command(python: Path, folder: RunFolder, resume: bool = False) -> list[str]:
    """The command line that trains `folder` with the interpreter `python`, or goes on from its checkpoint.

    Raises SetupError when there is no such interpreter, RunError when the run folder leads elsewhere by links.
    """
    if not str(python) or str(python) == ".":
        raise SetupError(
            "No trainer Python is set.",
            "Set it in the add-on preferences: a Python with PyTorch, see docs/set-up.md.",
        )
    if not Path(python).is_file():
        raise SetupError(f"The trainer Python {python} does not exist.", "Choose it in the add-on preferences.")
    folder.require_no_links()
    return [
        str(python),
        "-u",
        "-c",
        _START,
        str(folder.path.resolve()),
        *(["--resume"] if resume else []),
    ]


def trainer_environment() -> dict[str, str]:
    """The environment of the trainer: this package on the path.

    Threads that wait sleep instead of spinning: where Blender or another program uses the same cores, spinning threads
    were measured to make training twelve times slower.
    """
    own = {"PYTHONPATH": str(_PACKAGE_ROOT), "PYTHONSAFEPATH": "1"}
    return {"OMP_WAIT_POLICY": "PASSIVE", **clean_environment(), **own}


class TrainerProcess(EventChild):
    """The trainer at work in a run folder, for as long as its parent lives. Raises SetupError."""

    def __init__(self, command: list[str], folder: RunFolder, start_limit_s: float = START_LIMIT_S):
        link = PipeLink(command, trainer_environment(), TITLE, REMEDY, folder.path, folder.log_file)
        super().__init__(link, folder, TITLE, REMEDY, start_limit_s)
        self.folder: RunFolder = folder

    def _clear_up(self) -> None:
        self.folder.remove_photos()
