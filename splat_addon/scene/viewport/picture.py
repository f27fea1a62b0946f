"""Drawing splats on the graphics card, from any view, into a picture of their own, and laying that over a viewport.

`Atlas` holds the splats of several data-blocks in one texture, `Picture` what one view of them needs. All calls but
the construction of `Viewpoint` and `Look` need a GPU context: a draw callback, or `gpu.init()` in background.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader

from ...errors import SplatError
from ...gaussians.rules import DEFAULT_RULES, PictureRules
from ..session import part
from . import order as ordering
from . import texels
from .overlay_shader import make_overlay_shader
from .shader import DIMMED, OBJECT_TEXELS, make_shader

EXACT_COUNT = 200_000  # up to here splats are blended in 32-bit floats, beyond in 16-bit ones, which are much faster
_types: Any = gpu.types  # the stubs know no arguments of its constructors
LARGEST_PLACE = 2**24  # places in the order are whole numbers kept in 32-bit floats


@dataclass(frozen=True)
class Viewpoint:
    """From where and how splats are seen: Blender's view and window matrices, (4, 4), and the size in pixels."""

    width_px: int
    height_px: int
    view_from_world: np.ndarray
    clip_from_view: np.ndarray

    @property
    def is_perspective(self) -> bool:
        return bool(abs(self.clip_from_view[3, 3]) < 0.5)

    @property
    def focal_px(self) -> tuple[float, float]:
        """Pixels per slope, or per unit of length in orthographic views, across and up."""
        clip = self.clip_from_view
        return abs(clip[0, 0]) * self.width_px / 2, abs(clip[1, 1]) * self.height_px / 2

    @property
    def center_px(self) -> tuple[float, float]:
        """Where the optical axis of a perspective view meets the picture, from its lower left corner."""
        clip = self.clip_from_view
        return (1 - clip[0, 2]) * self.width_px / 2, (1 - clip[1, 2]) * self.height_px / 2


@dataclass(frozen=True)
class Ghost:
    """Which splats stand out, (N,) by `session_uid` of their data; all others are dimmed. `token` differs when they
    do."""

    token: tuple
    bright: Mapping[int, np.ndarray]


@dataclass(frozen=True)
class Look:
    """How splats are shown. `kind` is SPLATS, by the picture's rules, ELLIPSOIDS or POINTS; `color_by` RADIANCE,
    OPACITY, SIZE or ATTRIBUTE. Of `fraction` only a `share` is drawn, each as opaque as all it stands for."""

    kind: str = "SPLATS"
    color_by: str = "RADIANCE"
    attribute: str = ""
    fraction: float = 1.0
    share: float = 1.0
    sh_degree: int = 3
    is_linear: bool = False
    reach_sigma: float = 1.5
    point_px: float = 3.0
    rules: PictureRules = DEFAULT_RULES
    ghost: Ghost | None = None


@dataclass(frozen=True)
class Placed:
    """Splats in the world: which data of the atlas (by `session_uid`), where they stand, (4, 4), and whether they were
    trained antialiased."""

    data_uid: int
    world_from_object: np.ndarray
    antialiased: bool = False


