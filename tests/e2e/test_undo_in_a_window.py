"""Undo and redo at a real window while a run trains. What `SPLAT_BLENDER_WINDOW` names, `test_click_path.py` says."""

import json
import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("undo_in_a_window.py")
LIMIT_S = 400


def test_blender_lives_through_undo_and_redo_while_previews_and_the_result_come(built_zip, tmp_path):
    blender = os.environ.get("SPLAT_BLENDER_WINDOW")
    if not blender:
        pytest.skip("SPLAT_BLENDER_WINDOW does not name a Blender that can open a window here")
    (tmp_path / "user").mkdir()
    window = ["--window-geometry", "0", "0", "640", "480", "--enable-event-simulate"]
    start = [blender, "--factory-startup", "--offline-mode", *window, "--python-exit-code", "1"]
    command = [*start, "--python", str(SCRIPT), "--", str(built_zip), str(tmp_path)]
    variables = {"BLENDER_USER_RESOURCES": str(tmp_path / "user"), "MESA_SHADER_CACHE_DIR": str(tmp_path / "mesa")}
    answer = subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    written = tmp_path / "outcome.json"
    assert written.is_file(), f"Blender ended with {answer.returncode}:\n{answer.stdout}\n{answer.stderr}"
    outcome = json.loads(written.read_text(encoding="utf-8"))
    assert outcome == "content", outcome
