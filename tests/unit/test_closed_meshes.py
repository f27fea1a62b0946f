"""Volumes: what is inside a closed mesh, against closed forms and the solid angle; and their files."""

import numpy as np
import pytest

from splat_addon.errors import SplatFileError
from splat_addon.gaussians.closed_mesh import ClosedMesh, read_volume, write_volume

CUBE_FACES = [
    [0, 2, 1], [0, 3, 2], [4, 5, 6], [4, 6, 7], [0, 1, 5], [0, 5, 4],
    [1, 2, 6], [1, 6, 5], [2, 3, 7], [2, 7, 6], [3, 0, 4], [3, 4, 7],
]  # fmt: skip


def cube(center=(0, 0, 0), half=1.0) -> ClosedMesh:
    corners = np.array([[-1, -1, -1], [1, -1, -1], [1, 1, -1], [-1, 1, -1]] * 2, float)
    corners[4:, 2] = 1
    return ClosedMesh(corners * half + center, np.array(CUBE_FACES))


def sphere(rows=24, columns=40) -> ClosedMesh:
    """Of radius 1, with poles and quads in halves."""
    polar, around = np.arange(1, rows) * np.pi / rows, np.arange(columns) * 2 * np.pi / columns
    ring = np.stack(
        [
            (np.sin(polar)[:, None] * np.cos(around)).ravel(),
            (np.sin(polar)[:, None] * np.sin(around)).ravel(),
            np.repeat(np.cos(polar), columns),
        ],
        axis=1,
    )
    faces = []
    top, bottom = len(ring), len(ring) + 1
    for column in range(columns):
        following = (column + 1) % columns
        faces.append([top, column, following])
        faces.append([bottom, (rows - 2) * columns + following, (rows - 2) * columns + column])
        for row in range(rows - 2):
            a, b = row * columns + column, row * columns + following
            faces += [[a, a + columns, b + columns], [a, b + columns, b]]
    return ClosedMesh(np.concatenate([ring, [[0, 0, 1], [0, 0, -1]]]), np.array(faces))


def joined(*meshes: ClosedMesh) -> ClosedMesh:
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    faces = [mesh.triangles + start for mesh, start in zip(meshes, starts, strict=False)]
    return ClosedMesh(np.concatenate([mesh.vertices for mesh in meshes]), np.concatenate(faces))


def solid_angle_winding(mesh: ClosedMesh, points: np.ndarray) -> np.ndarray:
    """(P,) van Oosterom and Strackee 1983: how often the surface winds around each point."""
    corners = mesh.vertices[mesh.triangles][None] - points[:, None, None]
    a, b, c = (corners[:, :, k] for k in range(3))
    la, lb, lc = (np.linalg.norm(v, axis=-1) for v in (a, b, c))
    above = (a * np.cross(b, c)).sum(-1)
    below = la * lb * lc + (a * b).sum(-1) * lc + (b * c).sum(-1) * la + (c * a).sum(-1) * lb
    return np.arctan2(above, below).sum(axis=1) / (2 * np.pi)


def test_the_inside_of_a_cube_is_what_lies_between_its_faces():
    points = np.random.default_rng(0).uniform(-2, 2, (20_000, 3))
    assert np.array_equal(cube().holds(points), (np.abs(points) < 1).all(axis=1))


def test_a_winding_number_by_solid_angles_agrees():
    rng = np.random.default_rng(1)
    mesh = joined(sphere(), cube((0.9, 0.2, 0.1), 0.5))
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    mesh = ClosedMesh(mesh.vertices @ turn.T + [5e5, 0, 3], mesh.triangles)
    points = rng.uniform(-1.6, 1.6, (3000, 3)) + [5e5, 0, 3]
    assert np.array_equal(mesh.holds(points), np.abs(solid_angle_winding(mesh, points)) > 0.5)


def test_points_on_rays_through_corners_and_edges_are_decided_as_well():
    grid = np.stack(np.meshgrid(*3 * [np.linspace(-0.9, 0.9, 7)]), axis=-1).reshape(-1, 3)
    assert cube().holds(grid).all() and cube(half=0.5).holds(grid).sum() == (np.abs(grid) < 0.5).all(axis=1).sum()
    assert sphere().holds(grid[np.linalg.norm(grid, axis=1) < 0.98]).all()


