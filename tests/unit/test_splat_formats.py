"""Every format: what is written is read again as exactly as its numbers are fine, and what is broken is refused."""

import argparse
import gzip
import json
import struct
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from splat_addon.errors import SplatFileError
from splat_addon.gaussians import converting
from splat_addon.gaussians.cloud import GaussianCloud
from splat_addon.gaussians.converting import convert
from splat_addon.gaussians.formats.exchange import gltf, spz, usd_text
from splat_addon.gaussians.formats.exchange.sog_writing import palette
from splat_addon.gaussians.formats.registry import (
    FORMATS,
    cloud_of,
    extensions,
    format_for,
    open_splats,
    read_splats,
    write_splats,
    written_formats,
    written_in_steps,
)
from splat_addon.gaussians.formats.splat_file import Header, Reading, Settings, in_blocks
from splat_addon.gaussians.formats.splat_ply import write_splats as write_ply
from splat_addon.gaussians.transform import rotation_matrices, transformed, z_up_from
from splat_addon.run.arguments import add_conversion
from support.exchange_files import glb, ksplat, quantized_glb, raw_pixels, sog, sog_files, webp
from support.scenes import random_cloud

# ending: largest errors of position (of the cloud's size), log-scale, opacity, base coefficient, higher ones, rotation
FINE = {
    ".ply": (0, 0, 0, 0, 0, 1e-6),
    ".glb": (0, 2e-6, 2e-7, 0, 0, 1e-6),
    ".gltf": (0, 2e-6, 2e-7, 0, 0, 1e-6),
    ".usda": (0, 2e-6, 2e-7, 0, 0, 1e-6),
    ".spz": (1e-4, 0.0313, 0.002, 0.0131, 0.0040, 0.005),
    ".splat": (0, 2e-6, 0.002, 0.007, None, 0.016),
    ".compressed.ply": (3e-3, 0.002, 0.002, 0.007, 0.016, 0.004),
}


def cloud_within(random: np.random.Generator, count: int, degree: int) -> GaussianCloud:
    """Gaussians that every format has numbers for: opacities of 0 and 1 and single axes of tiny size among them."""
    cloud = random_cloud(count, int(random.integers(1 << 30)), degree)
    cloud.means *= 10.0 ** random.uniform(0, 2)
    cloud.log_scales[:] = random.uniform(-9.9, 5.8, cloud.log_scales.shape)
    cloud.sh[:, 1:] = random.uniform(-0.99, 0.99, cloud.sh[:, 1:].shape)
    cloud.sh[:, 0] = random.uniform(-1.7, 1.7, cloud.sh[:, 0].shape)
    extremes = random.random(count) < 0.2
    cloud.logit_opacities[extremes] = random.choice([-13.0, 13.0], extremes.sum())
    cloud.quaternions[random.random(count) < 0.2] = random.choice([-1, 0, 1], 4) + [0, 0, 0, 1e-3]
    return cloud


def matched(found: GaussianCloud, cloud: GaussianCloud) -> GaussianCloud:
    """The gaussians of `found` in the order of `cloud`: some formats sort."""
    if len(cloud) < 2 or np.allclose(found.means, cloud.means, atol=1e-3 * np.abs(cloud.means).max()):
        return found
    distance = np.abs(found.means[None] - cloud.means[:, None]).max(axis=2)
    order = distance.argmin(axis=1)
    assert sorted(order) == list(range(len(cloud)))
    return found.select(order)


def assert_near(found: GaussianCloud, cloud: GaussianCloud, limits) -> None:
    place, size, opacity, base, higher, turn = limits
    assert len(found) == len(cloud)
    found = matched(found, cloud)
    assert np.abs(found.means - cloud.means).max(initial=0) <= place * np.abs(cloud.means).max(initial=1e-9)
    assert np.abs(found.log_scales - cloud.log_scales).max(initial=0) <= size * 1.001
    assert np.abs(found.opacities - cloud.opacities).max(initial=0) <= opacity
    assert np.abs(found.sh[:, 0] - cloud.sh[:, 0]).max(initial=0) <= base
    if higher is not None:
        assert np.abs(found.sh[:, 1:] - cloud.sh[:, 1:]).max(initial=0) <= higher
    apart = rotation_matrices(found.rotations) - rotation_matrices(cloud.rotations)
    assert np.abs(apart).max(initial=0) <= 2 * turn + 1e-6


