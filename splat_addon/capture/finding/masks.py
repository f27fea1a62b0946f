"""Which file masks a photo: the names that programs give masks, and which of them mean the reverse."""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import some_of
from ..remarks import Remark
from .files import Files, shown, spelling

_BESIDE = ("{name}.mask", "{stem}.mask", "{stem}_mask", "{stem}-mask", "mask_{stem}")  # without suffix
_IN_FOLDER = ("{name}", *_BESIDE, "{stem}")
_IS_OF_MASKS = re.compile(r"(^|[^a-z])masks?($|[^a-z])")  # not images_masked, in which the photos are
_REVERSED = "dynamic_mask_{stem}"  # instant-ngp: white is what moves, and does not count


@dataclass(frozen=True)
class FoundMasks:
    """Masks by photo name. Those in `inverted` mean by white what does not count."""

    masks: dict[str, Path] = field(default_factory=dict)
    inverted: set[str] = field(default_factory=set)


def find_masks(files: Files, root: Path, photos: dict[str, Path]) -> tuple[FoundMasks, list[Remark]]:
    """The masks of `photos` (by name) in the capture `root`: beside a photo, or in a folder of masks next to the folder
    of photos, with the same folders below it or without any."""
    masks: dict[str, Path] = {}
    taken = set(photos.values())
    inverted: set[str] = set()
    several: dict[str, list[Path]] = {}
    looked_in: dict[Path, Path] = {}  # a folder of masks, and where the first photo would have one
    stems = Counter(spelling(photo.stem) for photo in photos.values())
    folders: dict[Path, list[tuple[Path, Path]]] = {}
    for name, photo in photos.items():
        if photo.parent not in folders:
            folders[photo.parent] = _mask_folders(files, photo.parent, root)
        for base, inner in folders[photo.parent]:
            looked_in.setdefault(base, base / inner / photo.name)
            found = _fitting(files, base / inner, photo, _IN_FOLDER)
            if not found and inner != Path() and stems[spelling(photo.stem)] == 1:
                found = _fitting(files, base, photo, _IN_FOLDER)
            if found:
                break
        else:
            found = [mask for mask in _fitting(files, photo.parent, photo, _BESIDE) if mask not in taken]
        places = [photo.parent, *(base / inner for base, inner in folders[photo.parent])]
        reversed_masks = [mask for place in places for mask in _fitting(files, place, photo, (_REVERSED,))]
        if not found and reversed_masks:
            inverted.add(name)
        found = [*found, *reversed_masks]
        if found:
            masks[name] = found[0]
        if len(found) > 1:
            several[name] = found
    remarks = _remarks(files, root, masks, looked_in)
    if several:
        name, found = next(iter(several.items()))
        text = (
            f"Photos with several masks: {len(several)}, for example {name}: {shown(found[0], root)} is used, and not"
        )
        text = f"{text} {some_of(shown(mask, root) for mask in found[1:])}."
        remarks.append(Remark(text, "Remove those that are not meant.", is_warning=True))
    return FoundMasks(masks, inverted), remarks


def _mask_folders(files: Files, place: Path, root: Path) -> list[tuple[Path, Path]]:
    """Folders of masks for the photos in `place`, nearest first, and where in them these photos' would lie."""
    inside = place == root or place.is_relative_to(root)
    found = []
    for home in (place, *place.parents)[: None if inside else 2]:
        for name in sorted(files.folder(home).folders, key=_plain_first):
            if _IS_OF_MASKS.search(name.lower()) and name[0] not in ".@":
                inner = Path(*place.relative_to(home).parts[1:])
                found.append((home / name, inner))
        if home == root:
            break
    return [(base, inner) for base, inner in found if base != place and not place.is_relative_to(base)]


def _plain_first(name: str) -> tuple[bool, bool, str]:
    return name.lower() != "masks", name.lower() != "mask", name


def _fitting(files: Files, place: Path, photo: Path, schemes: tuple[str, ...]) -> list[Path]:
    """The masks of a photo in a folder, those of the first scheme first."""
    by_stem = files.folder(place).by_stem
    if not by_stem:
        return []
    stems = (spelling(scheme.format(name=photo.name, stem=photo.stem)) for scheme in schemes)
    return [place / name for stem in dict.fromkeys(stems) for name in by_stem.get(stem, ())]


def _remarks(files: Files, root: Path, masks: dict[str, Path], looked_in: dict[Path, Path]) -> list[Remark]:
    remarks = []
    used = list(masks.values())
    for base, place in looked_in.items():
        if any(mask.is_relative_to(base) for mask in used):
            continue
        pictures = [place / image for place in files.below(base) for image in files.folder(place).images]
        if pictures:
            wanted = place.with_suffix(".png")
            remarks.append(
                Remark(
                    f"{shown(base, root)} holds {len(pictures)} pictures, none of them named like a photo:"
                    f" {shown(pictures[0], root)} is there, {shown(wanted, root)} would be the mask of {place.name}.",
                    f"Name each mask like its photo, for example {wanted.name} or {place.name}.png.",
                    is_warning=True,
                )
            )
    return remarks
