"""``jit(f, dynamic=...)``: one program for all sizes, the same as the static ones, or a refusal."""

from __future__ import annotations

import math

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.core.sizes import SizeError
from fnad.lowering.dynamic_planner import DynamicError

SIZES = (0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 64, 65, 100, 1000)
rng = np.random.default_rng(0)


def array(*shape, dtype="f8"):
    if np.dtype(dtype).kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    return rng.integers(0, 9, shape).astype(dtype)


def compare(function, dynamic, make, sizes=SIZES, programs=1, rtol=1e-10):
    """Compare with evaluation outside of jit, for many sizes."""
    compiled = fnad.jit(function, dynamic=dynamic)
    for n in sizes:
        args = make(n)
        with np.errstate(all="ignore"):
            expected = fnad.tree.leaves(function(*args))
        found = fnad.tree.leaves(compiled(*args))
        for a, b in zip(found, expected, strict=True):
            assert np.shape(a) == np.shape(b) and a.dtype == b.dtype, n
            scale = np.abs(np.where(np.isfinite(b), b, 1)).max(initial=1)
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * scale, err_msg=f"n={n}")
    assert compiled.num_programs == programs
    return compiled


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "u1", "f2"])
def test_elementwise(dtype):
    compiled = fnad.jit(lambda x: fnp.where(x > 2, x * 2 + 1, -x), dynamic="n")
    for n in [*range(70), 1000, 3001]:
        x = array(n, dtype=dtype)
        np.testing.assert_array_equal(compiled(x), np.where(x > 2, x * 2 + 1, -x))
        assert compiled(x).dtype == x.dtype
    assert compiled.num_programs == 1


