"""The session that features keep their state in, and its one timer."""

from types import SimpleNamespace

import bpy
import pytest


@pytest.fixture
def session(extension):
    return extension.module("splat_addon.scene.session")


@pytest.fixture
def timer(extension, monkeypatch):
    """The timer, with a clock of our own: `timer.clock.now` in seconds. What other features wait for is put aside."""
    module = extension.module("splat_addon.scene.session.timer")
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    state = extension.module("splat_addon.scene.session").part(module.Timer)
    before, state.due = state.due, {}
    yield SimpleNamespace(
        start=module.start, stop=module.stop, tick=module.tick, is_running=module.is_running, clock=clock, state=state
    )
    state.due = before


def test_a_feature_has_one_state_until_the_session_ends_and_the_newest_is_told_first(session):
    told = []

    class First:
        def close(self):
            told.append("first")

    class Second(First):
        def close(self):
            told.append("second")

    own = session.Session()
    first, second = own.part(First), own.part(Second)
    assert own.part(First) is first and own.part(Second) is second is not first
    own.close()
    assert told == ["second", "first"] and own.part(First) is not first


def test_jobs_are_called_when_they_are_due_and_no_longer_than_they_ask_for(timer):
    called = []

    def often():
        called.append("often")
        return 1.0

    def twice():
        called.append("twice")
        return 3.0 if called.count("twice") < 2 else None

    timer.start(often, 1.0)
    timer.start(twice)
    assert timer.tick() == pytest.approx(1.0) and called == ["twice"]
    timer.clock.now += 1.0
    assert timer.tick() == pytest.approx(1.0) and called == ["twice", "often"]
    timer.clock.now += 2.5
    timer.tick()
    assert called == ["twice", "often", "often", "twice"] and not timer.is_running(twice)
    timer.stop(often)
    assert timer.tick() is None, "while nothing is to be done, no timer runs"


def test_starting_a_job_that_runs_changes_nothing(timer):
    timer.start(print, 5.0)
    timer.start(print, 0.0)
    assert timer.tick() == pytest.approx(5.0) and timer.is_running(print)


def test_a_job_that_fails_is_told_once_and_stops_no_other(timer, capsys):
    called = []

    def fails():
        raise ZeroDivisionError("a bug")

    def works():
        called.append(1)
        return 1.0

    timer.start(fails)
    timer.start(works)
    for _ in range(3):
        timer.tick()
        timer.clock.now += 1.0
    assert called == [1, 1, 1] and timer.is_running(fails)
    assert capsys.readouterr().out.count("ZeroDivisionError: a bug") == 1


def test_a_job_may_stop_another_and_start_one(timer):
    called = []

    def third():
        called.append("third")

    def first():
        called.append("first")
        timer.stop(second)
        timer.start(third)

    def second():
        called.append("second")

    timer.start(first)
    timer.start(second)
    timer.tick()
    timer.tick()
    assert called == ["first", "third"]


def test_a_poll_asks_the_disk_once_and_the_answer_holds_for_seconds(extension, monkeypatch, tmp_path):
    module = extension.module("splat_addon.scene.seeds.capture_folder")
    scene, asked = bpy.context.scene, []
    scene.splat.capture.folder = str(tmp_path)
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(module, "is_capture", lambda folder: asked.append(folder) or True)
    looked = extension.module("splat_addon.scene.session").part(module.Looked)

    def poll_often():
        answers = {module.chosen_capture(scene, at_once=False) for _ in range(200)}
        looked.thread.join()
        return answers

    poll_often()
    assert asked == [tmp_path], "two hundred redraws look once"
    assert poll_often() == {tmp_path} and asked == [tmp_path]
    clock.now += module.LASTS_S
    poll_often()
    assert asked == [tmp_path, tmp_path], "a folder may have been filled since"
    extension.drop(module.Looked)
