"""What the user chooses about floaters, kept in the .blend as `Scene.splat.inspection`."""

import bpy

from ....inspection.score import SELECT_FROM
from ..hooks import on_change

COLORS = [
    ("NONE", "Own Colors", "As they were trained"),
    ("floater_score", "Score", "How likely a floater"),
    ("floater_reason", "Reason", "The strongest reason: 0 none, 1 light lands behind, 2 looked through, 3 in a swarm, "
     "4 alone, 5 in front of a camera, 6 one photo"),
    ("floater_gap", "Light Behind", "How far behind it the light it shares lands"),
    ("floater_gap_others", "Around It", "The same for the splats around it"),
    ("floater_looked_through", "Looked Through", "How far behind it photos see that look at its place"),
    ("floater_lonely", "Alone", "How far its neighbors are"),
    ("floater_views", "Photos", "How many photos use it"),
]  # fmt: skip


def _shown_color(group) -> int:
    shown = group.id_data.splat.viewport
    names = [name for name, *_ in COLORS]
    is_one = shown.color_by == "ATTRIBUTE" and shown.attribute in names
    return names.index(shown.attribute) if is_one else 0


def _choose_color(group, number: int) -> None:
    shown = group.id_data.splat.viewport
    if number:
        shown.attribute = COLORS[number][0]
    shown.color_by = "ATTRIBUTE" if number else "RADIANCE"


class SPLAT_PG_inspection(bpy.types.PropertyGroup):
    """Which splats are taken for floaters."""

    threshold: bpy.props.FloatProperty(
        name="Score Above",
        description="Splats with a higher score are taken for floaters. Above 0.74, few are good; above 0.5, they are "
        "worth a look",
        default=SELECT_FROM,
        min=0.0,
        soft_max=1.5,
        max=10.0,
        step=1,
        precision=2,
        update=on_change("inspection"),
    )
    outside_count: bpy.props.IntProperty(
        name="Views",
        description="How many views off the path Render Outside Views makes, at most",
        default=8,
        min=1,
        soft_max=32,
        max=256,
    )
    ghost: bpy.props.BoolProperty(
        name="Ghost",
        description="Dim all splats in viewports but those of the region, or, before one is stepped to, those with a "
        "higher score; draw the cameras that use the region",
        default=False,
        update=on_change("inspection"),
    )
    color: bpy.props.EnumProperty(
        name="Color",
        description="What colors show in viewports: purple is low, yellow high",
        items=COLORS,
        get=lambda self: _shown_color(self),
        set=lambda self, number: _choose_color(self, number),
    )


CLASSES = (SPLAT_PG_inspection,)
