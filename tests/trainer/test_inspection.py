"""Evidence against brute force, and the inspection of a run whose floaters are known, as the child makes it."""

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from splat_addon.capture.formats.transforms import write_transforms
from splat_addon.errors import SplatError
from splat_addon.gaussians.cloud import GaussianCloud
from splat_addon.gaussians.formats.splat_ply import write_points, write_splats
from splat_addon.inspection.file import read_inspection
from splat_addon.inspection.score import BY_GEOMETRY, SELECT_FROM, UNSEEN
from splat_addon.run.config import TrainConfig
from splat_addon.run.events import Failed, InspectionFinished, InspectionStarted, Warned, decode_event
from splat_addon.run.folder import RunFolder, write_json
from splat_addon.trainer.backend.blend_space import decode_srgb
from splat_addon.trainer.backend.cpu.evidence import evidence_of_view
from splat_addon.trainer.backend.cpu.kernels.layout import BEHIND, DISTANCE, GAIN, GAP, HANG, IMPORTANCE, PEAK, WEIGHT
from splat_addon.trainer.backend.cpu.rasterizer import CpuRasterizer
from splat_addon.trainer.backend.protocol import Gaussians
from splat_addon.trainer.inspection import inspect_splats
from splat_addon.trainer.inspection.gather import Stopped, gather
from splat_addon.trainer.inspection.inspect_splats import inspect, task_of
from splat_addon.trainer.photos.photo import Photo
from support.splat_scenes import camera, cloud, turned_camera

ROOT = Path(__file__).parents[2]
COUNT = 60


def gaussians_of(*args, **changes) -> Gaussians:
    return Gaussians(*(torch.tensor(array, dtype=torch.float32) for array in cloud(*args, **changes)))


@pytest.mark.parametrize("blend_space", ["display", "blender"])
@pytest.mark.parametrize("view", [camera(), turned_camera()], ids=["straight", "turned"])
def test_gain_and_importance_are_those_of_really_removing_a_splat(blend_space, view):
    gaussians, rasterizer = gaussians_of(3, COUNT), CpuRasterizer(2, blend_space=blend_space)
    generator = torch.manual_seed(1)
    photo, counts = torch.rand(view.height, view.width, 3, generator=generator), torch.rand(view.height, view.width)
    background = torch.tensor([0.2, 0.4, 0.7])
    target = (decode_srgb(photo) if blend_space == "blender" else photo).double()

    def seen(some: Gaussians):
        return evidence_of_view(rasterizer, some, view, background, photo, 0.1, counts)

    whole = seen(gaussians)
    image, weights = whole.image.double(), counts.double()[..., None]
    error = (weights * (target - image) ** 2).sum()
    assert whole.error == pytest.approx(float(error), rel=1e-4)
    for splat in range(COUNT):
        without = seen(Gaussians(*(values[torch.arange(COUNT) != splat] for values in gaussians))).image.double()
        change = float((weights * (without - image) ** 2).sum())
        gain = float((weights * (target - without) ** 2).sum() - error)
        assert float(whole.sums[splat, IMPORTANCE]) == pytest.approx(change, rel=1e-3, abs=1e-5)
        assert float(whole.sums[splat, GAIN]) == pytest.approx(gain, rel=1e-3, abs=1e-4)


def test_weights_add_up_to_what_is_covered_and_with_their_colors_to_the_picture():
    """With white splats on black, a pixel is the sum of their weights: their attribution is its whole color."""
    white = np.zeros((COUNT, 1, 3))
    white[:, 0] = 0.5 / 0.28209479177387814
    gaussians, view = gaussians_of(5, COUNT, sh=white), camera()
    rasterizer, black = CpuRasterizer(2), torch.zeros(3)
    seen = evidence_of_view(rasterizer, gaussians, view, black, torch.zeros(view.height, view.width, 3), 0.1)
    assert float(seen.sums[:, WEIGHT].sum()) == pytest.approx(float(seen.image[..., 0].sum()), rel=1e-5)
    one = evidence_of_view(
        rasterizer, Gaussians(*(values[:1] for values in gaussians)), view, black, seen.image * 0, 0.1
    )
    assert float(one.sums[0, PEAK]) == pytest.approx(float(one.image.max()), rel=1e-5)


