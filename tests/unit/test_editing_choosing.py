"""Points inside closed surfaces, near chosen ones, and the numbers they are selected by, against plain evaluation."""

import numpy as np
import pytest

from splat_addon.editing import inside, nearness, quantities


def sphere(rings: int = 24, radius: float = 1.0, center=(0.0, 0.0, 0.0)) -> inside.Surface:
    """A closed ball of triangles: poles, and rings of points between."""
    angles = np.linspace(0, np.pi, rings + 1)[1:-1]
    around = np.linspace(0, 2 * np.pi, 2 * rings, endpoint=False)
    ring = np.stack(
        [
            np.outer(np.sin(angles), np.cos(around)),
            np.outer(np.sin(angles), np.sin(around)),
            np.outer(np.cos(angles), np.ones_like(around)),
        ],
        axis=2,
    ).reshape(-1, 3)
    points = np.concatenate([[[0, 0, 1.0]], ring, [[0, 0, -1.0]]])
    width, last = 2 * rings, len(points) - 1
    faces = []
    for k in range(width):
        n = (k + 1) % width
        faces.append((0, 1 + k, 1 + n))
        for row in range(len(angles) - 1):
            a, b = 1 + row * width, 1 + (row + 1) * width
            faces += [(a + k, b + k, b + n), (a + k, b + n, a + n)]
        tail = 1 + (len(angles) - 1) * width
        faces.append((last, tail + n, tail + k))
    return inside.Surface(points * radius + center, np.array(faces))


def cube(low: float = -1.0, high: float = 1.0) -> inside.Surface:
    points = np.array([[x, y, z] for x in (low, high) for y in (low, high) for z in (low, high)])
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    return inside.Surface(points, np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))]))


def merged(*parts: inside.Surface) -> inside.Surface:
    starts = np.cumsum([0, *(len(part.points) for part in parts)])
    triangles = np.concatenate([part.triangles + start for part, start in zip(parts, starts)])
    return inside.Surface(np.concatenate([part.points for part in parts]), triangles)


def solid_angles(points: np.ndarray, surface: inside.Surface) -> np.ndarray:
    """The winding number by solid angles (Van Oosterom and Strackee 1983): another judge."""
    total = np.zeros(len(points))
    for triangle in surface.points[surface.triangles]:
        a, b, c = (triangle[k] - points for k in range(3))
        la, lb, lc = (np.linalg.norm(v, axis=1) for v in (a, b, c))
        top = np.einsum("ni,ni->n", a, np.cross(b, c))
        bottom = la * lb * lc + (a * b).sum(1) * lc + (b * c).sum(1) * la + (c * a).sum(1) * lb
        total += 2 * np.arctan2(top, bottom)
    return total / (4 * np.pi)


@pytest.mark.parametrize("turn", [np.eye(3), np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]])
@pytest.mark.parametrize("shape", [sphere(10), cube(), merged(sphere(8), sphere(8, 0.9, (0.7, 0, 0)))])
def test_inside_is_what_solid_angles_say(shape, turn):
    shape = inside.Surface(shape.points @ turn.T, shape.triangles)
    points = np.random.default_rng(1).uniform(-1.8, 1.8, (4000, 3))
    np.testing.assert_array_equal(inside.is_inside(points, shape), np.abs(solid_angles(points, shape)) > 0.5)


def test_points_above_edges_and_corners_are_counted_once():
    """A lattice on the coordinates of the corners: every ray meets edges, corners or steep faces."""
    lattice = np.stack(np.meshgrid(*[np.linspace(-1.5, 1.5, 13)] * 3), axis=-1).reshape(-1, 3)
    clear = (np.abs(np.abs(lattice) - 1) > 1e-9).all(axis=1)
    found = inside.is_inside(lattice, cube())
    expected = (np.abs(lattice) < 1).all(axis=1)
    np.testing.assert_array_equal(found[clear], expected[clear])
    ball = sphere(12)
    grid = ball.points[:, :2].repeat(3, axis=0)
    heights = np.tile([-0.999, 0.0, 0.999], len(ball.points))
    points = np.concatenate([grid, heights[:, None]], axis=1)
    radius = np.linalg.norm(points, axis=1)
    sure = (radius < 0.95) | (radius > 1.0001)
    np.testing.assert_array_equal(inside.is_inside(points, ball)[sure], (radius < 1)[sure])


