"""Batching: a program of single examples becomes a program of whole batches.

Before ``{ lambda ; a:f32[3]. let b = sin a in (b,) }``, after, with a batch of 8::

    { lambda ; a:f32[8,3]. let b = sin a in (b,) }

The batch axis is always axis 0 of what is batched.
"""

from __future__ import annotations

from typing import Any

from fnad.core.errors import RuleError
from fnad.core.ir import Atom, Equation, Jaxpr, Literal, literal_value, memoize
from fnad.core.rewrites import BatchAxis, Mask
from fnad.core.tracer import rewrite, sources
from fnad.core.types import ShapedArray, aval_of
from fnad.primitives.subprograms import broadcast_batch, equation_uses_axis


@memoize
def batch_jaxpr(
    jaxpr: Jaxpr, axis: BatchAxis, batched: Mask, instantiate: Mask
) -> tuple[Jaxpr, Mask]:
    """See `fnad.core.rewrites.Rewrites.batch`."""
    batched_out: list[bool] = []

    def run(*args: Any) -> list[Any]:
        values: dict[Atom, Any] = dict(zip(jaxpr.invars, args, strict=True))
        has_axis: set[Atom] = {v for v, b in zip(jaxpr.invars, batched, strict=True) if b}

        def value(atom: Atom) -> Any:
            return literal_value(atom) if isinstance(atom, Literal) else values[atom]

        with sources() as trace:
            for eqn in jaxpr.eqns:
                trace.source = eqn.source
                ins = [value(a) for a in eqn.invars]
                mask = [a in has_axis for a in eqn.invars]
                outs, out_mask = _batch_equation(eqn, ins, mask, axis)
                values.update(zip(eqn.outvars, outs, strict=True))
                has_axis.update(v for v, b in zip(eqn.outvars, out_mask, strict=True) if b)

        outs = []
        for atom, wanted in zip(jaxpr.outvars, instantiate, strict=True):
            out, is_batched = value(atom), atom in has_axis
            if wanted and not is_batched:
                out, is_batched = broadcast_batch(out, axis.size), True
            batched_out.append(is_batched)
            outs.append(out)
        return outs

    avals = [
        batched_aval(v.aval, axis.size) if b else v.aval
        for v, b in zip(jaxpr.invars, batched, strict=True)
    ]
    return rewrite(run, avals, "vmap"), tuple(batched_out)


def batched_aval(aval: ShapedArray, size: int) -> ShapedArray:
    """The type of a batch of ``size`` values of type ``aval``."""
    return aval.update(shape=(size, *aval.shape))


def _batch_equation(
    eqn: Equation, ins: list[Any], mask: list[bool], axis: BatchAxis
) -> tuple[list[Any], list[bool]]:
    primitive = eqn.primitive
    if not any(mask) and not equation_uses_axis(eqn, axis.name):
        out = primitive.bind(*ins, **eqn.params)
        outs = out if primitive.multiple_results else [out]
        return outs, [False] * len(outs)
    outs, out_mask = primitive.rule("batch")(ins, mask, axis, **eqn.params)
    if not primitive.multiple_results:
        outs, out_mask = [outs], [out_mask]
    if not len(outs) == len(out_mask) == len(eqn.outvars):
        raise RuleError(
            f"the batch rule of primitive {primitive.name!r} returned {len(outs)} results and a"
            f" mask of {len(out_mask)}; it must return {len(eqn.outvars)} of each, in {eqn}"
        )
    for var, out, is_batched in zip(eqn.outvars, outs, out_mask):
        want = batched_aval(var.aval, axis.size) if is_batched else var.aval
        got = aval_of(out)
        if (want.shape, want.dtype) != (got.shape, got.dtype):
            raise RuleError(
                f"the batch rule of primitive {primitive.name!r} returned type {got}, expected"
                f" {want} (batch axis first), in {eqn}"
            )
    return list(outs), list(out_mask)
