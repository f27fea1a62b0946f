"""The viewport follows the training: what is asked, what is shown, and what the artist does meanwhile."""

import shutil
import sys
import time
from dataclasses import replace
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
    if command == "preview" and os.path.exists("hold the next preview"):
        os.remove("hold the next preview")
        step += 10
    elif command == "preview":
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
    extension.drop(module.Watched)


class Following:
    """A run that trains, its follower, and a clock of our own."""

    def __init__(self, extension, live_run, folder: Path):
        self.extension, self.live_run = extension, live_run
        self.preview = extension.module("splat_addon.scene.tasks.preview")
        self.watching = extension.module("splat_addon.scene.tasks.watching")
        self.display = extension.module("splat_addon.scene.viewport.display")
        self.run_object = extension.module("splat_addon.scene.runs.run_object")
        config = extension.module("splat_addon.run.config").TrainConfig(capture=str(folder))
        self.run = live_run.start(bpy.context.scene, config, folder / "run_001", Path(sys.executable))
        self.sent, self.blend_space = [], "display"
        send = self.run.process.send
        self.run.process.send = lambda command: (self.sent.append(command), send(command))
        self.follower = self.preview.current()
        self.later_s = 0.0
        self.until(lambda: self.run.progress is not None)

    @property
    def item(self):
        """The run's object; None while there is none."""
        return self.run_object.find(bpy.context.scene, self.run.folder)

    @property
    def drawn(self):
        """What the viewport draws for the run; None when it draws nothing."""
        return self.display.state().preview

    def heights(self) -> list[float]:
        return self.drawn.splats.attributes["position"].data[:, 2].tolist()

    def stop(self) -> None:
        self.live_run.send("stop")
        self.until(lambda: self.run.is_over)

    def bring_result(self, count: int, height: float = 0.0):
        """End the run, and have its result brought in as the timer does; returns the object."""
        self.prepare(count, height)
        self.stop()
        assert self.watching.settle(self.run)
        return self.item

    def prepare(self, count: int, height: float = 0.0) -> None:
        """Let the trainer's next splats be `count`, at `height`."""
        write_splats(self.extension, self.run.folder.path / "aside.ply", count, height, blend_space=self.blend_space)
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
        """Have the trainer's next splats shown; returns what is drawn."""
        self.prepare(count, height)
        asked, saved = len(self.sent), self.run.splats
        self.tick(later_s=3600)
        assert self.sent[asked:] == ["preview"]
        self.until(lambda: self.run.splats is not saved and self.run.progress.step > self.run.splats.step)
        self.changes()
        assert self.follower.shown.step == self.run.splats.step, self.follower.obstacle
        return self.drawn

    def changes(self) -> bool:
        """Whether what was saved changes anything; one tick begins to read it."""
        return self.tick() or self.tick()


@pytest.fixture
def following(extension, live_run, tmp_path, monkeypatch):
    following = Following(extension, live_run, tmp_path)
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + following.later_s, perf_counter=time.perf_counter)
    monkeypatch.setattr(following.preview, "time", clock)
    return following


def write_splats(extension, path, count, height=0.0, degree=1, blend_space="display"):
    random = np.random.default_rng(count)
    means = random.normal(size=(count, 3))
    means[:, 2] = height
    cloud = extension.module("splat_addon.gaussians.cloud").GaussianCloud(
        means,
        random.normal(-3, 0.3, size=(count, 3)),
        random.normal(size=(count, 4)),
        random.normal(size=count),
        random.normal(0, 0.3, size=(count, (degree + 1) ** 2, 3)),
        blend_space,
    )
    extension.module("splat_addon.gaussians.formats.splat_ply").write_splats(path, cloud)


def heights(item) -> np.ndarray:
    values = np.empty(len(item.data.attributes["position"].data) * 3, np.float32)
    item.data.attributes["position"].data.foreach_get("vector", values)
    return values[2::3]


def data_blocks() -> set[str]:
    """Names of everything that the file holds, by kind."""
    return {
        f"{kind.identifier}/{block.name_full}"
        for kind in bpy.data.bl_rna.properties
        if kind.type == "COLLECTION" and kind.identifier != "all_ids"
        for block in getattr(bpy.data, kind.identifier)
    }


def test_previews_are_drawn_without_any_data_block_and_the_result_is_an_object(following):
    before = data_blocks()
    following.show(20, height=1.0)
    assert following.heights() == [1.0] * 20
    for count in (30, 40):
        following.show(count, height=2.0)
    assert following.heights() == [2.0] * 40 and data_blocks() == before
    shown = following.follower.shown
    assert (shown.step, shown.count, shown.total) == (30, 40, 40)

    item = following.bring_result(50, height=3.0)
    assert item.name == "run_001" and heights(item).tolist() == [3.0] * 50
    assert following.drawn is None and following.follower.shown is None, "the object has taken its place"
    added = {name.partition("/")[0] for name in data_blocks() - before}
    assert added == {"objects", "collections", "node_groups", "materials", following_carriers(item)}


