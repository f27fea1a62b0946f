"""From evidence to a score, reasons and regions: what is said about splats whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from splat_addon.capture.camera import Camera
from splat_addon.errors import SplatFileError
from splat_addon.gaussians.cloud import GaussianCloud
from splat_addon.inspection.evidence import COLUMNS, NO_VIEW, Evidence
from splat_addon.inspection.file import VERSION, Inspection, arrays_of, key_of, places_of, read_inspection
from splat_addon.inspection.grid import cell_means
from splat_addon.inspection.reasons import reasons
from splat_addon.inspection.regions import find_regions
from splat_addon.inspection.score import (
    BY_GEOMETRY,
    CELL,
    FEW_PHOTOS,
    LARGE_WEIGHT,
    LONELY_AROUND_WEIGHT,
    LONELY_WEIGHT,
    MANY_PHOTOS,
    MOST_LARGE,
    MOST_LONELY,
    NEEDED_FULLY,
    NEEDED_WEIGHT,
    OF_FEW_PHOTOS,
    REFLECTION,
    SCALE,
    SELECT_FROM,
    SHOWN_FROM,
    SHOWN_FULLY,
    TOO_FAR,
    UNSEEN,
    score_by_geometry,
    score_splats,
)
from splat_addon.inspection.sheets import are_in_sheets
from splat_addon.inspection.source_mesh import filled, hanging_share, with_source_mesh
from splat_addon.inspection.surfaces import away_share, mass_places

VIEWS = ("a", "b", "c")


def cloud_at(means, log_scale=-4.0, seed=0) -> GaussianCloud:
    rng, count = np.random.default_rng(seed), len(means)
    return GaussianCloud(
        means=np.asarray(means, np.float32),
        log_scales=rng.normal(log_scale, 0.2, (count, 3)),
        quaternions=rng.normal(size=(count, 4)),
        logit_opacities=rng.normal(size=count),
        sh=rng.normal(size=(count, 4, 3)),
    )


def evidence_of(count: int, **columns) -> Evidence:
    """Sound splats at an ordinary distance, used by all views, but for the columns given."""
    values = {name: np.zeros(count, np.float32) for name in COLUMNS}
    values |= {"weight": np.ones(count, np.float32), "nearness": np.ones(count, np.float32)}
    values |= {"seen": np.full(count, 3, np.uint8), "looked_through": np.zeros(count, np.uint8)}
    values |= {"used_by": np.full(count, 7, np.uint64), **columns}
    return Evidence(**values, reach=4.0, view_names=VIEWS, view_positions=np.zeros((3, 3)))


def wall_and_swarm(seed=0):
    """A wall of 900 splats and 30 in the air before it: (cloud, evidence, which of them float)."""
    rng = np.random.default_rng(seed)
    across, up = np.meshgrid(np.linspace(-2, 2, 30), np.linspace(-2, 2, 30))
    wall = np.stack([across.ravel(), up.ravel(), np.full(900, 4.0)], axis=1)
    swarm = rng.normal([0, 0, 2], 0.1, (30, 3))
    floats = np.arange(930) >= 900
    hang = np.where(floats, 1.0, 0.0).astype(np.float32)
    columns = {"view_open": hang, "hang": hang, "behind": hang, "looked_through": (3 * floats).astype(np.uint8)}
    columns |= {"distance": 2 * hang, "view_gap": 0.5 * hang, "gap": 0.5 * hang}
    columns |= {"nearness": np.where(floats, 0.5, 1.0).astype(np.float32)}
    return cloud_at(np.concatenate([wall, swarm])), evidence_of(930, **columns), floats


def test_a_swarm_before_a_wall_is_selected_and_the_wall_is_not():
    cloud, evidence, floats = wall_and_swarm()
    score = score_splats(cloud, evidence).score
    assert (score[floats] > SELECT_FROM).all()
    assert (score[~floats] < 0.1).all()


def test_the_score_is_the_square_of_what_is_open_and_lonely_and_counts_for_more_where_photos_are_few():
    cloud, evidence, _ = wall_and_swarm()
    evidence = replace(evidence, gain=np.linspace(-0.01, 0.02, len(cloud), dtype=np.float32) * evidence.weight)
    cloud.means[910] += 5.0  # so far from all others, and the next one so large, that no more of it counts
    cloud.log_scales[911] += 3.0
    few = score_splats(cloud, evidence)
    around = cell_means(cloud.means, few.lonely[:, None], np.ones(len(cloud)), CELL * evidence.reach)[:, 0]
    longest = cloud.log_scales.max(axis=1)
    large = longest - np.median(longest)
    assert few.lonely[910] > MOST_LONELY and large[911] > MOST_LARGE
    signs = few.open + LONELY_WEIGHT * np.minimum(few.lonely, MOST_LONELY)
    signs += LONELY_AROUND_WEIGHT * np.minimum(around, MOST_LONELY)
    needed = np.clip(np.linspace(-0.01, 0.02, len(cloud)) / NEEDED_FULLY, 0, 1)
    signs += LARGE_WEIGHT * (1 - few.open) * np.minimum(large, MOST_LARGE) - NEEDED_WEIGHT * needed
    signs = np.maximum(0, signs)
    np.testing.assert_allclose(few.score, SCALE * ((1 + OF_FEW_PHOTOS) * signs) ** 2, rtol=1e-5)
    for count, part in ((FEW_PHOTOS, 1.0), (18, 0.5), (MANY_PHOTOS, 0.0), (60, 0.0)):
        other = score_splats(cloud, replace(evidence, view_names=tuple(f"{n}" for n in range(count))))
        ratio = ((1 + part * OF_FEW_PHOTOS) / (1 + OF_FEW_PHOTOS)) ** 2
        np.testing.assert_allclose(other.score, ratio * few.score, rtol=1e-5)


@pytest.mark.parametrize(
    ("share", "part"),
    [(0.0, 0), (SHOWN_FROM, 0), ((SHOWN_FROM * SHOWN_FULLY) ** 0.5, 0.5), (SHOWN_FULLY, 1), (10 * SHOWN_FULLY, 1)],
)
def test_of_few_photos_more_is_risked_the_more_of_them_shows_a_splat(share, part):
    """Others score as they do with many photos; how much shows is a matter of factors."""
    cloud, evidence, floats = wall_and_swarm()
    one = evidence.weight.copy()
    one[905] = share * 929 / (1 - share)
    many = tuple(f"{n}" for n in range(MANY_PHOTOS))
    expected, found = (
        score_splats(cloud, replace(evidence, weight=one, view_names=names)).score[905] for names in (many, VIEWS)
    )
    assert floats[905] and expected > 0.5
    assert found / expected == pytest.approx((1 + part * OF_FEW_PHOTOS) ** 2, rel=1e-5)


def pane_and_swarm(seed=0):
    """A wall of 900 splats, a pane of 400 before it that photos look through, and 60 in the air: (cloud, evidence, mask
    of the pane, mask of the swarm)."""
    rng = np.random.default_rng(seed)
    wall = np.concatenate([rng.uniform(-2, 2, (900, 2)), np.full((900, 1), 4.0)], axis=1)
    pane = np.concatenate([rng.uniform(-0.5, 0.5, (400, 2)), rng.normal(2.5, 0.01, (400, 1))], axis=1)
    swarm = rng.normal([1.2, 0, 2], 0.15, (60, 3))
    number = np.arange(1360)
    is_pane, floats = (number >= 900) & (number < 1300), number >= 1300
    hang = (is_pane | floats).astype(np.float32)
    columns = {"view_open": hang, "hang": hang, "behind": hang, "distance": 2 * hang}
    columns |= {"nearness": np.where(hang > 0, 0.6, 1.0).astype(np.float32)}
    return cloud_at(np.concatenate([wall, pane, swarm])), evidence_of(1360, **columns), is_pane, floats


def test_a_pane_is_a_reflection_and_never_offered_and_the_swarm_beside_it_is_selected():
    cloud, evidence, is_pane, floats = pane_and_swarm()
    findings = score_splats(cloud, evidence)
    assert (findings.kind[is_pane] == REFLECTION).mean() > 0.95
    assert (findings.score[findings.kind == REFLECTION] == 0).all()
    assert not (findings.kind[~is_pane] == REFLECTION).any()
    assert (findings.score[floats] > SELECT_FROM).mean() > 0.9
    (told,) = reasons(findings, evidence, int(np.flatnonzero(findings.kind == REFLECTION)[0]))
    assert "glass or a mirror" in told


def test_a_pane_is_found_wherever_it_stands_and_in_every_unit_and_a_ball_is_none():
    cloud, _, is_pane, _ = pane_and_swarm()
    pane = cloud.means[is_pane].astype(np.float64)
    turn, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    assert are_in_sheets(pane, 4.0).mean() > 0.95
    assert are_in_sheets(1e-3 * pane @ turn + 5, 4e-3).mean() > 0.95
    ball = np.random.default_rng(4).normal(0, 0.2, (400, 3))
    assert not are_in_sheets(ball, 4.0).any()
    assert not are_in_sheets(pane[:20], 4.0).any()


def test_what_is_sky_or_was_never_compared_has_no_score():
    cloud, evidence, _ = wall_and_swarm()
    nearness, used_by = evidence.nearness.copy(), evidence.used_by.copy()
    nearness[900], nearness[901], used_by[901] = 3.0, np.inf, 0
    findings = score_splats(cloud, replace(evidence, nearness=nearness, used_by=used_by))
    assert findings.score[[900, 901]].tolist() == [0, 0]
    assert findings.kind[[900, 901]].tolist() == [TOO_FAR, UNSEEN]
    assert "sky" in reasons(findings, evidence, 900)[0]
    assert "never compared" in reasons(findings, evidence, 901)[0]


def test_reasons_are_the_strongest_with_their_numbers():
    cloud, evidence, _ = wall_and_swarm()
    findings = score_splats(cloud, evidence)
    told = reasons(findings, evidence, 905, length=lambda value: f"{value:.1f} m")
    assert len(told) == 3
    assert "3 of 3 photos that see its place look through it." in told
    assert "100% of the light it shares lands behind it, on average 2.0 m further." in told
    assert reasons(findings, evidence, 400) == ["Nothing speaks against it."]
    off = replace(evidence, mesh_distance=np.full(930, 0.5), mesh_sigmas=np.full(930, 2.14))
    assert reasons(findings, off, 905)[0] == "2.1 σ off the source mesh: 0.5 units from its middle."


def test_what_photos_need_is_said_last_with_their_names_and_the_growth_of_their_error():
    cloud, evidence, _ = wall_and_swarm()
    findings = score_splats(cloud, evidence)
    both = replace(evidence, needed_most=np.full(930, 2), needed_next=np.full(930, 0), growth=np.full(930, 0.042))
    told = reasons(findings, both, 905)
    assert len(told) == 3
    assert told[-1] == "Needed by photos c, a: without it their error grows by 4%."
    assert told[:2] == reasons(findings, evidence, 905)[:2]
    alone = replace(both, needed_next=np.full(930, NO_VIEW, np.uint8))
    assert reasons(findings, alone, 905)[-1] == "Needed by photo c: without it its error grows by 4%."
    assert reasons(findings, replace(both, growth=np.full(930, 0.004)), 905) == reasons(findings, evidence, 905)


def test_a_splat_of_one_photo_is_said_to_be_so():
    cloud, evidence, _ = wall_and_swarm()
    alone = replace(evidence, used_by=np.full(930, 2, np.uint64))
    assert alone.used.tolist() == [1] * 930
    assert "Used by one photo alone: b." in reasons(score_splats(cloud, alone), alone, 0)


def test_without_photos_what_is_far_from_all_others_stands_out_and_is_marked():
    means = np.concatenate([np.random.default_rng(1).normal(0, 0.1, (500, 3)), [[5.0, 0, 0]]])
    findings = score_by_geometry(cloud_at(means))
    assert findings.score.argmax() == 500
    assert (findings.kind == BY_GEOMETRY).all()
    assert "positions alone" in reasons(findings, None, 500)[1]


def test_swarms_are_regions_and_the_one_that_covers_most_comes_first():
    cloud, evidence, floats = wall_and_swarm()
    more = cloud_at(np.random.default_rng(2).normal([1.5, 1, 2.5], 0.05, (5, 3)))
    both = GaussianCloud(*(np.concatenate(pair) for pair in zip(arrays(cloud), arrays(more), strict=True)))
    weight = np.concatenate([evidence.weight, np.full(5, 20.0)]).astype(np.float32)
    known = evidence_of(935, weight=weight, used_by=np.where(np.arange(935) < 900, 7, 5).astype(np.uint64))
    regions = find_regions(both, np.concatenate([floats, np.ones(5)]), known, 0.5)
    assert [len(region.splats) for region in regions] == [5, 30]
    assert sorted(regions[1].splats.tolist()) == list(range(900, 930))
    assert np.linalg.norm(regions[0].center - [1.5, 1, 2.5]) < 0.1
    assert regions[0].used_by == (0, 2)
    assert find_regions(both, np.zeros(935), known, 0.5) == []


def test_large_splats_that_touch_are_one_region_though_their_centers_are_far_apart():
    cloud = cloud_at([[0, 0, 0], [1.0, 0, 0], [9.0, 0, 0]], log_scale=0.0)
    assert [len(region.splats) for region in find_regions(cloud, np.ones(3), evidence_of(3), 0.5)] == [2, 1]


def arrays(cloud):
    return cloud.means, cloud.log_scales, cloud.quaternions, cloud.logit_opacities, cloud.sh


def test_cell_means_are_weighted_and_count_only_what_is_there():
    points = np.array([[0.0, 0, 0], [0.01, 0, 0], [10.0, 0, 0]])
    means = cell_means(points, np.array([[1.0], [4.0], [7.0]]), np.array([2.0, 1.0, 1.0]), 0.5)
    np.testing.assert_allclose(means[:, 0], [2, 2, 7], atol=1e-6)


def test_mass_places_have_the_mean_and_the_covariance_of_their_splat():
    cloud = cloud_at([[1.0, 2, 3]], log_scale=-1.0)
    places = mass_places(cloud)[0]
    w, x, y, z = cloud.rotations[0].astype(float)
    axes = np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip
    np.testing.assert_allclose(places.mean(axis=0), [1, 2, 3], atol=1e-6)
    expected = axes @ np.diag(cloud.scales[0].astype(float) ** 2) @ axes.T
    np.testing.assert_allclose(np.cov(places.T, bias=True), expected, rtol=1e-5, atol=1e-7)


def test_the_share_off_a_mesh_is_that_of_exact_distances_but_for_its_cells():
    rng = np.random.default_rng(3)
    floor = np.stack([*rng.uniform(-3, 3, (2, 40_000)), np.zeros(40_000)], axis=1)
    cloud = cloud_at(np.stack([*rng.uniform(-2, 2, (2, 400)), rng.uniform(0, 1, 400)], axis=1), log_scale=-2.0)
    height = np.abs(mass_places(cloud)[..., 2])
    share = away_share(cloud, floor, 0.3)
    assert (share <= (height > 0.3 * 5 / 6).mean(axis=1) + 1e-6).all()
    assert (share >= (height > 0.3 * 3 / 2).mean(axis=1) - 1e-6).all()
    assert 0.2 < share.mean() < 0.9


def inspection_of(cloud, evidence) -> Inspection:
    findings = score_splats(cloud, evidence)
    return Inspection(key_of(cloud), places_of(cloud.means), findings, evidence, "/c", "2:x", "cpu", "display")


def saved(tmp_path, inspection, **changes):
    path = tmp_path / "inspection.npz"
    np.savez(path, **{**arrays_of(inspection), **changes})
    return path


def sampled_wall(spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """Seeds on a wall at z = 4, five units wide, and their normals."""
    lattice = np.arange(-2.5, 2.5, spacing)
    across, up = np.meshgrid(lattice, lattice)
    positions = np.stack([across.ravel(), up.ravel(), np.full(across.size, 4.0)], axis=1)
    return positions, np.tile([0.0, 0, -1], (len(positions), 1))


@pytest.mark.parametrize("spacing", [0.02, 0.05, 0.2, 0.4])
def test_what_hangs_before_a_mesh_is_told_from_what_lies_on_it_and_behind_it(spacing):
    positions, normals = sampled_wall(spacing)
    surface = filled(positions, normals, 0.24)
    assert np.abs(surface[:, 2] - 4).max() < 1e-9
    rng = np.random.default_rng(0)
    places = np.concatenate([rng.uniform(-1.5, 1.5, (300, 2)), np.repeat([4.0, 3.0, 4.8], 100)[:, None]], axis=1)
    camera = Camera(100, 75, 60.0, 60.0, 50.0, 37.5, np.eye(4))
    off, hanging = hanging_share(cloud_at(places, log_scale=-4.5), surface, [camera], 0.24)
    assert off[:100].max() == 0 and off[100:].min() == 1  # on the wall; before it and behind it
    assert hanging[100:200].min() == 1 and hanging[200:].max() == 0  # nobody sees past a wall


def test_seeds_too_far_apart_or_without_normals_say_nothing():
    positions, normals = sampled_wall(0.6)
    assert filled(positions, normals, 0.24) is None
    assert filled(sampled_wall(0.1)[0], None, 0.24) is None


def test_a_mesh_clears_what_is_near_it_and_selects_what_photos_suspect_away_from_it():
    cloud, evidence, floats = wall_and_swarm()
    findings = score_splats(cloud, evidence)
    findings = replace(findings, score=np.where(floats, 0.4, 0.9).astype(np.float32))
    with_mesh = with_source_mesh(findings, floats.astype(np.float32))
    assert (with_mesh.score[~floats] == 0).all() and (with_mesh.score[floats] > SELECT_FROM).all()
    nothing_suspected = with_source_mesh(replace(findings, score=0 * findings.score), floats.astype(np.float32))
    assert (nothing_suspected.score <= SELECT_FROM).all()


def test_an_inspection_comes_back_from_its_file(tmp_path):
    cloud, evidence, _ = wall_and_swarm()
    before = replace(inspection_of(cloud, evidence), off_mesh=np.linspace(0, 1, len(cloud)).astype(np.float32))
    after = read_inspection(saved(tmp_path, before))
    np.testing.assert_array_equal(after.off_mesh, before.off_mesh)
    assert (after.key, after.capture, after.blend_space) == (before.key, "/c", "display")
    np.testing.assert_array_equal(after.findings.score, before.findings.score)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(after.evidence, name), getattr(evidence, name))
    assert after.evidence.view_names == VIEWS
    after.require_for(cloud)


@pytest.mark.parametrize("name", ["means", "log_scales", "quaternions", "logit_opacities", "sh"])
def test_an_inspection_of_other_splats_is_refused(name):
    cloud, evidence, _ = wall_and_swarm()
    inspection = inspection_of(cloud, evidence)
    changed = getattr(cloud, name).copy()
    changed.flat[-1] += np.float32(0.5)
    with pytest.raises(SplatFileError, match="other splats"):
        inspection.require_for(replace(cloud, **{name: changed}))
    with pytest.raises(SplatFileError, match="other splats"):
        inspection.require_for(cloud.select(np.arange(len(cloud))[::-1]))


def test_files_that_are_no_inspection_are_refused_with_a_remedy(tmp_path):
    cloud, evidence, _ = wall_and_swarm()
    inspection = inspection_of(cloud, evidence)
    about, told = bytes(arrays_of(inspection)["about"]), f'"version": {VERSION}'.encode()
    assert told in about
    other_version = np.frombuffer(about.replace(told, b'"version": 1'), "u1")
    other_backend = np.frombuffer(about.replace(b'"backend": "cpu"', b'"backend": "cuda"'), "u1")
    for changes, expected in (
        ({"about": other_version}, "another version"),
        ({"about": other_backend}, r"another backend \('cuda'\), whose evidence cannot be compared"),
        ({"score": np.zeros(3)}, "not an inspection"),
        ({"weight": np.zeros(3)}, "not an inspection"),
        ({"about": np.zeros(4, np.uint8)}, "not an inspection"),
    ):
        path = saved(tmp_path, inspection, **changes)
        with pytest.raises(SplatFileError, match=expected) as refused:
            read_inspection(path)
        assert refused.value.remedy == "Inspect the splats again."
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(SplatFileError, match="not an inspection"):
        read_inspection(broken)
    with pytest.raises(SplatFileError, match="not an inspection"):
        read_inspection(tmp_path / "nowhere.npz")
