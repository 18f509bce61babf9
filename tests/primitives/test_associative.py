"""associative_scan, reduce and reduce_xor against NumPy, loops and JAX."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax
from fnad.testing import assert_allclose, check_grads

X = np.random.default_rng(0).standard_normal((3, 5, 7))
INTS = np.arange(105).reshape(3, 5, 7) * 37 % 101


def affine(a, b):
    """Compose x -> p x + q with another such map: associative, not commutative."""
    return a[0] * b[0], a[1] * b[0] + b[1]


class TestAssociativeScan:
    @pytest.mark.parametrize("n", range(10))
    @pytest.mark.parametrize("reverse", [False, True])
    def test_every_length_against_a_loop(self, n, reverse):
        p, q = np.random.default_rng(n).standard_normal((2, n, 2))
        order = range(n)[::-1] if reverse else range(n)
        want, state = np.zeros((2, n, 2)), None
        for i in order:
            state = (p[i], q[i]) if state is None else affine(state, (p[i], q[i]))
            want[:, i] = state
        f = lambda p, q: lax.associative_scan(affine, (p, q), reverse=reverse)
        for got in (f(p, q), fnad.jit(f)(p, q)):
            np.testing.assert_allclose(np.stack(got), want, rtol=1e-12, atol=1e-14)

    def test_matches_jax(self):
        jl = pytest.importorskip("jax").lax
        x, y = X.astype(np.float32), INTS.astype(np.int32)
        both = lambda a, b: {"s": a["s"] + b["s"], "m": a["m"] ^ b["m"]}
        for axis in (0, 1, 2):
            for reverse in (False, True):
                got, want = (
                    m.associative_scan(both, {"s": x, "m": y}, reverse, axis) for m in (lax, jl)
                )
                np.testing.assert_allclose(got["s"], want["s"], rtol=1e-5, atol=1e-5)
                np.testing.assert_array_equal(got["m"], want["m"])
                assert got["s"].dtype == np.float32 and got["m"].dtype == np.int32

    def test_derivatives_and_batches(self):
        f = lambda x: lax.associative_scan(lambda a, b: a * b, x, axis=1)
        np.testing.assert_allclose(f(X), np.cumprod(X, 1), rtol=1e-12)
        check_grads(f, (X[0],), order=2)
        np.testing.assert_allclose(
            fnad.jit(fnad.vmap(lambda x: lax.associative_scan(fnp.maximum, x)))(X),
            np.maximum.accumulate(X, 1),
        )

    def test_keeps_bits(self):
        x = np.array([-0.0, -0.0, -0.0])
        assert np.signbit(lax.associative_scan(np.add, x)).all()

    def test_errors(self):
        with pytest.raises(TypeError, match="must return what it gets"):
            lax.associative_scan(lambda a, b: a > b, X)
        with pytest.raises(TypeError, match="structures differ"):
            lax.associative_scan(lambda a, b: (a, b), X)
        with pytest.raises(ValueError, match="one length along axis 1"):
            lax.associative_scan(affine, (X, X[:, 1:]), axis=1)
        with pytest.raises(ValueError, match="no arrays"):
            lax.associative_scan(affine, ())


class TestReduce:
    @pytest.mark.parametrize(
        ("computation", "init", "x", "name"),
        [
            (lambda a, b: a + b, 0.0, X, "add"),
            (lax.mul, 1.0, X, "multiply"),
            (fnp.maximum, -np.inf, X, "maximum"),
            (lambda a, b: lax.min(b, a), np.inf, X, "minimum"),
            (lambda a, b: a & b, -1, INTS, "bitwise_and"),
            (fnp.bitwise_or, 0, INTS, "bitwise_or"),
            (fnp.logical_or, False, INTS > 99, "logical_or"),
            (lambda a, b: a ^ b, 0, INTS, "bitwise_xor"),
        ],
    )
    def test_known_functions_match_numpy(self, computation, init, x, name):
        for axes in [(0,), (1, 2), (0, 2), (0, 1, 2), ()]:
            f = lambda x, axes=axes: lax.reduce(x, init, computation, axes)
            want = getattr(np, name).reduce(x, axis=axes)
            assert_allclose(f(x), want, rtol=1e-12)
            assert_allclose(fnad.jit(f)(x), want, rtol=1e-12)

    def test_known_functions_are_one_reduction(self):
        names = lambda f: [e.primitive.name for e in fnad.make_jaxpr(f)(X).eqns]
        f = lambda computation: lambda x: lax.reduce(x, 0.0, computation, (0, 1))
        assert "reduce_sum" in names(f(lambda a, b: b + a))
        assert "reduce_sum" not in names(f(lambda a, b: a + a))
        assert "reduce_sum" not in names(f(lambda a, b: a + b + 0.0))

    def test_init_is_combined(self):
        assert lax.reduce(np.arange(4.0), 10.0, lax.add, (0,)) == 16
        assert lax.reduce(np.arange(4.0), 10.0, lax.max, (0,)) == 10
        assert lax.reduce(X[:, :0], 2.0, lax.max, (1,)).tolist() == [[2.0] * 7] * 3
        assert lax.reduce(X[:, :0], 2.0, lax.max, (0,)).shape == (0, 7)

    @pytest.mark.parametrize("n", range(1, 9))
    def test_order_is_kept(self, n):
        p, q = np.random.default_rng(n).standard_normal((2, n))
        want = (1.0, 0.0)
        for i in range(n):
            want = affine(want, (p[i], q[i]))
        f = lambda p, q: lax.reduce((p, q), (1.0, 0.0), affine, (0,))
        np.testing.assert_allclose(f(p, q), want, rtol=1e-12)
        np.testing.assert_allclose(fnad.jit(f)(p, q), want, rtol=1e-12)

    def test_index_of_the_maximum(self):
        def later(a, b):
            return lax.cond(a[0] >= b[0], lambda: a, lambda: b)

        f = lambda x: lax.reduce((x, lax.broadcasted_iota(np.int64, x.shape, 2)), (-np.inf, -1),
                                 later, (2,))  # fmt: skip
        for got in (f(X), fnad.jit(f)(X), fnad.vmap(f)(X[:, None])):
            np.testing.assert_array_equal(np.asarray(got[1]).reshape(3, 5), X.argmax(2))

    def test_derivatives(self):
        scale = np.float64(1.5)
        f = lambda x, s: lax.reduce(x, 0.0, lambda a, b: fnp.sqrt(a * a + s * b * b), (0,))
        check_grads(f, (X[0] + 3, scale), order=2)

    def test_matches_jax(self):
        jl = pytest.importorskip("jax").lax
        x = X.astype(np.float32)
        f = lambda m: m.reduce((x, x), (np.float32(1), np.float32(0)), affine, (1,))
        for got, want in zip(f(lax), f(jl), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)

    def test_errors(self):
        with pytest.raises(TypeError, match="one scalar for each operand"):
            lax.reduce(X, np.float32(0), lax.add, (0,))
        with pytest.raises(TypeError, match="must return what it gets"):
            lax.reduce(X, 0.0, lax.lt, (0,))
        with pytest.raises(TypeError, match="arrays of one shape"):
            lax.reduce((X, X[0]), (0.0, 0.0), affine, (0,))


def test_reduce_xor():
    np.testing.assert_array_equal(
        fnad.jit(lambda x: lax.reduce_xor(x, (0, 2)))(INTS), np.bitwise_xor.reduce(INTS, (0, 2))
    )
    flags = INTS % 3 == 0
    np.testing.assert_array_equal(lax.reduce_xor(flags, 1), np.logical_xor.reduce(flags, 1))
