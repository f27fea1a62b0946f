"""Blocks of pixels: 8 columns of one row, or of two rows one below the other, as the lanes of a wide vector.

The lanes take turns between the rows: with two, lane 2 i is pixel i of the upper row and lane 2 i + 1 the one below.
So what differs from row to row alone is two neighboring floats in memory, repeated, which costs no arithmetic.
"""

from llvmlite import ir
from numba.extending import intrinsic

from ..layout import TILE_WIDTH
from .simd import WIDE, element_address, llvm_type, repeated, shuffled, wide_floats

BLOCK_ROWS = WIDE // TILE_WIDTH
_IN_TURNS = [TILE_WIDTH * row + column for column in range(TILE_WIDTH) for row in range(BLOCK_ROWS)]
_ROW_BY_ROW = [BLOCK_ROWS * column + row for row in range(BLOCK_ROWS) for column in range(TILE_WIDTH)]


@intrinsic
def splat_rows(typing_context, array, index):
    """One element for each row, from `index` on, repeated in all its pixels."""

    def build(context, builder, sig, args):
        address = element_address(context, builder, sig.args[0], args[0], sig.args[1], args[1])
        bits = ir.IntType(32 * BLOCK_ROWS)
        both = builder.load(builder.bitcast(address, bits.as_pointer()), align=4)
        return builder.bitcast(repeated(builder, both, TILE_WIDTH), llvm_type(wide_floats))

    return wide_floats(array, index), build


@intrinsic
def column_numbers(typing_context):
    """The column of each pixel, 0 … 7."""

    def build(context, builder, sig, args):
        return ir.Constant(llvm_type(wide_floats), [float(lane // BLOCK_ROWS) for lane in range(WIDE)])

    return wide_floats(), build


@intrinsic
def in_turns(typing_context, v):
    """From row after row to a block."""

    def build(context, builder, sig, args):
        return shuffled(builder, args[0], args[0], _IN_TURNS)

    return v(v), build


@intrinsic
def row_by_row(typing_context, v):
    """From a block to row after row."""

    def build(context, builder, sig, args):
        return shuffled(builder, args[0], args[0], _ROW_BY_ROW)

    return v(v), build
