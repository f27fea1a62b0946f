"""Save a .blend with splats and a camera: `python save_splats.py CLOUD.npz FILE.blend`, in any Blender's Python."""

import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support import extension as support
from support import other_blenders, splat_renders


def save_in_oldest_blender(cloud, folder: Path) -> Path | None:
    """A .blend that Blender 4.2 saved with the splats of `cloud` and a camera; None where that is not there."""
    import numpy as np

    oldest = other_blenders.pythons().get("4.2")
    if oldest is None:
        return None
    names = ("means", "log_scales", "quaternions", "logit_opacities", "sh")
    np.savez(folder / "cloud.npz", **{name: getattr(cloud, name) for name in names})
    environment = {key: value for key, value in os.environ.items() if key != "BLENDER_USER_RESOURCES"}
    command = [oldest, Path(__file__), folder / "cloud.npz", folder / "old.blend"]
    subprocess.run(command, check=True, env=environment)
    return folder / "old.blend"


def main() -> None:
    extension = support.Extension(support.enable_extension())
    import bpy
    import numpy as np

    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    splat_renders.use_cycles()
    values = np.load(sys.argv[1])
    cloud = extension.module("splat_addon.gaussians.cloud").GaussianCloud(**{name: values[name] for name in values})
    scene = bpy.context.scene
    item = extension.module("splat_addon.scene.splats.data").splats_to_object(cloud, "Splats", scene.collection)
    extension.module("splat_addon.scene.splats.appearance").show_splats(item, scene)
    extension.module("splat_addon.scene.splats.box_modifier").hand_over(scene)
    splat_renders.add_camera(scene, (3, -3, 2))
    bpy.ops.wm.save_as_mainfile(filepath=sys.argv[2])


if __name__ == "__main__":
    main()
