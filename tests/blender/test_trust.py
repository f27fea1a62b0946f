"""Trust in Blender: what is said of views inside and outside, along the camera's path, and where there is no number."""

import json
from dataclasses import replace

import bpy
import numpy as np
import pytest
from mathutils import Matrix

from support.recording_layout import drawn, texts

POSITIONS = [(4.0, y, 0.0) for y in np.linspace(-1.5, 1.5, 7)]


def looking(extension, position, target=(0, 0, 0)):
    camera = extension.module("splat_addon.capture.camera").Camera
    position, forward = np.asarray(position, float), np.asarray(target, float) - position
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    matrix[:3, 3] = -matrix[:3, :3] @ position
    return camera(160, 120, 130, 130, 80, 60, matrix)


@pytest.fixture
def item(extension, tmp_path):
    """An opaque plate that a run was trained on, its cameras before it; views 0 and 4 held out, at 30 dB."""
    cloud_module = extension.module("splat_addon.gaussians.cloud")
    count, rng = 8000, np.random.default_rng(0)
    means = np.stack([np.zeros(count), *rng.uniform(-6, 6, (2, count))], axis=1)
    quaternions, opacities = np.tile([1.0, 0, 0, 0], (count, 1)), np.full(count, 4.0)
    cloud = cloud_module.GaussianCloud(
        means, np.full((count, 3), np.log(0.12)), quaternions, opacities, np.zeros((count, 1, 3))
    )
    data = extension.module("splat_addon.scene.splats.data")
    made = data.splats_to_object(cloud, "Plate", bpy.context.scene.collection)
    cameras = {f"images/v{i}.png": looking(extension, place) for i, place in enumerate(POSITIONS)}
    transforms = extension.module("splat_addon.capture.formats.transforms")
    (tmp_path / "capture" / "images").mkdir(parents=True)
    held_out = {"images/v0.png", "images/v4.png"}
    transforms.write_transforms(tmp_path / "capture" / "transforms.json", cameras, held_out, None, {})
    for name in cameras:
        image = bpy.data.images.new("photo", 160, 120)
        image.filepath_raw, image.file_format = str(tmp_path / "capture" / name), "PNG"
        image.save()
        bpy.data.images.remove(image)
    config = extension.module("splat_addon.run.config").TrainConfig(capture=str(tmp_path / "capture"))
    folder = extension.module("splat_addon.run.folder").RunFolder.create(tmp_path / "run", config)
    measure_held_out(extension, folder)
    made[extension.module("splat_addon.scene.runs.run_identity").RUN_KEY] = str(folder.path)
    bpy.context.view_layer.objects.active = made
    bpy.context.view_layer.update()
    return made


def measure_held_out(extension, folder) -> None:
    events = extension.module("splat_addon.run.events")
    views = tuple(events.ViewQuality(name, 30.0, 0.9) for name in ("v0", "v4"))
    with open(folder.events_file, "a") as file:
        event = events.Evaluated(5, 30.0, 0.9, 10, "held_out/step_000005", views)
        file.write(events.encode_event(event) + "\n")


@pytest.fixture
def measured(extension):
    return extension.module("splat_addon.scene.trust.measured")


def ask(extension, measured, position, target=(0, 0, 0)):
    return measured.ask_in_world(measured.trust(), looking(extension, position, target))


def panel_texts(extension):
    return texts(drawn(extension.module("panels.inspection.trust").SPLAT_PT_trust, bpy.context))


def test_inside_and_outside_are_told_with_the_quality_to_expect(extension, item, measured):
    assert bpy.ops.splat.measure_trust() == {"FINISHED"}
    inside, outside = ask(extension, measured, (4, 0.2, 0)), ask(extension, measured, (0.8, 4.0, 0))
    assert inside.text.startswith("Within the training views: expect ") and inside.db == pytest.approx(32, abs=4)
    assert outside.angle_deg > 25 and outside.db < inside.db - 4
    assert outside.text == f"{outside.angle_deg:.0f}° outside the nearest view: expect {outside.db:.0f} dB"


