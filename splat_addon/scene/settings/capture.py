"""How a scene is captured, kept in the .blend as `Scene.splat.capture`."""

import bpy

from .paths import MAY_BE_RELATIVE, chosen
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


class SPLAT_PG_capture(bpy.types.PropertyGroup):
    """How the training images are made."""

    folder: bpy.props.StringProperty(
        name="Capture Folder",
        description="Where the images and cameras are written; photos captured elsewhere can be chosen too",
        subtype="DIR_PATH",
        options=MAY_BE_RELATIVE,
        default="",
        update=chosen("folder", then=lambda group, _context: forget_reading(group.id_data)),
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
