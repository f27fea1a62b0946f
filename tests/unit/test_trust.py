"""What training cameras cover, and what quality to expect of a view."""

import tracemalloc

import numpy as np
import pytest

from splat_addon.capture.camera import Camera
from splat_addon.gaussians.cloud import GaussianCloud
from splat_addon.inspection.trust import anchors
from splat_addon.inspection.trust.coverage import NEVER_DEG, cover
from splat_addon.inspection.trust.expectation import calibrate, trusted_angle
from splat_addon.inspection.trust.outside import aimed, views_outside


def looking(position, target=(0, 0, 0), size=(200, 150), focal=160.0) -> Camera:
    position, forward = np.asarray(position, float), np.asarray(target, float) - position
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, -rotation @ position
    return Camera(*size, focal, focal, size[0] / 2, size[1] / 2, matrix)


def plate(x: float, count: int = 0, half: float = 2.0, seed: int = 0) -> GaussianCloud:
    """An opaque plate in the plane of this x."""
    rng, count = np.random.default_rng(seed), count or round(190 * half * half)
    means = np.stack([np.full(count, x), *rng.uniform(-half, half, (2, count))], axis=1)
    ones = np.ones(count)
    quaternions = np.tile([1.0, 0, 0, 0], (count, 1))
    return GaussianCloud(means, np.full((count, 3), np.log(0.12)), quaternions, 4 * ones, np.zeros((count, 1, 3)))


def both(first: GaussianCloud, second: GaussianCloud) -> GaussianCloud:
    names = ("means", "log_scales", "quaternions", "logit_opacities", "sh")
    return GaussianCloud(*(np.concatenate([getattr(first, name), getattr(second, name)]) for name in names))


def test_a_training_view_itself_is_not_outside():
    camera = looking([4, 0.5, 0.3])
    envelope = cover(plate(0.0), [camera, looking([4, -2, 0])]).around(camera)
    assert trusted_angle(envelope) == pytest.approx(0, abs=0.5)
    assert (envelope.unseen, envelope.closer.mean()) == (pytest.approx(0, abs=0.02), pytest.approx(0, abs=0.05))
    assert envelope.distance == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("turn_deg", [10, 25, 40])
def test_the_angle_is_that_between_the_view_and_the_nearest_camera(turn_deg):
    turn = np.radians(turn_deg)
    coverage = cover(plate(0.0, half=0.5), [looking([4, 0, 0]), looking([4, 0, 3])])
    envelope = coverage.around(looking([4 * np.cos(turn), 4 * np.sin(turn), 0]))
    assert trusted_angle(envelope) == pytest.approx(turn_deg, rel=0.1)


def test_what_no_camera_saw_is_told():
    """The plate behind is hidden from all cameras by the one before it."""
    coverage = cover(both(plate(0.0), plate(-2.0, half=1.0)), [looking([4, 0, 0]), looking([4, 1, 0])])
    behind = coverage.around(looking([-6, 0.1, 0]))
    assert behind.unseen > 0.3 * behind.shares.sum() and NEVER_DEG in behind.angles_deg
    assert coverage.around(looking([4, 0.5, 0])).unseen < 0.02


def test_a_large_splat_before_the_camera_veils_the_view():
    """A view that steps back from the photos looks through it, though its middle is out of the picture."""
    veil = GaussianCloud(
        np.array([[3.0, 0.9, 0]]), np.full((1, 3), np.log(0.5)), np.array([[1.0, 0, 0, 0]]), np.array([1.0]),
        np.full((1, 1, 3), 1.0),
    )  # fmt: skip
    photos = [looking([4, 0, 0]), looking([4, -0.5, 0])]
    clear, veiled = cover(plate(0.0), photos), cover(both(plate(0.0), veil), photos)
    view = looking([4.6, 0, 0])
    seen = veiled.around(view).seen
    share = seen.weights[seen.anchors == len(veiled.points) - 1].sum() / seen.cell_count
    sigma_px = 0.5 / 1.6 * 160
    columns, rows = np.meshgrid(np.arange(200) + 0.5, np.arange(150) + 0.5)
    middle = np.array([100 + 0.9 / 1.6 * 160, 75])
    alpha = np.exp(-0.5 * ((columns - middle[0]) ** 2 + (rows - middle[1]) ** 2) / sigma_px**2) / (1 + np.exp(-1))
    assert share == pytest.approx(alpha.mean(), abs=0.03) and share > 0.15
    assert clear.around(view).inside == 0 and veiled.around(looking([3.2, 0.9, 0])).inside > 0.5


