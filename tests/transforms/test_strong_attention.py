"""Gradients of attention of which a select left lanes out, whatever these hold."""

import numpy as np
import pytest

import fnad.numpy as fnp
from fnad.nn import dot_product_attention
from fnad.transforms.autodiff import grad
from fnad.transforms.jit import jit
from fnad.transforms.vmap import vmap
from tests.tiers import tiered

pytestmark = pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")

BATCH, QUERIES, KEYS, HEADS, SHARED, FEATURES = 3, 5, 6, 4, 2, 3
FULL = BATCH, QUERIES, HEADS, FEATURES
_rng = np.random.default_rng(0)
QUERY, WEIGHTS = (_rng.normal(size=FULL) for _ in range(2))
KEY, VALUE = (_rng.normal(size=(BATCH, KEYS, SHARED, FEATURES)) for _ in range(2))
BIAS = _rng.normal(size=(BATCH, HEADS, QUERIES, KEYS))
MASK = _rng.random((BATCH, 1, QUERIES, KEYS)) < 0.7
MASK[..., 0] = True
LENGTHS = np.array([4, 6, 3])

_positions = np.array([[1, 1, 0, 1, 0], [0, 0, 0, 0, 0], [1, 0, 1, 1, 1]], bool)
_elements = _rng.random(FULL) < 0.5
_elements[..., 1] = _elements[0, 2] = _elements[1, :, :2] = False
TAKEN = {
    "positions": _positions[:, :, None, None],
    "batches": np.array([True, False, True])[:, None, None, None],
    "heads": np.array([True, True, False, False])[:, None],
    "features": np.array([True, False, True]),
    "positions of heads": _positions[:, :, None, None] & np.array([1, 0, 1, 1], bool)[:, None],
    "features of positions": _positions[:, :, None, None] & np.array([True, False, True]),
    "elements": _elements,
    "nothing": np.False_,
}
EXTRAS = {
    "plain": {},
    "causal": {"is_causal": True},
    "window": {"local_window_size": (2, 1)},
    "bias": {"bias": BIAS},
    "mask": {"mask": MASK},
    "lengths": {"key_value_seq_lengths": LENGTHS},
}
transforms = pytest.mark.parametrize("transform", [lambda f: f, jit], ids=["eager", "jit"])
taken_lanes = pytest.mark.parametrize("taken", TAKEN.values(), ids=TAKEN)


def _kept(is_causal=False, local_window_size=None, mask=True, key_value_seq_lengths=None, **_):
    """Which keys a position attends to."""
    t, s = np.ogrid[:QUERIES, :KEYS]
    kept = np.broadcast_to(mask, (BATCH, HEADS, QUERIES, KEYS))
    if is_causal:
        kept = kept & (s <= t)
    if local_window_size:
        before, behind = local_window_size
        kept = kept & (t - before <= s) & (s <= t + behind)
    if key_value_seq_lengths is not None:
        kept = kept & (s < key_value_seq_lengths[:, None, None, None])
    return kept


def _pulled_back(query, key, value, ct, bias=0.0, **extras):
    """The cotangents of query, key, value and bias, as the textbook has them."""
    scale, group = FEATURES**-0.5, HEADS // SHARED
    keys, values = (np.repeat(x, group, 2) for x in (key, value))
    logits = scale * np.einsum("btnh,bsnh->bnts", query, keys) + bias
    terms = np.exp(np.where(_kept(**extras), logits, -np.inf))
    weights = terms / terms.sum(3, keepdims=True)
    of_weights = np.einsum("btnh,bsnh->bnts", ct, values)
    of_logits = weights * (of_weights - (weights * of_weights).sum(3, keepdims=True))
    by_head = [
        scale * np.einsum("bnts,btnh->bsnh", of_logits, query),
        np.einsum("bnts,btnh->bsnh", weights, ct),
    ]
    shared = [x.reshape(BATCH, KEYS, SHARED, group, FEATURES).sum(3) for x in by_head]
    return [scale * np.einsum("bnts,bsnh->btnh", of_logits, keys), *shared, of_logits]


def _dead(taken):
    """Positions of the query, keys and values that go into no lane that was taken."""
    live = np.broadcast_to(taken, FULL)
    by_group = live.reshape(BATCH, QUERIES, SHARED, -1, FEATURES)
    return (
        ~np.broadcast_to(live.any(3, keepdims=True), FULL),
        ~np.broadcast_to(by_group.any((1, 3, 4))[:, None, :, None], KEY.shape),
        ~np.broadcast_to(by_group.any((1, 3))[:, None], VALUE.shape),
    )


