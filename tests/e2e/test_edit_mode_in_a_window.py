"""Splats that are edited at a real window show what is selected. What `SPLAT_BLENDER_WINDOW` names,
`test_click_path.py` says."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from support import pixels

SCRIPT = Path(__file__).with_name("edit_mode_in_a_window.py")
LIMIT_S = 400
MANY_PX = 500  # 1500 points of some pixels each, on a ball of a few hundred pixels


@pytest.fixture(scope="module")
def photographs(built_zip, tmp_path_factory):
    """The folder with photographs of the 3D view: object.png, none.png, and one for each shading."""
    blender = os.environ.get("SPLAT_BLENDER_WINDOW")
    if not blender:
        pytest.skip("SPLAT_BLENDER_WINDOW does not name a Blender that can open a window here")
    folder = tmp_path_factory.mktemp("edit_mode")
    (folder / "user").mkdir()
    window = ["--window-geometry", "0", "0", "1000", "700", "--enable-event-simulate"]
    start = [blender, "--factory-startup", "--offline-mode", *window, "--python-exit-code", "1"]
    command = [*start, "--python", str(SCRIPT), "--", str(built_zip), str(folder)]
    variables = {"BLENDER_USER_RESOURCES": str(folder / "user"), "MESA_SHADER_CACHE_DIR": str(folder / "mesa")}
    answer = subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    written = folder / "outcome.json"
    assert written.is_file(), f"Blender ended with {answer.returncode}:\n{answer.stdout}\n{answer.stderr}"
    outcome = json.loads(written.read_text(encoding="utf-8"))
    assert outcome == "content", outcome
    return folder


def count(path, is_it) -> int:
    """How many pixels of a photograph are so, by their red, green and blue of 0..1."""
    red, green, blue = np.moveaxis(pixels.read(path)[..., :3], -1, 0)
    return int(np.sum(is_it(red, green, blue)))


def is_orange(red, green, blue):
    return (red > 0.85) & (green > 0.3) & (green < 0.7) & (blue < 0.25)


def is_green(red, green, blue):
    return (green > 0.5) & (red < 0.5 * green + 0.1) & (blue < 0.5 * green + 0.1)


@pytest.mark.parametrize("shading", ["SOLID", "WIREFRAME", "MATERIAL"])
def test_selected_points_are_orange_over_their_splats_in_every_shading(photographs, shading):
    assert count(photographs / "object.png", is_orange) < MANY_PX / 5
    assert count(photographs / "object.png", is_green) > 5000
    assert count(photographs / f"{shading}.png", is_orange) > MANY_PX


def test_what_is_not_selected_is_not_orange_and_the_splats_stay(photographs):
    assert count(photographs / "none.png", is_orange) < MANY_PX / 5
    assert count(photographs / "none.png", is_green) > 1000
