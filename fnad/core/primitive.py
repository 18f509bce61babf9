"""The protocol of rules: a primitive is a name and the rules that give it its meaning.

A rule is attached by decorating a function with the rule's name, all in one block::

    reverse = Primitive("rev", "Reverse the order of elements along ``dimensions``.")

    @reverse.type_rule
    def _(x, *, dimensions):
        return x.strong()

    @reverse.evaluate
    def _(x, *, dimensions):
        return np.flip(x, dimensions)

    reverse.linear()           # jvp: the primitive itself, applied to the tangent

    @reverse.transpose
    def _(ct, x, *, dimensions):
        return [reverse.bind(ct, dimensions=dimensions)]

    @reverse.batch
    def _(args, batched, axis, *, dimensions): ...

    @reverse.lower
    def _(p, x, *, dimensions): ...

Conventions shared by all rules: operands come positionally, parameters by keyword;
primitives with one result take and return it bare, others take and return sequences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from inspect import CO_VARARGS, Parameter, signature
from types import FunctionType
from typing import Any

from fnad.core.errors import MissingRuleError, RuleError
from fnad.core.source import defined_in_package
from fnad.core.stack import stack
from fnad.core.types import ShapedArray

Rule = Callable[..., Any]
_MOST_REMEMBERED = 1024


def remember(type_rule: Rule) -> Rule:
    """Say of a type rule that what it has answered may be kept, as `Primitive.out_avals` does.

    Its parameters should be small: they are kept, too.
    """
    type_rule.remembered = True  # type: ignore[attr-defined]
    return type_rule


def positional_arity(function: Callable[..., Any]) -> tuple[int, bool]:
    """How many positional arguments a function names, and whether it takes any more."""
    if type(function) is FunctionType and not hasattr(function, "__wrapped__"):
        code = function.__code__  # what `inspect.signature` takes ten times as long to find
        return code.co_argcount, bool(code.co_flags & CO_VARARGS)
    kinds = [p.kind for p in signature(function).parameters.values()]
    named = sum(k in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD) for k in kinds)
    return named, Parameter.VAR_POSITIONAL in kinds


class Zero:
    """A tangent or cotangent that is known to be zero, without an array being made."""

    __slots__ = ("aval",)

    def __init__(self, aval: ShapedArray) -> None:
        self.aval = aval

    def __repr__(self) -> str:
        return f"Zero({self.aval})"


class Linear:
    """Stands for an operand that a transpose rule is asked to differentiate with respect to."""

    __slots__ = ("aval",)

    def __init__(self, aval: ShapedArray) -> None:
        self.aval = aval

    def __repr__(self) -> str:
        return f"Linear({self.aval})"


@dataclass(frozen=True, slots=True)
class Parts:
    """A complex array as a `parts` rule sees it: two real arrays of one dtype and shape."""

    re: Any
    im: Any


def flat_parts(values: Iterable[Any]) -> list[Any]:
    """Values in which a real and an imaginary part stand in the place of each `Parts`."""
    return [x for v in values for x in ((v.re, v.im) if type(v) is Parts else (v,))]


def are_complex(avals: Iterable[ShapedArray]) -> list[bool]:
    """Mark the types of complex numbers."""
    return [a.dtype.kind == "c" for a in avals]


def joined_parts(values: Iterable[Any], mask: Iterable[bool]) -> list[Any]:
    """The inverse of `flat_parts`: ``mask`` marks what was a `Parts`."""
    rest = iter(values)
    return [Parts(next(rest), next(rest)) if is_complex else next(rest) for is_complex in mask]


_HINTS = {
    "type_rule": "it says the shape and dtype of the result",
    "evaluate": "it computes the result with NumPy",
    "jvp": "jvp and grad need it",
    "transpose": "reverse mode needs it for operands in which the primitive is linear",
    "batch": "vmap needs it",
    "lower": "jit needs it",
    "parts": "jit needs it for complex arrays",
}


class Primitive:
    """An operation that programs are made of.

    Parameters
    ----------
    name : str
        The name printed in jaxprs.
    doc : str
        What it computes: formula, shapes, dtypes.
    multiple_results : bool
        Whether it returns a sequence of results.
    """

    def __init__(self, name: str, doc: str = "", *, multiple_results: bool = False) -> None:
        self.name = name
        self.__doc__ = doc
        self.multiple_results = multiple_results
        self.rules: dict[str, Rule] = {}
        # Whether all of it is fnad's own: then its name says what it does (`fingerprint`).
        self.is_own = defined_in_package()
        # Whether each element of a result is computed from those in its place.
        self.is_elementwise = False
        # Whether it does something besides computing results: then it runs though nobody needs
        # those, once, and in order with others.
        self.has_effects = False
        # The parameters that lowering depends on, where those are not all.
        self.lowering_params: tuple[str, ...] | None = None
        # What a type rule that is remembered has answered, by types and parameters.
        self._known_types: dict[Any, list[ShapedArray]] | None = None

    def __repr__(self) -> str:
        return f"Primitive({self.name})"

    def __deepcopy__(self, memo: Any) -> Primitive:
        """Primitives are known by what they are, not by what they look like."""
        return self

    def __reduce__(self) -> Any:
        raise TypeError(
            f"a program cannot be pickled: it holds primitives ({self.name!r}), whose rules are"
            " functions. Pickle the arguments and import the function, which is traced where it is"
            " called."
        )

    # -- attaching rules ------------------------------------------------------------------

    def _attach(self, kind: str, rule: Rule, leading: int = 0) -> Rule:
        if not callable(rule):
            raise RuleError(f"the {kind} rule of primitive {self.name!r} must be a function")
        count, varargs = positional_arity(rule)
        if count < leading and not varargs:
            raise RuleError(
                f"the {kind} rule of primitive {self.name!r} takes {count} positional"
                f" arguments, but is called with at least {leading}: see fnad.core.primitive"
            )
        self.rules[kind] = rule
        self.is_own = self.is_own and defined_in_package()
        return rule

    def type_rule(self, rule: Rule) -> Rule:
        """``rule(*avals, **params) -> aval`` (or a list of them): shapes, dtypes, checks."""
        self._known_types = {} if getattr(rule, "remembered", False) else None
        return self._attach("type_rule", rule)

    def evaluate(self, rule: Rule) -> Rule:
        """``rule(*arrays, **params) -> array``: NumPy evaluation."""
        return self._attach("evaluate", rule)

    def jvp(self, rule: Rule) -> Rule:
        """``rule(primals, tangents, **params) -> (out, out_tangent)``; tangents may be `Zero`."""
        return self._attach("jvp", rule, 2)

    def transpose(self, rule: Rule) -> Rule:
        """``rule(ct, *operands, **params) -> [operand cotangents]``.

        Operands to differentiate come as `Linear` placeholders, all others as values; the
        result has a cotangent for each operand, None where it is not `Linear` or is zero.
        """
        return self._attach("transpose", rule, 1)

    def strong_transpose(self, rule: Rule) -> Rule:
        """``rule(ct, *operands, **params) -> [operand cotangents]``, where zeros are followed.

        Like `transpose`, but cotangents may be `StrongZeros` (`fnad.primitives.strong_zeros`):
        zero where a select did not take the lane. Without this rule, they are arrays again.
        """
        return self._attach("strong_transpose", rule, 1)

    def batch(self, rule: Rule) -> Rule:
        """``rule(args, batched, axis, **params) -> (out, out_batched)``.

        The batch axis of a batched argument is axis 0, and so it must be in the result.
        ``axis`` is a `fnad.core.rewrites.BatchAxis` (``axis.size``, ``axis.name``).
        """
        return self._attach("batch", rule, 3)

    def lower(self, rule: Rule) -> Rule:
        """``rule(p, *tensors, **params) -> tensor``: the primitive in the plan's language."""
        return self._attach("lower", rule, 1)

    def lower_as(self, rule: Rule) -> Rule:
        """``rule(*args, **params) -> out``: lowering as a composition of other primitives."""
        return self._attach("lower_as", rule)

    def parts(self, rule: Rule) -> Rule:
        """``rule(*operands, **params) -> out``: what is done to the parts of complex numbers.

        Compiled programs know real numbers only. Where an operand, a result or a sub-program is
        complex, this rule takes the place of the equation when it is lowered: it is traced, with
        complex operands as `Parts` and all others as they are, and returns complex results as
        `Parts`. A part that is the same everywhere may be a scalar.
        """
        return self._attach("parts", rule)

    def simplify(self, rule: Rule) -> Rule:
        """``rule(eqn, definition) -> atom, equation or None``: an exact algebraic identity.

        Returns what may stand for the equation: one of its operands or a literal, another
        equation with the same outvars, or None. ``definition(atom)`` is the equation that
        defines an operand, or None. Results must keep shape, dtype and every bit.
        """
        return self._attach("simplify", rule, 2)

    def expand(self, rule: Rule) -> Rule:
        """``rule(eqn) -> equations or None``: what may stand for the equation when it is lowered.

        The equations define its outvars, with the same values but for the order of sums. The
        rule is asked again about those of its own primitive among them, until it returns None.
        """
        return self._attach("expand", rule, 1)

    def partial_eval(self, rule: Rule) -> Rule:
        """``rule(unknown, eqn) -> (known_eqns, staged_eqns, unknown_out)``.

        Splits an equation that holds sub-programs, ``unknown`` marking its unknown inputs. The
        known equations define the known outputs (and residuals, as fresh variables); the
        staged ones define the unknown outputs. What crosses over is found by the caller.
        """
        return self._attach("partial_eval", rule, 2)

    def dce(self, rule: Rule) -> Rule:
        """``rule(used_outs, eqn) -> eqn or None``: drop outputs and operands nobody needs."""
        return self._attach("dce", rule, 2)

    def jet(self, rule: Rule) -> Rule:
        """``rule(k, out, *operands, **params) -> term``: Taylor mode, the coefficient of order k.

        ``operands[i][j]`` is the coefficient of order j of an operand, ``out[j]`` that of the
        result for j < k; None where it is zero. Of a primitive with several results all orders
        are asked for at once: ``rule(primals, series, order, **params) -> (outs, series)``, each
        series a list of ``order`` coefficients, from order 1 on, or None. Without a rule they
        follow from the jvp rule.
        """
        return self._attach("jet", rule, 2)

    def dependencies(self, rule: Rule) -> Rule:
        """``rule(*operands, **params) -> pattern``: on which inputs elements of results depend.

        ``operands`` are `fnad.primitives.dependencies.Operand`, some of which have patterns;
        primitives with several results return a list of them. Without a rule, elements of an
        elementwise primitive depend on those in their place, and of others on all.
        """
        return self._attach("dependencies", rule)

    # -- short forms ----------------------------------------------------------------------

    def derivatives(self, *rules: Rule | None) -> None:
        """Attach the jvp as one rule an operand: ``rule(t, ans, *primals, **params)``.

        Each gives the contribution of that operand's tangent ``t``; None means the result
        does not depend differentiably on the operand.
        """

        def jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
            ans = self.bind(*primals, **params)
            total: Any = None
            for rule, tangent in zip(rules, tangents, strict=True):
                if rule is None or isinstance(tangent, Zero):
                    continue
                term = rule(tangent, ans, *primals, **params)
                total = term if total is None else total + term
            return ans, Zero(ans.aval.strong()) if total is None else total

        self._attach("jvp", jvp)

    def linear(self, *operands: int) -> None:
        """Declare the primitive linear in ``operands`` jointly (all operands if none is named)."""

        def jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
            positions = operands or range(len(primals))
            ans = self.bind(*primals, **params)
            if all(isinstance(tangents[i], Zero) for i in positions):
                return ans, Zero(ans.aval.strong())
            args = list(primals)
            for i in positions:
                args[i] = instantiate(tangents[i])
            return ans, self.bind(*args, **params)

        self._attach("jvp", jvp)

    def acts_on_parts(self) -> None:
        """Declare that real and imaginary parts of results come of those of the operands alone.

        So it is where elements are moved or summed up. Operands that are not complex go with both.
        """

        def rule(*operands: Any, **params: Any) -> Any:
            re = self.bind(*[x.re if type(x) is Parts else x for x in operands], **params)
            im = self.bind(*[x.im if type(x) is Parts else x for x in operands], **params)
            return Parts(re, im)

        self._attach("parts", rule)

    # -- using rules ----------------------------------------------------------------------

    def rule(self, kind: str) -> Rule:
        """Return a rule, or raise `MissingRuleError` that says how to add it."""
        try:
            return self.rules[kind]
        except KeyError:
            why = f" ({_HINTS[kind]})" if kind in _HINTS else ""
            raise MissingRuleError(
                f"primitive {self.name!r} has no {kind} rule{why}. Attach one by decorating a"
                f" function with @{self.name}.{kind}; its docstring gives the signature."
            ) from None

    def out_avals(self, avals: Sequence[ShapedArray], params: dict[str, Any]) -> list[ShapedArray]:
        """Apply the type rule and check what it returned."""
        known = self._known_types
        if known is None:
            return self._infer(avals, params)
        key = (*avals, *params.items()) if params else tuple(avals)
        try:
            found = known.get(key)
        except TypeError:  # a parameter that cannot be hashed
            return self._infer(avals, params)
        if found is None:
            found = self._infer(avals, params)
            if len(known) >= _MOST_REMEMBERED:
                known.clear()
            known[key] = found
        return found

    def _infer(self, avals: Sequence[ShapedArray], params: dict[str, Any]) -> list[ShapedArray]:
        out = self.rule("type_rule")(*avals, **params)
        outs = list(out) if self.multiple_results else [out]
        for aval in outs:
            if type(aval) is not ShapedArray:
                raise RuleError(
                    f"the type_rule of primitive {self.name!r} must return"
                    f" {'a list of ShapedArray' if self.multiple_results else 'a ShapedArray'},"
                    f" got {out!r}"
                )
        return outs

    def bind(self, *args: Any, **params: Any) -> Any:
        """Apply the primitive: record it in the innermost trace, or evaluate it with NumPy."""
        traces = stack.traces
        if traces:
            return traces[-1].record(self, args, params)
        return _evaluate(self, args, params)


# Set by the tracer, which imports this module.
_evaluate: Callable[[Primitive, Sequence[Any], dict[str, Any]], Any]


def install_evaluation(function: Callable[[Primitive, Sequence[Any], dict[str, Any]], Any]) -> None:
    """Say how a primitive is applied outside all traces; called once by `fnad.core.tracer`."""
    global _evaluate
    _evaluate = function


def instantiate(tangent: Any) -> Any:
    """Turn a symbolic `Zero` into an array of zeros; leave everything else alone."""
    if isinstance(tangent, Zero):
        return make_zeros(tangent.aval)
    return tangent


# Set by the primitives folder: core knows no primitive, but zeros must be made of one.
make_zeros: Callable[[ShapedArray], Any]


def install_zeros(function: Callable[[ShapedArray], Any]) -> None:
    """Say how an array of zeros of a given type is made."""
    global make_zeros
    make_zeros = function
