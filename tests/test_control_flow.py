"""scan, while_loop, fori_loop, cond, switch, map: values, derivatives, batches, compiled code."""

from functools import partial

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax
from fnad.testing import assert_allclose, check_grads

equal = partial(assert_allclose, rtol=1e-12, atol=1e-14)

XS = np.linspace(-1.0, 1.0, 5)
W = np.array([[0.5, -0.3], [0.2, 0.9]])


def everywhere(f, *args, grads=True, order=2):
    """Check one function eagerly, compiled, differentiated and batched."""
    expected = f(*args)
    equal(fnad.jit(f)(*args), expected)
    batch = tuple(np.stack([np.asarray(a), np.asarray(a) * 0.5]) for a in args)
    rows = [f(*(b[i] for b in batch)) for i in range(2)]
    stacked = fnad.tree.map(lambda *r: np.stack(r), *rows)
    equal(fnad.vmap(f)(*batch), stacked)
    equal(fnad.jit(fnad.vmap(f))(*batch), stacked)
    if grads:
        check_grads(f, args, order=order)
        check_grads(fnad.jit(f), args, order=1)
        loss = lambda *a: sum(fnp.sum(leaf) for leaf in fnad.tree.leaves(f(*a)))
        equal(fnad.jit(fnad.grad(loss))(*args), fnad.grad(loss)(*args))
        per_row = np.stack([fnad.grad(loss)(*(b[i] for b in batch)) for i in range(2)])
        equal(fnad.vmap(fnad.grad(loss))(*batch), per_row)
    return expected


class TestScan:
    def test_cumulative(self):
        f = lambda xs: lax.scan(lambda c, x: (c + x, c * x), 0.0, xs)
        carry, ys = everywhere(f, XS)
        equal(carry, XS.sum())
        equal(ys, np.concatenate([[0], np.cumsum(XS)[:-1]]) * XS)

    def test_recurrent_network(self):
        def f(w, h, xs):
            def step(h, x):
                h = fnp.tanh(fnp.matmul(w, h) + x)
                return h, fnp.sum(h)

            return lax.scan(step, h, xs)

        everywhere(f, W, np.array([0.1, 0.2]), XS)

    def test_closed_over_values_have_gradients(self):
        f = lambda w: lax.scan(lambda c, x: (fnp.sin(c * w) + x, None), 0.5, XS)[0]
        everywhere(f, np.float64(0.7))

    def test_pytrees(self):
        def step(carry, x):
            a, b = carry["a"], carry["b"]
            return {"a": a * x["u"], "b": b + a}, (a, {"v": b * x["u"]})

        def f(u):
            return lax.scan(step, {"a": 1.0, "b": 2.0}, {"u": u})

        carry, (a, v) = everywhere(f, XS + 2)
        assert a.shape == v["v"].shape == (5,)
        equal(carry["a"], np.prod(XS + 2))

    def test_length_without_inputs(self):
        f = lambda x: lax.scan(lambda c, _: (c * 0.5, c), x, None, length=4)
        _, ys = everywhere(f, np.float64(8.0))
        equal(ys, np.array([8.0, 4.0, 2.0, 1.0]))

    def test_reverse(self):
        f = lambda xs: lax.scan(lambda c, x: (c + x, c + x), 0.0, xs, reverse=True)[1]
        equal(everywhere(f, XS), np.cumsum(XS[::-1])[::-1])

    def test_unroll_changes_nothing(self):
        f = lambda xs, unroll: lax.scan(lambda c, x: (fnp.sin(c) + x, c), 0.0, xs, unroll=unroll)
        equal(f(XS, 2), f(XS, 1))

    def test_length_zero(self):
        carry, ys = lax.scan(lambda c, x: (c + x, c), 1.0, np.zeros(0))
        assert carry == 1.0 and ys.shape == (0,)
        carry, ys = fnad.jit(lambda xs: lax.scan(lambda c, x: (c + x, c), 1.0, xs))(np.zeros(0))
        assert carry == 1.0 and ys.shape == (0,)

    def test_integer_carry(self):
        f = lambda xs: lax.scan(lambda c, x: ((c[0] + 1, c[1] * x), c[0]), (0, 1.0), xs)
        (count, _), ys = f(XS)
        assert count == 5 and ys.tolist() == [0, 1, 2, 3, 4]
        equal(fnad.jit(f)(XS), f(XS))
        check_grads(lambda xs: f(xs)[0][1], (XS,), order=2)

    def test_nested(self):
        def f(xs):
            def outer(c, x):
                inner = lax.scan(lambda d, y: (d + y * x, None), c, xs)[0]
                return fnp.sin(inner), inner

            return lax.scan(outer, 0.0, xs)

        everywhere(f, XS, order=1)

    def test_gradient_cost_is_one_scan_each_way(self):
        f = lambda xs: lax.scan(lambda c, x: (fnp.sin(c) + x, None), 0.0, xs)[0]
        closed = fnad.make_jaxpr(fnad.grad(f))(XS)
        assert [e.primitive.name for e in closed.eqns].count("scan") == 2

    def test_checkpointed_body(self):
        body = fnad.checkpoint(lambda c, x: (fnp.sin(c) * x, None))
        plain = lambda xs: lax.scan(lambda c, x: (fnp.sin(c) * x, None), 1.0, xs)[0]
        f = lambda xs: lax.scan(body, 1.0, xs)[0]
        equal(fnad.grad(f)(XS), fnad.grad(plain)(XS))
        equal(fnad.jit(fnad.grad(f))(XS), fnad.grad(plain)(XS))


