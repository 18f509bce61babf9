"""Gradients through select: lanes that were not taken contribute nothing, whatever they hold."""

import numpy as np
import pytest

import fnad.lax as lax
import fnad.numpy as fnp
from fnad.extend import elementwise
from fnad.primitives.checkpoint import checkpoint
from fnad.testing import check_grads
from fnad.transforms.autodiff import grad, linear_transpose, vjp
from fnad.transforms.jacobians import hessian, jacfwd, jacrev
from fnad.transforms.jit import jit
from fnad.transforms.residuals import saved_residuals
from fnad.transforms.tracing import make_jaxpr
from fnad.transforms.vmap import vmap

pytestmark = pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")


def _norm_or_one(x):  # jax issue 347
    norm = np.sqrt(np.sum(x**2, axis=1))
    return np.sum(np.where(norm > 0.5, norm, np.ones_like(norm)))


def _angle_elsewhere(x):  # jax issue 1052
    angle = np.arctan2(x, x)
    return np.sum(np.where(np.array([0.0, 1.0, 0.0]) > 0.5, 0.0, angle))


def _root_above_one(x):  # jax issue 5798
    return np.sum(np.where(x < 1.0, x, np.sqrt(x)))


def _root_of_negative(x):  # autograd issue 802
    return np.sum(np.where(x >= 0, x, np.sqrt(-x)))


def _power_off_zero(x):  # tinygrad issue 12409
    return np.sum(np.where(x == 0, 0, x * np.sqrt(x)))


def _unit_vectors(x):
    norm = np.sqrt(np.sum(x * x, axis=1, keepdims=True))
    return np.sum(np.where(norm > 0, x / norm, 0.0) * np.array([1.0, 0.0]))


def _infinite_slope(x):  # jax issue 2630
    return np.sum(np.where(x > 0, 0, x * np.inf))


def _masked_log_softmax(x):
    mask = np.array([[True, True], [False, False]])
    scores = fnp.where(mask, x, -np.inf)
    logs = scores - fnp.log(fnp.sum(fnp.exp(scores), axis=1, keepdims=True))
    return fnp.sum(fnp.where(mask, logs, 0.0) * np.array([1.0, 0.0]))


def _moved(x):
    roots = fnp.sqrt(x)
    placed = fnp.pad(fnp.concatenate([roots[::-1], x]).reshape(2, -1).T, 1)
    keep = np.zeros(placed.shape, bool)
    keep[1:-1, 2] = True
    return fnp.sum(fnp.where(keep, placed, 0.0))


def _gathered(x):
    taken = np.array([0, 1, 1, 1, 0])
    return fnp.sum(fnp.where(x[taken] > 0, fnp.sqrt(x)[taken], 0.0))


def _windowed(x):
    roots = lax.dynamic_update_slice(fnp.sqrt(x), fnp.zeros(1, x.dtype), (0,))
    window = lax.dynamic_slice(roots, (fnp.argmax(x) * 0,), (2,))
    return fnp.sum(fnp.where(x > 0, window, 0.0))


def _updated(x):
    roots = fnp.zeros(4, x.dtype).at[1:3].set(fnp.sqrt(x)).at[np.array([0, 3])].add(fnp.log(x))
    scaled = roots.at[np.array([0, 1])].multiply(2.0)
    taken = np.concatenate([x > 0, x > 0])[np.array([0, 0, 1, 1])]
    return fnp.sum(fnp.where(taken, scaled, 0.0))


def _running_sum(x):
    return fnp.sum(fnp.where(x > 0, fnp.cumsum(fnp.sqrt(x)[::-1])[::-1], 0.0))


def _loop(x):
    def body(carry, a):
        return fnp.where(a > 0, carry * fnp.sqrt(a), carry), fnp.where(a > 0, fnp.log(a), 0.0)

    carry, logs = lax.scan(body, fnp.sum(x) * 0 + 1.0, x)
    return carry + fnp.sum(logs)


def _nested(x):
    inner = fnp.where(x > 0, fnp.log(x), 1.0)
    return fnp.sum(fnp.where(x > 1, fnp.sqrt(x - 1), inner * x))


def _scalar_case(x):
    total = fnp.sum(x) * 0.0
    return fnp.sum(fnp.where(total > 0, fnp.log(total) * x, x))


def _repeated_root(x):
    return fnp.sum(fnp.where(x > 0, lax.fori_loop(0, 2, lambda i, y: fnp.sqrt(y), x), 0.0))


