"""One finder of a capture's files: what is listed under a name, and lies on this disk under another.

Names travel between systems and programs, and change on the way: case, separators, Unicode form, suffix, folders. So a
name is looked for as it is written, then in another spelling, then with another suffix. Folders are read once each, and
no more of them than a capture has. What fits several files equally is not guessed at.
"""

import contextlib
import heapq
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from ..errors import CaptureError
from .file_names import inner_path, is_on_network, stays_inside
from .photos.image_size import read_image_size

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp")
EXACT, RESPELLED, OTHER_SUFFIX = range(3)  # how well a file fits a name

_MOST_BELOW = 256  # folders in one folder that are looked into
_MOST_FOLDERS = 500  # in a whole capture
_DEEPEST = 4
_MOST_PARTS = 16  # of a path, from which its end is looked for
_SAMPLE = 200  # names by which folders are compared
_SIZE_SAMPLE = 3  # photos of a folder whose sizes are read
_NEARLY_ALL = 0.8  # of the most photos: a folder with so many is one of those to choose from
_USUAL = ("images", "photos", "input", "rgb", "undistorted")
_AUXILIARY = re.compile(
    r"(^|[^a-z])(masks?|depths?|depth_?maps?|normals?|normal_?maps?|segment(s|ed|ations?)?|segs?|semantics?|instances?"
    r"|mattes?|dispar\w*|confidences?|labels?|thumb(nail)?s?|stereo|__macosx)($|[^a-z])"
)
_AUXILIARY_FILE = re.compile(r"^(dynamic_)?mask_|[._-](mask|depth|normal|seg)([._-]?\d*)?$")

Sizes = dict[str, tuple[int, int]]  # width and height of the cameras that have them, by photo


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
                usual = {name for name in names if name.lower().startswith(_USUAL)}
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


@dataclass(frozen=True)
class FoundPhotos:
    """Where photos are, by the name they are listed under; those that are missing, where they were expected.

    `ambiguous` has the files of names that fit several; these count as missing, but for names without a suffix.
    `folder` is where the names begin, and `rivals` are other folders that hold photos of these names, too.
    """

    paths: dict[str, Path]
    missing: set[str]
    ambiguous: dict[str, tuple[Path, ...]]
    respelled: dict[str, Path]
    folder: Path
    rivals: tuple[Path, ...] = ()
    shared: dict[str, Path] = field(default_factory=dict)  # names of photos that another name has already


