"""The report of a run: one page, with the run's own numbers and images in it."""

import base64
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from splat_addon.errors import RunError, SetupError
from splat_addon.run.config import TrainConfig
from splat_addon.run.events import Evaluated, Failed, Finished, Progressed, Started, ViewQuality, encode_event
from splat_addon.run.folder import RunFolder, write_json
from splat_addon.trainer import baseline
from splat_addon.trainer.report import write
from support.scenes import write_ball_capture

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(tmp_path):
    """A run on a small capture that was measured twice and is still going on."""
    capture = write_ball_capture(tmp_path / "ball & <co>")
    folder = RunFolder.create(tmp_path / "run", TrainConfig(capture=str(capture), iterations=300))
    qualities = {0: (11.25, 13.5), 200: (31.515625, 22.0078125)}
    measured = []
    for step, values in qualities.items():
        views = []
        for number, (name, value) in enumerate(zip(("view_00", "view_08"), values, strict=True)):
            path = folder.renders_folder(step) / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((30, 40, 3), 40 * number + step // 2, dtype=np.uint8)).save(path)
            views.append(ViewQuality(name, value, value / 64))
        mean = sum(values) / 2
        folder_name = folder.renders_folder(step).relative_to(folder.path).as_posix()
        measured.append(Evaluated(step, mean, mean / 64, 100 + step, folder_name, tuple(views)))
    events = [Started(1, "cpu", 300, 8, 2, 100, 1)]
    events += [Progressed(step, 1 / step, 100 + step, 9.0, 1.0) for step in range(1, 201)]
    folder.events_file.write_text("".join(encode_event(event) + "\n" for event in [*events, *measured]))
    entries = [json.loads(encode_event(entry)) for entry in measured]
    write_json(folder.metrics_file, [{**entry, "train_psnr_db": 33.125} for entry in entries])
    return folder


def table(page: str, name: str) -> list[list[str]]:
    """The texts of the cells of a table, row by row without the head."""
    body = re.search(rf'<table class="{name}">(.*?)</table>', page, re.S).group(1)
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.S) for row in re.findall(r"<tr>(.*?)</tr>", body, re.S)]
    return rows[1:]


def test_the_numbers_are_those_of_metrics_json_the_worst_view_first(run):
    page = write.save_report(run).read_text(encoding="utf-8")
    metrics = json.loads(run.metrics_file.read_text())
    steps = table(page, "steps")
    assert [row[0] for row in steps] == ["init only", "200"]
    for row, entry in zip(steps, metrics, strict=True):
        assert row[1] == f"{entry['psnr_db']:.2f}" and row[2] == f"{entry['ssim']:.4f}"
        assert row[-1] == str(entry["gaussian_count"])
    views = table(page, "views")
    expected = sorted(metrics[-1]["views"], key=lambda view: view["psnr_db"])
    assert [row[:3] for row in views] == [
        [view["name"], f"{view['psnr_db']:.2f}", f"{view['ssim']:.4f}"] for view in expected
    ]
    assert views[0][0] == "view_08"


def test_images_are_in_the_page_and_show_photo_renders_and_difference(run):
    page = write.save_report(run).read_text(encoding="utf-8")
    sources = re.findall(r'src="([^"]*)"', page)
    assert len(sources) == 10 and all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"|<!DOCTYPE[^>]*>|<rdf:RDF.*?</rdf:RDF>', "", page, flags=re.S)
    images = [Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) for source in sources[:4]]
    photo, seeds, result, difference = (np.asarray(image.convert("RGB"), dtype=float) for image in images)
    with Image.open(Path(TrainConfig.read(run.config_file).capture) / "images" / "view_08.png") as file:
        pixels = np.asarray(file, dtype=float)
    white = pixels[..., :3] * pixels[..., 3:] / 255 + 255 - pixels[..., 3:]
    assert np.abs(photo - white).mean() < 6, "the photo over white, but for what JPEG loses"
    assert abs(seeds.mean() - 40) < 2 and abs(result.mean() - 140) < 2
    assert np.abs(difference - np.minimum(4 * np.abs(white - 140), 255)).mean() < 12


def test_curves_are_drawn_and_the_page_says_how_far_the_run_is(run):
    page = write.save_report(run).read_text(encoding="utf-8")
    assert page.count("<svg") == 3
    for title in ("Loss", "PSNR, dB", "Splats"):
        assert title in page
    assert "step 200 of 300" in page and "ball &amp; &lt;co&gt;" in page and "<co>" not in page


def test_a_run_whose_capture_is_gone_is_reported_without_photos(run):
    capture = Path(TrainConfig.read(run.config_file).capture)
    capture.rename(capture.with_name("moved"))
    page = write.save_report(run).read_text(encoding="utf-8")
    assert "The photos are left out" in page and page.count("<img") == 6