def test_a_view_that_is_much_finer_says_so(extension, item, measured):
    bpy.ops.splat.measure_trust()
    beside, camera = ask(extension, measured, (4, 0.2, 0)), looking(extension, (4, 0.2, 0))
    near = measured.ask_in_world(measured.trust(), replace(camera, fx=4 * camera.fx, fy=4 * camera.fy))
    assert near.closer == pytest.approx(4, abs=0.8) and near.db < beside.db - 4
    assert near.text == f"4 times closer than the training views: expect {near.db:.0f} dB"
    assert near.short == f"{near.db:.0f} dB, 4 times closer" and beside.closer == pytest.approx(1, abs=0.1)


def test_moved_and_scaled_splats_are_asked_where_they_are(extension, item, measured):
    bpy.ops.splat.measure_trust()
    before = ask(extension, measured, (2, 3, 1))
    move = Matrix.Translation((5, 6, 7)) @ Matrix.Rotation(0.7, 4, "Z") @ Matrix.Scale(3.0, 4)
    item.matrix_world = move
    bpy.context.view_layer.update()
    camera = looking(extension, (2, 3, 1)).moved(np.array(move))
    after = measured.ask_in_world(measured.trust(), camera)
    assert after.angle_deg == pytest.approx(before.angle_deg, abs=0.5) and after.db == pytest.approx(before.db, abs=0.2)


def test_without_held_out_views_there_is_an_angle_and_no_number(extension, item, measured, tmp_path):
    events = next((tmp_path / "run").glob("*.jsonl"))
    events.unlink()
    bpy.ops.splat.measure_trust()
    answer = ask(extension, measured, (0.8, 4.0, 0))
    assert answer.db is None and answer.text.endswith("quality unknown, no held-out view was measured")
    assert "No held-out view was measured" in panel_texts(extension)


def test_nothing_seen_and_inside_a_splat_are_unknown(extension, item, measured):
    bpy.ops.splat.measure_trust()
    away = ask(extension, measured, (4, 0, 0), (9, 0, 0))
    assert away.text == "Trust unknown: no splat is seen"
    assert ask(extension, measured, (0.03, 0.0, 0.0), (-5, 0, 0)).db is None


def test_photos_that_are_gone_leave_their_cameras(extension, item, measured, tmp_path):
    (tmp_path / "capture" / "images" / "v3.png").unlink()
    bpy.ops.splat.measure_trust()
    assert len(measured.trust().cameras) == 5 and "1 photos are gone" in panel_texts(extension)


def test_no_capture_is_a_sentence(extension, item, measured, tmp_path):
    item.pop(extension.module("splat_addon.scene.runs.run_identity").RUN_KEY)
    with pytest.raises(RuntimeError, match="have no capture"):
        bpy.ops.splat.measure_trust()
    assert measured.trust() is None and not bpy.ops.splat.ask_along_path.poll()


def test_a_view_is_the_camera_of_its_matrices(extension, item):
    views = extension.module("splat_addon.scene.trust.views")
    conversion = extension.module("splat_addon.scene.cameras.conversion")
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 320, 200
    data = bpy.data.cameras.new("Eye")
    data.lens, data.shift_x, data.shift_y = 28, 0.1, -0.05
    eye = bpy.data.objects.new("Eye", data)
    eye.matrix_world = Matrix.Translation((3, 1, 2)) @ Matrix.Rotation(1.1, 4, "X")
    scene.collection.objects.link(eye)
    bpy.context.view_layer.update()
    depsgraph = bpy.context.evaluated_depsgraph_get()
    window = eye.calc_matrix_camera(depsgraph, x=320, y=200)
    found = views.camera_of_matrices(eye.matrix_world.inverted(), window, 320, 200)
    right = conversion.camera_from_object(eye, scene)
    points = np.array([[3.0, 2.0, 9.0], [2.5, 4.0, 8.0]])
    assert np.allclose(found.project(points)[0], right.project(points)[0], atol=1e-3)
    data.type = "ORTHO"
    bpy.context.view_layer.update()
    depsgraph = bpy.context.evaluated_depsgraph_get()
    window = eye.calc_matrix_camera(depsgraph, x=320, y=200)
    with pytest.raises(extension.module("splat_addon.errors").CameraError, match="orthographic"):
        views.camera_of_matrices(eye.matrix_world.inverted(), window, 320, 200)


