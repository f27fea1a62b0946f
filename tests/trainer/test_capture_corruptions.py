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


@pytest.mark.parametrize("kind", CORRUPTIONS, ids=lambda kind: kind.__name__)
def test_generated_mistakes_are_named(cases, kind):
    for number in range(len(cases)):
        name, _, case = drawn(cases, (kind,), number)
        assert case.warnings(), name


@pytest.mark.parametrize("kind", HARMLESS, ids=lambda kind: kind.__name__)
def test_harmless_variations_are_not_complained_about(cases, kind):
    for number in range(len(cases)):
        name, _, case = drawn(cases, (kind,), number)
        assert case.warnings() == [], name


def test_right_captures_agree(cases):
    for name, case in cases.items():
        check = case.checked()
        assert check.remarks == () and check.agreement.agrees, name
        assert check.agreement.score > 0.5 and check.agreement.chance < 0.2
