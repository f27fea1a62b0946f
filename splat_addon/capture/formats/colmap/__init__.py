"""COLMAP sparse models: where they lie, and reading and writing them, binary or text."""

from pathlib import Path

from . import binary, text
from .model import ColmapModel, model_from_tables, tables_from_model

_USUAL_PLACES = ("sparse/0", "sparse", "colmap/sparse/0", "colmap/sparse", ".")
_FORMATS = {"cameras.bin": binary, "cameras.txt": text}


def find_model(folder: Path) -> Path | None:
    """The folder at or below `folder` (three levels) that holds a COLMAP model; the usual places first, then others."""
    folder = Path(folder)
    for place in _USUAL_PLACES:
        if any((folder / place / name).is_file() for name in _FORMATS):
            return folder / place
    for depth in ("*", "*/*", "*/*/*"):
        for name in _FORMATS:
            for file in sorted(folder.glob(f"{depth}/{name}")):
                return file.parent
    return None


def read_model(folder: Path, with_observations: bool = False) -> ColmapModel:
    """Read the model in `folder`: binary where it is there, else text. Other files (COLMAP 4 adds some) are ignored.

    Observations are only read when asked for: they are most of the bytes, and training needs none of them.
    Raises CaptureError when a file is missing, empty or cut short, when counts are wrong, when there is no image,
    a photo twice, or a camera model without pinhole form.
    """
    folder = Path(folder)
    name = next((name for name in _FORMATS if (folder / name).is_file()), "cameras.bin")
    return model_from_tables(_FORMATS[name].read_tables(folder, with_observations), folder)


def write_model(folder: Path, model: ColmapModel, as_text: bool = False) -> None:
    """Write `model` into the existing folder. Raises OSError."""
    tables = tables_from_model(model)
    (text if as_text else binary).write_tables(Path(folder), tables)
