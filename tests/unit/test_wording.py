"""Numbers as people read them."""

import math

from splat_addon.run.wording import counted, in_bytes, in_time, ordinal, processor, rounded

GAP = "\u00a0"


def plain(texts) -> list[str]:
    return [text.replace(GAP, "_") for text in texts]


def test_counts_have_their_digits_in_groups_of_three():
    assert plain(map(counted, (0, 7, 999, 1000, 20_000, 1_250_000))) == [
        "0", "7", "999", "1_000", "20_000", "1_250_000",
    ]  # fmt: skip


def test_rounded_counts_have_two_digits_that_matter():
    assert plain(map(rounded, (7, 99, 861, 12_345, 1_250_000))) == ["7", "99", "860", "12_000", "1_200_000"]


def test_sizes_are_in_megabytes_or_gigabytes():
    assert plain(map(in_bytes, (10, 2.5e6, 1.26e9, 12.4e9))) == ["1_MB", "2_MB", "1.3_GB", "12_GB"]


def test_times_are_in_the_units_people_use():
    assert list(map(in_time, (9, 61, 7300, math.nan, math.inf))) == ["9 s", "1 min 1 s", "2 h 1 min", "", ""]


def test_ordinals_have_their_endings():
    assert list(map(ordinal, (1, 2, 3, 4, 8, 11, 12, 13, 21, 22, 103, 111))) == [
        "1st", "2nd", "3rd", "4th", "8th", "11th", "12th", "13th", "21st", "22nd", "103rd", "111th",
    ]  # fmt: skip


def test_processors_are_spelled_one_way():
    assert [processor(backend) for backend in ("cpu", "cuda", "scripted")] == ["CPU", "CUDA", "scripted"]
