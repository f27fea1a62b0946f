"""Fewer splats while a view turns: when, how many, which, and that all are drawn once it rests."""

from types import SimpleNamespace

import bpy
import numpy as np
import pytest

from support import viewport_pictures

MILLION = 1_000_000


@pytest.fixture
def turning(extension):
    module = extension.module("splat_addon.scene.viewport.turning")
    yield module
    module.forget()


def drawn(turn, view, seconds, count=MILLION) -> float:
    """The share that is drawn of a view, which takes `seconds` for all splats."""
    share = turn.share_of(count, view)
    turn.drawn(count, seconds * share)
    return share


def test_a_view_that_turns_shows_as_many_as_can_be_drawn_in_time_and_all_once_it_rests(turning):
    turn = turning.Turn()
    assert drawn(turn, "a", 0.2) == 1.0
    turn.quiet_ticks = 3
    assert drawn(turn, "b", 0.2) == 1.0, "a jump is not a turn"
    for step in range(20):
        turn.quiet_ticks += 1  # one for each drawing, however slow
        assert drawn(turn, f"c{step}", 0.2) == 0.125, "a fifth of 0.2 s, as a power of two: always the same"
    turn.quiet_ticks = 2
    assert drawn(turn, "c19", 0.2) == 0.125 and not turn.has_rested(), "drawn for another reason"
    turn.quiet_ticks = 3
    assert turn.has_rested() and drawn(turn, "c19", 0.2) == 1.0 == drawn(turn, "d", 0.2)


def test_what_is_drawn_in_time_is_never_thinned(turning):
    turn = turning.Turn()
    assert {drawn(turn, step, 0.039) for step in range(20)} == {1.0}


def test_a_turn_that_stutters_falls_further_and_does_not_rise_before_it_rests(turning):
    turn = turning.Turn()
    whole = [0.05] * 3 + [0.5] * 5 + [0.01] * 5
    shares = [drawn(turn, step, seconds) for step, seconds in enumerate(whole)]
    assert shares[:3] == [1.0, 0.5, 0.5] and shares[3:5] == [0.5, 0.25] and set(shares[5:]) == {0.125}


def test_never_so_few_that_little_is_left(turning):
    for count, least in ((150_000, 1.0), (400_000, 0.25), (16_000_000, 1 / 16)):
        turn = turning.Turn()
        drawn(turn, "a", 60.0, count)
        assert drawn(turn, "b", 60.0, count) == least


class Painted:
    """Stands where a viewport's picture does: how it was asked to paint."""

    def __init__(self):
        self.shares = []

    def paint(self, atlas, blocks, placed, view, look, depth):
        self.shares.append(look.share)

    def finish(self):
        pass


@pytest.mark.parametrize(
    ("count", "is_playing", "wanted", "is_thinned"),
    [
        (MILLION, False, "FEWER", True),
        (MILLION, True, "FEWER", False),
        (MILLION, False, "ALL", False),
        (100_000, False, "FEWER", False),
    ],
)
def test_small_clouds_playing_animations_and_those_who_want_all_see_all(
    extension, turning, monkeypatch, count, is_playing, wanted, is_thinned
):
    drawing = extension.module("splat_addon.scene.viewport.picture")
    chosen = extension.module("splat_addon.scene.settings.preferences").of_addon()
    chosen.while_turning = wanted
    clock = iter(np.arange(0, 100, 0.1).tolist())
    monkeypatch.setattr(turning, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    atlas = SimpleNamespace(packed={1: SimpleNamespace(positions=range(count))})
    picture = Painted()
    timer = extension.module("splat_addon.scene.session.timer")
    timer.stop(turning._tick)
    try:
        for step in range(3):
            view = drawing.Viewpoint(64, 64, np.eye(4) * step, np.eye(4))
            placed = [drawing.Placed(1, np.eye(4))]
            turning.paint(7, picture, atlas, {}, placed, view, drawing.Look(), None, is_playing)
        assert picture.shares == ([1.0, 0.25, 0.125] if is_thinned else [1.0] * 3)
        assert timer.is_running(turning._tick) is is_thinned
        if is_thinned:
            assert [turning._tick() for _ in range(3)] == [0.1, 0.1, None]
            turning.paint(7, picture, atlas, {}, placed, view, drawing.Look(), None, is_playing)
            assert picture.shares[-1] == 1.0
    finally:
        timer.stop(turning._tick)
        chosen.while_turning = "FEWER"


def test_a_share_is_part_of_what_all_show_and_stands_for_it(extension, graphics):
    drawing = extension.module("splat_addon.scene.viewport.picture")
    random = np.random.default_rng(4)
    count = 4000
    cloud = extension.module("splat_addon.gaussians.cloud").GaussianCloud(
        means=random.uniform(-1, 1, (count, 3)) * [1, 1, 0.02],
        log_scales=np.full((count, 3), np.log(0.04)),
        quaternions=np.tile((1.0, 0, 0, 0), (count, 1)),
        logit_opacities=np.full(count, -1.7),
        sh=random.normal(0, 0.05, (count, 1, 3)),
    )
    item = extension.module("splat_addon.scene.splats.data").splats_to_object(
        cloud, "Wall", bpy.context.scene.collection
    )
    bpy.context.view_layer.update()
    above = np.eye(4)
    above[2, 3] = -2.0
    clip = np.diag([0.9, 0.9, -0.1, 1.0])
    view = drawing.Viewpoint(96, 96, above, clip)
    picture = drawing.Picture()

    def seen(**look):
        return viewport_pictures.draw(drawing, [item], view, drawing.Look(**look), picture)

    whole, some, fewer = seen(), seen(share=0.25), seen(fraction=0.25)
    inside = slice(16, -16), slice(16, -16)
    alpha = [image[inside][..., 3].mean() for image in (whole, some, fewer)]
    assert alpha[2] < 0.5 * alpha[0] and abs(alpha[1] - alpha[0]) < 0.15, "only a share stands for all"
    errors = [np.square(image - whole).mean() for image in (some, fewer)]
    assert errors[0] < 0.3 * errors[1]
    np.testing.assert_array_equal(seen(share=1.0), whole)
    assert picture.sort_count == 3
    drawing.forget_programs()
