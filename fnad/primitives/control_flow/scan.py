"""``scan``: a loop of known length that carries a state and maps over leading axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnad.core import tree
from fnad.core.flat_function import FlatFunction, function_name
from fnad.core.interpret import eval_jaxpr
from fnad.core.ir import Jaxpr
from fnad.core.primitive import Primitive
from fnad.core.sizes import as_size
from fnad.core.tracer import trace_to_jaxpr
from fnad.core.types import ShapedArray, aval_of
from fnad.primitives.control_flow.carry import cast_outputs, check_carry, settle_carry
from fnad.primitives.control_flow.loop_dependencies import scan_pattern
from fnad.primitives.control_flow.loop_jets import scan_jet
from fnad.primitives.control_flow.scan_rules import attach_rules, stacked
from fnad.primitives.dependencies import Operand
from fnad.primitives.subprograms import (
    cast,
    check_operands,
    parts,
)

scan_p = Primitive(
    "scan",
    "Loop ``length`` times. Operands: ``num_consts`` constants, ``num_carry`` initial states, and"
    " arrays ``xs`` with a leading axis of that length; the program maps (constants, states, a"
    " slice of each of xs) to (states, ys); results: final states and stacked ys. ``reverse``"
    " runs from the last slice to the first.",
    multiple_results=True,
)


@scan_p.type_rule
def _(
    *avals: ShapedArray, jaxpr: Jaxpr, length: int, num_consts: int, num_carry: int, **params: Any
) -> list[ShapedArray]:
    consts, carry, xs = parts(jaxpr.in_avals, num_consts, num_carry)
    check_operands("scan", avals, [*consts, *carry, *(stacked(x, length) for x in xs)])
    return [*carry, *(stacked(y, length) for y in jaxpr.out_avals[num_carry:])]


@scan_p.evaluate
def _(
    *args: Any,
    jaxpr: Jaxpr,
    length: int,
    reverse: bool,
    num_consts: int,
    num_carry: int,
    unroll: int,
) -> list[Any]:
    consts, carry, xs = parts(args, num_consts, num_carry)
    xs = [np.asarray(x) for x in xs]
    ys = [np.empty((length, *y.shape), y.dtype) for y in jaxpr.out_avals[num_carry:]]
    for i in reversed(range(length)) if reverse else range(length):
        outs = eval_jaxpr(jaxpr, [*consts, *carry, *(x[i] for x in xs)])
        carry = outs[:num_carry]
        for y, out in zip(ys, outs[num_carry:], strict=True):
            y[i] = out
    carry_avals = jaxpr.in_avals[num_consts : num_consts + num_carry]
    return [*(np.asarray(c, a.dtype) for c, a in zip(carry, carry_avals)), *ys]


attach_rules(scan_p, counted=False)


@scan_p.dependencies
def _(*operands: Operand, unroll: int, **params: Any) -> list[Operand]:
    return scan_pattern(operands, **params)


@scan_p.jet
def _(
    primals: Sequence[Any], series: Sequence[list[Any] | None], order: int, **params: Any
) -> tuple[list[Any], list[list[Any] | None]]:
    return scan_jet(scan_p.bind, primals, series, order, **params)


@scan_p.lower
def _(
    p: Any,
    *tensors: Any,
    jaxpr: Jaxpr,
    length: int,
    reverse: bool,
    num_consts: int,
    num_carry: int,
    **params: Any,
) -> list[Any]:
    consts, carry, xs = parts(tensors, num_consts, num_carry)
    return p.scan(jaxpr, consts, carry, xs, length, reverse)


# -- the function for users -----------------------------------------------------------------


class _Body:
    """The user's step function as one of flat lists, remembering the structures it returned."""

    def __init__(self, f: Callable[..., Any], in_tree: Any) -> None:
        self.f = f
        self.in_tree = in_tree
        self.carry_tree: Any = None
        self.ys_tree: Any = None

    def __call__(self, *leaves: Any) -> list[Any]:
        name = function_name(self.f)

        def step(carry: Any, x: Any) -> Any:
            out = self.f(carry, x)
            if not isinstance(out, (tuple, list)) or len(out) != 2:
                raise TypeError(
                    f"scan: the step function {name} must return a pair (carry, y), got"
                    f" {type(out).__name__}{_length_of(out)}"
                )
            self.carry_tree, self.ys_tree = tree.structure(out[0]), tree.structure(out[1])
            return tuple(out)

        step.__name__ = name
        return FlatFunction(step, self.in_tree)(*leaves)


