"""Splat PLYs of other trainers and editors: what they mean is read, and what cannot be read is named."""

from argparse import ArgumentParser
from dataclasses import replace

import numpy as np
import pytest

from splat_addon.errors import SplatFileError
from splat_addon.gaussians.cloud import GaussianCloud, empty_cloud
from splat_addon.gaussians.converting import convert
from splat_addon.gaussians.formats.registry import cloud_of, open_splats
from splat_addon.gaussians.formats.registry import write_splats as write_any
from splat_addon.gaussians.formats.splat_ply import SplatPly, read_splats, read_vertices, write_splats
from splat_addon.gaussians.harmonics import SH_C0
from splat_addon.gaussians.srgb import encode_srgb
from splat_addon.gaussians.transform import joined
from splat_addon.run.arguments import add_conversion

KINDS = {"f4": "float", "f8": "double", "u1": "uchar", "u2": "ushort"}


def columns(count=20, rest=0) -> dict[str, np.ndarray]:
    """Property name to values, in INRIA's order."""
    random = np.random.default_rng(3)
    names = [*"xyz", "f_dc_0", "f_dc_1", "f_dc_2", *(f"f_rest_{i}" for i in range(rest)), "opacity"]
    names += ["scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
    values = {name: random.normal(0, 2, count) for name in names}
    return values | {f"scale_{k}": random.normal(-3, 1, count) for k in range(3)}


def write(path, values, types=None, comments=(), after=("", b"")):
    types = types or {}
    dtype = np.dtype([(name, "<" + types.get(name, "f4")) for name in values])
    table = np.empty(len(values["x"]), dtype)
    for name, array in values.items():
        table[name] = array
    lines = ["ply", "format binary_little_endian 1.0", *(f"comment {text}" for text in comments)]
    lines += [f"element vertex {len(table)}"]
    lines += [f"property {KINDS[types.get(name, 'f4')]} {name}" for name in values]
    lines += [after[0]] if after[0] else []
    path.write_bytes(("\n".join(lines) + "\nend_header\n").encode() + table.tobytes() + after[1])
    return path


def test_infinite_opacities_and_scales_of_nothing_become_numbers_that_mean_the_same(tmp_path):
    values = columns()
    values["opacity"][:3] = np.inf, -np.inf, np.nan
    values["scale_2"][3], values["scale_1"][4] = -np.inf, np.inf
    cloud = read_splats(write(tmp_path / "a.ply", values))
    assert cloud.opacities[:2].tolist() == [1, 0]
    assert cloud.scales[3, 2] == 0 and np.isfinite(cloud.log_scales[3]).all()
    assert (~cloud.finite()).nonzero()[0].tolist() == [2, 4], "NaN and an infinite size mean nothing"
    assert np.array_equal(cloud.logit_opacities[5:], values["opacity"][5:].astype(np.float32))


@pytest.mark.parametrize(("kind", "unit"), [("u1", 255), ("u2", 65535), ("f4", 1), ("f8", 255)])
def test_rgb_stands_for_harmonics(tmp_path, kind, unit):
    values, random = columns(), np.random.default_rng(4)
    rgb = random.uniform(0, 1, (20, 3))
    stored = np.rint(rgb * unit) if kind[0] == "u" else rgb * unit
    for k, name in enumerate(("red", "green", "blue")):
        del values[f"f_dc_{k}"]
        values[name] = stored[:, k]
    path = write(tmp_path / "a.ply", values, dict.fromkeys(("red", "green", "blue"), kind))
    cloud = read_splats(path)
    np.testing.assert_allclose(cloud.sh[:, 0] * SH_C0 + 0.5, stored / unit, atol=1e-6)
    assert cloud.sh.shape == (20, 1, 3)


def test_harmonics_win_over_rgb_beside_them(tmp_path):
    values = columns() | {name: np.full(20, 7.0) for name in ("red", "green", "blue")}
    cloud = read_splats(write(tmp_path / "a.ply", values, dict.fromkeys(("red", "green", "blue"), "u1")))
    assert np.array_equal(cloud.sh[:, 0, 1], values["f_dc_1"].astype(np.float32))


def test_two_scales_are_discs_whose_third_axis_is_thin(tmp_path):
    values = columns()
    del values["scale_2"]
    path = write(tmp_path / "a.ply", values, comments=["SplatRenderMode: mip"])
    cloud = read_splats(path)
    assert np.array_equal(cloud.log_scales[:, 1], values["scale_1"].astype(np.float32))
    assert (cloud.scales[:, 2] < 2e-4 * cloud.scales[:, :2].min(axis=1)).all() and (cloud.scales[:, 2] > 0).all()
    assert not cloud.antialiased, "columns say more than comments"
    assert "flat splats" in SplatPly(path).remarks[0][0]


def test_names_of_cloudcompare_are_understood(tmp_path):
    values = columns(rest=9)
    foreign = {name if name in "xyz" else f"scalar_{name}": array for name, array in values.items()}
    plain, other = (read_splats(write(tmp_path / f"{i}.ply", v)) for i, v in enumerate((values, foreign)))
    for name in ("means", "log_scales", "quaternions", "logit_opacities", "sh"):
        assert np.array_equal(getattr(plain, name), getattr(other, name)), name


def test_a_3d_filter_becomes_part_of_scales_and_opacities(tmp_path):
    """As `create_fused_ply.py` of Mip-Splatting does: variances add, the opacity falls as the volume grows."""
    values = columns()
    values["filter_3D"] = np.random.default_rng(5).uniform(0.0, 0.2, 20)
    values["filter_3D"][0] = 0
    path = write(tmp_path / "a.ply", values)
    cloud = read_splats(path)
    scales = np.exp(np.stack([values[f"scale_{k}"] for k in range(3)], axis=1).astype(np.float32).astype(float))
    wider = np.sqrt(scales**2 + values["filter_3D"].astype(np.float32).astype(float)[:, None] ** 2)
    opacities = 1 / (1 + np.exp(-values["opacity"])) * np.sqrt(np.prod(scales**2, 1) / np.prod(wider**2, 1))
    np.testing.assert_allclose(cloud.scales, wider, rtol=1e-5)
    np.testing.assert_allclose(cloud.opacities, opacities, rtol=1e-4, atol=1e-9)
    assert cloud.antialiased and "3D filter" in SplatPly(path).remarks[0][0]


@pytest.mark.parametrize(
    ("comments", "expected"),
    [
        (["Exported from Brush", "SplatRenderMode: mip"], True),
        (["  SPLATRENDERMODE:  MIP  "], True),
        (["antialiased 1"], True),
        (["antialiased 0"], False),
        (["SplatRenderMode: default"], False),
        (["SplatRenderMode: mip", "antialiased 0"], False),
        (["antialiased 0", "SplatRenderMode: mip"], True),
        (["not antialiased 1"], False),
        ([], False),
    ],
)
def test_comments_say_whether_splats_are_antialiased(tmp_path, comments, expected):
    path = write(tmp_path / "a.ply", columns(), comments=comments)
    assert SplatPly(path).antialiased == read_splats(path).antialiased == expected


def test_antialiased_clouds_stay_so_through_parts_and_files(tmp_path):
    cloud = replace(read_splats(write(tmp_path / "a.ply", columns(5000))), antialiased=True)
    write_splats(tmp_path / "b.ply", cloud.select(slice(1, None)))
    assert b"\ncomment SplatRenderMode: mip\n" in (tmp_path / "b.ply").read_bytes()
    again = read_splats(tmp_path / "b.ply")
    assert again.antialiased and len(again) == 4999 and replace(again, sh=again.sh).antialiased
    assert empty_cloud(3, 0, antialiased=True).antialiased
    with pytest.raises(ValueError, match="cannot be in one cloud"):
        empty_cloud(5000, 0).put(0, again)


@pytest.mark.parametrize("is_linear", [False, True])
def test_colors_of_sharp_are_blended_in_linear_light(tmp_path, is_linear):
    """Its element `color_space` is 0 for colors that were encoded for other viewers, 1 for linear ones."""
    values = columns()
    for k in range(3):
        values[f"f_dc_{k}"] = np.linspace(-1.7, 1.7, 20)
    element = "element color_space 1\nproperty uchar color_space"
    path = write(tmp_path / "a.ply", values, after=(element, bytes([is_linear])))
    cloud = read_splats(path)
    assert cloud.blend_space == "blender"
    colors = values["f_dc_1"] * SH_C0 + 0.5
    np.testing.assert_allclose(cloud.sh[:, 0, 1] * SH_C0 + 0.5, encode_srgb(colors) if is_linear else colors, atol=1e-6)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    assert read_splats(path).blend_space == "display", "cut off behind the splats"


def test_opacities_that_are_no_logits_are_recognized_and_said(tmp_path):
    values = columns(5000)
    values["opacity"] = np.random.default_rng(6).uniform(0, 1, 5000)
    values["opacity"][:2] = 0, 1
    path = write(tmp_path / "a.ply", values)
    cloud = read_splats(path)
    np.testing.assert_allclose(cloud.opacities, values["opacity"], atol=1e-6)
    assert "lie between 0 and 1" in SplatPly(path).remarks[0][0] and cloud.finite().all()
    assert np.array_equal(
        np.concatenate([block.logit_opacities for block in SplatPly(path, "logit").blocks()]),
        values["opacity"].astype(np.float32),
    )
    assert SplatPly(path, "logit").remarks == [] == SplatPly(path, "linear").remarks
    values["opacity"][4999] = 1.01
    path = write(tmp_path / "b.ply", values)
    assert np.array_equal(read_splats(path).logit_opacities, values["opacity"].astype(np.float32))
    assert SplatPly(path).remarks == []


@pytest.mark.parametrize("opacities", [np.zeros(20), np.linspace(0, 1, 7)])
def test_a_few_different_opacities_say_nothing(tmp_path, opacities):
    """Seeds of surfaces all have one opacity, a half, whose logit is 0."""
    values = columns(len(opacities)) | {"opacity": opacities}
    assert np.array_equal(read_splats(write(tmp_path / "a.ply", values)).logit_opacities, np.float32(opacities))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda v: v.update({f"f_rest_{i}": v["x"] for i in range(10)}), "has 10 columns of color harmonics"),
        (lambda v: v.update({f"f_rest_{i}": v["x"] for i in range(12)}), "has 4 color harmonics per channel"),
        (lambda v: v.update(t=v["x"], scale_t=v["x"]), r"move in time \(it has the columns t, scale_t\)"),
        (lambda v: v.update(motion_0=v["x"]), r"move in time \(it has the columns motion_0\)"),
        (lambda v: v.update(trbf_center=v["x"]), "move in time"),
        (lambda v: v.pop("opacity"), "lacks opacity"),
        (lambda v: v.pop("scale_1"), "lacks scale_1"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, change, sentence):
    values = columns()
    change(values)
    with pytest.raises(SplatFileError, match=sentence):
        read_splats(write(tmp_path / "a.ply", values))


