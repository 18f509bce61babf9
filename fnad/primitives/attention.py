"""Attention as one operation: softmax over keys of products with queries, times values.

Three primitives: attention itself, its derivative in forward mode, and that in reverse mode. Each
says what it is by a composition of other primitives, which is what becomes of it where a backend
has no kernel for it (`fnad.lowering.target.Target.whole`); derivatives of derivatives are those of
the composition. A backend with kernels never holds the weights, of which there are queries x keys.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from fnad.core.ir import Jaxpr
from fnad.core.primitive import Linear, Primitive, Zero, instantiate
from fnad.core.rewrites import BatchAxis, Mask, get_rewrites
from fnad.core.tracer import apply_jaxpr, rewrite
from fnad.core.types import ShapedArray, aval_of, computing_dtype, kind_of
from fnad.primitives.attention_composition import attention_of_products
from fnad.primitives.attention_strong_zeros import (
    contributing,
    mask_along_own,
    strong_transposed_attention,
)
from fnad.primitives.dependencies import Operand, propagate
from fnad.primitives.logic import convert_element_type
from fnad.primitives.shape import broadcast_in_dim, reshape
from fnad.primitives.subprograms import (
    broadcast_batch,
    dce_keeping,
    every,
    expand_zeros,
    flat_terms,
    instantiate_marked,
    none,
    nonzero_mask,
    parts,
    series_mask,
    split,
    split_terms,
)

Window = tuple[int | None, int | None]

_SHAPES = (
    "``query`` (B, T, N, H), ``key`` and ``value`` (B, S, K, H), N a multiple of K; then, as"
    " ``extras`` names them: ``bias`` and ``mask``, (B, N, T, S) or 1 in the place of any of these,"
    " and ``key_lengths`` (B,)"
)

attention_p = Primitive(
    "attention",
    f"``softmax(scale * query @ key.T + bias) @ value`` for each head. Operands: {_SHAPES}."
    " Position t attends to keys s with ``-window[0] <= s - t <= window[1]`` (None: all), below the"
    " length, and where the mask holds; one that attends to nothing gets the mean of the values."
    " Results: that, of query's shape, and the logarithm of the sums of exponentials (B, N, T),"
    " -inf where there are none.",
    multiple_results=True,
)


_KINDS = {"bias": "f", "mask": "b", "key_lengths": "iu"}


@attention_p.type_rule
def _(query, key, value, *extras, **params):
    names = params["extras"]
    got = " ".join(map(str, (query, key, value, *extras)))
    if len({query.dtype, key.dtype, value.dtype}) > 1 or kind_of(query.dtype) != "f":
        raise TypeError(f"attention: query, key and value must be floats of one dtype, got {got}")
    fits = query.ndim == key.ndim == 4 and key.shape == value.shape and len(names) == len(extras)
    if not fits or (query.shape[0], query.shape[3]) != (key.shape[0], key.shape[3]):
        raise TypeError(f"attention: operands must be {_SHAPES}, got {got}")
    batch, queries, heads, _ = query.shape
    keys, shared = key.shape[1:3]
    if keys == 0 or shared == 0 or heads % shared:
        raise TypeError(f"attention: {heads} heads of queries do not fit {keys} keys of {shared}")
    full = batch, heads, queries, keys
    for name, extra in zip(names, extras):
        wanted = full[:1] if name == "key_lengths" else full
        fits = extra.ndim == len(wanted) and all(
            n == w or (n == 1 and len(wanted) > 1) for n, w in zip(extra.shape, wanted)
        )
        if not fits or kind_of(extra.dtype) not in _KINDS[name]:
            raise TypeError(f"attention: operands must be {_SHAPES}, got {got}")
    return [query.strong(), ShapedArray(full[:3], computing_dtype(query.dtype))]


@lru_cache(maxsize=256)
def _program(avals: tuple[ShapedArray, ...], params: tuple[tuple[str, Any], ...]) -> Jaxpr:
    """The composition as a program."""
    options = dict(params)
    return rewrite(lambda *args: attention_of_products(*args, **options), avals, "attention")


def _program_of(operands: Sequence[Any], params: dict[str, Any]) -> Jaxpr:
    avals = tuple(aval_of(x).strong() for x in operands)
    # What is asked about sizes that have names must be noted for each program.
    fixed = all(type(n) is int for aval in avals for n in aval.shape)
    build = _program if fixed else _program.__wrapped__
    return build(avals, tuple(sorted(params.items())))


def _composed(primitive: Primitive, program_of: Callable[..., Jaxpr]) -> None:
    """Attach the rules that are those of a composition."""

    def run(*args: Any, **params: Any) -> list[Any]:
        return apply_jaxpr(program_of(args, params), args)

    def jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        program = program_of(primals, params)
        nonzero, count = nonzero_mask(tangents), len(program.outvars)
        both, nonzero_out = get_rewrites().jvp(program, nonzero, none(count))
        results = apply_jaxpr(both, [*primals, *split(nonzero, tangents)[1]])
        return results[:count], expand_zeros(nonzero_out, results[count:], program.out_avals)

    def jet(primals: Sequence[Any], series: Sequence[Any], order: int, **params: Any) -> Any:
        program = program_of(primals, params)
        count = len(program.outvars)
        all_orders, nonzero = get_rewrites().jet(program, order, series_mask(series), none(count))
        results = apply_jaxpr(all_orders, [*primals, *flat_terms(series)])
        return results[:count], split_terms(nonzero, results[count:], order)

    def dependencies(*operands: Operand, **params: Any) -> list[Operand]:
        return propagate(program_of([x.aval for x in operands], params), operands)

    def batch(args: Sequence[Any], batched: Sequence[bool], axis: BatchAxis, **params: Any) -> Any:
        return _batched(primitive, args, batched, axis, params)

    primitive.evaluate(run)
    primitive.lower_as(run)
    primitive.jvp(jvp)
    primitive.jet(jet)
    primitive.dependencies(dependencies)
    primitive.batch(batch)


def _batched(
    primitive: Primitive,
    args: Sequence[Any],
    batched: Sequence[bool],
    axis: BatchAxis,
    params: dict[str, Any],
) -> tuple[list[Any], Mask]:
    """Entries of the new axis are further ones of the first axis of all operands."""
    size, first = axis.size, aval_of(args[0]).shape[1 if batched[0] else 0]

    def merged(x: Any, has_axis: bool) -> Any:
        own = aval_of(x).shape[1 if has_axis else 0 :]
        if not has_axis:
            if own[0] == 1 != first:  # shared by all
                return x
            x = broadcast_batch(x, size)
        elif own[0] == 1 != first:
            x = broadcast_in_dim(
                reshape(x, (size, *own[1:])),
                (size, first, *own[1:]),
                (0, *range(2, len(own) + 1)),
            )
        return reshape(x, (size * aval_of(x).shape[1], *own[1:]))

    outs = primitive.bind(*map(merged, args, batched), **params)
    outs = [reshape(x, (size, first, *aval_of(x).shape[1:])) for x in outs]
    return outs, every(len(outs))


_composed(attention_p, _program_of)


@attention_p.jvp
def _(primals, tangents, **params):
    if any(not isinstance(t, Zero) for t in tangents[3:]):  # of a bias: the composition's
        program = _program_of(primals, params)
        nonzero = nonzero_mask(tangents)
        both, nonzero_out = get_rewrites().jvp(program, nonzero, none(2))
        results = apply_jaxpr(both, [*primals, *split(nonzero, tangents)[1]])
        return results[:2], expand_zeros(nonzero_out, results[2:], program.out_avals)
    outs = attention_p.bind(*primals, **params)
    if all(isinstance(t, Zero) for t in tangents):
        return outs, [Zero(aval_of(x)) for x in outs]
    changes = [instantiate(t) for t in tangents[:3]]
    return outs, attention_tangent_p.bind(*primals, *outs, *changes, **params)


@attention_p.lower
def _(p, *operands, **params):
    query, key, value = operands[:3]
    b, keys = p.b, key.shape[1]
    wide = computing_dtype(query.dtype)
    outs = p.stored(query.shape, query.dtype)
    lse = p.stored(_rows(query), wide)
    p.attention("forward", operands, (outs, lse), **params)
    if not _may_attend_to_nothing(query, key, **params):
        return [outs, lse]
    batch, _, shared, features = value.shape
    means = p.materialize(
        p.reduce(
            (batch, shared, features),
            wide,
            (keys,),
            "add",
            lambda i, r: b.convert(value.at((i[0], r[0], i[1], i[2])), wide),
        )
    )
    group = b.constant(query.shape[2] // shared, np.int64)
    each = b.constant(1 / keys, wide)

    def element(index):
        entry, row, head, feature = index
        mean = b.multiply(means.at((entry, b.divide(head, group), feature)), each)
        nothing = b.equal(lse.at((entry, head, row)), b.constant(-np.inf, wide))
        return b.where(nothing, b.convert(mean, query.dtype), outs.at(index))

    return [p.compute(query.shape, query.dtype, element), lse]


def _rows(query: Any) -> tuple[int, int, int]:
    batch, queries, heads, _ = query.shape
    return batch, heads, queries


def _may_attend_to_nothing(
    query: Any, key: Any, *, window: Window, extras: Any, scale: Any
) -> bool:
    """Whether there may be positions without any key, which kernels give zero."""
    before, behind = window
    return (
        {"mask", "key_lengths"} & set(extras) != set()
        or (behind is not None and behind < 0)
        or (before is not None and before < max(query.shape[1] - key.shape[1], 0))
        or (before is not None and behind is not None and before + behind < 0)
    )


attention_tangent_p = Primitive(
    "attention_tangent",
    "How `attention` changes. Operands: those of it, its results, and the tangents of query, key"
    " and value, in which this is linear. Results: the tangents of its results.",
    multiple_results=True,
)


@attention_tangent_p.type_rule
def _(*avals, **params):
    results = attention_p.out_avals(avals[:-5], params)
    _check_like("attention_tangent", avals[-5:], (*results, *avals[:3]))
    return results


def _check_like(name: str, avals: Sequence[ShapedArray], wanted: Sequence[ShapedArray]) -> None:
    """Check results of attention, tangents and cotangents; sums may have any floating dtype."""
    for aval, like in zip(avals, wanted, strict=True):
        is_sum = like.ndim == 3 and kind_of(aval.dtype) == "f"
        if aval.shape != like.shape or (aval.dtype != like.dtype and not is_sum):
            raise TypeError(f"{name}: an operand must be {like}, got {aval}")


def _tangent_program(operands: Sequence[Any], params: dict[str, Any]) -> Jaxpr:
    """It as a program of its operands, of which the results of attention are not used."""
    avals = tuple(aval_of(x).strong() for x in operands)

    def run(*args: Any) -> list[Any]:
        return apply_jaxpr(_forward_mode(args[:-5], params), [*args[:-5], *args[-3:]])[2:]

    return rewrite(run, avals, "attention")


def _forward_mode(operands: Sequence[Any], params: dict[str, Any]) -> Jaxpr:
    """The program that maps operands and tangents of the first three to results and tangents."""
    program = _program_of(operands, params)
    varied = tuple(i < 3 for i in range(len(operands)))
    return get_rewrites().jvp(program, varied, every(2))[0]


_composed(attention_tangent_p, _tangent_program)


def _pulled_back(cts: Sequence[Any], *operands: Any, live: Any = None, **params: Any) -> list[Any]:
    """The cotangents of the operands of ``attention_tangent``; see ``attention_grad`` for live."""
    if all(isinstance(ct, Zero) for ct in cts):
        return [None] * len(operands)
    has_lse, has_live = not isinstance(cts[1], Zero), live is not None
    given = instantiate_marked((True, has_lse), cts) if has_lse else [instantiate(cts[0])]
    marks = [live] if has_live else []
    found = attention_grad_p.bind(
        *operands[:-3], *given, *marks, has_lse=has_lse, has_live=has_live, **params
    )
    wanted = [
        ct if isinstance(x, Linear) else None for ct, x in zip(found, operands[-3:], strict=True)
    ]
    return [None] * (len(operands) - 3) + wanted


attention_tangent_p.transpose(_pulled_back)
attention_tangent_p.strong_transpose(partial(strong_transposed_attention, _pulled_back))


attention_grad_p = Primitive(
    "attention_grad",
    "How `attention` is pulled back. Operands: those of it, its results, the cotangent of the first"
    " and, if ``has_lse``, that of the second result; or, if ``has_live``, a mask (B, T, N, H) of"
    " that of the first, or 1 in the place of any of these: where it is False, the cotangent must"
    " be zero, and contributes nothing, whatever it meets. Results: the cotangents of query, key"
    " and value.",
    multiple_results=True,
)


@attention_grad_p.type_rule
def _(*avals, has_lse, has_live, **params):
    own, results_of, cts, live = _parts_of_grad(avals, has_lse, has_live)
    results = attention_p.out_avals(own, params)
    _check_like("attention_grad", (*results_of, *cts), (*results, *results[: len(cts)]))
    for mask in live:
        fits = mask.ndim == 4 and all(n == m or n == 1 for n, m in zip(mask.shape, avals[0].shape))
        if has_lse or not fits or kind_of(mask.dtype) != "b":
            raise TypeError(f"attention_grad: expected a mask for {avals[0]}, got {mask}")
    return [x.strong() for x in avals[:3]]


def _parts_of_grad(operands: Sequence[Any], has_lse: bool, has_live: bool) -> list[list[Any]]:
    """The operands of attention, its results, the cotangents, and the mask if there is one."""
    count = len(operands) - has_live - has_lse - 3
    return parts(operands, count, 2, 1 + has_lse)


def _grad_program(operands: Sequence[Any], params: dict[str, Any]) -> Jaxpr:
    """It as the transposed program of forward mode, which computes the weights anew.

    Where it stands in one program with attention, they are the same equations.
    """
    marks = {name: params[name] for name in ("has_lse", "has_live")}
    options = {name: value for name, value in params.items() if name not in marks}
    forward = _forward_mode(_parts_of_grad(operands, **marks)[0], options)

    def run(*args: Any) -> list[Any]:
        own, _, (ct, *ct_lse), live = _parts_of_grad(args, **marks)
        wide = computing_dtype(ct.dtype)
        given = [ct, *(convert_element_type(x, wide) for x in ct_lse)]
        linear = tuple(i >= len(own) for i in range(len(own) + 3))
        nonzero = (False, False, True, params["has_lse"])
        masks, axes = zip(*map(mask_along_own, live)) if live else ((), (None,))
        back, nonzero_in, _ = get_rewrites().strong_transpose(
            forward, linear, nonzero, (None, None, *axes, None)
        )
        found = apply_jaxpr(back, [*own, *given, *masks])
        cts = expand_zeros(nonzero_in, found[: sum(nonzero_in)], [aval_of(x) for x in args[:3]])
        return [instantiate(x) for x in cts]

    program = rewrite(run, tuple(aval_of(x).strong() for x in operands), "attention")
    return dce_keeping(program, every(3), every(len(operands)))


_composed(attention_grad_p, _grad_program)


@attention_grad_p.lower
def _(p, *operands, has_lse, has_live, **params):
    own, (outs, lse), (ct, *ct_lse), live = _parts_of_grad(operands, has_lse, has_live)
    if has_live:
        *own[:3], outs, lse = contributing(p, *live, own[:3], outs, lse)
    query, key, value = own[:3]
    b, wide = p.b, computing_dtype(query.dtype)

    def sums(index):
        return b.convert(lse.at(index), wide)

    products = p.reduce(
        lse.shape,
        wide,
        query.shape[3:],
        "add",
        lambda i, r: b.multiply(
            b.convert(outs.at((i[0], i[2], i[1], r[0])), wide),
            b.convert(ct.at((i[0], i[2], i[1], r[0])), wide),
        ),
    )
    if has_lse:
        own_products = p.materialize(products)
        products = p.compute(
            lse.shape,
            wide,
            lambda i: b.subtract(own_products.at(i), b.convert(ct_lse[0].at(i), wide)),
        )
    # Powers of two are what cards compute; what attends to nothing has no weights in any case.
    nothing_at = b.constant(-np.inf, wide)
    logarithms = p.compute(
        lse.shape,
        wide,
        lambda i: b.where(
            b.equal(sums(i), nothing_at),
            b.constant(0, wide),
            b.multiply(sums(i), b.constant(np.log2(np.e), wide)),
        ),
    )
    given = (*own, ct, logarithms, products)
    queries, keys, values = (p.stored(x.shape, x.dtype) for x in (query, key, value))
    p.attention("queries", given, (queries,), **params)
    p.attention("keys", given, (keys, values), **params)
    if not _may_attend_to_nothing(query, key, **params):
        return [queries, keys, values]
    batch, count, shared, features = value.shape
    group = query.shape[2] // shared

    def of_nothing(index, rindex):
        entry, head, feature = index
        own_head = b.add(b.multiply(head, b.constant(group, np.int64)), rindex[1])
        nothing = b.equal(sums((entry, own_head, rindex[0])), b.constant(-np.inf, wide))
        element = b.convert(ct.at((entry, rindex[0], own_head, feature)), wide)
        return b.where(nothing, element, b.constant(0, wide))

    extents = query.shape[1], group
    means = p.materialize(p.reduce((batch, shared, features), wide, extents, "add", of_nothing))

    def element(index):
        mean = b.multiply(means.at((index[0], *index[2:])), b.constant(1 / count, wide))
        return b.convert(b.add(b.convert(values.at(index), wide), mean), value.dtype)

    return [queries, keys, p.compute(value.shape, value.dtype, element)]


def attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    key_lengths: Any = None,
    *,
    scale: float,
    window: Window = (None, None),
) -> Any:
    """``softmax(scale * query @ key.T + bias) @ value`` for each head.

    Parameters
    ----------
    query : array, (B, T, N, H)
    key, value : array, (B, S, K, H)
        ``N`` is a multiple of ``K``: heads ``n`` of the query that share ``n // (N // K)`` attend
        to the same keys.
    bias, mask : array, optional
        (B, N, T, S), or 1 in the place of any of these. Where the mask is False, a position does
        not attend to a key.
    key_lengths : int array of shape (B,), optional
        How many keys of each sequence are real.
    scale : float
    window : (int or None, int or None)
        To how many keys before and behind it a position attends; ``(None, 0)`` is causal.

    Returns
    -------
    array, the shape of ``query``
        A position that attends to nothing gets the mean of the values.
    """
    extras = {"bias": bias, "mask": mask, "key_lengths": key_lengths}
    given = {name: x for name, x in extras.items() if x is not None}
    return attention_p.bind(
        query, key, value, *given.values(), extras=tuple(given), scale=float(scale), window=window
    )[0]
