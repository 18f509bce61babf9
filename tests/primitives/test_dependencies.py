"""Dependency rules: never too small (against dense Jacobians), and as small as they should be."""

import numpy as np
import pytest

import fnad
from fnad import lax
from fnad import numpy as fnp
from fnad.core.types import aval_of, is_differentiable
from fnad.primitives.dependencies import Operand, independent_inputs, propagate
from fnad.transforms.sparsity import find_pattern
from tests.samples import SAMPLES


def pattern_of(fun, *args, argnums=(0,)):
    return find_pattern(fun, args, {}, list(argnums), False, "test").pattern.toarray()


def small_samples():
    for name in sorted(SAMPLES):
        for i, sample in enumerate(SAMPLES[name][:6]):
            floats = [is_differentiable(aval_of(np.asarray(a))) for a in sample.args]
            complexes = any(np.iscomplexobj(a) for a in sample.args)
            given = "float64" in sample.dtypes and any(floats) and not complexes
            if given and sum(np.size(a) for a in sample.args) < 40:
                yield pytest.param(name, sample, id=f"{name}-{i}")


@pytest.mark.parametrize("name, sample", list(small_samples()))
def test_patterns_hold_all_that_is_not_zero(name, sample):
    """Of every primitive, by its own rule, with its other operands known and unknown."""
    from tests.test_primitives import PRIMITIVES

    primitive = PRIMITIVES[name]
    if "jvp" not in primitive.rules:  # it only stands in compiled programs
        pytest.skip(f"{name} has no jvp rule")
    args = [np.asarray(a) for a in sample.args]
    fun = lambda *xs: primitive.bind(*xs, **sample.params)
    jaxpr = fnad.make_jaxpr(fun)(*args).jaxpr
    for i, arg in enumerate(args):
        if not is_differentiable(aval_of(arg)):
            continue
        try:
            true = fnad.jacfwd(fun, argnums=i)(*args)
        except (TypeError, ValueError):  # it has no derivative
            continue
        true = true if primitive.multiple_results else [true]
        for known in (False, True):
            operands = [Operand(aval_of(a), a[()] if known else None) for a in args]
            operands[i] = independent_inputs([aval_of(arg)])[0]
            for out, want in zip(propagate(jaxpr, operands), true):
                if not is_differentiable(out.aval):
                    assert out.pattern is None
                    continue
                want = np.nan_to_num(want).reshape(out.aval.size, arg.size) != 0
                found = np.zeros_like(want) if out.pattern is None else out.pattern.toarray()
                assert found.shape == want.shape
                assert not (want & ~found).any()


def test_elementwise_and_moved_elements():
    n = 5
    eye = np.eye(n, dtype=bool)
    x = np.ones(n)
    np.testing.assert_array_equal(pattern_of(np.sin, x), eye)
    np.testing.assert_array_equal(pattern_of(lambda x: x[::-1] * x, x), eye | eye[::-1])
    np.testing.assert_array_equal(pattern_of(lambda x: np.roll(x, 1), x), np.roll(eye, 1, 0))
    np.testing.assert_array_equal(pattern_of(lambda x: np.sum(x[1:3]), x), [[0, 1, 1, 0, 0]])


def test_what_has_no_derivative_is_left_out():
    x = np.ones(3)
    nothing = np.zeros((3, 3), bool)
    np.testing.assert_array_equal(pattern_of(np.floor, x), nothing)
    np.testing.assert_array_equal(pattern_of(lambda x: fnad.stop_gradient(x), x), nothing)
    np.testing.assert_array_equal(
        pattern_of(lambda x: x * (fnp.sum(fnad.stop_gradient(x)) > 2), x), np.eye(3)
    )
    np.testing.assert_array_equal(pattern_of(lambda x: fnp.where(x > x[0], x, 0.0), x), np.eye(3))


def test_known_zeros_make_patterns_sparser():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(4, 5)) * (rng.random((4, 5)) < 0.4)
    x = np.ones(5)
    np.testing.assert_array_equal(pattern_of(lambda x: matrix @ x, x), matrix != 0)
    np.testing.assert_array_equal(
        pattern_of(lambda x: x @ matrix.T, np.ones((2, 5))), np.kron(np.eye(2), matrix != 0)
    )
    np.testing.assert_array_equal(
        pattern_of(
            lambda x: np.einsum("bij,bj->bi", np.stack([matrix, matrix[::-1]]), x), np.ones((2, 5))
        )[:4, :5],
        matrix != 0,
    )
    mask = np.array([1.0, 0.0, 1.0, 0.0, 1.0])
    np.testing.assert_array_equal(pattern_of(lambda x: x * mask, x), np.diag(mask))
    # Arguments are not known, whatever their values are.
    np.testing.assert_array_equal(pattern_of(lambda x, m: x * m, x, mask), np.eye(5))


