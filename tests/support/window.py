"""What scripts at a real window wait for, and how they photograph it. `yield` lets Blender go on."""

import time

import bpy
import gpu
import numpy as np


def until(is_so, sentence, limit_s=60.0):
    """Let Blender go on until it is so."""
    deadline = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < deadline, f"After {limit_s:g} s, not yet: {sentence}"
        yield


def photograph(area, path, region="UI"):
    """Save the pixels of an area as they are on the screen. Blender calls what draws the mouse's circle last; its own
    screenshots are black under X without a graphics card. The mouse has to rest in the area's region of that kind."""
    taken = []

    def take(*_):
        screen = gpu.state.active_framebuffer_get()
        taken.append(screen.read_color(area.x, area.y, area.width, area.height, 4, 0, "UBYTE"))

    handle = bpy.types.WindowManager.draw_cursor_add(take, (), "VIEW_3D", region)
    yield from until(lambda: area.tag_redraw() or len(taken) > 2, f"{path.name} is taken")
    bpy.types.WindowManager.draw_cursor_remove(handle)
    taken[-1].dimensions = area.width * area.height * 4
    image = bpy.data.images.new(path.name, area.width, area.height)
    image.pixels.foreach_set(np.array(taken[-1], np.uint8).astype(np.float32) / 255)
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)
