"""USD's text, read by hand and a piece at a time: what it says, and where in the file its arrays of numbers are.

A million splats are some 800 MB of text, of which all but a few lines are numbers. So the file is gone through once for
everything outside of arrays, and arrays are read when they are asked for.
"""

import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..splat_file import broken

_PIECE = 1 << 20
_OPENING = re.compile(rb'"""|\'\'\'|["\'#\[]')
_CLOSING = {b'"""': re.compile(rb'\\|"""'), b"'''": re.compile(rb"\\|'''"), b'"': re.compile(rb'\\|"')}
_CLOSING |= {b"'": re.compile(rb"\\|'"), b"#": re.compile(rb"\n"), b"[": re.compile(rb'["\]]')}
_LONGEST_MARK = 3
_NO_BRACKETS = bytes.maketrans(b"(),\n\r\t", b"      ")


@dataclass(frozen=True)
class Text:
    """A file without what its brackets hold: "[3]" stands for the array whose bytes go from `arrays[3][0]` to
    `arrays[3][1]`. Comments are left out."""

    outline: bytes
    arrays: list[tuple[int, int]]


def read_text(file: BinaryIO) -> Text:
    """Go through a file. What it leaves open at its end is left out."""
    outline = bytearray()
    arrays: list[tuple[int, int]] = []
    inside: list[bytes] = []  # what has been opened, a string in an array at most
    buffer, at, offset, start = b"", 0, 0, 0
    while True:
        piece = file.read(_PIECE)
        buffer, at, offset = buffer[at:] + piece, 0, offset + at
        end = len(buffer) - (_LONGEST_MARK if piece else 0)  # a mark may go on in the next piece
        while at < end:
            found = (_CLOSING[inside[-1]] if inside else _OPENING).search(buffer, at)
            until = min(found.start(), end) if found else end
            if not inside or inside[0] in (b'"', b"'", b'"""', b"'''"):
                outline += buffer[at:until]
            at = until
            if found is None or found.start() >= end:
                break
            mark, at = found[0], found.end()
            if mark == b"\\":
                at += 1  # what follows is part of the string
                outline += buffer[at - 2 : at] if inside[0] != b"[" else b""
            elif not inside or (mark == b'"' and inside == [b"["]):
                inside.append(mark)
                start = offset + at if mark == b"[" else start
                outline += mark if len(inside) == 1 and mark != b"#" else b""
            else:
                closed = inside.pop()
                if closed == b"[":
                    outline += b"%d]" % len(arrays)
                    arrays.append((start, offset + at - 1))
                elif not inside:
                    outline += mark
        if not piece:
            return Text(bytes(outline), arrays)


def numbers_in(path: Path, file: BinaryIO, place: tuple[int, int], name: str) -> np.ndarray:
    """(M,) float32 numbers of the array at `place`. Raises SplatFileError for other contents."""
    at, end = place
    file.seek(at)
    found, rest = [np.zeros(0, np.float32)], b""
    while at < end:
        piece = file.read(min(_PIECE, end - at))
        if not piece:
            break
        at += len(piece)
        text = rest + piece
        cut = len(text) if at >= end else text.rfind(b",") + 1  # between two numbers
        if cut == 0 and len(text) > _PIECE:
            raise _not_numbers(path, name)
        found.append(_as_numbers(path, text[:cut], name))
        rest = text[cut:]
    return np.concatenate(found)


def _as_numbers(path: Path, text: bytes, name: str) -> np.ndarray:
    try:
        with warnings.catch_warnings(), np.errstate(over="ignore"):
            warnings.simplefilter("error")
            return np.fromstring(text.translate(_NO_BRACKETS).decode("ascii"), np.float64, sep=" ").astype(np.float32)
    except (ValueError, DeprecationWarning, RuntimeWarning) as error:
        raise _not_numbers(path, name) from error


def _not_numbers(path: Path, name: str) -> Exception:
    return broken(path, f"has '{name}' that is not made of numbers")
