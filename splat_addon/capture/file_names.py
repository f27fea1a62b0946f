"""Names that become files: what no file system refuses, all different, also where case does not count."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

# Windows takes these for devices, whatever follows the first dot (the superscript digits count as digits).
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])", re.IGNORECASE)
_DEVICES = ("?", ".", "??")  # what Windows' names of its devices begin with
_REFUSED = re.compile(r'[<>:"|?*\\\x00-\x1f]')


def file_name(name: str) -> str:
    """A file or folder name that every system takes: "Aux" becomes "Aux_", and "what?" becomes "what_"."""
    name = _REFUSED.sub("_", name.replace("/", "_"))
    stem, dot, rest = name.partition(".")
    if _DEVICE.fullmatch(stem.rstrip(" ")):
        name = f"{stem.rstrip(' ')}_{dot}{rest}"
    kept = name.rstrip(". ")
    return kept + "_" * (len(name) - len(kept)) or "_"


def stays_inside(name: str) -> bool:
    """Whether a path that a capture names stays in the folder that it is put below, on every system: no root, drive,
    share or `..`, and no NUL."""
    parts = re.split(r"[/\\]", name)
    return bool(parts[0]) and not re.match(r"[A-Za-z]:", name) and ".." not in parts and "\0" not in name


def inner_path(name: str) -> str:
    """The path that a capture names, or what is left of one that would leave its folder: `/etc/passwd` becomes
    `etc/passwd`."""
    if stays_inside(name):
        return name
    parts = re.split(r"[/\\]", name.replace("\0", ""))
    return "/".join(part for part in parts if part not in ("", ".", "..") and ":" not in part) or "_"


def is_on_network(name: str) -> bool:
    """Whether a path names another machine, or may do so by one of Windows' devices: looking at it sends the name of
    the user there, on Windows."""
    begin = name[:4].replace("\\", "/")
    return begin.startswith("//") or begin == "/??/"


def share_of(name: str) -> str:
    r"""Machine and share of a path that `is_on_network`, in one spelling for all that Windows takes: `\\server\share`,
    `\\?\UNC\server\share` and `\\.\UNC\server\share` are `//server/share`.

    The whole path where it leads out of that by `..`, or is something else than a share, drive (`\\?\C:`) or volume.
    Empty for other paths.
    """
    if not is_on_network(name):
        return ""
    whole = name.replace("\\", "/").lower()
    first, *parts = [part for part in whole.split("/") if part] or [""]
    if ".." in parts:
        return whole
    if first not in _DEVICES:
        return "//" + "/".join([first, *parts[:1]])
    if parts[:1] == ["unc"]:
        return "//" + "/".join(parts[1:3])
    is_disk = bool(parts) and (parts[0][1:] == ":" or parts[0].startswith("volume{"))
    return f"//?/{parts[0]}" if is_disk else whole


def distinct_files(names: Iterable[str]) -> list[str]:
    """A relative path for each name, which may have folders in it ("left/001"): every part is a `file_name`, and no
    two are the same file on any system. Those that come first keep their names."""
    taken: set[str] = set()
    result = []
    for name in names:
        safe = "/".join(map(file_name, name.split("/")))
        number, candidate = 2, safe
        while candidate.lower() in taken:
            number, candidate = number + 1, f"{safe}_{number}"
        taken.add(candidate.lower())
        result.append(candidate)
    return result


def renders_of(folder: Path, views: Iterable[str]) -> dict[str, Path]:
    """The PNG in which each view's render is written, or was: earlier versions used the views' own names."""
    names = list(views)
    renders = {}
    for name, file in zip(names, distinct_files(names), strict=True):
        now, earlier = folder / f"{file}.png", folder / f"{name}.png"
        renders[name] = earlier if now != earlier and not os.path.isfile(now) and os.path.isfile(earlier) else now
    return renders
