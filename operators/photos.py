"""Photo captures in and out of the scene."""

from pathlib import Path

import bpy

from ..splat_addon.capture.capture import capture_folder, open_capture
from ..splat_addon.capture.export import ExportOptions, export_capture
from ..splat_addon.capture.formats.transforms import is_own_capture
from ..splat_addon.errors import CaptureError, SplatError, some_of
from ..splat_addon.scene.cameras import looking
from ..splat_addon.scene.photos import photo_capture, pixels
from ..splat_addon.scene.review import held_out
from ..splat_addon.scene.settings.paths import absolute
from ..splat_addon.scene.settings.training import is_chosen_capture, reading_choices
from ..splat_addon.scene.tasks import checking
from .reporting import reports_errors

DISTANCE_M = 4.0


def chosen_root(context) -> bpy.types.Object | None:
    """The root of the photo capture that is meant: the active object's, else that of the chosen capture folder, else
    the only one."""
    root = photo_capture.root_of(context.active_object)
    if root is None and context.scene.splat.capture.folder:
        try:
            root = photo_capture.find_root(context.scene, absolute(context.scene.splat.capture.folder))
        except SplatError:
            root = None
    roots = photo_capture.roots(context.scene)
    return root or (roots[0] if len(roots) == 1 else None)


def chosen_camera(context) -> bpy.types.Object | None:
    """The photo's camera that is looked through, else the active one, else the first of the chosen capture."""
    seen = context.scene.camera if looking.is_looking(context.scene) else None
    for item in (seen, context.active_object):
        if item is not None and photo_capture.PHOTO_KEY in item:
            return item
    root = chosen_root(context)
    return next(iter(photo_capture.photo_cameras(root)), None) if root else None


def _is_in_object_mode(cls, context) -> bool:
    if context.mode != "OBJECT":
        cls.poll_message_set("Switch to Object Mode first")
        return False
    return True


def _has_root(cls, context) -> bool:
    if not _is_in_object_mode(cls, context):
        return False
    if chosen_root(context) is None:
        cls.poll_message_set("Open a photo capture first, or select part of the one you mean")
        return False
    return True


class _ChoosesFolder:
    """Part of operators that ask for a folder."""

    directory: bpy.props.StringProperty(name="Folder", subtype="DIR_PATH", options={"SKIP_SAVE"})
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})

    def invoke(self, context, event):
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def folder(self) -> Path:
        """What was chosen. Raises CaptureError when nothing was."""
        if not self.directory.strip():
            raise CaptureError("No folder is chosen.", "Choose one.")
        return absolute(self.directory, is_asked=True)


class SPLAT_OT_open_photo_capture(_ChoosesFolder, bpy.types.Operator):
    """Open a folder with a COLMAP model or a transforms.json: its cameras with their photos, and its sparse points"""

    bl_idname = "splat.open_photo_capture"
    bl_label = "Open Photo Capture"
    bl_options = {"REGISTER", "UNDO"}

    stand_upright: bpy.props.BoolProperty(
        name="Stand Upright",
        description="Turn and scale the capture so that it stands upright. Captures of a scene stay where the scene is",
        default=True,
    )

    @classmethod
    def poll(cls, context):
        return _is_in_object_mode(cls, context)

    @reports_errors
    def execute(self, context):
        scene = context.scene
        folder = capture_folder(self.folder())
        choices = reading_choices(scene, folder)
        listed = open_capture(folder, scene.splat.training.hold_out_every, False, choices)
        capture = pixels.settle(listed)
        opened = photo_capture.open_in_scene(scene, capture, folder.name or "Capture", choices)
        is_own = is_own_capture(folder)
        if self.stand_upright and not is_own:
            photo_capture.stand_upright(opened.root, DISTANCE_M)
        scene.splat.capture.folder = photo_capture.path_text(folder)
        if not (is_own or bpy.app.background):
            checking.look_first(listed, capture)
        for other in list(context.view_layer.objects.selected):
            other.select_set(False)
        context.view_layer.objects.active = opened.root
        opened.root.select_set(True)
        _report(self, opened.remarks)
        self.report({"INFO"}, f"Opened {opened.camera_count} cameras and {opened.point_count} points of {folder.name}")
        return {"FINISHED"}