def test_the_photos_that_need_a_splat_most_are_those_that_miss_it_most_when_it_is_really_removed():
    gaussians, rasterizer = gaussians_of(3, COUNT), CpuRasterizer(2)
    splats = GaussianCloud(*(values.numpy() for values in gaussians))
    views = camera(), turned_camera(), camera(fx=30.0, fy=30.0)
    generator = torch.manual_seed(1)
    photos = []
    for number, view in enumerate(views):
        colors = torch.randint(0, 256, (view.height, view.width, 3), generator=generator).to(torch.uint8)
        photos.append(Photo(f"{number}", view, colors, None, None))
    evidence = gather(rasterizer, splats, photos, 4.0)
    background = torch.full((3,), photos[0].backdrop)

    def errors(some: Gaussians) -> np.ndarray:
        found = []
        for photo in photos:
            image = evidence_of_view(rasterizer, some, photo.camera, background, photo.over(background), 0.1).image
            found.append(float(((image - photo.over(background)).double() ** 2).sum()))
        return np.array(found)

    before, named = errors(gaussians), 0
    for splat in range(COUNT):
        without = errors(Gaussians(*(values[torch.arange(COUNT) != splat] for values in gaussians)))
        grown = (without - before) / before
        order = np.argsort(-grown)
        if grown[order[0]] < 1e-3:
            continue
        expected = order[: 2 if grown[order[1]] > 0.5 * grown[order[0]] else 1]
        assert evidence.needed_by(splat) == [str(number) for number in expected]
        growth = (without - before)[expected].sum() / before[expected].sum()
        assert float(evidence.growth[splat]) == pytest.approx(growth, rel=0.01, abs=1e-5)
        named += 1
    assert named > 10


def layers(depths, opacities) -> Gaussians:
    """Broad splats, one behind the other, on the axis of a camera at z = -4."""
    count = len(depths)
    means = np.zeros((count, 3), np.float32)
    means[:, 2] = np.asarray(depths) - 4
    opacities = torch.tensor(opacities, dtype=torch.float32)
    return Gaussians(
        torch.from_numpy(means),
        torch.tensor([[3.0, 3.0, -5.0]]).repeat(count, 1),
        torch.tensor([[1.0, 0, 0, 0]]).repeat(count, 1),
        torch.logit(opacities),
        torch.zeros(count, 1, 3),
    )


def test_light_lands_at_the_median_depth_and_what_is_set_aside_does_not_stop_it():
    """Three veils: transmittance falls below one half at the second; without that one, at the third."""
    gaussians, view, rasterizer = layers([2.0, 4.0, 8.0], [0.3, 0.6, 0.9]), camera(24, 24), CpuRasterizer(1)
    photo = torch.zeros(24, 24, 3)
    seen = evidence_of_view(rasterizer, gaussians, view, torch.zeros(3), photo, 0.5)
    assert float(seen.median_depth[12, 12]) == pytest.approx(4.0, rel=1e-5)
    first = seen.sums[0] / seen.sums[0, WEIGHT]
    assert first[[BEHIND, GAP, HANG]].tolist() == pytest.approx([1.0, 0.5, 1.0], rel=1e-4)
    assert float(first[DISTANCE]) == pytest.approx(2.0, rel=1e-4)
    assert seen.sums[1:, [BEHIND, GAP, HANG]].abs().max() < 1e-6

    through = evidence_of_view(
        rasterizer, gaussians, view, torch.zeros(3), photo, 4.0, set_aside=torch.tensor([False, True, False])
    )
    assert float(through.median_depth[12, 12]) == pytest.approx(8.0, rel=1e-5)
    shares = through.sums / through.sums[:, WEIGHT, None]
    assert shares[:, GAP].tolist() == pytest.approx([0.75, 0.5, 0.0], abs=1e-4)
    assert shares[:, HANG].tolist() == pytest.approx([6 / 8, 4 / 8, 0.0], abs=1e-4)
    assert shares[:, BEHIND].tolist() == pytest.approx([1.0, 0.0, 0.0], abs=1e-4)
    torch.testing.assert_close(through.sums[:, WEIGHT], seen.sums[:, WEIGHT])


