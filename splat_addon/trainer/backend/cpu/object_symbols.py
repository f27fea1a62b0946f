"""The names in object code: what it defines, and what it asks of its surroundings.

ELF (Linux, and Windows, where LLVM's run-time loader takes nothing else safely) and Mach-O (macOS), both of 64 bits.
As COFF the loader resolves what it does not find to address 0 without a word; it is rejected here.
"""

import struct
from typing import NamedTuple

_ELF_SYMBOL_TABLE, _ELF_WEAK = 2, 2
_MACH_SYMBOL_TABLE, _MACH_DEBUG, _MACH_KIND, _MACH_WEAK = 2, 0xE0, 0x0E, 0x80


class Symbol(NamedTuple):
    """A name as the object file spells it: Mach-O puts an underscore before C's names."""

    name: str
    is_defined: bool
    is_weak: bool  # another object's definition may take its place


def symbols(code: bytes) -> list[Symbol]:
    """All names in an object file. Raises ValueError for what is neither ELF nor Mach-O."""
    if code[:6] == b"\x7fELF\x02\x01":
        return _symbols_of_elf(code)
    if code[:4] == b"\xcf\xfa\xed\xfe":
        return _symbols_of_mach_o(code)
    raise ValueError("this object code is neither ELF nor Mach-O")


def outside_symbols(code: bytes) -> set[str]:
    """What object code asks of its surroundings."""
    return {symbol.name for symbol in symbols(code) if not symbol.is_defined}


def _symbols_of_elf(code: bytes) -> list[Symbol]:
    (table_at,) = struct.unpack_from("<Q", code, 0x28)
    size, count = struct.unpack_from("<HH", code, 0x3A)
    # type, offset, length and linked section of each section
    sections = [struct.unpack_from("<4xI16xQQI", code, table_at + size * index) for index in range(count)]
    found = []
    for kind, offset, length, link in sections:
        if kind != _ELF_SYMBOL_TABLE:
            continue
        names_at = sections[link][1]
        for name_at, info, section in struct.iter_unpack("<IBxH16x", code[offset : offset + length]):
            if name_at:  # sections have symbols without names
                name = _text_at(code, names_at + name_at)
                found.append(Symbol(name, section != 0, info >> 4 == _ELF_WEAK))
    return found


def _symbols_of_mach_o(code: bytes) -> list[Symbol]:
    (command_count,) = struct.unpack_from("<I", code, 16)
    at, found = 32, []
    for _ in range(command_count):
        command, size = struct.unpack_from("<II", code, at)
        if command == _MACH_SYMBOL_TABLE:
            offset, count, names_at = struct.unpack_from("<III", code, at + 8)
            for name_at, kind, flags, value in struct.iter_unpack("<IBxHQ", code[offset : offset + 16 * count]):
                if not kind & _MACH_DEBUG:
                    is_defined = bool(kind & _MACH_KIND or value)  # undefined with a value: common
                    found.append(Symbol(_text_at(code, names_at + name_at), is_defined, bool(flags & _MACH_WEAK)))
        at += size
    return found


def _text_at(code: bytes, start: int) -> str:
    return code[start : code.index(b"\0", start)].decode()
