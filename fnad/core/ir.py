"""The one IR: a ``Jaxpr`` is an immutable, typed list of equations in SSA form.

A Jaxpr is closed over nothing: what the traced function closed over stands as its leading
inputs. ``ClosedJaxpr`` pairs a Jaxpr with the values of those leading inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from fnad.core.errors import InternalError
from fnad.core.forks import forks_deferred
from fnad.core.garbage import collection_paused
from fnad.core.source import SourceLine
from fnad.core.types import ShapedArray

if TYPE_CHECKING:
    from fnad.core.primitive import Primitive


class Var:
    """A variable: written once, compared by identity."""

    __slots__ = ("aval",)

    def __init__(self, aval: ShapedArray) -> None:
        self.aval = aval

    def __repr__(self) -> str:
        return f"Var:{self.aval}"


class Literal:
    """A constant that stands in an equation itself: a scalar, or an array that a rule made.

    An array is read-only, and compared by identity; programs print its type alone.
    """

    __slots__ = ("aval", "val")

    def __init__(self, val: Any, aval: ShapedArray) -> None:
        if aval.shape or (isinstance(val, np.generic) and val.dtype is aval.dtype):
            self.val = val
        else:
            self.val = np.asarray(val, aval.dtype)[()]
        self.aval = aval

    def __repr__(self) -> str:
        return f"{'array' if self.aval.shape else self.val}:{self.aval}"


Atom = Var | Literal


def literal_value(literal: Literal) -> Any:
    """The value of a literal as rules see it: a Python scalar if weak, else a NumPy scalar."""
    return literal.val.item() if literal.aval.weak_type else literal.val


@dataclass(slots=True, eq=False)  # frozen ones take three times as long to make
class Equation:
    """``outvars = primitive[params](*invars)``, with the user's line that made it.

    Never changed once it is made.
    """

    primitive: Primitive
    invars: tuple[Atom, ...]
    outvars: tuple[Var, ...]
    params: dict[str, Any]
    source: SourceLine | None = None

    def replace(self, **changes: Any) -> Equation:
        given = changes.get
        return Equation(
            given("primitive", self.primitive),
            given("invars", self.invars),
            given("outvars", self.outvars),
            given("params", self.params),
            given("source", self.source),
        )

    def __str__(self) -> str:
        return _Printer().equation(self, "")


@dataclass(frozen=True, slots=True, eq=False)
class Jaxpr:
    """A program: inputs, equations, outputs.

    ``memo`` holds what transforms derived from this program, keyed by transform and
    arguments (see `memoize`), so that it lives exactly as long as the program.
    """

    invars: tuple[Var, ...]
    eqns: tuple[Equation, ...]
    outvars: tuple[Atom, ...]
    memo: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def in_avals(self) -> list[ShapedArray]:
        return [v.aval for v in self.invars]

    @property
    def out_avals(self) -> list[ShapedArray]:
        return [v.aval for v in self.outvars]

    def replace(self, **changes: Any) -> Jaxpr:
        """Return a Jaxpr with some fields replaced and an empty memo."""
        fields: dict[str, Any] = {"invars": self.invars, "eqns": self.eqns, "outvars": self.outvars}
        fields.update(changes)
        return Jaxpr(**fields)

    def __str__(self) -> str:
        return _Printer().jaxpr(self, 0, "")

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True, slots=True, eq=False)
class ClosedJaxpr:
    """A Jaxpr together with the values of its leading inputs (what the function closed over)."""

    jaxpr: Jaxpr
    consts: tuple[Any, ...] = ()

    @property
    def eqns(self) -> tuple[Equation, ...]:
        return self.jaxpr.eqns

    @property
    def in_avals(self) -> list[ShapedArray]:
        return self.jaxpr.in_avals[len(self.consts) :]

    @property
    def out_avals(self) -> list[ShapedArray]:
        return self.jaxpr.out_avals

    def __str__(self) -> str:
        return _Printer().jaxpr(self.jaxpr, len(self.consts), "")

    def __repr__(self) -> str:
        return str(self)


T = TypeVar("T")


def memoize(transform: Callable[..., T]) -> Callable[..., T]:
    """Cache ``transform(jaxpr, *args)`` on the Jaxpr itself; ``args`` must be hashable.

    Sub-programs keep their identity when a program is transformed, so a transform meets each
    inner Jaxpr once however deeply programs are nested.
    """

    @wraps(transform)
    def cached(jaxpr: Jaxpr, *args: Any) -> T:
        key = (transform, args)
        if key in jaxpr.memo:
            found = jaxpr.memo[key]
            return found.result(jaxpr) if type(found) is _Recall else found
        with forks_deferred(), collection_paused():
            result = transform(jaxpr, *args)
        jaxpr.memo[key] = _recall(result, jaxpr)
        return result

    return cached


@dataclass(frozen=True, slots=True)
class _Recall:
    """A result that holds the program itself, left out of it: no cycle keeps programs alive.

    ``items`` is a tuple in which `_ITSELF` stands for the program; ``single`` says that the
    result is not a tuple but its only item.
    """

    items: tuple[Any, ...]
    single: bool

    def result(self, jaxpr: Jaxpr) -> Any:
        items = tuple([jaxpr if item is _ITSELF else item for item in self.items])
        return items[0] if self.single else items


_ITSELF = object()


def _recall(result: Any, jaxpr: Jaxpr) -> Any:
    items = result if type(result) is tuple else (result,)
    if all(item is not jaxpr for item in items):
        return result
    kept = tuple([_ITSELF if item is jaxpr else item for item in items])
    return _Recall(kept, items is not result)


def sub_jaxprs(eqn: Equation) -> Iterator[Jaxpr]:
    """Yield the Jaxprs that stand in an equation's parameters."""
    for value in eqn.params.values():
        for item in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(item, Jaxpr):
                yield item
            elif isinstance(item, ClosedJaxpr):
                yield item.jaxpr


