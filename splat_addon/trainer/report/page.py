"""The HTML of a run's report: numbers from metrics.json, curves from events.jsonl, images from the run and its capture.

Everything is inside the page: plots as SVG, images as JPEG in data addresses.
"""

import base64
import html
import io
import json
import math
from pathlib import Path

import numpy as np
from PIL import Image

from ...capture.capture import open_capture
from ...capture.card import read_card
from ...capture.check.settling import settled
from ...capture.choices import choices_of
from ...capture.file_names import renders_of
from ...errors import RunError, SplatError
from ...run.config import TrainConfig, label
from ...run.events import Evaluated, ViewQuality
from ...run.find import look_at
from ...run.folder import RunFolder
from ...run.history import History
from ...run.wording import counted, processor
from . import both_worlds
from .plots import plots

MOST_PX, FEWEST_PX = 1600, 640  # longest side of an image in the page, which opens as large as that
_PAGE_PX = 24_000_000  # of all images together, about: a page of a hundred views must still open
DIFFERENCE_GAIN = 4
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1500px; margin: 2em auto; padding: 0 1.5em;
  overflow-wrap: anywhere; }
h1 { font-size: 1.6em; margin-bottom: 0; } h2 { font-size: 1.2em; margin-top: 2em; }
p.lead { color: #666; margin-top: .2em; } .plots { display: flex; flex-wrap: wrap; gap: 1em; }
.plots svg { width: 470px; max-width: 100%; height: auto; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; } th, td { padding: .3em .9em; text-align: left; border-bottom: 1px solid #e4e4e4; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.views td { vertical-align: top; padding: .3em; } .views img { display: block; max-width: 330px; }
.views td.number { padding-top: .8em; } .worlds img { max-width: 330px; } details { margin-top: 1em; }
.large input { display: none; } .large img { cursor: zoom-in; }
.large input:checked + img { position: fixed; inset: 0; width: 100vw; height: 100vh; max-width: none; z-index: 1;
  object-fit: contain; background: #000e; cursor: zoom-out; }
"""


def page(folder: RunFolder) -> str:
    """The whole page. Raises RunError when nothing was measured yet."""
    config = TrainConfig.read(folder.config_file)
    evaluations = folder.evaluations()
    history = History(folder).read_all()
    if not evaluations and not history.loss.values:
        raise RunError(f"The run in {folder.path} has recorded nothing yet.", "Try again when it has begun.")
    name = f"{Path(config.capture).name} · {folder.path.name}"
    parts = [
        f"<h1>{_text(name)}</h1>",
        f'<p class="lead">{_text(_state(folder, history))}</p>',
        f'<div class="plots">{"".join(plots(history))}</div>',
        "<h2>Held-out quality</h2>",
        "<p>Mean over views that the training never saw. <i>Init only</i> is what the seeds show before training.</p>",
        _steps_table(evaluations),
    ]
    if evaluations and evaluations[-1].views:
        parts += ["<h2>Held-out views, the worst first</h2>", _views_table(folder, config, evaluations)]
    parts += [*_both_worlds(folder), _capture(folder), _settings(config), _about(folder)]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{_text(name)}</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _state(folder: RunFolder, history: History) -> str:
    """One line: how far the run is and what it holds."""
    step = max([0, *history.loss.steps[-1:], *history.held_out_db.steps[-1:]])
    parts = [f"step {step} of {history.iterations}" if history.iterations and not history.is_timed else f"step {step}"]
    found = look_at(folder.path)
    if found is not None and found.state in ("stopped", "failed", "broken off"):
        parts[0] = f"{found.state} at {parts[0]}"
    if history.gaussians.values:
        parts.append(f"{counted(round(history.gaussians.values[-1]))} splats")
    summary = _json(folder.summary_file)
    if summary.get("train_seconds"):
        parts.append(f"{summary['train_seconds']:.0f} s of training on {processor(summary.get('backend', '?'))}")
    return " · ".join(parts)


def _steps_table(evaluations: list[Evaluated]) -> str:
    if not evaluations:
        return "<p>No view was held out, so nothing was measured.</p>"
    has_training = any(math.isfinite(getattr(entry, "train_psnr_db", math.nan)) for entry in evaluations)
    head = ["Step", "PSNR dB", "SSIM", *(["Training views, PSNR dB"] if has_training else []), "Splats"]
    rows = []
    for entry in evaluations:
        training = [_number(getattr(entry, "train_psnr_db", math.nan), 2)] if has_training else []
        step = "init only" if entry.step == 0 else str(entry.step)
        rows.append([step, _number(entry.psnr_db, 2), _number(entry.ssim, 4), *training, str(entry.gaussian_count)])
    return _table("steps", head, rows)


def _both_worlds(folder: RunFolder) -> list[str]:
    """The lesson's table with this run's numbers and its worst views; nothing where there is nothing to compare."""
    try:
        rows, ends = both_worlds.rows(folder), both_worlds.ends_of(folder)
    except RunError:
        return []
    cells = [[_text(cell) for cell in row] for row in rows]
    worst = [(entry, both_worlds.worst_of(entry)) for entry in ends]
    files = [_renders(folder, entry).get(view.name) if view is not None else None for entry, view in worst]
    images = [_image(_read(file) if file is not None else None, "worst view") for file in files]
    if any(file is not None for file in files):
        cells.append(["", *images])
    lead = "What the measured points show as they are, beside what was learned from the photos."
    return ["<h2>Both worlds</h2>", f"<p>{lead}</p>", _table("worlds", list(both_worlds.HEAD), cells)]


def _views_table(folder: RunFolder, config: TrainConfig, evaluations: list[Evaluated]) -> str:
    """One row per view: its numbers, photo, before training, now, and the difference."""
    last = evaluations[-1]
    first = next((entry for entry in evaluations if entry.step == 0), None)
    photos, note = _photos(config)
    before = _renders(folder, first) if first else {}
    now = _renders(folder, last)
    longest_px = _longest_px(4 * len(last.views))
    head = ["View", "PSNR dB", "SSIM", "Photo", "Init only", f"Step {last.step}", f"Difference × {DIFFERENCE_GAIN}"]
    rows = []
    for quality in sorted(last.views, key=_worst_first):
        photo = photos(quality.name)
        seeds = _read(before[quality.name]) if quality.name in before else None
        result = _read(now[quality.name])
        difference = None
        if photo is not None and result is not None and photo.size == result.size:
            numbers = np.abs(np.asarray(photo, dtype=np.int16) - np.asarray(result, dtype=np.int16))
            difference = Image.fromarray(np.minimum(DIFFERENCE_GAIN * numbers, 255).astype(np.uint8))
        cells = [_image(each, f"{quality.name}, {what}", longest_px) for each, what in
                 ((photo, "photo"), (seeds, "init only"), (result, "result"), (difference, "difference"))]  # fmt: skip
        rows.append([_text(quality.name), _number(quality.psnr_db, 2), _number(quality.ssim, 4), *cells])
    return (f"<p>{_text(note)}</p>" if note else "") + _table("views", head, rows)


def _renders(folder: RunFolder, evaluated: Evaluated) -> dict[str, Path]:
    return renders_of(folder.path / evaluated.folder, [quality.name for quality in evaluated.views])


def _worst_first(quality: ViewQuality) -> float:
    return quality.psnr_db if math.isfinite(quality.psnr_db) else -math.inf


def _photos(config: TrainConfig):
    """A function from view name to the photo as it was compared (None where it cannot be had), and a note."""
    from ..photos.decoding import decode
    from ..photos.photo import load_photo

    try:
        opened = open_capture(Path(config.capture), config.hold_out_every, choices=choices_of(config))
        views = {view.name: view for view in settled(opened, decode).views}
    except (SplatError, OSError) as error:
        return lambda name: None, f"The photos are left out: {error}"

    def photo(name: str) -> Image.Image | None:
        try:
            found = load_photo(views[name], config.max_resolution)
        except (SplatError, OSError, KeyError):
            return None
        pixels = found.rgb.numpy().astype(np.float32)
        if found.alpha is not None:
            alpha = found.alpha.numpy()[..., None].astype(np.float32) / 255
            pixels = pixels * alpha + 255 * (1 - alpha)
        return Image.fromarray(np.round(pixels).astype(np.uint8))

    return photo, ""


def _read(path: Path) -> Image.Image | None:
    """An image over white, or None."""
    try:
        with Image.open(path) as file:
            pixels = file.convert("RGBA")
    except OSError:
        return None
    ground = Image.new("RGBA", pixels.size, "white")
    return Image.alpha_composite(ground, pixels).convert("RGB")


def _longest_px(count: int) -> int:
    """How large so many images may be in one page."""
    return max(FEWEST_PX, min(MOST_PX, round(math.sqrt(_PAGE_PX / max(1, count)))))


def _image(image: Image.Image | None, what: str, longest_px: int = FEWEST_PX) -> str:
    """An image for a cell, which a click opens as large as the window, and closes again."""
    if image is None:
        return "–"
    image = image.copy()
    image.thumbnail((longest_px, longest_px), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    image.save(content, "JPEG", quality=90)
    data = base64.b64encode(content.getvalue()).decode()
    shown = f'<img alt="{_text(what)}" title="{_text(what)}" src="data:image/jpeg;base64,{data}">'
    return f'<label class="large"><input type="checkbox">{shown}</label>'


def _capture(folder: RunFolder) -> str:
    """What the run was trained on: its card, open where something is wrong with it."""
    card = read_card(folder.capture_file)
    if card is None:
        return ""
    rows = [[_text(name), _text(value)] for name, value in card.rows]
    rows += [["Warning" if remark.is_warning else "Note", _text(remark.told)] for remark in card.remarks]
    is_open = " open" if card.warnings else ""
    return f"<details{is_open}><summary>Capture</summary>{_table('capture', ['', ''], rows)}</details>"


def _settings(config: TrainConfig) -> str:
    from dataclasses import fields

    rows = [[_text(label(spec)), _text(str(getattr(config, spec.name)))] for spec in fields(config)]
    return f"<details><summary>Settings</summary>{_table('settings', ['Setting', 'Value'], rows)}</details>"


def _about(folder: RunFolder) -> str:
    rows = [
        [_text(key.replace("_", " ")), _text(", ".join(map(str, value)) if isinstance(value, list) else str(value))]
        for key, value in _json(folder.about_file).items()
    ]
    return f"<details><summary>About this run</summary>{_table('about', ['', ''], rows)}</details>" if rows else ""


def _table(name: str, head: list[str], rows: list[list[str]]) -> str:
    """Cells are HTML already; those that are numbers stand right."""

    def is_number(text: str) -> bool:
        return text.replace(".", "").replace("-", "").isdigit()

    def cell(tag: str, text: str, is_right: bool) -> str:
        return f'<{tag} class="number">{text}</{tag}>' if is_right else f"<{tag}>{text}</{tag}>"

    right = [bool(rows) and is_number(rows[-1][column]) for column in range(len(head))]
    lines = ["<tr>" + "".join(cell("th", _text(text), side) for text, side in zip(head, right)) + "</tr>"]
    lines += ["<tr>" + "".join(cell("td", text, is_number(text)) for text in row) + "</tr>" for row in rows]
    return f'<div class="wide"><table class="{name}">\n' + "\n".join(lines) + "\n</table></div>"


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"


def _json(path: Path) -> dict:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _text(text: str) -> str:
    return html.escape(text)