def _newton(x):
    def step(state):
        i, y = state
        return i + 1, 0.5 * (y + x / y)

    root = lax.while_loop(lambda state: state[0] < 6, step, (0, fnp.sqrt(x)))[1]
    return fnp.sum(fnp.where(x > 0, root, 0.0))


def _exchanged(x):
    """Of two carries, only one is asked for; they change places, and a constant takes part."""

    def step(carry, scale):
        a, b = carry
        return (b, fnp.sqrt(a) * scale), fnp.log(a)

    (a, _), logs = lax.scan(step, (fnp.sqrt(x), x), np.array([1.0, 4.0], x.dtype))
    return fnp.sum(fnp.where(x > 0, a + logs[0], 0.0))


def _outputs_of_a_loop(x):
    roots = lax.scan(lambda c, a: (c + 1, fnp.sqrt(a)), 0, x)[1]
    return fnp.sum(fnp.where(x > 0, roots, 0.0))


def _branches(x):
    chosen = lax.cond(fnp.sum(x) > 0, fnp.sqrt, lambda x: 2.0 * x, x)
    other = lax.switch(fnp.argmax(x), [fnp.sqrt, lambda x: fnp.log(x)], x)
    return fnp.sum(fnp.where(x > 0, chosen + other, 0.0))


def _layers(x):
    """Rows that the loss leaves out."""
    weights = np.array([[1.0, 2.0], [0.0, 1.0]])
    hidden = fnp.sqrt(x) @ weights
    y = fnp.where(hidden > 100.0, 0.0, hidden) @ weights
    valid = np.array([True, False])
    return fnp.sum(fnp.where(valid, fnp.sum(y * y, axis=1), 0.0))


_root = jit(fnp.sqrt)
_choose_positive = jit(lambda y, x: fnp.where(x > 0, y, 0.0))

CASES = {
    "jax 347": (
        _norm_or_one,
        [[1.0, 2.0], [3.0, 4.0], [0.0, 0.0]],
        [[0.2**0.5, 2 * 0.2**0.5], [0.6, 0.8], [0.0, 0.0]],
    ),
    "jax 1052": (_angle_elsewhere, [3.0, 0.0, -5.0], [0.0, 0.0, 0.0]),
    "jax 5798": (_root_above_one, [1e-9, 0.0, 4.0], [1.0, 1.0, 0.25]),
    "jax 2630": (_infinite_slope, [1.0], [0.0]),
    "autograd 802": (_root_of_negative, [1.0, 0.0, -4.0], [1.0, 1.0, -0.25]),
    "tinygrad 12409": (_power_off_zero, [0.0, 4.0], [0.0, 3.0]),
    "norms, summed back": (_unit_vectors, [[3.0, 4.0], [0.0, 0.0]], [[0.128, -0.096], [0, 0]]),
    "rows masked": (_masked_log_softmax, [[0.0, 0.0], [1.0, 2.0]], [[0.5, -0.5], [0.0, 0.0]]),
    "moved": (_moved, [0.0, 4.0], [1.0, 1.0]),
    "gathered": (_gathered, [0.0, 4.0], [0.0, 0.75]),
    "windowed": (_windowed, [0.0, 4.0], [0.0, 0.25]),
    "updated": (_updated, [0.0, 4.0], [0.0, 0.5]),
    "running sum": (_running_sum, [0.0, 4.0], [0.0, 0.25]),
    "loop": (_loop, [0.0, 1.0, 4.0], [0.0, 2.0, 0.5]),
    "repeated root": (_repeated_root, [0.0, 16.0], [0.0, 1 / 32]),
    "newton": (_newton, [0.0, 4.0], [0.0, 0.25]),
    "exchanged": (_exchanged, [0.0, 16.0], [0.0, 1 / 32 + 1 / 32]),  # x**(1/4) + log(x) / 2
    "outputs of a loop": (_outputs_of_a_loop, [0.0, 4.0], [0.0, 0.25]),
    "branches": (_branches, [0.0, 4.0], [0.0, 0.5]),
    "layers": (_layers, [[4.0, 9.0], [0.0, 1.0]], [[23.0, 11 / 3], [0.0, 0.0]]),
    "nested": (_nested, [0.0, 0.5, 2.0], [1.0, 1 + np.log(0.5), 0.5]),
    "scalar case": (_scalar_case, [1.0, 2.0], [1.0, 1.0]),
    "call inside": (lambda x: fnp.sum(fnp.where(x > 0, _root(x), 0)), [0.0, 4.0], [0.0, 0.25]),
    "call outside": (lambda x: fnp.sum(_choose_positive(np.sqrt(x), x)), [0.0, 4.0], [0.0, 0.25]),
    "checkpoint": (checkpoint(_root_above_one), [0.0, 4.0], [1.0, 0.25]),
}
cases = pytest.mark.parametrize("function, x, expected", CASES.values(), ids=CASES)


