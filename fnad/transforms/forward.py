"""Forward mode: a program becomes the program of its values and directional derivatives.

Before ``{ lambda ; a. let b = sin a in (b,) }``, after, for a nonzero tangent of ``a``::

    { lambda ; a c. let b = sin a; d = cos a; e = mul c d in (b, e) }
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fnad.core.errors import RuleError
from fnad.core.ir import Atom, Equation, Jaxpr, Literal, literal_value, memoize
from fnad.core.primitive import Zero, instantiate
from fnad.core.rewrites import Mask
from fnad.core.tracer import rewrite, sources
from fnad.core.types import aval_of


@memoize
def jvp_jaxpr(jaxpr: Jaxpr, nonzero: Mask, instantiate_out: Mask) -> tuple[Jaxpr, Mask]:
    """See `fnad.core.rewrites.Rewrites.jvp`."""
    nonzero_out: list[bool] = []

    def run(*args: Any) -> list[Any]:
        primals = args[: len(jaxpr.invars)]
        given = iter(args[len(jaxpr.invars) :])
        tangents = [
            next(given) if nz else Zero(v.aval.strong())
            for v, nz in zip(jaxpr.invars, nonzero, strict=True)
        ]
        outs, tangents_out = _jvp_equations(jaxpr, primals, tangents)
        for tangent, wanted in zip(tangents_out, instantiate_out, strict=True):
            nonzero_out.append(wanted or not isinstance(tangent, Zero))
        kept = [instantiate(t) for t, nz in zip(tangents_out, nonzero_out) if nz]
        return [*outs, *kept]

    avals = jaxpr.in_avals
    tangent_avals = [a.strong() for a, nz in zip(avals, nonzero, strict=True) if nz]
    return rewrite(run, [*avals, *tangent_avals], "jvp"), tuple(nonzero_out)


def _jvp_equations(
    jaxpr: Jaxpr, primals: Sequence[Any], tangents: Sequence[Any]
) -> tuple[list[Any], list[Any]]:
    values: dict[Atom, Any] = dict(zip(jaxpr.invars, primals, strict=True))
    dots: dict[Atom, Any] = {
        v: t for v, t in zip(jaxpr.invars, tangents, strict=True) if not isinstance(t, Zero)
    }

    def values_of(atoms: Sequence[Atom]) -> list[Any]:
        return [literal_value(a) if type(a) is Literal else values[a] for a in atoms]

    def dots_of(atoms: Sequence[Atom]) -> list[Any]:
        return [dots[a] if a in dots else Zero(a.aval.strong()) for a in atoms]

    with sources() as trace:
        for eqn in jaxpr.eqns:
            trace.source = eqn.source
            ins = values_of(eqn.invars)
            if dots.keys().isdisjoint(eqn.invars):
                outs = eqn.primitive.bind(*ins, **eqn.params)
                outs = outs if eqn.primitive.multiple_results else [outs]
            else:
                outs, outs_dot = _jvp_equation(eqn, ins, dots_of(eqn.invars))
                for v, t in zip(eqn.outvars, outs_dot):
                    if type(t) is not Zero:
                        dots[v] = t
            values.update(zip(eqn.outvars, outs, strict=True))
    return values_of(jaxpr.outvars), dots_of(jaxpr.outvars)


def _jvp_equation(
    eqn: Equation, primals: list[Any], tangents: list[Any]
) -> tuple[list[Any], list[Any]]:
    primitive = eqn.primitive
    outs, dots = primitive.rule("jvp")(primals, tangents, **eqn.params)
    if not primitive.multiple_results:
        outs, dots = [outs], [dots]
    if not len(outs) == len(dots) == len(eqn.outvars):
        raise RuleError(
            f"the jvp rule of primitive {primitive.name!r} returned {len(outs)} results and"
            f" {len(dots)} tangents; it must return {len(eqn.outvars)} of each, in {eqn}"
        )
    for var, dot in zip(eqn.outvars, dots):
        aval, want = dot.aval if isinstance(dot, Zero) else aval_of(dot), var.aval
        if aval is not want and (aval.shape != want.shape or aval.dtype != want.dtype):
            raise RuleError(
                f"the jvp rule of primitive {primitive.name!r} returned a tangent of type {aval}"
                f" for a result of type {var.aval}, in {eqn}"
            )
    return outs, dots
