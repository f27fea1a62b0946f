"""Splat files in and out of the scene."""

from pathlib import Path

import bpy
from bpy_extras.io_utils import ExportHelper, ImportHelper

from ...splat_addon.errors import SplatError
from ...splat_addon.gaussians.formats import registry
from ...splat_addon.run.wording import counted
from ...splat_addon.scene.exchange import arrival, exporting, writing
from ...splat_addon.scene.own_data import make_active
from ...splat_addon.scene.splats import data as splat_data
from ...splat_addon.scene.splats import files as splat_files
from ...splat_addon.scene.splats import render_setup
from ...splat_addon.scene.splats.advice import modifier_problems
from ...splat_addon.scene.splats.contents import attributes
from ...splat_addon.scene.splats.data import splat_collection
from ...splat_addon.scene.splats.transforms import transform_problems
from ..reporting import reports_errors

_ENDINGS = registry.extensions()
_ACTIVE, _SELECTED, _EACH = "ACTIVE", "SELECTED", "EACH"
_WHICH = [
    (_ACTIVE, "Active", "The active object"),
    (_SELECTED, "Selected, One File", "All selected splat objects in one file"),
    (_EACH, "Selected, a File Each", "Each selected splat object in a file of its own, called after it"),
]
_BY_NAME = "name"
_FORMATS = [
    (_BY_NAME, "By Name", "As the file's name ends; PLY where it does not say"),
    *((module.NAME, module.TITLE, module.EXTENSIONS[0]) for module in registry.written_formats()),
]


class SPLAT_OT_import_ply(bpy.types.Operator, ImportHelper):
    """Bring the gaussian splats of a file into the scene: PLY, SPZ, SOG, glTF, USD, .splat or .ksplat"""

    bl_idname = "splat.import_ply"
    bl_label = "Import Splats"
    bl_options = {"REGISTER", "UNDO"}

    filename_ext = ".ply"
    filter_glob: bpy.props.StringProperty(default=";".join(f"*{ending}" for ending in _ENDINGS), options={"HIDDEN"})
    directory: bpy.props.StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE", "HIDDEN"})
    files: bpy.props.CollectionProperty(type=bpy.types.OperatorFileListElement, options={"SKIP_SAVE", "HIDDEN"})
    axes: bpy.props.EnumProperty(
        name="Axes",
        description="How the object is rotated; the splats themselves stay as they are in the file",
        items=splat_files.AXES,
        default=splat_files.AUTO,
    )
    opacities: bpy.props.EnumProperty(
        name="Opacity",
        description="How the file stores opacities",
        items=splat_files.OPACITIES,
        default="AUTO",
    )

    @classmethod
    def poll(cls, context):
        if context.mode != "OBJECT":
            cls.poll_message_set("Switch to Object Mode first")
            return False
        return True

    def invoke(self, context, event):
        return self.invoke_popup(context)  # the axis choice after a drop, the file browser otherwise

    @reports_errors
    def execute(self, context):
        paths = [Path(self.directory, entry.name) for entry in self.files if entry.name] or [Path(self.filepath)]
        brought = []
        for path in paths:
            collection = splat_collection(context.scene)
            items, notes = splat_files.import_splats(path, self.axes, context.scene, collection, self.opacities.lower())
            brought += items
            count = sum(splat_data.splat_count(item) for item in items)
            said = [f"Imported {counted(count)} splats from {path.name}"]
            cube = arrival.hide_default_cube(context.view_layer)
            if cube is not None:
                said.append(f"'{cube.name}', of Blender's default scene, is hidden, also in renders")
            for other in list(context.view_layer.objects.selected):
                other.select_set(False)
            context.view_layer.update()
            make_active(context.view_layer, items[0])
            for note in notes:
                self.report({"WARNING"}, note)
            said += render_setup.prepare(context.scene, items)
            self.report({"INFO"}, ". ".join(sentence.rstrip(".") for sentence in said))  # only the last one is seen
        if context.scene.splat.viewport.show:  # else outlines of all their points would hide the splats
            for item in brought:
                if item.visible_get():
                    item.select_set(True)
        arrival.frame(context, brought)
        return {"FINISHED"}


