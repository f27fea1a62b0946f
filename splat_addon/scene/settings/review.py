"""What the artist chooses while reviewing held-out views, kept in the .blend as `Scene.splat.review`."""

import bpy

from ..session.redraw import redraw
from .hooks import on_change


class SPLAT_PG_held_out_view(bpy.types.PropertyGroup):
    """One held-out view with its measured quality. Filled from the run; `name` is the view's."""

    psnr_db: bpy.props.FloatProperty()
    ssim: bpy.props.FloatProperty()


class SPLAT_PG_review(bpy.types.PropertyGroup):
    """What is drawn over the camera's frame. Changing it only draws again, it never loads anything."""

    mode: bpy.props.EnumProperty(
        name="Show",
        description="What is drawn over the camera's frame",
        items=[
            ("WIPE", "Wipe", "The photo on the left and the trained image on the right of a line that can be dragged"),
            ("PHOTO", "Photo", "The photo, which training never saw"),
            ("RENDER", "Trained", "What training makes of this view"),
            ("DIFFERENCE", "Difference", "How far the trained image differs from the photo, brightened"),
            ("NONE", "None", "Nothing: the viewport itself, through this camera"),
        ],
        default="WIPE",
        update=lambda self, context: redraw(),
    )
    wipe: bpy.props.FloatProperty(
        name="Wipe",
        description="Where the line is: 0 shows the trained image alone, 1 the photo alone. It can be dragged",
        default=0.5,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
        update=lambda self, context: redraw(),
    )
    gain: bpy.props.FloatProperty(
        name="Brighten",
        description="The difference is multiplied by this, so that small errors are seen",
        default=4.0,
        min=1.0,
        soft_max=32.0,
        max=255.0,
        update=lambda self, context: redraw(),
    )
    use_ramp: bpy.props.BoolProperty(
        name="Heat Colors",
        description="Show the mean difference of red, green and blue from black over red to yellow, not as a color",
        default=False,
        update=lambda self, context: redraw(),
    )
    opacity: bpy.props.FloatProperty(
        name="Image Opacity",
        description="How far photos and trained images cover splats, points and objects in the same place",
        default=1.0,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
        update=on_change("review.opacity"),
    )
    show_splats: bpy.props.BoolProperty(
        name="Splats",
        description="Show splats while a camera of the capture is looked through",
        default=True,
        update=on_change("review.show_splats"),
    )
    show_points: bpy.props.BoolProperty(
        name="Points",
        description="Show the capture's sparse points while one of its cameras is looked through",
        default=True,
        update=on_change("review.show_points"),
    )
    show_badge: bpy.props.BoolProperty(
        name="Badge",
        description="Write the view's name, PSNR and SSIM into the frame",
        default=True,
        update=lambda self, context: redraw(),
    )


CLASSES = (SPLAT_PG_held_out_view, SPLAT_PG_review)
