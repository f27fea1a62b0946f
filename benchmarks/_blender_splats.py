"""Splats into Blender, out of it, before a camera and through Cycles; and the splats that all cases share."""

import gc
import math
import tempfile
from pathlib import Path

from _figures import Figure, Memory, Peak, current_memory, timed

REPEATS = 5


def import_ply(extension, count: int) -> list[Figure]:
    """A PLY of splats with harmonics of degree 3, against `wm.ply_import` of the same file."""
    import bpy

    files = extension.module("splat_addon.scene.splats.files")
    path = splat_file(extension, count)
    collection = bpy.context.scene.collection

    def ours() -> None:
        files.import_splats(path, "STORED", bpy.context.scene, collection)

    def theirs() -> None:
        bpy.ops.wm.ply_import(filepath=str(path))

    before = current_memory()
    with Peak() as peak:
        ours()
    memory = Memory((peak.bytes - before) / path.stat().st_size, 2.2, "x the data")
    remove_all()
    seconds, reference = [], []
    for _ in range(REPEATS):  # in turn, so that both see the same machine
        for function, times in ((ours, seconds), (theirs, reference)):
            times.append(timed(function))
            remove_all()
    limit = 1.0 if has_native_splats(extension) else 0.65  # from 5.3 on Blender decodes splats, too
    return [Figure("import", min(seconds), 0.5, min(seconds) / min(reference), limit, memory)]


def kept_memory(extension, count: int) -> list[Figure]:
    """What both keep of the same file; `wm.ply_import` makes splats from Blender 5.3 on."""
    import bpy

    if not has_native_splats(extension):
        return []
    path = splat_file(extension, count)
    files = extension.module("splat_addon.scene.splats.files")
    sizes = [current_memory()]
    seconds = timed(lambda: files.import_splats(path, "STORED", bpy.context.scene, bpy.context.scene.collection))
    for further in (lambda: None, lambda: bpy.ops.wm.ply_import(filepath=str(path))):
        further()
        gc.collect()
        sizes.append(current_memory())
    ours, theirs = sizes[1] - sizes[0], sizes[2] - sizes[1]
    return [Figure("memory kept after import", seconds, 1.0, memory=Memory(ours / theirs, 0.6, "x wm.ply_import's"))]


def has_native_splats(extension) -> bool:
    return extension.module("splat_addon.scene.settings.capabilities").has_native_splats()


def export_ply(extension, count: int) -> list[Figure]:
    """The same splats back into a PLY."""
    item = splat_object(extension, count)
    files = extension.module("splat_addon.scene.splats.files")
    with tempfile.TemporaryDirectory() as folder:
        seconds = min(timed(lambda: files.export_splats(Path(folder) / "out.ply", item)) for _ in range(REPEATS))
    return [Figure("export", seconds, 1.0)]


def move_camera(extension, count: int) -> list[Figure]:
    """From a camera that moved to quads that face it."""
    import bpy

    splat_object(extension, count)
    bpy.context.scene.splat.viewport.show = False  # which would leave the quads to renders
    camera = scene_camera()

    def move() -> None:
        camera.location.x += 0.01
        bpy.context.view_layer.update()

    move()
    limit_s = 1.0 if bpy.app.version >= (5, 2, 0) else 2.0
    return [Figure("camera move", min(timed(move) for _ in range(REPEATS)), limit_s)]


def draw_by_blender(extension, count: int) -> list[Figure]:
    """Blender's own splats (5.3): from a camera that moved to splats as wide as it needs, and from quads and back."""
    import bpy

    if not has_native_splats(extension):
        return []
    item = splat_object(extension, count)
    scene, camera = bpy.context.scene, scene_camera()
    scene.splat.viewport.show = False  # which would leave the modifier to renders

    def choose(by: str) -> None:
        item.splat.drawn_by = by
        bpy.context.view_layer.update()

    def move() -> None:
        camera.location.x += 0.01
        bpy.context.view_layer.update()

    choose("BLENDER")
    move()
    moved = min(timed(move) for _ in range(REPEATS))
    to_quads, to_blender = zip(*[(timed(lambda: choose("QUADS")), timed(lambda: choose("BLENDER"))) for _ in range(2)])
    return [
        Figure("camera move, Blender's Splats", moved, 0.015),
        Figure("Drawn By: Splat Quads", min(to_quads), 1.2),
        Figure("Drawn By: Blender's Splats", min(to_blender), 1.2),
    ]


def render_cycles(extension, count: int) -> list[Figure]:
    """A frame of 200 x 133 pixels, one sample, everything included."""
    import bpy

    splat_object(extension, count)
    scene_camera()
    bpy.ops.splat.set_up_render(is_exact=True)
    bpy.context.scene.render.engine = "CYCLES"
    with Peak() as peak:
        seconds = timed(bpy.ops.render.render)
    return [Figure("Cycles 200x133", seconds, 40.0, memory=Memory(peak.bytes / 1e9, 3.0, "GB"))]


CASES = {
    "import": import_ply,
    "memory kept": kept_memory,
    "export": export_ply,
    "camera move": move_camera,
    "drawn by Blender": draw_by_blender,
    "Cycles": render_cycles,
}


def splat_file(extension, count: int) -> Path:
    """Random splats around the origin that cover much the same of the view, however many they are."""
    import numpy as np

    path = Path(tempfile.gettempdir()) / f"splat_bench_{count}.ply"
    if not path.is_file():
        random = np.random.default_rng(0)
        cloud = extension.module("splat_addon.gaussians.cloud").GaussianCloud(
            means=random.normal(0, 0.7, (count, 3)),
            log_scales=random.normal(-2 + math.log(15 / math.sqrt(count)), 0.6, (count, 3)),
            quaternions=random.normal(size=(count, 4)),
            logit_opacities=random.normal(0, 2, count),
            sh=random.normal(0, 0.3, (count, 16, 3)).astype(np.float32),
        )
        extension.module("splat_addon.gaussians.formats.splat_ply").write_splats(path, cloud)
    return path


def splat_object(extension, count: int):
    """Those splats in the scene."""
    import bpy

    files = extension.module("splat_addon.scene.splats.files")
    path = splat_file(extension, count)
    return files.import_splats(path, "STORED", bpy.context.scene, bpy.context.scene.collection)[0][0]


def scene_camera():
    """A camera that has them all in view."""
    import bpy

    from support.splat_renders import add_camera

    return add_camera(bpy.context.scene, (3, -3, 2), size=(200, 133))


def remove_all() -> None:
    """Empty the file."""
    import bpy

    bpy.data.batch_remove([*bpy.data.objects, *bpy.data.meshes, *bpy.data.pointclouds])
    gc.collect()