class SPLAT_OT_open_again(bpy.types.Operator):
    """Read the files of the photo capture again, as the settings of its card say now. Its place, moved cameras, and
    whatever you have added stay as they are"""

    bl_idname = "splat.open_again"
    bl_label = "Open Again"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        return _has_root(cls, context)

    @reports_errors
    def execute(self, context):
        scene, root = context.scene, chosen_root(context)
        folder = photo_capture.folder_of(root)  # type: ignore[arg-type] # poll
        choices = photo_capture.choices_of(scene, root)  # type: ignore[arg-type] # poll
        listed = open_capture(folder, scene.splat.training.hold_out_every, False, choices)
        capture = pixels.settle(listed)
        opened = photo_capture.open_again(scene, root, capture, choices)  # type: ignore[arg-type] # poll
        if not (is_own_capture(folder) or bpy.app.background):
            checking.look_first(listed, capture)
        _report(self, opened.remarks)
        self.report({"INFO"}, f"Opened {opened.camera_count} cameras and {opened.point_count} points again")
        return {"FINISHED"}


def _report(operator, remarks) -> None:
    for remark in sorted(remarks, key=lambda remark: remark.is_warning):  # the last stays to be read
        operator.report({"WARNING" if remark.is_warning else "INFO"}, remark.told)


class SPLAT_OT_stand_upright(bpy.types.Operator):
    """Turn the photo capture so that the cameras' up is z, put what they look at at the origin, and scale it.
    Only its root is moved; the capture's files and training stay as they are"""

    bl_idname = "splat.stand_upright"
    bl_label = "Stand Upright"
    bl_options = {"REGISTER", "UNDO"}

    use_scale: bpy.props.BoolProperty(name="Scale", description="Scale the capture too", default=True)
    distance_m: bpy.props.FloatProperty(
        name="Camera Distance",
        description="Median distance of the cameras from what they look at, after scaling",
        default=DISTANCE_M,
        min=1e-3,
        soft_max=100.0,
        unit="LENGTH",
    )

    @classmethod
    def poll(cls, context):
        return _has_root(cls, context)

    @reports_errors
    def execute(self, context):
        root = chosen_root(context)
        photo_capture.stand_upright(root, self.distance_m if self.use_scale else None)  # type: ignore[arg-type] # poll
        self.report({"INFO"}, f"'{root.name}' stands upright")
        return {"FINISHED"}


class SPLAT_OT_look_through_photo(bpy.types.Operator):
    """Look through the camera of a photo, with the render as large as the photo; Leave Photo restores everything"""

    bl_idname = "splat.look_through_photo"
    bl_label = "Look Through Photo"
    bl_options = {"REGISTER", "UNDO"}

    step: bpy.props.IntProperty(
        name="Step", description="How many photos further, by name", default=0, options={"SKIP_SAVE"}
    )

    @classmethod
    def poll(cls, context):
        if chosen_camera(context) is None:
            cls.poll_message_set("Select a camera of an open photo capture")
            return False
        return True

    @reports_errors
    def execute(self, context):
        item = photo_capture.neighbour(chosen_camera(context), self.step)  # type: ignore[arg-type] # poll
        photo_capture.look_through(context, context.scene, item)
        self.report({"INFO"}, f"Looking through {item.name}")
        return {"FINISHED"}


class SPLAT_OT_leave_photo(bpy.types.Operator):
    """Back to your own camera and resolution"""

    bl_idname = "splat.leave_photo"
    bl_label = "Leave Photo"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        if not looking.is_looking(context.scene) or held_out.is_reviewing(context.scene):
            cls.poll_message_set("You are not looking through a photo")
            return False
        return True

    @reports_errors
    def execute(self, context):
        looking.end(context, context.scene)
        return {"FINISHED"}


class SPLAT_OT_close_photo_capture(bpy.types.Operator):
    """Remove the cameras, points and root of the photo capture from the scene. Its files and any splats are kept"""

    bl_idname = "splat.close_photo_capture"
    bl_label = "Close Photo Capture"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        return _has_root(cls, context)

    @reports_errors
    def execute(self, context):
        root = chosen_root(context)
        if photo_capture.root_of(context.scene.camera) == root:
            looking.end(context, context.scene)
        name, chosen = root.name, context.scene.splat.capture
        was_chosen = _is_of_chosen_folder(context.scene, root)
        count = photo_capture.close(context.scene, root)  # type: ignore[arg-type] # poll
        left = photo_capture.roots(context.scene)
        if was_chosen and left:  # a closed capture must not be what is trained next
            chosen.folder = left[-1][photo_capture.ROOT_KEY]
        now = f"; '{left[-1].name}' is chosen now" if was_chosen and left else ""
        self.report({"INFO"}, f"Closed '{name}': {count} objects removed, no files changed{now}")
        return {"FINISHED"}


