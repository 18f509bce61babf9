"""Arrays in other orders than C's are read where they are, and the results are the same."""

import itertools
import sys
import warnings

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax
from fnad.errors import RecompilationWarning
from fnad.testing import assert_no_recompile
from fnad.transforms import jit as jit_module
from fnad.transforms import layouts as layouts_module
from tests.lowering.native.calling import native

pytestmark = pytest.mark.filterwarnings("ignore::fnad.errors.RecompilationWarning")

SHAPE = (33, 48, 56)
DTYPES = ["?", "i1", "u2", "i4", "i8", "f2", "f4", "f8"]


def values(shape, dtype="f4", seed=0):
    x = np.random.default_rng(seed).standard_normal(shape) * 4
    return x > 0 if dtype == "?" else np.abs(x).astype(dtype)


def in_order(x, order):
    """The same array, its axes in memory in this order."""
    return np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))


def layouts_of(f):
    """Those that a function was compiled for, of its only program."""
    (program,) = f._programs._by_key.values()
    return set(program.calls)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", list(itertools.permutations(range(3)))[1:])
def test_every_order_of_every_dtype(order, dtype):
    base = values(SHAPE, "f4" if dtype == "f2" else dtype).astype(dtype)
    x = in_order(base, order)
    f = fnad.jit(lambda x: (x, x.max(1), fnp.where(x > 1, x, x[:1])))
    found = native(f, x)
    assert layouts_of(f) == {(order,)}
    expected = (base, base.max(1), np.where(base > 1, base, base[:1]))
    for a, b in zip(found, expected, strict=True):
        assert a.flags.c_contiguous and a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_bfloat16():
    x = values((200, 300)).astype(fnp.bfloat16)
    f = fnad.jit(lambda x: x + x)
    np.testing.assert_array_equal(native(f, x.T), (x + x).T)
    assert layouts_of(f) == {((1, 0),)}


def test_axes_of_length_one():
    base = values((200, 300))
    views = [base.T[:, None], base.T[None], base.T[..., None], base[:, None].T]
    # NumPy gives such axes any stride.
    odd = np.lib.stride_tricks.as_strided(base.T[None], strides=(12345 * 4, 4, 1200))
    f = fnad.jit(lambda x: x * 2)
    for view in [*views, odd]:
        np.testing.assert_array_equal(native(f, view), view * 2)
    assert len(f._programs._by_key) == 4 - 1  # views[3] has the shape of views[0]
    assert all(set(p.calls) != {()} for p in f._programs._by_key.values())


PROGRAMS = {
    "products": lambda x, y: (x @ y, x.T @ x, y @ x, fnp.einsum("ij,kj->ki", x, y)),
    "matrix and vector": lambda x, y: (x @ y[0], y[0] @ x, (x * 2) @ y[:, 1]),
    "reductions": lambda x, y: (x.sum(), x.sum(0), x.mean(1), (x - y).max(0), x.argmin(1)),
    "softmax": lambda x, y: fnp.exp(x - x.max(1, keepdims=True)) / (y.sum(1, keepdims=True) + 9),
    "slices": lambda x, y: (x[1:, 3:] - y[:-1, :-3], x[::-2], x[3], x[:, 7]),
    "reshape": lambda x, y: (x.reshape(-1), x[:, None, :] + 1, y.reshape(2, -1, 140)),
    "gather": lambda x, y: (x[np.array([3, 1, -1])], y[:, np.array([0, 5, 5])]),
    "distances": lambda x, y: ((x[:20, None] - y[None, :20]) ** 2).sum(-1),
    "sorted": lambda x, y: (fnp.sort(x, axis=0), fnp.cumsum(y, axis=1)),
    "loop": lambda x, y: lax.scan(lambda c, r: (c * 0.5 + r, c @ y), x[0], x),
    "branch": lambda x, y: lax.cond(x[0, 0] > 0, lambda: x + 1, lambda: y * 2),
    "call": lambda x, y: fnad.jit(lambda a: a * y)(x),
    "checkpoint": lambda x, y: fnad.checkpoint(lambda a: fnp.sin(a) * 2)(x),
    "gradient": lambda x, y: fnad.grad(lambda a: (fnp.tanh(a @ y) ** 2).sum())(x),
    "vmap": lambda x, y: fnad.vmap(lambda a, b: a @ b, in_axes=(1, 0))(x, y),
    "identity": lambda x, y: (x, y),
    "linear algebra": lambda x, y: fnp.linalg.solve(x + 30 * fnp.eye(140, dtype=x.dtype), y),
    "nothing": lambda x, y: 1,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name):
    x, y = values((140, 140)) - 3, values((140, 140), seed=1) - 3
    f = fnad.jit(PROGRAMS[name])
    expected = fnad.tree.map(np.asarray, PROGRAMS[name](x, y))
    for a, b in itertools.product((x, np.asfortranarray(x)), (y, np.asfortranarray(y))):
        fnad.testing.assert_allclose(native(f, a, b), expected, rtol=2e-4, atol=2e-3)
    assert len(layouts_of(f)) == 4


