"""Depths beside images: the few kinds of OpenEXR that Blender writes, and what is broken or another kind."""

import contextlib

import numpy as np
import pytest

from splat_addon.capture.photos.depths import read_depths
from splat_addon.errors import CaptureError
from support.exr_files import NONE, ZIP, ZIP_OF_LINES, write_exr


def depths(height: int = 37, width: int = 21) -> np.ndarray:
    values = np.random.default_rng(0).uniform(0.5, 30, (height, width)).astype(np.float32)
    values[:20, 3:] = 4.0
    values[-3:] = 1e10
    return values


@pytest.mark.parametrize("compression", [NONE, ZIP_OF_LINES, ZIP])
@pytest.mark.parametrize("channels", ["V", "BGR"])
def test_depths_come_back_to_the_last_bit(tmp_path, compression, channels):
    write_exr(tmp_path / "a.exr", depths(), compression, channels)
    assert np.array_equal(read_depths(tmp_path / "a.exr"), depths())


def test_what_is_cut_short_broken_or_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "a.exr"
    write_exr(path, depths())
    whole = path.read_bytes()
    for length in (0, 3, 9, 60, 150, 300, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:length])
        with pytest.raises(CaptureError, match="cannot be read"):
            read_depths(path)
    for flags in (0x200, 0x800, 0x1000):
        write_exr(path, depths(), flags=flags)
        with pytest.raises(CaptureError, match="cannot be read"):
            read_depths(path)
    with pytest.raises(CaptureError, match=r"cannot be read\.$|cannot be read"):
        read_depths(tmp_path / "gone.exr")


def test_no_byte_of_a_file_makes_it_fail_otherwise(tmp_path):
    path = tmp_path / "a.exr"
    write_exr(path, depths(9, 5))
    whole, random = path.read_bytes(), np.random.default_rng(1)
    for _ in range(400):
        broken = bytearray(whole)
        for place in random.integers(0, len(whole), 2):
            broken[place] = random.integers(256)
        path.write_bytes(bytes(broken))
        with contextlib.suppress(CaptureError):
            assert read_depths(path).ndim == 2
