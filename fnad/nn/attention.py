"""Attention."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnad import lax
from fnad import numpy as fnp
from fnad.nn.functions import softmax


def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    *,
    scale: float | None = None,
    is_causal: bool = False,
    query_seq_lengths: Any = None,
    key_value_seq_lengths: Any = None,
    local_window_size: int | tuple[int, int] | None = None,
) -> Any:
    """Dot-product attention: ``softmax(scale * query @ key.T + bias) @ value`` for each head.

    Parameters
    ----------
    query : array, (B, T, N, H) or (T, N, H)
        ``B`` sequences of ``T`` positions, ``N`` heads of ``H`` features.
    key, value : array, (B, S, K, H) or (S, K, H)
        ``N`` is a multiple of ``K``: heads ``n`` of the query that share ``n // (N // K)`` attend
        to the same keys (``K = 1``: multi-query attention).
    bias : array, optional
        Added to the logits; broadcast to (B, N, T, S).
    mask : bool array, optional
        Where False, a position does not attend to a key; broadcast to (B, N, T, S).
    scale : float, optional
        By default ``1 / sqrt(H)``.
    is_causal : bool
        Whether position ``t`` attends to keys ``s <= t`` only.
    query_seq_lengths, key_value_seq_lengths : int array of shape (B,), optional
        How many positions and keys of each sequence are real. Positions beyond give 0.
    local_window_size : int or (int, int), optional
        To how many keys before and behind it a position attends.

    Returns
    -------
    array, the shape of ``query``
        A position all of whose keys are masked gets the mean of the values.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Notes
    -----
    Logits and their softmax are float32 for 16-bit operands. Vaswani et al., "Attention Is All You
    Need" (2017), equation 1.

    Examples
    --------
    >>> q = np.zeros((2, 1, 4), np.float32)
    >>> v = np.arange(8, dtype=np.float32).reshape(2, 1, 4)
    >>> dot_product_attention(q, q, v, is_causal=True)[1, 0]
    array([2., 3., 4., 5.], dtype=float32)
    """
    query, key, value = (fnp.asarray(x) for x in (query, key, value))
    _check(query, key, value)
    if query.ndim == 3:
        outs = dot_product_attention(
            query[None],
            key[None],
            value[None],
            bias,
            mask,
            scale=scale,
            is_causal=is_causal,
            query_seq_lengths=query_seq_lengths,
            key_value_seq_lengths=key_value_seq_lengths,
            local_window_size=local_window_size,
        )
        return outs[0]
    group = query.shape[2] // key.shape[2]
    if group > 1:
        key, value = (fnp.repeat(x, group, axis=2) for x in (key, value))
    wide = np.result_type(query.dtype, np.float32)
    scale = query.shape[3] ** -0.5 if scale is None else scale
    logits = fnp.einsum("btnh,bsnh->bnts", query, key).astype(wide) * wide.type(scale)
    if bias is not None:
        logits = logits + fnp.asarray(bias).astype(wide)
    keep = _kept(
        logits.shape,
        mask,
        is_causal,
        (query_seq_lengths, key_value_seq_lengths),
        local_window_size,
    )
    if keep is not None:
        # Not -inf, of which a row without any key would make NaN.
        logits = fnp.where(keep, logits, wide.type(-0.7 * float(np.finfo(wide).max)))
    weights = softmax(logits).astype(value.dtype)
    outs = fnp.einsum("bnts,bsnh->btnh", weights, value)
    if query_seq_lengths is not None:
        real = fnp.arange(query.shape[1]) < fnp.asarray(query_seq_lengths)[:, None]
        outs = fnp.where(real[:, :, None, None], outs, outs.dtype.type(0))
    return outs


def _check(query: Any, key: Any, value: Any) -> None:
    shapes = [x.shape for x in (query, key, value)]
    if query.ndim not in (3, 4) or key.ndim != query.ndim or key.shape != value.shape:
        raise ValueError(
            "dot_product_attention takes a query of shape (batch, positions, heads, features) and a"
            f" key and a value of one shape (batch, keys, heads, features), got shapes {shapes}"
        )
    if query.shape[-1] != key.shape[-1] or query.shape[:-3] != key.shape[:-3]:
        raise ValueError(
            "dot_product_attention: query and key must agree in batch and features, got shapes"
            f" {shapes[:2]}"
        )
    if key.shape[-2] == 0 or query.shape[-2] % key.shape[-2]:
        raise ValueError(
            f"dot_product_attention: the {query.shape[-2]} heads of the query are no multiple of"
            f" the {key.shape[-2]} heads of the key"
        )


def _kept(
    shape: tuple[int, ...],
    mask: Any,
    is_causal: bool,
    lengths: tuple[Any, Any],
    window: int | tuple[int, int] | None,
) -> Any:
    """Which keys (last axis) each position (the one before) attends to; None for all."""
    positions = lax.broadcasted_iota(np.int32, shape[-2:], 0)
    keys = lax.broadcasted_iota(np.int32, shape[-2:], 1)
    kept = [] if mask is None else [fnp.asarray(mask)]
    if is_causal:
        kept.append(keys <= positions)
    if window is not None:
        before, behind = (window, window) if isinstance(window, int) else window
        kept += [keys >= positions - np.int32(before), keys <= positions + np.int32(behind)]
    for length, index in zip(lengths, (positions, keys), strict=True):
        if length is not None:
            kept.append(index < fnp.asarray(length)[:, None, None, None])
    result = None
    for condition in kept:
        result = condition if result is None else fnp.logical_and(result, condition)
    return result
