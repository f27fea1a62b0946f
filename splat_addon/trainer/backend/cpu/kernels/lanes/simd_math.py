"""What can be computed in lanes: selection, sums over lanes, roundings, 2^x and log2. See simd.py."""

import math

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .simd import LANES, WIDE, Vector, doubles, floats, llvm_type, repeated, shuffled, vector_of, wide_floats

# --- Lanes -------------------------------------------------------------------------------------------------------


def _splatting(vector, scalar):
    def build(context, builder, sig, args):
        return repeated(builder, args[0], vector.lanes)

    return vector(scalar), build


@intrinsic
def splat(typing_context, scalar):
    """A float32 or float64 repeated in eight lanes."""
    return _splatting(Vector(scalar), scalar)


@intrinsic
def splat_wide(typing_context, scalar):
    """A float32 or float64 repeated in the lanes of a wide vector."""
    return _splatting(Vector(scalar, WIDE), scalar)


@intrinsic
def first_lane(typing_context, v):
    """The first lane, a scalar."""

    def build(context, builder, sig, args):
        return builder.extract_element(args[0], ir.IntType(32)(0))

    return v.element(v), build


@intrinsic
def lane_numbers(typing_context):
    """0, 1, … 7 as floats."""
    return _numbering(floats)


@intrinsic
def wide_lane_numbers(typing_context):
    """0, 1, … WIDE - 1 as floats."""
    return _numbering(wide_floats)


def _numbering(vector):
    def build(context, builder, sig, args):
        return ir.Constant(llvm_type(vector), [float(i) for i in range(vector.lanes)])

    return vector(), build


@intrinsic
def select(typing_context, condition, yes, no):
    """`yes` where the mask is set, otherwise `no` (a vector, or a scalar for all lanes)."""

    def build(context, builder, sig, args):
        return builder.select(args[0], args[1], vector_of(context, builder, args[2], sig.args[2], sig.args[1]))

    return yes(condition, yes, no), build


@intrinsic
def any_lane(typing_context, condition):
    """Whether the mask is set in some lane."""

    def build(context, builder, sig, args):
        bits = ir.IntType(args[0].type.count)
        return builder.icmp_unsigned("!=", builder.bitcast(args[0], bits), bits(0))

    return types.boolean(condition), build


@intrinsic
def lane_sums(typing_context, v0, v1, v2, v3, v4, v5, v6, v7):
    """A vector of eight whose lane j is the sum over the lanes of the j-th argument."""

    def build(context, builder, sig, args):
        def added(rows, low, high):
            pairs = zip(rows[::2], rows[1::2], strict=True)
            return [builder.fadd(shuffled(builder, a, b, low), shuffled(builder, a, b, high)) for a, b in pairs]

        if v0.lanes == LANES:
            pairs = added(args, (0, 8, 1, 9, 4, 12, 5, 13), (2, 10, 3, 11, 6, 14, 7, 15))
            quads = added(pairs, (0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15))
            return added(quads, (0, 1, 2, 3, 8, 9, 10, 11), (4, 5, 6, 7, 12, 13, 14, 15))[0]

        def in_fours(a, b, c, d):
            return [first + lane for first in range(0, 16, 4) for lane in (a, b, c, d)]

        # Halves of sixteen first, then within each four, which takes less time than across them.
        by_halves = [args[j] for j in (0, 4, 1, 5, 2, 6, 3, 7)]
        halves = added(by_halves, [*range(8), *range(16, 24)], [*range(8, 16), *range(24, 32)])
        pairs = added(halves, in_fours(0, 1, 16, 17), in_fours(2, 3, 18, 19))
        (fours,) = added(pairs, in_fours(0, 2, 16, 18), in_fours(1, 3, 17, 19))
        return added([fours, fours], [*range(4), *range(8, 12)], [*range(4, 8), *range(12, 16)])[0]

    return Vector(v0.element)(v0, v1, v2, v3, v4, v5, v6, v7), build