@pytest.mark.parametrize("ending", FINE)
@pytest.mark.parametrize("count", [0, 1, 2, 300])
def test_what_is_written_is_read_again(tmp_path, ending, count):
    random = np.random.default_rng([count, *ending.encode()])
    for degree in (0, 1, 2, 3):
        cloud = cloud_within(random, count, degree)
        if ending == ".compressed.ply":
            cloud.log_scales[:] = np.clip(cloud.log_scales, -4, -1)
        write_splats(tmp_path / f"a{ending}", cloud)
        found = read_splats(tmp_path / f"a{ending}")
        assert found.sh_degree == (0 if ending == ".splat" else degree)
        assert_near(found, cloud, FINE[ending])
        assert open_splats(tmp_path / f"a{ending}").format == format_for(tmp_path / f"a{ending}").NAME


def test_numbers_beyond_a_format_are_held_at_its_ends_and_stay_finite(tmp_path):
    cloud = random_cloud(6)
    cloud.log_scales[:] = [[-104, 44, 0]] * 6
    cloud.logit_opacities[:] = [-200, 200, -1e30, 1e30, 0, 5]
    cloud.sh[:] = np.linspace(-1e4, 1e4, cloud.sh.size).reshape(cloud.sh.shape)
    cloud.quaternions[0] = 0
    cloud.quaternions[1] = (1e-20, 0, 0, 0)
    for module in written_formats():
        path = tmp_path / f"a{module.EXTENSIONS[0]}"
        write_splats(path, cloud, Settings(encode=webp))
        found = read_splats(path, reading=Reading(raw_pixels))
        assert len(found) == 6 and found.finite().all(), module.NAME
        assert np.isfinite(found.opacities).all() and np.ptp(found.opacities) > 0.99, module.NAME


@pytest.mark.parametrize("ending", [ending for ending in FINE if ending != ".ply"])
def test_splats_that_are_not_finite_are_left_out(tmp_path, ending):
    cloud = random_cloud(5)
    cloud.means[1] = np.nan
    cloud.sh[3, 2] = np.inf
    write_splats(tmp_path / f"a{ending}", cloud)
    assert len(read_splats(tmp_path / f"a{ending}")) == 3


@pytest.mark.parametrize("ending", FINE)
def test_a_file_is_recognized_by_what_it_holds(tmp_path, ending):
    if ending == ".splat":
        pytest.skip("it has no mark of its own")
    write_splats(tmp_path / f"a{ending}", random_cloud(3))
    if ending == ".gltf":
        return
    (tmp_path / "a.splat").write_bytes((tmp_path / f"a{ending}").read_bytes())
    assert open_splats(tmp_path / "a.splat").format == format_for(tmp_path / f"a{ending}").NAME


def test_every_format_has_the_same_functions():
    for module in FORMATS:
        assert module.NAME and module.TITLE and module.EXTENSIONS and module.READ_AXES
        assert callable(module.recognizes) and callable(module.open_file)
        if hasattr(module, "write"):
            assert callable(module.losses) and module.WRITE_AXES
    assert len(set(extensions())) == len(extensions())


