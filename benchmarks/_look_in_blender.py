"""Splats as one Blender shows them through given cameras, against given pictures: the inner half of `look`.

    python _look_in_blender.py SPLATS.ply SEEN.npz

It answers with a list of {"shown_by", "view", "psnr_db", "splats", "blender"}.
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import _blenders

from support import extension as support

DEFAULT_SAMPLES = 16
NATIVE_SAMPLES = 256


def main() -> int:
    extension = support.Extension(support.enable_extension())
    import bpy
    import numpy as np

    from support import ewa, splat_renders

    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    splat_renders.use_cycles()
    scene = bpy.context.scene
    appearance, cameras = (
        extension.module(f"splat_addon.scene.{name}") for name in ("splats.appearance", "cameras.conversion")
    )
    camera_type = extension.module("splat_addon.capture.camera").Camera
    bpy.ops.splat.import_ply(filepath=sys.argv[1])
    (item,) = appearance.splat_objects(scene)
    scene.splat.look = str(item[extension.module("splat_addon.scene.splats.data").BLEND_SPACE_KEY]).upper()
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(scene.camera)
    has_graphics = _start_graphics()
    seen = np.load(sys.argv[2])
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for name, image, lens, pose in zip(seen["names"], seen["images"], seen["lenses"], seen["poses"], strict=True):
            camera = camera_type(int(lens[0]), int(lens[1]), *map(float, lens[2:]), pose)
            cameras.apply_camera(scene.camera, camera, scene.render)
            bpy.context.view_layer.update()
            bpy.ops.splat.set_up_render(is_exact=True)
            pictures = {
                "Cycles, 1 sample": splat_renders.display_encoded(scene, splat_renders.render(scene, Path(scratch))),
                "Cycles, 1 sample, 8-bit PNG": splat_renders.render_png(scene, Path(scratch)),
            }
            if has_graphics:
                picture = splat_renders.render(scene, Path(scratch), "BLENDER_EEVEE")
                pictures["EEVEE, 1 sample"] = splat_renders.display_encoded(scene, picture)
                pictures["viewport"] = _viewport(extension, scene, item)
            bpy.ops.splat.put_back_render()
            bpy.ops.splat.set_up_render()
            scene.cycles.samples = DEFAULT_SAMPLES
            picture = splat_renders.display_encoded(scene, splat_renders.render(scene, Path(scratch)))
            pictures[f"Cycles, {DEFAULT_SAMPLES} samples"] = picture
            bpy.ops.splat.put_back_render()
            if appearance.is_native(item):
                item.splat.drawn_by = "BLENDER"
                bpy.ops.splat.set_up_render(is_exact=True)
                scene.cycles.samples = NATIVE_SAMPLES
                scene.cycles.use_adaptive_sampling = False
                picture = splat_renders.display_encoded(scene, splat_renders.render(scene, Path(scratch)))
                pictures[f"Blender's Splats, Cycles, {NATIVE_SAMPLES} samples"] = picture
                bpy.ops.splat.put_back_render()
                item.splat.drawn_by = "QUADS"
            for shown_by, picture in pictures.items():
                rows.append({
                    "shown_by": shown_by,
                    "view": str(name),
                    "psnr_db": ewa.psnr_db(picture[..., :3], image),
                    "splats": extension.module("splat_addon.scene.splats.data").splat_count(item),
                    "blender": "{}.{}".format(*bpy.app.version),
                })  # fmt: skip
    _blenders.answer(rows)
    return 0


def _start_graphics() -> bool:
    """Whether this Blender can draw in background, which came with 5.2."""
    import gpu

    if hasattr(gpu, "init"):
        gpu.init()
    return hasattr(gpu, "init")


def _viewport(extension, scene, item):
    """(H, W, 4) display-encoded: what the viewport's draw handler paints through the scene's camera."""
    import bpy
    import numpy as np

    from support import ewa, viewport_pictures

    drawing, viewport = (
        extension.module(f"splat_addon.scene.{name}") for name in ("viewport.picture", "viewport.display")
    )
    width, height = scene.render.resolution_x, scene.render.resolution_y
    depsgraph = bpy.context.evaluated_depsgraph_get()
    clip_from_view = scene.camera.calc_matrix_camera(
        depsgraph, x=width, y=height, scale_x=scene.render.pixel_aspect_x, scale_y=scene.render.pixel_aspect_y
    )
    view_from_world = np.linalg.inv(np.array(scene.camera.matrix_world))
    view = drawing.Viewpoint(width, height, view_from_world, np.array(clip_from_view))
    blend_space = str(item[extension.module("splat_addon.scene.splats.data").BLEND_SPACE_KEY])
    look = viewport.look_of(scene, [blend_space])
    picture = viewport_pictures.draw(drawing, [item], view, look)
    if look.is_linear:
        picture[..., :3] = ewa.encode(picture[..., :3])
    return picture


if __name__ == "__main__":
    sys.exit(main())
