"""A hash of everything in the open file that can change a render, the same whenever the same file is opened.

It decides whether images of an interrupted capture may be kept. What is doubtful is hashed: rendering twice is slow,
keeping an image of another scene is wrong. It is read right after opening a file, when nothing is computed yet.
"""

import hashlib
import os
from typing import Any

import bpy
import numpy as np

# Collections of bpy.data that no render looks at; images are looked at as files.
_INTERFACE = {
    "all_ids",
    "screens",
    "window_managers",
    "workspaces",
    "brushes",
    "palettes",
    "paint_curves",
    "libraries",
    "images",
}
# Properties that change while nobody changes the scene: interface, selection, the current frame; and this extension's.
_PASSING = {
    "rna_type", "splat", "camera", "tool_settings", "cursor", "frame_current", "frame_subframe", "frame_float",
    "hide_viewport", "preview", "asset_data", "particles", "child_particles", "override_library",
}  # fmt: skip
_PASSING_PREFIXES = ("select", "active", "show_", "use_fake")
_RELEVANT = {"show_render"}  # of modifiers
# What Blender computes while it runs and no file holds; a walk into it ends in evaluated memory that may be gone.
_COMPUTED = {"Depsgraph", "ClothSolverResult", "NodesModifierWarning"}
# What a mesh, a point cloud or hair curves also say by their attributes.
_GEOMETRY = {
    "vertices", "edges", "loops", "polygons", "loop_triangles", "loop_triangle_polygons", "uv_layers", "vertex_colors",
    "color_attributes", "attributes", "points", "curves", "vertex_normals", "polygon_normals", "corner_normals",
    "position_data", "normals", "curve_offset_data", "vertex_paint_masks", "skin_vertices",
}  # fmt: skip
_KEYS = {"FLOAT_COLOR": "color", "BYTE_COLOR": "color", "FLOAT_VECTOR": "vector", "FLOAT2": "vector"}
_TYPES = {"INT": np.int32, "INT8": np.int32, "BOOLEAN": np.int8, "INT16_2D": np.int32, "INT32_2D": np.int32}


def scene_fingerprint(without: set[str]) -> str:
    """A short hash of the open file; objects with full names in `without`, and their lenses, are left out."""
    digest = hashlib.sha256(bpy.app.version_string.encode())
    lenses = {item.data.name_full for item in bpy.data.objects if item.name_full in without and item.data}
    collections = {spec.identifier for spec in bpy.data.bl_rna.properties if spec.type == "COLLECTION"}
    for collection in sorted(collections - _INTERFACE):
        left_out = {"objects": without, "cameras": lenses}.get(collection, set())
        for block in sorted(getattr(bpy.data, collection), key=lambda block: block.name_full):
            if block.name_full not in left_out:
                _Hasher(digest, without).add_block(collection, block)
    for image in sorted(bpy.data.images, key=lambda image: image.name_full):
        _add_image(digest, image)
    for library in bpy.data.libraries:
        digest.update(_file_state(bpy.path.abspath(library.filepath)).encode())
    return digest.hexdigest()[:16]


