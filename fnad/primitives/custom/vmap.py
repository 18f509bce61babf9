"""``custom_vmap``: what becomes of a function where `vmap` maps it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Any

import numpy as np

from fnad.core import tree
from fnad.core.errors import RuleError, UnexpectedTracerError
from fnad.core.flat_function import function_name
from fnad.core.interpret import eval_jaxpr
from fnad.core.ir import Jaxpr
from fnad.core.primitive import Linear, Primitive, Zero, instantiate
from fnad.core.rewrites import BatchAxis, Mask, MaskAxes, get_rewrites
from fnad.core.tracer import apply_jaxpr, current_trace, trace_to_jaxpr
from fnad.core.types import ShapedArray, aval_of
from fnad.primitives.custom.rules import (
    BoundCustom,
    fit,
    place_of,
    positional,
    trace_rule,
)
from fnad.primitives.dependencies import Operand, propagate
from fnad.primitives.strong_lanes import any_of, mask_along
from fnad.primitives.strong_zeros import settled
from fnad.primitives.subprograms import (
    broadcast_batch,
    check_operands,
    dce_keeping,
    every,
    expand_zeros,
    masks_of,
    merge,
    none,
    nonzero_mask,
    parts,
    split,
    strong_transpose_call,
    trace_function,
)

# The program of a call whose operands have a new axis, if the mask marks them; all results do.
BatchRule = Callable[[BatchAxis, Mask], Jaxpr]

custom_vmap_call_p = Primitive(
    "custom_vmap_call",
    "Call ``jaxpr``; ``rule(axis, batched)`` gives the program of the call with a new axis.",
    multiple_results=True,
)


@custom_vmap_call_p.type_rule
def _(*avals: ShapedArray, jaxpr: Jaxpr, **params: Any) -> list[ShapedArray]:
    check_operands("custom_vmap", avals, jaxpr.in_avals)
    return jaxpr.out_avals


@custom_vmap_call_p.evaluate
def _(*args: Any, jaxpr: Jaxpr, **params: Any) -> list[Any]:
    return eval_jaxpr(jaxpr, args)


custom_vmap_call_p.lowering_params = ("jaxpr",)


@custom_vmap_call_p.lower_as
def _(*args: Any, jaxpr: Jaxpr, **params: Any) -> list[Any]:
    return apply_jaxpr(jaxpr, args)


@custom_vmap_call_p.dependencies
def _(*operands: Operand, jaxpr: Jaxpr, **params: Any) -> list[Operand]:
    return propagate(jaxpr, operands)


@custom_vmap_call_p.jvp
def _(
    primals: Sequence[Any], tangents: Sequence[Any], *, jaxpr: Jaxpr, rule: BatchRule, name: str
) -> tuple[list[Any], list[Any]]:
    """The tangents are a call of their own, which is linear in those of the operands."""
    outs = custom_vmap_call_p.bind(*primals, jaxpr=jaxpr, rule=rule, name=name)
    nonzero = nonzero_mask(tangents)
    nonzero_out = get_rewrites().jvp(jaxpr, nonzero, none(len(outs)))[1]
    if not any(nonzero_out):
        return outs, expand_zeros(nonzero_out, (), jaxpr.out_avals)
    dots = custom_vmap_call_p.bind(
        *primals,
        *split(nonzero, tangents)[1],
        jaxpr=_tangent_program(jaxpr, nonzero, nonzero_out),
        rule=_tangent_rule(rule, nonzero, nonzero_out),
        name=name,
    )
    return outs, expand_zeros(nonzero_out, dots, jaxpr.out_avals)


def _tangent_program(jaxpr: Jaxpr, nonzero: Mask, wanted: Mask) -> Jaxpr:
    """The program of (inputs, tangents of those marked) that gives the tangents ``wanted``."""
    program, found = get_rewrites().jvp(jaxpr, nonzero, wanted)
    used = (*none(len(wanted)), *(w for w, f in zip(wanted, found, strict=True) if f))
    return dce_keeping(program, used, every(len(program.invars)))


def _tangent_rule(rule: BatchRule, nonzero: Mask, wanted: Mask) -> BatchRule:
    def tangents(axis: BatchAxis, batched: Mask) -> Jaxpr:
        primal_b, dots_b = parts(batched, len(nonzero))
        dots = merge(nonzero, [False] * nonzero.count(False), dots_b)
        joint = tuple(p or d for p, d in zip(primal_b, dots, strict=True))
        mapped = rule(axis, joint)
        program = _tangent_program(mapped, nonzero, wanted)
        return _widened(program, axis, batched, (*joint, *split(nonzero, joint)[1]))

    return tangents


@custom_vmap_call_p.transpose
def _(cts: Sequence[Any], *operands: Any, **params: Any) -> list[Any]:
    found = custom_vmap_call_p.rule("strong_transpose")(cts, *operands, **params)
    return [settled(ct) for ct in found]


@custom_vmap_call_p.strong_transpose
def _(cts: Sequence[Any], *operands: Any, jaxpr: Jaxpr, rule: BatchRule, name: str) -> list[Any]:
    linear = tuple(type(x) is Linear for x in operands)
    nonzero = nonzero_mask(cts)

    def call(program: Jaxpr, args: Sequence[Any]) -> list[Any]:
        lives = masks_of(cts)[1]
        transposed = _transposed_rule(rule, jaxpr, linear, nonzero, lives)
        return custom_vmap_call_p.bind(*args, jaxpr=program, rule=transposed, name=name)

    return strong_transpose_call(jaxpr, cts, operands, call)


def _transposed_rule(
    rule: BatchRule, jaxpr: Jaxpr, linear: Mask, nonzero: Mask, lives: MaskAxes
) -> BatchRule:
    _, wanted, wanted_lives = get_rewrites().strong_transpose(jaxpr, linear, nonzero, lives)
    unknowns = split(linear, jaxpr.in_avals)[1]

    def transposed(axis: BatchAxis, batched: Mask) -> Jaxpr:
        others_b, cts_b = parts(batched, linear.count(False))
        mapped = rule(axis, tuple(merge(linear, others_b, every(linear.count(True)))))
        mapped_lives = tuple(None if axes is None else _with_axis(axes) for axes in lives)
        program, found, found_lives = get_rewrites().strong_transpose(
            mapped, linear, nonzero, mapped_lives
        )
        avals = [a.strong().update(shape=(axis.size, *a.shape)) for a in unknowns]

        def run(*args: Any) -> list[Any]:
            results = iter(apply_jaxpr(program, args))
            cts = [next(results) if f else instantiate(Zero(a)) for f, a in zip(found, avals)]
            masks = [axes if axes is None else next(results) for axes in found_lives]
            return [
                *split(wanted, cts)[1],
                *(
                    _mask_like(mask, have, _with_axis(want), aval.shape)
                    for mask, have, want, aval in zip(masks, found_lives, wanted_lives, avals)
                    if want is not None
                ),
            ]

        whole = trace_to_jaxpr(run, program.in_avals, "custom_vmap")[0]
        return _widened(whole, axis, batched, (*others_b, *every(len(cts_b))))

    return transposed


def _with_axis(axes: tuple[int, ...]) -> tuple[int, ...]:
    """Axes of an array, where there is a new first one."""
    return (0, *(i + 1 for i in axes))


def _mask_like(
    mask: Any, axes: tuple[int, ...] | None, wanted: tuple[int, ...], shape: tuple[int, ...]
) -> Any:
    """A mask of axes of an array (None: everywhere) as one of the axes wanted, or a larger one."""
    if axes is None:
        return np.ones([shape[i] for i in wanted], np.bool_)
    gone = tuple(place for place, i in enumerate(axes) if i not in wanted)
    kept = tuple(i for i in axes if i in wanted)
    return mask_along(any_of(mask, gone) if gone else mask, kept, wanted, shape)


def _widened(program: Jaxpr, axis: BatchAxis, have: Mask, want: Mask) -> Jaxpr:
    """A program that takes only the inputs marked ``have`` with the new axis, not all ``want``."""
    if have == want:
        return program

    def run(*args: Any) -> list[Any]:
        given = zip(args, have, want, strict=True)
        return apply_jaxpr(
            program, [broadcast_batch(x, axis.size) if w and not h else x for x, h, w in given]
        )

    avals = [
        a.update(shape=a.shape[1:]) if w and not h else a
        for a, h, w in zip(program.in_avals, have, want, strict=True)
    ]
    return trace_to_jaxpr(run, avals, "custom_vmap")[0]


@custom_vmap_call_p.batch
def _(
    args: Sequence[Any],
    batched: Sequence[bool],
    axis: BatchAxis,
    *,
    jaxpr: Jaxpr,
    rule: BatchRule,
    name: str,
) -> tuple[list[Any], Mask]:
    return apply_jaxpr(rule(axis, tuple(batched)), args), every(len(jaxpr.outvars))


class custom_vmap:  # noqa: N801 - JAX's name; used as a decorator
    """Give a function a rule for `vmap`: a better way to do it for many arguments at once.

    Derivatives follow from the function and the rule: ``vmap(grad(f))`` differentiates the rule.
    Functions of arguments that are not mapped stay as they are.

    Parameters
    ----------
    fun : callable
        The function, of pytrees of arrays.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> @fnad.custom_batching.custom_vmap
    ... def solve(a, b):
    ...     return np.linalg.solve(a, b)
    >>> @solve.def_vmap
    ... def _(axis_size, in_batched, a, b):
    ...     a_batched, b_batched = in_batched
    ...     if a_batched or not b_batched:
    ...         raise ValueError("one matrix, please")
    ...     return np.linalg.solve(a, b.T).T, True  # one factorisation for all
    >>> a = np.array([[2.0, 0.0], [0.0, 4.0]])
    >>> fnad.vmap(solve, in_axes=(None, 0))(a, np.ones((3, 2)))
    array([[0.5 , 0.25],
           [0.5 , 0.25],
           [0.5 , 0.25]])
    """

    def __init__(self, fun: Callable[..., Any]) -> None:
        update_wrapper(self, fun)
        self.fun = fun
        self.vmap_rule: Callable[..., Any] | None = None

    def def_vmap(self, vmap_rule: Callable[..., Any]) -> Callable[..., Any]:
        """Set the rule ``rule(axis_size, in_batched, *args) -> (out, out_batched)``.

        ``in_batched`` has the structure of ``args``, ``out_batched`` must have that of ``out``:
        each leaf says whether the array has the mapped axis, as axis 0. (A bool in the place of a
        whole subtree of ``out_batched`` is that of all its leaves.)
        """
        if not callable(vmap_rule):
            raise TypeError(
                f"def_vmap of {function_name(self.fun)} takes a function, got {vmap_rule!r}"
            )
        self.vmap_rule = vmap_rule
        return vmap_rule

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else BoundCustom(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.vmap_rule is None:
            raise AttributeError(
                f"no rule is defined for the custom_vmap function {function_name(self.fun)}: give"
                " it one with def_vmap"
            )
        args = positional(self.fun, args, kwargs)
        if current_trace() is None:
            return self.fun(*args)
        name = function_name(self.fun)
        leaves, in_tree = tree.flatten((args, {}))
        avals = [aval_of(leaf) for leaf in leaves]
        jaxpr, consts, flat = trace_function(self.fun, in_tree, avals, name, leaves)
        rule = _UserRule(self.vmap_rule, name, in_tree, flat.out_tree, jaxpr, len(consts))
        outs = custom_vmap_call_p.bind(*consts, *leaves, jaxpr=jaxpr, rule=rule, name=name)
        return tree.unflatten(flat.out_tree, outs)


class _UserRule:
    """A user's rule as programs, one for each axis and mask of mapped operands."""

    def __init__(
        self,
        rule: Callable[..., Any],
        name: str,
        in_tree: Any,
        out_tree: Any,
        jaxpr: Jaxpr,
        num_consts: int,
    ) -> None:
        self.rule = rule
        self.name = name
        self.in_tree = in_tree
        self.out_tree = out_tree
        self.jaxpr = jaxpr
        self.num_consts = num_consts
        self.programs: dict[tuple[BatchAxis, Mask], Jaxpr] = {}

    def __call__(self, axis: BatchAxis, batched: Mask) -> Jaxpr:
        if (axis, batched) not in self.programs:
            self.programs[axis, batched] = self._trace(axis, batched)
        return self.programs[axis, batched]

    def _trace(self, axis: BatchAxis, batched: Mask) -> Jaxpr:
        count = self.num_consts
        for aval, mapped in zip(self.jaxpr.in_avals[:count], batched, strict=False):
            if mapped:
                raise TypeError(
                    f"the custom_vmap function {self.name} closes over a value ({aval}) that is"
                    " mapped, of which its rule knows nothing: make it an argument of the function"
                )
        in_batched = tree.unflatten(self.in_tree, batched[count:])[0]

        def run(*flat: Any) -> list[Any]:
            args = tree.unflatten(self.in_tree, flat[count:])[0]
            return self._checked(axis, self.rule(axis.size, in_batched, *args))

        avals = [
            a.update(shape=(axis.size, *a.shape)) if mapped else a
            for a, mapped in zip(self.jaxpr.in_avals, batched, strict=True)
        ]
        try:
            program, consts = trace_rule(run, avals, [], f"the vmap rule of {self.name}", None)
        except UnexpectedTracerError as error:
            raise self._closes_over(error) from error
        if consts:
            raise self._closes_over(aval_of(consts[0]))
        return program

    def _closes_over(self, what: Any) -> RuleError:
        return RuleError(
            f"the vmap rule {place_of(self.rule)} closes over a traced value; make it an argument"
            f" of {self.name} ({what})"
        )

    def _checked(self, axis: BatchAxis, result: Any) -> list[Any]:
        """The leaves of what a rule returned, all with the mapped axis."""
        place = place_of(self.rule)
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise TypeError(
                f"the vmap rule {place} of {self.name} must return a pair (out, out_batched), got"
                f" {type(result).__name__}"
            )
        leaves, structure = tree.flatten(result[0])
        if structure != self.out_tree:
            raise TypeError(
                f"the vmap rule {place} returned an output of structure {structure}, but"
                f" {self.name} returns {self.out_tree}"
            )
        try:
            marks = tree.leaves(tree.broadcast(result[1], result[0]))
        except ValueError as error:
            raise TypeError(
                f"the vmap rule {place} returned an out_batched that is no prefix of its output:"
                f" {error}"
            ) from None
        return [
            self._with_axis(axis, leaf, mark, aval, place)
            for leaf, mark, aval in zip(leaves, marks, self.jaxpr.out_avals, strict=True)
        ]

    def _with_axis(
        self, axis: BatchAxis, leaf: Any, mark: Any, aval: ShapedArray, place: str
    ) -> Any:
        want = aval.update(shape=(axis.size, *aval.shape)) if mark else aval

        def complain(got: ShapedArray) -> Exception:
            axes = f"with the mapped axis of {axis.size}" if mark else "without the mapped axis"
            return TypeError(
                f"the vmap rule {place} returned an output of type {got}, which out_batched says is"
                f" {axes}, so it must be {want}"
            )

        leaf = fit(leaf, want, complain)
        return leaf if mark else broadcast_batch(leaf, axis.size)