def _is_of_chosen_folder(scene, root) -> bool:
    folder = photo_capture.folder_if_known(root)
    return folder is not None and is_chosen_capture(scene, folder)


class SPLAT_OT_export_capture(_ChoosesFolder, bpy.types.Operator):
    """Write the capture for other programs: transforms.json, COLMAP models, and its photos"""

    bl_idname = "splat.export_capture"
    bl_label = "Export Capture"
    bl_options = {"REGISTER"}

    formats: bpy.props.EnumProperty(
        name="Formats",
        description="What to write",
        items=[
            ("TRANSFORMS", "transforms.json", "nerfstudio's and instant-ngp's format, with points3d.ply"),
            ("COLMAP_BINARY", "COLMAP Binary", "cameras.bin, images.bin and points3D.bin in sparse/0"),
            ("COLMAP_TEXT", "COLMAP Text", "cameras.txt, images.txt and points3D.txt in sparse/0"),
        ],
        options={"ENUM_FLAG"},
        default={"TRANSFORMS", "COLMAP_BINARY"},
    )
    copy_photos: bpy.props.BoolProperty(
        name="Copy Photos",
        description="Copy the photos into images/; otherwise the files point to where they are",
        default=True,
    )
    undistort: bpy.props.BoolProperty(
        name="Undistort Photos",
        description="Write photos and cameras without lens distortion, for programs that only know pinhole cameras",
        default=False,
    )
    axes: bpy.props.EnumProperty(
        name="Axes",
        description="Whose axes cameras and points are written in",
        items=[
            ("CAPTURE", "Capture", "As in the capture: what training saw, and what its splats are in"),
            ("WORLD", "Blender World", "As in Blender now, turned and scaled by the root of the capture"),
        ],
        default="CAPTURE",
    )
    replace_earlier: bpy.props.BoolProperty(
        name="Replace Earlier Export",
        description="Replace transforms.json, sparse/0 and images/ where they exist in the chosen folder",
        default=False,
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context):
        if chosen_root(context) is None and not context.scene.splat.capture.folder:
            cls.poll_message_set("Choose a capture folder or open a photo capture first")
            return False
        return True

    @reports_errors
    def execute(self, context):
        scene, root = context.scene, chosen_root(context)
        source = photo_capture.folder_of(root) if root else absolute(scene.splat.capture.folder)
        folder = self.folder()
        reading = photo_capture.choices_of(scene, root) if root else reading_choices(scene, source)
        capture = pixels.open_settled(source, scene.splat.training.hold_out_every, False, reading)
        choices = {"formats": frozenset(self.formats), "copy_photos": self.copy_photos, "undistort": self.undistort}
        if root is not None and self.axes == "WORLD":
            context.view_layer.update()
            choices["world_from_capture"] = photo_capture.world_from_capture(root)
        options = ExportOptions(replace_earlier=self.replace_earlier, write_photo=pixels.write_photo, **choices)
        manager = context.window_manager
        manager.progress_begin(0, max(1, len(capture.views)))
        try:
            notes = export_capture(capture, folder, options, manager.progress_update)
        finally:
            manager.progress_end()
        moved = photo_capture.moved_cameras(root, capture) if root else []
        if moved:
            notes.append(f"Cameras moved in Blender are exported where they were measured: {some_of(moved)}.")
        for note in notes:
            self.report({"WARNING"}, note)
        count = len(capture.views or capture.all_views)
        self.report({"INFO"}, f"Exported {count} views to {folder}")
        return {"FINISHED"}


def _draw_import(self, context):
    self.layout.operator(SPLAT_OT_open_photo_capture.bl_idname, text="Photo Capture (COLMAP, transforms.json)")


def _draw_export(self, context):
    self.layout.operator(SPLAT_OT_export_capture.bl_idname, text="Splat Capture (COLMAP, transforms.json)")


MENUS = {"TOPBAR_MT_file_import": _draw_import, "TOPBAR_MT_file_export": _draw_export}

CLASSES = (
    SPLAT_OT_open_photo_capture,
    SPLAT_OT_open_again,
    SPLAT_OT_stand_upright,
    SPLAT_OT_look_through_photo,
    SPLAT_OT_leave_photo,
    SPLAT_OT_close_photo_capture,
    SPLAT_OT_export_capture,
)
