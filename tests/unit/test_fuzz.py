"""The campaign of hostile files: a short one of each format, and that it notices what it is there to notice."""

import sys

import pytest

from support.fuzz.campaign import FORMATS, format_named, run
from support.fuzz.trial import Workplace, trial_of

SEED, CASES = 17, 200
FORGIVING = ("events", "run-folder", "commands")  # what cannot be read there is passed over


@pytest.mark.parametrize("name", FORMATS)
def test_hostile_files_are_refused_or_read_as_they_must_be(name):
    outcome = run(name, SEED, cases=CASES)
    assert outcome.failures == {} and outcome.cases == CASES
    if name in FORGIVING:
        assert outcome.accepted == CASES
    else:
        assert 0 < outcome.accepted < CASES, "some files are still good, others are not"


def test_a_case_follows_from_format_seed_and_number():
    for name in FORMATS:
        first, again, other = (trial_of(format_named(name), name, 1, case).files for case in (5, 5, 6))
        assert first == again and first != other, name


def test_a_sound_reader_passes():
    outcome = run("faults:sound", 0, cases=20)
    assert (outcome.cases, outcome.accepted, outcome.failures) == (20, 20, {})


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("raises", "KeyError at "),
        ("says_nothing", "SplatError without a sentence or a remedy"),
        ("writes", "Broken at "),
        ("removes", "Broken at "),
    ],
)
def test_what_a_reader_must_not_do_is_a_failure(fault, told):
    outcome = run(f"faults:{fault}", 0, cases=3)
    (what,) = outcome.failures
    assert what.startswith(told) and outcome.counts[what] == 3 and outcome.failures[what] == 0


@pytest.mark.parametrize(("fault", "told"), [("crashes", "ended the interpreter with code"), ("hangs", "hung")])
def test_a_child_that_is_lost_is_a_failure_and_the_campaign_goes_on(fault, told):
    outcome = run(f"faults:{fault}", 0, cases=20, case_s=2.0)
    (what,) = outcome.failures
    assert what.startswith(told) and 1 <= outcome.counts[what] < 20
    assert outcome.cases == 20


def test_a_case_that_cannot_be_made_is_a_failure_of_the_campaign_and_loses_no_other():
    outcome = run("faults:makes_none", 0, cases=20)
    (what,) = outcome.failures
    assert what.startswith("the case could not be made: NotImplementedError at faults.py")
    assert outcome.accepted + outcome.counts[what] == outcome.cases == 20 and outcome.accepted > 10


def test_a_checkpoint_of_two_equal_nested_tensors_is_made_and_refused(tmp_path):
    """PyTorch cannot copy such a tensor."""
    trial = trial_of(format_named("checkpoint"), "checkpoint", 20261130, 2447)
    assert Workplace(tmp_path).try_out(trial) == (False, "")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits what a process may allocate")
def test_a_reader_that_takes_more_memory_than_files_warrant_is_a_failure():
    (what,) = run("faults:takes_memory", 0, cases=2).failures
    assert what.startswith("MemoryError at ")
