"""Scenes with known surfaces for `bench floaters`: boxes and balls, traced with numba, so that depths and distances to
the surfaces are exact and every picture is the same on every machine.

Each kind of scene is drawn by chance from a number: the same kind with another number is another scene. The camera
convention is the capture's (OpenCV axes), z is up, lengths are meters.
"""

from dataclasses import dataclass, field

import numba
import numpy as np

from splat_addon.capture.camera import Camera
from splat_addon.gaussians.srgb import encode_srgb

WIDTH, HEIGHT = 280, 210
PATH_CAMERAS, FREE_CAMERAS = 30, 12
SAMPLES = 2  # rays a side for each pixel
SUN = np.array([0.45, 0.3, 0.84]) / np.linalg.norm([0.45, 0.3, 0.84])


@dataclass
class World:
    """What is there, and who looks. `boxes` (M, 16): center, half sizes, yaw, color, texture size, contrast, mirror,
    clear (the parts of light that are mirrored and let through); `balls` (B, 16): center, radius, -, -, -, then as
    boxes."""

    name: str
    boxes: list = field(default_factory=list)
    balls: list = field(default_factory=list)
    path: list = field(default_factory=list)  # Camera
    free: list = field(default_factory=list)
    has_sky: bool = True
    middle: np.ndarray = field(default_factory=lambda: np.zeros(3))
    sun: float = 0.9

    def box(self, center, half, color, yaw=0.0, texture=0.25, contrast=0.5, mirror=0.0, clear=0.0) -> None:
        self.boxes.append([*center, *half, yaw, *color, texture, contrast, mirror, clear, 0, 0])

    def ball(self, center, radius, color, texture=0.25, contrast=0.5, mirror=0.0, clear=0.0) -> None:
        self.balls.append([*center, radius, 0, 0, 0, *color, texture, contrast, mirror, clear, 0, 0])

    @property
    def sky_from(self) -> float:
        """What is farther from the middle is sky, and no floater: twice as far as the cameras of the path."""
        if not self.has_sky:
            return np.inf
        return 2 * float(np.median([np.linalg.norm(camera.position - self.middle) for camera in self.path]))

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        return np.array(self.boxes).reshape(-1, 16), np.array(self.balls).reshape(-1, 16)


@numba.njit(cache=False)
def _hash(x, y, z):
    n = (x * 374761393 + y * 668265263 + z * 2147483647) & 0xFFFFFFFF
    n = ((n ^ (n >> 13)) * 1274126177) & 0xFFFFFFFF
    return ((n ^ (n >> 16)) & 0xFFFF) / 65535.0


@numba.njit(cache=False)
def _noise(x, y, z):
    """Value noise, 0..1."""
    i, j, k = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
    u, v, w = x - i, y - j, z - k
    u, v, w = u * u * (3 - 2 * u), v * v * (3 - 2 * v), w * w * (3 - 2 * w)
    total = 0.0
    for a in range(2):
        for b in range(2):
            for c in range(2):
                part = (u if a else 1 - u) * (v if b else 1 - v) * (w if c else 1 - w)
                total += part * _hash(i + a, j + b, k + c)
    return total


