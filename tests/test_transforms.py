"""What each transform means, against closed forms, finite differences and the other transforms."""

from collections import OrderedDict, namedtuple
from functools import partial

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax
from fnad.testing import assert_allclose, check_grads, numerical_jvp

X = np.array([0.3, -0.7, 1.2])
A = np.arange(6.0).reshape(2, 3) / 7 - 0.3

equal = partial(assert_allclose, rtol=1e-12, atol=1e-14)


class TestGrad:
    def test_closed_form(self):
        equal(fnad.grad(lambda x: fnp.sum(fnp.sin(x) ** 2))(X), np.sin(2 * X))

    def test_keeps_dtype(self):
        for dtype in (np.float16, np.float32, np.float64):
            assert fnad.grad(lambda x: fnp.sum(x * 2.0))(X.astype(dtype)).dtype == dtype

    def test_python_scalar(self):
        equal(fnad.grad(lambda x: x * x * x)(2.0), np.float64(12.0))

    def test_orders(self):
        f = fnp.sin
        for expected in (np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin):
            f = fnad.grad(f)
            equal(f(0.4), np.float64(expected(0.4)))

    def test_argnums(self):
        f = lambda x, y, z: x * y + fnp.sin(z) * y
        equal(fnad.grad(f, argnums=1)(1.0, 2.0, 3.0), np.float64(1.0 + np.sin(3.0)))
        equal(
            fnad.grad(f, argnums=(0, 2))(1.0, 2.0, 3.0), (2.0, 2 * np.cos(3.0)), check_dtypes=False
        )
        equal(fnad.grad(f, argnums=-1)(1.0, 2.0, 3.0), np.float64(2 * np.cos(3.0)))

    def test_pytrees(self):
        Point = namedtuple("Point", "x y")
        params = {"b": X, "a": [Point(2.0, None), (A,)], "c": OrderedDict(z=1.0, y=3.0)}

        def f(p):
            point = p["a"][0]
            assert point.y is None
            return (
                fnp.sum(p["b"]) * point.x + fnp.sum(p["a"][1][0] ** 2) + p["c"]["z"] * p["c"]["y"]
            )

        g = fnad.grad(f)(params)
        assert fnad.tree.structure(g) == fnad.tree.structure(params)
        equal(g["b"], np.full(3, 2.0))
        equal(g["a"][0].x, X.sum(), check_dtypes=False)
        equal(g["a"][1][0], 2 * A)
        equal(dict(g["c"]), {"z": 3.0, "y": 1.0}, check_dtypes=False)

    def test_has_aux(self):
        f = lambda x: (fnp.sum(x**2), {"mean": fnp.mean(x), "count": 3})
        g, aux = fnad.grad(f, has_aux=True)(X)
        equal(g, 2 * X)
        equal(aux["mean"], X.mean())
        (value, aux), g = fnad.value_and_grad(f, has_aux=True)(X)
        equal(value, np.sum(X**2))
        assert aux["count"] == 3
        equal(g, 2 * X)

    def test_aux_of_another_trace_is_usable_outside(self):
        outer = fnad.grad(lambda x: fnad.grad(lambda y: (y * y * x, y * x), has_aux=True)(x)[1])
        equal(outer(3.0), np.float64(6.0))

    def test_keyword_arguments_are_passed_on(self):
        equal(fnad.grad(lambda x, *, power: x**power)(2.0, power=3.0), np.float64(12.0))

    def test_unused_argument_has_zero_gradient(self):
        equal(fnad.grad(lambda x, y: fnp.sum(y), argnums=0)(X, A), np.zeros(3))

    def test_integer_argument_with_allow_int(self):
        g = fnad.grad(lambda x, n: x * n, argnums=(0, 1), allow_int=True)(2.0, 3)
        equal(g[0], np.float64(3.0))
        assert g[1].dtype == fnad.float0

    def test_integer_array_closed_over(self):
        index = np.array([2, 0, 2])
        equal(fnad.grad(lambda x: fnp.sum(x[index]))(X), np.array([1.0, 0.0, 2.0]))

    def test_python_control_flow(self):
        def f(x):
            if x > 0:
                return x**2
            while x < -1:
                x = x / 2
            return x * float(x)

        equal(fnad.grad(f)(3.0), np.float64(6.0))
        equal(fnad.grad(f)(-4.0), np.float64(-1.0 / 4))

    def test_holomorphic(self):
        z = np.complex128(1 + 2j)
        equal(fnad.grad(lambda z: z * z * z, holomorphic=True)(z), 3 * z**2)

    def test_closed_over_outer_tracer(self):
        f = lambda x: fnad.grad(lambda y: x * y**2)(x)  # 2 x^2 with the inner derivative
        equal(fnad.grad(f)(3.0), np.float64(12.0))

    def test_perturbation_confusion(self):
        f = lambda x: x * fnad.grad(lambda y: x + y)(1.0)
        equal(fnad.grad(f)(1.0), np.float64(1.0))
        d = lambda f: lambda x: fnad.jvp(f, (x,), (1.0,))[1]
        equal(d(lambda x: x * d(lambda y: x * y)(2.0))(3.0), np.float64(6.0))

    def test_input_changed_in_place_afterwards(self):
        x = X.copy()
        _, pull = fnad.vjp(lambda x: x * x, x)
        x[:] = 100.0
        equal(pull(np.ones(3))[0], 2 * X)

    def test_output_changed_in_place_afterwards(self):
        y, pull = fnad.vjp(fnp.exp, X)
        y[:] = 0.0
        equal(pull(np.ones(3))[0], np.exp(X))

    def test_returned_input_is_no_alias(self):
        x = X.copy()
        y, _ = fnad.vjp(lambda x: x, x)
        y[:] = 0.0
        equal(x, X)


