"""What a view finds where gaussians are: by its median depth D in the pixel of a place at depth z, it finds nothing
there (D lies behind, or nothing is opaque but what is set aside), something, or it cannot tell.

The places are six, two on each axis of a gaussian at √3 standard deviations, which have its mean and covariance, and
its center.
"""

import numpy as np

from .declare import DOUBLES, FLOATS, INT, REAL, inner, kernel
from .evidence import GAP_FROM
from .lanes.simd import peek, poke
from .layout import (
    CX,
    CY,
    FOUND_AT,
    FX,
    FY,
    LOOKED_THROUGH,
    MASS_PLACES,
    NEAREST,
    NEARNESS,
    OPEN_AT,
    PLACES,
    ROTATION,
    SEEN,
    TRANSLATION,
    VIEW_GAPS,
)

OUTSIDE = -1


@inner
def _turned(camera, row, x, y, z):
    at = ROTATION + 3 * row
    return peek(camera, at) * x + peek(camera, at + 1) * y + peek(camera, at + 2) * z


@inner
def _pixel_of(camera, width, height, counts, x, y, z):
    """The number of the pixel that holds a place in the camera's frame, `OUTSIDE` where none does that counts."""
    if z <= 0.0:
        return OUTSIDE
    column, row = x / z * peek(camera, FX) + peek(camera, CX), y / z * peek(camera, FY) + peek(camera, CY)
    if not (column >= 0.0 and column < width and row >= 0.0 and row < height):
        return OUTSIDE
    pixel = int(row) * width + int(column)
    return pixel if peek(counts, pixel) > 0.0 else OUTSIDE


@inner
def _add_one(tallies, at):
    poke(tallies, at, peek(tallies, at) + np.float32(1.0))


@kernel
def look_at_places(
    begin: INT, end: INT, means: FLOATS, axes: FLOATS, camera: DOUBLES, width: INT, height: INT,
    median_depths: FLOATS, counts: FLOATS, usual: REAL, delta: REAL, margin: REAL, tallies: FLOATS,
):  # fmt: skip
    """Take in what a view finds at gaussians `begin` … `end - 1`, in `tallies` (N * 17), see layout.py.

    `means` (N * 3), `axes` (N * 9): the three axes of each, as long as a standard deviation. `median_depths` (H * W) as
    `gather_evidence` leaves them, and `usual` the median of these. Of the mass, something is found within `margin` of a
    depth, and nothing before that; the center is looked through where light lands more than `delta` behind it.
    """
    for gaussian in range(begin, end):
        row = gaussian * PLACES
        x, y, z = peek(means, 3 * gaussian), peek(means, 3 * gaussian + 1), peek(means, 3 * gaussian + 2)
        mean_x = _turned(camera, 0, x, y, z) + peek(camera, TRANSLATION)
        mean_y = _turned(camera, 1, x, y, z) + peek(camera, TRANSLATION + 1)
        mean_z = _turned(camera, 2, x, y, z) + peek(camera, TRANSLATION + 2)
        pixel = _pixel_of(camera, width, height, counts, mean_x, mean_y, mean_z)
        if pixel != OUTSIDE:
            depth = peek(median_depths, pixel)
            poke(tallies, row + NEAREST, np.float32(min(peek(tallies, row + NEAREST), mean_z)))
            poke(tallies, row + NEARNESS, np.float32(min(peek(tallies, row + NEARNESS), mean_z / usual)))
            if depth > 0.0 and mean_z < (1.0 + GAP_FROM) * depth:
                _add_one(tallies, row + SEEN)
                if depth - mean_z > delta:
                    _add_one(tallies, row + LOOKED_THROUGH)
                gap = max(0.0, 1.0 - mean_z / depth)
                poke(tallies, row + VIEW_GAPS, np.float32(peek(tallies, row + VIEW_GAPS) + gap))
        for place in range(MASS_PLACES):
            at = 9 * gaussian + 3 * (place // 2)
            x, y, z = peek(axes, at), peek(axes, at + 1), peek(axes, at + 2)
            way = 3.0**0.5 if place % 2 else -(3.0**0.5)
            place_x = mean_x + way * _turned(camera, 0, x, y, z)
            place_y = mean_y + way * _turned(camera, 1, x, y, z)
            place_z = mean_z + way * _turned(camera, 2, x, y, z)
            pixel = _pixel_of(camera, width, height, counts, place_x, place_y, place_z)
            if pixel == OUTSIDE:
                continue
            depth = peek(median_depths, pixel)
            if depth < 0.0 or place_z < depth - margin:
                _add_one(tallies, row + OPEN_AT + place)
                _add_one(tallies, row + FOUND_AT + place)
            elif depth > 0.0 and place_z < depth + margin:
                _add_one(tallies, row + FOUND_AT + place)
