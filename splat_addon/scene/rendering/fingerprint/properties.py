"""The properties of data-blocks, as a hash that is the same whenever the same file is opened."""

import os
from collections.abc import Callable
from functools import cache
from hashlib import blake2b
from typing import Any

import bpy

# Properties that change while nobody changes the scene: interface, selection, the current frame; what is told by other
# parts of a fingerprint (caches and bakes by the shapes they give); this extension's; and `paired_output`, which
# crashes Blender 4.5 on a closure zone without its end.
_PASSING = {
    "rna_type", "splat", "name", "tag", "animation_data", "library_weak_reference", "override_library", "asset_data",
    "preview", "frame_current", "frame_subframe", "frame_float", "hide_viewport", "particles", "child_particles",
    "point_cache", "bakes", "bake_directory", "bake_target", "panels", "node_warnings", "execution_time",
    "persistent_uid", "interface", "annotation", "texture_paint_images", "texture_paint_slots", "trail_count",
    "paired_output",
}  # fmt: skip
_PASSING_PREFIXES = (
    "select",
    "active",
    "show_",
    "use_fake",
    "use_extra",
    "paint_",
    "preview_",
    "is_active",
    "is_paint",
)
_RELEVANT = {"show_render", "show_unborn", "show_dead"}  # of modifiers and particles
_PATHS = ("FILE_PATH", "DIR_PATH")
# What Blender computes while it runs and no file holds; a walk into it ends in evaluated memory that may be gone.
_COMPUTED = {"Depsgraph", "ClothSolverResult", "NodesModifierWarning", "Preview"}


class PropertyDigest:
    """A hash of structs with all that belongs to them; data-blocks they point to are named, and told to `refer`."""

    def __init__(self, refer: Callable[[bpy.types.ID], None], with_cycles: bool):
        self._digest = blake2b(digest_size=8)
        self._refer, self._with_cycles = refer, with_cycles
        self._seen: set[tuple[int, str]] = set()

    def text(self) -> str:
        """The hash so far."""
        return self._digest.hexdigest()

    def say(self, text: str) -> None:
        """Add a text."""
        self._digest.update(text.encode("utf-8", "replace") + b"\n")

    def add(self, struct: Any) -> None:
        """Add a struct with those that belong to it; what was added before is only named."""
        known = (struct.as_pointer(), struct.bl_rna.identifier)
        if known in self._seen:
            self.say(str(getattr(struct, "name", "")))
            return
        self._seen.add(known)
        if isinstance(struct, bpy.types.NodeLink):
            ends = (struct.from_node.name, struct.from_socket.identifier, struct.to_node.name)
            self.say(repr((*ends, struct.to_socket.identifier, struct.is_muted)))
            return
        for name, kind in _properties(type(struct)):  # type: ignore[arg-type] # a class can be hashed
            if name != "cycles" or self._with_cycles:
                self.add_property(struct, name, kind)
        self._add_custom(struct)

    def add_property(self, struct: Any, name: str, kind: str) -> None:
        """Add one property; `kind` is the type of its definition, or `PATH`."""
        try:
            value = getattr(struct, name)
        except (AttributeError, RuntimeError, TypeError, ValueError):
            return  # not available in this state, which other properties say
        self.say(name)
        if kind == "COLLECTION":
            for item in value:
                if isinstance(item, bpy.types.ID):
                    self._name(item)
                elif item is not None:
                    self.add(item)
        elif kind == "PATH":  # which is another text in a copy that stands elsewhere
            owner = struct.id_data
            self.say(file_state(bpy.path.abspath(value, library=owner.library if owner else None)))
        elif kind != "POINTER":
            self.say(repr(plain(value)))
        elif isinstance(value, bpy.types.ID) and not value.is_embedded_data:
            self._name(value)
        elif isinstance(value, bpy.types.Node):
            self.say(value.name)
        elif value is not None:
            self.add(value)

    def _name(self, block: bpy.types.ID) -> None:
        self.say(block.name_full)
        self._refer(block)

    def _add_custom(self, struct: Any) -> None:
        """Custom properties, and the inputs of geometry nodes modifiers before Blender 5.2."""
        try:
            keys = [key for key in struct.keys() if key not in struct.bl_rna.properties]  # noqa: SIM118 - no mapping
        except (AttributeError, TypeError):
            return
        for key in sorted(keys):
            if key == "cycles" or key in _PASSING or key.startswith("splat_"):
                continue
            value = struct[key]
            if isinstance(value, bpy.types.ID):
                self.say(key)
                self._name(value)
            else:
                self.say(f"{key}:{plain(value)!r}")


@cache
def _properties(kind: Any) -> list[tuple[str, str]]:
    """Name and type of the properties of a class that say how it renders."""
    rna: Any = kind.bl_rna  # type: ignore[attr-defined]
    if issubclass(kind, bpy.types.NodeSocket):
        return [(name, rna.properties[name].type) for name in ("identifier", "default_value") if name in rna.properties]
    if issubclass(kind, bpy.types.NodeTree):
        return [("nodes", "COLLECTION"), ("links", "COLLECTION")]
    base = set(bpy.types.Node.bl_rna.properties.keys()) - {"mute", "inputs", "outputs"}
    left_out = base if issubclass(kind, bpy.types.Node) else set()
    named = [
        (spec.identifier, "PATH" if spec.type == "STRING" and spec.subtype in _PATHS else spec.type)
        for spec in rna.properties
        if not _is_passing(spec)
    ]
    return [(name, type_) for name, type_ in named if name not in left_out]


def _is_passing(spec: bpy.types.Property) -> bool:
    name = spec.identifier
    if name in _RELEVANT:
        return False
    if spec.type in ("POINTER", "COLLECTION"):
        is_unsaved = spec.fixed_type.identifier in _COMPUTED
    else:
        is_unsaved = spec.is_readonly
    is_unsaved = is_unsaved or getattr(spec, "is_deprecated", False)  # reading it would warn
    return is_unsaved or name in _PASSING or name.startswith(_PASSING_PREFIXES)


def file_state(path: str) -> str:
    """What changes when a file does; empty when there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return ""
    if not os.path.isfile(path):
        return ""  # folders that outputs go to change with every output
    return f"{os.path.basename(path)}:{found.st_size}:{found.st_mtime_ns}"


def plain(value: Any) -> Any:
    """What has the same text in every session."""
    if isinstance(value, bool | int | float | str | None):
        return value
    if isinstance(value, set):
        return sorted(value)
    if isinstance(value, bpy.types.ID):
        return value.name_full
    if hasattr(value, "to_dict"):
        return sorted((key, plain(item)) for key, item in value.to_dict().items())
    try:
        return [plain(item) for item in value]
    except TypeError:
        return type(value).__name__
