"""What a render of a scene shows at its current frame: a mark for every part of it.

Read in the artist's Blender and again in the one that renders a copy, it tells what the copy lacks; read at two times,
it tells whether a finished image may be kept. Geometry is looked at as the viewport evaluates it. What the viewport
leaves out (hidden objects, modifiers for renders alone) is told by its settings and unevaluated data. Left out are
splats, which captures never show, and cameras, which are compared by their numbers.
"""

from hashlib import blake2b
from typing import Any

import bpy
import numpy as np

from ...splats.data import is_splats
from ...splats.hidden_source import rendered_objects
from ..render_settings import kept_settings
from .geometry import geometry_mark, hair_mark
from .marks import Mark, MarkMaker, mark_of
from .properties import PropertyDigest, file_state, plain

# By (aspect, name). Aspects: of objects `shape`, `place`, `copies`, `settings`, `hair`; of what they use, the name
# of its type, such as `Material` or `Image`; `setting` of the scene.
State = dict[tuple[str, str], Mark]

_UNSEEN = ("CAMERA", "ARMATURE", "LATTICE", "SPEAKER", "EMPTY")  # without instances, nothing of these is rendered
_OBJECT_SETTINGS = (
    "visible_camera", "visible_diffuse", "visible_glossy", "visible_transmission", "visible_volume_scatter",
    "visible_shadow", "is_holdout", "is_shadow_catcher", "pass_index", "color", "instance_type", "instance_collection",
    "use_instance_faces_scale", "instance_faces_scale", "lightgroup", "shadow_terminator_normal_offset",
    "shadow_terminator_geometry_offset", "shadow_terminator_shading_offset", "modifiers", "particle_systems",
    "light_linking", "cycles",
)  # fmt: skip
_SILENT = (bpy.types.Scene, bpy.types.Action, bpy.types.Library)  # what they do is seen by what it does


def read_state(
    scene: bpy.types.Scene, layer: bpy.types.ViewLayer, painted: set[str], with_cycles: bool = True
) -> State:
    """The state of a scene at its current frame, as `layer` shows it.

    `painted` are the full names of images to be looked at pixel by pixel; without `with_cycles` what only a Blender
    with Cycles knows is left out. Changes nothing.
    """
    layer.update()
    return _Reader(scene, layer, painted, with_cycles).read()


