"""What opening a capture decided by itself, and what it warns of: sentences for the artist."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Remark:
    """One sentence about a capture: what was decided and why, or, as a warning, what is wrong with it. `remedy` is what
    the artist can do about it, another sentence."""

    text: str
    remedy: str = ""
    is_warning: bool = False

    @property
    def told(self) -> str:
        """Both sentences."""
        return f"{self.text} {self.remedy}".rstrip()
