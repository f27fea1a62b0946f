"""What the user chooses about splats in the viewport, kept in the .blend as `Scene.splat.viewport`."""

import bpy

from .hooks import on_change, on_search

RENDER_FROM = [
    ("VIEW", "View", "As this viewport shows it, through the camera if it does"),
    ("CAMERA", "Scene Camera", "Through the scene's camera, whatever the viewport shows"),
]


class SPLAT_PG_viewport(bpy.types.PropertyGroup):
    """How the viewport shows splats."""

    show: bpy.props.BoolProperty(
        name="Show Splats in Viewport",
        description="Draw the splats themselves in all viewports, as they were trained, in place of their objects",
        default=True,
        update=on_change("viewport.show"),
    )
    kind: bpy.props.EnumProperty(
        name="Display",
        description="What is drawn for each gaussian",
        items=[
            ("SPLATS", "Splats", "Soft, blended by depth: the trained image"),
            ("ELLIPSOIDS", "Ellipsoids", "Solid and lit: the shape and place of each gaussian"),
            ("POINTS", "Points", "Centers alone: the fastest"),
        ],
        default="SPLATS",
        update=on_change("viewport"),
    )
    color_by: bpy.props.EnumProperty(
        name="Color By",
        description="What the color of a splat shows",
        items=[
            ("RADIANCE", "Radiance", "Their own color in the direction of the view"),
            ("OPACITY", "Opacity", "Purple is transparent, yellow opaque"),
            ("SIZE", "Size", "The longest axis, on a logarithmic scale: purple is small, yellow large"),
            ("ATTRIBUTE", "Attribute", "Any stored attribute that is one number per splat"),
        ],
        default="RADIANCE",
        update=on_change("viewport"),
    )
    attribute: bpy.props.StringProperty(
        name="Attribute",
        description="Which attribute colors the splats; its range is found automatically, without the outermost 1 %",
        search=on_search("viewport.attributes"),
        update=on_change("viewport"),
    )
    fraction: bpy.props.FloatProperty(
        name="Fraction",
        description="Fraction of the splats that is drawn, chosen at random; fewer is faster",
        default=1.0,
        min=0.001,
        max=1.0,
        subtype="FACTOR",
        update=on_change("viewport"),
    )
    sh_degree: bpy.props.IntProperty(
        name="SH Degree",
        description="How much of the view-dependent color is shown; 0 is the same from all sides",
        default=3,
        min=0,
        max=3,
        update=on_change("viewport"),
    )
    blending: bpy.props.EnumProperty(
        name="Blending",
        description="How the colors of overlapping splats are blended",
        items=[
            ("TRAINED", "As Trained", "As the splats were trained; Trainer Look where that is unknown"),
            ("DISPLAY", "Trainer Look", "Blend display colors, as most trainers do"),
            ("BLENDER", "Scene Light", "Blend in linear light, as Blender does"),
        ],
        default="TRAINED",
        update=on_change("viewport"),
    )
    is_hidden_by_meshes: bpy.props.BoolProperty(
        name="Hide Behind Meshes",
        description="Nearer objects cover the splats; switch off to see the splats through everything",
        default=True,
        update=on_change("viewport"),
    )
    reach_sigma: bpy.props.FloatProperty(
        name="Ellipsoid Sigma",
        description="How large ellipsoids are, in standard deviations",
        default=1.5,
        min=0.05,
        soft_max=3.0,
        max=10.0,
        update=on_change("viewport"),
    )
    point_px: bpy.props.FloatProperty(
        name="Point Size",
        description="How wide points are, in pixels",
        default=3.0,
        min=1.0,
        max=50.0,
        subtype="PIXEL",
        update=on_change("viewport"),
    )
    render_from: bpy.props.EnumProperty(
        name="Render From", description="From where viewport renders with splats see the scene", items=RENDER_FROM
    )
    render_overlays: bpy.props.BoolProperty(
        name="Overlays", description="Viewport renders with splats have the grid, outlines and the like"
    )


CLASSES = (SPLAT_PG_viewport,)
