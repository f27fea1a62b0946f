"""`python -m splat_addon.trainer.report RUN [--out FILE]`: a run as one HTML page that is self-contained.

Curves, the table of held-out views, the worst first, and with each view its photo, result and difference. It reads what
the run has written so far, and so works while it trains, long after, and where the capture is gone (then without
photos). The last line printed is the page's path, or a sentence about what is missing.
"""

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from ...environment.remedies import install_command
from ...errors import RunError, SetupError, SplatError
from ...files import written_aside
from ...run.folder import RunFolder

MODULES_NEEDED = {"matplotlib": "matplotlib", "numpy": "numpy", "torch": "torch", "PIL": "pillow"}


def main(arguments: Sequence[str]) -> int:
    """0 when the page is written, 1 when it could not be."""
    parser = argparse.ArgumentParser(
        prog="dev.py report", description="Write a run's curves, held-out table and images as one HTML page."
    )
    parser.add_argument("run", type=Path, help="run folder, also of a run that is going on")
    parser.add_argument("--out", type=Path, help="the page (default: report.html in the run folder)")
    options = parser.parse_args(arguments)
    try:
        print(save_report(RunFolder(options.run.resolve()), options.out))
    except SplatError as error:
        print(f"{error.message} {error.remedy}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"The report cannot be written ({error}). Choose a place with --out.", file=sys.stderr)
        return 1
    return 0


def save_report(folder: RunFolder, path: Path | None = None) -> Path:
    """Write the page and return where it is. Raises SetupError without matplotlib, RunError without a measured run."""
    check_modules()
    if not folder.config_file.is_file():
        raise RunError(f"{folder.path} holds no run.", "Give the folder of a run.")
    from .page import page

    path = (path or folder.report_file).resolve()
    text = page(folder)
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")
    return path


def check_modules() -> None:
    """Raise SetupError, naming what to install, when this Python lacks what the report is made with."""
    missing = [package for module, package in MODULES_NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise SetupError(
            f"The trainer Python ({sys.executable}) lacks {', '.join(missing)}, which the report is drawn with.",
            f"Run: {install_command(missing)}",
        )