def test_faces_that_turn_both_ways_are_counted_by_walls():
    shape = sphere(10)
    triangles = shape.triangles.copy()
    triangles[::3] = triangles[::3, ::-1]
    points = np.random.default_rng(1).uniform(-1.2, 1.2, (3000, 3))
    mixed = inside.is_inside(points, inside.Surface(shape.points, triangles))
    np.testing.assert_array_equal(mixed, inside.is_inside(points, shape))


def test_surfaces_without_an_inside_say_why():
    shape = cube()
    assert inside.problem_of(shape) == ""
    assert "is open: 3 edges" in inside.problem_of(inside.Surface(shape.points, shape.triangles[1:]))
    fin = np.concatenate([shape.triangles, [[0, 1, 3]]])
    assert "is not manifold" in inside.problem_of(inside.Surface(shape.points, np.concatenate([fin, [[0, 1, 5]]])))
    assert inside.problem_of(inside.Surface(shape.points, shape.triangles[:0])) == "has no faces"


@pytest.mark.parametrize("distance", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("choice", ["compact", "scattered", "one"])
def test_near_is_what_all_distances_say(distance, choice):
    random = np.random.default_rng(3)
    positions = np.concatenate([random.normal(0, 1, (1500, 3)), random.normal(0.5, 0.03, (500, 3))]).astype(np.float32)
    chosen = {
        "compact": np.linalg.norm(positions - 0.5, axis=1) < 0.4,
        "scattered": random.random(2000) < 0.2,
        "one": np.arange(2000) == 1700,
    }[choice]
    apart = np.linalg.norm(positions[:, None].astype(float) - positions[chosen][None], axis=2).min(axis=1)
    expected = apart <= distance
    found = nearness.is_near(positions, chosen, distance)
    unsure = np.abs(apart - distance) < 1e-6
    np.testing.assert_array_equal(found[~unsure], expected[~unsure])


def test_nothing_is_near_to_nothing():
    positions = np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32)
    assert not nearness.is_near(positions, np.zeros(50, bool), 1.0).any()
    positions[3] = np.nan
    assert not nearness.is_near(positions, np.arange(50) == 3, 100.0)[4:].any()


def test_the_usual_spacing_is_the_distance_to_the_third_neighbor():
    positions = np.random.default_rng(1).uniform(size=(4000, 3))
    squared = ((positions[:, None] - positions[None]) ** 2).sum(axis=2)
    exact = np.sqrt(np.median(np.partition(squared, 3, axis=1)[:, 3]))
    assert nearness.usual_spacing(positions) == pytest.approx(exact, rel=0.15)
    assert nearness.usual_spacing(positions[:2]) == 0


def test_numbers_about_gaussians():
    scales = np.array([[1, 1, 1], [0.1, 4, 2], [3, 0, 0]], np.float32)
    np.testing.assert_allclose(quantities.sizes(scales), [1, 4, 3])
    np.testing.assert_allclose(quantities.stretches(scales), [1, 2, quantities.LARGEST_STRETCH], rtol=1e-5)
    base = np.array([[0, 0, 0, 1]], np.float32)
    np.testing.assert_allclose(quantities.color_distances(base, np.array([0.5, 0.5, 0.1])), [0.4], rtol=1e-6)
    matrix = np.diag([2.0, 2, 2, 1])
    matrix[:3, 3] = 1, 0, 0
    away = quantities.distances(np.array([[1, 0, 0]], np.float32), matrix, np.array([0, 4.0, 0]))
    np.testing.assert_allclose(away, [5])


def test_a_histogram_counts_all_and_leaves_outliers_to_its_ends():
    values = np.concatenate([np.geomspace(1e-3, 1, 10_000), [1e9, -1.0, np.nan]])
    counts, edges = quantities.histogram(values, 40, is_log=True)
    assert (
        counts.sum() == 10_002 and edges[0] == pytest.approx(1e-3, rel=0.05) and edges[-1] == pytest.approx(1, rel=0.05)
    )
    assert counts[5:-5].std() < 0.05 * counts.mean()
    counts, edges = quantities.histogram(np.full(10, 3.0), 4, is_log=False)
    assert counts.sum() == 10 and edges[0] < 3 < edges[-1]
