"""Splat PLYs as others write them: any order, type, byte order, degree, and what cannot be read."""

import numpy as np
import pytest

from splat_addon.errors import SplatFileError
from splat_addon.gaussians.cloud import GaussianCloud
from splat_addon.gaussians.formats.splat_ply import SplatPly, read_splats, write_splats

NAMES = ("means", "log_scales", "quaternions", "logit_opacities", "sh")


def columns(count=9, rest=15) -> dict[str, np.ndarray]:
    """Property name to values, in INRIA's order."""
    random = np.random.default_rng(1)
    names = ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", *(f"f_rest_{i}" for i in range(3 * rest))]
    names += ["opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
    return {name: random.normal(size=count).astype(np.float32) for name in names}


def expected(values, kept) -> GaussianCloud:
    rest = len([name for name in values if name.startswith("f_rest")]) // 3
    sh = [[values[f"f_dc_{c}"] for c in range(3)]]
    sh += [[values[f"f_rest_{c * rest + k}"] for c in range(3)] for k in range(kept)]
    group = lambda stem, n: np.stack([values[f"{stem}_{i}"] for i in range(n)], axis=1)  # noqa: E731
    means = np.stack([values[name] for name in "xyz"], axis=1)
    return GaussianCloud(means, group("scale", 3), group("rot", 4), values["opacity"], np.array(sh).transpose(2, 0, 1))


def write(path, values, order="<", types=None, before=b"", header_before="", after=b""):
    types = types or {}
    kinds = {"f4": "float", "f8": "double", "i2": "short"}
    dtype = np.dtype([(name, order + types.get(name, "f4")) for name in values])
    table = np.empty(len(next(iter(values.values()))), dtype)
    for name, array in values.items():
        table[name] = array
    form = {"<": "binary_little_endian", ">": "binary_big_endian"}[order]
    lines = ["ply", f"format {form} 1.0", "comment made by a test", *header_before.splitlines()]
    lines += [f"element vertex {len(table)}", *(f"property {kinds[types.get(n, 'f4')]} {n}" for n in values)]
    path.write_bytes(("\n".join(lines) + "\nend_header\n").encode() + before + table.tobytes() + after)
    return path


def assert_equal(cloud, other):
    for name in NAMES:
        assert np.array_equal(getattr(cloud, name), getattr(other, name)), name


def test_properties_may_come_in_any_order_with_others_between(tmp_path):
    values = columns()
    names = list(values)
    np.random.default_rng(2).shuffle(names)
    shuffled = {name: values[name] for name in names} | {"error": values["x"]}
    assert_equal(read_splats(write(tmp_path / "a.ply", shuffled)), expected(values, 15))


def test_big_endian_files_are_read(tmp_path):
    values = columns()
    assert_equal(read_splats(write(tmp_path / "a.ply", values, order=">")), expected(values, 15))


def test_doubles_and_integers_are_read(tmp_path):
    values = columns()
    types = {"x": "f8", "opacity": "f8", "nx": "i2"}
    assert_equal(read_splats(write(tmp_path / "a.ply", values, types=types)), expected(values, 15))


def test_text_files_are_read(tmp_path):
    values = columns()
    header = ["ply", "format ascii 1.0", "element vertex 9", *(f"property float {name}" for name in values)]
    rows = [" ".join(repr(float(array[i])) for array in values.values()) for i in range(9)]
    (tmp_path / "a.ply").write_text("\n".join([*header, "end_header", *rows, "some trailing text"]))
    assert_equal(read_splats(tmp_path / "a.ply"), expected(values, 15))
    (tmp_path / "a.ply").write_text("\n".join([*header, "end_header", *rows[:5]]))
    with pytest.raises(SplatFileError, match="announces 9 points but holds 5"):
        read_splats(tmp_path / "a.ply")


def test_carriage_returns_in_the_header_do_no_harm(tmp_path):
    values = columns()
    content = write(tmp_path / "a.ply", values).read_bytes()
    head, body = content.split(b"end_header\n", 1)
    (tmp_path / "a.ply").write_bytes((head + b"end_header\n").replace(b"\n", b"\r\n") + body)
    assert_equal(read_splats(tmp_path / "a.ply"), expected(values, 15))


def test_records_before_and_bytes_after_the_vertices_are_skipped(tmp_path):
    values = columns()
    path = write(
        tmp_path / "a.ply", values, before=b"\x01" * 24, after=b"rest",
        header_before="element camera 2\nproperty double a\nproperty float b",
    )  # fmt: skip
    assert_equal(read_splats(path), expected(values, 15))


@pytest.mark.parametrize(("rest", "degree"), [(0, 0), (3, 1), (8, 2), (15, 3)])
def test_every_degree_is_read(tmp_path, rest, degree):
    values = columns(rest=rest)
    cloud = read_splats(write(tmp_path / "a.ply", values))
    assert cloud.sh_degree == degree
    assert_equal(cloud, expected(values, rest))


def test_of_higher_degrees_what_can_be_shown_is_read_and_told(tmp_path):
    values = columns(rest=24)
    path = write(tmp_path / "a.ply", values)
    assert (SplatPly(path).stored_degree, SplatPly(path).sh_degree) == (4, 3)
    assert_equal(read_splats(path), expected(values, 15))


def test_more_than_one_block_is_read_whole(tmp_path):
    values = columns(count=10_001, rest=0)
    cloud = read_splats(write(tmp_path / "a.ply", values))
    assert_equal(cloud, expected(values, 0))
    write_splats(tmp_path / "b.ply", cloud)
    assert_equal(read_splats(tmp_path / "b.ply"), cloud)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda values: values.pop("rot_3"), "lacks rot_3"),
        (lambda values: values.pop("f_rest_44"), "which fits no degree"),
        (lambda values: values.update(f_rest_99=values.pop("f_rest_7")), "with gaps"),
    ],
)
def test_what_is_missing_is_named(tmp_path, change, sentence):
    values = columns()
    change(values)
    with pytest.raises(SplatFileError, match=sentence):
        read_splats(write(tmp_path / "a.ply", values))


@pytest.mark.parametrize(
    "header",
    [
        "format binary_little_endian 1.0\nelement vertex x\nproperty float x",
        "format wrong 1.0\nelement vertex 1\nproperty float x",
        "format ascii 1.0\nelement vertex 1\nproperty floot x",
        "format ascii 1.0\nproperty float x",
        "element vertex 1\nproperty float x",
        "format ascii 1.0\nelement vertex -4\nproperty float x",
    ],
)
def test_headers_without_sense_are_refused(tmp_path, header):
    (tmp_path / "a.ply").write_text(f"ply\n{header}\nend_header\n")
    with pytest.raises(SplatFileError, match=r"The header of a\.ply is not one this add-on reads"):
        read_splats(tmp_path / "a.ply")


def test_meshes_with_faces_are_refused_as_splats(tmp_path):
    text = "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\n"
    (tmp_path / "a.ply").write_text(
        text + "element face 0\nproperty list uchar int vertex_indices\nend_header\n0 0 0\n"
    )
    with pytest.raises(SplatFileError, match="holds points but no splats"):
        read_splats(tmp_path / "a.ply")


def test_lists_before_the_vertices_are_refused(tmp_path):
    header = "element face 0\nproperty list uchar int vertex_indices"
    with pytest.raises(SplatFileError, match="has lists before its 'vertex' records"):
        read_splats(write(tmp_path / "a.ply", columns(), header_before=header))
