"""Second derivatives of convolutions of which a select left single elements out."""

import numpy as np
import pytest

import fnad.lax as lax
import fnad.numpy as fnp
from fnad.transforms.autodiff import grad, jvp
from fnad.transforms.jit import jit
from fnad.transforms.vmap import vmap
from tests.tiers import tiered

pytestmark = pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")

# Shapes of images and filters, and options of the convolution.
CASES = {
    "plain": ((2, 2, 4, 3), (3, 2, 2, 2), ((1, 1), "SAME")),
    "strides": ((1, 2, 6, 4), (3, 2, 2, 2), ((2, 1), ((1, 0), (0, -1)))),
    "dilations": ((2, 1, 5, 3), (3, 1, 2, 2), ((1, 1), ((2, 1), (1, 1)), (1, 2), (2, 1))),
    "groups": ((2, 4, 5), (4, 2, 2), ((2,), ((1, 1),), (1,), (1,), None, 2)),
    "each feature": ((1, 3, 4, 3), (6, 1, 2, 2), ((1, 1), "VALID", None, None, None, 3)),
    "many features": ((1, 6, 3, 2), (3, 6, 2, 1), ((1, 1), "SAME")),
}
cases = tiered("case", CASES, lambda case: case in ("strides", "groups"))
transforms = pytest.mark.parametrize("transform", [lambda f: f, jit], ids=["eager", "jit"])


class Problem:
    """The sum of weighted squares of what is taken of a convolution of square roots.

    Results that read certain pixels, or that certain filters make, are left out: the roots of
    these may be anything, and have any slopes.
    """

    def __init__(self, x_shape, w_shape, options):
        rng = np.random.default_rng(0)
        self.options = options
        self.x, self.w = rng.uniform(0.5, 2.0, x_shape), rng.uniform(0.5, 2.0, w_shape)
        # Which positions live windows read is known for all features together.
        positions = np.arange(self.x[:, :1].size).reshape(self.x[:, :1].shape)
        self.bad_x = np.broadcast_to(positions % 11 == 4, x_shape)
        self.bad_w = np.broadcast_to(np.arange(w_shape[0]) == 1, w_shape[::-1]).T
        x_units, w_units = (np.eye(a.size).reshape(-1, *a.shape) for a in (self.x, self.w))
        # What each pixel and each element of a filter contribute together to each result.
        made = [[self.convolution(x, w).ravel() for w in w_units] for x in x_units]
        self.tensor = np.moveaxis(np.array(made), -1, 0)
        met = self.tensor[:, self.bad_x.ravel()].any((1, 2))
        met |= self.tensor[:, :, self.bad_w.ravel()].any((1, 2))
        self.taken = ~met & (rng.random(met.shape) < 0.8)
        self.weights = rng.uniform(0.5, 1.0, met.shape)
        assert 2 < self.taken.sum() < self.taken.size
        pairs = (self.bad_x, rng.normal(size=x_shape)), (self.bad_w, rng.normal(size=w_shape))
        self.directions = [np.where(bad, 0.0, v) for bad, v in pairs]

    def convolution(self, x, w):
        return lax.conv_general_dilated(x, w, *self.options)

    def loss(self, x, w):
        out = self.convolution(fnp.sqrt(x), fnp.sqrt(w)).ravel()
        return fnp.sum(self.weights * fnp.where(self.taken, out, 0.0) ** 2)

    def forward_over_reverse(self, x, w):
        return jvp(grad(self.loss, argnums=(0, 1)), (x, w), tuple(self.directions))[1]

    def reverse_over_reverse(self, x, w):
        def change(x, w):
            found = grad(self.loss, argnums=(0, 1))(x, w)
            return sum(fnp.sum(g * v) for g, v in zip(found, self.directions))

        return grad(change, argnums=(0, 1))(x, w)

    def spoiled(self, value):
        return np.where(self.bad_x, value, self.x), np.where(self.bad_w, value, self.w)

    def expected(self):
        """Products of the Hessian with the directions, of what was taken alone."""
        tensor, weights = self.tensor[self.taken], self.weights[self.taken]
        x, w, vx, vw = (a.ravel() for a in (self.x, self.w, *self.directions))
        by_x, by_w = tensor @ np.sqrt(w), np.sqrt(x) @ tensor
        scaled = weights * (by_x @ np.sqrt(x))
        mixed = 2 * (by_x.T * weights) @ by_w + 2 * np.tensordot(scaled, tensor, 1)
        ux, uw = vx / (2 * np.sqrt(x)), vw / (2 * np.sqrt(w))
        of_x = 2 * by_x.T @ (weights * (by_x @ ux)) + mixed @ uw
        of_w = 2 * by_w.T @ (weights * (by_w @ uw)) + mixed.T @ ux
        for_x = of_x / (2 * np.sqrt(x)) - 2 * by_x.T @ scaled * vx / (4 * x**1.5)
        for_w = of_w / (2 * np.sqrt(w)) - 2 * by_w.T @ scaled * vw / (4 * w**1.5)
        return for_x.reshape(self.x.shape), for_w.reshape(self.w.shape)


