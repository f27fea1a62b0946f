"""The lesson in Blender: training in short turns, what is shown, saving and loading, bad targets."""

import math
import time
from types import SimpleNamespace

import bpy
import numpy as np
import pytest

from support.cube_scene import add_cube
from support.recording_layout import drawn, texts


@pytest.fixture
def lesson(extension):
    """The rooms of the lesson, a small target and few gaussians chosen."""
    rooms = ("live", "shown", "picture", "arrow", "target")
    found = {name: extension.module(f"splat_addon.scene.lesson.{name}") for name in rooms}
    found["panel"] = extension.module("panels.lesson").SPLAT_PT_lesson
    found["timer"] = extension.module("splat_addon.scene.session.timer")
    chosen = bpy.context.scene.splat.lesson
    chosen.side_px, chosen.count = 32, 30
    yield SimpleNamespace(chosen=chosen, scene=bpy.context.scene, **found)
    extension.drop(found["live"].Fits)
    found["timer"].stop(found["live"]._tick)


def fit(lesson):
    return lesson.live.fitter_of(bpy.context.scene)


def test_training_makes_one_splat_object_that_follows_the_fit_and_stays_out_of_renders(lesson):
    bpy.ops.splat.train_lesson(steps=5)
    item = lesson.shown.find(lesson.scene)
    assert item.hide_render and fit(lesson).step_count == 5

    def places():
        values = np.empty(3 * len(fit(lesson).gaussians), np.float32)
        item.data.attributes["position"].data.foreach_get("vector", values)
        return values.reshape(-1, 3)

    expected = lesson.shown.places_of(fit(lesson).gaussians.means, (32, 32))
    np.testing.assert_allclose(places()[:, [0, 2]], expected[:, [0, 2]], atol=1e-6)
    before = places()
    bpy.ops.splat.train_lesson(steps=5)
    assert np.abs(places() - before).max() > 1e-3 and np.abs(places()[:, 1]).max() < 0.01
    assert [other for other in bpy.data.objects if other.get("splat_lesson")] == [item]


@pytest.mark.parametrize(("y", "expected"), [(0.0, -1.5), (0.5, -1.0), (5.0, 0.0)])
def test_the_plane_is_not_inside_of_a_mesh(lesson, y, expected):
    """The cube of a new file would hide it."""
    add_cube(size=2.0).location.y = y
    bpy.context.view_layer.update()
    bpy.ops.splat.train_lesson(steps=1)
    assert tuple(lesson.shown.find(lesson.scene).location) == pytest.approx((0, expected, 0), abs=1e-6)


def test_splats_lie_where_the_image_has_the_gaussians(extension, lesson):
    """Corner to corner: left is left, top is top, the angle turns the same way, sizes are sigmas."""
    lesson.chosen.count, lesson.chosen.is_anisotropic, lesson.chosen.dot_sigmas = 2, True, 1.0
    bpy.ops.splat.reset_lesson()
    gaussians = fit(lesson).gaussians
    gaussians.means[:] = [(0, 0), (32, 24)]
    gaussians.log_sigmas[:], gaussians.angles[:] = np.log([4.0, 1.0]), 0.5
    cloud = lesson.shown.cloud_of(fit(lesson), lesson.chosen)
    np.testing.assert_allclose(cloud.means[:, [0, 2]], [(-1, 1), (1, -0.5)], atol=1e-6)
    np.testing.assert_allclose(cloud.scales[0, [0, 2]], [0.25, 0.0625], rtol=1e-5)
    from mathutils import Quaternion, Vector

    along = Quaternion(cloud.rotations[0].tolist()) @ Vector((1, 0, 0))
    np.testing.assert_allclose(along, (math.cos(0.5), 0, -math.sin(0.5)), atol=1e-6)


