"""The folders of a capture as they are on the disk, and what is in them under another spelling of its name."""

import contextlib
import heapq
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from ..file_names import inner_path, is_on_network, stays_inside

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp")
USUAL = ("images", "photos", "input", "rgb", "undistorted")  # folders of photos
EXACT, RESPELLED, OTHER_SUFFIX = range(3)  # how well a file fits a name

_MOST_BELOW = 256  # folders in one folder that are looked into
_MOST_FOLDERS = 500  # in a whole capture
_DEEPEST = 4
_MOST_PARTS = 16  # of a path, from which its end is looked for
_AUXILIARY = re.compile(
    r"(^|[^a-z])(masks?|depths?|depth_?maps?|normals?|normal_?maps?|segment(s|ed|ations?)?|segs?|semantics?|instances?"
    r"|outside_views|mattes?|dispar\w*|confidences?|labels?|thumb(nail)?s?|stereo|__macosx)($|[^a-z])"
)
_AUXILIARY_FILE = re.compile(r"^(dynamic_)?mask_|[._-](mask|depth|normal|seg)([._-]?\d*)?$")


@dataclass(frozen=True)
class Hit:
    """The files that fit a name equally well, at least one, and how well."""

    files: tuple[Path, ...]
    fit: int


class Folder:
    """What lies in one folder. One that cannot be read is empty, and `problem` says why."""

    def __init__(self, path: str):
        self.files: set[str] = set()
        self.folders: set[str] = set()
        self.problem = ""
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    with contextlib.suppress(OSError):  # links that lead in a circle
                        if entry.is_dir():
                            self.folders.add(entry.name)
                        elif entry.is_file():
                            self.files.add(entry.name)
        except (OSError, ValueError) as error:
            self.problem = getattr(error, "strerror", None) or "no folder can have that name"

    @cached_property
    def images(self) -> list[str]:
        """What is an image by its name, sorted; not what systems hide."""
        return sorted(name for name in self.files if name[0] != "." and _suffix(name) in IMAGE_SUFFIXES)

    @cached_property
    def files_by_spelling(self) -> dict[str, list[str]]:
        """Files by what is left of their names without case and Unicode form."""
        return _by_spelling(self.files)

    @cached_property
    def folders_by_spelling(self) -> dict[str, list[str]]:
        return _by_spelling(self.folders)

    @cached_property
    def by_stem(self) -> dict[str, list[str]]:
        """Images by spelling without suffix, in the order of IMAGE_SUFFIXES."""
        found = defaultdict(list)
        for name in sorted(self.images, key=lambda name: IMAGE_SUFFIXES.index(_suffix(name))):
            found[spelling(os.path.splitext(name)[0])].append(name)
        return found


