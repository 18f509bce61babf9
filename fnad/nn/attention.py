"""Attention."""

from __future__ import annotations

from typing import Any

from fnad import lax
from fnad import numpy as fnp


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
    >>> import numpy as np
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
    dtype = fnp.result_type(query, key, value)
    query, key, value = (x.astype(dtype) for x in (query, key, value))
    before, behind = _window(local_window_size, is_causal)
    outs = lax.attention(
        query,
        key,
        value,
        None if bias is None else _four_axes(bias, fnp.float32),
        None if mask is None else _four_axes(mask, fnp.bool_),
        None if key_value_seq_lengths is None else fnp.asarray(key_value_seq_lengths),
        scale=query.shape[3] ** -0.5 if scale is None else scale,
        window=(before, behind),
    )
    if query_seq_lengths is not None:
        real = fnp.arange(query.shape[1]) < fnp.asarray(query_seq_lengths)[:, None]
        outs = fnp.where(real[:, :, None, None], outs, outs.dtype.type(0))
    return outs


def _window(local: int | tuple[int, int] | None, is_causal: bool) -> tuple[int | None, int | None]:
    """To how many keys before and behind it a position attends; None for all."""
    before, behind = (local, local) if local is None or isinstance(local, int) else local
    if is_causal:
        behind = 0 if behind is None else min(behind, 0)
    return before, behind


def _four_axes(x: Any, dtype: Any) -> Any:
    """An operand with leading axes of length 1, converted if it is of another kind."""
    x = fnp.asarray(x)
    fits = x.dtype == dtype or (dtype != fnp.bool_ and fnp.issubdtype(x.dtype, fnp.floating))
    x = x if fits else x.astype(dtype)
    return x.reshape((1,) * (4 - x.ndim) + x.shape)


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