@numba.njit(cache=False)
def _hit(ox, oy, oz, dx, dy, dz, boxes, balls):
    """The nearest thing on a ray: distance (inf: none), its number (balls after boxes), and its normal."""
    best, which, nx, ny, nz = np.inf, -1, 0.0, 0.0, 0.0
    for m in range(len(boxes)):
        b = boxes[m]
        px, py, pz = ox - b[0], oy - b[1], oz - b[2]
        along = px * dx + py * dy + pz * dz
        if px * px + py * py + pz * pz - along * along > b[3] * b[3] + b[4] * b[4] + b[5] * b[5]:
            continue  # the ray passes by
        c, s = np.cos(b[6]), np.sin(b[6])
        o = (c * px + s * py, -s * px + c * py, pz)
        d = (c * dx + s * dy, -s * dx + c * dy, dz)
        enter, leave, axis_in, axis_out = -np.inf, np.inf, 0, 0
        for a in range(3):
            inverse = 1.0 / d[a] if abs(d[a]) > 1e-12 else 1e12
            t0, t1 = (-b[3 + a] - o[a]) * inverse, (b[3 + a] - o[a]) * inverse
            if t0 > t1:
                t0, t1 = t1, t0
            if t0 > enter:
                enter, axis_in = t0, a
            if t1 < leave:
                leave, axis_out = t1, a
        if enter > leave or leave < 1e-4:
            continue
        t, axis = (enter, axis_in) if enter > 1e-4 else (leave, axis_out)
        if t < best:
            best, which = t, m
            n = -1.0 if d[axis] > 0 else 1.0
            lx, ly, nz = (n if axis == 0 else 0.0), (n if axis == 1 else 0.0), (n if axis == 2 else 0.0)
            nx, ny = c * lx - s * ly, s * lx + c * ly
    for m in range(len(balls)):
        b = balls[m]
        px, py, pz = ox - b[0], oy - b[1], oz - b[2]
        half, rest = px * dx + py * dy + pz * dz, px * px + py * py + pz * pz - b[3] * b[3]
        root = half * half - rest
        if root < 0:
            continue
        root = np.sqrt(root)
        t = -half - root if -half - root > 1e-4 else -half + root
        if 1e-4 < t < best:
            best, which = t, len(boxes) + m
            nx, ny, nz = (px + t * dx) / b[3], (py + t * dy) / b[3], (pz + t * dz) / b[3]
    return best, which, nx, ny, nz


@numba.njit(cache=False)
def _shade(ox, oy, oz, dx, dy, dz, boxes, balls, sun, has_sky, light, out):
    """Linear light along a ray, mirrors followed three times, and straight on through what is clear."""
    share = 1.0
    out[:] = 0.0
    for _bounce in range(6):
        t, which, nx, ny, nz = _hit(ox, oy, oz, dx, dy, dz, boxes, balls)
        if which < 0:
            cloud = _noise(dx * 4 + 7, dy * 4, dz * 9) * 0.6 + _noise(dx * 11, dy * 11 + 3, dz * 20) * 0.4
            up = max(dz, 0.0)
            out[0] += share * (0.30 + 0.45 * cloud - 0.15 * up)
            out[1] += share * (0.42 + 0.35 * cloud - 0.12 * up)
            out[2] += share * (0.70 + 0.15 * cloud)
            return
        thing = boxes[which] if which < len(boxes) else balls[which - len(boxes)]
        x, y, z = ox + t * dx, oy + t * dy, oz + t * dz
        size, contrast, mirror, clear = thing[10], thing[11], thing[12], thing[13]
        grain = 0.5 * _noise(x / size, y / size, z / size) + 0.3 * _noise(3 * x / size, 3 * y / size, 3 * z / size)
        grain += 0.2 * _noise(9 * x / size, 9 * y / size, 9 * z / size)
        value = 1 - contrast + 2 * contrast * grain
        facing = nx * light[0] + ny * light[1] + nz * light[2]
        bright = 0.35 + 0.15 * nz + 0.08 * nx
        if has_sky and facing > 0:
            e = 1e-3
            shadow, _, _, _, _ = _hit(x + e * nx, y + e * ny, z + e * nz, light[0], light[1], light[2], boxes, balls)
            if shadow == np.inf:
                bright += sun * facing
        elif not has_sky:
            bright += sun * 0.5 * (0.5 + 0.5 * facing)
        for channel in range(3):
            out[channel] += share * (1 - mirror - clear) * value * thing[7 + channel] * bright
        if clear > 0:  # the mirrored light of clear things is the sky's, where there is one
            if has_sky:
                for channel in range(3):
                    out[channel] += share * mirror * (0.55 + 0.1 * channel)
            share *= clear
            ox, oy, oz = x + 1e-3 * dx, y + 1e-3 * dy, z + 1e-3 * dz
            continue
        if mirror <= 0:
            return
        share *= mirror
        along = 2 * (dx * nx + dy * ny + dz * nz)
        dx, dy, dz = dx - along * nx, dy - along * ny, dz - along * nz
        ox, oy, oz = x + 1e-3 * nx, y + 1e-3 * ny, z + 1e-3 * nz


