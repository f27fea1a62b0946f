"""What lies where in the memory that kernels share, in numbers that need no compiler to read."""

from math import log2

from .....gaussians.rules import DEFAULT_RULES

# What of the picture's rules is compiled into the kernels. The others are handed over with the camera.
COMPILED_RULES = "alpha_cap", "alpha_cutoff", "transmittance_stop"
ALPHA_CAP, TRANSMITTANCE_STOP = DEFAULT_RULES.alpha_cap, DEFAULT_RULES.transmittance_stop
LOG2_CUTOFF = log2(DEFAULT_RULES.alpha_cutoff)

# Tiles: the 8 pixels of one row of a tile are the lanes of a vector.
TILE_WIDTH, TILE_HEIGHT = 8, 64
PIXELS = TILE_WIDTH * TILE_HEIGHT

# A record: what blending needs of one projected gaussian, 16 floats = one cache line.
# The first six are three doubles: u - ½, v - ½ (the place in pixel indices) and the slope k; see blend.py.
RECORD = 16
LOG2_OPACITY, ROOT_A, NEGATIVE_B, RED, GREEN, BLUE, DEPTH = range(6, 13)  # sqrt(A), -B, with A and B times ½ log2(e)
SET_ASIDE = 13  # 0, or 1 where the median depth is measured as if the gaussian were not there; see evidence.py
EXPONENT_SCALE = 0.5 / 0.6931471805599453  # ½ log2(e)

# A bounds record: where a gaussian reaches, 8 floats; see bin.py.
BOUNDS = 8
PLACE_X, PLACE_Y, REACH_X, TOP_X, TILT, SPAN_E, SPAN_F, SLACK = range(8)

# A gradient row, one cache line of 16 floats for each gaussian: the moments of G in blend_backward.py (Σ G (1, s, s²,
# s dy, dy, dy²)), then ∂L/∂ color and depth.
SUM_1, SUM_S, SUM_SS, SUM_SY, SUM_Y, SUM_YY, SUM_RED, SUM_GREEN, SUM_BLUE, SUM_DEPTH = range(10)

# The camera as doubles: R_cw row by row, t_cw, intrinsics, limits of x/z and y/z, center, size; dilation, near plane.
ROTATION, TRANSLATION, FX, FY, CX, CY, LEAST_X, LARGEST_X, LEAST_Y, LARGEST_Y, CENTRE, WIDTH, HEIGHT, DILATION, NEAR = (
    0, 9, 12, 13, 14, 15, 16, 17, 18, 19, 20, 23, 24, 25, 26,
)  # fmt: skip
CAMERA_SIZE = 27

# Working memory of one thread, in floats. Blending: for each block of the tile a few vectors, one after the other
# (apart, they would meet in the cache's sets), then two numbers for each row, an alpha for each pixel, an edge.
FORWARD_ROW, BACKWARD_ROW = 5 * TILE_WIDTH, 6 * TILE_WIDTH
ROW_BUFFER = TILE_HEIGHT + 16
BLEND_SCRATCH = TILE_HEIGHT * BACKWARD_ROW + 2 * ROW_BUFFER + PIXELS + 3 * TILE_WIDTH

# Evidence: a row of 8 floats for each gaussian, see evidence.py: Σ over pixels of w, and of w times what is told there
# by the names; then the largest w.
EVIDENCE = 8
WEIGHT, BEHIND, GAP, HANG, DISTANCE, IMPORTANCE, GAIN, PEAK = range(EVIDENCE)
EVIDENCE_ROW = 9 * TILE_WIDTH
EVIDENCE_SCRATCH = TILE_HEIGHT * EVIDENCE_ROW + 2 * ROW_BUFFER + 3 * TILE_WIDTH

# What views find at a gaussian's places, a row of 17 floats, see places.py: at each of six places of its mass, how many
# find nothing, and how many find something or nothing; then about its center.
MASS_PLACES, PLACES = 6, 17
OPEN_AT, FOUND_AT, SEEN, LOOKED_THROUGH, VIEW_GAPS, NEAREST, NEARNESS = 0, 6, 12, 13, 14, 15, 16

# Sorting and binning.
DIGIT_BITS = 11
DIGIT_COUNTS = 3 << DIGIT_BITS
ROW_BOUNDS = 16

# Projection, in vectors of 8: a gaussian's 13 parameters but for sh, then sh, then Y_k; backward, ∂L/∂Y_k, the
# gradients by the 13 parameters and the 16 sums.
MEAN, LOG_SCALE, QUATERNION, LOGIT, OFFSET = 0, 3, 6, 10, 11
SH_AT, Y_AT = 13 * 8, (13 + 48) * 8
D_Y_AT = Y_AT + 16 * 8
D_INPUTS_AT = D_Y_AT + 16 * 8
SUMS_AT = D_INPUTS_AT + 13 * 8
PROJECT_SCRATCH = SUMS_AT + 16 * 8

# The loss: rings of rows, padded lines; see photometric_kernel.py.
BAND = 4  # rows at once
CHUNK = 192  # floats of a row at once, whole pixels, so that the lines stay in the nearest cache
PAD = 16  # floats on either side of a row or line
RING_ROWS = 16  # of a picture; one more is zero and stands for the rows beyond it
BLURRED, D_BLURRED = 4, 3  # x, y, x² + y², x y; ∂L/∂ μx, e, f


def photometric_scratch(width: int) -> int:
    """Floats of working memory that one thread needs for an image of this width."""
    row = -(-width * 3 // 16) * 16
    rings, lines = (2 + D_BLURRED) * (RING_ROWS + 1) * (row + 2 * PAD), BLURRED * BAND * (CHUNK + 2 * PAD)
    return rings + lines + (2 + BAND) * row
