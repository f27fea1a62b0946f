"""A photo capture in the scene: one root empty, below it a camera for each photo and the sparse points.

The root alone carries orientation and scale. Everything below it stands where the capture's files say, in the
capture's own axes, so that training, which knows nothing of Blender, sees the same.
"""

import contextlib
import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

from ...capture.camera import OPENCV_FROM_OPENGL, Camera
from ...capture.capture import Capture, View
from ...capture.choices import AUTOMATIC, CaptureChoices
from ...capture.photos.orientation import AS_STORED, swaps_sides
from ...capture.photos.records import read_orientation
from ...capture.remarks import Remark
from ...capture.upright import held_upright, middle, upright_from_world
from ...errors import CaptureError, RunError, some_of
from ..cameras import looking
from ..cameras.conversion import pose_matrix, set_lens, set_picture
from ..own_data import require_local
from ..settings.paths import absolute, local_or_asked, path_text
from ..settings.training import is_chosen_capture, reading_choices
from .points import points_to_object

ROOT_KEY = "splat_capture"  # on the root: the capture's folder
POINTS_KEY = "splat_points"  # on the points
_CHOICES_KEY = "splat_choices"  # on the root: what was decided by hand about reading the files, as JSON
PHOTO_KEY = "splat_photo"  # on a camera: what the capture's files call its photo; on an image: that it is one
_PICTURE_KEY = "splat_picture"  # on a camera: width, height in pixels, and a pixel's height over its width
_POSE_KEY = "splat_pose"  # on a camera: where it was measured, row by row, to see whether somebody has moved it
_TURN_KEY = "splat_turn"  # on a camera: the Exif orientation that turns its picture upright; absent where it is
_DISTANCE_KEY = "splat_distance"  # on the root: from the cameras to what they look at, in capture units
_FOLDERS = ("photos_folder", "model_folder")  # of the choices, in which they are paths
_CLOCKWISE_RAD = {3: np.pi, 5: -np.pi / 2, 6: np.pi / 2, 7: np.pi / 2, 8: -np.pi / 2}  # by orientation, once mirrored
_SQUARE_PX = 0.5  # pixels that fx != fy may move at the border before it is worth a word
_VISIBLE_DISTORTION_PX = 1.0


@dataclass(frozen=True)
class Opened:
    """What was made of a capture, and what the artist should know: what was decided about it, what is wrong."""

    root: bpy.types.Object
    camera_count: int
    point_count: int
    remarks: list[Remark] = field(default_factory=list)


def open_in_scene(scene: bpy.types.Scene, capture: Capture, name: str, choices: CaptureChoices = AUTOMATIC) -> Opened:
    """Make cameras, backgrounds and points of `capture`, which was read by `choices`, below a new root, in a new
    collection of that name.

    Photos are not decoded: Blender does that when a camera is looked through. The scene's settings stay as they are.
    Raises CaptureError when the capture is open in this scene already; then nothing was changed.
    """
    open_root = find_root(scene, capture.folder)
    if open_root is not None:
        raise CaptureError(
            f"This capture is already open, below '{open_root.name}'; nothing was changed.",
            "Use Open Again to read its files again.",
        )
    require_local(scene)
    collection = bpy.data.collections.new(name)
    scene.collection.children.link(collection)
    root = bpy.data.objects.new(name, None)
    root[ROOT_KEY] = path_text(capture.folder)
    root.empty_display_size = 0.15 * _distance(capture)
    collection.objects.link(root)
    return _filled(scene, root, capture, choices, collection)


def open_again(scene: bpy.types.Scene, root: bpy.types.Object, capture: Capture, choices: CaptureChoices) -> Opened:
    """Bring what was read of a capture's files again below the root that it has. Cameras of the same photos stay the
    objects that they are, where somebody has moved them, too; the root, and what else hangs on it, is left alone."""
    require_local(scene)
    listed = {view.listed_as for view in capture.all_views}
    gone = [item for item in photo_cameras(root) if item[PHOTO_KEY] not in listed]
    gone += [item for item in root.children if POINTS_KEY in item]
    if scene.camera in gone and looking.is_looking(scene):
        looking.end(bpy.context, scene)
    _remove(gone)
    photos = {entry.image for item in photo_cameras(root) for entry in item.data.background_images if entry.image}
    opened = _filled(scene, root, capture, choices, root.users_collection[0])
    bpy.data.batch_remove([image for image in photos if image.users == 0])
    seen = scene.camera
    if seen is not None and looking.is_looking(scene) and seen.parent == root and PHOTO_KEY in seen:
        _show_as_large(scene, seen)
    return opened