def following_carriers(item) -> str:
    return "meshes" if item.type == "MESH" else "pointclouds"


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


def test_a_preview_that_could_not_be_written_is_asked_for_again(following):
    """The trainer goes on, and says no more than that."""
    (following.run.folder.path / "hold the next preview").touch()
    following.prepare(10)
    following.tick()
    assert following.sent == ["preview"]
    following.until(lambda: following.run.progress.step == 20)
    following.tick(later_s=20)
    assert following.sent == ["preview"] and following.run.splats is None, "it may be slow"
    following.tick(later_s=20)
    following.until(lambda: following.run.splats is not None)
    following.changes()
    assert following.sent == ["preview", "preview"] and following.follower.shown.step == 20


def test_a_preview_of_the_same_step_is_not_asked_for_nor_while_paused(following):
    following.show(10)
    following.until(lambda: following.run.progress.step == 20)
    following.live_run.send("pause")
    following.until(lambda: following.run.state == "paused")
    following.tick(later_s=3600)
    following.live_run.send("resume")
    following.until(lambda: following.run.state == "training")
    assert following.sent.count("preview") == 1
    following.prepare(10)
    following.tick(later_s=3600)
    assert following.sent.count("preview") == 2


def test_where_the_artist_has_hidden_the_runs_object_nothing_is_asked_for_nor_drawn(following):
    item = put_result(following, 7)
    following.show(10)
    assert following.drawn.place is not None and following.drawn.replaces(item)
    item.hide_set(True)
    following.prepare(10)
    following.tick(later_s=3600)
    assert following.sent.count("preview") == 1 and following.drawn.place is None
    item.hide_set(False)
    following.tick(later_s=3600)
    assert following.sent.count("preview") == 2 and following.drawn.place is not None


def put_result(following, count: int):
    """The run's own object, as a result that was brought in before it was resumed leaves it."""
    write_splats(following.extension, following.run.folder.splats_file, count)
    scene = bpy.context.scene
    following.run_object.bring_in(scene, bpy.context.view_layer, following.run.folder)
    following.run.folder.splats_file.unlink()
    return following.item


def test_it_waits_while_something_is_edited(following):
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.object.mode_set(mode="EDIT")
    following.prepare(10)
    following.tick(later_s=3600)
    assert following.sent == [] and following.drawn is None
    bpy.ops.object.mode_set(mode="OBJECT")
    following.tick()
    following.until(lambda: following.run.splats is not None)
    bpy.ops.object.mode_set(mode="EDIT")
    assert not following.changes() and following.drawn is None, "it was read, and waits"
    bpy.ops.object.mode_set(mode="OBJECT")
    assert following.tick() and len(following.heights()) == 10


def test_undo_and_redo_leave_previews_alone_and_previews_leave_no_step(following):
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.ed.undo_push(message="cube")
    bpy.context.object.location.x = 5
    bpy.ops.ed.undo_push(message="move")
    for count in (10, 20):
        following.show(count)
    bpy.ops.ed.undo()
    assert bpy.data.objects["Cube"].location.x == 0, "one step back is the move, not a preview"
    assert len(following.heights()) == 20 and following.follower.shown.step == 20
    bpy.ops.ed.redo()
    assert bpy.data.objects["Cube"].location.x == 5
    assert len(following.show(30).splats.attributes["position"].data) == 30


def test_the_result_is_one_undo_step_of_its_own(following):
    bpy.ops.ed.undo_push(message="start")
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.ed.undo_push(message="cube")
    following.show(10)
    item = following.bring_result(15)
    assert len(heights(item)) == 15
    bpy.ops.ed.undo()
    assert following.item is None and "Cube" in bpy.data.objects
    bpy.ops.ed.redo()
    assert len(heights(following.item)) == 15
    bpy.ops.ed.undo()
    bpy.ops.ed.undo()
    assert "Cube" not in bpy.data.objects


def test_switching_it_off_takes_the_preview_away_and_on_brings_it_back(following):
    following.show(10)
    splat = bpy.context.scene.splat
    splat.follow_training = False
    assert (following.drawn is None and not following.display.is_running()) or splat.viewport.show
    following.prepare(15)
    following.tick(later_s=3600)
    assert following.sent.count("preview") == 1
    splat.follow_training = True
    following.show(15)
    assert len(following.heights()) == 15


def test_a_preview_has_the_blend_space_that_the_run_is_trained_in(following):
    for blend_space in ("blender", "display"):
        following.blend_space = blend_space
        preview = following.show(10)
        assert preview.splats.blend_space == blend_space
        spaces = [preview.splats.blend_space]
        assert following.display.look_of(bpy.context.scene, spaces).is_linear == (blend_space == "blender")


