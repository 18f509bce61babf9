"""Evaluation of programs with NumPy, equation by equation: the slow, obvious reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnad.core.advice import add_source_note
from fnad.core.checks import look_for_nans, lookers
from fnad.core.errors import RuleError
from fnad.core.ir import Atom, Equation, Jaxpr, Literal, Var
from fnad.core.primitive import Primitive
from fnad.core.rewrites import get_rewrites
from fnad.core.types import TAPE, ShapedArray, is_device_array, native


def as_value(value: Any) -> Any:
    """Normalise a value: rank-0 ones are NumPy scalars, the rest arrays of native byte order.

    Arrays on a card stay what they are.
    """
    if type(value) is np.ndarray:
        return native(value) if value.shape else native(value)[()]
    if isinstance(value, np.generic) or is_device_array(value):
        return value
    return native(np.asarray(value))[()]


def evaluate_primitive(
    primitive: Primitive, args: Sequence[Any], params: dict[str, Any]
) -> list[Any]:
    """Evaluate one primitive with NumPy and return the list of its results.

    If an operand lies on a card, a program of this one primitive runs there.
    """
    with np.errstate(all="ignore"):
        return _evaluate_quietly(primitive, args, params)


def _evaluate_quietly(
    primitive: Primitive, args: Sequence[Any], params: dict[str, Any]
) -> list[Any]:
    """Evaluate one primitive where warnings of NumPy are off: to turn them off has its price."""
    operands = []
    for arg in args:
        if isinstance(arg, np.ndarray):
            operands.append(native(arg))
        elif is_device_array(arg):
            return get_rewrites().evaluate_on_device(primitive, args, params)
        else:
            operands.append(arg)
    out = primitive.rule("evaluate")(*operands, **params)
    outs = [as_value(o) for o in out] if primitive.multiple_results else [as_value(out)]
    if lookers:
        look_for_nans(primitive.name, args, outs)
    return outs


def check_evaluated(eqn: Equation, outs: Sequence[Any]) -> None:
    """Check that an evaluate rule kept the promise of the type rule."""
    for var, out in zip(eqn.outvars, outs, strict=True):
        if var.aval.shape != out.shape or var.aval.dtype != out.dtype:
            if TAPE in var.aval.shape and _is_tape(var.aval, out):
                continue
            raise RuleError(
                f"the evaluate rule of primitive {eqn.primitive.name!r} returned"
                f" {out.dtype}{list(out.shape)}, but its type_rule says {var.aval}, in {eqn}"
            )


def _is_tape(aval: ShapedArray, out: Any) -> bool:
    """Whether a value is of a type but for the length of tapes."""
    lengths = zip(aval.shape, out.shape)
    agree = all(want in (TAPE, length) for want, length in lengths)
    return agree and aval.ndim == out.ndim and aval.dtype == out.dtype


def last_uses(jaxpr: Jaxpr) -> list[list[Var]]:
    """For each equation, the variables that nothing reads after it."""
    seen: set[Atom] = set(jaxpr.outvars)
    dead: list[list[Var]] = []
    for eqn in reversed(jaxpr.eqns):
        here = [a for a in dict.fromkeys((*eqn.invars, *eqn.outvars)) if isinstance(a, Var)]
        dead.append([v for v in here if v not in seen])
        seen.update(here)
    return dead[::-1]


def eval_jaxpr(jaxpr: Jaxpr, args: Sequence[Any]) -> list[Any]:
    """Evaluate a program on arrays; values are freed after their last use."""
    from fnad.core.tracer import suspend_tracing  # the tracer imports this module

    env: dict[Atom, Any] = dict(zip(jaxpr.invars, args, strict=True))
    read: Callable[[Atom], Any] = lambda a: a.val if isinstance(a, Literal) else env[a]  # noqa: E731
    frees = jaxpr.memo.get("last_uses")
    if frees is None:
        frees = jaxpr.memo["last_uses"] = last_uses(jaxpr)
    with suspend_tracing(), np.errstate(all="ignore"):
        for eqn, dead in zip(jaxpr.eqns, frees, strict=True):
            try:
                operands = [read(a) for a in eqn.invars]
                outs = _evaluate_quietly(eqn.primitive, operands, eqn.params)
            except Exception as error:
                add_source_note(error, eqn.source)
                raise
            check_evaluated(eqn, outs)
            env.update(zip(eqn.outvars, outs, strict=True))
            for var in dead:
                env.pop(var, None)
        return [as_value(read(a)) for a in jaxpr.outvars]
