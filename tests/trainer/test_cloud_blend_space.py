"""What a run blends its colors in is said by every cloud it starts from and leaves."""

import io
import json
from dataclasses import replace

import pytest
import torch

from splat_addon.capture.capture import open_capture
from splat_addon.capture.formats.transforms import SCENE_SOURCE
from splat_addon.gaussians.formats.splat_ply import read_splats, write_splats
from splat_addon.run.config import TrainConfig
from splat_addon.run.folder import RunFolder
from splat_addon.run.wire import Wire
from splat_addon.trainer.model import GaussianModel
from splat_addon.trainer.seeds import first_cloud
from splat_addon.trainer.train import train
from support.scenes import random_cloud, write_ball_capture


@pytest.fixture(params=["scene", "photographs"])
def capture(request, tmp_path):
    """The folder of a capture, and what "auto" means there."""
    folder = write_ball_capture(tmp_path / "capture")
    if request.param == "photographs":
        return folder, "display"
    listing = json.loads((folder / "transforms.json").read_text())
    (folder / "transforms.json").write_text(json.dumps({**listing, "source": SCENE_SOURCE}))
    return folder, "blender"


def test_the_model_gives_back_the_blend_space_that_it_started_in():
    model = GaussianModel(replace(random_cloud(5), blend_space="blender"), torch.device("cpu"))
    model.keep(torch.tensor([True, False, True, True, True]))
    assert len(model.cloud()) == 4 and model.cloud().blend_space == "blender"


def test_splats_to_go_on_from_take_the_blend_space_of_the_run(tmp_path, capture):
    folder, expected = capture
    other = {"display": "blender", "blender": "display"}[expected]
    write_splats(tmp_path / "a.ply", replace(random_cloud(5), blend_space=other))
    config = TrainConfig(capture=str(folder), init_splats=str(tmp_path / "a.ply"))
    assert first_cloud(open_capture(folder), config)[0].blend_space == expected
    assert first_cloud(open_capture(folder), replace(config, blend_space=other))[0].blend_space == other


def test_snapshots_and_the_result_say_what_the_run_recorded(tmp_path, capture):
    folder, expected = capture
    config = TrainConfig(capture=str(folder), device="cpu", iterations=2, save_every=1)
    run = RunFolder.create(tmp_path / "run", config)
    train(run, config, Wire(run, io.StringIO(), io.StringIO(), obey=lambda command: None))
    assert json.loads(run.summary_file.read_text())["blend_space"] == expected
    assert [read_splats(path).blend_space for path in (run.snapshot_file(1), run.splats_file)] == [expected] * 2
