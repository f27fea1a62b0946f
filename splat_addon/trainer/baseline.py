"""`python -m splat_addon.trainer.baseline CAPTURE`: what traditional splatting shows of a capture's points, without any
training, beside what a run has learned from its photos."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import RunError, SplatError
from ..run.config import TrainConfig
from ..run.folder import RunFolder, next_run_path
from . import cli
from .report.both_worlds import as_text

LENGTHS = ("--preset", "--iterations", "--seconds")  # any of them says how long to train


def main(arguments: Sequence[str]) -> int:
    """0 when the table was printed, 1 when it cannot be made, 2 for a wrong command line or a run that cannot start."""
    parser = argparse.ArgumentParser(
        prog="dev.py baseline",
        description="Traditional splatting (the capture's points as they are, no training) beside a trained run.",
        epilog="All else goes to the training, as in: dev.py baseline CAPTURE --preset balanced (default: preview).",
        allow_abbrev=False,
    )
    parser.add_argument("capture", type=Path, help="folder of the capture")
    parser.add_argument("--beside", type=Path, metavar="RUN", help="compare with this finished run instead of training")
    parser.add_argument("--run", type=Path, help="run folder to create (default: runs/run_001, …)")
    options, rest = parser.parse_known_args(arguments)
    try:
        if options.beside is not None:
            folder = RunFolder(options.beside.resolve())
            trained_on = Path(TrainConfig.read(folder.config_file).capture)
            if trained_on.resolve() != options.capture.resolve():
                raise RunError(f"The run in {folder.path} was trained on {trained_on}.", "Give a run of this capture.")
        else:
            folder = RunFolder((options.run or next_run_path(Path("runs").resolve())).resolve())
            if not any(word.split("=")[0] in LENGTHS for word in rest):
                rest = ["--preset", "preview", *rest]
            code = cli.main([str(options.capture), "--run", str(folder.path), *rest])
            if code:
                return code
        print("\n" + as_text(folder))
    except SplatError as error:
        print(f"{error.message} {error.remedy}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
