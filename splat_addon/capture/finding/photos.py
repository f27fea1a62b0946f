"""Where the photos are that a capture lists: in which folder, and which file is whose."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import CaptureError
from ..file_names import inner_path, is_on_network, stays_inside
from ..photos.image_size import read_image_size
from .files import EXACT, OTHER_SUFFIX, RESPELLED, USUAL, Files, Hit, is_auxiliary_file, spelling

_SAMPLE = 200  # names by which folders are compared
_SIZE_SAMPLE = 3  # photos of a folder whose sizes are read
_NEARLY_ALL = 0.8  # of the most photos: a folder with so many is one of those to choose from

Sizes = dict[str, tuple[int, int]]  # width and height of the cameras that have them, by photo


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


def find_named_photos(files: Files, root: Path, names: list[str], sizes: Sizes) -> FoundPhotos:
    """The photos that transforms.json in `root` names from there; below `images` or others where these are not."""
    hits = {name: files.find_named(root, name) for name in names}
    for name, hit in hits.items():
        hits[name] = hit or files.find(root / "images", name)
        if hits[name] is None and not stays_inside(name):  # the whole path of another machine
            hits[name] = files.find_end(root, name)
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
    is_of_models = root.name.lower().startswith("sparse") and not any(files.folder(at).images for at in levels[-1])
    if model_folder == root or is_of_models:  # a model that was chosen by itself, or the folder of models
        for place in root.parents[:3]:
            usual = [below for below in files.subfolders(place) if below.name.lower().startswith(USUAL)]
            levels.append([other for other in usual if other not in seen])
    return levels


def find_photos(files: Files, levels: list[list[Path]], names: list[str], sizes: Sizes, root: Path) -> FoundPhotos:
    """The photos of `names`, which begin in one of the folders, of which those of the first level go first, and among
    these those whose photos have exactly the cameras' sizes. Where none holds nearly all, all folders below `root` are
    looked into, then the names' ends are looked for, and at last photos of those names anywhere."""
    expected = _usual_place(levels, root)
    best = None
    for way in (files.find, files.find_end):
        for far in (False, True):
            places = [*levels, _far(files, levels, root)] if far else levels
            found = _below_one_folder(files, places, names, sizes, way)
            if found is not None and (best is None or len(found.missing) < len(best.missing)):
                best = found
            if best is not None and len(best.missing) <= (1 - _NEARLY_ALL) * len(names):
                return best
    places = [*levels, _far(files, levels, root)]
    scattered = _anywhere(files, places, names, sizes if best else {}, expected)
    return best if best is not None and len(best.missing) <= len(scattered.missing) else scattered


def _usual_place(levels: list[list[Path]], root: Path) -> Path:
    """Where photos are expected that are nowhere."""
    return root if [[root]] == levels else root / USUAL[0]


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
        ends = everywhere.get(spelling(re.split(r"[/\\]", name)[-1]), [])
        if name in sizes:  # small copies must not stand in for what is lost
            ends = [photo for photo in ends if _size_of(photo) is None or _has_size(photo, sizes[name])]
        hits[name] = Hit(tuple(ends), RESPELLED) if ends else None
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
    if sizes and not _size_matches(hits[equals[0]], sizes):  # all of the small copies, where some originals are lost
        near = [place for place in counts if level_of[place] == nearest and _size_matches(hits[place], sizes)]
        equals = sorted(near, key=lambda place: -counts[place]) or equals
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
