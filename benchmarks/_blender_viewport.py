"""How fast the viewport takes in and orders splats.

Packing reads the attributes; with a Blender that draws in background (5.2), the upload is measured, too.
"""

from _blender_splats import splat_object
from _figures import Figure, timed


def viewport_sort(extension, count: int) -> list[Figure]:
    """From a turned view to the order: depths, keys, sorting, and as the numbers that are uploaded."""
    import numpy as np

    ordering = extension.module("splat_addon.scene.viewport.order")
    positions = extension.module("splat_addon.scene.viewport.texels").read(
        splat_object(extension, count).data, "position", 3
    )
    turns = iter(np.random.default_rng(1).normal(size=(100, 3)).astype(np.float32))

    def turn_and_sort():
        depths = positions @ next(turns) + np.float32(5)
        return ordering.far_to_near(depths, is_perspective=True).astype(np.float32)

    return [Figure("viewport sort", min(timed(turn_and_sort) for _ in range(7)), 0.015)]


def viewport_build(extension, count: int) -> list[Figure]:
    """From the attributes to the texture; without a graphics context, to what would be uploaded."""
    import gpu
    import numpy as np

    item = splat_object(extension, count)
    if hasattr(gpu, "init"):
        gpu.init()
        atlas_of = extension.module("splat_addon.scene.viewport.picture").Atlas
        seconds = min(timed(lambda: atlas_of({item.data.session_uid: item.data})) for _ in range(3))
        return [Figure("viewport build", seconds, 1.5)]
    texels = extension.module("splat_addon.scene.viewport.texels")

    def read_and_pack():
        texels.fingerprint(item.data)
        texels.pack(item.data, np.zeros((count, 60), dtype=np.float32), 3)

    return [Figure("viewport build, no upload", min(timed(read_and_pack) for _ in range(3)), 1.5)]


CASES = {"viewport sort": viewport_sort, "viewport build": viewport_build}
