"""Training on after a deletion: the schedule, and the space in which nothing grows again."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from splat_addon.capture.capture import open_capture
from splat_addon.capture.formats.transforms import write_transforms
from splat_addon.errors import SplatError
from splat_addon.gaussians.closed_mesh import ClosedMesh, read_volume, write_volume
from splat_addon.gaussians.cloud import GaussianCloud
from splat_addon.gaussians.formats.splat_ply import read_splats, write_points, write_splats
from splat_addon.inspection.file import VERSION, Inspection, arrays_of, key_of, places_of
from splat_addon.inspection.score import Findings
from splat_addon.run.config import STEPS_ON as STEPS
from splat_addon.run.config import TrainConfig, train_on
from splat_addon.run.folder import WRITTEN_FILES, RunFolder
from splat_addon.trainer import schedules, seeds
from splat_addon.trainer.backend.cpu.rasterizer import CpuRasterizer
from splat_addon.trainer.backend.protocol import Gaussians, Rendering
from splat_addon.trainer.cli import go_on, parse
from splat_addon.trainer.densify import make_densifier
from splat_addon.trainer.densify.cleared import ClearedSpace
from splat_addon.trainer.densify.limits import FrozenGaussians, Limits, Volume, keep_allowed
from splat_addon.trainer.inspection.train_without import run_on, run_without
from splat_addon.trainer.model import GaussianModel
from splat_addon.trainer.seeds import first_cloud, limits_of
from splat_addon.trainer.training_frame import TrainingFrame
from splat_addon.training_on.begin import Choices
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
    going_on = train_on(config, "kept.ply", 12_000)
    going_on.check()
    assert (going_on.iterations, going_on.seconds, going_on.seed) == (STEPS, 0, 7)
    assert (going_on.init_splats, going_on.target_gaussians, going_on.strategy) == ("kept.ply", 12_000, "budget")
    untouched = train_on(config, "all.ply")
    assert (untouched.strategy, schedules.warmth(untouched, 0.0)) == ("fixed", 0.0), "nothing comes or goes, or jumps"
    again = train_on(going_on, "all.ply")
    assert again.means_rate == untouched.means_rate < going_on.means_rate, "what it went on from does not count"
    assert schedules.sh_degree(going_on, 0.0) == config.sh_degree
    assert not schedules.is_coarse(going_on, 0.0)
    assert schedules.means_rate(going_on, 0.0, 1.0) < schedules.means_rate(config, 0.0, 1.0)


def wall_of(width: float) -> GaussianCloud:
    """A dense wall at z = 4 that reaches from x = -6 so far."""
    across, up = np.meshgrid(np.arange(-6, -6 + width, 0.08), np.arange(-5, 5, 0.08))
    return cloud_at(np.stack([across.ravel(), up.ravel(), np.full(across.size, 4.0)], axis=1))


def test_a_far_shell_stands_for_the_sky_that_deleted_floaters_have_shown(tmp_path):
    (tmp_path / "images").mkdir()
    cameras = {}
    for number in range(4):
        pose = np.eye(4)
        pose[0, 3] = 0.5 * (number - 2)
        cameras[f"images/{number}.png"] = camera(64, 48, fx=60.0, fy=60.0, camera_from_world=pose)
        Image.new("RGB", (64, 48), (40, 80, 200)).save(tmp_path / "images" / f"{number}.png")
    wall = wall_of(6.0)
    write_points(
        tmp_path / "points3d.ply", wall.means, np.full((len(wall), 3), 0.5), np.tile([0.0, 0, -1], (len(wall), 1))
    )
    write_transforms(tmp_path / "transforms.json", cameras, [], "points3d.ply", {})
    capture = open_capture(tmp_path, 0)
    write_splats(tmp_path / "kept.ply", wall)
    write_splats(tmp_path / "cleared.ply", cloud_at([[1.0, 0, 2.0]]))
    config = TrainConfig(capture=str(tmp_path), init_splats=str(tmp_path / "kept.ply"), hold_out_every=0)
    without, _ = first_cloud(capture, config)
    assert len(without) == len(wall), "only a deletion opens the sky"
    config = replace(config, cleared_splats=str(tmp_path / "cleared.ply"))
    cloud, told = first_cloud(capture, config)
    sky = cloud.select(np.arange(len(cloud)) >= len(without))
    assert len(sky) > 300 and "far shell" in told[-1].message
    assert np.linalg.norm(sky.means, axis=1).min() > 30
    directions = sky.means / np.linalg.norm(sky.means, axis=1, keepdims=True)
    ahead = directions[(directions[:, 2] > 0) & (np.abs(directions[:, :2]) < [0.35, 0.25]).all(axis=1)]
    assert (ahead[:, 0] > -0.1).mean() > 0.7, "where photos look, mostly where no wall is before it"
    assert directions[:, 2].min() < -0.5, "and behind the cameras"
    np.testing.assert_allclose(0.5 + 0.28209479 * sky.sh[:, 0], np.tile([40, 80, 200], (len(sky), 1)) / 255, atol=0.01)
    assert shell_behind(cloud, capture, config) == 0, "there is a sky by now"
    assert shell_behind(wall_of(12.0), capture, config) == 0, "a closed wall"
    few = cloud.select((np.arange(len(cloud)) < len(wall)) | (np.arange(len(cloud)) % 2 == 0))
    assert shell_behind(few, capture, config) < 0.05 * len(sky), "a sky of fewer splats has no gaps to speak of"
    is_gone = (np.arange(len(cloud)) >= len(wall)) & (cloud.means[:, 2] < -20)
    behind = cloud.means[is_gone] / np.linalg.norm(cloud.means[is_gone], axis=1, keepdims=True)
    again = seeds.sky_behind(cloud.select(~is_gone), capture, seeds.WORLD, config, seeds._reader(None))
    towards = again.means / np.linalg.norm(again.means, axis=1, keepdims=True)
    assert 0.5 * len(behind) < len(again) <= len(behind), "where no photo looks, and floaters have covered a gap"
    assert (towards @ behind.T).max(axis=1).min() > 0.99


def shell_behind(cloud: GaussianCloud, capture, config: TrainConfig) -> int:
    return len(seeds.sky_behind(cloud, capture, seeds.WORLD, config, seeds._reader(None)))


def test_no_shell_stands_outside_of_a_room_whose_splats_have_gaps(tmp_path):
    """Photos of a gray room, measured all around; of its splats only every other patch is left."""
    rng, side = np.random.default_rng(0), 3.0
    points = rng.uniform(-side, side, (6000, 3))
    rows, axis = np.arange(len(points)), rng.integers(0, 3, len(points))
    points[rows, axis] = np.sign(points[rows, axis]) * side
    write_points(tmp_path / "points3d.ply", points, np.full(points.shape, 0.5))
    (tmp_path / "images").mkdir()
    cameras = {}
    for number, turn in enumerate(np.linspace(0, 2 * np.pi, 6, endpoint=False)):
        pose = np.eye(4)
        pose[0, [0, 2]], pose[2, [0, 2]] = (np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))
        pose[2, 3] = 0.5
        cameras[f"images/{number}.png"] = camera(64, 48, fx=40.0, fy=40.0, camera_from_world=pose)
        Image.new("RGB", (64, 48), (120, 120, 120)).save(tmp_path / "images" / f"{number}.png")
    write_transforms(tmp_path / "transforms.json", cameras, [], "points3d.ply", {})
    is_left = np.floor(points + 100).astype(int).sum(axis=1) % 2 == 0
    config = TrainConfig(capture=str(tmp_path), hold_out_every=0)
    assert shell_behind(cloud_at(points[is_left]), open_capture(tmp_path, 0), config) == 0


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
    densifier = make_densifier(model, config, 1.0, [48 * 40], Limits((space,)))
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
    limits = limits_of(TrainConfig(cleared_splats=str(tmp_path / "gone.ply")), wall, frame)
    assert limits.forbidden(torch.from_numpy(swarm.means)).float().mean() > 0.9
    assert not limits_of(TrainConfig(), wall)
    write_splats(tmp_path / "nothing.ply", swarm.select(slice(0, 0)))
    assert not limits_of(TrainConfig(cleared_splats=str(tmp_path / "nothing.ply")), wall)


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
    whole = earlier.inspection_file.read_bytes()
    for told, other, expected in (
        (f'"version": {VERSION}', '"version": 1', "inspection of another version"),
        ('"backend": ""', '"backend": "cuda"', "inspection of another backend"),
    ):
        arrays = dict(np.load(earlier.inspection_file))
        about = bytes(arrays["about"]).decode()
        assert told in about
        np.savez(
            earlier.inspection_file, **arrays | {"about": np.frombuffer(about.replace(told, other).encode(), "u1")}
        )
        with pytest.raises(SplatError, match=expected) as refused:
            run_without(earlier, tmp_path / "next", 0.8)
        assert refused.value.remedy == "Inspect the splats again."
        earlier.inspection_file.write_bytes(whole)
    write_splats(earlier.splats_file, cloud.select(slice(None, None, -1)))
    with pytest.raises(SplatError, match="other splats"):
        run_without(earlier, tmp_path / "next", 0.8)
    earlier.inspection_file.unlink()
    with pytest.raises(SplatError, match="was not inspected"):
        run_without(earlier, tmp_path / "next", 0.8)
    assert not (tmp_path / "next").exists()


def box(center, half) -> ClosedMesh:
    corners = np.array([[-1, -1, -1], [1, -1, -1], [1, 1, -1], [-1, 1, -1]] * 2, float)
    corners[4:, 2] = 1
    quads = [[0, 3, 2, 1], [4, 5, 6, 7], [0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7]]
    triangles = [[a, b, c] for a, b, c, _ in quads] + [[a, c, d] for a, _, c, d in quads]
    return ClosedMesh(corners * half + np.asarray(center, float), np.array(triangles))


def test_nothing_may_be_inside_of_an_empty_volume(tmp_path):
    wall, swarm = wall_and_swarm()
    write_volume(tmp_path / "empty.obj", ClosedMesh(*moved(box([0, 0, -1], 0.5), 10.0, [100, 0, 0])))
    config = TrainConfig(empty_volume=str(tmp_path / "empty.obj"))
    limits = limits_of(config, wall, TrainingFrame((100.0, 0, 0), 10.0))
    model = GaussianModel(cloud_at(np.concatenate([wall.means, swarm.means])), torch.device("cpu"))
    keep_allowed(model, limits)
    np.testing.assert_array_equal(model.gaussians.means.detach().numpy(), wall.means)
    with pytest.raises(SplatError, match="All splats are where none may be"):
        keep_allowed(model, Limits((Volume(box([0, 0, 0], 5)),)))


def moved(mesh: ClosedMesh, unit: float, origin) -> tuple[np.ndarray, np.ndarray]:
    return mesh.vertices * unit + np.asarray(origin, float), mesh.triangles


def test_gaussians_outside_of_the_trained_volume_keep_every_bit():
    wall, _ = wall_and_swarm()
    model, volume = GaussianModel(wall, torch.device("cpu")), box([1, 0, 0], 1)
    inside = volume.holds(wall.means)
    frozen, rasterizer = FrozenGaussians(Limits(trained=Volume(volume))), CpuRasterizer()
    for _ in range(3):
        sum((parameter**2).sum() + parameter.sum() for parameter in model.gaussians).backward()
        frozen.hold(model.gaussians)
        model.step(Gaussians(0.01, 0.01, 0.01, 0.01, 0.01), rasterizer)
    for parameter, before in zip(model.gaussians, (wall.means, wall.log_scales), strict=False):
        is_same = (parameter.detach().numpy() == before).all(axis=1)
        assert np.array_equal(is_same, ~inside)


def test_frozen_gaussians_are_neither_split_nor_removed():
    wall, _ = wall_and_swarm()
    faint = replace(wall, logit_opacities=np.full(300, -9.0, np.float32))
    model, volume = GaussianModel(faint, torch.device("cpu")), box([1, 0, 0], 1)
    config = TrainConfig(target_gaussians=400, iterations=200)
    densifier = make_densifier(model, config, 1.0, [48 * 40], Limits(trained=Volume(volume)))
    rendering = Rendering(torch.zeros(40, 48, 3), torch.zeros(40, 48), torch.zeros(40, 48), radii_px=torch.ones(300))
    densifier.observe(torch.rand(300, 2, generator=torch.manual_seed(0)), rendering, camera())
    densifier.after_step(100, 0.5, 0.0)
    outside = faint.means[~volume.holds(faint.means)]
    np.testing.assert_array_equal(model.gaussians.means.detach().numpy(), outside)


def test_with_the_strategy_fixed_nothing_comes_and_only_what_drifts_into_an_empty_place_goes():
    wall, swarm = wall_and_swarm()
    model = GaussianModel(cloud_at(np.concatenate([wall.means, swarm.means])), torch.device("cpu"))
    config = TrainConfig(strategy="fixed", target_gaussians=900, iterations=200)
    densifier = make_densifier(model, config, 1.0, [48 * 40], Limits((Volume(box([0, 0, -1], 0.5)),)))
    densifier.after_step(99, 0.5, 0.0)
    assert len(model) == 340
    densifier.after_step(100, 0.5, 0.0)
    np.testing.assert_array_equal(model.gaussians.means.detach().numpy(), wall.means)
    with pytest.raises(SplatError, match="strategy mcmc cannot keep places empty"):
        make_densifier(model, replace(config, strategy="mcmc"), 1.0, [48], Limits((Volume(box([0, 0, 0], 1)),)))


def test_what_is_left_to_train_on_lies_outside_of_the_empty_volume(inspected, tmp_path):
    earlier, cloud = inspected
    folder = run_on(earlier, tmp_path / "next", None, None, Choices(empty=box([0, 0, -1], 0.5), steps=40))
    config = TrainConfig.read(folder.config_file)
    assert (config.strategy, config.iterations, config.cleared_splats) == ("budget", 40, "")
    assert config.target_gaussians == len(cloud)
    np.testing.assert_array_equal(read_splats(Path(config.init_splats)).means, cloud.means[:300])
    assert read_volume(Path(config.empty_volume)).holds(cloud.means[300:]).all()
    with pytest.raises(SplatError, match="No splats are left to go on from"):
        run_on(earlier, tmp_path / "none", None, None, Choices(empty=box([0, 0, 0], 9)))
    assert not (tmp_path / "none").exists()


def test_the_command_line_goes_on_with_the_same_choices(inspected, tmp_path):
    earlier, cloud = inspected
    write_volume(tmp_path / "box.obj", box([1, 0, 0], 1))
    common = ["--train-on", str(earlier.path), "--iterations", "30", "--trained-volume", str(tmp_path / "box.obj")]
    folder = go_on(parse([*common, "--run", str(tmp_path / "one"), "--may-return"]))
    config = TrainConfig.read(folder.config_file)
    assert (config.cleared_splats, config.target_gaussians, config.iterations) == ("", 340, 30)
    assert np.array_equal(read_volume(Path(config.trained_volume)).vertices, box([1, 0, 0], 1).vertices)
    folder = go_on(parse([*common, "--run", str(tmp_path / "two"), "--untouched"]))
    assert len(read_splats(Path(TrainConfig.read(folder.config_file).init_splats))) == len(cloud)


def test_a_capture_that_is_gone_is_said_before_anything_is_written(inspected, tmp_path):
    earlier, _ = inspected
    replace(TrainConfig.read(earlier.config_file), capture=str(tmp_path / "gone")).write(earlier.config_file)
    with pytest.raises(SplatError, match=r"gone, which the run was trained on, is gone\. Put it back"):
        run_on(earlier, tmp_path / "next", None, None)
    assert not (tmp_path / "next").exists()
