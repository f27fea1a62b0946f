"""Our readers on files that other programs wrote, and other programs' readers on ours: errors of a correct one at most.

`install.py` installs what is needed; without it, all of this is skipped.
"""

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from splat_addon.gaussians.cloud import GaussianCloud
from splat_addon.gaussians.formats.exchange import spz
from splat_addon.gaussians.formats.registry import read_splats, write_splats
from splat_addon.gaussians.formats.splat_file import Reading, Settings
from splat_addon.gaussians.transform import rotation_matrices, transformed
from splat_addon.trainer.exchange.image_pixels import pixels_of, webp_of

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FOLDER = Path(os.environ.get("SPLAT_ORACLES", ROOT / ".venv" / "oracles"))
PYTHON = FOLDER / ".venv" / "bin" / "python"

pytestmark = pytest.mark.skipif(
    not (PYTHON.exists() and (FOLDER / "node_modules").is_dir() and shutil.which("node")),
    reason="other programs are not installed: python3 tests/oracles/install.py",
)


@pytest.fixture(scope="module")
def plain() -> GaussianCloud:
    """A thousand splats of all sizes, as training leaves them."""
    random = np.random.default_rng(7)
    return GaussianCloud(
        means=3 * random.normal(size=(1000, 3)),
        log_scales=random.normal(-4, 1.2, size=(1000, 3)),
        quaternions=random.normal(size=(1000, 4)),
        logit_opacities=random.normal(0, 2.5, size=1000),
        sh=random.normal(0, 0.2, size=(1000, 16, 3)),
    )


@pytest.fixture(scope="module")
def edge() -> GaussianCloud:
    """Numbers beyond what SPZ holds, and degenerate rotations."""
    random = np.random.default_rng(8)
    cloud = GaussianCloud(
        means=random.uniform(-2000, 2000, size=(300, 3)),
        log_scales=random.uniform(-30, 15, size=(300, 3)),
        quaternions=random.choice([-1.0, 0.0, 1.0], size=(300, 4)) + np.array([1e-3, 0, 0, 0]),
        logit_opacities=random.uniform(-40, 40, size=300),
        sh=random.uniform(-6, 6, size=(300, 16, 3)),
    )
    return cloud


def run(*words) -> None:
    answer = subprocess.run([str(word) for word in words], cwd=FOLDER, capture_output=True, text=True, timeout=300)
    assert answer.returncode == 0, answer.stderr[-2000:]


def adobe(*words) -> None:
    run("node", "--no-deprecation", FOLDER / "spz.mjs", *words)


def splat_transform(source: Path, target: Path, *options) -> None:
    run(FOLDER / "node_modules" / ".bin" / "splat-transform", "-q", "-w", *options, source, target)


def by_python(reader: str, path: Path, tmp_path: Path) -> GaussianCloud:
    run(PYTHON, HERE / "foreign.py", reader, path, tmp_path / "found.npz")
    return GaussianCloud(*np.load(tmp_path / "found.npz").values())


def covariances(cloud: GaussianCloud) -> np.ndarray:
    axes = rotation_matrices(cloud.rotations) * cloud.scales.astype(np.float64)[:, None, :]
    return axes @ axes.transpose(0, 2, 1)


def assert_near(found: GaussianCloud, cloud: GaussianCloud, place, shape, alpha, base, higher) -> None:
    """`shape` is relative to the largest entry of a covariance, `higher` root mean square; order does not matter."""
    assert len(found) == len(cloud)
    order = np.array([np.abs(found.means - mean).max(axis=1).argmin() for mean in cloud.means])
    assert len(set(order)) == len(cloud)
    found = found.select(order)
    assert np.abs(found.means - cloud.means).max() <= place
    expected = covariances(cloud)
    assert (np.abs(covariances(found) - expected).max(axis=(1, 2)) / np.abs(expected).max(axis=(1, 2))).max() <= shape
    is_seen = cloud.opacities > 1 / 255  # SOG keeps no color where the byte of the opacity is 0
    assert np.abs(found.opacities - cloud.opacities).max() <= alpha
    assert np.abs(found.sh[is_seen, 0] - cloud.sh[is_seen, 0]).max() <= base
    kept = found.sh.shape[1]
    if kept > 1:
        assert np.sqrt(np.mean((found.sh[:, 1:] - cloud.sh[:, 1:kept]) ** 2)) <= higher


SPZ = {"place": 1.3e-4, "shape": 0.065, "alpha": 0.0021, "base": 0.0132, "higher": 0.004}
COARSE = {**SPZ, "higher": 0.04}  # 5 and 4 bits
EXACT = {"place": 0, "shape": 2e-6, "alpha": 2e-7, "base": 0, "higher": 0}


