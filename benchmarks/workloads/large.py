"""Work on large arrays, in sizes of the caller's choice: passes over memory, and products."""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.workload import Program, Vocabulary, Workload
from benchmarks.workloads.rows import normalise

Shape = tuple[int, ...]

_ROUNDING = "sums in another order"
_EXACT = "copies are exact"
_AXES = {"rows": -1, "columns": 0, "middle": 1, "all": None}


@functools.lru_cache(maxsize=2)  # the frameworks of a row take the same
def centred(*shape: int) -> np.ndarray:
    """Numbers between -1/2 and 1/2, which cost less to make than normal ones."""
    x = np.random.default_rng(0).random(shape, np.float32)
    x -= np.float32(0.5)
    return x


def _tensors(*arrays: np.ndarray) -> tuple[Any, ...]:
    import torch

    return tuple(map(torch.as_tensor, arrays))


def unary(name: str, of: str, array: Any, torch: Any, shape: Shape, tolerance: float) -> Workload:
    """A function of one array of float32; ``of`` says of what size, for the name."""

    def in_arrays(v: Vocabulary) -> Program:
        return Program(lambda x: array(v, x), (centred(*shape),))

    def in_torch(compiler: Callable[..., Any]) -> Program:
        return Program(compiler(torch), _tensors(centred(*shape)))

    reason = _ROUNDING if tolerance else _EXACT
    return Workload(f"{name} {of}", in_arrays, in_torch, tolerance, reason)


def gradient_of_unary(
    name: str, of: str, array: Any, torch: Any, shape: Shape, tolerance: float
) -> Workload:
    """The vector-Jacobian product of such a function."""

    def in_arrays(v: Vocabulary) -> Program:
        def total(x: Any, cotangent: Any) -> Any:
            return (array(v, x) * cotangent).sum()

        return Program(v.top.grad(total), (centred(*shape), 1 + centred(*shape)))

    def in_torch(compiler: Callable[..., Any]) -> Program:
        from torch import autograd

        x, cotangent = _tensors(centred(*shape), 1 + centred(*shape))
        x.requires_grad_()
        function = compiler(torch)
        return Program(lambda: autograd.grad(function(x), x, cotangent))

    return Workload(f"{name} {of} gradient", in_arrays, in_torch, tolerance, _ROUNDING)


def chain(v: Vocabulary, x: Any) -> Any:
    """Six operations of each element."""
    y = x * 1.5 + 0.25
    return v.numpy.tanh(y * y - x) * x


def torch_chain(x: Any) -> Any:
    """The same in PyTorch."""
    y = x * 1.5 + 0.25
    return (y * y - x).tanh() * x


def softmax(v: Vocabulary, x: Any) -> Any:
    """Along the last axis."""
    return v.nn.softmax(x, axis=-1)


def torch_softmax(x: Any) -> Any:
    """The same in PyTorch."""
    return x.softmax(-1)


def total(kind: str, v: Vocabulary, x: Any) -> Any:
    """Sums over "rows", "columns", the "middle" axis or "all"."""
    return x.sum(axis=_AXES[kind])


def torch_total(kind: str, x: Any) -> Any:
    """The same in PyTorch."""
    return x.sum(_AXES[kind])


def layer_norm(shape: tuple[int, int], gradient: bool) -> Workload:
    """Of ``shape`` (rows, features), with scale and bias; or its gradient by all three."""
    width = shape[1]

    def data() -> tuple[np.ndarray, ...]:
        scale, bias = np.random.default_rng(1).random((2, width), np.float32)
        return centred(*shape), scale, bias, 1 + centred(*shape)

    def in_arrays(v: Vocabulary) -> Program:
        function = normalise(v)
        if not gradient:
            return Program(function, data()[:3])

        def total(x: Any, scale: Any, bias: Any, cotangent: Any) -> Any:
            return (function(x, scale, bias) * cotangent).sum()

        return Program(v.top.grad(total, argnums=(0, 1, 2)), data())

    def in_torch(compiler: Callable[..., Any]) -> Program:
        import torch

        normalise = torch.nn.functional.layer_norm
        function = compiler(lambda x, scale, bias: normalise(x, (width,), scale, bias))
        *primals, cotangent = _tensors(*data())
        if not gradient:
            return Program(function, tuple(primals))
        leaves = [x.requires_grad_() for x in primals]
        return Program(lambda: torch.autograd.grad(function(*leaves), leaves, cotangent))

    name = f"layer norm {shape[0]}x{width}" + " gradient" * gradient
    return Workload(name, in_arrays, in_torch, 1e-3, "sums of all rows in another order")


