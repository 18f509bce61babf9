"""Taylor mode of loops and branches: they carry the coefficients of all orders along."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fnad.core.ir import Jaxpr
from fnad.core.primitive import Primitive, make_zeros
from fnad.core.rewrites import Mask, get_rewrites
from fnad.core.types import aval_of
from fnad.primitives.subprograms import (
    either,
    embed_inputs,
    flat_terms,
    joined,
    none,
    parts,
    permute,
    series_mask,
    split,
    split_terms,
)

Series = list[Any] | None  # coefficients of the orders from 1 on; None where all are zero


def branches_jet(
    primitive: Primitive,
    primals: Sequence[Any],
    series: Sequence[Series],
    order: int,
    branches: tuple[Jaxpr, ...],
) -> tuple[list[Any], list[Series]]:
    """Taylor mode of ``cond``."""
    nonzero = series_mask(series)[1:]
    count = len(branches[0].outvars)
    jet = get_rewrites().jet
    nonzero_out = joined([jet(b, order, nonzero, none(count))[1] for b in branches])
    programs = tuple(jet(b, order, nonzero, nonzero_out)[0] for b in branches)
    results = primitive.bind(*primals, *flat_terms(series), branches=programs)
    return results[:count], split_terms(nonzero_out, results[count:], order)


def _interleaved(sizes: Sequence[int], masks: Sequence[Mask], order: int) -> tuple[int, ...]:
    """Positions that put the coefficients of each group of values behind the group.

    Before: the values of all groups, then the coefficients of all that are marked.
    """
    places: list[int] = []
    start, term = 0, sum(sizes)
    for size, mask in zip(sizes, masks, strict=True):
        places += range(start, start + size)
        places += range(term, term + order * sum(mask))
        start, term = start + size, term + order * sum(mask)
    return tuple(places)


def _zeros_where(
    series: Sequence[Series], mask: Mask, primals: Sequence[Any], order: int
) -> list[Any]:
    """The coefficients of what is marked, flat, with zeros where there are none."""
    found: list[Any] = []
    for terms, marked, primal in zip(series, mask, primals, strict=True):
        if marked:
            found += [make_zeros(aval_of(primal).strong())] * order if terms is None else terms
    return found


def scan_jet(
    bind: Callable[..., list[Any]],
    primals: Sequence[Any],
    series: Sequence[Series],
    order: int,
    *,
    jaxpr: Jaxpr,
    num_consts: int,
    num_carry: int,
    **params: Any,
) -> tuple[list[Any], list[Series]]:
    """Taylor mode of ``scan`` and its kin; ``bind`` applies the primitive."""
    num_ys = len(jaxpr.outvars) - num_carry
    const_nz, carry_nz, xs_nz = map(tuple, parts(series_mask(series), num_consts, num_carry))
    while True:
        program, nonzero_out = get_rewrites().jet(
            jaxpr, order, (*const_nz, *carry_nz, *xs_nz), (*carry_nz, *none(num_ys))
        )
        if nonzero_out[:num_carry] == carry_nz:
            break
        carry_nz = either(carry_nz, nonzero_out[:num_carry])
    ys_nz = nonzero_out[num_carry:]
    program = permute(
        program,
        _interleaved((num_consts, num_carry, len(xs_nz)), (const_nz, carry_nz, xs_nz), order),
        _interleaved((num_carry, num_ys), (carry_nz, ys_nz), order),
    )
    consts, carry, xs = parts(primals, num_consts, num_carry)
    const_terms, carry_terms, xs_terms = parts(series, num_consts, num_carry)
    results = bind(
        *consts,
        *flat_terms(const_terms),
        *carry,
        *_zeros_where(carry_terms, carry_nz, carry, order),
        *xs,
        *flat_terms(xs_terms),
        jaxpr=program,
        num_consts=num_consts + order * sum(const_nz),
        num_carry=num_carry + order * sum(carry_nz),
        **params,
    )
    carry_out, carry_found, ys, ys_found = parts(results, num_carry, order * sum(carry_nz), num_ys)
    found = split_terms((*carry_nz, *ys_nz), [*carry_found, *ys_found], order)
    return [*carry_out, *ys], found


def while_jet(
    primitive: Primitive,
    primals: Sequence[Any],
    series: Sequence[Series],
    order: int,
    *,
    cond_jaxpr: Jaxpr,
    body_jaxpr: Jaxpr,
    cond_nconsts: int,
    body_nconsts: int,
    **params: Any,
) -> tuple[list[Any], list[Series]]:
    """Taylor mode of ``while``: the condition looks at values alone."""
    _, const_nz, carry_nz = map(tuple, parts(series_mask(series), cond_nconsts, body_nconsts))
    while True:
        body, nonzero_out = get_rewrites().jet(body_jaxpr, order, (*const_nz, *carry_nz), carry_nz)
        if nonzero_out == carry_nz:
            break
        carry_nz = either(carry_nz, nonzero_out)
    num_carry = len(carry_nz)
    places = _interleaved((body_nconsts, num_carry), (const_nz, carry_nz), order)
    body = permute(body, places, tuple(range(len(body.outvars))))
    moving = split(carry_nz, cond_jaxpr.in_avals[cond_nconsts:])[1]
    terms = [a.strong() for a in moving for _ in range(order)]
    cond = embed_inputs(
        cond_jaxpr, (*cond_jaxpr.in_avals, *terms), tuple(range(len(cond_jaxpr.invars)))
    )
    cond_consts, consts, carry = parts(primals, cond_nconsts, body_nconsts)
    _, const_terms, carry_terms = parts(series, cond_nconsts, body_nconsts)
    results = primitive.bind(
        *cond_consts,
        *consts,
        *flat_terms(const_terms),
        *carry,
        *_zeros_where(carry_terms, carry_nz, carry, order),
        cond_jaxpr=cond,
        body_jaxpr=body,
        cond_nconsts=cond_nconsts,
        body_nconsts=body_nconsts + order * sum(const_nz),
        **params,
    )
    return results[:num_carry], split_terms(carry_nz, results[num_carry:], order)
