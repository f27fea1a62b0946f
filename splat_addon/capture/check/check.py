"""Whether cameras, points and photos belong together, measured: points project into photos whose colors agree.

The colors of the points that a camera sees are compared with the pixels they fall on, as correlation of their ranks, so
that exposure and white balance do not matter. Chance is what the same camera gives with the photos of other cameras.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ...errors import some_of
from ..camera import Camera
from ..capture import Capture
from ..photos.orientation import AS_STORED
from ..remarks import Remark
from .geometry import check_geometry
from .measuring import (
    CLEAR_GAIN,
    FEWEST_POINTS,
    ORIENTATIONS,
    WITHOUT_COLORS,
    Decode,
    Measured,
    angles_deg,
    decoded,
    matrix,
    own_scores,
    turned_scores,
)

APART_DEG = 15.0  # cameras turned less show nearly the same, so that their photos are no chance to compare with
AGREEING = 0.8  # share of other photos that a camera's own one has to beat, in the mean
ALIKE = 0.35  # correlation from which points and photos agree where there are no other photos to compare with
SWAP_GAIN = 0.05  # correlation that two cameras gain, together, from each other's photo
_HYPOTHESIS_VIEWS, _HYPOTHESIS_POINTS = 12, 3000  # that other readings are tried on
_STEP = 0.12  # of a small move of the points: radians, a part of their size, of their distance from the cameras
_SMALL_GAIN = 0.03  # correlation by which a small move of the points makes it better, where it is not weak
_WEAK = 0.2
_LEAST_SCORE = 0.15
_TURNED_GAIN = 0.15  # correlation that a single photo gains when it is turned
_FLIP = np.diag([1.0, -1.0, -1.0, 1.0])
_LYING = (5, 6, 7, 8)  # orientations that exchange width and height

_TURN_PHOTOS = "Use the photos that the cameras were measured on, turned as they were then."
_TURN_CAMERAS = "Export the cameras again, as camera-to-world matrices of the format's axes."
_MOVE_POINTS = "Export the points again, in the frame of the cameras."
_FIND_PHOTOS = "Check that photos, cameras and points are of one reconstruction, and that no photo was renamed."


@dataclass(frozen=True)
class Agreement:
    """How well points and photos agree: the median correlation `score`, and `chance`, the same with photos of other
    cameras (NaN where all cameras look the same way). `photo_count` photos were compared."""

    score: float
    chance: float
    photo_count: int
    agrees: bool


@dataclass(frozen=True)
class Check:
    """What was measured. `agreement` is None where there is nothing to compare: geometry alone was checked then."""

    agreement: Agreement | None
    remarks: tuple[Remark, ...]


def check_capture(capture: Capture, decode: Decode, tell: Callable[[float], None] = lambda fraction: None) -> Check:
    """Check geometry, then compare points with a sample of photos. `tell` hears the fraction that is done."""
    remarks = check_geometry(capture)
    if capture.points is None or len(capture.points.positions) < FEWEST_POINTS:
        why = Remark("The capture has no points, so that photos and cameras could not be compared.")
        return Check(None, (*remarks, why))
    views, photos, unreadable = decoded(capture.views, decode, tell)
    if unreadable:
        names = some_of(unreadable)
        text = f"{len(unreadable)} photos cannot be read, or do not have their cameras' proportions ({names})."
        remarks = (*remarks, Remark(text, "Replace the files, or remove them.", True))
    measured = Measured.of(capture.points, views, photos)
    if len(measured.views) < 2:
        why = Remark("Too few points lie in the photos to compare them: only the geometry was checked.")
        return Check(None, (*remarks, why))
    agreement, found = _judged(measured)
    tell(1.0)
    return Check(agreement, (*remarks, *found))


def _judged(measured: Measured) -> tuple[Agreement, tuple[Remark, ...]]:
    by_photos = not measured.is_colored
    scores = matrix(measured, by_photos)
    agreement = _agreement(measured, scores)
    better = _better(measured, agreement, by_photos)
    if better is not None:
        return replace(agreement, agrees=False), (better,)
    if not by_photos and not agreement.agrees:  # colored by something else, perhaps: then photos agree with each other
        others = matrix(measured, True)
        by_others = _agreement(measured, others)
        if by_others.agrees and by_others.score >= WITHOUT_COLORS:
            scores, agreement = others, by_others
            better = _better(measured, agreement, True)
            if better is not None:
                return replace(agreement, agrees=False), (better,)
    if not agreement.agrees:
        text = (
            "Points and photos do not agree: where points lie in the photos, colors are theirs no more often than by"
            f" chance ({agreement.score:.2f})."
        )
        return agreement, (Remark(text, _FIND_PHOTOS, True),)
    beside = _beside(measured, by_photos)
    if beside is not None:
        return replace(agreement, agrees=False), (beside,)
    turned = _turned(measured, by_photos)
    return agreement, (*turned.values(), *_misplaced(measured, scores, set(turned)))


def _agreement(measured: Measured, scores: np.ndarray) -> Agreement:
    own = np.diag(scores)
    is_other = (angles_deg(measured.views) >= APART_DEG) & np.isfinite(scores) & np.isfinite(own)[:, None]
    known = own[np.isfinite(own)]
    score = float(np.median(known)) if len(known) else 0.0
    if not is_other.any():
        return Agreement(score, float("nan"), len(known), score >= ALIKE)
    wins = float((own[:, None] > scores)[is_other].mean())
    chance = float(np.median(scores[is_other]))
    return Agreement(score, chance, len(known), wins >= AGREEING and score > _LEAST_SCORE)


def _misplaced(measured: Measured, scores: np.ndarray, told: set[int]) -> tuple[Remark, ...]:
    """Photos that fit the camera of another photo better, and it theirs; not those that are told already."""
    own, is_apart = np.diag(scores), angles_deg(measured.views) >= APART_DEG
    gains = np.where(is_apart, np.nan_to_num(scores + scores.T - own[:, None] - own, nan=-9.0), -9.0)
    names, remarks = [view.listed_as or view.name for view in measured.views], []
    pairs = sorted(zip(*np.nonzero(np.triu(gains) > SWAP_GAIN), strict=True), key=lambda pair: -gains[pair])
    told = set(told)
    for first, second in pairs:
        if not told & {first, second}:
            told |= {first, second}
            text = f"The photos {names[first]} and {names[second]} are swapped: each fits the other's camera."
            remarks.append(Remark(text, "Swap the names of the two files.", True))
    usual = float(np.nanmedian(own))
    for index, name in enumerate(names):
        others = scores[index][is_apart[index] & np.isfinite(scores[index])]
        if index in told or not len(others) or not np.isfinite(own[index]):
            continue
        chance = float(np.median(others))
        if usual - chance > 0.3 and own[index] < chance + 0.2 * (usual - chance):
            text = f"The photo {name} does not show what its camera sees."
            remarks.append(Remark(text, "Replace the photo, or remove the view from the capture.", True))
    return tuple(remarks)


def _turned(measured: Measured, by_photos: bool) -> dict[int, Remark]:
    """Single photos, by index, that fit their camera when they are turned."""
    measured = measured.thinned(len(measured.views), _HYPOTHESIS_POINTS)
    scores = turned_scores(measured, [AS_STORED, *ORIENTATIONS], by_photos)
    found: dict[int, Remark] = {}
    for index, view in enumerate(measured.views):
        gains = {
            orientation: score - scores[index, 0]
            for orientation, score in zip(ORIENTATIONS, scores[index, 1:], strict=True)
            if _may_be_turned(measured, index, orientation) and score - scores[index, 0] > _TURNED_GAIN
        }
        if gains:
            how, _ = ORIENTATIONS[max(gains, key=lambda orientation: gains[orientation])]
            text = f"The photo {view.listed_as or view.name} lies another way than its camera: it would fit {how}."
            found[index] = Remark(text, "Turn the file, or remove the view from the capture.", True)
    return found


def _better(measured: Measured, agreement: Agreement, by_photos: bool) -> Remark | None:
    """Another reading of the same files under which points and photos agree clearly better, as a warning."""
    measured = measured.thinned(_HYPOTHESIS_VIEWS, _HYPOTHESIS_POINTS)
    cameras = [view.camera for view in measured.views]
    now = own_scores(measured, by_photos)
    tried: list[tuple[np.ndarray, str, str]] = []
    for orientation, (how, _) in ORIENTATIONS.items():
        if all(_may_be_turned(measured, index, orientation) for index in range(len(cameras))):
            scores = own_scores(measured, by_photos, orientations=[orientation] * len(cameras))
            tried.append((scores, f"they would with the photos {how}", _TURN_PHOTOS))
    if not agreement.agrees:
        for how, poses in _other_poses(cameras):
            tried.append((own_scores(measured, by_photos, poses), f"they would {how}", _TURN_CAMERAS))
        for turn in _quarter_turns():
            scores = own_scores(measured.moved(np.pad(turn, ((0, 0), (0, 1)))), by_photos)
            tried.append((scores, f"they would with the points' axes read as {_axes(turn)}", _MOVE_POINTS))
    if not tried:
        return None
    scores, how, remedy = max(tried, key=lambda entry: float(entry[0].mean()))
    gain = scores - now
    error = float(gain.std()) / max(1, len(gain)) ** 0.5
    if gain.mean() < max(CLEAR_GAIN, 2 * error) or scores.mean() < 0.3:
        return None
    text = f"Points and photos do not agree: {how} ({scores.mean():.2f} instead of {now.mean():.2f})."
    return Remark(text, remedy, True)


def _beside(measured: Measured, by_photos: bool) -> Remark | None:
    """Whether points that do agree with the photos lie beside where they belong. There, agreement is best: any small
    move makes it worse. Elsewhere it becomes better in some direction."""
    measured = measured.thinned(_HYPOTHESIS_VIEWS, _HYPOTHESIS_POINTS)
    now = own_scores(measured, by_photos)
    is_weak = not by_photos and now.mean() < _WEAK  # photos agree with each other less sharply than with colors
    found: list[tuple[float, str]] = []
    for how, move in _small_moves(measured, is_weak):
        gain = own_scores(measured.moved(move), by_photos) - now
        needed = 0.0 if is_weak else max(_SMALL_GAIN, 3 * float(gain.std()) / max(1, len(gain)) ** 0.5)
        if gain.mean() >= needed:
            found.append((float(gain.mean()), how))
    if not found:
        return None
    _, how = max(found)
    text = "Points and photos agree only roughly: the points lie beside the surfaces that the photos show"
    return Remark(f"{text}, and agree better {how}.", _MOVE_POINTS, True)


def _small_moves(measured: Measured, with_smaller: bool) -> list[tuple[str, np.ndarray]]:
    """Similarities (3, 4) that turn or scale the points about their middle by a little, or shift them.

    Shrinking rids points at the rim of a thing of the pixels behind it, wherever they belong: it tells something where
    agreement is weak."""
    middle = np.median(measured.positions, axis=0)
    distance = float(np.median([np.linalg.norm(view.camera.position - middle) for view in measured.views]))
    moves = []
    for axis, sign in itertools.product(range(3), (1, -1)):
        direction, name = sign * np.eye(3)[axis], ("" if sign > 0 else "-") + "xyz"[axis]
        shift = np.concatenate([np.eye(3), _STEP * distance * direction[:, None]], axis=1)
        moves.append((f"shifted along {name}", shift))
        cross = np.cross(np.eye(3), direction)
        turn = np.eye(3) + np.sin(_STEP) * cross + (1 - np.cos(_STEP)) * cross @ cross
        moves.append((f"turned about {name}", np.column_stack([turn, middle - turn @ middle])))
    scales = [(1 + _STEP, "larger"), *([(1 / (1 + _STEP), "smaller")] if with_smaller else [])]
    moves += [(name, np.column_stack([scale * np.eye(3), (1 - scale) * middle])) for scale, name in scales]
    return moves


def _may_be_turned(measured: Measured, index: int, orientation: int) -> bool:
    """Whether a photo turned that way would have the proportions of its camera."""
    camera, (height, width) = measured.views[index].camera, measured.photos[index].shape[:2]
    across, down = (height, width) if orientation in _LYING else (width, height)
    return abs((across / down) / (camera.width / camera.height) - 1) < 0.05


def _other_poses(cameras: list[Camera]) -> list[tuple[str, list[Camera]]]:
    """What cameras would be if their matrices had been written another way."""
    found = []
    for written in (np.eye(4), _FLIP):  # the axes that the file was read in
        for meant in (np.eye(4), _FLIP):
            inverted, transposed = [], []
            for camera in cameras:
                written_matrix = camera.world_from_camera @ written
                turned = written_matrix.copy()
                turned[:3, :3] = written_matrix[:3, :3].T
                inverted.append(replace(camera, camera_from_world=np.linalg.inv(np.linalg.inv(written_matrix) @ meant)))
                transposed.append(replace(camera, camera_from_world=np.linalg.inv(turned @ meant)))
            found += [("with inverted camera matrices", inverted), ("with transposed rotations", transposed)]
    other = [replace(camera, camera_from_world=_FLIP @ camera.camera_from_world) for camera in cameras]
    return [*found, ("with the cameras' y and z axes reversed", other)]


def _quarter_turns() -> list[np.ndarray]:
    """The 23 turns, and 24 with a mirror, that exchange axes."""
    found = []
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            found.append(np.eye(3)[list(order)] * np.array(signs)[:, None])
    return found[1:]


def _axes(turn: np.ndarray) -> str:
    names = []
    for row in turn:
        axis = int(np.abs(row).argmax())
        names.append(("-" if row[axis] < 0 else "") + "xyz"[axis])
    return ", ".join(names)
