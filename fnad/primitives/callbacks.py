"""Calls of Python functions from programs: ``pure_callback``, ``io_callback``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fnad.core import tree
from fnad.core.flat_function import function_name
from fnad.core.interpret import as_value
from fnad.core.primitive import Parts, Primitive, Zero, are_complex
from fnad.core.rewrites import BatchAxis
from fnad.core.tracer import suspend_tracing
from fnad.core.types import ShapedArray, aval_of
from fnad.primitives.complex_parts import interleaved, parts_of_interleaved
from fnad.primitives.shape import expand_dims
from fnad.primitives.subprograms import broadcast_batch

VMAP_METHODS = (
    "sequential",
    "sequential_unrolled",
    "expand_dims",
    "broadcast_all",
    "legacy_vectorized",
)


@dataclass(frozen=True, slots=True, eq=False)
class HostFunction:
    """A function of arrays on the host, and the types of its list of results.

    ``in_tree`` is the structure of the arguments and keyword arguments of ``function``,
    ``out_tree`` that of what it returns; ``caller`` is the name of what users call.
    """

    function: Callable[..., Any]
    in_tree: Any
    out_tree: Any
    avals: tuple[ShapedArray, ...]
    caller: str = "pure_callback"

    def __repr__(self) -> str:
        return function_name(self.function)

    def __call__(self, *arrays: Any) -> list[np.ndarray[Any, Any]]:
        args, kwargs = tree.unflatten(self.in_tree, arrays)
        with suspend_tracing():
            result = self.function(*args, **kwargs)
        leaves, out_tree = tree.flatten(result)
        if out_tree != self.out_tree:
            raise TypeError(
                f"{self.caller}: {self!r} returned {out_tree}, but result_shape_dtypes says"
                f" {self.out_tree}"
            )
        return [_checked(self, x, aval) for x, aval in zip(leaves, self.avals, strict=True)]


def _checked(function: HostFunction, value: Any, aval: ShapedArray) -> np.ndarray[Any, Any]:
    """A result as an array of the type that was promised; numbers of Python take its dtype."""
    is_number = isinstance(value, (bool, int, float, complex)) and not isinstance(value, np.generic)
    array = np.asarray(value, aval.dtype) if is_number else np.asarray(value)
    if array.shape != aval.shape or array.dtype.newbyteorder("=") != aval.dtype:
        raise TypeError(
            f"{function.caller}: {function!r} returned {aval_of(array)} where result_shape_dtypes"
            f" says {aval}; return np.asarray(result, dtype) of that shape"
        )
    return array


@dataclass(frozen=True, slots=True, eq=False)
class _Sequential:
    """A function applied to one lane of a batch after the other."""

    function: Callable[..., list[Any]]
    batched: tuple[bool, ...]
    size: int
    avals: tuple[ShapedArray, ...]  # of the batch's results

    def __repr__(self) -> str:
        return repr(self.function)

    def __call__(self, *arrays: Any) -> list[np.ndarray[Any, Any]]:
        outs = [np.zeros(a.shape, a.dtype) for a in self.avals]
        for lane in range(self.size):
            given = [x[lane] if b else x for x, b in zip(arrays, self.batched, strict=True)]
            for out, result in zip(outs, self.function(*given), strict=True):
                out[lane] = result
        return outs


@dataclass(frozen=True, slots=True, eq=False)
class _OfMemory:
    """A function of complex numbers that takes and returns their memory, real arrays."""

    function: Callable[..., list[Any]]
    complex_in: tuple[bool, ...]

    def __repr__(self) -> str:
        return repr(self.function)

    def __call__(self, *arrays: Any) -> list[Any]:
        given = [_as_complex(x) if c else x for x, c in zip(arrays, self.complex_in, strict=True)]
        return [_as_real(np.asarray(x)) for x in self.function(*given)]


def _as_complex(x: np.ndarray[Any, Any]) -> Any:
    return np.ascontiguousarray(x).view(f"c{2 * x.dtype.itemsize}")[..., 0]


def _as_real(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if x.dtype.kind != "c":
        return x
    return np.stack([x.real, x.imag], -1)


pure_callback_p = Primitive(
    "pure_callback",
    "The results, of the types ``avals``, of ``function``, which runs on the host.",
    multiple_results=True,
)


@pure_callback_p.type_rule
def _(*operands: ShapedArray, avals: tuple[ShapedArray, ...], **params: Any) -> list[ShapedArray]:
    return list(avals)


@pure_callback_p.evaluate
def _(*operands: Any, function: Any, avals: tuple[ShapedArray, ...], **params: Any) -> list[Any]:
    return function(*[_read_only(as_value(x)) for x in operands])


def _read_only(x: Any) -> Any:
    if not isinstance(x, np.ndarray):
        return x
    view = x.view()
    view.flags.writeable = False
    return view


def _has_no_derivative(primitive: Primitive) -> None:
    @primitive.jvp
    def _(
        primals: Sequence[Any], tangents: Sequence[Any], **params: Any
    ) -> tuple[list[Any], list[Any]]:
        name = primitive.name
        if not all(isinstance(t, Zero) for t in tangents):
            raise TypeError(
                f"{name}: {params['function']!r} is Python, whose derivative nobody knows. Give"
                " it one with fnad.custom_jvp or fnad.custom_vjp around the function that calls"
                f" {name}, or cut it off with lax.stop_gradient on the arguments"
            )
        outs = primitive.bind(*primals, **params)
        return outs, [Zero(aval_of(o)) for o in outs]


_has_no_derivative(pure_callback_p)


@pure_callback_p.batch
def _(
    args: Sequence[Any],
    batched: Sequence[bool],
    axis: BatchAxis,
    *,
    function: Any,
    avals: tuple[ShapedArray, ...],
    vmap_method: str | None,
) -> tuple[list[Any], tuple[bool, ...]]:
    if vmap_method is None:
        raise ValueError(
            f"pure_callback: {function!r} under vmap needs vmap_method=, one of"
            f" {', '.join(map(repr, VMAP_METHODS))}: 'sequential' calls it once for each lane, the"
            " others once with arrays that have a leading batch axis"
        )
    whole = tuple([ShapedArray((axis.size, *a.shape), a.dtype) for a in avals])
    if vmap_method.startswith("sequential"):
        function = _Sequential(function, tuple(batched), axis.size, whole)
    else:
        function = replace(function, avals=whole)
    if vmap_method == "broadcast_all":
        args = [x if b else broadcast_batch(x, axis.size) for x, b in zip(args, batched)]
    elif vmap_method == "expand_dims":
        args = [x if b else expand_dims(x, (0,)) for x, b in zip(args, batched)]
    outs = pure_callback_p.bind(*args, function=function, avals=whole, vmap_method=vmap_method)
    return outs, (True,) * len(outs)


def _callback_on_parts(
    primitive: Primitive,
    operands: Sequence[Any],
    function: Any,
    avals: tuple[ShapedArray, ...],
    **params: Any,
) -> list[Any]:
    """A call with complex numbers: the function gets and returns their memory."""
    complex_out = are_complex(avals)
    given = [interleaved(x) if type(x) is Parts else x for x in operands]
    memory = [
        ShapedArray((*a.shape, 2), np.dtype(f"f{a.dtype.itemsize // 2}")) if c else a
        for a, c in zip(avals, complex_out, strict=True)
    ]
    outs = primitive.bind(
        *given,
        function=_OfMemory(function, tuple(type(x) is Parts for x in operands)),
        avals=tuple(memory),
        **params,
    )
    return [parts_of_interleaved(x) if c else x for x, c in zip(outs, complex_out, strict=True)]


@pure_callback_p.parts
def _(*operands: Any, **params: Any) -> list[Any]:
    return _callback_on_parts(pure_callback_p, operands, **params)


@pure_callback_p.lower
def _(p: Any, *operands: Any, function: Any, **params: Any) -> list[Any]:
    return p.host_call(function, operands)


# -- with effects --------------------------------------------------------------------------------

debug_callback_p = Primitive(
    "debug_callback",
    "Run ``function`` on the host for what it does; it has no results. It runs once for each run of"
    " the equation, in order with all others.",
    multiple_results=True,
)
debug_callback_p.has_effects = True


@debug_callback_p.type_rule
def _(*operands: ShapedArray, function: Any) -> list[ShapedArray]:
    return []


@debug_callback_p.evaluate
def _(*operands: Any, function: Any) -> list[Any]:
    return function(*[_read_only(as_value(x)) for x in operands])


@debug_callback_p.jvp
def _(primals: Sequence[Any], tangents: Sequence[Any], *, function: Any) -> tuple[list, list]:
    return debug_callback_p.bind(*primals, function=function), []


@debug_callback_p.batch
def _(
    args: Sequence[Any], batched: Sequence[bool], axis: BatchAxis, *, function: Any
) -> tuple[list[Any], tuple[bool, ...]]:
    function = _Sequential(function, tuple(batched), axis.size, ())
    return debug_callback_p.bind(*args, function=function), ()


@debug_callback_p.parts
def _(*operands: Any, function: Any) -> list[Any]:
    given = [interleaved(x) if type(x) is Parts else x for x in operands]
    function = _OfMemory(function, tuple(type(x) is Parts for x in operands))
    return debug_callback_p.bind(*given, function=function)


@debug_callback_p.lower
def _(p: Any, *operands: Any, function: Any) -> list[Any]:
    return p.host_call(function, operands)


io_callback_p = Primitive(
    "io_callback",
    "The results, of the types ``avals``, of ``function``, which runs on the host for what it does."
    " It runs once for each run of the equation, in order with all others.",
    multiple_results=True,
)
io_callback_p.has_effects = True


@io_callback_p.type_rule
def _(*operands: ShapedArray, function: Any, avals: tuple[ShapedArray, ...]) -> list[ShapedArray]:
    return list(avals)


@io_callback_p.evaluate
def _(*operands: Any, function: Any, avals: tuple[ShapedArray, ...]) -> list[Any]:
    return function(*[_read_only(as_value(x)) for x in operands])


_has_no_derivative(io_callback_p)


@io_callback_p.batch
def _(
    args: Sequence[Any],
    batched: Sequence[bool],
    axis: BatchAxis,
    *,
    function: Any,
    avals: tuple[ShapedArray, ...],
) -> tuple[list[Any], tuple[bool, ...]]:
    whole = tuple([ShapedArray((axis.size, *a.shape), a.dtype) for a in avals])
    function = _Sequential(function, tuple(batched), axis.size, whole)
    outs = io_callback_p.bind(*args, function=function, avals=whole)
    return outs, (True,) * len(outs)


@io_callback_p.parts
def _(*operands: Any, **params: Any) -> list[Any]:
    return _callback_on_parts(io_callback_p, operands, **params)


@io_callback_p.lower
def _(p: Any, *operands: Any, function: Any, **params: Any) -> list[Any]:
    return p.host_call(function, operands)


def debug_callback(callback: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """See `fnad.debug.callback`."""
    if not callable(callback):
        raise TypeError(f"debug.callback: the first argument must be a function, got {callback!r}")

    def run(*args: Any, **kwargs: Any) -> list[Any]:
        callback(*args, **kwargs)
        return []

    leaves, in_tree = tree.flatten((args, kwargs))
    function = HostFunction(run, in_tree, tree.structure([]), ())
    debug_callback_p.bind(*leaves, function=function)


def pure_callback(
    callback: Callable[..., Any],
    result_shape_dtypes: Any,
    *args: Any,
    vmap_method: str | None = None,
    **kwargs: Any,
) -> Any:
    """Call a Python function of NumPy arrays, also from compiled programs.

    It may be called any number of times, or not at all if nobody needs its results, so it should
    do nothing but compute them.

    Parameters
    ----------
    callback : callable
        Takes NumPy arrays (those of rank 0 are NumPy scalars) in place of ``args`` and ``kwargs``,
        which it must not write to, and returns arrays. It holds Python's interpreter lock while it
        runs; what it raises is raised by the call of the program.
    result_shape_dtypes : pytree of ShapeDtypeStruct or arrays
        The structure of its result, with shapes and dtypes.
    *args, **kwargs : pytrees of arrays
        Its arguments.
    vmap_method : {"sequential", "expand_dims", "broadcast_all", "legacy_vectorized"}, optional
        What `vmap` makes of it: a call for each lane, in order, or one call for all, with a leading
        batch axis in all results, and in the arguments: of length 1 in those that are not batched
        (``"expand_dims"``), of full length in all (``"broadcast_all"``), or in none but the
        batched ones (``"legacy_vectorized"``). Without it, `vmap` raises.

    Returns
    -------
    pytree of arrays

    Raises
    ------
    TypeError
        If the function returns something else than it should, or if it is differentiated: give it
        a derivative with `custom_jvp` or `custom_vjp`.

    Notes
    -----
    Programs for cards wait for the arguments, and run the function on the host.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> from scipy.special import struve
    >>> def f(x):
    ...     return fnad.pure_callback(lambda x: struve(0, x), x, x, vmap_method="expand_dims")
    >>> fnad.jit(f)(np.array([1.0, 2.0]))
    array([0.56865663, 0.79085885])
    """
    if vmap_method is not None and vmap_method not in VMAP_METHODS:
        raise ValueError(
            f"pure_callback: vmap_method is one of {', '.join(map(repr, VMAP_METHODS))}, got"
            f" {vmap_method!r}"
        )
    return _called(
        pure_callback_p, callback, result_shape_dtypes, args, kwargs, vmap_method=vmap_method
    )


def io_callback(
    callback: Callable[..., Any],
    result_shape_dtypes: Any,
    *args: Any,
    ordered: bool = False,
    **kwargs: Any,
) -> Any:
    """Call a Python function that does something, also from compiled programs, and use its results.

    It is called once for each run of the program, in order with all others, though nobody may need
    its results (see `pure_callback` for functions that only compute). Under `vmap` it is called for
    each lane, in order; branches of `cond` and steps of `while_loop` that any lane takes call it
    for all lanes. Under `grad` it is called once, also in what `checkpoint` computes again.

    Parameters
    ----------
    callback : callable
        Takes NumPy arrays (those of rank 0 are NumPy scalars) in place of ``args`` and ``kwargs``,
        which it must not write to, and returns arrays. What it raises is raised by the call of the
        program.
    result_shape_dtypes : pytree of ShapeDtypeStruct or arrays
        The structure of its result, with shapes and dtypes; None for none.
    *args, **kwargs : pytrees of arrays
        Its arguments.
    ordered : bool
        Taken for JAX's sake: calls are in order in any case.

    Returns
    -------
    pytree of arrays

    Raises
    ------
    TypeError
        If the function returns something else than it should, or if it is differentiated: give it
        a derivative with `custom_jvp` or `custom_vjp`; or in reverse mode through a `while_loop`
        that calls it, whose steps would run again.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> numbers = iter(range(10))
    >>> def draw():
    ...     return fnad.io_callback(lambda: np.int64(next(numbers)), np.int64(0))
    >>> fnad.jit(lambda: 10 * draw() + draw())()
    np.int64(1)
    """
    return _called(io_callback_p, callback, result_shape_dtypes, args, kwargs)


def _called(
    primitive: Primitive, callback: Any, result: Any, args: Any, kwargs: Any, **params: Any
) -> Any:
    """What ``callback`` returns, of the structure and types of ``result``."""
    name = primitive.name
    if not callable(callback):
        raise TypeError(f"{name}: the first argument must be a function, got {callback!r}")
    leaves, in_tree = tree.flatten((args, kwargs))
    results, out_tree = tree.flatten(result)
    avals = tuple([_promised(name, r) for r in results])
    function = HostFunction(callback, in_tree, out_tree, avals, name)
    outs = primitive.bind(*leaves, function=function, avals=avals, **params)
    return tree.unflatten(out_tree, outs)


def _promised(name: str, result: Any) -> ShapedArray:
    shape, dtype = getattr(result, "shape", None), getattr(result, "dtype", None)
    if isinstance(result, type) or shape is None or dtype is None:
        raise TypeError(
            f"{name}: result_shape_dtypes holds what has a shape and a dtype, such as"
            f" fnad.ShapeDtypeStruct((3,), np.float64), got {result!r}"
        )
    return ShapedArray(tuple(shape), np.dtype(dtype))