def test_the_command_line_writes_where_it_is_told_and_says_what_is_wrong(run, tmp_path):
    command = [sys.executable, "-m", "splat_addon.trainer.report"]
    out = tmp_path / "page.html"
    answer = subprocess.run([*command, str(run.path), "--out", str(out)], capture_output=True, text=True, cwd=ROOT)
    assert (answer.returncode, answer.stdout.strip()) == (0, str(out)) and out.stat().st_size > 10_000
    answer = subprocess.run([*command, str(tmp_path / "nothing")], capture_output=True, text=True, cwd=ROOT)
    assert answer.returncode == 1 and answer.stderr.endswith("holds no run. Give the folder of a run.\n")


def test_a_python_without_matplotlib_is_told_what_to_install(run, monkeypatch):
    monkeypatch.setattr(write.importlib.util, "find_spec", lambda name: None if name == "matplotlib" else object())
    with pytest.raises(SetupError, match=r"lacks matplotlib, .*-m pip install matplotlib"):
        write.save_report(run)
    assert not run.report_file.exists()


def test_both_worlds_are_the_first_and_the_last_measurement_with_the_worst_view_of_each(run, capsys):
    worlds = table(write.save_report(run).read_text(encoding="utf-8"), "worlds")
    found = {row[0]: row[1:] for row in worlds if row[0]}
    assert found["Primitives"] == ["100", "300, grown and pruned"]
    assert found["Held-out PSNR, 2 views"] == ["12.38 dB", "26.76 dB"]
    assert found["Held-out SSIM"] == ["0.1934", "0.4182"]
    assert found["Worst view"] == ["view_00, 11.25 dB", "view_08, 22.01 dB"]
    assert found["Parameters"][1].startswith("59 numbers per splat")
    sources = [re.search('base64,([^"]*)', cell).group(1) for cell in worlds[-1][1:]]
    shown = [Image.open(io.BytesIO(base64.b64decode(source))) for source in sources]
    means = [np.asarray(image.convert("RGB"), dtype=float).mean() for image in shown]
    assert np.allclose(means, [0, 140], atol=2), "the renders of these two views"
    capture = TrainConfig.read(run.config_file).capture
    assert baseline.main([capture, "--beside", str(run.path)]) == 0
    said = capsys.readouterr().out
    assert "Traditional splatting" in said and all(cell in said for row in found.values() for cell in row)


@pytest.mark.parametrize(("seeds", "said"), [("random", "started from random places"), ("splats", "from other splats")])
def test_where_nothing_was_measured_there_is_no_traditional_splatting(run, capsys, seeds, said):
    write_json(run.about_file, {"seeds": seeds})
    assert 'class="worlds"' not in write.save_report(run).read_text(encoding="utf-8")
    assert baseline.main([TrainConfig.read(run.config_file).capture, "--beside", str(run.path)]) == 1
    assert said in capsys.readouterr().err


def test_a_baseline_beside_a_run_of_another_capture_is_refused(run, tmp_path, capsys):
    assert baseline.main([str(tmp_path), "--beside", str(run.path)]) == 1
    assert "was trained on" in capsys.readouterr().err


def test_a_baseline_trains_and_ends_with_the_table(tmp_path, capsys):
    capture = write_ball_capture(tmp_path / "ball")
    options = ["--run", str(tmp_path / "run"), "--iterations", "4", "--max-resolution", "32", "--device", "cpu"]
    assert baseline.main([str(capture), *options]) == 0
    said = capsys.readouterr().out.splitlines()
    row = next(line for line in said if line.startswith("Time"))
    assert "no training" in row and row.endswith("for 4 steps")


def test_a_run_that_has_recorded_nothing_says_so(tmp_path):
    folder = RunFolder.create(tmp_path / "run", TrainConfig(capture=str(tmp_path)))
    with pytest.raises(RunError, match="has recorded nothing yet"):
        write.save_report(folder)


@pytest.mark.parametrize("end", ["stopped", "finished", "failed"])
def test_the_page_says_how_a_run_ended_early(run, end):
    last = Failed("It broke.", "") if end == "failed" else Finished(200, end == "stopped", 300, 9.0)
    with open(run.events_file, "a") as file:
        file.write(encode_event(last) + "\n")
    page = write.save_report(run).read_text(encoding="utf-8")
    lead = re.search(r'<p class="lead">(.*?)</p>', page).group(1)
    assert lead.startswith(
        {"stopped": "stopped at step 200 of 300", "failed": "failed at step 200 of 300"}.get(end, "step 200 of 300")
    )


def test_images_open_as_large_as_they_are_and_tables_scroll_by_themselves(run):
    for step in (0, 200):
        Image.fromarray(np.zeros((600, 1200, 3), dtype=np.uint8)).save(run.renders_folder(step) / "view_00.png")
    page = write.save_report(run).read_text(encoding="utf-8")
    widths = []
    for data in re.findall(r'<label class="large"><input type="checkbox"><img [^>]*base64,([^"]+)"', page):
        widths.append(Image.open(io.BytesIO(base64.b64decode(data))).width)
    assert page.count("<img") == page.count('<label class="large">') and max(widths) == 1200
    assert page.count('<div class="wide"><table') == page.count("<table")
    assert ".large input:checked + img { position: fixed" in page and ".wide { overflow-x: auto; }" in page
