"""The curves of a run, read from its record."""

import math

from splat_addon.run.events import PROTOCOL, Evaluated, Event, Progressed, Started, encode_event
from splat_addon.run.folder import RunFolder
from splat_addon.run.history import PIECE_BYTES, Curve, History


def line(event: Event) -> str:
    return encode_event(event) + "\n"


def started(iterations: int) -> Started:
    return Started(PROTOCOL, "cpu", iterations, 7, 1, 100, 1)


def progressed(step: int, loss: float, gaussian_count: int = 1) -> Progressed:
    return Progressed(step, loss, gaussian_count, 3.5, 60.0)


def test_curves_follow_the_record_as_it_grows(tmp_path):
    history = History(RunFolder(tmp_path))
    assert not history.advance() and history.is_complete
    with open(tmp_path / "events.jsonl", "w") as file:
        file.write(line(started(90)))
        file.write(line(Evaluated(0, 11.5, 0.9, 10, "", train_psnr_db=12.5)))
        file.write(line(progressed(7, 0.5, 10)))
        file.write(line(progressed(8, math.nan, 12))[:30])
    assert history.advance()
    assert (history.iterations, history.loss.steps, history.loss.values) == (90, [7], [0.5])
    assert (history.held_out_db.values, history.train_db.values) == ([11.5], [12.5])
    with open(tmp_path / "events.jsonl", "a") as file:
        file.write(line(progressed(8, math.nan, 12))[30:])
        file.write('no json\n[1]\n{"event": "Unheard", "step": 3}\n' + line(progressed(9, 0.25, 13)))
    history.advance()
    assert (history.loss.steps, history.gaussians.steps) == ([7, 9], [7, 8, 9]), "a cut line was waited for"


def test_what_another_protocol_wrote_is_left_out(tmp_path):
    folder = RunFolder(tmp_path)
    foreign = line(started(90)).replace(f'"protocol": {PROTOCOL}', '"protocol": 99')
    folder.events_file.write_text(foreign + line(progressed(7, 0.5)))
    assert folder.events() == [progressed(7, 0.5)]
    history = History(folder).read_all()
    assert (history.iterations, history.loss.values) == (0, [0.5])


def test_what_a_resumed_run_did_again_replaces_the_first_time():
    curve = Curve()
    for step, value in ((10, 1.0), (20, 2.0), (30, 3.0), (15, 1.5), (20, 2.5), (20, 2.6), (25, math.nan)):
        curve.add(step, value)
    assert (curve.steps, curve.values) == ([10, 15, 20], [1.0, 1.5, 2.6])


def test_a_long_record_is_read_in_pieces(tmp_path):
    lines = [line(progressed(step, 0.1)) for step in range(1, 9001)]
    (tmp_path / "events.jsonl").write_text("".join(lines))
    history = History(RunFolder(tmp_path))
    history.advance()
    assert 0 < len(history.loss.steps) < PIECE_BYTES / 80 and not history.is_complete
    assert len(history.read_all().loss.steps) == 9000 and history.is_complete


def test_a_run_that_trains_for_a_time_has_no_known_end(tmp_path):
    (tmp_path / "config.json").write_text('{"seconds": 60}')
    (tmp_path / "events.jsonl").write_text(line(started(7000)))
    assert History(RunFolder(tmp_path)).read_all().is_timed