def spelling(name: str) -> str:
    """What two spellings of one name have in common: neither case nor Unicode form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _by_spelling(names: Iterable[str]) -> dict[str, list[str]]:
    found = defaultdict(list)
    for name in sorted(names):
        found[spelling(name)].append(name)
    return found


def is_auxiliary(folder_name: str) -> bool:
    """Whether a folder is one of masks, depths, normals, segments or thumbnails by its name."""
    return _AUXILIARY.search(folder_name.lower()) is not None


def is_auxiliary_file(name: str) -> bool:
    """Whether an image beside photos is a mask, a depth or a normal map by its name."""
    return _AUXILIARY_FILE.search(os.path.splitext(name)[0].lower()) is not None


def find_named_photos(files: Files, root: Path, names: list[str], sizes: Sizes) -> FoundPhotos:
    """The photos that transforms.json in `root` names from there; below `images` or others where these are not."""
    hits = {name: files.find_named(root, name) for name in names}
    for name, hit in hits.items():
        hits[name] = hit or files.find(root / "images", name)
    if any(hits.values()):
        return _found(hits, root, lambda name: root / (inner_path(name) if is_on_network(name) else name), sizes)
    found = find_photos(files, [[*files.subfolders(root), root]], names, sizes, root)
    if len(found.missing) == len(names):
        return _found(hits, root, lambda name: root / (inner_path(name) if is_on_network(name) else name), sizes)
    return found


def photo_places(files: Files, model_folder: Path, root: Path) -> list[list[Path]]:
    """The folders that may hold the photos of a COLMAP model in a capture: its siblings first, then farther away."""
    levels, seen = [], set()
    parents = [place for place in (model_folder, *model_folder.parents) if place.is_relative_to(root)] or [root]
    for place in parents:
        levels.append([other for other in (*files.subfolders(place), place) if other not in seen])
        seen.update(levels[-1])
    if model_folder == root:  # a model that was chosen by itself
        for place in root.parents[:3]:
            usual = [below for below in files.subfolders(place) if below.name.lower().startswith(_USUAL)]
            levels.append([other for other in usual if other not in seen])
    return levels


def find_photos(files: Files, levels: list[list[Path]], names: list[str], sizes: Sizes, root: Path) -> FoundPhotos:
    """The photos of `names`, which begin in one of the folders, of which those of the first level go first, and among
    these those whose photos have exactly the cameras' sizes. Where none holds nearly all, all folders below `root` are
    looked into, then the names' ends are looked for, and at last photos of those names anywhere."""
    tries = (
        lambda: _below_one_folder(files, levels, names, sizes, files.find),
        lambda: _below_one_folder(files, [*levels, _far(files, levels, root)], names, sizes, files.find),
        lambda: _below_one_folder(files, levels, names, sizes, files.find_end),
        lambda: _below_one_folder(files, [*levels, _far(files, levels, root)], names, sizes, files.find_end),
        lambda: _anywhere(files, [*levels, _far(files, levels, root)], names, sizes, _usual_place(levels, root)),
    )
    best = None
    for attempt in tries:
        found = attempt()
        if found is not None and (best is None or len(found.missing) < len(best.missing)):
            best = found
        if best is not None and len(best.missing) <= (1 - _NEARLY_ALL) * len(names):
            return best
    expected = _usual_place(levels, root)
    return best or _found(dict.fromkeys(names), expected, _expected_in(expected), sizes)


def _usual_place(levels: list[list[Path]], root: Path) -> Path:
    """Where photos are expected that are nowhere."""
    return root if [[root]] == levels else root / _USUAL[0]


def _far(files: Files, levels: list[list[Path]], root: Path) -> list[Path]:
    near = {place for level in levels for place in level}
    return [place for place in files.below(root) if place not in near]


def _below_one_folder(
    files: Files, levels: list[list[Path]], names: list[str], sizes: Sizes, way: Callable[[Path, str], Hit | None]
) -> FoundPhotos | None:
    folder, rivals = _best_folder(files, levels, names, sizes, way)
    if folder is None:
        return None
    hits = {name: way(folder, name if stays_inside(name) else inner_path(name)) for name in names}
    return _found(hits, folder, _expected_in(folder), sizes, rivals)


def _anywhere(files: Files, levels: list[list[Path]], names: list[str], sizes: Sizes, expected: Path) -> FoundPhotos:
    everywhere = defaultdict(list)
    for place in dict.fromkeys(place for level in levels for place in level):
        for image in files.folder(place).images:
            everywhere[spelling(image)].append(place / image)
    hits = {}
    for name in names:
        ends = tuple(everywhere.get(spelling(re.split(r"[/\\]", name)[-1]), ()))
        hits[name] = Hit(ends, RESPELLED) if ends else None
    return _found(hits, expected, _expected_in(expected), sizes)


def _expected_in(folder: Path) -> Callable[[str], Path]:
    return lambda name: folder / inner_path(name)


