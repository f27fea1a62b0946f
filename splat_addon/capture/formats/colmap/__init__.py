"""COLMAP sparse models: where they lie, and reading and writing them, binary or text."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from ....errors import CaptureError
from ...finding.files import Files
from . import binary, text
from .model import ColmapModel, model_from_tables, tables_from_model

_USUAL_PLACES = ("sparse/0", "sparse", "colmap/sparse/0", "colmap/sparse", ".")
_FORMATS = {"cameras.bin": binary, "cameras.txt": text}
_DEEPEST = 3


@dataclass(frozen=True)
class FoundModel:
    """A folder with a COLMAP model, and how many images it holds, as far as that is known at a glance."""

    folder: Path
    image_count: int


def find_model(folder: Path, files: Files | None = None) -> Path | None:
    """The folder at or below `folder` (three levels) that holds a COLMAP model; the usual places first, then others.
    Of several models of one reconstruction (sparse/0, sparse/1), the one with most images."""
    found = find_models(folder, files)
    return found[0].folder if found else None


def find_models(folder: Path, files: Files | None = None, deepest: int = _DEEPEST) -> list[FoundModel]:
    """All COLMAP models at and below `folder` (`deepest` levels), the one to be used first."""
    folder, files = Path(folder), files or Files()
    places = [*(folder / place for place in _USUAL_PLACES), *files.below(folder, deepest)]
    places = [place for place in dict.fromkeys(places) if any(files.has(place / name) for name in _FORMATS)]
    if len(places) < 2:
        return [FoundModel(place, 0) for place in places]
    models = [FoundModel(place, _image_count(place, files)) for place in places]
    first = models[0].folder
    alike = [model for model in models if first.name.isdigit() and model.folder.parent == first.parent]
    best = max(alike or models[:1], key=lambda model: model.image_count)
    if best.image_count == 0:
        best = max(models, key=lambda model: model.image_count)
    return [best, *(model for model in models if model != best)]


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


def difference_of_forms(folder: Path, files: Files) -> str:
    """How the binary and the text form of the model in `folder` differ, where both are there: "15 and 3 images"."""
    if not all(files.has(folder / name) for name in _FORMATS):
        return ""
    counts, lenses = [], []
    for form in (binary, text):
        counts.append(form.count_images(folder))
        with contextlib.suppress(CaptureError):
            lenses.append(sorted((lens.model, lens.width, lens.height) for lens in form.read_lenses(folder).values()))
    if counts[0] != counts[1]:
        return f"{counts[0]} and {counts[1]} images"
    if len(lenses) == 2 and lenses[0] != lenses[1]:
        first, second = (" ".join(map(str, lens[0])) if lens else "no camera" for lens in lenses)
        return f"the first camera is {first} and {second}"
    return ""


def _image_count(folder: Path, files: Files) -> int:
    return (binary if files.has(folder / "cameras.bin") else text).count_images(folder)