_PROGRAMS = frozenset({Jaxpr, ClosedJaxpr})


def has_sub_jaxprs(eqn: Equation) -> bool:
    """Whether `sub_jaxprs` yields any."""
    for value in eqn.params.values():
        if type(value) in _PROGRAMS:
            return True
        if isinstance(value, (tuple, list)) and not _PROGRAMS.isdisjoint(map(type, value)):
            return True
    return False


def has_effects(eqn: Equation) -> bool:
    """Whether an equation, or one in its programs, does something besides computing results."""
    if eqn.primitive.has_effects:
        return True
    return has_sub_jaxprs(eqn) and any(map(does_something, sub_jaxprs(eqn)))


_EFFECTS = "effects"


def does_something(jaxpr: Jaxpr) -> bool:
    """Whether a program does something besides computing results: `Primitive.has_effects`.

    Remembered on the program, and found without recursion: programs may be nested deeply.
    """
    pending = [] if _EFFECTS in jaxpr.memo else [jaxpr]
    while pending:
        program = pending[-1]
        inner = [p for eqn in program.eqns if has_sub_jaxprs(eqn) for p in sub_jaxprs(eqn)]
        unknown = [p for p in inner if _EFFECTS not in p.memo]
        if unknown:
            pending.extend(unknown)
            continue
        own = any(eqn.primitive.has_effects for eqn in program.eqns)
        program.memo[_EFFECTS] = own or any(p.memo[_EFFECTS] for p in inner)
        pending.pop()
    found: bool = jaxpr.memo[_EFFECTS]
    return found


def results_of_effects(eqn: Equation) -> bool:
    """Whether results of an equation come of an effect, so that it can give them only once."""
    if eqn.primitive.has_effects:
        return bool(eqn.outvars)
    return has_effects(eqn) and any(
        results_of_effects(e) for program in sub_jaxprs(eqn) for e in program.eqns
    )


