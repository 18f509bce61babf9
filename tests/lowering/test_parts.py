"""Complex numbers in compiled programs: parts, memory, calls, loops, donated arguments."""

import numpy as np
import pytest

import fnad
import fnad.lax as lax
import fnad.numpy as fnp
from fnad.core.errors import MissingRuleError, RuleError
from fnad.core.primitive import Parts, Primitive
from fnad.core.tracer import trace_to_jaxpr
from fnad.core.types import aval_of
from fnad.lowering.parts import in_parts, with_real_memory
from fnad.testing import assert_allclose
from tests.cuda_emulator.cards import CARDS, card_of
from tests.lowering.native.calling import native


def random(rng, *shape, dtype=np.complex128):
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype)


def program(function, *args):
    flat = lambda *xs: fnad.tree.leaves(function(*xs))
    return trace_to_jaxpr(flat, [aval_of(a) for a in args], "a test")[0]


def check(function, *args, **limits):
    """Compiled three times, the last time natively, a function does what it does evaluated."""
    compiled = fnad.jit(function)
    want = function(*args)
    for _ in range(3):
        got = compiled(*args)
        assert_allclose(got, want, **limits)
        for a, b in zip(fnad.tree.leaves(got), fnad.tree.leaves(want)):
            assert type(a) is type(b)


# -- the rewritten program ------------------------------------------------------------------------


def test_each_complex_variable_becomes_two():
    jaxpr = program(lambda x: -x, np.complex64(1j))
    assert str(in_parts(jaxpr)) == (
        "{ lambda ; a:f32[] b:f32[]. let\n    c:f32[] = neg a\n    d:f32[] = neg b\n  in (c, d) }"
    )


def test_real_equations_and_programs_stay_as_they_are():
    jaxpr = program(lambda x: fnp.sin(x) * 2, np.ones(3))
    assert in_parts(jaxpr) is jaxpr
    assert with_real_memory(jaxpr) is jaxpr


def test_a_dead_complex_equation_is_not_lowered():
    unknown = Primitive("unknown", "Has no parts rule.")
    unknown.type_rule(lambda x: x)
    assert fnad.jit(lambda x: (unknown.bind(x + 1j), x * 2)[1])(np.float64(3.0)) == 6.0


def test_a_primitive_without_the_rule_is_named():
    unknown = Primitive("unknown", "Has no parts rule.")
    unknown.type_rule(lambda x: x)
    with pytest.raises(MissingRuleError, match="'unknown' has no parts rule"):
        fnad.jit(lambda x: unknown.bind(x))(np.ones(3, np.complex64))


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (lambda x: x.re, "must return Parts"),
        (lambda x: Parts(x.re, x.im[:1]), "its type_rule says f64"),
        (lambda x: Parts(x.re > 0, x.im), "its type_rule says f64"),
    ],
)
def test_a_rule_that_returns_something_else_is_named(rule, said):
    wrong = Primitive("wrong", "Breaks its promise.")
    wrong.type_rule(lambda x: x)
    wrong.parts(rule)
    with pytest.raises(RuleError, match=f"primitive 'wrong'.*{said}"):
        fnad.jit(lambda x: wrong.bind(x))(np.ones(3, complex))


# -- memory ---------------------------------------------------------------------------------------

LAYOUTS = {
    "C": lambda x: x,
    "small transposed": lambda x: x.T,
    "strided": lambda x: x[::2, 1::3],
    "reversed": lambda x: x[::-1, ::-1],
    "Fortran": np.asfortranarray,
    "broadcast": lambda x: np.broadcast_to(x[0], x.shape),
    "real view": lambda x: x.real,
    "imaginary view": lambda x: x.imag,
    "empty": lambda x: x[:0],
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "read-only": lambda x: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
}


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_arguments_are_read_however_they_lie(layout, dtype, rng):
    x = LAYOUTS[layout](random(rng, 12, 15, dtype=dtype))
    check(lambda x: (x * (2 - 1j) + 1, x.T - 1j), x)


def test_large_transposed_arguments_are_read_in_place(rng):
    x = random(rng, 150, 90).T
    text = fnad.jit(lambda x: x * 2j).lower(x).as_text("jaxpr")
    assert "c128[150,90]" in text
    check(lambda x: x * 2j + x.sum(0), x)


def test_unaligned_arguments(rng):
    memory = np.zeros(16 * 10 + 4, np.uint8)
    x = memory[4:164].view(np.complex128)
    x[:] = random(rng, 10)
    check(lambda x: x * x, x)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 31, 64, 67, 1000])
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_vectors_and_their_tails(size, dtype, rng):
    x, y = random(rng, size, dtype=dtype), random(rng, size, dtype=dtype)
    check(lambda x, y: (x * y, x + y, (x * y).sum(), fnp.stack([x, y])), x, y)


