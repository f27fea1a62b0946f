"""What the user chooses splats by, kept in the .blend as `Scene.splat.editing`."""

import bpy

from ..hooks import on_change, on_search

OPACITY, SIZE, STRETCH, COLOR, DISTANCE, ATTRIBUTE = "OPACITY", "SIZE", "STRETCH", "COLOR", "DISTANCE", "ATTRIBUTE"
QUANTITIES = [
    (OPACITY, "Opacity", "From 0, transparent, to 1"),
    (SIZE, "Size", "Standard deviation along the longest axis, in the object's unit"),
    (STRETCH, "Stretch", "Longest axis over the middle one: 1 for balls and disks, large for needles"),
    (COLOR, "Color Difference", "Distance from a color, as displayed: 0 is the same, 1 very different"),
    (DISTANCE, "Distance", "From the 3D cursor, in the world's unit"),
    (ATTRIBUTE, "Attribute", "Any stored attribute that is one number per splat"),
]
INSIDE, OUTSIDE = "INSIDE", "OUTSIDE"
SIDES = [
    (OUTSIDE, "Outside", "Take away what is outside of the volume"),
    (INSIDE, "Inside", "Take away what is inside of the volume"),
]
LARGEST = 3.4e38


def _has_volume(_group, item) -> bool:
    return item.type in ("MESH", "CURVE", "SURFACE", "META", "FONT", "EMPTY")


class SPLAT_PG_editing(bpy.types.PropertyGroup):
    """Which splats are selected by value, and what crops."""

    quantity: bpy.props.EnumProperty(name="By", description="What splats are selected by", items=QUANTITIES)
    attribute: bpy.props.StringProperty(
        name="Attribute", description="Which attribute they are selected by", search=on_search("viewport.attributes")
    )
    color: bpy.props.FloatVectorProperty(
        name="Color", description="As displayed", subtype="COLOR_GAMMA", size=3, default=(0, 0, 0), min=0, max=1
    )
    low: bpy.props.FloatProperty(name="From", description="The smallest value that is selected", default=0.0)
    high: bpy.props.FloatProperty(name="To", description="The largest value that is selected", default=0.1)
    volume: bpy.props.PointerProperty(
        name="Volume",
        description="What crops: an object with a closed surface, or an empty shown as cube or sphere",
        type=bpy.types.Object,
        poll=_has_volume,
        update=on_change("editing.crop"),
    )
    side: bpy.props.EnumProperty(
        name="Take Away", description="Which splats go", items=SIDES, update=on_change("editing.crop")
    )
    preview: bpy.props.BoolProperty(
        name="Preview",
        description="Leave out in the viewport what would be taken away, while the volume moves",
        update=on_change("editing.crop"),
    )


CLASSES = (SPLAT_PG_editing,)
