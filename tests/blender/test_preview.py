"""The splats in the scene follow the training: what is asked, what is shown, and what the artist does meanwhile."""

import shutil
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import bpy
import numpy as np
import pytest

from support.recording_layout import drawn, texts

CHILD = """
import json, os, sys
from splat_addon.run.events import *
say = lambda event: print(encode_event(event), flush=True)
step = 10
say(Started(PROTOCOL, "scripted", 1000, 7, 2, 100, os.getpid()))
say(Progressed(step, 0.1, 100, 5.0, 20.0, "training", 0.01))
for line in sys.stdin:
    command = decode_command(line)
    if command == "preview":
        os.replace("next.ply", "preview.ply")
        say(SnapshotSaved(step, "preview.ply", 100))
        step += 10
    if command in ("pause", "resume"):
        say(Progressed(step, 0.1, 100, 5.0, 20.0, "paused" if command == "pause" else "training", step / 1000))
    else:
        say(Progressed(step, 0.1, 100, 5.0, 20.0, "training", step / 1000))
    if command == "stop":
        os.replace("next.ply", "splats.ply")
        say(Finished(step, True, 100, 1.0))
        break
"""


@pytest.fixture
def live_run(extension, monkeypatch):
    module = extension.module("splat_addon.scene.tasks.live_run")
    monkeypatch.setattr(module, "trainer_command", lambda *_, **__: [sys.executable, "-u", "-c", CHILD])
    yield module
    if module.is_training():
        module.current().process.close()
    module.close()


class Following:
    """A run that trains, its follower, and a clock of our own."""

    def __init__(self, extension, live_run, folder: Path):
        self.extension, self.live_run = extension, live_run
        self.preview = extension.module("splat_addon.scene.tasks.preview")
        self.run_object = extension.module("splat_addon.scene.runs.run_object")
        config = extension.module("splat_addon.run.config").TrainConfig(capture=str(folder))
        self.run = live_run.start(bpy.context.scene, config, folder / "run_001", Path(sys.executable))
        self.sent = []
        send = self.run.process.send
        self.run.process.send = lambda command: (self.sent.append(command), send(command))
        self.follower = self.preview.current()
        self.later_s = 0.0
        self.until(lambda: self.run.progress is not None)

    @property
    def item(self):
        return self.run_object.find(bpy.context.scene, self.run.folder)

    def prepare(self, count: int, height: float = 0.0) -> None:
        """Let the trainer's next splats be `count`, at `height`."""
        write_splats(self.extension, self.run.folder.path / "aside.ply", count, height)
        (self.run.folder.path / "aside.ply").replace(self.run.folder.path / "next.ply")

    def tick(self, later_s: float = 0.0) -> bool:
        """One tick of the timer, after so many seconds more; whatever is read has been read. Whether it changed
        anything."""
        self.later_s += later_s
        self.live_run.pump()
        if self.follower._thread is not None:
            self.follower._thread.join()
        return self.preview.tick(later_s)

    def until(self, is_true, limit_s: float = 30.0) -> None:
        deadline = time.monotonic() + limit_s
        while not is_true():
            assert time.monotonic() < deadline
            self.live_run.pump()

    def show(self, count: int, height: float = 0.0):
        """Have the trainer's next splats shown; returns the object."""
        self.prepare(count, height)
        asked, saved = len(self.sent), self.run.splats
        self.tick(later_s=3600)
        assert self.sent[asked:] == ["preview"]
        self.until(lambda: self.run.splats is not saved and self.run.progress.step > self.run.splats.step)
        self.changes()
        assert self.follower.shown.step == self.run.splats.step, self.follower.obstacle
        return self.item

    def changes(self) -> bool:
        """Whether what was saved changes anything; one tick begins to read it."""
        return self.tick() or self.tick()


@pytest.fixture
def following(extension, live_run, tmp_path, monkeypatch):
    following = Following(extension, live_run, tmp_path)
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + following.later_s, perf_counter=time.perf_counter)
    monkeypatch.setattr(following.preview, "time", clock)
    return following


def write_splats(extension, path, count, height=0.0, degree=1):
    random = np.random.default_rng(count)
    means = random.normal(size=(count, 3))
    means[:, 2] = height
    cloud = extension.module("splat_addon.gaussians.cloud").GaussianCloud(
        means,
        random.normal(-3, 0.3, size=(count, 3)),
        random.normal(size=(count, 4)),
        random.normal(size=count),
        random.normal(0, 0.3, size=(count, (degree + 1) ** 2, 3)),
    )
    extension.module("splat_addon.gaussians.formats.splat_ply").write_splats(path, cloud)