def _length_of(out: Any) -> str:
    return f" of length {len(out)}" if isinstance(out, (tuple, list)) else ""


def _scan_length(xs: Any, leaves: Sequence[Any], length: int | None) -> int:
    sizes: dict[str, int] = {}
    for path, leaf in tree.flatten_with_path(xs)[0]:
        shape = aval_of(leaf).shape
        if not shape:
            raise ValueError(
                f"scan: xs{tree.keystr(path)} is a scalar; scan runs over the leading axis of xs"
            )
        sizes[f"xs{tree.keystr(path)}"] = shape[0]
    if length is not None:
        sizes["length"] = as_size(length)
    if not sizes:
        raise ValueError("scan: give xs to scan over, or length, the number of steps")
    if len(set(sizes.values())) > 1:
        listing = ", ".join(f"{k}: {v}" for k, v in sizes.items())
        raise ValueError(f"scan: the leading axes of xs must have one length, got {listing}")
    found = next(iter(sizes.values()))
    if found < 0:
        raise ValueError(f"scan: length must not be negative, got {found}")
    return found


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int = 1,
) -> tuple[Any, Any]:
    """Loop with a state over the leading axis of arrays.

    It computes what this Python loop does, as one equation of the program::

        carry, ys = init, []
        for x in xs:
            carry, y = f(carry, x)
            ys.append(y)
        return carry, np.stack(ys)

    Parameters
    ----------
    f : callable
        ``f(carry, x) -> (carry, y)``; the carry keeps its structure, shapes and dtypes.
    init : pytree of arrays
        The first carry. A Python scalar takes the dtype of the carry that ``f`` returns.
    xs : pytree of arrays, optional
        Arrays of one leading length; ``f`` gets their slices.
    length : int, optional
        Number of steps; needed if there are no ``xs``.
    reverse : bool
        Whether to run from the last slice to the first (``ys`` are in the order of ``xs``).
    unroll : int
        Number of steps that the compiler may write out in a row.

    Returns
    -------
    carry : pytree of arrays
        The last carry.
    ys : pytree of arrays
        The second results of ``f``, stacked along a new leading axis.

    Raises
    ------
    TypeError
        If the carry that ``f`` returns is not of the type of the carry that it takes.
    ValueError
        If the lengths of ``xs`` differ, or none is given.

    Examples
    --------
    >>> import numpy as np
    >>> from fnad import lax
    >>> lax.scan(lambda total, x: (total + x, total), 0.0, np.array([1.0, 2.0, 3.0]))
    (np.float64(6.0), array([0., 1., 3.]))
    """
    init_leaves, init_tree = tree.flatten(init)
    xs_leaves = tree.leaves(xs)
    steps = _scan_length(xs, xs_leaves, length)
    in_tree = tree.structure(((init, xs), {}))
    carry_avals = [aval_of(c) for c in init_leaves]
    x_avals = [aval_of(x) for x in xs_leaves]
    x_avals = [ShapedArray(a.shape[1:], a.dtype) for a in x_avals]
    num_carry = len(init_leaves)
    body = _Body(f, in_tree)
    while True:
        jaxpr, consts = trace_to_jaxpr(body, [*carry_avals, *x_avals], "the body of scan")
        out_avals = jaxpr.out_avals[: body.carry_tree.num_leaves]
        promoted = settle_carry(carry_avals, body.carry_tree, init_tree, out_avals)
        if promoted is None:
            break
        carry_avals = promoted
    if body.carry_tree == init_tree:
        jaxpr = cast_outputs(jaxpr, tuple(carry_avals))
        out_avals = jaxpr.out_avals[:num_carry]
    check_carry("scan", init_tree, carry_avals, body.carry_tree, out_avals)
    results = scan_p.bind(
        *consts,
        *(cast(c, a) for c, a in zip(init_leaves, carry_avals, strict=True)),
        *xs_leaves,
        jaxpr=jaxpr,
        length=steps,
        reverse=bool(reverse),
        num_consts=len(consts),
        num_carry=num_carry,
        unroll=int(unroll),
    )
    carry_out, ys = parts(results, num_carry)
    return tree.unflatten(init_tree, carry_out), tree.unflatten(body.ys_tree, ys)