def _best_folder(
    files: Files, levels: list[list[Path]], names: list[str], sizes: Sizes, way: Callable[[Path, str], Hit | None]
) -> tuple[Path | None, tuple[Path, ...]]:
    sample = names[:: max(1, len(names) // _SAMPLE)]
    counts: dict[Path, int] = {}
    hits: dict[Path, dict[str, Hit]] = {}
    level_of: dict[Path, int] = {}
    for number, level in enumerate(levels):
        for place in level:
            if not files.folder(place).images and not files.folder(place).folders:
                continue
            found = {name: way(place, name if stays_inside(name) else inner_path(name)) for name in sample}
            hits[place] = {name: hit for name, hit in found.items() if hit is not None}
            counts[place] = 2 * len(hits[place]) - sum(hit.fit == OTHER_SUFFIX for hit in hits[place].values())
            level_of.setdefault(place, number)
    most = max(counts.values(), default=0)
    if most == 0:
        return None, ()
    able = [place for place in counts if counts[place] >= _NEARLY_ALL * most]
    nearest = min(level_of[place] for place in able)
    equals = [place for place in able if level_of[place] == nearest]
    if len(equals) > 1:
        equals.sort(key=lambda place: (-_size_matches(hits[place], sizes), -counts[place]))
    return equals[0], tuple(place for place in able if place != equals[0])


def _size_matches(hits: dict[str, Hit], sizes: Sizes) -> int:
    known = [name for name in hits if name in sizes]
    return sum(_has_size(hits[name].files[0], sizes[name]) for name in known[:: max(1, len(known) // _SIZE_SAMPLE)])


def _has_size(photo: Path, size: tuple[int, int]) -> bool:
    return _size_of(photo) in (size, size[::-1])  # turned by its Exif record


def _size_of(photo: Path) -> tuple[int, int] | None:
    try:
        return read_image_size(photo)
    except CaptureError:
        return None


def _found(
    hits: dict[str, Hit | None],
    folder: Path,
    expected: Callable[[str], Path],
    sizes: Sizes,
    rivals: tuple[Path, ...] = (),
) -> FoundPhotos:
    """What is made of the hits: a photo belongs to one name, and the one that is written the same goes first."""
    paths, missing, ambiguous, respelled, shared = {}, set(), {}, {}, {}
    owners: dict[Path, str] = {}
    for name, hit in hits.items():
        if hit is None:
            continue
        fitting = hit.files
        if len(fitting) > 1 and name in sizes:
            fitting = tuple(file for file in fitting if _has_size(file, sizes[name])) or fitting
        if len(fitting) > 1:
            ambiguous[name] = fitting
            if hit.fit != EXACT:
                continue
        if hit.fit == EXACT and fitting[0] in owners:
            shared[name] = fitting[0]
            continue
        if hit.fit == EXACT:
            owners[fitting[0]] = name
        paths[name] = fitting[0]
    claims = Counter(paths.values())
    for name in list(paths):
        photo, fit = paths[name], hits[name].fit  # type: ignore[union-attr] # those without a hit have no path
        if fit != EXACT and (photo in owners or claims[photo] > 1):
            if photo not in owners:
                ambiguous[name] = (photo,)
            del paths[name]
        elif fit != EXACT:
            respelled[name] = photo
    for name in hits:
        if name not in paths:
            missing.add(name)
            paths[name] = shared.get(name) or expected(name)
    return FoundPhotos({name: paths[name] for name in hits}, missing, ambiguous, respelled, folder, rivals, shared)


def shown(path: Path, root: Path) -> str:
    """A path for a sentence: from the capture's folder, if it lies there, with forward slashes. Bytes that are not
    text on this disk become question marks."""
    text = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
    return text.encode("utf-8", "replace").decode("utf-8")


def images_without_name(files: Files, taken: Iterable[Path]) -> list[Path]:
    """Photos in the folders of the `taken` ones that are none of these: neither are masks or other suffixes of one."""
    taken = set(taken)
    stems = {(photo.parent, spelling(photo.stem)) for photo in taken}
    return [
        place / image
        for place in sorted({photo.parent for photo in taken})
        for image in files.folder(place).images
        if (place, spelling(os.path.splitext(image)[0])) not in stems and not is_auxiliary_file(image)
    ]


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _usual_first(name: str) -> tuple[int, str]:
    lower = name.lower()
    rank = _USUAL.index(lower) if lower in _USUAL else len(_USUAL) + (not lower.startswith(_USUAL))
    return rank, name