def test_convolutions():
    star = np.array([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])[None, None]
    x = np.ones((1, 1, 4, 5))
    fun = lambda x: lax.conv(x, star, (1, 1), "SAME")
    true = fnad.jacfwd(fun)(x).reshape(20, 20)
    np.testing.assert_array_equal(pattern_of(fun, x), true != 0)
    rng = np.random.default_rng(0)
    lhs, rhs = rng.normal(size=(2, 4, 7)), rng.normal(size=(6, 2, 3))
    fun = lambda x, w: lax.conv_general_dilated(
        x, w, (2,), [(2, 1)], (2,), (2,), feature_group_count=2
    )
    for i in range(2):
        true = fnad.jacfwd(fun, argnums=i)(lhs, rhs)
        true = true.reshape(-1, (lhs, rhs)[i].size)
        found = pattern_of(fun, lhs, rhs, argnums=(i,))
        assert not ((true != 0) & ~found).any()
        if i == 0:
            np.testing.assert_array_equal(found, true != 0)


def test_indexing():
    index = np.array([3, 1, 1])
    x = np.ones(4)
    np.testing.assert_array_equal(pattern_of(lambda x: x[index], x), np.eye(4)[index])
    # Indices that depend on arguments may be any.
    np.testing.assert_array_equal(pattern_of(lambda x, i: x[i], x, index), np.ones((3, 4)))
    rows = np.ones((4, 2))
    np.testing.assert_array_equal(
        pattern_of(lambda x, i: x[i], rows, index), np.tile(np.eye(2), (3, 4))
    )
    np.testing.assert_array_equal(
        pattern_of(lambda x: fnp.at(x)[0].set(0.0), x), np.diag([0, 1, 1, 1])
    )
    want = np.eye(4)
    want[1, 3] = 1
    np.testing.assert_array_equal(pattern_of(lambda x: fnp.at(x)[1].add(x[3]), x), want)
    want = np.eye(4)
    want[:, 3] = 1
    np.testing.assert_array_equal(pattern_of(lambda x, i: fnp.at(x)[i].add(x[3]), x, 1), want)


def test_dynamic_slices():
    x = np.ones((3, 4))
    found = pattern_of(lambda x, i: lax.dynamic_slice(x, (i, 1), (1, 2)), x, 0)
    np.testing.assert_array_equal(found, np.tile(np.eye(4)[1:3], (1, 3)))
    found = pattern_of(lambda x: lax.dynamic_slice(x, (2, 1), (1, 2)), x)
    np.testing.assert_array_equal(found, np.eye(12)[[9, 10]])
    found = pattern_of(lambda x, i: lax.dynamic_update_slice(x, x[:1, :2], (i, 0)), x, 0)
    want = np.eye(12)
    want[[0, 4, 8], 0] = want[[1, 5, 9], 1] = 1
    np.testing.assert_array_equal(found, want)


def test_cumulative_sums_and_sorting():
    x = np.ones(4)
    np.testing.assert_array_equal(pattern_of(np.cumsum, x), np.tri(4))
    found = pattern_of(lambda x: lax.cumsum(x, reverse=True), x)
    np.testing.assert_array_equal(found, np.tri(4).T)
    np.testing.assert_array_equal(
        pattern_of(lambda x: np.sort(x, axis=1), np.ones((2, 2))),
        np.kron(np.eye(2), np.ones((2, 2))),
    )


def test_transforms_mix_their_axes_alone():
    smooth = lambda x: np.fft.irfft(2.0 * np.fft.rfft(x, axis=0), axis=0)
    found = pattern_of(smooth, np.ones((4, 2)))
    np.testing.assert_array_equal(found, np.kron(np.ones((4, 4)), np.eye(2)))
    solve = lambda x: fnad.lax.linalg.triangular_solve(np.eye(3), x, left_side=True)
    np.testing.assert_array_equal(
        pattern_of(solve, np.ones((3, 2))), np.kron(np.ones((3, 3)), np.eye(2))
    )


