"""What every reader gives and every writer takes, whatever the format.

A format is a module with these names:

    NAME, TITLE, EXTENSIONS     "spz", what an artist calls it, and how its files end, the usual ending first
    READ_AXES, WRITE_AXES       where the axes of its files point unless they say so themselves, and where ours do
    recognizes(start, path)     whether a file that begins with the bytes `start` is one of these
    open_file(path, reading)    its SplatFile; raises SplatFileError
    write(path, header, blocks, settings)    raises SplatFileError; absent where files are only read
    write_in_steps(…)           the same with its Progress, where it takes long; whoever closes it gives up writing
    HAS_DOUBLES                 True where positions can be written in 64 bits; absent elsewhere
    losses(header, settings)    sentences about what it cannot hold; absent where files are only read
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...errors import SplatFileError
from ...files import open_regular, written_aside
from ..cloud import BLENDER, DISPLAY, GaussianCloud, empty_cloud
from ..harmonics import MAX_DEGREE, coefficient_count
from ..transform import STORED
from .splat_ply import AUTO

Pixels = Callable[[bytes], np.ndarray]  # the bytes of an image file -> (H, W, 4) uint8, straight alpha, top row first
Encode = Callable[[np.ndarray], bytes]  # the reverse, as lossless WebP
SMALLEST_OPACITY = 1e-6  # opacities of 0 and 1 have no finite logit
SMALLEST_OPACITY_32_BITS = 1e-7  # the same where files hold floats
_SMALLEST_SCALE = 1e-45


@dataclass(frozen=True)
class Header:
    """What there is to know of splats without their numbers."""

    count: int
    sh_degree: int
    blend_space: str = DISPLAY
    antialiased: bool = False
    extras: Mapping[str, np.dtype] = field(default_factory=dict)  # what the blocks' `extras` are, of PLYs


@dataclass(frozen=True)
class Reading:
    """What a file does not say or hold."""

    pixels: Pixels | None = None  # decodes images, for formats that keep splats in them
    opacities: str = AUTO  # of a PLY: "logit", "linear", or as they look


@dataclass(frozen=True)
class Settings:
    """What an artist may choose where a format leaves a choice."""

    axes: str = STORED  # where the axes of what is written point, for formats that can say so
    spz_version: int = 3
    sh_bits: tuple[int, int] = (8, 8)  # of SPZ: for degree 1, and above; 1 to 8
    origin: tuple[float, float, float] | None = None  # what means count from, for formats with HAS_DOUBLES
    encode: Encode | None = None  # makes lossless images, for formats that keep splats in them


@dataclass(frozen=True)
class Progress:
    """How far writing a file is."""

    done: float  # 0..1
    note: str = ""  # what was decided on the way, a sentence


@dataclass(frozen=True)
class SplatPart:
    """Splats that belong together in a file, and where the file puts them."""

    header: Header
    read: Callable[[], Iterable[GaussianCloud]]  # the gaussians in blocks, in the order of the file
    name: str = ""
    matrix: np.ndarray = field(default_factory=lambda: np.eye(4))  # (4, 4), in the file's axes
    origin: tuple[float, float, float] | None = None  # what means count from, where the file's own are too large for
    # 32 bits: `matrix` has it


@dataclass(frozen=True)
class SplatFile:
    """A splat file that was recognized and whose header makes sense."""

    path: Path
    format: str  # the NAME of its module
    parts: tuple[SplatPart, ...]
    axes: str = STORED  # where its axes point: as it says, or as files of its format do
    notes: tuple[str, ...] = ()  # what the artist should know, as sentences

    @property
    def count(self) -> int:
        return sum(part.header.count for part in self.parts)


def file_bytes(path: Path) -> bytes:
    """All of a file. Raises SplatFileError when it cannot be read."""
    try:
        with open_regular(path) as file:
            return file.read()
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> SplatFileError:
    return SplatFileError(f"{path} cannot be read ({error.strerror}).", "Choose a splat file that exists.")


def broken(path: Path, what: str) -> SplatFileError:
    """A file that is not what it begins as; `what` follows its name."""
    return SplatFileError(f"{path.name} {what}.", "It was cut short or damaged: copy or export it again.")


def save_bytes(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    """Write a file aside and move it into place. Raises SplatFileError; what was there before then stays."""
    for _ in save_in_steps(path, ((part, 0.0) for part in parts)):
        pass


def save_in_steps(path: Path, parts: Iterable[tuple[bytes | memoryview, float]]) -> Iterator[Progress]:
    """The same, a step for each part; with each comes how much is done then, 0..1. At the end it is 1."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_aside(path) as aside, open(aside, "wb") as file:
            for part, done in parts:
                file.write(part)
                yield Progress(min(done, 0.999))
    except OSError as error:
        raise SplatFileError(
            f"{path} cannot be written ({error.strerror}).", "Choose a folder that can be written and has space."
        ) from error
    yield Progress(1.0)


def gathered(header: Header, blocks: Iterable[GaussianCloud]) -> GaussianCloud:
    """One cloud of all blocks, without gaussians that are not finite: most formats have no place for these."""
    result, done = empty_cloud(header.count, header.sh_degree, header.blend_space, header.antialiased), 0
    for block in blocks:
        if not (is_finite := block.finite()).all():
            block = block.select(is_finite)
        result.put(done, block)
        done += len(block)
    return result if done == header.count else result.select(slice(done))


def in_blocks(cloud: GaussianCloud, rows: int = 4096) -> Iterator[GaussianCloud]:
    """A cloud, some thousand gaussians at a time."""
    return (cloud.select(slice(start, start + rows)) for start in range(0, len(cloud), rows))


def logits_of(opacities: np.ndarray, smallest: float = SMALLEST_OPACITY) -> np.ndarray:
    """Logits of opacities 0..1, finite for 0 and 1: held `smallest` away from them."""
    inside = np.clip(opacities.astype(np.float64), smallest, 1 - smallest)
    return np.log(inside / (1 - inside))


def logs_of(scales: np.ndarray) -> np.ndarray:
    """Log-scales of linear ones: their sign does not matter, and 0 becomes what is 0 again in 32 bits."""
    return np.log(np.maximum(np.abs(scales, dtype=np.float64), _SMALLEST_SCALE))


def kept_degree(stored: int) -> tuple[int, tuple[str, ...]]:
    """The degree that is read of what a file stores, and the sentence for what is left out."""
    if stored <= MAX_DEGREE:
        return stored, ()
    return MAX_DEGREE, (f"Harmonics above degree {MAX_DEGREE} were left out.",)


def degree_of_rest(coefficients: int) -> int | None:
    """The degree with so many coefficients beside the base; None when none has, up to 4."""
    return next((d for d in range(MAX_DEGREE + 2) if coefficient_count(d) - 1 == coefficients), None)


def losses_of(header: Header, highest_degree: int, has_flag: bool, keeps_space: bool = False) -> list[str]:
    """Sentences about what a format drops that has harmonics to `highest_degree`, and a flag for antialiasing or
    not."""
    found = []
    if header.sh_degree > highest_degree:
        kept = f"those above degree {highest_degree} are" if highest_degree else "they are"
        found.append(f"Color that depends on the view is lost: the file has no such harmonics, and {kept} left out.")
    if header.blend_space == BLENDER and not keeps_space:
        found.append(
            "The file cannot say that colors were trained in linear light: other programs mix them as displayed."
        )
    if header.antialiased and not has_flag:
        found.append("The file cannot say that splats were trained antialiased: they will look thicker elsewhere.")
    return found
