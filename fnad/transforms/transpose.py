"""Transposition: a linear program from inputs to outputs becomes one from cotangents back.

Before, linear in ``t``: ``{ lambda ; c t. let d = mul t c in (d,) }``,
after: ``{ lambda ; c ct. let e = mul ct c in (e,) }``. What ``c`` is in lanes that a select did not
take has no influence behind it (`fnad.primitives.strong_zeros`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnad.core.errors import RuleError
from fnad.core.ir import Atom, Equation, Jaxpr, Literal, Var, literal_value, memoize
from fnad.core.primitive import Linear, Zero, instantiate
from fnad.core.rewrites import Mask, MaskAxes
from fnad.core.tracer import rewrite, sources
from fnad.core.types import aval_of
from fnad.primitives.accumulation import accumulate_in_place
from fnad.primitives.logic import select_p
from fnad.primitives.shape import broadcast_in_dim_p
from fnad.primitives.strong_lanes import RepeatedMask, mask_of
from fnad.primitives.strong_zeros import StrongZeros, given_zeros, mask_and_axes, settled, summed
from fnad.transforms.dce import drop_dead


@memoize
def transpose_jaxpr(
    jaxpr: Jaxpr, linear: Mask, nonzero: Mask, instantiate_in: Mask
) -> tuple[Jaxpr, Mask]:
    """See `fnad.core.rewrites.Rewrites.transpose`."""
    program, nonzero_in, _ = _transpose(jaxpr, linear, nonzero, instantiate_in, None)
    if any(
        "strong_transpose" in e.primitive.rules and "dce" in e.primitive.rules for e in jaxpr.eqns
    ):
        program = drop_dead(program)  # calls return masks that nobody may have asked for
    return accumulate_in_place(program), nonzero_in


@memoize
def strong_transpose_jaxpr(
    jaxpr: Jaxpr, linear: Mask, nonzero: Mask, lives: MaskAxes
) -> tuple[Jaxpr, Mask, MaskAxes]:
    """See `fnad.core.rewrites.Rewrites.strong_transpose`."""
    program, nonzero_in, live_in = _transpose(jaxpr, linear, nonzero, (False,) * sum(linear), lives)
    return accumulate_in_place(program), nonzero_in, live_in


def _transpose(
    jaxpr: Jaxpr,
    linear: Mask,
    nonzero: Mask,
    instantiate_in: Mask,
    lives: MaskAxes | None,
) -> tuple[Jaxpr, Mask, MaskAxes]:
    linear_in = [v for v, lin in zip(jaxpr.invars, linear, strict=True) if lin]
    other_in = [v for v, lin in zip(jaxpr.invars, linear) if not lin]
    nonzero_in: list[bool] = []
    live_in: list[tuple[int, ...] | None] = []

    def run(*args: Any) -> list[Any]:
        values = dict(zip(other_in, args[: len(other_in)], strict=True))
        given = iter(args[len(other_in) :])
        cts_out = [next(given) if nz else Zero(a.aval) for a, nz in zip(jaxpr.outvars, nonzero)]
        for i, axes in enumerate(lives or ()):
            if axes is not None:
                cts_out[i] = given_zeros(cts_out[i], next(given), axes)
        cts_in = _backward(jaxpr, linear_in, values, cts_out)
        for ct, wanted in zip(cts_in, instantiate_in, strict=True):
            nonzero_in.append(wanted or not isinstance(ct, Zero))
        kept = [instantiate(settled(ct)) for ct, nz in zip(cts_in, nonzero_in) if nz]
        if lives is None:
            return kept
        masks = [mask_and_axes(ct) if type(ct) is StrongZeros else (None, None) for ct in cts_in]
        live_in.extend(axes for _, axes in masks)
        return [*kept, *(mask for mask, _ in masks if mask is not None)]

    ct_avals = [a.aval.strong() for a, nz in zip(jaxpr.outvars, nonzero, strict=True) if nz]
    masks = [
        mask_of(a.aval.shape, axes)
        for a, axes in zip(jaxpr.outvars, lives or ())
        if axes is not None
    ]
    avals = [*(v.aval for v in other_in), *ct_avals, *masks]
    return rewrite(run, avals, "transposition"), tuple(nonzero_in), tuple(live_in)


def _backward(
    jaxpr: Jaxpr, linear_in: Sequence[Var], values: dict[Any, Any], cts_out: Sequence[Any]
) -> list[Any]:
    linear_vars: set[Atom] = set(linear_in)
    linear_eqns: list[Equation] = []

    masks: dict[Atom, RepeatedMask] = {}

    def value(atom: Atom) -> Any:
        if isinstance(atom, Literal):
            return literal_value(atom)
        return masks[atom].whole if atom in masks else values[atom]

    def predicate(atom: Atom) -> Any:
        return masks[atom] if atom in masks else value(atom)

    with sources() as trace:
        for eqn in jaxpr.eqns:
            if not linear_vars.isdisjoint(eqn.invars):
                linear_vars.update(eqn.outvars)
                linear_eqns.append(eqn)
                continue
            mask = _repeated_mask(eqn, value)
            if mask is not None:
                masks[eqn.outvars[0]] = mask
                continue
            trace.source = eqn.source
            outs = eqn.primitive.bind(*map(value, eqn.invars), **eqn.params)
            values.update(zip(eqn.outvars, outs if eqn.primitive.multiple_results else [outs]))

    cts: dict[Atom, Any] = {}
    lines: dict[Atom, Any] = {}  # whose cotangents wait for their zeros

    def accumulate(atom: Atom, ct: Any) -> None:
        if ct is not None and atom in linear_vars and not isinstance(ct, Zero):
            cts[atom] = summed(cts[atom], ct) if atom in cts else ct

    for atom, ct in zip(jaxpr.outvars, cts_out, strict=True):
        accumulate(atom, ct)
    with sources() as trace:
        for eqn in reversed(linear_eqns):
            if cts.keys().isdisjoint(eqn.outvars):
                continue
            trace.source = eqn.source
            out_cts = [cts.pop(v) if v in cts else Zero(v.aval.strong()) for v in eqn.outvars]
            get = predicate if eqn.primitive is select_p else value
            operands = [Linear(a.aval) if a in linear_vars else get(a) for a in eqn.invars]
            for atom, ct in zip(eqn.invars, _transpose_equation(eqn, out_cts, operands)):
                accumulate(atom, ct)
                if type(ct) is StrongZeros:
                    lines[atom] = eqn.source
        for v in linear_in:
            if v in lines and v in cts:
                trace.source = lines[v]
                settled(cts[v])
    return [cts[v] if v in cts else Zero(v.aval.strong()) for v in linear_in]


def _repeated_mask(eqn: Equation, value: Callable[[Atom], Any]) -> RepeatedMask | None:
    """The mask that an equation repeats along some axes, if it does."""
    if eqn.primitive is not broadcast_in_dim_p or eqn.outvars[0].aval.dtype != np.bool_:
        return None
    shape, dimensions = eqn.params["shape"], eqn.params["broadcast_dimensions"]
    mask = RepeatedMask(value(eqn.invars[0]), shape, dimensions)
    return mask if len(mask.axes) < len(shape) and list(mask.axes) == sorted(mask.axes) else None


def _transpose_equation(eqn: Equation, out_cts: list[Any], operands: list[Any]) -> Sequence[Any]:
    primitive = eqn.primitive
    rule = primitive.rules.get("strong_transpose")
    if rule is None:
        rule = primitive.rule("transpose")
        out_cts = [settled(ct) for ct in out_cts]
    in_cts = rule(out_cts if primitive.multiple_results else out_cts[0], *operands, **eqn.params)
    if not isinstance(in_cts, (list, tuple)) or len(in_cts) != len(operands):
        raise RuleError(
            f"the transpose rule of primitive {primitive.name!r} must return a list of"
            f" {len(operands)} cotangents, one an operand (None where the operand is not"
            f" differentiated), got {in_cts!r}, in {eqn}"
        )
    for operand, ct in zip(operands, in_cts):
        if ct is None or isinstance(ct, Zero) or not isinstance(operand, Linear):
            continue
        aval = ct.aval if type(ct) is StrongZeros else aval_of(ct)
        want = operand.aval
        if aval is not want and (aval.shape != want.shape or aval.dtype != want.dtype):
            raise RuleError(
                f"the transpose rule of primitive {primitive.name!r} returned a cotangent of"
                f" type {aval} for an operand of type {operand.aval}, in {eqn}"
            )
    return in_cts
