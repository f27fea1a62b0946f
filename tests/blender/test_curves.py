"""The curves in the panel: what is painted, and that drawing the panel costs next to nothing."""

import time

import bpy
import numpy as np
import pytest

SIZE = 231


@pytest.fixture
def run_path(extension, tmp_path):
    """A run whose loss falls from 1 to 0 and whose PSNR rises from 10 to 30 dB over 1000 steps."""
    vocabulary = extension.module("splat_addon.run.events")
    started = vocabulary.Started(vocabulary.PROTOCOL, "cpu", 1000, 7, 1, 100, 1)
    measured = [vocabulary.Evaluated(step, 10 + step / 50, 0.9, 100, "") for step in (0, 500, 1000)]
    measured.append(vocabulary.Evaluated(1000, 30.0, 0.9, 100, "", train_psnr_db=31.5))
    progress = [progressed(extension, step, 1 - step / 1000) for step in range(1, 1001)]
    append(extension, tmp_path, started, *progress, *measured)
    return tmp_path


def progressed(extension, step: int, loss: float):
    return extension.module("splat_addon.run.events").Progressed(step, loss, 100, 9.0, 60.0)


def append(extension, run_path, *events) -> None:
    encode_event = extension.module("splat_addon.run.events").encode_event
    with open(run_path / "events.jsonl", "a") as file:
        file.write("".join(encode_event(event) + "\n" for event in events))


def places_of(pixels: np.ndarray, color) -> np.ndarray:
    """(K, 2) rows and columns of the pixels that have nearly that color."""
    return np.argwhere(np.abs(pixels.astype(int) - color).max(axis=2) < 25)


def painted(extension, run_path, size=SIZE):
    history = extension.module("splat_addon.run.history").History
    folder = extension.module("splat_addon.run.folder").RunFolder
    return extension.module("splat_addon.scene.review.curves").paint(history(folder(run_path)).read_all(), size)


def test_loss_falls_above_and_quality_rises_below(extension, run_path):
    curves = extension.module("splat_addon.scene.review.curves")
    pixels = painted(extension, run_path)
    assert pixels.shape == (SIZE, SIZE, 3)
    loss, quality = places_of(pixels, curves.LOSS), places_of(pixels, curves.HELD_OUT)
    assert loss[:, 0].max() < SIZE / 2 < quality[:, 0].min()
    for places, slope in ((loss, 1), (quality, -1)):  # rows grow downwards
        columns = np.unique(places[:, 1])
        middle = [places[places[:, 1] == column][:, 0].mean() for column in columns]
        assert len(columns) > 0.7 * SIZE and slope * np.polyfit(columns, middle, 1)[0] > 0.2
        assert abs(np.corrcoef(columns, middle)[0, 1]) > 0.99, "a straight line stays one"


def test_numbers_stand_at_the_axes_and_grow_with_the_screens_resolution(extension, run_path):
    chart = extension.module("splat_addon.scene.review.chart")
    for size in (SIZE, 3 * SIZE):
        pixels = painted(extension, run_path, size)
        dots = (np.abs(pixels.astype(int) - chart.WORDS).max(axis=2) < 2).sum()
        assert dots > (150 if size == SIZE else 600)
    assert chart.round_ticks(0, 1000, 4) == [0, 500, 1000]
    assert chart.round_ticks(9.2, 30.8, 3) == [10, 20, 30]
    assert [chart._number(tick, [0.02, 0.04]) for tick in (0.02, 0.04)] == ["0.02", "0.04"]
    assert (chart._number(7000, []), chart._number(2_500_000, [])) == ("7k", "2.5M")