@pytest.mark.parametrize("color_by", ["GRADIENT", "AGE"])
def test_colors_can_show_gradient_and_age(lesson, color_by):
    bpy.ops.splat.train_lesson(steps=20)
    bpy.ops.splat.densify_lesson()
    lesson.live.work(math.inf)
    own = lesson.shown.cloud_of(fit(lesson), lesson.chosen).sh
    bpy.ops.splat.step_lesson()
    lesson.live.work(math.inf)
    lesson.chosen.color_by = color_by
    shown = lesson.shown.cloud_of(fit(lesson), lesson.chosen).sh * 0.2820948 + 0.5
    assert np.abs(shown[:, 0] - own[:, 0]).max() > 0.1
    yellow, purple = (0.993, 0.906, 0.144), (0.267, 0.005, 0.329)
    values = fit(lesson).ages() if color_by == "AGE" else fit(lesson).asking.norms
    for place, color in ((np.argmax(values), yellow), (np.argmin(values), purple)):
        np.testing.assert_allclose(shown[place, 0], color, atol=0.15)


def test_the_timer_trains_in_short_turns_and_stops_when_paused(lesson):
    lesson.live.train(lesson.scene)
    assert lesson.timer.is_running(lesson.live._tick) and lesson.live.is_training(lesson.scene)
    for _ in range(8):
        assert lesson.live._tick() is not None
    assert fit(lesson).step_count > 5
    bpy.ops.splat.pause_lesson()
    count = fit(lesson).step_count
    assert not lesson.timer.is_running(lesson.live._tick) and not lesson.live.is_training(lesson.scene)
    assert not lesson.live.work() and fit(lesson).step_count == count
    assert not bpy.ops.splat.pause_lesson.poll()


def test_where_drawing_is_slow_training_still_gets_most_of_the_time(lesson, monkeypatch):
    """With a clock of our own: a turn takes 25 ms, and all that Blender draws after showing the fit takes a second."""
    clock, done = SimpleNamespace(now=1000.0), []
    monkeypatch.setattr(lesson.live, "time", SimpleNamespace(monotonic=lambda: clock.now))
    lesson.live.train(lesson.scene)

    def spend(name, seconds):
        clock.now += seconds
        done.append(name)
        return True

    monkeypatch.setattr(lesson.live, "work", lambda: spend("work", 0.025))
    monkeypatch.setattr(lesson.live, "show", lambda scene: spend("show", 1.0))
    for _ in range(400):
        lesson.live._tick()
    assert done.count("show") >= 3 and 0.025 * done.count("work") > done.count("show")


def test_a_step_of_ten_thousand_gaussians_is_done_in_turns_of_less_than_50_ms(lesson):
    lesson.chosen.count, lesson.chosen.side_px = 10_000, 256
    lesson.live.train(lesson.scene, 1)
    turns = []
    while lesson.live.is_training(lesson.scene):
        began = time.process_time()
        lesson.live.work(0.0)
        turns.append(time.process_time() - began)
    assert fit(lesson).step_count == 1 and len(turns) > 1, "a step has pieces, and a turn ends after one"
    assert sorted(turns)[-2] < 0.05 - lesson.live.BUDGET_S, "of this thread; the last turn shows and keeps the fit"


def test_a_reset_in_the_middle_of_a_step_begins_anew_bit_for_bit(lesson):
    lesson.chosen.count, lesson.chosen.side_px = 300, 128
    bpy.ops.splat.train_lesson(steps=3)
    first = fit(lesson).saved()
    lesson.live.train(lesson.scene)
    lesson.live.work(0.0)
    assert lesson.live._fits().pieces is not None
    bpy.ops.splat.reset_lesson()
    lesson.live.pause(lesson.scene)
    bpy.ops.splat.reset_lesson()
    bpy.ops.splat.train_lesson(steps=3)
    assert fit(lesson).saved() == first


def test_a_fit_survives_saving_and_loading_and_goes_on_with_the_same_numbers(lesson, tmp_path):
    lesson.chosen.held_out, lesson.chosen.is_auto = 0.1, True
    bpy.ops.splat.train_lesson(steps=12)
    bpy.ops.splat.densify_lesson()
    lesson.live.train(lesson.scene)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "lesson.blend"))
    bpy.ops.splat.train_lesson(steps=10)
    expected = fit(lesson).saved()
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    assert fit(lesson) is None and not lesson.timer.is_running(lesson.live._tick)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "lesson.blend"))
    assert fit(lesson).step_count == 12 and len(fit(lesson).gaussians) == 38
    assert lesson.shown.find(bpy.context.scene) is not None
    bpy.ops.splat.train_lesson(steps=10)
    assert fit(lesson).saved() == expected


