"""Two that look at the same photos one after the other, and one decoding for both."""

from pathlib import Path

from .reading import Decode
from .values import Decoded


class KeptPictures:
    """What `first` has decoded is kept until `second` takes it, at most so many bytes of it."""

    def __init__(self, decode: Decode, budget_bytes: int):
        self._decode = decode
        self._left = budget_bytes
        self._pictures: dict[Path, Decoded] = {}

    def first(self, path: Path) -> Decoded:
        picture = self._decode(path)
        self._left -= picture.pixels.nbytes
        if self._left >= 0:
            self._pictures[path] = picture
        return picture

    def second(self, path: Path) -> Decoded:
        picture = self._pictures.pop(path, None)
        return self._decode(path) if picture is None else picture
