"""The one tracer: running a Python function on tracers writes the program that it computes.

A `Trace` is a program being written. While one is active, every primitive that is applied is
recorded in the innermost trace. A `Tracer` stands for a variable of a trace. Arrays, and
tracers of enclosing traces, that a function closes over become leading inputs of its program.

A trace may know the values of some of its inputs (outside ``jit`` all of them). When Python
then asks a tracer for its value (``if x > 0``, ``float(x)``), just the equations which that
value needs are evaluated; otherwise an error names the user's line and the ways out.
"""

from __future__ import annotations

import dis
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import numpy as np

from fnad.core.advice import WAYS_OUT, add_recursion_note, add_source_note
from fnad.core.errors import (
    ConcretizationTypeError,
    RuleError,
    TracerArrayConversionError,
    TracerBoolConversionError,
    TracerIntegerConversionError,
    UnexpectedTracerError,
)
from fnad.core.interpret import as_value, evaluate_primitive
from fnad.core.ir import Atom, Equation, Jaxpr, Literal, Var
from fnad.core.ownership import Snapshots, own_results
from fnad.core.primitive import Primitive, install_evaluation
from fnad.core.source import SourceLine, user_line
from fnad.core.stack import stack
from fnad.core.types import ShapedArray, aval_of, is_device_array


class _Snapshots(threading.local):
    def __init__(self) -> None:
        self.of_arrays = Snapshots()


_snapshots = _Snapshots()

# A trace that is active in any thread: compiled code looks here whether it may run.
active_traces: list[Trace] = []


def current_trace() -> Trace | None:
    """The innermost trace of this thread, or None outside all tracing."""
    return stack.traces[-1] if stack.traces else None


@contextmanager
def suspend_tracing() -> Iterator[None]:
    """Evaluate primitives at once within the block, whatever trace is active outside."""
    saved, stack.traces = stack.traces, []
    try:
        yield
    finally:
        stack.traces = saved


class Unknown:
    """The value of an input that only exists when the program runs; says why."""

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason


