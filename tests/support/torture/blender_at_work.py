"""A Blender at work until it is killed: `python -m support.torture.blender_at_work VERB FOLDER`, in a Python with bpy.

follow     watches the run in FOLDER
import     imports FOLDER's splats again and again
export     exports them again and again, to exported.ply beside the run
"""

import sys
from pathlib import Path

from support import extension as support


def main() -> None:
    name = support.enable_extension()
    import bpy

    verb, folder = sys.argv[1], Path(sys.argv[2])
    module = support.Extension(name).module
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    if verb == "follow":
        live_run = module("splat_addon.scene.tasks.live_run")
        bpy.ops.splat.watch_run(path=str(folder))
        print("at work", flush=True)
        live_run.wait()
        return
    source = max(folder.glob("snapshots/*.ply"))
    bpy.ops.splat.import_ply(filepath=str(source))
    print("at work", flush=True)
    while True:
        if verb == "import":
            bpy.ops.splat.import_run(path=str(folder))
        else:
            bpy.ops.splat.export_ply(filepath=str(folder.parent / "exported.ply"), check_existing=False)


if __name__ == "__main__":
    main()
