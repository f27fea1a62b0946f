"""A pretended card: tensors that say they are on another device, with the numbers on the CPU, so that every forgotten
move between devices fails as it would on a card.

The device is called "meta", the one name besides "cpu" whose gradients PyTorch computes in the calling thread; nothing
of meta's own behavior is used. `crossings` counts what a card would wait for and what travels, by the line of the
trainer or of gsplat that asks for it.
"""

import contextlib
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_map

CARD = torch.device("meta")
_MAKERS = ("tensor", "as_tensor", "zeros", "ones", "full", "empty", "arange", "rand", "randn", "linspace", "eye")
_ASKING = (  # operations whose result the host waits for: its value, or how long it is
    "_local_scalar_dense", "is_nonzero", "nonzero", "equal.", "_linalg_check_errors", "masked_select", "_unique2",
    "unique_", "repeat_interleave.Tensor",
)  # fmt: skip
_MIXED = ("copy_", "_to_copy", "index.", "index_put")  # operations that take tensors of both sides

_counted: Counter | None = None


@contextlib.contextmanager
def crossings() -> Iterator[Counter]:
    """What crosses meanwhile: ("wait" | "upload" | "download" | "launch", line) -> how often, uploads in bytes."""
    global _counted
    _counted = Counter()
    try:
        yield _counted
    finally:
        _counted = None


def _count(kind: str, amount: int = 1) -> None:
    if _counted is not None:
        _counted[kind, "" if kind == "launch" else _asking_line()] += amount


def _asking_line() -> str:
    for package in ("splat_addon", "gsplat"):
        for frame in reversed(traceback.extract_stack()):
            if f"/{package}/" in frame.filename and "/tests/" not in frame.filename:
                return f"{Path(frame.filename).name}:{frame.lineno}"
    return "?"


class OnCard(torch.Tensor):
    """A tensor of the card; `inner` has its numbers."""

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(
            cls, inner.size(), strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype,
            device=CARD, requires_grad=False,
        )  # fmt: skip

    def __init__(self, inner):
        self.inner = inner

    def __repr__(self):
        return f"OnCard({self.inner!r})"

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        kwargs, name, given = dict(kwargs or {}), func.__name__, []
        tree_map(lambda value: given.append(value) if isinstance(value, torch.Tensor) else None, (args, kwargs))
        plain = [value for value in given if not isinstance(value, OnCard)]
        assert not any(value.device == CARD for value in plain), f"a number was lost in {name} at {_asking_line()}"
        if any(value.dim() > 0 for value in plain) and not name.startswith(_MIXED):
            where = f"({name}) at {_asking_line()}"
            raise RuntimeError(f"Expected all tensors to be on the same device, but found cuda and cpu {where}")
        wanted = kwargs.get("device")
        if name.startswith("_to_copy"):
            if wanted is None or torch.device(wanted) == CARD:
                kwargs["device"] = None
                return OnCard(func(*tree_map(_inner, args), **kwargs))
            _count("download", args[0].nbytes)
            return func(*tree_map(_inner, args), **kwargs)
        if name.startswith("copy_") and isinstance(args[0], OnCard) != isinstance(args[1], OnCard):
            _count("upload" if isinstance(args[0], OnCard) else "download", args[1].nbytes)
        if wanted is not None:
            assert torch.device(wanted) == CARD, (name, wanted)
            kwargs["device"] = torch.device("cpu")
        _count("wait" if name.startswith(_ASKING) else "launch")
        result = func(*tree_map(_inner, args), **tree_map(_inner, kwargs))
        if result is None or isinstance(result, (int, float, bool)):
            return result
        return return_and_correct_aliasing(func, args, kwargs, tree_map(_on_card, result))


def kernel(function):
    """A function of CPU tensors as a kernel of the card: tensors of the card in, tensors of the card out."""

    def launched(*args):
        assert not any(isinstance(value, torch.Tensor) and not isinstance(value, OnCard) for value in args)
        _count("launch")
        return tree_map(_on_card, function(*tree_map(_inner, args)))

    return launched


def _inner(value):
    return value.inner if isinstance(value, OnCard) else value


def _on_card(value):
    return OnCard(value) if isinstance(value, torch.Tensor) else value


class _Made(TorchDispatchMode):
    """What PyTorch itself makes on the card, in C++: scalars in gradients, zeros."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        wanted = kwargs.get("device")
        if wanted is not None and torch.device(wanted) == CARD and not any(isinstance(v, OnCard) for v in args):
            kwargs["device"] = torch.device("cpu")
            return OnCard(func(*args, **kwargs))
        return func(*args, **kwargs)


class Card(TorchFunctionMode):
    """Within, what is made on or moved to `CARD` are pretended tensors."""

    def __enter__(self):
        self._made = _Made()
        self._made.__enter__()
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        self._made.__exit__(*error)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs, name = dict(kwargs or {}), getattr(func, "__name__", "")
        wanted = kwargs.get("device")
        is_card = wanted is not None and torch.device(wanted) == CARD
        if name == "to" and isinstance(args[0], torch.Tensor):
            moved = _moved(args, wanted)
            if moved is not None:
                return moved
        if name in ("cpu", "tolist") and isinstance(args[0], OnCard):
            _count("wait")
            plain = args[0].detach().inner.clone()
            return plain.tolist() if name == "tolist" else plain
        if name in _MAKERS and is_card:
            return _made(func, name, args, kwargs)
        if name == "backward" and isinstance(args[0], torch.Tensor) and len(args) == 1:
            return _differentiated(args[0])
        if name == "where" and len(args) == 3 and any(isinstance(value, OnCard) for value in args):
            like = next((value.dtype for value in args[1:] if isinstance(value, torch.Tensor)), torch.float32)
            args = tuple(OnCard(torch.tensor(v, dtype=like)) if isinstance(v, (int, float)) else v for v in args)
        if is_card and name in ("randperm", "randint"):
            raise NotImplementedError(name)
        return func(*args, **kwargs)


def _moved(args, wanted) -> torch.Tensor | None:
    """`args[0].to(…)`; None when it stays where it is."""
    tensor, *others = args
    places = [value for value in (*others, wanted) if isinstance(value, (torch.device, str))]
    if not places:
        return None
    rest = [value for value in others if not isinstance(value, (torch.device, str))]
    if torch.device(places[0]) == CARD:
        if isinstance(tensor, OnCard):
            return tensor.to(*rest) if rest else tensor
        assert not tensor.requires_grad
        _count("upload", tensor.nbytes)
        return OnCard(tensor.to(*rest) if rest else tensor.clone())
    if isinstance(tensor, OnCard):
        _count("wait")
        return tensor.detach().inner.clone()
    return None


def _made(func, name: str, args, kwargs) -> torch.Tensor:
    kwargs["device"] = "cpu"
    if name == "as_tensor" and isinstance(args[0], OnCard):
        return args[0].to(kwargs["dtype"]) if "dtype" in kwargs else args[0]
    needs_gradient = kwargs.pop("requires_grad", False)
    made = OnCard(func(*args, **kwargs).detach())
    if name in ("tensor", "as_tensor"):
        _count("upload", made.nbytes)
    return made.requires_grad_() if needs_gradient else made


def _differentiated(loss: torch.Tensor):
    with Card():
        one = torch.ones(loss.shape)
        start = OnCard(one) if isinstance(loss, OnCard) else one
        return torch.autograd.graph._engine_run_backward(
            (loss,), (start,), False, False, (), allow_unreachable=True, accumulate_grad=True
        )