def test_a_copied_scene_goes_on_with_a_copy_of_the_fit(lesson):
    bpy.ops.splat.train_lesson(steps=4)
    copied = lesson.scene.copy()
    lesson.live.train(copied, 2)
    lesson.live.work(math.inf)
    assert lesson.live.fitter_of(copied).step_count == 6 and fit(lesson).step_count == 4


def test_a_fit_that_cannot_be_read_is_told_and_reset_mends_it(lesson, tmp_path):
    lesson.chosen.fit = "no fit"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "broken.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "broken.blend"))
    said = texts(drawn(lesson.panel, bpy.context))
    assert "The fit that this file holds cannot be read. Press Reset to begin anew." in said
    assert bpy.ops.splat.reset_lesson() == {"FINISHED"}
    assert "cannot be read" not in texts(drawn(lesson.panel, bpy.context))


def new_image(name, width, height, is_float=False, color=(0.5, 0.25, 1.0, 1.0)):
    image = bpy.data.images.new(name, width, height, alpha=True, float_buffer=is_float)
    image.pixels.foreach_set(np.tile(np.array(color, np.float32), width * height))
    return image


def test_an_image_of_the_file_is_fitted_the_right_way_up_and_in_its_display_values(lesson):
    image = new_image("two rows", 2, 2)
    image.pixels[:8] = [0, 0, 0, 1] * 2  # the lower row
    lesson.chosen.target, lesson.chosen.image = "IMAGE", image
    target, notes = lesson.target.read_target(lesson.chosen)
    assert notes == [] and not target[1].any()
    np.testing.assert_allclose(target[0], [[0.5, 0.25, 1.0]] * 2, atol=0.01)
    lesson.chosen.image = new_image("bright", 1, 1, True, (0.214, 4.0, 0.0, 1.0))
    target, notes = lesson.target.read_target(lesson.chosen)
    np.testing.assert_allclose(target[0, 0], [0.5, 1, 0], atol=0.01)
    assert notes == ["The image has values outside of 0 to 1, which were clipped."]
    assert bpy.ops.splat.train_lesson(steps=3) == {"FINISHED"}
    lesson.chosen.image = new_image("glass", 3, 3, False, (1, 1, 1, 0.5))
    target, notes = lesson.target.read_target(lesson.chosen)
    np.testing.assert_allclose(target, 0.5, atol=0.01)
    assert notes == ["Transparent parts stand before black."]


def test_an_image_that_is_deleted_or_too_large_is_told_and_the_fit_goes_on(lesson, tmp_path):
    image = new_image("photo", 300, 200)
    lesson.chosen.target, lesson.chosen.image = "IMAGE", image
    bpy.ops.splat.train_lesson(steps=2)
    assert fit(lesson).size == (21, 32)
    bpy.data.images.remove(image)
    bpy.ops.splat.train_lesson(steps=2)
    assert fit(lesson).step_count == 4, "its pixels are kept"
    with pytest.raises(RuntimeError, match=r"No image is chosen\. Choose one, or a built-in target\."):
        bpy.ops.splat.reset_lesson()
    assert fit(lesson).step_count == 4
    lesson.chosen.image = new_image("strip", 8193, 1)
    with pytest.raises(RuntimeError, match="has 8193 × 1 pixels"):
        bpy.ops.splat.reset_lesson()
    gone = bpy.data.images.new("gone", 4, 4)
    gone.source, gone.filepath = "FILE", str(tmp_path / "nowhere.png")
    lesson.chosen.image = gone
    with pytest.raises(RuntimeError, match="'gone'"):
        bpy.ops.splat.reset_lesson()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    assert (tmp_path / "saved.blend").is_file()


def test_no_gaussians_are_a_black_image_and_densify_says_what_to_do(lesson):
    lesson.chosen.count = 0
    bpy.ops.splat.train_lesson(steps=2)
    assert not fit(lesson).measured.image.any()
    with pytest.raises(RuntimeError, match="no gaussian left to clone or split"):
        bpy.ops.splat.densify_lesson()


