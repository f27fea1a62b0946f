"""`python -m splat_addon.trainer.inspection.blame RUN`: see blame_map.py."""

import sys

from .blame_map import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