class _Hasher:
    """Adds one data-block with all that belongs to it; what was added before is only named."""

    def __init__(self, digest, without: set[str]):
        self._digest, self._without = digest, without
        self._seen: set[int] = set()

    def add_block(self, collection: str, block: bpy.types.ID) -> None:
        self._say(f"\n{collection}/{block.name_full}")
        self._add_struct(block)

    def _say(self, text: str) -> None:
        self._digest.update(text.encode("utf-8", "replace"))

    def _add_struct(self, struct: Any) -> None:
        known = (struct.as_pointer(), struct.bl_rna.identifier)
        if hash(known) in self._seen:
            self._say(str(getattr(struct, "name", "")))
            return
        self._seen.add(hash(known))
        has_attributes = isinstance(struct, bpy.types.ID) and hasattr(struct, "attributes")
        if has_attributes:
            self._add_attributes(struct)
        for spec in struct.bl_rna.properties:
            if not _is_passing(spec) and not (has_attributes and spec.identifier in _GEOMETRY):
                self._add_property(struct, spec)
        self._add_custom(struct)

    def _add_property(self, struct: Any, spec: bpy.types.Property) -> None:
        try:
            value = getattr(struct, spec.identifier)
        except (AttributeError, RuntimeError, TypeError, ValueError):
            return  # not available in this state, which other properties say
        self._say(f";{spec.identifier}=")
        if spec.type == "COLLECTION":
            for item in value:
                if isinstance(item, bpy.types.ID):
                    self._say("" if item.name_full in self._without else item.name_full + ",")
                elif item is not None:
                    self._add_struct(item)
        elif spec.type != "POINTER":
            self._say(repr(_plain(value)))
            if spec.identifier == "filepath" and not isinstance(struct, bpy.types.RenderSettings):
                self._say(_file_state(bpy.path.abspath(value)))
        elif isinstance(value, bpy.types.ID) and not value.is_embedded_data:
            self._say(value.name_full)
        elif value is not None:
            self._add_struct(value)

    def _add_attributes(self, data: Any) -> None:
        for attribute in data.attributes:
            if attribute.name.startswith((".select", ".hide")) or not len(attribute.data):
                continue
            self._say(f"{attribute.name} {attribute.domain} {attribute.data_type}")
            if attribute.data_type == "STRING":
                self._say(repr([item.value for item in attribute.data]))
                continue
            key = _KEYS.get(attribute.data_type, "value")
            key = key if hasattr(attribute.data[0], key) else "vector"
            width = attribute.data[0].bl_rna.properties[key].array_length or 1
            if attribute.data_type == "FLOAT4X4":
                width = 16
            values = np.empty(len(attribute.data) * width, dtype=_TYPES.get(attribute.data_type, np.float32))
            attribute.data.foreach_get(key, values)
            self._digest.update(values.tobytes())
        if isinstance(data, bpy.types.Mesh):
            starts = np.empty(len(data.polygons), dtype=np.int32)
            data.polygons.foreach_get("loop_start", starts)
            self._digest.update(starts.tobytes())
            weights = [(group.group, group.weight) for vertex in data.vertices for group in vertex.groups]
            self._digest.update(np.array(weights, dtype=np.float64).tobytes())

    def _add_custom(self, struct: Any) -> None:
        """Custom properties, and the inputs of geometry nodes modifiers before Blender 5.2."""
        try:
            keys = [key for key in struct.keys() if key not in struct.bl_rna.properties]  # noqa: SIM118 - no mapping
        except (AttributeError, TypeError):
            return
        for key in sorted(keys):
            if key != "cycles" and key not in _PASSING:
                self._say(f";{key}:{_plain(struct[key])!r}")


def _is_passing(spec: bpy.types.Property) -> bool:
    name = spec.identifier
    if name in _RELEVANT:
        return False
    if spec.type in ("POINTER", "COLLECTION"):
        is_unsaved = spec.fixed_type.identifier in _COMPUTED
    else:
        is_unsaved = spec.is_readonly
    return is_unsaved or name in _PASSING or name.startswith(_PASSING_PREFIXES)


def _add_image(digest, image: bpy.types.Image) -> None:
    about = (image.name_full, image.source, image.alpha_mode, image.colorspace_settings.name, image.generated_color[:])
    digest.update(repr(about).encode())
    if image.packed_file is not None:
        digest.update(image.packed_file.data)
    elif image.filepath:
        digest.update(_file_state(bpy.path.abspath(image.filepath, library=image.library)).encode())


def _file_state(path: str) -> str:
    if not os.path.isfile(path):
        return ""  # folders that outputs go to change with every output
    found = os.stat(path)
    return f"{path}:{found.st_size}:{found.st_mtime_ns}"


def _plain(value: Any) -> Any:
    """What has the same text in every session."""
    if isinstance(value, bool | int | float | str | None):
        return value
    if isinstance(value, set):
        return sorted(value)
    if isinstance(value, bpy.types.ID):
        return value.name_full
    if hasattr(value, "to_dict"):
        return sorted((key, _plain(item)) for key, item in value.to_dict().items())
    try:
        return [_plain(item) for item in value]
    except TypeError:
        return type(value).__name__