@pytest.mark.parametrize(
    ("content", "name", "sentence"),
    [
        (b"hello", "a.txt", "is not a splat file that is known"),
        (b"", "a.ply", "is not a PLY file"),
        (b"", "a.spz", "holds no whole header"),
        (b"x" * 33, "a.splat", "does not hold whole records of 32 bytes"),
        (b"\0\1" + bytes(50), "a.ksplat", "is too short for its headers"),
        (b"NGSP" + struct.pack("<IIBBBB", 3, 1000, 3, 12, 0, 0), "a.spz", "announces 1000 splats but is too short"),
        (b"NGSP" + struct.pack("<IIBBBB", 9, 1, 0, 12, 0, 0), "a.spz", "SPZ of version 9"),
        (gzip.compress(b"NGSP" + struct.pack("<IIBBBB", 2, 4_000_000_000, 3, 12, 0, 0)), "a.spz", "too short"),
        (
            gzip.compress(b"NGSP" + struct.pack("<IIBBBB", 3, 1, 0, 12, 0, 0) + bytes(20))[:-9],
            "a.spz",
            "ends too early",
        ),
        (b"NGSP" + struct.pack("<IIBBBBI12x", 4, 1, 0, 12, 0, 5, 9), "a.spz", "not laid out as SPZ of version 4"),
        (b"glTF" + bytes(8), "a.glb", "no JSON"),
        (b'{"asset": {}}', "a.gltf", "holds no gaussian splats"),
        (b"#usda 1.0\n", "a.usda", "holds no gaussian splats"),
        (b"PK\3\4" + bytes(30), "a.sog", "is a zip that cannot be read"),
    ],
)
def test_what_is_broken_is_refused_in_a_sentence(tmp_path, content, name, sentence):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SplatFileError, match=sentence) as raised:
        read_splats(tmp_path / name, reading=Reading(raw_pixels))
    assert raised.value.remedy


def test_what_cannot_be_written_is_refused_and_leaves_what_was_there(tmp_path):
    far = random_cloud(2)
    far.means[0] = 1e9
    (tmp_path / "a.spz").write_bytes(b"before")
    with pytest.raises(SplatFileError, match="units from the origin"):
        write_splats(tmp_path / "a.spz", far)
    assert (tmp_path / "a.spz").read_bytes() == b"before" and len(list(tmp_path.iterdir())) == 1
    with pytest.raises(SplatFileError, match=r"does not end as a splat file .* End it with"):
        write_splats(tmp_path / "a.ksplat", far)
    (tmp_path / "folder.glb").mkdir()
    with pytest.raises(SplatFileError, match="cannot be written"):
        write_splats(tmp_path / "folder.glb", random_cloud(2))


# --- SPZ ---


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_spz_is_read_with_any_fraction_and_either_quaternion(tmp_path, version, bits):
    cloud = cloud_within(np.random.default_rng(version), 50, 3)
    cloud.means *= 10 / np.abs(cloud.means).max()
    head, streams = spz.encoded(cloud, version, bits=bits)
    (tmp_path / "a.spz").write_bytes(gzip.compress(head + b"".join(streams)))
    found = read_splats(tmp_path / "a.spz")
    assert np.abs(found.means - cloud.means).max() <= 0.5001 / 2**bits
    turn = 0.12 if version == 2 else 0.005  # x, y, z alone are coarse where w is near 0
    assert_near(found, cloud, (1, 0.0313, 0.002, 0.0131, 0.0040, turn))


def test_spz_4_says_where_up_is_and_both_keep_the_antialiasing(tmp_path):
    cloud = replace(random_cloud(70_000, degree=1), antialiased=True)
    np.clip(cloud.sh, -0.99, 0.99, out=cloud.sh)
    for version, axes in ((3, "Z_UP"), (4, "Z_UP"), (4, "Y_DOWN"), (4, "STORED")):
        write_splats(tmp_path / "a.spz", cloud, Settings(axes, version))
        file = open_splats(tmp_path / "a.spz")
        assert file.axes == (axes if version == 4 and axes != "STORED" else "Y_UP")
        assert_near(cloud_of(file), cloud, FINE[".spz"])
        assert cloud_of(file).antialiased and file.parts[0].header.antialiased


def test_spz_4_of_degree_0_has_five_streams(tmp_path):
    write_splats(tmp_path / "a.spz", random_cloud(3, degree=0), Settings(spz_version=4))
    assert (tmp_path / "a.spz").read_bytes()[15] == 5 and len(read_splats(tmp_path / "a.spz")) == 3


