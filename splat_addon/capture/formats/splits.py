"""Which photos are held out, where a file beside the capture says so: INRIA's test.txt, lists of others, split.json.

Lists name photos in their own way, so they are compared as files: by the end of the path, without case, Unicode form
and, where that is enough, suffix.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from ...errors import some_of
from ...files import open_regular
from ..finding.files import IMAGE_SUFFIXES, Files, shown, spelling
from ..remarks import Remark
from .json_values import read_json, texts

_SPLITS = ("split.json", "splits.json", "train_test_split.json", "dataset_split.json")
_TESTS = ("test.txt", "test_list.txt", "test_images.txt", "val.txt", "val_list.txt")
_TRAININGS = ("train.txt", "train_list.txt", "train_images.txt")
_TEST_KEYS = ("test", "val", "eval", "test_filenames", "val_filenames", "test_ids", "val_ids")
_TRAINING_KEYS = ("train", "train_filenames", "train_ids")
_MOST_BYTES = 1 << 24


class PhotoNames:
    """The listed photos, to be recognized in lists that call them otherwise."""

    def __init__(self, photos: dict[str, Path]):
        self._names: dict[str, set[str]] = defaultdict(set)
        for name, photo in photos.items():
            for written in (name, photo.as_posix()):
                parts = _parts(written)
                for start in range(max(0, len(parts) - 4), len(parts)):
                    end = "/".join(parts[start:])
                    self._names[end].add(name)
                    self._names[_without_suffix(end)].add(name)
        self._listed = set(photos)

    def recognize(self, written: str) -> str | None:
        """The photo that a list calls `written`; None where there is none, or several."""
        if written in self._listed:
            return written
        parts = _parts(written)
        for start in range(len(parts)):
            end = "/".join(parts[start:])
            for key in (end, _without_suffix(end)):
                if len(found := self._names.get(key, ())) == 1:
                    return next(iter(found))
        return None

    def recognize_all(self, listed: Iterable[str], source: str) -> tuple[set[str], list[Remark]]:
        """Those of a list, and a warning of the names that no photo has."""
        found, unknown = set(), []
        for written in dict.fromkeys(listed):
            name = self.recognize(written)
            found.add(name) if name is not None else unknown.append(written)
        if not unknown:
            return found, []
        text = f"{source} names {len(unknown)} photos that the capture does not list: {some_of(unknown)}."
        return found, [Remark(text, "Name them as the capture does, or remove them there.", is_warning=True)]


def file_key(written: str) -> str:
    """The same for two names of one file in one folder, with and without its suffix."""
    return _without_suffix("/".join(_parts(written)))


def split_of_lists(document: dict, photos: dict[str, Path], source: str) -> tuple[set[str] | None, list[Remark]] | None:
    """What `val_filenames` and `test_filenames` in a transforms.json hold out; else what `train_filenames` leaves. None
    where there are no such lists. Raises ValueError, naming the key."""
    tests = [*texts(document, "val_filenames"), *texts(document, "test_filenames")]
    trainings = texts(document, "train_filenames")
    known = PhotoNames(photos)
    if "val_filenames" in document or "test_filenames" in document:
        chosen, remarks = known.recognize_all(tests, source)
        return (None if tests and not chosen else chosen), remarks
    if not trainings:
        return None
    chosen, remarks = known.recognize_all(trainings, source)
    return (set(photos) - chosen if chosen else None), remarks


def split_of_test_frames(
    tests: list[str], photos: dict[str, Path], source: str
) -> tuple[set[str] | None, list[Remark]]:
    """What a file of test frames holds out of photos that another file lists."""
    chosen, remarks = PhotoNames(photos).recognize_all(tests, source)
    if 0 < len(chosen) < len(photos):
        return chosen, [*remarks, Remark(f"{len(chosen)} of {len(photos)} photos are held out, as {source} says.")]
    text = f"{source} is not used: it lists {'all' if chosen else 'none'} of the photos."
    return None, [Remark(text, "List there what is not to be trained on.", is_warning=True)]


def read_split(
    files: Files, root: Path, places: list[Path], photos: dict[str, Path]
) -> tuple[set[str] | None, list[Remark]]:
    """The held-out photos by the first list in `places` that says it, None where none does."""
    known, remarks = PhotoNames(photos), []
    for place in dict.fromkeys(places):
        for kinds in (_SPLITS, _TESTS, _TRAININGS):
            for name in kinds:
                path = place / name
                if not files.has(path):
                    continue
                held_out, training = _read(path, kinds)
                source = shown(path, root)
                listed = training if held_out is None else held_out
                if listed is None:
                    remarks.append(Remark(f"{source} is not read: it is not a list of photos."))
                    continue
                chosen, unknown = known.recognize_all(listed, source)
                if not chosen:
                    example = f" ({some_of(listed, 1)})" if listed else ""
                    text = f"{source} is not used: it names no photo of the capture{example}."
                    remarks.append(Remark(text, "Name photos there as the capture does.", is_warning=bool(example)))
                    continue
                chosen = chosen if held_out is not None else set(photos) - chosen
                remarks += unknown
                remarks.append(Remark(f"{len(chosen)} of {len(photos)} photos are held out, as {source} says."))
                return chosen, remarks
    return None, remarks


def _read(path: Path, kinds: tuple[str, ...]) -> tuple[list[str] | None, list[str] | None]:
    """What a file lists to be held out, and what to train on; None for what it does not say."""
    try:
        if kinds is not _SPLITS:
            lines = _lines(path)
            return (lines, None) if kinds is _TESTS else (None, lines)
        document = read_json(path)
        if not isinstance(document, dict):
            return None, None
        tests = [name for key in _TEST_KEYS for name in texts(document, key)]
        trainings = [name for key in _TRAINING_KEYS for name in texts(document, key)]
    except (OSError, ValueError):
        return None, None
    says_test = any(document.get(key) is not None for key in _TEST_KEYS)
    return (tests if says_test else None), (trainings or None)


def _lines(path: Path) -> list[str]:
    with open_regular(path) as file:
        content = file.read(_MOST_BYTES).decode("utf-8-sig")
    lines = (line.strip().strip("\"'") for line in content.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _parts(written: str) -> list[str]:
    return [spelling(part) for part in re.split(r"[/\\]", written) if part not in ("", ".", "..")]


def _without_suffix(name: str) -> str:
    stem, suffix = os.path.splitext(name)
    return stem if suffix in IMAGE_SUFFIXES else name
