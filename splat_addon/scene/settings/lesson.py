"""What the artist chooses in the lesson, kept in the .blend as `Scene.splat.lesson`, and the fit as it was saved."""

import bpy

from ..session.redraw import redraw
from .hooks import on_change

AT_RESET = "Takes effect with Reset"


class SPLAT_PG_lesson(bpy.types.PropertyGroup):
    """The image that is fitted, and how."""

    target: bpy.props.EnumProperty(
        name="Target",
        description=f"The image that is fitted. {AT_RESET}",
        items=[
            ("SUNSET", "Sunset", "Soft gradients, hills and one disc"),
            ("BALLS", "Balls", "Three shaded balls: highlights, shadows, round edges"),
            ("CHECKER", "Checker", "Hard edges everywhere, which gaussians find hard"),
            ("GAUSSIANS", "Sum of Gaussians", "Nine gaussians: what can be fitted exactly"),
            ("IMAGE", "Image", "An image of this file, reduced"),
        ],
        default="SUNSET",
    )
    image: bpy.props.PointerProperty(
        name="Image", description=f"Its present pixels are fitted. {AT_RESET}", type=bpy.types.Image
    )
    side_px: bpy.props.IntProperty(
        name="Longest Side",
        description=f"The target is reduced to this; time grows with its square. {AT_RESET}",
        default=96,
        min=8,
        max=256,
        subtype="PIXEL",
    )
    count: bpy.props.IntProperty(
        name="Gaussians", description=f"How many there are at the start. {AT_RESET}", default=200, min=0, max=10_000
    )
    seed: bpy.props.IntProperty(
        name="Seed", description=f"Equal seeds give equal fits, bit for bit. {AT_RESET}", default=0, min=0
    )
    compositing: bpy.props.EnumProperty(
        name="Compositing",
        description=f"How gaussians make an image. {AT_RESET}",
        items=[
            ("ADDITIVE", "Additive", "The sum of all, as in the lesson's figure"),
            ("TRANSMITTANCE", "Transmittance", "Each covers what is behind it, as in Gaussian Splatting"),
        ],
        default="ADDITIVE",
    )
    is_anisotropic: bpy.props.BoolProperty(
        name="Anisotropic",
        description=f"Let each gaussian have two sigmas and an angle instead of one sigma. {AT_RESET}",
        default=False,
    )
    held_out: bpy.props.FloatProperty(
        name="Hold Out",
        description=f"Part of the pixels that is never trained on, and shows what was learned by heart. {AT_RESET}",
        default=0.0,
        min=0.0,
        max=0.5,
        subtype="FACTOR",
    )
    loss: bpy.props.EnumProperty(
        name="Loss",
        description="What is minimized",
        items=[
            ("MSE", "Squared Error", "The mean squared error, as in the lesson's figure"),
            ("L1_SSIM", "L1 + D-SSIM", "(1 − λ) L1 + λ D-SSIM, as in Gaussian Splatting"),
        ],
        default="MSE",
    )
    ssim_lambda: bpy.props.FloatProperty(
        name="Lambda", description="How much D-SSIM counts", default=0.2, min=0.0, max=1.0, subtype="FACTOR"
    )
    strategy: bpy.props.EnumProperty(
        name="Strategy",
        description="What Densify does",
        items=[
            ("DEFAULT", "Default", "Clone or split where the positional gradient is high, prune the transparent"),
            ("MCMC", "MCMC", "Relocate the transparent, add 5 %, and push the faint at random"),
        ],
        default="DEFAULT",
    )
    is_auto: bpy.props.BoolProperty(
        name="Auto", description="Densify by itself whenever the loss stalls, as training does", default=False
    )
    most: bpy.props.IntProperty(
        name="Limit", description="Densifying makes no more gaussians than this", default=2000, min=1, max=10_000
    )
    color_by: bpy.props.EnumProperty(
        name="Color By",
        description="What the colors of the gaussians in the 3D view show",
        items=[
            ("RADIANCE", "Radiance", "Their own color"),
            ("GRADIENT", "Gradient", "How hard they are pulled: purple little, yellow much"),
            ("AGE", "Age", "Purple is new, yellow was there from the start"),
        ],
        default="RADIANCE",
        update=on_change("lesson.shown"),
    )
    dot_sigmas: bpy.props.FloatProperty(
        name="Size",
        description="How large gaussians are in the 3D view: 1 is as they are; smaller ones can be told apart",
        default=0.4,
        min=0.05,
        max=1.0,
        update=on_change("lesson.shown"),
    )
    selected: bpy.props.IntProperty(
        name="Gaussian",
        description="The one whose gradient is shown; -1 is none",
        default=-1,
        min=-1,
        update=lambda self, context: redraw(),
    )
    fit: bpy.props.StringProperty(description="The fit as it was saved", options={"HIDDEN"})


CLASSES = (SPLAT_PG_lesson,)
