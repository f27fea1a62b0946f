"""Seeds without Blender: spacing, doubled points, even spreading, colours from photos, random points, the sky."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from splat_addon.capture.blend_space import blend_space_of
from splat_addon.capture.capture import Capture, Points, View
from splat_addon.capture.formats.transforms import SCENE_SOURCE
from splat_addon.capture.photos.values import Decoded
from splat_addon.capture.seeds.first_gaussians import (
    SEEDS_FILE,
    THICKNESS,
    first_gaussians,
    gaussians_from_points,
    quaternions_to_normals,
)
from splat_addon.capture.seeds.photo_colors import Photo, color_points, is_seen, read_photos, read_seed_photo
from splat_addon.capture.seeds.random_points import SKY_DISTANCE, depth_ranges, meeting_point, random_points, sky_points
from splat_addon.capture.upright import up_direction
from splat_addon.errors import CaptureError
from splat_addon.gaussians.blue_noise import candidate_count, spread_evenly
from splat_addon.gaussians.formats.splat_ply import read_points, write_points
from splat_addon.gaussians.neighbors import distinct_points, nearest_distances, point_spacing
from splat_addon.run.config import TrainConfig
from support.scenes import ball_color, ball_image, looking_at, ring_of_cameras


def all_distances(positions: np.ndarray) -> np.ndarray:
    """(P, P) by definition."""
    distances = np.linalg.norm(positions[:, None] - positions[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    return distances


def thin_axis(quaternions: np.ndarray) -> np.ndarray:
    """Where the unit quaternions (w, x, y, z) turn +z."""
    w, x, y, z = quaternions.T
    return np.stack([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)], axis=1)


def as_config(**values) -> TrainConfig:
    return replace(TrainConfig(), **values)


def test_spacing_is_the_rms_distance_to_three_neighbours():
    positions = np.array([[0.0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]])
    assert point_spacing(positions)[0] == pytest.approx(math.sqrt((1 + 4 + 9) / 3))
    assert point_spacing(positions[:1]).tolist() == [0.01], "a lone point has the size of nothing else"
    assert point_spacing(positions[:2]).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("shape", ["volume", "surface", "clusters of very different size"])
def test_nearest_distances_are_exact_for_nearly_all_points_and_never_too_short(shape):
    random = np.random.default_rng(1)
    positions = random.random((3000, 3))
    if shape == "surface":
        positions[:, 2] = 0.1 * np.sin(6 * positions[:, 0])
    elif shape == "clusters of very different size":
        centers, sizes = 5 * random.normal(size=(20, 3)), 10 ** random.uniform(-3, 0, 20)
        which = random.integers(0, 20, 3000)
        positions = centers[which] + sizes[which, None] * random.normal(size=(3000, 3))
    found, expected = nearest_distances(positions), np.sort(all_distances(positions), axis=1)[:, :3]
    ratio = np.sqrt((found**2).mean(axis=1)) / np.sqrt((expected**2).mean(axis=1))
    assert (found >= expected * (1 - 1e-6)).all()
    assert (ratio < 1 + 1e-6).mean() > 0.93 and ratio.mean() < 1.005


def test_points_at_one_distance_are_each_counted():
    lattice = np.stack(np.meshgrid(*[np.arange(6.0)] * 3), axis=-1).reshape(-1, 3)
    inner = ((lattice > 0) & (lattice < 5)).all(axis=1)
    assert np.allclose(nearest_distances(lattice)[inner].min(axis=0), 1.0)
    assert (nearest_distances(lattice)[inner][:, 2] == 1.0).mean() > 0.9


@pytest.mark.parametrize("size", [1e-9, 1e-7, 1e-6, 1e6])
def test_seeds_of_a_scene_of_another_size_are_the_same_but_for_its_size(size):
    views = tuple(View(str(number), None, camera, False) for number, camera in enumerate(ring_of_cameras(6).values()))
    points = Points(ball_points(400), np.full((400, 3), 0.5), ball_points(400))
    capture, scaling = Capture(None, views, points), np.diag([size, size, size, 1.0])
    random = random_points(capture, [], 300, seed=0)
    scaled = random_points(capture.moved(scaling), [], 300, seed=0)
    assert np.allclose(scaled.positions, size * random.positions, rtol=1e-6, atol=1e-6 * size)
    one, other = (gaussians_from_points(each, as_config()) for each in (points, points.moved(scaling)))
    assert len(one) == len(other) == 400
    assert np.allclose(other.means, size * one.means, rtol=1e-5)
    assert np.allclose(other.log_scales, one.log_scales + math.log(size), atol=1e-5)
    assert np.allclose(other.quaternions, one.quaternions, atol=1e-6)


def test_doubled_points_go_and_the_first_of_each_stays():
    positions = np.random.default_rng(0).random((500, 3))
    jitter = 1e-6 * np.random.default_rng(1).normal(size=positions.shape)
    for copies in ([positions, positions], [positions, positions + jitter], [positions, positions + jitter, positions]):
        kept, spacing = distinct_points(np.concatenate(copies))
        assert np.array_equal(kept, np.arange(500)), f"{len(copies)} copies"
        assert np.allclose(spacing, point_spacing(positions), rtol=1e-3)


def test_points_that_are_merely_close_stay_and_those_that_are_not_finite_go():
    positions = np.random.default_rng(0).random((300, 3))
    positions[7] = np.nan
    positions[9] = positions[8] + 0.01
    assert distinct_points(positions)[0].tolist() == [i for i in range(300) if i != 7]


@pytest.mark.parametrize("count", [1, 5, 1000, 20_000])
def test_even_points_are_as_many_as_asked_for(count):
    candidates = np.random.default_rng(0).random((candidate_count(count), 3)) * (1, 1, 0)
    kept = spread_evenly(candidates, count, area=1.0)
    assert len(np.unique(kept)) == count


@pytest.mark.parametrize("count", [20_000, 400_000])
def test_even_points_are_far_better_spread_than_random_ones(count):
    """Blue noise: the nearest neighbour is seldom near, and all are about equally far."""
    random = np.random.default_rng(0)
    candidates = random.random((candidate_count(count), 3)) * (1, 1, 0)
    even = nearest_distances(candidates[spread_evenly(candidates, count, 1.0)])[:, 0] * math.sqrt(count)
    plain = nearest_distances(random.random((count, 3)) * (1, 1, 0))[:, 0] * math.sqrt(count)
    assert plain.mean() == pytest.approx(0.5, abs=0.02), "what theory says of random points, in units of their spacing"
    assert even.mean() > (0.72 if count < 100_000 else 0.68)
    assert np.percentile(even, 1) > (6.0 if count < 100_000 else 4.5) * np.percentile(plain, 1)
    assert even.std() / even.mean() < 0.5 * plain.std() / plain.mean()


def test_even_points_keep_to_area():
    """Two squares of different size far from each other, with a sheet very near below the larger."""
    random = np.random.default_rng(0)
    amount = candidate_count(9000)
    places = random.random((amount, 3))
    kind = random.choice(3, amount, p=(1 / 9, 4 / 9, 4 / 9))
    small, sheet = kind == 0, kind == 2
    places *= np.where(small, 1.0, 2.0)[:, None] * (1, 1, 0)
    places[small, 0] += 10
    places[sheet, 2] -= 1e-4
    counts = np.bincount(kind[spread_evenly(places, 9000, area=9.0)])
    expected = np.bincount(kind) * 9000 / amount
    assert np.abs(counts / expected - 1).max() < 0.03


def test_seeds_on_surfaces_are_flat_along_their_normals():
    grid = np.stack(np.meshgrid(np.arange(10.0), np.arange(10.0)), axis=-1).reshape(-1, 2)
    positions = np.concatenate([grid, np.zeros((100, 1))], axis=1)
    normals = np.tile([0.0, 0.6, 0.8], (100, 1))
    normals[0] = 0
    points = Points(positions, np.full((100, 3), 0.25), normals)
    cloud = gaussians_from_points(points, as_config(sh_degree=3))
    assert np.allclose(thin_axis(cloud.rotations[1:]), normals[1:], atol=1e-6), "the thin axis is the normal"
    assert np.allclose(cloud.scales[1:, 2] / cloud.scales[1:, 0], THICKNESS)
    assert np.allclose(cloud.opacities[1:], 0.5) and cloud.sh_degree == 3
    assert np.allclose(0.5 + 0.28209479 * cloud.sh[:, 0], 0.25, atol=1e-6) and not cloud.sh[:, 1:].any()
    assert cloud.scales[0, 2] == cloud.scales[0, 0], "without a normal it is a sphere"
    assert cloud.opacities[0] == pytest.approx(0.1)


@pytest.mark.parametrize("normal", [(0, 0, 1), (0, 0, -1), (1, 0, 0), (0.6, -0.48, 0.64)])
def test_a_quaternion_turns_z_to_the_normal(normal):
    assert np.allclose(thin_axis(quaternions_to_normals(np.array([normal], dtype=float)))[0], normal, atol=1e-7)


def test_doubled_points_are_merged_before_spacing_is_measured():
    positions = np.repeat(np.random.default_rng(0).random((50, 3)), 2, axis=0)
    cloud = gaussians_from_points(Points(positions, np.zeros((100, 3))), as_config())
    assert len(cloud) == 50 and cloud.log_scales.min() > math.log(1e-3)


def test_more_points_than_allowed_are_thinned_repeatably():
    points = Points(np.random.default_rng(0).random((100, 3)), np.zeros((100, 3)))
    one, two = (gaussians_from_points(points, as_config(max_gaussians=10, seed=7)) for _ in range(2))
    assert len(one) == 10 and np.array_equal(one.means, two.means)
    assert len(gaussians_from_points(points, as_config(seed_count=30))) == 30


def test_no_points_are_said():
    with pytest.raises(CaptureError, match="no points to start from"):
        gaussians_from_points(Points(np.full((3, 3), np.nan), np.zeros((3, 3))), as_config())


@pytest.mark.parametrize(("shift", "kind"), [((0, 0, 0), b"float"), ((5e5, 5e6, 100), b"double")])
def test_points_keep_their_places_however_far_from_the_origin(tmp_path, shift, kind):
    positions = np.random.default_rng(0).random((50, 3)) + shift
    write_points(tmp_path / "p.ply", positions, np.full((50, 3), 0.5))
    assert np.abs(read_points(tmp_path / "p.ply")[0] - positions).max() < 1e-6
    assert b"property " + kind + b" x\n" in (tmp_path / "p.ply").read_bytes()


def test_unknown_colours_and_normals_survive_the_file(tmp_path):
    colors = np.array([[0.2, 0.4, 0.6], [np.nan] * 3, [1, 1, 0]])
    normals = np.array([[0.0, 0, 1], [0, 0, 0], [0, 1, 0]])
    write_points(tmp_path / "p.ply", np.eye(3), colors, normals)
    again = read_points(tmp_path / "p.ply")
    assert np.allclose(again[1], colors, atol=1e-6, equal_nan=True) and np.allclose(again[2], normals)
    write_points(tmp_path / "p.ply", np.eye(3), colors[::2].repeat(2, axis=0)[:3])
    assert b"has_color" not in (tmp_path / "p.ply").read_bytes(), "usual files stay as they are"


# --- A ball that photos show ------------------------------------------------------------------------------------------


def ball_photos(count: int = 12, **options) -> list[Photo]:
    cameras = ring_of_cameras(count, width=160, height=120, focal_px=160.0, **options)
    return [Photo(camera, ball_image(camera)) for camera in cameras.values()]


def ball_capture(points=None, count: int = 12, held_out: int = 0) -> Capture:
    photos = ball_photos(count)
    views = tuple(View(str(i), i, photo.camera, i < held_out) for i, photo in enumerate(photos))
    return Capture(None, views, points)


def pixels_of_ball(count: int = 12):
    photos = ball_photos(count)
    return lambda view: photos[view.image_path]


def ball_points(count: int = 4000) -> np.ndarray:
    normals = np.random.default_rng(3).normal(size=(count, 3))
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def test_colours_come_from_the_photos_that_see_the_point():
    normals = ball_points()
    truth = ball_color(normals)
    colors = truth.copy()
    asking = normals[:, 2] > -0.3  # the cameras stand above
    colors[asking] = np.nan
    found = color_points(Points(0.8 * normals, colors, normals), ball_photos())
    assert np.array_equal(found[~asking], truth[~asking]), "known colours stay"
    assert np.isfinite(found[asking]).all()
    error = np.abs(found - truth)[asking]
    assert np.median(error) < 0.02 and np.percentile(error, 99) < 0.12, "the far side does not shine through"


def test_a_hidden_point_takes_no_colour_from_what_hides_it():
    normals = ball_points()
    inside = np.concatenate([0.8 * normals, [[0, 0, 0]]])
    colors = np.concatenate([ball_color(normals), [[np.nan] * 3]])
    assert np.isnan(color_points(Points(inside, colors), ball_photos())[-1]).all()


def test_photos_are_reduced_by_leaving_out_pixels_without_moving_the_picture():
    camera = looking_at((3, 0, 0.5), width=2001, height=1500, focal_px=2000)
    across, down = np.meshgrid(np.arange(2001), np.arange(1500))
    pixels = np.stack([across * 255 / 2000, down * 255 / 1499, 0 * across, 0 * across + 255], axis=-1).astype(np.uint8)
    view = View("v", Path("v.png"), camera, False)
    (photo,) = read_photos((view,), lambda view: read_seed_photo(view, lambda path: Decoded(pixels)))
    assert max(photo.pixels.shape) <= 800
    places = np.random.default_rng(0).normal(size=(200, 3)) * 0.4
    full, small = (one.project(places)[0] for one in (camera, photo.camera))
    inside = is_seen(camera, places) & is_seen(photo.camera, places)
    full, small = full[inside].astype(int), small[inside].astype(int)
    difference = photo.pixels[small[:, 1], small[:, 0]].astype(int) - pixels[full[:, 1], full[:, 0]]
    assert inside.sum() > 50 and np.abs(difference[:, :2]).max() <= 1


def test_a_photo_that_does_not_fit_its_camera_colours_nothing():
    view = View("v", Path("v.png"), looking_at((3, 0, 0.5), width=40, height=30), False)
    assert read_seed_photo(view, lambda path: Decoded(np.zeros((40, 30, 4), np.uint8))) is None
    assert read_photos((view,), lambda view: None) == []


def test_the_axes_of_cameras_around_an_object_meet_at_it():
    target = np.array([0.3, -0.2, 0.4])
    cameras = [looking_at(place, target) for place in ((3, 0, 1), (0, 3, 1), (-3, 0, 2), (1, -3, 0))]
    assert np.allclose(meeting_point(cameras), target, atol=1e-9)
    ahead = [looking_at((x, 0, 0), (x, 100, 0)) for x in (0, 1, 2)]
    assert meeting_point(ahead) is None, "they look the same way"
    outwards = [looking_at(0.5 * np.array(d), 5 * np.array(d)) for d in ((1, 0, 0.0), (-1, 0, 0), (0, 1, 0))]
    assert meeting_point(outwards) is None, "they look away from where their axes meet"


def test_depths_follow_the_points_where_there_are_some():
    camera = looking_at((10, 0, 0), (0, 0, 0))
    points = Points(np.random.default_rng(0).uniform(-1, 1, size=(1000, 3)), np.zeros((1000, 3)))
    ((near, far),) = depth_ranges([camera], points)
    assert 0.9 * 9 <= near < 9.1 and 10.9 < far <= 1.1 * 11


def test_random_seeds_lie_where_training_views_look_and_nowhere_that_is_empty():
    capture = ball_capture(held_out=2)
    photos = ball_photos()[2:]
    points = random_points(capture, photos, 3000, seed=1)
    assert len(points.positions) == 3000
    seen = np.sum([is_seen(view.camera, points.positions) for view in capture.training_views], axis=0)
    assert seen.min() >= 3, "there are enough that three views see"
    assert np.linalg.norm(points.positions, axis=1).max() < 1.0, "the photos show that only the ball is there"
    assert np.isfinite(points.colors).all() and points.normals is None


@pytest.mark.parametrize("kind", ["one camera", "forward", "outwards", "with a bent lens"])
def test_random_seeds_lie_in_a_view_whatever_the_cameras(kind):
    cameras = {
        "one camera": [looking_at((1, 2, 3))],
        "forward": [looking_at((x, 0, 0), (x, 9, 0)) for x in (0.0, 0.2, 0.4)],
        "outwards": [looking_at((0.1 * x, 0.1 * y, 0), (x, y, 0)) for x, y in ((1, 0), (-1, 0), (0, 1))],
        "with a bent lens": [replace(looking_at((3, 0, 1)), distortion=(-0.3, 0.1, 0.001, 0.002))] * 2,
    }[kind]
    views = tuple(View(str(i), None, camera, False) for i, camera in enumerate(cameras))
    points = random_points(Capture(None, views, None), [], 500, seed=0)
    assert len(points.positions) == 500
    assert np.any([is_seen(camera, points.positions) for camera in cameras], axis=0).all()


def open_photos() -> tuple[Capture, list[Photo]]:
    """The ball before a blue sky, without transparency."""
    photos = [Photo(photo.camera, over_sky(photo.pixels)) for photo in ball_photos()]
    return ball_capture(), photos


def over_sky(pixels: np.ndarray) -> np.ndarray:
    return np.where(pixels[..., 3:] > 0, pixels, np.array([40, 80, 200, 255], np.uint8))


def test_the_sky_is_a_far_shell_in_the_photos_colours():
    capture, photos = open_photos()
    normals = ball_points()
    points = Points(0.8 * normals, ball_color(normals), normals)
    sky = sky_points(capture, points, photos, 1000)
    center = np.mean([view.camera.position for view in capture.views], axis=0)
    radii = np.linalg.norm(sky.positions - center, axis=1)
    assert np.allclose(radii, SKY_DISTANCE * 3.0, rtol=1e-9), "ten times as far as the cameras stand from their middle"
    is_found = ~sky.normals.any(axis=1)  # by the photos
    assert 500 < is_found.sum() < 1100
    seen = np.sum([is_seen(view.camera, sky.positions[is_found]) for view in capture.views], axis=0)
    assert seen.min() >= 1
    assert np.abs(sky.colors - np.array([40, 80, 200]) / 255).max() < 1e-6, "never the colour of what stands before it"


def test_the_sky_goes_on_beside_and_behind_what_the_photos_show():
    """Where it is never trained: opaque at once, in the colors of what is seen nearest, and no lower."""
    ball = ball_capture()
    capture = replace(ball, views=ball.views[:2])
    photos = []
    for photo in ball_photos()[:2]:
        red = np.where(photo.pixels[..., 3:] > 0, photo.pixels, np.array([200, 80, 40, 255], np.uint8))
        photos.append(Photo(photo.camera, red if photos else over_sky(photo.pixels)))
    normals = ball_points()
    sky = sky_points(capture, Points(0.8 * normals, ball_color(normals), normals), photos, 1000)
    center = np.mean([view.camera.position for view in capture.views], axis=0)
    directions = (sky.positions - center) / np.linalg.norm(sky.positions - center, axis=1, keepdims=True)
    is_found = ~sky.normals.any(axis=1)
    assert np.allclose(directions[~is_found], -sky.normals[~is_found], atol=1e-9)
    up = up_direction([view.camera for view in capture.views])
    assert (directions[~is_found] @ up).min() >= np.quantile(directions[is_found] @ up, 0.019)
    assert (directions[~is_found] @ up > 0.99).any(), "up to the zenith"
    for view in capture.views:
        assert not is_seen(view.camera, sky.positions[~is_found]).any(), "what photos look at hides it, or is the sky"
    cosines = directions[~is_found] @ directions[is_found].T
    close = np.arccos(cosines.max(axis=1)) < np.radians(8)
    error = np.abs(sky.colors[~is_found] - sky.colors[is_found][cosines.argmax(axis=1)]).max(axis=1)
    assert close.sum() > 20 and np.median(error[close]) < 0.05
    assert sky.colors.min() >= 40 / 255 - 1e-9 and sky.colors.max() <= 200 / 255 + 1e-9


def test_photos_without_background_have_no_sky():
    capture = ball_capture()
    normals = ball_points()
    sky = sky_points(capture, Points(0.8 * normals, ball_color(normals), normals), ball_photos(), 1000)
    assert len(sky.positions) == 0


def capture_in(folder, points=None) -> Capture:
    return replace(ball_capture(points), folder=folder)


def test_a_capture_without_points_starts_at_random_and_says_so(tmp_path):
    cloud, notes = first_gaussians(capture_in(tmp_path), as_config(seed_count=800), pixels_of_ball())
    assert len(cloud) == 800 and "no points: training starts from random places" in notes[0].text
    asked, notes = first_gaussians(capture_in(tmp_path), as_config(seed_count=800, seeds="random"), pixels_of_ball())
    assert np.array_equal(asked.means, cloud.means) and not [note for note in notes if note.is_warning]


def test_chosen_seeds_come_before_the_points_of_the_capture(tmp_path):
    own = Points(np.random.default_rng(0).random((40, 3)), np.zeros((40, 3)))
    capture = capture_in(tmp_path, own)
    assert len(first_gaussians(capture, as_config(), pixels_of_ball())[0]) == 40
    write_points(tmp_path / SEEDS_FILE, own.positions[:9] + 1, own.colors[:9])
    assert np.allclose(first_gaussians(capture, as_config(), pixels_of_ball())[0].means, own.positions[:9] + 1)


def test_a_sky_is_added_to_the_points_or_its_absence_is_said(tmp_path):
    normals = ball_points(3000)
    capture = capture_in(tmp_path, Points(0.8 * normals, ball_color(normals), normals))
    read = pixels_of_ball()

    def read_over_sky(view):
        return replace(read(view), pixels=over_sky(read(view).pixels))

    cloud, notes = first_gaussians(capture, as_config(sky_seeds="on"), read_over_sky)
    far = np.linalg.norm(cloud.means, axis=1) > 10
    assert notes == [] and (~far).sum() >= 2995 and far.sum() > 1000
    is_disc = ~np.isclose(cloud.scales[far, 2], cloud.scales[far, 0])
    assert cloud.scales[far, 0].min() > 0.3 and (~is_disc).sum() > 1000
    assert np.allclose(cloud.opacities[far], np.where(is_disc, 0.5, 0.1))
    cloud, notes = first_gaussians(capture, as_config(sky_seeds="on"), read)
    assert len(cloud) >= 2995 and notes[0].text.startswith("No sky is seen")


def test_a_sky_is_added_by_itself_where_the_photos_show_one(tmp_path):
    normals = ball_points(3000)
    capture = capture_in(tmp_path, Points(0.8 * normals, ball_color(normals), normals))
    read = pixels_of_ball()

    def read_over_sky(view):
        return replace(read(view), pixels=over_sky(read(view).pixels))

    assert as_config().sky_seeds == "auto"
    chosen, _ = first_gaussians(capture, as_config(sky_seeds="on"), read_over_sky)
    asked = []
    found, notes = first_gaussians(capture, as_config(), lambda view: asked.append(view.name) or read_over_sky(view))
    assert sorted(asked) == sorted(view.name for view in capture.training_views), "each photo is decoded once"
    assert np.array_equal(found.means, chosen.means)
    assert not notes[0].is_warning and notes[0].text.startswith("Sky Seeds are added: ")
    assert notes[0].remedy == "Set Sky Seeds to Off to train without."
    without, _ = first_gaussians(capture, as_config(sky_seeds="off"), read_over_sky)
    found, notes = first_gaussians(capture, as_config(), read)
    assert np.array_equal(found.means, without.means)
    assert notes[0].told == (
        "No Sky Seeds are added: the photos are transparent where nothing stands. Set Sky Seeds to On to add them."
    )


def test_seeds_have_the_blend_space_of_the_training_that_starts_from_them(tmp_path):
    scene, photographs = tmp_path / "scene", tmp_path / "photographs"
    for folder, source in ((scene, SCENE_SOURCE), (photographs, "a camera")):
        folder.mkdir()
        (folder / "transforms.json").write_text(f'{{"source": "{source}"}}')
    points = Points(np.random.default_rng(0).random((40, 3)), np.zeros((40, 3)))

    def found(folder, setting: str) -> str:
        capture = replace(ball_capture(points), folder=folder)
        cloud, _ = first_gaussians(capture, as_config(blend_space=setting), pixels_of_ball())
        assert cloud.blend_space == blend_space_of(setting, folder)
        return cloud.blend_space

    assert [found(scene, setting) for setting in ("auto", "blender", "display")] == ["blender", "blender", "display"]
    assert [found(photographs, setting) for setting in ("auto", "blender", "display")] == [
        "display",
        "blender",
        "display",
    ]
    assert gaussians_from_points(points, as_config()).blend_space == "blender", "a scene that is still to be captured"
