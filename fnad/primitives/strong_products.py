"""Products that sum over lanes in which a cotangent is zero for sure.

Transposed, ``x @ w`` sums over the rows of the cotangent: ``x.T @ ct``. A row that a select left
out (`fnad.primitives.strong_zeros`) is zero there, and an ordinary zero times an infinite row of
``x`` is NaN in every sum. What must not contribute is left out in one of two ways. If the lanes are
rows (or columns, or batches) of the other factor, these are zeros in it. Otherwise a primitive is
made (`Bilinear.masked`: ``masked_dot_general``, ``masked_conv_general_dilated``), whose derivatives
of every order leave out the same lanes. It is the product as ever while the other factor is finite;
where it is not, products of masks tell which sums meet such an element in a live lane. They alone
take it in: their infinity or NaN is genuine, and NaN if infinite elements of both kinds of lanes
meet in one sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import numpy as np

from fnad.core.primitive import Linear, Primitive, instantiate, remember
from fnad.core.rewrites import BatchAxis
from fnad.core.tracer import Tracer, trace_to_jaxpr
from fnad.core.types import ShapedArray, aval_of, kind_of
from fnad.primitives.arithmetic import abs as magnitude
from fnad.primitives.batch_axes import BatchPlace, joined, joined_mask, joined_shape, split
from fnad.primitives.complex_numbers import imag, real
from fnad.primitives.contraction import common_dtype
from fnad.primitives.dependencies import Operand, propagate
from fnad.primitives.logic import bitwise_and, bitwise_not, convert_element_type, lt, ne, select
from fnad.primitives.reductions import reduce_and
from fnad.primitives.shape import broadcast_in_dim
from fnad.primitives.strong_lanes import Lanes, Live, in_result
from fnad.primitives.strong_zeros import StrongZeros, settled, summed_lanes
from fnad.primitives.subprograms import broadcast_batch

# What two slots make of the third one's.
Compute = Callable[[Any, Any], Any]
# Names of the axes of each of the slots of a product.
Labels = tuple[Sequence[Any], Sequence[Any], Sequence[Any]]

all_finite_p = Primitive(
    "all_finite",
    "Whether no element is infinite or NaN; under vmap, of all lanes, so that a branch which any of"
    " them needs, and which gives the same for the others, is taken for the whole batch.",
)


@all_finite_p.type_rule
@remember
def _(x: ShapedArray) -> ShapedArray:
    if kind_of(x.dtype) not in "fc":
        raise TypeError(f"all_finite: the operand must be floating or complex, got {x}")
    return ShapedArray((), np.dtype(np.bool_))


@all_finite_p.evaluate
def _(x: Any) -> Any:
    return np.isfinite(x).all()


@all_finite_p.lower_as
def _(x: Any) -> Any:
    return reduce_and(is_finite(x), tuple(range(aval_of(x).ndim)))


@all_finite_p.batch
def _(args: Sequence[Any], batched: Sequence[bool], axis: BatchAxis) -> tuple[Any, bool]:
    return all_finite_p.bind(args[0]), False


all_finite_p.derivatives(None)


def is_finite(x: Any) -> Any:
    """Where a number is neither infinite nor NaN."""
    if kind_of(aval_of(x).dtype) == "c":
        return bitwise_and(is_finite(real(x)), is_finite(imag(x)))
    return lt(magnitude(x), aval_of(x).dtype.type(math.inf))


class Bilinear:
    """A product that is linear in both factors, behind a select.

    Its slots are the factors, 0 and 1, and the result, 2. What belongs to one of them is a product
    of what the two others hold: the result of the factors, and the cotangent of a factor (the
    product ``wrt`` it) of that of the result and the other factor.

    Parameters
    ----------
    primitive : Primitive
        The product, with its ordinary rules.
    labels : callable
        ``labels(ndims, **params)`` names the axes of each slot: those of one name run together.
        ``ndims`` are the ranks of the factors.
    batched : callable
        ``batched(has_axis, size, ndims, **params) -> (params, places)``: the product of a batch,
        and the place of its axis in the slots that have it; the result always does.
    reached : callable, optional
        ``reached(live, at, wrt, shapes, **params)``: the lanes of slot ``wrt`` that are made of
        live ones of slot ``at``, if labels do not tell all; else None.
    compiled : callable, optional
        ``compiled(live, which, axes, x, y, wrt, **params)``: the masked product by a quicker way
        where it is compiled, or None; ``x`` or ``y``, as ``which`` says, has the lanes.

    Attributes
    ----------
    masked : Primitive
        The product to which only some lanes of one slot contribute.
    """

    def __init__(
        self,
        primitive: Primitive,
        labels: Callable[..., Labels],
        batched: Callable[..., tuple[dict[str, Any], Sequence[BatchPlace | None]]],
        reached: Callable[..., Live | None] | None = None,
        compiled: Callable[..., Any] | None = None,
    ) -> None:
        self.primitive = primitive
        self.labels = labels
        self.batched = batched
        self.reached = reached
        self.compiled = compiled
        self.masked = _masked_product(self)

    def compute(self, wrt: int, x: Any, y: Any, shape: tuple[int, ...], **params: Any) -> Any:
        """What belongs to slot ``wrt``, of a shape, by what the others hold, in order."""
        if wrt == 2:
            return self.primitive.bind(x, y, **params)
        own = Linear(ShapedArray(shape, aval_of(x).dtype))
        a, b, ct = in_slots(wrt, x, y, own)
        return self.primitive.rule("transpose")(ct, a, b, **params)[wrt]

    def transposed(self, ct: StrongZeros, a: Any, b: Any, **params: Any) -> list[Any]:
        """Cotangents of the factors, one of which is `Linear`."""
        found = self.cotangent((a, b, ct), 2, **params)
        return [found, None] if isinstance(a, Linear) else [None, found]

    def cotangent(self, slots: Sequence[Any], at: int, **params: Any) -> Any:
        """What belongs to the slot that is `Linear`, by what the two others hold.

        In slot ``at`` that may be `StrongZeros`: then only its live lanes contribute.
        """
        wrt = next(i for i, x in enumerate(slots) if isinstance(x, Linear))
        rest = 3 - at - wrt
        aval, ct, other = slots[wrt].aval, slots[at], slots[rest]

        def product(ct: Any, other: Any, lanes: Lanes | None = None) -> Any:
            x, y = common_dtype(*((ct, other) if at < rest else (other, ct)))
            if lanes is None:
                found = self.compute(wrt, x, y, aval.shape, **params)
            else:
                mask, taken, axes = lanes
                how = {"wrt": wrt, "masked": at, "taken": taken, "axes": axes, "shape": aval.shape}
                found = self.masked.bind(mask, x, y, **how, **params)
            return convert_element_type(found, aval.dtype)

        if type(ct) is not StrongZeros:
            return product(ct, other)
        cts, live = ct.settled(), ct.live
        shapes = [aval_of(x).shape if i == rest else x.aval.shape for i, x in enumerate(slots)]
        labels = self.labels([len(s) for s in shapes[:2]], **params)
        kept, met = (_places(labels[at], labels[slot]) for slot in (wrt, rest))
        axes, is_zero = live.along_axes(len(kept)), True
        if not isinstance(other, Tracer) and np.isfinite(other).all():
            found = product(cts, other)
        elif all(kept[i] is not None for i in axes):
            found, is_zero = product(cts, other), False
        elif all(met[i] is not None for i in axes):
            found = product(cts, in_result(live, met, shapes[rest]).choose(other))
        else:
            found = product(cts, other, live.lanes(len(kept)))
        reached = self.reached and self.reached(live, at, wrt, shapes, **params)
        if reached is None:
            return summed_lanes(ct, found, kept, is_zero)
        return StrongZeros(found, reached, None if is_zero else reached.choose)


def in_slots(wrt: int, x: Any, y: Any, own: Any) -> list[Any]:
    """What the slots hold, by those other than ``wrt``, in order, and its own."""
    slots = [x, y]
    slots.insert(wrt, own)
    return slots


def _places(labels: Sequence[Any], others: Sequence[Any]) -> tuple[int | None, ...]:
    return tuple([others.index(name) if name in others else None for name in labels])


def _masked_product(product: Bilinear) -> Primitive:
    """A product, or a cotangent of it, to which only some lanes of one slot contribute."""
    masked_p = Primitive(
        f"masked_{product.primitive.name}",
        f"``{product.primitive.name}`` of ``x`` and ``y``; or, if ``wrt`` is not 2, the cotangent"
        " of its factor ``wrt``, 0 or 1, of shape ``shape``: then ``x`` is the other factor and"
        " ``y`` the cotangent of the result. Lanes of one of these slots, ``masked``, contribute"
        " nothing, whatever they meet: those with ``mask != taken``, where it must be zero. The"
        " mask's axes are the ``axes`` of that slot.",
    )

    @masked_p.type_rule
    @remember
    def _(
        mask: ShapedArray,
        x: ShapedArray,
        y: ShapedArray,
        *,
        wrt: int,
        masked: int,
        taken: bool,
        axes: tuple[int, ...],
        shape: tuple[int, ...],
        **params: Any,
    ) -> ShapedArray:
        out = ShapedArray(shape, x.dtype)
        slots = in_slots(wrt, x, y, out)
        lanes = slots[masked]
        if mask.dtype != np.bool_ or mask.shape != tuple(lanes.shape[i] for i in axes):
            raise TypeError(
                f"{masked_p.name}: {mask} is no mask along axes {axes} of slot {masked}, {lanes}"
            )
        if kind_of(x.dtype) not in "fc":
            raise TypeError(
                f"{masked_p.name}: the factors must be floating or complex, got {x}, {y}"
            )
        if product.primitive.out_avals(slots[:2], params)[0] != slots[2].strong():
            raise TypeError(f"{masked_p.name}: {slots[0]} and {slots[1]} do not make {slots[2]}")
        return out

    @masked_p.evaluate
    def _(
        mask: Any, x: Any, y: Any, *, wrt: int, masked: int, taken: bool, axes: Any, **params: Any
    ) -> Any:
        compute: Compute = partial(product.compute, wrt, **params)
        which = _position(masked, wrt)
        if np.isfinite((y, x)[which]).all():
            return compute(x, y)
        return _with_nonfinite(compute, mask == taken, which, axes, x, y)

    @masked_p.lower_as
    def _(
        mask: Any, x: Any, y: Any, *, wrt: int, masked: int, taken: bool, axes: Any, **params: Any
    ) -> Any:
        from fnad.primitives.control_flow.branches import cond  # uses this module

        live = mask if taken else bitwise_not(mask)
        which = _position(masked, wrt)
        if product.compiled is not None:
            found = product.compiled(live, which, axes, x, y, wrt, **params)
            if found is not None:
                return found
        compute: Compute = partial(product.compute, wrt, **params)
        return cond(
            all_finite_p.bind((y, x)[which]),
            partial(compute, x, y),
            partial(_with_nonfinite, compute, live, which, axes, x, y),
        )

    masked_p.derivatives(
        None,
        lambda t, ans, mask, x, y, **params: masked_p.bind(mask, t, y, **params),
        lambda t, ans, mask, x, y, **params: masked_p.bind(mask, x, t, **params),
    )

    @masked_p.strong_transpose
    def _(
        ct: Any,
        mask: Any,
        x: Any,
        y: Any,
        *,
        wrt: int,
        masked: int,
        taken: bool,
        axes: tuple[int, ...],
        shape: tuple[int, ...],
        **params: Any,
    ) -> list[Any]:
        slots = in_slots(wrt, x, y, ct)
        lanes = slots[masked]
        live = Live.along(lambda: (mask, taken, axes), axes, _shape(lanes))
        if isinstance(lanes, Linear):
            found = settled(product.cotangent(slots, wrt, **params))
            strong = StrongZeros(found, live, live.choose)
        else:
            # What the lanes met is what the cotangent meets.
            slots[wrt], slots[masked] = settled(ct), StrongZeros(lanes, live)
            strong = product.cotangent(slots, masked, **params)
        return [None, *[strong if isinstance(v, Linear) else None for v in (x, y)]]

    @masked_p.transpose
    def _(ct: Any, *operands: Any, **params: Any) -> list[Any]:
        cts = masked_p.rule("strong_transpose")(instantiate(ct), *operands, **params)
        return [settled(c) for c in cts]

    @masked_p.batch
    def _(
        args: Sequence[Any],
        batched: Sequence[bool],
        axis: BatchAxis,
        *,
        wrt: int,
        masked: int,
        taken: bool,
        axes: tuple[int, ...],
        shape: tuple[int, ...],
        **params: Any,
    ) -> tuple[Any, bool]:
        mask, x, y = args
        given = in_slots(wrt, batched[1], batched[2], True)
        has_axis = [g or i == 2 or (i == masked and batched[0]) for i, g in enumerate(given)]
        slots = in_slots(wrt, x, y, None)
        shapes = [shape if i == wrt else aval_of(x).shape[given[i] :] for i, x in enumerate(slots)]
        params, places = product.batched(
            has_axis, axis.size, [len(s) for s in shapes[:2]], **params
        )
        for i, place in enumerate(places):
            if i != wrt and place is not None:
                each = slots[i] if given[i] else broadcast_batch(slots[i], axis.size)
                slots[i] = joined(each, place)
        if (place := places[masked]) is not None:
            mask, axes = joined_mask(mask, axes, shapes[masked], place, axis.size, batched[0])
        slots.pop(wrt)
        out_place = cast("BatchPlace", places[wrt])  # what is made has the axis
        out = masked_p.bind(
            mask,
            *slots,
            wrt=wrt,
            masked=masked,
            taken=taken,
            axes=axes,
            shape=joined_shape(shape, out_place, axis.size),
            **params,
        )
        return split(out, out_place, axis.size), True

    @masked_p.dependencies
    def _(
        mask: Operand, x: Operand, y: Operand, *, masked: int, taken: bool, axes: Any, **params: Any
    ) -> Any:
        def whole(x: Any, y: Any) -> Any:
            return [product.compute(x=x, y=y, **params)]

        program, _ = trace_to_jaxpr(whole, (x.aval, y.aval), masked_p.name)
        return propagate(program, (x, y))[0].pattern

    return masked_p


def _position(masked: int, wrt: int) -> int:
    """Which of the operands the masked slot is: the first one or the second one."""
    return masked - (masked > wrt)


def _shape(x: Any) -> tuple[int, ...]:
    return x.aval.shape if isinstance(x, Linear) else aval_of(x).shape


def _with_nonfinite(
    compute: Compute,
    live: Any,
    which: int,
    axes: tuple[int, ...],
    x: Any,
    y: Any,
) -> Any:
    """The product of which a factor is not finite somewhere; operand ``which`` has the lanes.

    Sums that meet an element that is not finite in a live lane take it in, the others not.
    """
    lanes, other = (x, y)[which], (y, x)[which]

    def product(lanes: Any, other: Any) -> Any:
        return compute(*((other, lanes) if which else (lanes, other)))

    finite, dtype = is_finite(other), aval_of(other).dtype
    among_finite = product(lanes, select(finite, other, 0))
    spread = broadcast_in_dim(live, aval_of(lanes).shape, axes)
    marks = [convert_element_type(mark, dtype) for mark in (spread, bitwise_not(finite))]
    met = ne(product(*marks), dtype.type(0))
    return select(met, product(lanes, other), among_finite)


def sums_elements(primitive: Primitive) -> None:
    """Say of a primitive that its transpose only sums elements: sums of no live lane are zero."""

    @primitive.strong_transpose
    def _(ct: Any, x: Any, **params: Any) -> Sequence[Any]:
        rule = primitive.rule("transpose")
        found: Sequence[Any] = rule(settled(ct), x, **params)
        if type(ct) is not StrongZeros:
            return found
        return [StrongZeros(found[0], Live(partial(_met, partial(rule, **params), ct.live, x)))]


def _met(transpose: Callable[..., Sequence[Any]], live: Live, x: Linear) -> Any:
    """Which sums have a live lane: those of the mask, as numbers."""
    mask, dtype = live.mask(), np.dtype(np.float32)
    if not aval_of(mask).shape:
        return mask
    numbers = convert_element_type(mask, dtype)
    return ne(transpose(numbers, Linear(ShapedArray(x.aval.shape, dtype)))[0], dtype.type(0))