class SPLAT_OT_export_ply(bpy.types.Operator, ExportHelper):
    """Write splat objects as a file that other splat tools read: PLY, SPZ, glTF, USD, SOG or .splat"""

    bl_idname = "splat.export_ply"
    bl_label = "Export Splats"
    bl_options = {"REGISTER"}

    filename_ext = ".ply"
    filter_glob: bpy.props.StringProperty(default=";".join(f"*{ending}" for ending in _ENDINGS), options={"HIDDEN"})
    format: bpy.props.EnumProperty(
        name="Format", description="What is written; the name gets its ending", items=_FORMATS, options={"SKIP_SAVE"}
    )
    which: bpy.props.EnumProperty(name="Objects", description="Whose splats are written", items=_WHICH)
    axes: bpy.props.EnumProperty(
        name="Axes", description="Where the axes of the file point", items=exporting.AXES, default=exporting.AUTO
    )
    space: bpy.props.EnumProperty(
        name="Space", description="Whether the transforms of objects are part of the file", items=exporting.SPACES
    )
    all_splats: bpy.props.BoolProperty(
        name="Hidden Splats", description="Also write splats that are hidden in the object", default=True
    )
    spz_version: bpy.props.EnumProperty(
        name="SPZ Version",
        description="Which version of SPZ is written",
        items=[("3", "3", "Read by most programs"), ("4", "4", "Says where up is; fewer programs read it")],
    )
    sh_bits: bpy.props.IntVectorProperty(
        name="SH Bits",
        description="How finely SPZ keeps color that depends on the view: degree 1, and above. Others write 5 and 4",
        size=2,
        min=1,
        max=8,
        default=(8, 8),
    )

    @classmethod
    def poll(cls, context):
        if writing.is_running():
            cls.poll_message_set("A file is being written: wait, or cancel it")
            return False
        if context.active_object is None or not splat_data.is_splats(context.active_object):
            cls.poll_message_set("Make a splat object active first")
            return False
        if context.mode != "OBJECT":
            cls.poll_message_set("Switch to Object Mode first")
            return False
        return True

    def check(self, _context):
        """The name ends as the chosen format's files do."""
        path = Path(self.filepath)
        if self.format == _BY_NAME or _is_named(path, self.format):
            return False
        self.filepath = str(_renamed(path, self.format))
        return True

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        for name in ("format", "which", "axes", "space", "all_splats"):
            layout.prop(self, name)
        if _is_named(self._path(), "spz"):
            layout.prop(self, "spz_version")
            layout.prop(self, "sh_bits")
        try:
            losses = [loss for _, export in self._exports(context) for loss in export.losses()]
        except SplatError as error:
            losses = [error.message]
        column = layout.column(align=True)
        for loss in dict.fromkeys(losses):
            for line in _lines(loss):
                column.label(text=line, icon="BLANK1")

    @reports_errors
    def execute(self, context):
        for problem in _problems(self._items(context)):
            self.report({"WARNING"}, problem)
        exports = self._exports(context)
        for loss in dict.fromkeys(loss for _, export in exports for loss in export.losses()):
            self.report({"WARNING"}, loss)
        writing.start([export for _, export in exports])
        if bpy.app.background:  # where no timer runs
            writing.wait()
        for sentence in writing.take_written():
            self.report({"INFO"}, sentence)
        if writing.is_running():
            writing.begin_watching()
            self.report({"INFO"}, f"Writing {writing.progress()[1]}: the header of the 3D view shows how far it is")
        return {"FINISHED"}

    def _items(self, context) -> list[bpy.types.Object]:
        """The objects, the active one first."""
        active = context.active_object
        if self.which == _ACTIVE:
            return [active]
        selected = [item for item in context.selected_objects if splat_data.is_splats(item) and item != active]
        return [active, *selected]

    def _exports(self, context) -> list[tuple[Path, exporting.Export]]:
        path = self._path()
        choices = exporting.Choices(self.axes, self.space, self.all_splats, int(self.spz_version), tuple(self.sh_bits))
        items = self._items(context)
        if self.which != _EACH:
            return [(path, exporting.Export(path, items, choices))]
        ending = path.name[len(_without_ending(path).name) :]
        paths = [path.with_name(bpy.path.clean_name(item.name) + ending) for item in items]
        return [(path, exporting.Export(path, [item], choices)) for path, item in zip(paths, items, strict=True)]

    def _path(self) -> Path:
        """Where to write: what follows a dot may be part of the name."""
        path = Path(self.filepath)
        if self.format != _BY_NAME:
            return path if _is_named(path, self.format) else _renamed(path, self.format)
        try:
            registry.format_for(path)
        except SplatError:
            return path.with_name(path.name + self.filename_ext)
        return path