def test_results_are_arrays_of_their_own(rng):
    x = random(rng, 5)
    compiled = fnad.jit(lambda x: (x, x, x.conj(), x.real))
    for _ in range(4):
        same, again, conjugate, real = compiled(x)
        for out in (same, again, conjugate, real):
            assert out.flags.owndata and not np.shares_memory(out, x)
        assert not np.shares_memory(same, again)
        np.testing.assert_array_equal(same, x)
        same[0] = 7
        np.testing.assert_array_equal(again, x)


@pytest.mark.parametrize("value", [np.complex64(1 + 2j), np.complex128(1 + 2j), 1 + 2j])
def test_scalars(value):
    compiled = fnad.jit(lambda z: (z * 2, abs(z), z - 1j))
    for _ in range(5):
        out = compiled(value)
        assert type(out[0]) is (np.complex64 if type(value) is np.complex64 else np.complex128)
        assert_allclose(out, (value * 2, abs(value), value - 1j), check_dtypes=False)
    array = np.array(value)
    for _ in range(3):
        assert compiled(array)[0] == value * 2


def test_many_results_of_rank_0_keep_apart(rng):
    x = random(rng, 6)
    check(lambda x: (x.sum(), x[0].real, x * 2, x.prod(), abs(x[1]), x[2], x.sum() * 1j), x)


def test_closed_over_constants(rng):
    arrays, number = random(rng, 3, 4), np.complex64(2 - 1j)
    check(lambda x: x @ arrays + number * arrays.sum() + (1 - 2j), random(rng, 2, 3))


def test_numbers_that_depend_on_nothing(rng):
    array = random(rng, 3)
    check(
        lambda x: (x, np.complex128(2j), np.complex64(1j), np.abs(3 + 4j), array), np.float64(1.0)
    )
    check(lambda x: (fnp.abs(np.complex64(3 + 4j)) * x, fnp.exp(1j) + 0 * x), np.float64(1.0))


def test_calls_are_native(rng):
    x = random(rng, 4)
    product, total = native(fnad.jit(lambda x, s: (x * s, (x * s).sum())), x, 3j)
    np.testing.assert_array_equal(product, x * 3j)
    assert_allclose(total, (x * 3j).sum(), rtol=1e-14)


def test_donated_arguments_are_updated_in_place(rng):
    step = fnad.jit(lambda state: [state[0] * (1 + 1j) - 2], donate_argnums=(0,))
    first = random(rng, 400)
    state, want = [first.copy()], first
    addresses = set()
    for i in range(6):
        state, want = step(state), want * (1 + 1j) - 2
        assert_allclose(state[0], want, rtol=1e-12)
        if i > 2:
            addresses.add(state[0].ctypes.data)
    assert len(addresses) == 1


def test_donated_arguments_are_not_taken_where_others_are_read(rng):
    step = fnad.jit(lambda x: x[::-1] + x.conj(), donate_argnums=(0,))
    for _ in range(5):
        x = random(rng, 100)
        want = x[::-1] + x.conj()
        assert_allclose(step(x), want)


def test_memory_of_complex_numbers_does_not_go_to_real_ones(rng):
    step = fnad.jit(lambda x: fnp.stack([x.real, x.imag], -1) * 1.0, donate_argnums=(0,))
    for _ in range(5):
        x = random(rng, 20)
        want = np.stack([x.real, x.imag], -1)
        got = step(x)
        assert got.dtype == np.float64
        np.testing.assert_array_equal(got, want)


# -- programs -------------------------------------------------------------------------------------


def horner(x, coefficients):
    return lax.scan(lambda c, a: (c * x + a, c), 0 * x, coefficients)


