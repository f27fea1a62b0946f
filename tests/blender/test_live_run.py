"""A run as Blender watches it: scripted children for every way it can go, then the real trainer."""

import os
import sys
import time
from pathlib import Path

import bpy
import numpy as np
import pytest

PYTHON = Path(sys.executable)


@pytest.fixture
def live_run(extension):
    module = extension.module("splat_addon.scene.tasks.live_run")
    yield module
    if module.current() is not None and not module.current().is_over:
        module.current().process.close()
    extension.drop(module.Watched)


@pytest.fixture
def views(extension):
    return extension.module("splat_addon.scene.review.views")


@pytest.fixture
def events(extension):
    return extension.module("splat_addon.run.events")


@pytest.fixture
def scripted(extension, live_run, tmp_path, monkeypatch):
    """Start a run whose child is the given Python text; `say(event)` lines are prepared by the caller."""

    def start(script: str):
        preamble = "import sys, json\ndef hear():\n    return json.loads(sys.stdin.readline() or '{}').get('command')\n"
        monkeypatch.setattr(
            live_run, "trainer_command", lambda python, folder: [str(python), "-u", "-c", preamble + script]
        )
        config = extension.module("splat_addon.run.config").TrainConfig(capture=str(tmp_path), iterations=10)
        return live_run.start(bpy.context.scene, config, tmp_path / f"run_{len(list(tmp_path.iterdir()))}", PYTHON)

    return start


def say(events, *spoken) -> str:
    return "\n".join(f"print({events.encode_event(event)!r}, flush=True)" for event in spoken) + "\n"


def pump_until(live_run, is_wanted, limit_s: float = 120.0):
    deadline = time.monotonic() + limit_s
    while not is_wanted(live_run.current()):
        assert time.monotonic() < deadline, live_run.current()
        live_run.pump()


def started(events):
    return events.Started(events.PROTOCOL, "scripted", 10, 7, 2, 100, 1)


def evaluated(events, step, **quality):
    views = tuple(events.ViewQuality(name, value, 0.9) for name, value in quality.items())
    return events.Evaluated(step, 20.0, 0.9, 100, "held_out/x", views)


def test_events_become_what_the_panel_shows(live_run, events, scripted):
    run = scripted(
        say(
            events,
            started(events),
            events.Progressed(5, 0.1, 120, 3.0, 2.0, "training", 0.5),
            events.Warned("One photo is missing."),
            evaluated(events, 5, a=30.0, b=20.0, c=25.0),
            events.SnapshotSaved(5, "snapshots/step_000005.ply", 120),
            events.Finished(10, False, 130, 4.0),
        )
    )
    assert run.state == "starting"
    pump_until(live_run, lambda run: run.is_over)
    assert (run.state, run.backend, run.fraction) == ("finished", "scripted", 0.5)
    assert run.warnings == ["One photo is missing."]
    assert run.splats == events.SnapshotSaved(5, "snapshots/step_000005.ply", 120)
    listed = [(view.name, view.psnr_db) for view in bpy.context.scene.splat.held_out_views]
    assert listed == [("b", 20.0), ("c", 25.0), ("a", 30.0)], "the worst view stands first"


def test_the_chosen_view_stays_chosen_when_the_order_changes(live_run, views, events, scripted):
    scripted(say(events, started(events), evaluated(events, 0, a=10.0, b=20.0)) + "hear()")
    pump_until(live_run, lambda run: run.evaluations)
    splat = bpy.context.scene.splat
    splat.held_out_index = 1
    views.list_views(bpy.context.scene, evaluated(events, 5, a=30.0, b=20.0))
    assert splat.held_out_views[splat.held_out_index].name == "b" and splat.held_out_index == 0


def test_where_no_view_was_chosen_the_worst_is_chosen_after_each_measurement(views, events):
    scene = bpy.context.scene
    splat = scene.splat
    for quality, worst in (({"a": 10.0, "b": 20.0}, "a"), ({"a": 30.0, "b": 20.0}, "b"), ({"a": 5.0, "b": 9.0}, "a")):
        views.list_views(scene, evaluated(events, 5, **quality))
        assert splat.held_out_index == 0 and splat.held_out_views[0].name == worst


def test_a_choice_is_kept_by_name_through_measurements_that_lack_it(views, events):
    scene = bpy.context.scene
    splat = scene.splat
    views.list_views(scene, evaluated(events, 0, a=10.0, b=20.0, c=30.0))
    splat.held_out_index = 2
    views.list_views(scene, evaluated(events, 5, a=10.0, b=20.0))
    assert splat.held_out_index == 0, "the worst, since c was not measured"
    views.list_views(scene, evaluated(events, 9, a=10.0, b=20.0, c=15.0))
    assert splat.held_out_views[splat.held_out_index].name == "c" and splat.held_out_index == 1


