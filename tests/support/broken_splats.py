"""What artists do to splats with Blender's own tools, at random, and what each point's gaussian should look like then.

Each point carries its truth in three attributes: the linear map that its gaussian lags behind by. It is brought up to
date beside each step from what Blender was told to do, so that what is noticed is judged by what was done.
"""

from dataclasses import dataclass, field

import bpy
import numpy as np

from support.editing import add_splats, make_active

STEPS = ("move", "turn", "apply", "join", "delete", "undo", "duplicate", "mirror", "repair", "apply_exactly")
ROWS = ("truth_x", "truth_y", "truth_z")


@dataclass
class Sequence:
    """One random sequence on a few objects; `extension` is the enabled one."""

    extension: object
    random: np.random.Generator
    done: list[str] = field(default_factory=list)

    def begin(self, count: int = 2) -> None:
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
        for number in range(count):
            seed = int(self.random.integers(1 << 30))
            item = add_splats(
                self.extension, f"S{number}", count=int(self.random.integers(60, 200)), degree=1, seed=seed
            )
            write_truth(item.data, np.tile(np.eye(3), (len(item.data.attributes["position"].data), 1, 1)))
        bpy.ops.ed.undo_push(message="Begin")

    def step(self) -> None:
        name = str(self.random.choice(STEPS))
        items = sorted(
            (one for one in bpy.data.objects if one.type in ("MESH", "POINTCLOUD")), key=lambda one: one.name
        )
        item = items[int(self.random.integers(len(items)))]
        make_active(item)
        if getattr(self, f"_{name}")(item, items) is not False:
            bpy.context.view_layer.update()
            self.done.append(name)
            if name != "undo":
                bpy.ops.ed.undo_push(message=name)

    def _move(self, item, _items):
        item.location = self.random.normal(0, 2, 3)

    def _turn(self, item, _items):
        if self.random.random() < 0.5:
            item.rotation_euler = self.random.uniform(-3, 3, 3)
        else:
            item.scale = [self.random.uniform(0.4, 2.5)] * 3

    def _apply(self, item, _items):
        parts = {name: bool(self.random.random() < 0.7) for name in ("location", "rotation", "scale")}
        before = np.array(item.matrix_basis, float)
        bpy.ops.object.transform_apply(**parts)
        self._lag(item, np.linalg.inv(np.array(item.matrix_basis, float)) @ before)

    def _lag(self, item, matrix) -> None:
        write_truth(item.data, np.array(matrix, float)[:3, :3] @ read_truth(item.data))

    def _join(self, item, items):
        others = [one for one in items if one != item]
        if not others or len(items) < 2:
            return False
        for other in others:
            matrix = np.linalg.inv(np.array(item.matrix_world, float)) @ np.array(other.matrix_world, float)
            self._lag(other, matrix)
        make_active(item, *others)
        bpy.ops.object.join()

    def _delete(self, item, _items):
        count = len(item.data.attributes["position"].data)
        if count < 60:
            return False
        choosing = self.extension.module("splat_addon.scene.inspection.choosing")
        choosing.delete(item.data, self.random.random(count) < self.random.uniform(0.05, 0.4))

    def _undo(self, _item, _items):
        if not self.done or self.done[-1] == "undo":
            return False
        bpy.ops.ed.undo()

    def _duplicate(self, item, items):
        if len(items) > 3:
            return False
        twin = item.copy()
        twin.data = item.data.copy()
        bpy.context.scene.collection.objects.link(twin)

    def _mirror(self, item, _items):
        axis = int(self.random.integers(3))
        item.scale[axis] *= -1
        self._apply(item, _items)

    def _repair(self, item, _items):
        if not self.extension.module("splat_addon.scene.splats.transforms").is_broken(item.data):
            return False
        bpy.ops.splat.repair()
        write_truth(item.data, np.tile(np.eye(3), (len(item.data.attributes["position"].data), 1, 1)))

    def _apply_exactly(self, item, _items):
        before = np.array(item.matrix_basis, float)
        bpy.ops.splat.apply_transform()
        linear = (np.linalg.inv(np.array(item.matrix_basis, float)) @ before)[:3, :3]
        write_truth(item.data, linear @ read_truth(item.data) @ np.linalg.inv(linear))

    def judge(self) -> list[tuple[bool, bool, float]]:
        """For each object: whether it is broken, whether that is noticed, and how far the maps that were found are from
        the truth, the largest entry of any."""
        bpy.context.view_layer.update()
        transforms = self.extension.module("splat_addon.scene.splats.transforms")
        found = []
        for item in bpy.data.objects:
            if item.type not in ("MESH", "POINTCLOUD"):
                continue
            truth = read_truth(item.data)
            motions = transforms.motions_in(item.data)
            guess = np.tile(np.eye(3), (len(truth), 1, 1))
            for motion in motions.groups:
                guess[motion.which] = motion.linear
            is_broken = bool(np.abs(truth - np.eye(3)).max() > 1e-4)
            sizes = np.abs(truth).max(axis=(1, 2), initial=1.0)
            error = float((np.abs(guess - truth).max(axis=(1, 2)) / sizes).max())
            found.append((is_broken, transforms.is_broken(item.data), error))
        return found


def read_truth(data) -> np.ndarray:
    """(N, 3, 3) the maps that gaussians lag behind by."""
    rows = []
    for name in ROWS:
        values = np.empty(3 * len(data.attributes[name].data), np.float32)
        data.attributes[name].data.foreach_get("vector", values)
        rows.append(values.reshape(-1, 3))
    return np.stack(rows, axis=1).astype(np.float64)


def write_truth(data, maps: np.ndarray) -> None:
    for name in ROWS:
        if name not in data.attributes:
            data.attributes.new(name, "FLOAT_VECTOR", "POINT")
    for row, name in enumerate(ROWS):
        data.attributes[name].data.foreach_set("vector", maps[:, row].astype(np.float32).ravel())
    data.update_tag()