@numba.njit(cache=False)
def _render(matrix, fx, fy, cx, cy, width, height, samples, boxes, balls, sun, has_sky, light, image, depth, normals):
    out = np.zeros(3)
    for row in range(height):
        for column in range(width):
            for part in range(samples * samples + 1):  # the last one is the pixel's center
                is_center = part == samples * samples
                u = column + (0.5 if is_center else (part % samples + 0.5) / samples)
                v = row + (0.5 if is_center else (part // samples + 0.5) / samples)
                x, y = (u - cx) / fx, (v - cy) / fy
                length = np.sqrt(x * x + y * y + 1)
                dx = (matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]) / length
                dy = (matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]) / length
                dz = (matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2]) / length
                if is_center:
                    t, _, nx, ny, nz = _hit(matrix[0, 3], matrix[1, 3], matrix[2, 3], dx, dy, dz, boxes, balls)
                    depth[row, column] = t / length
                    normals[row, column, 0], normals[row, column, 1], normals[row, column, 2] = nx, ny, nz
                else:
                    _shade(matrix[0, 3], matrix[1, 3], matrix[2, 3], dx, dy, dz, boxes, balls, sun, has_sky, light, out)
                    for channel in range(3):
                        image[row, column, channel] += out[channel] / (samples * samples)


@numba.njit(cache=False)
def _distances(points, boxes, balls, out):
    for i in range(len(points)):
        best = np.inf
        for m in range(len(boxes)):
            b = boxes[m]
            c, s = np.cos(b[6]), np.sin(b[6])
            px, py = points[i, 0] - b[0], points[i, 1] - b[1]
            qx, qy = abs(c * px + s * py) - b[3], abs(-s * px + c * py) - b[4]
            qz = abs(points[i, 2] - b[2]) - b[5]
            outside = np.sqrt(max(qx, 0.0) ** 2 + max(qy, 0.0) ** 2 + max(qz, 0.0) ** 2)
            signed = outside + min(max(qx, max(qy, qz)), 0.0)
            best = signed if abs(signed) < abs(best) else best
        for m in range(len(balls)):
            b = balls[m]
            px, py, pz = points[i, 0] - b[0], points[i, 1] - b[1], points[i, 2] - b[2]
            signed = np.sqrt(px * px + py * py + pz * pz) - b[3]
            best = signed if abs(signed) < abs(best) else best
        out[i] = best


def distances(world: World, points: np.ndarray) -> np.ndarray:
    """(P,) from points (P, 3) to the nearest true surface, negative within what it bounds."""
    out = np.empty(len(points))
    _distances(np.ascontiguousarray(points, np.float64), *world.arrays, out)
    return out


@dataclass(frozen=True)
class Shot:
    """What a camera measures: display-encoded values (H, W, 3), depth along +z (H, W) (infinite: sky), normals."""

    camera: Camera
    image: np.ndarray
    depth: np.ndarray
    normals: np.ndarray


def shoot(world: World, camera: Camera) -> Shot:
    image, depth = np.zeros((camera.height, camera.width, 3)), np.zeros((camera.height, camera.width))
    normals = np.zeros((camera.height, camera.width, 3))
    _render(
        camera.world_from_camera, camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height, SAMPLES,
        *world.arrays, world.sun, world.has_sky, SUN, image, depth, normals,
    )  # fmt: skip
    return Shot(camera, encode_srgb(np.clip(image, 0, 1)).astype(np.float32), depth, normals)


def look(position, target, field_deg: float = 65.0) -> Camera:
    """A camera at `position` that looks at `target`, z up."""
    position, forward = np.asarray(position, float), np.asarray(target, float) - position
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, -rotation @ position
    focal = WIDTH / 2 / np.tan(np.deg2rad(field_deg) / 2)
    return Camera(WIDTH, HEIGHT, focal, focal, WIDTH / 2, HEIGHT / 2, matrix)


