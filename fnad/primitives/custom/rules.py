"""What custom_jvp and custom_vjp have in common: users' rules traced to programs."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import update_wrapper
from typing import Any

import numpy as np

from fnad.core.errors import RuleError
from fnad.core.flat_function import function_name
from fnad.core.ir import Jaxpr
from fnad.core.primitive import Zero
from fnad.core.tracer import Unknown, trace_to_jaxpr
from fnad.core.types import ShapedArray, aval_of, float0
from fnad.primitives.subprograms import (
    cast,
    embed_inputs,
    parts,
    same_type,
    weakly_fits,
)

SymbolicZero = Zero


class _RuleState(threading.local):
    def __init__(self) -> None:
        self.being_traced = False


rule_state = _RuleState()


@contextmanager
def tracing_rule() -> Iterator[None]:
    """Mark this thread as tracing a rule within the block."""
    saved, rule_state.being_traced = rule_state.being_traced, True
    try:
        yield
    finally:
        rule_state.being_traced = saved


def place_of(function: Callable[..., Any]) -> str:
    """A function's name and line, for messages about what it returned."""
    code = getattr(function, "__code__", None)
    where = f" ({code.co_filename}:{code.co_firstlineno})" if code is not None else ""
    return f"{function_name(function)}{where}"


def positional(function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Resolve keyword arguments and defaults to positions by the function's signature."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        if kwargs:
            raise
        return tuple(args)
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    if bound.kwargs:
        raise TypeError(
            f"{function_name(function)} has a custom derivative rule, which gets all arguments by"
            f" position; it cannot have keyword-only arguments ({', '.join(bound.kwargs)})"
        )
    return bound.args


def fit(value: Any, aval: ShapedArray, complain: Callable[[ShapedArray], Exception]) -> Any:
    """Check a rule's result; a Python scalar takes the dtype that it should have."""
    got = aval_of(value)
    if same_type(got, aval):
        return value
    if weakly_fits(got, aval):
        return cast(value, aval.strong())
    raise complain(got)


class TracedRule:
    """A rule as programs, one for each mask of arguments that have tangents.

    ``trace(key, values)`` returns a Jaxpr, the values it closed over, and something more to
    remember; ``values`` are what is known of the arguments, for Python control flow. Tracers
    closed over become operands of the call, of types ``const_avals``; arrays become literals.
    """

    def __init__(self, name: str, trace: Callable[..., tuple[Jaxpr, list[Any], Any]]) -> None:
        self.name = name
        self.trace = trace
        self.const_avals: list[ShapedArray] = []
        self.programs: dict[Any, tuple[Jaxpr, Any]] = {}

    def prepare(self, key: Any, values: Sequence[Any] | None) -> list[Any]:
        """Trace now, where what the rule closes over is alive; returns that."""
        with tracing_rule():
            jaxpr, consts, more = self.trace(key, values)
        self.programs[key] = jaxpr, more
        self.const_avals = [aval_of(c) for c in consts]
        return consts

    def __call__(self, key: Any) -> tuple[Jaxpr, Any]:
        if key not in self.programs:
            with tracing_rule():
                jaxpr, consts, more = self.trace(key, None)
            self.programs[key] = self._close(jaxpr, consts), more
        return self.programs[key]

    def _close(self, jaxpr: Jaxpr, consts: Sequence[Any]) -> Jaxpr:
        if consts:
            raise RuleError(
                f"{self.name} closes over a traced value of type {aval_of(consts[0])}, which is"
                " not possible where a custom rule is differentiated again (or has"
                " symbolic_zeros): make the value an argument of the function"
            )
        num_consts = len(self.const_avals)
        positions = range(num_consts, num_consts + len(jaxpr.invars))
        return embed_inputs(jaxpr, (*self.const_avals, *jaxpr.in_avals), tuple(positions))


def check_closed_over(what: str, tangents: Sequence[Any]) -> None:
    """Refuse tangents of values that a custom function closes over: its rule ignores them."""
    for tangent in tangents:
        if not isinstance(tangent, Zero):
            raise TypeError(
                f"{what} closes over a value ({aval_of(tangent)}) that is being differentiated,"
                " but its custom rule only says how to differentiate with respect to its"
                " arguments. Make that value an argument of the function, and let the rule"
                " handle it."
            )


def call_args(args: Sequence[Any], num_consts: int, num_rule_consts: int) -> list[Any]:
    """The operands of a custom call that its program takes: all but the rules' constants."""
    consts, _, rest = parts(args, num_consts, num_rule_consts)
    return [*consts, *rest]


class BoundCustom:
    """A custom function bound to an instance: the instance is its first argument."""

    def __init__(self, custom: Callable[..., Any], instance: Any) -> None:
        update_wrapper(self, custom)
        self.custom = custom
        self.instance = instance

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.custom(self.instance, *args, **kwargs)


def normalised(positions: Sequence[int], count: int) -> list[int]:
    """Argument positions counted from 0, in order, without those that the call does not have."""
    return sorted({i % count for i in positions if -count <= i < count})


def zero_tangent(aval: ShapedArray, symbolic: bool) -> Any:
    """The tangent that a rule gets where there is none."""
    if symbolic:
        return SymbolicZero(aval.strong())
    return np.zeros(aval.shape, float0)


def trace_rule(
    run: Callable[..., Sequence[Any]],
    primals: Sequence[ShapedArray],
    others: Sequence[ShapedArray],
    kind: str,
    values: Sequence[Any] | None,
) -> tuple[Jaxpr, list[Any]]:
    """Trace a rule; Python control flow may ask for the values of the primals, if known."""
    unknown = Unknown(kind)
    known = [unknown] * len(primals) if values is None else values
    values = [*known, *[unknown] * len(others)]
    return trace_to_jaxpr(run, [*primals, *others], kind, values, array_literals=True)
