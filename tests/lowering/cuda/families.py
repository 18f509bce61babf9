"""One program of each family of kernels, for tools that watch what a card does.

``python -m tests.lowering.cuda.families [NAME ...]`` runs them on the card, each array in memory of
its own, so that compute-sanitizer's memcheck sees where one ends; its racecheck is for the same
command. A program runs three times: as it is, while it is recorded, and replayed.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import fnad
import fnad.numpy as fnp
from fnad import lax, nn

RUNS = 3


@dataclass(frozen=True, slots=True)
class Family:
    """A program, its arguments, what it is to compute, and texts that its source must have."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    reference: Callable[..., Any]
    source: tuple[str, ...] = ()
    tolerance: float = 1e-5


def _normal(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def _indices(bound, size):
    return np.random.default_rng(1).integers(0, bound, size, np.int32)


def _softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _added(x, indices):
    out = np.zeros((50, 8), np.float32)
    np.add.at(out, indices, x)
    return out


def _attention(q, k, v):
    scores = np.einsum("bqhd,bkhd->bhqk", q, k) / q.shape[-1] ** 0.5
    visible = np.tril(np.ones(scores.shape[-2:], bool))
    return np.einsum("bhqk,bkhd->bqhd", _softmax(np.where(visible, scores, -np.inf)), v)


def _convolved(x, kernel):
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
    return np.einsum("bijcmn,mnco->bijo", windows, kernel)


def _recurrence(xs):
    c = np.zeros(xs.shape[1], np.float32)
    for x in xs:
        c = np.tanh(c * np.float32(0.5) + x)
    return c


def _doubled(x):
    while x.max() < 100:
        x = x * 2
    return x


def _pooled(x):
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).max((2, 4))


_SQUARE = _normal(70, 130)
_HEADS = tuple(_normal(2, 40, 2, 16, seed=i) for i in range(3))
_KEY = fnad.random.key(3)

FAMILIES = {
    "elementwise": Family(
        lambda x, y: fnp.tanh(x) * y, (_SQUARE, _SQUARE + 1), lambda x, y: np.tanh(x) * y
    ),
    "strided points": Family(lambda x: x[::-1, ::3] + 1, (_SQUARE,), lambda x: x[::-1, ::3] + 1),
    "half precision": Family(
        lambda x: x * x + 1,
        (_normal(33, 40, dtype=np.float16),),
        lambda x: x * x + np.float16(1),
        tolerance=2e-3,
    ),
    "sum over rows": Family(lambda x: x.sum(1), (_SQUARE,), lambda x: x.sum(1), ("__shfl",), 1e-4),
    "sum over columns": Family(
        lambda x: x.sum(0), (_normal(3000, 40),), lambda x: x.sum(0), tolerance=1e-4
    ),
    "sum over all": Family(
        lambda x: (x * x).sum(),
        (_normal(300, 400),),
        lambda x: (x * x).sum(),
        ("__syncthreads", "__shfl"),
        1e-4,
    ),
    "window": Family(
        lambda x: lax.reduce_window(x, -np.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"),
        (_normal(2, 14, 14, 8),),
        _pooled,
    ),
    "rows": Family(nn.softmax, (_normal(30, 200),), _softmax, ("__shfl",)),
    "long rows": Family(nn.softmax, (_normal(4, 5000),), _softmax, ("__syncthreads",)),
    "transpose": Family(
        lambda x: fnp.transpose(x) + 1, (_normal(200, 300),), lambda x: x.T + 1, ("__shared__",)
    ),
    "running sum": Family(
        lambda x: fnp.cumsum(x, axis=1),
        (_normal(3, 5000),),
        lambda x: np.cumsum(x, 1, dtype=np.float64).astype(np.float32),
        ("__shared__",),
        1e-4,
    ),
    "sort by network": Family(
        lambda x: fnp.sort(x, axis=1), (_normal(3, 500),), lambda x: np.sort(x, 1)
    ),
    "sort by radix": Family(fnp.sort, (_normal(20_000),), np.sort, ("sort",)),
    "gather": Family(lambda x, i: x[i], (_SQUARE, _indices(70, 100)), lambda x, i: x[i]),
    "scatter-add": Family(
        lambda x, i: fnp.zeros((50, 8), np.float32).at[i].add(x),
        (_normal(1000, 8), _indices(50, 1000)),
        _added,
        tolerance=1e-4,
    ),
    "product by tiles": Family(
        lambda a, b, c: nn.relu(a @ b + c),
        (_SQUARE, _normal(130, 90), _normal(90)),
        lambda a, b, c: np.maximum(a @ b + c, 0),
        ("__shared__",),
        1e-4,
    ),
    "product of integers": Family(
        lambda a, b: a @ b,
        ((_SQUARE * 100).astype(np.int32), _indices(100, (130, 90))),
        lambda a, b: a @ b,
        ("__shared__",),
    ),
    "product by the library": Family(
        lambda a, b: a @ b, (_normal(512, 512), _normal(512, 512)), np.matmul, tolerance=1e-4
    ),
    "convolution": Family(
        lambda x, k: lax.conv_general_dilated(
            x, k, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        ),
        (_normal(2, 10, 10, 8), _normal(3, 3, 8, 16)),
        _convolved,
        tolerance=1e-4,
    ),
    "attention": Family(
        lambda q, k, v: nn.dot_product_attention(q, k, v, is_causal=True),
        _HEADS,
        _attention,
        tolerance=1e-4,
    ),
    "loop in one kernel": Family(
        lambda xs: lax.scan(lambda c, x: (fnp.tanh(c * 0.5 + x), None), fnp.zeros_like(xs[0]), xs)[
            0
        ],
        (_normal(100, 8),),
        _recurrence,
        ("for (",),
        1e-4,
    ),
    "loop until": Family(
        lambda x: lax.while_loop(lambda c: c.max() < 100, lambda c: c * 2, x),
        (np.abs(_normal(5)),),
        _doubled,
    ),
    "random numbers": Family(
        lambda key: fnad.random.normal(key, (1000,)),
        (_KEY,),
        lambda key: fnad.random.normal(key, (1000,)),
    ),
}


def check(name: str) -> None:
    """Run a family's program on the current device, and compare."""
    family = FAMILIES[name]
    function = fnad.jit(lambda arguments: family.function(*arguments), backend="cuda")
    source = function.lower(family.arguments).as_text("cuda")
    absent = [text for text in family.source if text not in source]
    assert not absent, f"the source of {name} has no {absent}"
    arguments = fnad.device_put(family.arguments)
    wanted = np.asarray(family.reference(*family.arguments))
    limit = family.tolerance * max(1.0, float(np.max(np.abs(wanted))))
    for _ in range(RUNS):
        found = fnad.device_get(function(arguments))
        np.testing.assert_allclose(found, wanted, rtol=family.tolerance, atol=limit, err_msg=name)


def main(names: list[str]) -> None:
    """Check families on the card, all of them if none is named."""
    import cupy

    cupy.cuda.set_allocator(None)  # no pool
    for name in names or FAMILIES:
        check(name)
        print(name, "is right", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
