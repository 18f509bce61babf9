"""``jit``: trace a function once for each signature, compile its program, run that.

Calls whose arguments have a signature that was met before take the native way
(`fnad.lowering.native`); what is written here serves the others.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial, update_wrapper
from types import MethodType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from fnad.core import tree
from fnad.core.axes import bound_axes
from fnad.core.checks import jit_is_disabled
from fnad.core.errors import OutOfMemoryError, RecompilationWarning
from fnad.core.flat_function import FlatFunction, function_name, hide_float0, is_float0
from fnad.core.garbage import collection_paused
from fnad.core.ir import Jaxpr
from fnad.core.tracer import Tracer, current_trace, trace_to_jaxpr
from fnad.core.types import is_device_array
from fnad.lowering import compile_for_device, compile_jaxpr, lowered_text, profile_jaxpr
from fnad.lowering.native.calls import NativeCallable
from fnad.lowering.native.signatures import Signature, Static, Unsupported
from fnad.primitives.calls import jit_p
from fnad.transforms import recompiles
from fnad.transforms.argument_positions import as_positions
from fnad.transforms.layouts import Layouts, bases, can_have_order, with_layouts
from fnad.transforms.memory import out_of_memory
from fnad.transforms.placement import put_arrays
from fnad.transforms.signatures import Form, Splitter

if TYPE_CHECKING:
    from fnad.lowering.profiling import NodeTime

# Programs that are kept of one function; the one that was used longest ago goes first.
MAX_PROGRAMS = 512

# Layouts of its arguments for which one of them is compiled; arrays in others are copied.
MAX_LAYOUTS = 8

# The compilation of one function at which the user is told why there are so many.
_WARN_AT = 3


@dataclass(slots=True)
class _Program:
    """A function traced for one form of its arguments.

    It is compiled for each of the layouts that they come in; ``calls`` counts the calls through
    Python by these. ``placed`` says whether ``consts`` lie on the card that it runs on.
    """

    form: Form
    jaxpr: Jaxpr
    consts: list[Any]
    out_tree: Any
    calls: dict[Layouts, int] = field(default_factory=dict)
    placed: bool = False

    @property
    def donated(self) -> tuple[int, ...]:
        """The inputs of the program that are donated."""
        return tuple([len(self.consts) + i for i in self.form.donated])

    @property
    def backend(self) -> str:
        return self.form.backend

    def for_layouts(self, layouts: Layouts) -> Jaxpr:
        """The program that takes the leaves as they lie in memory."""
        return with_layouts(self.jaxpr, layouts)

    def executable(self, layouts: Layouts) -> Callable[[Sequence[Any]], list[Any]]:
        compile_program = compile_jaxpr if self.backend == "cpu" else compile_for_device
        return compile_program(self.for_layouts(layouts), self.donated)

    def inputs(self, leaves: Sequence[Any], layouts: Layouts) -> list[Any]:
        return [*self.consts, *bases(leaves, layouts)]

    def run(self, leaves: Sequence[Any], layouts: Layouts) -> Any:
        if self.backend == "cuda" and not self.placed:
            self.consts, self.placed = put_arrays(self.consts), True
        try:
            outs = self.executable(layouts)(self.inputs(leaves, layouts))
        except OutOfMemoryError:
            raise
        except MemoryError as error:
            raise out_of_memory(self.jaxpr, error) from None
        return tree.unflatten(self.out_tree, outs)

    def served(self, layouts: Layouts) -> Layouts:
        """The layouts with which such a call is run: C order if there are programs enough."""
        room = layouts in self.calls or len(self.calls) < MAX_LAYOUTS
        return layouts if room else ()

    def signature(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], layouts: Layouts, strict: bool
    ) -> Signature | None:
        """For calls like one with these arguments (static ones marked), if it can be native."""
        if self.backend != "cpu":
            return None
        executable = compile_jaxpr(self.for_layouts(layouts), self.donated)
        avals = self.form.avals
        others = can_have_order(avals, self.form.donated) if strict else ()
        try:
            routine = executable.routine(self.consts)
            return Signature(
                routine, args, kwargs, avals, self.out_tree, layouts=layouts, refused=others
            )
        except Unsupported:
            return None


class Compiled(NativeCallable):
    """A function compiled for one signature; callable with arguments of that signature.

    Arrays in other layouts than those that it was lowered for are copied.
    """

    def __init__(self, jitted: JitFunction, program: _Program, layouts: Layouts) -> None:
        super().__init__()
        self._jitted = jitted
        self._program = program
        self._layouts = layouts
        self._calls = 0
        program.executable(layouts)  # compiled now

    def __reduce__(self) -> Any:
        raise _not_portable(self._jitted)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        form = self._program.form
        splitter = self._jitted._splitter
        leaves, given = splitter.flatten(
            args, kwargs, form.static_args, form.static_kwargs, form.num_args
        )
        if given.key() != form.key():
            raise TypeError(
                f"{self._jitted.__name__} was compiled for arguments of types {form}, but is"
                f" called with {given}"
            )
        self._calls += 1
        # Calls may come this way again for other reasons than their types, so each next attempt
        # waits twice as long.
        if _is_power_of_two(self._calls) and _make_native(
            self, self._program, args, kwargs, self._layouts, strict=bool(self._layouts)
        ):
            del leaves  # a call can only take over donated arrays that nobody else has
            return self(*args, **kwargs)
        return self._program.run(leaves, self._layouts)

    def profile(self, *args: Any, repeats: int = 20, **kwargs: Any) -> list[NodeTime]:
        """Run the function ``repeats`` times and time the kernels of its program.

        The program is compiled once more, with looks at the clock between its kernels. Programs
        on a card are timed by the tools that come with CUDA.
        """
        program, layouts = self._program, self._layouts
        if program.backend != "cpu":
            raise ValueError(
                f"profile of {self._jitted.__name__}: it runs on a card. Nsight Systems and Nsight"
                " Compute show its kernels under the names that lower(...).as_text() shows."
            )
        form = program.form
        leaves, _ = self._jitted._splitter.flatten(
            args, kwargs, form.static_args, form.static_kwargs, form.num_args
        )
        jaxpr = program.for_layouts(layouts)
        return profile_jaxpr(jaxpr, program.inputs(leaves, layouts), repeats, program.donated)


def _not_portable(jitted: JitFunction) -> TypeError:
    return TypeError(
        f"what is compiled of {jitted.__name__} cannot be pickled or copied: it is machine code of"
        " this process. Call the function of jit where the results are wanted; another process"
        " finds what was compiled in the cache on disk."
    )


class Lowered:
    """A function traced for one signature, to be looked at or compiled."""

    def __init__(self, jitted: JitFunction, program: _Program, layouts: Layouts) -> None:
        self._jitted = jitted
        self._program = program
        self._layouts = layouts

    def __reduce__(self) -> Any:
        raise _not_portable(self._jitted)

    def as_text(self, stage: str | None = None) -> str:
        """The program at a stage: ``jaxpr``, ``simplified``, ``plan``, ``llvm`` or ``asm``.

        Of a program for a card: ``jaxpr``, ``simplified``, ``plan`` or ``cuda``. By default, the
        source that is compiled: ``llvm`` or ``cuda``.
        """
        program = self._program
        stage = stage or ("llvm" if program.backend == "cpu" else "cuda")
        jaxpr = program.for_layouts(self._layouts)
        return lowered_text(jaxpr, stage, program.donated, program.backend)

    def compile(self) -> Compiled:
        """Compile for the signature that was lowered."""
        return Compiled(self._jitted, self._program, self._layouts)


class _Programs:
    """The programs of one function by the keys of their forms, the last one used last."""

    def __init__(self) -> None:
        self._by_key: OrderedDict[Any, _Program] = OrderedDict()
        self.forms: list[Form] = []  # of the first compilations

    def find(self, key: Any) -> _Program | None:
        program = self._by_key.get(key)
        if program is not None:
            with suppress(KeyError):  # another thread has dropped it
                self._by_key.move_to_end(key)
        return program

    def add(self, key: Any, program: _Program) -> None:
        self._by_key[key] = program
        while len(self._by_key) > MAX_PROGRAMS:
            with suppress(KeyError):  # another thread was first
                self._by_key.popitem(last=False)

    def clear(self) -> None:
        self._by_key.clear()
        self.forms.clear()


# By function, so that jit(f) written again (in a loop, say) finds what jit(f) has compiled.
_programs: WeakKeyDictionary[Any, _Programs] = WeakKeyDictionary()


def _programs_of(fun: Callable[..., Any]) -> _Programs:
    try:
        return _programs.setdefault(fun, _Programs())
    except TypeError:  # a callable that cannot be hashed or weakly referred to
        return _Programs()


class JitFunction(NativeCallable):
    """What `jit` returns; calling it runs the compiled function."""

    __name__: str

    def __init__(self, fun: Callable[..., Any], splitter: Splitter) -> None:
        super().__init__()
        update_wrapper(self, fun)
        self._fun = fun
        self.__name__ = function_name(fun)
        self._splitter = splitter
        self._programs = _programs_of(fun)

    def __repr__(self) -> str:
        return f"<jit of {self.__name__}>"

    def __reduce__(self) -> str:
        """Copied and pickled by name, as functions are."""
        return getattr(self, "__qualname__", self.__name__)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if jit_is_disabled():
            return self._fun(*args, **kwargs)
        try:
            leaves, form = self._splitter.split(args, kwargs)
        except TypeError:
            if not any(map(is_float0, tree.leaves((args, kwargs)))):
                raise
            args, kwargs = hide_float0((args, kwargs))
            return self(*args, **kwargs)
        program = self._traced(form)
        if current_trace() is not None:
            operands = [*program.consts, *leaves]
            outs = jit_p.bind(*operands, jaxpr=program.jaxpr, name=self.__name__)
            return tree.unflatten(program.out_tree, outs)
        layouts = self._served(program, form)
        program.calls[layouts] = calls = program.calls[layouts] + 1
        # A second call suggests that there will be more.
        likely = calls > 1 and _is_power_of_two(calls) and not bound_axes()
        if likely and _make_native(
            self, program, *self._marked(args, kwargs), layouts, strict=True
        ):
            del leaves
            return self(*args, **kwargs)
        return program.run(leaves, layouts)

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """Trace for the types of the arguments (arrays or `ShapeDtypeStruct`), not run."""
        form = self._splitter.split(args, kwargs)[1]
        program = self._traced(form)
        return Lowered(self, program, self._served(program, form))

    def clear_cache(self) -> None:
        """Forget all traced and compiled programs."""
        self._programs.clear()
        self.clear_signatures()

    def _marked(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments, static ones marked as such."""
        positions, names = self._splitter.static_positions(len(args)), self._splitter.argnames
        return (
            tuple(Static(a) if i in positions else a for i, a in enumerate(args)),
            {k: Static(v) if k in names else v for k, v in kwargs.items()},
        )

    def _traced(self, form: Form) -> _Program:
        key = form.key()
        program = self._programs.find(key)
        if program is None:
            program = self._trace(form)
            # A program that closes over tracers serves only the trace that they belong to.
            if not any(isinstance(c, Tracer) for c in program.consts):
                self._programs.add(key, program)
                self._explain(form)
        return program

    def _served(self, program: _Program, form: Form) -> Layouts:
        """The layouts with which a call is run, for which the program will be compiled."""
        layouts = program.served(form.layouts)
        if layouts not in program.calls:
            if program.calls:  # else its tracing is explained
                self._explain(replace(form, layouts=layouts))
            program.calls[layouts] = 0
        return layouts

    def _explain(self, form: Form) -> None:
        """Tell those who asked, and at the third compilation the user, what is new."""
        forms = self._programs.forms
        counts = current_trace() is None and len(forms) < _WARN_AT
        if counts:
            forms.append(form)
        warn = counts and len(forms) == _WARN_AT
        if not warn and not recompiles.listeners:
            return
        past = forms if counts else [*forms, form]
        reason = recompiles.explanation(self.__name__, self._fun, past)
        for listener in recompiles.listeners:
            listener(self.__name__, reason)
        if warn:
            warnings.warn(
                f"compilation {_WARN_AT} of one function; each takes time. {reason}\nPad arrays"
                " to few shapes, or make what changes an array instead of a static value. This"
                " warning comes once for each function.",
                RecompilationWarning,
                stacklevel=4,
            )

    def _trace(self, form: Form) -> _Program:
        static_args, static_kwargs = dict(form.static_args), dict(form.static_kwargs)

        def of_dynamic(*dynamic: Any, **kwargs: Any) -> Any:
            given = iter(dynamic)
            args = [
                static_args[i] if i in static_args else next(given) for i in range(form.num_args)
            ]
            return self._fun(*args, **kwargs, **static_kwargs)

        of_dynamic.__name__ = self.__name__
        flat = FlatFunction(of_dynamic, form.in_tree)
        with collection_paused():
            jaxpr, consts = trace_to_jaxpr(flat, form.avals, f"jit of {self.__name__}")
        if form.backend == "cpu" and any(map(is_device_array, consts)):
            form = self._on_device(form)
        return _Program(form, jaxpr, consts, flat.out_tree)

    def _on_device(self, form: Form) -> Form:
        """The form of a call without arrays of a function that closes over some on a card."""
        if any(aval.shape for aval in form.avals):
            raise TypeError(
                f"jit of {self.__name__}: the function closes over arrays of CuPy, but is called"
                " with NumPy arrays. Move the arguments to the card with fnad.device_put."
            )
        return replace(form, backend="cuda")


