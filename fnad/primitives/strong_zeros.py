"""Strong zeros: where a cotangent is zero because a select did not take the lane.

The transpose of ``select(p, x, y)`` gives ``x`` no cotangent where ``p`` is false. Multiplied by an
infinite or undefined derivative, an ordinary zero would become NaN there, and users would have to
keep the operands of what they do not choose away from such points (the "double where trick",
https://github.com/jax-ml/jax/issues/1052). So a cotangent that comes from a select keeps the lanes
in which it is not zero for sure, a `Live`: what residuals make of the others is not selected. The
select itself waits until behind the products, so that it is one as before. A zero that merely
happens to be one is not strong: a taken lane shows its NaN.

The lanes follow elementwise equations, sums, running sums, collectives, those that move elements,
updates at indices included, and go through calls, loops and branches: their masks are carries,
``xs`` and ``ys`` of the backward loop, and come out of one that has a select in its steps. Through
a product of matrices go whole rows (or columns, or batches) that a select left out: rows of zeros
times a matrix are rows of zeros; through a convolution examples and features. A condition is one of
rows if it is repeated along them right before the select, as in ``where(valid[:, None], x @ w,
0)``. What such a product sums over lanes that were not taken is left out of the sum, in derivatives
of every order (`fnad.primitives.strong_products`). Through triangular equations, and so through
factorisations, inverses and determinants, go whole matrices of a stack, not the triangles that
their rules take (`fnad.primitives.linalg.matrices.triangle_p`), single right-hand sides, and, in
first derivatives, the unknowns of one triangular system on which no live one depends. Backward
rules of `custom_vjp` and what solves a `custom_linear_solve` are followed equation by equation
(`fnad.primitives.custom.strong_rules`). Zeros are ordinary again where

- a backward rule makes something else of them than zeros, or loops over them in a way that is not
  linear: it may do with its cotangent what it likes;
- a lane gets a cotangent by another way, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import numpy as np

from fnad.core.primitive import Linear, Primitive, Zero
from fnad.core.tracer import Tracer
from fnad.core.types import ShapedArray, aval_of, kind_of
from fnad.primitives.strong_lanes import (
    Live,
    RepeatedMask,
    any_live,
    any_of,
    either,
    in_result,
    is_everywhere,
    joined,
    select_side,
    taken_lanes,
    whole_mask,
)


class StrongZeros:
    """A cotangent that is zero for sure outside of the lanes ``live``.

    ``ct`` is it in these lanes only, unless ``choose`` is None; ``choose(ct)`` is it everywhere.
    It may be made later: then ``ct`` is its type, and of ``later`` that function is called which
    is needed, ``later[0]()`` for it in these lanes, or ``later[1]()`` for it with its zeros.
    ``early`` says that the zeros cost less now than later.
    """

    __slots__ = ("_ct", "_later", "_settled", "aval", "choose", "early", "live")

    def __init__(
        self,
        ct: Any,
        live: Live,
        choose: Callable[[Any], Any] | None = None,
        later: tuple[Callable[[], Any], Callable[[], Any]] | None = None,
        early: bool = False,
    ) -> None:
        self.aval = aval_of(ct) if later is None else ct
        self.live = live
        self.choose = choose
        self.early = early
        self._ct: Any = ct if later is None else None
        self._later = later
        self._settled: Any = None

    @property
    def ct(self) -> Any:
        """The cotangent, in the live lanes."""
        if self._ct is None:
            assert self._later is not None
            self._ct = self._later[0]()
        return self._ct

    def settled(self) -> Any:
        """The cotangent with its zeros."""
        if self._settled is None:
            if self._later is not None and (self.early or self._ct is None):
                self._settled = self._later[1]()
            else:
                self._settled = self._ct if self.choose is None else self.choose(self._ct)
        return self._settled


def given_zeros(ct: Any, mask: Any, axes: tuple[int, ...]) -> StrongZeros:
    """A cotangent that is zero outside of a mask of its ``axes`` that exists already."""
    return StrongZeros(ct, Live.given(mask, axes, aval_of(ct).shape))


def mask_and_axes(ct: StrongZeros) -> tuple[Any, tuple[int, ...]]:
    """Where a cotangent may differ from zero, and the axes that this mask has of it."""
    return taken_lanes(ct.live, ct.aval.shape)


def settled(ct: Any) -> Any:
    """A cotangent with its zeros, and without what is known of them."""
    return ct.settled() if type(ct) is StrongZeros else ct


def summed(a: Any, b: Any) -> Any:
    """The sum of two cotangents; the two sides of one select make it whole."""
    if type(a) is not StrongZeros or type(b) is not StrongZeros:
        return settled(a) + settled(b)
    from fnad.primitives.logic import select_p  # logic uses this module

    if a.live is b.live and a.live.axes is not None:
        return StrongZeros(a.settled() + b.settled(), a.live)
    if a.live.side is not None and b.live.side is not None and a.live.side[0] is b.live.side[0]:
        (pred, a_taken, outer), (_, b_taken, b_outer) = a.live.side, b.live.side
        if outer is b_outer and a_taken is b_taken:
            choose = None if a.choose is b.choose is None else a.live.choose
            return StrongZeros(a.ct + b.ct, a.live, choose)
        if outer is b_outer:
            whole = select_p.bind(whole_mask(pred), *((a.ct, b.ct) if a_taken else (b.ct, a.ct)))
            return whole if outer is None else StrongZeros(whole, outer, outer.choose)
    return StrongZeros(a.settled() + b.settled(), either(a.live, b.live, a.aval.shape))


def side_of_select(ct: Any, pred: Any, taken: bool, operand: Any) -> Any:
    """The cotangent of a case of a select whose own is ``ct``."""
    if not isinstance(operand, Linear):
        return None
    outer = ct.live if type(ct) is StrongZeros else None
    ct = settled(ct)
    if type(pred) is RepeatedMask and outer is None:
        live = pred.lanes(taken)
        live.side = pred, taken, None
        return unbroadcast_strong(StrongZeros(ct, live, live.choose), operand)

    def make() -> Any:
        from fnad.primitives.logic import bitwise_and, bitwise_not  # logic uses this module

        mask = whole_mask(pred)
        chosen = mask if taken else bitwise_not(mask)
        return chosen if outer is None else bitwise_and(chosen, outer.mask())

    live = Live(make, (pred, taken, outer))
    if type(pred) is RepeatedMask and outer is not None and outer.axes is not None:
        from fnad.primitives.logic import bitwise_and  # logic uses this module

        live = joined(bitwise_and, pred.lanes(taken), outer, aval_of(ct).shape)
        live.side = pred, taken, outer
    strong = StrongZeros(ct, live, partial(select_side, pred, taken))
    return unbroadcast_strong(strong, operand)


def transposed_elementwise(
    primitive: Primitive, ct: Any, operands: Sequence[Any], params: dict[str, Any]
) -> Sequence[Any]:
    """Transpose an elementwise equation in the live lanes alone."""
    transpose = primitive.rule("transpose")
    if type(ct) is not StrongZeros:
        return cast("Sequence[Any]", transpose(ct, *operands, **params))
    live, choose = ct.live, ct.choose
    # The zeros can wait, so that they are selected once, behind all products.
    if not all(map(_is_harmless, operands)):
        choose = live.choose
    elif ct.early:
        ct, choose = StrongZeros(ct.settled(), live), None
    # Sums to the shape of a scalar operand have to wait for the zeros.
    whole = [_widened(x, ct.aval.shape) for x in operands]
    # Operands that get the same cotangent share it, and what it is with its zeros.
    made = {id(ct.ct): ct} if choose is ct.choose else {}
    return [
        c
        if c is None or type(c) is Zero
        else unbroadcast_strong(made.setdefault(id(c), StrongZeros(c, live, choose)), x)
        for c, x in zip(transpose(ct.ct, *whole, **params), operands, strict=True)
    ]


def passes_on(primitive: Primitive) -> None:
    """Say of an elementwise primitive that its operands get the cotangent as it is."""

    @primitive.strong_transpose
    def _(ct: Any, *operands: Any, **params: Any) -> Sequence[Any]:
        if type(ct) is not StrongZeros:
            return transposed_elementwise(primitive, ct, operands, params)
        return [unbroadcast_strong(ct, x) for x in operands]


def transposed_product(product: Primitive, ct: Any, x: Any, y: Any) -> Sequence[Any]:
    """Transpose a product in the live lanes alone; zeros that come next are made in one step."""
    other = y if isinstance(x, Linear) else x
    if type(ct) is not StrongZeros or _is_harmless(other):
        return transposed_elementwise(product, ct, (x, y), {})
    factors = (ct.ct, y) if isinstance(x, Linear) else (x, ct.ct)
    later = partial(product.bind, *factors), partial(_masked_product, ct.live, factors)
    strong = StrongZeros(ct.aval, ct.live, ct.live.choose, later)
    return [unbroadcast_strong(strong, operand) for operand in (x, y)]


def _masked_product(live: Live, factors: tuple[Any, Any]) -> Any:
    from fnad.primitives.masked_products import masked_mul_p  # uses this module

    mask, taken, axes = live.lanes(max(aval_of(x).ndim for x in factors))
    return masked_mul_p.bind(mask, *factors, taken=taken, axes=axes)


def _widened(operand: Any, shape: tuple[int, ...]) -> Any:
    if not isinstance(operand, Linear):
        return operand
    return Linear(ShapedArray(shape, operand.aval.dtype))


def _is_harmless(operand: Any) -> bool:
    """Whether zero times (or by) the operand is zero for sure."""
    if isinstance(operand, Linear) or kind_of(aval_of(operand).dtype) not in "fc":
        return True
    return not isinstance(operand, Tracer) and bool(np.all(np.isfinite(operand) & (operand != 0)))


def unbroadcast_strong(ct: StrongZeros, operand: Any) -> Any:
    """Sum a cotangent to rank 0 if the operand that it belongs to is a scalar."""
    if not isinstance(operand, Linear):
        return None
    shape = ct.aval.shape
    if operand.aval.shape == shape:
        return ct
    from fnad.primitives.reductions import reduce_sum  # reductions use this module

    axes = tuple(range(len(shape)))
    return StrongZeros(reduce_sum(ct.settled(), axes), Live(lambda: any_of(ct.live.mask(), axes)))


def summed_lanes(
    ct: StrongZeros, result: Any, axes: Sequence[int | None], is_zero: bool = False
) -> Any:
    """A result of which each element is made of lanes of ``ct``, and zero if none of them is live.

    ``axes`` says where the axes of the cotangent are in the result; None are summed over. Where
    no lane is live, the result is zero already if ``is_zero``, else made so later.
    """
    rank = len(axes)
    live, gone = ct.live, [i for i in ct.live.along_axes(rank) if axes[i] is None]
    if gone:
        if isinstance(result, Tracer) and is_everywhere(live, gone, rank):
            return result
        live = any_live(live, gone, rank)
    lanes = in_result(live, axes, aval_of(result).shape)
    return StrongZeros(result, lanes, None if is_zero else lanes.choose)


def spread_out(
    ct: StrongZeros,
    spread: Callable[[Any], Any],
    shape: tuple[int, ...],
    axes: tuple[int, ...],
) -> StrongZeros:
    """``spread`` of a cotangent to a larger shape, where its axes are ``axes``.

    If a product comes next, that makes the zeros.
    """
    live = in_result(ct.live, axes, shape)
    if ct.choose is None:
        return StrongZeros(spread(ct.ct), live)
    aval = ShapedArray(shape, ct.aval.dtype)
    later = (lambda: spread(ct.ct)), (lambda: spread(ct.settled()))
    return StrongZeros(aval, live, live.choose, later, early=True)
