"""Random programs that treat each row alone: rows that a ``where`` leaves out may hold anything.

Whatever these hold, their derivatives are zero, and those of the others and of the weights are the
ones that the same program has where all rows are harmless.
"""

import numpy as np
import pytest

import fnad
import fnad.lax as lax
import fnad.numpy as fnp
import fnad.scipy.special as special
from fnad.transforms.autodiff import grad, jvp
from fnad.transforms.jit import jit
from fnad.transforms.vmap import vmap

pytestmark = pytest.mark.filterwarnings("ignore")

ROWS, COLUMNS = 5, 4
VALID = np.array([True, False, True, False, True])


def _scanned(h, w):
    def step(carry, column):
        carry = fnp.tanh(carry * column) + column
        return carry, carry * column

    carry, columns = lax.scan(step, h[:, 0], h.T)
    return columns.T + carry[:, None]


def _recurrent(h, w):
    def step(carry, column):
        carry = fnp.tanh(carry @ w) + column[:, None]
        return carry, fnp.sum(carry, axis=1)

    carry, sums = lax.scan(step, h, h.T)
    return carry + sums.T


def _while_loop(h, w):
    step = lambda state: (state[0] + 1, fnp.sin(state[1] @ w))
    return lax.while_loop(lambda state: state[0] < 3, step, (0, h))[1]


def _convolved(h, w):
    kernel = w[:, :3][:, None, :]
    return lax.conv_general_dilated(h[:, None, :], kernel, (1,), "SAME")[:, 0]


def _outer(h):
    return h[:, :, None] * h[:, None, :]


def _solved(h, w):
    matrix = _outer(h) + fnp.eye(COLUMNS) * fnp.sum(h * h, axis=1)[:, None, None]
    return fnp.linalg.solve(matrix, h[:, :, None])[:, :, 0]


def _inverted(h, w):
    scale = 1 + fnp.sum(h * h, axis=1)
    return fnp.linalg.inv(0.1 * _outer(h) + fnp.eye(COLUMNS) * scale[:, None, None])[:, 0]


def _factorised(h, w):
    matrix = _outer(h) + fnp.eye(COLUMNS) * (0.5 + h[:, :1, None] ** 2)
    return fnp.linalg.cholesky(matrix)[:, :, 1]


def _log_determinant(h, w):
    return h * fnp.linalg.slogdet(_outer(h) + fnp.eye(COLUMNS) * h[:, None, :])[1][:, None]


def _windowed(h, w):
    return lax.reduce_window(h, 0.0, lax.add, (1, 2), (1, 1), "SAME")


def _branched(h, w):
    return vmap(lambda row: lax.cond(row[0] > 0.5, fnp.sqrt, lambda row: row @ w, row))(h)


OPERATIONS = {
    "sqrt": lambda h, w: fnp.sqrt(h),
    "log": lambda h, w: fnp.log(h),
    "reciprocal": lambda h, w: 1 / h,
    "power": lambda h, w: fnp.abs(h) ** 1.5,
    "lgamma": lambda h, w: special.gammaln(h),
    "relu": lambda h, w: fnp.where(h > 0, h, 0),
    "dense": lambda h, w: h @ w,
    "dense_of_columns": lambda h, w: (w @ h.T).T,
    "quadratic": lambda h, w: fnp.einsum("ij,jk,ik->ij", h, w, h),
    "spectrum": lambda h, w: fnp.abs(fnp.fft.fft(h, axis=1)) ** 2,
    "cumsum": lambda h, w: fnp.cumsum(h, axis=1),
    "cumprod": lambda h, w: fnp.cumprod(h, axis=1),
    "sort": lambda h, w: fnp.sort(h, axis=1),
    "softmax": lambda h, w: fnad.nn.softmax(h),
    "logsumexp": lambda h, w: h - special.logsumexp(h, axis=1, keepdims=True),
    "norm": lambda h, w: h / fnp.linalg.norm(h, axis=1, keepdims=True),
    "variance": lambda h, w: h / fnp.sqrt(fnp.var(h, axis=1, keepdims=True)),
    "largest": lambda h, w: h * fnp.max(h, axis=1, keepdims=True),
    "columns": lambda h, w: h[:, np.array([0, 0, 2, 1])],
    "swapped": lambda h, w: fnp.concatenate([h[:, 2:], h[:, :2] * h[:, 2:]], axis=1),
    "mapped": lambda h, w: vmap(lambda row: fnp.sqrt(row @ w) * row)(h),
    "called": lambda h, w: jit(lambda h, w: fnp.log(h @ w))(h, w),
    "recomputed": lambda h, w: fnad.checkpoint(lambda h: fnp.sqrt(h @ w) * h)(h),
    "each": lambda h, w: lax.map(lambda row: row @ w, h),
    "in_place": lambda h, w: lax.fori_loop(
        0, 3, lambda i, s: lax.dynamic_update_slice(s, s[:, :1] * s[:, 1:2], (0, i)), h
    ),
    "scanned": _scanned,
    "recurrent": _recurrent,
    "while_loop": _while_loop,
    "convolved": _convolved,
    "solved": _solved,
    "inverted": _inverted,
    "factorised": _factorised,
    "log_determinant": _log_determinant,
    "windowed": _windowed,
    "branched": _branched,
}


