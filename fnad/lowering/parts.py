"""Complex numbers leave the program: each complex variable becomes two real ones.

The plan, and whatever prints it, knows real numbers only. What a primitive does to the parts of
complex numbers its ``parts`` rule says (`fnad.core.primitive.Primitive.parts`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.core.errors import MissingRuleError, RuleError
from fnad.core.ir import (
    Atom,
    Equation,
    Jaxpr,
    Literal,
    Var,
    avals_of,
    has_sub_jaxprs,
    memoize,
    sub_jaxprs,
)
from fnad.core.primitive import Parts, are_complex, flat_parts, joined_parts
from fnad.core.sizes import SizeError
from fnad.core.tracer import apply_jaxpr, rewrite, sources
from fnad.core.types import ShapedArray, aval_of
from fnad.lowering.simplify.dce import drop_dead
from fnad.primitives.complex_parts import interleaved, of_type, parts_of_interleaved


def real_aval(aval: ShapedArray) -> ShapedArray:
    """The type of either part of a complex array."""
    return ShapedArray(aval.shape, _real(aval.dtype), aval.weak_type)


def _real(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(f"f{dtype.itemsize // 2}")


@memoize
def holds_complex(jaxpr: Jaxpr) -> bool:
    """Whether any variable of a program, or of one inside of it, is complex."""
    for end in (*jaxpr.invars, *jaxpr.outvars):
        if end.aval.dtype.kind == "c":
            return True
    for eqn in jaxpr.eqns:  # thousands, as a rule without any: so no calls that can be avoided
        for var in eqn.outvars:
            if var.aval.dtype.kind == "c":
                return True
        for atom in eqn.invars:
            if type(atom) is Literal and atom.aval.dtype.kind == "c":
                return True
        if eqn.params and has_sub_jaxprs(eqn) and any(map(holds_complex, sub_jaxprs(eqn))):
            return True
    return False


def _is_complex(eqn: Equation) -> bool:
    for var in eqn.outvars:
        if var.aval.dtype.kind == "c":
            return True
    for atom in eqn.invars:
        if atom.aval.dtype.kind == "c":
            return True
    return has_sub_jaxprs(eqn) and any(map(holds_complex, sub_jaxprs(eqn)))


@memoize
def with_real_memory(jaxpr: Jaxpr) -> Jaxpr:
    """The program in real numbers, for the memory of its inputs and outputs as it is.

    A complex array of a shape ``s`` is taken and returned as a real array of shape ``(*s, 2)``.
    Before ``{ lambda ; a:c64[3]. let b:c64[3] = neg a in (b,) }``, after ``{ lambda ; a:f32[3,2].
    let ... in (b,) }`` with ``b:f32[3,2]``. A program without complex numbers is returned itself.
    """
    if not holds_complex(jaxpr):
        return jaxpr
    jaxpr = drop_dead(jaxpr)
    split = in_parts(jaxpr)
    types = [_in_memory(a) for a in jaxpr.in_avals]

    def body(*args: Any) -> list[Any]:
        values = [
            parts_of_interleaved(x) if a.dtype.kind == "c" else x
            for x, a in zip(args, jaxpr.in_avals)
        ]
        outs = joined_parts(apply_jaxpr(split, flat_parts(values)), are_complex(jaxpr.out_avals))
        return [interleaved(x) if type(x) is Parts else x for x in outs]

    return rewrite(body, types, "lowering complex arrays")


def _in_memory(aval: ShapedArray) -> ShapedArray:
    if aval.dtype.kind != "c":
        return aval
    return ShapedArray((*aval.shape, 2), _real(aval.dtype))


@memoize
def in_parts(jaxpr: Jaxpr) -> Jaxpr:
    """The program in real numbers: two inputs or outputs in the place of each complex one.

    Before ``{ lambda ; a:c64[]. let b:c64[] = neg a in (b,) }``,
    after ``{ lambda ; a:f32[] b:f32[]. let c:f32[] = neg a; d:f32[] = neg b in (c, d) }``.

    Raises
    ------
    MissingRuleError
        If a primitive takes or returns complex numbers and has no ``parts`` rule.
    """
    if not holds_complex(jaxpr):
        return jaxpr

    def body(*args: Any) -> list[Any]:
        inputs = joined_parts(args, are_complex(jaxpr.in_avals))
        env: dict[Atom, Any] = dict(zip(jaxpr.invars, inputs, strict=True))

        def read(atom: Atom) -> Any:
            if type(atom) is not Literal:
                return env[atom]
            if not atom.aval.shape:
                return _literal(atom)
            found = arrays.get(id(atom.val))
            if found is None:
                found = arrays[id(atom.val)] = _literal(atom)
            return found

        arrays: dict[int, Any] = {}  # those that stand in several equations are kept once
        with sources() as trace:
            for eqn in jaxpr.eqns:
                trace.source = eqn.source
                operands = list(map(read, eqn.invars))
                if _is_complex(eqn):
                    outs = _applied(eqn, operands)
                else:
                    out = eqn.primitive.bind(*operands, **eqn.params)
                    outs = out if eqn.primitive.multiple_results else [out]
                env.update(zip(eqn.outvars, outs, strict=True))
        return flat_parts(map(read, jaxpr.outvars))

    return rewrite(body, flat_avals(jaxpr.in_avals), "lowering complex arrays")


def flat_avals(avals: Sequence[ShapedArray]) -> list[ShapedArray]:
    """Types in which those of the two parts stand in the place of complex ones."""
    return [part for a in avals for part in ([real_aval(a)] * 2 if a.dtype.kind == "c" else [a])]


def _literal(literal: Literal) -> Any:
    value, weak = literal.val, literal.aval.weak_type
    if literal.aval.dtype.kind != "c":
        return value.item() if weak else value
    parts = [np.array(x) for x in (value.real, value.imag)]
    for part in parts:
        part.flags.writeable = False  # nobody need copy it
    return Parts(*[part.item() if weak else part[()] for part in parts])


def _applied(eqn: Equation, operands: Sequence[Any]) -> list[Any]:
    """The results of an equation with complex numbers, traced."""
    primitive = eqn.primitive
    if "parts" not in primitive.rules and "lower_as" in primitive.rules:
        return _expanded(eqn, operands)
    try:
        out = primitive.rule("parts")(*operands, **eqn.params)
    except (MissingRuleError, SizeError) as error:
        if eqn.source is not None:
            error.add_note(f"fnad: raised by your code at {eqn.source}")
        raise
    outs = list(out) if primitive.multiple_results else [out]
    if len(outs) != len(eqn.outvars):
        raise RuleError(
            f"the parts rule of primitive {primitive.name!r} returned {len(outs)} results, not"
            f" {len(eqn.outvars)}, in {eqn}"
        )
    return [_checked(x, v, eqn) for x, v in zip(outs, eqn.outvars)]


def _expanded(eqn: Equation, operands: Sequence[Any]) -> list[Any]:
    """What a ``lower_as`` rule composes, in real numbers."""
    primitive = eqn.primitive
    rule = primitive.rule("lower_as")

    def body(*args: Any) -> Sequence[Any]:
        outs = rule(*args, **eqn.params)
        return outs if primitive.multiple_results else [outs]

    program = rewrite(body, avals_of(eqn.invars), f"lowering {primitive.name}")
    outs = apply_jaxpr(in_parts(drop_dead(program)), flat_parts(operands))
    return joined_parts(outs, are_complex(program.out_avals))


def _checked(out: Any, var: Var, eqn: Equation) -> Any:
    """A result of a rule, whose scalars are given the shape that it must have."""
    aval = var.aval
    if aval.dtype.kind != "c":
        return _typed(out, aval, eqn)
    if type(out) is not Parts:
        raise RuleError(
            f"the parts rule of primitive {eqn.primitive.name!r} must return Parts for a complex"
            f" result, got {out!r}, in {eqn}"
        )
    part = real_aval(aval)
    return Parts(_typed(out.re, part, eqn), _typed(out.im, part, eqn))


def _typed(x: Any, aval: ShapedArray, eqn: Equation) -> Any:
    found = None if type(x) is Parts else aval_of(x)
    if found is None or found.dtype != aval.dtype or found.shape not in ((), aval.shape):
        raise RuleError(
            f"the parts rule of primitive {eqn.primitive.name!r} returned"
            f" {found or 'a complex result'}, its type_rule says {aval}, in {eqn}"
        )
    return x if found == aval else of_type(x, aval)
