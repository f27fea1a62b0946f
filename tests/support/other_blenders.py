"""Files that another Blender makes, or saves again, for tests of what an artist keeps across versions.

    python other_blenders.py make SPLATS.ply FOLDER         import, set up, render and save, as an artist does
    python other_blenders.py save_again FROM.blend TO.blend

in any Blender's Python.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support import extension as support
from support import splat_renders

NAME = "vase"  # of the PLY, and so of its object
SHOWN, NOT_SHOWN = "shown.blend", "not_shown.blend"  # with Show Splats in Viewport on, as by default, and off
NUMBERS, EXPORT, PICTURE = "numbers.npz", "export.ply", "render.exr"  # what the maker itself says they hold


def pythons() -> dict[str, Path]:
    """The Python of each other Blender that is there, by series: as dev.py names them in SPLAT_OTHER_BLENDERS
    ("4.2=/…/python", divided as a search path is), or else those beside the running one."""
    named = os.environ.get("SPLAT_OTHER_BLENDERS")
    if named is not None:
        pairs = (pair.partition("=") for pair in named.split(os.pathsep) if pair)
        return {series: Path(path) for series, _, path in pairs}
    own, python = Path(sys.prefix), "Scripts/python.exe" if os.name == "nt" else "bin/python"
    complete = sorted(path.parent for path in own.parent.glob("blender-*/works"))
    return {folder.name.removeprefix("blender-"): folder / python for folder in complete if folder.name != own.name}


def run(python: Path, verb: str, *paths: Path) -> None:
    """Do what `verb` says in the Blender of `python`; what it printed is in the error when it fails."""
    variables = {key: value for key, value in os.environ.items() if key != "BLENDER_USER_RESOURCES"}
    command = [str(python), __file__, verb, *map(str, paths)]
    done = subprocess.run(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=240)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}:\n{done.stdout.decode(errors='replace')[-3000:]}")


def make(ply: Path, folder: Path) -> None:
    """The files of an artist who imports `ply`, in the open file: SHOWN and NOT_SHOWN, EXPORT, PICTURE, NUMBERS."""
    import bpy

    scene = bpy.context.scene
    splat_renders.use_cycles()
    bpy.ops.splat.import_ply(filepath=str(ply))
    item = bpy.data.objects[NAME]
    splat_renders.add_camera(scene, (3, -3, 2), size=(64, 48))
    bpy.ops.splat.set_up_render(is_exact=True)
    bpy.ops.splat.export_ply(filepath=str(folder / EXPORT))
    splat_renders.render(scene, folder)
    np.savez(folder / NUMBERS, **numbers_of(item))
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / SHOWN))
    bpy.ops.splat.toggle_viewport()
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / NOT_SHOWN))


def numbers_of(item) -> dict[str, np.ndarray]:
    """Every number that the object's data holds, by attribute."""
    values = {}
    for attribute in item.data.attributes:
        if attribute.domain != "POINT" or attribute.name.startswith("."):
            continue
        key = {"FLOAT_COLOR": "color", "FLOAT_VECTOR": "vector", "FLOAT4": "vector"}.get(attribute.data_type, "value")
        size = np.size(getattr(attribute.data[0], key))
        numbers = np.empty(size * len(attribute.data), dtype=np.float32)
        attribute.data.foreach_get(key, numbers)
        values[attribute.name] = numbers
    return values


def main() -> None:
    support.enable_extension()
    import bpy

    verb, *paths = sys.argv[1], *map(Path, sys.argv[2:])
    if verb == "make":
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
        make(*paths)
    else:
        splat_renders.use_cycles()
        bpy.ops.wm.open_mainfile(filepath=str(paths[0]))
        bpy.ops.wm.save_as_mainfile(filepath=str(paths[1]))


if __name__ == "__main__":
    main()