def _program(rng):
    """A loss of weights, rows and a mask; with rows that are harmless and such that are not."""
    names = rng.choice(sorted(OPERATIONS), size=rng.integers(1, 4))
    nested, by_elements = rng.random(2) < (0.3, 0.6)

    def loss(w, x, mask):
        h = x
        for name in names:
            h = OPERATIONS[name](h, w)
        if nested:
            return fnp.sum(fnp.where(mask, fnp.where(mask, h, 7.0) ** 2, 3.0))
        return fnp.sum(fnp.where(mask, h * h, 0))

    mask = VALID[:, None]
    if by_elements:
        mask = mask & (rng.random((ROWS, COLUMNS)) < 0.8)
    x = rng.uniform(0.5, 2, (ROWS, COLUMNS))
    spoiled = x.copy()
    bad = rng.choice([0.0, -1.0, np.inf, -np.inf, np.nan], size=(2, 1)) * np.ones((2, COLUMNS))
    keep = rng.random(bad.shape) < rng.choice([0.0, 0.5])
    spoiled[~VALID] = np.where(keep, 1.0, bad)
    return loss, rng.uniform(0.1, 1, (COLUMNS, COLUMNS)), mask, x, spoiled


def _check(seed, derivatives, compiled):
    rng = np.random.default_rng(seed)
    loss, w, mask, x, spoiled = _program(rng)
    v = rng.normal(size=x.shape)
    of_valid = lambda d: np.where(VALID[:, None], d, 0) if d.shape == x.shape else d
    for derivative in derivatives:
        expected = derivative(loss)(w, x, mask, of_valid(v))
        if not all(np.all(np.isfinite(d)) for d in expected):
            continue  # a random program may overflow by itself
        for transform in (lambda f: f, jit) if derivative in compiled else (lambda f: f,):
            got = transform(derivative(loss))(w, spoiled, mask, v)
            for own, other in zip(got, expected, strict=True):
                np.testing.assert_allclose(own, of_valid(other), rtol=1e-6, atol=1e-9)


def _gradient(loss):
    return lambda w, x, mask, v: grad(loss, argnums=(0, 1))(w, x, mask)


def _forward_over_reverse(loss):
    return lambda w, x, mask, v: jvp(lambda x: grad(loss, argnums=(0, 1))(w, x, mask), (x,), (v,))[
        1
    ]


def _reverse_over_reverse(loss):
    def change(w, x, mask, v):
        return fnp.sum(grad(loss, argnums=1)(w, x, mask) * v)

    return lambda w, x, mask, v: grad(change, argnums=(0, 1))(w, x, mask, v)


@pytest.mark.parametrize("seed", range(25))
def test_gradients_do_not_see_rows_left_out(seed):
    _check(seed, [_gradient], [_gradient])


@pytest.mark.parametrize("seed", range(100, 110))
def test_second_derivatives_do_not_see_rows_left_out(seed):
    both = [_forward_over_reverse, _reverse_over_reverse]
    _check(seed, both, both)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200, 300))
def test_more_random_programs(seed):
    """All derivatives evaluated, and one of them, by turns, compiled, which takes the time."""
    derivatives = [_gradient, _forward_over_reverse, _reverse_over_reverse]
    _check(seed, derivatives, [derivatives[seed % 3]])
