"""What a folder without cameras holds that people take for a capture, and which export of its program is one."""

import os
from pathlib import Path

from ...files import open_regular
from ..finding.files import Files, shown
from ..remarks import Remark

_VIDEOS = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".insv", ".360")
_EXPORTS = {  # by suffix: what the file is, and what to do
    ".psx": (
        "a Metashape project",
        "In Metashape, choose File > Export > Export Cameras, and as format COLMAP, with undistorted photos.",
    ),
    ".psz": (
        "a Metashape project",
        "In Metashape, choose File > Export > Export Cameras, and as format COLMAP, with undistorted photos.",
    ),
    ".rsproj": ("a RealityScan project", "In RealityScan, choose Export > Registration > COLMAP, with the images."),
    ".rcproj": ("a RealityCapture project", "In RealityScan, choose Export > Registration > COLMAP, with the images."),
    ".sfm": (
        "cameras of Meshroom",
        "In Meshroom, add the node ExportColmap, compute it, and open its output with the undistorted photos.",
    ),
    ".mg": ("a Meshroom project", "In Meshroom, add the node ExportColmap, compute it, and open its output."),
    ".r3d": (
        "a Record3D recording",
        "In Record3D, export it as EXR + RGB, then run nerfstudio's 'ns-process-data record3d' and open its output.",
    ),
    ".nvm": ("a VisualSFM model", "Open it in COLMAP and export it as a COLMAP model, with the photos beside it."),
    ".out": ("a Bundler model", "Open it in COLMAP and export it as a COLMAP model, with the photos beside it."),
    ".psht": (
        "a Postshot project",
        "In Postshot, the photos' cameras come from COLMAP or transforms.json: open those.",
    ),
    ".db": ("a COLMAP database without its model", "Run the reconstruction in COLMAP and export its model."),
    ".zip": ("an archive", "Unpack it, and choose the folder that holds transforms.json or sparse/."),
}


def what_it_is(folder: Path, files: Files) -> Remark | None:
    """A sentence about a folder that is not a capture, and which export is one; None where nothing is known about it.
    Project files go before photos, since they lie beside these."""
    places = [place for _, place in zip(range(64), files.below(folder), strict=False)]
    for place in places:
        names = files.folder(place).files
        if names & {"transforms.json", "transforms_train.json"}:
            return Remark(f"{folder} holds no cameras itself, but {shown(place, folder)}/ does.", "Choose that folder.")
        special = _polycam(files, place) or _by_content(place, names)
        if special is not None:
            return special
    for place in places:
        for name in sorted(files.folder(place).files):
            suffix = os.path.splitext(name)[1].lower()
            if suffix in _EXPORTS and name[0] != "." and not name.lower().endswith("thumbs.db"):
                kind, remedy = _EXPORTS[suffix]
                return Remark(f"{place / name} is {kind}, of which the cameras cannot be read.", remedy)
    videos = [place / n for place in places for n in sorted(files.folder(place).files) if _suffix(n) in _VIDEOS]
    photos = [place / name for place in places for name in files.folder(place).images]
    if photos:
        text = f"{folder} holds {len(photos)} photos, such as {photos[0].name}, but no cameras."
        return Remark(
            text, "Reconstruct the cameras first, for example with COLMAP, and choose the folder with sparse/."
        )
    if videos:
        text = f"{videos[0]} is a video, which has no cameras."
        return Remark(text, "Take photos from it and reconstruct their cameras first, for example with COLMAP.")
    return None


def _polycam(files: Files, place: Path) -> Remark | None:
    keyframes = place / "keyframes"
    if not any(files.folder(keyframes / name).files for name in ("cameras", "corrected_cameras")):
        return None
    return Remark(
        f"{keyframes} holds raw data of Polycam, not a capture.",
        "Run nerfstudio's 'ns-process-data polycam' on it, and open its output.",
    )


def _by_content(place: Path, names: set[str]) -> Remark | None:
    for name in sorted(names):
        suffix = _suffix(name)
        if suffix not in (".xml", ".csv", ".json") or name[0] == ".":
            continue
        head = _head(place / name)
        if suffix == ".xml" and b"<document" in head and b"<chunk" in head:
            return Remark(f"{place / name} holds cameras as Metashape's XML, which is not read.", _EXPORTS[".psx"][1])
        if suffix == ".csv" and head.lstrip(b"\xef\xbb\xbf").startswith(b"#name"):
            remedy = _EXPORTS[".rcproj"][1]
            return Remark(f"{place / name} is RealityScan's list of cameras, which is not read.", remedy)
        if name == "metadata" or (suffix == ".json" and b'"perFrameIntrinsicCoeffs"' in head):
            return Remark(f"{place / name} belongs to a Record3D recording.", _EXPORTS[".r3d"][1])
    return None


def _head(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            return file.read(4096)
    except OSError:
        return b""


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()
