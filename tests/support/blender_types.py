"""A plugin for mypy: what Blender's stubs lack. pyproject.toml names it, so that editors with mypy see the same.

The stubs know the base class of what a collection returns ("Attribute", "NodeSocket", "Modifier") and not the members
that each kind of it adds, a few wrong types, nothing newer than the oldest Blender, and nothing of what the extension
adds. These members may be anything.
"""

from collections.abc import Callable

from mypy.nodes import GDEF, MDEF, SymbolTableNode, Var
from mypy.plugin import ClassDefContext, Plugin
from mypy.types import AnyType, TypeOfAny

# class: members that its stub lacks, or gives a type that Blender does not have
MEMBERS = {
    "bpy.types.Attribute": ["data"],
    "bpy.types.BlendDataLights": ["new"],
    "bpy.types.BlendDataNodeTrees": ["new"],
    "bpy.types.BlenderRNA": ["functions"],
    "bpy.types.Context": ["object", "scene"],
    "bpy.types.DepsgraphObjectInstance": ["object"],
    "bpy.types.ID": ["__contains__", "attributes"],
    "bpy.types.Image": ["pixels"],
    "bpy.types.KeyMapItems": ["new"],
    "bpy.types.Light": ["angle", "energy", "size"],
    "bpy.types.Material": ["node_tree"],
    "bpy.types.Modifier": ["node_group"],
    "bpy.types.Node": ["attribute_name", "extension", "image", "layer_name", "projection", "vector_type"],
    "bpy.types.NodeSocket": ["default_value"],
    "bpy.types.Object": ["data", "splat"],
    "bpy.types.PointCloud": ["resize", "type"],
    "bpy.types.Property": ["enum_items", "fixed_type"],
    "bpy.types.Scene": ["splat"],
    "bpy_extras.io_utils.ExportHelper": ["filepath"],
    "bpy_extras.io_utils.ImportHelper": ["filepath"],
}


class BlenderTypes(Plugin):
    """Adds MEMBERS to the classes of the stubs, as attributes of type Any."""

    def get_customize_class_mro_hook(self, fullname: str) -> Callable[[ClassDefContext], None] | None:
        return add_members if fullname in MEMBERS else None


def add_members(context: ClassDefContext) -> None:
    info = context.cls.info
    for name in MEMBERS[info.fullname]:
        member = Var(name, AnyType(TypeOfAny.explicit))
        member.info = info
        info.names[name] = SymbolTableNode(MDEF, member, plugin_generated=True)
    ops = context.api.modules.get("bpy.ops")
    if ops is not None:
        ops.names["splat"] = SymbolTableNode(GDEF, Var("splat", AnyType(TypeOfAny.explicit)), plugin_generated=True)


def plugin(version: str) -> type[Plugin]:
    return BlenderTypes