class _Reader:
    def __init__(self, scene: bpy.types.Scene, layer: bpy.types.ViewLayer, painted: set[str], with_cycles: bool):
        self._scene, self._layer, self._painted = scene, layer, painted
        self._with_cycles = with_cycles and hasattr(bpy.types.Scene, "cycles")
        self._depsgraph: Any = layer.depsgraph
        self._state: State = {}
        self._waiting: dict[tuple[str, str], bpy.types.ID] = {}
        self._shapes: dict[int, Mark | None] = {}  # by address of the evaluated data; None: of splats

    def read(self) -> State:
        objects = {
            item.name_full: item for item in rendered_objects(self._layer) if not is_splats(item) and _is_seen(item)
        }
        evaluated = self._read_instances(objects)
        for name in sorted(objects):
            self._read_object(objects[name], name in evaluated)
        world = self._layer.world_override if hasattr(self._layer, "world_override") else None
        world = world or self._scene.world
        if world:
            self._refer(world)
        for path, value in kept_settings(self._scene, self._layer):
            if self._with_cycles or not path.startswith(("cycles", "layer.cycles")):
                self._state["setting", path] = Mark(repr(plain(value)))
        while self._waiting:
            _, block = self._waiting.popitem()
            self._read_block(block)
        return self._state

    def _read_instances(self, objects: dict[str, bpy.types.Object]) -> set[str]:
        """Place and shape of everything the viewport shows of `objects`; returns the names of those it shows."""
        instances: Any = self._depsgraph.object_instances
        rows: dict[str, list[int]] = {}
        shown: dict[str, MarkMaker] = {}
        found = set()
        for row, instance in enumerate(instances):
            item = instance.object
            is_copy = instance.is_instance
            owner = (instance.parent if is_copy else item).name_full
            if owner not in objects:
                continue
            shape = self._shape(item)
            if shape is None:
                continue
            if is_copy:
                rows.setdefault(owner, []).append(row)
                shown.setdefault(owner, MarkMaker()).say(shape.exact if not shape.sketch else shape.firm)
            else:
                found.add(owner)
                self._state["shape", owner] = shape
                self._state["place", owner] = matrix_mark(item)
        if rows:
            matrices = np.empty(16 * len(instances), dtype=np.float32)
            instances.foreach_get("matrix_world", matrices)
            for owner, which in rows.items():
                shown[owner].add(matrices.reshape(-1, 16)[which])
                self._state["copies", owner] = shown[owner].mark()
        return found

    def _shape(self, item: bpy.types.Object) -> Mark | None:
        """The mark of an evaluated object's data with its materials; None for splats."""
        data: Any = item.data
        if data is None:
            return Mark("")
        address = data.as_pointer()
        if address not in self._shapes:
            self._shapes[address] = None if is_splats(item) else self._read_shape(item)
        return self._shapes[address]

    def _read_shape(self, item: bpy.types.Object) -> Mark:
        if item.type in ("LIGHT", "LIGHT_PROBE", "VOLUME"):
            self._refer(item.data)
        names = [slot.material.name_full if slot.material else "" for slot in item.material_slots]
        for slot in item.material_slots:
            if slot.material:
                self._refer(slot.material)
        for material in getattr(item.data, "materials", ()):
            names.append(material.name_full if material else "")
            if material:
                self._refer(material)
        maker = MarkMaker()
        maker.say(repr(names))
        maker.add_mark(geometry_mark(item))
        return maker.mark()

    def _read_object(self, item: bpy.types.Object, is_evaluated: bool) -> None:
        name = item.name_full
        if not is_evaluated:
            self._read_hidden(item)
        digest = PropertyDigest(self._refer, self._with_cycles)
        for setting in _OBJECT_SETTINGS:
            spec = item.bl_rna.properties.get(setting)
            if spec is not None and (setting != "cycles" or self._with_cycles):
                digest.add_property(item, setting, spec.type)
        self._state["settings", name] = Mark(digest.text())
        if len(item.particle_systems) and is_evaluated:
            self._state["hair", name] = hair_mark(item.evaluated_get(self._depsgraph))

    def _read_hidden(self, item: bpy.types.Object) -> None:
        """What renders show and the viewport does not evaluate, as it was made and as it moves."""
        name = item.name_full
        if ("place", name) in self._state:
            return
        shape = self._shape(item)
        if shape is None:
            return
        self._state["shape", name] = shape
        digest = PropertyDigest(lambda block: None, False)
        digest.say(repr(np.array(item.matrix_basis).tolist()) + (item.parent.name_full if item.parent else ""))
        action = item.animation_data and item.animation_data.action
        if action:
            digest.add(action)
        self._state["place", name] = Mark(digest.text())

    def _refer(self, block: bpy.types.ID) -> None:
        """Let a data-block that something uses be read, too."""
        original: bpy.types.ID = block.original or block
        key = (type(original).__name__, original.name_full)
        if key not in self._state and not isinstance(original, _SILENT):
            self._waiting[key] = original

    def _read_block(self, block: bpy.types.ID) -> None:
        key = (type(block).__name__, block.name_full)
        self._state[key] = Mark("")  # it may refer to itself
        if isinstance(block, bpy.types.Image):
            self._state[key] = Mark(image_hash(block, block.name_full in self._painted))
        elif isinstance(block, bpy.types.Object):
            del self._state[key]
            self._read_referenced(block)
        elif isinstance(block, bpy.types.Collection):
            names = sorted(item.name_full for item in block.all_objects if not is_splats(item))
            self._state[key] = Mark(repr(names))
        elif isinstance(block, bpy.types.Text):
            self._state[key] = Mark(blake2b(block.as_string().encode(), digest_size=8).hexdigest())
        else:
            digest = PropertyDigest(self._refer, self._with_cycles)
            digest.add(block)  # where Blender puts animated and driven values, too
            self._state[key] = Mark(digest.text())

    def _read_referenced(self, item: bpy.types.Object) -> None:
        """An object that a modifier or a material refers to, whether it is rendered or not."""
        name = item.name_full
        if ("place", name) in self._state or is_splats(item) or item.type == "CAMERA":
            return
        now = item.evaluated_get(self._depsgraph)
        if now == item:
            self._read_hidden(item)
            return
        shape = self._shape(now)
        if shape is not None:
            self._state["shape", name] = shape
            self._state["place", name] = matrix_mark(now)


def _is_seen(item: bpy.types.Object) -> bool:
    return item.type not in _UNSEEN or item.instance_type != "NONE"


def matrix_mark(item: bpy.types.Object) -> Mark:
    """Where an evaluated object stands in the world."""
    return mark_of(np.array(item.matrix_world, dtype=np.float32))


def image_hash(image: bpy.types.Image, is_painted: bool) -> str:
    """A hash of an image: by pixels where it is painted, by its packed file, or by what its file says of itself."""
    packed: Any = image.packed_files
    about: list[Any] = [image.alpha_mode, image.colorspace_settings.name]
    if is_painted:
        pixels = np.empty(image.size[0] * image.size[1] * image.channels, dtype=np.float32)
        image.pixels.foreach_get(pixels)
        rounded = pixels.astype(np.float16) if image.is_float else np.rint(pixels * 255).astype(np.uint8)
        about.append(mark_of(rounded).exact)
    elif len(packed):
        about += [blake2b(file.packed_file.data, digest_size=8).hexdigest() for file in packed]
    elif image.source == "GENERATED":
        about += [image.generated_type, image.generated_color[:], image.generated_width, image.generated_height]
    elif image.source == "TILED":
        for tile in image.tiles:
            path = image.filepath.replace("<UDIM>", str(tile.number))
            about.append(file_state(bpy.path.abspath(path, library=image.library)))
    else:
        about.append(file_state(bpy.path.abspath(image.filepath, library=image.library)))
    return blake2b(repr(about).encode(), digest_size=8).hexdigest()