def _loss(taken, extras):
    def loss(query, key, value, weights):
        outs = dot_product_attention(query, key, value, **extras)
        return fnp.sum(fnp.where(taken, outs * weights, 0.0))

    return loss


@transforms
@taken_lanes
@tiered("extra", EXTRAS, lambda name: name in ("plain", "bias", "lengths"))
def test_lanes_that_are_not_taken(transform, taken, extra):
    extras = EXTRAS[extra]
    dead = _dead(taken)
    assert any(map(np.any, dead))
    clean = [np.where(lanes, 0.0, x) for x, lanes in zip((QUERY, KEY, VALUE), dead)]
    expected = _pulled_back(*clean, np.where(taken, WEIGHTS, 0.0), **extras)
    if "bias" in extras:  # positions that attend to nothing at all
        rows = dead[0][..., 0].transpose(0, 2, 1)[..., None]
        extras = {"bias": np.where(rows, -np.inf, BIAS)}
    for bad in (np.inf, np.nan):
        spoiled = [np.where(lanes, bad, x) for x, lanes in zip((QUERY, KEY, VALUE), dead)]
        got = transform(grad(_loss(taken, extras), argnums=(0, 1, 2)))(*spoiled, WEIGHTS)
        for found, wanted in zip(got, expected):
            np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-13)


@transforms
def test_a_value_that_some_positions_take_shows_in_them_alone(transform):
    taken = np.ones(FULL, bool)
    taken[0, 2:, 0, 1] = taken[0, :, 1, 1] = False  # of heads that share their keys
    value = VALUE.copy()
    value[0, 3, 0, 1] = np.inf
    got = transform(grad(_loss(taken, {}), argnums=(0, 1, 2)))(QUERY, KEY, value, WEIGHTS)
    ct = np.where(taken, WEIGHTS, 0.0)
    expected = _pulled_back(QUERY, KEY, np.where(np.isinf(value), 0.0, value), ct)
    assert not np.any(np.isfinite(got[0][0, :2, 0]))
    assert not np.any(np.isfinite(got[1][0, :, 0]))
    kept = np.ones(FULL, bool), np.ones(KEY.shape, bool), np.ones(KEY.shape, bool)
    kept[0][0, :2, 0] = kept[1][0, :, 0] = False
    for found, wanted, where in zip(got, expected, kept):
        np.testing.assert_allclose(found[where], wanted[where], rtol=1e-11)


@transforms
def test_keys_that_only_positions_left_out_attend_to(transform):
    taken = (np.arange(QUERIES) < 3)[:, None, None]
    clean = [np.where(np.arange(len(x[0]))[:, None, None] < 3, x, 0.0) for x in (QUERY, KEY)]
    spoiled = [np.where(np.arange(len(x[0]))[:, None, None] < 3, x, np.nan) for x in (QUERY, KEY)]
    expected = _pulled_back(*clean, VALUE, np.where(taken, WEIGHTS, 0.0), is_causal=True)
    loss = _loss(taken, {"is_causal": True})
    got = transform(grad(loss, argnums=(0, 1, 2)))(*spoiled, VALUE, WEIGHTS)
    for found, wanted in zip(got, expected):
        np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-13)


@transforms
@pytest.mark.parametrize("taken", [TAKEN["positions"], TAKEN["elements"]], ids=["rows", "elements"])
@pytest.mark.parametrize("dtype, tolerance", [(np.float16, 4e-3), (np.float32, 4e-6)])
def test_narrow_dtypes(transform, taken, dtype, tolerance):
    dead = _dead(taken)
    operands = [x.astype(dtype) for x in (QUERY, KEY, VALUE, WEIGHTS)]
    wide = [np.where(lanes, 0.0, x.astype(float)) for x, lanes in zip(operands, dead)]
    expected = _pulled_back(*wide, np.where(taken, operands[3].astype(float), 0.0))
    spoiled = [np.where(lanes, dtype(np.inf), x) for x, lanes in zip(operands, dead)]
    got = transform(grad(_loss(taken, {}), argnums=(0, 1, 2)))(*spoiled, operands[3])
    for found, wanted in zip(got, expected):
        assert found.dtype == dtype
        np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance * np.abs(wanted).max())