class TestVjpJvp:
    def test_vjp_of_pytrees(self):
        f = lambda p, y: {"s": p[0] * y, "t": [p[1]]}
        out, pull = fnad.vjp(f, (X, 2.0), 3.0)
        equal(out["s"], 3 * X)
        (p0, p1), y = pull({"s": np.ones(3), "t": [5.0]})
        equal(p0, np.full(3, 3.0))
        equal(p1, np.float64(5.0))
        equal(y, X.sum(), check_dtypes=False)

    def test_pullback_may_be_called_twice(self):
        _, pull = fnad.vjp(lambda x: fnp.sin(x), X)
        equal(pull(np.ones(3))[0], np.cos(X))
        equal(pull(2 * np.ones(3))[0], 2 * np.cos(X))

    def test_has_aux(self):
        out, pull, aux = fnad.vjp(lambda x: (x * 2, x + 1), X, has_aux=True)
        equal(out, X * 2)
        equal(aux, X + 1)
        equal(pull(np.ones(3))[0], np.full(3, 2.0))

    def test_jvp(self):
        out, tangent = fnad.jvp(lambda x, y: x * y, (X, 2 * X), (np.ones(3), X))
        equal(out, 2 * X * X)
        equal(tangent, 2 * X + X * X)

    def test_jvp_has_aux(self):
        out, tangent, aux = fnad.jvp(lambda x: (x * x, x), (3.0,), (1.0,), has_aux=True)
        equal((out, tangent, aux), (9.0, 6.0, 3.0), check_dtypes=False)

    def test_forward_agrees_with_reverse_and_differences(self, rng):
        w = rng.standard_normal((3, 3))

        def f(x):
            return fnp.tanh(fnp.matmul(w, x)) / (1 + fnp.sum(x**2))

        check_grads(f, (X,), order=3)
        v, u = rng.standard_normal(3), rng.standard_normal(3)
        forward = fnad.jvp(f, (X,), (v,))[1]
        assert_allclose(forward, numerical_jvp(f, (X,), (v,)), rtol=1e-8, atol=1e-10)
        equal(np.dot(u, forward), np.dot(fnad.vjp(f, X)[1](u)[0], v))

    def test_linearize(self):
        calls = []

        def f(x):
            calls.append(1)
            return fnp.sin(x) * 2

        y, f_jvp = fnad.linearize(f, X)
        equal(y, np.sin(X) * 2)
        equal(f_jvp(np.ones(3)), 2 * np.cos(X))
        equal(f_jvp(X), 2 * np.cos(X) * X)
        assert len(calls) == 1

    def test_linear_transpose(self, rng):
        f = lambda x: fnp.matmul(A, x) * 3
        (back,) = fnad.linear_transpose(f, fnad.ShapeDtypeStruct((3,), np.float64))(np.ones(2))
        equal(back, 3 * A.T @ np.ones(2))

    def test_vjp_under_jit(self):
        f = fnad.jit(lambda x, u: fnad.vjp(fnp.sin, x)[1](u)[0])
        equal(f(X, X), np.cos(X) * X)

    def test_grad_of_jit_of_grad(self):
        f = fnad.grad(fnad.jit(fnad.grad(fnad.jit(lambda x: x**3))))
        equal(f(2.0), np.float64(12.0))


