"""How long making a capture takes, rendering aside. Run by `python3 dev.py bench capture [--json FILE]`."""

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from support import extension as support

SEEDS = 1_000_000
FACES_ALONG = 1000  # of the mesh that seeds are sampled from: a million faces
REPEATS = 3


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    extension = support.Extension(support.enable_extension())
    cases = []
    for case in (case_seeds_of_a_textured_mesh, case_spacing_of_seeds):
        name, seconds = case(extension)
        print(f"{name}: {seconds:.2f} s", flush=True)
        cases.append({"name": name, "seconds": seconds})
    if options.json:
        options.json.write_text(json.dumps({"cases": cases}, indent=1), encoding="utf-8")
    return 0


def best_of(work) -> float:
    """Seconds of the fastest of some runs."""
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def case_seeds_of_a_textured_mesh(extension) -> tuple[str, float]:
    """A million evenly spread seeds, with colours from an image, of a mesh of a million faces."""
    import bpy

    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    item = textured_sheet()
    meshes = extension.module("splat_addon.scene.meshes")
    return "1 M seeds of a textured million-face mesh", best_of(lambda: meshes.sample_surfaces([item], SEEDS, 0))


def case_spacing_of_seeds(extension) -> tuple[str, float]:
    """From a million points to gaussians: doubled points go, spacing is measured."""
    import numpy as np

    points = extension.module("splat_addon.capture.capture").Points
    config = extension.module("splat_addon.run.config").TrainConfig(sh_degree=0)
    places = np.random.default_rng(0).random((SEEDS, 3)) * (1, 1, 0.01)
    cloud = extension.module("splat_addon.capture.seeds").gaussians_from_points
    return "1 M points to gaussians", best_of(lambda: cloud(points(places, places), config))


def textured_sheet():
    """A wavy sheet of a million quads with an image texture."""
    import bpy
    import numpy as np

    along = np.linspace(-1, 1, FACES_ALONG + 1)
    flat = np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)
    vertices = np.column_stack([flat, 0.1 * np.sin(5 * flat[:, 0])]).astype(np.float32)
    grid = np.arange(len(flat)).reshape(FACES_ALONG + 1, -1)
    faces = np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]], axis=-1).reshape(-1, 4)
    mesh = bpy.data.meshes.new("Sheet")
    mesh.vertices.add(len(vertices))
    mesh.loops.add(faces.size)
    mesh.polygons.add(len(faces))
    mesh.vertices.foreach_set("co", vertices.ravel())
    mesh.loops.foreach_set("vertex_index", faces.astype(np.int32).ravel())
    mesh.polygons.foreach_set("loop_start", np.arange(0, faces.size, 4, dtype=np.int32))
    mesh.uv_layers.new(name="UVMap").uv.foreach_set(
        "vector", (flat[faces.ravel()] / 2 + 0.5).astype(np.float32).ravel()
    )
    mesh.update()
    image = bpy.data.images.new("Texture", 2048, 2048)
    image.pixels.foreach_set(np.random.default_rng(0).random(2048 * 2048 * 4, dtype=np.float32))
    material = bpy.data.materials.new("Textured")
    if material.node_tree is None:
        material.use_nodes = True
    texture = material.node_tree.nodes.new("ShaderNodeTexImage")
    texture.image = image
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    material.node_tree.links.new(texture.outputs["Color"], shader.inputs["Base Color"])
    mesh.materials.append(material)
    item = bpy.data.objects.new("Sheet", mesh)
    bpy.context.scene.collection.objects.link(item)
    bpy.context.view_layer.update()
    return item


if __name__ == "__main__":
    sys.exit(main())