@pytest.mark.parametrize(("low", "high"), [(0.0045, 0.0212), (0.06, 0.085), (18.7, 29.6), (0.9999, 1.0001), (-3, 70)])
def test_the_scale_of_values_is_told_by_two_numbers_at_least(extension, low, high):
    chart = extension.module("splat_addon.scene.review.chart")
    for height in (60, 115, 230):
        ticks = chart._value_ticks(low, high, max(3, height // 35))
        words = [chart._number(tick, ticks) for tick in ticks]
        assert 2 <= len(ticks) <= 12 and len(set(words)) == len(words) and all(low <= tick <= high for tick in ticks)


@pytest.mark.parametrize("values", [[], [0.5], [0.5, 0.5, 0.5], [1e-9, 1e9]])
def test_odd_curves_are_painted_without_complaint(extension, values):
    chart = extension.module("splat_addon.scene.review.chart")
    line = chart.Line(list(range(len(values))), values, (255, 0, 0), True)
    pixels = chart.draw_chart((200, 100), [line], len(values), "Loss")
    assert (len(places_of(pixels, (255, 0, 0))) > 0) == bool(values)
    assert (chart.draw_chart((9, 9), [line], 1.0, "Loss") == chart.GROUND).all(), "too small for anything"


def test_the_icon_holds_what_was_painted_and_changes_when_the_run_goes_on(extension, run_path):
    curves = extension.module("splat_addon.scene.review.curves")
    assert curves.icon_for(run_path, SIZE) is None, "nothing is painted while a panel is drawn"
    assert curves.repaint() is None
    icon = curves.icon_for(run_path, SIZE)
    preview = curves._curves().previews["curves"]
    assert icon == preview.icon_id and tuple(preview.image_size) == (SIZE, SIZE)

    def shown() -> np.ndarray:
        numbers = np.empty(SIZE * SIZE, dtype=np.int32)
        preview.image_pixels.foreach_get(numbers)
        return numbers.view(np.uint8).reshape(SIZE, SIZE, 4)[::-1, :, :3]

    assert np.array_equal(shown(), painted(extension, run_path))
    before = shown().copy()
    append(extension, run_path, progressed(extension, 2000, 2.0))
    curves.repaint()
    assert not np.array_equal(shown(), before) and np.array_equal(shown(), painted(extension, run_path))


def test_the_panel_shows_the_last_values_beside_the_chart_and_is_drawn_in_two_milliseconds(extension, run_path):
    panel, curves = extension.module("panels.curves"), extension.module("splat_addon.scene.review.curves")
    assert not panel.SPLAT_PT_curves.poll(bpy.context)
    bpy.context.scene.splat.run_folder = str(run_path)
    assert panel.SPLAT_PT_curves.poll(bpy.context)
    record: list = []

    class Layout:
        def column(self, **_):
            return self

        def template_icon(self, icon, scale):
            record.append(("icon", icon, scale))

        def label(self, text, icon="NONE"):
            record.append(text)

    def draw():
        record.clear()
        panel.SPLAT_PT_curves.draw(type("StandIn", (), {"layout": Layout()})(), bpy.context)

    draw()
    assert record == ["Reading the run …"]
    curves.repaint()
    draw()
    assert record[0][0] == "icon" and record[0][2] >= 6
    assert record[1:] == [
        "Loss 0.0000", "Held-out PSNR 30.00 dB", "Training views 31.50 dB (gray)"
    ]  # fmt: skip
    seconds = []
    for _ in range(50):
        began = time.perf_counter()
        draw()
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.002, "whatever else the machine did meanwhile"


def test_while_the_panel_is_shown_the_curves_have_the_news_as_soon_as_the_numbers(extension, run_path):
    curves = extension.module("splat_addon.scene.review.curves")
    timer = extension.module("splat_addon.scene.session.timer")
    curves.icon_for(run_path, SIZE)
    curves.repaint()
    timer.stop(curves.repaint)  # as the timer does with a job that is done
    curves._curves().cost_s = 0.0
    append(extension, run_path, progressed(extension, 1001, 0.5))
    curves.follow()
    assert curves.history().loss.steps[-1] == 1000, "nobody looks: nothing is read"
    curves.icon_for(run_path, SIZE)
    curves.follow()
    assert curves.history().loss.steps[-1] == 1001 and curves._curves().painted[1] == len(curves.history().loss.steps)
    assert not timer.is_running(curves.repaint), "until it is drawn again"


def test_following_takes_a_small_part_of_the_time(extension, run_path):
    curves = extension.module("splat_addon.scene.review.curves")
    timer = extension.module("splat_addon.scene.session.timer")
    curves.icon_for(run_path, SIZE)
    curves.repaint()
    assert curves._curves().cost_s > 0
    curves._curves().cost_s = 3600.0
    append(extension, run_path, progressed(extension, 1001, 0.5))
    curves.icon_for(run_path, SIZE)
    curves.follow()
    assert curves.history().loss.steps[-1] == 1000 and timer.is_running(curves.repaint)
    curves.repaint()
    assert curves.history().loss.steps[-1] == 1001