def test_large_and_odd_matrices():
    x, v = values((1030, 517)), values(1030)
    f = fnad.jit(lambda a, v: a @ v)
    np.testing.assert_allclose(native(f, x.T, v), x.T.astype("f8") @ v, rtol=1e-5)
    g = fnad.jit(lambda a: a * 2 + 1)
    np.testing.assert_array_equal(native(g, x.T), x.T * 2 + 1)


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_the_number_of_threads_changes_nothing(threads, monkeypatch):
    x = values((700, 900)).T
    f = fnad.jit(lambda x: (x.sum(0), fnp.exp(x - x.max(1, keepdims=True)), x @ x[0]))
    monkeypatch.setattr(fnad.config, "num_threads", 1)
    expected = f(x)
    monkeypatch.setattr(fnad.config, "num_threads", threads)
    for a, b in zip(f(x), expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_one_program_for_each_layout():
    x, traced = values((150, 150)), []

    @fnad.jit
    def f(x):
        traced.append(x)
        return x * 2

    views = [x, x.T, np.asfortranarray(x), x[::-1], x.T[:, ::-1]]
    for _ in range(4):
        for view in views:
            np.testing.assert_array_equal(f(view), view * 2)
    assert len(traced) == 1 and layouts_of(f) == {(), ((1, 0),)} and len(f._signatures) == 2
    with assert_no_recompile():
        for view in views:
            native(f, view)


def test_the_same_bits_at_every_call():
    x = values((300, 333)).T
    f = fnad.jit(lambda x: (x / 7).sum(0))
    first = f(x)
    f(x.copy())
    for _ in range(5):
        np.testing.assert_array_equal(f(x), first)


def test_what_is_copied():
    big = values((400, 400))
    raw = np.zeros(big.nbytes + 1, np.uint8)
    odd = raw[1:].view(np.float32).reshape(400, 400)
    odd[...] = big
    f = fnad.jit(lambda x: x * 2)
    spread = np.broadcast_to(big[0, :200], (200, 200))
    square = [big[::2, ::2], big[:200, :200].T, big[:200, 199::-1], big.T[::-1][:200, :200]]
    square += [spread, spread.T, odd[:200, :200].T]
    for view in square:
        np.testing.assert_array_equal(native(f, view), view * 2)
    assert layouts_of(f) == {()}
    g = fnad.jit(lambda x: x * 2)
    np.testing.assert_array_equal(native(g, odd.T), big.T * 2)
    np.testing.assert_array_equal(native(g, odd), big * 2)
    assert layouts_of(g) == {()}
    h = fnad.jit(lambda x: x * 2)
    np.testing.assert_array_equal(h(big.T.astype(">f4")), big.T * 2)
    assert layouts_of(h) == {()}
    small = fnad.jit(lambda x: x + 1)
    for view in (big[:9, :9].copy().T, np.empty((0, 3)).T, np.float32(1)):
        np.testing.assert_array_equal(native(small, view), view + 1)


@pytest.mark.parametrize("bytes_", [-8, 0])
def test_both_sides_agree_on_what_is_large(bytes_):
    count = (layouts_module.LEAST_BYTES + bytes_) // 8
    f = fnad.jit(lambda x: x + 1)
    x = np.zeros((2, count // 2)) if count % 2 == 0 else np.zeros((1, count))
    native(f, x)
    native(f, np.asfortranarray(x))


def test_both_sides_agree_on_what_is_dense(monkeypatch):
    # Were an array refused by the native side for an order that Python does not see, or the other
    # way round, calls would go through Python for ever.
    monkeypatch.setattr(layouts_module, "LEAST_BYTES", 1)
    rng = np.random.default_rng(0)
    for _ in range(60):
        ndim = int(rng.integers(1, 5))
        x = rng.standard_normal(rng.choice([1, 1, 2, 3, 4], ndim))
        x = in_order(x, rng.permutation(ndim))
        cut = tuple(
            slice(None, None, int(rng.choice([1, 1, 1, 2, -1]))) if rng.random() < 0.8 else slice(1)
            for _ in range(ndim)
        )
        x = x[cut]
        f = fnad.jit(lambda x: x * 3)
        np.testing.assert_array_equal(native(f, np.ascontiguousarray(x)), x * 3)
        np.testing.assert_array_equal(native(f, x), x * 3)


def test_subclasses():
    base = values((200, 200))
    f = fnad.jit(lambda x: x + 1)
    for view in (np.matrix(base).T, np.ma.masked_array(base).T.view(np.ndarray)):
        for _ in range(3):
            found = f(view)
            assert type(found) is np.ndarray
            np.testing.assert_array_equal(found, base.T + 1)


def test_containers_keywords_and_static_arguments():
    x = values((200, 150))
    f = fnad.jit(lambda p, n, *, q: p["a"] @ q[0] * n, static_argnums=1)
    found = native(f, {"a": x.T, "b": [x]}, 2, q=(np.asfortranarray(x), 1.0))
    np.testing.assert_allclose(found, x.T @ x * 2, rtol=1e-4)
    assert layouts_of(f) == {((1, 0), None, (1, 0), None)}


def test_later_changes_are_seen():
    x = values((200, 200)).T
    f = fnad.jit(lambda x: x + 0)
    for k in range(5):
        x[3, 4] = k
        result = f(x)
        assert result[3, 4] == k and not np.shares_memory(result, x)
    assert result[3, 4] == 4


def test_arguments_are_not_changed_or_kept():
    x = np.asfortranarray(values((200, 200)))
    copy, count = x.copy(), sys.getrefcount(x)
    f = fnad.jit(lambda x: x * 2)
    for _ in range(9):
        f(x)
    assert sys.getrefcount(x) == count
    np.testing.assert_array_equal(x, copy)


def test_donated_arrays_are_copied():
    base = values((200, 200))
    f = fnad.jit(lambda x, y: (x + 1, y * 2), donate_argnums=0)
    for _ in range(4):
        x = np.asfortranarray(base)
        found = f(x, x)
        np.testing.assert_array_equal(found[0], base + 1)
        np.testing.assert_array_equal(found[1], base * 2)
        assert x.shape == (200, 200)
    native(f, np.asfortranarray(base), np.asfortranarray(base))
    assert layouts_of(f) == {(None, (1, 0))}


def test_donated_next_to_permuted():
    base = values((200, 200))
    f = fnad.jit(lambda x, y: x + y, donate_argnums=0)
    for _ in range(4):
        (x,) = held = [base.copy()]
        del x
        found = f(*held, base.T)
        np.testing.assert_array_equal(found, base + base.T)


def test_too_many_layouts_are_copied(monkeypatch):
    monkeypatch.setattr(jit_module, "MAX_LAYOUTS", 3)
    x = values(SHAPE)
    f = fnad.jit(lambda x: x * 2)
    for _ in range(3):
        for order in itertools.permutations(range(3)):
            np.testing.assert_array_equal(f(in_order(x, order)), x * 2)
    assert len(layouts_of(f)) == 3


def test_too_many_layouts_without_c_order(monkeypatch):
    monkeypatch.setattr(jit_module, "MAX_LAYOUTS", 1)
    x = values((200, 200))
    f = fnad.jit(lambda x: x * 2)
    for _ in range(3):
        for view in (x.T, x):
            np.testing.assert_array_equal(f(view), view * 2)
    assert layouts_of(f) == {((1, 0),), ()}


def test_inside_of_other_transforms():
    x = values((200, 150)) - 3
    f = fnad.jit(lambda x: fnp.sin(x).sum())
    f(x.T)
    np.testing.assert_allclose(fnad.grad(f)(x.T), np.cos(x.T), rtol=1e-5)
    np.testing.assert_allclose(fnad.vmap(f)(x.T), np.sin(x).sum(0), rtol=1e-3, atol=1e-3)
    _, pullback = fnad.vjp(f, x.T)
    np.testing.assert_allclose(pullback(np.float32(1))[0], np.cos(x.T), rtol=1e-5)
    g = fnad.jit(lambda y: f(y) + f(x.T))
    np.testing.assert_allclose(native(g, x.T), 2 * np.sin(x).sum(), rtol=1e-4)


def test_lowered_and_compiled_ahead():
    x = values((170, 170))
    f = fnad.jit(lambda x: fnp.exp(x).sum(0))
    assert "transpose" not in f.lower(x).as_text("jaxpr")
    lowered = f.lower(x.T)
    assert "transpose[permutation=(1, 0)]" in lowered.as_text("jaxpr")
    for compiled in (lowered.compile(), f.lower(x).compile()):
        for argument in (x.T, x, x.T[:, ::-1]):
            for _ in range(4):
                found = compiled(argument)
                np.testing.assert_allclose(found, np.exp(argument).sum(0), rtol=1e-5)
            assert compiled.profile(argument)
    native(lowered.compile(), x.T)
    native(f.lower(x).compile(), x.T)


def explanation_of(f, argument):
    with pytest.raises(AssertionError) as error, assert_no_recompile():
        f(argument)
    return str(error.value)


def test_recompilations_are_explained():
    x = values(SHAPE)
    f = fnad.jit(lambda batch: batch["x"] * 2)
    f({"x": x})
    text = explanation_of(f, {"x": np.asfortranarray(x)})
    assert "the memory layout of batch['x'] was in C order, is in Fortran order" in text
    assert "np.ascontiguousarray" in text
    assert "axes in the order (1, 0, 2)" in explanation_of(f, {"x": in_order(x, (1, 0, 2))})
    with assert_no_recompile():
        f({"x": np.asfortranarray(x)})


def test_recompilations_for_layouts_warn():
    x = values(SHAPE)
    f = fnad.jit(lambda x: x + 2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for order in list(itertools.permutations(range(3)))[:4]:
            f(in_order(x, order))
    found = [w for w in caught if w.category is RecompilationWarning]
    assert len(found) == 1 and found[0].filename == __file__
    assert "memory layout of x" in str(found[0].message)


def test_what_gathers_gets_its_own_copy():
    x, i = values((300, 200)), np.arange(100)
    f = fnad.jit(lambda x, i: (x * 2)[i])
    assert "lay_out" in f.lower(x.T, i).as_text("jaxpr")
    assert "lay_out" not in fnad.jit(lambda x: (x * 2).sum(0)).lower(x.T).as_text("jaxpr")


def test_without_native_calls(monkeypatch):
    monkeypatch.setattr("fnad.lowering.native.calls._available", False)
    x = values((200, 150))
    f = fnad.jit(lambda x: x - 1)
    for _ in range(3):
        for view in (x.T, x.T.copy()):
            np.testing.assert_array_equal(f(view), view - 1)
    assert layouts_of(f) == {(), ((1, 0),)}
