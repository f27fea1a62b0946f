"""The camera's frame in a viewport lies where nothing covers it, by the formulas of Blender's sources."""

import bpy
import pytest


@pytest.fixture
def framing(extension):
    return extension.module("splat_addon.scene.cameras.framing")


def view_3d() -> bpy.types.Area:
    return next(area for area in bpy.context.screen.areas if area.type == "VIEW_3D")


def frame_in(area, scene) -> tuple[float, float, float, float]:
    """Left, bottom, right and top of the camera's frame, in pixels: `BKE_camera_params_from_view3d`, `…viewplane` and
    `view3d_camera_border` of Blender's sources."""
    view, lens = area.spaces.active.region_3d, scene.camera.data
    main = next(region for region in area.regions if region.type == "WINDOW")
    zoomed = (2**0.5 + view.view_camera_zoom / 50) ** 2 / 4
    wide, high = scene.render.resolution_x, scene.render.resolution_y
    fits_width = {"HORIZONTAL": True, "VERTICAL": False}.get(lens.sensor_fit, main.width > main.height)
    sensor_px = zoomed * (main.width if fits_width else main.height)
    picture_fits_width = {"HORIZONTAL": True, "VERTICAL": False}.get(lens.sensor_fit, wide > high)
    pixel = sensor_px / (wide if picture_fits_width else high)
    x = main.width / 2 - 2 * zoomed * view.view_camera_offset[0] * main.width  # shift moves both planes alike
    y = main.height / 2 - 2 * zoomed * view.view_camera_offset[1] * main.height
    return x - wide * pixel / 2, y - high * pixel / 2, x + wide * pixel / 2, y + high * pixel / 2


@pytest.mark.parametrize("fit", ["AUTO", "HORIZONTAL", "VERTICAL"])
@pytest.mark.parametrize("size", [(640, 360), (360, 640), (1000, 250)])
def test_the_whole_frame_lies_in_the_free_part_and_fills_it(framing, fit, size):
    scene, area = bpy.context.scene, view_3d()
    camera = bpy.data.objects.new("Eye", bpy.data.cameras.new("Eye"))
    scene.collection.objects.link(camera)
    scene.camera, camera.data.sensor_fit, camera.data.shift_x = camera, fit, 0.1
    scene.render.resolution_x, scene.render.resolution_y = size
    framing.frame_camera(area, scene)
    left, bottom, right, top = framing.free_part(area)
    frame = frame_in(area, scene)
    assert left <= frame[0] and bottom <= frame[1] and frame[2] <= right and frame[3] <= top
    assert (frame[0] + frame[2]) / 2 == pytest.approx((left + right) / 2, abs=0.5)
    assert (frame[1] + frame[3]) / 2 == pytest.approx((bottom + top) / 2, abs=0.5)
    filled = max((frame[2] - frame[0]) / (right - left), (frame[3] - frame[1]) / (top - bottom))
    assert filled == pytest.approx(0.94, abs=0.005)


def test_toolbar_and_sidebar_are_not_part_of_what_is_free(framing):
    area = view_3d()
    regions = {region.type: region for region in area.regions}
    left, bottom, right, top = framing.free_part(area)
    main = regions["WINDOW"]
    assert left == regions["TOOLS"].x + regions["TOOLS"].width - main.x > 0
    assert top <= regions["TOOL_HEADER"].y - main.y and bottom == 0 and right <= main.width