def choices_of(scene: bpy.types.Scene, root: bpy.types.Object) -> CaptureChoices:
    """How the capture below a root is to be read: as the scene's settings say if it is the chosen one, else as it was
    read. Raises RunError for a folder that nobody has asked for."""
    folder = folder_of(root)
    return reading_choices(scene, folder) if is_chosen_capture(scene, folder) else choices_as_read(root)


def choices_as_read(root: bpy.types.Object) -> CaptureChoices:
    """How the capture below a root was read when it was opened. Raises RunError as `choices_of` does."""
    try:
        choices = CaptureChoices(**json.loads(str(root.get(_CHOICES_KEY, "{}"))))
        folders = {name: getattr(choices, name) for name in _FOLDERS}
        return replace(choices, **{name: str(absolute(text)) for name, text in folders.items() if text})
    except (TypeError, ValueError, AttributeError):  # somebody has edited it
        return AUTOMATIC


def _distance(capture: Capture) -> float:
    """From the cameras to what they look at, in the median, capture units."""
    cameras = [view.camera for view in capture.all_views]
    center = middle(cameras, capture.points.positions if capture.points is not None else np.empty((0, 3)))
    return float(np.median([np.linalg.norm(camera.position - center) for camera in cameras])) or 1.0


def _filled(
    scene: bpy.types.Scene,
    root: bpy.types.Object,
    capture: Capture,
    choices: CaptureChoices,
    collection: bpy.types.Collection,
) -> Opened:
    """Cameras and points below `root`; those cameras that are there already are brought up to date."""
    distance, aspect = _distance(capture), _frame_aspect(scene.render)
    folders = {name: path_text(Path(getattr(choices, name))) for name in _FOLDERS if getattr(choices, name)}
    root[_DISTANCE_KEY], root[_CHOICES_KEY] = distance, json.dumps({**asdict(choices), **folders})
    there = {item[PHOTO_KEY]: item for item in photo_cameras(root)}
    unreadable = []
    for view in capture.all_views:
        item = there.get(view.listed_as) or _new_camera(view, root, collection)
        _set_camera(item, view)
        try:
            _show_photo(item.data, view, aspect, scene.splat.review.opacity)
        except RuntimeError:
            unreadable.append(view.name)
    point_count = 0 if capture.points is None else len(capture.points.positions)
    if capture.points is not None and point_count:
        points = points_to_object(capture.points, f"{root.name} Points", 0.0015 * distance, collection)
        points.parent = root
        points[POINTS_KEY] = True
    fit_to_scale(root)
    remarks = [*capture.remarks, *_about_cameras(capture, unreadable)]
    return Opened(root, len(capture.all_views), point_count, remarks)


def find_root(scene: bpy.types.Scene, folder: Path) -> bpy.types.Object | None:
    """The root of the capture in `folder`, if it is open in this scene. None for one on a share that the artist has not
    chosen."""
    with contextlib.suppress(RunError):
        wanted = local_or_asked(str(folder)).resolve()
        for root in roots(scene):
            place = folder_if_known(root)
            if place is not None and place.resolve() == wanted:
                return root
    return None


