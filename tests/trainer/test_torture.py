"""The campaign of accidents: a trial of some kinds, and that it notices what it is there to notice."""

from pathlib import Path

import pytest

from splat_addon.gaussians.formats.splat_ply import write_splats
from splat_addon.run.config import TrainConfig
from splat_addon.run.events import Failed, SnapshotSaved, encode_event
from splat_addon.run.folder import RunFolder
from support.scenes import random_cloud
from support.torture.campaign import run
from support.torture.place import LeftOut
from support.torture.promises import Broken, require_sentence, require_whole

SEED = 17


@pytest.mark.parametrize(("kind", "number"), [("killed-trainer", 0), ("lost-run", 0)])  # 0: four kills
def test_promises_hold_after_an_accident(kind, number):
    outcome = run([kind], SEED, seconds=0.0, number=number)
    assert outcome.broken == [] and outcome.trials[kind] == 1
    assert (outcome.killed[kind] > 0) == (kind == "killed-trainer")


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    """A run with a snapshot of four splats, told as such."""
    folder = RunFolder.create(tmp_path / "run", TrainConfig(capture="captures/a"))
    path = folder.snapshot_file(20)
    path.parent.mkdir()
    write_splats(path, random_cloud(4))
    told = encode_event(SnapshotSaved(20, path.relative_to(folder.path).as_posix(), 4))
    folder.events_file.write_text(told + '\n{"event": "Progr', encoding="utf-8")
    return folder


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def test_a_run_whose_last_line_was_cut_is_whole_after_one_kill(folder):
    require_whole(folder, cut_lines=1)
    with pytest.raises(Broken, match="1 lines of the record are cut, after 0 kills"):
        require_whole(folder)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda folder: half(folder.snapshot_file(20)), "step_000020.ply is not whole"),
        (lambda folder: write_splats(folder.snapshot_file(20), random_cloud(3)), "has 3 splats, 4 were told"),
        (lambda folder: folder.contact_sheet_file.write_bytes(b"\x89PNG\r\n\x1a\n"), "held_out.png is not whole"),
        (lambda folder: folder.summary_file.write_text("{"), "summary.json is not whole"),
        (lambda folder: folder.checkpoint_file.write_bytes(b"PK"), "the checkpoint does not load"),
    ],
    ids=["half a PLY", "another PLY", "half a PNG", "half a JSON", "half a checkpoint"],
)
def test_what_is_not_whole_is_a_broken_promise(folder, spoil, told):
    spoil(folder)
    with pytest.raises(Broken, match=told):
        require_whole(folder, cut_lines=1)


@pytest.mark.parametrize("name", ["splats.ply.partial", "snapshots/step_000040.ply.partial", "photos.cache"])
def test_what_a_finished_run_leaves_behind_is_a_broken_promise(folder, name):
    (folder.path / name).write_bytes(b"half")
    with pytest.raises(Broken, match="left behind: "):
        require_whole(folder, cut_lines=1, is_finished=True)


def test_an_error_that_nobody_foresaw_is_a_broken_promise():
    require_sentence(Failed("The disk is full.", "Free some space."))
    with pytest.raises(Broken, match="the artist reads"):
        require_sentence(Failed("The trainer failed with an unexpected error (KeyError: 1).", "Please report it."))


def test_a_campaign_counts_kills_names_what_was_broken_and_goes_on_until_its_number():
    def killing(place):
        place.kills += 2

    def breaking(place):
        raise Broken(f"{place.random.random():.3f}")

    def lacking(place):
        raise LeftOut("not here")

    heard = []
    kinds = {"killing": killing, "breaking": breaking, "lacking": lacking}
    outcome = run(list(kinds), SEED, 0.0, kills=6, kinds=kinds, tell=lambda *words: heard.append(words))
    assert (outcome.kills, outcome.trials["killing"], outcome.trials["lacking"]) == (6, 3, 0)
    assert outcome.left_out == {"lacking": "not here"}
    assert [(name, number) for name, number, _ in outcome.broken] == [("breaking", 0), ("breaking", 1)]
    again = run(["breaking"], SEED, 0.0, number=1, kinds=kinds)
    assert again.broken == outcome.broken[1:] and [words[2] for words in heard] == [0, 1]
    assert {words[1] for words in heard} == {SEED}
