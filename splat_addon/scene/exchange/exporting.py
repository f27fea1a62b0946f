"""Writing splat objects as files of any format."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import bpy
import numpy as np

from ...errors import SplatFileError, some_of
from ...gaussians.cloud import GaussianCloud
from ...gaussians.formats.registry import format_for, written_in_steps
from ...gaussians.formats.splat_file import Header, Progress, Settings
from ...gaussians.origin import origin_for
from ...gaussians.transform import STORED, is_exact, joined, transformed
from ...run.wording import counted
from ..inspection.choosing import hidden
from ..splats.adoption import mark
from ..splats.contents.bundled import expose_usd, webp_of
from ..splats.data import Origin, SplatReader
from .placement import WORLD, file_from_object

AUTO = "AUTO"
AXES = [
    (
        AUTO,
        "Automatic",
        "As files of the format usually are: PLY as stored, SPZ and glTF y up, SOG y down, USD z up",
    ),
    (STORED, "As Stored", "As the axes were in the file or the capture that the splats come from"),
    ("Y_UP", "Y Up", "For viewers and game engines"),
    ("Y_DOWN", "Y Down", "For programs that expect splats as trainers on photos make them"),
    ("Z_UP", "Z Up", "As in Blender"),
]
SPACES = [
    (WORLD, "World", "Where the splats are in the scene: whatever the artist has moved is part of the file"),
    ("OBJECT", "Object", "In the active object's own space, whatever its transform"),
]


@dataclass(frozen=True)
class Choices:
    """What an artist chooses for an export. `axes` and `space`: identifiers of `AXES` and `SPACES`; with `all_splats`,
    also those that are hidden."""

    axes: str = AUTO
    space: str = WORLD
    all_splats: bool = True
    spz_version: int = 3
    sh_bits: tuple[int, int] = (8, 8)


class Export:
    """Some objects on their way into one file. What they lose is known before anything is written.

    Raises SplatFileError when one holds no splats, when all that there are stay out because they are hidden, or when
    the name of `path` ends like none that can be written.
    """

    def __init__(self, path: Path, items: Sequence[bpy.types.Object], choices: Choices):
        self.path, self._items = path, items
        self.format: ModuleType = format_for(path)
        axes = self.format.WRITE_AXES if choices.axes == AUTO else choices.axes
        self._readers = [SplatReader(item) for item in items]
        self._matrices = [file_from_object(item, items[0], axes, choices.space) for item in items]
        first = self._readers[0]
        self._far = _far_origin(first, self._matrices[0])
        has_doubles = getattr(self.format, "HAS_DOUBLES", False)
        origin = self._far if has_doubles else None
        if origin is not None:
            shift = np.eye(4)
            shift[:3, 3] = [-value for value in origin]
            self._matrices = [shift @ matrix for matrix in self._matrices]
        self._settings = Settings(axes, choices.spz_version, choices.sh_bits, origin, webp_of)
        self._are_hidden = [hidden(item.data) for item in items]
        self._all_splats, self._hidden_count = choices.all_splats, sum(int(each.sum()) for each in self._are_hidden)
        degree, count = max(reader.sh_degree for reader in self._readers), sum(reader.count for reader in self._readers)
        if self._hidden_count == count and not choices.all_splats:
            raise SplatFileError("Every splat is hidden, and would stay out.", "Switch Hidden Splats on, or show some.")
        count -= 0 if choices.all_splats else self._hidden_count
        extras = {
            name: kind for name, kind in first.extras.items() if all(name in reader.extras for reader in self._readers)
        }
        self.header = Header(count, degree, first.blend_space, first.antialiased, extras)

    def losses(self) -> list[str]:
        """Sentences about what the file will not hold, or hold otherwise."""
        found = self.format.losses(self.header, self._settings)
        if self._hidden_count:
            what = "is written, too" if self._all_splats else "stays out"
            found.insert(0, f"What is hidden {what}: {counted(self._hidden_count)} splats.")
        if self._far is not None and self._settings.origin is None:
            step = np.spacing(np.float32(np.abs(self._far).max()))
            found.append(
                f"The splats lie so far from the origin that this format rounds positions to {step:.2g}: a PLY keeps "
                "them, or move them to the scene's origin."
            )
        bent = [item.name for item, matrix in zip(self._items, self._matrices, strict=True) if not is_exact(matrix)]
        if bent:
            found.append(
                f"{some_of(bent)}: scale differs by axis. Shapes follow it, but colors from the side are only rotated."
            )
        if len({(reader.blend_space, reader.antialiased) for reader in self._readers}) > 1:
            found.append("The objects were trained for different looks; the file gets that of the active one.")
        return found

    def steps(self) -> Generator[Progress]:
        """Write the file, step by step: see `registry.written_in_steps`. Raises SplatFileError."""
        for item in self._items:
            mark(item.data)
        expose_usd(self.path)
        yield from written_in_steps(self.path, self.header, self._blocks(), self._settings)

    def _blocks(self) -> Iterator[GaussianCloud]:
        empty = _nothing(self.header)
        for reader, matrix, are_hidden in zip(self._readers, self._matrices, self._are_hidden, strict=True):
            end = 0
            for block in reader.blocks():
                start, end = end, end + len(block)
                if not self._all_splats and are_hidden[start:end].any():
                    block = block.select(~are_hidden[start:end])
                    if not len(block):
                        continue
                moved = transformed(block, matrix)
                is_as_file = moved.sh_degree == self.header.sh_degree and _look(moved) == _look(empty)
                if not is_as_file:
                    moved = replace(joined([empty, moved], self.header.blend_space), extras=moved.extras)
                yield moved


def _far_origin(reader: SplatReader, matrix: np.ndarray) -> Origin:
    """Where a file's positions have to count from, since splats that are moved by `matrix` are too far away for 32
    bits."""
    if not matrix[:3, 3].any():
        return None
    return origin_for(reader.positions().astype(np.float64) @ matrix[:3, :3].T + matrix[:3, 3])


def _look(cloud: GaussianCloud) -> tuple[str, bool]:
    return cloud.blend_space, cloud.antialiased


def _nothing(header: Header) -> GaussianCloud:
    """No gaussians, of the file's degree and look: what is joined to it gets both."""
    rows = np.zeros((0, 3), np.float32)
    sh = np.zeros((0, (header.sh_degree + 1) ** 2, 3), np.float32)
    return GaussianCloud(rows, rows, np.zeros((0, 4)), np.zeros(0), sh, header.blend_space, header.antialiased)