class TestJacobians:
    def f(self, x):
        return fnp.stack([x[0] * x[1], fnp.sin(x[2]), x[0], fnp.sum(x**2)])

    def jacobian(self, x):
        return np.array([[x[1], x[0], 0], [0, 0, np.cos(x[2])], [1, 0, 0], 2 * x])

    @pytest.mark.parametrize("jacobian", [fnad.jacfwd, fnad.jacrev])
    def test_closed_form(self, jacobian):
        equal(jacobian(self.f)(X), self.jacobian(X))
        equal(fnad.jit(jacobian(self.f))(X), self.jacobian(X))

    @pytest.mark.parametrize("jacobian", [fnad.jacfwd, fnad.jacrev])
    def test_pytrees(self, jacobian):
        f = lambda p: {"u": p["a"] * p["b"], "v": fnp.sum(p["a"])}
        j = jacobian(f)({"a": X, "b": 2.0})
        equal(j["u"]["a"], 2 * np.eye(3))
        equal(j["u"]["b"], X)
        equal(j["v"]["a"], np.ones(3))
        equal(j["v"]["b"], np.float64(0.0))

    @pytest.mark.parametrize("jacobian", [fnad.jacfwd, fnad.jacrev])
    def test_argnums_and_aux(self, jacobian):
        f = lambda x, y: (fnp.matmul(y, x), "aux"[:0] or 1.0)
        (jx, jy), aux = jacobian(f, argnums=(0, 1), has_aux=True)(X, A)
        equal(jx, A)
        equal(jy, np.einsum("ij,k->ijk", np.eye(2), X))
        assert aux == 1.0

    @pytest.mark.parametrize("jacobian", [fnad.jacfwd, fnad.jacrev])
    def test_matrix_argument(self, jacobian):
        f = lambda a: fnp.sum(a * a, axis=0)
        expected = np.zeros((3, 2, 3))
        for k in range(3):
            expected[k, :, k] = 2 * A[:, k]
        equal(jacobian(f)(A), expected)

    def test_hessian(self):
        f = lambda x: fnp.sum(x**3) + x[0] * x[1]
        expected = np.diag(6 * X)
        expected[0, 1] = expected[1, 0] = 1
        equal(fnad.hessian(f)(X), expected)
        equal(fnad.jit(fnad.hessian(f))(X), expected)
        equal(fnad.jacrev(fnad.jacrev(f))(X), expected)
        equal(fnad.jacrev(fnad.jacfwd(f))(X), expected)

    def test_hessian_vector_product(self):
        f = lambda x: fnp.sum(x**3)
        hvp = lambda x, v: fnad.jvp(fnad.grad(f), (x,), (v,))[1]
        equal(hvp(X, X), 6 * X * X)


