"""What the artist chooses about trust, kept in the .blend as `Scene.splat.trust`."""

import bpy

from ...session.redraw import redraw


class SPLAT_PG_trust(bpy.types.PropertyGroup):
    """What is drawn in viewports, once trust was measured. Changing it only draws again."""

    show_badge: bpy.props.BoolProperty(
        name="Badge",
        description="Write into the viewport how far its view is outside of the photos, and what quality to expect",
        default=True,
        update=lambda self, context: redraw(),
    )
    show_volume: bpy.props.BoolProperty(
        name="Volume",
        description="Show places around the photos, colored by the quality that a camera there would see",
        default=False,
        update=lambda self, context: redraw(),
    )
    show_strip: bpy.props.BoolProperty(
        name="Strip",
        description="Show the quality to expect along the scene camera's animation at the bottom of the viewport",
        default=True,
        update=lambda self, context: redraw(),
    )


CLASSES = (SPLAT_PG_trust,)