def heights(item) -> np.ndarray:
    values = np.empty(len(item.data.attributes["position"].data) * 3, np.float32)
    item.data.attributes["position"].data.foreach_get("vector", values)
    return values[2::3]


def carriers(item) -> list[str]:
    blocks = bpy.data.meshes if item.type == "MESH" else bpy.data.pointclouds
    return [block.name for block in blocks]


def test_previews_fill_one_object_and_one_data_block_and_the_result_replaces_them(following):
    item = following.show(20, height=1.0)
    assert item.name == "run_001" and heights(item).tolist() == [1.0] * 20
    uid = item.session_uid
    for count in (30, 40):
        item = following.show(count, height=2.0)
    assert (item.session_uid, len(heights(item)), set(heights(item))) == (uid, 40, {2.0})
    assert carriers(item) == ["run_001"], "one data-block, and its name does not grow"
    shown = following.follower.shown
    assert (shown.step, shown.count, shown.total) == (30, 40, 40)

    following.prepare(50, height=3.0)
    following.live_run.send("stop")
    following.until(lambda: following.run.is_over)
    bpy.context.scene.splat.run_folder = str(following.run.folder.path)
    assert bpy.ops.splat.import_result() == {"FINISHED"}
    splats = following.extension.module("splat_addon.scene.splats.data")
    found = [other for other in bpy.context.scene.objects if splats.is_splats(other)]
    assert found == [item] and item.session_uid == uid and len(heights(item)) == 50
    assert carriers(item) == ["run_001"], "no leftover"


def test_the_next_preview_is_asked_for_only_when_the_last_was_shown_and_time_has_passed(following):
    following.prepare(10)
    following.tick()
    assert following.sent == ["preview"]
    following.tick(later_s=3600)
    assert following.sent == ["preview"], "the first was not answered"
    following.until(lambda: following.run.splats is not None)
    following.changes()
    assert following.follower.shown.step == 10 and following.sent == ["preview"]
    following.prepare(10)
    for _ in range(3):
        following.tick()
    assert following.sent == ["preview"], "five seconds have not passed"
    following.until(lambda: following.run.progress.step == 20)
    following.tick(later_s=3600)
    assert following.sent == ["preview", "preview"]


def test_a_preview_of_the_same_step_is_not_asked_for_nor_while_paused_or_hidden(following):
    item = following.show(10)
    following.until(lambda: following.run.progress.step == 20)
    following.live_run.send("pause")
    following.until(lambda: following.run.state == "paused")
    following.tick(later_s=3600)
    following.live_run.send("resume")
    following.until(lambda: following.run.state == "training")
    item.hide_set(True)
    following.tick(later_s=3600)
    assert following.sent.count("preview") == 1
    item.hide_set(False)
    following.prepare(10)
    following.tick(later_s=3600)
    assert following.sent.count("preview") == 2


def test_it_waits_while_something_is_edited(following):
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.object.mode_set(mode="EDIT")
    following.prepare(10)
    following.tick(later_s=3600)
    assert following.sent == [] and following.item is None
    bpy.ops.object.mode_set(mode="OBJECT")
    following.tick()
    following.until(lambda: following.run.splats is not None)
    bpy.ops.object.mode_set(mode="EDIT")
    assert not following.changes() and following.item is None, "it was read, and waits"
    bpy.ops.object.mode_set(mode="OBJECT")
    assert following.tick() and len(heights(following.item)) == 10


def test_previews_make_no_undo_step_and_come_back_after_one(following):
    handler = following.extension.module("operators.training").keep_run_through_undo
    assert handler in bpy.app.handlers.undo_post
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.ed.undo_push(message="cube")
    bpy.context.object.location.x = 5
    bpy.ops.ed.undo_push(message="move")
    for count in (10, 20):
        following.show(count)
    bpy.ops.ed.undo()
    assert bpy.data.objects["Cube"].location.x == 0, "one step back is the move, not a preview"
    assert following.item is None, "it was not there then"
    item = following.show(30)
    assert len(heights(item)) == 30 and following.follower.obstacle == ""
    bpy.ops.ed.undo_push(message="later")
    bpy.ops.object.select_all(action="DESELECT")
    bpy.ops.ed.undo_push(message="select")
    following.show(40)
    bpy.ops.ed.undo()
    assert following.follower.shown is None, "older splats are there: newer ones are asked for"
    assert len(heights(following.show(50))) == 50


