"""The forward and backward rules of ``custom_vjp``, traced to programs when needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fnad.core import tree
from fnad.core.ir import Jaxpr
from fnad.core.primitive import Zero
from fnad.core.rewrites import Mask
from fnad.core.types import ShapedArray, aval_of, is_differentiable
from fnad.primitives.custom.rules import (
    SymbolicZero,
    TracedRule,
    fit,
    normalised,
    place_of,
    trace_rule,
    zero_tangent,
)
from fnad.primitives.subprograms import (
    every,
    nonzero_mask,
    parts,
    split,
)

ForwardProgram = Callable[[Mask], tuple[Jaxpr, Any]]
BackwardProgram = Callable[[Mask], tuple[Jaxpr, Mask]]


class CustomVJPPrimal:
    """An argument of a forward rule with symbolic zeros: its value, and if it is perturbed."""

    def __init__(self, value: Any, perturbed: bool) -> None:
        self.value = value
        self.perturbed = perturbed


class VjpRules:
    """The forward and backward rules of one call of a custom_vjp function, as programs.

    ``in_type`` and ``out_type`` are the pytree structure and the leaves' types of the arguments
    that are differentiated, and of the result.
    """

    def __init__(
        self,
        name: str,
        rules: tuple[Callable[..., Any], Callable[..., Any]],
        symbolic_zeros: bool,
        nondiff_argnums: Sequence[int],
        args: Sequence[Any],
        in_type: tuple[Any, Sequence[ShapedArray]],
        out_type: tuple[Any, Sequence[ShapedArray]],
    ) -> None:
        self.name = name
        self.fwd, self.bwd = rules
        self.symbolic = symbolic_zeros
        self.fixed = {i: args[i] for i in normalised(nondiff_argnums, len(args))}
        self.num_args = len(args)
        self.in_tree, self.avals = in_type
        self.out_tree, self.out_avals = out_type
        self.forward = TracedRule(place_of(self.fwd), self._trace_forward)
        self._backward: dict[Any, TracedRule] = {}

    def prepare(self, values: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Trace both rules now; returns what each closed over."""
        perturbed = tuple(is_differentiable(a) for a in self.avals)
        fwd_consts = self.forward.prepare(perturbed, values)
        residual_type = self.forward(perturbed)[1]
        nonzero = every(sum(is_differentiable(a) for a in self.out_avals))
        rule = self.backward(perturbed, residual_type)
        return fwd_consts, rule.prepare(nonzero, None)

    def backward(self, perturbed: Mask, residual_type: Any) -> TracedRule:
        """The backward rule for arguments ``perturbed`` and residuals of a type."""
        key = perturbed, residual_type
        if key not in self._backward:

            def trace(nonzero: Mask, values: Sequence[Any] | None) -> tuple[Jaxpr, list[Any], Mask]:
                return self._trace_backward(perturbed, residual_type, nonzero)

            rule = TracedRule(place_of(self.bwd), trace)
            for first in self._backward.values():  # they share what they close over
                rule.const_avals = first.const_avals
                break
            self._backward[key] = rule
        return self._backward[key]

    def _trace_forward(
        self, perturbed: Mask, values: Sequence[Any] | None
    ) -> tuple[Jaxpr, list[Any], Any]:
        residual_type: list[Any] = []
        place = place_of(self.fwd)

        def run(*leaves: Any) -> list[Any]:
            given: Sequence[Any] = leaves
            if self.symbolic:
                given = [CustomVJPPrimal(x, p) for x, p in zip(leaves, perturbed, strict=True)]
            dynamic = iter(tree.unflatten(self.in_tree, given)[0])
            args = [
                self.fixed[i] if i in self.fixed else next(dynamic) for i in range(self.num_args)
            ]
            result = self.fwd(*args)
            if not isinstance(result, (tuple, list)) or len(result) != 2:
                raise TypeError(
                    f"the forward rule {place} of {self.name} must return a pair (out,"
                    f" residuals), got {type(result).__name__}"
                )
            outs, structure = tree.flatten(result[0])
            if structure != self.out_tree:
                raise TypeError(
                    f"the forward rule {place} returned an output of structure {structure}, but"
                    f" {self.name} returns {self.out_tree}"
                )
            outs = [fit(o, a, self._wrong_output(a)) for o, a in zip(outs, self.out_avals)]
            residuals, residual_tree = tree.flatten(result[1])
            residual_type.append((residual_tree, tuple(aval_of(r) for r in residuals)))
            return [*outs, *residuals]

        kind = f"the forward rule of {self.name}"
        jaxpr, consts = trace_rule(run, self.avals, [], kind, values)
        return jaxpr, consts, residual_type[0]

    def _wrong_output(self, want: ShapedArray) -> Callable[[ShapedArray], Exception]:
        return lambda got: TypeError(
            f"the forward rule {place_of(self.fwd)} returned an output of type {got}, but"
            f" {self.name} returns {want}; shapes and dtypes must be equal"
        )

    def _trace_backward(
        self, perturbed: Mask, residual_type: Any, nonzero: Mask
    ) -> tuple[Jaxpr, list[Any], Mask]:
        residual_tree, residual_avals = residual_type
        differentiable = tuple(is_differentiable(a) for a in self.out_avals)
        ct_avals = [a.strong() for a in split(differentiable, self.out_avals)[1]]
        nonzero_in: list[bool] = []

        def run(*values: Any) -> list[Any]:
            residuals, given = parts(values, len(residual_avals))
            found = iter(given)
            floating = iter(
                next(found) if nz else SymbolicZero(a) for nz, a in zip(nonzero, ct_avals)
            )
            cts = [
                next(floating) if d else zero_tangent(a, self.symbolic)
                for d, a in zip(differentiable, self.out_avals)
            ]
            result = self.bwd(
                *self.fixed.values(),
                tree.unflatten(residual_tree, residuals),
                tree.unflatten(self.out_tree, cts),
            )
            leaves = split(perturbed, self._argument_cotangents(result))[1]
            nonzero_in.extend(nonzero_mask(leaves))
            return split(nonzero_in, leaves)[1]

        given_avals = split(nonzero, ct_avals)[1]
        kind = f"the backward rule of {self.name}"
        jaxpr, consts = trace_rule(run, residual_avals, given_avals, kind, None)
        return jaxpr, consts, tuple(nonzero_in)

    def _argument_cotangents(self, result: Any) -> list[Any]:
        """Check what the backward rule returned; one entry an argument leaf, `Zero` for None."""
        place = place_of(self.bwd)
        whole = tree.unflatten(self.in_tree, list(range(len(self.avals))))[0]
        if isinstance(result, list):
            result = tuple(result)
        if not isinstance(result, tuple) or len(result) != len(whole):
            got = f"a tuple of length {len(result)}" if isinstance(result, tuple) else repr(result)
            raise TypeError(
                f"the backward rule {place} of {self.name} must return a tuple with one cotangent"
                f" an argument ({len(whole)}), got {got}"
            )
        cts: list[Any] = [Zero(a.strong()) for a in self.avals]

        def place_leaf(ct: Any, positions: Any) -> None:
            if ct is None or isinstance(ct, Zero):
                return
            index = tree.leaves(positions)
            if len(index) != 1 or not isinstance(positions, int):
                raise ValueError("expected a leaf")
            aval = self.avals[index[0]]
            if is_differentiable(aval):
                cts[index[0]] = fit(ct, aval.strong(), self._wrong_cotangent(index[0]))

        try:
            tree.map(place_leaf, result, whole, is_leaf=lambda x: x is None)
        except ValueError as error:
            raise TypeError(
                f"the backward rule {place} of {self.name} must return cotangents of the structure"
                f" of the arguments, {tree.structure(whole)} (None for zero), got"
                f" {tree.structure(result)}"
            ) from error
        return cts

    def _wrong_cotangent(self, position: int) -> Callable[[ShapedArray], Exception]:
        whole = tree.unflatten(self.in_tree, list(range(len(self.avals))))[0]
        path = tree.keystr(tree.flatten_with_path(whole)[0][position][0])
        return lambda got: TypeError(
            f"the backward rule {place_of(self.bwd)} of {self.name} returned a cotangent of type"
            f" {got} for the argument at {path}, which has type {self.avals[position]}; shapes"
            " and dtypes must be equal"
        )
