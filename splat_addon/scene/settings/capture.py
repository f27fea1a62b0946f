"""How a scene is captured, kept in the .blend as `Scene.splat.capture`."""

import contextlib
import os
from pathlib import Path

import bpy

from ...capture.capture import capture_folder
from ...capture.formats.transforms import is_own_capture
from ...errors import CaptureError, RunError
from .paths import MAY_BE_RELATIVE, absolute, chosen, path_text
from .training import forget_reading

CAPTURE_SOURCES = [
    ("DOME", "Dome", "Build a dome of cameras around the selected objects"),
    ("SELECTED", "Selected Cameras", "Use the selected cameras"),
    ("COLLECTION", "Collection", "Use the cameras of a collection, for example of a rig"),
    ("FRAMES", "Frame Range", "Use the scene's camera, as it is animated, over a range of frames"),
    ("ALL", "All Cameras", "Use all cameras of the scene"),
]
ENGINES = [
    ("SCENE", "Scene's Engine", "Render with the engine of the scene"),
    ("CYCLES", "Cycles", "Render with Cycles, whatever the scene's engine is"),
]
SEED_SOURCES = [
    ("SURFACES", "Meshes", "Spread over the surfaces of the selected objects; of all visible ones if none is selected"),
    ("POINT_CLOUDS", "Point Clouds", "The points of the selected point clouds and of meshes without faces"),
    ("CAPTURE", "Capture's Points", "The points that the capture came with"),
    ("RANDOM", "Random", "At random where the cameras look, colored by the photos"),
]


def folder_that_is_meant(folder: Path) -> Path:
    """The folder of the photo capture that a chosen folder belongs to or holds, else that folder.

    A capture of a scene below it is not taken: the next one would be rendered over it. Raises CaptureError when
    several captures lie there.
    """
    if not os.path.isdir(folder):
        return folder
    meant = capture_folder(folder)
    return folder if folder in meant.parents and is_own_capture(meant) else meant


def _take_capture(group: "SPLAT_PG_capture", _context) -> None:
    """The folder of a model, of photos, or of a single capture stands for the capture."""
    with contextlib.suppress(RunError, CaptureError):  # the panel says what is wrong with it
        folder = absolute(group.folder)
        meant = folder_that_is_meant(folder) if group.folder else folder
        if meant != folder:
            group.folder = path_text(meant)
            return  # this has asked again
    forget_reading(group.id_data)


class SPLAT_PG_capture(bpy.types.PropertyGroup):
    """How the training images are made."""

    folder: bpy.props.StringProperty(
        name="Capture Folder",
        description="Where the images and cameras are written; photos captured elsewhere can be chosen too",
        subtype="DIR_PATH",
        options=MAY_BE_RELATIVE,
        default="",
        update=chosen("folder", then=_take_capture),
    )
    decided_for: bpy.props.StringProperty(
        name="Decided For",
        description="The capture whose reading was decided on; for another, its reader decides again",
        options={"HIDDEN"},
    )
    source: bpy.props.EnumProperty(
        name="Cameras", description="Which cameras see the scene", items=CAPTURE_SOURCES, default="DOME"
    )
    camera_count: bpy.props.IntProperty(
        name="Cameras", description="How many cameras the dome has", default=48, min=2, soft_max=500, max=100_000
    )
    lens_mm: bpy.props.FloatProperty(
        name="Lens mm", description="Focal length of the dome's cameras on a 36 mm sensor", default=50.0, min=5, max=500
    )
    lowest_deg: bpy.props.FloatProperty(
        name="Lowest °",
        description="Height above the horizon, in degrees, at which the dome begins; negative looks from below",
        default=10.0,
        min=-80.0,
        max=80.0,
    )
    collection: bpy.props.PointerProperty(
        name="Collection", description="The collection whose cameras see the scene", type=bpy.types.Collection
    )
    first_frame: bpy.props.IntProperty(name="First Frame", description="Frame of the first image", default=1)
    last_frame: bpy.props.IntProperty(name="Last Frame", description="Frame of the last image at most", default=250)
    frame_step: bpy.props.IntProperty(name="Step", description="Frames from one image to the next", default=5, min=1)
    engine: bpy.props.EnumProperty(name="Engine", description="What renders the images", items=ENGINES, default="SCENE")
    use_scene_samples: bpy.props.BoolProperty(
        name="Scene Samples", description="Render with the scene's own samples and denoising", default=False
    )
    depth: bpy.props.BoolProperty(
        name="Depth", description="Also write the depth of each image as 32-bit OpenEXR", default=False
    )
    normals: bpy.props.BoolProperty(
        name="Normals", description="Also write the normals of each image as 32-bit OpenEXR", default=False
    )
    use_scene_resolution: bpy.props.BoolProperty(
        name="Scene Resolution",
        description="Render at the scene's resolution and percentage, and its render region if that crops",
        default=False,
    )
    width: bpy.props.IntProperty(name="Width", description="Width of the images", default=800, min=8, max=16384)
    height: bpy.props.IntProperty(name="Height", description="Height of the images", default=600, min=8, max=16384)
    samples: bpy.props.IntProperty(
        name="Samples", description="Samples per pixel of each image", default=64, min=1, max=65536
    )
    use_denoising: bpy.props.BoolProperty(
        name="Denoise", description="Denoise the images: noise cannot be learned, only averaged", default=True
    )
    seed_source: bpy.props.EnumProperty(
        name="Seeds", description="Where the gaussians that training starts from come from", items=SEED_SOURCES
    )
    seed_count: bpy.props.IntProperty(
        name="Seeds",
        description="How many gaussians training starts from, spread over the surfaces of the selected objects",
        default=20_000,
        min=1,
        max=50_000_000,
    )


CLASSES = (SPLAT_PG_capture,)