class TestVmap:
    def test_in_axes_and_out_axes(self):
        f = lambda a, b: fnp.matmul(a, b)
        m = np.arange(24.0).reshape(2, 3, 4)
        v = np.arange(4.0)
        equal(fnad.vmap(f, (0, None))(m, v), m @ v)
        equal(fnad.vmap(f, (1, None))(m, v), np.einsum("ijk,k->ji", m, v))
        equal(fnad.vmap(f, (-1, 0))(m, np.ones((4, 3))), np.einsum("ijk->ki", m))
        equal(fnad.vmap(f, (0, None), out_axes=1)(m, v), (m @ v).T)

    def test_pytree_axes(self):
        f = lambda p, x: p["w"] * x + p["b"]
        p = {"w": np.arange(3.0), "b": 1.0}
        x = np.ones((2, 3))
        equal(fnad.vmap(f, ({"w": 0, "b": None}, 1))(p, x), (x + 0.0).T * p["w"][:, None] + 1)
        equal(fnad.vmap(f, (None, 0))(p, x), x * p["w"] + 1)

    def test_pytree_out_axes(self):
        f = lambda x: {"a": x, "b": fnp.sum(x)}
        out = fnad.vmap(f, out_axes={"a": 1, "b": 0})(A)
        equal(out, {"a": A.T, "b": A.sum(1)})

    def test_result_that_is_not_mapped_is_broadcast(self):
        equal(fnad.vmap(lambda x: 3.0)(X), np.full(3, 3.0))
        equal(fnad.vmap(lambda x, y: y, (0, None), out_axes=None)(X, A), A)

    def test_axis_size(self):
        equal(fnad.vmap(lambda: np.float32(2), axis_size=4)(), np.full(4, 2, np.float32))

    def test_nested(self):
        outer = fnad.vmap(fnad.vmap(lambda x, y: x * y, (None, 0)), (0, None))
        equal(outer(X, X), np.outer(X, X))

    def test_per_example_gradients(self, rng):
        x = rng.standard_normal((5, 3))
        f = lambda w, x: fnp.sum(fnp.tanh(x * w)) ** 2
        batched = fnad.vmap(fnad.grad(f), (None, 0))(X, x)
        equal(batched, np.stack([fnad.grad(f)(X, row) for row in x]))

    def test_collectives(self):
        f = lambda x: x / lax.psum(x, "i")
        equal(fnad.vmap(f, axis_name="i")(X), X / X.sum())
        equal(fnad.vmap(lambda x: lax.pmean(x, "i"), axis_name="i")(X), np.full(3, X.mean()))
        equal(fnad.vmap(lambda x: lax.pmax(x, "i"), axis_name="i")(X), np.full(3, X.max()))
        index = fnad.vmap(lambda x: x * 0 + lax.axis_index("i"), axis_name="i")(X)
        assert_allclose(index, np.arange(3.0))

    def test_collectives_of_nested_axes(self):
        f = lambda x: lax.psum(x > 1.0, "i")
        counts = fnad.vmap(f, axis_name="i")(np.array([1.0, 2.0, 3.0]))
        assert counts.dtype == np.int64 and counts.tolist() == [2, 2, 2]
        f = lambda x: lax.psum(x, "i") + 10 * lax.psum(x, "j") + 100 * lax.psum(x, ("i", "j"))
        out = fnad.vmap(fnad.vmap(f, axis_name="j"), axis_name="i")(A)
        equal(out, A.sum(0) + 10 * A.sum(1, keepdims=True) + 100 * A.sum())

    def test_gradient_through_collective(self):
        f = lambda x: fnp.sum(fnad.vmap(lambda v: v * lax.psum(v, "i"), axis_name="i")(x))
        equal(fnad.grad(f)(X), np.full(3, 2 * X.sum()))

    def test_keyword_arguments_are_mapped(self):
        equal(fnad.vmap(lambda x, y: x + y)(X, y=X), 2 * X)

    def test_unbatched_value_is_known(self):
        f = lambda x, flag: x if flag > 0 else -x
        equal(fnad.vmap(f, (0, None))(X, -1.0), -X)


