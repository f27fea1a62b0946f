"""The camera of one view: OpenCV axes, pixels, optional lens distortion."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from ..errors import CameraError
from .rotation import is_rotation

# What a camera can be. Wider limits than any lens or world has, so that what lies beyond them is a mistake.
MOST_PIXELS = 65_536  # along one side: no more fit into a JPEG or a WebP
FOCAL_RATIOS = (0.01, 10_000.0)  # focal length by the longer side: from nearly 180 degrees to a twentieth of a minute
LARGEST_NUMBER = 1e15  # of a place in capture units, squares of which are still numbers in 32 bits
LARGEST_DISTORTION = 1e6  # of a lens coefficient


@dataclass(frozen=True)
class Camera:
    """A perspective camera with `width` x `height` pixels.

    Focal lengths `fx`, `fy` and the principal point `cx`, `cy` are in pixels; the center of the first pixel lies at
    (0.5, 0.5). `camera_from_world` is (4, 4) float64, rigid, with OpenCV axes (+x right, +y down, +z forward).
    `distortion` is empty for a pinhole camera, else OpenCV's (k1, k2, p1, p2, k3, k4, k5, k6).
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    camera_from_world: np.ndarray
    distortion: tuple[float, ...] = ()

    @property
    def world_from_camera(self) -> np.ndarray:
        """(4, 4) the camera's pose in the world."""
        return np.linalg.inv(self.camera_from_world)

    @property
    def position(self) -> np.ndarray:
        """(3,) the camera's center in the world."""
        rotation, translation = self.camera_from_world[:3, :3], self.camera_from_world[:3, 3]
        return -rotation.T @ translation

    def project(self, points_world: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (P, 2) and depths (P,) along +z of world points (P, 3). Points behind have a depth below zero."""
        points = points_world @ self.camera_from_world[:3, :3].T + self.camera_from_world[:3, 3]
        depths = points[:, 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            slopes = points[:, :2] / depths[:, None]
        return self.distort(slopes) * (self.fx, self.fy) + (self.cx, self.cy), depths

    def distort(self, slopes: np.ndarray) -> np.ndarray:
        """Where the lens moves undistorted (x/z, y/z) slopes (P, 2). Brown-Conrady with OpenCV's rational terms."""
        if not any(self.distortion):
            return slopes
        k1, k2, p1, p2, k3, k4, k5, k6 = (*self.distortion, *[0.0] * (8 - len(self.distortion)))
        x, y = slopes[:, 0], slopes[:, 1]
        r2 = x * x + y * y
        radial = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
        return np.stack(
            [
                x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
                y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
            ],
            axis=1,
        )

    def is_before_fold(self, slopes: np.ndarray) -> np.ndarray:
        """(P,) whether the lens polynomial still holds at undistorted slopes (P, 2). Farther out it turns back into the
        picture, which no lens does: nothing is seen there."""
        x, y = slopes[:, 0], slopes[:, 1]
        return x * x + y * y < _fold(self.distortion) ** 2

    def seen(self, points_world: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Indices of the world points (P, 3) within the image, their pixels (Q, 2) and depths (Q,) along +z."""
        straight, depths = self.without_distortion().project(points_world)
        size = np.array([self.width, self.height])
        # Nothing that lies far outside without its lens is bent in, whatever the polynomial says.
        near = np.flatnonzero((depths > 0) & (np.abs(straight - size / 2) < size).all(axis=1))
        pixels, depths = straight[near], depths[near]
        if any(self.distortion):
            slopes = (pixels - (self.cx, self.cy)) / (self.fx, self.fy)
            holds = self.is_before_fold(slopes)
            near, depths = near[holds], depths[holds]
            pixels = self.distort(slopes[holds]) * (self.fx, self.fy) + (self.cx, self.cy)
        inside = ((pixels >= 0) & (pixels < size)).all(axis=1)
        return near[inside], pixels[inside], depths[inside]

    def undistort(self, slopes: np.ndarray) -> np.ndarray:
        """The undistorted slopes (P, 2) that `distort` moves to `slopes`: Newton's method, to about 1e-12."""
        if not any(self.distortion):
            return slopes
        found, step = slopes.copy(), 1e-6
        for _ in range(12):
            miss = self.distort(found) - slopes
            by_x = (self.distort(found + (step, 0)) - self.distort(found - (step, 0))) / (2 * step)
            by_y = (self.distort(found + (0, step)) - self.distort(found - (0, step))) / (2 * step)
            determinant = by_x[:, 0] * by_y[:, 1] - by_y[:, 0] * by_x[:, 1]
            determinant = np.where(np.abs(determinant) < 1e-9, 1e-9, determinant)
            found[:, 0] -= (by_y[:, 1] * miss[:, 0] - by_y[:, 0] * miss[:, 1]) / determinant
            found[:, 1] -= (by_x[:, 0] * miss[:, 1] - by_x[:, 1] * miss[:, 0]) / determinant
        return found

    def undistort_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """Where (P, 2) the pinhole lens of the same focal length and center puts what lies at `pixels`."""
        focal, center = np.array((self.fx, self.fy)), np.array((self.cx, self.cy))
        return self.undistort((pixels - center) / focal) * focal + center

    def distortion_px(self) -> float:
        """How far the lens moves the photo's corners and the middles of its edges, at most, in pixels."""
        edges = np.array([(x, y) for x in (0, 0.5, 1) for y in (0, 0.5, 1)]) * (self.width, self.height)
        slopes = (edges - (self.cx, self.cy)) / (self.fx, self.fy)
        return float(np.linalg.norm((self.distort(slopes) - slopes) * (self.fx, self.fy), axis=1).max())

    def moved(self, similarity: np.ndarray) -> "Camera":
        """The same camera in a world that a (4, 4) similarity has turned, scaled and shifted."""
        scale = np.cbrt(np.linalg.det(similarity[:3, :3]))
        turn = self.camera_from_world[:3, :3] @ (similarity[:3, :3] / scale).T
        matrix = np.eye(4)
        matrix[:3, :3] = turn
        matrix[:3, 3] = -turn @ (similarity[:3, :3] @ self.position + similarity[:3, 3])
        return replace(self, camera_from_world=matrix)

    def without_distortion(self) -> "Camera":
        """The pinhole camera with the same pixels, focal length and principal point."""
        return replace(self, distortion=())

    def resized(self, width: int, height: int) -> "Camera":
        """The same camera over an image of another size."""
        across, down = width / self.width, height / self.height
        return replace(
            self,
            width=width,
            height=height,
            fx=self.fx * across,
            fy=self.fy * down,
            cx=self.cx * across,
            cy=self.cy * down,
        )

    def check(self, name: str) -> None:
        """Raise CameraError, naming the view, when a number is impossible or the pose is not rigid. The one place that
        judges cameras, wherever they were read."""
        numbers = [self.fx, self.fy, self.cx, self.cy, *self.distortion, *np.ravel(self.camera_from_world)]
        if not np.isfinite(numbers).all():
            raise CameraError(
                f"The camera of {name} contains a value that is not finite.",
                "Remove this view from the capture or register it again.",
            )
        if self.width < 1 or self.height < 1 or self.fx <= 0 or self.fy <= 0:
            raise CameraError(
                f"The camera of {name} has no pixels or no focal length.", "Set its width, height and focal length."
            )
        longer = max(self.width, self.height)
        if longer > MOST_PIXELS:
            raise CameraError(
                f"The camera of {name} has more than {MOST_PIXELS} pixels along one side.",
                "Correct its width and height.",
            )
        focal, center = (self.fx, self.fy), (self.cx / longer, self.cy / longer)
        if min(focal) < FOCAL_RATIOS[0] * longer or max(focal) > FOCAL_RATIOS[1] * longer:
            raise CameraError(
                f"The camera of {name} has a focal length that no lens has ({self.fx:g} x {self.fy:g} pixels).",
                "Correct it, or remove this view from the capture.",
            )
        if np.abs(center).max() > FOCAL_RATIOS[1] or np.abs([0, *self.distortion]).max() > LARGEST_DISTORTION:
            raise CameraError(
                f"The camera of {name} has a lens center or a lens distortion that no lens has.",
                "Correct it, or remove this view from the capture.",
            )
        if np.abs(self.camera_from_world).max() > LARGEST_NUMBER:
            raise CameraError(
                f"The camera of {name} stands farther away than {LARGEST_NUMBER:g} units.",
                "Correct its pose, or remove this view from the capture.",
            )
        if not is_rotation(self.camera_from_world[:3, :3]):
            raise CameraError(
                f"The pose of {name} is not a rotation and a translation.",
                "Remove scale, shear and mirroring from its matrix.",
            )


OPENCV_FROM_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
"""(4, 4) turns OpenGL (and Blender) camera axes (+y up, looking along -z) into OpenCV's; its own inverse."""


@lru_cache(maxsize=1024)
def _fold(distortion: tuple[float, ...]) -> float:
    """The undistorted slope at which the radial part of a lens stops growing; infinite where it never does."""
    k1, k2, _, _, k3, k4, k5, k6 = (*distortion, *[0.0] * (8 - len(distortion)))
    upper, lower = np.polynomial.Polynomial([1, k1, k2, k3]), np.polynomial.Polynomial([1, k4, k5, k6])
    twice = np.polynomial.Polynomial([0, 2])
    # r upper(r2) / lower(r2) stops growing where its derivative has a root, and ends where lower has one.
    slope = (upper + twice * upper.deriv()) * lower - twice * upper * lower.deriv()
    roots = np.concatenate([slope.trim().roots(), lower.trim().roots()])
    places = roots.real[(np.abs(roots.imag) < 1e-9 * np.maximum(1, np.abs(roots))) & (roots.real > 0)]
    return float(np.sqrt(places.min())) if len(places) else float("inf")
