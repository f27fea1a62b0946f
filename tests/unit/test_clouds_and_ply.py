"""Splat clouds and the files they live in."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from splat_addon.errors import SplatFileError
from splat_addon.gaussians.cloud import GaussianCloud, empty_cloud
from splat_addon.gaussians.formats.splat_ply import SplatPly, read_points, read_splats, write_points, write_splats
from splat_addon.gaussians.harmonics import color_to_sh, harmonics, sh_to_color

DATA = Path(os.environ.get("SPLAT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))


def make_cloud(count: int = 7, coefficients: int = 16) -> GaussianCloud:
    random = np.random.default_rng(0)
    return GaussianCloud(
        means=random.normal(size=(count, 3)),
        log_scales=random.normal(size=(count, 3)),
        quaternions=random.normal(size=(count, 4)),
        logit_opacities=random.normal(size=count),
        sh=random.normal(size=(count, coefficients, 3)),
    )


@pytest.mark.parametrize("coefficients", [1, 4, 9, 16])
def test_a_cloud_survives_a_ply_bit_for_bit(tmp_path, coefficients):
    cloud = make_cloud(coefficients=coefficients)
    write_splats(tmp_path / "a.ply", cloud)
    again = read_splats(tmp_path / "a.ply")
    for name in ("means", "log_scales", "quaternions", "logit_opacities", "sh"):
        assert np.array_equal(getattr(again, name), getattr(cloud, name)), name
    assert list(tmp_path.iterdir()) == [tmp_path / "a.ply"], "nothing is left aside"


@pytest.mark.parametrize("blend_space", ["display", "blender"])
def test_a_cloud_keeps_its_blend_space_through_parts_and_files(tmp_path, blend_space):
    cloud = replace(make_cloud(5000), blend_space=blend_space)
    write_splats(tmp_path / "a.ply", cloud.select(slice(1, None)))
    again = read_splats(tmp_path / "a.ply")
    assert len(again) == 4999 and again.blend_space == SplatPly(tmp_path / "a.ply").blend_space == blend_space
    assert {block.blend_space for block in SplatPly(tmp_path / "a.ply").blocks()} == {blend_space}
    assert replace(again, sh=again.sh[:, :1]).blend_space == empty_cloud(3, 0, blend_space).blend_space == blend_space


def test_a_file_that_says_nothing_is_blended_as_displayed_and_those_of_earlier_versions_as_they_say(tmp_path):
    """The comment is the very one that runs have been writing: it must be understood for ever."""
    write_splats(tmp_path / "a.ply", make_cloud())
    content = (tmp_path / "a.ply").read_bytes()
    assert b"comment" not in content and read_splats(tmp_path / "a.ply").blend_space == "display"
    said = b"comment colours are decoded to linear light before they are blended, as Blender does\nelement vertex"
    (tmp_path / "b.ply").write_bytes(content.replace(b"element vertex", said))
    assert read_splats(tmp_path / "b.ply").blend_space == "blender"
    write_splats(tmp_path / "c.ply", replace(make_cloud(), blend_space="blender"))
    assert (tmp_path / "c.ply").read_bytes() == (tmp_path / "b.ply").read_bytes()


def test_a_cloud_has_one_known_blend_space():
    with pytest.raises(ValueError, match="'linear' is not a blend space: 'display' or 'blender'"):
        replace(make_cloud(), blend_space="linear")
    with pytest.raises(ValueError, match="'blender' colors cannot be put among 'display' ones"):
        make_cloud().put(0, replace(make_cloud(2), blend_space="blender"))


def test_higher_coefficients_are_stored_channel_by_channel(tmp_path):
    cloud = make_cloud(count=1, coefficients=4)
    write_splats(tmp_path / "a.ply", cloud)
    content = (tmp_path / "a.ply").read_bytes()
    header, body = content.split(b"end_header\n")
    names = [line.split()[2].decode() for line in header.splitlines() if line.startswith(b"property")]
    values = dict(zip(names, np.frombuffer(body, "<f4"), strict=True))
    assert values["f_rest_0"] == cloud.sh[0, 1, 0], "first the first harmonic of red"
    assert values["f_rest_3"] == cloud.sh[0, 1, 1], "then green"
    assert names[:3] == ["x", "y", "z"] and names[-4:] == ["rot_0", "rot_1", "rot_2", "rot_3"]


def test_bytes_after_the_last_record_are_ignored(tmp_path):
    write_splats(tmp_path / "a.ply", make_cloud())
    with open(tmp_path / "a.ply", "ab") as file:
        file.write(b"trailing bytes")
    assert len(read_splats(tmp_path / "a.ply")) == 7


def test_a_ply_that_was_cut_short_says_so(tmp_path):
    write_splats(tmp_path / "a.ply", make_cloud())
    content = (tmp_path / "a.ply").read_bytes()
    (tmp_path / "a.ply").write_bytes(content[:-100])
    with pytest.raises(SplatFileError, match=r"announces 7 points but holds 6\. It was cut short"):
        read_splats(tmp_path / "a.ply")


def test_a_ply_of_points_is_refused_as_splats(tmp_path):
    write_points(tmp_path / "a.ply", np.zeros((2, 3)), np.zeros((2, 3)))
    with pytest.raises(SplatFileError, match=r"a\.ply holds points but no splats"):
        read_splats(tmp_path / "a.ply")


def test_a_file_that_is_no_ply_is_refused(tmp_path):
    (tmp_path / "a.ply").write_bytes(b"hello")
    with pytest.raises(SplatFileError, match="not a PLY file"):
        read_splats(tmp_path / "a.ply")


def test_points_keep_colours_and_normals(tmp_path):
    positions = np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])
    colors = np.array([[0.0, 0.5, 1.0], [0.2, 0.4, 0.6]])
    normals = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    write_points(tmp_path / "p.ply", positions, colors, normals)
    again = read_points(tmp_path / "p.ply")
    assert np.array_equal(again[0], positions)
    assert np.abs(again[1] - colors).max() <= 0.5 / 255 + 1e-6
    assert np.array_equal(again[2], normals)


def test_ascii_points_are_read(tmp_path):
    (tmp_path / "p.ply").write_text(
        "ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\nproperty float z\n"
        "property uchar red\nproperty uchar green\nproperty uchar blue\nend_header\n1 2 3 255 0 51\n4 5 6 0 0 0\n"
    )
    positions, colors, normals = read_points(tmp_path / "p.ply")
    assert positions.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert np.allclose(colors[0], [1, 0, 0.2])
    assert normals is None


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared splat files are not on this machine")
def test_an_inria_file_with_trailing_bytes_gives_its_hundred_splats():
    folder = DATA / "splats" / "pcshort"
    clouds = [read_splats(path) for path in sorted(folder.glob("*.ply"))]
    assert clouds and all(len(cloud) == 100 and cloud.sh_degree == 3 for cloud in clouds)
    assert all(np.array_equal(cloud.sh, clouds[0].sh) for cloud in clouds)


def test_activated_parameters_follow_from_the_stored_ones():
    cloud = make_cloud()
    assert np.allclose(cloud.scales, np.exp(cloud.log_scales))
    assert np.allclose(cloud.opacities, 1 / (1 + np.exp(-cloud.logit_opacities)), atol=1e-6)
    assert np.allclose(np.linalg.norm(cloud.rotations, axis=1), 1)


def test_a_gaussian_with_nan_is_not_finite():
    cloud = make_cloud()
    cloud.sh[3, 5, 1] = np.nan
    cloud.means[5, 0] = np.inf
    assert np.flatnonzero(~cloud.finite()).tolist() == [3, 5]


def test_base_colour_and_coefficient_are_inverse():
    assert np.allclose(sh_to_color(color_to_sh(np.array([0.0, 0.3, 1.0]))), [0.0, 0.3, 1.0])


def test_harmonics_are_orthonormal_over_the_sphere():
    """The integral of Y_i Y_j over the sphere is 1 for i = j and 0 otherwise; a Fibonacci lattice integrates it."""
    count = 20_000
    z = 1 - 2 * (np.arange(count) + 0.5) / count
    turn = np.pi * (3 - np.sqrt(5)) * np.arange(count)
    level = np.sqrt(1 - z * z)
    values = harmonics(np.stack([level * np.cos(turn), level * np.sin(turn), z], axis=1), degree=3)
    assert np.abs(4 * np.pi / count * values.T @ values - np.eye(16)).max() < 1e-3