class TestCustomRules:
    def test_custom_jvp(self):
        @fnad.custom_jvp
        def f(x, y):
            return fnp.sin(x) * y

        @f.defjvp
        def _(primals, tangents):
            (x, y), (dx, dy) = primals, tangents
            return f(x, y), 10.0 * dx + 100.0 * dy

        equal(f(2.0, 3.0), np.float64(np.sin(2.0) * 3.0))
        equal(fnad.jvp(f, (2.0, 3.0), (1.0, 1.0))[1], np.float64(110.0))
        equal(fnad.grad(f, (0, 1))(2.0, 3.0), (np.float64(10.0), np.float64(100.0)))
        equal(fnad.vmap(fnad.grad(f), (0, None))(X, 3.0), np.full(3, 10.0))
        equal(fnad.jit(fnad.grad(f))(2.0, 3.0), np.float64(10.0))

    def test_custom_jvp_nondiff_argnums(self):
        @partial(fnad.custom_jvp, nondiff_argnums=(0,))
        def apply(g, x):
            return g(x)

        @apply.defjvp
        def _(g, primals, tangents):
            return g(primals[0]), 7.0 * tangents[0]

        equal(fnad.grad(lambda x: apply(fnp.sin, x))(2.0), np.float64(7.0))

    def test_custom_jvp_defjvps(self):
        @fnad.custom_jvp
        def f(x, y):
            return x * y

        f.defjvps(lambda dx, ans, x, y: 2.0 * dx, None)
        equal(fnad.grad(f, (0, 1))(3.0, 4.0), (np.float64(2.0), np.float64(0.0)))

    def make_clip(self):
        @fnad.custom_vjp
        def clip_gradient(lo, hi, x):
            return x

        clip_gradient.defvjp(
            lambda lo, hi, x: (x, (lo, hi)),
            lambda res, g: (None, None, fnp.clip(g, res[0], res[1])),
        )
        return clip_gradient

    def test_custom_vjp(self):
        clip = self.make_clip()
        f = lambda x: clip(-0.1, 0.2, fnp.sin(x) * 3)
        equal(fnad.grad(f)(0.0), np.float64(0.6))
        equal(fnad.jit(fnad.grad(f))(0.0), np.float64(0.6))
        equal(fnad.vmap(fnad.grad(f))(X), 3 * np.cos(X) * 0.2)
        equal(fnad.jit(f)(X), np.sin(X) * 3)

    def test_custom_vjp_nondiff_argnums_and_pytrees(self):
        @partial(fnad.custom_vjp, nondiff_argnums=(0,))
        def f(scale, p):
            return {"out": scale * p["a"] * p["b"]}

        def fwd(scale, p):
            return f(scale, p), p

        def bwd(scale, p, ct):
            return ({"a": ct["out"] * p["b"] * scale, "b": -ct["out"]},)

        f.defvjp(fwd, bwd)
        g = fnad.grad(lambda p: f(3.0, p)["out"])({"a": 2.0, "b": 5.0})
        equal(g, {"a": np.float64(15.0), "b": np.float64(-1.0)})

    def test_custom_vjp_closed_over_tracer(self):
        @fnad.custom_vjp
        def double(x):
            return 2 * x

        double.defvjp(lambda x: (2 * x, None), lambda _, g: (2 * g,))
        equal(
            fnad.grad(lambda w: fnad.vmap(lambda x: double(x * w))(X).sum())(3.0),
            2 * X.sum(),
            check_dtypes=False,
        )

    def test_second_order_through_custom_vjp(self):
        @fnad.custom_vjp
        def sin(x):
            return fnp.sin(x)

        sin.defvjp(lambda x: (fnp.sin(x), x), lambda x, g: (g * fnp.cos(x),))
        equal(fnad.grad(fnad.grad(sin))(0.7), np.float64(-np.sin(0.7)))

    def test_stop_gradient(self):
        equal(fnad.grad(lambda x: x * fnad.stop_gradient(x))(3.0), np.float64(3.0))
        equal(
            fnad.grad(lambda p: fnad.stop_gradient(p)["a"] * p["a"])({"a": 2.0}),
            {"a": np.float64(2.0)},
        )
        equal(fnad.jit(fnad.grad(lambda x: x * fnad.stop_gradient(x)))(3.0), np.float64(3.0))


class TestCheckpoint:
    def f(self, x):
        return fnp.sum(fnp.sin(fnp.sin(x)) * fnp.exp(x))

    def test_same_derivatives(self):
        g = fnad.checkpoint(self.f)
        equal(g(X), self.f(X))
        equal(fnad.grad(g)(X), fnad.grad(self.f)(X))
        equal(fnad.jit(fnad.grad(g))(X), fnad.grad(self.f)(X))
        equal(fnad.vmap(fnad.grad(g))(A), np.stack([fnad.grad(self.f)(row) for row in A]))
        equal(fnad.hessian(g)(X), fnad.hessian(self.f)(X))

    def test_recomputes(self):
        def count_sin(f):
            return str(fnad.make_jaxpr(fnad.grad(f))(X)).count("= sin ")

        assert count_sin(fnad.checkpoint(self.f)) > count_sin(self.f)

    def test_policies(self):
        everything = fnad.checkpoint(self.f, policy=fnad.checkpoint_policies.everything_saveable)
        nothing = fnad.checkpoint(self.f, policy=fnad.checkpoint_policies.nothing_saveable)
        equal(fnad.grad(everything)(X), fnad.grad(self.f)(X))
        equal(fnad.grad(nothing)(X), fnad.grad(self.f)(X))

    def test_policy_by_what_is_not_saved(self):
        def f(x):
            return fnp.sum(fnp.sin(fnad.checkpoint_name(fnp.exp(fnp.sin(x)), "inner")))

        policy = fnad.checkpoint_policies.save_anything_except_these_names("inner")
        g = fnad.grad(fnad.checkpoint(f, policy=policy))
        equal(g(X), fnad.grad(f)(X))
        assert str(fnad.make_jaxpr(g)(X)).count("= sin ") == 2  # none is computed again