class TestLoops:
    def test_fori_loop(self):
        f = lambda x: lax.fori_loop(0, 5, lambda i, c: c * x + i, 1.0)
        expected = 1.0
        for i in range(5):
            expected = expected * 0.7 + i
        equal(everywhere(f, np.float64(0.7)), np.float64(expected))

    def test_fori_loop_with_traced_bound(self):
        f = lambda n, x: lax.fori_loop(0, n, lambda i, c: c * x, 1.0)
        equal(fnad.jit(f)(3, 2.0), np.float64(8.0))
        equal(fnad.jvp(lambda x: fnad.jit(f)(3, x), (2.0,), (1.0,))[1], np.float64(12.0))

    def test_empty_range(self):
        equal(lax.fori_loop(3, 1, lambda i, c: c + 1, 5.0), 5.0, check_dtypes=False)
        equal(fnad.jit(lambda n: lax.fori_loop(3, n, lambda i, c: c + 1, 5.0))(1), np.float64(5.0))

    def collatz(self, n):
        cond = lambda c: c[0] != 1
        body = lambda c: (fnp.where(c[0] % 2 == 0, c[0] // 2, 3 * c[0] + 1), c[1] + 1)
        return lax.while_loop(cond, body, (n, 0))[1]

    def test_while_loop(self):
        assert self.collatz(6) == fnad.jit(self.collatz)(6) == 8

    def test_while_loop_batched_condition_masks(self):
        n = np.array([1, 6, 7, 27])
        steps = [self.collatz(int(k)) for k in n]
        assert fnad.vmap(self.collatz)(n).tolist() == steps == [0, 8, 16, 111]
        assert fnad.jit(fnad.vmap(self.collatz))(n).tolist() == steps

    def test_while_loop_batched_body_only(self):
        f = lambda x: lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] * x), (0, 1.0))[
            1
        ]
        equal(fnad.vmap(f)(XS), XS**3)

    def newton(self, a):
        cond = lambda x: fnp.abs(x * x - a) > 1e-12
        return lax.while_loop(cond, lambda x: 0.5 * (x + a / x), a)

    def test_while_loop_forward_mode(self):
        y, dy = fnad.jvp(self.newton, (2.0,), (1.0,))
        equal(y, np.float64(np.sqrt(2.0)))
        assert_allclose(dy, np.float64(0.5 / np.sqrt(2.0)), rtol=1e-9)
        y, dy = fnad.jit(lambda a: fnad.jvp(self.newton, (a,), (1.0,)))(2.0)
        assert_allclose(dy, np.float64(0.5 / np.sqrt(2.0)), rtol=1e-9)

    def test_while_loop_reverse_mode(self):
        for dy in (fnad.grad(self.newton)(2.0), fnad.jit(fnad.grad(self.newton))(2.0)):
            assert_allclose(dy, np.float64(0.5 / np.sqrt(2.0)), rtol=1e-9)

    def test_while_loop_that_does_not_touch_the_argument(self):
        f = lambda x: x * lax.while_loop(lambda i: i < 5, lambda i: i + 1, 0)
        equal(fnad.grad(f)(2.0), np.float64(5.0))

    def test_map(self):
        f = lambda xs: lax.map(lambda x: {"a": fnp.sin(x) * x}, xs)
        equal(everywhere(f, XS)["a"], np.sin(XS) * XS)

    @pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
    def test_map_in_batches(self, size):
        f = lambda xs: lax.map(lambda x: {"a": fnp.sin(x) * XS[:2]}, xs, batch_size=size)
        equal(everywhere(f, XS)["a"], np.sin(XS)[:, None] * XS[:2])
        assert lax.map(lambda x: x * 2, XS[:0], batch_size=size).shape == (0,)

    def test_map_in_batches_errors(self):
        with pytest.raises(ValueError, match="batch_size must be positive"):
            lax.map(fnp.sin, XS, batch_size=0)
        with pytest.raises(ValueError, match="one leading length"):
            lax.map(lambda x: x[0], (XS, XS[1:]), batch_size=2)


