"""Splats rendered by Blender, and the pictures that come back, for tests and benchmarks."""

from pathlib import Path

import numpy as np

from support import ewa


def use_cycles() -> None:
    """The bpy module starts without Cycles."""
    import bpy

    if not hasattr(bpy.context.scene, "cycles"):
        bpy.ops.preferences.addon_enable(module="cycles")


def add_camera(scene, place, target=(0.0, 0.0, 0.0), lens: float = 45.0, size: tuple[int, int] = (120, 90)):
    """A camera at `place` that looks at `target`, made the scene's, and the size of its pictures."""
    import bpy
    from mathutils import Vector

    item = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    item.location = place
    item.rotation_euler = (Vector(target) - Vector(place)).to_track_quat("-Z", "Y").to_euler()
    item.data.lens = lens
    scene.collection.objects.link(item)
    scene.camera = item
    scene.render.resolution_x, scene.render.resolution_y = size
    bpy.context.view_layer.update()
    return item


def render(scene, folder: Path, engine: str = "CYCLES") -> np.ndarray:
    """(H, W, 4) what the render makes, unchanged by color management: premultiplied, top row first."""
    import bpy

    render = scene.render
    render.engine, render.film_transparent = engine, True
    if hasattr(render.image_settings, "media_type"):
        render.image_settings.media_type = "IMAGE"
    render.image_settings.file_format, render.image_settings.color_mode = "OPEN_EXR", "RGBA"
    render.image_settings.color_depth = "32"
    render.filepath = str(Path(folder) / "render.exr")
    bpy.ops.render.render(write_still=True, scene=scene.name)
    return load(render.filepath)


def render_png(scene, folder: Path) -> np.ndarray:
    """(H, W, 4) what an 8-bit PNG of the scene over black holds, by Cycles, top row first."""
    import bpy

    scene.render.engine, scene.render.film_transparent = "CYCLES", False
    settings = scene.render.image_settings
    settings.file_format, settings.color_mode, settings.color_depth = "PNG", "RGB", "8"
    scene.render.filepath = str(Path(folder) / "picture.png")
    bpy.ops.render.render(write_still=True, scene=scene.name)
    return load(scene.render.filepath)


def display_encoded(scene, picture: np.ndarray) -> np.ndarray:
    """What `render` gave in the scene's look, as the trainer's images are: Scene Light is linear until it is shown."""
    if scene.splat.look == "BLENDER":
        picture[..., :3] = ewa.encode(picture[..., :3])
    return picture


def load(path) -> np.ndarray:
    """(H, W, 4) the numbers of an image file, top row first."""
    import bpy

    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    values = np.empty(image.size[0] * image.size[1] * 4, dtype=np.float32)
    image.pixels.foreach_get(values)
    values = values.reshape(image.size[1], image.size[0], 4)[::-1]
    bpy.data.images.remove(image)
    return values


def delete_points(item, which: np.ndarray) -> None:
    """Select the points of a splat object at a boolean mask and delete them in edit mode, whatever carries them."""
    import bpy

    bpy.context.view_layer.objects.active = item
    is_mesh = isinstance(item.data, bpy.types.Mesh)
    operators = bpy.ops.mesh if is_mesh else bpy.ops.pointcloud
    bpy.ops.object.mode_set(mode="EDIT")
    operators.select_all(action="DESELECT")
    bpy.ops.object.mode_set(mode="OBJECT")
    if is_mesh:
        item.data.vertices.foreach_set("select", which)
    else:
        item.data.attributes[".selection"].data.foreach_set("value", which)
    bpy.ops.object.mode_set(mode="EDIT")
    operators.delete(**({"type": "VERT"} if is_mesh else {}))


class Stage:
    """Puts splats into the scene, renders them exactly as trained, and computes what should have been seen."""

    def __init__(self, extension, scene, folder):
        self.extension, self.scene, self.folder = extension, scene, folder
        self.cloud_type = extension.module("splat_addon.gaussians.cloud").GaussianCloud

    def add(self, cloud, name="Splats"):
        item = self.extension.module("splat_addon.scene.splats.data").splats_to_object(
            cloud, name, self.scene.collection
        )
        self.extension.module("splat_addon.scene.splats.appearance").show_splats(item, self.scene)
        return item

    def random_cloud(self, count=50, seed=1, degree=3, **changes):
        random = np.random.default_rng(seed)
        values = {
            "means": random.normal(0, 0.7, (count, 3)),
            "log_scales": random.normal(-2, 0.6, (count, 3)),
            "quaternions": random.normal(size=(count, 4)),
            "logit_opacities": random.normal(1, 2, count),
            "sh": random.normal(0, 0.3, (count, (degree + 1) ** 2, 3)),
        }
        return self.cloud_type(**{**values, **changes})

    def one(self):
        sh = np.random.default_rng(3).normal(0, 0.35, (1, 16, 3))
        scales, turn = np.log([[0.6, 0.25, 0.1]]), np.array([[0.8, 0.5, -0.3, 0.2]])
        return self.cloud_type(np.array([[0.1, -0.2, 0.15]]), scales, turn, np.array([2.0]), sh)

    def camera(self):
        return self.extension.module("splat_addon.scene.cameras.conversion").camera_from_object(
            self.scene.camera, self.scene
        )

    def render(self, look="BLENDER", engine="CYCLES"):
        """The picture, display-encoded, over black."""
        self.scene.splat.look = look
        import bpy

        assert bpy.ops.splat.set_up_render(is_exact=True) == {"FINISHED"}
        return display_encoded(self.scene, render(self.scene, self.folder, engine))

    def worst(self, cloud, look="BLENDER", camera=None, **options):
        """The largest difference of any channel of any pixel, in steps of 1/255."""
        space = "blender" if look == "BLENDER" else "display"
        reference = ewa.render(cloud, camera or self.camera(), space, **options)
        assert reference[..., 3].max() > 0.3, "the reference shows something"
        return 255 * np.abs(np.clip(self.render(look), 0, 1) - np.clip(reference, 0, 1)).max()
