"""What Blender's renders are judged by are the trainer's rules, and all pictures are made by those handed over."""

import ast
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from splat_addon.gaussians.cloud import GaussianCloud
from splat_addon.gaussians.rules import DEFAULT_RULES, PictureRules
from splat_addon.trainer.backend.cpu.rasterizer import CpuRasterizer
from splat_addon.trainer.backend.protocol import Gaussians
from splat_addon.trainer.backend.reference import textbook
from splat_addon.trainer.backend.reference.torch_tiles import TorchTilesRasterizer
from support import ewa, splat_pictures
from support.splat_scenes import scenes, undecided_pixels

PACKAGE = Path(__file__).resolve().parents[2] / "splat_addon"
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
    goes_on = (image[..., 3] < 1 - DEFAULT_RULES.transmittance_stop) & ~undecided_pixels(scene, margin=1e-4)
    assert goes_on.mean() > 0.1
    assert np.abs(image[..., :3] - seen.image)[goes_on].max() < 3e-4
    assert np.abs(image[..., 3] - seen.alpha)[goes_on].max() < 3e-4


def test_the_judges_of_renders_keep_the_same_numbers():
    """Blender's tests judge by their own; these rules are the ones they must judge by."""
    rules = DEFAULT_RULES
    names = "DILATION_PX2", "ALPHA_CAP", "ALPHA_CUTOFF", "NEAR_PLANE", "MARGIN"
    expected = rules.dilation_px2, rules.alpha_cap, rules.alpha_cutoff, rules.near_plane, rules.image_margin
    for judge in (ewa, splat_pictures):
        assert tuple(getattr(judge, name) for name in names) == expected, judge.__name__


def by_name(changes: dict) -> str:
    return next(iter(changes))


@pytest.mark.parametrize("changes", [{"dilation_px2": 0.9}, {"near_plane": 4.1}, {"image_margin": -0.3}], ids=by_name)
@pytest.mark.parametrize(
    "make", [CpuRasterizer, partial(TorchTilesRasterizer, torch.device("cpu"))], ids=["cpu", "torch"]
)
def test_backends_draw_by_the_rules_they_are_handed(make, changes):
    scene, rules = SCENES["random"], PictureRules(**changes)
    gaussians = Gaussians(*(torch.tensor(values, dtype=torch.float32) for values in scene.gaussians))
    drawn = make(rules=rules).render(gaussians, scene.camera, torch.zeros(3), sh_degree=3).image.numpy()
    usual, expected = (
        textbook.render(scene.gaussians, scene.camera, np.zeros(3), sh_degree=3, rules=chosen).image
        for chosen in (DEFAULT_RULES, rules)
    )
    decided = ~undecided_pixels(replace(scene, options={"rules": rules}), margin=1e-4)
    assert np.abs(usual - expected)[decided].max() > 0.01, "the rule matters here"
    assert np.abs(drawn - expected)[decided].max() < 1e-5


@pytest.mark.parametrize("name", ["alpha_cap", "alpha_cutoff", "transmittance_stop"])
def test_rules_that_are_compiled_into_the_kernels_cannot_be_others(name):
    with pytest.raises(ValueError, match=rf"^{name} is 0\.5, but this backend is compiled for [\d.e-]+$"):
        CpuRasterizer(rules=PictureRules(**{name: 0.5}))


# Numbers that are a rule's in one of its forms, in rooms that make pictures, and what they are there. 0.01 and 1e-4 are
# too common to be looked for; the tests above and Blender's draw by another near plane.
OWN_NUMBERS = {
    ("trainer/backend/plain.py", 0.999): "β2 of Adam",
    ("trainer/backend/cpu/adam.py", 0.999): "β2 of Adam",
    ("trainer/backend/cpu/kernels/blend.py", 255): "the bits of a row",
    ("scene/splats/contents/bundled.py", 255): "the bytes of an image",
    ("scene/splats/contents/quantization.py", 255): "the steps of EEVEE's colors",
}


def test_no_file_has_a_rule_s_number_of_its_own():
    found = set()
    for room in ("trainer/backend", "scene/splats", "scene/viewport"):
        for path in (PACKAGE / room).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            values = {node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)}
            if path.name == "shader.py":  # a shader is a text
                values |= {float(number) for number in re.findall(r"\d+\.\d+|\d+", text)}
            name = path.relative_to(PACKAGE).as_posix()
            found |= {(name, value) for value in values if value in (0.3, 0.999, 255, 0.15, 0.65, 1.3)}
    assert found == set(OWN_NUMBERS)
