"""`fnad.scipy.special` against SciPy and mpmath: values, dtypes, edges, derivatives, transforms."""

import mpmath
import numpy as np
import pytest
import scipy.special

import fnad
import fnad.numpy as fnp
from fnad import lax
from fnad.scipy import special
from fnad.scipy.operands import polynomial
from fnad.scipy.special import incomplete_gamma
from fnad.testing import check_grads
from tests.scipy.derivatives import check_compiled_derivatives
from tests.tiers import tiered

RNG = np.random.default_rng(0)
INF, NAN = np.inf, np.nan


def spread(low, high, count=60):
    return 10 ** RNG.uniform(low, high, count)


A, X = spread(-2, 3), spread(-2, 3)
UNIT = RNG.uniform(0.001, 0.999, 60)
LINE = np.linspace(-20, 20, 81)
EDGES = np.array([0.0, 1.0, INF, NAN])
PAIRS = [v.ravel() for v in np.meshgrid([0.0, 1.0, 2.5, INF, NAN], [0.0, 1.0, 20.0, INF, NAN])]

# name, arguments, greatest relative error (SciPy's own included)
VALUES = [
    ("expit", [LINE], 1e-15), ("logit", [UNIT], 5e-15), ("log_expit", [LINE], 1e-15),
    ("xlogy", [A, X], 1e-15), ("xlog1py", [A, X], 1e-15), ("entr", [A], 1e-15),
    ("rel_entr", [A, X], 3e-15), ("kl_div", [A, X], 1e-13), ("erf", [LINE], 1e-15),
    ("erfc", [LINE], 1e-13), ("erfinv", [UNIT], 3e-15), ("erfcx", [LINE + 2], 2e-14),
    ("ndtr", [LINE], 1e-13), ("log_ndtr", [LINE], 3e-14), ("ndtri", [UNIT], 2e-14),
    ("gammaln", [A], 1e-14), ("gamma", [LINE[::2] + 0.3], 1e-14), ("gammasgn", [LINE + 0.3], 0),
    ("digamma", [A], 1e-13), ("beta", [A, UNIT], 2e-12), ("betaln", [A, X], 1e-12),
    ("poch", [UNIT, UNIT[::-1]], 1e-14), ("zeta", [A + 1.01, X], 1e-14), ("i0", [LINE], 2e-15),
    ("i0e", [LINE], 2e-15), ("i1", [LINE], 3e-15), ("i1e", [LINE], 3e-15), ("exp1", [X], 5e-15),
    ("expi", [np.concatenate([LINE[:30], X])], 5e-15), ("spence", [X], 3e-15),
    ("gammainc", [A, X], 1e-11), ("gammaincc", [A, X], 1e-12),
    ("gammainc", [A * 10, A * 10 * (1 + (UNIT - 0.5) / np.sqrt(A))], 1e-12),
    ("betainc", [A, X, UNIT], 1e-11), ("expn", [np.arange(60) % 20, X], 5e-15),
    ("gammainc", PAIRS, 1e-14), ("gammaincc", PAIRS, 1e-14), ("expn", [np.arange(4), EDGES], 3e-15),
    ("betainc", [np.ones(3), np.full(3, 2.0), np.array([0.0, 1.0, NAN])], 0),
    ("i0", [EDGES[:2]], 1e-15), ("exp1", [EDGES], 3e-15), ("expi", [EDGES], 1e-15),
    ("spence", [EDGES[[0, 1, 3]]], 1e-15), ("ndtri", [np.array([0, 0.5, 1, -1, NAN])], 0),
    ("logit", [np.array([0, 0.5, 1, -1, NAN])], 0), ("erfcx", [np.array([INF, NAN, 1e300])], 1e-15),
    ("entr", [np.array([-1.0, 0, INF, NAN])], 0), ("log_ndtr", [np.array([-INF, INF, NAN])], 0),
    ("gamma", [np.array([-1.5, 1e-30, 171.5, 180, NAN])], 1e-14),
    ("rel_entr", [np.array([0, 0, -1, 1, NAN]), np.array([0, 1, 1, -1, 1])], 0),
    ("zeta", [np.array([1, 0.5, 2, 2, NAN]), np.array([1, 1.5, 0, 1, 1])], 1e-15),
]  # fmt: skip


@pytest.mark.parametrize(("name", "xs", "tolerance"), VALUES)
def test_values_are_scipys(name, xs, tolerance):
    ours, theirs = getattr(special, name), getattr(scipy.special, name)
    with np.errstate(all="ignore"):
        expected = theirs(*xs)
        if name == "zeta":  # SciPy continues Riemann's function to the left of 1
            expected = np.where(xs[0] < 1, NAN, expected)
        np.testing.assert_allclose(ours(*xs), expected, rtol=tolerance, atol=1e-300)
        # The compiler's elementary functions round on their own.
        np.testing.assert_allclose(
            fnad.jit(ours)(*xs), expected, rtol=tolerance + 1e-12, atol=1e-300
        )