class Atlas:
    """The splats of several data-blocks in one texture. Attributes for color ramps are read when first wanted."""

    def __init__(self, blocks: Mapping[int, texels.Splats]):
        counts = {uid: texels.count_of(data) for uid, data in blocks.items()}
        self.fingerprints = {uid: texels.fingerprint(data) for uid, data in blocks.items()}
        self.degree = max((texels.degree_in(data) for data in blocks.values()), default=0)
        self.count = sum(counts.values())
        largest = gpu.capabilities.max_texture_size_get()
        self.per_row, width, height = texels.texture_shape(self.count, self.degree, largest)
        self.rows = max(1, -(-self.count // self.per_row))  # of textures with one number per splat
        if height > largest or self.count >= LARGEST_PLACE:
            limit = min(largest * (largest // texels.TEXELS[self.degree]), LARGEST_PLACE)
            raise SplatError(
                f"{self.count} splats are too many for the viewport, which takes {limit} here.",
                "Hide some of the splat objects.",
            )
        numbers = np.zeros((height * self.per_row, 4 * texels.TEXELS[self.degree]), dtype=np.float32)
        self.first: dict[int, int] = {}
        self.packed: dict[int, texels.PackedSplats] = {}
        start = 0
        for uid, data in blocks.items():
            self.first[uid] = start
            self.packed[uid] = texels.pack(data, numbers[start : start + counts[uid]], self.degree)
            start += counts[uid]
        self.texture = make_texture(numbers, width, height, "RGBA32F")
        self._kept: dict[tuple[int, float], tuple[np.ndarray | None, np.ndarray]] = {}
        self._left_out: Mapping[int, np.ndarray] = {}
        self._ramps: dict[tuple[str, str], tuple[np.ndarray, tuple[float, float], gpu.types.GPUTexture]] = {}
        self._ghosted: tuple[tuple, gpu.types.GPUTexture] | None = None

    def leave_out(self, masks: Mapping[int, np.ndarray]) -> None:
        """Choose these splats (N,), by uid, no more; those of another number of splats are of no use."""
        if masks is not self._left_out:
            self._left_out = masks
            self._kept.clear()

    def chosen(self, uid: int, fraction: float) -> tuple[np.ndarray | None, np.ndarray]:
        """The indices (M,) of the shown splats of a data-block, None for all, and their positions (M, 3)."""
        if (uid, fraction) not in self._kept:
            for key in [key for key in self._kept if key[0] == uid]:
                del self._kept[key]
            packed = self.packed[uid]
            index = None
            left_out = self._left_out.get(uid)
            if left_out is not None and len(left_out) != len(packed.positions):
                left_out = None
            if fraction < 1.0 or packed.is_shown is not None or left_out is not None:
                is_chosen = random_part(len(packed.positions), fraction)
                if left_out is not None:
                    is_chosen &= ~left_out
                if packed.is_shown is not None:
                    is_chosen &= packed.is_shown
                index = np.flatnonzero(is_chosen)
            positions = packed.positions if index is None else np.ascontiguousarray(packed.positions[index])
            self._kept[uid, fraction] = index, positions
        return self._kept[uid, fraction]

    def forget_ramps(self) -> None:
        """Read the attributes again that splats are colored by."""
        self._ramps, self._ghosted = {}, None

    def ramp(
        self, blocks: Mapping[int, texels.Splats], what: str, attribute: str
    ) -> tuple[gpu.types.GPUTexture, tuple[float, float]]:
        """The texture of places on the color ramp, and the numbers that its ends stand for."""
        _, ends, texture = self._ramp(blocks, what, attribute)
        return texture, ends

    def values(self, blocks: Mapping[int, texels.Splats], look: Look) -> gpu.types.GPUTexture | None:
        """The texture of a look: places on its color ramp, and which splats are dimmed; None when it needs none."""
        uses_ramp = look.color_by != "RADIANCE"
        if look.ghost is None:
            return self.ramp(blocks, look.color_by, look.attribute)[0] if uses_ramp else None
        wanted = (look.color_by, look.attribute, look.ghost.token)
        if self._ghosted is None or self._ghosted[0] != wanted:
            places = np.zeros(self.per_row * self.rows, np.float32)
            if uses_ramp:
                places = self._ramp(blocks, look.color_by, look.attribute)[0].copy()
            places += np.float32(DIMMED)
            for uid, first in self.first.items():
                bright = look.ghost.bright.get(uid)
                count = len(self.packed[uid].positions)
                if bright is not None:  # of splats that were edited since, nobody knows which they are
                    rows = slice(first, first + count)
                    places[rows] -= np.float32(DIMMED) * (bright if len(bright) == count else np.float32(1))
            self._ghosted = wanted, make_texture(places, self.per_row, self.rows, "R32F")
        return self._ghosted[1]

    def _ramp(
        self, blocks: Mapping[int, texels.Splats], what: str, attribute: str
    ) -> tuple[np.ndarray, tuple[float, float], gpu.types.GPUTexture]:
        if (what, attribute) not in self._ramps:
            self._ramps.clear()
            values = np.full(max(self.count, 1), np.nan, dtype=np.float32)
            for uid, first in self.first.items():
                if uid in blocks and texels.count_of(blocks[uid]) == len(self.packed[uid].positions):
                    own = texels.numbers_for_ramp(blocks[uid], what, attribute)
                    values[first : first + len(own)] = own
            ends = texels.ramp_range(values, what)
            padded = np.full(self.per_row * self.rows, -1.0, dtype=np.float32)
            padded[: len(values)] = texels.ramp_places(values, *ends)
            self._ramps[what, attribute] = padded, ends, make_texture(padded, self.per_row, self.rows, "R32F")
        return self._ramps[what, attribute]


class Picture:
    """What one view needs from one redraw to the next: the order of the splats, and the picture's textures."""

    def __init__(self):
        self._order: Any = None
        self._order_width = 1
        self._sorted: ordering.SortedView | None = None
        self._count = 0
        self._made_for: tuple[int, int, str] | None = None
        self.texture: Any = None
        self._frame: Any = None
        self.sort_count = 0  # how often the splats were sorted, which turning the view alone should raise

    def forget_order(self) -> None:
        """Sort again at the next redraw: the splats are others now."""
        self._sorted = None

    def paint(
        self,
        atlas: Atlas,
        blocks: Mapping[int, texels.Splats],
        placed: Sequence[Placed],
        view: Viewpoint,
        look: Look,
        scene_depth: gpu.types.GPUTexture | None = None,
    ) -> None:
        """Draw into `texture`: premultiplied RGBA, display-encoded, or linear when the look says so."""
        frames = [view.view_from_world @ item.world_from_object for item in placed]
        self._sort(atlas, placed, frames, view, look)
        self._make_frame(view, look.share)
        previous = gpu.state.viewport_get()
        with self._frame.bind():
            self._frame.clear(color=(0.0, 0.0, 0.0, 0.0), depth=1.0)
            if self._count:
                self._draw(atlas, blocks, placed, frames, view, look, scene_depth)
        gpu.state.viewport_set(*previous)

    def _make_frame(self, view: Viewpoint, share: float) -> None:
        can_be_exact = gpu.platform.backend_type_get() != "METAL"  # which does not promise to blend 32-bit floats
        form = "RGBA32F" if can_be_exact and self._count / share <= EXACT_COUNT else "RGBA16F"
        wanted = (view.width_px, view.height_px, form)
        if self._frame is None or wanted != self._made_for:
            self.texture = _types.GPUTexture(wanted[:2], format=form)
            self._depth = _types.GPUTexture(wanted[:2], format="DEPTH_COMPONENT32F")
            self._frame = _types.GPUFrameBuffer(depth_slot=self._depth, color_slots=self.texture)
            self._made_for = wanted

    def _sort(
        self, atlas: Atlas, placed: Sequence[Placed], frames: list[np.ndarray], view: Viewpoint, look: Look
    ) -> None:
        rows = np.array([ordering.depth_row(frame) for frame in frames]).reshape(-1, 4)
        what = (tuple(item.data_uid for item in placed), look.fraction * look.share)
        if self._sorted is not None and self._sorted.holds_for(rows, view.is_perspective, what):
            return
        places = order_of(atlas, placed, rows, view.is_perspective, look.fraction * look.share)
        self._count = len(places)
        self._order_width = min(max(self._count, 1), gpu.capabilities.max_texture_size_get())
        height = max(1, -(-self._count // self._order_width))
        padded = np.zeros(self._order_width * height, dtype=np.float32)
        padded[: self._count] = places
        self._order = make_texture(padded, self._order_width, height, "R32F")
        self._sorted = ordering.SortedView(rows, view.is_perspective, what)
        self.sort_count += 1

    def _draw(self, atlas, blocks, placed, frames, view, look, scene_depth) -> None:
        shader, batch = _program(look.kind)
        values = atlas.values(blocks, look) or self._order
        objects = _object_texture(atlas, placed, frames, view)  # named: a bound texture nobody holds is freed
        is_blended = look.kind == "SPLATS"
        gpu.state.viewport_set(0, 0, view.width_px, view.height_px)
        gpu.state.blend_set("ALPHA_PREMULT" if is_blended else "NONE")
        gpu.state.depth_test_set("NONE" if is_blended else "LESS_EQUAL")
        gpu.state.depth_mask_set(not is_blended)
        try:
            shader.bind()
            shader.uniform_sampler("splats", atlas.texture)
            shader.uniform_sampler("objects", objects)
            shader.uniform_sampler("order", self._order)
            shader.uniform_sampler("values", values)
            shader.uniform_sampler("scene_depth", scene_depth or self._order)
            numbers = _view_numbers(atlas, len(placed), self._order_width, view, look, scene_depth is not None)
            block = _types.GPUUniformBuf(_types.Buffer("FLOAT", len(numbers), numbers))
            shader.uniform_block("view", block)
            batch.draw_instanced(shader, instance_start=0, instance_count=self._count)
        finally:
            gpu.state.blend_set("NONE")
            gpu.state.depth_test_set("NONE")
            gpu.state.depth_mask_set(False)

    def finish(self) -> None:
        """Wait until it is painted."""
        self._frame.read_color(0, 0, 1, 1, 4, 0, "FLOAT")

    def lay_over(self, is_linear: bool, origin_px: tuple[int, int] = (0, 0)) -> None:
        """Blend the picture over what is bound: a viewport's overlays, whose encoding Blender undoes with 1/2.2."""
        shader, batch = _program("OVERLAY")
        gpu.state.depth_test_set("NONE")
        gpu.state.depth_mask_set(False)
        gpu.state.blend_set("ALPHA_PREMULT")
        try:
            shader.bind()
            shader.uniform_sampler("painted", self.texture)
            shader.uniform_float("origin", origin_px)
            shader.uniform_float("is_linear", float(is_linear))
            batch.draw(shader)
        finally:
            gpu.state.blend_set("NONE")


def order_of(
    atlas: Atlas, placed: Sequence[Placed], rows: np.ndarray, is_perspective: bool, fraction: float
) -> np.ndarray:
    """Places (M,) in the concatenation of all objects' splats, the farthest first, whichever object they are of."""
    depths, places, start = [], [], 0
    for item, row in zip(placed, rows, strict=True):
        index, positions = atlas.chosen(item.data_uid, fraction)
        depths.append(positions @ row[:3].astype(np.float32) + np.float32(row[3]))
        count = len(atlas.packed[item.data_uid].positions)
        places.append(start if index is None else index + start)
        start += count
    if start >= LARGEST_PLACE:
        raise SplatError(
            f"{start} splats are too many for the viewport, which takes {LARGEST_PLACE}.",
            "Hide some of the splat objects.",
        )
    if not depths:
        return np.empty(0, dtype=np.float32)
    if len(depths) == 1:
        order = ordering.far_to_near(depths[0], is_perspective=is_perspective)
        return order if isinstance(places[0], int) else places[0][order]
    order = ordering.far_to_near(np.concatenate(depths), is_perspective=is_perspective)
    numbered = [p + np.arange(len(d)) if isinstance(p, int) else p for p, d in zip(places, depths, strict=True)]
    return np.concatenate(numbered)[order]


def random_part(count: int, fraction: float) -> np.ndarray:
    """(count,) True for a random `fraction`; what a smaller fraction shows is part of what a larger one does."""
    if fraction >= 1.0:
        return np.ones(count, dtype=bool)
    scattered = np.arange(count, dtype=np.uint32) * np.uint32(2654435761)  # Knuth's multiplicative hash
    scattered ^= scattered >> np.uint32(15)
    scattered *= np.uint32(2246822519)
    return scattered < np.uint32(max(fraction, 0.0) * (2**32 - 1))


def make_texture(numbers: np.ndarray, width: int, height: int, form: str) -> gpu.types.GPUTexture:
    """A texture of float32 numbers, which Blender takes without a copy."""
    flat = np.ascontiguousarray(numbers, dtype=np.float32).reshape(-1)
    return _types.GPUTexture((width, height), format=form, data=_types.Buffer("FLOAT", len(flat), flat))


def _object_texture(atlas: Atlas, placed, frames, view: Viewpoint) -> gpu.types.GPUTexture:
    rows = np.zeros((len(placed), OBJECT_TEXELS, 4), dtype=np.float32)
    start = 0
    for row, item, frame in zip(rows, placed, frames, strict=True):
        row[:3] = frame[:3]
        object_from_view = np.linalg.pinv(frame)
        row[3] = (*object_from_view[:3, 3], 1.0) if view.is_perspective else (*-object_from_view[:3, 2], 0.0)
        packed = atlas.packed[item.data_uid]
        row[4] = start, atlas.first[item.data_uid], packed.near_plane_scale, item.antialiased
        start += len(packed.positions)
    return make_texture(rows, OBJECT_TEXELS, len(placed), "RGBA32F")


def _view_numbers(
    atlas: Atlas, objects: int, order_width: int, view: Viewpoint, look: Look, is_hiding: bool
) -> np.ndarray:
    """The uniform block `SplatView`: matrices column by column, then rows of four."""
    fx, fy = view.focal_px
    rules = look.rules
    center_x, center_y = view.center_px
    rest = [
        (view.width_px, view.height_px, fx, fy),
        (view.is_perspective, min(look.sh_degree, atlas.degree), is_hiding, look.ghost is not None),
        (*rules.slope_limits(view.width_px, fx, center_x), *rules.slope_limits(view.height_px, fy, center_y)),
        (look.color_by != "RADIANCE", look.is_linear, look.reach_sigma, look.point_px),
        (texels.TEXELS[atlas.degree], atlas.per_row, objects, order_width),
        (rules.dilation_px2, rules.alpha_cap, rules.alpha_cutoff, rules.near_plane),
        (1.0 / look.share, 0.0, 0.0, 0.0),
    ]
    parts = [view.clip_from_view.T, np.linalg.inv(view.clip_from_view).T, np.array(rest)]
    return np.concatenate([part.ravel() for part in parts]).astype(np.float32)


class Programs:
    """The shaders that were compiled, each with the quad it is drawn with, by kind."""

    def __init__(self) -> None:
        self.compiled: dict[str, tuple[gpu.types.GPUShader, gpu.types.GPUBatch]] = {}


def _program(kind: str) -> tuple[gpu.types.GPUShader, gpu.types.GPUBatch]:
    """The shader of a kind, compiled once, and the quad it is drawn with."""
    programs = part(Programs).compiled
    if kind not in programs:
        shader = make_overlay_shader() if kind == "OVERLAY" else make_shader(kind)
        corners = [(-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0), (1.0, 1.0)]
        programs[kind] = shader, batch_for_shader(shader, "TRI_STRIP", {"corner": corners})
    return programs[kind]


def forget_programs() -> None:
    """Let go of all shaders."""
    part(Programs).compiled.clear()