@transforms
@cases
@pytest.mark.parametrize("second", ["forward_over_reverse", "reverse_over_reverse"])
def test_second_derivatives_do_not_see_elements_left_out(transform, case, second):
    problem = Problem(*CASES[case])
    function, expected = transform(getattr(problem, second)), problem.expected()
    for value in (1.0, 0.0, np.inf, np.nan):
        got = function(*problem.spoiled(value))
        for own, other in zip(got, expected, strict=True):
            np.testing.assert_allclose(own, other, rtol=1e-11, atol=1e-12)


@tiered(
    "case,transform",
    [*((name, lambda f: f) for name in CASES), ("groups", jit)],
    lambda row: row[0] in ("strides", "dilations") or (row[1] is not jit and row[0] == "groups"),
)
def test_batches_of_second_derivatives(case, transform):
    problem = Problem(*CASES[case])
    x, w = (np.stack(pair) for pair in zip(problem.spoiled(1.0), problem.spoiled(0.0)))
    expected = problem.expected()
    for in_axes, args in (((0, 0), (x, w)), ((0, None), (x, w[1])), ((None, 0), (x[1], w))):
        got = transform(vmap(problem.reverse_over_reverse, in_axes=in_axes))(*args)
        for own, other in zip(got, expected, strict=True):
            np.testing.assert_allclose(own, np.stack([other] * 2), rtol=1e-11, atol=1e-12)


def test_what_is_not_finite_in_a_taken_lane_shows():
    problem = Problem(*CASES["plain"])
    x = problem.x.copy()
    read = problem.tensor[problem.taken].any((0, 2)).reshape(x.shape)
    x[tuple(np.argwhere(read)[0])] = 0.0
    for second in (problem.forward_over_reverse, jit(problem.reverse_over_reverse)):
        assert not np.all(np.isfinite(second(x, problem.w)[1]))


@transforms
@pytest.mark.parametrize("spec", [("NCW", "OIW", "NCW"), ("CWN", "WIO", "NWC")])
def test_features_left_out_leave_out_their_group(transform, spec):
    def shape(letters, **sizes):
        return tuple(sizes[c] for c in letters)

    x = np.random.default_rng(0).uniform(0.5, 2.0, shape(spec[0], N=2, C=4, W=5))
    w = np.random.default_rng(1).uniform(0.5, 2.0, shape(spec[1], O=6, I=2, W=3))
    taken = np.array([False, False, False, True, True, False])  # none of the first group
    taken = taken.reshape(shape(spec[2], N=1, C=6, W=1))
    left_out = np.take(np.arange(4) < 2, np.indices(x.shape)[spec[0].index("C")])

    def loss(x, w):
        options = {"dimension_numbers": spec, "feature_group_count": 2}
        made = lax.conv_general_dilated(fnp.sqrt(x), fnp.sqrt(w), (1,), "SAME", **options)
        return fnp.sum(fnp.where(taken, made, 0.0) ** 2)

    derivative = transform(grad(loss, argnums=(0, 1)))
    expected = derivative(x, w)
    assert not np.any(expected[0][left_out]) and np.all(expected[0][~left_out])
    for value in (0.0, np.inf, np.nan):
        got = derivative(np.where(left_out, value, x), w)
        for own, other in zip(got, expected, strict=True):
            np.testing.assert_allclose(own, other, rtol=1e-12)


@transforms
@pytest.mark.parametrize("groups, taken, made", [(4, 1, 1), (3, 2, 2), (3, 1, 2), (2, 2, 1)])
def test_pixels_that_no_live_window_of_their_group_reads(transform, groups, taken, made):
    rng = np.random.default_rng(2)
    x = rng.uniform(0.5, 2.0, (2, groups * taken, 5, 5))
    w = rng.normal(size=(groups * made, taken, 3, 3))
    bad = np.zeros(x.shape, bool)
    bad[0, 0, 2, 3] = bad[1, -1, 0, 0] = True
    # Windows of that group alone are left out, so that others read the same place.
    reach = np.zeros((2, groups * made, 5, 5), bool)
    reach[0, :made, 1:4, 2:5] = reach[1, -made:, 0:2, 0:2] = True

    def loss(x, w):
        y = lax.conv_general_dilated(fnp.log(x), w, (1, 1), "SAME", feature_group_count=groups)
        return fnp.sum(fnp.where(reach, 0.0, y) ** 2)

    derivative = transform(grad(loss, argnums=(0, 1)))
    second = transform(grad(lambda x, w: fnp.sum(grad(loss, 1)(x, w) ** 2), argnums=(0, 1)))
    for function in (derivative, second):
        expected = function(x, w)
        assert not np.any(expected[0][bad])
        for value in (0.0, np.inf, np.nan):
            got = function(np.where(bad, value, x), w)
            for own, other in zip(got, expected, strict=True):
                np.testing.assert_allclose(own, other, rtol=1e-11)