def test_a_pixel_that_is_opaque_by_nothing_but_what_is_set_aside_is_open():
    gaussians, view, rasterizer = layers([2.0, 4.0], [0.3, 0.6]), camera(24, 24), CpuRasterizer(1)
    photo, aside = torch.zeros(24, 24, 3), torch.tensor([False, True])
    seen = evidence_of_view(rasterizer, gaussians, view, torch.zeros(3), photo, 0.5, set_aside=aside)
    assert float(seen.median_depth[12, 12]) == -1
    assert (seen.sums[:, [BEHIND, GAP, HANG, DISTANCE]] == 0).all()


def test_what_is_open_is_the_part_of_the_mass_at_which_views_find_nothing():
    """A wall, and before it a needle that touches it with one end: views find something at a sixth of its mass."""
    splats, _ = wall_with_swarm()
    needle = 1600
    splats.means[needle], splats.log_scales[needle] = [0, 0, 3.0], np.log([1e-3, 1e-3, 1 / 3**0.5])
    splats = splats.select(np.arange(needle + 1))
    views = [camera(64, 48, fx=60.0, fy=60.0, camera_from_world=np.eye(4))]
    gray = torch.full((48, 64, 3), 120, dtype=torch.uint8)
    photos = [Photo(f"{number}", view, gray, None, None) for number, view in enumerate(views)]
    evidence = gather(CpuRasterizer(2), splats, photos, 4.0)
    assert evidence.view_open[needle] == pytest.approx(5 / 6)
    assert (evidence.view_open[:needle][evidence.seen[:needle] > 0] == 0).mean() > 0.99


def test_a_view_that_stays_clear_tells_nothing_about_depth():
    seen = evidence_of_view(
        CpuRasterizer(1), layers([2.0, 4.0], [0.2, 0.2]), camera(24, 24), torch.zeros(3), torch.zeros(24, 24, 3), 0.1
    )
    assert (seen.median_depth == 0).all()
    assert (seen.sums[:, [BEHIND, GAP, HANG, DISTANCE]] == 0).all()
    assert (seen.sums[:, WEIGHT] > 0).all()


# --- The child -------------------------------------------------------------------------------------------------------


def wall_with_swarm() -> tuple[GaussianCloud, np.ndarray]:
    """A wall of 1600 splats at z = 4, and 25 that hang two units before it."""
    rng = np.random.default_rng(0)
    across, up = np.meshgrid(np.linspace(-4, 4, 40), np.linspace(-3, 3, 40))
    wall = np.stack([across.ravel(), up.ravel(), np.full(1600, 4.0)], axis=1)
    swarm = rng.normal([0.2, 0, 2.0], 0.08, (25, 3))
    count = 1625
    result = GaussianCloud(
        means=np.concatenate([wall, swarm]),
        log_scales=np.tile(np.log([0.16, 0.16, 0.01]), (count, 1)),
        quaternions=np.tile([1.0, 0, 0, 0], (count, 1)),
        logit_opacities=np.full(count, 3.0),
        sh=rng.normal(0, 0.5, (count, 1, 3)),
    )
    result.log_scales[1600:] = np.log(0.06)
    result.logit_opacities[1600:] = -2.8  # a veil: an opaque swarm would be an object to the photos
    return result, np.arange(count) >= 1600


def write_capture(folder: Path, count: int = 6) -> None:
    """Photos (gray) by cameras in a row at z = 0 that look at the wall."""
    (folder / "images").mkdir(parents=True)
    cameras = {}
    for number in range(count):
        pose = np.eye(4)
        pose[0, 3] = 0.6 * (number - count / 2)
        cameras[f"images/{number}.png"] = camera(64, 48, fx=60.0, fy=60.0, camera_from_world=pose)
        Image.new("RGB", (64, 48), (120, 120, 120)).save(folder / "images" / f"{number}.png")
    write_transforms(folder / "transforms.json", cameras, [], None, {})