PROGRAMS = {
    "scan": lambda x, y: horner(x, y[0]),
    "scan of matrices": (
        lambda x, y: lax.scan(
            lambda c, row: (fnp.tanh(x[:3, :3] @ c + row), c[0]), y[0, :3], y[:, :3]
        )
    ),
    "reversed": lambda x, y: lax.scan(lambda c, a: (c + a, c * a), x[0], y, reverse=True),
    "while": (
        lambda x, y: lax.while_loop(
            lambda c: (abs(c[0]) < 1e3) & (c[2] < 50),
            lambda c: (c[0] * c[1], c[1], c[2] + 1),
            (x[0, 0] + 1, y[0, 0] + 2, 0),
        )
    ),
    "for": lambda x, y: lax.fori_loop(0, 5, lambda i, z: z * y + i, x),
    "updates in a loop": (
        lambda x, y: lax.fori_loop(
            0, 4, lambda i, z: fnp.at(z)[i].set(z[i - 1] * fnp.take(y[0], i)), x
        )
    ),
    "cond": lambda x, y: lax.cond(x[0, 0].real > 0, fnp.sin, lambda z: z.conj(), y),
    "switch": lambda x, y: lax.switch(2, [fnp.sin, fnp.exp, lambda z: z * z], y),
    "complex within": lambda x, y: lax.fori_loop(0, 3, lambda i, r: abs(r + 1j), x.real),
    "jit": lambda x, y: fnad.jit(fnp.exp)(x) + y,
    "checkpoint": lambda x, y: fnad.checkpoint(lambda z: fnp.sin(z) * y)(x),
    "vmap of cond": (
        lambda x, y: fnad.vmap(lambda a, b: lax.cond(a.imag > 0, lambda: a * b, lambda: b))(
            x[0], y[0]
        )
    ),
    "barrier": lambda x, y: lax.optimization_barrier((x * 2, y.real)),
    "map": lambda x, y: lax.map(lambda row: row * row.sum(), x),
    "matrices": lambda x, y: (x @ y.T, x[0] @ y[1], x @ y[1], fnp.einsum("ij,ik->jk", x, y)),
    "vdot": lambda x, y: (fnp.vdot(x, y), fnp.linalg.norm(x)),
    "sorts": lambda x, y: (fnp.sort(x, 0), fnp.argsort(y), fnp.sort(x.round())),
    "windows": lambda x, y: fnp.convolve(x[0], y[0]),
    "gradient": lambda x, y: fnad.grad(lambda z: (abs(fnp.sin(z) * y) ** 2).sum())(x),
    "holomorphic": lambda x, y: fnad.grad(lambda z: (z**3 * y).sum(), holomorphic=True)(x),
    "hessian vector": (
        lambda x, y: fnad.jvp(
            fnad.grad(lambda r: abs(fnp.exp(1j * r)[:2].sum())), (x.real[0],), (y.real[0],)
        )
    ),
    "fill": lambda x, y: fnp.take(x, np.array([0, 99]), axis=0, mode="fill"),
    "iota": lambda x, y: x + lax.iota(x.dtype, x.shape[1]),
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_programs(name, dtype, rng):
    function = PROGRAMS[name]
    x, y = random(rng, 5, 5, dtype=dtype) / 2, random(rng, 5, 5, dtype=dtype) / 2
    coarse = np.finfo(dtype).eps / np.finfo(np.float64).eps
    check(function, x, y, rtol=1e-12 * coarse, atol=1e-13 * coarse)


@pytest.mark.parametrize("card", CARDS)
def test_programs_on_a_card(card, rng):
    names = ["scan", "while", "cond", "matrices"]
    x, y = random(rng, 5, 5) / 2, random(rng, 5, 5) / 2
    want = {name: PROGRAMS[name](x, y) for name in names}
    with card_of(card):
        given = fnad.device_put((x, y))
        compiled = fnad.jit(lambda x, y: {name: PROGRAMS[name](x, y) for name in names})
        got = fnad.device_get(compiled(*given))
    assert_allclose(got, want, rtol=1e-10, atol=1e-12)


PRODUCTS = {
    "matrix and vector": ((3, 4), (4,), (((1,), (0,)), ((), ()))),
    "vector and matrix": ((4,), (4, 5), (((0,), (0,)), ((), ()))),
    "vectors": ((4,), (4,), (((0,), (0,)), ((), ()))),
    "with a number": ((3,), (), (((), ()), ((), ()))),
    "of stacks": ((2, 3, 4), (4, 2), (((2,), (0,)), ((0,), (1,)))),
    "a column": ((2, 3, 4, 5), (5, 3, 2, 1), (((1, 3), (1, 0)), ((0,), (2,)))),
    "a row": ((4, 1), (4, 5, 6), (((0,), (0,)), ((), ()))),
    "elements": ((2, 3), (2, 3), (((), ()), ((0, 1), (0, 1)))),
    "of no elements": ((3, 0), (0,), (((1,), (0,)), ((), ()))),
    "matrices": ((2, 3, 4), (2, 4, 5), (((2,), (1,)), ((0,), (0,)))),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products(name, rng):
    a, b, numbers = PRODUCTS[name]
    check(lambda a, b: lax.dot_general(a, b, numbers), random(rng, *a), random(rng, *b), rtol=1e-13)


def test_eager_loops_of_complex_numbers_compile(rng):
    x = random(rng, 3)
    total, steps = lax.scan(lambda c, a: (c * a + 1, c), x[0], x)
    want = [x[0]]
    for a in x:
        want.append(want[-1] * a + 1)
    assert_allclose((total, steps), (want[-1], np.array(want[:-1])))
