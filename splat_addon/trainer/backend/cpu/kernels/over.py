"""A photo with coverage over a background in linear light, eight pixels at once."""

import numpy as np

from .declare import FLOATS, INT, kernel
from .lanes.simd import load, load_third, peek, store, store_triples
from .lanes.simd_math import any_lane, splat
from .srgb import decoded, encoded


@kernel
def over_in_light(begin: INT, end: INT, colors: FLOATS, alphas: FLOATS, background: FLOATS, image: FLOATS):
    """Pixels `begin` … `end - 1`, a multiple of 8: encode(α decode(color) + (1 - α) decode(background)).

    `colors`, `image` (pixels * 3), `alphas` (pixels), `background` (3). Eight that are all covered, or all clear, are
    copied: most of a photo is.
    """
    one = splat(np.float32(1.0))
    clear_red, clear_green, clear_blue = (
        splat(peek(background, 0)), splat(peek(background, 1)), splat(peek(background, 2)),
    )  # fmt: skip
    behind_red, behind_green, behind_blue = decoded(clear_red)[0], decoded(clear_green)[0], decoded(clear_blue)[0]
    for pixel in range(begin, end, 8):
        alpha = load(alphas, pixel)
        at = pixel * 3
        if not any_lane(alpha < 1.0):
            for i in range(0, 24, 8):
                store(image, at + i, load(colors, at + i))
        elif not any_lane(alpha > 0.0):
            store_triples(image, at, clear_red, clear_green, clear_blue)
        else:
            clear = one - alpha
            red = alpha * decoded(load_third(colors, at, 0))[0] + clear * behind_red
            green = alpha * decoded(load_third(colors, at, 1))[0] + clear * behind_green
            blue = alpha * decoded(load_third(colors, at, 2))[0] + clear * behind_blue
            store_triples(image, at, encoded(red), encoded(green), encoded(blue))