REDUCTIONS = {
    "sum": lambda x: fnp.sum(x),
    "rows": lambda x: fnp.sum(x, 1),
    "columns": lambda x: fnp.sum(x, 0),
    "mean": lambda x: fnp.mean(x, 0),
    "prod": lambda x: fnp.prod(x, 1),
    "any": lambda x: fnp.any(x > 1, 0),
    "var": lambda x: fnp.var(x, 1),
    "running": lambda x: fnp.cumsum(x[:, ::-1], 1),
}


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions(name):
    compare(REDUCTIONS[name], "n m", lambda n: (array(n, n // 3 + 1),), SIZES[1:])


def test_long_sums_are_added_up_in_parts():
    x = rng.random((400_000, 3), dtype="f4")
    for function, given in (
        (lambda x: fnp.sum(x, 0), x),
        (lambda x: fnp.sum(x, 1), x.T.copy()),
        (lambda x: fnp.sum(x), x),
    ):
        expected = np.asarray(function(given.astype("f8")))
        found = fnad.jit(function, dynamic="n m")(given)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=2e-6)


def test_reductions_of_nothing():
    compiled = fnad.jit(lambda x: (fnp.sum(x), fnp.prod(x), fnp.sum(x, 0)), dynamic="n m")
    for shape in ((0, 3), (3, 0), (0, 0), (2, 2)):
        total, product, columns = compiled(np.ones(shape))
        assert (total, product) == (math.prod(shape), 1.0)
        np.testing.assert_array_equal(columns, np.full(shape[1], float(shape[0])))
    largest = fnad.jit(lambda x: fnp.max(x), dynamic="n")
    assert largest(np.arange(5.0)) == 4
    with pytest.raises(ValueError, match="no elements"):
        largest(np.ones(0))


def softmax(x):
    return fnad.nn.softmax(x)


def normalized(x, scale, shift):
    centred = x - fnp.mean(x, -1, keepdims=True)
    return centred / fnp.sqrt(fnp.mean(centred**2, -1, keepdims=True) + 1e-5) * scale + shift


def attention(q, k, v):
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    rows, columns = fnp.arange(scores.shape[-2]), fnp.arange(scores.shape[-1])
    return softmax(fnp.where(rows[:, None] >= columns, scores, -1e9)) @ v


def loss(params, x, labels):
    hidden = fnp.tanh(x @ params["w"] + params["b"])
    scores = fnad.nn.log_softmax(hidden @ params["v"])
    return -fnp.mean(fnp.take_along_axis(scores, labels[:, None], 1))


def train_step(params, x, labels):
    value, grads = fnad.value_and_grad(loss)(params, x, labels)
    return value, fnad.tree.map(lambda p, g: p - 0.1 * g, params, grads)


PARAMS = {"w": array(6, 9), "b": array(9), "v": array(9, 4)}


def summed(function):
    return lambda *args: fnp.sum(function(*args) ** 2)


MODELS = {
    "softmax": (softmax, "n m", lambda n: (array(n, n // 3 + 1),)),
    "normalized": (
        normalized,
        ("n d", "d", "d"),
        lambda n: (array(n, n // 4 + 1), array(n // 4 + 1), array(n // 4 + 1)),
    ),
    "outer": (lambda x, y: x[:, None] * y + y, ("n", "m"), lambda n: (array(n), array(n // 2))),
    "product": (
        lambda x, y: x @ y,
        ("n k", "k m"),
        lambda n: (array(min(n, 65), n // 9), array(n // 9, 7)),
    ),
    "stack of products": (
        lambda x, y: x @ y,
        ("b n k", "b k _"),
        lambda n: (array(3, n // 9, 5), array(3, 5, 4)),
    ),
    "attention": (
        attention,
        ("b t _", "b t _", "b t _"),
        lambda n: tuple(array(2, min(n, 40), 4) for _ in range(3)),
    ),
    "gradient of softmax": (fnad.grad(summed(softmax)), "n m", lambda n: (array(n, n // 3 + 1),)),
    "gradient of attention": (
        fnad.grad(summed(attention), (0, 1, 2)),
        ("b t _", "b t _", "b t _"),
        lambda n: tuple(array(2, min(n, 40), 4) for _ in range(3)),
    ),
    "vmap": (
        fnad.vmap(lambda x, w: fnp.tanh(w @ x) / (1 + x[0] ** 2), (0, None)),
        ("n _", "_ m"),
        lambda n: (array(n, 3), array(5, 3)),
    ),
    "train step": (
        train_step,
        (None, "n _", "n"),
        lambda n: (PARAMS, array(n, 6), np.arange(n) % 4),
    ),
    "embedding": (
        fnad.grad(lambda w, i: fnp.sum(fnp.tanh(w[i]) ** 2)),
        ("v _", "n"),
        lambda n: (array(11, 3), np.arange(n) * 7 % 11),
    ),
    "pieces": (
        lambda x, y: fnp.concatenate([x[1:], y[::-1], fnp.pad(x, (2, 1))]),
        ("n", "m"),
        lambda n: (array(n + 1), array(n // 2 + 1)),
    ),
    "sorted": (
        lambda x, y: (fnp.sort(x, 0), fnp.argsort(x, -1), fnp.sort(y), fnad.lax.top_k(y, 2)),
        ("n m", "n"),
        lambda n: (array(n + 1, n // 3 + 1).round(1), array(n + 1, dtype="i4")),
    ),
    "sorted by several keys": (
        lambda x: fnad.lax.sort((fnp.floor(x * 2), -x, x), dimension=0, num_keys=2),
        "n m",
        lambda n: (array(n, 3, dtype="f4"),),
    ),
    "gradient of a quantile": (
        fnad.grad(lambda x: fnp.sum(fnp.quantile(x, 0.3, axis=0) * fnp.max(x, 0))),
        "n m",
        lambda n: (array(n + 1, 4),),
    ),
    "as many turns as elements": (
        lambda x: fnad.lax.fori_loop(
            1, x.shape[0], lambda i, y: fnp.at(y)[i].add(y[i - 1] * 0.5), x
        ),
        "n",
        lambda n: (array(n + 1),),
    ),
    "covariance": (lambda x: fnp.cov(x), "n m", lambda n: (array(min(n, 30) + 1, 5),)),
    "diagonals": (
        lambda x: (fnp.diagonal(x), fnp.trace(x, 1), fnp.tril(x), fnp.diag(x[0])),
        "n m",
        lambda n: (array(min(n, 30) + 7, 5),),
    ),
    "last elements": (
        lambda x: fnp.at(fnp.at(x)[-1].set(x[0] * 2))[:, -1].add(x[:, x.shape[1] // 2]),
        "n m",
        lambda n: (array(n + 1, n // 3 + 2),),
    ),
    "rolled": (
        lambda x, y: fnp.roll(fnp.repeat(x, y.shape[0], 1), -y.shape[0] - 1, 1).sum(1) + x.sum(),
        ("n _", "m"),
        lambda n: (array(n, 3), array(n % 5 + 1)),
    ),
    "parts": (
        lambda x: fnp.concatenate(fnp.split(x, [1, x.shape[0] // 2 + 1])[::-1]),
        "n",
        lambda n: (array(n + 2),),
    ),
    "reversed twice": (
        fnad.grad(lambda x: fnp.sum((y := fnp.tile(x, 2)[..., ::-1]) @ y.T)),
        "n m",
        lambda n: (array(min(n, 40), n % 7 + 1),),
    ),
    "reshaped": (
        lambda x: x.reshape(x.shape[0] // 4, 4, -1).sum(1).T.reshape(-1),
        "4*n m",
        lambda n: (array(4 * n, 3),),
    ),
    "hessian": (
        fnad.hessian(lambda x: fnp.sum(fnp.sin(x) * fnp.sum(x * x))),
        "n",
        lambda n: (array(min(n, 17)),),
    ),
    "slices at places known at a call": (
        fnad.grad(
            lambda x, y, i: fnp.sum(
                fnad.lax.dynamic_update_slice(x, y, (i,)) ** 2
                * fnad.lax.dynamic_slice(x, (-i,), (1,))
            ),
            (0, 1),
        ),
        ("n", "m"),
        lambda n: (array(n + 2), array(n // 2), np.int32(n // 2)),
    ),
    "scan": (
        lambda w, x: fnad.lax.scan(lambda h, a: (fnp.tanh(h @ w + a), h), x[0], x, reverse=True),
        ("_ _", "t b _"),
        lambda n: (array(3, 3), array(4, n, 3)),
    ),
    "newton": (
        lambda x: fnad.lax.while_loop(
            lambda y: fnp.max(abs(y * y - x)) > 1e-6, lambda y: (y + x / y) / 2, x
        ),
        "n",
        lambda n: (1 + abs(array(n)),),
    ),
    "branch": (
        fnad.grad(lambda x: fnad.lax.cond(x[0] > 0, lambda: (x**2).sum(), lambda: -x.sum())),
        "n",
        lambda n: (array(n),),
    ),
    "sizes as numbers": (
        lambda x: x / x.shape[0] + x.size + fnp.arange(x.shape[0]) / fnp.sqrt(len_of(x)),
        "n",
        lambda n: (array(n),),
    ),
    "sizes as numbers of NumPy": (
        lambda x: np.float32(2) * x.shape[0] * x + np.sqrt(x.shape[0]) + 0.5 * x.shape[0],
        "n",
        lambda n: (array(n),),
    ),
}


def len_of(x):
    return x.shape[0]


@pytest.mark.parametrize("name", MODELS)
def test_models(name):
    function, dynamic, make = MODELS[name]
    compare(function, dynamic, make, SIZES[1:], rtol=1e-8)


def test_products_have_the_bits_of_static_programs():
    function = lambda x, y: x @ y
    dynamic, static = fnad.jit(function, dynamic=("n k", "k m")), fnad.jit(function)
    for n, k, m in ((1, 1, 1), (5, 70, 3), (64, 64, 64), (130, 200, 33)):
        x, y = array(n, k, dtype="f4"), array(k, m, dtype="f4")
        np.testing.assert_allclose(dynamic(x, y), static(x, y), rtol=1e-6, atol=1e-5)


THREADED = {
    "softmax": (softmax, "n m", lambda n: (array(n, 300, dtype="f4"),)),
    "gradient": (
        fnad.grad(lambda x: fnp.sum(softmax(fnp.tanh(x)) ** 2)),
        "n m",
        lambda n: (array(n, 200, dtype="f4"),),
    ),
    "columns": (
        lambda x: (fnp.sum(x, 0), fnp.argmax(x, 0), fnp.cumsum(x, 0)[-1]),
        "n m",
        lambda n: (array(300, n, dtype="f4"),),
    ),
    "elements": (lambda x: fnp.exp(x) * 2 + x[::-1], "n", lambda n: (array(300 * n),)),
    "loop": (
        lambda x: fnad.lax.fori_loop(0, 5, lambda i, y: softmax(y + i) + x, x),
        "n m",
        lambda n: (array(n, 200, dtype="f4"),),
    ),
    "products": (
        lambda x, y: fnp.tanh(x @ y) @ y.T,
        ("n k", "k m"),
        lambda n: (array(n, 70, dtype="f4"), array(70, n // 3, dtype="f4")),
    ),
}


@pytest.mark.parametrize("name", THREADED)
def test_results_do_not_depend_on_threads(name, monkeypatch):
    function, dynamic, make = THREADED[name]
    compiled = fnad.jit(function, dynamic=dynamic)
    for n in (5, 1001, 3000):
        args = make(n)
        found = []
        for threads in (1, 2, 5):
            monkeypatch.setattr(fnad.config, "num_threads", threads)
            found.append(fnad.tree.leaves(compiled(*args)))
        for other in found[1:]:
            for a, b in zip(found[0], other, strict=True):
                np.testing.assert_array_equal(a, b)
        for a, b in zip(found[0], fnad.tree.leaves(fnad.jit(function)(*args)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-4)
    assert compiled.num_programs == 1


# -- facts, and programs for what they leave out -------------------------------------------------


def test_answers_of_sizes_make_programs_of_their_own():
    function = lambda x: x * 2 if x.shape[0] % 2 == 0 else x * 3 if x.shape[0] < 50 else x
    compare(function, "n", lambda n: (array(n),), programs=3)


def test_equal_and_broadcast_axes():
    compare(lambda x, y: x + y, ("n m", "n k"), lambda n: (array(n, 4), array(n, 1 + n % 2 * 3)),
            programs=2)  # fmt: skip
    added = fnad.jit(lambda x, y: x + y, dynamic=("n", "m"))
    with pytest.raises(ValueError, match=r"shapes \(3,\), \(4,\) cannot be broadcast"):
        added(np.ones(3), np.ones(4))
    np.testing.assert_array_equal(added(np.ones(3), np.ones(3)), np.full(3, 2.0))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * 2 if np.prod(x.shape) > 40 else x * 3,
        lambda x: x * np.where(np.array(x.shape) > 40, 2, 3)[0],
        lambda x: x * 2 if x.shape[0] in (7, 8, 100) else x * 3,
        lambda x: x * 2 if x.shape[0] in range(40) else x * 3,
        lambda x: x[np.array([0, 1])] if x.size >= np.int64(2) else x,
    ],
)
def test_answers_that_numpy_gave_are_facts(function):
    compiled = fnad.jit(function, dynamic="n")
    for n in SIZES:
        x = array(n)
        np.testing.assert_array_equal(compiled(x), function(x))
    assert compiled.num_programs >= 1


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + sum(range(x.shape[0])),
        lambda x: x + np.zeros(x.shape),
        lambda x: x * math.sqrt(x.shape[0]),
        lambda x: x * len(x),
        lambda x: x * {7: 5}.get(x.shape[0], 1),
        lambda x: x * {"7": 5}.get(str(x.shape[0]), 1),
        lambda x: x * len(f"{x.shape}"),
        lambda x: x * 2 if len(x) > 50_000 else x * 3,
        lambda x: x * 2 if x.shape[0] == 7.0 else x * 3,
        lambda x: x * (x.shape[0] & 1),
    ],
)
def test_sizes_that_become_plain_numbers_are_refused(function):
    with pytest.raises((SizeError, TypeError), match=r"size n|text of a size|'Size'"):
        fnad.jit(function, dynamic="n")(np.ones(5))


def test_sizes_do_not_outlive_the_trace():
    kept = []
    fnad.jit(lambda x: kept.append(x.shape[0]) or x, dynamic="n")(np.ones(5))
    for function in (lambda n: fnp.sin(n), lambda n: fnp.ones(n), lambda n: np.ones(3) * n):
        with pytest.raises(SizeError, match="size n"):
            function(kept[0])


def test_what_has_no_code_for_any_size_is_refused_by_name():
    doubled = fnad.extend.Primitive("doubled", "2 * x.")
    doubled.type_rule(lambda x: x)
    doubled.lower(lambda p, x: p.compute(x.shape, x.dtype, lambda index: x.at(index) * 2))
    with pytest.raises(DynamicError, match=r"doubled of f64\[n\] at test_dynamic.py.* has no code"):
        fnad.jit(lambda x: doubled.bind(x), dynamic="n")(np.ones(5))


def test_elements_outside_of_small_arrays_are_errors():
    compiled = fnad.jit(lambda x: x[np.array([0, 2])], dynamic="n")
    np.testing.assert_array_equal(compiled(np.arange(4.0)), [0.0, 2.0])
    with pytest.raises(IndexError, match="out of bounds"):
        compiled(np.ones(2))


# -- what the user writes ------------------------------------------------------------------------


def test_axes_that_disagree_are_shown():
    compiled = fnad.jit(lambda x, y: x @ y, dynamic=("n k", "k m"))
    with pytest.raises(
        ValueError, match="axis 0 of y has size 5, so k is 5, but axis 1 of x says that k is 3"
    ):
        compiled(np.ones((2, 3)), np.ones((5, 4)))
    even = fnad.jit(lambda x: x + 1, dynamic="2*n")
    with pytest.raises(ValueError, match="axis 0 of x has size 5, but it is 2\\*n for no n"):
        even(np.ones(5))
    sums = fnad.jit(lambda x, y: x, dynamic=("n m", "n+m"))
    with pytest.raises(ValueError, match="has size 7, but m \\+ n is 5: n = 2"):
        sums(np.ones((2, 3)), np.ones(7))


CONSTRAINTS = {
    "broadcast": (lambda x, y: x * y, r"shapes \(6, 5\), \(4, 3\)"),
    "operands": (lambda x, y: fnad.lax.add(x, y), r"f64\[6,5\], f64\[4,3\]"),
    "where": (lambda x, y: fnp.where(x > 0, x, y), r"\(6, 5\), \(4, 3\)"),
    "matmul": (lambda x, y: x @ y, r"\(6, 5\) and \(4, 3\)"),
    "einsum": (lambda x, y: fnp.einsum("ij,jk", x, y), "length 5 in one operand and 4"),
    "tensordot": (lambda x, y: fnp.tensordot(x, y, 1), r"\(5,\) and \(4,\)"),
    "concatenate": (lambda x, y: fnp.concatenate([x, y]), r"\(6, 5\), \(4, 3\)"),
    "stack": (lambda x, y: fnp.stack([x, y]), r"\(6, 5\), \(4, 3\)"),
    "reshape": (lambda x, y: x.reshape(y.shape), r"\(6, 5\) into shape \(4, 3\)"),
    "rows": (lambda x, y: x.reshape(y.shape[0], -1), r"\(6, 5\) into shape \(4, -1\)"),
    "broadcast_to": (lambda x, y: fnp.broadcast_to(x, y.shape), r"\(6, 5\) to shape \(4, 3\)"),
    "update": (lambda x, y: fnp.at(x)[:].set(y), r"\(4, 3\) to shape \(6, 5\)"),
    "scan": (lambda x, y: fnad.lax.scan(lambda c, a: (c, a[0]), 0, (x, y)), "6.*4"),
}


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_sizes_that_disagree_are_shown(name):
    function, message = CONSTRAINTS[name]
    compiled = fnad.jit(function, dynamic=("n k", "l m"))
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        compiled(np.ones((6, 5)), np.ones((4, 3)))
    shown = "n is 6 (axis 0 of x), k is 5 (axis 1 of x), l is 4 (axis 0 of y), m is 3 (axis 1 of y)"
    assert any(shown in note for note in caught.value.__notes__)


def test_what_is_an_error_for_most_sizes_is_none_for_others():
    stacked = fnad.jit(lambda x, y: fnp.stack([x, y]), dynamic=("n", "m"))
    with pytest.raises(ValueError, match="same shape"):
        stacked(np.ones(2), np.ones(3))
    np.testing.assert_array_equal(stacked(np.ones(3), np.ones(3)), np.ones((2, 3)))


def test_pytrees_and_further_axes():
    compiled = fnad.jit(lambda t: fnad.tree.map(lambda a: a.sum(0), t), dynamic="n ...")
    for n in (1, 4, 9):
        found = compiled({"a": np.ones((n, 2)), "b": np.ones(n)})
        np.testing.assert_array_equal(found["a"], [n, n])
        assert found["b"] == n
    assert compiled.num_programs == 1
    with pytest.raises(ValueError, match=r"axis 0 of t\['b'\] has size 3, so n is 3"):
        compiled({"a": np.ones((2, 2)), "b": np.ones(3)})


def test_wrong_axes():
    with pytest.raises(ValueError, match="does not name axes"):
        fnad.jit(lambda x: x, dynamic="n +")
    for wrong in (3, ("n", 3)):
        with pytest.raises(ValueError, match="dynamic=3 does not name axes"):
            fnad.jit(lambda x: x, dynamic=wrong)
    with pytest.raises(ValueError, match="dynamic names 1 axes"):
        fnad.jit(lambda x: x, dynamic="n")(np.ones((2, 2)))
    with pytest.raises(ValueError, match="donate"):
        fnad.jit(lambda x: x, dynamic="n", donate_argnums=0)


def test_static_arguments_closures_and_views():
    table = np.arange(4.0)
    compiled = fnad.jit(lambda x, k: x[:, None] * table + k, dynamic="n", static_argnums=1)
    for n in (1, 5):
        x = array(2 * n)[::2]
        np.testing.assert_allclose(compiled(x, 2), x[:, None] * table + 2, rtol=1e-12)
    assert compiled.num_programs == 1


def test_inside_of_traces_sizes_are_known():
    compiled = fnad.jit(lambda x: fnp.sum(x**2) / x.shape[0], dynamic="n")
    np.testing.assert_allclose(fnad.grad(compiled)(np.ones(4)), np.full(4, 0.5))
    assert compiled.num_programs == 0