@memoize
def without_effects(jaxpr: Jaxpr) -> Jaxpr:
    """The program for when it runs again, after its effects have happened.

    Raises
    ------
    TypeError
        If it needs a result of an effect.
    """
    if not does_something(jaxpr):
        return jaxpr
    for eqn in jaxpr.eqns:
        if eqn.primitive.has_effects and eqn.outvars:
            raise TypeError(
                f"{eqn.primitive.name}: {eqn.params.get('function')!r} is called in a loop of"
                " unknown length, whose steps run again in reverse mode, but it may be called only"
                " once for each step; use a scan or a fori_loop with bounds that are Python"
                " integers, which keep its results, or forward mode"
            )

    def changed(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple([changed(v) for v in value])
        return without_effects(value) if isinstance(value, Jaxpr) else value

    eqns = [
        e.replace(params={k: changed(v) for k, v in e.params.items()}) if has_effects(e) else e
        for e in jaxpr.eqns
        if not e.primitive.has_effects
    ]
    return jaxpr.replace(eqns=tuple(eqns))


def check_jaxpr(jaxpr: Jaxpr) -> None:
    """Check that every variable is written once, before it is read.

    Raises
    ------
    InternalError
        If the program is not in SSA form.
    """
    defined = set(jaxpr.invars)
    for eqn in jaxpr.eqns:
        for atom in eqn.invars:
            if isinstance(atom, Var) and atom not in defined:
                raise InternalError(f"a variable is read before it is written in\n{eqn}\n{jaxpr}")
        for inner in sub_jaxprs(eqn):
            check_jaxpr(inner)
        for var in eqn.outvars:
            if var in defined:
                raise InternalError(f"a variable is written twice in\n{eqn}\n{jaxpr}")
            defined.add(var)
    for atom in jaxpr.outvars:
        if isinstance(atom, Var) and atom not in defined:
            raise InternalError(f"an output is never written in\n{jaxpr}")


def _letters(index: int) -> str:
    name = ""
    index += 1
    while index:
        index, digit = divmod(index - 1, 26)
        name = chr(ord("a") + digit) + name
    return name


class _Printer:
    """Prints programs as JAX prints them, naming variables in the order of their appearance."""

    def __init__(self) -> None:
        self.names: dict[Var, str] = {}

    def atom(self, atom: Atom) -> str:
        if isinstance(atom, Literal):
            return repr(atom)
        name = self.names.get(atom)
        if name is None:
            name = self.names[atom] = _letters(len(self.names))
        return name

    def binders(self, variables: Iterable[Var]) -> str:
        return " ".join(f"{self.atom(v)}:{v.aval}" for v in variables)

    def param(self, value: Any, indent: str) -> str:
        if isinstance(value, Jaxpr):
            return _Printer().jaxpr(value, 0, indent)
        if isinstance(value, ClosedJaxpr):
            return _Printer().jaxpr(value.jaxpr, len(value.consts), indent)
        if isinstance(value, tuple) and any(isinstance(v, (Jaxpr, ClosedJaxpr)) for v in value):
            inner = indent + "  "
            items = "".join(f"\n{inner}{self.param(v, inner)}" for v in value)
            return f"({items}\n{indent})"
        if isinstance(value, (np.dtype, type)):
            return np.dtype(value).name if isinstance(value, np.dtype) else value.__name__
        if callable(value):
            return getattr(value, "__name__", type(value).__name__)
        return str(value)

    def equation(self, eqn: Equation, indent: str) -> str:
        left = " ".join(f"{self.atom(v)}:{v.aval}" for v in eqn.outvars)
        params = {k: v for k, v in sorted(eqn.params.items()) if v is not None}
        right = " ".join(self.atom(a) for a in eqn.invars)
        head = f"{indent}{left} = {eqn.primitive.name}"
        if has_sub_jaxprs(eqn):
            inner = indent + "  "
            lines = "".join(f"\n{inner}{k}={self.param(v, inner)}" for k, v in params.items())
            return f"{head}[{lines}\n{indent}] {right}"
        shown = " ".join(f"{k}={self.param(v, indent)}" for k, v in params.items())
        return f"{head}{f'[{shown}]' if shown else ''} {right}"

    def jaxpr(self, jaxpr: Jaxpr, num_consts: int, indent: str) -> str:
        consts = self.binders(jaxpr.invars[:num_consts])
        args = self.binders(jaxpr.invars[num_consts:])
        inner = indent + "    "
        lines = "\n".join(self.equation(eqn, inner) for eqn in jaxpr.eqns)
        outs = ", ".join(self.atom(a) for a in jaxpr.outvars)
        result = f"({outs},)" if len(jaxpr.outvars) == 1 else f"({outs})"
        head = f"{{ lambda {consts + ' ' if consts else ''}; {args}. let"
        if not lines:
            return f"{head} in {result} }}"
        return f"{head}\n{lines}\n{indent}  in {result} }}"


def avals_of(atoms: Sequence[Atom]) -> list[ShapedArray]:
    """The types of some atoms."""
    return [a.aval for a in atoms]