@transforms
@taken_lanes
def test_batches_of_gradients(transform, taken):
    whole = np.broadcast_to(taken, FULL)
    dead = _dead(taken)
    clean = [np.where(lanes, 0.0, x) for x, lanes in zip((QUERY, KEY, VALUE), dead)]
    expected = _pulled_back(*clean, np.where(taken, WEIGHTS, 0.0))
    spoiled = [np.where(lanes, np.inf, x) for x, lanes in zip((QUERY, KEY, VALUE), dead)]

    def single(query, key, value, weights, taken):
        return _loss(taken, {})(query, key, value, weights)

    each = vmap(grad(single, argnums=(0, 1, 2)))
    got = transform(each)(*spoiled, WEIGHTS, whole)
    for found, wanted in zip(got, expected):
        np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-13)
    flags = np.array([True, False, True])  # one for each of the batch
    dead = _dead(flags[:, None, None, None])
    spoiled = [np.where(lanes, np.nan, x) for x, lanes in zip((QUERY, KEY, VALUE), dead)]
    clean = [np.where(lanes, 0.0, x) for x, lanes in zip((QUERY, KEY, VALUE), dead)]
    expected = _pulled_back(*clean, flags[:, None, None, None] * WEIGHTS)
    got = transform(each)(*spoiled, WEIGHTS, flags)
    for found, wanted in zip(got, expected):
        np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-13)


@transforms
@pytest.mark.parametrize("name", ["positions", "features", "elements", "heads"])
def test_second_derivatives(transform, name):
    taken = TAKEN[name]
    dead = _dead(taken)
    clean = [np.where(lanes, 0.0, x) for x, lanes in zip((QUERY, KEY, VALUE), dead)]
    spoiled = [np.where(lanes, np.inf, x) for x, lanes in zip((QUERY, KEY, VALUE), dead)]
    ct = np.where(taken, WEIGHTS, 0.0)
    first = lambda *xs: sum((x**2).sum() for x in _pulled_back(*xs, ct)[:3])

    def squares(*operands):
        return sum(
            fnp.sum(x**2) for x in grad(_loss(taken, {}), argnums=(0, 1, 2))(*operands, WEIGHTS)
        )

    got = transform(grad(squares, argnums=(0, 1, 2)))(*spoiled)
    for i, found in enumerate(got):
        np.testing.assert_array_equal(found[dead[i]], 0.0)
        direction = np.where(dead[i], 0.0, np.cos(np.arange(found.size)).reshape(found.shape))
        ends = [first(*clean[:i], clean[i] + h * direction, *clean[i + 1 :]) for h in (1e-5, -1e-5)]
        np.testing.assert_allclose(np.sum(found * direction), (ends[0] - ends[1]) / 2e-5, rtol=1e-6)


@transforms
def test_what_is_behind_keys_and_values(transform):
    # An entry of the batch that is left out is zero, where roots have infinite slopes.
    taken = TAKEN["batches"]
    operands = [np.where(taken, np.abs(x) + 0.5, 0.0) for x in (QUERY, KEY, VALUE)]

    def loss(*operands):
        return _loss(taken, {})(*map(fnp.sqrt, operands), WEIGHTS)

    roots = [np.sqrt(x) for x in operands]
    expected = _pulled_back(*roots, np.where(taken, WEIGHTS, 0.0))
    got = transform(grad(loss, argnums=(0, 1, 2)))(*operands)
    for found, wanted, root in zip(got, expected, roots):
        slopes = np.where(root > 0, 1 / (2 * np.where(root > 0, root, 1.0)), 0.0)
        np.testing.assert_allclose(found, wanted * slopes, rtol=1e-11, atol=1e-14)


@transforms
@taken_lanes
def test_biases(transform, taken):
    dead = _dead(taken)
    clean = [np.where(lanes, 0.0, x) for x, lanes in zip((QUERY, KEY, VALUE), dead)]
    expected = _pulled_back(*clean, np.where(taken, WEIGHTS, 0.0), bias=BIAS)
    spoiled = [np.where(lanes, np.nan, x) for x, lanes in zip((QUERY, KEY, VALUE), dead)]
    loss = lambda bias: _loss(taken, {"bias": bias})(*spoiled, WEIGHTS)
    np.testing.assert_allclose(transform(grad(loss))(BIAS), expected[3], rtol=1e-11, atol=1e-13)


def test_one_program_for_all_sizes():
    taken = TAKEN["elements"]
    dead = _dead(taken)
    clean = [np.where(lanes, 0.0, x) for x, lanes in zip((QUERY, KEY, VALUE), dead)]
    expected = _pulled_back(*clean, np.where(taken, WEIGHTS, 0.0))
    spoiled = [np.where(lanes, np.inf, x) for x, lanes in zip((QUERY, KEY, VALUE), dead)]

    def loss(query, key, value, weights, taken):
        return _loss(taken, {})(query, key, value, weights)

    sizes = "b t _ _", "b s _ _", "b s _ _", "b t _ _", "b t _ _"
    got = jit(grad(loss, argnums=(0, 1, 2)), dynamic=sizes)(*spoiled, WEIGHTS, taken)
    for found, wanted in zip(got, expected):
        np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-13)