@pytest.fixture
def run_of_known_floaters(tmp_path) -> tuple[RunFolder, np.ndarray]:
    write_capture(tmp_path / "capture")
    splats, floats = wall_with_swarm()
    folder = RunFolder.create(tmp_path / "run", TrainConfig(capture=str(tmp_path / "capture"), hold_out_every=0))
    write_splats(folder.splats_file, splats)
    return folder, floats


def heard_from(arguments: list, give: str = "") -> list:
    """What the child says; its input stays open unless something is given."""
    command = [sys.executable, "-m", "splat_addon.trainer.inspection", *map(str, arguments), "--events"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        if give:
            child.stdin.write(give)
            child.stdin.flush()
        lines = child.stdout.readlines()
        child.wait()
    return [decode_event(line) for line in lines]


def test_the_child_finds_the_swarm_and_leaves_its_inspection_in_the_run(run_of_known_floaters):
    folder, floats = run_of_known_floaters
    events = heard_from([folder.path])
    assert events[0] == InspectionStarted(1625, 6)
    assert isinstance(events[-1], InspectionFinished)
    assert (events[-1].path, events[-1].gaussian_count) == (str(folder.inspection_file), 1625)
    inspection = read_inspection(folder.inspection_file)
    inspection.require_for(wall_with_swarm()[0])
    assert (inspection.findings.score[floats] > SELECT_FROM).all()
    assert (inspection.findings.score[~floats] > SELECT_FROM).mean() < 0.002
    assert events[-1].select_count == int((inspection.findings.score > SELECT_FROM).sum())
    assert inspection.evidence.reach == pytest.approx(4.0, rel=0.02)
    assert inspection.evidence.distance[floats].mean() == pytest.approx(2.0, rel=0.1)
    assert (inspection.evidence.looked_through[floats] == inspection.evidence.seen[floats]).all()


def test_the_meshes_of_a_captured_scene_join_in(run_of_known_floaters, monkeypatch):
    folder, floats = run_of_known_floaters
    capture = folder.path.parent / "capture"
    document = json.loads((capture / "transforms.json").read_text())
    document |= {"source": "blender-scene", "ply_file_path": "points3d.ply"}
    (capture / "transforms.json").write_text(json.dumps(document))
    across, up = np.meshgrid(np.arange(-4.5, 4.5, 0.2), np.arange(-3.5, 3.5, 0.2))
    wall = np.stack([across.ravel(), up.ravel(), np.full(across.size, 4.0)], axis=1)
    write_points(capture / "points3d.ply", wall, np.full(wall.shape, 0.5), np.tile([0.0, 0, -1], (len(wall), 1)))
    heard_from([folder.path])
    inspection = read_inspection(folder.inspection_file)
    assert inspection.off_mesh[floats].min() == 1 and inspection.off_mesh[~floats].max() < 0.2
    before_the_wall = 4 - wall_with_swarm()[0].means[floats, 2]
    assert inspection.evidence.mesh_distance[floats] == pytest.approx(before_the_wall, rel=0.01)
    assert inspection.evidence.mesh_sigmas[floats] == pytest.approx(before_the_wall / 0.06, rel=0.01)
    assert (inspection.evidence.mesh_distance[~floats] == 0).all()
    assert (inspection.findings.score[~floats] == 0).mean() > 0.99
    assert (inspection.findings.score[floats] > SELECT_FROM).all()
    text = io.StringIO()
    monkeypatch.setattr(sys, "stdout", text)
    assert inspect_splats.main([str(folder.path)]) == 0
    assert "σ off the source mesh: " in text.getvalue()


def test_it_stops_when_it_is_told_to_and_what_was_there_stays(run_of_known_floaters):
    folder, _ = run_of_known_floaters
    folder.inspection_file.write_text("earlier")
    events = heard_from([folder.path], give='{"command": "stop"}\n')
    assert events[-1] == InspectionFinished(stopped=True)
    assert folder.inspection_file.read_text() == "earlier"
    asked = iter([False, False, False, True])
    with pytest.raises(Stopped):
        inspect(task_of(folder.path, None), lambda event: None, lambda: next(asked, True))
    assert folder.inspection_file.read_text() == "earlier"


def test_edited_splats_are_inspected_as_their_run_is_and_its_inspection_stays(run_of_known_floaters, tmp_path):
    folder, floats = run_of_known_floaters
    folder.inspection_file.write_text("earlier")
    edited = wall_with_swarm()[0].select(np.arange(1625) % 2 == 0)
    write_splats(tmp_path / "edited.ply", edited)
    events = heard_from([folder.path, "--splats", tmp_path / "edited.ply"])
    assert events[-1].path == str(tmp_path / "edited.inspection.npz")
    inspection = read_inspection(tmp_path / "edited.inspection.npz")
    inspection.require_for(edited)
    assert (inspection.findings.score[floats[::2]] > SELECT_FROM).all()
    assert folder.inspection_file.read_text() == "earlier"


def refused(*arguments, **options) -> SplatError:
    with pytest.raises(SplatError) as error:
        inspect(task_of(*arguments, **options), lambda event: None, lambda: False)
    return error.value


def test_what_cannot_be_inspected_is_said_with_a_remedy(run_of_known_floaters, tmp_path, monkeypatch):
    folder, _ = run_of_known_floaters
    (tmp_path / "capture").rename(tmp_path / "moved")
    assert "is gone" in refused(folder.path, None).message
    assert "--without-photos" in refused(folder.path, None).remedy
    assert "does not exist" in refused(tmp_path / "nowhere", None).message
    splats, _ = wall_with_swarm()
    write_splats(tmp_path / "behind.ply", replace(splats, means=splats.means * [1, 1, -1]))
    assert "No photo of the capture sees" in refused(tmp_path / "behind.ply", tmp_path / "moved").message
    write_splats(tmp_path / "none.ply", splats.select(slice(0, 0)))
    assert "holds no splats" in refused(tmp_path / "none.ply", tmp_path / "moved").message
    document = json.loads((tmp_path / "moved" / "transforms.json").read_text())
    document["test_filenames"] = [frame["file_path"] for frame in document["frames"]]
    (tmp_path / "moved" / "transforms.json").write_text(json.dumps(document))
    assert "has no view to train on" in refused(folder.path, tmp_path / "moved").message
    monkeypatch.setattr(inspect_splats, "free_memory_bytes", lambda: 1 << 20)
    assert "of memory" in refused(folder.path, tmp_path / "moved").message
    assert not [*tmp_path.rglob("*inspection.npz")], "nothing is written"


def test_memory_is_foretold_for_five_million_splats(monkeypatch):
    """Inspecting 5 000 000 of degree 3 took 4.18 GiB at its highest."""
    monkeypatch.setattr(inspect_splats, "free_memory_bytes", lambda: int(4.1 * 2**30))
    with pytest.raises(SplatError) as error:
        inspect_splats.require_memory(5_000_000)
    message = error.value.message.replace("\xa0", " ")
    assert message == "Inspecting 5 000 000 splats takes 4.7 GB of memory, and 4.4 GB are free."
    assert error.value.remedy == "Close other programs, or inspect a part of them."
    monkeypatch.setattr(inspect_splats, "free_memory_bytes", lambda: 5 * 2**30)
    inspect_splats.require_memory(5_000_000)


def told(task) -> list:
    events = []
    inspect(task, events.append, lambda: False)
    return [event.message for event in events if isinstance(event, Warned)]


def test_what_is_doubtful_is_told(run_of_known_floaters, tmp_path):
    folder, _ = run_of_known_floaters
    write_json(folder.about_file, {"capture_fingerprint": "2:another"})
    assert any("has changed since" in message for message in told(task_of(folder.path, None)))
    write_capture(tmp_path / "single", 1)
    assert any("One photo alone" in message for message in told(task_of(folder.path, tmp_path / "single")))
    assert any("positions alone" in message for message in told(task_of(folder.path, None, without_photos=True)))
    inspection = read_inspection(folder.inspection_file)
    assert inspection.evidence is None
    assert (inspection.findings.kind == BY_GEOMETRY).all()


def test_a_file_of_splats_is_inspected_with_a_capture_and_broken_splats_are_left_out(run_of_known_floaters, tmp_path):
    folder, floats = run_of_known_floaters
    splats, _ = wall_with_swarm()
    splats.means[7] = np.nan
    write_splats(tmp_path / "some.ply", splats)
    task = task_of(tmp_path / "some.ply", tmp_path / "capture")
    assert any("1 splats have numbers" in message for message in told(task))
    inspection = read_inspection(tmp_path / "some.inspection.npz")
    assert inspection.findings.kind[7] == UNSEEN
    assert inspection.findings.score[7] == 0
    assert (inspection.findings.score[floats] > SELECT_FROM).all()
    assert not folder.inspection_file.exists()


def write_capture_moved(folder: Path, shift: np.ndarray, scale: float = 1.0) -> None:
    write_capture(folder)
    document = json.loads((folder / "transforms.json").read_text())
    for frame in document["frames"]:
        matrix = np.array(frame["transform_matrix"])
        matrix[:3, 3] = matrix[:3, 3] * scale + shift
        frame["transform_matrix"] = matrix.tolist()
    (folder / "transforms.json").write_text(json.dumps(document))


def test_splats_in_the_coordinates_of_a_country_are_judged_as_at_the_origin(tmp_path):
    """32 bits round to half a unit there, an eighth of the way to the wall."""
    splats, floats = wall_with_swarm()
    shift = (4_500_000.0, 5_500_000.0, 0.0)
    for name, place in (("here", None), ("there", shift)):
        write_capture_moved(tmp_path / name, np.array(place or (0.0, 0, 0)))
        write_splats(tmp_path / f"{name}.ply", splats, place)
        told(task_of(tmp_path / f"{name}.ply", tmp_path / name))
    here, there = (read_inspection(tmp_path / f"{name}.inspection.npz").findings.score for name in ("here", "there"))
    assert (there[floats] > SELECT_FROM).all()
    np.testing.assert_allclose(there, here, atol=0.05)


def test_a_capture_far_from_the_origin_gives_the_same_scores(tmp_path):
    """Training moves such captures; lengths come back in capture units."""
    splats, floats = wall_with_swarm()
    shift, scale = np.array([5000.0, 0, 0]), 1000.0
    write_capture_moved(tmp_path / "capture", shift, scale)
    moved = replace(splats, means=splats.means * scale + shift, log_scales=splats.log_scales + np.log(scale))
    write_splats(tmp_path / "far.ply", moved)
    task = task_of(tmp_path / "far.ply", tmp_path / "capture")
    told(task)
    inspection = read_inspection(task.out)
    assert (inspection.findings.score[floats] > SELECT_FROM).all()
    assert inspection.evidence.reach == pytest.approx(4000, rel=0.02)
    assert inspection.evidence.nearest[floats].mean() == pytest.approx(2000, rel=0.1)
    assert inspection.evidence.view_positions[0] == pytest.approx([1800 + 5000, 0, 0], abs=1)


def test_a_person_reads_regions_and_reasons(run_of_known_floaters, monkeypatch):
    folder, _ = run_of_known_floaters
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stdout", shown)
    assert inspect_splats.main([str(folder.path)]) == 0
    assert "region 1: 25 splats" in shown.getvalue()
    assert "see its place look through it." in shown.getvalue()
    assert inspect_splats.main([str(folder.path / "nowhere")]) == 1


def test_what_fails_unforeseen_is_said_in_a_sentence():
    assert inspect_splats.explained(MemoryError()).message.startswith("There is not enough memory")
    assert inspect_splats.explained(OSError(28, "full")) == Failed(
        "The disk is full.", "Free some space and inspect again."
    )
