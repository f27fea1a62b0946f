"""Small seeded scenes that reach every corner of a rasteriser, each a few gaussians in a few pixels."""

from dataclasses import dataclass, field, replace

import numpy as np

from splat_addon.capture.camera import Camera
from splat_addon.gaussians.rules import DEFAULT_RULES, PictureRules
from splat_addon.gaussians.srgb import FOOT_ENCODED
from splat_addon.trainer.backend.protocol import Gaussians
from splat_addon.trainer.backend.reference import equations as eq
from splat_addon.trainer.backend.reference import textbook

UNDILATED = PictureRules(dilation_px2=0.0)


@dataclass
class Scene:
    """Gaussians as float64 arrays that hold float32 numbers, a camera, and the options of the rasteriser."""

    gaussians: Gaussians
    camera: Camera
    sh_degree: int = 3
    background: np.ndarray = field(default_factory=lambda: np.float32([0.2, 0.45, 0.7]).astype(np.float64))
    options: dict = field(default_factory=dict)  # rules, antialiased, blend_space

    @property
    def textbook_options(self) -> dict:
        return {"sh_degree": self.sh_degree, **self.options}


def camera(width: int = 48, height: int = 40, distance: float = 4.0, **changes) -> Camera:
    """Looks along +z at the origin from `distance` away, unless `camera_from_world` is given."""
    camera_from_world = np.eye(4)
    camera_from_world[2, 3] = distance
    values = {"fx": 1.1 * max(width, 20), "fy": 1.15 * max(width, 20), "cx": width / 2, "cy": height / 2}
    return Camera(width=width, height=height, **{"camera_from_world": camera_from_world, **values, **changes})


def cloud(seed: int, count: int = 60, spread=1.0, log_scale=-2.0, logit=0.0, degree: int = 3, **changes) -> Gaussians:
    """Random gaussians around the origin; `changes` replace whole parameters."""
    rng = np.random.default_rng(seed)
    values = {
        "means": rng.normal(0, spread, (count, 3)),
        "log_scales": rng.normal(log_scale, 0.5, (count, 3)),
        "quaternions": rng.normal(size=(count, 4)),
        "logit_opacities": rng.normal(logit, 1.5, count),
        "sh": rng.normal(0, 0.3, (count, (degree + 1) ** 2, 3)),
    }
    values.update(changes)
    return Gaussians(*(np.asarray(values[name], np.float32).astype(np.float64) for name in Gaussians._fields))


def turned_camera() -> Camera:
    """From the side, rolled, and with its principal point off centre."""
    x, y, z = 0.4, -0.7, 0.3
    rotation = np.array([
        [np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1],
    ]) @ np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]]) @ np.array([
        [1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)],
    ])  # fmt: skip
    camera_from_world = np.eye(4)
    camera_from_world[:3, :3], camera_from_world[:3, 3] = rotation, [0.2, -0.3, 3.5]
    return camera(61, 47, camera_from_world=camera_from_world, cx=20.3, cy=29.8)


def _needles(seed: int, thin: float = -5.0) -> Gaussians:
    rng = np.random.default_rng(seed)
    return cloud(seed, 40, log_scales=np.column_stack([np.full(40, 0.0), rng.normal(thin, 1, (40, 2))]))


def _shifted_camera(shift_x: float, shift_y: float) -> Camera:
    """83 degrees across; the principal point is beside the image's centre by these parts of its size."""
    focal_px = 24 / np.tan(np.deg2rad(83) / 2)
    return camera(fx=focal_px, fy=focal_px, cx=24 + 48 * shift_x, cy=20 + 40 * shift_y, distance=3.0)


def _wide(seed: int) -> Gaussians:
    """Fills the sides of a shifted image, and what lies beyond them."""
    return cloud(seed, 150, spread=3.0, log_scale=-1.0)


