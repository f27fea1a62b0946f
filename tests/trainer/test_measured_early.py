"""When a run is measured between the regular measurements, by the cost of each; only these costs move the clock."""

import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from splat_addon.run.config import TrainConfig
from splat_addon.run.events import Evaluated
from splat_addon.run.folder import RunFolder
from splat_addon.run.wire import Wire
from splat_addon.trainer import train as training
from support.scenes import write_ball_capture


class Clock:
    """Seconds that pass only where `costs` says so."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        self._monkeypatch = monkeypatch
        monkeypatch.setattr(
            training, "time", SimpleNamespace(perf_counter=lambda: self.now, monotonic=lambda: self.now)
        )

    def costs(self, owner: object, name: str, seconds: float) -> None:
        """Each call of `owner.name` takes so long."""
        original = getattr(owner, name)

        def slow(*arguments, **named):
            self.now += seconds
            return original(*arguments, **named)

        self._monkeypatch.setattr(owner, name, slow)


@pytest.fixture(scope="module")
def capture(tmp_path_factory) -> Path:
    return write_ball_capture(tmp_path_factory.mktemp("ball") / "capture")


@pytest.fixture
def steps_measured(monkeypatch, tmp_path, capture):
    """Of a run of 80 steps of a second each, where a measurement takes `seconds`."""

    def measured(seconds: float, **settings) -> list[int]:
        clock = Clock(monkeypatch)
        clock.costs(training.Run, "train_step", 1.0)
        clock.costs(training, "evaluate", seconds)
        config = TrainConfig(capture=str(capture), device="cpu", iterations=80, save_every=0, **settings)
        folder = RunFolder.create(tmp_path / "run", config)
        training.train(folder, config, Wire(folder, io.StringIO(), (), obey=lambda command: None))
        return [event.step for event in folder.events() if isinstance(event, Evaluated)]

    return measured


@pytest.mark.parametrize(
    ("seconds", "steps"),
    [
        (0.1, [0, 10, 20, 30, 40, 50, 60, 70, 80]),  # of 10 s a tenth may go: all of the eight parts
        (1.0, [0, 20, 30, 40, 50, 60, 70, 80]),  # that before the first step counts
        (2.0, [0, 40, 60, 80]),
        (4.5, [0, 80]),
    ],
)
def test_a_short_run_is_measured_after_its_parts_within_its_share(steps_measured, seconds, steps):
    """Preview has 1500 steps: regular measurements alone would show the untrained quality until step 1000."""
    assert steps_measured(seconds, eval_every=1000) == steps


def test_regular_measurements_are_due_whatever_they_cost(steps_measured):
    assert steps_measured(30.0, eval_every=25) == [0, 25, 50, 75, 80]


def test_a_run_that_is_not_to_be_measured_is_so_only_before_and_after(steps_measured):
    assert steps_measured(0.1, eval_every=0) == [0, 80]