class TestCond:
    def f(self, x):
        return lax.cond(x > 0, lambda x: fnp.sin(x) * 2, lambda x: x**2, x)

    def test_both_branches(self):
        equal(everywhere(self.f, np.float64(0.5)), np.float64(np.sin(0.5) * 2))
        equal(everywhere(self.f, np.float64(-0.5)), np.float64(0.25))

    def test_batched_predicate_selects(self):
        expected = np.array([self.f(x) for x in XS])
        equal(fnad.vmap(self.f)(XS), expected)
        equal(fnad.vmap(fnad.grad(self.f))(XS), np.array([fnad.grad(self.f)(x) for x in XS]))

    def test_batched_operand_only(self):
        f = lambda x, p: lax.cond(p, fnp.sin, fnp.cos, x)
        equal(fnad.vmap(f, (0, None))(XS, True), np.sin(XS))
        equal(fnad.jit(fnad.vmap(f, (0, None)))(XS, False), np.cos(XS))

    def test_closed_over_values_have_gradients(self):
        f = lambda w: lax.cond(w > 0, lambda: w**2, lambda: 3.0 * w)
        equal(fnad.grad(f)(2.0), np.float64(4.0))
        equal(fnad.jit(fnad.grad(f))(-2.0), np.float64(3.0))

    def test_one_branch_is_constant(self):
        f = lambda x: lax.cond(x > 0, lambda x: x * x, lambda x: 1.0, x)
        equal(fnad.grad(f)(3.0), np.float64(6.0))
        equal(fnad.grad(f)(-3.0), np.float64(0.0))

    def test_only_the_chosen_branch_runs(self):
        f = lambda n: lax.cond(
            n > 0, lambda n: n, lambda n: lax.while_loop(lambda i: True, lambda i: i + 1, n), n
        )
        assert fnad.jit(f)(3) == 3  # the other branch never ends

    def test_pytrees(self):
        f = lambda p, x: lax.cond(p, lambda x: (x, {"a": 1.0}), lambda x: (-x, {"a": 2.0}), x)
        equal(f(True, 3.0), (3.0, {"a": 1.0}), check_dtypes=False)
        equal(fnad.jit(f)(False, 3.0), (-3.0, {"a": 2.0}), check_dtypes=False)

    @pytest.mark.parametrize("index", [-1, 0, 1, 2, 7])
    def test_switch(self, index):
        branches = [lambda x: x, fnp.sin, lambda x: x * x]
        f = lambda i, x: lax.switch(i, branches, x)
        expected = [0.3, np.sin(0.3), 0.09][min(max(index, 0), 2)]
        equal(f(index, 0.3), np.float64(expected), check_dtypes=False)
        equal(fnad.jit(f)(index, 0.3), np.float64(expected))
        check_grads(lambda x: f(index, x), (0.3,), order=2)

    def test_switch_batched_index(self):
        branches = [lambda x: x, fnp.sin, lambda x: x * x]
        i = np.array([0, 1, 2, 1, 9])
        f = lambda i, x: lax.switch(i, branches, x)
        equal(fnad.vmap(f)(i, XS), np.array([f(int(k), x) for k, x in zip(i, XS)]))

    def test_cond_inside_scan(self):
        def f(xs):
            step = lambda c, x: (lax.cond(x > 0, lambda: c * x, lambda: c - x), c)
            return lax.scan(step, 1.0, xs)

        everywhere(f, XS + 0.05)

    def test_scan_inside_cond(self):
        total = lambda xs: lax.scan(lambda c, x: (c + x * c, None), 1.0, xs)[0]
        f = lambda xs: lax.cond(xs[0] < 0, total, lambda xs: xs[-1] * 2.0, xs)
        everywhere(f, XS)


def test_gradient_descent_inside_one_program():
    """grad inside scan inside jit, differentiated from outside: learning a learning rate."""

    def final_loss(rate):
        loss = lambda w: fnp.sum((w - XS) ** 2)
        step = lambda w, _: (w - rate * fnad.grad(loss)(w), None)
        return loss(lax.scan(step, np.zeros(5), None, length=3)[0])

    expected = lambda r: np.sum(XS**2) * (1 - 2 * r) ** 6
    equal(fnad.jit(final_loss)(0.1), np.float64(expected(0.1)))
    slope = np.sum(XS**2) * 6 * (1 - 0.2) ** 5 * -2
    equal(fnad.jit(fnad.grad(final_loss))(0.1), np.float64(slope))
