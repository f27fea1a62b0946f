"""Install the programs that other people read and write splat files with: needs npm and a Python from 3.11 to 3.13."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = Path(os.environ.get("SPLAT_ORACLES", HERE.parents[1] / ".venv" / "oracles"))


def main() -> int:
    """0 when all of them are there."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for file in [*HERE.glob("*.mjs"), *HERE.glob("*.json")]:
        shutil.copy(file, FOLDER)
    if not (FOLDER / "node_modules").is_dir():
        subprocess.check_call(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=FOLDER)
    if not (FOLDER / ".venv").is_dir():
        subprocess.check_call([sys.executable, "-m", "venv", FOLDER / ".venv"])
        pip = [FOLDER / ".venv" / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.check_call([*pip, "-r", HERE / "requirements.txt"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
