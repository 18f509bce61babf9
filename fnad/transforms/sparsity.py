"""Sparsity patterns of derivatives, read off the program of forward mode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fnad.core import tree
from fnad.core.flat_function import FlatFunction, function_name
from fnad.core.ir import Jaxpr, memoize, sub_jaxprs
from fnad.core.tracer import Tracer, trace_to_jaxpr
from fnad.core.types import aval_of, is_differentiable
from fnad.primitives.custom.vjp import custom_lin_p
from fnad.primitives.dependencies import Operand, independent_inputs, propagate
from fnad.transforms.dce import dce_jaxpr
from fnad.transforms.forward import jvp_jaxpr


@dataclass(frozen=True, slots=True)
class Found:
    """The pattern of a Jacobian, a boolean csr array, and whether forward mode goes through it."""

    pattern: Any
    forward: bool


@memoize
def _needs_reverse(jaxpr: Jaxpr) -> bool:
    return any(
        eqn.primitive is custom_lin_p or any(map(_needs_reverse, sub_jaxprs(eqn)))
        for eqn in jaxpr.eqns
    )


def find_pattern(
    fun: Callable[..., Any],
    args: Sequence[Any],
    kwargs: dict[str, Any],
    positions: Sequence[int],
    has_aux: bool,
    what: str,
) -> Found:
    """Find which elements of a function's result depend on which of some arguments.

    The pattern holds for all values of the arguments: only their types are looked at. Values that
    the function closes over are, and may make it sparser.

    Returns
    -------
    Found
        Its pattern has a row for each element of the result, in the order of its leaves, and a
        column for each element of the arguments at ``positions``.
    """
    import scipy.sparse as sp

    leaves, in_tree = tree.flatten((tuple(args), kwargs))
    avals = [aval_of(leaf) for leaf in leaves]
    flat = FlatFunction(fun, in_tree, has_aux)
    jaxpr, consts = trace_to_jaxpr(flat, avals, f"{what} of {function_name(fun)}")
    numbered = tree.unflatten(in_tree, range(len(leaves)))
    wanted = [i for p in positions for i in tree.leaves(numbered[0][p])]
    order = {i: place for place, i in enumerate(wanted)}
    in_order = sorted(wanted)
    mask = tuple(i in order and is_differentiable(a) for i, a in enumerate(avals))
    nonzero = (*[False] * len(consts), *mask)
    num_outs = len(jaxpr.outvars)
    pushed, nonzero_out = jvp_jaxpr(jaxpr, nonzero, (False,) * num_outs)
    proper = nonzero_out[: flat.num_out]
    used = (*[False] * num_outs, *[i < sum(proper) for i in range(sum(nonzero_out))])
    program, kept = dce_jaxpr(pushed, used)
    inputs = independent_inputs([avals[i] for i in wanted])
    operands = [
        *(Operand(aval_of(c), None if isinstance(c, Tracer) else c) for c in consts),
        *map(Operand, avals),
        *(inputs[order[i]] for i in in_order if mask[i]),
    ]
    outs = iter(propagate(program, [x for x, keep in zip(operands, kept, strict=True) if keep]))
    width = sum(avals[i].size for i in wanted)
    blocks = []
    for var, nz in zip(jaxpr.outvars[: flat.num_out], proper):
        found = next(outs).pattern if nz else None
        empty = sp.csr_array((var.aval.size, width), dtype=bool)
        blocks.append(empty if found is None else found)
    pattern = sp.vstack(blocks, "csr") if blocks else sp.csr_array((0, width), dtype=bool)
    pattern.sum_duplicates()
    return Found(pattern.astype(bool), not _needs_reverse(program))


def given_pattern(what: str, sparsity: Any, shape: tuple[int, int]) -> Any:
    """A pattern that the user gave, as a boolean csr array without stored zeros.

    Raises
    ------
    ValueError
        If it is not of the shape of the derivative.
    """
    import scipy.sparse as sp

    given: Any = sparsity if sp.issparse(sparsity) else np.asarray(sparsity)
    pattern = sp.csr_array(given)
    if pattern.shape != shape:
        raise ValueError(
            f"{what}: sparsity has shape {pattern.shape}, but the derivative has {shape}: a row for"
            " each element of the result, a column for each element of the argument"
        )
    pattern = pattern.astype(bool)
    pattern.sum_duplicates()
    pattern.eliminate_zeros()
    return pattern
