"""Strong zeros behind collectives, where the gradient is taken inside of the ``vmap``."""

import numpy as np
import pytest

import fnad.lax as lax
import fnad.numpy as fnp
from fnad.primitives.custom import custom_vjp
from fnad.transforms.autodiff import grad
from fnad.transforms.jit import jit
from fnad.transforms.vmap import vmap

pytestmark = pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")

# What each of four lanes gets of its four values, and what NumPy makes of those of all lanes.
GROUPS = [[0, 2], [3, 1]]
PERM = [(0, 3), (2, 1), (3, 2)]
COLLECTIVES = {
    "psum": (lambda x: lax.psum(x, "i"), lambda x: np.repeat(x.sum(0)[None], 4, 0)),
    "pmean": (lambda x: lax.pmean(x, "i"), lambda x: np.repeat(x.mean(0)[None], 4, 0)),
    "psum of groups": (
        lambda x: lax.psum(x, "i", axis_index_groups=GROUPS),
        lambda x: x[[[0, 2], [1, 3], [0, 2], [1, 3]]].sum(1),
    ),
    "all_gather": (lambda x: lax.all_gather(x, "i"), lambda x: np.repeat(x[None], 4, 0)),
    "all_gather tiled": (
        lambda x: lax.all_gather(x, "i", tiled=True).reshape(4, 4),
        lambda x: np.repeat(x[None], 4, 0),
    ),
    "all_gather of groups": (
        lambda x: lax.all_gather(x, "i", axis_index_groups=GROUPS),
        lambda x: x[[[0, 2], [3, 1], [0, 2], [3, 1]]],
    ),
    "ppermute": (
        lambda x: lax.ppermute(x, "i", PERM),
        lambda x: np.stack([0 * x[0], x[2], x[3], x[0]]),
    ),
    "pshuffle": (lambda x: lax.pshuffle(x, "i", [2, 0, 3, 1]), lambda x: x[[2, 0, 3, 1]]),
    "pbroadcast": (lambda x: lax.pbroadcast(x, "i", 2), lambda x: x[[2, 2, 2, 2]]),
    "all_to_all": (lambda x: lax.all_to_all(x, "i", 0, 0), lambda x: x.T),
    "all_to_all of groups": (
        lambda x: lax.all_to_all(x.reshape(2, 2), "i", 0, 0, axis_index_groups=GROUPS),
        lambda x: np.stack(
            [
                [x.reshape(4, 2, 2)[lane, place] for lane in group]
                for group, place in (([0, 2], 0), ([3, 1], 1), ([0, 2], 1), ([3, 1], 0))
            ]
        ),
    ),
    "psum_scatter": (lambda x: lax.psum_scatter(x, "i"), lambda x: x.sum(0)),
    "psum_scatter tiled": (
        lambda x: lax.psum_scatter(x, "i", tiled=True),
        lambda x: x.sum(0)[:, None],
    ),
    "two": (
        lambda x: lax.psum(lax.all_gather(x, "i")[::-1] * 2.0, "i"),
        lambda x: np.repeat(8.0 * x[None, ::-1], 4, 0),
    ),
}
collectives = pytest.mark.parametrize(
    "collective, reference", COLLECTIVES.values(), ids=COLLECTIVES
)
transforms = pytest.mark.parametrize("transform", [lambda f: f, jit], ids=["eager", "jit"])


def _matrix(reference):
    """What a reference is as a matrix, of all values of all lanes flattened."""
    return np.stack([np.ravel(reference(e.reshape(4, 4))) for e in np.eye(16)], 1)


def _expected(matrix, weights, taken, x, slope):
    """The gradient of the sum over all lanes: zero where no lane that was taken sums a value."""
    weights, taken = (np.broadcast_to(a, np.shape(weights)).ravel() for a in (weights, taken))
    reached = ((matrix != 0) & taken[:, None]).any(0).reshape(x.shape)
    total = (np.where(taken, weights, 0.0) @ matrix).reshape(x.shape)
    return np.where(reached, total * slope, 0.0), reached


MASKS = {
    "lanes": lambda shape: np.array([True, False, False, True]),
    "no lane": lambda shape: np.zeros(4, bool),
    "elements": lambda shape: np.random.default_rng(1).random(shape) < 0.2,
    "rows": lambda shape: (np.arange(np.prod(shape[:2])) % 4 == 1).reshape(
        shape[:2] + (1,) * (len(shape) - 2)
    ),
}


@transforms
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@collectives
def test_values_that_no_taken_lane_gets(transform, collective, reference, mask):
    x = np.random.default_rng(0).uniform(0.5, 2.0, (4, 4))
    shape = np.shape(reference(x))
    if mask is MASKS["rows"] and len(shape) == 1:
        pytest.skip("lanes of single numbers have no rows")
    taken = mask(shape)
    spread = np.broadcast_to(taken.reshape(taken.shape + (1,) * (len(shape) - taken.ndim)), shape)
    weights = np.cos(np.arange(np.prod(shape))).reshape(shape)
    _, reached = _expected(_matrix(reference), weights, spread, x, x)
    x = np.where(reached, x, 0.0)
    slope = 1 / (2 * np.sqrt(np.where(reached, x, 1.0)))
    expected, _ = _expected(_matrix(reference), weights, spread, x, slope)

    def loss(x, weights, taken):
        return fnp.sum(fnp.where(taken, collective(fnp.sqrt(x)) * weights, 0.0))

    got = transform(vmap(grad(loss), axis_name="i"))(x, weights, taken)
    np.testing.assert_allclose(got, expected, rtol=1e-14)