@pytest.fixture
def flight(extension, item):
    """The scene's camera flies from the middle of the photos far to the side, in twenty frames."""
    scene = bpy.context.scene
    conversion = extension.module("splat_addon.scene.cameras.conversion")
    eye = bpy.data.objects.new("Eye", bpy.data.cameras.new("Eye"))
    scene.collection.objects.link(eye)
    scene.camera, scene.frame_start, scene.frame_end = eye, 1, 20
    for frame in (1, 20):
        camera = looking(extension, (4, 0, 0) if frame == 1 else (0.6, 4.5, 0))
        conversion.apply_camera(eye, camera, scene.render)
        eye.rotation_mode = "QUATERNION"
        eye.location, eye.rotation_quaternion, _ = conversion.pose_matrix(camera).decompose()
        eye.keyframe_insert("location", frame=frame)
        eye.keyframe_insert("rotation_quaternion", frame=frame)
    scene.frame_set(7)
    return eye


def test_the_worst_frames_of_the_path_come_first_and_the_scene_stays_where_it_is(extension, flight, measured):
    scene, strip = bpy.context.scene, extension.module("splat_addon.scene.trust.strip")
    bpy.ops.splat.measure_trust()
    assert bpy.ops.splat.ask_along_path() == {"FINISHED"}
    asked = strip.frames(scene)
    assert [frame.number for frame in asked] == list(range(1, 21)) and scene.frame_current == 7
    worst = strip.worst_first(asked)
    assert worst[0].number >= 15 and worst[-1].answer.db == max(frame.answer.db for frame in asked)
    assert worst[-1].number <= 5
    assert worst[0].answer.short == f"{worst[0].answer.db:.0f} dB, {worst[0].answer.angle_deg:.0f}° outside"
    assert bpy.ops.splat.go_to_frame(frame=worst[0].number) == {"FINISHED"}
    assert scene.frame_current == worst[0].number


@pytest.mark.parametrize("moved_splats", [False, True], ids=["still splats", "moving splats"])
def test_frames_are_those_of_the_scene_whatever_moves_the_camera(extension, flight, item, measured, moved_splats):
    """A lens that zooms, a parent that is animated, an eye that is held on a target; judged by the scene itself."""
    scene, strip = bpy.context.scene, extension.module("splat_addon.scene.trust.strip")
    conversion = extension.module("splat_addon.scene.cameras.conversion")
    carrier, target = bpy.data.objects.new("Carrier", None), bpy.data.objects.new("Target", None)
    for empty in (carrier, target):
        scene.collection.objects.link(empty)
    flight.parent = carrier
    flight.constraints.new("TRACK_TO").target = target
    for frame in (1, 20):
        carrier.location = (0, 0, 0.1 * frame)
        carrier.keyframe_insert("location", frame=frame)
        target.location = (0, 0.05 * frame, 0.0)
        target.keyframe_insert("location", frame=frame)
        flight.data.lens = 30 + frame
        flight.data.keyframe_insert("lens", frame=frame)
        if moved_splats:
            item.location = (0, 0.02 * frame, 0)
            item.keyframe_insert("location", frame=frame)
    scene.frame_set(3)
    bpy.ops.splat.measure_trust()
    scenes, users = len(bpy.data.scenes), flight.users
    bpy.ops.splat.ask_along_path()
    assert (len(bpy.data.scenes), flight.users, scene.frame_current, bpy.context.scene) == (scenes, users, 3, scene)
    asked = strip.frames(scene)
    for frame in asked[::4]:
        scene.frame_set(frame.number)
        right = measured.ask_in_world(measured.trust(), conversion.camera_from_object(flight, scene))
        assert (frame.answer.angle_deg, frame.answer.db) == (pytest.approx(right.angle_deg), pytest.approx(right.db))
    assert len({round(frame.answer.db, 3) for frame in asked}) > 10