class TestTracing:
    def test_make_jaxpr_of_compositions(self):
        text = str(fnad.make_jaxpr(fnad.grad(fnad.vmap(lambda x: fnp.sin(x)).__wrapped__))(1.0))
        assert "cos" in text
        inner = lambda x: fnp.sum(fnad.vmap(fnp.sin)(x))
        text = str(fnad.make_jaxpr(fnad.grad(inner))(X))
        assert "f64[3] = cos" in text

    def test_equations_know_the_users_line(self):
        closed = fnad.make_jaxpr(lambda x: fnp.sin(x) * 2)(X)
        assert {eqn.source.file for eqn in closed.eqns} == {__file__}

    def test_derived_equations_know_the_users_line(self):
        closed = fnad.make_jaxpr(fnad.grad(lambda x: fnp.sum(fnp.sin(x) ** 2)))(X)
        assert {eqn.source.file for eqn in closed.eqns} == {__file__}

    def test_eval_shape(self):
        s = fnad.ShapeDtypeStruct
        out = fnad.eval_shape(
            lambda a, b: {"c": fnp.matmul(a, b)}, s((2, 3), np.float32), s((3, 4), np.float32)
        )
        assert out["c"].shape == (2, 4) and out["c"].dtype == np.float32

    def test_eval_shape_computes_nothing(self):
        huge = fnad.ShapeDtypeStruct((10**6, 10**6), np.float64)
        assert fnad.eval_shape(lambda x: fnp.sum(x @ x), huge).shape == ()

    def test_inner_jit_is_one_equation(self):
        f = fnad.jit(lambda x: fnp.sin(x))
        closed = fnad.make_jaxpr(lambda x: f(x) + f(x))(X)
        assert [e.primitive.name for e in closed.eqns].count("jit") == 2

    def test_nested_sub_programs_cost_linearly(self):
        """Transforms of inner programs are memoised: depth 12 is no 2**12."""
        f = lambda x: fnp.sin(x)
        for _ in range(12):
            f = (lambda g: fnad.jit(lambda x: g(g(x) * 0.5)))(f)
        g = fnad.grad(f)(0.3)
        assert np.isfinite(g)


class TestJacobianArguments:
    def test_holomorphic(self):
        z = np.array([1 + 2j, 0.5 - 1j])
        equal(fnad.jacfwd(lambda z: z**2, holomorphic=True)(z), np.diag(2 * z))
        equal(fnad.jacrev(np.exp, holomorphic=True)(z), np.diag(np.exp(z)))

    def test_complex_without_holomorphic(self):
        for jacobian in (fnad.jacfwd, fnad.jacrev):
            with pytest.raises(TypeError, match="holomorphic=True"):
                jacobian(lambda z: z**2)(np.array([1j]))

    def test_allow_int(self):
        f = lambda x, n: x * n
        x, n = np.ones(2), np.arange(2)
        by_x, by_n = fnad.jacrev(f, argnums=(0, 1), allow_int=True)(x, n)
        equal(by_x, np.diag(n.astype(float)))
        assert by_n.dtype == fnad.float0 and by_n.shape == (2, 2)
        with pytest.raises(TypeError, match="needs floating arguments"):
            fnad.jacrev(f, argnums=1)(x, n)


