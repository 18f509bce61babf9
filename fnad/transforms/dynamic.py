"""``jit(f, dynamic=...)``: one compiled function for all sizes of some axes.

The function is traced with sizes in the place of numbers (`fnad.core.sizes`), twice, with different
hints: what comes out has to be the same. What the program takes for granted of the sizes are facts,
which every call checks; calls of which they do not hold get a program of their own, or one for
their very sizes.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import update_wrapper
from typing import Any

import numpy as np

from fnad.core import tree
from fnad.core.flat_function import FlatFunction, function_name
from fnad.core.garbage import collection_paused
from fnad.core.ir import Equation, Jaxpr, Literal, sub_jaxprs
from fnad.core.polynomials import Polynomial, names, text
from fnad.core.sizes import Fact, Scope, Size, SizeError
from fnad.core.tracer import current_trace, trace_to_jaxpr
from fnad.core.types import ShapedArray
from fnad.lowering import STAGES
from fnad.lowering.dynamic_executable import DynamicExecutable
from fnad.lowering.dynamic_planner import DynamicError, DynamicPlan, plan_dynamic
from fnad.lowering.llvm.dynamic import emit_dynamic
from fnad.lowering.llvm.target import assembly
from fnad.lowering.parts import with_real_memory
from fnad.lowering.simplify import simplify
from fnad.transforms.dynamic_axes import Axes, Place, parse_axes, shown_sizes, solve
from fnad.transforms.signatures import Form, Splitter

# Programs that a function has for one structure of its arguments; other calls are static.
MAX_VARIANTS = 8

# Of the first name and, twice as large each, of the next ones.
_HINTS = 1009, 1680

# What the second hints of a program for unusual sizes may be, from the sizes themselves.
_OTHERS: tuple[Callable[[int], int], ...] = (
    *[lambda n, k=k: n + k for k in (1, 2, 3, 4, 5, 6, 8, 12, 16, 64)],
    *[lambda n, k=k: n * k for k in (2, 3, 4, 5, 8)],
)

# -- programs ------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Made:
    """One making of a program."""

    scope: Scope
    jaxpr: Jaxpr
    simplified: Jaxpr
    consts: list[Any]
    out_tree: Any
    plan: DynamicPlan
    text: str

    def facts(self) -> list[Fact]:
        return self.scope.facts

    def description(self) -> list[str]:
        """All that a call depends on besides the text."""
        plan = self.plan
        return [
            *map(str, self.facts()),
            *[f"{b} {b.role} {plan.slots.get(b.number)}" for b in plan.buffers],
            f"{plan.inputs} {plan.outputs} {plan.nbytes} {plan.complexes} {self.out_tree}",
        ]


@dataclass(slots=True)
class _Variant:
    """A program, and what must hold of sizes that it runs for."""

    facts: list[Fact]
    hints: dict[str, int]
    consts: list[Any]
    out_tree: Any
    run: DynamicExecutable

    def serves(self, sizes: Mapping[str, int]) -> bool:
        return _hold(self.facts, sizes)


@dataclass(slots=True)
class _Family:
    """What one structure of arguments has: the places of sizes, and the programs."""

    form: Form
    places: list[Place]
    names: list[str]
    variants: list[_Variant] = field(default_factory=list)
    usual: list[Fact] | None = None  # what the program of usual sizes takes for granted
    static: set[tuple[int, ...]] = field(default_factory=set)

    def serving(self, sizes: Mapping[str, int]) -> _Variant | None:
        """A program for these sizes, if there is one."""
        return next((v for v in self.variants if v.serves(sizes)), None)


class DynamicFunction:
    """What ``jit(f, dynamic=...)`` returns."""

    __name__: str

    def __init__(
        self, fun: Callable[..., Any], specs: Any, splitter: Splitter, static: Callable[..., Any]
    ) -> None:
        update_wrapper(self, fun)
        self._fun, self._splitter, self._static = fun, splitter, static
        self.__name__ = function_name(fun)
        specs = tuple(specs) if isinstance(specs, (list, tuple)) else (specs,)
        self._specs = [None if s is None else parse_axes(s) for s in specs]
        self._families: dict[Any, _Family] = {}
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"<dynamic jit of {self.__name__}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if current_trace() is not None:  # the sizes are known: those of what is being traced
            return self._static(*args, **kwargs)
        leaves, family, sizes = self._given(args, kwargs)
        variant = self._serving(family, sizes)
        if variant is None:
            try:
                return self._static(*args, **kwargs)
            except Exception as error:
                shown = shown_sizes(family.places, sizes)
                error.add_note(f"fnad: in this call of {self.__name__}, {shown}")
                raise
        outs = variant.run([*variant.consts, *leaves], sizes)
        return tree.unflatten(variant.out_tree, outs)

    def lower(self, *args: Any, **kwargs: Any) -> Any:
        """Trace for the types of the arguments (arrays or `ShapeDtypeStruct`), not run.

        What is returned has ``as_text`` and ``compile``, as for static functions, and is the
        program for all sizes for which this function makes no other one. Where sizes have a static
        program of their own, it is that one.
        """
        _, family, sizes = self._given(args, kwargs)
        variant = self._serving(family, sizes)
        if variant is None:
            return self._static.lower(*args, **kwargs)  # type: ignore[attr-defined]
        return DynamicLowered(self, family, variant)

    def _given(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[list[Any], _Family, dict[str, int]]:
        """The leaves of arguments, the programs of their structure, and their sizes."""
        leaves, form = self._splitter.split(args, kwargs)
        if form.backend != "cpu":
            raise TypeError(
                f"jit of {self.__name__}: dynamic sizes are for the CPU; leave dynamic away for"
                " arrays of CuPy"
            )
        family = self._family(args, form)
        return leaves, family, solve(self.__name__, family.places, leaves)

    def _serving(self, family: _Family, sizes: dict[str, int]) -> _Variant | None:
        """A program for these sizes, made if need be; None if that is a static one."""
        variant = family.serving(sizes)
        if variant is None:
            with self._lock:  # threads with the same sizes need one program
                variant = family.serving(sizes) or self._new_variant(family, sizes)
        return variant

    @property
    def num_programs(self) -> int:
        """How many native functions there are for all calls so far."""
        return sum(len(family.variants) for family in self._families.values())

    def clear_cache(self) -> None:
        """Forget all traced and compiled programs."""
        self._families.clear()

    # -- structures of arguments ------------------------------------------------------------

    def _family(self, args: tuple[Any, ...], form: Form) -> _Family:
        axes = self._axes_of_leaves(args, form)
        types = tuple([_masked(t, a) for t, a in zip(form.types, axes)])
        key = replace(form, types=types, layouts=()).key()
        family = self._families.get(key)
        if family is None:
            places = self._places(args, form, axes)
            found = dict.fromkeys(name for place in places for name in sorted(names(place.size)))
            family = self._families.setdefault(key, _Family(form, places, list(found)))
        return family

    def _axes_of_leaves(self, args: tuple[Any, ...], form: Form) -> list[Axes | None]:
        static = {i for i, _ in form.static_args}
        axes: list[Axes | None] = []
        for i, arg in enumerate(args):
            if i not in static:
                spec = self._specs[i] if i < len(self._specs) else None
                axes += [spec] * len(tree.leaves(arg))
        return axes + [None] * (len(form.types) - len(axes))

    def _places(
        self, args: tuple[Any, ...], form: Form, axes: Sequence[Axes | None]
    ) -> list[Place]:
        paths = self._paths(args, form)
        places = []
        for leaf, (aval, spec) in enumerate(zip(form.avals, axes)):
            if spec is None:
                continue
            sizes, more = spec
            if len(sizes) > aval.ndim or (len(sizes) < aval.ndim and not more):
                shown = " ".join("_" if s is None else text(s) for s in sizes)
                raise ValueError(
                    f"jit of {self.__name__}: dynamic names {len(sizes)} axes ({shown}) of"
                    f" {paths[leaf]}, which has {aval.ndim}: {aval}"
                )
            for k, size in enumerate(sizes):
                if size is not None:
                    places.append(Place(leaf, k, size, f"axis {k} of {paths[leaf]}"))
        return places

    def _paths(self, args: tuple[Any, ...], form: Form) -> list[str]:
        """How to speak of the leaves."""
        try:
            parameters = list(inspect.signature(self._fun).parameters)
        except (TypeError, ValueError):
            parameters = []
        static = {i for i, _ in form.static_args}
        paths = []
        for i, arg in enumerate(args):
            if i not in static:
                name = parameters[i] if i < len(parameters) else f"argument {i}"
                found = tree.flatten_with_path(arg)[0]
                paths += [f"{name}{tree.keystr(path)}" for path, _ in found]
        return paths + ["a keyword argument"] * (len(form.types) - len(paths))

    # -- programs ---------------------------------------------------------------------------

    def _new_variant(self, family: _Family, sizes: dict[str, int]) -> _Variant | None:
        """A program that serves these sizes; None if they get one of their own."""
        key = tuple(sizes.values())
        if key in family.static or len(family.variants) >= MAX_VARIANTS:
            return None
        (usual, others), (near, neighbours) = _hints(family.names, sizes)
        if family.usual is None or _hold(family.usual, sizes):
            scope = Scope(usual)
            try:
                made = self._make(family, scope)
            except Exception as error:
                if isinstance(error, (SizeError, DynamicError)):
                    raise
                # Else it may be one of other sizes than those of the call.
                family.usual = scope.facts
            else:
                family.usual = made.facts()
                if _hold(family.usual, sizes):
                    variant = self._compiled(family, made, others)
                    if variant is not None:
                        family.usual = variant.facts
                        family.variants.append(variant)
                        if variant.serves(sizes):
                            return variant
        with suppress(Exception):  # the static program says what is wrong with these sizes
            made = self._make(family, Scope(near))
            variant = self._compiled(family, made, neighbours)
            if variant is not None and variant.serves(sizes):
                family.variants.append(variant)
                return variant
        family.static.add(key)
        return None

    def _compiled(
        self, family: _Family, made: _Made, others: Sequence[dict[str, int]]
    ) -> _Variant | None:
        """The compiled program, if it comes out the same with the first other hints it allows."""
        second = next((h for h in others if _hold(made.facts(), h)), None)
        if second is None:
            return None
        self._check_same(made, self._make(family, Scope(second)))
        run = DynamicExecutable(made.plan, made.text, family.names)
        return _Variant(made.facts(), made.scope.hints, made.consts, made.out_tree, run)

    def _make(self, family: _Family, scope: Scope) -> _Made:
        form = family.form
        avals = list(form.avals)
        sizes = {name: scope.size(name) for name in family.names}
        for place in family.places:
            aval = avals[place.leaf]
            shape = list(aval.shape)
            shape[place.axis] = _size(place.size, sizes)
            avals[place.leaf] = ShapedArray(tuple(shape), aval.dtype, aval.weak_type)
        static_args, static_kwargs = dict(form.static_args), dict(form.static_kwargs)

        def of_arrays(*dynamic: Any, **kwargs: Any) -> Any:
            given = iter(dynamic)
            args = [
                static_args[i] if i in static_args else next(given) for i in range(form.num_args)
            ]
            return self._fun(*args, **kwargs, **static_kwargs)

        of_arrays.__name__ = self.__name__
        flat = FlatFunction(of_arrays, form.in_tree)
        with collection_paused():
            jaxpr, consts = trace_to_jaxpr(flat, avals, f"jit of {self.__name__}")
            if scope.shown is not None:
                raise SizeError(
                    f"jit of {self.__name__}: the text of a size was taken at {scope.shown}. It is"
                    " that of a name, not of a number, and what is made of it would be wrong. Print"
                    " arrays instead, whose text has their sizes, or leave the axis static."
                )
            with scope.lowered():
                simplified = simplify(with_real_memory(jaxpr))
            plan = plan_dynamic(simplified, scope, [*jaxpr.in_avals, *jaxpr.out_avals])
            with scope.lowered():
                code = emit_dynamic(plan, family.names)
        return _Made(scope, jaxpr, simplified, consts, flat.out_tree, plan, code)

    def _check_same(self, one: _Made, other: _Made) -> None:
        """Check that a program does not depend on the hints."""
        arrays = [[*made.consts, *_arrays(made.simplified)] for made in (one, other)]
        if (
            one.text == other.text
            and one.description() == other.description()
            and len(arrays[0]) == len(arrays[1])
            and all(map(_same_array, *arrays))
        ):
            return
        where = ""
        for a, b in zip(_equations(one.simplified), _equations(other.simplified)):
            if str(a).partition("=")[2].split(" ")[1] != str(b).partition("=")[2].split(" ")[1] or (
                str(a.params) != str(b.params)
                or [str(v.aval) for v in a.outvars] != [str(v.aval) for v in b.outvars]
                or [repr(v) for v in a.invars if isinstance(v, Literal)]
                != [repr(v) for v in b.invars if isinstance(v, Literal)]
            ):
                line = f" at {a.source.short}" if a.source else ""
                where = f" The first equation that differs{line}: {a}  |  {b}"
                break
        raise DynamicError(
            f"jit of {self.__name__}: the program is not the same for all sizes: traced for"
            f" {one.scope.hints} and for {other.scope.hints}, it came out differently. The function"
            " has to be the same each time that it is traced: no random numbers of NumPy, no"
            f" counters of calls.{where}"
        )


class DynamicLowered:
    """A program for many sizes, to be looked at or compiled."""

    def __init__(self, function: DynamicFunction, family: _Family, variant: _Variant) -> None:
        self._function, self._family, self._variant = function, family, variant

    @property
    def facts(self) -> list[str]:
        """What the program takes for granted of sizes: calls of which it holds run it."""
        return [str(fact) for fact in self._variant.facts]

    def as_text(self, stage: str = "llvm") -> str:
        """The program at a stage: ``jaxpr``, ``simplified``, ``plan``, ``llvm`` or ``asm``."""
        if stage not in STAGES:
            raise ValueError(f"there is no stage {stage!r}: choose one of {', '.join(STAGES)}")
        made = self._function._make(self._family, Scope(self._variant.hints))
        if stage == "asm":
            return assembly(made.text)
        if stage == "llvm":
            return made.text
        return str(made.plan if stage == "plan" else getattr(made, stage))

    def compile(self) -> DynamicCompiled:
        """Compile the program."""
        self._variant.run.compile()
        return DynamicCompiled(self._function, self._family, self._variant)


class DynamicCompiled:
    """A program compiled for many sizes; callable with arguments for which it was lowered."""

    def __init__(self, function: DynamicFunction, family: _Family, variant: _Variant) -> None:
        self._function, self._family, self._variant = function, family, variant

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        function, variant = self._function, self._variant
        leaves, family, sizes = function._given(args, kwargs)
        if family is not self._family:
            raise TypeError(
                f"{function.__name__} was compiled for arguments of types {self._family.form}, but"
                f" is called with {family.form}"
            )
        wrong = next((fact for fact in variant.facts if not fact.check(sizes)), None)
        if wrong is not None:
            raise ValueError(
                f"{function.__name__} was compiled for sizes with {wrong}, but in this call"
                f" {shown_sizes(family.places, sizes)}. Call the function that was lowered: it has"
                " programs for all sizes."
            )
        outs = variant.run([*variant.consts, *leaves], sizes)
        return tree.unflatten(variant.out_tree, outs)


def _hold(facts: Iterable[Fact], sizes: Mapping[str, int]) -> bool:
    return all(fact.check(sizes) for fact in facts)


def _masked(kind: Any, axes: Axes | None) -> Any:
    """The type of a leaf without its sizes that vary."""
    if axes is None:
        return kind
    shape, *rest = (kind.shape, kind.dtype, True) if isinstance(kind, ShapedArray) else kind
    dynamic = axes[0]
    return (
        tuple(
            [-1 if k < len(dynamic) and dynamic[k] is not None else n for k, n in enumerate(shape)]
        ),
        *rest,
    )


def _size(terms: Polynomial, sizes: Mapping[str, Size]) -> Any:
    """A polynomial of sizes."""
    total: Any = 0
    for factors, c in terms:
        for node in factors:
            if isinstance(node, str):
                c = sizes[node] * c
            else:
                p, q = _size(node[1], sizes), _size(node[2], sizes)
                c = (p // q if node[0] == "//" else p % q) * c
        total = c + total
    return total


def _hints(
    order: Sequence[str], sizes: Mapping[str, int]
) -> Iterator[tuple[dict[str, int], list[dict[str, int]]]]:
    """Hints, and those to compare with: usual ones, then the sizes of the call themselves."""
    usual = [{name: first << i for i, name in enumerate(order)} for first in _HINTS]
    odd = [{name: (first << i) - i % 2 for i, name in enumerate(order)} for first in (1511, 4001)]
    primes = dict(zip(order, (1009, 2003, 4001, 8009, 16001, 32003)))
    yield (primes if len(primes) == len(order) else usual[0]), [usual[1], *odd]
    near = [{name: change(n) for name, n in sizes.items()} for change in _OTHERS]
    alone = [{**sizes, name: change(sizes[name])} for name in sizes for change in _OTHERS]
    yield dict(sizes), [h for h in (*near, *alone) if h != sizes]


def _equations(jaxpr: Jaxpr) -> Iterator[Equation]:
    for eqn in jaxpr.eqns:
        yield eqn
        for inner in sub_jaxprs(eqn):
            yield from _equations(inner)


def _arrays(jaxpr: Jaxpr) -> list[Any]:
    """The arrays that stand in a program."""
    atoms = [a for eqn in _equations(jaxpr) for a in eqn.invars]
    return [a.val for a in (*atoms, *jaxpr.outvars) if isinstance(a, Literal) and a.aval.shape]


def _same_array(x: Any, y: Any) -> bool:
    x, y = np.asarray(x), np.asarray(y)
    return x.shape == y.shape and x.dtype == y.dtype and x.tobytes() == y.tobytes()