def hide_from_viewports(scene, eye):
    eye.hide_viewport = True


def hold_out(scene, eye):
    eye.splat.is_held_out = True


def drive_by_frame(scene, eye):
    variable = driven(eye)
    variable.targets[0].id_type, variable.targets[0].id = "SCENE", scene
    variable.targets[0].data_path = "frame_current"


def drive_by_animated_property(scene, eye):
    for frame in (1, 20):
        scene["height"] = float(frame)
        scene.keyframe_insert('["height"]', frame=frame)
    variable = driven(eye)
    variable.type = "CONTEXT_PROP"
    variable.targets[0].context_property, variable.targets[0].data_path = "ACTIVE_SCENE", '["height"]'


def driven(eye):
    """A variable `height` that moves a parent of the eye up."""
    carrier = bpy.data.objects.new("Carrier", None)
    bpy.context.scene.collection.objects.link(carrier)
    eye.parent = carrier
    driver = carrier.driver_add("location", 2).driver
    variable = driver.variables.new()
    variable.name, driver.expression = "height", "height * 0.1"
    return variable


@pytest.mark.parametrize("change", [hide_from_viewports, hold_out, drive_by_frame, drive_by_animated_property])
def test_a_path_is_judged_as_renders_see_it_and_leaves_the_camera_in_its_place(extension, flight, measured, change):
    scene, strip = bpy.context.scene, extension.module("splat_addon.scene.trust.strip")
    conversion = extension.module("splat_addon.scene.cameras.conversion")
    change(scene, flight)
    scene.frame_set(3)
    bpy.ops.splat.measure_trust()
    before = flight.location.copy(), flight.rotation_quaternion.copy(), flight.matrix_world.copy()
    assert bpy.ops.splat.ask_along_path() == {"FINISHED"}
    assert (flight.location, flight.rotation_quaternion, flight.matrix_world) == before
    for frame in strip.frames(scene)[::4]:
        scene.frame_set(frame.number)
        right = measured.ask_in_world(measured.trust(), conversion.camera_from_object(flight, scene))
        assert frame.answer.angle_deg == pytest.approx(right.angle_deg)


def test_bars_touch_on_whole_pixels_and_are_as_high_as_their_quality(extension, flight, measured):
    bars, strip = extension.module("splat_addon.scene.trust.bars"), extension.module("splat_addon.scene.trust.strip")
    bpy.ops.splat.measure_trust()
    bpy.ops.splat.ask_along_path()
    asked, found = strip.frames(bpy.context.scene), measured.trust()
    corners, colors = bars.triangles(asked, found, (13, 110, 8, 42, 60))
    boxes = corners[:, :2].reshape(-1, 6, 2)
    low, high = boxes.min(axis=1), boxes.max(axis=1)
    assert len(boxes) == 21 and (low[0], high[0]) == (pytest.approx((13, 8)), pytest.approx((110, 60)))
    assert np.array_equal(low[2:, 0], high[1:-1, 0]) and low[1, 0] == 13 and high[-1, 0] == 110
    assert np.array_equal(boxes, boxes.round()) and (low[:, 1] == 8).all()
    quality = np.array([frame.answer.db for frame in asked])
    assert high[1:, 1] - 8 == pytest.approx(34 * quality / quality.max(), abs=0.51)
    worst = int(np.argmin(quality))
    expected = extension.module("splat_addon.scene.trust.volume").color_of(found, asked[worst].answer)
    assert colors[6 * (worst + 1)] == pytest.approx((*expected, 1.0))