NAMES = sorted({name for name, _, _ in VALUES})
ARITY = {name: len(xs) for name, xs, _ in VALUES}


COMPLEX = ("digamma", "psi", "gamma", "erf", "erfc", "erfcx", "erfi", "ndtr", "log_ndtr", "exp1",
           "expi", "spence")  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_dtypes_shapes_and_vmap(name):
    function, arity = getattr(special, name), ARITY[name]
    xs = [np.full(3, 0.5 + (name == "zeta")) + np.arange(3) / 8] * arity
    if name == "expn":
        xs[0] = np.arange(3.0)
    batched = fnad.vmap(function)(*xs)
    np.testing.assert_allclose(batched, function(*xs), rtol=1e-14)
    single = function(*[x.astype(np.float32) for x in xs])
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, batched, rtol=2e-5)
    half = function(*[x.astype(np.float16) for x in xs])
    assert half.dtype == np.float16
    np.testing.assert_allclose(half, batched, rtol=2e-2)
    assert function(*[1] * arity).dtype == np.float64
    assert function(*[np.zeros((0, 2), np.float32)] * arity).shape == (0, 2)
    if name in COMPLEX:
        assert function(1j).dtype == np.complex128
        return
    with pytest.raises(TypeError, match=r"real numbers.*complex128"):
        function(*[1j] * arity)


POINTS = [
    ("logit", (0.3,)), ("log_expit", (0.3,)), ("xlogy", (0.3, 2.0)), ("xlog1py", (0.3, 2.0)),
    ("entr", (0.3,)), ("rel_entr", (0.3, 0.5)), ("kl_div", (0.3, 0.5)), ("erfcx", (0.4,)),
    ("ndtr", (0.4,)), ("log_ndtr", ([-3.0, 3.0],)), ("ndtri", (0.03,)), ("gamma", ([-1.3, 4.3],)),
    ("beta", (1.2, 3.1)), ("betaln", (1.2, 30.0)), ("poch", (1.2, 3.1)), ("zeta", (3.0, 2.0)),
    ("spence", ([0.3, 1.0, 4.0],)), ("i0", (0.7,)), ("i0e", (-0.7,)), ("i1", (9.0,)),
    ("i1e", (0.7,)), ("exp1", ([0.7, 2.0],)), ("expi", (0.7,)),
    ("gammainc", ([0.5, 3.0, 30.0], [0.7, 9.0, 31.0])), ("gammaincc", ([0.5, 30.0], [0.7, 30.0])),
    ("betainc", ([2.0, 20.0], [3.0, 30.0], [0.3, 0.5])),
]  # fmt: skip


@tiered("name,xs", POINTS, lambda row: not row[0].startswith(("gamm", "beta")))
def test_derivatives(name, xs):
    function = getattr(special, name)
    xs = tuple(np.array(x)[()] for x in xs)
    check_compiled_derivatives(function, xs)
    slopes = fnad.jit(fnad.grad(lambda *xs: fnp.sum(function(*xs))))
    single = slopes(*[x.astype(np.float32) for x in xs])
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, slopes(*xs), rtol=1e-4)


@pytest.mark.parametrize("name", ["erfcx", "log_ndtr", "spence", "zeta"])
def test_every_composition_of_modes(name):
    xs = dict(POINTS)[name]
    check_grads(fnad.jit(getattr(special, name)), tuple(map(np.array, xs)), order=2)


@pytest.mark.parametrize(("a", "x"), [(0.4, 0.2), (5.0, 3.0), (5.0, 30.0), (60.0, 55.0)])
def test_slope_of_gammainc_in_its_order_is_mpmaths(a, x):
    exact = mpmath.diff(lambda a: mpmath.gammainc(a, 0, x, regularized=True), a)
    np.testing.assert_allclose(fnad.grad(special.gammainc)(a, x), float(exact), rtol=1e-11)


@pytest.mark.parametrize("a", [1e-8, 0.1, 3.0, 25.0, 1e3])
def test_gammaincc_keeps_its_relative_accuracy_in_tails(a):
    for x in (0.5, a + 1, a + 8 * np.sqrt(a) + 30):
        exact = mpmath.gammainc(mpmath.mpf(a), mpmath.mpf(x), mpmath.inf, regularized=True)
        np.testing.assert_allclose(special.gammaincc(a, x), float(exact), rtol=3e-13)


