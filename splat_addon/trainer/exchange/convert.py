"""`python -m splat_addon.trainer.exchange.convert IN OUT`: splats from one format into another, without Blender."""

import argparse
import sys
from collections.abc import Sequence

from ...errors import SplatError
from ...run.arguments import CONVERSION, add_conversion


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the file was written, 1 when it could not be (a sentence says why), 130 when somebody stopped it."""
    parser = argparse.ArgumentParser(prog="dev.py convert", description=CONVERSION)
    add_conversion(parser)
    options = parser.parse_args(arguments)
    from ...gaussians.converting import convert  # what needs NumPy, when --help is not all that is wanted
    from .image_pixels import pixels_of, webp_of

    try:
        convert(options, print, pixels_of, webp_of)
    except SplatError as error:
        print(f"{error.message} {error.remedy}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"Stopped: {options.target} was not written.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
