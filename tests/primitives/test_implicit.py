"""custom_linear_solve and custom_root: derivatives of solutions, not of the way to them."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax
from fnad.testing import assert_allclose, check_grads

rng = np.random.default_rng(0)
A = rng.standard_normal((2, 4, 4)) + 6 * np.eye(4)
B = rng.standard_normal((2, 4))
SPD = np.einsum("nij,nkj->nik", A, A)


def conjugate_gradient(matvec, b):
    """Hestenes and Stiefel 1952, in a loop that reverse mode could not go through."""

    def step(state):
        x, r, p, rr = state
        ap = matvec(p)
        alpha = rr / fnp.vdot(p, ap)
        x, r = x + alpha * p, r - alpha * ap
        new = fnp.vdot(r, r)
        return x, r, r + new / rr * p, new

    start = (fnp.zeros_like(b), b, b, fnp.vdot(b, b))
    return lax.while_loop(lambda s: s[3] > 1e-26, step, start)[0]


def jacobi(matvec, b):
    """Jacobi's iteration for matrices near 6 times the identity: 60 steps."""
    return lax.fori_loop(0, 60, lambda _, x: x + (b - matvec(x)) / 6, fnp.zeros_like(b))


def symmetric(a, b):
    return lax.custom_linear_solve(lambda x: fnp.matmul(a, x), b, conjugate_gradient,
                                   symmetric=True)  # fmt: skip


def general(a, b):
    return lax.custom_linear_solve(lambda x: fnp.matmul(a, x), b, jacobi, jacobi)


class TestLinearSolve:
    @pytest.mark.parametrize(("f", "a"), [(symmetric, SPD), (general, A)])
    def test_values_derivatives_batches(self, f, a):
        want = np.linalg.solve(a, B[..., None])[..., 0]
        close = lambda x, y: assert_allclose(x, y, rtol=1e-9, atol=1e-11)
        close(f(a[0], B[0]), want[0])
        close(fnad.jit(f)(a[0], B[0]), want[0])
        for compiled in (lambda g: g, fnad.jit):
            close(compiled(fnad.vmap(f))(a, B), want)
            close(compiled(fnad.vmap(f, (None, 0)))(a[0], B), np.linalg.solve(a[0], B.T).T)
            one = np.linalg.solve(a, B[0][:, None])[..., 0]
            close(compiled(fnad.vmap(f, (0, None)))(a, B[0]), one)
        loss = lambda a, b: fnp.sum(f(a, b) ** 2)
        x = want[0]
        b_bar = np.linalg.solve(a[0].T, 2 * x)
        for g in (fnad.grad(loss, (0, 1)), fnad.jit(fnad.grad(loss, (0, 1)))):
            a_ct, b_ct = g(a[0], B[0])
            close(b_ct, b_bar)
            close(a_ct, -np.outer(b_bar, x))
        rows = [fnad.grad(loss, (0, 1))(a[i], B[i]) for i in range(2)]
        for got, *row in zip(fnad.vmap(fnad.grad(loss, (0, 1)))(a, B), *rows, strict=True):
            close(got, np.stack(row))

    def test_second_derivatives(self):
        check_grads(general, (A[0], B[0]), order=2)
        tied = lambda a, b: symmetric(fnp.matmul(a, a.T), b)
        check_grads(tied, (A[0], B[0]), order=2)

    def test_the_loop_is_not_differentiated(self):
        grad = fnad.grad(lambda b: fnp.sum(symmetric(SPD[0], b)))
        names = [e.primitive.name for e in fnad.make_jaxpr(grad)(B[0]).eqns]
        assert "linear_solve" in names and "while" not in names

    def test_pytrees_and_aux(self):
        def f(s, b):
            matvec = lambda x: {"u": 2 * s * x["u"], "v": x["v"] / s + x["u"]}

            def solve(_, b):
                u = b["u"] / (2 * s)
                return {"u": u, "v": s * (b["v"] - u)}, ("done", {"n": 3 * s})

            def transposed(_, b):
                v = s * b["v"]
                return {"u": (b["u"] - v) / (2 * s), "v": v}, ("back", {"n": 0 * s})

            return lax.custom_linear_solve(
                matvec, b, lambda m, b: (solve(m, b)[0], solve(m, b)[1][1]["n"]),
                lambda m, b: (transposed(m, b)[0], ()), has_aux=True,
            )  # fmt: skip

        b = {"u": B[0], "v": B[1]}
        x, n = f(1.5, b)
        assert_allclose(x["u"], B[0] / 3)
        assert n == 4.5
        check_grads(lambda s, b: f(s, b)[0], (np.float64(1.5), b), order=2)
        assert fnad.grad(lambda s: f(s, b)[1])(1.5) == 0
        assert_allclose(fnad.jit(f)(1.5, b)[0]["v"], x["v"])

    def test_float32(self):
        got = fnad.jit(general)(A[0].astype(np.float32), B[0].astype(np.float32))
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, np.linalg.solve(A[0], B[0]), rtol=1e-4, atol=1e-6)

    def test_matches_jax(self):
        jax = pytest.importorskip("jax")
        a, b = SPD[0].astype(np.float32), B[0].astype(np.float32)
        loss = lambda m, dot: (
            lambda a, b: (
                m.custom_linear_solve(lambda x: dot(a, x), b, lambda mv, b: b / 40, symmetric=True)
                ** 2
            ).sum()
        )
        got = fnad.grad(loss(lax, fnp.matmul), (0, 1))(a, b)
        want = jax.grad(loss(jax.lax, jax.numpy.matmul), (0, 1))(a, b)
        for x, y in zip(got, want, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-8)

    def test_errors(self):
        forward_only = lambda b: lax.custom_linear_solve(lambda x: 2 * x, b, lambda _, b: b / 2)
        assert fnad.jvp(forward_only, (4.0,), (1.0,))[1] == 0.5
        with pytest.raises(Exception, match="pass transpose_solve"):
            fnad.grad(forward_only)(4.0)
        with pytest.raises(TypeError, match="what matvec returns must be like b"):
            lax.custom_linear_solve(lambda x: x[:1], B[0], lambda _, b: b)
        with pytest.raises(TypeError, match="what solve returns must be like b"):
            lax.custom_linear_solve(lambda x: x, B[0], lambda _, b: (b, b))


