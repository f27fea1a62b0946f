"""Training on after a deletion: the schedule, and the space in which nothing grows again."""

from pathlib import Path

import numpy as np
import pytest
import torch

from splat_addon.errors import SplatError
from splat_addon.gaussians.cloud import GaussianCloud
from splat_addon.gaussians.formats.splat_ply import read_splats, write_splats
from splat_addon.inspection.file import Inspection, arrays_of, key_of, places_of
from splat_addon.inspection.score import Findings
from splat_addon.run.config import STEPS_ON as STEPS
from splat_addon.run.config import TrainConfig, train_on
from splat_addon.run.folder import WRITTEN_FILES, RunFolder
from splat_addon.trainer import schedules
from splat_addon.trainer.backend.protocol import Rendering
from splat_addon.trainer.densify import make_densifier
from splat_addon.trainer.densify.cleared import ClearedSpace
from splat_addon.trainer.inspection.train_without import run_without
from splat_addon.trainer.model import GaussianModel
from splat_addon.trainer.seeds import cleared_space
from splat_addon.trainer.training_frame import TrainingFrame
from support.splat_scenes import camera


def cloud_at(means, log_scale=-3.0) -> GaussianCloud:
    count = len(means)
    return GaussianCloud(
        means=means,
        log_scales=np.full((count, 3), log_scale),
        quaternions=np.tile([1.0, 0, 0, 0], (count, 1)),
        logit_opacities=np.zeros(count),
        sh=np.zeros((count, 1, 3)),
    )


def wall_and_swarm() -> tuple[GaussianCloud, GaussianCloud]:
    rng = np.random.default_rng(0)
    wall = np.stack([*rng.uniform(-1, 1, (2, 300)), np.zeros(300)], axis=1)
    return cloud_at(wall), cloud_at(rng.normal([0, 0, -1], 0.05, (40, 3)))


def test_the_schedule_goes_on_where_the_run_ended():
    config = TrainConfig(capture="/c", iterations=7000, strategy="mcmc", seconds=60, seed=7)
    going_on = train_on(config, "kept.ply", "gone.ply", 12_000)
    going_on.check()
    assert (going_on.iterations, going_on.seconds, going_on.seed) == (STEPS, 0, 7)
    assert (going_on.init_splats, going_on.cleared_splats) == ("kept.ply", "gone.ply")
    assert going_on.target_gaussians == 12_000
    assert schedules.sh_degree(going_on, 0.0) == config.sh_degree
    assert not schedules.is_coarse(going_on, 0.0)
    assert schedules.means_rate(going_on, 0.0, 1.0) < schedules.means_rate(config, 0.0, 1.0)


def test_cleared_is_where_the_deleted_were_and_not_where_something_was_kept():
    wall, swarm = wall_and_swarm()
    space = ClearedSpace(swarm, wall)
    assert space.holds(torch.from_numpy(swarm.means)).all()
    assert not space.holds(torch.from_numpy(wall.means)).any()
    assert not space.holds(torch.tensor([[0.0, 0, -3], [50.0, 0, 0], [np.inf, 0, 0]])).any()
    assert not ClearedSpace(wall, wall).holds(torch.from_numpy(wall.means)).any()


def test_nothing_is_added_in_cleared_space_and_what_drifts_there_goes():
    wall, swarm = wall_and_swarm()
    space = ClearedSpace(swarm, wall)
    start = cloud_at(np.concatenate([wall.means, swarm.means[:5]]))  # five have drifted back
    model = GaussianModel(start, torch.device("cpu"))
    config = TrainConfig(target_gaussians=400, iterations=200)
    densifier = make_densifier(model, config, 1.0, [48 * 40], space)
    count, view = len(model), camera()
    rendering = Rendering(torch.zeros(40, 48, 3), torch.zeros(40, 48), torch.zeros(40, 48), radii_px=torch.ones(count))
    gradients = torch.rand(count, 2, generator=torch.manual_seed(0))
    gradients[300:] = 10.0  # where they would be split first
    densifier.observe(gradients, rendering, view)
    densifier.after_step(100, 0.5, 0.0)
    assert len(model) > 350
    assert not space.holds(model.gaussians.means).any()


def test_deleted_splats_are_read_in_the_frame_of_training(tmp_path):
    wall, swarm = wall_and_swarm()
    frame = TrainingFrame((100.0, 0, 0), 10.0)
    write_splats(tmp_path / "gone.ply", frame.to_world(swarm))
    space = cleared_space(TrainConfig(cleared_splats=str(tmp_path / "gone.ply")), wall, frame)
    assert space.holds(torch.from_numpy(swarm.means)).float().mean() > 0.9
    assert cleared_space(TrainConfig(), wall) is None
    write_splats(tmp_path / "nothing.ply", swarm.select(slice(0, 0)))
    assert cleared_space(TrainConfig(cleared_splats=str(tmp_path / "nothing.ply")), wall) is None


@pytest.fixture
def inspected(tmp_path) -> tuple[RunFolder, GaussianCloud]:
    """A run whose forty floaters have a score of 1."""
    wall, swarm = wall_and_swarm()
    cloud = cloud_at(np.concatenate([wall.means, swarm.means]))
    folder = RunFolder.create(tmp_path / "run", TrainConfig(capture=str(tmp_path)))
    write_splats(folder.splats_file, cloud)
    score = (np.arange(len(cloud)) >= 300).astype(np.float32)
    findings = Findings(score, score, 0 * score, np.zeros(len(cloud), np.uint8))
    np.savez(folder.inspection_file, **arrays_of(Inspection(key_of(cloud), places_of(cloud.means), findings, None)))
    return folder, cloud


def test_a_run_goes_on_without_what_was_selected_and_the_earlier_one_stays(inspected, tmp_path):
    earlier, cloud = inspected
    folder, count = run_without(earlier, tmp_path / "next", 0.8)
    config = TrainConfig.read(folder.config_file)
    assert count == 40
    np.testing.assert_array_equal(read_splats(Path(config.init_splats)).means, cloud.means[:300])
    np.testing.assert_array_equal(read_splats(Path(config.cleared_splats)).means, cloud.means[300:])
    assert config.target_gaussians == 340
    assert {path.name for path in folder.path.iterdir()} <= set(WRITTEN_FILES)
    assert len(read_splats(earlier.splats_file)) == 340


def test_nothing_is_deleted_by_a_stale_score_or_all_at_once(inspected, tmp_path):
    earlier, cloud = inspected
    for above, expected in ((2.0, "nothing would be deleted"), (-1.0, "Every splat")):
        with pytest.raises(SplatError, match=expected):
            run_without(earlier, tmp_path / "next", above)
    write_splats(earlier.splats_file, cloud.select(slice(None, None, -1)))
    with pytest.raises(SplatError, match="other splats"):
        run_without(earlier, tmp_path / "next", 0.8)
    earlier.inspection_file.unlink()
    with pytest.raises(SplatError, match="was not inspected"):
        run_without(earlier, tmp_path / "next", 0.8)
    assert not (tmp_path / "next").exists()