def test_temmes_coefficients_expand_what_they_should():
    lam = 1.3
    eta = np.sqrt(2 * (lam - 1 - np.log(lam)))
    value = polynomial(eta, incomplete_gamma._TEMME)
    np.testing.assert_allclose(value, eta / (lam - 1), rtol=1e-14)


def test_factorials_are_exact_integers():
    n = np.arange(22)
    np.testing.assert_array_equal(special.factorial(n), scipy.special.factorial(n, exact=True))
    assert special.factorial(-1) == 0
    with pytest.raises(ValueError, match=r"math\.factorial"):
        special.factorial(3, exact=True)


def test_functions_with_static_orders():
    x = np.linspace(2.5, 9, 5)
    for n in range(4):
        np.testing.assert_allclose(special.polygamma(n, x), scipy.special.polygamma(n, x), 1e-13)
    np.testing.assert_allclose(
        special.multigammaln(x, 3), [scipy.special.multigammaln(v, 3) for v in x]
    )
    with pytest.raises(ValueError, match="order"):
        special.polygamma(-1, x)
    with pytest.raises(ValueError, match="dimension"):
        special.multigammaln(x, 0)


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_logsumexp(axis, keepdims):
    a = RNG.normal(size=(3, 4)) * 300
    b = RNG.normal(size=4)
    a[1, 1] = -INF
    options = {"axis": axis, "b": b, "keepdims": keepdims, "return_sign": True}
    for ours, theirs in zip(special.logsumexp(a, **options), scipy.special.logsumexp(a, **options)):
        np.testing.assert_allclose(ours, theirs, rtol=1e-13)
        assert ours.shape == theirs.shape
    plain = special.logsumexp(a, axis=axis, keepdims=keepdims)
    np.testing.assert_allclose(plain, scipy.special.logsumexp(a, axis, None, keepdims), rtol=1e-14)
    check_grads(
        lambda a: special.logsumexp(a, axis, np.abs(b)), (RNG.normal(size=(3, 4)),), order=2
    )


def test_logsumexp_edges():
    assert special.logsumexp(np.full(3, -INF)) == -INF
    assert special.logsumexp(np.array([INF, 1])) == INF
    assert special.logsumexp(np.array([INF, 1.0]), b=np.array([0.0, 1.0])) == 1
    assert special.logsumexp(np.array([5.0, 1.0]), where=np.array([False, True])) == 1
    assert special.logsumexp(np.zeros(0)) == -INF
    assert np.isnan(special.logsumexp(np.zeros(2), b=np.array([1.0, -2.0])))


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_softmax(axis):
    x = RNG.normal(size=(3, 4)) * 100
    np.testing.assert_allclose(special.softmax(x, axis), scipy.special.softmax(x, axis), 1e-13)
    np.testing.assert_allclose(special.log_softmax(x, axis), scipy.special.log_softmax(x, axis))


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"gammainc.*\(2,\).*\(3,\)"):
        special.gammainc(np.ones(2), np.ones(3))


def test_lax_has_them_under_jaxs_names():
    pairs = {"igamma": "gammainc", "igammac": "gammaincc", "bessel_i0e": "i0e", "bessel_i1e": "i1e"}
    for name in ("betainc", "zeta"):
        pairs[name] = name
    for lax_name, name in pairs.items():
        assert getattr(fnad.lax, lax_name) is getattr(special, name)


def test_logsumexp_of_nothing_has_slopes_of_zero():
    # A hidden Markov model, in which some states cannot be reached yet: paths, one by one.
    allowed = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1]], bool)
    scores, steps = RNG.normal(size=(3, 3)), RNG.normal(size=(3, 3))

    def forward(scores, steps):
        moves = fnp.where(allowed, steps, -np.inf)
        first = fnp.where(np.arange(3) == 0, scores[0], -np.inf)
        step = lambda a, x: (special.logsumexp(a[:, None] + moves, axis=0) + x, None)
        return special.logsumexp(lax.scan(step, first, scores[1:])[0])

    paths = [(j, k) for j in range(3) for k in range(3) if allowed[0, j] and allowed[j, k]]

    def one_by_one(scores, steps):
        weights = [
            fnp.exp(scores[0, 0] + steps[0, j] + scores[1, j] + steps[j, k] + scores[2, k])
            for j, k in paths
        ]
        return fnp.log(sum(weights))

    for derivative in (fnad.grad, fnad.jacfwd, fnad.hessian):
        found = derivative(forward, (0, 1))(scores, steps)
        expected = derivative(one_by_one, (0, 1))(scores, steps)
        for ours, theirs in zip(fnad.tree.leaves(found), fnad.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)