@pytest.mark.parametrize("version", [2, 3, 4])
@pytest.mark.parametrize("which", ["plain", "edge"])
def test_spz_equals_the_reference_byte_for_byte(request, tmp_path, which, version):
    cloud = request.getfixturevalue(which)
    write_splats(tmp_path / "in.ply", cloud)
    adobe("write", tmp_path / "in.ply", tmp_path / "theirs.spz", version, "UNSPECIFIED")
    code = (  # in the oracles' Python, which has what decompresses version 4
        "import sys; from pathlib import Path; from splat_addon.gaussians.formats.exchange.spz import _content;"
        "path = Path(sys.argv[1]); found = _content(path, path.read_bytes());"
        "Path(sys.argv[2]).write_bytes(b''.join(bytes(stream) for stream in found.streams)); assert found.bits == 12"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.check_call([PYTHON, "-c", code, tmp_path / "theirs.spz", tmp_path / "streams"], env=environment)
    _, streams = spz.encoded(cloud, version, (5, 4), bits=12)
    assert b"".join(streams) == (tmp_path / "streams").read_bytes()


@pytest.mark.parametrize(
    ("name", "options", "limits"),
    [
        ("a.compressed.ply", (), {"place": 0.01, "shape": 0.012, "alpha": 0.0021, "base": 0.0075, "higher": 0.01}),
        ("a.sog", ("-g", "cpu"), {"place": 1.2e-3, "shape": 0.08, "alpha": 0.0045, "base": 0.03, "higher": 0.2}),
        ("a.spz", ("--spz-version", "3"), COARSE),
        ("a.glb", (), EXACT),
    ],
)
def test_what_splat_transform_writes_is_read(plain, tmp_path, name, options, limits):
    write_splats(tmp_path / "in.ply", plain)
    splat_transform(tmp_path / "in.ply", tmp_path / name, *options)
    found = read_splats(tmp_path / name, reading=Reading(pixels_of))
    half_turn = np.diag([-1.0, -1, 1, 1])
    assert_near(transformed(found, half_turn) if name == "a.glb" else found, plain, **limits)


@pytest.mark.parametrize("level", [0, 1, 2])
def test_what_gaussian_splats_3d_writes_is_read(plain, tmp_path, level):
    write_splats(tmp_path / "in.ply", plain)
    run("node", "--no-deprecation", FOLDER / "ksplat.mjs", tmp_path / "in.ply", tmp_path / "a.ksplat", level, 2)
    found = read_splats(tmp_path / "a.ksplat")
    limits = {"place": (0, 1e-4, 1e-4)[level], "shape": 0.004, "alpha": 0.0041, "base": 0.015, "higher": 0.004}
    assert_near(found, plain, **limits)


def test_what_usd_writes_is_read(plain, tmp_path):
    parts = plain.means, plain.log_scales, plain.quaternions, plain.logit_opacities, plain.sh
    np.savez(tmp_path / "in.npz", *parts)
    run(PYTHON, HERE / "foreign.py", "usd-write", tmp_path / "in.npz", tmp_path / "a.usda")
    assert_near(read_splats(tmp_path / "a.usda"), plain, **EXACT)


@pytest.mark.parametrize("version", [3, 4])
def test_the_reference_reads_our_spz(plain, tmp_path, version):
    cloud = replace(plain, antialiased=True)
    write_splats(tmp_path / "a.spz", cloud, Settings("Y_UP", version))
    adobe("read", tmp_path / "a.spz", tmp_path / "found.ply", "UNSPECIFIED")
    assert_near(read_splats(tmp_path / "found.ply"), plain, **SPZ)
    adobe("read", tmp_path / "a.spz", tmp_path / "turned.ply", "RDF")
    if version == 4:  # it turns what the record says is y up
        turn = np.diag([1.0, -1, -1, 1])
        assert_near(read_splats(tmp_path / "turned.ply"), transformed(plain, turn), **SPZ)


@pytest.mark.parametrize(
    ("ending", "limits"),
    [
        (".spz", SPZ),
        (".sog", {"place": 1.2e-3, "shape": 0.08, "alpha": 0.0021, "base": 0.03, "higher": 0.2}),
        (".compressed.ply", {"place": 0.01, "shape": 0.012, "alpha": 0.0021, "base": 0.0075, "higher": 0.01}),
        (".splat", {"place": 1e-6, "shape": 0.06, "alpha": 0.0021, "base": 0.0075, "higher": 0.21}),
    ],
)
def test_splat_transform_reads_ours(plain, tmp_path, ending, limits):
    write_splats(tmp_path / f"a{ending}", plain, Settings(encode=webp_of))
    splat_transform(tmp_path / f"a{ending}", tmp_path / "found.ply")
    assert_near(read_splats(tmp_path / "found.ply"), plain, **limits)


def test_what_is_not_finite_is_left_out_as_by_splat_transform(plain, tmp_path):
    cloud = plain.select(np.arange(12))  # a copy
    cloud.means[:, 0] = np.arange(12)
    cloud.logit_opacities[:3] = np.inf, -200, np.nan
    cloud.log_scales[3, 2], cloud.log_scales[4, 1], cloud.log_scales[5, 0] = -np.inf, np.inf, np.nan
    cloud.means[6, 1], cloud.sh[7, 2, 0], cloud.quaternions[8, 3] = np.inf, -np.inf, np.nan
    write_splats(tmp_path / "a.ply", cloud)
    run(FOLDER / "node_modules" / ".bin" / "splat-transform", "-q", "-w", tmp_path / "a.ply", "-N", tmp_path / "b.ply")
    theirs, ours = read_splats(tmp_path / "b.ply"), read_splats(tmp_path / "a.ply")
    kept = ours.select(ours.finite())
    assert kept.means[:, 0].tolist() == theirs.means[:, 0].tolist() == [0, 1, 3, 9, 10, 11]
    np.testing.assert_allclose(kept.opacities, theirs.opacities, atol=1e-6)
    np.testing.assert_allclose(kept.scales, theirs.scales, rtol=1e-6)


def test_python_packages_read_ours(plain, tmp_path):
    write_splats(tmp_path / "a.glb", plain)
    assert_near(by_python("gltf", tmp_path / "a.glb", tmp_path), plain, **{**EXACT, "alpha": 2e-6})
    write_splats(tmp_path / "a.usda", plain)
    assert_near(by_python("usd", tmp_path / "a.usda", tmp_path), plain, **{**EXACT, "alpha": 2e-6})
    write_splats(tmp_path / "a.spz", plain)
    assert_near(by_python("gsply", tmp_path / "a.spz", tmp_path), plain, **SPZ)
