"""Save a .blend with splats and a camera: `python save_splats.py CLOUD.npz FILE.blend`, in any Blender's Python."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support import extension as support
from support import splat_renders


def main() -> None:
    extension = support.Extension(support.enable_extension())
    import bpy
    import numpy as np

    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    splat_renders.use_cycles()
    values = np.load(sys.argv[1])
    cloud = extension.module("splat_addon.gaussians.cloud").GaussianCloud(**{name: values[name] for name in values})
    scene = bpy.context.scene
    item = extension.module("splat_addon.scene.splats").splats_to_object(cloud, "Splats", scene.collection)
    extension.module("splat_addon.scene.appearance").show_splats(item, scene)
    splat_renders.add_camera(scene, (3, -3, 2))
    bpy.ops.wm.save_as_mainfile(filepath=sys.argv[2])


if __name__ == "__main__":
    main()
