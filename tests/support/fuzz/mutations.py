"""How a good file is broken: its bytes, its words, its JSON values."""

import copy
import json
import struct
from collections.abc import Sequence
from random import Random
from typing import Any, TypeVar

Item = TypeVar("Item")

COUNTS = (0, 1, 2, 3, 255, 256, 257, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 10**6, 10**12, 2**60, 2 * 10**18, 2**63 - 1,
          2**63, 2**64 - 1)  # fmt: skip
DOUBLES = (0.0, -0.0, -1.0, 1e-320, 1e-30, 200.0, 1e6, 1e20, 1e38, 1e160, 1e300, float("inf"), float("-inf"),
           float("nan"))  # fmt: skip
WORDS = ("", "0", "-1", "1", "nan", "inf", "-inf", "1e400", "1e300", "1e-400", "0x10", "1_0", "1e", "--1", "x", "a\0b",
         "10000000000000", "18446744073709551615", "18446744073709551616", "-9223372036854775809", "9" * 400,
         "9" * 5000, "x" * 300, "é", "\ufeff", "..", "/", "٣")  # fmt: skip
NAMES = ("", ".", "/", "..", "//", "///x", "../../x", "/etc/passwd", "a\0b.png", "x" * 300, "x/" * 3000, "C:\\x.png",
         "\\\\server\\share\\x.png", "\\\\x.png", "images/", "images", "..png", ".png", "a.png/..", "con.png", "\ud800",
         "\udcff", "~/x", "é.png", "a\nb")  # fmt: skip


_DOCUMENTS = (b"", b"null", b"[]", b"{}", b"1", b'"x"', b"[" * 200_000, b"\xff\xfe", b"\xef\xbb\xbf{}")


def _nested(depth: int) -> list:
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 64, 2**31, 2**60, 10**30, 10**400, -(10**400), 0.5, 1e-320, 1e300, -1e300,
    float("nan"), float("inf"), float("-inf"), [], {}, [[]], [None], [[1, 2], [3]], {"a": {}}, [0] * 20, ["a"],
    [["a"]], [{}], _nested(60), "1", "nan", *NAMES,
)  # fmt: skip


class Mutator:
    """Breaks things at random; `random` alone decides how."""

    def __init__(self, random: Random):
        self.random = random

    def one_of(self, items: Sequence[Item]) -> Item:
        return items[self.random.randrange(len(items))]

    def is_chosen(self, share: float) -> bool:
        return self.random.random() < share

    def a_few(self) -> range:
        """Mostly once, seldom up to four times."""
        return range(1 if self.is_chosen(0.6) else self.random.randint(2, 4))

    def bytes(self, content: bytes) -> bytes:
        """Binary content with numbers replaced, parts cut out, doubled or thrown in, or its end missing."""
        result = bytearray(content)
        for _ in self.a_few():
            place = self.random.randrange(len(result) + 1)
            kind = self.random.randrange(9)
            if kind == 0:
                result[place : place + 1] = self.random.randbytes(1)
            elif kind == 1:
                result[place : place + 4] = struct.pack("<I", self.one_of(COUNTS) & 0xFFFFFFFF)
            elif kind == 2:
                result[place : place + 8] = struct.pack("<Q", self.one_of(COUNTS))
            elif kind == 3:
                result[place : place + 8] = struct.pack("<d", self.one_of(DOUBLES))
            elif kind == 4:
                result[place : place + 4] = self.float32()
            elif kind == 5:
                del result[place:]
            elif kind == 6:
                del result[place : place + self.random.randint(1, 16)]
            elif kind == 7:
                result[place:place] = self.random.randbytes(self.random.randint(1, 16))
            else:
                result[place:place] = result[place : place + self.random.randint(1, 64)]
        return bytes(result)

    def float32(self) -> bytes:
        """Four bytes that are a strange number."""
        value = self.one_of(DOUBLES)
        return struct.pack("<f", value if abs(value) < 3e38 or abs(value) == float("inf") else value * float("nan"))

    def text(self, content: bytes, words: Sequence[str] = WORDS) -> bytes:
        """Lines of words with words replaced, removed or doubled, lines likewise, or its end missing."""
        lines = content.decode("utf-8", "surrogateescape").split("\n")
        for _ in self.a_few():
            row = self.random.randrange(len(lines))
            parts = lines[row].split(" ")
            place = self.random.randrange(len(parts))
            kind = self.random.randrange(9)
            if kind <= 3:
                parts[place] = self.one_of(words)
                lines[row] = " ".join(parts)
            elif kind == 4:
                del parts[place]
                lines[row] = " ".join(parts)
            elif kind == 5:
                lines[row] = " ".join([*parts, *parts[place:]])
            elif kind == 6:
                del lines[row : row + 1 if len(lines) > 1 else row]
            elif kind == 7:
                lines.insert(self.random.randrange(len(lines) + 1), lines[row])
            else:
                lines = lines[: row + 1]
                lines[row] = lines[row][: self.random.randrange(len(lines[row]) + 1)]
        result = "\n".join(lines).replace("\ud800", "?").encode("utf-8", "surrogateescape")
        return self.bytes(result) if self.is_chosen(0.1) else result

    def json(self, document: Any) -> bytes:
        """JSON with values of other types, keys missing, items doubled, or broken as a text."""
        document = copy.deepcopy(document)
        for _ in self.a_few():
            holders = list(holders_in(document))
            if not holders:
                break
            holder = self.one_of(holders)
            key = self.one_of(list(holder) if isinstance(holder, dict) else range(len(holder)))
            kind = self.random.randrange(8)
            if kind <= 3:
                holder[key] = copy.deepcopy(self.one_of(VALUES))
            elif kind == 4:
                del holder[key]
            elif kind == 5:
                other = self.one_of(holders)
                holder[key] = copy.deepcopy(self.one_of(list(other.values()) if isinstance(other, dict) else other))
            elif kind == 6:
                holder[key] = [holder[key]] if self.is_chosen(0.5) else {"x": holder[key]}
            elif isinstance(holder, list):
                holder.insert(key, copy.deepcopy(holder[key]))
            else:
                holder[key] = str(holder[key])
        result = json.dumps(document).encode()
        if self.is_chosen(0.05):
            result = self.bytes(result)
        if self.is_chosen(0.01):
            result = result.replace(b"1", self.one_of((b"9" * 5000, b"[" * 100_000, b'{"a":' * 100_000)), 1)
        if self.is_chosen(0.02):
            result = self.one_of(_DOCUMENTS)
        return result


def holders_in(value: Any):
    """Every list and every dictionary that is not empty."""
    open_ends = [value]
    while open_ends:
        value = open_ends.pop()
        if isinstance(value, dict | list) and value:
            yield value
            open_ends += list(value.values()) if isinstance(value, dict) else value
