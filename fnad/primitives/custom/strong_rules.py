"""Backward rules of ``custom_vjp`` whose cotangents a select took in some lanes only.

The equations of a rule are followed one by one. One that is linear in cotangents is the transpose
of its transpose: transposed twice, it follows strong zeros (`fnad.primitives.strong_zeros`) as
equations of other functions do. One that works on single elements, but is not linear (it clips,
say), shows what it makes of the zeros: where that is zero, lanes that were not taken still are
none. Any other equation gets the zeros, and what it makes of them is a cotangent as any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial, reduce
from typing import Any

from fnad.core.ir import Atom, Equation, Jaxpr, Literal, literal_value, memoize
from fnad.core.primitive import Linear, Zero, instantiate
from fnad.core.rewrites import Mask, get_rewrites
from fnad.core.tracer import apply_jaxpr, rewrite
from fnad.core.types import aval_of, kind_of
from fnad.primitives.custom.rules import call_args
from fnad.primitives.logic import bitwise_and, bitwise_or, ne
from fnad.primitives.strong_lanes import Live, either, joined
from fnad.primitives.strong_zeros import StrongZeros, mask_and_axes, settled
from fnad.primitives.subprograms import (
    every,
    masks_of,
    merge,
    parts,
    split,
    strong_transpose_call,
    with_masks,
)

# What a value is in terms of the cotangents: anything, linear, or zero whatever they are.
_OTHER, _LINEAR, _ZERO = range(3)
_States = tuple[int, ...]

# Linear in all floating operands together.
_JOINTLY = {
    "add", "sub", "neg", "convert_element_type", "real", "imag", "conj", "complex", "reduce_sum",
    "cumsum", "broadcast_in_dim", "reshape", "transpose", "rev", "slice", "pad", "concatenate",
    "gather", "dynamic_slice", "dynamic_update_slice", "select", "lay_out", "fft", "windows",
    "fold", "permute_rows", "triangle", "ordinary_zeros", "psum", "all_gather", "lane_value",
}  # fmt: skip
# Linear in each of two floating operands.
_IN_EACH = {"mul", "dot_general", "conv_general_dilated", "masked_mul"}
# Linear in one of two.
_IN_ONE = {"div": 0, "triangular_solve": 1}


def apply_in_lanes(program: Jaxpr, operands: Sequence[Any]) -> list[Any]:
    """Run a backward rule, some of whose operands are `StrongZeros`; results may be, too."""
    env: dict[Atom, Any] = dict(zip(program.invars, operands, strict=True))
    zeros: set[Atom] = set()

    def state(atom: Atom) -> int:
        if isinstance(atom, Literal):
            return _ZERO if not atom.aval.shape and atom.val == 0 else _OTHER
        return _LINEAR if type(env[atom]) is StrongZeros else _ZERO if atom in zeros else _OTHER

    def value(atom: Atom) -> Any:
        return literal_value(atom) if isinstance(atom, Literal) else env[atom]

    for eqn in program.eqns:
        states = tuple(map(state, eqn.invars))
        values = list(map(value, eqn.invars))
        env.update(zip(eqn.outvars, _results(eqn, states, values), strict=True))
        if _LINEAR not in states:
            found = _after(eqn, states) or ()
            zeros.update(v for v, s in zip(eqn.outvars, found) if s == _ZERO)
    return list(map(value, program.outvars))


def result_lanes(program: Jaxpr, operands: Sequence[Any]) -> list[Live | None]:
    """In which lanes results of `apply_in_lanes` may differ from zero; None where in all.

    What only the results themselves need is not computed.
    """
    given, lives = masks_of(operands)
    values = [settled(x) for x in operands]
    found: list[tuple[int, ...] | None] = []

    def run(*args: Any) -> list[Any]:
        own, masks = parts(args, len(values))
        outs = apply_in_lanes(program, with_masks(own, lives, iter(masks)))
        marked = [mask_and_axes(x) if type(x) is StrongZeros else (None, None) for x in outs]
        found.extend(axes for _, axes in marked)
        return [mask for mask, _ in marked if mask is not None]

    whole = rewrite(run, [aval_of(x) for x in (*values, *given)], "transposition")
    masks_alone, used = get_rewrites().dce(whole, every(len(whole.outvars)))
    masks = iter(apply_jaxpr(masks_alone, split(used, [*values, *given])[1]))
    return [
        None if axes is None else Live.given(next(masks), axes, aval.shape)
        for axes, aval in zip(found, program.out_avals, strict=True)
    ]


def _results(eqn: Equation, states: _States, values: Sequence[Any]) -> Sequence[Any]:
    """The results of an equation; `StrongZeros` where lanes that were not taken stay zero."""
    if _LINEAR not in states:
        return _bound(eqn, values)
    if eqn.primitive.name == "jit":
        return apply_in_lanes(eqn.params["jaxpr"], values)
    called = _calls(eqn, values)
    if called:
        return _called(eqn, values, called)
    if eqn.primitive.name in _IN_EACH and states.count(_LINEAR) == 2:
        return [_product_of_two(eqn, states, values)]
    found = _after(eqn, states)
    if found is not None:
        wanted = tuple(s != _OTHER for s in found)
        linear = _transposed_twice(eqn, values, wanted)
        rest: Sequence[Any] = (
            () if all(wanted) else split(wanted, _bound(eqn, list(map(settled, values))))[0]
        )
        return merge(wanted, rest, linear)
    outs = _bound(eqn, list(map(settled, values)))
    if not eqn.primitive.is_elementwise or kind_of(aval_of(outs[0]).dtype) not in "fc":
        return outs
    return [_zero_for_zeros(outs[0], [x for x in values if type(x) is StrongZeros])]


def _calls(eqn: Equation, values: Sequence[Any]) -> list[tuple[Jaxpr, Sequence[Any]]]:
    """The programs one of which an equation calls, and their operands; none for other equations."""
    name, params = eqn.primitive.name, eqn.params
    if name == "custom_jvp_call":
        consts = params["num_consts"], params["num_rule_consts"]
        return [(params["call_jaxpr"], call_args(values, *consts))]
    if name == "custom_vjp_call":
        own, *of_rules = params["num_consts"]
        return [(params["call_jaxpr"], call_args(values, own, sum(of_rules)))]
    if name in ("custom_vmap_call", "checkpoint"):
        return [(params["jaxpr"], values)]
    return [(branch, values[1:]) for branch in params["branches"]] if name == "cond" else []


def _called(
    eqn: Equation, values: Sequence[Any], called: Sequence[tuple[Jaxpr, Sequence[Any]]]
) -> list[Any]:
    """The results of a call as they are, in the lanes that its programs show."""
    outs = _bound(eqn, list(map(settled, values)))
    lanes = [result_lanes(*call) for call in called]
    found = []
    for out, lives in zip(outs, zip(*lanes), strict=True):
        if kind_of(aval_of(out).dtype) in "fc" and None not in lives:
            live = reduce(partial(either, shape=aval_of(out).shape), lives)
            out = StrongZeros(out, live, live.choose)
        found.append(out)
    return found


def _bound(eqn: Equation, values: Sequence[Any]) -> Sequence[Any]:
    outs = eqn.primitive.bind(*values, **eqn.params)
    return outs if eqn.primitive.multiple_results else [outs]


def _transposed_twice(eqn: Equation, values: Sequence[Any], wanted: Mask) -> list[Any]:
    """The results marked of an equation, linear in all operands that are `StrongZeros`."""
    linear = tuple(type(x) is StrongZeros for x in values)
    avals = [x.aval if type(x) is StrongZeros else aval_of(x) for x in values]
    program = rewrite(lambda *xs: split(wanted, _bound(eqn, xs))[1], avals, "transposition")
    outs = [a.strong() for a in program.out_avals]
    given = every(len(outs)), every(linear.count(True))
    transposed, _ = get_rewrites().transpose(program, linear, *given)
    others, cts = split(linear, values)
    results = strong_transpose_call(transposed, cts, [*others, *map(Linear, outs)])
    found = parts(results, len(others))[1]
    return [instantiate(Zero(a)) if x is None else x for x, a in zip(found, outs, strict=True)]


def _product_of_two(eqn: Equation, states: _States, values: Sequence[Any]) -> Any:
    """A product of two that both depend on cotangents: zero where one of the two is."""
    at = max(i for i, s in enumerate(states) if s == _LINEAR)
    first = [settled(x) if i == at else x for i, x in enumerate(values)]
    [found] = _transposed_twice(eqn, first, every(1))
    second, shape = values[at], aval_of(eqn.outvars[0]).shape
    if eqn.primitive.name != "mul" or second.aval.shape != shape:
        return found
    return StrongZeros(settled(found), joined(bitwise_and, found.live, second.live, shape))


def _zero_for_zeros(out: Any, operands: Sequence[StrongZeros]) -> Any:
    """A function of single elements, zero for sure where its operands are and it made zero."""
    shape = aval_of(out).shape
    if any(x.aval.shape != shape for x in operands):
        return out
    live = operands[0].live
    for other in operands[1:]:
        live = either(live, other.live, shape)
    return StrongZeros(out, Live(partial(_or_not_zero, live, out)))


def _or_not_zero(live: Live, out: Any) -> Any:
    return bitwise_or(live.mask(), ne(out, aval_of(out).dtype.type(0)))


@memoize
def _states(jaxpr: Jaxpr, given: _States) -> _States | None:
    """What the results are for inputs of which it is given; None if an equation is not linear."""
    env: dict[Atom, int] = dict(zip(jaxpr.invars, given, strict=True))

    def state(atom: Atom) -> int:
        if isinstance(atom, Literal):
            return _ZERO if not atom.aval.shape and atom.val == 0 else _OTHER
        return env[atom]

    for eqn in jaxpr.eqns:
        found = _after(eqn, tuple(map(state, eqn.invars)))
        if found is None:
            return None
        env.update(zip(eqn.outvars, found, strict=True))
    return tuple(map(state, jaxpr.outvars))


def _after(eqn: Equation, given: _States) -> _States | None:
    """What the results of an equation are; None if they are not linear."""
    name = eqn.primitive.name
    if name == "jit":
        return _states(eqn.params["jaxpr"], given)
    if name == "scan" and _LINEAR in given:
        return _after_loop(eqn.params, given)
    floating = [s for s, a in zip(given, eqn.invars, strict=True) if kind_of(a.aval.dtype) in "fc"]
    if _LINEAR not in given:
        moved = name in _JOINTLY and floating and all(s == _ZERO for s in floating)
        return (_ZERO if moved else _OTHER,) * len(eqn.outvars)
    if any(kind_of(v.aval.dtype) not in "fc" for v in eqn.outvars):
        return None
    if name in _JOINTLY or (name == "scatter" and eqn.params["kind"] in ("set", "add")):
        is_linear = _OTHER not in floating
    elif name in _IN_EACH:
        is_linear = floating.count(_LINEAR) == 1
    else:
        at = _IN_ONE.get(name)
        is_linear = at is not None and floating.count(_LINEAR) == 1 and floating[at] == _LINEAR
    return (_LINEAR,) * len(eqn.outvars) if is_linear else None


def _after_loop(params: dict[str, Any], given: _States) -> _States | None:
    """What the results of a scan are, whose carries are what they are in all of its steps."""
    num_carry = params["num_carry"]
    consts, carry, xs = map(tuple, parts(given, params["num_consts"], num_carry))
    while True:
        found = _states(params["jaxpr"], (*consts, *carry, *xs))
        if found is None:
            return None
        if any({a, b} == {_LINEAR, _OTHER} for a, b in zip(carry, found)):
            return None
        joined = tuple(b if a == _ZERO else a for a, b in zip(carry, found))
        if joined == carry:
            return (*carry, *found[num_carry:])
        carry = joined
