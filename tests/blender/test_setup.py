"""Setting up the trainer from Blender, and what the preferences show."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import bpy
import pytest


@pytest.fixture
def trainer_setup(extension):
    module = extension.module("splat_addon.scene.tasks.trainer_setup")
    extension.module("splat_addon.scene.settings.preferences").write_own("trainer.json", None)
    extension.drop(module.Children)
    yield module
    extension.drop(module.Children)


@pytest.fixture
def preferences(extension):
    chosen = bpy.context.preferences.addons[extension.name].preferences
    chosen.trainer_python = ""
    yield chosen
    chosen.trainer_python, chosen.setup_folder = "", "~/splat_trainer"


@pytest.fixture
def online():
    system = bpy.context.preferences.system
    before = system.use_online_access
    system.use_online_access = True
    yield
    system.use_online_access = before


def drawn(extension) -> list:
    """What the preferences draw, in order."""
    record: list = []
    panels = extension.module("panels.preferences")
    chosen = bpy.context.preferences.addons[extension.name].preferences
    panels._draw_python(RecordingLayout(record), chosen)
    panels._draw_set_up(RecordingLayout(record), chosen)
    return record


class RecordingLayout:
    """Stands where a layout stands and writes down what is drawn."""

    def __init__(self, record: list):
        self.record = record

    def __getattr__(self, name):
        def draw(*arguments, **options):
            if name in ("row", "column", "box", "split"):
                return RecordingLayout(self.record)
            if name == "operator":
                properties = type("Properties", (), {})()
                self.record.append(("operator", arguments[0], properties))
                return properties
            text = arguments[1] if name == "prop" else options.get("text", "")
            self.record.append((name, text, options.get("icon", "")))
            return None

        return draw


def labels(record) -> list[str]:
    return [entry[1] for entry in record if entry[0] == "label"]


def pump_until(trainer_setup, is_true, limit_s: float = 60.0) -> None:
    deadline = time.monotonic() + limit_s
    while not is_true():
        assert time.monotonic() < deadline
        trainer_setup.pump()


def test_nothing_is_downloaded_unless_online_access_is_allowed(extension, trainer_setup, preferences):
    bpy.context.preferences.system.use_online_access = False
    with pytest.raises(RuntimeError, match="Allow Online Access in Preferences › System first"):
        bpy.ops.splat.set_up_trainer()
    assert any("Online Access is off" in text for text in labels(drawn(extension)))


def test_the_preferences_say_what_a_python_lacks_and_how_to_get_it(extension, trainer_setup, preferences):
    assert any("No Python trains yet" in text for text in labels(drawn(extension)))
    preferences.trainer_python = sys.executable
    assert "Checking what it has …" in labels(drawn(extension)), "nobody has to ask for it"
    trainer_setup.wait()
    record = drawn(extension)
    assert any(text.startswith("Cannot train: PyTorch") for text in labels(record))
    assert "PyTorch: not installed" in labels(record)
    remedies = [entry[2].text for entry in record if entry[:2] == ("operator", "splat.copy_text")]
    assert remedies[0] == f'"{sys.executable}" -m pip install torch==2.13.0'


def test_a_python_that_cannot_train_is_asked_again_after_a_while(extension, trainer_setup, preferences, monkeypatch):
    preferences.trainer_python = sys.executable
    drawn(extension)
    trainer_setup.wait()
    asked = trainer_setup.examination(sys.executable)
    drawn(extension)
    assert trainer_setup.examination(sys.executable) is asked, "not at each drawing"
    monkeypatch.setattr(trainer_setup, "ASK_AGAIN_S", 0.0)
    assert any(text.startswith("Cannot train: PyTorch") for text in labels(drawn(extension))) is False
    again = trainer_setup.examination(sys.executable)
    assert again is not asked and again.refusal.startswith("The trainer Python cannot train. PyTorch: not installed.")
    trainer_setup.wait()


def test_what_a_python_has_is_kept_for_the_next_start(extension, trainer_setup, preferences, trainer_python):
    preferences.trainer_python = str(trainer_python)
    bpy.ops.splat.examine_trainer(wait=True)
    assert any(text.startswith("Trains on the CPU") for text in labels(drawn(extension)))
    extension.drop(trainer_setup.Children)  # as Blender does when it quits
    known = trainer_setup.examination(str(trainer_python))
    assert known is not None and known.child is None and known.verdict.startswith("Trains on")
    assert trainer_setup.examination(sys.executable) is None, "another Python is another question"


def test_a_python_that_is_none_is_said(extension, trainer_setup, preferences, tmp_path):
    with pytest.raises(RuntimeError, match="Choose a trainer Python, or set one up"):
        bpy.ops.splat.examine_trainer()
    preferences.trainer_python = str(tmp_path / "nowhere")
    with pytest.raises(RuntimeError, match="nowhere does not exist"):
        bpy.ops.splat.examine_trainer()
    (tmp_path / "file").write_text("no program")
    preferences.trainer_python = str(tmp_path / "file")
    with pytest.raises(RuntimeError, match="could not be started"):
        bpy.ops.splat.examine_trainer()


@pytest.mark.skipif(sys.platform == "win32", reason="uses a shell script")
def test_a_program_that_answers_nonsense_is_said(extension, trainer_setup, preferences, tmp_path):
    (tmp_path / "python").write_text("#!/bin/sh\necho no json\n")
    (tmp_path / "python").chmod(0o755)
    preferences.trainer_python = str(tmp_path / "python")
    bpy.ops.splat.examine_trainer(wait=True)
    said = " ".join(labels(drawn(extension)))
    assert "This Python cannot be checked: no json" in said


@pytest.mark.skipif(sys.platform == "win32", reason="environments hold a copy of the interpreter there")
@pytest.mark.parametrize("chosen", ["//env/bin/python", "//elsewhere/../env/bin/python", "env/bin/python"])
def test_a_python_of_an_environment_beside_the_file_is_not_taken_for_the_one_it_was_made_with(
    extension, preferences, tmp_path, chosen
):
    python = tmp_path / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(Path(sys.executable).resolve())
    (tmp_path / "env" / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).resolve().parent}\n")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "mine.blend"))
    preferences.trainer_python = chosen
    found = extension.module("splat_addon.scene.settings.preferences").trainer_python()
    assert found == str(python)
    prefix = subprocess.run([found, "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True).stdout
    assert prefix.strip() == str(tmp_path / "env")


def test_a_python_beside_a_file_that_was_not_saved_is_said(extension, preferences):
    preferences.trainer_python = "//env/bin/python"
    sentence = "//env/bin/python is relative to a .blend that was not saved yet. Save the file, or choose a full path."
    assert sentence in " ".join(labels(drawn(extension)))
    with pytest.raises(RuntimeError, match=re.escape(sentence)):
        bpy.ops.splat.examine_trainer()


@pytest.fixture
def machine(extension, trainer_setup):
    """Set-up takes this for another machine: system, processor, that of Blender's Python, macOS."""
    kind = extension.module("splat_addon.environment.machine").Machine

    def be(*values):
        trainer_setup._children().machine = kind(*values)

    return be