def cross_entropy(shape: tuple[int, int], gradient: bool) -> Workload:
    """The mean of ``shape`` (rows, classes), or its gradient."""

    def data() -> tuple[np.ndarray, np.ndarray]:
        labels = np.random.default_rng(1).integers(0, shape[1], shape[0], np.int32)
        return centred(*shape), labels

    def in_arrays(v: Vocabulary) -> Program:
        def loss(logits: Any, labels: Any) -> Any:
            return v.cross_entropy(logits, labels).mean()

        return Program(v.top.grad(loss) if gradient else loss, data())

    def in_torch(compiler: Callable[..., Any]) -> Program:
        import torch

        function = compiler(torch.nn.functional.cross_entropy)
        logits, labels = _tensors(*data())
        labels = labels.long()
        if not gradient:
            return Program(function, (logits, labels))
        logits.requires_grad_()
        return Program(lambda: torch.autograd.grad(function(logits, labels), logits))

    name = f"cross entropy {shape[0]}x{shape[1]}" + " gradient" * gradient
    return Workload(name, in_arrays, in_torch, 1e-4, _ROUNDING)


def _lookups(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    return np.random.default_rng(1).integers(0, shape[0], shape[0], np.int32), centred(*shape)


def gather(shape: tuple[int, int]) -> Workload:
    """As many rows of a table of ``shape`` as it has, drawn at random."""

    def in_arrays(v: Vocabulary) -> Program:
        return Program(lambda indices, table: v.numpy.take(table, indices, axis=0), _lookups(shape))

    def in_torch(compiler: Callable[..., Any]) -> Program:
        import torch

        return Program(compiler(torch.nn.functional.embedding), _tensors(*_lookups(shape)))

    name = f"gather rows {shape[0]}x{shape[1]}"
    return Workload(name, in_arrays, in_torch, 0.0, _EXACT)


def scatter_add(shape: tuple[int, int]) -> Workload:
    """As many rows as a table of ``shape`` has, added to rows of zeros drawn at random."""

    def in_arrays(v: Vocabulary) -> Program:
        def added(indices: Any, rows: Any) -> Any:
            return v.numpy.zeros(shape, np.float32).at[indices].add(rows)

        return Program(added, _lookups(shape))

    def in_torch(compiler: Callable[..., Any]) -> Program:
        def added(indices: Any, rows: Any) -> Any:
            return rows.new_zeros(shape).index_add_(0, indices, rows)

        return Program(compiler(added), _tensors(*_lookups(shape)))

    name = f"scatter-add rows {shape[0]}x{shape[1]}"
    return Workload(name, in_arrays, in_torch, 1e-5, "the order in which rows that meet are added")


def products(size: int, dtype: str) -> Workload:
    """The product of two square matrices; "tf32" is float32 whose products are rounded."""
    rounding = {"float32": 1e-4, "tf32": 1e-2, "bfloat16": 1e-2}[dtype]
    stored = "float32" if dtype == "tf32" else dtype

    def in_arrays(v: Vocabulary) -> Program:
        x = centred(2 * size, size).astype(stored)
        return Program(lambda a, b: a @ b, (x[:size], x[size:]))

    def in_torch(compiler: Callable[..., Any]) -> Program:
        import torch

        x = torch.as_tensor(centred(2 * size, size)).to(getattr(torch, stored))
        return Program(compiler(lambda a, b: a @ b), (x[:size], x[size:]))

    name = f"matmul {size} {dtype}"
    return Workload(name, in_arrays, in_torch, rounding, "sums in another order, and their types")


def sums(kind: str, of: str, shape: Shape) -> Workload:
    """Sums of an array over some of its axes."""
    array, torch = partial(total, kind), partial(torch_total, kind)
    # Numbers of both signs: the sum of all of them is small beside them.
    tolerance = 1e-2 if kind == "all" else 1e-3
    return unary(f"sum over {kind}", of, array, torch, shape, tolerance)


def cumulative_sums(shape: Shape) -> Workload:
    """Along the last axis."""
    return unary(
        "cumsum",
        "x".join(map(str, shape)),
        lambda v, x: v.numpy.cumsum(x, axis=-1),
        lambda x: x.cumsum(-1),
        shape,
        1e-4,
    )


def transposed(shape: Shape, axes: Shape) -> Workload:
    """Written in another order of its axes."""
    return unary(
        f"transpose to {axes}".replace(" ", "").replace("transposeto", "transpose to "),
        "x".join(map(str, shape)),
        lambda v, x: v.numpy.transpose(x, axes),
        lambda x: x.permute(axes).contiguous(),
        shape,
        0.0,
    )