def _is_named(path: Path, name: str) -> bool:
    try:
        return name == registry.format_for(path).NAME
    except SplatError:
        return False


def _renamed(path: Path, name: str) -> Path:
    stem = _without_ending(path)
    return stem.with_name(stem.name + registry.format_named(name).EXTENSIONS[0])


def _without_ending(path: Path) -> Path:
    """Without what splat files end with."""
    for ending in sorted(_ENDINGS, key=len, reverse=True):
        if path.name.lower().endswith(ending) and len(path.name) > len(ending):
            return path.with_name(path.name[: -len(ending)])
    return path


def _problems(items: list[bpy.types.Object]) -> list[str]:
    """What is wrong with the splats themselves."""
    found = (attributes.problems(item.data) + transform_problems(item) + modifier_problems(item) for item in items)
    return [problem for problems in found for problem in problems]


def _lines(sentence: str, width: int = 42) -> list[str]:
    """A sentence in lines for the side of a file browser."""
    lines = [""]
    for word in sentence.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


class SPLAT_OT_cancel_export(bpy.types.Operator):
    """Stop writing the file; what it held before stays"""

    bl_idname = "splat.cancel_export"
    bl_label = "Cancel Export"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, _context):
        if not writing.is_running():
            cls.poll_message_set("No splats are being exported")
            return False
        return True

    @reports_errors
    def execute(self, _context):
        writing.cancel()
        return {"FINISHED"}


class SPLAT_FH_ply(bpy.types.FileHandler):
    """A splat file dropped into a viewport or the outliner is imported."""

    bl_idname = "SPLAT_FH_ply"
    bl_label = "Import Splats"
    bl_import_operator = SPLAT_OT_import_ply.bl_idname
    bl_file_extensions = ";".join(ending for ending in _ENDINGS if ending.count(".") == 1 and ending[0] == ".")

    @classmethod
    def poll_drop(cls, context):
        return context.area is not None and context.area.type in {"VIEW_3D", "OUTLINER"}


def draw_import(self, _context):
    """In File > Import."""
    self.layout.operator(SPLAT_OT_import_ply.bl_idname, text="Import Splats (.ply, .spz, …)")


def draw_export(self, _context):
    """In File > Export."""
    self.layout.operator(SPLAT_OT_export_ply.bl_idname, text="Export Splats (.ply, .spz, …)")


def draw_writing(self, _context):
    """In the header of the 3D view, while a file is being written: the sidebar may be closed."""
    if writing.is_running():
        draw_progress(self.layout.row(align=True), "")


def draw_progress(layout, cancel: str | None = None) -> None:
    """How far writing is, and the button that ends it."""
    done, name = writing.progress()
    layout.progress(factor=done, text=f"{name} {100 * done:.0f} %")
    layout.operator(SPLAT_OT_cancel_export.bl_idname, text=cancel, icon="CANCEL")


MENUS = {
    "TOPBAR_MT_file_import": draw_import,
    "TOPBAR_MT_file_export": draw_export,
    "VIEW3D_HT_header": draw_writing,
}
CLASSES = (SPLAT_OT_import_ply, SPLAT_OT_export_ply, SPLAT_OT_cancel_export, SPLAT_FH_ply)
