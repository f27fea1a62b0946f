"""The whole loop in headless Blender, through the operators: sample scene, capture, training, splats, held-out views.

Run by `python3 dev.py demo`. Writes into the output folder: scene.blend, splats.ply, held_out.png (a row per held-out
view: photo, init only, trained, difference x 4), the capture, the run folder and summary.json.
"""

import argparse
import json
import os
import shutil
import sys
import time
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from support import extension as support

WIDTH, HEIGHT = 400, 300
CAMERAS = 48
SEEDS = 20_000
ITERATIONS = 2000


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder to write into (default: demo)")
    parser.add_argument("--trainer-python", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--iterations", type=int, default=ITERATIONS, help="training steps (default: 2000)")
    options = parser.parse_args()
    began = time.perf_counter()
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    for old in ("capture", "capture_runs"):
        shutil.rmtree(out / old, ignore_errors=True)

    with quiet(out / "blender.log"):
        extension = support.Extension(support.enable_extension())
    import bpy

    bpy.context.preferences.addons[extension.name].preferences.trainer_python = str(options.trainer_python)
    live_run = extension.module("splat_addon.scene.tasks.live_run")

    def do(operator, **arguments) -> None:
        """Call an operator as a click would; end the demo with its report when it fails."""
        try:
            with quiet(out / "blender.log"):
                result = operator(**arguments)
        except RuntimeError as error:
            raise SystemExit(f"demo: {' '.join(str(error).split())}") from None
        if result != {"FINISHED"}:
            raise SystemExit(f"demo: {operator.idname_py()} returned {result}")

    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    do(bpy.ops.splat.add_sample_scene)
    scene = bpy.context.scene
    surfaces = list(bpy.context.selected_objects)
    chosen = scene.splat.capture
    chosen.folder, chosen.camera_count, chosen.seed_count = str(out / "capture"), CAMERAS, SEEDS
    chosen.width, chosen.height, chosen.samples, chosen.engine = WIDTH, HEIGHT, 32, "CYCLES"
    print(f"Rendering {CAMERAS} views of {WIDTH} x {HEIGHT} …", flush=True)
    render_seconds = timed(lambda: do(bpy.ops.splat.capture_scene))

    scene.splat.training.iterations = options.iterations
    scene.splat.training.eval_every = 0
    do(bpy.ops.splat.start_training)
    run = live_run.current()
    watch(live_run, run)
    if run.state != "finished":
        raise SystemExit(f"demo: {run.message}")

    do(bpy.ops.splat.import_result)
    for item in surfaces:
        item.hide_set(True)
        item.hide_render = True
    do(bpy.ops.splat.review_view)
    do(bpy.ops.splat.leave_review)
    held_out = scene.splat.held_out_views[0].name.replace("_", " ")
    scene.camera = bpy.data.objects[held_out]  # F12 renders the splats through a view that training never saw
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = WIDTH, HEIGHT, 100
    scene.render.engine, scene.cycles.samples = "CYCLES", 16
    do(bpy.ops.splat.set_up_render)  # what training images are: the Standard view; AgX would be applied twice
    for layer in bpy.context.view_layer.layer_collection.children:
        layer.hide_viewport = scene.camera.name in layer.collection.objects  # 48 cameras would hide what they saw
    for area in (area for screen in bpy.data.screens for area in screen.areas if area.type == "VIEW_3D"):
        area.spaces.active.region_3d.view_perspective = "CAMERA"
    with quiet(out / "blender.log"):
        bpy.ops.file.pack_all()
    do(bpy.ops.wm.save_as_mainfile, filepath=str(out / "scene.blend"), check_existing=False)
    shutil.copy(run.folder.splats_file, out / "splats.ply")
    shutil.copy(run.folder.path / "held_out.png", out / "held_out.png")

    trained = json.loads(run.folder.summary_file.read_text(encoding="utf-8"))
    summary = {
        "init_only_psnr_db": trained["init_only_psnr_db"],
        "held_out_psnr_db": trained["held_out_psnr_db"],
        "held_out_ssim": trained["held_out_ssim"],
        "gaussian_count": trained["gaussian_count"],
        "iterations": trained["iterations"],
        "width": WIDTH,
        "height": HEIGHT,
        "views": CAMERAS,
        "render_seconds": round(render_seconds, 2),
        "train_seconds": round(trained["train_seconds"], 2),
        "total_seconds": round(time.perf_counter() - began, 2),
        "blender_version": bpy.app.version_string,
        "backend": trained["backend"],
        "run_folder": str(run.folder.path),
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")
    print_table(scene, summary)
    print(f"Open {out / 'scene.blend'} in Blender; look at {out / 'held_out.png'}.")
    return 0


def watch(live_run, run) -> None:
    """Pump as Blender's timer would, and tell what happens."""
    told = 0
    while not run.is_over:
        live_run.pump()
        while told < len(run.evaluations):
            evaluated = run.evaluations[told]
            name = "init only" if evaluated.step == 0 else f"step {evaluated.step}"
            print(f"Held-out views, {name}: {evaluated.psnr_db:.2f} dB", flush=True)
            told += 1
        time.sleep(0.05)


def print_table(scene, summary: dict) -> None:
    """Held-out quality by view, and where the time went."""
    print(f"\n{'held-out view':<16}{'PSNR dB':>9}{'SSIM':>8}")
    for view in scene.splat.held_out_views:
        print(f"{view.name:<16}{view.psnr_db:9.2f}{view.ssim:8.4f}")
    print(f"{'mean':<16}{summary['held_out_psnr_db']:9.2f}{summary['held_out_ssim']:8.4f}")
    print(f"{'init only':<16}{summary['init_only_psnr_db']:9.2f}\n")
    print(f"{summary['gaussian_count']} splats, {summary['iterations']} steps on {summary['backend']}")
    print(
        f"rendered in {summary['render_seconds']} s, trained in {summary['train_seconds']} s,"
        f" {summary['total_seconds']} s in all, Blender {summary['blender_version']}\n"
    )


def timed(function) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


@contextmanager
def quiet(log: Path):
    """What Blender prints from C goes to a file."""
    sys.stdout.flush()
    kept = os.dup(1)
    with open(log, "ab") as file:
        os.dup2(file.fileno(), 1)
        try:
            yield
        finally:
            sys.stdout.flush()
            os.dup2(kept, 1)
            os.close(kept)


if __name__ == "__main__":
    sys.exit(main())
