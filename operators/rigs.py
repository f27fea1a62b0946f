"""Camera rigs, and marking cameras as held out."""

import bpy
import numpy as np

from ..splat_addon.errors import CaptureError
from ..splat_addon.scene.cameras import rigs
from ..splat_addon.scene.seeds import surfaces
from ..splat_addon.scene.splats.data import is_splats
from .reporting import reports_errors

KINDS = [
    ("ORBIT", "Orbit", "Rings around the target"),
    ("DOME", "Dome", "Evenly over a dome, from an angle above the horizon to the zenith"),
    ("SPHERE", "Sphere", "Evenly all around"),
    ("PATH", "Along Curve", "At equal steps along a curve object"),
]
TARGETS = [
    ("SELECTION", "Selection", "The selected objects"),
    ("COLLECTION", "Collection", "The active collection"),
    ("VISIBLE", "All Visible", "All visible objects"),
]
AIMS = [
    ("CENTER", "Target's Center", "Look at the middle of the target"),
    ("OBJECT", "Object", "Look at the origin of an object"),
    ("AHEAD", "Ahead", "Look along the curve"),
    ("OUTWARD", "Outward", "Look away from the middle: for rooms, from inside"),
]


class SPLAT_OT_add_camera_rig(bpy.types.Operator):
    """Add cameras around the selected objects, in a collection of their own, to capture the scene from"""

    bl_idname = "splat.add_camera_rig"
    bl_label = "Add Camera Rig"
    bl_options = {"REGISTER", "UNDO"}

    kind: bpy.props.EnumProperty(name="Rig", description="How the cameras are placed", items=KINDS, default="DOME")
    target: bpy.props.EnumProperty(
        name="Target", description="What the cameras stand around", items=TARGETS, default="SELECTION"
    )
    curve: bpy.props.StringProperty(name="Curve", description="The curve object that the cameras go along")
    count: bpy.props.IntProperty(name="Cameras", description="How many cameras", default=48, min=1, soft_max=500)
    rings: bpy.props.IntProperty(name="Rings", description="How many rings of cameras", default=1, min=1, soft_max=20)
    lowest: bpy.props.FloatProperty(
        name="Lowest",
        description="Angle above the horizon of the lowest cameras; negative looks from below",
        subtype="ANGLE",
        default=np.radians(10.0),
        min=np.radians(-85.0),
        max=np.radians(85.0),
    )
    highest: bpy.props.FloatProperty(
        name="Highest",
        description="Angle above the horizon of the highest ring",
        subtype="ANGLE",
        default=np.radians(60.0),
        min=np.radians(-85.0),
        max=np.radians(85.0),
    )
    use_auto_radius: bpy.props.BoolProperty(
        name="Fit Target", description="Stand as close as possible with the whole target in every view", default=True
    )
    radius: bpy.props.FloatProperty(
        name="Radius", description="Distance from the target's middle", subtype="DISTANCE", default=5.0, min=0.001
    )
    lens: bpy.props.FloatProperty(
        name="Focal Length", description="Of all cameras, on a 36 mm sensor", subtype="DISTANCE_CAMERA",
        default=50.0, min=5.0, max=500.0,
    )  # fmt: skip
    aim: bpy.props.EnumProperty(name="Look At", description="Where the cameras look", items=AIMS, default="CENTER")
    aim_object: bpy.props.StringProperty(name="Object", description="The object that the cameras look at")
    jitter: bpy.props.FloatProperty(
        name="Jitter",
        description="Random displacement of each camera, as a fraction of its distance",
        subtype="FACTOR",
        default=0.0,
        min=0.0,
        max=0.5,
    )
    seed: bpy.props.IntProperty(
        name="Seed", description="A different seed gives different displacements", default=0, min=0
    )

    @classmethod
    def poll(cls, context):
        if context.mode != "OBJECT":
            cls.poll_message_set("Switch to Object Mode first")
            return False
        return True

    def invoke(self, context, event):
        active = context.active_object
        if active is not None and active.type == "CURVE" and active.select_get():
            self.kind, self.curve, self.target = "PATH", active.name, "VISIBLE"
        elif not _targets(context, "SELECTION"):
            self.target = "VISIBLE"
        return self.execute(context)

    @reports_errors
    def execute(self, context):
        scene = context.scene
        aim = None
        if self.aim == "OBJECT":
            found = scene.objects.get(self.aim_object)
            if found is None:
                raise CaptureError("The cameras have no object to look at.", "Choose one in Look At.")
            aim = np.array(found.matrix_world.translation)
        is_path = self.kind == "PATH"
        targets = rigs.bounds_of(_targets(context, self.target))
        if not len(targets) and not is_path and self.use_auto_radius:
            raise CaptureError(
                "There is nothing for the cameras to stand around.", "Select objects with a surface, or set a radius."
            )
        if is_path and self.aim == "CENTER" and len(targets):
            aim = (targets.min(axis=0) + targets.max(axis=0)) / 2
        chosen = scene.splat.capture
        cameras = rigs.make_rig(
            scene,
            rigs.Rig(
                self.kind,
                self.count,
                self.lens,
                0.0 if self.use_auto_radius else self.radius,
                np.degrees(self.lowest),
                np.degrees(self.highest),
                self.rings,
                self.jitter,
                self.seed,
                self.aim == "OUTWARD",
            ),
            targets,
            aim,
            scene.objects.get(self.curve),
            None if chosen.use_scene_resolution else (chosen.width, chosen.height),
            name={"ORBIT": "Orbit", "DOME": "Dome", "SPHERE": "Sphere", "PATH": "Path"}[self.kind],
        )
        chosen.collection = cameras[0].users_collection[0]
        chosen.source = "COLLECTION"
        self.report({"INFO"}, f"Added {len(cameras)} cameras in '{chosen.collection.name}'")
        return {"FINISHED"}

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(self, "kind")
        if self.kind == "PATH":
            layout.prop_search(self, "curve", context.scene, "objects", icon="OUTLINER_OB_CURVE")
        layout.prop(self, "target")
        layout.prop(self, "count")
        if self.kind == "ORBIT":
            layout.prop(self, "rings")
        if self.kind in ("ORBIT", "DOME"):
            layout.prop(self, "lowest")
        if self.kind == "ORBIT" and self.rings > 1:
            layout.prop(self, "highest")
        layout.prop(self, "lens")
        if self.kind != "PATH":
            layout.prop(self, "use_auto_radius")
            if not self.use_auto_radius:
                layout.prop(self, "radius")
        layout.prop(self, "aim")
        if self.aim == "OBJECT":
            layout.prop_search(self, "aim_object", context.scene, "objects")
        layout.prop(self, "jitter")
        if self.jitter > 0:
            layout.prop(self, "seed")


