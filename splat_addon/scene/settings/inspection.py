"""What the user chooses about floaters, kept in the .blend as `Scene.splat.inspection`."""

import bpy

from ...inspection.score import SELECT_FROM


class SPLAT_PG_inspection(bpy.types.PropertyGroup):
    """Which splats are taken for floaters."""

    threshold: bpy.props.FloatProperty(
        name="Score Above",
        description="Splats with a higher score are taken for floaters. Above 0.8, few are good; above 0.5, they are "
        "worth a look",
        default=SELECT_FROM,
        min=0.0,
        soft_max=1.5,
        max=10.0,
        step=1,
        precision=2,
    )


CLASSES = (SPLAT_PG_inspection,)