def test_what_the_artist_deletes_does_not_come_back_in_this_run(following):
    training = following.extension.module("operators.training")
    item = following.show(10)
    bpy.ops.ed.undo_push(message="shown")
    bpy.data.objects.remove(item)
    bpy.ops.ed.undo_push(message="deleted")
    following.prepare(10)
    assert following.tick(later_s=3600) and following.follower.obstacle == "deleted"
    following.tick(later_s=3600)
    assert following.item is None and following.sent.count("preview") == 1
    panel = following.extension.module("panels.training").SPLAT_PT_training
    assert "The preview was deleted" in texts(drawn(panel, bpy.context))

    following.live_run.send("stop")
    following.until(lambda: following.run.is_over)
    assert training._import_result(following.run) and following.item is None, "nor does the result come by itself"


def test_undoing_a_deletion_lets_it_follow_again(following):
    item = following.show(10)
    bpy.ops.ed.undo_push(message="shown")
    bpy.data.objects.remove(item)
    bpy.ops.ed.undo_push(message="deleted")
    following.tick()
    assert following.follower.obstacle == "deleted"
    bpy.ops.ed.undo()
    assert following.follower.obstacle == "" and len(heights(following.show(20))) == 20


def test_switching_it_off_and_on_brings_a_deleted_preview_back(following):
    bpy.data.objects.remove(following.show(10))
    following.tick()
    splat = bpy.context.scene.splat
    splat.follow_training = False
    following.prepare(15)
    following.tick(later_s=3600)
    assert following.sent.count("preview") == 1
    splat.follow_training = True
    assert len(heights(following.show(15))) == 15


def test_edited_splats_are_left_alone_until_the_artist_asks(following):
    item = following.show(10)
    attribute = item.data.attributes["position"].data
    attribute[3].vector = (7, 7, 7)
    following.prepare(20)
    following.tick(later_s=3600)
    following.until(lambda: following.run.splats.step == 20)
    following.changes()
    assert following.follower.obstacle == "edited"
    assert len(heights(item)) == 10 and tuple(item.data.attributes["position"].data[3].vector) == (7, 7, 7)
    preview, scene = following.preview, bpy.context.scene
    assert preview.is_unwanted(following.run, scene), "the result would overwrite the edits, too"

    scene.splat.follow_training = False
    scene.splat.follow_training = True
    other = following.show(30)
    assert other != item and len(heights(other)) == 30 and len(heights(item)) == 10
    assert not preview.is_unwanted(following.run, scene)


def test_moving_and_renaming_the_object_is_kept(following):
    item = following.show(10)
    item.location, item.name = (1, 2, 3), "My Splats"
    following.show(20)
    assert tuple(item.location) == (1, 2, 3) and item.name == "My Splats" and len(heights(item)) == 20


def test_another_file_gets_no_preview_and_its_own_file_again_does(following, tmp_path):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    following.show(10)
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    following.prepare(20)
    following.tick(later_s=3600)
    assert following.sent == ["preview"] and len(bpy.data.objects) == 0
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    assert following.item is None
    assert len(heights(following.show(20))) == 20


def test_a_preview_that_cannot_be_read_is_passed_over(following):
    following.prepare(10)
    (following.run.folder.path / "next.ply").write_text("no splats")
    following.tick()
    following.until(lambda: following.run.splats is not None)
    assert not following.changes() and following.item is None
    assert len(heights(following.show(10))) == 10


def test_large_clouds_are_shown_in_part_and_that_is_said(following):
    following.follower.limit = 12
    item = following.show(40)
    assert len(heights(item)) == 12
    panel = following.extension.module("panels.training").SPLAT_PT_training
    assert "Shown step 10 12 of 40" in texts(drawn(panel, bpy.context))


def test_the_most_visible_are_kept_in_their_order(extension):
    preview = extension.module("splat_addon.scene.tasks.preview")
    cloud = extension.module("splat_addon.gaussians.cloud").GaussianCloud(
        np.arange(15).reshape(5, 3),
        [[-9, -9, -9], [0, 0, -9], [-1, -1, -1], [-9, 2, -9], [0, 0, 0]],
        np.ones((5, 4)),
        [5, -9, 5, 5, 5],
        np.zeros((5, 1, 3)),
    )
    assert preview.most_visible(cloud, 2).means[:, 0].tolist() == [6, 12], "opaque and large in two directions"
    assert preview.most_visible(cloud, 5) is cloud