def _orbit(world: World, rng, radius, height, target, wobble=0.12) -> None:
    """Path cameras on an orbit around `target`; free ones at other heights, distances and directions."""
    start = rng.uniform(0, 2 * np.pi)
    for i in range(PATH_CAMERAS):
        angle = start + 2 * np.pi * i / PATH_CAMERAS
        r, h = radius * (1 + rng.normal(0, wobble)), height * (1 + rng.normal(0, wobble))
        aim = np.asarray(target) + rng.normal(0, 0.08 * radius, 3)
        world.path.append(look([target[0] + r * np.cos(angle), target[1] + r * np.sin(angle), h], aim))
    for _ in range(FREE_CAMERAS):
        angle, r = rng.uniform(0, 2 * np.pi), radius * rng.uniform(0.55, 1.25)
        aim = np.asarray(target) + rng.normal(0, 0.2 * radius, 3)
        position = np.array([target[0] + r * np.cos(angle), target[1] + r * np.sin(angle), height])
        position[2] *= rng.uniform(0.45, 1.7)
        while distances(world, position[None])[0] < 0.05 * radius:
            position[2] += 0.2 * height
        world.free.append(look(position, aim))


def _color(rng, low=0.15, high=0.85):
    return rng.uniform(low, high, 3)


def _ground(world: World, rng, half) -> None:
    world.box([0, 0, -0.5], [half, half, 0.5], [0.35, 0.42, 0.25], texture=0.8, contrast=0.6)


def still(number: int) -> World:
    """A table with things on it, on a small ground, with sky all around."""
    rng = np.random.default_rng([1, number])
    world = World("still")
    _ground(world, rng, 3.5)
    world.box([0, 0, 0.9], [1.1, 0.8, 0.06], _color(rng), yaw=rng.uniform(0, 3), texture=0.2)
    for x, y in ((-0.9, -0.6), (0.9, -0.6), (-0.9, 0.6), (0.9, 0.6)):
        world.box([x * 0.8, y * 0.8, 0.42], [0.06, 0.06, 0.42], [0.3, 0.2, 0.12])
    for _ in range(9):
        x, y = rng.uniform(-0.7, 0.7), rng.uniform(-0.45, 0.45)
        size = rng.uniform(0.08, 0.22)
        if rng.random() < 0.5:
            world.ball([x, y, 0.96 + size], size, _color(rng), texture=0.1)
        else:
            height = rng.uniform(0.1, 0.4)
            world.box([x, y, 0.96 + height], [size, size * 0.7, height], _color(rng), rng.uniform(0, 3), 0.1)
    _orbit(world, rng, 2.9, 1.9, [0, 0, 0.9])
    return world