def test_spz_of_degree_4_is_read_without_it(tmp_path):
    head = b"NGSP" + struct.pack("<IIBBBB", 3, 2, 4, 12, 0, 0)
    (tmp_path / "a.spz").write_bytes(head + bytes(2 * (9 + 1 + 3 + 3 + 4)) + bytes(range(72)) * 2)
    file = open_splats(tmp_path / "a.spz")
    assert file.notes == ("Harmonics above degree 3 were left out.",)
    assert np.allclose(cloud_of(file).sh[1, 1:].ravel(), (np.arange(45) - 128) / 128)


def test_fewer_bits_of_harmonics_make_smaller_files(tmp_path):
    cloud = random_cloud(2000)
    sizes = []
    for bits in ((8, 8), (5, 4), (1, 1)):
        write_splats(tmp_path / "a.spz", cloud, Settings(sh_bits=bits))
        sizes.append((tmp_path / "a.spz").stat().st_size)
        read_splats(tmp_path / "a.spz")
    assert sizes[0] > 1.3 * sizes[1] and sizes[1] > 1.3 * sizes[2]


# --- glTF ---


@pytest.mark.parametrize("has_log_scales", [False, True])
def test_gltf_with_quantized_interleaved_accessors_below_nodes(tmp_path, has_log_scales):
    cloud = random_cloud(40, degree=2)
    quarter = {"rotation": [0.5**0.5, 0, 0, 0.5**0.5], "translation": [1, 2, 3]}
    (tmp_path / "a.glb").write_bytes(quantized_glb(cloud, has_log_scales, quarter))
    file = open_splats(tmp_path / "a.glb")
    matrix = np.array([[2, 0, 0, 1], [0, 0, -2, 2], [0, 2, 0, 3], [0, 0, 0, 1.0]])
    assert np.allclose(file.parts[0].matrix, matrix) and file.parts[0].name == "vase" and file.axes == "Y_UP"
    assert_near(cloud_of(file), transformed(cloud, matrix), (1e-6, 1e-5, 2e-5, 1e-6, 1e-6, 1e-4))


def test_gltf_keeps_the_blend_space_and_its_data_beside(tmp_path):
    cloud = replace(random_cloud(9), blend_space="blender", antialiased=True)
    write_splats(tmp_path / "a b%.gltf", cloud)
    found = read_splats(tmp_path / "a b%.gltf")
    assert (found.blend_space, found.antialiased) == ("blender", True)
    assert (tmp_path / "a b%.bin").stat().st_size == 9 * 236


@pytest.mark.parametrize(
    "address", ["../secret.bin", "/etc/passwd", "C:\\x", "http://x/y.bin", "\\\\server\\x", "%2e%2e/x"]
)
def test_gltf_reads_no_file_outside_of_its_folder(tmp_path, address):
    write_splats(tmp_path / "a.gltf", random_cloud(2))
    document = json.loads((tmp_path / "a.gltf").read_text())
    document["buffers"][0]["uri"] = address
    (tmp_path / "a.gltf").write_text(json.dumps(document))
    with pytest.raises(SplatFileError, match="keeps its data elsewhere"):
        read_splats(tmp_path / "a.gltf")