class SPLAT_OT_mark_held_out(bpy.types.Operator):
    """Mark the selected cameras as held out: their views measure quality instead of training"""

    bl_idname = "splat.mark_held_out"
    bl_label = "Mark Held Out"
    bl_options = {"REGISTER", "UNDO"}

    is_held_out: bpy.props.BoolProperty(name="Held Out", description="Whether the cameras are held out", default=True)

    @classmethod
    def description(cls, context, properties):
        if properties.is_held_out:
            return cls.__doc__
        return "Clear the mark of the selected cameras: their views train"

    @classmethod
    def poll(cls, context):
        if not any(item.type == "CAMERA" for item in context.selected_objects):
            cls.poll_message_set("Select cameras first")
            return False
        return True

    @reports_errors
    def execute(self, context):
        cameras = [item for item in context.selected_objects if item.type == "CAMERA"]
        for item in cameras:
            item.splat.is_held_out = self.is_held_out
        done = "Marked" if self.is_held_out else "Cleared the mark of"
        self.report({"INFO"}, f"{done} {len(cameras)} camera{'s' if len(cameras) != 1 else ''}")
        return {"FINISHED"}


def _targets(context, which: str) -> list[bpy.types.Object]:
    candidates = {
        "SELECTION": lambda: context.selected_objects,
        "COLLECTION": lambda: context.collection.all_objects,
        "VISIBLE": lambda: context.visible_objects,
    }[which]()
    kinds = (*surfaces.SURFACE_TYPES, "POINTCLOUD", "CURVES", "VOLUME", "EMPTY")
    return [item for item in candidates if item.type in kinds and not is_splats(item)]


CLASSES = (SPLAT_OT_add_camera_rig, SPLAT_OT_mark_held_out)
