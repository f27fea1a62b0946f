"""Node trees written as equations: `(x * x + y * y).sqrt()` adds the math nodes that compute it.

Works in geometry and shader trees, whose math nodes are the same. A `Scalar` or `Vector` is one output socket; numbers
and tuples become the values of input sockets.
"""

from collections.abc import Sequence
from typing import Any

import bpy

Socket = Any  # bpy.types.NodeSocket, whose default_value exists only in its subclasses


class Scalar:
    """A number, or one for every element."""

    def __init__(self, tree: "NodeTree", socket: Socket):
        self.tree, self.socket = tree, socket

    def __add__(self, other):
        return self.tree.math("ADD", self, other)

    def __radd__(self, other):
        return self.tree.math("ADD", other, self)

    def __sub__(self, other):
        return self.tree.math("SUBTRACT", self, other)

    def __rsub__(self, other):
        return self.tree.math("SUBTRACT", other, self)

    def __mul__(self, other):
        return self.tree.math("MULTIPLY", self, other)

    def __rmul__(self, other):
        return self.tree.math("MULTIPLY", other, self)

    def __truediv__(self, other):
        return self.tree.math("DIVIDE", self, other)

    def __rtruediv__(self, other):
        return self.tree.math("DIVIDE", other, self)

    def __pow__(self, other):
        return self.tree.math("POWER", self, other)

    def __neg__(self):
        return self.tree.math("MULTIPLY", self, -1.0)

    def __gt__(self, other):
        """1 where greater, else 0."""
        return self.tree.math("GREATER_THAN", self, other)

    def __lt__(self, other):
        """1 where less, else 0."""
        return self.tree.math("LESS_THAN", self, other)

    def sqrt(self):
        return self.tree.math("SQRT", self)

    def ln(self):
        return self.tree.math("LOGARITHM", self, 2.718281828459045)

    def at_least(self, bound):
        return self.tree.math("MAXIMUM", self, bound)

    def at_most(self, bound):
        return self.tree.math("MINIMUM", self, bound)


class Vector:
    """Three numbers, or three for every element. Products are by component; a Scalar stretches."""

    def __init__(self, tree: "NodeTree", socket: Socket):
        self.tree, self.socket = tree, socket
        self._parts: tuple[Scalar, Scalar, Scalar] | None = None

    def __add__(self, other):
        return self.tree.vector_math("ADD", self, other)

    def __sub__(self, other):
        return self.tree.vector_math("SUBTRACT", self, other)

    def __mul__(self, other):
        if isinstance(other, Scalar | float | int):
            return self.tree.vector_math("SCALE", self, Scale=other)
        return self.tree.vector_math("MULTIPLY", self, other)

    def times_plus(self, factor, addend):
        """self * factor + addend in one node; `factor` may be a Scalar."""
        return self.tree.vector_math("MULTIPLY_ADD", self, factor, addend)

    def dot(self, other) -> Scalar:
        return self.tree.vector_math("DOT_PRODUCT", self, other)

    def cross(self, other):
        return self.tree.vector_math("CROSS_PRODUCT", self, other)

    def normalized(self):
        return self.tree.vector_math("NORMALIZE", self)

    def at_least(self, bound):
        return self.tree.vector_math("MAXIMUM", self, bound)

    @property
    def parts(self) -> tuple[Scalar, Scalar, Scalar]:
        """x, y and z."""
        if self._parts is None:
            outputs = self.tree.add("ShaderNodeSeparateXYZ", Vector=self).outputs
            self._parts = Scalar(self.tree, outputs[0]), Scalar(self.tree, outputs[1]), Scalar(self.tree, outputs[2])
        return self._parts


class NodeTree:
    """Adds nodes to a tree, each right of those it reads; frames with a label stand side by side."""

    def __init__(self, tree: bpy.types.NodeTree):
        self.tree = tree
        self._frame: bpy.types.Node | None = None
        self._first_column = 0
        self._columns: dict[str, int] = {}
        self._rows: dict[int, int] = {}

    def frame(self, label: str) -> None:
        """Nodes added from now on stand in a frame with this label, right of all before."""
        self._frame = self.tree.nodes.new("NodeFrame")
        self._frame.label = label
        self._first_column = max(self._rows, default=-1) + 2

    def add(self, kind: str, properties: dict[str, Any] | None = None, *values: Any, **inputs: Any) -> Any:
        """A node of type `kind` with its `properties` set first, then its inputs: `values` in the order of the
        sockets, `inputs` by name (an underscore for a blank). Each is a value, or what to link."""
        node = self.tree.nodes.new(kind)
        for name, value in (properties or {}).items():
            setattr(node, name, value)
        for socket, value in zip(node.inputs, values, strict=False):
            self.fill(socket, value)
        for name, value in inputs.items():
            self.fill(enabled(node.inputs, name.replace("_", " ")), value)
        self._place(node, [*values, *inputs.values()])
        return node

    def fill(self, socket: Socket, value: Any) -> None:
        """Link `value` to an input, or set it there."""
        if isinstance(value, Scalar | Vector):
            value = value.socket
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, socket)
        else:
            socket.default_value = value

    def math(self, operation: str, *values: Any) -> Scalar:
        return Scalar(self, self.add("ShaderNodeMath", {"operation": operation}, *values).outputs[0])

    def vector_math(self, operation: str, *values: Any, **named: Any) -> Any:
        node = self.add("ShaderNodeVectorMath", {"operation": operation}, *values, **named)
        return self._result(node)

    def vector(self, x: Any, y: Any, z: Any) -> Vector:
        return Vector(self, self.add("ShaderNodeCombineXYZ", None, x, y, z).outputs[0])

    def choose(self, condition: Any, if_true: Any, if_false: Any) -> Any:
        """`if_true` where the condition holds, else `if_false` (geometry trees only)."""
        kind = "VECTOR" if isinstance(if_true, Vector) or isinstance(if_false, Vector) else "FLOAT"
        values = {"Switch": condition, "True": if_true, "False": if_false}
        return self._result(self.add("GeometryNodeSwitch", {"input_type": kind}, **values))

    def _result(self, node: bpy.types.Node) -> Any:
        output = next(socket for socket in node.outputs if socket.enabled)
        return Scalar(self, output) if output.type == "VALUE" else Vector(self, output)

    def _place(self, node: bpy.types.Node, values: Sequence[Any]) -> None:
        sockets = [getattr(value, "socket", value) for value in values]
        sources = [socket.node.name for socket in sockets if isinstance(socket, bpy.types.NodeSocket)]
        column = max([self._first_column, *(1 + self._columns.get(name, 0) for name in sources)])
        row = self._rows.get(column, 0)
        self._columns[node.name], self._rows[column] = column, row + 1
        node.parent = self._frame
        node.location = (190 * column, -170 * row)


def enabled(sockets: Any, name: str) -> Socket:
    """The socket of that name which the node's present data type uses."""
    return next(socket for socket in sockets if socket.name == name and socket.enabled)
