"""The capture of a run, read as was decided, and its card, which the run keeps."""

from pathlib import Path

from ...capture.capture import Capture, open_capture
from ...capture.card import card_of, read_card
from ...capture.check.settling import settled
from ...capture.choices import choices_of
from ...capture.photos.kept import KeptPictures
from ...capture.photos.reading import Decode
from ...run.config import TrainConfig
from ...run.events import Warned
from ...run.folder import RunFolder, write_json
from .decoding import decode


def open_with_card(folder: RunFolder, config: TrainConfig) -> tuple[Capture, Decode, list[Warned]]:
    """Open the capture of a run and write its card into the run's folder.

    What the parent has measured before, and left there, is on it; what of that is wrong is returned. The decoder, for
    `load_photos`, does not decode again the few photos that settled what the capture's files leave open. Raises
    SplatError, and OSError when the card cannot be written.
    """
    kept = KeptPictures(decode, config.photo_memory_mb * 2**20)
    opened = open_capture(Path(config.capture), config.hold_out_every, choices=choices_of(config))
    capture = settled(opened, kept.first)
    left = read_card(folder.capture_file)
    inspection = None if left is None else left.inspection
    write_json(folder.capture_file, card_of(capture).inspected(inspection).as_json())
    measured = () if inspection is None else inspection.check.remarks
    return capture, kept.second, [Warned(remark.text, remark.remedy) for remark in measured if remark.is_warning]