class Trace:
    """A program being written.

    Parameters
    ----------
    kind : str
        Who traces, in the user's words: ``"jit of f"``, ``"the body of scan"``.
    array_literals : bool
        Whether arrays that the function closes over stand in its equations as literals, rather
        than becoming inputs: so rules may use arrays, and their programs still close over none.
    """

    def __init__(self, kind: str, array_literals: bool = False) -> None:
        self.kind = kind
        self.array_literals = array_literals
        self.alive = True
        self.eqns: list[Equation] = []
        self.invars: list[Var] = []
        self.consts: dict[int, tuple[Var, Any]] = {}
        self.values: dict[Var, Any] = {}
        self._makers: dict[Var, Equation] = {}
        self._num_indexed = 0
        self.source: SourceLine | None = None

    def new_input(self, aval: ShapedArray, value: Any, source: SourceLine | None) -> Tracer:
        """Add an input; ``value`` is an array, a tracer of an enclosing trace, or `Unknown`."""
        var = Var(aval)
        self.invars.append(var)
        self.values[var] = value
        return Tracer(self, var, source)

    def atom(self, value: Any) -> Atom:
        """Return the variable or literal of this trace that stands for ``value``."""
        if isinstance(value, Tracer):
            if value.recorder is self:
                return value.variable
            if not value.recorder.alive:
                raise_leaked(value)
            return self._closed_over(value, value.aval)
        aval = aval_of(value)
        if aval.shape == () and not is_device_array(value):
            return Literal(value, aval)
        snapshot = _snapshots.of_arrays.take(value)
        return Literal(snapshot, aval) if self.array_literals else self._closed_over(snapshot, aval)

    def _closed_over(self, value: Any, aval: ShapedArray) -> Var:
        key = id(value.variable if isinstance(value, Tracer) else value)
        found = self.consts.get(key)
        if found is not None:
            return found[0]
        var = Var(aval)
        self.consts[key] = (var, value)
        self.values[var] = value
        return var

    def record(self, primitive: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        """Append an equation and return tracers of its results."""
        source = self.source or user_line()
        operands: list[Atom] = []
        types: list[ShapedArray] = []
        try:
            for arg in args:
                own = type(arg) is Tracer and arg.recorder is self
                atom = arg.variable if own else self.atom(arg)
                operands.append(atom)
                types.append(atom.aval)
            avals = primitive.out_avals(types, params)
        except (TypeError, ValueError) as error:
            add_source_note(error, source)
            raise
        if primitive.multiple_results:
            outvars = tuple([Var(a) for a in avals])
            self.eqns.append(Equation(primitive, tuple(operands), outvars, params, source))
            return [Tracer(self, v, source) for v in outvars]
        var = Var(avals[0])
        self.eqns.append(Equation(primitive, tuple(operands), (var,), params, source))
        return Tracer(self, var, source)

    def inline(self, jaxpr: Jaxpr, args: Sequence[Any]) -> list[Any]:
        """Copy the equations of ``jaxpr`` into this trace, applied to ``args``."""
        env: dict[Atom, Atom] = dict(zip(jaxpr.invars, map(self.atom, args), strict=True))
        get, append, own = env.get, self.eqns.append, self.source
        for eqn in jaxpr.eqns:
            # A literal stands for itself; it is in no environment.
            invars = tuple([get(a, a) for a in eqn.invars])
            outs = eqn.outvars
            if len(outs) == 1:
                env[outs[0]] = var = Var(outs[0].aval)
                outvars: tuple[Var, ...] = (var,)
            else:
                outvars = tuple([Var(v.aval) for v in outs])
                env.update(zip(outs, outvars))
            append(Equation(eqn.primitive, invars, outvars, eqn.params, eqn.source or own))
        source = own or user_line()
        atoms = [get(a, a) for a in jaxpr.outvars]
        return [a.val if isinstance(a, Literal) else Tracer(self, a, source) for a in atoms]

    def _maker(self, var: Var) -> Equation:
        """The equation that defines a variable."""
        for eqn in self.eqns[self._num_indexed :]:
            self._makers.update(dict.fromkeys(eqn.outvars, eqn))
        self._num_indexed = len(self.eqns)
        return self._makers[var]

    def value_of(self, var: Var) -> Any:
        """Evaluate what ``var`` needs, and nothing else; raise if an input is `Unknown`."""
        stack = [var]
        while stack:
            top = stack[-1]
            if top in self.values:
                if isinstance(self.values[top], Tracer):
                    self.values[top] = self.values[top].concrete_value()
                if isinstance(self.values[top], Unknown):
                    raise _NotConcrete(self.values[top].reason)
                stack.pop()
                continue
            eqn = self._maker(top)
            ready = True
            for atom in eqn.invars:
                if isinstance(atom, Var):
                    known = self.values.get(atom)
                    if known is None or isinstance(known, (Tracer, Unknown)):
                        stack.append(atom)
                        ready = False
            if ready:
                args = [a.val if isinstance(a, Literal) else self.values[a] for a in eqn.invars]
                with suspend_tracing():
                    outs = evaluate_primitive(eqn.primitive, args, eqn.params)
                self.values.update(zip(eqn.outvars, outs, strict=True))
        return as_value(self.values[var])

    def finish(self, outs: Sequence[Any]) -> tuple[Jaxpr, list[Any]]:
        """Close the program with its outputs; return it and the values it closed over."""
        outvars = tuple([self.atom(o) for o in outs])
        const_vars = [var for var, _ in self.consts.values()]
        values = [value for _, value in self.consts.values()]
        return Jaxpr((*const_vars, *self.invars), tuple(self.eqns), outvars), values


class _NotConcrete(Exception):  # noqa: N818 - never reaches a user
    def __init__(self, reason: str) -> None:
        self.reason = reason


def trace_to_jaxpr(
    function: Callable[..., Sequence[Any]],
    avals: Sequence[ShapedArray],
    kind: str,
    values: Sequence[Any] | None = None,
    array_literals: bool = False,
) -> tuple[Jaxpr, list[Any]]:
    """Trace a function of flat arguments that returns a flat sequence.

    Parameters
    ----------
    function : callable
        Takes one tracer for each of ``avals``.
    avals : sequence of ShapedArray
        Types of the arguments.
    kind : str
        Who traces, in the user's words.
    values : sequence, optional
        What is known of the arguments: arrays, tracers of enclosing traces, or `Unknown`.
        By default nothing is.
    array_literals : bool
        Whether arrays that it closes over become literals rather than inputs (see `Trace`).

    Returns
    -------
    jaxpr : Jaxpr
        Its inputs are first what the function closed over, then the arguments.
    consts : list
        The values it closed over: read-only copies of arrays, as they were when the function
        read them, and tracers of enclosing traces.
    """
    trace = Trace(kind, array_literals)
    unknown = Unknown(kind)
    source = user_line()
    tracers = [
        trace.new_input(aval, unknown if values is None else values[i], source)
        for i, aval in enumerate(avals)
    ]
    stack.traces.append(trace)
    active_traces.append(trace)
    try:
        return trace.finish(function(*tracers))
    except RecursionError as error:
        # There is room for a message when the frames between have gone.
        if len(stack.traces) == 1:
            add_recursion_note(error)
        raise
    finally:
        stack.traces.pop()
        active_traces.remove(trace)
        if not stack.traces:
            _snapshots.of_arrays.clear()
        trace.alive = False


def rewrite(
    function: Callable[..., Sequence[Any]], avals: Sequence[ShapedArray], kind: str
) -> Jaxpr:
    """Trace a transform's own function to a Jaxpr that closes over nothing.

    Raises
    ------
    RuleError
        If a rule closed over a tracer of an enclosing trace, which the rewritten program may
        outlive.
    """
    jaxpr, consts = trace_to_jaxpr(function, avals, kind, array_literals=True)
    if consts:
        shown = ", ".join(str(aval_of(c)) for c in consts)
        raise RuleError(
            f"during {kind} a rule closed over traced arrays of type {shown}; a rule must get"
            " traced values as operands."
        )
    return jaxpr


@contextmanager
def sources() -> Iterator[Trace]:
    """The innermost trace, whose ``source`` the block sets to that of each equation it rewrites.

    What is recorded then is attributed to the user's line behind the equation.
    """
    trace = stack.traces[-1]
    saved = trace.source
    try:
        yield trace
    finally:
        trace.source = saved


def _evaluate(primitive: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
    for arg in args:
        if isinstance(arg, Tracer):
            raise_leaked(arg)
    # The type rule checks operands in the user's terms before NumPy sees them.
    primitive.out_avals([aval_of(a) for a in args], params)
    outs = evaluate_primitive(primitive, args, params)
    # Programs may hand on what they were given, which the user may change in place.
    return own_results(outs, args) if primitive.multiple_results else outs[0]


install_evaluation(_evaluate)


def apply_jaxpr(jaxpr: Jaxpr, args: Sequence[Any]) -> list[Any]:
    """Run a program on arrays or tracers: evaluated outside, inlined inside a trace.

    Evaluated results share no memory with the arguments or with each other.
    """
    trace = current_trace()
    if trace is not None:
        return trace.inline(jaxpr, args)
    from fnad.core.interpret import eval_jaxpr

    for arg in args:
        if isinstance(arg, Tracer):
            raise_leaked(arg)
    return own_results(eval_jaxpr(jaxpr, args), args)


def raise_leaked(tracer: Tracer) -> NoReturn:
    """Raise the error for a tracer that outlived its trace, or came to another thread."""
    if tracer.recorder.alive:
        raise UnexpectedTracerError(
            f"a traced array ({tracer.aval}) is used in another thread than that in which"
            f" {tracer.recorder.kind} is being traced. It was made at {tracer.source}. Start"
            " threads outside of transformed functions, and call these in them."
        )
    raise UnexpectedTracerError(
        f"a traced array ({tracer.aval}) is used after the tracing of {tracer.recorder.kind} has"
        f" ended. It was made at {tracer.source}. A transformed function must hand out"
        " its results by returning them, not through global variables, attributes, default"
        " arguments or closures."
    )


class Tracer:
    """Stands for an array in a function that is being traced.

    It has the attributes, operators and methods of an array; those that are not defined in
    this class are installed by `fnad.numpy` (see `install_array_methods`).
    """

    __slots__ = ("__weakref__", "aval", "recorder", "source", "variable")
    __array_priority__ = 1000

    def __init__(self, trace: Trace, var: Var, source: SourceLine | None) -> None:
        self.recorder = trace
        self.variable = var
        self.aval = var.aval
        self.source = source

    @property
    def shape(self) -> tuple[int, ...]:
        return self.aval.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.aval.dtype

    @property
    def ndim(self) -> int:
        return len(self.aval.shape)

    @property
    def size(self) -> int:
        return self.aval.size

    @property
    def weak_type(self) -> bool:
        return self.aval.weak_type

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a traced scalar: it has no axes")
        return self.shape[0]

    def concrete_value(self) -> Any:
        """Return the array this tracer stands for, if it can be known now.

        Raises
        ------
        _NotConcrete
            Internally; `concretize` turns it into the user's error.
        """
        if not self.recorder.alive:
            raise_leaked(self)
        return self.recorder.value_of(self.variable)

    def concretize(self, error: type[ConcretizationTypeError]) -> Any:
        """Return the concrete value for Python's use, or raise ``error`` with the ways out."""
        try:
            return self.concrete_value()
        except _NotConcrete as unknown:
            what, ways = WAYS_OUT[error]
            reason = unknown.reason
        made = f", made at {self.source}" if self.source is not None else ""
        raise error(
            f"{what}, but the value is a traced array ({self.aval}{made}), and it depends on an"
            f" argument of {reason} that is known only when the program runs.\n"
            f"  at: {user_line()}\n  ways out: {ways}."
        )

    def __bool__(self) -> bool:
        return bool(self.concretize(TracerBoolConversionError))

    def refuse_assignment(self) -> None:
        """Raise if a number is wanted for ``array[i] = tracer``, which would cut derivatives.

        NumPy asks for a float or an int then, as ``float(x)`` does; the bytecode of the caller
        tells the two apart.
        """
        frame = sys._getframe(2)
        if frame.f_code.co_code[frame.f_lasti] == dis.opmap["STORE_SUBSCR"]:
            self.__array__()

    def __float__(self) -> float:
        self.refuse_assignment()
        return float(self.concretize(ConcretizationTypeError))

    def __int__(self) -> int:
        self.refuse_assignment()
        return int(self.concretize(ConcretizationTypeError))

    def __complex__(self) -> complex:
        return complex(self.concretize(ConcretizationTypeError))

    def __index__(self) -> int:
        return self.concretize(TracerIntegerConversionError).__index__()

    def item(self, *index: int) -> Any:
        """The value of one element as a Python scalar, where it is known."""
        return self.concretize(ConcretizationTypeError).item(*index)

    def tolist(self) -> Any:
        """The values as nested Python lists, where they are known."""
        return self.concretize(ConcretizationTypeError).tolist()

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        if not self.recorder.alive:
            raise_leaked(self)
        raise TracerArrayConversionError(
            f"NumPy tried to turn a traced array ({self.aval}, made at {self.source}) into a"
            f" numpy.ndarray while {self.recorder.kind} is being traced, which would cut it out of"
            f" the program.\n  at: {user_line()}\n  ways out: call the function of fnad.numpy"
            " with the same name, use fnp.at(x)[i].set(v) in place of x[i] = v, fnp.at(x)[i].get()"
            " in place of x[i] where i is traced and x is not, or fnp.stack in place of"
            " np.array([...])."
        )

    def __hash__(self) -> int:
        raise TypeError(
            f"a traced array ({self.aval}) cannot be hashed: it cannot be a dictionary key, a"
            " member of a set or a static argument of jit"
        )

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        raise TypeError(
            "traced arrays cannot be changed in place: write x = fnp.at(x)[index].set(value) in"
            f" place of x[index] = value.\n  at: {user_line()}"
        )

    def __repr__(self) -> str:
        return f"Traced<{self.aval}> in {self.recorder.kind}"

    def __format__(self, spec: str) -> str:
        if not spec:
            return repr(self)
        return format(self.concretize(ConcretizationTypeError), spec)


def install_array_methods(methods: dict[str, Any]) -> None:
    """Give tracers the operators and methods of arrays; called once by `fnad.numpy`."""
    for name, method in methods.items():
        setattr(Tracer, name, method)