class TestJit:
    def test_static_arguments(self):
        traces = []

        @partial(fnad.jit, static_argnums=1, static_argnames=("flag",))
        def f(x, n, *, flag=False):
            traces.append(n)
            return x * n if flag else x + n

        equal(f(X, 2), X + 2)
        equal(f(X, 2), X + 2)
        assert len(traces) == 1
        equal(f(X, 3), X + 3)
        equal(f(X, 3, flag=True), X * 3)
        assert len(traces) == 3

    def test_retraces_by_shape_and_dtype(self):
        traces = []

        @fnad.jit
        def f(x):
            traces.append(x.shape)
            return x + 1

        f(X), f(X + 1), f(A), f(X.astype(np.float32))
        assert len(traces) == 3

    def test_dtypes_of_python_scalars(self):
        f = lambda x, c: x * c
        for x in (np.float32(2), np.float16(2), 2, np.int8(3)):
            for c in (2, 2.5):
                equal(fnad.jit(f)(x, c), f(x, c), check_dtypes=isinstance(x, np.generic))

    def test_closed_over_array(self):
        big = np.arange(1000.0)
        f = fnad.jit(lambda x: fnp.sum(big * x))
        equal(f(2.0), 2 * big.sum(), check_dtypes=False)
        assert len(f.lower(2.0).as_text("llvm")) < 100_000

    def test_results_own_their_memory(self):
        f = fnad.jit(lambda x: (x, x + 1, x))
        x = X.copy()
        a, b, c = f(x)
        a[:] = 0
        equal(x, X)
        equal(c, X)
        equal(b, X + 1)

    def test_strided_inputs(self):
        f = fnad.jit(lambda a: fnp.sum(a, axis=0) * 2)
        big = np.arange(24.0).reshape(4, 6)
        for view in (big.T, big[::2, ::-1], big[:, 1:3], np.broadcast_to(X, (4, 3))):
            equal(f(view), view.sum(0) * 2)

    @pytest.mark.parametrize("stage", ["jaxpr", "simplified", "plan", "llvm", "asm"])
    def test_stages_are_text(self, stage):
        assert fnad.jit(lambda x: fnp.sin(x) + 1).lower(X).as_text(stage)

    def test_compile_ahead_of_time(self):
        compiled = fnad.jit(lambda x: fnp.sin(x)).lower(X).compile()
        equal(compiled(X), np.sin(X))

    def test_zero_size_and_zero_rank(self):
        f = fnad.jit(lambda x: fnp.sum(x * 2))
        equal(f(np.zeros((0, 3))), np.float64(0))
        out = fnad.jit(lambda x: x * 2)(np.zeros((0, 3), np.float32))
        assert out.shape == (0, 3) and out.dtype == np.float32
        assert isinstance(f(X), np.float64)

    def test_donated_argument(self):
        f = fnad.jit(lambda x, y: x + y, donate_argnums=0)
        equal(f(X.copy(), X), 2 * X)

    def test_numpy_functions_are_traced(self):
        def f(x):
            return np.where(x > 0, np.sin(x), 0.0) @ x + np.linalg.norm(x) + np.sum(x, axis=0)

        equal(fnad.jit(f)(X), f(X))
        check_grads(f, (X,), order=1)


class TestAt:
    def test_updates(self):
        for f, expected in [
            (lambda x: fnp.at(x)[1].set(5.0), [0.3, 5.0, 1.2]),
            (lambda x: fnp.at(x)[:2].add(1.0), [1.3, 0.3, 1.2]),
            (lambda x: fnp.at(x)[np.array([0, 0])].add(1.0), [2.3, -0.7, 1.2]),
            (lambda x: fnp.at(x)[-1].multiply(2.0), [0.3, -0.7, 2.4]),
            (lambda x: fnp.at(x)[:].min(0.0), [0.0, -0.7, 0.0]),
            (lambda x: fnp.at(x)[:].max(0.0), [0.3, 0.0, 1.2]),
        ]:
            x = X.copy()
            equal(f(x), np.array(expected))
            equal(x, X)  # the input is left alone
            equal(fnad.jit(f)(X), np.array(expected))

    def test_tracer_has_at(self):
        equal(fnad.jit(lambda x: x.at[0].set(9.0))(X), np.array([9.0, -0.7, 1.2]))

    def test_gradients(self):
        f = lambda x, v: fnp.sum(fnp.at(x)[np.array([2, 0])].set(v) ** 2)
        gx, gv = fnad.grad(f, (0, 1))(X, np.array([3.0, 4.0]))
        equal(gx, np.array([0.0, -1.4, 0.0]))
        equal(gv, np.array([6.0, 8.0]))
        check_grads(lambda x: fnp.at(x)[np.array([1, 1])].add(x[:2] ** 2), (X,), order=2)


def test_agrees_with_jax():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    try:
        import jax.numpy as jnp

        def program(np_like, x, w):
            h = np_like.tanh(np_like.matmul(x, w))
            return np_like.sum(np_like.where(h > 0, h * h, np_like.exp(h)))

        x = np.random.default_rng(0).standard_normal((4, 3))
        w = np.random.default_rng(1).standard_normal((3, 3))
        for fs in (lambda lib: lib.grad, lambda lib: lib.hessian, lambda lib: lib.jacfwd):
            ours = fs(fnad)(lambda w: program(fnp, x, w))(w)
            theirs = fs(jax)(lambda w: program(jnp, x, w))(w)
            assert_allclose(ours, np.asarray(theirs), rtol=1e-10, atol=1e-12)
    finally:
        jax.config.update("jax_enable_x64", False)
