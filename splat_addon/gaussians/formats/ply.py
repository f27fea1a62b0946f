"""The PLY format itself: header, and records in blocks, of any scalar types in any order, binary or text.

Elements before the one that is read are skipped, bytes behind it are ignored. A header may announce anything: what a
file of its size cannot hold is refused before anything is made for it.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ...errors import SplatFileError
from ...files import open_regular, written_aside

BLOCK_ROWS = 4096  # a block of splats with all harmonics, 1 MB, stays in the processor's cache
_NUMPY_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip
PLY_TYPES = {
    "<f4": "float", "<f8": "double", "|u1": "uchar", "|i1": "char", "<u2": "ushort", "<i2": "short", "<u4": "uint",
    "<i4": "int",
}  # fmt: skip
_BYTE_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": "="}
_LONGEST_HEADER = 1 << 20
_NUMBERS_OF_TEXT = 1 << 19  # in one block: what Python keeps of a number takes some thirty bytes


@dataclass(frozen=True)
class PlyElement:
    """One kind of record: how many, and their columns by name. `dtype` is None when it holds lists."""

    name: str
    count: int
    dtype: np.dtype | None

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, in the order of the file."""
        return (self.dtype.names or ()) if self.dtype is not None else ()

    def kind_of(self, name: str) -> np.dtype:
        """The type of one of its columns."""
        assert self.dtype is not None
        return self.dtype[name]