def _make_native(
    function: NativeCallable,
    program: _Program,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    layouts: Layouts,
    strict: bool,
) -> bool:
    """Let calls like this one be native from now on, if they can be.

    ``strict`` leaves arrays in other layouts to the general path, which may compile for them.
    """
    signature = program.signature(args, kwargs, layouts, strict)
    return signature is not None and function.add_signature(signature)


def _is_power_of_two(number: int) -> bool:
    return number & (number - 1) == 0


def _named(
    fun: Callable[..., Any], what: str, argnums: Any, argnames: Any
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The arguments that ``what_argnums`` and ``what_argnames`` name."""
    where = f"jit of {function_name(fun)}"
    names = (argnames,) if isinstance(argnames, str) else argnames
    texts = isinstance(names, Iterable) and all(isinstance(name, str) for name in names)
    if not (names is None or texts):
        raise TypeError(
            f"{where}: {what}_argnames must be a string or a sequence of strings, the names of"
            f" arguments, got {argnames!r}"
        )
    numbers = () if argnums is None else as_positions(where, argnums, f"{what}_argnums")
    return numbers, tuple(names or ())


def jit(
    fun: Callable[..., Any] | None = None,
    *,
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Sequence[str] | None = None,
    donate_argnums: int | Sequence[int] | None = None,
    donate_argnames: str | Sequence[str] | None = None,
    backend: str | None = None,
    dynamic: str | Sequence[str | None] | None = None,
) -> Any:
    """Compile a function of arrays to native code.

    The function is traced when it is called with arguments of a new signature: pytree
    structure, shapes, dtypes, and values of static arguments. The compiled program is kept;
    arrays that the function closes over are copied then, so later changes are not seen; only
    arrays that are read-only, and no views of others that are not, need no copy.

    Arguments are read where they lie if they are in C order. So are large ones in another order
    of axes, such as ``x.T``, for each of which the program is compiled once; what else is not in C
    order is copied at every call.

    Parameters
    ----------
    fun : callable
        Function of arrays (or pytrees of them) with such results. It must be pure: its Python
        side effects happen only while it is traced.
    static_argnums : int or sequence of int, optional
        Positional arguments that are no arrays; they must be hashable.
    static_argnames : str or sequence of str, optional
        The same by name.
    donate_argnums, donate_argnames : optional
        Arguments that the caller will not use again: parameters and optimiser states, say. The
        memory of their arrays may go to results of the same types; then the arrays that were
        passed are left without elements. That happens to arrays that own their memory, may be
        written, and are referred to by nothing but one container, so that nobody can be looking
        at what is overwritten. All others stay as they are.
    dynamic : str or sequence of str, optional
        Names for axes whose sizes differ from call to call, one string for each positional
        argument: ``("n d", "d", None)``. The program is compiled once for all sizes, for the CPU.
        An entry is a name, an expression of names without blanks (``2*n+1``), or ``_`` for an
        axis of fixed size; ``...`` at the end stands for more such axes. A string is for all
        arrays of its argument; None, or no string, for arguments of fixed shapes. See
        docs/dynamic_sizes.md.

    Returns
    -------
    callable
        Computes what ``fun`` does. It has a method ``lower(*args)`` whose result has
        ``as_text(stage)`` and ``compile()``.

    Raises
    ------
    ValueError
        If a static argument is not hashable.
    TypeError
        If an argument or a result is not an array, or some arguments are arrays of NumPy and others
        of CuPy.
    BackendError
        If it is to run on a card and CuPy or the card is missing; it says which.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> @fnad.jit
    ... def f(x):
    ...     return np.sin(x) * 2
    >>> f(np.float32(0.0))
    np.float32(0.0)

    One program for all sizes:

    >>> outer = fnad.jit(lambda x, y: x[:, None] * y, dynamic=("n", "m"))
    >>> outer(np.ones(2), np.ones(3)).shape, outer(np.ones(70), np.ones(1)).shape
    ((2, 3), (70, 1))
    """
    if fun is None:
        return partial(
            jit,
            static_argnums=static_argnums,
            static_argnames=static_argnames,
            donate_argnums=donate_argnums,
            donate_argnames=donate_argnames,
            backend=backend,
            dynamic=dynamic,
        )
    if backend not in (None, "cpu", "cuda"):
        raise ValueError(f"jit has the backends 'cpu' and 'cuda', got backend={backend!r}")
    if not callable(fun):
        raise TypeError(f"jit takes a function, got {fun!r} of type {type(fun).__name__}")
    static = _named(fun, "static", static_argnums, static_argnames)
    donated = _named(fun, "donate", donate_argnums, donate_argnames)
    splitter = Splitter(fun, *static, *donated, backend)
    function = JitFunction(fun, splitter)
    if dynamic is None:
        return function
    if any(donated):
        raise ValueError("jit: functions of dynamic sizes take over no memory; leave donate_ away")
    from fnad.transforms.dynamic import DynamicFunction  # few programs need it

    return DynamicFunction(fun, dynamic, splitter, function)
