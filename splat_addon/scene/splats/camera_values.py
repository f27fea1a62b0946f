"""What a node tree must know of the scene's camera and render size, as numbers that drivers keep up to date.

The drivers are simple expressions of the active scene's properties: Blender runs them without permission for Python,
they follow animated lenses and camera switches, and each scene that shows the tree gets its own values.
"""

import math
from dataclasses import dataclass

from .node_math import NodeTree, Scalar

_PATHS = {  # and what is taken while the scene has no camera: a driver that once failed would never run again
    "kind": ("camera.data.type", 0),  # 0 perspective, 1 orthographic, 2 panoramic
    "fit": ("camera.data.sensor_fit", 0),  # 0 auto, 1 horizontal, 2 vertical
    "lens": ("camera.data.lens", 50),
    "across": ("camera.data.sensor_width", 36),
    "down": ("camera.data.sensor_height", 24),
    "shift_x": ("camera.data.shift_x", 0),
    "shift_y": ("camera.data.shift_y", 0),
    "span": ("camera.data.ortho_scale", 6),
    "columns": ("render.resolution_x", 1920),
    "rows": ("render.resolution_y", 1080),
    "percent": ("render.resolution_percentage", 100),
    "aspect_x": ("render.pixel_aspect_x", 1),
    "aspect_y": ("render.pixel_aspect_y", 1),
    "panorama": ("camera.data.panorama_type", 0),  # 0 equirectangular; these three exist from Blender 5.0 on
    "east": ("camera.data.longitude_max", math.pi),
    "west": ("camera.data.longitude_min", -math.pi),
    "view": ("camera.data.fisheye_fov", math.pi),
    "engine": ("render.engine", 0),  # 0 EEVEE, 1 Workbench, then those that add-ons bring
}
_WIDTH = "floor(columns * percent / 100)"
_HEIGHT = "floor(rows * percent / 100)"
# What the sensor or the orthographic scale measures: the larger side unless the fit says which one.
_FITTED_PX = (
    f"{_WIDTH} if fit == 1 or (fit == 0 and {_WIDTH} * aspect_x >= {_HEIGHT} * aspect_y)"
    f" else {_HEIGHT} * aspect_y / aspect_x"
)
_EXTENT = "span if kind == 1 else (down if fit == 2 else across) / lens"


@dataclass(frozen=True)
class CameraValues:
    """Lengths are slopes (distance from the axis over depth) for perspective, world units for orthographic cameras."""

    is_orthographic: Scalar
    pixel_x: Scalar  # width of a pixel
    pixel_y: Scalar
    half_width: Scalar  # half the image
    half_height: Scalar
    middle_x: Scalar  # the middle of the image, to the right of the axis
    middle_y: Scalar  # and above it


def add_camera_values(tree: NodeTree) -> CameraValues:
    """Add the driven values to a geometry tree."""
    is_orthographic = driven(tree, "Orthographic", "kind == 1")
    extent = driven(tree, "Extent", _EXTENT)
    fitted_px = driven(tree, "Fitted px", _FITTED_PX)
    width_px = driven(tree, "Width px", _WIDTH)
    height_px = driven(tree, "Height px", _HEIGHT)
    pixel_aspect = driven(tree, "Pixel Aspect", "aspect_y / aspect_x")
    pixel_x = extent / fitted_px
    pixel_y = pixel_x * pixel_aspect
    half_width, half_height = pixel_x * width_px * 0.5, pixel_y * height_px * 0.5
    shift_x, shift_y = (driven(tree, f"Shift {axis.upper()}", f"shift_{axis}") * extent for axis in "xy")
    return CameraValues(is_orthographic, pixel_x, pixel_y, half_width, half_height, shift_x, shift_y)


def driven(tree: NodeTree, label: str, expression: str) -> Scalar:
    """A number in a tree that follows the scene; `expression` in the names above, one that Blender runs unasked."""
    node = tree.add("ShaderNodeValue")
    node.label = label
    driver = node.outputs[0].driver_add("default_value").driver
    for name, (path, without_camera) in _PATHS.items():
        if name in expression:
            variable = driver.variables.new()
            variable.name, variable.type = name, "CONTEXT_PROP"
            target = variable.targets[0]
            target.context_property, target.data_path = "ACTIVE_SCENE", path
            target.use_fallback_value, target.fallback_value = True, without_camera
    driver.type = "SCRIPTED"
    driver.expression = expression
    if not driver.is_simple_expression:
        raise ValueError(f"Blender would ask for permission to run: {expression}")
    return Scalar(tree, node.outputs[0])
