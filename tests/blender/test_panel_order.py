"""What an artist finds at first in the sidebar: stages in their order, and what is not needed yet folded away."""

import bpy
import numpy as np
import pytest

from support.recording_layout import RecordingLayout, drawn, texts
from support.splat_objects import make_splats


@pytest.fixture
def panels(extension):
    classes = [cls for module in extension.module("panels").modules() for cls in module.CLASSES]
    found = [cls for cls in classes if issubclass(cls, bpy.types.Panel)]
    return [
        cls for cls in found if "HIDE_HEADER" not in getattr(cls, "bl_options", ())
    ]  # no stage, but what comes first


def is_closed(panel) -> bool:
    return "DEFAULT_CLOSED" in getattr(panel, "bl_options", set())


def test_the_panels_name_the_stages_in_their_order(panels):
    sidebar = [panel for panel in panels if panel.bl_space_type == "VIEW_3D"]
    stages = [panel.bl_label for panel in sidebar if not getattr(panel, "bl_parent_id", "")]
    assert stages == ["Capture", "Seeds", "Training", "Splats", "Held-out Review", "Lesson"]


def test_what_renders_of_splats_need_stands_beside_the_render_settings_too(panels, extension):
    panel = next(panel for panel in panels if panel.bl_space_type == "PROPERTIES")
    assert panel.bl_context == "render" and not panel.poll(bpy.context)
    make_splats(extension, np.zeros((3, 3)))
    assert panel.poll(bpy.context)
    record = drawn(panel, bpy.context)
    assert ("operator", "splat.set_up_render", None) in record and "The scene has no camera" in texts(record)


def test_only_what_every_artist_needs_is_open_at_first(panels):
    opened = {panel.bl_label for panel in panels if not is_closed(panel)}
    assert opened == {"Capture", "Capture Card", "Training", "Splats", "Held-out Review", "Curves"}


def test_below_training_the_curves_stand_last_since_there_is_nothing_to_press(panels):
    below = [panel for panel in panels if getattr(panel, "bl_parent_id", "") == "SPLAT_PT_training"]
    below.sort(key=lambda panel: getattr(panel, "bl_order", 0))
    assert [panel.bl_label for panel in below] == ["Advanced", "Runs", "Curves"]


def test_while_a_run_trains_its_settings_are_folded(extension, monkeypatch, tmp_path):
    live_run, events = extension.module("splat_addon.scene.tasks.live_run"), extension.module("splat_addon.run.events")
    folder = extension.module("splat_addon.run.folder").RunFolder(tmp_path)
    run = live_run.LiveRun(folder, None, bpy.context.scene.session_uid, 1000)
    run.apply(events.Started(events.PROTOCOL, "cuda", 1000, 7, 2, 50, 1))
    run.apply(events.Progressed(250, 0.1, 20_000, 12.34, 61.0, "training", 0.25))
    monkeypatch.setattr(live_run.watched(), "run", run)
    panel = extension.module("panels.training").SPLAT_PT_training
    folded = drawn(panel, bpy.context, opens=False)
    assert ("prop", "iterations") not in folded and ("label", "Settings") in folded
    assert ("prop", "iterations") in drawn(panel, bpy.context)
    assert "Step 250 of 1\u00a0000 Speed 12.3 it/s, CUDA Splats 20\u00a0000" in texts(folded)


@pytest.mark.parametrize(
    ("number", "said"), [(0, "No View"), (1, "Every View"), (2, "Every 2nd View"), (8, "Every 8th View")]
)
def test_hold_out_every_is_a_sentence(extension, number, said):
    texts_of = {}

    class Layout:
        def __getattr__(self, name):
            return lambda *_, **__: (self, self) if name == "panel" else self

        def prop(self, owner, identifier, text=None):
            texts_of[identifier] = text

    bpy.context.scene.splat.training.hold_out_every = number
    panel = extension.module("panels.training").SPLAT_PT_training_advanced
    panel.draw(type("StandIn", (), {"layout": Layout()})(), bpy.context)
    assert texts_of["hold_out_every"] == f"Hold Out {said}"


