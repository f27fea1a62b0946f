"""`python -m splat_addon.trainer.inspection`: see inspect_splats.py."""

import sys

from .inspect_splats import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
