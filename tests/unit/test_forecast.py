"""What a run will need: counts as the trainer plans them, bytes as they were measured, time from earlier runs."""

import dataclasses

import pytest

from splat_addon.run.config import TrainConfig
from splat_addon.run.forecast import PhotoSizes, Speed, forecast, target_count, taught_count, work_of
from splat_addon.run.resources import free_disk_bytes, free_memory_bytes

SMALL = PhotoSizes(13, 2, 13 * 400 * 266, 2 * 400 * 266)
MB = 2**20


def test_counts_follow_the_photos_the_steps_and_what_was_asked():
    config = TrainConfig(iterations=7000)
    assert target_count(config, 100, 1_000_000) == 40_000
    assert taught_count(40_000, 100, 250, 100_000) == 25_000
    assert forecast(config, SMALL, 3000).splats == 13 * 400 * 266 // 25
    assert forecast(dataclasses.replace(config, iterations=250), SMALL, 3000).splats == 26_600
    assert forecast(dataclasses.replace(config, iterations=10), SMALL, 3000).splats == 3000, "never fewer than seeds"
    assert forecast(dataclasses.replace(config, max_gaussians=500), SMALL, 3000).splats == 500
    assert forecast(dataclasses.replace(config, target_gaussians=9000, iterations=10), SMALL, 3000).splats == 9000


@pytest.mark.parametrize(("splats", "measured_mb"), [(1000, 407), (100_000, 608), (400_000, 1021)])
def test_memory_is_that_of_real_runs_to_a_fifth(splats, measured_mb):
    """Peaks of the trainer on the CPU, a ball at 400 x 266, from /proc."""
    config = TrainConfig(target_gaussians=splats)
    assert forecast(config, SMALL, 1000).memory_bytes / MB == pytest.approx(measured_mb, rel=0.2)


@pytest.mark.parametrize(("transparent", "measured_mb"), [(False, 802), (True, 921)])
def test_memory_includes_the_measuring_of_large_views(transparent, measured_mb):
    """Peaks of the trainer on the CPU with 14 photos and 2 held-out ones of 1600 x 1066, from /proc."""
    pixels = 1600 * 1066
    photos = PhotoSizes(14, 2, 14 * pixels, 2 * pixels, 4 if transparent else 3)
    assert forecast(TrainConfig(target_gaussians=1000), photos, 1000).memory_bytes / MB == pytest.approx(
        measured_mb, rel=0.2
    )


def test_what_measuring_needs_is_that_of_one_view_and_of_a_sheet_of_bounded_size():
    pixels = 1600 * 1066
    few, many = (PhotoSizes(100, count, 100 * pixels, count * pixels) for count in (25, 500))
    needs = [forecast(TrainConfig(target_gaussians=1000), photos, 1000).memory_bytes for photos in (few, many)]
    assert needs[1] - needs[0] == 475 * 3 * pixels, "the photos themselves, and no more"
    none = forecast(TrainConfig(target_gaussians=1000), PhotoSizes(100, 0, 100 * pixels, 0), 1000).memory_bytes
    assert needs[0] - none == 25 * 3 * pixels + 3 * 4096 * 4096, "and the sheet"


def test_photos_beyond_their_budget_are_on_disk_not_in_memory():
    photos = PhotoSizes(100, 10, 100 * 4_000_000, 10 * 4_000_000)
    roomy, tight = (
        forecast(TrainConfig(photo_memory_mb=mb, target_gaussians=1000), photos, 1000) for mb in (4096, 512)
    )
    all_photos = 3 * 4_000_000 * (100 * 1.25 + 10)
    assert roomy.memory_bytes - tight.memory_bytes == pytest.approx(all_photos - 512 * MB, abs=2)
    assert tight.disk_bytes - roomy.disk_bytes == pytest.approx(all_photos - 512 * MB, abs=2)


def test_the_disk_holds_every_snapshot_and_the_checkpoint_twice():
    config = TrainConfig(target_gaussians=100_000, save_every=0, eval_every=0, iterations=7000)
    photos = dataclasses.replace(SMALL, held_out=0, held_out_pixels=0)
    without = forecast(config, photos, 1000).disk_bytes
    assert without == 2 * 24_800_000 + 2 * 4 * 23_600_000
    assert forecast(dataclasses.replace(config, save_every=1000), photos, 1000).disk_bytes == without + 7 * 24_800_000


def test_time_is_unknown_before_the_first_run_and_scaled_from_the_most_similar_one():
    config = TrainConfig(target_gaussians=10_000, iterations=1000)
    assert forecast(config, SMALL, 1000).seconds is None
    alike = Speed("cpu", 0.020, 400 * 266, 10_000)
    assert forecast(config, SMALL, 1000, [alike]).seconds == pytest.approx(20.0)
    far = Speed("cpu", 1.0, 1e7, 1_000_000)
    assert forecast(config, SMALL, 1000, [far, alike]).seconds == pytest.approx(20.0)
    twice = dataclasses.replace(config, target_gaussians=20_000 + 400 * 266 // 4)
    assert forecast(twice, SMALL, 1000, [alike]).seconds == pytest.approx(40.0, rel=1e-4)
    assert work_of("cpu", 400, 100) == 200


def test_a_time_that_was_asked_for_is_the_time():
    config = TrainConfig(seconds=60, iterations=1)
    assert forecast(config, SMALL, 1000).seconds == 60
    quick, slow = (forecast(config, SMALL, 1000, [Speed("cpu", s, 400 * 266, 30_000)]) for s in (0.001, 0.1))
    assert quick.splats > slow.splats, "a faster machine can teach more splats in the same time"


def test_free_space_is_told_for_folders_that_are_still_to_be_made(tmp_path):
    assert free_disk_bytes(tmp_path / "a" / "b") == pytest.approx(free_disk_bytes(tmp_path), rel=0.2)
    assert free_memory_bytes() is None or free_memory_bytes() > 10 * MB