@transforms
@collectives
def test_values_that_a_taken_lane_gets_show(transform, collective, reference):
    shape = np.shape(reference(np.ones((4, 4))))

    def loss(x):
        return fnp.sum(fnp.where(True, collective(fnp.sqrt(x)), 0.0))

    got = transform(vmap(grad(loss), axis_name="i"))(np.zeros((4, 4)))
    _, reached = _expected(_matrix(reference), np.ones(shape), True, np.ones((4, 4)), 1.0)
    np.testing.assert_array_equal(got[reached], np.inf)


@transforms
def test_single_numbers(transform):
    x = np.array([0.0, 4.0, 9.0, 0.0])
    taken = np.array([False, True, True, False])

    def sent(x, taken):
        moved = lax.ppermute(fnp.sqrt(x), "i", [(0, 3), (1, 2), (2, 1), (3, 0)])
        return fnp.where(taken, moved, 0.0)

    got = transform(vmap(grad(sent), axis_name="i"))(x, taken)
    np.testing.assert_allclose(got, [0.0, 1 / 4, 1 / 6, 0.0])
    summed = lambda x, taken: fnp.where(taken, lax.psum(fnp.sqrt(x), "i"), 0.0)
    got = transform(vmap(grad(summed), axis_name="i"))(x, np.zeros(4, bool))
    np.testing.assert_array_equal(got, np.zeros(4))


@transforms
@pytest.mark.parametrize("names", [("i", "j"), ("j", "i")])
def test_two_named_axes(transform, names):
    x = np.array([[4.0, 0.0, 1.0], [0.0, 9.0, 4.0]])
    order = [0, 2, 3, 1, 4, 5]  # of lanes, row-major over the names
    by_place = x if names == ("i", "j") else x.T
    sent = by_place.ravel()[order].reshape(by_place.shape)
    kept = (sent if names == ("i", "j") else sent.T) != 0

    def loss(x, kept):
        moved = fnp.where(kept, 3.0 * lax.pshuffle(fnp.sqrt(x), names, order), 0.0)
        totals = lax.psum(fnp.stack([x, fnp.sqrt(x)]), names)
        return moved + fnp.sum(fnp.where(np.array([True, False]), totals, 0.0))

    got = transform(vmap(vmap(grad(loss), axis_name="j"), axis_name="i"))(x, kept)
    expected = 6.0 + np.where(x > 0, 1.5 / np.sqrt(np.where(x > 0, x, 1.0)), 0.0)
    np.testing.assert_allclose(got, expected)


@transforms
@pytest.mark.parametrize("name", ["psum", "all_gather", "ppermute", "all_to_all", "psum_scatter"])
def test_second_derivatives_behind_collectives(transform, name):
    collective, reference = COLLECTIVES[name]
    x = np.random.default_rng(0).uniform(0.5, 2.0, (4, 4))
    taken = MASKS["elements"](np.shape(reference(x)))
    matrix = _matrix(reference)
    _, reached = _expected(matrix, np.ones(taken.shape), taken, x, x)
    x = np.where(reached, x, 0.0)

    def loss(x, taken):
        return fnp.sum(fnp.where(taken, collective(fnp.sqrt(x)) ** 2, 0.0))

    def of_gradient(x):
        return fnp.sum(vmap(grad(loss), axis_name="i")(x, taken) ** 2)

    # The sum over all lanes is y.T @ gram @ y of the roots y, and its gradient gram @ y / y.
    gram = matrix.T @ np.diag(np.ravel(taken).astype(float)) @ matrix
    y = np.where(reached, np.sqrt(x), 1.0).ravel()
    first = gram @ (y * reached.ravel()) / y
    by_y = 2 * (gram.T @ (first / y)) - 2 * first**2 / y
    expected = np.where(reached, (by_y / (2 * y)).reshape(4, 4), 0.0)
    np.testing.assert_allclose(transform(grad(of_gradient))(x), expected, rtol=1e-11, atol=1e-13)


@transforms
def test_backward_rules_with_collectives(transform):
    total = custom_vjp(lambda x: lax.psum(fnp.sqrt(x), "i"))
    total.defvjp(
        lambda x: (lax.psum(fnp.sqrt(x), "i"), x), lambda x, g: (lax.psum(g, "i") / fnp.sqrt(x),)
    )
    x = np.array([[4.0, 0.0], [1.0, 0.0]])
    taken = np.array([[True, False], [True, False]])
    loss = lambda x, taken: fnp.sum(fnp.where(taken, total(x), 0.0))
    got = transform(vmap(grad(loss), axis_name="i"))(x, taken)
    np.testing.assert_array_equal(got, [[1.0, 0.0], [2.0, 0.0]])