def test_a_crash_is_said_and_another_run_can_start(live_run, events, scripted):
    run = scripted(say(events, started(events)) + "sys.stderr.write('boom\\n'); sys.exit(9)")
    pump_until(live_run, lambda run: run.is_over)
    assert run.state == "failed" and run.message.startswith("The trainer ended with code 9: boom")
    assert not live_run.is_training()
    scripted(say(events, started(events), events.Finished(10, True, 1, 1.0)))
    pump_until(live_run, lambda run: run.is_over)
    assert live_run.current().message == "Stopped after 10 steps."


def test_starting_twice_is_refused(extension, live_run, events, scripted, tmp_path):
    scripted(say(events, started(events)) + "hear()")
    with pytest.raises(extension.module("splat_addon.errors").RunError, match="A run is already training"):
        scripted("")
    bpy.context.scene.splat.capture.folder = str(tmp_path)
    with pytest.raises(RuntimeError, match="A run is already training: stop it first"):
        bpy.ops.splat.start_training()


def test_stop_shows_at_once_and_ends_the_run(live_run, events, scripted):
    ending = say(events, events.Finished(3, True, 1, 1.0)).replace("\n", ";")
    run = scripted(say(events, started(events)) + f"if hear() == 'stop': {ending}")
    pump_until(live_run, lambda run: run.state == "training")
    assert bpy.ops.splat.command_training(command="stop") == {"FINISHED"}
    assert run.state == "stopping"
    pump_until(live_run, lambda run: run.is_over)
    assert run.state == "finished"


def test_commands_without_a_run_say_why(live_run):
    with pytest.raises(RuntimeError, match="No run is training"):
        bpy.ops.splat.command_training(command="stop")


def set_trainer_python(extension, path) -> None:
    bpy.context.preferences.addons[extension.name].preferences.trainer_python = str(path)


def test_start_without_trainer_python_says_why(extension, live_run, tmp_path):
    set_trainer_python(extension, "")
    bpy.context.scene.splat.capture.folder = str(tmp_path)
    with pytest.raises(RuntimeError, match="Set the trainer Python in the add-on preferences first"):
        bpy.ops.splat.start_training()


def test_a_trainer_python_that_does_not_exist_is_said_and_no_run_folder_is_made(extension, live_run, tmp_path):
    set_trainer_python(extension, tmp_path / "no" / "python")
    (tmp_path / "capture").mkdir()
    bpy.context.scene.splat.capture.folder = str(tmp_path / "capture")
    with pytest.raises(RuntimeError, match=r"The trainer Python .* does not exist"):
        bpy.ops.splat.start_training()
    assert not (tmp_path / "capture_runs").exists()


def forget_what_was_asked(extension):
    """Nobody knows yet what the chosen Python has: panels that earlier tests drew have asked it."""
    extension.module("splat_addon.scene.tasks.trainer_setup")._children().examination = None


def test_a_capture_that_does_not_exist_is_said(extension, live_run, tmp_path):
    set_trainer_python(extension, PYTHON)
    forget_what_was_asked(extension)
    bpy.context.scene.splat.capture.folder = str(tmp_path / "nowhere")
    with pytest.raises(RuntimeError, match=r"The capture folder .*nowhere does not exist"):
        bpy.ops.splat.start_training()


def test_blenders_own_python_says_that_torch_is_missing(extension, live_run, tmp_path):
    """The tests' Blender environment has no PyTorch: exactly the mistake that users make."""
    set_trainer_python(extension, PYTHON)
    forget_what_was_asked(extension)
    bpy.context.scene.splat.capture.folder = str(tmp_path)
    assert bpy.ops.splat.start_training() == {"FINISHED"}
    pump_until(live_run, lambda run: run.is_over)
    assert live_run.current().state == "failed"
    assert "lacks torch" in live_run.current().message and "pip install torch" in live_run.current().message