def test_faces_may_disagree_about_what_is_outside():
    mesh = cube()
    turned = mesh.triangles.copy()
    turned[::3] = turned[::3, ::-1]
    points = np.random.default_rng(2).uniform(-2, 2, (5000, 3))
    other = ClosedMesh(mesh.vertices, turned)
    assert other.problem == "" and np.array_equal(other.holds(points), mesh.holds(points))


def test_meshes_without_an_inside_say_why():
    mesh = sphere()
    assert mesh.problem == ""
    assert ClosedMesh(mesh.vertices, mesh.triangles[1:]).problem.startswith("is open: 3 edges")
    twice = np.concatenate([mesh.triangles, mesh.triangles])
    assert ClosedMesh(mesh.vertices, twice).problem.startswith("is not manifold")
    assert ClosedMesh(mesh.vertices, mesh.triangles[:0]).problem == "has no faces"


def test_points_above_edges_and_corners_are_counted_once():
    """A lattice on the coordinates of the corners: every ray meets edges, corners or steep faces."""
    lattice = np.stack(np.meshgrid(*[np.linspace(-1.5, 1.5, 13)] * 3), axis=-1).reshape(-1, 3)
    clear = (np.abs(np.abs(lattice) - 1) > 1e-9).all(axis=1)
    assert np.array_equal(cube().holds(lattice)[clear], (np.abs(lattice) < 1).all(axis=1)[clear])
    ball = sphere(12, 24)
    points = np.column_stack(
        [ball.vertices[:, :2].repeat(3, axis=0), np.tile([-0.999, 0.0, 0.999], len(ball.vertices))]
    )
    radius = np.linalg.norm(points, axis=1)
    sure = (radius < 0.95) | (radius > 1.0001)
    assert np.array_equal(ball.holds(points)[sure], (radius < 1)[sure])


def test_no_point_is_inside_where_there_is_none_and_broken_ones_are_outside():
    assert cube().holds(np.zeros((0, 3))).shape == (0,)
    assert cube().holds(np.array([[np.nan, 0, 0], [np.inf, 0, 0], [0, 0, 0]])).tolist() == [False, False, True]


def test_a_volume_comes_back_from_its_file_as_it_was(tmp_path):
    mesh = ClosedMesh(sphere().vertices / 3 + [5_432_100.123456789, 0, 0], sphere().triangles)
    write_volume(tmp_path / "volume.obj", mesh)
    again = read_volume(tmp_path / "volume.obj")
    assert np.array_equal(again.vertices, mesh.vertices) and np.array_equal(again.triangles, mesh.triangles)


def test_files_of_other_programs_have_polygons_normals_and_counts_from_the_end(tmp_path):
    lines = ["# made elsewhere", "o Cube", "vn 0 0 1", "vt 0 0"]
    lines += [f"v {x} {y} {z} 1.0" for x, y, z in cube().vertices]
    lines += [
        "f 1//1 4//1 3//1 2//1",
        "f 5/1/1 6/1/1 7/1/1 8/1/1",
        "f -8 -7 -3 -4",
        "f 2 3 7 6",
        "f 3 4 8 7",
        "f 4 1 5 8",
    ]
    (tmp_path / "cube.obj").write_text("\n".join(lines))
    mesh = read_volume(tmp_path / "cube.obj")
    points = np.random.default_rng(3).uniform(-2, 2, (2000, 3))
    assert len(mesh.triangles) == 12 and np.array_equal(mesh.holds(points), cube().holds(points))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "is not closed: it has no inside"),
        ("v 0 0 0\nf 1 2 9\n", "is not closed"),
        ("", "is not closed"),
        ("v 0 0 nan\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 2 3\nf 1 3 4\nf 1 4 2\nf 2 4 3\n", "is not closed"),
        ("v 0 zero 0\n", "is not an OBJ file that can be read"),
        ("v 0 0\n", "is not an OBJ file that can be read"),
        ("f 1 2 99999999999999999999999\n", "is not an OBJ file that can be read"),
        (None, "cannot be read"),
    ],
)
def test_what_is_no_volume_is_refused_with_a_remedy(tmp_path, text, said):
    if text is not None:
        (tmp_path / "x.obj").write_text(text)
    with pytest.raises(SplatFileError, match=said) as caught:
        read_volume(tmp_path / "x.obj")
    assert caught.value.remedy