def test_columns_that_are_there_twice_are_named(tmp_path):
    path = write(tmp_path / "a.ply", columns())
    path.write_bytes(path.read_bytes().replace(b"property float rot_3", b"property float rot_2"))
    with pytest.raises(SplatFileError, match="has two columns named 'rot_2'"):
        read_splats(path)


def test_what_an_ordinary_file_holds_is_read_bit_for_bit(tmp_path):
    values = columns(4100, rest=45) | {"opacity": np.linspace(-400, 400, 4100)}
    cloud = read_splats(write(tmp_path / "a.ply", values))
    assert isinstance(cloud, GaussianCloud) and SplatPly(tmp_path / "a.ply").remarks == []
    assert np.array_equal(cloud.logit_opacities, values["opacity"].astype(np.float32))
    assert np.array_equal(cloud.log_scales[:, 2], values["scale_2"].astype(np.float32))


def test_converted_and_joined_files_keep_what_they_were_trained_for(tmp_path):
    values = columns()
    values["filter_3D"] = np.full(20, 0.01)
    path = write(tmp_path / "a.ply", values)
    file = open_splats(path)
    assert file.parts[0].header.antialiased and any("3D filter" in note for note in file.notes)
    cloud = cloud_of(file)
    for name in ("b.ply", "c.spz"):
        write_any(tmp_path / name, cloud)
        assert cloud_of(open_splats(tmp_path / name)).antialiased
    assert joined([cloud, cloud]).antialiased


def test_converting_keeps_places_far_from_the_origin_apart(tmp_path):
    values, place = columns(50), np.array([448251.37, 5411932.21, 203.4])
    for axis, name in enumerate("xyz"):
        values[name] = values[name] + place[axis]
    source = write(tmp_path / "a.ply", values, dict.fromkeys("xyz", "f8"))
    parser = ArgumentParser()
    add_conversion(parser)
    arguments = [str(source), str(tmp_path / "b.ply"), "--from-axes", "y-down", "--axes", "z-up"]
    convert(parser.parse_args(arguments), print, None, None)
    found = read_vertices(tmp_path / "b.ply")
    assert found.dtype["x"] == np.float64
    for name, expected in (("x", values["x"]), ("y", values["z"]), ("z", -values["y"])):
        np.testing.assert_allclose(found[name], expected, rtol=0, atol=1e-5)