def test_loops_are_followed():
    def diffuse(steps):
        def fun(x):
            body = lambda i, x: 0.5 * x + 0.25 * (np.roll(x, 1) + np.roll(x, -1))
            return lax.fori_loop(0, steps, body, x)

        return fun

    for steps in (1, 2, 3):
        true = fnad.jacfwd(diffuse(steps))(np.ones(12))
        np.testing.assert_array_equal(pattern_of(diffuse(steps), np.ones(12)), true != 0)

    def by_number(x):
        return lax.fori_loop(0, 4, lambda i, y: fnp.at(y)[i].set(y[i] * x[3 - i]), np.ones(4))

    np.testing.assert_array_equal(pattern_of(by_number, np.ones(4)), np.eye(4)[::-1])
    pairs = lambda x: lax.scan(lambda c, x: (x, c * x), 1.0, x)[1]
    want = np.eye(4) + np.eye(4, k=-1)
    np.testing.assert_array_equal(pattern_of(pairs, np.ones(4)), want)


def test_long_loops_stand_for_any_number_of_turns(monkeypatch):
    from fnad.primitives.control_flow import loop_dependencies

    monkeypatch.setattr(loop_dependencies, "MOST_STEPS", 0)
    np.testing.assert_array_equal(
        pattern_of(lambda x: lax.map(lambda r: np.sin(r) * r[0], x), np.ones((3, 2))),
        np.kron(np.eye(3), [[1, 0], [1, 1]]),
    )
    running = lambda x: lax.scan(lambda c, x: (c + x, c * x), 0.0, x)
    assert pattern_of(lambda x: running(x)[0], np.ones(3)).all()
    assert pattern_of(lambda x: running(x)[1], np.ones(3)).all()
    grow = lambda x: lax.while_loop(lambda x: x[0] < 9, lambda x: x * 2.0, x)
    np.testing.assert_array_equal(pattern_of(grow, np.ones(3)), np.eye(3))
    spread = lambda x: lax.while_loop(lambda x: x[0] < 9, lambda x: np.roll(x, 1), x)
    assert pattern_of(spread, np.ones(40)).all()


@pytest.mark.parametrize("max_steps", [None, 20])
def test_reverse_mode_through_while_loops(max_steps):
    def fun(x):
        grow = lambda c: c * c + 0.1
        return np.sum(lax.while_loop(lambda c: np.sum(c) < 50, grow, x, max_steps=max_steps))

    x = np.array([1.1, 1.3, 1.2])
    np.testing.assert_array_equal(pattern_of(fnad.grad(fun), x), np.eye(3))
    hessian = fnad.hessian_sparse(fun)
    np.testing.assert_allclose(hessian(x).toarray(), fnad.hessian(fun)(x), rtol=1e-10)
    assert hessian.compression(x).num_colors == 1


def test_branches():
    x = np.ones(3)
    fun = lambda x, p: lax.cond(p, lambda x: x, lambda x: x[::-1], x)
    np.testing.assert_array_equal(pattern_of(fun, x, True), np.eye(3) + np.eye(3)[::-1] > 0)
    known = lambda x: lax.cond(np.True_, lambda x: x, lambda x: x[::-1], x)
    np.testing.assert_array_equal(pattern_of(known, x), np.eye(3))


def test_calls_and_custom_rules():
    x = np.ones(3)
    roll = lambda x: np.roll(x, 1) * 2.0
    want = np.roll(np.eye(3), 1, 0)
    np.testing.assert_array_equal(pattern_of(fnad.jit(roll), x), want)
    np.testing.assert_array_equal(pattern_of(fnad.checkpoint(roll), x), want)

    @fnad.custom_vjp
    def clipped(x):
        return x

    clipped.defvjp(lambda x: (x, None), lambda _, ct: (np.clip(ct, -1.0, 1.0),))
    np.testing.assert_array_equal(pattern_of(lambda x: clipped(x) * 2.0, x), np.eye(3))

    @fnad.custom_vjp
    def normed(x):
        return x

    normed.defvjp(lambda x: (x, None), lambda _, ct: (ct / fnp.linalg.norm(ct),))
    assert pattern_of(lambda x: normed(x) * 2.0, x).all()

    @fnad.custom_jvp
    def straight(x):
        return np.round(x)

    straight.defjvp(lambda xs, ts: (np.round(xs[0]), ts[0]))
    np.testing.assert_array_equal(pattern_of(straight, x), np.eye(3))


def test_patterns_that_are_not_sparse_are_refused(monkeypatch):
    from fnad.primitives import dependencies

    monkeypatch.setattr(dependencies, "MOST_ENTRIES", 100)
    with pytest.raises(ValueError, match=r"pattern would have 400 entries.*pass its pattern"):
        pattern_of(lambda x: x * np.sum(x), np.ones(20))
