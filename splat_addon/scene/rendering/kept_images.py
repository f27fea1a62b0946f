"""Which finished images of an interrupted capture would be the same now."""

import json
from hashlib import blake2b

import bpy

from ...capture.camera import Camera
from ...files import remove_file
from ...run.folder import write_json
from ...run.render_folder import RenderFolder, RenderPlan
from ..cameras.shots import set_frame
from ..splats.hidden_source import rendered_objects
from . import passes
from .fingerprint.state import read_state


class KeptImages:
    """Keeps a record beside the images: of each its camera, and of each frame what the scene showed there.

    Made when the copy is set up for rendering. `photos` are those that can stay; all others were deleted.
    """

    def __init__(self, folder: RenderFolder, plan: RenderPlan, cameras: dict[str, Camera], layer: bpy.types.ViewLayer):
        self._folder, self._scene, self._layer = folder, layer.id_data, layer
        self._painted = {name for name, _ in plan.unsaved_images}
        self._cameras = {shot.photo: f"{shot.frame} {camera_text(cameras[shot.photo])}" for shot in plan.shots}
        self._states: dict[str, str] = {}
        evaluate_what_renders(layer)
        self.photos = self._find(plan)
        for file in (folder.path / "images").glob("*"):
            if f"images/{file.name}" not in self.photos:
                remove_file(file)
        self._write()
        for name in ("images", "depths", "normals"):
            (folder.path / name).mkdir(exist_ok=True)

    def record(self, frame: float) -> None:
        """Before an image is made: remember what the scene shows at its frame, where it is. Raises OSError."""
        if str(frame) not in self._states:
            self._states[str(frame)] = self._state()
            self._write()

    def _find(self, plan: RenderPlan) -> set[str]:
        try:
            before = json.loads(self._folder.state_file.read_text(encoding="utf-8"))
            cameras, states = dict(before["cameras"]), dict(before["states"])
        except (OSError, ValueError, KeyError, TypeError):
            return set()
        path = self._folder.path
        wanted = [name for name, is_wanted in (("depths", plan.depth), ("normals", plan.normals)) if is_wanted]
        kept = set()
        for shot in plan.shots:
            files = [path / shot.photo, *(path / name / passes.pass_name(shot.photo) for name in wanted)]
            if cameras.get(shot.photo) != self._cameras[shot.photo] or not all(file.is_file() for file in files):
                continue
            frame = str(shot.frame)
            if frame not in self._states:
                set_frame(self._scene, shot.frame)
                self._states[frame] = self._state()
            if states.get(frame) == self._states[frame]:
                kept.add(shot.photo)
        return kept

    def _state(self) -> str:
        state = read_state(self._scene, self._layer, self._painted)
        parts = sorted((part, mark.exact) for part, mark in state.items())
        return blake2b(repr((bpy.app.version_string, parts)).encode(), digest_size=8).hexdigest()

    def _write(self) -> None:
        write_json(self._folder.state_file, {"cameras": self._cameras, "states": self._states})


def evaluate_what_renders(layer: bpy.types.ViewLayer) -> None:
    """Show in the viewport what renders show: only that is evaluated, and can be compared frame by frame."""
    for item in rendered_objects(layer):
        item.hide_viewport = False
        item.hide_set(False, view_layer=layer)
    waiting = [layer.layer_collection]
    while waiting:
        collection = waiting.pop()
        if not collection.exclude and not collection.collection.hide_render:
            collection.hide_viewport = collection.collection.hide_viewport = False
            waiting += collection.children


def camera_text(camera: Camera) -> str:
    """The numbers of a camera, for comparison."""
    numbers = [camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy, *camera.camera_from_world.flat]
    return " ".join(f"{number:.9g}" for number in numbers)