def room(number: int) -> World:
    """A furnished room seen from inside, its walls nearly plain."""
    rng = np.random.default_rng([2, number])
    a, b, h = rng.uniform(2.8, 3.4), rng.uniform(2.2, 2.8), 2.7
    world = World("room", has_sky=False)
    plain = {"texture": 0.5, "contrast": 0.12}
    world.box([0, 0, -0.1], [a, b, 0.1], [0.5, 0.36, 0.25], texture=0.35, contrast=0.5)
    world.box([0, 0, h + 0.1], [a, b, 0.1], [0.85, 0.85, 0.82], **plain)
    for x, y, p, q in ((a + 0.1, 0, 0.1, b), (-a - 0.1, 0, 0.1, b), (0, b + 0.1, a, 0.1), (0, -b - 0.1, a, 0.1)):
        world.box([x, y, h / 2], [p, q, h / 2], _color(rng, 0.5, 0.85), **plain)
        for _ in range(2):  # pictures
            u, v = rng.uniform(-0.7, 0.7), rng.uniform(1.1, 1.9)
            half = [0.03 if p == 0.1 else rng.uniform(0.2, 0.5), 0.03 if q == 0.1 else rng.uniform(0.2, 0.5), 0.3]
            inner = [x - 0.13 * np.sign(x) if p == 0.1 else u * a, y - 0.13 * np.sign(y) if q == 0.1 else u * b, v]
            world.box(inner, half, _color(rng), texture=0.12, contrast=0.8)
    for _ in range(9):
        x, y = rng.uniform(-0.75, 0.75) * a, rng.uniform(-0.75, 0.75) * b
        if abs(x) < 1.0 and abs(y) < 0.8:
            continue
        height = rng.uniform(0.2, 0.6)
        half = [rng.uniform(0.2, 0.45), rng.uniform(0.2, 0.4), height]
        world.box([x, y, height], half, _color(rng), rng.uniform(0, 3), 0.2)
        world.ball([x, y, 2 * height + 0.15], 0.15, _color(rng), 0.1)
    world.box([0, 0, 0.36], [0.5, 0.35, 0.36], _color(rng), 0.3, 0.15)
    for i in range(PATH_CAMERAS):  # along an oval, looking across
        angle = 2 * np.pi * i / PATH_CAMERAS
        position = np.array([0.6 * a * np.cos(angle), 0.6 * b * np.sin(angle), 1.5 + rng.normal(0, 0.1)])
        aim = [-0.8 * a * np.cos(angle + 0.6), -0.8 * b * np.sin(angle + 0.6), 1.0 + rng.normal(0, 0.2)]
        world.path.append(look(position, aim, 75))
    for _ in range(FREE_CAMERAS):
        position = np.array([rng.uniform(-0.75, 0.75) * a, rng.uniform(-0.75, 0.75) * b, rng.uniform(1.3, 2.2)])
        if abs(distances(world, position[None])[0]) < 0.25:
            position[2] = 2.3
        aim = [rng.uniform(-1, 1) * a, rng.uniform(-1, 1) * b, rng.uniform(0.2, 1.6)]
        world.free.append(look(position, aim, 75))
    return world


def fence(number: int) -> World:
    """Thin bars, leaves and a pole on a small ground, under a sky."""
    rng = np.random.default_rng([3, number])
    world = World("fence")
    _ground(world, rng, 4.5)
    for i in range(22):
        x = -2.2 + 0.2 * i
        world.box([x, 0.2 * np.sin(x), 0.6], [0.02, 0.02, 0.6], [0.6, 0.55, 0.5], texture=0.1)
    for z in (0.35, 0.95):
        world.box([0, 0, z], [2.3, 0.03, 0.03], [0.5, 0.4, 0.3], texture=0.1)
    world.box([0.9, 0.9, 1.1], [0.035, 0.035, 1.1], [0.7, 0.7, 0.72], texture=0.2)
    bush = np.array([-0.7, 0.9, 0.7])
    for _ in range(170):
        place = bush + rng.normal(0, [0.35, 0.3, 0.35])
        half = [rng.uniform(0.04, 0.1), rng.uniform(0.02, 0.05), 0.012]
        world.box([*place[:2], max(place[2], 0.1)], half, [0.2, rng.uniform(0.35, 0.7), 0.15], rng.uniform(0, 3), 0.05)
    _orbit(world, rng, 3.2, 1.5, [0, 0.3, 0.6])
    return world


