"""Captures of any size, anywhere: trained as if they were of ordinary size around their origin, and put back."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from splat_addon.capture.capture import Capture, open_capture
from splat_addon.capture.choices import CaptureChoices
from splat_addon.gaussians.formats.splat_ply import read_splats, read_vertices, write_points, write_splats
from splat_addon.run.config import TrainConfig
from splat_addon.run.events import Evaluated, Warned
from splat_addon.run.folder import RunFolder
from splat_addon.run.wire import Wire
from splat_addon.trainer.seeds import first_cloud
from splat_addon.trainer.train import train
from splat_addon.trainer.training_frame import WORLD, TrainingFrame
from support.scenes import random_cloud, write_ball_capture

STEPS = 60


@pytest.fixture(scope="module")
def capture(tmp_path_factory) -> Path:
    return write_ball_capture(tmp_path_factory.mktemp("ball") / "capture")


def similarity(scale: float = 1.0, shift=(0.0, 0.0, 0.0)) -> np.ndarray:
    matrix = np.diag([scale, scale, scale, 1.0])
    matrix[:3, 3] = shift
    return matrix


def train_moved(folder: Path, capture: Path, matrix: np.ndarray, monkeypatch, **settings) -> RunFolder:
    """Train on `capture` in a world that `matrix` has scaled and shifted, as a reader in double precision gives it."""

    def opened(path: Path, every: int, choices: CaptureChoices) -> Capture:
        return open_capture(path, every, choices=choices).moved(matrix)

    monkeypatch.setattr("splat_addon.trainer.photos.run_card.open_capture", opened)
    return train_in(new_folder(folder, capture, **settings))


def new_folder(path: Path, capture: Path, **settings) -> RunFolder:
    defaults = {"device": "cpu", "iterations": STEPS, "eval_every": 0, "save_every": 0}
    return RunFolder.create(path, TrainConfig(capture=str(capture), **{**defaults, **settings}))


def train_in(folder: RunFolder, resume: bool = False, wire_of=Wire) -> RunFolder:
    wire = wire_of(folder, io.StringIO(), (), obey=lambda command: None)
    train(folder, TrainConfig.read(folder.config_file), wire, resume)
    return folder


def held_out_db(folder: RunFolder) -> float:
    return json.loads(folder.summary_file.read_text())["held_out_psnr_db"]


def warnings_of(folder: RunFolder) -> list[str]:
    return [event.message for event in folder.events() if isinstance(event, Warned)]


@pytest.fixture(scope="module")
def as_it_is(tmp_path_factory, capture) -> RunFolder:
    return train_in(new_folder(tmp_path_factory.mktemp("plain") / "run", capture))


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e6])
def test_a_capture_of_any_size_is_trained_as_well(tmp_path, capture, as_it_is, monkeypatch, scale):
    run = train_moved(tmp_path / "run", capture, similarity(scale), monkeypatch)
    assert held_out_db(run) == pytest.approx(held_out_db(as_it_is), abs=0.1)
    found, expected = read_splats(run.splats_file), read_splats(as_it_is.splats_file)
    assert len(found) == len(expected)
    assert np.median(np.linalg.norm(found.means, axis=1)) == pytest.approx(
        scale * np.median(np.linalg.norm(expected.means, axis=1)), rel=0.02
    )
    assert np.median(found.scales) == pytest.approx(scale * np.median(expected.scales), rel=0.05)


def test_a_georeferenced_capture_is_trained_as_well_and_its_splats_lie_where_it_is(
    tmp_path, capture, as_it_is, monkeypatch
):
    shift = (5e5, 5e6, 100.0)
    run = train_moved(tmp_path / "run", capture, similarity(shift=shift), monkeypatch)
    assert held_out_db(run) == pytest.approx(held_out_db(as_it_is), abs=0.15)
    means = read_splats(run.splats_file).means
    assert np.allclose(np.median(means, axis=0), shift, atol=1.0)
    frame = TrainingFrame.around(open_capture(capture).moved(similarity(shift=shift)))
    trained = torch.load(run.checkpoint_file, weights_only=True)["model"]["gaussians"][0].numpy()
    vertices = read_vertices(run.splats_file)
    written = np.stack([vertices[axis] for axis in "xyz"], axis=1)
    assert written.dtype == np.float64 and np.array_equal(
        written, trained.astype(np.float64) * frame.unit + frame.origin
    )
    start = TrainConfig(capture=str(capture), init_splats=str(run.splats_file))
    again, _ = first_cloud(open_capture(capture), start, frame)
    assert np.abs(again.means - trained).max() < 1e-8, "training on from it loses nothing"
    (told,) = warnings_of(run)
    assert "so far from its origin" in told and "to 0.5 units" in told


def test_a_capture_around_its_own_origin_is_trained_as_it_is(capture):
    assert TrainingFrame.around(open_capture(capture)) == WORLD
    assert TrainingFrame.around(open_capture(capture).moved(similarity(0.5, (12.0, -9.0, 3.0)))) == WORLD


@pytest.mark.parametrize("scale", [1e-9, 1e-6, 1e-2, 1e5, 1e9])
def test_in_training_a_capture_is_of_usual_size_around_the_origin(capture, scale):
    moved = open_capture(capture).moved(similarity(scale, (1e3 * scale, -1e4 * scale, 0.0)))
    seen = moved.moved(TrainingFrame.around(moved).training_from_world)
    assert 2 <= seen.extent < 4
    assert np.abs(seen.center).max() <= 32


def test_gaussians_come_back_from_training_to_where_they_were():
    frame = TrainingFrame((4096.0, -512.0, 0.0), 2.0**-20)
    cloud = random_cloud(50)
    there = frame.to_world(cloud)
    assert np.allclose(there.log_scales, cloud.log_scales - 20 * np.log(2), atol=1e-5)
    assert np.allclose(there.means, (4096, -512, 0), atol=1e-3), "as 32 bits have it"
    about, origin = frame.placed(cloud)
    assert origin == frame.origin
    back = frame.from_origin(about)
    assert np.array_equal(back.means, cloud.means) and np.allclose(back.log_scales, cloud.log_scales, atol=1e-5)


def test_splats_that_a_run_starts_from_are_taken_into_its_frame(tmp_path, capture):
    cloud = random_cloud(20, degree=0)
    write_splats(tmp_path / "start.ply", cloud)
    config = TrainConfig(capture=str(capture), init_splats=str(tmp_path / "start.ply"), sh_degree=0)
    frame = TrainingFrame((64.0, 0.0, 0.0), 0.5)
    found, _ = first_cloud(open_capture(capture), config, frame)
    assert np.allclose(found.means, (cloud.means - (64, 0, 0)) / 0.5, atol=1e-4)
    assert np.allclose(found.scales, cloud.scales / 0.5, rtol=1e-5)


def test_a_run_goes_on_in_the_frame_of_its_checkpoint(tmp_path, capture, monkeypatch):
    run = train_moved(tmp_path / "run", capture, similarity(1e-3), monkeypatch, iterations=20)
    result = read_splats(run.splats_file)
    state = torch.load(run.checkpoint_file, weights_only=True)
    assert state["frame"] == ((0.0, 0.0, 0.0), 2.0**-10)
    run.splats_file.unlink()
    train_in(run, resume=True)
    assert np.array_equal(read_splats(run.splats_file).means, result.means)


def test_a_checkpoint_of_an_earlier_version_goes_on_in_the_units_of_the_capture(tmp_path, capture, monkeypatch):
    run = train_moved(tmp_path / "run", capture, similarity(1e-3), monkeypatch, iterations=20)
    state = torch.load(run.checkpoint_file, weights_only=True)
    del state["frame"]
    torch.save(state, run.checkpoint_file)
    train_in(run, resume=True)
    assert np.allclose(read_splats(run.splats_file).means, state["model"]["gaussians"][0].numpy())


def test_one_point_absurdly_far_away_is_left_out(tmp_path):
    folder = write_ball_capture(tmp_path / "capture")
    opened = open_capture(folder)
    write_points(
        folder / "points3d.ply",
        np.concatenate([opened.points.positions, [(1e20, 0, 0)]]),
        np.concatenate([opened.points.colors, [(1, 1, 1)]]),
    )
    run = train_in(new_folder(tmp_path / "run", folder, iterations=20))
    assert len(read_splats(run.splats_file)) == 300 and held_out_db(run) > 8


def test_a_camera_registered_far_away_does_not_change_the_extent(capture):
    opened = open_capture(capture)
    expected = opened.extent
    for times in (3.0, 1000.0):
        views = list(opened.views)
        far = views[3].camera
        matrix = far.camera_from_world.copy()
        matrix[:3, 3] = -matrix[:3, :3] @ (times * far.position)
        views[3] = replace(views[3], camera=replace(far, camera_from_world=matrix))
        assert replace(opened, views=tuple(views)).extent == pytest.approx(expected, rel=0.15)


def test_cameras_at_one_place_without_points_have_an_extent_of_their_own(capture):
    opened = open_capture(capture)
    views = tuple(
        replace(view, camera=replace(view.camera, camera_from_world=opened.views[0].camera.camera_from_world))
        for view in opened.views
    )
    assert replace(opened, views=views, points=None).extent == 1.0


def points_behind(capture: Path) -> None:
    """On a line far below all cameras, which look down at the origin from a circle: behind each of them."""
    heights = np.linspace(30, 40, 20)
    write_points(capture / "points3d.ply", np.stack([0 * heights, 0 * heights, heights], axis=1), np.full((20, 3), 0.5))


def points_at_one_place(capture: Path) -> None:
    write_points(capture / "points3d.ply", np.array([(0.0, 0.0, -2.5)]), np.full((1, 3), 0.5))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (points_behind, "all splats lie behind the cameras."),
        (points_at_one_place, "the only splat lies outside of all photos."),
    ],
)
def test_a_first_pass_in_which_no_splat_is_seen_is_one_warning_that_says_why(tmp_path, change, why):
    folder = write_ball_capture(tmp_path / "capture", alpha=False)
    change(folder)
    run = train_in(new_folder(tmp_path / "run", folder, iterations=20))
    (message,) = warnings_of(run)
    assert message == f"No splat was seen in any photo: {why} Nothing is being trained."


def test_no_such_warning_where_splats_are_seen(as_it_is):
    assert warnings_of(as_it_is) == []


def test_photos_that_are_gone_once_they_are_read_are_not_missed(tmp_path):
    folder = write_ball_capture(tmp_path / "capture")
    run = new_folder(tmp_path / "run", folder, iterations=6, save_every=3)

    class Wires(Wire):
        def send(self, event, at_once=False):
            if isinstance(event, Evaluated) and event.step == 0:
                folder.rename(tmp_path / "unplugged")
            super().send(event, at_once)

    train_in(run, wire_of=Wires)
    assert run.checkpoint_file.is_file() and warnings_of(run) == [] and held_out_db(run) > 8
    (tmp_path / "unplugged").rename(folder)
    train_in(run, resume=True)


def test_photos_that_are_replaced_while_training_are_noticed_on_resume(tmp_path):
    from splat_addon.errors import RunError

    folder = write_ball_capture(tmp_path / "capture")
    run = new_folder(tmp_path / "run", folder, iterations=6)

    class Wires(Wire):
        def send(self, event, at_once=False):
            if isinstance(event, Evaluated) and event.step == 0:
                (folder / "images" / "view_03.png").write_bytes((folder / "images" / "view_04.png").read_bytes() + b"0")
            super().send(event, at_once)

    train_in(run, wire_of=Wires)
    with pytest.raises(RunError, match="The capture has changed since this run was started"):
        train_in(run, resume=True)
