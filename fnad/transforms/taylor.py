"""Taylor mode: a program becomes the program of its values' and derivatives' power series.

Each equation maps the series of its operands to those of its results, coefficient by coefficient.

* Where a primitive's derivative does not depend on operands that have series, it is linear in
  them, and so its jvp maps each coefficient to one of the result.
* A rule ``jet`` gives the coefficient of order k: products and quotients have one.
* All others follow from their jvp rule: of y = f(x) it makes the equation y' = g(x, y) x', whose
  right-hand side to order k - 1 gives y to order k. What it takes of f itself is what is known
  of y already, and what it takes of other functions of x is expanded once, so that the classic
  recurrences come out of it: exp takes k products for the coefficient k; sin, together with cos,
  twice as many (A. Griewank and A. Walther, Evaluating Derivatives, 2nd ed., 2008, section 13.2).

So a primitive that has a jvp goes through, to any order.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any

from fnad.core.ir import Atom, Equation, Jaxpr, Literal, literal_value, memoize
from fnad.core.primitive import make_zeros
from fnad.core.rewrites import Mask
from fnad.core.tracer import apply_jaxpr, rewrite, sources
from fnad.core.types import aval_of, is_differentiable
from fnad.primitives.arithmetic import div, mul
from fnad.transforms.dce import dce_jaxpr
from fnad.transforms.forward import jvp_jaxpr

Term = Any  # a coefficient: an array, or None for zero


class Series:
    """A power series whose coefficients are found when they are asked for, in their order."""

    __slots__ = ("_found", "_next", "constant")

    def __init__(self, found: list[Term], next_term: Callable[[int], Term] | None = None) -> None:
        self._found = found
        self._next = next_term
        self.constant = next_term is None

    def __getitem__(self, k: int) -> Term:
        if self._next is None:
            return self._found[k] if k < len(self._found) else None
        while len(self._found) <= k:
            self._found.append(self._next(len(self._found)))
        return self._found[k]


class _BlockSeries:
    """A series of a primitive whose rule finds the coefficients of all orders at once."""

    __slots__ = ("_block", "_index", "constant")

    def __init__(self, block: _Block, index: int, constant: bool) -> None:
        self._block, self._index, self.constant = block, index, constant

    def __getitem__(self, k: int) -> Term:
        outs, series = self._block.terms(0 if self.constant else k)
        if k == 0:
            return outs[self._index]
        terms = series[self._index]
        return None if terms is None or self.constant else terms[k - 1]


class _Block:
    """An equation that holds programs, expanded to the highest order that was asked for."""

    def __init__(self, eqn: Equation, operands: Sequence[Any]) -> None:
        self.eqn, self.operands = eqn, operands
        self.order = -1
        self.found: tuple[list[Any], list[list[Any] | None]] = ([], [])

    def terms(self, order: int) -> tuple[list[Any], list[list[Any] | None]]:
        if order > self.order:
            self.order = order
            primitive, params = self.eqn.primitive, self.eqn.params
            primals = [x[0] for x in self.operands]
            if order:
                given = [_instantiated(x, order) for x in self.operands]
                self.found = primitive.rule("jet")(primals, given, order, **params)
            else:
                outs = primitive.bind(*primals, **params)
                self.found = outs, [None] * len(outs)
        return self.found


def _instantiated(series: Any, order: int) -> list[Any] | None:
    """The coefficients of the orders from 1 on, as arrays; None if all are zero."""
    terms = [None if series.constant else series[k] for k in range(1, order + 1)]
    if all(t is None for t in terms):
        return None
    if any(t is None for t in terms):
        zero = make_zeros(aval_of(series[0]).strong())
        terms = [zero if t is None else t for t in terms]
    return terms


class _Expansion:
    """Expands equations, each combination of primitive, operands and parameters once."""

    def __init__(self) -> None:
        self.known: dict[Hashable, list[Any]] = {}
        self.kept: list[Any] = []  # operands stay alive: their identity stands for them

    def run(
        self, jaxpr: Jaxpr, operands: Sequence[Any], order: int | None = None
    ) -> tuple[list[Any], list[Any]]:
        """Expand a program; returns the series of its outputs and of all its variables.

        With ``order`` all coefficients up to it are found on the way, equation by equation.
        """
        env: dict[Atom, Any] = dict(zip(jaxpr.invars, operands, strict=True))

        def read(atom: Atom) -> Any:
            return Series([literal_value(atom)]) if isinstance(atom, Literal) else env[atom]

        made: list[Any] = []
        with sources() as trace:
            for eqn in jaxpr.eqns:
                trace.source = eqn.source
                outs = self.expand(eqn, [read(a) for a in eqn.invars])
                env.update(zip(eqn.outvars, outs, strict=True))
                made += [out for out in outs if not out.constant]
                if order is not None:
                    for out in outs:
                        out[0 if out.constant else order]
        return [read(a) for a in jaxpr.outvars], made

    def _key(self, eqn: Equation, operands: Sequence[Any]) -> Hashable:
        places: list[Hashable] = []
        for atom, series in zip(eqn.invars, operands):
            if isinstance(atom, Literal) and not atom.aval.shape:
                places.append((atom.aval, atom.val.tobytes()))
            else:
                self.kept.append(series)
                places.append((None, id(series)))
        key = (eqn.primitive, tuple(places), tuple(sorted(eqn.params.items())))
        try:
            hash(key)
        except TypeError:  # parameters that cannot be compared
            return id(eqn)
        return key

    def expand(self, eqn: Equation, operands: Sequence[Any]) -> list[Any]:
        key = self._key(eqn, operands)
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = self._expand(eqn, operands)
        return found

    def _expand(self, eqn: Equation, operands: Sequence[Any]) -> list[Any]:
        primitive, params = eqn.primitive, eqn.params
        rule = primitive.rules.get("jet")
        varying = tuple(not x.constant for x in operands)
        if rule is not None and primitive.multiple_results and any(varying):
            block = _Block(eqn, operands)
            return [
                _BlockSeries(block, i, not is_differentiable(v.aval))
                for i, v in enumerate(eqn.outvars)
            ]
        primals = [x[0] for x in operands]
        out = primitive.bind(*primals, **params)
        firsts = list(out) if primitive.multiple_results else [out]
        if not any(varying):
            return [Series([first]) for first in firsts]
        equation = _DifferentialEquation(self, eqn, operands, varying)
        if rule is not None and not equation.is_linear:
            by_rule = rule

            def term(k: int) -> Term:
                return by_rule(k, series, *operands, **params)

            series = Series(firsts, term)
            return [series]
        return [
            Series([first], partial(equation.term, i) if moves else None)
            for i, (first, moves) in enumerate(zip(firsts, equation.nonzero_out))
        ]


class _DifferentialEquation:
    """``y' = g(x, y) x'``, which the jvp rule makes of ``y = f(x)``."""

    def __init__(
        self, expansion: _Expansion, eqn: Equation, operands: Sequence[Any], varying: Mask
    ) -> None:
        count = len(eqn.outvars)
        invars = tuple(dict.fromkeys(a for a in eqn.invars if not isinstance(a, Literal)))
        by_var = dict(zip(eqn.invars, operands))
        self.operands = [by_var[v] for v in invars]
        single = Jaxpr(invars, (eqn,), eqn.outvars)
        varying = tuple(not x.constant for x in self.operands)
        pushed, self.nonzero_out = jvp_jaxpr(single, varying, (False,) * count)
        used = (*(False,) * count, *(True,) * sum(self.nonzero_out))
        self.program, kept = dce_jaxpr(pushed, used)
        self.expansion = expansion
        self.kept_primals = kept[: len(invars)]
        self.kept_dots = kept[len(invars) :]
        self.moving = [x for x, v in zip(self.operands, varying) if v]
        self.is_linear = not any(k and v for k, v in zip(self.kept_primals, varying))
        self.places = [sum(self.nonzero_out[:i]) for i in range(count)]
        self.linear_terms: dict[int, list[Term]] = {}
        self.slopes: list[Any] | None = None
        self.inner: list[Any] = []

    def term(self, index: int, k: int) -> Term:
        """The coefficient of order k of a result."""
        if self.is_linear:
            if k not in self.linear_terms:
                self.linear_terms[k] = self._pushed(k)
            return self.linear_terms[k][self.places[index]]
        if self.slopes is None:
            dots = [_slope(x) for x, keep in zip(self.moving, self.kept_dots) if keep]
            primals = [x for x, keep in zip(self.operands, self.kept_primals) if keep]
            self.slopes, self.inner = self.expansion.run(self.program, [*primals, *dots])
        for series in self.inner:  # in their order, so that none has to reach far back
            series[k - 1]
        slope = self.slopes[self.places[index]][k - 1]
        return slope if slope is None or k == 1 else div(slope, float(k))

    def _pushed(self, k: int) -> list[Term]:
        terms = [x[k] for x, keep in zip(self.moving, self.kept_dots) if keep]
        if all(t is None for t in terms):
            return [None] * len(self.program.outvars)
        moving = [x for x, keep in zip(self.moving, self.kept_dots) if keep]
        dots = [
            make_zeros(aval_of(x[0]).strong()) if t is None else t for x, t in zip(moving, terms)
        ]
        primals = [x[0] for x, keep in zip(self.operands, self.kept_primals) if keep]
        return apply_jaxpr(self.program, [*primals, *dots])


def _slope(series: Any) -> Series:
    """The series of the derivative."""

    def term(k: int) -> Term:
        above = series[k + 1]
        return above if above is None or k == 0 else mul(above, float(k + 1))

    first = term(0)
    return Series([make_zeros(aval_of(series[0]).strong()) if first is None else first], term)


@memoize
def jet_jaxpr(jaxpr: Jaxpr, order: int, nonzero: Mask, instantiate_out: Mask) -> tuple[Jaxpr, Mask]:
    """See `fnad.core.rewrites.Rewrites.jet`."""
    nonzero_out: list[bool] = []

    def run(*args: Any) -> list[Any]:
        primals, given = args[: len(jaxpr.invars)], list(args[len(jaxpr.invars) :])
        operands = []
        for primal, nz in zip(primals, nonzero, strict=True):
            terms, given = (given[:order], given[order:]) if nz else ([], given)
            operands.append(Series([primal, *terms], _no_more) if nz else Series([primal]))
        outs, _ = _Expansion().run(jaxpr, operands, order)
        kept = []
        for var, out, wanted in zip(jaxpr.outvars, outs, instantiate_out, strict=True):
            found = _instantiated(out, order)
            if found is None and wanted:
                found = [make_zeros(var.aval.strong())] * order
            nonzero_out.append(found is not None)
            kept += found or []
        return [*(out[0] for out in outs), *kept]

    moving = [a.strong() for a, nz in zip(jaxpr.in_avals, nonzero, strict=True) if nz]
    avals = [a for a in moving for _ in range(order)]
    return rewrite(run, [*jaxpr.in_avals, *avals], "jet"), tuple(nonzero_out)


def _no_more(k: int) -> Term:
    raise IndexError(k)