@intrinsic
def lane_sum(typing_context, v):
    """The sum over the lanes, a scalar."""

    def build(context, builder, sig, args):
        total = args[0]
        while total.type.count > 1:
            half = total.type.count // 2
            low, high = range(half), range(half, 2 * half)
            total = builder.fadd(shuffled(builder, total, total, low), shuffled(builder, total, total, high))
        return builder.extract_element(total, ir.IntType(32)(0))

    return v.element(v), build


@intrinsic
def lane_max(typing_context, v):
    """The largest of the lanes, a scalar."""

    def build(context, builder, sig, args):
        largest = args[0]
        while largest.type.count > 1:
            half = largest.type.count // 2
            low = shuffled(builder, largest, largest, range(half))
            high = shuffled(builder, largest, largest, range(half, 2 * half))
            largest = builder.select(builder.fcmp_ordered(">", low, high), low, high)
        return builder.extract_element(largest, ir.IntType(32)(0))

    return v.element(v), build


# --- Arithmetic --------------------------------------------------------------------------------------------------


def call(builder, name, *args):
    """One of LLVM's functions on vectors."""
    kind = args[0].type
    width = {ir.FloatType(): "f32", ir.DoubleType(): "f64"}[kind.element]
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(kind, [kind] * len(args)), f"llvm.{name}.v{kind.count}{width}"
    )
    return builder.call(function, args)


def _polynomial(builder, x, coefficients):
    """A polynomial, highest power first: pairs of terms side by side, then Horner's rule in x², for a short chain."""

    def constant(value):
        return ir.Constant(x.type, [value] * x.type.count)

    if len(coefficients) % 2:
        coefficients = (0.0, *coefficients)
    square = builder.fmul(x, x)
    total = None
    for high, low in zip(coefficients[::2], coefficients[1::2], strict=True):
        pair = call(builder, "fmuladd", x, constant(high), constant(low)) if high else constant(low)
        total = pair if total is None else call(builder, "fmuladd", total, square, pair)
    return total


@intrinsic
def madd(typing_context, a, b, c):
    """a * b + c, rounded once where the processor can: the same in every kernel."""

    def build(context, builder, sig, args):
        return call(builder, "fmuladd", *args)

    return a(a, b, c), build


@intrinsic
def sqrt(typing_context, x):
    """Square root of each lane."""

    def build(context, builder, sig, args):
        return call(builder, "sqrt", args[0])

    return x(x), build


@intrinsic
def minimum(typing_context, a, b):
    """The smaller of a vector and a vector or scalar; `b` where `a` is not a number."""

    def build(context, builder, sig, args):
        b = vector_of(context, builder, args[1], sig.args[1], sig.args[0])
        return builder.select(builder.fcmp_ordered("<", args[0], b), args[0], b)

    return a(a, b), build


@intrinsic
def maximum(typing_context, a, b):
    """The larger of a vector and a vector or scalar; `b` where `a` is not a number."""

    def build(context, builder, sig, args):
        b = vector_of(context, builder, args[1], sig.args[1], sig.args[0])
        return builder.select(builder.fcmp_ordered(">", args[0], b), args[0], b)

    return a(a, b), build


@intrinsic
def magnitude(typing_context, x):
    """|x|."""

    def build(context, builder, sig, args):
        return call(builder, "fabs", args[0])

    return x(x), build


@intrinsic
def floor(typing_context, x):
    """The largest whole number that is not above x."""

    def build(context, builder, sig, args):
        return call(builder, "floor", args[0])

    return x(x), build


@intrinsic
def widen(typing_context, x):
    """Floats as doubles."""

    def build(context, builder, sig, args):
        return builder.fpext(args[0], llvm_type(doubles))

    return doubles(x), build


@intrinsic
def narrow(typing_context, x):
    """Doubles as floats, rounded."""

    def build(context, builder, sig, args):
        return builder.fptrunc(args[0], llvm_type(floats))

    return floats(x), build