@dataclass(frozen=True)
class PlyFile:
    """An opened header. The records are read when they are asked for."""

    path: Path
    is_text: bool
    elements: tuple[PlyElement, ...]
    body: int  # where the first record begins, bytes
    size: int  # of the whole file, bytes
    comments: tuple[str, ...] = ()

    def element(self, name: str) -> PlyElement | None:
        """The element of that name, if there is one."""
        return next((element for element in self.elements if element.name == name), None)

    def require(self, name: str) -> PlyElement:
        """The element of that name. Raises SplatFileError when there is none that can be read, or when the file is too
        short for as many records as it announces."""
        element = self.element(name)
        if element is None or element.dtype is None:
            raise SplatFileError(
                f"{self.path.name} holds no readable '{name}' records.", "Export it again as a plain vertex PLY."
            )
        room = self.size - self.body + int(self.is_text)  # the last line may lack its end
        for each in self.elements[: self.elements.index(element) + 1]:
            held = max(room, 0) // self._least_bytes(each)
            if each.count > held:
                raise self._cut_short(each, f"{held} at most" if self.is_text else str(held))
            room -= each.count * self._least_bytes(each)
        return element

    def _least_bytes(self, element: PlyElement) -> int:
        """What a record takes in the file; in a text, at least: one digit and one separator for each column."""
        if self.is_text:
            return max(1, 2 * len(element.names))
        return element.dtype.itemsize if element.dtype is not None else 1

    def _cut_short(self, element: PlyElement, held: str) -> SplatFileError:
        what = "points" if element.name == "vertex" else f"'{element.name}' records"
        return SplatFileError(
            f"{self.path.name} announces {_shown(element.count)} {what} but holds {held}.",
            "It was cut short: copy or export it again.",
        )

    def blocks(self, name: str, rows: int = BLOCK_ROWS) -> Iterator[np.ndarray]:
        """The records of an element as structured arrays of at most `rows`. Raises SplatFileError when cut short."""
        element = self.require(name)
        if self.is_text:
            rows = max(1, min(rows, _NUMBERS_OF_TEXT // len(element.names)))
        done = 0
        try:
            with open_regular(self.path) as file:
                self._skip_to(file, name)
                while done < element.count:
                    wanted = min(rows, element.count - done)
                    block = (_text_block if self.is_text else _block)(file, element, wanted)
                    done += len(block)
                    if len(block):
                        yield block
                    if len(block) < wanted:
                        break
        except OSError as error:
            raise _unreadable(self.path, error) from error
        if done < element.count:
            raise self._cut_short(element, str(done))

    def read(self, name: str) -> np.ndarray:
        """All records of an element."""
        element = self.element(name)
        found = list(self.blocks(name))
        return np.concatenate(found) if found else np.empty(0, element.dtype if element else None)

    def _skip_to(self, file: BinaryIO, name: str) -> None:
        file.seek(self.body)
        for element in self.elements:
            if element.name == name:
                return
            if self.is_text:
                for _ in islice(file, element.count):
                    pass
            elif element.dtype is None:
                raise SplatFileError(
                    f"{self.path.name} has lists before its '{name}' records.",
                    "Export it again as a plain vertex PLY.",
                )
            else:
                file.seek(element.count * element.dtype.itemsize, os.SEEK_CUR)


def open_ply(path: Path) -> PlyFile:
    """Read the header. Raises SplatFileError when the file is not a PLY or its header makes no sense."""
    path = Path(path)
    try:
        with open_regular(path) as file:
            start = file.read(_LONGEST_HEADER)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise _unreadable(path, error) from error
    end = start.find(b"end_header")
    newline = start.find(b"\n", end)
    if not start.startswith(b"ply") or end < 0:
        raise SplatFileError(f"{path.name} is not a PLY file.", "Choose a file that begins with 'ply'.")
    body = newline + 1 if newline >= 0 else len(start)
    lines = start[:end].decode("ascii", "replace").splitlines()[1:]
    try:
        order, elements = _parse(lines, path.name)
    except (ValueError, KeyError, IndexError) as error:
        raise SplatFileError(
            f"The header of {path.name} is not one this add-on reads.", "Export it again as a plain vertex PLY."
        ) from error
    comments = tuple(line.strip()[len("comment ") :] for line in lines if line.strip().startswith("comment "))
    return PlyFile(path, order == "=", elements, body, size, comments)


def _parse(lines: list[str], file_name: str) -> tuple[str, tuple[PlyElement, ...]]:
    """Byte order and elements of a header. ValueError, KeyError or IndexError when it makes no sense, SplatFileError
    when it names a column twice."""
    order = ""
    found: list[tuple[str, int, list[tuple[str, str]], list[bool]]] = []
    for line in lines:
        words = line.split()
        if not words or words[0] in ("comment", "obj_info"):
            continue
        if words[0] == "format":
            order = _BYTE_ORDERS[words[1]]
        elif words[0] == "element":
            found.append((words[1], int(words[2]), [], []))
        elif words[0] == "property" and words[1] == "list":
            found[-1][3].append(True)
        elif words[0] == "property":
            found[-1][2].append((words[2], _NUMPY_TYPES[words[1]]))
    if not order or any(count < 0 for _, count, _, _ in found):
        raise ValueError("no format or a negative count")
    elements = []
    for name, count, fields, lists in found:
        columns = [field for field, _ in fields]
        if len(set(columns)) < len(columns):
            twice = next(column for place, column in enumerate(columns) if column in columns[:place])
            raise SplatFileError(f"{file_name} has two columns named '{twice}'.", "Export it again with one of them.")
        dtype = None if lists or not fields else np.dtype([(field, order + kind) for field, kind in fields])
        elements.append(PlyElement(name, count, dtype))
    return order, tuple(elements)


def _block(file: BinaryIO, element: PlyElement, rows: int) -> np.ndarray:
    assert element.dtype is not None
    return np.fromfile(file, element.dtype, rows)


def _text_block(file: BinaryIO, element: PlyElement, rows: int) -> np.ndarray:
    """At most `rows` records, one a line. What is not a number, or not one of its column's type, ends the file."""
    assert element.dtype is not None
    names = element.names
    values = []
    for line in islice(file, rows):
        words = line.split(None, len(names))[: len(names)]
        try:
            numbers = list(map(float, words))
        except ValueError:
            break
        if len(numbers) < len(names):
            break
        values.append(numbers)
    table = np.array(values, dtype=np.float64).reshape(len(values), len(names))
    is_right = np.ones(len(table), dtype=bool)
    for index, name in enumerate(names):
        if element.dtype[name].kind != "f":
            limits = np.iinfo(element.dtype[name])
            is_right &= (table[:, index] >= limits.min) & (table[:, index] <= limits.max)
    if not is_right.all():
        table = table[: int(np.argmin(is_right))]
    block = np.empty(len(table), element.dtype)
    with np.errstate(over="ignore"):
        for index, name in enumerate(names):
            block[name] = table[:, index]
    return block


def as_matrix(block: np.ndarray) -> np.ndarray:
    """A block of records as (rows, columns) float32; no copy where the file holds just that."""
    dtype = block.dtype
    kinds = {dtype[name] for name in dtype.names or ()}
    with np.errstate(over="ignore", invalid="ignore"):
        if len(kinds) == 1:
            return block.view(kinds.pop()).reshape(len(block), -1).astype(np.float32, copy=False)
        matrix = np.empty((len(block), len(dtype.names or ())), np.float32)
        for index, name in enumerate(dtype.names or ()):
            matrix[:, index] = block[name]
    return matrix


def write_ply(
    path: Path, dtype: np.dtype, count: int, blocks: Iterator[np.ndarray], comments: Sequence[str] = ()
) -> None:
    """Write `count` vertices, binary: aside first and then moved into place, so that no reader sees half a file.

    Raises SplatFileError when the place cannot be written; what was there before then stays.
    """
    path = Path(path)
    header = ["ply", "format binary_little_endian 1.0", *(f"comment {comment}" for comment in comments)]
    header.append(f"element vertex {count}")
    header += [f"property {PLY_TYPES[dtype[name].str]} {name}" for name in dtype.names or ()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_aside(path) as aside, open(aside, "wb") as file:
            file.write(("\n".join(header) + "\nend_header\n").encode("ascii"))
            for block in blocks:
                file.write(np.ascontiguousarray(block).view(np.uint8).data)
    except OSError as error:
        raise SplatFileError(
            f"{path} cannot be written ({error.strerror}).", "Choose a folder that can be written and has space."
        ) from error


def _unreadable(path: Path, error: OSError) -> SplatFileError:
    return SplatFileError(f"{path} cannot be read ({error.strerror}).", "Choose a PLY file that exists.")


def _shown(count: int) -> str:
    """A count in full while a person can read it; it may have thousands of digits."""
    return str(count) if count < 10**15 else "more than 10^15"