def test_every_training_setting_survives_the_interface(extension, tmp_path):
    settings = extension.module("splat_addon.scene.settings.training")
    config_module = extension.module("splat_addon.run.config")
    changed = {"capture": str(tmp_path)}
    for spec in settings.TRAINING_FIELDS:
        low, high, choices = (spec.metadata[key] for key in ("low", "high", "choices"))
        if choices:
            changed[spec.name] = choices[-1]
        elif isinstance(spec.default, bool):
            changed[spec.name] = not spec.default
        elif isinstance(spec.default, str):
            changed[spec.name] = str(tmp_path / "splats.ply")
        elif isinstance(spec.default, int):
            changed[spec.name] = min(high, spec.default + 1)
        else:
            changed[spec.name] = round(low + (high - low) * 0.123456, 6)
    config = config_module.TrainConfig(**changed)
    settings.apply_train_config(bpy.context.scene, config)
    assert settings.train_config(bpy.context.scene) == config
    settings.apply_train_config(bpy.context.scene, config_module.TrainConfig(capture=str(tmp_path)))
    assert settings.train_config(bpy.context.scene) == config_module.TrainConfig(capture=str(tmp_path))


def test_a_path_beside_an_unsaved_file_is_said(extension):
    bpy.context.scene.splat.capture.folder = "//capture"
    with pytest.raises(extension.module("splat_addon.errors").RunError, match="Save the file, or choose a full path"):
        extension.module("splat_addon.scene.settings.training").train_config(bpy.context.scene)


def test_import_before_any_splats_says_why(extension, live_run, events, scripted):
    with pytest.raises(RuntimeError, match="Train first, or choose a run: this scene has none"):
        bpy.ops.splat.import_result()
    scripted(say(events, started(events)) + "hear()")
    pump_until(live_run, lambda run: run.state == "training")
    with pytest.raises(RuntimeError, match="has no splats yet"):
        bpy.ops.splat.import_result()


def test_a_run_that_never_starts_does_not_hide_an_earlier_one(live_run, events, scripted, tmp_path):
    scene = bpy.context.scene
    run = scripted(say(events, started(events), evaluated(events, 5, a=30.0), events.Finished(10, False, 1, 1.0)))
    pump_until(live_run, lambda run: run.is_over)
    # the trainer records its events itself; here the scripted child's are written for it
    run.folder.events_file.write_text(events.encode_event(evaluated(events, 5, a=30.0)) + "\n")
    scripted("sys.exit(1)")
    pump_until(live_run, lambda run: run.is_over)
    assert scene.splat.run_folder == str(run.folder.path)
    assert [view.name for view in scene.splat.held_out_views] == ["a"]


def test_the_folder_of_a_run_in_which_nothing_was_written_is_removed(live_run, events, scripted):
    never = scripted("sys.exit(1)")
    pump_until(live_run, lambda run: run.is_over)
    assert never.state == "failed" and not never.folder.path.exists()
    broken = scripted(say(events, started(events)) + "sys.exit(1)")
    pump_until(live_run, lambda run: run.is_over)
    assert broken.folder.config_file.exists(), "what a run that began has said is kept"


def test_a_child_that_cannot_be_started_leaves_no_folder(extension, live_run, tmp_path, monkeypatch):
    (tmp_path / "no_program").write_text("text")
    monkeypatch.setattr(live_run, "trainer_command", lambda python, folder: [str(tmp_path / "no_program")])
    config = extension.module("splat_addon.run.config").TrainConfig(capture=str(tmp_path), iterations=10)
    with pytest.raises(extension.module("splat_addon.errors").SetupError, match="could not be started"):
        live_run.start(bpy.context.scene, config, tmp_path / "c_runs" / "run_001", PYTHON)
    assert not (tmp_path / "c_runs").exists()


def test_undo_does_not_lose_the_run(extension, live_run, events, scripted):
    run = scripted(say(events, started(events)) + "hear()")
    pump_until(live_run, lambda run: run.state == "training")
    bpy.context.scene.splat.run_folder = ""  # as undoing to a state before the start leaves it
    extension.module("splat_addon.scene.tasks.watching").keep_run_through_undo()
    assert bpy.context.scene.splat.run_folder == str(run.folder.path)


def test_another_file_does_not_receive_the_run(live_run, events, scripted, tmp_path):
    scripted(say(events, started(events)) + "hear()\n" + say(events, evaluated(events, 5, a=30.0)) + "hear()")
    pump_until(live_run, lambda run: run.state == "training")
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    live_run.send("snapshot")
    pump_until(live_run, lambda run: run.evaluations)
    assert len(bpy.context.scene.splat.held_out_views) == 0 and bpy.context.scene.splat.run_folder == ""


def test_paths_are_read_as_users_type_them(extension, tmp_path):
    absolute = extension.module("splat_addon.scene.settings.paths").absolute
    assert absolute("~/x") == Path.home() / "x"
    assert absolute("/a/b") == Path("/a/b")
    with pytest.raises(extension.module("splat_addon.errors").RunError, match="Save the file"):
        absolute("captures/x")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    assert absolute("captures/x") == tmp_path / "captures" / "x" == absolute("//captures/x")