@pytest.mark.parametrize(
    ("values", "device", "sentence"),
    [
        (
            ("darwin", "x86_64", "x86_64", (15, 2)),
            "CPU",
            "PyTorch 2.13.0 has no build for Macs with an Intel processor.",
        ),
        (
            ("darwin", "arm64", "arm64", (13, 6)),
            "CPU",
            "PyTorch 2.13.0 needs macOS 14 or newer, and this is macOS 13.6.",
        ),
        (("darwin", "arm64", "arm64", (15, 2)), "CUDA", "Macs cannot train on an NVIDIA card. Choose CPU."),
    ],
)
def test_what_cannot_be_installed_is_said_in_the_preferences_and_the_button_is_gray(
    extension, trainer_setup, preferences, online, machine, values, device, sentence
):
    machine(*values)
    preferences.setup_device = device
    shown = " ".join(labels(drawn(extension)))
    assert sentence in shown and "Downloads about" not in shown
    assert device == "CUDA" or "Everything but training works here. Train on another machine" in shown
    with pytest.raises(RuntimeError, match=re.escape(sentence)):
        bpy.ops.splat.set_up_trainer()
    with pytest.raises(trainer_setup.SetupError, match=re.escape(sentence)):
        trainer_setup.start(Path("nowhere"), device.lower())
    assert trainer_setup.current() is None
    preferences.setup_device = "CPU"


def test_windows_on_arm_is_told_which_python_to_install_before_the_set_up(
    extension, trainer_setup, preferences, online, machine
):
    machine("win32", "arm64", "arm64")
    shown = " ".join(labels(drawn(extension)))
    assert "PyTorch has no build for Windows on ARM. A Python for x64 (python.org:" in shown
    assert "Downloads about 0.2 GB, and takes about 1.2 GB in the folder" in shown
    assert bpy.ops.splat.set_up_trainer.poll()


