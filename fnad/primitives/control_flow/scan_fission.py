"""What need not run inside a ``scan`` leaves it before lowering.

Work on constants runs once before the loop. Matrix products of slices of ``xs`` with constants
become one product before the loop, products that only feed ``ys`` one product behind it, and a
carry that only sums up products, as gradients of weights do, one product behind it that sums
over the steps, too: large products in place of many small ones, at the price of stacks of their
operands.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from fnad.core.ir import Atom, Equation, Jaxpr, Var, has_effects, sub_jaxprs
from fnad.core.rewrites import BatchAxis, get_rewrites
from fnad.core.types import ShapedArray
from fnad.primitives.arithmetic import add_p
from fnad.primitives.contraction import dot_general_p
from fnad.primitives.control_flow.invariant import (
    idle_carries,
    program_of,
    renaming,
    with_constants,
    without_invariant,
)
from fnad.primitives.control_flow.scan import scan_p
from fnad.primitives.reductions import reduce_sum_p
from fnad.primitives.subprograms import every, inline_equations, parts, split

# Products of fewer multiplications stay in the loop; stacks may not take more bytes than this.
_MIN_PRODUCT = 1 << 12
_MAX_STACK = 1 << 26


@scan_p.expand
def fission(eqn: Equation) -> list[Equation] | None:
    """The scan that remains, between what runs before it and what runs behind it."""
    if eqn.params["length"] < 2 or has_effects(eqn):
        return None
    loop = _Loop.of(eqn)
    rest = _Sinking(loop.without_idle_carries()).sums()
    rest = rest.without_invariant().without_products().without_last_products()
    return None if rest is loop else [*rest.before, rest.equation(), *rest.after]


@dataclass(frozen=True, slots=True)
class _Loop:
    """A scan taken apart: its body and operands, and what runs before and after it."""

    eqn: Equation
    body: Jaxpr
    consts: tuple[Atom, ...]
    init: tuple[Atom, ...]
    xs: tuple[Atom, ...]
    outs: tuple[Var, ...]
    before: tuple[Equation, ...] = ()
    after: tuple[Equation, ...] = ()

    @staticmethod
    def of(eqn: Equation) -> _Loop:
        params = eqn.params
        groups = parts(eqn.invars, params["num_consts"], params["num_carry"])
        consts, init, xs = map(tuple, groups)
        return _Loop(eqn, params["jaxpr"], consts, init, xs, eqn.outvars)

    @property
    def length(self) -> int:
        return int(self.eqn.params["length"])

    def equation(self) -> Equation:
        """The scan that remains."""
        numbers = {"num_consts": len(self.consts), "num_carry": len(self.init)}
        return self.eqn.replace(
            invars=(*self.consts, *self.init, *self.xs),
            outvars=self.outs,
            params={**self.eqn.params, "jaxpr": self.body, **numbers},
        )

    def stack_bytes(self, variables: Iterable[Atom]) -> int:
        return self.length * sum(_nbytes(v.aval) for v in variables)

    def definitions(self) -> dict[Atom, Equation]:
        return {v: eqn for eqn in self.body.eqns for v in eqn.outvars}

    # -- before the loop --------------------------------------------------------------------

    def without_idle_carries(self) -> _Loop:
        """With constants in place of carries that no step changes."""
        idle = idle_carries(self.body, len(self.consts), len(self.init))
        if not any(idle):
            return self
        body = with_constants(self.body, len(self.consts), idle)
        init, fixed = split(idle, self.init)
        num_carry = len(idle)
        outs, names = split(idle, self.outs[:num_carry])
        outvars = (*split(idle, body.outvars[:num_carry])[0], *body.outvars[num_carry:])
        return replace(
            self,
            body=body.replace(outvars=outvars),
            consts=(*self.consts, *fixed),
            init=tuple(init),
            outs=(*outs, *self.outs[num_carry:]),
            after=(*renaming(names, fixed), *self.after),
        )

    def without_invariant(self) -> _Loop:
        """Without what depends on constants alone."""
        body, eqns, consts = without_invariant(self.body, self.consts)
        if body is self.body:
            return self
        before = (*self.before, *eqns)
        return replace(self, body=body, consts=tuple(consts), before=before)

    def levels(self) -> dict[Atom, int]:
        """What values depend on: 0 constants, 1 slices of xs, 2 the carry."""
        groups = parts(self.body.invars, len(self.consts), len(self.init))
        levels: dict[Atom, int] = {}
        for level, group in zip((0, 2, 1), groups):
            levels |= dict.fromkeys(group, level)
        for eqn in self.body.eqns:
            level = max((levels[a] for a in eqn.invars if isinstance(a, Var)), default=0)
            levels |= dict.fromkeys(eqn.outvars, level)
        return levels

    def without_products(self) -> _Loop:
        """Without products of slices of xs and constants."""
        levels = self.levels()
        consts, carry, xs = parts(self.body.invars, len(self.consts), len(self.init))
        products: dict[Equation, None] = {}
        for eqn in self.body.eqns:
            if levels[eqn.outvars[0]] != 1 or not _is_product(eqn):
                continue
            program = program_of((*consts, *xs), self.body.eqns, eqn.outvars)
            made = [v for e in program.eqns for v in e.outvars if levels[v] == 1]
            if _may_be_batched(program) and self.stack_bytes(made) <= _MAX_STACK:
                products[eqn] = None
        if not products:
            return self
        outs = [v for eqn in products for v in eqn.outvars]
        program = program_of((*consts, *xs), self.body.eqns, outs)
        mask = (False,) * len(consts) + (True,) * len(xs)
        eqns, stacks = self._batched(program, mask, (*self.consts, *self.xs))
        rest = tuple(eqn for eqn in self.body.eqns if eqn not in products)
        return replace(
            self,
            body=Jaxpr((*consts, *carry, *xs, *outs), rest, self.body.outvars),
            xs=(*self.xs, *stacks),
            before=(*self.before, *eqns),
        )

    def _batched(
        self, program: Jaxpr, mask: tuple[bool, ...], args: Sequence[Atom]
    ) -> tuple[list[Equation], list[Atom]]:
        """A program of one step, run for all steps at once."""
        batched, _ = get_rewrites().batch(
            program, BatchAxis(self.length), mask, every(len(program.outvars))
        )
        return inline_equations(batched, args)

    # -- behind the loop --------------------------------------------------------------------

    def stack_of(self, atom: Atom) -> Atom | None:
        """The array whose slices a value of the body is, if there is one."""
        xs = self.body.invars[len(self.consts) + len(self.init) :]
        num_carry = len(self.init)
        stacks: dict[Atom, Atom] = dict(zip(xs, self.xs, strict=True))
        stacks |= dict(zip(self.body.outvars[num_carry:], self.outs[num_carry:], strict=True))
        return stacks.get(atom)

    def with_stacks(self, values: Sequence[Var]) -> _Loop:
        """With more values among the ys."""
        new = [Var(ShapedArray((self.length, *v.aval.shape), v.aval.dtype)) for v in values]
        body = self.body.replace(outvars=(*self.body.outvars, *values))
        return replace(self, body=body, outs=(*self.outs, *new))

    def without_last_products(self) -> _Loop:
        """Without products that only feed ys, and what is made of them."""
        num_carry, num_consts = len(self.init), len(self.consts)
        for_carry = program_of(self.body.invars, self.body.eqns, self.body.outvars[:num_carry])
        needed = {v for eqn in for_carry.eqns for v in eqn.outvars}
        levels = self.levels()
        late: dict[Equation, None] = {}
        made: set[Atom] = set()
        for eqn in self.body.eqns:
            if needed.isdisjoint(eqn.outvars) and (
                _is_product(eqn) or not made.isdisjoint(eqn.invars)
            ):
                late[eqn] = None
                made.update(eqn.outvars)
        places = [k for k, v in enumerate(self.body.outvars) if v in made]
        outs = [v for v in self.body.outvars if v in made]
        # What is made of constants alone is made again behind the loop.
        again = [e for e in self.body.eqns if e in late or levels[e.outvars[0]] == 0]
        program = program_of((), again, outs)
        known = {v for eqn in program.eqns for v in eqn.outvars}
        read = dict.fromkeys(a for eqn in program.eqns for a in eqn.invars if a not in known)
        inputs = tuple(v for v in read if isinstance(v, Var))
        program = program.replace(invars=inputs)
        consts = self.body.invars[:num_consts]
        new = [v for v in inputs if v not in consts and self.stack_of(v) is None]
        if (
            not late
            or len(set(outs)) < len(outs)
            or not _may_be_batched(program)
            or self.stack_bytes(made) > _MAX_STACK
            or self.stack_bytes(new) > self.stack_bytes(outs)
        ):
            return self
        loop = self.with_stacks(new)
        values = dict(zip(consts, self.consts))
        mask = tuple(v not in values for v in inputs)
        args = [values[v] if v in values else loop.stack_of(v) for v in inputs]
        eqns, results = self._batched(program, mask, args)  # type: ignore[arg-type]
        names = dict(zip(results, (self.outs[k] for k in places), strict=True))
        rest = tuple(eqn for eqn in self.body.eqns if eqn not in late)
        left = [k for k in range(len(loop.outs)) if k not in places]
        return replace(
            loop,
            body=Jaxpr(self.body.invars, rest, tuple(loop.body.outvars[k] for k in left)),
            outs=tuple(loop.outs[k] for k in left),
            after=(*_renamed(eqns, names), *self.after),
        )


class _Sinking:
    """Takes carries that are sums of products out of a loop."""

    def __init__(self, loop: _Loop) -> None:
        self.loop = loop
        self.definitions = loop.definitions()
        self.uses = _count_reads(loop.body)
        self.levels = loop.levels()

    def sums(self) -> _Loop:
        """Without carries that only sum up products, or elements that are stacked anyway."""
        loop = self.loop
        carry = loop.body.invars[len(loop.consts) : len(loop.consts) + len(loop.init)]
        order = sorted(range(len(carry)), key=lambda k: -carry[k].aval.size)
        sunk: dict[int, list[Equation]] = {}
        for k in order:
            terms = self._terms(carry[k], loop.body.outvars[k])
            if terms and self._stack_operands(terms):
                sunk[k] = terms
        if not sunk:
            return loop
        loop, after = self.loop, []
        for k, terms in sunk.items():
            after += self._summed(loop.init[k], loop.outs[k], terms)
        start = len(loop.consts)
        gone = {carry[k] for k in sunk}
        ends = [k for k in range(len(loop.outs)) if k not in sunk]
        tails = {a for k in sunk for a in self._chain(loop.body.outvars[k])}
        body = Jaxpr(
            tuple(v for v in loop.body.invars if v not in gone),
            tuple(eqn for eqn in loop.body.eqns if eqn.outvars[0] not in tails),
            tuple(loop.body.outvars[k] for k in ends),
        )
        assert len(body.invars) == start + len(carry) - len(sunk) + len(loop.xs)
        return replace(
            loop,
            body=body,
            init=tuple(a for k, a in enumerate(loop.init) if k not in sunk),
            outs=tuple(loop.outs[k] for k in ends),
            after=(*after, *loop.after),
        )

    def _chain(self, out: Atom) -> list[Atom]:
        """A sum, the sums that it is made of, and its terms."""
        eqn = self.definitions.get(out)
        if eqn is None:
            return []
        if eqn.primitive is not add_p:
            return [out]
        return [out, *(v for a in eqn.invars for v in self._chain(a))]

    def _terms(self, carry: Var, out: Atom) -> list[Equation] | None:
        """What a step adds to a carry that nothing else reads, if it is products and sums."""
        terms: list[Equation] = []
        found = 0
        stack = [out]
        while stack:
            atom = stack.pop()
            if atom is carry:
                found += 1
                continue
            eqn = self.definitions.get(atom)
            if eqn is None or self.uses[atom] != 1:
                return None
            if eqn.primitive is add_p and all(a.aval.shape == carry.aval.shape for a in eqn.invars):
                stack += eqn.invars
            elif eqn.primitive is reduce_sum_p or _is_product(eqn):
                terms.append(eqn)
            else:
                return None
        return terms if found == 1 and self.uses[carry] == 1 else None

    def _stack_operands(self, terms: Sequence[Equation]) -> bool:
        """Make sure that the operands are stacked, if that is worth their memory."""
        loop = self.loop
        operands = dict.fromkeys(a for eqn in terms for a in eqn.invars)
        if any(self.levels.get(a, 0) == 0 for a in operands):
            return False
        new = [a for a in operands if loop.stack_of(a) is None and isinstance(a, Var)]
        size = sum(v.aval.size for v in new)
        results = sum(eqn.outvars[0].aval.size for eqn in terms)
        if size > results or loop.stack_bytes(new) > _MAX_STACK:
            return False
        if new:
            self.loop = loop.with_stacks(new)
        return True

    def _summed(self, init: Atom, out: Var, terms: Sequence[Equation]) -> list[Equation]:
        """Equations that add the terms of all steps to an initial value."""
        eqns: list[Equation] = []
        total = init
        for k, term in enumerate(terms):
            stacks = tuple(self.loop.stack_of(a) for a in term.invars)
            value = Var(term.outvars[0].aval)
            params = _over_steps(term)
            eqns.append(term.replace(invars=stacks, outvars=(value,), params=params))
            result = out if k == len(terms) - 1 else Var(out.aval)
            eqns.append(Equation(add_p, (total, value), (result,), {}, term.source))
            total = result
        return eqns


def _over_steps(term: Equation) -> dict[str, object]:
    """The parameters of a product or sum that also sums over a new leading axis."""
    if term.primitive is reduce_sum_p:
        return {**term.params, "axes": (0, *(axis + 1 for axis in term.params["axes"]))}
    (a, b), (a_batch, b_batch) = term.params["dimension_numbers"]
    after = lambda axes: tuple(axis + 1 for axis in axes)  # noqa: E731
    contracting = (0, *after(a)), (0, *after(b))
    return {
        **term.params,
        "dimension_numbers": (contracting, (after(a_batch), after(b_batch))),
    }


# -- programs -----------------------------------------------------------------------------------


def _nbytes(aval: ShapedArray) -> int:
    return aval.size * aval.dtype.itemsize


def _is_product(eqn: Equation) -> bool:
    """Whether an equation is a matrix product that is worth a stack."""
    if eqn.primitive is not dot_general_p:
        return False
    axes = eqn.params["dimension_numbers"][0][0]
    terms = math.prod(eqn.invars[0].aval.shape[axis] for axis in axes)
    return eqn.outvars[0].aval.size * terms >= _MIN_PRODUCT


def _may_be_batched(program: Jaxpr) -> bool:
    return not any(True for eqn in program.eqns for _ in sub_jaxprs(eqn))


def _count_reads(body: Jaxpr) -> Counter[Atom]:
    uses: Counter[Atom] = Counter(a for eqn in body.eqns for a in eqn.invars)
    uses.update(body.outvars)
    return uses


def _renamed(eqns: Sequence[Equation], names: Mapping[Atom, Var]) -> list[Equation]:
    return [
        eqn.replace(
            invars=tuple(names.get(a, a) for a in eqn.invars),
            outvars=tuple(names.get(v, v) for v in eqn.outvars),
        )
        for eqn in eqns
    ]