def test_where_showing_is_slow_previews_become_rarer_and_smaller(following):
    preview, follower = following.preview, following.follower
    following.show(10)
    left_at = follower._left_at = follower._next_at
    follower.tick(left_at + 2.25, 0.25)  # two seconds later than a timer would: Blender was busy drawing
    assert follower._next_at >= left_at + 2.0 / preview.LARGEST_SHARE
    assert preview._fitting(100_000, 100_000, 0.3) == 40_000
    assert preview._fitting(40_000, 40_000, 3.0) == preview.FEWEST_SPLATS
    assert preview._fitting(40_000, 40_000, 0.05) == 60_000
    assert preview._fitting(100_000, 100_000, 0.05) == preview.MOST_SPLATS
    assert preview._fitting(40_000, 500, 0.05) == 40_000, "a small cloud says nothing about large ones"


def test_the_real_trainer_is_followed_and_its_result_replaces_the_preview(
    extension, trainer_python, tmp_path, monkeypatch
):
    """Sample scene, capture, training through the operators, as the timer would do it."""
    live_run, preview = (
        extension.module("splat_addon.scene.tasks.live_run"),
        extension.module("splat_addon.scene.tasks.preview"),
    )
    scene = bpy.context.scene
    bpy.context.preferences.addons[extension.name].preferences.trainer_python = str(trainer_python)
    bpy.ops.splat.add_sample_scene()
    chosen, training = scene.splat.capture, scene.splat.training
    chosen.folder, chosen.camera_count, chosen.seed_count = str(tmp_path / "capture"), 10, 3000
    chosen.width, chosen.height, chosen.samples, chosen.use_denoising = 80, 60, 4, True
    bpy.ops.splat.capture_scene()
    scene.splat.follow_every_s = 1
    training.iterations, training.eval_every, training.target_gaussians = 100_000, 0, 3000
    assert bpy.ops.splat.start_training() == {"FINISHED"}
    shown, deadline = [], time.monotonic() + 240
    try:
        while len(shown) < 3:
            assert time.monotonic() < deadline and not live_run.current().is_over, live_run.current()
            live_run.pump()
            if preview.tick():
                shown.append(preview.current().shown)
        run, item = (
            live_run.current(),
            extension.module("splat_addon.scene.runs.run_object").find(scene, live_run.current().folder),
        )
        assert 0 < shown[0].step < shown[1].step < shown[2].step, "the viewport follows"
        assert len(heights(item)) == shown[-1].count == shown[-1].total
        live_run.send("stop")
        while not run.is_over:
            assert time.monotonic() < deadline
            live_run.pump()
        assert run.state == "finished", run.message
        assert extension.module("operators.training")._import_result(run)
        splats = extension.module("splat_addon.scene.splats.data")
        assert [other for other in scene.objects if splats.is_splats(other)] == [item]
        trained = extension.module("splat_addon.gaussians.formats.splat_ply").read_splats(run.folder.splats_file)
        assert np.allclose(np.sort(heights(item)), np.sort(trained.means[:, 2]), atol=1e-6)
        assert not run.folder.preview_file.exists()
    finally:
        if live_run.is_training():
            live_run.current().process.close()
        live_run.close()
        shutil.rmtree(tmp_path, ignore_errors=True)


def test_the_first_preview_hides_the_splats_of_an_earlier_run_and_the_panel_says_so(following):
    folder_of = following.extension.module("splat_addon.run.folder").RunFolder
    config = following.extension.module("splat_addon.run.config").TrainConfig
    capture = following.run.folder.path.parent
    earlier = folder_of.create(capture / "run_000", config(capture=str(capture)))
    write_splats(following.extension, earlier.splats_file, 7)
    bpy.context.scene.splat.run_folder = str(earlier.path)
    bpy.ops.splat.import_result()
    first = bpy.data.objects["run_000"]
    following.show(20)
    assert not first.visible_get() and first.hide_render and len(heights(first)) == 7
    panel = following.extension.module("panels.training").SPLAT_PT_training
    assert "Hidden, since it lies in the same place: run_000" in texts(drawn(panel, bpy.context))
    first.hide_set(False)
    following.show(21)
    assert first.visible_get(), "the artist wants to see both"
