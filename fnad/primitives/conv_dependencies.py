"""Which elements of a convolution depend on which, as Kronecker products of taps."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from fnad.primitives.dependencies import Operand, Pattern, numbers, rows, through, union


def conv_pattern(
    lhs: Operand, rhs: Operand, out_shape: tuple[int, ...], **params: Any
) -> Pattern | None:
    """The pattern of ``conv_general_dilated``; taps of a known filter that are zero count not.

    An element of the result depends on all of the filters of its feature.
    """
    return union((_from_lhs(lhs, rhs, out_shape, params), _from_rhs(rhs, out_shape, params)))


def _from_rhs(rhs: Operand, shape: tuple[int, ...], params: dict[str, Any]) -> Pattern | None:
    if rhs.pattern is None:
        return None
    import scipy.sparse as sp

    specs = params["dimension_numbers"]
    features = rhs.aval.shape[specs.rhs_spec[0]]
    feature_of = np.indices(rhs.aval.shape)[specs.rhs_spec[0]].ravel()
    ones = np.ones(len(feature_of), bool)
    each = sp.csr_array(
        (ones, (feature_of, np.arange(len(feature_of)))), (features, len(feature_of))
    )
    return rows(through(each, rhs.pattern), np.indices(shape)[specs.out_spec[1]])


def _from_lhs(
    lhs: Operand, rhs: Operand, shape: tuple[int, ...], params: dict[str, Any]
) -> Pattern | None:
    if lhs.pattern is None:
        return None
    import scipy.sparse as sp

    specs, groups = params["dimension_numbers"], params["feature_group_count"]
    lhs_shape = [lhs.aval.shape[i] for i in specs.lhs_spec]
    rhs_shape = [rhs.aval.shape[i] for i in specs.rhs_spec]
    out_shape = [shape[i] for i in specs.out_spec]
    used = np.ones(rhs_shape, bool)
    if rhs.value is not None:
        used = np.asarray(rhs.value).transpose(specs.rhs_spec) != 0
    taps = [
        [_tap(d, k, lhs_shape[2 + d], out_shape[2 + d], params) for k in range(rhs_shape[2 + d])]
        for d in range(len(rhs_shape) - 2)
    ]
    images = sp.eye_array(lhs_shape[0], dtype=bool)
    features = [_features(used, groups, k) for k in product(*map(range, rhs_shape[2:]))]
    weights: Any = sp.csr_array((int(np.prod(out_shape)), int(np.prod(lhs_shape))), dtype=bool)
    for matrix, chosen in zip(features, product(*taps)):
        if matrix.nnz:
            whole = sp.kron(images, matrix, "csr")
            for tap in chosen:
                whole = sp.kron(whole, tap, "csr")
            weights = weights + whole.astype(bool)
    # From the order (batch, feature, spatial ...) to that of the arrays, and back.
    order_in = numbers(lhs.aval.shape).transpose(specs.lhs_spec)
    order_out = numbers(out_shape).transpose(np.argsort(specs.out_spec))
    return rows(through(weights, rows(lhs.pattern, order_in)), order_out)


def _features(used: np.ndarray[Any, Any], groups: int, tap: tuple[int, ...]) -> Any:
    """Which out features a tap makes of which features."""
    import scipy.sparse as sp

    here = used.transpose(*range(2, used.ndim), 0, 1)[tap]
    blocks = np.split(here, groups)
    return sp.block_diag(blocks, "csr").astype(bool)


def _tap(d: int, k: int, num_in: int, num_out: int, params: dict[str, Any]) -> Any:
    """Which positions along a spatial axis tap ``k`` of the filter reads."""
    import scipy.sparse as sp

    low = params["padding"][d][0]
    at = np.arange(num_out) * params["window_strides"][d] + k * params["rhs_dilation"][d] - low
    dilation = params["lhs_dilation"][d]
    hit = np.flatnonzero((at >= 0) & (at < (num_in - 1) * dilation + 1) & (at % dilation == 0))
    ones = np.ones(len(hit), bool)
    return sp.csr_array((ones, (hit, at[hit] // dilation)), (num_out, num_in))
