"""A fixed sample of what `python3 dev.py bench capture_check` counts: every kind of mistake, and of harmless change."""

import os
from pathlib import Path

import pytest

from support.capture_corruptions import CORRUPTIONS, HARMLESS, Case, drawn, read_case, rendered_case

DATA = Path(os.environ.get("SPLAT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.fixture(scope="module")
def cases() -> dict[str, Case]:
    found = {"square": rendered_case(12), "landscape": rendered_case(12, 1, 200)}
    return found | ({"banana": read_case(DATA / "banana")} if (DATA / "banana").is_dir() else {})


@pytest.mark.parametrize("place", range(len(CORRUPTIONS)), ids=lambda place: CORRUPTIONS[place].__name__)
def test_generated_mistakes_are_named(cases, place):
    for number in (place, place + 1):
        name, _, case = drawn(cases, CORRUPTIONS[place : place + 1], number)
        assert case.warnings(), name


@pytest.mark.parametrize("place", range(len(HARMLESS)), ids=lambda place: HARMLESS[place].__name__)
def test_harmless_variations_are_not_complained_about(cases, place):
    for number in (place, place + 1):
        name, _, case = drawn(cases, HARMLESS[place : place + 1], number)
        assert case.warnings() == [], name


def test_right_captures_agree(cases):
    for name, case in cases.items():
        check = case.checked()
        assert check.remarks == () and check.agreement.agrees, name
        assert check.agreement.score > 0.5 and check.agreement.chance < 0.2
