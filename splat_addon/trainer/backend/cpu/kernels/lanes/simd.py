"""Eight or sixteen numbers at once: explicit vector types and operators for compiled kernels.

LLVM turns few plain loops into vector code, and says nothing when it does not. So the kernels name their vectors:
`Vector` is a numba type that is LLVM's `<8 x float>`, `<8 x double>` or `<8 x i1>`, with the usual operators
(a scalar on either side is repeated in all lanes) and with memory; simd_math.py has the functions. Nothing here is tied
to one processor: LLVM lowers a vector to whatever registers there are (AVX-512, AVX2, two of 128 bits on NEON).

Vectors are of eight lanes, or wide: of WIDE lanes, sixteen where one register holds so many floats (`wide_lanes`),
and otherwise eight as well.

Arrays are bare addresses of numbers: no shape, no bounds check, no negative indices. LLVM may fuse a product and a
sum; where two kernels must agree to the last bit, `madd` fixes the rounding.
"""

import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

from ..declare import wide_lanes

LANES, WIDE = 8, wide_lanes()


class Vector(types.Type):
    """Lanes of one scalar type; of booleans, it is a mask."""

    def __init__(self, element: types.Type, lanes: int = LANES):
        self.element, self.lanes = element, lanes
        super().__init__(name=f"Vector({element} x {lanes})")


floats, doubles, wide_floats = Vector(types.float32), Vector(types.float64), Vector(types.float32, WIDE)
_LLVM_ELEMENT = {types.float32: ir.FloatType(), types.float64: ir.DoubleType(), types.boolean: ir.IntType(1)}


@register_model(Vector)
class VectorModel(models.PrimitiveModel):
    def __init__(self, manager, vector):
        super().__init__(manager, vector, llvm_type(vector))


def llvm_type(vector: Vector) -> ir.VectorType:
    """What a vector is to LLVM."""
    return ir.VectorType(_LLVM_ELEMENT[vector.element], vector.lanes)


def _mask(vector):
    return Vector(types.boolean, vector.lanes)


def _is_number(kind):
    return isinstance(kind, Vector) and kind.element is not types.boolean


# --- Operators ---------------------------------------------------------------------------------------------------


def repeated(builder, scalar, lanes):
    """A scalar in all lanes."""
    vector = ir.Constant(ir.VectorType(scalar.type, lanes), ir.Undefined)
    vector = builder.insert_element(vector, scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(vector, vector, ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes))


def vector_of(context, builder, value, kind, vector):
    """A value of numba type `kind` as the given vector: itself, or a scalar repeated."""
    if kind == vector:
        return value
    return repeated(builder, context.cast(builder, value, kind, vector.element), vector.lanes)


def _define_binary(symbols, instruction, result_of):
    class Template(AbstractTemplate):
        def generic(self, args, keywords):
            if len(args) != 2:
                return None
            vectors = [kind for kind in args if _is_number(kind)]
            others = [kind for kind in args if not _is_number(kind)]
            if not vectors or vectors[0] != vectors[-1] or not all(isinstance(kind, types.Number) for kind in others):
                return None
            return signature(result_of(vectors[0]), *args)

    def lower(context, builder, sig, args):
        vector = next(kind for kind in sig.args if isinstance(kind, Vector))
        a, b = (vector_of(context, builder, value, kind, vector) for value, kind in zip(args, sig.args, strict=True))
        return instruction(builder, a, b)

    for symbol in symbols:
        infer_global(symbol)(type(f"Vector_{symbol.__name__}", (Template,), {"key": symbol}))
        for pair in ((Vector, Vector), (Vector, types.Number), (types.Number, Vector)):
            lower_builtin(symbol, *pair)(lower)


_FUSE = ("contract",)
_define_binary([operator.add, operator.iadd], lambda b, x, y: b.fadd(x, y, flags=_FUSE), lambda v: v)
_define_binary([operator.sub, operator.isub], lambda b, x, y: b.fsub(x, y, flags=_FUSE), lambda v: v)
_define_binary([operator.mul, operator.imul], lambda b, x, y: b.fmul(x, y, flags=_FUSE), lambda v: v)
_define_binary([operator.truediv, operator.itruediv], lambda b, x, y: b.fdiv(x, y), lambda v: v)
_define_binary([operator.lt], lambda b, x, y: b.fcmp_ordered("<", x, y), _mask)
_define_binary([operator.ge], lambda b, x, y: b.fcmp_ordered(">=", x, y), _mask)
_define_binary([operator.gt], lambda b, x, y: b.fcmp_ordered(">", x, y), _mask)


@infer_global(operator.and_)
class MaskAnd(AbstractTemplate):
    def generic(self, args, keywords):
        is_masks = isinstance(args[0], Vector) and args[0] == args[1] == _mask(args[0])
        return signature(args[0], *args) if is_masks else None


@lower_builtin(operator.and_, Vector, Vector)
def _mask_and(context, builder, sig, args):
    return builder.and_(*args)


@infer_global(operator.neg)
class VectorNegative(AbstractTemplate):
    def generic(self, args, keywords):
        return signature(args[0], args[0]) if _is_number(args[0]) else None


@lower_builtin(operator.neg, Vector)
def _negative(context, builder, sig, args):
    return builder.fneg(args[0])


# --- Memory ------------------------------------------------------------------------------------------------------


def element_address(context, builder, array_type, array, index_type, index):
    """Where an element of a flat array lies."""
    return builder.gep(array, [context.cast(builder, index, index_type, types.int64)])


def _vector_address(context, builder, array_type, array, index_type, index, vector):
    address = element_address(context, builder, array_type, array, index_type, index)
    return builder.bitcast(address, llvm_type(vector).as_pointer())