def test_the_panel_shows_numbers_and_says_when_reset_is_needed(lesson):
    assert ("operator", "splat.train_lesson", None) in drawn(lesson.panel, bpy.context)
    assert not bpy.ops.splat.densify_lesson.poll()
    bpy.ops.splat.train_lesson(steps=2)
    said = texts(drawn(lesson.panel, bpy.context))
    assert "Step 2 Gaussians 30 Loss 0." in said and "Reset" not in said
    lesson.chosen.seed = 7
    assert "Changed settings take effect with Reset." in texts(drawn(lesson.panel, bpy.context))
    bpy.ops.splat.densify_lesson()
    assert "Densified: " in texts(drawn(lesson.panel, bpy.context))


def test_the_chosen_gaussians_factors_are_in_the_panel_and_its_arrow_points_downhill(lesson):
    bpy.ops.splat.train_lesson(steps=3)
    bpy.ops.splat.pick_lesson_gaussian(by="GRADIENT")
    number, fitter = lesson.chosen.selected, fit(lesson)
    gradient = fitter.measured.gradients.means
    assert number == np.argmax(np.linalg.norm(gradient, axis=1))
    terms = lesson.arrow.chosen_terms(lesson.scene, fitter)
    said = texts(drawn(lesson.panel, bpy.context))
    for line in lesson.arrow.lines_of(terms):
        assert line in said
    start, tip = lesson.arrow.arrow_of(terms, fitter, number)
    assert (tip - start) @ gradient[number] < 0
    lesson.scene.cursor.location = lesson.shown.places_of(fitter.gaussians.means[4], fitter.size)
    bpy.ops.splat.pick_lesson_gaussian(by="CURSOR")
    assert lesson.chosen.selected == 4
    lesson.chosen.selected = 29_999
    assert "It reaches no pixel, or is gone." in texts(drawn(lesson.panel, bpy.context))


def test_the_icon_has_target_render_difference_and_a_falling_loss_with_its_marks(extension, lesson):
    curves, chart = (extension.module(f"splat_addon.scene.review.{name}") for name in ("curves", "chart"))
    bpy.ops.splat.train_lesson(steps=60)
    bpy.ops.splat.densify_lesson()
    lesson.live.work(math.inf)
    bpy.ops.splat.train_lesson(steps=40)
    pixels, target = lesson.picture.paint(fit(lesson), 308), fit(lesson).target
    np.testing.assert_allclose(pixels[50, 50], 255 * target[16, 16], atol=12)
    assert np.abs(pixels[:100, :100].astype(int) - pixels[:100, 104:204]).mean() < 20
    below = pixels[110:]
    loss = np.argwhere(np.abs(below.astype(int) - curves.LOSS).max(axis=2) < 25)
    assert np.polyfit(loss[:, 1], loss[:, 0], 1)[0] > 0.1, "rows grow downwards"
    marked = np.argwhere((below == chart.MARKED).all(axis=2))
    assert len(np.unique(marked[:, 1])) == 1 and 0.5 < marked[0, 1] / 308 < 0.75


def test_a_logarithmic_axis_has_equal_steps_for_equal_factors(extension):
    chart = extension.module("splat_addon.scene.review.chart")
    line = chart.Line([0, 50, 100], [1.0, 0.1, 0.01], (255, 0, 0))
    pixels = chart.draw_chart((200, 200), [line], 100, "", is_log=True)
    rows, columns = np.nonzero((pixels[..., 0] > 200) & (pixels[..., 1] < 60))
    assert abs(np.corrcoef(columns, rows)[0, 1]) > 0.999, "a power is a straight line"
    assert [chart._power(value) for value in (0.0, -1.0, math.log10(5) - 4)] == ["1", "0.1", "5e-4"]


def test_undo_leaves_the_fit_where_it_is(lesson):
    bpy.ops.splat.train_lesson(steps=2)
    lesson.live._show_all()
    assert fit(lesson).step_count == 2 and lesson.shown.find(lesson.scene).data.name.startswith("Lesson")