class Files:
    """The folders of a capture, each read once, when it is first asked for."""

    def __init__(self) -> None:
        self._folders: dict[str, Folder] = {}
        self._subfolders: dict[Path, list[Path]] = {}

    def folder(self, path: Path) -> Folder:
        key = str(path)
        if key not in self._folders:
            self._folders[key] = Folder(key)
        return self._folders[key]

    @property
    def read(self) -> list[str]:
        """Which folders were read so far."""
        return list(self._folders)

    def has(self, path: Path) -> bool:
        """Whether there is a file of exactly this name."""
        return path.name in self.folder(path.parent).files

    def subfolders(self, path: Path) -> list[Path]:
        """Those that may hold photos, the usual ones first; not those of masks, depths or a system."""
        if path not in self._subfolders:
            names = self.folder(path).folders
            if len(names) > _MOST_BELOW:
                usual = {name for name in names if name.lower().startswith(USUAL)}
                names = usual | set(heapq.nsmallest(_MOST_BELOW, names))
            names = {name for name in names if name[0] not in ".@" and not is_auxiliary(name)}
            self._subfolders[path] = [path / name for name in sorted(names, key=_usual_first)[:_MOST_BELOW]]
        return self._subfolders[path]

    def below(self, path: Path, deepest: int = _DEEPEST) -> Iterator[Path]:
        """`path` and what lies below it, nearest first, as far as a capture reaches."""
        level, count = [path], 0
        for _ in range(deepest + 1):
            for place in level:
                yield place
                count += 1
                if count >= _MOST_FOLDERS:
                    return
            level = [below for place in level for below in self.subfolders(place)]

    def find(self, folder: Path, name: str) -> Hit | None:
        """The image that is called `name` (a relative path) in `folder`, by its best fit."""
        best = None
        for written in dict.fromkeys((name, name.replace("\\", "/"), unquote(name).replace("\\", "/"))):
            hit = self._find(folder, [part for part in written.split("/") if part not in ("", ".")])
            if hit is not None and (best is None or hit.fit < best.fit):
                best = hit
        return best

    def find_named(self, folder: Path, name: str) -> Hit | None:
        """The same for a name that may leave the folder, as those in transforms.json may. Never on another machine."""
        if is_on_network(name):
            return self.find(folder, inner_path(name))
        if stays_inside(name):
            return self.find(folder, name)
        if os.path.isfile(folder / name):
            return Hit((folder / name,), EXACT)
        rest = name.replace("\\", "/")
        while rest.startswith("../"):
            folder, rest = folder / "..", rest[3:]
        return self.find(folder, rest) if stays_inside(rest) and rest != name else None

    def find_end(self, folder: Path, name: str) -> Hit | None:
        """The image that is called like the end of `name`, the longest that there is."""
        parts = inner_path(name.replace("\\", "/")).split("/")
        for start in range(1, min(len(parts), _MOST_PARTS)):
            hit = self.find(folder, "/".join(parts[start:]))
            if hit is not None:
                return Hit(hit.files, max(hit.fit, RESPELLED))
        return None

    def _find(self, folder: Path, parts: list[str]) -> Hit | None:
        if not parts:
            return None
        places, fit = [folder], EXACT
        for part in parts[:-1]:
            deeper = [place / part for place in places if part in self.folder(place).folders]
            if not deeper:
                fit = RESPELLED
                deeper = [
                    place / name
                    for place in places
                    for name in self.folder(place).folders_by_spelling.get(spelling(part), ())
                ]
            if not deeper:
                return None
            places = deeper
        last = parts[-1]
        exact = [place / last for place in places if last in self.folder(place).files]
        if exact:
            return Hit(tuple(exact), fit)
        respelled = [
            place / name for place in places for name in self.folder(place).files_by_spelling.get(spelling(last), ())
        ]
        if respelled:
            return Hit(tuple(respelled), RESPELLED)
        if _suffix(last) not in IMAGE_SUFFIXES:  # some programs leave it out
            whole = [place / name for place in places for name in self.folder(place).by_stem.get(spelling(last), ())]
            if whole or not _suffix(last)[1:].isalpha():
                return Hit(tuple(whole), fit) if whole else None
        stem = spelling(os.path.splitext(last)[0])
        others = [place / name for place in places for name in self.folder(place).by_stem.get(stem, ())]
        return Hit(tuple(others), OTHER_SUFFIX) if others else None


def spelling(name: str) -> str:
    """What two spellings of one name have in common: neither case nor Unicode form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _by_spelling(names: Iterable[str]) -> dict[str, list[str]]:
    found = defaultdict(list)
    for name in sorted(names):
        found[spelling(name)].append(name)
    return found


def is_auxiliary(folder_name: str) -> bool:
    """Whether a folder is one of masks, depths, normals, segments, thumbnails or views off the path by its name."""
    return _AUXILIARY.search(folder_name.lower()) is not None


def is_auxiliary_file(name: str) -> bool:
    """Whether an image beside photos is a mask, a depth or a normal map by its name."""
    return _AUXILIARY_FILE.search(os.path.splitext(name)[0].lower()) is not None


def shown(path: Path, root: Path) -> str:
    """A path for a sentence: from the capture's folder, if it lies there, with forward slashes. Bytes that are not
    text on this disk become question marks."""
    text = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
    return text.encode("utf-8", "replace").decode("utf-8")


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _usual_first(name: str) -> tuple[int, str]:
    lower = name.lower()
    rank = USUAL.index(lower) if lower in USUAL else len(USUAL) + (not lower.startswith(USUAL))
    return rank, name
