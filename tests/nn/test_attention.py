"""Attention against a slow reference and, where it is installed, JAX."""

import numpy as np
import pytest

import fnad
from fnad import nn
from fnad.testing import check_grads


def reference(q, k, v, bias=0.0, mask=True, scale=None):
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    out = np.zeros(q.shape)
    full = (q.shape[0], q.shape[2], q.shape[1], k.shape[1])
    bias, mask = np.broadcast_to(bias, full), np.broadcast_to(mask, full)
    for b, n, t in np.ndindex(full[:3]):
        head = n // (q.shape[2] // k.shape[2])
        logits = k[b, :, head] @ q[b, t, n] * scale + bias[b, n, t]
        weights = np.where(mask[b, n, t], np.exp(logits - logits.max()), 0)
        if not weights.any():
            weights[:] = 1
        out[b, t, n] = weights @ v[b, :, head] / weights.sum()
    return out


def operands(rng, b=2, t=5, s=7, n=4, kv=2, h=3):
    return [rng.standard_normal((b, x, m, h)) for x, m in ((t, n), (s, kv), (s, kv))]


def run(f, *args):
    """Eagerly, which must be what compiled code gives."""
    got = f(*args)
    np.testing.assert_allclose(fnad.jit(f)(*args), got, rtol=1e-12, atol=1e-14)
    return got


def test_plain(rng):
    q, k, v = operands(rng)
    np.testing.assert_allclose(run(nn.dot_product_attention, q, k, v), reference(q, k, v))
    one = nn.dot_product_attention(q[0], k[0], v[0])
    np.testing.assert_allclose(one, reference(q, k, v)[0])


@pytest.mark.parametrize("kv", [1, 2, 4])
def test_shared_heads(rng, kv):
    q, k, v = operands(rng, kv=kv)
    np.testing.assert_allclose(run(nn.dot_product_attention, q, k, v), reference(q, k, v))


def test_bias_mask_scale(rng):
    q, k, v = operands(rng)
    bias, mask = rng.standard_normal((4, 5, 7)), rng.random((2, 1, 5, 7)) < 0.5
    mask[0, 0, 2] = False  # a position that attends to nothing
    got = run(lambda *a: nn.dot_product_attention(*a, scale=0.3), q, k, v, bias, mask)
    np.testing.assert_allclose(got, reference(q, k, v, bias, mask, 0.3))


def test_causal_and_windows(rng):
    q, k, v = operands(rng, t=7)
    t, s = np.ogrid[:7, :7]
    causal = run(lambda *a: nn.dot_product_attention(*a, is_causal=True), q, k, v)
    np.testing.assert_allclose(causal, reference(q, k, v, mask=s <= t))
    for window, (before, behind) in ((2, (2, 2)), ((1, 3), (1, 3))):
        got = run(lambda *a, w=window: nn.dot_product_attention(*a, local_window_size=w), q, k, v)
        mask = (s >= t - before) & (s <= t + behind)
        np.testing.assert_allclose(got, reference(q, k, v, mask=mask))


def test_lengths(rng):
    q, k, v = operands(rng)
    positions, keys = np.array([5, 3]), np.array([4, 7])
    got = run(
        lambda q, k, v, p, s: nn.dot_product_attention(
            q, k, v, query_seq_lengths=p, key_value_seq_lengths=s
        ),
        q, k, v, positions, keys,
    )  # fmt: skip
    mask = (np.arange(7) < keys[:, None])[:, None, None]
    want = reference(q, k, v, mask=mask)
    want[1, 3:] = 0
    np.testing.assert_allclose(got, want)


def test_gradients(rng):
    q, k, v = operands(rng)
    check_grads(lambda *a: nn.dot_product_attention(*a, is_causal=True), (q, k, v), order=2)


@pytest.mark.parametrize("dtype", ["f2", "f4", "bfloat16"])
def test_dtypes(rng, dtype):
    dtype = fnad.numpy.bfloat16 if dtype == "bfloat16" else dtype
    q, k, v = (x.astype(dtype) for x in operands(rng))
    got = fnad.jit(nn.dot_product_attention)(q, k, v)
    assert got.dtype == q.dtype
    want = reference(*(x.astype(np.float64) for x in (q, k, v)))
    tolerance = {2: 2e-2, 4: 1e-5}[q.dtype.itemsize]
    np.testing.assert_allclose(got.astype(np.float64), want, rtol=tolerance, atol=tolerance)


def test_vmap(rng):
    q, k, v = operands(rng)
    got = fnad.vmap(nn.dot_product_attention)(q, k, v)
    np.testing.assert_allclose(got, reference(q, k, v))


def test_what_does_not_fit(rng):
    q, k, v = operands(rng)
    for bad, said in (
        ((q, k, v[:, :3]), "of one shape"),
        ((q[0], k, v), "of one shape"),
        ((q[..., :2], k, v), "batch and features"),
        ((q[:, :, :3], k, v), "3 heads of the query are no multiple of the 2 heads"),
    ):
        with pytest.raises(ValueError, match=said):
            nn.dot_product_attention(*bad)


def test_jax_agrees(rng):
    jax = pytest.importorskip("jax")
    q, k, v = (x.astype(np.float32) for x in operands(rng, t=7))
    bias = rng.standard_normal((2, 4, 7, 7)).astype(np.float32)
    mask = rng.random((2, 1, 7, 7)) < 0.4
    lengths = np.array([5, 7], np.int32)
    for options in (
        {}, {"bias": bias}, {"mask": mask, "is_causal": True}, {"local_window_size": (2, 1)},
        {"query_seq_lengths": lengths, "key_value_seq_lengths": lengths}, {"scale": 0.1},
    ):  # fmt: skip
        want = jax.nn.dot_product_attention(q, k, v, **options)
        got = nn.dot_product_attention(q, k, v, **options)
        np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-6)


def test_dynamic_sizes(rng):
    def attend(q, k, v, mask):
        return nn.dot_product_attention(q, k, v, mask=mask, is_causal=True)

    names = ("b t _ _", "b s _ _", "b s _ _", "b _ m s")
    dynamic = fnad.jit(attend, dynamic=names)
    for t, s, m in [(5, 7, 5), (6, 7, 1), (9, 8, 9), (4, 4, 1)]:
        q, k, v = operands(rng, t=t, s=s)
        mask = rng.random((2, 1, m, s)) < 0.7
        np.testing.assert_allclose(dynamic(q, k, v, mask), attend(q, k, v, mask), rtol=1e-12)