@cases
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_untaken_lanes_contribute_nothing(function, x, expected, dtype):
    x = np.array(x, dtype)
    tolerance = {"rtol": 100 * np.finfo(dtype).eps, "atol": 0}
    for derivative in (grad(function), jit(grad(function)), grad(jit(function))):
        np.testing.assert_allclose(derivative(x), np.asarray(expected), **tolerance)


@cases
def test_batches_of_gradients(function, x, expected):
    xs = np.array([x, x])
    for derivative in (vmap(grad(function)), jit(vmap(grad(function)))):
        np.testing.assert_allclose(derivative(xs), [expected, expected], rtol=1e-14)
    summed = grad(lambda xs: fnp.sum(vmap(function)(xs)))
    np.testing.assert_allclose(summed(xs), [expected, expected], rtol=1e-14)


@cases
def test_reverse_mode_agrees_with_forward_mode(function, x, expected):
    x = np.array(x)
    np.testing.assert_allclose(jacrev(function)(x), expected, rtol=1e-14)
    if function not in (_angle_elsewhere, _unit_vectors, _masked_log_softmax):
        np.testing.assert_allclose(jacfwd(function)(x), expected, rtol=1e-14)


def test_second_derivatives():
    def function(x):
        return fnp.sum(fnp.where(x > 0, x * fnp.sqrt(x), 0.0))

    x = np.array([0.0, 4.0])
    for derivative in (hessian(function), jit(jacrev(jacrev(function))), jacrev(grad(function))):
        np.testing.assert_allclose(derivative(x), [[0.0, 0.0], [0.0, 0.375]], rtol=1e-14)


def test_second_derivatives_of_rows():
    x = np.array([[3.0, 4.0], [0.0, 0.0]])
    unit = x[0] / 5
    expected = np.zeros((2, 2, 2, 2))
    expected[0, :, 0] = (np.eye(2) - np.outer(unit, unit)) / 5
    for derivative in (hessian(_norm_or_one), jit(jacrev(grad(_norm_or_one)))):
        np.testing.assert_allclose(derivative(x), expected, atol=1e-15)


def test_what_pulls_back_is_transposed():
    x = np.array([[3.0, 4.0], [0.0, 0.0]])
    pull = vjp(lambda x: np.where((x > 0).any(1), np.sqrt(np.sum(x * x, axis=1)), 0.0), x)[1]
    push = linear_transpose(lambda ct: pull(ct)[0], np.ones(2))
    tangent = np.array([[1.0, 2.0], [3.0, 4.0]])
    for function in (push, jit(push)):
        np.testing.assert_allclose(function(tangent)[0], [2.2, 0.0])


def test_a_batched_branch():
    def function(x):
        return lax.cond(x > 0, fnp.sqrt, lambda x: 2.0 * x, x)

    x = np.array([0.0, 4.0])
    np.testing.assert_allclose(grad(lambda x: fnp.sum(vmap(function)(x)))(x), [2.0, 0.25])
    np.testing.assert_allclose(jit(vmap(grad(function)))(x), [2.0, 0.25])


@pytest.mark.parametrize("transform", [lambda f: f, jit])
def test_nan_of_a_taken_lane_shows(transform):
    def zero_times_infinity(x):
        return fnp.where(x >= 0, 0.0 * fnp.sqrt(x), x)

    assert np.isnan(transform(grad(zero_times_infinity))(0.0))
    assert np.isnan(transform(grad(lambda x: fnp.where(x >= 0, fnp.sqrt(x * x), x)))(0.0))


@pytest.mark.parametrize("transform", [lambda f: f, jit])
def test_a_cotangent_that_happens_to_be_zero_is_not_strong(transform):
    def pull(ct):
        return vjp(lambda x: fnp.where(x >= 0, fnp.sqrt(x), 0.0), np.array([0.0, 4.0]))[1](ct)[0]

    np.testing.assert_array_equal(transform(pull)(np.zeros(2)), [np.nan, 0.0])


def _sets_known_elements(x):
    return fnp.sum(fnp.sqrt(x).at[np.array([True, False, False])].set(3.0))


def _sets_small_elements(x):
    return fnp.sum(fnp.sqrt(x).at[x < 0.5].set(3.0))


