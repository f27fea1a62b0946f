"""A person at a real window: from the default scene to trained splats and the wipe.

SPLAT_BLENDER_WINDOW names the executable of a Blender that can open a window where the tests run (on Linux without a
screen: `xvfb-run -s "-screen 0 1600x1000x24" python3 dev.py test tests/e2e`). `click_path.py` is what it does there.
"""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from support import pixels

SCRIPT = Path(__file__).with_name("click_path.py")
LIMIT_S = 1200
BADGE_FROM = 0.8  # of the frame's height: above, there are the badge and the view's buttons
LINE_PX = 16  # around the wipe line, with its grip


@pytest.fixture(scope="module")
def walked(built_zip, trainer_python, tmp_path_factory):
    """Where the click path has left its photographs, and what it found."""
    blender = os.environ.get("SPLAT_BLENDER_WINDOW")
    if not blender:
        pytest.skip("SPLAT_BLENDER_WINDOW does not name a Blender that can open a window here")
    folder = tmp_path_factory.mktemp("click_path")
    user = folder / "user"
    user.mkdir()
    window = ["--window-geometry", "0", "0", "1600", "1000", "--enable-event-simulate"]
    start = [blender, "--factory-startup", "--offline-mode", *window, "--python-exit-code", "1"]
    command = [*start, "--python", str(SCRIPT), "--", str(built_zip), str(trainer_python), str(folder)]
    variables = {"BLENDER_USER_RESOURCES": str(user), "MESA_SHADER_CACHE_DIR": str(folder / "mesa")}
    answer = subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    written = folder / "result.json"
    assert written.is_file(), f"Blender ended with {answer.returncode}:\n{answer.stdout}\n{answer.stderr}"
    found = json.loads(written.read_text(encoding="utf-8"))
    assert "failure" not in found, found["failure"]
    return folder, found


def over_white(path) -> np.ndarray:
    """(H, W, 3) of an image file, 0..1, the bottom row first, what is transparent over white."""
    image = pixels.read(Path(path))[::-1]
    return image[..., :3] * image[..., 3:] + (1 - image[..., 3:])


def seen_through(frame, image: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The colors that `image`, laid over `frame`, has at pixels of the screen."""
    left, bottom, right, top = frame
    down = ((rows + 0.5 - bottom) / (top - bottom) * image.shape[0]).astype(int)
    across = ((columns + 0.5 - left) / (right - left) * image.shape[1]).astype(int)
    return image[np.ix_(down, across)]


def test_the_clicks_end_with_the_splats_that_were_trained(walked):
    _, found = walked
    item = found["object"]
    with open(Path(item["run"], "splats.ply"), "rb") as file:
        header = file.read(4096).split(b"end_header")[0].decode("ascii")
    assert item["name"] == Path(item["run"]).name and item["is visible"]
    assert f"element vertex {item['splats']}\n" in header and item["splats"] >= 3000
    harmonics = {f"radiance:sh_{number}" for number in range(15)}
    assert {"position", "scale", "rotation", "radiance:base"} | harmonics <= set(item["attributes"])


@pytest.mark.parametrize("picture, wipe", [("wipe.png", 0.5), ("dragged.png", 0.3)])
def test_the_photo_is_left_of_the_wipe_and_what_was_trained_right_of_it(walked, picture, wipe):
    folder, found = walked
    seen = found[picture]
    assert seen["wipe"] == pytest.approx(wipe, abs=0.01)
    assert seen["camera"] == "Splat Held-out View" and seen["resolution"] == [120, 90]
    photo, trained = over_white(found["view"]["photo"]), over_white(found["view"]["trained"])
    screen = pixels.read(folder / picture)[::-1, :, :3]
    left, bottom, right, top = seen["frame"]
    rows = np.arange(int(bottom) + 4, int(bottom + BADGE_FROM * (top - bottom)))
    line = left + seen["wipe"] * (right - left)
    for begin, end, shown, other in (
        (left + 4, line - LINE_PX, photo, trained),
        (line + LINE_PX, right - 4, trained, photo),
    ):
        columns = np.arange(int(begin), int(end))
        there = screen[np.ix_(rows, columns)]
        from_shown, from_other = (
            np.abs(there - seen_through(seen["frame"], image, rows, columns)).mean() for image in (shown, other)
        )
        assert from_shown < 0.01 and from_other > 3 * from_shown, (from_shown, from_other)


def test_leaving_the_review_leaves_every_setting_as_it_was(walked):
    _, found = walked
    bounces = {"cycles.transparent_max_bounces": "1024", "cycles.min_transparent_bounces": "256"}  # set for splats
    assert found["settings after"] == found["settings before"] | bounces
    assert found["settings before"]["camera"] == "Camera" and len(found["settings before"]) > 100
    assert found["perspective after"] == "PERSP"
