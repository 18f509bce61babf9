"""Derivatives of complex programs: JAX's convention, its conditions, and what check_grads sees."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax
from fnad.testing import assert_allclose, check_grads


def numbers(*shape, seed=0):
    rng = np.random.default_rng([seed, *shape])
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


Z, W = numbers(3, 4), numbers(3, 4, seed=1)
X = Z.real.copy()
SQUARE = numbers(3, 3)

# Real functions of complex (and real) arguments; the argument is the namespace.
REAL = {
    "modulus": (lambda np: lambda z: np.sum(np.abs(z)), (Z,)),
    "modulus at zero": (lambda np: lambda z: np.sum(np.abs(z)), (np.array([0j, 1 + 1j, -2.0]),)),
    "squared modulus": (lambda np: lambda z: np.sum(np.real(z * np.conj(z))), (Z,)),
    "real part": (lambda np: lambda z: np.sum(np.real(np.exp(z))), (Z,)),
    "imaginary part": (lambda np: lambda z: np.sum(np.imag(np.sin(z) / z)), (Z,)),
    "angle": (lambda np: lambda z: np.sum(np.angle(z) ** 2), (Z,)),
    "products": (lambda np: lambda z, w: np.sum(np.abs(z @ w.T) ** 2), (Z, W)),
    "vdot": (lambda np: lambda z, w: np.real(np.vdot(z, w)) ** 2, (Z, W)),
    "norm": (lambda np: lambda z: np.linalg.norm(z), (Z,)),
    "norm of order 3": (lambda np: lambda z: np.linalg.norm(z[0], 3), (Z,)),
    "variance": (lambda np: lambda z: np.var(z) + np.sum(np.std(z, 0)), (Z,)),
    "mixed": (lambda np: lambda x, z: np.sum(np.abs(x * z + x) ** 2), (X, Z)),
    "real to complex": (lambda np: lambda x: np.sum(np.abs(np.exp(1j * x) - 0.5)), (X,)),
    "scalars": (lambda np: lambda z: np.abs(2j * z + 1.5) ** 2 + z.real, (Z[0, 0],)),
    "powers": (lambda np: lambda z, w: np.sum(np.real(z**w + z**3 + z**0.5)), (Z, W)),
    "running": (lambda np: lambda z: np.sum(np.abs(np.cumprod(np.cumsum(z, 1), 0))), (Z,)),
    "product": (lambda np: lambda z: np.abs(np.prod(z, 1)[0]) ** 2, (Z,)),
    "extrema": (
        lambda np: lambda z, w: np.sum(np.abs(np.maximum(z, w)) + np.imag(np.max(z))),
        (Z, W),
    ),
    "sorted": (lambda np: lambda z: np.sum(np.real(np.sort(z, -1) * np.arange(4) * 1j)), (Z,)),
    "chosen": (
        lambda np: lambda z: np.sum(np.abs(np.where(np.imag(z) > 0, z * z, np.conj(z)))),
        (Z,),
    ),
    "moved": (
        lambda np: lambda z: np.sum(np.abs(np.concatenate([z[::-1, 1:], z[:, :3]]).T.ravel()[2:])),
        (Z,),
    ),
    "convolved": (lambda np: lambda z, w: np.sum(np.abs(np.convolve(z[0], w[0])) ** 2), (Z, W)),
    "einsum": (lambda np: lambda z: np.real(np.einsum("ii,jk->", z, np.conj(z))), (SQUARE,)),
}

HOLOMORPHIC = {
    name: getattr(fnp, name)
    for name in (
        *("exp", "expm1", "log", "log1p", "log2", "log10", "sqrt", "square", "reciprocal"),
        *("sin", "cos", "tan", "arcsin", "arccos", "arctan", "negative"),
        *("sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh"),
    )
}


# Made with JAX 0.10.2 and JAX_ENABLE_X64=1: sums of the gradients' products with fixed numbers.
JAX_GRADIENTS = {
    "modulus": -4.985588188940222 + 2.0423705585651017j,
    "modulus at zero": 1.0139697105825158 - 1.5116235851030753j,
    "squared modulus": -7.65486553420052 + 2.54556017873744j,
    "real part": 0.448382490559593 + 3.616583818507854j,
    "imaginary part": 0.5483376576732348 + 0.3291304490467266j,
    "angle": 9.884599368763668 - 3.4024759970631187j,
    "products": -15.35647523793407 + 14.128738780507007j,
    "vdot": 67.59250989555073 + 108.74868029930455j,
    "norm": -0.7637303910765307 + 0.2539720210799281j,
    "norm of order 3": -1.6543996619866672 - 0.815281398107858j,
    "variance": -1.5933548201689316 - 0.35407830223924586j,
    "mixed": -8.023035002250747 + 58.18965904911096j,
    "real to complex": -0.9086610724383284 - 0.057677546159435655j,
    "scalars": -10.05928187903561 - 11.642840299425139j,
    "powers": 80.21933174162591 + 223.49665306084333j,
    "running": -20.74082720789699 + 19.240788436216825j,
    "product": -9.142381303546552 - 0.18734042529116568j,
    "extrema": 3.3007002792910862 - 4.771405975847255j,
    "sorted": 4.949451437512197 - 5.858641716637928j,
    "chosen": -5.056901448359717 + 3.948476254248529j,
    "moved": -6.213288291240804 + 0.2687865442757742j,
    "convolved": -59.76183503540581 - 12.368312590545369j,
    "einsum": 1.1316616528834256 - 1.2618411823727198j,
}


def digest(gradients):
    weighted = [np.sum(np.asarray(g) * numbers(*np.shape(g), seed=11)) for g in gradients]
    return complex(sum(weighted))


@pytest.mark.parametrize("name", REAL)
def test_gradients_of_real_functions_are_those_of_jax(name):
    make, args = REAL[name]
    gradients = fnad.grad(make(fnp), tuple(range(len(args))))(*args)
    assert [g.dtype for g in gradients] == [np.asarray(x).dtype for x in args]
    np.testing.assert_allclose(digest(gradients), JAX_GRADIENTS[name], rtol=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_the_recorded_gradients_of_jax(name):
    jax = pytest.importorskip("jax")
    make, args = REAL[name]
    with jax.enable_x64(True):
        operands = map(jax.numpy.asarray, args)
        gradients = jax.grad(make(jax.numpy), tuple(range(len(args))))(*operands)
    np.testing.assert_allclose(digest(gradients), JAX_GRADIENTS[name], rtol=1e-11)


@pytest.mark.parametrize("name", REAL)
def test_compiled_gradients(name):
    make, args = REAL[name]
    f = fnad.value_and_grad(make(fnp), tuple(range(len(args))))
    assert_allclose(fnad.jit(f)(*args), f(*args), rtol=1e-11, atol=1e-12)


def test_compiled_complex_derivatives():
    f = lambda z: [fnad.vmap(fnad.grad(f, holomorphic=True))(z) for f in HOLOMORPHIC.values()]
    assert_allclose(fnad.jit(f)(Z[0]), f(Z[0]), rtol=1e-11)


@pytest.mark.parametrize("name", sorted(set(REAL) - {"modulus at zero"}))
def test_real_functions_against_differences(name):
    make, args = REAL[name]
    check_grads(make(fnp), args, order=1, rtol=1e-5, atol=1e-5)


def test_the_gradient_is_du_dx_minus_i_du_dy():
    u = lambda z: z.real**3 * z.imag
    gradient = fnad.grad(u)(np.complex128(2 + 5j))
    assert gradient == 3 * 2**2 * 5 - 1j * 2**3


@pytest.mark.parametrize("name", HOLOMORPHIC)
def test_complex_derivatives(name):
    f, z = HOLOMORPHIC[name], Z[0]
    derivative = fnad.vmap(fnad.grad(f, holomorphic=True))(z)
    h = 1e-6
    for step in (h, h * 1j):  # the same from all sides
        difference = (f(z + step) - f(z - step)) / (2 * step)
        np.testing.assert_allclose(derivative, difference, rtol=1e-8, atol=1e-8)
    _, tangent = fnad.jvp(f, (z,), (W[0],))
    np.testing.assert_allclose(tangent, derivative * W[0], rtol=1e-12)
    check_grads(f, (z,), order=2)


@pytest.mark.parametrize(
    "name", ["arcsin", "arccos", "arcsinh", "arccosh", "arctanh", "sqrt", "log"]
)
@pytest.mark.parametrize("side", [0.0, -0.0])
def test_on_a_branch_cut_the_sign_of_zero_says_which_side(name, side):
    f = getattr(fnp, name)
    imaginary = name == "arcsinh"
    for at in (-2.5, 2.5):
        z = complex(side, at) if imaginary else complex(at, side)
        h = 1e-6j if imaginary else 1e-6  # along the cut
        up, down = (
            complex(side, (z + k * h).imag) if imaginary else complex((z + k * h).real, side)
            for k in (1, -1)
        )
        difference = (f(np.complex128(up)) - f(np.complex128(down))) / (2 * h)
        derivative = fnad.grad(f, holomorphic=True)(np.complex128(z))
        np.testing.assert_allclose(derivative, difference, rtol=1e-7)


def test_far_from_zero_derivatives_vanish():
    for name in (
        "arctan",
        "arctanh",
        "arcsinh",
        "arcsin",
        "arccos",
        "arccosh",
        "log",
        "reciprocal",
    ):
        derivative = fnad.grad(getattr(fnp, name), holomorphic=True)(np.complex128(1e200 + 1e200j))
        assert abs(derivative) < 1e-199, name


def test_at_zero():
    zero = np.complex128(0)
    assert fnad.grad(lambda z: fnp.abs(z))(zero) == 0  # as in JAX
    assert fnad.jvp(lax.sign, (zero,), (1 + 1j,))[1] == 0
    assert fnad.grad(lambda z: z**2.0, holomorphic=True)(zero) == 0
    assert fnad.grad(lambda z: z ** (2 + 1j), holomorphic=True)(zero) == 0
    assert fnad.grad(lambda w: zero**w, holomorphic=True)(1 + 1j) == 0
    one = fnad.grad(lambda z: fnp.power(z, np.complex128(1)), holomorphic=True)(zero)
    assert one == 1
    guarded = lambda z: fnp.sum(fnp.abs(fnp.where(z == 0, 0, fnp.sqrt(z) * fnp.log(z))))
    gradient = fnad.grad(guarded)(np.array([0j, 1j]))
    assert gradient[0] == 0 and np.isfinite(gradient).all()


def test_sign_turns_with_its_argument():
    # JAX says 0 here; z / |z| moves at right angles to z.
    z = np.complex128(3 + 4j)
    assert_allclose(fnad.jvp(lax.sign, (z,), (z,))[1], np.complex128(0), atol=1e-16)
    assert_allclose(fnad.jvp(lax.sign, (z,), (1j * z,))[1], 1j * z / 5)


def test_second_derivatives():
    z = Z[0]
    second = fnad.vmap(
        fnad.grad(fnad.grad(lambda z: z**3 * fnp.exp(z), holomorphic=True), holomorphic=True)
    )
    want = (6 * z + 6 * z**2 + z**3) * np.exp(z)
    np.testing.assert_allclose(second(z), want, rtol=1e-12)
    check_grads(fnp.abs, (Z,))
    check_grads(lax.sign, (Z,))
    check_grads(fnp.angle, (Z,))
    check_grads(lax.conj, (Z,))
    check_grads(lambda z: fnp.real(z) * fnp.imag(z) * fnp.conj(z), (Z,))


def test_linearize_and_vjp_agree():
    f = lambda x, z: fnp.conj(z) * fnp.exp(1j * x) + fnp.abs(z)
    out, push = fnad.linearize(f, X, Z)
    same, pull = fnad.vjp(f, X, Z)
    assert_allclose(out, same)
    tangents, cotangent = (numbers(3, 4, seed=5).real, W), numbers(3, 4, seed=7)
    pushed, pulled = push(*tangents), pull(cotangent)
    assert [p.dtype for p in pulled] == [np.float64, np.complex128]
    forward = np.sum(cotangent * pushed).real
    backward = sum(np.sum(p * t).real for p, t in zip(pulled, tangents))
    np.testing.assert_allclose(backward, forward, rtol=1e-12)


def test_cotangents_drop_the_imaginary_part_on_the_way_to_real_numbers():
    _, pull = fnad.vjp(lambda x: x.astype(np.complex128), np.float64(2.0))
    (x_ct,) = pull(np.complex128(3 + 4j))
    assert x_ct == np.float64(3) and x_ct.dtype == np.float64
    _, pull = fnad.vjp(lambda z: z.astype(np.float64), np.complex128(2.0 + 1j))
    (z_ct,) = pull(np.float64(3))
    assert z_ct == np.complex128(3) and z_ct.dtype == np.complex128


def test_batches():
    f = lambda x, z: fnp.abs(fnp.sum(z * fnp.exp(1j * x))) ** 2
    by_row = fnad.vmap(fnad.grad(f, (0, 1)))(X, Z)
    for i in range(3):
        for batch, one in zip(by_row, fnad.grad(f, (0, 1))(X[i], Z[i])):
            np.testing.assert_allclose(batch[i], one, rtol=1e-12)


class TestJacobians:
    def test_holomorphic(self):
        f = lambda z: SQUARE @ (z * z)
        want = SQUARE * 2 * Z[0, :3]
        for jacobian in (fnad.jacfwd, fnad.jacrev):
            np.testing.assert_allclose(jacobian(f, holomorphic=True)(Z[0, :3]), want, rtol=1e-12)

    def test_complex_results_of_real_arguments(self):
        f = lambda x: fnp.exp(1j * x)
        jacobian = fnad.jacfwd(f)(X[0])
        np.testing.assert_allclose(jacobian, np.diag(1j * np.exp(1j * X[0])), rtol=1e-12)

    def test_real_results_of_complex_arguments(self):
        jacobian = fnad.jacrev(lambda z: fnp.abs(z) ** 2)(Z[0])
        np.testing.assert_allclose(jacobian, np.diag(2 * np.conj(Z[0])), rtol=1e-12)

    def test_hessian(self):
        f = lambda z: z[0] ** 2 * z[1]
        a, b = z = Z[0, :2]
        want = np.array([[2 * b, 2 * a], [2 * a, 0]])
        np.testing.assert_allclose(fnad.hessian(f, holomorphic=True)(z), want, rtol=1e-12)

    @pytest.mark.parametrize(
        ("jacobian", "x", "f", "options", "text"),
        [
            (fnad.jacfwd, Z, fnp.abs, {}, "jacfwd needs real arguments, got c128.*jvp"),
            (fnad.jacrev, X, lambda x: x * 1j, {}, "jacrev needs real results, got c128.*vjp"),
            (fnad.jacfwd, X, fnp.sin, {"holomorphic": True}, "needs complex arguments, got f64"),
            (fnad.jacrev, X, fnp.sin, {"holomorphic": True}, "needs complex arguments, got f64"),
            (fnad.jacfwd, Z, fnp.abs, {"holomorphic": True}, "needs complex results, got f64"),
            (fnad.jacrev, Z, fnp.abs, {"holomorphic": True}, "needs complex results, got f64"),
        ],
    )
    def test_conditions(self, jacobian, x, f, options, text):
        with pytest.raises(TypeError, match=text):
            jacobian(f, **options)(x)


class TestConditionsOfGrad:
    def test_complex_result(self):
        with pytest.raises(
            TypeError, match=r"needs a real floating scalar.*c128.*holomorphic=True"
        ):
            fnad.grad(lambda z: z * z)(1 + 2j)

    def test_real_result_of_a_holomorphic_function(self):
        with pytest.raises(TypeError, match="needs a complex scalar result with holomorphic=True"):
            fnad.grad(fnp.abs, holomorphic=True)(1 + 2j)

    def test_real_argument_of_a_holomorphic_function(self):
        with pytest.raises(TypeError, match=r"holomorphic=True needs complex inputs.*f64"):
            fnad.grad(lambda x: x * 1j, holomorphic=True)(np.float64(1.0))

    def test_complex_tangent_of_a_real_argument(self):
        with pytest.raises(TypeError, match="complex128"):
            fnad.jvp(fnp.sin, (1.0,), (1j,))


def test_check_grads_sees_a_missing_conjugate():
    @fnad.custom_jvp
    def modulus(z):
        return fnp.abs(z)

    @modulus.defjvp
    def _(primals, tangents):
        (z,), (t,) = primals, tangents
        return fnp.abs(z), fnp.real(t * z / fnp.abs(z))

    with pytest.raises(AssertionError, match="forward mode disagrees"):
        check_grads(modulus, (Z,), order=1)


def test_check_grads_sees_a_conjugated_cotangent():
    @fnad.custom_vjp
    def twice(z):
        return 2j * z

    twice.defvjp(lambda z: (2j * z, None), lambda _, ct: (fnp.conj(2j) * ct,))
    with pytest.raises(AssertionError, match="reverse mode disagrees"):
        check_grads(twice, (Z,), order=1, modes=("rev",))


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_dtypes_of_derivatives(dtype):
    z = Z.astype(dtype)
    gradient = fnad.grad(lambda z: fnp.sum(fnp.abs(fnp.exp(z) * 2j)))(z)
    assert gradient.dtype == dtype
    _, tangent = fnad.jvp(lambda z: fnp.abs(z) + 1, (z,), (z,))
    assert tangent.dtype == z.real.dtype