def test_closing_lets_the_child_save_and_end(extension, live_run, events, scripted, tmp_path):
    run = scripted(say(events, started(events)) + f"sys.stdin.read(); open({str(tmp_path / 'saved')!r}, 'w').close()")
    pump_until(live_run, lambda run: run.state == "training")
    extension.drop(live_run.Watched)
    deadline = time.monotonic() + 20
    while not (tmp_path / "saved").exists():
        assert time.monotonic() < deadline
        os.stat(tmp_path)
    assert live_run.current() is None
    run.process.close()


def test_the_whole_loop_brings_splats_to_the_place_of_the_scene(extension, live_run, trainer_python, tmp_path):
    """Sample scene -> capture -> training -> splats -> held-out view, through the operators; then Cycles renders the
    splats alone through a held-out camera, and they cover what the photo shows, in its colours."""
    scene = bpy.context.scene
    set_trainer_python(extension, trainer_python)
    assert bpy.ops.splat.add_sample_scene() == {"FINISHED"}
    meshes = list(bpy.context.selected_objects)
    chosen, training = scene.splat.capture, scene.splat.training
    chosen.folder, chosen.camera_count, chosen.seed_count = str(tmp_path / "capture"), 10, 4000
    chosen.width, chosen.height, chosen.samples, chosen.use_denoising = 96, 72, 4, True
    chosen.engine = "CYCLES"
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    training.iterations, training.eval_every = 60, 0
    assert bpy.ops.splat.start_training() == {"FINISHED"}
    pump_until(live_run, lambda run: run.is_over, limit_s=300)
    run = live_run.current()
    assert run.state == "finished", run.message
    assert run.evaluations[-1].psnr_db > run.evaluations[0].psnr_db + 2
    assert [view.name for view in scene.splat.held_out_views] != []

    assert bpy.ops.splat.import_result() == {"FINISHED"}
    item = bpy.context.active_object
    assert np.allclose(np.array(item.matrix_world), np.eye(4)), "splats return at the identity"
    splats = extension.module("splat_addon.scene.splats.data")
    assert len(splats.splats_from_object(item)) == run.evaluations[-1].gaussian_count

    for other in meshes:
        other.hide_render = True
    view = extension.module("splat_addon.capture.capture").open_capture(tmp_path / "capture").held_out_views[0]
    scene.camera = bpy.data.objects[view.name.replace("_", " ")]
    photo = load_pixels(view.image_path)
    render = render_splats(scene, tmp_path / "splats.png", "BLENDER")
    seen, drawn = photo[..., 3] > 0.5, render[..., 3] > 0.5
    overlap = (seen & drawn).sum() / (seen | drawn).sum()
    assert overlap > 0.85
    mirrored = (seen & drawn[:, ::-1]).sum() / (seen | drawn[:, ::-1]).sum()
    assert overlap > mirrored + 0.02
    both = seen & drawn
    difference = np.abs(photo[both][:, :3] - render[both][:, :3])
    flipped = np.abs(photo[::-1, ::-1][both][:, :3] - render[both][:, :3])
    assert difference.mean() < 0.10 and difference.mean() < 0.6 * flipped.mean()

    trained = load_pixels(run.folder.path / run.evaluations[-1].folder / f"{view.name}.png")
    # Captures of a scene are trained as Blender blends.
    render = render_splats(scene, tmp_path / "trainer.png", "BLENDER")
    over_black = [picture[..., :3] * picture[..., 3:] for picture in (trained, render)]
    error = np.mean((over_black[0] - over_black[1]) ** 2)
    assert -10 * np.log10(error) > 48, "the same 8-bit picture that the trainer made"


def load_pixels(path) -> np.ndarray:
    image = bpy.data.images.load(str(path))
    values = np.empty(image.size[0] * image.size[1] * 4, dtype=np.float32)
    image.pixels.foreach_get(values)
    return values.reshape(image.size[1], image.size[0], 4)


def render_splats(scene, path, look: str) -> np.ndarray:
    scene.splat.look = look
    assert bpy.ops.splat.set_up_render(is_exact=True) == {"FINISHED"}
    scene.render.engine = "CYCLES"
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 96, 72, 100
    scene.render.film_transparent = True
    scene.render.image_settings.file_format, scene.render.image_settings.color_mode = "PNG", "RGBA"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    return load_pixels(path)
