"""The exactness of exported cameras as a table: worst distance in pixels between their projection and Blender's own.

Run by `python3 dev.py bench exactness [--json FILE]`. Rendered markers are checked in tests/blender/test_exactness.py.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from support import exactness
from support import extension as support


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path, help="write every combination there as well")
    options = parser.parse_args()
    extension = support.Extension(support.enable_extension())
    import bpy

    rows = list(exactness.measure(extension))
    print(f"Blender {bpy.app.version_string}: worst error in pixels over resolutions and render regions\n")
    print(exactness.table(rows))
    if options.json:
        options.json.write_text(json.dumps([row._asdict() for row in rows], indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
