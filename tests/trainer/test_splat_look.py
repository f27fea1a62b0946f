"""What Blender's renders are judged by, and the rules they follow, are the trainer's."""

import re
from pathlib import Path

import numpy as np
import pytest

from splat_addon.gaussians.cloud import GaussianCloud
from splat_addon.trainer import backend
from splat_addon.trainer.backend.reference import textbook
from support import ewa
from support.splat_scenes import scenes, undecided_pixels

SCENE = Path(__file__).resolve().parents[2] / "splat_addon" / "scene"
LEFT_OUT = {"very near the camera"}  # every pixel is on the border of some footprint
SCENES = {name: scene for name, scene in scenes().items() if not scene.options and scene.camera.width > 1}
SCENES = {name: scene for name, scene in SCENES.items() if name not in LEFT_OUT}


@pytest.mark.parametrize("name", SCENES)
def test_the_judge_of_renders_agrees_with_the_textbook(name):
    scene = SCENES[name]
    cloud = GaussianCloud(*(np.asarray(values) for values in scene.gaussians))
    cloud.sh = cloud.sh[:, : (scene.sh_degree + 1) ** 2]
    seen = textbook.render(scene.gaussians, scene.camera, np.zeros(3), sh_degree=scene.sh_degree)
    image = ewa.render(cloud, scene.camera, "display")
    # In an opaque pixel the trainer leaves out the last gaussian; on the border of a footprint rounding decides.
    goes_on = (image[..., 3] < 1 - backend.TRANSMITTANCE_STOP) & ~undecided_pixels(scene, margin=1e-4)
    assert goes_on.mean() > 0.1
    assert np.abs(image[..., :3] - seen.image)[goes_on].max() < 3e-4
    assert np.abs(image[..., 3] - seen.alpha)[goes_on].max() < 3e-4


def test_blenders_rules_are_the_trainers():
    """scene/ may not import the trainer: its constants are compared as they are written."""
    text = (SCENE / "splats/quads.py").read_text() + (SCENE / "splats/material.py").read_text()
    for name in ("DILATION_PX2", "ALPHA_CUTOFF", "NEAR_PLANE", "FRUSTUM_MARGIN", "ALPHA_CAP"):
        written = re.search(rf"^{name} = ([\d./ ]+)", text, re.MULTILINE).group(1)
        assert eval(written) == getattr(backend, name), name