def test_gltf_with_spz_inside_and_several_primitives(tmp_path):
    clouds = random_cloud(4, 1, 1), random_cloud(6, 2, 0)
    blobs = []
    for cloud in clouds:
        head, streams = spz.encoded(cloud, 2)
        blobs.append(gzip.compress(head + b"".join(streams)))
    held = [
        {gltf.EXTENSION: {"extensions": {"KHR_gaussian_splatting_compression_spz_2": {"bufferView": number}}}}
        for number in range(2)
    ]
    views = [{"buffer": 0, "byteOffset": 0, "byteLength": len(blobs[0])}]
    views.append({"buffer": 0, "byteOffset": len(blobs[0]), "byteLength": len(blobs[1])})
    document = {
        "asset": {"version": "2.0"},
        "meshes": [{"primitives": [{"attributes": {}, "extensions": each}]} for each in held],
        "nodes": [{"mesh": 0}, {"mesh": 1, "translation": [0, 0, 5]}],
        "bufferViews": views,
        "buffers": [{"byteLength": len(blobs[0]) + len(blobs[1])}],
    }
    (tmp_path / "a.glb").write_bytes(glb(document, b"".join(blobs)))
    found = read_splats(tmp_path / "a.glb")
    assert len(found) == 10 and found.sh_degree == 1
    assert np.allclose(found.means[4:], clouds[1].means + (0, 0, 5), atol=1e-3)


# --- SOG, .ksplat, USD ---


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_sog_is_read_from_a_zip_and_from_a_folder(tmp_path, version, degree):
    cloud = random_cloud(70, degree=degree)
    (tmp_path / "a.sog").write_bytes(sog(cloud, version, is_deflated=degree == 1))
    for name, content in sog_files(cloud, version).items():
        (tmp_path / name).write_bytes(content)
    for name in ("a.sog", "meta.json"):
        found = read_splats(tmp_path / name, reading=Reading(raw_pixels))
        assert_near(found, cloud, (5e-5, 0.005, 0.01, 0.01, 0.005, 0.006))


@pytest.mark.parametrize("count", [1, 7, 2000])
@pytest.mark.parametrize("degree", [0, 1, 3])
def test_sog_is_written(tmp_path, count, degree):
    cloud = replace(random_cloud(count, degree=degree), antialiased=True)
    cloud.sh[:, 1:] = cloud.sh[np.arange(count) % 5, 1:] if count > 5 else cloud.sh[:, 1:]
    write_splats(tmp_path / "a.sog", cloud, Settings(encode=webp))
    found = read_splats(tmp_path / "a.sog", reading=Reading(raw_pixels))
    assert found.antialiased and found.sh_degree == degree
    assert_near(found, cloud, (5e-5, 0.02, 0.002, 0.02, 0.02, 0.007))
    with pytest.raises(SplatFileError, match="cannot be encoded here"):
        write_splats(tmp_path / "b.sog", cloud)


def carried_out(steps: Generator) -> tuple[list, Any]:
    """What was yielded, and what was returned."""
    found = []
    while True:
        try:
            found.append(next(steps))
        except StopIteration as end:
            return found, end.value


def test_writing_sog_goes_in_steps_and_can_be_given_up(tmp_path):
    path, cloud = tmp_path / "a.sog", random_cloud(3000)
    path.write_bytes(b"before")
    header = Header(len(cloud), cloud.sh_degree)
    steps = written_in_steps(path, header, in_blocks(cloud), Settings(encode=webp))
    begun = [next(steps).done for _ in range(8)]
    assert begun == sorted(begun) and 0.06 < begun[-1] < 1 and path.read_bytes() == b"before"
    steps.close()
    assert [file.name for file in tmp_path.iterdir()] == ["a.sog"] and path.read_bytes() == b"before"
    steps = written_in_steps(path, header, in_blocks(cloud), Settings(encode=webp))
    next(steps)
    means, cloud.means[:] = cloud.means.copy(), 0  # what the first step has read is not looked at again
    *_, last = steps
    assert (last.done, last.note) == (1.0, "Its palette of view-dependent colors has 2048 entries.")
    found = read_splats(path, reading=Reading(raw_pixels))
    assert np.abs(np.sort(found.means, axis=0) - np.sort(means, axis=0)).max() < 1e-3


def test_a_palette_is_as_large_as_its_time_allows():
    rows = np.random.default_rng(0).normal(size=(5000, 9)).astype(np.float32)
    done, (entries, labels) = carried_out(palette(rows))
    _, (fewer, _) = carried_out(palette(rows, within_s=0))
    assert done == sorted(done) and done[-1] == 1
    assert len(fewer) == 1024 < len(entries) == 4096 and labels.max() < len(entries)
    assert np.mean((entries[labels] - rows) ** 2) < 0.5