def roots(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """The roots of all captures that are open in a scene."""
    return [item for item in scene.objects if ROOT_KEY in item]


def root_of(item: bpy.types.Object | None) -> bpy.types.Object | None:
    """The root that an object is, or lies below."""
    while item is not None and ROOT_KEY not in item:
        item = item.parent
    return item


def folder_of(root: bpy.types.Object) -> Path:
    """The folder of the capture below a root. Raises RunError when it is relative to a file that has no place."""
    return absolute(root[ROOT_KEY])


def folder_if_known(root: bpy.types.Object) -> Path | None:
    """The folder of the capture below a root; None where that cannot be told."""
    with contextlib.suppress(RunError):
        return folder_of(root)
    return None


def photo_cameras(root: bpy.types.Object) -> list[bpy.types.Object]:
    """The cameras of a capture, by name."""
    return sorted((item for item in root.children if PHOTO_KEY in item), key=lambda item: item[PHOTO_KEY])


def stand_upright(root: bpy.types.Object, distance: float | None) -> None:
    """Turn the root so that the photos' up is z, put what they show at the origin and, unless `distance` is None,
    scale so that the cameras are that far from it, in the median. Whatever the root was set to before is replaced."""
    items = photo_cameras(root)
    if not items:
        raise CaptureError(f"'{root.name}' has no cameras.", "Close the capture and open it again.")
    cameras = [_camera_in_capture(item) for item in items]
    points = next((item.data for item in root.children if POINTS_KEY in item), None)
    positions = None
    if points is not None:
        flat = np.empty(3 * len(points.attributes["position"].data), np.float32)
        points.attributes["position"].data.foreach_get("vector", flat)
        positions = flat.reshape(-1, 3)
    root.matrix_basis = Matrix(upright_from_world(cameras, positions, distance).tolist())
    fit_to_scale(root)


def fit_to_scale(root: bpy.types.Object) -> None:
    """Blender draws and clips cameras in world units, whatever their parents' scale: follow the root's."""
    distance = root[_DISTANCE_KEY] * abs(root.matrix_basis.to_scale()[0])
    items = photo_cameras(root)
    for item in items:
        item.data.display_size = 0.25 * distance / max(1.0, len(items) ** 0.5)
        item.data.clip_start, item.data.clip_end = 0.01 * distance, 1000.0 * distance  # Blender takes 1e-6 at least


def look_through(context: bpy.types.Context, scene: bpy.types.Scene, item: bpy.types.Object) -> None:
    """Look through a photo's camera with the render as large as the photo; `looking.end` gives all back."""
    looking.begin(scene)
    root = root_of(item)
    if root is not None:
        fit_to_scale(root)
    _show_as_large(scene, item)
    looking.look_through(context, scene, item)


def _show_as_large(scene: bpy.types.Scene, item: bpy.types.Object) -> None:
    width, height, pixel_aspect = item[_PICTURE_KEY]
    set_picture(scene.render, int(width), int(height), pixel_aspect)


def neighbour(item: bpy.types.Object, step: int) -> bpy.types.Object:
    """The photo's camera `step` places further in the capture, around its end."""
    root = root_of(item)
    items = photo_cameras(root) if root is not None else [item]
    return items[(items.index(item) + step) % len(items)]


def moved_cameras(root: bpy.types.Object, capture: Capture) -> list[str]:
    """Names of cameras that no longer stand where the capture says."""
    views = {view.listed_as: view for view in capture.all_views}
    moved = []
    for item in photo_cameras(root):
        view = views.get(item[PHOTO_KEY])
        if view is not None:
            apart = np.abs(np.array(item.matrix_basis) - np.array(pose_matrix(view.camera)))
            if apart[:3, :3].max() > 1e-4 or apart[:3, 3].max() > 1e-4 * root[_DISTANCE_KEY]:
                moved.append(item.name)
    return moved


def world_from_capture(root: bpy.types.Object) -> np.ndarray:
    """(4, 4) the similarity that the root stands for. Raises CaptureError when it is stretched or mirrored."""
    matrix = np.array(root.matrix_world, dtype=np.float64)
    turn = matrix[:3, :3]
    scale = float(np.cbrt(np.linalg.det(turn)))
    if scale <= 0 or not np.allclose(turn.T @ turn, scale**2 * np.eye(3), rtol=0, atol=1e-4 * scale**2):
        raise CaptureError(
            f"'{root.name}' is stretched, sheared or mirrored, which no camera can follow.",
            "Give it the same positive scale along all axes, or export in the capture's own axes.",
        )
    left, _, right = np.linalg.svd(turn)
    matrix[:3, :3] = scale * (left @ right)  # free of the rounding of 32-bit numbers
    return matrix


def close(scene: bpy.types.Scene, root: bpy.types.Object) -> int:
    """Remove a capture's root, cameras, points and unused photos from the file; what else hangs on the root stays
    where it is. Returns how many objects were removed."""
    doomed = [root, *(item for item in root.children if PHOTO_KEY in item or POINTS_KEY in item)]
    for item in [item for item in root.children if item not in doomed]:
        place = item.matrix_world.copy()
        item.parent = None
        item.matrix_world = place
    homes = set(root.users_collection)
    _remove(doomed)
    for home in homes - {scene.collection}:
        if not home.all_objects and not home.children:
            bpy.data.collections.remove(home)
    return len(doomed)


def _remove(doomed: list[bpy.types.Object]) -> None:
    """Remove objects with their data and their photos, unless others use these."""
    images = {
        entry.image for item in doomed if item.type == "CAMERA" for entry in item.data.background_images if entry.image
    }
    data = {item.data for item in doomed if item.data is not None}
    bpy.data.batch_remove(doomed)
    bpy.data.batch_remove([block for block in data if block.users == 0])
    bpy.data.batch_remove([image for image in images if image.users == 0])


def _new_camera(view: View, root: bpy.types.Object, collection: bpy.types.Collection) -> bpy.types.Object:
    lens = bpy.data.cameras.new(view.name)
    lens.passepartout_alpha = 0.9
    item = bpy.data.objects.new(view.name, lens)
    item.parent = root
    item.lock_location = item.lock_rotation = item.lock_scale = (True, True, True)  # it was measured
    item[PHOTO_KEY] = view.listed_as
    collection.objects.link(item)
    return item


def _set_camera(item: bpy.types.Object, view: View) -> None:
    """Lens and pose as the capture's files say, unless somebody has moved the camera since they were read."""
    set_lens(item.data, view.camera)
    measured, pose = item.get(_POSE_KEY), pose_matrix(view.camera)
    is_moved = not all(item.lock_location)  # as far as can be told of what an earlier version has opened
    if measured is not None:
        is_moved = not np.allclose(np.array(item.matrix_basis).ravel(), np.array(measured), rtol=1e-5, atol=1e-6)
    if not is_moved:
        item.matrix_basis = pose
    item[_POSE_KEY] = np.array(pose).ravel().tolist()
    item[_PICTURE_KEY] = (float(view.camera.width), float(view.camera.height), view.camera.fx / view.camera.fy)
    turn = read_orientation(view.image_path) if view.orientation == AS_STORED else AS_STORED
    item.pop(_TURN_KEY, None)
    if turn != AS_STORED:
        item[_TURN_KEY] = turn


def _show_photo(lens: bpy.types.Camera, view: View, frame_aspect: float, opacity: float) -> None:
    """The photo behind everything, turned as the camera measured it, and as wide as the camera's frame: that is the
    side its lens is measured by.

    So it fits the scene in a render of any height as well. Raises RuntimeError when Blender cannot open the file.
    """
    image = None
    if os.path.isfile(view.image_path):
        image = bpy.data.images.load(str(view.image_path), check_existing=True)
        image[PHOTO_KEY] = True
    for entry in [entry for entry in lens.background_images if entry.image is not None and PHOTO_KEY in entry.image]:
        entry.image = None  # Blender would still count it as used
        lens.background_images.remove(entry)  # of an earlier reading
    if image is None:
        return
    if bpy.data.filepath:
        image.filepath = path_text(view.image_path)
    pixel_aspect = view.camera.fx / view.camera.fy
    across, down = 1.0, pixel_aspect
    if swaps_sides(view.orientation):
        across, down = down, across
    image.display_aspect = (across / min(across, down), down / min(across, down))
    entry = lens.background_images.new()
    entry.image = image
    entry.alpha = opacity
    entry.display_depth = "BACK"
    photo_aspect = view.camera.width / (view.camera.height * pixel_aspect)
    if swaps_sides(view.orientation):  # it is fitted before it is turned, and then is as high as it was wide
        photo_aspect = 1 / photo_aspect
        entry.scale = photo_aspect
    entry.use_flip_x, entry.use_flip_y = view.orientation in (2, 5, 7), view.orientation == 4
    entry.rotation = _CLOCKWISE_RAD.get(view.orientation, 0.0)
    entry.frame_method = "CROP" if photo_aspect <= frame_aspect else "FIT"
    lens.show_background_images = True


def _frame_aspect(render: bpy.types.RenderSettings) -> float:
    return render.resolution_x * render.pixel_aspect_x / (render.resolution_y * render.pixel_aspect_y)


def _camera_in_capture(item: bpy.types.Object) -> Camera:
    """Pose alone, from the object below its root, as it was held."""
    pose = np.array(item.matrix_basis, dtype=np.float64)
    camera = Camera(1, 1, 1.0, 1.0, 0.5, 0.5, OPENCV_FROM_OPENGL @ np.linalg.inv(pose))
    turn = item.get(_TURN_KEY)
    return camera if turn is None else held_upright(camera, turn)


def _about_cameras(capture: Capture, unreadable: list[str]) -> list[Remark]:
    """What the cameras in the scene do not show."""
    notes = []
    without_camera = len(capture.missing) - len(capture.views_without_photo)
    if without_camera:
        notes.append(f"Views without a photo and without a known size, which have no camera: {without_camera}.")
    if unreadable:
        notes.append(f"Photos that Blender cannot open: {len(unreadable)} ({some_of(unreadable)}).")
    distorted = {view.name: view.camera.distortion_px() for view in capture.all_views if any(view.camera.distortion)}
    worst = max(distorted.values(), default=0.0)
    if worst > _VISIBLE_DISTORTION_PX:
        notes.append(
            f"Photos distorted by their lens: {len(distorted)}, by up to {worst:.0f} px. Training removes the"
            " distortion; the backgrounds still show it. To make them fit exactly, use Export Capture with Undistort"
            " Photos and open that."
        )
    oblong = [
        view.camera.fx / view.camera.fy
        for view in capture.all_views
        if abs(view.camera.fx / view.camera.fy - 1) * view.camera.height / 2 > _SQUARE_PX
    ]
    if oblong:
        notes.append(
            f"Photos whose pixels are not square: {len(oblong)} ({oblong[0]:.4f}). Look Through sets the scene's pixel"
            " aspect for them."
        )
    return [Remark(note, is_warning=True) for note in notes]
