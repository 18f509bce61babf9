"""Fresnel's integrals."""

from __future__ import annotations

import math
from typing import Any

import fnad.numpy as fnp
from fnad.primitives.bits import reduce_precision
from fnad.scipy.operands import holomorphic, polynomial, with_partials
from fnad.scipy.special.complex_integrals import fresnel_cosine, fresnel_sine
from fnad.scipy.special.faddeeva import product, residue_of_w, split_of
from fnad.transforms.blocks import compiled_elementwise

_ROOT_PI = math.sqrt(math.pi)
_TURNING = 1.6  # up to here the power series, which loses one digit


@holomorphic
@compiled_elementwise
def fresnel(x: Any) -> tuple[Any, Any]:
    """Fresnel's integrals ``S`` and ``C``, elementwise.

    Those of ``sin(pi t**2 / 2)`` and of ``cos(pi t**2 / 2)`` from 0 to ``x``, real or complex: of
    complex numbers errors grow as ``pi abs(x)**2`` roundings.

    Examples
    --------
    >>> import numpy as np
    >>> fresnel(np.array([0.0, 1.0]))
    (array([0.        , 0.43825915]), array([0.       , 0.7798934]))
    """
    if fnp.iscomplexobj(x):
        return fresnel_sine(x), fresnel_cosine(x)
    both = _fresnel(x)
    return both[0], both[1]


def _phase(x: Any) -> Any:
    """``x**2 / 2`` less a multiple of 2, with an error of one rounding, however large ``x`` is."""
    x = fnp.where(fnp.abs(x) > (1e9 if x.dtype.itemsize == 4 else 1e18), 0, x)  # a multiple of 8
    head = reduce_precision(x, 8, 11) if x.dtype.itemsize == 4 else reduce_precision(x, 11, 25)
    rest = x - head
    parts = [fnp.fmod(p, 4) for p in (head * head, 2 * head * rest, rest * rest)]
    return fnp.fmod(parts[0] + parts[1] + parts[2], 4) / 2


@with_partials(lambda x: math.pi * x * _cosine(x))
def _sine(x: Any) -> Any:
    return fnp.sin(math.pi * _phase(x))


@with_partials(lambda x: -math.pi * x * _sine(x))
def _cosine(x: Any) -> Any:
    return fnp.cos(math.pi * _phase(x))


@with_partials(lambda x: fnp.stack([_sine(x), _cosine(x)]))
def _fresnel(x: Any) -> Any:
    size = fnp.abs(x)
    near = size < _TURNING
    u = fnp.where(near, size, 0)
    t = 0.5 * math.pi * u * u
    series = [
        [(-1) ** k / math.factorial(2 * k + i) / (4 * k + 2 * i + 1) for k in range(19)]
        for i in (0, 1)
    ]
    c_near, s_near = u * polynomial(t * t, series[0]), u * t * polynomial(t * t, series[1])
    # C + i S = (1 + i)/2 (1 - exp(i pi x**2 / 2) w((1 + i) sqrt(pi)/2 x)) (DLMF 7.5.8).
    finite = fnp.where(near | ~(size < math.inf), _TURNING, size)
    split = split_of(0.5 * _ROOT_PI * finite, 0.5 * _ROOT_PI * finite)
    sine, cosine = _sine(finite), _cosine(finite)
    re, im = residue_of_w(split)
    # Where z has equal parts exp(-z**2) is a pure phase, the inverse of that in front of w.
    turned = product((cosine, sine), (split.sum_re, split.sum_im))
    re, im = 1 - re - turned[0], -im - turned[1]
    infinite = size == math.inf
    c_far = fnp.where(infinite, 0.5, 0.5 * (re - im))
    s_far = fnp.where(infinite, 0.5, 0.5 * (re + im))
    found = fnp.where(near, s_near, s_far), fnp.where(near, c_near, c_far)
    nan = fnp.isnan(x)
    return fnp.stack([fnp.where(nan, math.nan, fnp.copysign(part, x)) for part in found])
