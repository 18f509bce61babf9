"""Backward rules of ``custom_vjp`` whose cotangents a select took in some lanes only.

A rule that is linear in the cotangent, as its equations show, is the transpose of its transpose:
transposed twice, it follows strong zeros (`fnad.primitives.strong_zeros`) as equations of other
functions do. Any other rule (one that clips, say, or adds something) gets ordinary zeros, and may
do with them what it likes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fnad.core.ir import Atom, Equation, Jaxpr, Literal, memoize
from fnad.core.primitive import Linear
from fnad.core.rewrites import get_rewrites
from fnad.core.types import kind_of
from fnad.primitives.subprograms import every, none, parts, strong_transpose_call

# What a value is in terms of the cotangents: anything, linear, or zero whatever they are.
_OTHER, _LINEAR, _ZERO = range(3)
_States = tuple[int, ...]

# Linear in all floating operands together.
_JOINTLY = {
    "add", "sub", "neg", "convert_element_type", "real", "imag", "conj", "complex", "reduce_sum",
    "cumsum", "broadcast_in_dim", "reshape", "transpose", "rev", "slice", "pad", "concatenate",
    "gather", "dynamic_slice", "dynamic_update_slice", "select", "lay_out", "fft", "windows",
    "fold", "psum", "all_gather", "lane_value",
}  # fmt: skip
# Linear in each of two floating operands.
_IN_EACH = {"mul", "dot_general", "conv_general_dilated", "masked_mul"}
# Linear in one of two.
_IN_ONE = {"div": 0, "triangular_solve": 1}


def strong_pullback(
    program: Jaxpr, residuals: Sequence[Any], cts: Sequence[Any]
) -> list[Any] | None:
    """The results of a backward rule, with lanes; None if it is not known to be linear.

    ``program`` maps residuals and cotangents to cotangents. Results that are zero are None.
    """
    given = (*(_OTHER for _ in residuals), *(_LINEAR for _ in cts))
    states = _states(program, given)
    if states is None or _OTHER in states:
        return None
    linear = (*none(len(residuals)), *every(len(cts)))
    outs = [a.strong() for a in program.out_avals]
    forward, _ = get_rewrites().transpose(program, linear, every(len(outs)), every(len(cts)))
    operands = [*residuals, *map(Linear, outs)]
    return parts(strong_transpose_call(forward, cts, operands), len(residuals))[1]


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
