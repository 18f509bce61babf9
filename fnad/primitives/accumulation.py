"""Sums of cotangents in place: what is scattered into zeros and added is scattered at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from fnad.core.ir import Atom, Equation, Jaxpr, Literal, Var, memoize
from fnad.primitives.arithmetic import add_p
from fnad.primitives.dynamic_slices import dynamic_slice_p, dynamic_update_slice_p
from fnad.primitives.indexing import scatter_p
from fnad.primitives.shape import broadcast_in_dim_p


class _Sum(NamedTuple):
    """What has been added to zeros: the equations that add, and where those that sum it stand."""

    steps: tuple[Equation, ...]
    places: tuple[int, ...]


@memoize
def accumulate_in_place(jaxpr: Jaxpr) -> Jaxpr:
    """Let a transposed program add few elements to a cotangent without a pass over all of it.

    The transposition of indexing puts a cotangent into zeros, which are then added to others of
    the same array. Before ``c = broadcast_in_dim 0.0; d = scatter[kind=add] c v i; e = add a d``,
    after ``e = scatter[kind=add] a v i``; slices at traced places alike. In the backward pass of
    a loop over elements of an array, a step then costs what its elements do.
    """
    if not any(map(_adds, jaxpr.eqns)):
        return jaxpr
    uses = Counter[Atom](a for eqn in jaxpr.eqns for a in eqn.invars)
    uses.update(jaxpr.outvars)
    # Programs that this one calls have been rewritten before, so sums may consist of steps.
    zeros: set[Atom] = {eqn.outvars[0] for eqn in jaxpr.eqns if _makes_zeros(eqn)}
    sums: dict[Atom, _Sum] = {}
    eqns: list[Equation | None] = []

    for eqn in jaxpr.eqns:
        new = [eqn]
        if eqn.primitive is add_p:
            a, b = eqn.invars
            held = [x for x in (a, b) if x in sums and uses[x] == 1 and a.aval == b.aval]
            if held:
                part = held[-1]
                new = _added(a if part is b else b, sums[part].steps, eqn)
                for place in sums[part].places:
                    eqns[place] = None
                if len(held) == 2:
                    places = (*sums[a].places, *range(len(eqns), len(eqns) + len(new)))
                    sums[eqn.outvars[0]] = _Sum(sums[a].steps + sums[b].steps, places)
        elif _adds(eqn):
            steps, places = sums.get(eqn.invars[0], _Sum((), ()))
            if eqn.invars[0] in zeros:
                sums[eqn.outvars[0]] = _Sum((eqn,), (len(eqns),))
            elif steps and eqn.primitive is scatter_p and uses[eqn.invars[0]] == 1:
                sums[eqn.outvars[0]] = _Sum((*steps, eqn), (*places, len(eqns)))
            elif steps and (update := _added_window(eqn, eqns, uses)) is not None:
                base, _, *starts = eqn.invars
                window = eqn.replace(invars=(base, update, *starts))
                last = range(len(eqns) - 2, len(eqns) + 1)
                sums[eqn.outvars[0]] = _Sum((*steps, window), (*places, *last))
        eqns += new
    left = [eqn for eqn in eqns if eqn is not None]
    read = {a for eqn in left for a in eqn.invars}.union(jaxpr.outvars)
    return jaxpr.replace(eqns=tuple(e for e in left if not _makes_zeros(e) or e.outvars[0] in read))


def _adds(eqn: Equation) -> bool:
    """Whether an equation, applied to zeros, adds to them."""
    primitive = eqn.primitive
    return primitive is dynamic_update_slice_p or (
        primitive is scatter_p and eqn.params["kind"] == "add"
    )


def _added_window(
    eqn: Equation, before: Sequence[Equation | None], uses: Counter[Atom]
) -> Atom | None:
    """What a slice is updated with besides what it holds already, as `_added` writes it."""
    if len(before) < 2:
        return None
    read, total = before[-2:]
    if read is None or total is None or eqn.primitive is not dynamic_update_slice_p:
        return None
    base, longer, *places = eqn.invars
    if (
        read.primitive is not dynamic_slice_p
        or total.primitive is not add_p
        or read.invars != (base, *places)
        or total.invars[0] is not read.outvars[0]
        or total.outvars[0] is not longer
        or (uses[base], uses[read.outvars[0]], uses[longer]) != (2, 1, 1)
    ):
        return None
    return total.invars[1]


def _makes_zeros(eqn: Equation) -> bool:
    if eqn.primitive is not broadcast_in_dim_p:
        return False
    [value] = eqn.invars
    return isinstance(value, Literal) and not value.aval.shape and not value.val


def _added(whole: Atom, steps: Sequence[Equation], total: Equation) -> list[Equation]:
    """The steps that were applied to zeros, applied to ``whole``; the last makes the total."""
    new: list[Equation] = []
    for step in steps:
        out = total.outvars[0] if step is steps[-1] else Var(step.outvars[0].aval)
        _, update, *places = step.invars
        if step.primitive is dynamic_update_slice_p:
            window, longer = Var(update.aval.strong()), Var(update.aval.strong())
            sizes = {"slice_sizes": update.aval.shape}
            new += [
                Equation(dynamic_slice_p, (whole, *places), (window,), sizes, total.source),
                total.replace(invars=(window, update), outvars=(longer,)),
            ]
            update = longer
        new.append(step.replace(invars=(whole, update, *places), outvars=(out,)))
        whole = out
    return new