def newton(f, x):
    state = lax.while_loop(
        lambda s: fnp.abs(f(s)) > 1e-13, lambda s: s - f(s) / fnad.jvp(f, (s,), (1.0,))[1], x
    )
    return state


class TestRoot:
    def cube_root(self, a, guess=1.0):
        f = lambda x: x**3 - a
        return lax.custom_root(f, guess, newton, lambda g, y: y / g(1.0))

    def test_scalar(self):
        close = lambda x, y: assert_allclose(x, np.asarray(y)[()], rtol=1e-10)
        a = np.array([0.5, 2.0, 9.0])
        close(self.cube_root(2.0), np.cbrt(2.0))
        close(fnad.grad(self.cube_root)(2.0), np.cbrt(2.0) / 6)
        close(fnad.jit(fnad.grad(fnad.grad(self.cube_root)))(2.0), -2 / 9 * 2.0 ** (-5 / 3))
        close(fnad.jvp(self.cube_root, (2.0,), (3.0,))[1], np.cbrt(2.0) / 2)
        close(fnad.vmap(self.cube_root)(a), np.cbrt(a))
        close(fnad.jit(fnad.vmap(fnad.grad(self.cube_root)))(a), np.cbrt(a) / (3 * a))
        assert fnad.grad(self.cube_root, 1)(2.0, 1.5) == 0

    def test_system(self):
        """The fixed point x = tanh(W x + c), found by iteration."""

        def point(w, c):
            f = lambda x: x - fnp.tanh(fnp.matmul(w, x) + c)
            iterate = lambda f, x: lax.fori_loop(0, 200, lambda _, x: x - f(x), x)
            tangent = lambda g, y: lax.custom_linear_solve(g, y, series, series)
            series = lambda g, y: lax.fori_loop(0, 200, lambda _, x: x + y - g(x), y)
            return lax.custom_root(f, fnp.zeros(4), iterate, tangent)

        w = rng.standard_normal((4, 4)) / 5
        x = point(w, B[0])
        np.testing.assert_allclose(x, np.tanh(w @ x + B[0]), atol=1e-14)
        check_grads(point, (w, B[0]), order=1)
        batched = fnad.jit(fnad.vmap(fnad.grad(lambda w, c: fnp.sum(point(w, c))), (None, 0)))
        single = fnad.grad(lambda w, c: fnp.sum(point(w, c)))
        assert_allclose(batched(w, B), np.stack([single(w, c) for c in B]), rtol=1e-9, atol=1e-12)

    def test_aux(self):
        def f(a):
            solve = lambda f, x: (newton(f, x), {"a": a * 2})
            return lax.custom_root(lambda x: x - a, 0.0, solve, lambda g, y: y / g(1.0), True)

        x, aux = fnad.jit(f)(3.0)
        assert x == 3 and aux["a"] == 6
        assert fnad.grad(lambda a: f(a)[0] + f(a)[1]["a"])(3.0) == 1

    def test_errors(self):
        with pytest.raises(TypeError, match="what f returns must be like the initial guess"):
            lax.custom_root(lambda x: (x, x), 1.0, newton, lambda g, y: y)
        with pytest.raises(TypeError, match="what solve returns must be like the initial guess"):
            lax.custom_root(lambda x: x, 1.0, lambda f, x: (x, x), lambda g, y: y)