def test_a_fog_of_large_splats_takes_no_more_memory_than_a_scene():
    count = anchors.ANCHORS
    points = np.random.default_rng(0).uniform(-3, 3, (count, 3)).astype(np.float32)
    tracemalloc.start()
    seen = anchors.look(
        points, np.full(count, 1.0, np.float32), np.full(count, 0.1, np.float32), looking([6, 0, 0]), 64
    )
    peak, _ = tracemalloc.get_traced_memory()[1], tracemalloc.stop()
    assert peak < 400e6 and seen.holes < 0.01
    fog = np.bincount(seen.anchors, seen.weights, count)
    assert fog[points[:, 0] > 2].sum() > 0.9 * fog.sum(), "the nearest hide the others"


def test_a_closer_view_is_sharper_than_the_photos():
    coverage = cover(plate(0.0), [looking([4, 0, 0])])
    assert np.median(coverage.around(looking([1, 0, 0])).closer) == pytest.approx(
        2, abs=0.3
    )  # four times as near: 2² pixels
    assert coverage.around(looking([6, 0, 0])).closer.max() == 0


def test_where_nothing_is_the_background_shows():
    coverage = cover(plate(0.0, half=1.0), [looking([4, 0, 0])])
    away = coverage.around(looking([4, 0, 0], target=[8, 0, 0]))
    assert away.seen.holes == 1 and len(away.angles_deg) == 0
    seen = coverage.around(looking([4, 0, 0]))
    share = (2.0 / 4 * 160) ** 2 / (200 * 150)  # of the picture that the plate fills
    assert 1 - seen.seen.holes == pytest.approx(share, abs=0.12)


def test_few_anchors_show_what_many_splats_do():
    """Chosen by chance, each as much larger as it stands for others: they cover as much."""
    cloud = plate(0.0, count=4 * anchors.ANCHORS)
    cloud.log_scales -= np.float32(np.log(6))  # so that they cover the plate a few times
    chosen, sizes = anchors.anchors_of(cloud, np.array([[4.0, 0, 0]]), 0)
    assert 0.5 * anchors.ANCHORS < len(chosen) <= 1.01 * anchors.ANCHORS
    camera = looking([4, 0, 0])
    few = anchors.look(cloud.means[chosen], sizes, cloud.opacities[chosen], camera, anchors.CELLS)
    whole = anchors.look(cloud.means, cloud.scales[:, 0], cloud.opacities, camera, anchors.CELLS)
    assert few.holes == pytest.approx(whole.holes, abs=0.06)
    assert few.depths == pytest.approx(np.interp(few.cells, whole.cells, whole.depths), rel=0.05)


def test_what_is_plain_is_expected_to_look_right_from_farther():
    """A plate in a single color on one side, of splats in all colors on the other."""
    plates = plate(0.0, half=12.0)
    is_colored = plates.means[:, 1] < 0
    plates.sh[is_colored, 0] = np.random.default_rng(3).uniform(-1.5, 1.5, (int(is_colored.sum()), 3))
    coverage = cover(plates, [looking([4, y, 0], target=[0, y, 0]) for y in (-5, 0, 5)])
    expectation = calibrate([coverage.around(looking([4, 0, 0.3]))], [30.0])
    plain, colored = (coverage.around(looking([4, y, 0], target=[0, y, 0])) for y in (3, -3))
    assert plain.angle_deg == pytest.approx(colored.angle_deg, abs=2)
    assert plain.contrast.mean() < 0.05 * colored.contrast.mean()
    assert expectation.db(plain) > expectation.db(colored) + 3


def test_held_out_views_decide_the_level():
    coverage = cover(plate(0.0, half=12.0), [looking([4, y, 0]) for y in (-1, 0, 1)])
    held_out = [coverage.around(looking([4, y, 0])) for y in (-0.5, 0.5)]
    expectation = calibrate(held_out, [31.0, 31.0])
    assert expectation.db(held_out[0]) == pytest.approx(31, abs=0.5)
    assert calibrate(held_out, [25.0, 25.0]).db(held_out[0]) == pytest.approx(25, abs=0.5)
    values = [expectation.db(coverage.around(looking([4, y, 0]))) for y in (1, 2, 4, 8)]
    assert values == sorted(values, reverse=True) and values[0] - values[-1] > 4


def test_a_hole_is_an_error_unless_what_was_captured_stands_free():
    whole, small = cover(plate(0.0, half=4.0), [looking([4, 0, 0])]), cover(plate(0.0, half=0.8), [looking([4, 0, 0])])
    for coverage, y in ((whole, 5.2), (small, 1.2)):
        ahead, aside = coverage.around(looking([4, 0.1, 0])), coverage.around(looking([4, 0, 0], target=[0, y, 0]))
        expectation = calibrate([ahead], [30.0])
        assert expectation.stands_free == (coverage is small)
        loss_db = expectation.db(ahead) - expectation.db(aside)
        assert loss_db < 1 if coverage is small else loss_db > 8