def test_edited_splats_are_left_alone_until_the_artist_asks(following):
    item = put_result(following, 10)
    following.show(12)
    attribute = item.data.attributes["position"].data
    attribute[3].vector = (7, 7, 7)
    following.prepare(20)
    following.tick(later_s=3600)
    following.until(lambda: following.run.splats.step == 20)
    following.changes()
    assert following.follower.obstacle == "edited" and following.drawn is None, "what was edited is seen"
    panel = following.extension.module("panels.training").SPLAT_PT_training
    assert "were edited and are left alone" in texts(drawn(panel, bpy.context))
    following.stop()
    assert following.watching.settle(following.run)
    assert len(heights(item)) == 10 and tuple(item.data.attributes["position"].data[3].vector) == (7, 7, 7)


def test_edited_splats_become_the_artists_own_when_following_is_switched_on_again(following):
    item = put_result(following, 10)
    item.data.attributes["position"].data[3].vector = (7, 7, 7)
    scene = bpy.context.scene
    scene.splat.follow_training = False
    scene.splat.follow_training = True
    following.show(30)
    other = following.bring_result(31)
    assert other != item and len(heights(other)) == 31 and len(heights(item)) == 10


def test_a_preview_lies_where_the_runs_object_was_moved_to(following):
    item = put_result(following, 10)
    item.location, item.name = (1, 2, 3), "My Splats"
    bpy.context.view_layer.update()
    preview = following.show(20)
    assert preview.place[:3, 3].tolist() == [1, 2, 3] and preview.replaces(item)
    item.location.x = 4
    bpy.context.view_layer.update()
    assert following.tick() and preview.place[:3, 3].tolist() == [4, 2, 3], "it follows the object"
    assert not following.tick(), "and is drawn anew only when that has moved"
    item = following.bring_result(21)
    assert tuple(item.location) == (4, 2, 3) and item.name == "My Splats" and len(heights(item)) == 21


def test_another_file_gets_no_preview_and_its_own_file_again_does(following, tmp_path):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    following.show(10)
    uid = following.drawn.scene_uid
    assert uid == bpy.context.scene.session_uid
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    following.prepare(20)
    following.tick(later_s=3600)
    assert following.sent == ["preview"] and following.drawn.scene_uid != bpy.context.scene.session_uid
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    assert len(following.show(20).splats.attributes["position"].data) == 20
    assert following.drawn.scene_uid == bpy.context.scene.session_uid


def test_a_run_that_the_artist_looks_at_is_not_taken_away_by_another_that_trains(following):
    earlier = earlier_run(following)
    scene = bpy.context.scene
    following.show(10)
    assert bpy.ops.splat.import_run(path=str(earlier.path)) == {"FINISHED"}
    following.tick()
    assert following.drawn is None, "the run that trains makes room"
    following.prepare(20)
    following.tick(later_s=3600)
    following.live_run.pump()
    assert following.sent.count("preview") == 1
    following.stop()
    assert following.watching.settle(following.run)
    assert following.item is None and scene.splat.run_folder == str(earlier.path), "its result waits in its folder"
    assert bpy.data.objects["run_000"].visible_get()


def test_a_result_that_cannot_be_read_is_said_once_and_the_timer_goes_on(following):
    following.prepare(10)
    (following.run.folder.path / "next.ply").write_text("no splats")
    following.stop()
    assert following.watching.settle(following.run) and following.item is None
    assert following.run.warnings[0].startswith("The result was not brought into the scene. ")
    assert len(following.run.warnings) == 1
    assert following.watching.settle(following.run) and len(following.run.warnings) == 1


def test_a_preview_that_cannot_be_read_is_passed_over(following):
    following.prepare(10)
    (following.run.folder.path / "next.ply").write_text("no splats")
    following.tick()
    following.until(lambda: following.run.splats is not None)
    assert not following.changes() and following.drawn is None
    following.show(10)
    assert len(following.heights()) == 10