def glossy(number: int) -> World:
    """A mirror, chrome balls, a ball and a pane of glass and a polished table in a corner, under a sky."""
    rng = np.random.default_rng([4, number])
    world = World("glossy")
    _ground(world, rng, 10)
    world.box([0, 2.1, 1.2], [2.4, 0.1, 1.2], _color(rng, 0.4, 0.8), texture=0.5, contrast=0.5)
    world.box([-2.4, 0, 1.2], [0.1, 2.0, 1.2], _color(rng, 0.4, 0.8), texture=0.5, contrast=0.5)
    world.box([0.4, 1.97, 1.2], [0.8, 0.03, 0.7], [0.05, 0.05, 0.05], contrast=0.1, mirror=0.9)  # the mirror
    world.box([0, 0.2, 0.7], [0.9, 0.6, 0.05], [0.35, 0.2, 0.12], 0.1, 0.15, 0.5, mirror=0.35)  # the table
    world.box([0, 0.2, 0.33], [0.25, 0.2, 0.32], _color(rng))
    for _ in range(3):
        size = rng.uniform(0.12, 0.22)
        world.ball([rng.uniform(-0.7, 0.7), rng.uniform(-0.2, 0.6), 0.75 + size], size, [0.1, 0.1, 0.1], mirror=0.75)
    size = rng.uniform(0.15, 0.22)
    world.ball(
        [rng.uniform(-0.6, 0.6), rng.uniform(-0.1, 0.5), 0.75 + size], size, [0.4, 0.5, 0.5], mirror=0.1, clear=0.8
    )
    pane = rng.uniform(0.9, 1.3)
    world.box([-pane, -0.5, 0.9], [0.012, 0.5, 0.6], [0.4, 0.55, 0.5], rng.uniform(-0.4, 0.4), mirror=0.12, clear=0.8)
    for _ in range(6):
        size = rng.uniform(0.06, 0.2)
        place = [rng.uniform(-0.7, 0.7), rng.uniform(-0.2, 0.6), 0.75 + size]
        world.box(place, [size * 0.6, size * 0.5, size], _color(rng), rng.uniform(0, 3), 0.1)
    for _ in range(5):
        angle, r, size = rng.uniform(-2.4, 0.3), rng.uniform(3.5, 6), rng.uniform(0.3, 0.9)
        world.box([r * np.cos(angle), r * np.sin(angle), size], [size * 0.7, size * 0.5, size], _color(rng), angle, 0.4)
    for i in range(PATH_CAMERAS):
        angle = np.deg2rad(-100 + 110 * i / (PATH_CAMERAS - 1))
        r = 3.0 * (1 + rng.normal(0, 0.06))
        aim = np.array([0, 0.5, 0.9]) + rng.normal(0, 0.15, 3)
        world.path.append(look([r * np.cos(angle), r * np.sin(angle), 1.5 + 0.3 * np.sin(5 * angle)], aim))
    for _ in range(FREE_CAMERAS):
        angle, r = np.deg2rad(rng.uniform(-110, 15)), rng.uniform(1.8, 3.8)
        aim = np.array([0, 0.5, 0.9]) + rng.normal(0, 0.4, 3)
        world.free.append(look([r * np.cos(angle), r * np.sin(angle), rng.uniform(0.9, 2.2)], aim))
    return world


def town(number: int) -> World:
    """Houses, hills and lamp posts over sixty meters, seen from above: the large one."""
    rng = np.random.default_rng([5, number])
    world = World("town")
    world.box([0, 0, -0.5], [70, 70, 0.5], [0.35, 0.4, 0.25], texture=4.0, contrast=0.6)
    for i in range(-3, 4):
        for j in range(-3, 4):
            if rng.random() < 0.3:
                continue
            half, height = rng.uniform(1.2, 2.6, 2), rng.uniform(1.5, 5)
            x, y, yaw = 8 * i + rng.normal(0, 0.8), 8 * j + rng.normal(0, 0.8), rng.uniform(-0.3, 0.3)
            world.box([x, y, height], [*half, height], _color(rng, 0.3, 0.8), yaw, 1.2, 0.6)
            world.box([x, y, 2 * height + 0.2], [half[0] * 1.1, half[1] * 1.1, 0.2], _color(rng), yaw, 0.8)
    for _ in range(14):
        x, y = rng.uniform(-28, 28, 2)
        world.box([x, y, 3], [0.12, 0.12, 3], [0.3, 0.3, 0.32], texture=0.5)
        world.ball([x, y, 6.3], 0.4, [0.9, 0.85, 0.6], texture=0.3)
    for _ in range(5):
        angle = rng.uniform(0, 2 * np.pi)
        world.ball([48 * np.cos(angle), 48 * np.sin(angle), -12], 18, [0.3, 0.45, 0.25], texture=3.0, contrast=0.6)
    _orbit(world, rng, 30, 14, [0, 0, 3])
    return world


KINDS = {"still": still, "room": room, "fence": fence, "glossy": glossy, "town": town}
