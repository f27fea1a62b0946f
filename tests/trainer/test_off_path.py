"""Views off the path of a capture, in the child that previews a removal: which pixels count, and what is measured."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from splat_addon.capture.capture import open_capture
from splat_addon.capture.formats.transforms import SCENE_SOURCE, write_transforms
from splat_addon.capture.outside import MADE_FOR, outside_folder
from splat_addon.gaussians.cloud import GaussianCloud
from splat_addon.gaussians.formats.splat_ply import write_splats
from splat_addon.run.config import TrainConfig
from splat_addon.run.events import InspectionProgressed, Warned
from splat_addon.trainer.inspection.off_path import Sight, at_size, counted
from splat_addon.trainer.inspection.removal import LONGEST_PX, SHOWN, add, padded, preview, reduced
from splat_addon.training_on.removal import AFTER, BEFORE, RECORD, SHEET, Removal
from support.exr_files import write_exr
from support.scenes import ball_color, ball_image, looking_at

NOTHING = 1e10
RADIUS = 0.8
TURNS = (-15, -10, -5, 0, 5, 10, 15)


def ball_depths(camera) -> np.ndarray:
    """(H, W) along the viewing direction; `NOTHING` beside the ball."""
    down, across = np.indices((camera.height, camera.width)) + 0.5
    rays = np.stack([(across - camera.cx) / camera.fx, (down - camera.cy) / camera.fy, np.ones(across.shape)], axis=2)
    rays = rays @ camera.camera_from_world[:3, :3]
    squares, along = (rays**2).sum(axis=2), rays @ camera.position
    under = along**2 - squares * (camera.position @ camera.position - RADIUS**2)
    return np.where(under > 0, (-along - np.sqrt(np.maximum(under, 0))) / squares, NOTHING)


def at_angle(degrees: float, **options):
    turn = np.radians(degrees)
    return looking_at((3 * np.cos(turn), 3 * np.sin(turn), 0.5), **options)


def sight_of(camera) -> Sight:
    depths = ball_depths(camera)
    return Sight(camera, np.where(depths < NOTHING, depths, np.inf))


def test_what_two_photos_show_counts_and_nothing_else():
    camera = at_angle(50)
    depths = ball_depths(camera)
    sights = [sight_of(at_angle(turn, width=80, height=60, focal_px=80)) for turn in (-10, 0, 10)]
    counts, is_ball = counted(camera, depths, sights), depths < NOTHING
    down, across = np.indices(depths.shape) + 0.5
    slopes = np.stack([(across - camera.cx) / camera.fx, (down - camera.cy) / camera.fy, np.ones(depths.shape)], axis=2)
    normals = (camera.position + (slopes * depths[..., None]) @ camera.camera_from_world[:3, :3]) / RADIUS
    toward = [(normals @ sight.camera.position) > RADIUS for sight in sights]  # of a sphere: what is not turned away
    is_shown = np.sum(toward, axis=0) >= 2
    assert is_ball.sum() > 100 and 0.3 < is_shown[is_ball].mean() < 0.9
    assert (counts == is_shown)[is_ball].mean() > 0.93, "but for the ball's rims"
    assert not counted(camera, depths, sights[:1])[is_ball].any(), "one photo confirms nothing"
    assert not counted(camera, 0.85 * depths, sights)[is_ball].any(), "what is nearer, no photo shows"
    assert not counted(camera, 1.3 * depths, sights)[is_ball].mean() > 0.05, "nor what is behind"


def test_sky_counts_where_photos_show_nothing_in_its_direction():
    camera = at_angle(12)
    depths = ball_depths(camera)
    sights = [sight_of(at_angle(turn)) for turn in (0, 8)]
    counts, is_sky = counted(camera, depths, sights), depths >= NOTHING
    down, across = np.indices(depths.shape) + 0.5
    slopes = np.stack([(across - camera.cx) / camera.fx, (down - camera.cy) / camera.fy, np.ones(depths.shape)], axis=2)
    directions = slopes @ camera.camera_from_world[:3, :3]
    expected = np.ones(depths.shape, bool)
    for sight in sights:
        points = directions @ sight.camera.camera_from_world[:3, :3].T
        x, y = (points[..., :2] / points[..., 2:] * 40 + (20, 15)).transpose(2, 0, 1)
        is_inside = (x >= 0) & (x < 40) & (y >= 0) & (y < 30) & (points[..., 2] > 0)
        nothing = np.isinf(sight.depths[np.clip(y, 0, 29).astype(int), np.clip(x, 0, 39).astype(int)])
        expected &= is_inside & nothing
    assert np.array_equal(counts[is_sky], expected[is_sky]) and 0.2 < expected[is_sky].mean() < 0.9


def test_a_depth_at_another_size_is_that_of_one_of_its_pixels():
    depths = np.arange(24.0).reshape(4, 6)
    assert at_size(depths, 3, 2).tolist() == [[7, 9, 11], [19, 21, 23]]
    assert np.array_equal(at_size(depths, 6, 4), depths)


def write_views(folder: Path, cameras: dict, extra: dict, held_out, with_depths: bool, scale: float) -> None:
    """A capture of the ball, `scale` times as large as it is here."""
    (folder / "images").mkdir(parents=True)
    for name, camera in cameras.items():
        Image.fromarray(ball_image(camera)).save(folder / "images" / f"{name}.png")
        if with_depths:
            depths = ball_depths(camera)
            write_exr(folder / "depths" / f"{name}.exr", np.where(depths < NOTHING, scale * depths, NOTHING))
    larger = np.diag([scale, scale, scale, 1.0])
    listed = {f"images/{name}.png": camera.moved(larger) for name, camera in cameras.items()}
    extra = {"source": SCENE_SOURCE, "held_out_by": "mark", **extra}
    write_transforms(folder / "transforms.json", listed, [f"images/{name}.png" for name in held_out], None, extra)


def floating(scale: float = 1.0, swarm: int = 40) -> tuple[GaussianCloud, np.ndarray]:
    """The ball, and a swarm before it that only cameras from the side see; which splats those are."""
    random = np.random.default_rng(0)
    normals = random.normal(size=(3000, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    means = np.concatenate([RADIUS * normals, random.normal((1.15, 1.6, 0.25), 0.06, (swarm, 3))])
    colors = np.concatenate([ball_color(normals), np.full((swarm, 3), (0.9, 0.1, 0.9))])
    count = len(means)
    cloud = GaussianCloud(
        scale * means,
        np.full((count, 3), np.log(0.03 * scale)),
        np.tile((1.0, 0, 0, 0), (count, 1)),
        np.full(count, 3.0),
        ((colors - 0.5) / 0.28209479177387814)[:, None],
    )
    return cloud, np.arange(count) >= count - swarm


def said(events: list) -> str:
    return " ".join(event.message for event in events if isinstance(event, Warned))


@pytest.fixture
def asked(tmp_path):
    """What the parent leaves for the child: a capture of the ball from one side, views off its path, splats."""

    def make(
        scale: float = 1.0, depths_of_photos: bool = False, sides=(50, 60), turns=TURNS, held_out: str = "p3"
    ) -> Path:
        size = {"width": 80, "height": 60, "focal_px": 100}
        path = {f"p{number}": at_angle(turn, **size) for number, turn in enumerate(turns)}
        aside = {f"outside_{turn:03d}": at_angle(turn, **size) for turn in sides}
        capture = tmp_path / "capture"
        write_views(capture, path, {}, [held_out], depths_of_photos, scale)
        extra = {MADE_FOR: open_capture(capture).fingerprint()}
        write_views(outside_folder(capture), aside, extra, list(aside), True, scale)
        (tmp_path / "work").mkdir()
        cloud, hangs = floating(scale)
        TrainConfig(capture=str(capture)).write(tmp_path / "work" / "config.json")
        write_splats(tmp_path / "work" / BEFORE, cloud)
        write_splats(tmp_path / "work" / AFTER, cloud.select(~hangs))
        return tmp_path / "work"

    return make


@pytest.mark.parametrize("scale", [1.0, 10_000.0])
@pytest.mark.parametrize("depths_of_photos", [False, True])
def test_a_floater_off_the_path_is_measured_there_and_nowhere_else(asked, scale, depths_of_photos):
    events: list = []
    found = preview(asked(scale, depths_of_photos), events.append, lambda: False)
    assert found.views == 1 and found.psnr_db[0] == found.psnr_db[1] > 16, "no photo shows it"
    assert found.off_path.views == 2 and found.off_path.worst_view in ("outside_050", "outside_060")
    before, after = found.off_path.psnr_db
    assert after > 20 and before < after - 4
    assert found.off_path.holes == 0
    told = [event for event in events if isinstance(event, InspectionProgressed)]
    assert [event.fraction for event in told] == sorted(event.fraction for event in told) and told[-1].fraction < 1
    assert {"looking at what the photos show", "rendering views off the path"} <= {event.state for event in told}
    assert not [event for event in events if isinstance(event, Warned)]


def test_a_hole_off_the_path_is_one_where_a_surface_is(asked):
    folder = asked()
    cloud, hangs = floating()
    is_gone = ~hangs & (cloud.means[:, 2] > 0.2)
    write_splats(folder / AFTER, cloud.select(~is_gone))
    found = preview(folder, lambda event: None, lambda: False)
    assert 0.1 < found.off_path.holes < 0.9
    write_splats(folder / AFTER, cloud.select(slice(0, 1)))
    found = preview(folder, lambda event: None, lambda: False)
    assert 0.5 < found.off_path.holes < 1.0, "the sky that counts is no hole"


@pytest.mark.parametrize(
    ("sides", "told"),
    [
        ((50, 180), "No two training photos show what is in 1 of 2 views off the path: left out."),
        ((50, 170, 180), "No two training photos show what is in 2 of 3 views off the path: left out."),
    ],
)
def test_views_that_no_photo_knows_are_left_out_and_that_is_said(asked, sides, told):
    events: list = []
    found = preview(asked(sides=sides), events.append, lambda: False)
    assert found.off_path.views == 1 and found.off_path.worst_view == "outside_050"
    assert said(events) == told, "once, however many they are"


@pytest.mark.parametrize("photos", [1, 2])
def test_one_training_photo_confirms_nothing_and_that_is_said_once(asked, photos):
    events: list = []
    found = preview(asked(turns=(-5, 0, 5)[: photos + 1], held_out="p0"), events.append, lambda: False)
    if photos == 1:
        assert found.views == 1 and found.off_path is None
        assert said(events).startswith("The views off the path are not used. One training photo alone confirms nothing")
        assert "looking at what the photos show" not in {getattr(event, "state", "") for event in events}
    else:
        assert found.off_path.views == 2 and not said(events)


def test_broken_depths_and_views_of_another_capture_are_said_and_not_used(asked, tmp_path):
    folder, events = asked(), []
    outside = outside_folder(tmp_path / "capture")
    (outside / "depths" / "outside_050.exr").write_bytes(b"broken")
    found = preview(folder, events.append, lambda: False)
    assert found.off_path.views == 1 and "outside_050.exr cannot be read" in said(events)
    listed, events = outside / "transforms.json", []
    listed.write_text(listed.read_text().replace('"outside_of": "2:', '"outside_of": "2:0'))
    assert preview(folder, events.append, lambda: False).off_path is None
    assert "were rendered for another capture" in said(events)
    listed.write_text("{")
    events = []
    assert preview(folder, events.append, lambda: False).off_path is None
    assert said(events) == "The views off the path are not used. Their list cannot be read."


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ({"fl_x": 0}, "The camera of images/outside_050.png has no pixels or no focal length."),
        ({"fl_x": "wide"}, "images/outside_050.png in "),
        ({"frames": [{"file_path": ""}]}, "has no file_path."),
        ({"frames": []}, "Their list cannot be read."),
    ],
)
def test_a_broken_list_of_views_is_said_and_held_out_views_are_measured(asked, tmp_path, broken, why):
    folder, events = asked(), []
    listed = outside_folder(tmp_path / "capture") / "transforms.json"
    listed.write_text(json.dumps(json.loads(listed.read_text()) | broken))
    found = preview(folder, events.append, lambda: False)
    assert found.views == 1 and found.off_path is None
    (warned,) = (event for event in events if isinstance(event, Warned))
    assert warned.message.startswith("The views off the path are not used. ") and why in warned.message
    assert warned.remedy == "Render them again."


def test_the_picture_has_the_worst_of_many_views_and_no_more(asked, tmp_path):
    sides = (20, 30, 40, 50, 60, 70)
    found = preview(asked(sides=sides), lambda event: None, lambda: False)
    assert found.off_path.views == 6
    with Image.open(tmp_path / "work" / SHEET) as sheet:
        pixels = np.asarray(sheet)
    assert pixels.shape == ((1 + SHOWN) * 60, 3 * 80, 3), "one held-out view, and as many off the path as are shown"
    images = outside_folder(tmp_path / "capture") / "images"
    truths = {path.stem: np.asarray(Image.open(path))[..., :3].astype(float) for path in images.iterdir()}
    rows = [pixels[top : top + 60] for top in range(60, 300, 60)]
    names = [min(truths, key=lambda name: np.abs(row[:, :80] - truths[name]).mean()) for row in rows]
    assert len(set(names)) == SHOWN and names[0] == found.off_path.worst_view
    assert np.abs(rows[0][:, 80:160].astype(float) - rows[0][:, 160:]).mean() > 1, "before, and after"


def test_pictures_are_kept_of_those_that_gain_least():
    gains, changes = [3.0, -1.0, 2.0, 0.0, 5.0, -2.0, 1.0], []
    for gain in gains:
        add(changes, SimpleNamespace(psnr=(20.0, 20.0 + gain), strip=np.full((2, 6, 3), 100 + gain)))
        assert sum(change.strip is not None for change in changes) <= SHOWN, "also before all are there"
    assert [change.psnr[1] - 20 for change in changes] == sorted(gains)
    assert [change.strip[0, 0, 0] - 100 for change in changes[:SHOWN]] == [-2, -1, 0, 1]
    assert all(change.strip is None for change in changes[SHOWN:])


def test_pictures_are_made_small_by_means_and_small_ones_left_as_they_are():
    image = torch.rand(540, 960, 3, generator=torch.Generator().manual_seed(0))
    large = image.repeat_interleave(2, dim=0).repeat_interleave(2, dim=1)
    small = reduced(large)
    assert small.shape == (360, LONGEST_PX, 3) and reduced(large.transpose(0, 1)).shape == (LONGEST_PX, 360, 3)
    assert torch.allclose(small[0, 0], image[:2, :2].reshape(4, 3).T @ torch.tensor([4.0, 2, 2, 1]) / 9, atol=1e-6)
    assert torch.equal(reduced(image[:480, :640]), image[:480, :640])
    wide = padded([np.zeros((2, 6, 3), np.uint8), np.zeros((1, 9, 3), np.uint8)])
    assert [each.shape for each in wide] == [(2, 9, 3), (1, 9, 3)] and (wide[0][:, 6:] == 255).all()


def test_the_record_is_read_as_it_was_written(tmp_path, asked):
    found = preview(asked(), lambda event: None, lambda: False)
    found.write(tmp_path / RECORD)
    assert Removal.read(tmp_path / RECORD) == found
    replace(found, off_path=None).write(tmp_path / RECORD)
    assert Removal.read(tmp_path / RECORD).off_path is None
