"""How a run goes on from finished splats, kept in the .blend as `Scene.splat.training_further`."""

import bpy

from ....run.config import STEPS_ON


def _is_mesh(_group, item: bpy.types.Object) -> bool:
    return item.type == "MESH"


class SPLAT_PG_training_further(bpy.types.PropertyGroup):
    """What Train Further is asked for."""

    steps: bpy.props.IntProperty(
        name="Steps",
        description="Number of further training steps: 250 close holes, and leave what is good as it is",
        default=STEPS_ON,
        min=1,
        soft_max=7000,
        max=10_000_000,
    )
    keep_empty: bpy.props.BoolProperty(
        name="Keep Deleted Empty",
        description="Nothing grows where splats were deleted, unless others that were kept are there, too",
        default=True,
    )
    without_hidden: bpy.props.BoolProperty(
        name="Leave Out Hidden",
        description="Hidden splats are taken for deleted",
        default=True,
    )
    empty: bpy.props.PointerProperty(
        name="Empty Inside",
        description="A closed mesh in which no splat may be, now and at the end",
        type=bpy.types.Object,
        poll=_is_mesh,
    )
    trained: bpy.props.PointerProperty(
        name="Train Inside",
        description="A closed mesh: splats outside of it are frozen, and stay exactly as they are",
        type=bpy.types.Object,
        poll=_is_mesh,
    )


CLASSES = (SPLAT_PG_training_further,)
