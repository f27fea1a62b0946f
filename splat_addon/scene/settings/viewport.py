"""What the user chooses about splats in the viewport, kept in the .blend as `Scene.splat.viewport`."""

import bpy

from ..splats.data import has_native_splats, is_splats
from ..viewport.texels import float_attributes


def _on_change(self, context) -> None:
    from ..viewport import display

    display.start_anew()


def _on_show(self, context) -> None:
    from ..viewport import box_modifier, display

    box_modifier.hand_over(self.id_data)
    display.start_anew()


def _attribute_names(self, context, typed: str) -> list[str]:
    """Names of attributes, of any splat object of the scene, that are one number per splat."""
    found = {name for item in self.id_data.objects if is_splats(item) for name in float_attributes(item.data)}
    return sorted(name for name in found if typed.lower() in name.lower())


class SPLAT_PG_viewport(bpy.types.PropertyGroup):
    """How the viewport shows splats."""

    show: bpy.props.BoolProperty(
        name="Show Splats in Viewport",
        description="Draw the splats themselves in all viewports, as they were trained, in place of their objects",
        default=not has_native_splats(),
        update=_on_show,
    )
    kind: bpy.props.EnumProperty(
        name="Display",
        description="What is drawn for each gaussian",
        items=[
            ("SPLATS", "Splats", "Soft, blended by depth: the trained image"),
            ("ELLIPSOIDS", "Ellipsoids", "Solid and lit: the shape and place of each gaussian"),
            ("POINTS", "Points", "Centres alone: the fastest"),
        ],
        default="SPLATS",
        update=_on_change,
    )
    color_by: bpy.props.EnumProperty(
        name="Color By",
        description="What colours the splats",
        items=[
            ("RADIANCE", "Radiance", "Their own colour in the direction of the view"),
            ("OPACITY", "Opacity", "Purple is transparent, yellow opaque"),
            ("SIZE", "Size", "The longest axis, on a logarithmic scale: purple is small, yellow large"),
            ("ATTRIBUTE", "Attribute", "Any stored attribute that is one number per splat"),
        ],
        default="RADIANCE",
        update=_on_change,
    )
    attribute: bpy.props.StringProperty(
        name="Attribute",
        description="Which attribute colours the splats; its range is found, without the outermost hundredths",
        search=_attribute_names,
        update=_on_change,
    )
    fraction: bpy.props.FloatProperty(
        name="Fraction",
        description="Which part of the splats is drawn, picked at random: less is faster",
        default=1.0,
        min=0.001,
        max=1.0,
        subtype="FACTOR",
        update=_on_change,
    )
    sh_degree: bpy.props.IntProperty(
        name="SH Degree",
        description="How much of the view-dependent colour is shown; 0 is the same from all sides",
        default=3,
        min=0,
        max=3,
        update=_on_change,
    )
    blending: bpy.props.EnumProperty(
        name="Blending",
        description="In which light overlapping splats are mixed",
        items=[
            ("TRAINED", "As Trained", "As each run was trained; as Trainer Look where that is not known"),
            ("DISPLAY", "Trainer Look", "Mix display colours, as most trainers do"),
            ("LINEAR", "Scene Light", "Mix linear light, as Blender does"),
        ],
        default="TRAINED",
        update=_on_change,
    )
    is_hidden_by_meshes: bpy.props.BoolProperty(
        name="Hide Behind Meshes",
        description="Nearer objects cover the splats; switch it off to see the splats through everything",
        default=True,
        update=_on_change,
    )
    reach_sigma: bpy.props.FloatProperty(
        name="Ellipsoid Sigma",
        description="How large ellipsoids are, in standard deviations",
        default=1.5,
        min=0.05,
        soft_max=3.0,
        max=10.0,
        update=_on_change,
    )
    point_px: bpy.props.FloatProperty(
        name="Point Size",
        description="How wide points are, in pixels",
        default=3.0,
        min=1.0,
        max=50.0,
        subtype="PIXEL",
        update=_on_change,
    )
