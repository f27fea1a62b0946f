"""The curves of a run, read from its record."""

import json
import math

from splat_addon.run.folder import RunFolder
from splat_addon.run.history import PIECE_BYTES, Curve, History


def line(event: str, **values) -> str:
    return json.dumps({"event": event, **values}) + "\n"


def test_curves_follow_the_record_as_it_grows(tmp_path):
    history = History(RunFolder(tmp_path))
    assert not history.advance() and history.is_complete
    with open(tmp_path / "events.jsonl", "w") as file:
        file.write(line("Started", iterations=90))
        file.write(line("Evaluated", step=0, psnr_db=11.5, train_psnr_db=12.5))
        file.write(line("Progressed", step=7, loss=0.5, gaussian_count=10, steps_per_s=3.5))
        file.write(line("Progressed", step=8, loss=None, gaussian_count=12, steps_per_s=0.0)[:30])
    assert history.advance()
    assert (history.iterations, history.loss.steps, history.loss.values) == (90, [7], [0.5])
    assert (history.held_out_db.values, history.train_db.values) == ([11.5], [12.5])
    with open(tmp_path / "events.jsonl", "a") as file:
        file.write(line("Progressed", step=8, loss=None, gaussian_count=12, steps_per_s=0.0)[30:])
        file.write("no json\n[1]\n" + line("Unheard", step=3) + line("Progressed", step=9, loss=0.25))
    history.advance()
    assert (history.loss.steps, history.gaussians.steps) == ([7, 9], [7, 8]), "a cut line was waited for"


def test_what_a_resumed_run_did_again_replaces_the_first_time():
    curve = Curve()
    for step, value in ((10, 1.0), (20, 2.0), (30, 3.0), (15, 1.5), (20, 2.5), (20, 2.6), (25, math.nan)):
        curve.add(step, value)
    assert (curve.steps, curve.values) == ([10, 15, 20], [1.0, 1.5, 2.6])


def test_a_long_record_is_read_in_pieces(tmp_path):
    lines = [line("Progressed", step=step, loss=0.1, gaussian_count=1, steps_per_s=1.0) for step in range(1, 9001)]
    (tmp_path / "events.jsonl").write_text("".join(lines))
    history = History(RunFolder(tmp_path))
    history.advance()
    assert 0 < len(history.loss.steps) < PIECE_BYTES / 80 and not history.is_complete
    assert len(history.read_all().loss.steps) == 9000 and history.is_complete


def test_a_run_that_trains_for_a_time_has_no_known_end(tmp_path):
    (tmp_path / "config.json").write_text('{"seconds": 60}')
    (tmp_path / "events.jsonl").write_text(line("Started", iterations=7000))
    assert History(RunFolder(tmp_path)).read_all().is_timed
