"""Strong zeros: where a cotangent is zero because a select did not take the lane.

The transpose of ``select(p, x, y)`` gives ``x`` no cotangent where ``p`` is false. Multiplied by an
infinite or undefined derivative, an ordinary zero would become NaN there, and users would have to
keep the operands of what they do not choose away from such points (the "double where trick",
https://github.com/jax-ml/jax/issues/1052). So a cotangent that comes from a select keeps the lanes
in which it is not zero for sure, a `Live`: what residuals make of the others is not selected. The
select itself waits until behind the products, so that it is one as before. A zero that merely
happens to be one is not strong: a taken lane shows its NaN.

The lanes follow elementwise equations, sums, running sums, those that move elements, updates at
indices included, and go through calls, loops and branches: their masks are carries of the backward
loop. Through a product of matrices go whole rows (or columns, or batches) that a select left out:
rows of zeros times a matrix are rows of zeros; through a convolution examples and features. A
condition is one of rows if it is repeated along them right before the select, as in
``where(valid[:, None], x @ w, 0)``. What such a product sums over lanes that were not taken is left
out of the sum (`fnad.primitives.strong_products`). Zeros are ordinary again where

- a user's `custom_vjp` is, whose rule gets the zeros and may do with them what it likes;
- a loop's ``ys`` are chosen from and its carries are not: these follow no lanes. Nor do the ``xs``
  and ``ys`` of loops whose length is not known;
- a lane gets a cotangent by another way, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import numpy as np

from fnad.core.primitive import Linear, Primitive, Zero
from fnad.core.sizes import Size
from fnad.core.tracer import Tracer
from fnad.core.types import ShapedArray, aval_of, kind_of

# A mask, which of its values marks lanes, and where its axes lie.
Lanes = tuple[Any, bool, tuple[int, ...]]


class RepeatedMask:
    """A mask that is the same along some axes, as a predicate of a select.

    Parameters
    ----------
    mask : array of bool
        It before it is repeated.
    shape, dimensions : tuple of int
        The shape that it is repeated into, and where its axes are in it.
    """

    __slots__ = ("_rows", "_whole", "axes", "dimensions", "mask", "shape")

    def __init__(self, mask: Any, shape: tuple[int, ...], dimensions: tuple[int, ...]) -> None:
        self.mask, self.shape, self.dimensions = mask, shape, dimensions
        self.axes = tuple(dimensions[i] for i in self._long())
        self._rows: Any = None
        self._whole: Any = None

    def _long(self) -> list[int]:
        sizes = aval_of(self.mask).shape
        return [i for i, n in enumerate(sizes) if type(n) is Size or n != 1]

    @property
    def rows(self) -> Any:
        """The mask along ``axes``, those along which it may differ."""
        if self._rows is None:
            from fnad.primitives.shape import reshape  # shape uses this module

            sizes = aval_of(self.mask).shape
            self._rows = reshape(self.mask, tuple(sizes[i] for i in self._long()))
        return self._rows

    @property
    def whole(self) -> Any:
        """The mask in all of its shape."""
        if self._whole is None:
            from fnad.primitives.shape import broadcast_in_dim  # shape uses this module

            self._whole = broadcast_in_dim(self.mask, self.shape, self.dimensions)
        return self._whole

    def lanes(self, taken: bool) -> Live:
        """Where the mask is ``taken``."""
        return Live.along(lambda: (self.rows, taken, self.axes), self.axes, self.shape)


class Live:
    """The lanes in which a cotangent may differ from zero, computed when they are asked for.

    Parameters
    ----------
    make : callable
        Computes the mask: booleans of the shape of the cotangent, or of rank 0 for all of it.
    side : tuple (pred, taken, outer), optional
        If they are the lanes that a select took (or did not): its predicate, which, and the
        lanes of the select's own cotangent; None means all of them.
    lanes : callable, optional
        If a mask of lower rank tells, too: makes ``(mask, taken, axes)``, the lanes where
        ``mask == taken``, with its axes at ``axes``.
    axes : tuple of int, optional
        The axes along which they may differ; without it, all.
    """

    __slots__ = ("_lanes", "_make", "_mask", "_told", "axes", "side")

    def __init__(
        self,
        make: Callable[[], Any],
        side: tuple[Any, bool, Live | None] | None = None,
        lanes: Callable[[], Lanes] | None = None,
        axes: tuple[int, ...] | None = None,
    ) -> None:
        self._make = make
        self._mask: Any = None
        self._lanes = lanes
        self._told: Lanes | None = None
        self.axes = axes
        self.side = side

    @classmethod
    def along(
        cls, lanes: Callable[[], Lanes], axes: tuple[int, ...], shape: tuple[int, ...]
    ) -> Live:
        """The lanes of an array of a shape, of which a mask along some of its axes tells."""

        def make() -> Any:
            from fnad.primitives.logic import bitwise_not  # logic uses this module
            from fnad.primitives.shape import broadcast_in_dim  # shape uses this module

            mask, taken, axes = live.lanes(len(shape))
            lanes_across = mask if taken else bitwise_not(mask)
            if not 0 < len(axes) < len(shape):
                return lanes_across
            return broadcast_in_dim(lanes_across, shape, axes)

        live = cls(make, lanes=lanes, axes=axes)
        return live

    def mask(self) -> Any:
        """The mask, computed once."""
        if self._mask is None:
            self._mask = self._make()
        return self._mask

    def choose(self, ct: Any) -> Any:
        """The cotangent in these lanes, zero elsewhere."""
        if self._lanes is not None:
            return _in_rows(self.lanes(len(aval_of(ct).shape)), ct)
        if self.side is not None and self.side[2] is None:
            return _select_side(self.side[0], self.side[1], ct)
        return _select_side(self.mask(), True, ct)

    def along_axes(self, rank: int) -> tuple[int, ...]:
        """The axes of an array of that rank along which they may differ."""
        if self.axes is not None:
            return self.axes
        whole = self.side is not None and self.side[2] is None and not aval_of(self.side[0]).shape
        return () if whole else tuple(range(rank))

    def lanes(self, rank: int) -> Lanes:
        """The lanes of an array of that rank as ``masked_mul`` takes them."""
        if self._told is not None:
            return self._told
        if self._lanes is not None:
            self._told = self._lanes()
            return self._told
        if self.side is not None and self.side[2] is None:
            mask, taken = self.side[:2]
        else:
            mask, taken = self.mask(), True
        return mask, taken, tuple(range(rank)) if aval_of(mask).shape else ()


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


def given_zeros(ct: Any, mask: Any) -> StrongZeros:
    """A cotangent that is zero outside of a mask that exists already."""
    return StrongZeros(ct, Live(lambda: mask))


def settled(ct: Any) -> Any:
    """A cotangent with its zeros, and without what is known of them."""
    return ct.settled() if type(ct) is StrongZeros else ct


def summed(a: Any, b: Any) -> Any:
    """The sum of two cotangents; the two sides of one select make it whole."""
    if type(a) is not StrongZeros or type(b) is not StrongZeros:
        return settled(a) + settled(b)
    from fnad.primitives.logic import bitwise_or, select_p  # logic uses this module

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
    live = Live(lambda: bitwise_or(a.live.mask(), b.live.mask()))
    return StrongZeros(a.settled() + b.settled(), live)


def _select_side(pred: Any, taken: bool, ct: Any) -> Any:
    from fnad.primitives.logic import select_p  # logic uses this module

    zero = aval_of(ct).dtype.type(0)
    return select_p.bind(whole_mask(pred), *((ct, zero) if taken else (zero, ct)))


def _in_rows(lanes: Lanes, ct: Any) -> Any:
    """A cotangent where a mask of lower rank says, zero elsewhere."""
    from fnad.primitives.masked_products import masked_mul_p  # uses this module

    mask, taken, axes = lanes
    return masked_mul_p.bind(mask, ct, aval_of(ct).dtype.type(1), taken=taken, axes=axes)


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
    strong = StrongZeros(ct, live, partial(_select_side, pred, taken))
    return unbroadcast_strong(strong, operand)


def whole_mask(pred: Any) -> Any:
    """A predicate of a select in all of its shape."""
    return pred.whole if type(pred) is RepeatedMask else pred


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


def any_of(mask: Any, axes: tuple[int, ...]) -> Any:
    """Where a mask holds anywhere along the axes; one of rank 0 is the same for all."""
    from fnad.primitives.reductions import reduce_or  # reductions use this module

    return reduce_or(mask, axes) if aval_of(mask).shape else mask


def moves_elements(primitive: Primitive, *followed: int) -> None:
    """Say of a primitive that its transpose only moves elements (or drops them, or adds zeros).

    Then applied to masks it tells where the elements went; ``followed`` are the operands whose
    cotangents are such (all if none is named).
    """

    @primitive.strong_transpose
    def _(ct: Any, *operands: Any, **params: Any) -> Sequence[Any]:
        return transposed_moves(primitive, ct, operands, params, followed)


def transposed_moves(
    primitive: Primitive,
    ct: Any,
    operands: Sequence[Any],
    params: dict[str, Any],
    followed: Sequence[int] = (),
) -> Sequence[Any]:
    """Transpose an equation that moves elements, and say which of its results are zero for sure."""
    transpose = primitive.rule("transpose")
    cts: Sequence[Any] = transpose(settled(ct), *operands, **params)
    if type(ct) is not StrongZeros:
        return cts
    positions = followed or range(len(operands))
    stand_ins = [_stand_in(x, i in positions) for i, x in enumerate(operands)]
    moved: list[Any] = []

    def mask_of(position: int) -> Any:
        mask = ct.live.mask()
        if not aval_of(mask).shape:
            return mask
        if not moved:
            moved.extend(transpose(mask, *stand_ins, **params))
        return moved[position]

    return [
        StrongZeros(c, Live(partial(mask_of, i))) if isinstance(x, Linear) else c
        for i, (c, x) in enumerate(zip(cts, stand_ins, strict=True))
    ]


def _stand_in(operand: Any, followed: bool) -> Any:
    """An operand of the same equation on masks; indices stay what they are."""
    aval = aval_of(operand)
    if isinstance(operand, Linear) and followed:
        return Linear(ShapedArray(aval.shape, np.dtype(np.bool_)))
    return np.zeros(aval.shape, np.bool_)[()] if kind_of(aval.dtype) in "fc" else operand


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
        if isinstance(result, Tracer) and _is_everywhere(live, gone, rank):
            return result
        live = _any_live(live, gone, rank)
    lanes = in_result(live, axes, aval_of(result).shape)
    return StrongZeros(result, lanes, None if is_zero else lanes.choose)


def _any_live(live: Live, gone: Sequence[int], rank: int) -> Live:
    """Where lanes are live of which there are several each, along the axes that are gone."""

    def lanes() -> Lanes:
        from fnad.primitives.logic import bitwise_not  # logic uses this module

        mask, taken, axes = live.lanes(rank)
        lanes_taken = mask if taken else bitwise_not(mask)
        places = tuple([place for place, i in enumerate(axes) if i in gone])
        return any_of(lanes_taken, places), True, tuple([i for i in axes if i not in gone])

    kept = tuple([i for i in live.along_axes(rank) if i not in gone])
    return Live(lambda: lanes()[0], lanes=lanes, axes=kept)


def _is_everywhere(live: Live, gone: Sequence[int], rank: int) -> bool:
    """Whether it is known at once that any lane is live, as of a causal mask under a trace."""
    if live.side is None or live.side[2] is not None:
        return False
    pred = live.side[0]
    if isinstance(pred.mask if type(pred) is RepeatedMask else pred, Tracer):
        return False
    mask, taken, axes = live.lanes(rank)
    places = tuple([place for place, i in enumerate(axes) if i in gone])
    return bool(np.all(np.any(np.asarray(mask) == taken, axis=places)))


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


def in_result(live: Live, axes: Sequence[int | None], shape: tuple[int, ...]) -> Live:
    """Lanes of a cotangent as those of a result of a shape, in which its axes are ``axes``."""
    rank = len(axes)

    def places(inner: Sequence[int]) -> list[int]:
        return [place for i in inner if (place := axes[i]) is not None]

    def lanes() -> Lanes:
        mask, taken, inner = live.lanes(rank)
        at = places(inner)
        if at != sorted(at):
            from fnad.primitives.shape import transpose  # shape uses this module

            mask = transpose(mask, tuple(sorted(range(len(at)), key=at.__getitem__)))
        return mask, taken, tuple(sorted(at))

    return Live.along(lanes, tuple(sorted(places(live.along_axes(rank)))), shape)