def test_a_path_without_a_camera_or_with_an_orthographic_one_is_a_sentence(extension, flight, measured):
    bpy.ops.splat.measure_trust()
    flight.data.type = "ORTHO"
    with pytest.raises(RuntimeError, match="orthographic"):
        bpy.ops.splat.ask_along_path()
    bpy.context.scene.camera = None
    with pytest.raises(RuntimeError, match="no camera"):
        bpy.ops.splat.ask_along_path()
    assert bpy.context.scene.frame_current == 7


def test_the_volume_is_greener_where_the_photos_are(extension, item, measured):
    volume = extension.module("splat_addon.scene.trust.volume")
    bpy.ops.splat.measure_trust()
    found = measured.trust()
    volume.begin(found)
    volume.finish()
    lattice = volume.volume()
    assert lattice.is_done and 300 < len(lattice.places) < 1500
    away = np.linalg.norm(lattice.places[:, None] - np.array(POSITIONS)[None], axis=2).min(axis=1)
    known = np.array([answer.db if answer.db is not None else np.nan for answer in lattice.answers])
    near, far = np.nanmean(known[away < 0.8]), np.nanmean(known[away > np.quantile(away, 0.8)])
    assert near > far + 1
    best, worst = (lattice.answers[int(place)] for place in (np.nanargmax(known), np.nanargmin(known)))
    red, green, _ = volume.color_of(found, best)
    assert green > red and volume.size_of(found, best) > 2 * volume.size_of(found, worst)


def test_forgetting_takes_everything_away(extension, item, measured):
    bpy.ops.splat.measure_trust()
    assert bpy.ops.splat.forget_trust() == {"FINISHED"}
    assert measured.trust() is None and not bpy.ops.splat.forget_trust.poll()


def test_what_was_measured_goes_with_its_object(extension, item, measured):
    bpy.ops.splat.measure_trust()
    bpy.data.objects.remove(item)
    assert measured.trust() is None


def test_one_photo_is_told_to_confirm_nothing(extension, item, measured, tmp_path):
    file = tmp_path / "capture" / "transforms.json"
    scene = json.loads(file.read_text())
    kept = [frame for frame in scene["frames"] if frame["file_path"].endswith("v3.png")]
    scene["frames"] = kept
    for name in ("train_filenames", "val_filenames", "test_filenames"):
        if name in scene:
            scene[name] = [each for each in scene[name] if each.endswith("v3.png")]
    file.write_text(json.dumps(scene))
    bpy.ops.splat.measure_trust()
    assert len(measured.trust().cameras) == 1
    assert "One photo alone confirms nothing: every other view is a guess." in panel_texts(extension)
    assert ask(extension, measured, (0.8, 4.0, 0)).db is None  # no held-out view is left to measure by


def test_orthographic_and_panoramic_views_are_unknown_and_say_why(extension, flight, measured):
    """What the badge says of a viewport that looks through such a camera."""
    badge = extension.module("splat_addon.scene.trust.badge")
    bpy.ops.splat.measure_trust()
    screen = bpy.context.window_manager.windows[0].screen
    area = next(area for area in screen.areas if area.type == "VIEW_3D")
    region, space = next(each for each in area.regions if each.type == "WINDOW"), area.spaces.active
    space.region_3d.view_perspective = "CAMERA"
    for kind in ("ORTHO", "PANO"):
        flight.data.type = kind
        answer = badge.ask_about(region, space, bpy.context.scene)
        word = "orthographic" if kind == "ORTHO" else "panoramic"
        assert answer.db is None and answer.text.startswith("Trust unknown: ") and word in answer.text
