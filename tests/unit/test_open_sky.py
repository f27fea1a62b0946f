"""Whether a capture shows a sky: an island under skies and in rooms, photographed by formula."""

import numpy as np
import pytest

from splat_addon.capture.camera import Camera
from splat_addon.capture.points import Points
from splat_addon.capture.seeds.open_sky import find_sky
from splat_addon.capture.seeds.photo_colors import Photo

WIDTH, HEIGHT, FOCAL = 160, 120, 120.0
GROUND, ROOM, CEILING = 3.0, 5.0, 4.0  # half widths and height


def camera_at(angle: float, up: float = 1.5, toward: float = 1.4) -> Camera:
    """Around the island, 2.5 away from its middle, looking across it, z up."""
    position = np.array([2.5 * np.cos(angle), 2.5 * np.sin(angle), up])
    forward = np.array([0.0, 0.0, toward]) - position
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    matrix[:3, 3] = -matrix[:3, :3] @ position
    return Camera(WIDTH, HEIGHT, FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2, matrix)


def clear_sky(places, rays):
    return np.array([0.7, 0.8, 0.95]) - rays[..., 2:] * np.array([0.5, 0.4, 0.1])


def cloudy_night(places, rays):
    cloud = np.sin(9 * rays[..., :1]) * np.sin(7 * rays[..., 1:2] + 5 * rays[..., 2:])
    return 0.05 + 0.04 * cloud + 0 * rays


def painted_walls(places, rays):
    """Plain walls and a ceiling, each of another brightness, with a little shade toward the corners."""
    corner = np.abs(places).max(axis=-1, keepdims=True)
    side = np.argmax(np.abs(places) / (ROOM, ROOM, CEILING), axis=-1)[..., None]
    return (
        np.array([0.8, 0.78, 0.74]) - 0.08 * side - 0.03 * (corner - np.abs(places).min(axis=-1, keepdims=True)) / ROOM
    )


def plain(red, green, blue):
    return lambda places, rays: np.broadcast_to(np.array([red, green, blue]), rays.shape)


def photo_of(camera: Camera, background, random, gain: float = 1.0) -> Photo:
    """The island's checkered ground, and beyond it what the background is: by place on the walls, or by direction."""
    x, y = np.meshgrid((np.arange(WIDTH) + 0.5 - camera.cx) / FOCAL, (np.arange(HEIGHT) + 0.5 - camera.cy) / FOCAL)
    rays = np.stack([x, y, np.ones_like(x)], axis=-1) @ camera.camera_from_world[:3, :3]
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    with np.errstate(divide="ignore"):
        to_walls = np.where(
            rays > 0, (ROOM, ROOM, CEILING) - camera.position, -(np.array([ROOM, ROOM, 0])) - camera.position
        )
        places = camera.position + rays * np.min(to_walls / rays, axis=-1, keepdims=True)
        ground = camera.position + rays * (-camera.position[2] / rays[..., 2:])
    is_ground = (rays[..., 2] < 0) & (np.abs(ground[..., :2]) < GROUND).all(axis=-1)
    checker = 0.25 + 0.4 * ((np.floor(4 * ground[..., 0]) + np.floor(4 * ground[..., 1])) % 2)
    image = np.where(is_ground[..., None], checker[..., None] * (1.0, 0.9, 0.7), background(places, rays)) * gain
    image = np.clip(image + random.normal(0, 0.005, image.shape), 0, 1)
    pixels = np.full((HEIGHT, WIDTH, 4), 255, np.uint8)
    pixels[..., :3] = np.rint(255 * image)
    return Photo(camera, pixels)


def photographed(background, gain: float = 0.0, **where) -> tuple[Points, list[Photo]]:
    """Points on the ground, and twelve photos, each brighter or darker by `gain`."""
    random = np.random.default_rng(3)
    photos = [
        photo_of(camera_at(angle, **where), background, random, float(np.exp(random.normal(0, gain))))
        for angle in np.linspace(0, 2 * np.pi, 12, endpoint=False)
    ]
    places = np.concatenate([random.uniform(-GROUND, GROUND, (2000, 2)), np.zeros((2000, 1))], axis=1)
    return Points(places, np.full((2000, 3), 0.5)), photos


@pytest.mark.parametrize("gain", [0.0, 0.1])
@pytest.mark.parametrize("sky", [clear_sky, cloudy_night])
def test_a_sky_is_told_by_its_agreement_infinitely_far_away(sky, gain):
    found = find_sky(*photographed(sky, gain))
    assert found.is_seen
    assert found.why.endswith("and photos agree about it as something infinitely far away")


@pytest.mark.parametrize("gain", [0.0, 0.1])
def test_plain_walls_and_a_ceiling_are_no_sky(gain):
    found = find_sky(*photographed(painted_walls, gain))
    assert not found.is_seen
    assert found.why.endswith("but photos agree better about it as something near, such as walls")


@pytest.mark.parametrize("color", [(0.8, 0.78, 0.75), (0.96, 0.96, 0.96), (0.02, 0.02, 0.02)])
def test_a_wall_without_texture_a_white_studio_and_a_black_night_are_left_alone(color):
    found = find_sky(*photographed(plain(*color)))
    assert not found.is_seen and found.why.endswith("but nothing there tells a sky from a plain wall")


def test_an_even_sky_is_told_by_its_color():
    found = find_sky(*photographed(plain(0.75, 0.85, 0.95)))
    assert found.is_seen and found.why.endswith("and is as bright and blue as a sky")


def test_photos_that_look_down_show_none():
    found = find_sky(*photographed(clear_sky, up=4.0, toward=-6.0))
    assert not found.is_seen and "of the photos' area lies above the horizon" in found.why


def test_beyond_measured_surfaces_even_a_plain_background_counts():
    points, photos = photographed(plain(0.9, 0.9, 0.9))
    normals = np.tile([0.0, 0.0, 1.0], (len(points.positions), 1))
    found = find_sky(Points(points.positions, points.colors, normals), photos)
    assert found.is_seen and found.why.endswith("lies beyond all surfaces")


def test_transparency_and_masks_decide_first():
    points, photos = photographed(clear_sky)
    clear = []
    for photo in photos:
        pixels = photo.pixels.copy()
        pixels[: HEIGHT // 3, :, 3] = 0
        clear.append(Photo(photo.camera, pixels))
    assert find_sky(points, clear).why == "the photos are transparent where nothing stands"
    counts = np.ones((HEIGHT, WIDTH), dtype=bool)
    counts[: HEIGHT // 2 + 20] = False
    masked = find_sky(points, [Photo(photo.camera, photo.pixels, counts) for photo in photos])
    assert not masked.is_seen and masked.why.startswith("only ")


def test_without_points_or_photos_nothing_is_decided():
    points, photos = photographed(clear_sky)
    assert find_sky(None, photos).why == "there are no points to tell what lies beyond them"
    assert find_sky(points, []).why == "no photo can be read"


def test_the_answer_does_not_depend_on_the_scale_of_the_capture():
    points, photos = photographed(clear_sky)
    for scale in (1e-4, 1e4):
        similarity = np.diag([scale, scale, scale, 1.0])
        moved = [Photo(photo.camera.moved(similarity), photo.pixels) for photo in photos]
        assert find_sky(points.moved(similarity), moved) == find_sky(points, photos)