def test_large_clouds_are_shown_in_part_and_that_is_said(following):
    following.follower.limit = 12
    following.show(40)
    assert len(following.heights()) == 12
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
    assert follower.limit == preview.FEWEST_SPLATS
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
    chosen.width, chosen.height, chosen.samples, chosen.engine = 80, 60, 4, "CYCLES"  # EEVEE is slow without a card
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
        run, display = live_run.current(), extension.module("splat_addon.scene.viewport.display")
        assert 0 < shown[0].step < shown[1].step < shown[2].step, "the viewport follows"
        splats = display.state().preview.splats
        assert splats.count == shown[-1].count == shown[-1].total and splats.blend_space == "blender"
        live_run.send("stop")
        while not run.is_over:
            assert time.monotonic() < deadline
            live_run.pump()
        assert run.state == "finished", run.message
        assert extension.module("splat_addon.scene.tasks.watching").settle(run)
        data = extension.module("splat_addon.scene.splats.data")
        (item,) = (other for other in scene.objects if data.is_splats(other))
        assert item[data.BLEND_SPACE_KEY] == "blender" and display.state().preview is None
        trained = extension.module("splat_addon.gaussians.formats.splat_ply").read_splats(run.folder.splats_file)
        assert np.allclose(np.sort(heights(item)), np.sort(trained.means[:, 2]), atol=1e-6)
        assert not run.folder.preview_file.exists()
    finally:
        if live_run.is_training():
            live_run.current().process.close()
        extension.drop(live_run.Watched)
        shutil.rmtree(tmp_path, ignore_errors=True)


def earlier_run(following):
    """A finished run of the same capture; returns its folder."""
    folder_of = following.extension.module("splat_addon.run.folder").RunFolder
    config = following.extension.module("splat_addon.run.config").TrainConfig
    capture = following.run.folder.path.parent
    earlier = folder_of.create(capture / "run_000", config(capture=str(capture)))
    write_splats(following.extension, earlier.splats_file, 7)
    return earlier


def test_a_result_that_replaces_another_has_the_near_plane_of_its_own_size(following):
    earlier = earlier_run(following)
    quads = following.extension.module("splat_addon.scene.splats.quads")
    appearance = following.extension.module("splat_addon.scene.splats.appearance")
    rules = following.extension.module("splat_addon.gaussians.rules")
    splat_ply = following.extension.module("splat_addon.gaussians.formats.splat_ply")
    cloud = splat_ply.read_splats(earlier.splats_file)

    def near_scale(size: float) -> float:
        following.run_object.put(bpy.context.scene, earlier, replace(cloud, means=size * cloud.means))
        modifier = appearance.look_modifier(following.run_object.find(bpy.context.scene, earlier))
        identifier = modifier.node_group.interface.items_tree[quads.NEAR_SCALE].identifier
        if hasattr(modifier, "properties"):
            return getattr(modifier.properties.inputs, identifier).value
        return modifier[identifier]

    assert near_scale(1.0) == 1.0
    assert near_scale(1e-5) == pytest.approx(rules.near_plane_scale(1e-5 * cloud.means), rel=1e-5)
    assert near_scale(1e-5) < 1e-3


@pytest.mark.parametrize("size", [1e-9, 1e-6, 1.0, 1e6])
def test_two_runs_lie_in_one_place_if_their_splats_do_whatever_their_size(following, size):
    earlier, scene = earlier_run(following), bpy.context.scene
    is_same_place = following.extension.module("splat_addon.scene.splats.transforms").is_same_place
    cloud = following.extension.module("splat_addon.gaussians.formats.splat_ply").read_splats(earlier.splats_file)
    following.run_object.put(scene, earlier, replace(cloud, means=size * cloud.means))
    item, span = bpy.data.objects["run_000"], size * float(np.ptp(cloud.means, axis=0).max())
    turned = np.eye(4)
    turned[:2, :2] = [[np.cos(1e-3), -np.sin(1e-3)], [np.sin(1e-3), np.cos(1e-3)]]
    for apart, is_same in ((0.0, True), (1e-7, True), (1e-3, False), (10.0, False)):
        place = np.eye(4)
        place[0, 3] = apart * span
        assert is_same_place(item.matrix_world, place, item.data) is is_same, apart
        place[:3] *= 1e-6  # the same below a root of another scale
        shrunk = np.diag([1e-6, 1e-6, 1e-6, 1.0])
        assert is_same_place(shrunk, place, item.data) is is_same, apart
    for other in (turned, np.diag([1.001, 1.001, 1.001, 1.0])):
        assert not is_same_place(np.eye(4), other, item.data)


def test_a_preview_is_drawn_in_the_place_of_an_earlier_run_which_is_not_touched(following):
    earlier, scene = earlier_run(following), bpy.context.scene
    following.run_object.bring_in(scene, bpy.context.view_layer, earlier)
    first = bpy.data.objects["run_000"]
    preview = following.show(20)
    assert preview.replaces(first) and following.display.replaced_by_preview(scene) == ["run_000"]
    assert first.visible_get() and not first.hide_render, "renders still show it"
    panel = following.extension.module("panels.training").SPLAT_PT_training
    assert "Not drawn during training, in the same place: run_000" in texts(drawn(panel, bpy.context))
    first.location.x = 9
    bpy.context.view_layer.update()
    assert not preview.replaces(first), "beside it, both are seen"
    first.location.x = 0
    bpy.context.view_layer.update()
    following.bring_result(21)
    assert not first.visible_get() and first.hide_render and len(heights(first)) == 7