def test_sog_needs_somebody_who_decodes_images(tmp_path):
    (tmp_path / "a.sog").write_bytes(sog(random_cloud(3)))
    with pytest.raises(SplatFileError, match="in images, which cannot be decoded here"):
        read_splats(tmp_path / "a.sog")


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("degree", [0, 1, 2])
def test_ksplat_is_read_at_every_level(tmp_path, level, degree):
    cloud = random_cloud(23, degree=degree)
    (tmp_path / "a.ksplat").write_bytes(ksplat(cloud, level))
    higher = (1e-7, 1e-3, 0.006)[level]
    assert_near(read_splats(tmp_path / "a.ksplat"), cloud, (1e-4, 1e-3, 0.002, 0.007, higher, 1e-3))


def test_usd_in_text_keeps_what_it_has_no_attribute_for(tmp_path):
    cloud = replace(random_cloud(5, degree=1), blend_space="blender", antialiased=True)
    for axes, expected in (("Y_UP", "Y_UP"), ("Z_UP", "Z_UP"), ("STORED", "Z_UP")):
        write_splats(tmp_path / "a.usda", cloud, Settings(axes))
        file = open_splats(tmp_path / "a.usda")
        found = cloud_of(file)
        assert (found.blend_space, found.antialiased, file.axes) == ("blender", True, expected)


@pytest.mark.parametrize("piece", [1 << 20, 31, 7])
def test_usd_in_text_is_read_a_piece_at_a_time_whatever_it_says_besides(tmp_path, monkeypatch, piece):
    cloud = replace(random_cloud(40, degree=1), blend_space="blender")
    write_splats(tmp_path / "a.usda", cloud)
    text = (tmp_path / "a.usda").read_text()
    assert text.count("[(") == 5
    text = text.replace(
        "(\n    defaultPrim", '(\n    # it\'s a "comment ]\n    doc = """one " and [ two """\n    defaultPrim', 1
    )
    text = text.replace("{\n    ", '{\n    string[] said = ["a ] b", "\\"]", "positions = ["]\n    ', 1)
    text = text.replace("{\n    ", "{\n    token note = 'with [ and \\' and \"'\n    ", 1)
    (tmp_path / "a.usda").write_text(text)
    with open(tmp_path / "a.usda", "rb") as file:
        whole = usd_text.read_text(file)
    monkeypatch.setattr(usd_text, "_PIECE", piece)
    with open(tmp_path / "a.usda", "rb") as file:
        assert usd_text.read_text(file) == whole
    monkeypatch.setattr(usd_text, "_PIECE", max(piece, 31))  # no number is longer
    found = read_splats(tmp_path / "a.usda")
    assert found.blend_space == "blender"
    assert_near(found, cloud, FINE[".usda"])


def test_usd_in_half_precision_and_in_centimeters(tmp_path):
    write_splats(tmp_path / "a.usda", random_cloud(4, degree=0))
    text = (tmp_path / "a.usda").read_text().replace("positions = ", "positionsh = ")
    (tmp_path / "a.usda").write_text(text.replace("metersPerUnit = 1\n", "metersPerUnit = 0.01\n"))
    assert np.allclose(read_splats(tmp_path / "a.usda").means, 0.01 * random_cloud(4, degree=0).means, rtol=1e-5)


# --- Converting, and what is lost ---


def converted(tmp_path, arguments, capsys):
    parser = argparse.ArgumentParser()
    add_conversion(parser)
    try:
        convert(parser.parse_args([str(argument) for argument in arguments]), print, raw_pixels, webp)
    except SplatFileError as error:
        return 1, f"{error.message} {error.remedy}"
    return 0, capsys.readouterr().out


