"""A photo capture in the scene: one root empty, below it a camera for each photo and the sparse points.

The root alone carries orientation and scale. Everything below it stands where the capture's files say, in the
capture's own axes, so that training, which knows nothing of Blender, sees the same.
"""

import contextlib
from dataclasses import dataclass, field
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

from ...capture.camera import OPENCV_FROM_OPENGL, Camera
from ...capture.capture import Capture, View
from ...capture.photos.orientation import AS_STORED, swaps_sides
from ...capture.photos.records import read_orientation
from ...capture.remarks import Remark
from ...capture.upright import held_upright, middle, upright_from_world
from ...errors import CaptureError, RunError, some_of
from ..cameras import looking
from ..cameras.conversion import pose_matrix, set_lens, set_picture
from ..own_data import require_local
from ..settings.paths import absolute, local_or_asked, path_text
from .points import points_to_object

ROOT_KEY = "splat_capture"  # on the root: the capture's folder
POINTS_KEY = "splat_points"  # on the points
PHOTO_KEY = "splat_photo"  # on a camera: what the capture's files call its photo
_PICTURE_KEY = "splat_picture"  # on a camera: width, height in pixels, and a pixel's height over its width
_TURN_KEY = "splat_turn"  # on a camera: the Exif orientation that turns its picture upright; absent where it is
_DISTANCE_KEY = "splat_distance"  # on the root: from the cameras to what they look at, in capture units
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


def open_in_scene(scene: bpy.types.Scene, capture: Capture, name: str) -> Opened:
    """Make cameras, backgrounds and points of `capture` below a new root, in a new collection of that name.

    Photos are not decoded: Blender does that when a camera is looked through. The scene's settings stay as they are.
    Raises CaptureError when the capture is open in this scene already; then nothing was changed.
    """
    open_root = find_root(scene, capture.folder)
    if open_root is not None:
        raise CaptureError(
            f"This capture is already open, below '{open_root.name}'; nothing was changed.",
            "Use Close Photo Capture first to read its files again.",
        )
    require_local(scene)
    views = capture.all_views
    cameras = [view.camera for view in views]
    positions = capture.points.positions if capture.points is not None else np.empty((0, 3))
    center = middle(cameras, positions)
    distance = float(np.median([np.linalg.norm(camera.position - center) for camera in cameras])) or 1.0

    collection = bpy.data.collections.new(name)
    scene.collection.children.link(collection)
    root = bpy.data.objects.new(name, None)
    root.empty_display_size = 0.15 * distance
    root[ROOT_KEY], root[_DISTANCE_KEY] = path_text(capture.folder), distance
    collection.objects.link(root)
    unreadable = []
    aspect = _frame_aspect(scene.render)
    for view in views:
        item = _camera_object(view, root, collection)
        try:
            _show_photo(item.data, view, aspect)
        except RuntimeError:
            unreadable.append(view.name)
    if capture.points is not None and len(positions):
        points = points_to_object(capture.points, f"{name} Points", 0.0015 * distance, collection)
        points.parent = root
        points[POINTS_KEY] = True
    fit_to_scale(root)
    return Opened(root, len(views), len(positions), [*capture.remarks, *_about_cameras(capture, unreadable)])


def find_root(scene: bpy.types.Scene, folder: Path) -> bpy.types.Object | None:
    """The root of the capture in `folder`, if it is open in this scene. None for one on a share that the artist has not
    chosen."""
    with contextlib.suppress(RunError):
        wanted = local_or_asked(str(folder)).resolve()
        for root in roots(scene):
            with contextlib.suppress(RunError):
                if folder_of(root).resolve() == wanted:
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
    width, height, pixel_aspect = item[_PICTURE_KEY]
    looking.begin(scene)
    root = root_of(item)
    if root is not None:
        fit_to_scale(root)
    set_picture(scene.render, int(width), int(height), pixel_aspect)
    looking.look_through(context, scene, item)


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
    images = {
        entry.image for item in doomed if item.type == "CAMERA" for entry in item.data.background_images if entry.image
    }
    data = {item.data for item in doomed if item.data is not None}
    bpy.data.batch_remove(doomed)
    bpy.data.batch_remove([block for block in data if block.users == 0])
    bpy.data.batch_remove([image for image in images if image.users == 0])
    for home in homes - {scene.collection}:
        if not home.all_objects and not home.children:
            bpy.data.collections.remove(home)
    return len(doomed)


def _camera_object(view: View, root: bpy.types.Object, collection: bpy.types.Collection) -> bpy.types.Object:
    lens = bpy.data.cameras.new(view.name)
    set_lens(lens, view.camera)
    lens.passepartout_alpha = 0.9
    item = bpy.data.objects.new(view.name, lens)
    item.parent = root
    item.matrix_basis = pose_matrix(view.camera)
    item.lock_location = item.lock_rotation = item.lock_scale = (True, True, True)  # it was measured
    item[PHOTO_KEY] = view.listed_as
    item[_PICTURE_KEY] = (float(view.camera.width), float(view.camera.height), view.camera.fx / view.camera.fy)
    turn = read_orientation(view.image_path) if view.orientation == AS_STORED else AS_STORED
    if turn != AS_STORED:
        item[_TURN_KEY] = turn
    collection.objects.link(item)
    return item


def _show_photo(lens: bpy.types.Camera, view: View, frame_aspect: float) -> None:
    """The photo behind everything, turned as the camera measured it, and as wide as the camera's frame: that is the
    side its lens is measured by.

    So it fits the scene in a render of any height as well. Raises RuntimeError when Blender cannot open the file.
    """
    if not view.image_path.is_file():
        return
    image = bpy.data.images.load(str(view.image_path), check_existing=True)
    if bpy.data.filepath:
        image.filepath = path_text(view.image_path)
    pixel_aspect = view.camera.fx / view.camera.fy
    across, down = 1.0, pixel_aspect
    if swaps_sides(view.orientation):
        across, down = down, across
    image.display_aspect = (across / min(across, down), down / min(across, down))
    entry = lens.background_images.new()
    entry.image = image
    entry.alpha = 1.0
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
