"""Elementwise primitives: one scalar rule, and everything else follows from it.

``elementwise`` turns a scalar rule written against the builder interface (see "Elementwise
primitives" in docs/architecture.md) and the derivatives into a complete primitive: type rule,
NumPy evaluation, jvp, transposition, batching and lowering.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnad.core.errors import RuleError
from fnad.core.primitive import Linear, Primitive, Zero, positional_arity, remember
from fnad.core.rewrites import BatchAxis
from fnad.core.tracer import Tracer
from fnad.core.types import ShapedArray, aval_of, check_same_shape, is_half, kind_of
from fnad.primitives.numpy_builder import NUMPY
from fnad.primitives.strong_zeros import transposed_elementwise

_KIND_NAMES = {
    "b": "boolean",
    "i": "signed integer",
    "u": "unsigned integer",
    "f": "floating",
    "c": "complex",
}
_FLOAT32 = np.dtype(np.float32)


def elementwise(
    name: str,
    doc: str,
    scalar: Callable[..., Any],
    *,
    derivatives: Sequence[Callable[..., Any] | None] | None = None,
    transpose: Sequence[Callable[..., Any] | None] | None = None,
    kinds: str = "biufc",
    result: Any = None,
    num_results: int = 1,
) -> Primitive:
    """Define an elementwise primitive with all its rules.

    Operands have one dtype and one shape, except that a scalar (rank 0) goes with any shape.

    Parameters
    ----------
    name : str
        The name printed in jaxprs.
    doc : str
        What it computes.
    scalar : callable
        ``scalar(b, *xs, **params)``: the value for one element, in terms of the builder ``b``.
        With ``num_results > 1`` it returns a tuple.
    derivatives : sequence of callable or None, optional
        One rule an operand, ``rule(t, ans, *xs, **params)``: what the operand's tangent ``t``
        contributes to the tangent of the result; None in place of a rule, or from it, where
        the derivative is zero. May be left out if the result has no tangent (bool, integer).
    transpose : sequence of callable or None, optional
        For primitives linear in operands: one rule an operand, ``rule(ct, *xs, **params)``,
        None where the primitive is not linear. Linear operands come as `Linear` placeholders.
    kinds : str
        The NumPy kind characters of the dtypes it takes, out of ``"biufc"``.
    result : dtype or callable, optional
        The dtype of the result, or ``result(dtype, **params)`` that computes it from the
        operands'; by default the operands' dtype.
    num_results : int
        How many results the scalar rule returns; all have the same type.

    Returns
    -------
    Primitive
        Apply it with ``.bind(*arrays, **params)``.

    Raises
    ------
    RuleError
        If the number of derivatives or transpose rules is not the number of operands.

    Examples
    --------
    >>> import numpy as np
    >>> cube_p = elementwise(
    ...     "cube", "x cubed.", lambda b, x: x * x * x,
    ...     derivatives=[lambda t, ans, x: 3.0 * x * x * t], kinds="f",
    ... )
    >>> cube_p.bind(np.array([1.0, 2.0]))
    array([1., 8.])
    """
    primitive = Primitive(name, doc, multiple_results=num_results > 1)
    primitive.is_elementwise = True
    _check_arity(name, scalar, derivatives, "derivatives", 2)
    _check_arity(name, scalar, transpose, "transpose rules", 1)

    plain = result is None and num_results == 1

    @primitive.type_rule
    @remember
    def _(*avals: ShapedArray, **params: Any) -> Any:
        if plain and avals[0].dtype.kind in kinds and avals.count(avals[0]) == len(avals):
            return avals[0]
        dtype = same_dtype(name, avals)
        check_kind(name, dtype, kinds)
        aval = result_aval(name, avals, _result_dtype(result, dtype, params))
        return [aval] * num_results if num_results > 1 else aval

    attach_evaluate(primitive, scalar)
    if derivatives is None and (set(kinds) <= set("biu") or _never_differentiable(result)):
        derivatives = [None] * _num_operands(scalar)
    if derivatives is not None:
        attach_derivatives(primitive, derivatives)
    if transpose is not None:
        attach_transpose(primitive, transpose)
    primitive.batch(_batch_rule(primitive))
    attach_lower(primitive, scalar)
    _attach_parts(primitive, scalar)
    return primitive


# -- type rule ----------------------------------------------------------------------------------


def same_dtype(name: str, avals: Sequence[ShapedArray]) -> np.dtype[Any]:
    """Return the one dtype of all operands.

    Raises
    ------
    TypeError
        If the dtypes differ.
    """
    dtype = avals[0].dtype
    if any(a.dtype is not dtype and a.dtype != dtype for a in avals):
        raise TypeError(
            f"{name}: operands must have equal dtypes, got {', '.join(map(str, avals))}."
            f" Convert one of them with astype, or use the function of fnad.numpy, which"
            " promotes as NumPy does."
        )
    return dtype


def check_kind(name: str, dtype: np.dtype[Any], kinds: str) -> None:
    """Raise a TypeError if the primitive does not take operands of this dtype."""
    if kind_of(dtype) not in kinds:
        taken = ", ".join(_KIND_NAMES[k] for k in kinds)
        raise TypeError(
            f"{name}: operands of dtype {dtype} are not supported (it takes {taken} arrays)."
            " Convert them first, for example with x.astype(...)."
        )


def result_aval(name: str, avals: Sequence[ShapedArray], dtype: np.dtype[Any]) -> ShapedArray:
    """The type of an elementwise result: weak only if all operands are."""
    shape = check_same_shape(name, avals)
    return ShapedArray(shape, dtype, dtype.kind != "b" and all(a.weak_type for a in avals))


def _result_dtype(result: Any, dtype: np.dtype[Any], params: dict[str, Any]) -> np.dtype[Any]:
    if result is None:
        return dtype
    if isinstance(result, (type, np.dtype)):
        return np.dtype(result)
    return np.dtype(result(dtype, **params))


def _never_differentiable(result: Any) -> bool:
    return isinstance(result, (type, np.dtype)) and kind_of(np.dtype(result)) not in "fc"


def _num_operands(scalar: Callable[..., Any]) -> int:
    return positional_arity(scalar)[0] - 1


def _check_arity(
    name: str,
    scalar: Callable[..., Any],
    rules: Sequence[Callable[..., Any] | None] | None,
    what: str,
    leading: int,
) -> None:
    """Find wrong numbers of rules, or of their arguments, when the primitive is defined."""
    if rules is None:
        return
    count = _num_operands(scalar)
    if len(rules) != count:
        raise RuleError(
            f"primitive {name!r} has {len(rules)} {what}, but its scalar rule takes {count}"
            f" operands after the builder: give one an operand (None where it is zero)"
        )
    for rule in rules:
        if rule is None:
            continue
        named, varargs = positional_arity(rule)
        if named < leading + count and not varargs:
            arguments = ", ".join([*("t", "ans")[:leading], *(f"x{i}" for i in range(count))])
            raise RuleError(
                f"one of the {what} of primitive {name!r} cannot be called with"
                f" {leading + count} positional arguments ({arguments})"
            )


# -- evaluation and lowering --------------------------------------------------------------------


def attach_evaluate(primitive: Primitive, scalar: Callable[..., Any]) -> None:
    """Evaluate with NumPy by running the scalar rule on whole arrays."""

    @primitive.evaluate
    def _(*xs: Any, **params: Any) -> Any:
        arrays = [x if type(x) is np.ndarray else np.asarray(x)[()] for x in xs]
        avals = primitive.out_avals([aval_of(x) for x in arrays], params)
        wide = [x.astype(_FLOAT32) if is_half(x.dtype) else x for x in arrays]
        outs = scalar(NUMPY, *wide, **params)
        if not primitive.multiple_results:
            return _finish(outs, avals[0], arrays)
        return [_finish(out, aval, arrays) for out, aval in zip(outs, avals, strict=True)]


def _finish(out: Any, aval: ShapedArray, operands: Sequence[Any]) -> Any:
    out = np.asarray(out)
    if out.dtype is not aval.dtype and out.dtype != aval.dtype:
        out = out.astype(aval.dtype)
    if out.shape != aval.shape:
        return np.broadcast_to(out, aval.shape).copy()
    for x in operands:  # results share no memory with operands: the user may change them in place
        if out is x:
            return out.copy()
    return out


def attach_lower(primitive: Primitive, scalar: Callable[..., Any]) -> None:
    """Lower by running the scalar rule on expressions; numbers of 16 bits are widened."""

    @primitive.lower
    def _(p: Any, *tensors: Any, **params: Any) -> Any:
        half = any(is_half(t.dtype) for t in tensors)

        def operands(index: Any) -> list[Any]:
            xs = [t.at(index if t.shape else ()) for t in tensors]
            return [_widen(p.b, x) for x in xs] if half else xs

        if not primitive.multiple_results:
            [aval] = p.out_avals
            return p.compute(
                aval.shape, aval.dtype, lambda index: scalar(p.b, *operands(index), **params)
            )
        return [
            p.compute(
                aval.shape,
                aval.dtype,
                lambda index, which=which: scalar(p.b, *operands(index), **params)[which],
            )
            for which, aval in enumerate(p.out_avals)
        ]


def _attach_parts(primitive: Primitive, scalar: Callable[..., Any]) -> None:
    """Lower complex numbers by running the scalar rule on pairs of real arrays."""

    @primitive.parts
    def _(*operands: Any, **params: Any) -> Any:
        from fnad.primitives.complex_builder import COMPLEX, handle, parts_of  # of primitives

        outs = scalar(COMPLEX, *map(handle, operands), **params)
        return list(map(parts_of, outs)) if primitive.multiple_results else parts_of(outs)


def _widen(b: Any, x: Any) -> Any:
    return b.convert(x, _FLOAT32) if is_half(x.dtype) else x


# -- differentiation and batching ---------------------------------------------------------------


def attach_derivatives(primitive: Primitive, rules: Sequence[Callable[..., Any] | None]) -> None:
    """Attach the jvp: the sum of what each operand's tangent contributes."""

    @primitive.jvp
    def _(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        ans = primitive.bind(*primals, **params)
        if primitive.multiple_results:
            return ans, [Zero(aval_of(a).strong()) for a in ans]
        aval = aval_of(ans).strong()
        total: Any = None
        for rule, tangent in zip(rules, tangents, strict=True):
            if rule is None or isinstance(tangent, Zero):
                continue
            term = rule(tangent, ans, *primals, **params)
            if term is not None:
                total = term if total is None else total + term
        return ans, Zero(aval) if total is None else broadcast_scalar(total, aval.shape)


def attach_transpose(primitive: Primitive, rules: Sequence[Callable[..., Any] | None]) -> None:
    """Attach the transpose: one rule an operand, summed where the operand is a scalar."""

    @primitive.transpose
    def _(ct: Any, *operands: Any, **params: Any) -> list[Any]:
        return [
            unbroadcast(rule(ct, *operands, **params), operand.aval)
            if isinstance(operand, Linear) and rule is not None
            else None
            for rule, operand in zip(rules, operands, strict=True)
        ]

    @primitive.strong_transpose
    def _(ct: Any, *operands: Any, **params: Any) -> Sequence[Any]:
        return transposed_elementwise(primitive, ct, operands, params)


def _batch_rule(primitive: Primitive) -> Callable[..., Any]:
    def batch(args: Sequence[Any], batched: Sequence[bool], axis: BatchAxis, **params: Any) -> Any:
        from fnad.primitives.shape import broadcast_in_dim  # shape uses this module's helpers

        shapes = [aval_of(x).shape[1 if b else 0 :] for x, b in zip(args, batched, strict=True)]
        shape = max(shapes, key=len)

        def expand(x: Any, has_axis: bool, example: tuple[int, ...]) -> Any:
            if len(example) == len(shape) if has_axis else not example:
                return x
            kept = (0,) if has_axis else tuple(range(1, len(shape) + 1))
            return broadcast_in_dim(x, (axis.size, *shape), kept)

        args = [expand(x, b, s) for x, b, s in zip(args, batched, shapes)]
        out = primitive.bind(*args, **params)
        return (out, [True] * len(out)) if primitive.multiple_results else (out, True)

    return batch


def broadcast_scalar(x: Any, shape: tuple[int, ...]) -> Any:
    """Give a value of rank 0 the shape; leave a value of that shape alone."""
    if not shape or aval_of(x).shape != ():
        return x
    from fnad.primitives.shape import broadcast_in_dim  # shape uses this module's helpers

    return broadcast_in_dim(x, shape, ())


def unbroadcast(ct: Any, aval: ShapedArray) -> Any:
    """Sum a cotangent to rank 0 if the operand that it belongs to is a scalar."""
    if isinstance(ct, Zero) or aval.shape == aval_of(ct).shape:
        return ct
    from fnad.primitives.reductions import reduce_sum  # reductions use this module's helpers

    return reduce_sum(ct, tuple(range(len(aval_of(ct).shape))))


# -- operands of the functions for users --------------------------------------------------------

# What Python scalars of each kind go into without changing the dtype of the array beside them.
_SCALAR_KINDS = {"i": "iufc", "f": "fc", "c": "c"}


def matched(name: str, *xs: Any) -> Sequence[Any]:
    """Give Python scalars and weak tracers the dtype of the strong operands beside them.

    Raises
    ------
    TypeError
        If a scalar does not go into that dtype (a float next to integers).
    """
    for x in xs:
        if type(x) is not Tracer or x.aval.weak_type:
            break
    else:
        return xs
    avals = [aval_of(x) for x in xs]
    strong = [a.dtype for a in avals if not a.weak_type]
    if len(strong) == len(xs):
        return xs
    if strong:
        dtype = strong[0]
        return [_take_dtype(name, x, a, dtype) for x, a in zip(xs, avals)]
    dtype = max((a.dtype for a in avals), key=lambda d: "ifc".index(kind_of(d)))
    return [_convert(x, a, dtype, weak=True) for x, a in zip(xs, avals)]


def _take_dtype(name: str, x: Any, aval: ShapedArray, dtype: np.dtype[Any]) -> Any:
    if not aval.weak_type:
        return x
    if kind_of(dtype) not in _SCALAR_KINDS[kind_of(aval.dtype)]:
        raise TypeError(
            f"{name}: a Python scalar of type {aval.dtype.name} next to an array of dtype {dtype}"
            " would change the dtype. Convert the array first, or use the function of"
            " fnad.numpy, which promotes as NumPy does."
        )
    return _convert(x, aval, dtype, weak=False)


def _convert(x: Any, aval: ShapedArray, dtype: np.dtype[Any], weak: bool) -> Any:
    if isinstance(x, (int, float, complex)) and not isinstance(x, np.generic):
        value = np.asarray(x, dtype)[()]
        return value.item() if weak else value
    if aval.dtype == dtype and aval.weak_type == weak:
        return x
    from fnad.primitives.logic import convert_element_type_p  # logic uses this module

    return convert_element_type_p.bind(x, new_dtype=dtype, weak_type=weak)