def scenes() -> dict[str, Scene]:
    """Name to scene."""
    one = {"means": [[0.1, -0.2, 0.0]], "log_scales": [[-1.0, -1.5, -2.0]], "quaternions": [[1.0, 0.3, -0.2, 0.5]]}
    wide = cloud(21, 12, log_scales=np.full((12, 3), 1.5))
    return {
        "random": Scene(cloud(1), camera()),
        "random, degree 0": Scene(cloud(2, degree=0), camera(), sh_degree=0),
        "random, degree 1": Scene(cloud(3, degree=1), camera(), sh_degree=1),
        "random, degree 2": Scene(cloud(4, degree=2), camera(), sh_degree=2),
        "degree below the stored one": Scene(cloud(5), camera(), sh_degree=1),
        "many small": Scene(cloud(6, 300, log_scale=-3.5), camera(80, 72)),
        "many faint": Scene(cloud(7, 200, logit=-3.0), camera()),
        "deep and opaque": Scene(cloud(8, 150, logit=3.0, log_scale=-1.0), camera()),
        "turned camera": Scene(cloud(9), turned_camera()),
        "no gaussian": Scene(cloud(10, 0), camera()),
        "one gaussian": Scene(cloud(11, 1, **one), camera()),
        "all behind the camera": Scene(cloud(12, means=np.full((60, 3), -9.0)), camera()),
        "off screen": Scene(cloud(13, means=cloud(13).means + [40.0, 0.0, 0.0]), camera()),
        "half off screen": Scene(cloud(14, means=cloud(14).means + [1.6, 1.2, 0.0]), camera()),
        "larger than the image": Scene(wide, camera()),
        "needles": Scene(_needles(15), camera(72, 70)),
        # Thinner ones without dilation fall between pixels, where single precision has little left to say.
        "needles without dilation": Scene(_needles(16, -3.5), camera(), options={"rules": UNDILATED}),
        "opacity at the cap": Scene(cloud(17, 30, logit_opacities=np.full(30, 12.0)), camera()),
        "opacity below the cutoff": Scene(cloud(18, logit_opacities=np.full(60, -7.0)), camera()),
        "size that no tile divides": Scene(cloud(19), camera(61, 67)),
        "one pixel": Scene(cloud(20), camera(1, 1)),
        "one pixel wide": Scene(cloud(22), camera(1, 70)),
        "one pixel high": Scene(cloud(23), camera(70, 1)),
        "very near the camera": Scene(cloud(24, means=cloud(24).means * 0.1 - [0.0, 0.0, 3.9]), camera()),
        "outside the frustum's margin": Scene(cloud(25, 40, spread=3.0, log_scale=0.0), camera(distance=3.0)),
        "lens shifted right and down": Scene(_wide(31), _shifted_camera(0.3, 0.4)),
        "lens shifted beyond the image": Scene(_wide(32), _shifted_camera(-0.7, -0.6)),
        "antialiased": Scene(cloud(26, log_scale=-3.5), camera(), options={"antialiased": True}),
        "antialiased needles": Scene(_needles(27), camera(), options={"antialiased": True}),
        "without dilation": Scene(cloud(28), camera(), options={"rules": UNDILATED}),
        "dark colours clamped": Scene(cloud(29, sh=cloud(29).sh - 0.5), camera()),
    }


def scenes_in_linear_light() -> dict[str, Scene]:
    """Scenes of `scenes()` that differ where colours do, in the blend space of Blender; and one beyond white."""
    names = [
        "random", "random, degree 0", "random, degree 1", "degree below the stored one", "many small", "many faint",
        "deep and opaque", "turned camera", "no gaussian", "one gaussian", "off screen", "needles",
        "opacity at the cap", "size that no tile divides", "one pixel", "one pixel wide", "antialiased",
        "dark colours clamped",
    ]  # fmt: skip
    chosen = {name: scene for name, scene in scenes().items() if name in names}
    chosen["brighter than white"] = Scene(cloud(30, sh=cloud(30).sh * 4 + 1.0), camera())
    space = {"blend_space": "blender"}
    return {f"linear light, {name}": replace(scene, options=scene.options | space) for name, scene in chosen.items()}


def undecided_pixels(scene: Scene, margin: float = 2e-5) -> np.ndarray:
    """Pixels in which some α' or T is within `margin`, relatively, of the cap, the cutoff or the stop: (H, W).

    There float32 and float64 may rightly decide differently, and a whole contribution comes or goes. In linear light
    also those at the foot of the encoding, where its slope changes by 1.7 %.
    """
    rules = scene.options.get("rules", DEFAULT_RULES)
    seen = textbook.project(scene.gaussians, scene.camera, **scene.textbook_options)
    rows, columns = np.divmod(np.arange(scene.camera.height * scene.camera.width), scene.camera.width)
    offsets = seen.means_px[:, None, :] - (np.column_stack([columns, rows]) + 0.5)
    falloffs = eq.falloffs(seen.conics, offsets)
    free = seen.opacities[:, None] * falloffs
    undecided = np.abs(free / rules.alpha_cutoff - 1) < margin
    undecided |= np.abs(free / rules.alpha_cap - 1) < margin
    alphas = np.minimum(free, rules.alpha_cap)
    alphas = np.where(alphas < rules.alpha_cutoff, 0.0, alphas)
    left = np.cumprod(1.0 - alphas, axis=0)
    undecided |= (np.abs(left / rules.transmittance_stop - 1) < margin) & (alphas > 0)
    image = textbook.render(scene.gaussians, scene.camera, scene.background, **scene.textbook_options).image
    at_foot = np.abs(image / FOOT_ENCODED - 1).min(axis=2) < margin
    is_linear = scene.options.get("blend_space") == "blender"
    return undecided.any(axis=0).reshape(at_foot.shape) | (is_linear & at_foot)