def _sets_known_rows(x):
    return fnp.sum(fnp.sqrt(x).repeat(2).reshape(3, 2).at[np.arange(3) < 1].set([3.0, 4.0])) / 2


@pytest.mark.parametrize("function", [_sets_known_elements, _sets_small_elements, _sets_known_rows])
def test_elements_that_a_mask_replaces_contribute_nothing(function):
    x = np.array([0.0, 1.0, 4.0])
    for derivative in (grad(function), jit(grad(function))):
        np.testing.assert_allclose(derivative(x), [0.0, 0.5, 0.25])


def test_a_lane_that_another_way_reaches_is_not_zero():
    def function(x):
        roots = fnp.sqrt(x)
        return fnp.sum(fnp.where(x > 1, roots, 0.0) + 2.0 * roots)

    np.testing.assert_allclose(grad(function)(np.array([0.25, 4.0])), [2.0, 0.75])


def test_primitives_of_users_take_part():
    steep_p = elementwise(
        "steep",
        "x * y, of which the derivative is taken with respect to x.",
        lambda b, x, y: x * y,
        derivatives=[lambda t, ans, x, y: steep_p.bind(t, y), None],
        transpose=[lambda ct, x, y: steep_p.bind(ct, y), None],
        kinds="f",
    )
    infinite = np.array([np.inf, 2.0])

    def function(x):
        return fnp.sum(fnp.where(infinite < np.inf, steep_p.bind(x, infinite + 0 * x), 0.0))

    np.testing.assert_array_equal(grad(function)(np.ones(2)), [0.0, 2.0])


def test_scalars_beside_arrays():
    pred = np.array([True, False])

    def function(scale):
        return fnp.sum(lax.select(pred, np.array([3.0, np.inf]) * scale, np.zeros(2)))

    assert grad(function)(2.0) == 3.0
    assert jit(grad(function))(2.0) == 3.0
    spread = linear_transpose(lambda s: lax.select(pred, s, np.zeros(2)), 1.0)
    assert spread(np.array([5.0, 7.0])) == (5.0,)


def test_gradients_of_smooth_code_are_checked_through_selects():
    x = np.array([0.3, 1.7, 2.5])
    check_grads(lambda x: fnp.where(x > 1, fnp.sqrt(x) * x[::-1], fnp.sum(x) / x), (x,), order=2)


def test_zeros_are_selected_once():
    def selects(function, x):
        jaxpr = make_jaxpr(grad(function))(x).jaxpr
        return [e for e in jaxpr.eqns if e.primitive.name == "select"]

    x = np.ones(3)
    # The select itself, and one behind all that is made of its operand.
    for function in (_angle_elsewhere, _power_off_zero):
        assert len(selects(function, x)) == 2
    # Both products read the same zeros.
    w = np.ones((3, 3))
    assert len(selects(lambda x: fnp.sum(fnp.where(w > 0, w @ (w * x) + (w + x) @ w, 0)), x)) == 2


def test_rows_are_selected_by_their_own_mask():
    jaxpr = make_jaxpr(grad(_norm_or_one))(np.ones((4, 3))).jaxpr
    [product] = [e for e in jaxpr.eqns if e.primitive.name == "masked_mul"]
    assert product.params["axes"] == (0,)
    assert product.outvars[0].aval.shape == (4, 3)
    assert [e.primitive.name for e in jaxpr.eqns].count("select") == 1  # the function's own
    # Behind a factor that is finite, the zeros are those of the sums, of which there are fewer.
    doubled = make_jaxpr(
        grad(lambda x: fnp.sum(fnp.where(x[:, 0] > 0, fnp.sum(2.0 * x, axis=1), 0.0)))
    )(np.ones((4, 3))).jaxpr
    selects = [e for e in doubled.eqns if e.primitive.name == "select"]
    assert [e.outvars[0].aval.shape for e in selects] == [(4,), (4,)]


def test_other_code_pays_nothing():
    def text(function, *args):
        return str(make_jaxpr(grad(function))(*args))

    x, w = np.ones((2, 3)), np.ones((3, 4))
    assert "select" not in text(lambda x: fnp.sum(fnp.sqrt(x) * x), x)
    # Of a relu between products, only its own selects outside of the branch for infinite factors.
    dense = make_jaxpr(grad(lambda w, x: fnp.sum(fnp.where(x @ w <= 0, 0, x @ w) @ w.T)))(w, x)
    assert [e.primitive.name for e in dense.jaxpr.eqns].count("select") <= 3
    # Both sides of one select make a cotangent whole again.
    both = text(lambda x: fnp.sum(fnp.where(x > 0, x, 2.0 * x) ** 1), x)
    behind = text(lambda x: fnp.sum(fnp.where(fnp.exp(x) > 0, fnp.exp(x), 2.0 * fnp.exp(x))), x)
    assert both.count(" or ") == behind.count(" or ") == 0