def test_there_is_no_number_without_held_out_views_or_in_empty_space():
    coverage = cover(plate(0.0), [looking([4, 0, 0])])
    seen, away = coverage.around(looking([4, 1, 0])), coverage.around(looking([4, 0, 0], target=[8, 0, 0]))
    assert calibrate([], []) is None
    assert calibrate([away], [30.0]) is None and calibrate([seen], [float("nan")]) is None
    assert calibrate([seen], [30.0]).db(away) is None


def test_the_same_view_has_the_same_number():
    coverage = cover(plate(0.0, count=9000), [looking([4, 0, 0])])
    camera = looking([3, 2, 1])
    assert coverage.around(camera).angle_deg == coverage.around(camera).angle_deg


def test_splats_that_are_no_numbers_do_not_count():
    cloud = both(plate(0.0), plate(1.0, count=5))
    cloud.means[-5:] = np.nan
    coverage = cover(cloud, [looking([4, 0, 0])])
    assert np.isfinite(coverage.points).all()


def outside_of(cameras: list[Camera], count: int, **options) -> tuple[list[Camera], object]:
    coverage = cover(plate(0.0), cameras)
    reaches = np.array([np.linalg.norm(camera.position) for camera in cameras])
    return views_outside(coverage, cameras, reaches, count, **options), coverage


def test_views_outside_show_what_was_seen_from_elsewhere_and_lie_apart():
    cameras = [looking([4, 0.3 * number - 0.6, 0.4]) for number in range(5)]
    found, coverage = outside_of(cameras, 6)
    assert len(found) >= 6
    for camera in found:
        envelope = coverage.around(camera)
        is_seen = envelope.angles_deg < NEVER_DEG
        assert np.average(envelope.angles_deg[is_seen], weights=envelope.shares[is_seen]) >= 10
        assert envelope.unseen <= 0.35 and envelope.shares[is_seen].sum() >= 0.1
        assert (camera.width, camera.height, camera.fx) == (200, 150, 160.0)
        pixel = camera.project(np.zeros((1, 3)))[0][0]
        assert np.linalg.norm(pixel - (100, 75)) < 60, "it looks at what the photos look at"
    places = np.array([camera.position for camera in found])
    apart = np.linalg.norm(places[:6, None] - places[None, :6], axis=2)[np.triu_indices(6, 1)]
    assert apart.min() > 0.5, "the first are far from each other"
    again, other = outside_of(cameras, 6)[0], outside_of(cameras, 6, seed=1)[0]
    assert all(
        np.array_equal(one.camera_from_world, two.camera_from_world) for one, two in zip(found, again, strict=True)
    )
    assert not np.array_equal(other[0].camera_from_world, found[0].camera_from_world)


def test_there_is_no_outside_of_photos_from_everywhere():
    turns, heights = np.meshgrid(np.radians(np.arange(0, 360, 8)), np.radians(np.arange(-84, 85, 8)))
    places = np.stack([np.cos(turns) * np.cos(heights), np.sin(turns) * np.cos(heights), np.sin(heights)], axis=2)
    cameras = [looking(4 * place) for place in places.reshape(-1, 3)]
    coverage = cover(plate(0.0, count=400, half=0.3), cameras)
    assert views_outside(coverage, cameras, np.full(len(cameras), 4.0), 4) == []


def test_views_outside_have_the_size_that_most_photos_have():
    cameras = [looking([4, 0.3 * number, 0.4], size=(80, 60) if number == 1 else (200, 150)) for number in range(4)]
    found, _ = outside_of(cameras, 4)
    assert found and {(camera.width, camera.height) for camera in found} == {(200, 150)}


def test_a_camera_is_aimed_with_its_top_up_also_where_that_says_nothing():
    camera = looking([4, 0, 1])
    turned = aimed(camera, np.array([0.0, 3.0, 2.0]), np.array([1.0, 1.0, 0.0]))
    pixel, depth = turned.project(np.array([[1.0, 1.0, 0.0]]))
    assert np.allclose(pixel, [[100, 75]]) and depth[0] == pytest.approx(3.0)
    assert turned.world_from_camera[2, 1] < -0.5, "its down is down"
    same = aimed(camera, np.array([4.0, 0, 1.0]), np.array([4.0, 0, 1.0]))
    assert np.allclose(same.world_from_camera, camera.world_from_camera)
