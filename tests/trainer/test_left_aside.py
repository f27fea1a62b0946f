"""A run that begins or goes on clears away what a crash left half written."""

import io

from splat_addon.run.config import TrainConfig
from splat_addon.run.events import Finished
from splat_addon.run.folder import RunFolder
from splat_addon.run.wire import Wire
from splat_addon.trainer.train import train
from support.scenes import write_ball_capture


def run_in(folder: RunFolder, iterations: int, resume: bool) -> Finished:
    config = TrainConfig.read(folder.config_file)
    config = TrainConfig(capture=config.capture, device="cpu", iterations=iterations, eval_every=0, save_every=0)
    return train(folder, config, Wire(folder, io.StringIO(), io.StringIO(), obey=lambda command: None), resume)


def test_what_was_half_written_goes_when_a_run_begins_and_when_it_goes_on(tmp_path):
    capture = write_ball_capture(tmp_path / "capture")
    folder = RunFolder.create(tmp_path / "run", TrainConfig(capture=str(capture)))
    half_written = folder.snapshot_file(700).with_name("step_000700.ply.partial"), folder.path / "preview.ply.partial"
    (folder.path / "notes.txt.partial").write_text("of the artist")
    for iterations in (1, 2):
        half_written[0].parent.mkdir(exist_ok=True)
        for path in half_written:
            path.write_text("ply")
        assert run_in(folder, iterations, resume=iterations == 2).step == iterations
        assert [path.name for path in folder.path.rglob("*.partial")] == ["notes.txt.partial"]