VALID = np.array([True, False, True])
ROWS = np.array([[1.0, 4.0], [0.0, 0.0], [4.0, 1.0]])  # the second one is left out
WEIGHTS = np.array([[1.0, 2.0], [3.0, 4.0]])


def _rows_of_a_product(x, valid):
    return fnp.sum(fnp.where(valid[:, None], fnp.sqrt(x) @ WEIGHTS, 0.0))


def _rows_before_a_relu(x, valid):
    return fnp.sum(fnp.maximum(fnp.where(valid[:, None], fnp.sqrt(x) @ WEIGHTS, 0.0), 0.0))


def _rows_behind_a_relu(x, valid):
    hidden = fnp.maximum(fnp.sqrt(x) @ WEIGHTS, 0.0)
    return fnp.sum(fnp.where(~valid[:, None], 0.0, hidden @ np.eye(2)))


def _each_row(x, valid):
    return fnp.sum(vmap(lambda x, v: fnp.where(v, fnp.sqrt(x) @ WEIGHTS, 0.0))(x, valid))


def _columns(x, valid):
    return fnp.sum(fnp.where(valid, WEIGHTS.T @ fnp.sqrt(x.T), 0.0))


def _examples(x, valid):
    images = fnp.sqrt(x)[:, :, None]  # (example, position, feature)
    made = lax.conv_general_dilated(
        images, WEIGHTS[:, None], (1,), "VALID", dimension_numbers=("NWC", "WIO", "NWC")
    )
    return fnp.sum(fnp.where(valid[:, None, None], made, 0.0))


@pytest.mark.parametrize(
    "function",
    [_rows_of_a_product, _rows_before_a_relu, _rows_behind_a_relu, _each_row, _columns, _examples],
)
def test_rows_that_a_repeated_condition_leaves_out(function):
    expected = np.where(VALID[:, None], WEIGHTS.sum(1) / (2 * np.sqrt(ROWS)), 0.0)
    np.testing.assert_allclose(grad(function)(ROWS, VALID), expected)
    np.testing.assert_allclose(jit(grad(function))(ROWS, VALID), expected)
    closed_over = jit(lambda x: grad(jit(lambda x: function(x, VALID)))(x))
    np.testing.assert_allclose(closed_over(ROWS), expected)
    # A row that is taken shows what it holds.
    assert np.all(np.isnan(grad(function)(np.full((3, 2), np.nan), VALID)[VALID]))


def test_filters_whose_features_are_left_out():
    images = np.ones((2, 3, 3, 1))
    filters = np.array([1.0, 0.0]).reshape(1, 1, 1, 2)

    def function(filters, chosen):
        made = lax.conv_general_dilated(
            images,
            fnp.sqrt(filters),
            (1, 1),
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        return fnp.sum(fnp.where(chosen, made, 0.0))

    for transform in (grad, lambda f: jit(grad(f))):
        got = transform(function)(filters, np.array([True, False]))
        np.testing.assert_array_equal(got.ravel(), [9.0, 0.0])


def test_a_scalar_condition_of_a_product():
    def function(x, flag):
        return fnp.sum(fnp.where(flag, fnp.sqrt(x) @ WEIGHTS, 0.0))

    for transform in (grad, lambda f: jit(grad(f))):
        assert not np.any(transform(function)(np.zeros((2, 2)), np.False_))
        assert np.all(transform(function)(np.zeros((2, 2)), np.True_) == np.inf)


def test_masks_are_kept_before_they_are_repeated():
    kept = saved_residuals(_rows_of_a_product, ROWS, VALID)
    assert [aval.shape for aval, _ in kept if aval.dtype == np.bool_] == [(3,)]


def test_zeros_belong_to_the_line_of_their_product():
    def f(x):
        root = np.sqrt(x)
        return np.sum(np.where(x > 1.0, root, 0.0))

    first = f.__code__.co_firstlineno
    jaxpr = make_jaxpr(grad(f))(np.ones(3)).jaxpr
    *_, chosen = (e for e in jaxpr.eqns if e.primitive.name in ("select", "masked_mul"))
    assert chosen.source.line == first + 1
