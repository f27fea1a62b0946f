"""`python -m splat_addon.trainer.report`: see write.py."""

import sys

from .write import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
