"""Spherical harmonics for eight gaussians at once, and their derivatives: B.4 of the backward process.

Rows of gaussians are turned into lanes here too: row-major (N, columns) in, one vector of eight gaussians a column out.
"""

from .declare import inner
from .lanes.simd import LANES, load, peek, poke, prefetch, store, store_transposed

C0 = 0.28209479177387814
C1 = 0.4886025119029199
C2 = 1.0925484305920792, 0.31539156525252005, 0.5462742152960396
C3 = 0.5900435899266435, 2.890611442640554, 0.4570457994644658, 0.3731763325901154, 1.445305721320277


@inner
def gather_rows(array, columns, begin, count, scratch, at):
    """Rows `begin` … `begin + 7` of `array` (count * columns) as one vector a column, from `scratch[at]` on.

    The last row stands in for rows beyond the end.
    """
    whole = columns - columns % LANES
    if whole:
        r0, r1 = min(begin, count - 1) * columns, min(begin + 1, count - 1) * columns
        r2, r3 = min(begin + 2, count - 1) * columns, min(begin + 3, count - 1) * columns
        r4, r5 = min(begin + 4, count - 1) * columns, min(begin + 5, count - 1) * columns
        r6, r7 = min(begin + 6, count - 1) * columns, min(begin + 7, count - 1) * columns
        for j in range(0, whole, LANES):
            store_transposed(
                scratch, at + j * LANES, LANES,
                load(array, r0 + j), load(array, r1 + j), load(array, r2 + j), load(array, r3 + j),
                load(array, r4 + j), load(array, r5 + j), load(array, r6 + j), load(array, r7 + j),
            )  # fmt: skip
    for lane in range(LANES):
        row = min(begin + lane, count - 1) * columns
        for j in range(whole, columns):
            poke(scratch, at + j * LANES + lane, peek(array, row + j))


@inner
def expect_rows(array, columns, group):
    """Ask for the rows of a group of eight that comes later; beyond the end that does nothing."""
    for at in range(group * columns, (group + LANES) * columns, 16):
        prefetch(array, at)


@inner
def scatter_rows(scratch, at, array, columns, begin):
    """The inverse of `gather_rows`; `array` has room for all eight rows."""
    whole = columns - columns % LANES
    for j in range(0, whole, LANES):
        k = at + j * LANES
        store_transposed(
            array, begin * columns + j, columns,
            load(scratch, k), load(scratch, k + 8), load(scratch, k + 16), load(scratch, k + 24),
            load(scratch, k + 32), load(scratch, k + 40), load(scratch, k + 48), load(scratch, k + 56),
        )  # fmt: skip
    for lane in range(LANES):
        for j in range(whole, columns):
            poke(array, (begin + lane) * columns + j, peek(scratch, at + j * LANES + lane))


@inner
def store_harmonics(x, y, z, harmonic_count, scratch, at):
    """Y_k in the unit directions (x, y, z), one vector for each k, from `scratch[at]` on."""
    store(scratch, at, x * 0.0 + C0)
    if harmonic_count > 1:
        store(scratch, at + 8, y * -C1)
        store(scratch, at + 16, z * C1)
        store(scratch, at + 24, x * -C1)
    if harmonic_count > 4:
        xx, yy, zz = x * x, y * y, z * z
        store(scratch, at + 32, x * y * C2[0])
        store(scratch, at + 40, y * z * -C2[0])
        store(scratch, at + 48, (2.0 * zz - xx - yy) * C2[1])
        store(scratch, at + 56, x * z * -C2[0])
        store(scratch, at + 64, (xx - yy) * C2[2])
        if harmonic_count > 9:
            store(scratch, at + 72, y * (3.0 * xx - yy) * -C3[0])
            store(scratch, at + 80, x * y * z * C3[1])
            store(scratch, at + 88, y * (4.0 * zz - xx - yy) * -C3[2])
            store(scratch, at + 96, z * (2.0 * zz - 3.0 * (xx + yy)) * C3[3])
            store(scratch, at + 104, x * (4.0 * zz - xx - yy) * -C3[2])
            store(scratch, at + 112, z * (xx - yy) * C3[4])
            store(scratch, at + 120, x * (xx - 3.0 * yy) * -C3[0])


@inner
def direction_gradient(x, y, z, harmonic_count, scratch, at):
    """∂L/∂r = Σ_k (∂L/∂Y_k) ∂Y_k/∂r, a vector for each of x, y and z, from ∂L/∂Y_k at `scratch[at]`."""
    gx, gy, gz = x * 0.0, x * 0.0, x * 0.0
    if harmonic_count > 1:
        gy -= C1 * load(scratch, at + 8)
        gz += C1 * load(scratch, at + 16)
        gx -= C1 * load(scratch, at + 24)
    if harmonic_count > 4:
        d4, d5 = C2[0] * load(scratch, at + 32), -C2[0] * load(scratch, at + 40)
        d6, d7 = 2.0 * C2[1] * load(scratch, at + 48), -C2[0] * load(scratch, at + 56)
        d8 = 2.0 * C2[2] * load(scratch, at + 64)
        gx += y * d4 - x * d6 + z * d7 + x * d8
        gy += x * d4 + z * d5 - y * d6 - y * d8
        gz += y * d5 + 2.0 * z * d6 + x * d7
    if harmonic_count > 9:
        xx, yy, zz, xy, yz, xz = x * x, y * y, z * z, x * y, y * z, x * z
        d9, d10 = -3.0 * C3[0] * load(scratch, at + 72), C3[1] * load(scratch, at + 80)
        d11, d12 = -C3[2] * load(scratch, at + 88), 3.0 * C3[3] * load(scratch, at + 96)
        d13, d14 = -C3[2] * load(scratch, at + 104), C3[4] * load(scratch, at + 112)
        d15 = -3.0 * C3[0] * load(scratch, at + 120)
        gx += 2.0 * xy * (d9 - d11) + yz * d10 + 2.0 * xz * (d14 - d12) + (4.0 * zz - 3.0 * xx - yy) * d13
        gx += (xx - yy) * d15
        gy += (xx - yy) * d9 + xz * d10 + (4.0 * zz - xx - 3.0 * yy) * d11 - 2.0 * yz * (d12 + d14)
        gy -= 2.0 * xy * (d13 + d15)
        gz += xy * d10 + 8.0 * yz * d11 + (2.0 * zz - xx - yy) * d12 + 8.0 * xz * d13 + (xx - yy) * d14
    return gx, gy, gz
