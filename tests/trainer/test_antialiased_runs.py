"""Runs whose opacities make up for the dilation (Mip-Splatting), as the splats they start from may ask for."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from splat_addon.capture.capture import open_capture
from splat_addon.gaussians import rules
from splat_addon.gaussians.cloud import GaussianCloud
from splat_addon.gaussians.formats.splat_ply import SplatPly, read_splats, write_splats
from splat_addon.run.config import TrainConfig
from splat_addon.run.folder import RunFolder
from splat_addon.run.wire import Wire
from splat_addon.trainer.backend import choose
from splat_addon.trainer.backend.cpu.kernels import project
from splat_addon.trainer.backend.protocol import Gaussians
from splat_addon.trainer.backend.reference import textbook
from splat_addon.trainer.seeds import first_cloud, is_antialiased
from splat_addon.trainer.train import train
from support import ewa, splat_pictures
from support.scenes import random_cloud, write_ball_capture
from support.splat_scenes import scenes, undecided_pixels


def test_all_that_draws_keeps_the_same_floor():
    floors = [project.ANTIALIAS_FLOOR, ewa.ANTIALIAS_FLOOR, splat_pictures.ANTIALIAS_FLOOR]
    assert floors == [rules.ANTIALIAS_FLOOR] * 3


def test_the_judges_of_renders_agree_with_the_textbook_and_the_processor():
    scene = scenes()["random"]
    log_scales = np.asarray(scene.gaussians.log_scales) - 2.5
    gaussians = scene.gaussians._replace(log_scales=log_scales)
    scene = replace(scene, gaussians=gaussians)
    cloud = GaussianCloud(*(np.asarray(values) for values in gaussians), antialiased=True)
    seen = textbook.render(gaussians, scene.camera, np.zeros(3), sh_degree=3, antialiased=True)
    image = ewa.render(cloud, scene.camera, "display")
    decided = ~undecided_pixels(replace(scene, options={"antialiased": True}), margin=1e-4)
    assert np.abs(image[..., :3] - seen.image)[decided].max() < 3e-4
    drawn = choose("cpu", antialiased=True).render(
        Gaussians(*(torch.tensor(np.asarray(values), dtype=torch.float32) for values in gaussians)),
        scene.camera, torch.zeros(3), sh_degree=3,
    )  # fmt: skip
    assert np.abs(drawn.image.numpy() - seen.image)[decided].max() < 1e-4
    plain = ewa.render(replace(cloud, antialiased=False), scene.camera, "display")
    assert np.abs(plain - image).max() > 0.1, "it matters here"


@pytest.mark.parametrize(
    ("setting", "file", "expected"),
    [("auto", True, True), ("auto", False, False), ("auto", None, False), ("on", False, True), ("on", None, True)]
    + [("off", True, False)],
)
def test_a_run_is_antialiased_as_it_is_told_or_as_what_it_starts_from(tmp_path, setting, file, expected):
    path = tmp_path / "a.ply"
    if file is not None:
        write_splats(path, replace(random_cloud(5), antialiased=file))
    capture = write_ball_capture(tmp_path / "capture")
    start = str(path) if file is not None else ""
    config = TrainConfig(capture=str(capture), init_splats=start, antialiased=setting)
    assert is_antialiased(config) == expected
    assert first_cloud(open_capture(capture), config)[0].antialiased == expected


def test_snapshots_and_the_result_say_so_and_what_was_decided_about_the_start_is_told(tmp_path):
    cloud = replace(random_cloud(40), logit_opacities=np.linspace(0, 1, 40), antialiased=True)
    write_splats(tmp_path / "a.ply", cloud)
    capture = write_ball_capture(tmp_path / "capture")
    start = str(tmp_path / "a.ply")
    config = TrainConfig(capture=str(capture), device="cpu", iterations=2, save_every=1, init_splats=start)
    run, events = RunFolder.create(tmp_path / "run", config), io.StringIO()
    train(run, config, Wire(run, events, io.StringIO(), obey=lambda command: None))
    assert json.loads(run.summary_file.read_text())["antialiased"] is True
    assert SplatPly(run.snapshot_file(1)).antialiased and read_splats(run.splats_file).antialiased
    assert "All opacities of a.ply lie between 0 and 1" in events.getvalue()
