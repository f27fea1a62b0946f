"""Numbers as people read them: counts, sizes, times and processors, the same wherever they are shown."""

import math

_GAP = "\u00a0"  # between groups of digits, and before units: lines do not break there
_PROCESSORS = {"cpu": "CPU", "cuda": "CUDA"}


def counted(count: int) -> str:
    """All digits, in groups of three: "1 250 000"."""
    return f"{count:,}".replace(",", _GAP)


def rounded(count: int) -> str:
    """A count with two digits that matter: "1 200 000"."""
    if count < 100:
        return str(count)
    step = 10 ** (len(str(count)) - 2)
    return counted(round(count / step) * step)


def ordinal(number: int) -> str:
    """As "1st", "8th" or "22nd"."""
    is_teen = number % 100 in (11, 12, 13)
    return f"{number}{'th' if is_teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def in_bytes(count: float) -> str:
    """In MB below one GB, in GB above."""
    if count < 1e9:
        return f"{max(1, round(count / 1e6))}{_GAP}MB"
    return f"{count / 1e9:.1f}{_GAP}GB" if count < 1e10 else f"{count / 1e9:.0f}{_GAP}GB"


def in_time(seconds: float) -> str:
    """In the units that people use for so long a time; empty when it is not known."""
    if not math.isfinite(seconds):
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def processor(backend: str) -> str:
    """What a trainer's backend is called: "CPU", "CUDA"; unknown ones as they call themselves."""
    return _PROCESSORS.get(backend, backend)