def _words(builder, x, which):
    words = builder.bitcast(x, ir.VectorType(ir.FloatType(), 2 * LANES))
    return shuffled(builder, words, words, range(which, 2 * LANES, 2))


@intrinsic
def first_words(typing_context, x):
    """The first four bytes of each double, as they lie in memory; a float in type only."""

    def build(context, builder, sig, args):
        return _words(builder, args[0], 0)

    return floats(x), build


@intrinsic
def last_words(typing_context, x):
    """The last four bytes of each double, as they lie in memory; a float in type only."""

    def build(context, builder, sig, args):
        return _words(builder, args[0], 1)

    return floats(x), build


# 2^f on [-1/2, 1/2], minimax in the relative error: 7e-8 (floats) and 2e-16 (doubles).
_EXP2_FLOAT = (0.0013276471516250361, 0.0096755413939296111, 0.055507132757482708, 0.24022119722745537,
               0.69314696706258249, 1.0000000716544101)  # fmt: skip
_EXP2_DOUBLE = (7.0372890723202393e-9, 1.0208537844778034e-7, 1.3215662773751729e-6, 1.5252658116852302e-5,
                0.0001540352996125744, 0.0013333558228561023, 0.0096181291080344887, 0.055504108664458836,
                0.24022650695908768, 0.69314718055994977, 1.0000000000000001)  # fmt: skip


@intrinsic
def exp2(typing_context, x):
    """2^x; |x| must stay below 126 (floats) or 1022 (doubles), other lanes hold nonsense."""

    def build(context, builder, sig, args):
        is_float = sig.args[0].element == types.float32
        magic, bits, exponent = (1.5 * 2**23, 32, 23) if is_float else (1.5 * 2**52, 64, 52)
        # Adding the magic number leaves the nearest integer in the low bits, whence it moves to the exponent.
        lanes = args[0].type.count
        magic = ir.Constant(args[0].type, [magic] * lanes)
        shifted = builder.fadd(args[0], magic)
        fraction = builder.fsub(args[0], builder.fsub(shifted, magic))
        power = _polynomial(builder, fraction, _EXP2_FLOAT if is_float else _EXP2_DOUBLE)
        integers = ir.VectorType(ir.IntType(bits), lanes)
        scale = builder.shl(builder.bitcast(shifted, integers), ir.Constant(integers, [exponent] * lanes))
        return builder.bitcast(builder.add(scale, builder.bitcast(power, integers)), args[0].type)

    return x(x), build


@intrinsic
def log2(typing_context, x):
    """log2 of numbers that are positive and normal."""

    def build(context, builder, sig, args):
        is_float = sig.args[0].element == types.float32
        bits, mantissa, root_half, last = (32, 23, 0x3F3504F3, 9) if is_float else (64, 52, 0x3FE6A09E667F3BCD, 17)
        integers = ir.VectorType(ir.IntType(bits), args[0].type.count)

        def constant(value, kind=args[0].type):
            return ir.Constant(kind, [value] * kind.count)

        # x = 2^n m with m in [sqrt(1/2), sqrt(2)); log m = 2 (z + z^3/3 + …) with z = (m - 1)/(m + 1).
        word = builder.bitcast(args[0], integers)
        above = builder.ashr(builder.sub(word, constant(root_half, integers)), constant(mantissa, integers))
        m = builder.bitcast(builder.sub(word, builder.shl(above, constant(mantissa, integers))), args[0].type)
        z = builder.fdiv(builder.fsub(m, constant(1.0)), builder.fadd(m, constant(1.0)))
        series = [2.0 / math.log(2.0) / power for power in range(last, 0, -2)]
        log_m = builder.fmul(z, _polynomial(builder, builder.fmul(z, z), series))
        return builder.fadd(builder.sitofp(above, args[0].type), log_m)

    return x(x), build