def test_a_folder_too_deep_for_windows_is_said_when_the_button_is_pressed(
    extension, trainer_setup, preferences, online, machine, tmp_path
):
    machine("win32", "x86_64", "x86_64", (), False)
    preferences.setup_folder = str(tmp_path / ("deep" * 20))
    with pytest.raises(RuntimeError, match=r"is too long a path: it has .* letters, and at most 69 leave room"):
        bpy.ops.splat.set_up_trainer()
    assert trainer_setup.current() is None and not (tmp_path / ("deep" * 20)).exists()


def scripted(trainer_setup, monkeypatch, script: str):
    """The set-up's child is this Python text."""
    child = trainer_setup.JsonChild
    monkeypatch.setattr(trainer_setup, "JsonChild", lambda _, *how: child([sys.executable, "-u", "-c", script], *how))


def test_a_set_up_shows_how_far_it_is_and_its_python_trains_afterwards(
    extension, trainer_setup, preferences, online, monkeypatch, tmp_path
):
    said = [{"fraction": 0.4, "text": "Downloading torch (850 MB)"}, {"finished": sys.executable}]
    script = f"import sys; print({json.dumps(said[0])!r}); sys.stdin.read(1); print({json.dumps(said[1])!r})"
    scripted(trainer_setup, monkeypatch, script)
    preferences.setup_folder = str(tmp_path / "env")
    assert bpy.ops.splat.set_up_trainer() == {"FINISHED"}
    pump_until(trainer_setup, lambda: trainer_setup.current().fraction > 0)
    record = drawn(extension)
    assert ("progress", "Downloading torch (850 MB)", "") in record
    assert "splat.cancel_set_up" in [entry[1] for entry in record if entry[0] == "operator"]
    with pytest.raises(RuntimeError, match="A set-up is already running"):
        bpy.ops.splat.set_up_trainer()
    monkeypatch.undo()  # the new Python is asked for real
    trainer_setup.current().child.let_go()
    deadline = time.monotonic() + 60
    while not trainer_setup.current().python:
        assert time.monotonic() < deadline
        trainer_setup._watch()
    assert preferences.trainer_python == sys.executable
    pump_until(trainer_setup, lambda: trainer_setup.examination(sys.executable).child is None)
    assert "The trainer is set up" in labels(drawn(extension))


def test_a_set_up_that_fails_says_so_and_can_be_started_again(
    extension, trainer_setup, preferences, online, monkeypatch, tmp_path
):
    preferences.setup_folder = str(tmp_path / "env")
    failed = json.dumps({"failed": "The disk is full.", "remedy": "Make room."})
    scripted(trainer_setup, monkeypatch, f"print({failed!r})")
    with pytest.raises(RuntimeError, match=r"The disk is full\. Make room\."):
        bpy.ops.splat.set_up_trainer(wait=True)
    assert "The disk is full. Make room." in labels(drawn(extension)) and preferences.trainer_python == ""
    monkeypatch.undo()
    scripted(trainer_setup, monkeypatch, "raise SystemExit('segmentation fault')")
    with pytest.raises(RuntimeError, match=r"The set-up ended unexpectedly: segmentation fault\. Start it again\."):
        bpy.ops.splat.set_up_trainer(wait=True)


def test_a_set_up_can_be_cancelled(extension, trainer_setup, preferences, online, tmp_path):
    """The real one: it has begun to make the environment when it is cancelled."""
    preferences.setup_folder = str(tmp_path / "env")
    bpy.ops.splat.set_up_trainer()
    pump_until(trainer_setup, lambda: "Making the environment" in trainer_setup.current().text)
    assert bpy.ops.splat.cancel_set_up() == {"FINISHED"}
    pump_until(trainer_setup, lambda: trainer_setup.current().is_over)
    assert trainer_setup.current().message == "The set-up was canceled. Start it again whenever you like."
    with pytest.raises(RuntimeError, match="No set-up is running"):
        bpy.ops.splat.cancel_set_up()


def test_a_remedy_is_copied(extension):
    assert bpy.ops.splat.copy_text(text="pip install torch") == {"FINISHED"}


def test_everything_but_training_works_without_a_trainer(extension, preferences, tmp_path):
    assert bpy.ops.splat.add_sample_scene() == {"FINISHED"}
    chosen = bpy.context.scene.splat.capture
    chosen.folder, chosen.camera_count, chosen.seed_count = str(tmp_path / "capture"), 2, 50
    chosen.width, chosen.height, chosen.samples, chosen.engine = 16, 12, 1, "CYCLES"
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    assert (Path(chosen.folder) / "transforms.json").is_file()
    with pytest.raises(RuntimeError, match="Set the trainer Python in the add-on preferences first"):
        bpy.ops.splat.start_training()
