"""The one way to read and the one way to write splat files, whatever their format.

Files are recognized by what they hold; only where nothing in them says it, by their names. See `splat_file` for what a
format is.
"""

from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np

from ...errors import SplatFileError
from ...files import open_regular
from ..cloud import GaussianCloud
from ..transform import joined, transformed
from .exchange import compressed_files, dot_splat, gltf, ksplat, ply_files, sog, spz, usd
from .splat_file import Header, Progress, Reading, Settings, SplatFile, gathered, in_blocks, unreadable
from .splat_ply import read_splats as read_ply

FORMATS: tuple[ModuleType, ...] = (compressed_files, ply_files, spz, gltf, usd, sog, ksplat, dot_splat)
_START = 4096


def written_formats() -> list[ModuleType]:
    """Those that can be written."""
    return [module for module in FORMATS if hasattr(module, "write")]


def extensions(formats: Iterable[ModuleType] = FORMATS) -> list[str]:
    """How their files end."""
    return [extension for module in formats for extension in module.EXTENSIONS]


def format_named(name: str) -> ModuleType:
    """The format of that NAME; KeyError when there is none."""
    return {module.NAME: module for module in FORMATS}[name]


def format_for(path: Path) -> ModuleType:
    """The format to write for a file of that name. Raises SplatFileError when its ending is none that is known."""
    name = path.name.lower()
    endings = {extension: module for module in written_formats() for extension in module.EXTENSIONS}
    for extension in sorted(endings, key=len, reverse=True):  # ".compressed.ply" before ".ply"
        if name.endswith(extension):
            return endings[extension]
    raise SplatFileError(
        f"{path.name} does not end as a splat file that can be written.", f"End it with {', '.join(endings)}."
    )


def open_splats(path: Path, reading: Reading | None = None) -> SplatFile:
    """Recognize a splat file by its content and read its header.

    Raises SplatFileError when it is not one, or is cut short.
    """
    path = Path(path)
    try:
        with open_regular(path) as file:
            start = file.read(_START)
    except OSError as error:
        raise unreadable(path, error) from error
    for module in FORMATS:
        if module.recognizes(start, path):
            return module.open_file(path, reading or Reading())
    for module in FORMATS:  # it then says what is missing
        if path.name.lower().endswith(module.EXTENSIONS):
            return module.open_file(path, reading or Reading())
    titles = ", ".join(module.TITLE for module in FORMATS)
    raise SplatFileError(f"{path.name} is not a splat file that is known.", f"Choose one of these: {titles}.")


def read_splats(path: Path, origin: Sequence[float] | None = None, reading: Reading | None = None) -> GaussianCloud:
    """All gaussians of a splat file, in the file's axes, its parts where the file puts them. Means are counted from
    `origin` (3,), if one is given: in double precision where the file has it.

    Raises SplatFileError.
    """
    file = open_splats(path, reading)
    if file.format in (ply_files.NAME, compressed_files.NAME):
        return read_ply(path, origin)
    cloud = cloud_of(file)
    if origin is not None:
        cloud.means = (cloud.means.astype(np.float64) - origin).astype(np.float32)
    return cloud


def cloud_of(file: SplatFile) -> GaussianCloud:
    """All gaussians of an opened file that are finite, in one cloud. Raises SplatFileError."""
    parts = [transformed(gathered(part.header, part.read()), part.matrix) for part in file.parts]
    return parts[0] if len(parts) == 1 else joined(parts)


def written_in_steps(
    path: Path, header: Header, blocks: Iterable[GaussianCloud], settings: Settings
) -> Generator[Progress]:
    """Write gaussians in the format that the name of `path` ends with, a step whenever the next value is asked for.

    All blocks are read in the first step, and at the last one, of progress 1, the file is there. Closed before that, it
    leaves the file as it was. Raises SplatFileError.
    """
    module = format_for(path)
    if hasattr(module, "write_in_steps"):
        yield from module.write_in_steps(path, header, blocks, settings)
    else:
        module.write(path, header, blocks, settings)
        yield Progress(1.0)


def write_splats(path: Path, cloud: GaussianCloud, settings: Settings | None = None) -> None:
    """Write `cloud`, as it stands, in the format that the name of `path` ends with. Raises SplatFileError."""
    header = Header(len(cloud), cloud.sh_degree, cloud.blend_space, cloud.antialiased)
    format_for(path).write(Path(path), header, in_blocks(cloud), settings or Settings())