def _loading(vector, array, index):
    def build(context, builder, sig, args):
        address = _vector_address(context, builder, sig.args[0], args[0], sig.args[1], args[1], vector)
        return builder.load(address, align=4)

    return vector(array, index), build


@intrinsic
def load(typing_context, array, index):
    """Eight consecutive elements of a flat array, from `index` on."""
    return _loading(Vector(array.dtype), array, index)


@intrinsic
def load_wide(typing_context, array, index):
    """As many consecutive elements as a wide vector has lanes."""
    return _loading(Vector(array.dtype, WIDE), array, index)


@intrinsic
def store(typing_context, array, index, value):
    """Write all lanes to consecutive elements of a flat array."""

    def build(context, builder, sig, args):
        address = _vector_address(context, builder, sig.args[0], args[0], sig.args[1], args[1], sig.args[2])
        builder.store(args[2], address, align=4)
        return context.get_dummy_value()

    return types.void(array, index, value), build


@intrinsic
def peek(typing_context, array, index):
    """One element of a flat array."""

    def build(context, builder, sig, args):
        return builder.load(element_address(context, builder, sig.args[0], args[0], sig.args[1], args[1]))

    return array.dtype(array, index), build


@intrinsic
def poke(typing_context, array, index, value):
    """Write one element of a flat array."""

    def build(context, builder, sig, args):
        address = element_address(context, builder, sig.args[0], args[0], sig.args[1], args[1])
        builder.store(context.cast(builder, args[2], sig.args[2], sig.args[0].dtype), address)
        return context.get_dummy_value()

    return types.void(array, index, value), build


@intrinsic
def prefetch(typing_context, array, index):
    """Ask for the cache line at `index`, which will be needed soon."""

    def build(context, builder, sig, args):
        byte, i32 = ir.IntType(8).as_pointer(), ir.IntType(32)
        address = builder.bitcast(element_address(context, builder, sig.args[0], args[0], sig.args[1], args[1]), byte)
        kind = ir.FunctionType(ir.VoidType(), [byte, i32, i32, i32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [address, i32(0), i32(3), i32(1)])
        return context.get_dummy_value()

    return types.void(array, index), build


def shuffled(builder, a, b, lanes):
    """The given lanes of a and b, numbered through; of two vectors of eight, b has 8 … 15."""
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), list(lanes)))


def _butterfly(builder, rows):
    """Transpose eight vectors of eight lanes."""
    low, high = (0, 8, 1, 9, 4, 12, 5, 13), (2, 10, 3, 11, 6, 14, 7, 15)
    pairs = []
    for i in range(0, 8, 2):
        pairs += [shuffled(builder, rows[i], rows[i + 1], low), shuffled(builder, rows[i], rows[i + 1], high)]
    low, high = (0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15)
    quads = []
    for i in (0, 4):
        for j in (0, 1):
            a, b = pairs[i + j], pairs[i + j + 2]
            quads += [shuffled(builder, a, b, low), shuffled(builder, a, b, high)]
    halves = [shuffled(builder, quads[i], quads[i + 4], (0, 1, 2, 3, 8, 9, 10, 11)) for i in range(4)]
    return halves + [shuffled(builder, quads[i], quads[i + 4], (4, 5, 6, 7, 12, 13, 14, 15)) for i in range(4)]


@intrinsic
def store_transposed(typing_context, array, index, stride, v0, v1, v2, v3, v4, v5, v6, v7):
    """Write lane j of the eight vectors to the eight consecutive elements from `index + j * stride` on."""

    def build(context, builder, sig, args):
        kind = sig.args[0]
        start = context.cast(builder, args[1], sig.args[1], types.int64)
        step = context.cast(builder, args[2], sig.args[2], types.int64)
        for j, row in enumerate(_butterfly(builder, args[3:])):
            at = builder.add(start, builder.mul(step, ir.Constant(ir.IntType(64), j)))
            builder.store(row, _vector_address(context, builder, kind, args[0], types.int64, at, floats), align=4)
        return context.get_dummy_value()

    return types.void(array, index, stride, v0, v1, v2, v3, v4, v5, v6, v7), build


@intrinsic
def store_triples(typing_context, array, index, x, y, z):
    """Write x0 y0 z0 x1 y1 z1 … to the 24 consecutive elements from `index` on."""

    def build(context, builder, sig, args):
        xy = shuffled(builder, args[2], args[3], range(16))
        z = shuffled(builder, args[4], args[4], range(16))
        for part in range(3):
            places = [divmod(8 * part + lane, 3) for lane in range(8)]
            lanes = [16 + pixel if channel == 2 else 8 * channel + pixel for pixel, channel in places]
            at = builder.add(context.cast(builder, args[1], sig.args[1], types.int64), ir.IntType(64)(8 * part))
            address = _vector_address(context, builder, sig.args[0], args[0], types.int64, at, floats)
            builder.store(shuffled(builder, xy, z, lanes), address, align=4)
        return context.get_dummy_value()

    return types.void(array, index, x, y, z), build


@intrinsic(prefer_literal=True)
def load_third(typing_context, array, index, channel):
    """Every third element, eight of them, from `index + channel` on; the channel (0, 1 or 2) is a literal."""

    def build(context, builder, sig, args):
        start = context.cast(builder, args[1], sig.args[1], types.int64)
        parts = []
        for part in range(3):
            at = builder.add(start, ir.IntType(64)(8 * part))
            address = _vector_address(context, builder, sig.args[0], args[0], types.int64, at, floats)
            parts.append(builder.load(address, align=4))
        first = shuffled(builder, parts[0], parts[1], range(16))
        last = shuffled(builder, parts[2], parts[2], range(16))
        lanes = [channel.literal_value + 3 * lane for lane in range(LANES)]
        return shuffled(builder, first, last, lanes)

    return floats(array, index, channel), build