def test_converting_turns_and_recolors_exactly(tmp_path, capsys):
    cloud = random_cloud(20)
    write_splats(tmp_path / "a.ply", cloud)
    code, said = converted(tmp_path, [tmp_path / "a.ply", tmp_path / "a.glb", "--from-axes", "y-down"], capsys)
    assert code == 0 and said.startswith("Wrote 20 splats of degree 3")
    matrix = z_up_from("Y_UP").T @ z_up_from("Y_DOWN")
    assert_near(read_splats(tmp_path / "a.glb"), transformed(cloud, matrix), FINE[".glb"])
    code, _ = converted(tmp_path, [tmp_path / "a.glb", tmp_path / "b.ply", "--axes", "y-down"], capsys)
    assert_near(read_splats(tmp_path / "b.ply"), cloud, FINE[".glb"])
    code, said = converted(
        tmp_path, [tmp_path / "a.ply", tmp_path / "c.ply", "--saturation", 0, "--sh-degree", 1], capsys
    )
    gray = read_splats(tmp_path / "c.ply")
    assert gray.sh_degree == 1 and np.abs(gray.sh - gray.sh[:, :, :1]).max() < 1e-6


def test_converting_says_what_is_not_known_and_what_is_lost(tmp_path, capsys):
    cloud = replace(random_cloud(4), blend_space="blender", antialiased=True)
    cloud.means[0] = np.nan
    write_splats(tmp_path / "a.glb", replace(cloud, means=random_cloud(4).means))
    write_splats(tmp_path / "a.ply", cloud)
    _, said = converted(tmp_path, [tmp_path / "a.ply", tmp_path / "a.spz"], capsys)
    assert "1 splats with values that are not finite were left out" in said
    assert "a.ply does not say where up is: written as stored" in said and "sizes to 3 %" in said
    _, said = converted(tmp_path, [tmp_path / "a.glb", tmp_path / "a.splat"], capsys)
    assert "Color that depends on the view is lost" in said and "look thicker" in said
    assert "trained in linear light" in said
    code, said = converted(tmp_path, [tmp_path / "missing.spz", tmp_path / "b.ply"], capsys)
    assert code == 1 and "missing.spz cannot be read" in said and not (tmp_path / "b.ply").exists()


def test_converting_says_how_far_it_is_and_can_be_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(converting, "TELL_EVERY_S", 0.0)
    write_splats(tmp_path / "a.ply", random_cloud(3000))
    parser = argparse.ArgumentParser()
    add_conversion(parser)
    options = parser.parse_args([str(tmp_path / "a.ply"), str(tmp_path / "a.sog")])
    said: list[str] = []

    def stop(text: str) -> None:
        said.append(text)
        if text.startswith("a.sog: 5"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        converting.convert(options, stop, raw_pixels, webp)
    assert [file.name for file in tmp_path.iterdir()] == ["a.ply"] and said[-1].endswith(" % written")
    converting.convert(options, said.append, raw_pixels, webp)
    assert "Its palette of view-dependent colors has 2048 entries." in said and said[-1].startswith("Wrote 3000 splats")


def test_converting_keeps_the_coordinates_of_a_country(tmp_path, capsys):
    near = random_cloud(40)
    write_ply(tmp_path / "far.ply", near, (500_000.0, 0.0, 5_000_000.0))
    options = ["--from-axes", "y-down", "--axes", "y-up"]
    code, said = converted(tmp_path, [tmp_path / "far.ply", tmp_path / "turned.ply", *options], capsys)
    assert code == 0 and "rounded" not in said
    expected = transformed(near, z_up_from("Y_UP").T @ z_up_from("Y_DOWN"))
    assert np.allclose(
        read_splats(tmp_path / "turned.ply", (500_000.0, 0.0, -5_000_000.0)).means, expected.means, atol=1e-6
    )
    _, said = converted(tmp_path, [tmp_path / "far.ply", tmp_path / "far.glb"], capsys)
    assert "positions are rounded to 32 bits" in said


def test_ply_loses_nothing_and_says_nothing():
    assert format_for(Path("a.ply")).losses(Header(5, 3, "blender", True), Settings()) == []
