"""How near Blender's pictures of trained splats come to the trainer's own, through cameras the training never saw.

    python3 dev.py bench look [CAPTURE ...] [--json FILE] [--runs FOLDER] [--blenders 4.2,5.2,5.3]

Each capture is trained twice, shortly and small: blended in display space, for Trainer Look, and as Blender blends, for
Scene Light. Then the oldest and the newest Blender, or those named, import the result as an artist would, and show it
through held-out cameras; nothing but Set Up Render is done to the scene. A figure is the PSNR through the worst of
them, in display-encoded colors over black, against what the trainer's own rasterizer makes of the same PLY. Without
captures, that of the last `python3 dev.py demo` and the photos in `../shared/data` are used, where present.
"""

import argparse
import json
import os
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import _blenders
import numpy as np
import torch
from _runs import finish

from splat_addon.capture.capture import open_capture
from splat_addon.gaussians.formats.splat_ply import read_splats
from splat_addon.run.config import TrainConfig
from splat_addon.run.folder import RunFolder
from splat_addon.trainer.backend import choose
from splat_addon.trainer.backend.protocol import Gaussians
from splat_addon.trainer.photos.store import load_photos

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("SPLAT_TEST_DATA", ROOT.parent / "shared" / "data"))
CAPTURES = (ROOT / "demo" / "capture", DATA / "banana")
LOOKS = {"display": "Trainer Look", "blender": "Scene Light"}  # by the blend space of the training
LIMITS_DB = {  # by what was measured: no less
    "Cycles, 1 sample": 60.0,
    "Cycles, 1 sample, 8-bit PNG": 48.0,
    "EEVEE, 1 sample": 50.0,
    "viewport": 70.0,
    "Blender's Splats, Cycles, 256 samples": 37.0,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", nargs="*", type=Path)
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--resolution", type=int, default=200, help="longer side of the pictures in pixels")
    parser.add_argument("--views", type=int, default=3, help="how many held-out cameras")
    parser.add_argument("--runs", type=Path, help="keep the runs there, and use those that are there already")
    parser.add_argument("--json", type=Path, help="also write every view there")
    options = parser.parse_args()
    captures = options.captures or [path for path in CAPTURES if path.is_dir()]
    if not captures:
        raise SystemExit("bench: no capture was found. Run python3 dev.py demo first, or name the folder of one.")
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for capture in captures:
            for blend_space in LOOKS:
                run = f"{name_of(capture)}_{blend_space}"
                folder = train((options.runs or Path(scratch)) / run, capture, blend_space, options)
                seen = render_held_out(folder, Path(scratch) / f"{run}.npz", options.views)
                for python in _blenders.pythons():
                    script = Path(__file__).with_name("_look_in_blender.py")
                    for row in _blenders.ask(python, script, folder.splats_file, seen):
                        rows.append({"capture": name_of(capture), "look": LOOKS[blend_space], **row})
    print(table(rows))
    if options.json:
        options.json.write_text(json.dumps({"views": rows}, indent=1), encoding="utf-8")
    return 0 if all(is_near(row) for row in rows) else 1


def name_of(capture: Path) -> str:
    """What a capture is called; one of a scene lies beside the scene in a folder of this name."""
    path = capture.resolve()
    return path.parent.name if path.name == "capture" else path.name


def train(path: Path, capture: Path, blend_space: str, options: argparse.Namespace) -> RunFolder:
    """The finished run at `path`, trained now unless it is there."""
    folder = RunFolder(path.resolve())
    if folder.summary_file.is_file():
        return folder
    print(f"training {capture}, blend space {blend_space} …", file=sys.stderr, flush=True)
    config = TrainConfig(
        capture=str(capture.resolve()), iterations=options.iterations, max_resolution=options.resolution,
        blend_space=blend_space, eval_every=0, save_every=0,
    )  # fmt: skip
    return finish(path, config)[0]


@torch.no_grad()
def render_held_out(folder: RunFolder, path: Path, count: int) -> Path:
    """What the trainer's rasterizer makes of the run's PLY over black through held-out cameras, with these, as .npz."""
    config = TrainConfig.read(folder.config_file)
    photos = load_photos(open_capture(Path(config.capture)), config, folder.photos_file).held_out
    photos = photos[:: max(1, len(photos) // count)][:count]
    cloud = read_splats(folder.splats_file)
    gaussians = Gaussians(*(torch.from_numpy(np.ascontiguousarray(getattr(cloud, name))) for name in Gaussians._fields))
    rasterizer = choose("auto", config.blend_space, antialiased=cloud.antialiased)
    rasterizer.prepare(print)
    gaussians = Gaussians(*(values.to(rasterizer.device) for values in gaussians))
    black = torch.zeros(3, device=rasterizer.device)
    arrays: dict[str, list] = defaultdict(list)
    for photo in photos:
        camera = photo.camera
        image = rasterizer.render(gaussians, camera, black, sh_degree=cloud.sh_degree).image
        arrays["names"].append(photo.name)
        arrays["images"].append(image.cpu().numpy())
        arrays["lenses"].append([camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy])
        arrays["poses"].append(camera.camera_from_world)
    np.savez(path, **{name: np.array(values) for name, values in arrays.items()})
    return path


def is_near(row: dict) -> bool:
    """Whether a view agrees as well as it must."""
    return row["psnr_db"] >= LIMITS_DB.get(row["shown_by"], 0)


def table(rows: list[dict]) -> str:
    """Markdown: a line for every way to show splats, a column for every Blender."""
    blenders = sorted({row["blender"] for row in rows})
    lines = ["| capture | look | shown by | at least | " + " | ".join(f"Blender {name}" for name in blenders) + " |"]
    lines.append("|---|---|---|---|" + "---|" * len(blenders))
    kinds = dict.fromkeys((row["capture"], row["splats"], row["look"], row["shown_by"]) for row in rows)
    for capture, splats, look, shown_by in kinds:
        cells = []
        for blender in blenders:
            wanted = (capture, splats, look, shown_by, blender)
            keys = ("capture", "splats", "look", "shown_by", "blender")
            found = [row for row in rows if tuple(row[key] for key in keys) == wanted]
            worst = min(found, key=lambda row: row["psnr_db"], default=None)
            verdict = "" if worst is None or is_near(worst) else " (too low)"
            cells.append(f"{worst['psnr_db']:.1f} dB{verdict}" if worst else "–")
        limit = f"{LIMITS_DB[shown_by]:g} dB" if shown_by in LIMITS_DB else "–"
        lines.append(f"| {capture}, {splats} splats | {look} | {shown_by} | {limit} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