def test_the_interval_between_previews_has_a_unit():
    interval = bpy.context.scene.splat.bl_rna.properties["follow_every_s"]
    assert (interval.unit, interval.type, interval.default) == ("TIME_ABSOLUTE", "FLOAT", 5.0)


def test_settings_of_splats_and_renders_are_split_like_all_others(extension):
    """Names stand in one column: with split properties, nobody writes a name before its field with a colon."""
    module = extension.module("panels.splats")
    for panel in (module.SPLAT_PT_splats, module.SPLAT_PT_viewport, module.SPLAT_PT_render):
        layout = RecordingSplit()
        panel.draw(type("StandIn", (), {"layout": layout})(), bpy.context)
        assert layout.drawn and all(is_split for _, is_split in layout.drawn)


class RecordingSplit:
    """Remembers which properties are drawn, with or without a split."""

    def __init__(self):
        self.use_property_split, self.drawn = False, []

    def __getattr__(self, name):
        return lambda *_, **__: self

    def prop(self, owner, identifier, **_):
        self.drawn.append((identifier, self.use_property_split))


def test_the_splats_panel_tells_large_counts_in_groups_of_digits(extension):
    item = make_splats(extension, np.zeros((1234, 3)), "Cloud")
    bpy.context.view_layer.objects.active = item
    panel = extension.module("panels.splats").SPLAT_PT_splats
    assert ("label", "Cloud: 1\u00a0234 splats") in drawn(panel, bpy.context)


def test_sentences_are_broken_at_spaces_but_not_within_numbers(extension):
    wrapped = extension.module("panels.wrap").wrapped
    assert wrapped("about 20\u00a0000 splats", 11) == ["about", "20\u00a0000", "splats"]


def test_a_word_wider_than_the_line_is_broken_and_nothing_is_lost(extension):
    wrapped = extension.module("panels.wrap").wrapped
    lines = wrapped("in /renders/room_long_name/images now", 10)
    assert max(map(len, lines)) <= 10 and lines[0] == "in" and "".join(lines[1:-1]).startswith("/renders/r")
    assert "".join(lines).replace(" ", "") == "in/renders/room_long_name/imagesnow"
    assert wrapped("", 10) == [""] and wrapped("abc", 0) == ["a", "b", "c"]


@pytest.mark.parametrize("width", [120, 200, 280, 600])
def test_sentences_and_facts_fit_into_the_region_as_its_font_measures_them(extension, monkeypatch, width):
    """The judge is Blender's own measure of letters."""
    wrap, sentence = extension.module("panels.wrap"), "WWW iii The quick brown fox jumps over the lazy dog. " * 3
    region, preferences = type("Region", (), {"width": width})(), bpy.context.preferences
    monkeypatch.setattr(wrap.bpy, "context", type("Context", (), {"region": region, "preferences": preferences})())
    record: list = []
    wrap.draw_sentence(RecordingLayout(record), sentence, "INFO")
    lines = [text for _, text in record]
    blf = wrap.blf
    blf.size(0, preferences.ui_styles[0].widget.points)
    widest = max(blf.dimensions(0, line)[0] for line in lines)
    assert widest <= max(60, width - 54) - 22, "beside tabs, margins and the icon"
    assert "".join(lines).replace(" ", "") == sentence.replace(" ", "")
    if width >= 200:
        assert " ".join(lines).split() == sentence.split(), "whole words"
        assert widest > 0.6 * (width - 88), "a wide region is used"
    record.clear()
    wrap.draw_fact(RecordingLayout(record), "Held-out PSNR", "21.77 dB, init 12.20")
    values = " ".join(text for _, text in record[1::2])
    assert values.replace(" ", "") == "21.77dB,init12.20"
    assert max(blf.dimensions(0, text)[0] for _, text in record[1::2]) <= 0.6 * max(60, width - 54)
