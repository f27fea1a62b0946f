"""`python -m splat_addon.trainer.photos.inspect_capture FOLDER`: what a capture holds, and what is wrong with it."""

import argparse
import functools
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...capture.capture import View, capture_folder, open_capture
from ...capture.card import card_of
from ...capture.check.settling import settled
from ...capture.choices import MASKS, ORIENTATIONS, POINTS_FRAMES, choices_of
from ...capture.inspection import inspect_photos
from ...capture.photos.kept import KeptPictures
from ...capture.photos.reading import Decode, read_photo
from ...errors import CaptureError, SplatError
from .decoding import decode

_MOST_KEPT_BYTES = 400 << 20


def main(arguments: Sequence[str]) -> int:
    """0 when nothing is wrong with the capture, 1 when there is a warning, 2 when it cannot be opened."""
    options = parse(arguments)
    kept = KeptPictures(decode, _MOST_KEPT_BYTES)
    tell = _tell if options.progress else lambda fraction: None
    try:
        opened = open_capture(capture_folder(options.folder), options.hold_out_every, False, choices_of(options))
        capture = settled(opened, kept.first)
        inspection = inspect_photos(capture, functools.partial(small_photo, decode=kept.second), decode, tell)
        inspection = inspection.with_settled(opened, capture)
    except SplatError as error:
        if options.progress:
            print(json.dumps({"failed": error.message, "remedy": error.remedy}), flush=True)
        else:
            print(f"{error.message} {error.remedy}", file=sys.stderr)
        return 2
    card = card_of(capture).inspected(inspection)
    if options.progress:
        print(json.dumps({"finished": inspection.as_json()}), flush=True)
    else:
        print(json.dumps(card.as_json()) if options.json else "\n".join(card.lines()))
    return 1 if card.warnings else 0


def _tell(fraction: float) -> None:
    print(json.dumps({"fraction": fraction}), flush=True)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line: the capture, and what can be decided about it."""
    parser = argparse.ArgumentParser(prog="dev.py inspect-capture", description="Show what a capture holds.")
    parser.add_argument("folder", type=Path, help="folder of the capture")
    parser.add_argument("--hold-out-every", type=int, default=8, help="every n-th view is held out (default 8)")
    parser.add_argument("--orientation", choices=ORIENTATIONS, default="auto", help="how cameras measured the photos")
    parser.add_argument("--photos-folder", default="", help="where the photos lie (default: found)")
    parser.add_argument("--model-folder", default="", help="where the COLMAP model lies (default: found)")
    parser.add_argument("--points-frame", choices=POINTS_FRAMES, default="auto", help="where the points stand")
    parser.add_argument("--masks", choices=MASKS, default="auto", help="what is white in masks")
    parser.add_argument("--json", action="store_true", help="print the card as one JSON object")
    parser.add_argument("--progress", action="store_true", help="for programs: print lines of JSON")
    return parser.parse_args(arguments)


def small_photo(view: View, longest_px: int, decode: Decode = decode) -> np.ndarray | None:
    """A view's photo as its camera saw it, reduced: (H, W, 3 or 4) floats 0..1; None when it cannot be used."""

    def reduce(pixels: np.ndarray) -> np.ndarray:
        step = -(-max(pixels.shape[:2]) // longest_px)
        return np.ascontiguousarray(pixels[step // 2 :: step, step // 2 :: step])

    try:
        return read_photo(view, decode, reduce).pixels.astype(np.float32) / 255
    except CaptureError:
        return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
