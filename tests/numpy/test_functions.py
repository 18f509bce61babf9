"""Functions that are no ufuncs against NumPy: one row, one call; eager and traced."""

from functools import partial

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax
from tests.numpy.helpers import assert_same, quiet, run_traced

F = np.random.default_rng(0).normal(size=(3, 4, 2)).astype(np.float32)
H = F.astype(np.float16)
K = np.array([[3, 1, 2], [-1, 5, 0]], np.int32)
U = np.array([3, 1, 2], np.uint8)
B = np.array([[True, False], [True, True]])
N = np.array([1.0, np.nan, 3.0])
E = np.zeros((0, 3))

REDUCTIONS = [
    (name, x, options)
    for name in ["sum", "prod", "max", "min", "mean", "any", "all", "var", "std", "ptp"]
    for x, options in [
        (F, {}), (F, {"axis": 1}), (F, {"axis": (0, -1)}), (F, {"axis": -1, "keepdims": True}),
        (H, {"axis": 0}), (K, {}), (K, {"axis": 0}), (U, {}), (B, {"axis": 1}),
    ]
    if not (name == "ptp" and x is B)
]  # fmt: skip
CALLS = [
    *REDUCTIONS,
    ("sum", K, {"dtype": np.float32}), ("sum", F, {"initial": 2}), ("sum", E, {"axis": 0}),
    ("sum", F, {"where": F > 0}), ("max", F, {"where": F > 0, "initial": -1, "axis": 1}),
    ("max", B, {"initial": 2}), ("min", B, {"initial": 2.5, "axis": 0}),
    ("max", U, {"initial": np.int64(7)}), ("min", K, {"initial": 2.7, "axis": 1}),
    ("prod", K, {"initial": 2.7}), ("repeat", F[0, 0, 0], {"repeats": 2, "axis": 0}),
    ("mean", F, {"where": F > 0}), ("var", F, {"ddof": 1}), ("std", K, {"axis": 1, "ddof": 1}),
    ("sum", F, {"axis": ()}), ("nansum", N, {}), ("nanmean", N, {}), ("nanmax", N, {}),
    ("nanmin", N, {}), ("median", F, {"axis": 1}), ("median", N, {}), ("median", K, {}),
    ("cumsum", K, {"axis": 1}), ("cumsum", F, {}), ("cumprod", U, {}), ("cumsum", B, {}),
    ("argmax", F, {"axis": 1}), ("argmin", K, {}), ("argmax", N, {}), ("argmax", B, {"axis": 0}),
    ("argmax", F, {"axis": 0, "keepdims": True}), ("trace", K, {}), ("average", F, {"axis": 0}),
    ("ravel", F, {}), ("transpose", F, {}), ("transpose", F, {"axes": (1, 0, 2)}),
    ("squeeze", F[:1], {}), ("flip", F, {"axis": 1}), ("flip", F, {}), ("fliplr", K, {}),
    ("rot90", K, {}), ("rot90", K, {"k": 2}), ("rot90", K, {"k": -1}), ("roll", K, {"shift": 2}),
    ("roll", K, {"shift": (1, -1), "axis": (0, 1)}), ("diff", K, {}), ("diff", K, {"axis": 0}),
    ("repeat", K, {"repeats": 2}), ("repeat", K, {"repeats": [1, 0, 2], "axis": 1}),
    ("tile", U, {"reps": (2, 2)}), ("tile", K, {"reps": 2}), ("diagonal", K, {}),
    ("diagonal", F, {"offset": 1, "axis1": 1, "axis2": 2}), ("diag", U, {"k": 1}), ("diag", K, {}),
    ("tril", K, {}), ("triu", F, {"k": 1}), ("tril", U, {"k": -1}), ("sort", F, {"axis": 0}),
    ("sort", N, {}), ("argsort", F, {"axis": 1}), ("sort", K, {"axis": None}),
    ("pad", K, {"pad_width": 1}), ("pad", K, {"pad_width": ((1, 0), (0, 2)), "mode": "edge"}),
    ("pad", K, {"pad_width": ((1, 0), (4, 5)), "mode": "reflect"}),
    ("pad", K, {"pad_width": 3, "mode": "symmetric"}), ("pad", K, {"pad_width": 4, "mode": "wrap"}),
    ("pad", K, {"pad_width": 1, "constant_values": ((1, 2), (3, 4))}),
    ("round", F, {"decimals": 2}), ("round", K, {"decimals": -1}), ("round", K, {}),
    ("clip", F, {"a_min": -0.5, "a_max": 0.5}), ("clip", K, {"a_min": 0, "a_max": 2}),
    ("clip", U, {"a_min": -1, "a_max": 2}), ("clip", U, {"a_min": 2, "a_max": 300}),
    ("nan_to_num", N, {}), ("sinc", N, {}), ("fix", F, {}), ("count_nonzero", K, {"axis": 0}),
    ("isclose", F, {"b": F + 1e-7}), ("expand_dims", F, {"axis": (0, 2)}),
    ("broadcast_to", U, {"shape": (2, 3)}), ("moveaxis", F, {"source": 0, "destination": -1}),
    ("swapaxes", F, {"axis1": 0, "axis2": 2}), ("reshape", F, {"shape": (4, -1)}),
    ("reshape", F, {"shape": (4, 6), "order": "F"}), ("zeros_like", K, {}),
    ("full_like", K, {"fill_value": 2.7}), ("ones_like", F, {"dtype": int}),
    ("linalg.norm", F, {}), ("linalg.norm", K, {"ord": 1}), ("linalg.norm", K, {"axis": 1}),
    ("linalg.norm", F, {"ord": 3, "axis": 1}), ("linalg.norm", K, {"ord": "fro"}),
    ("linalg.norm", F, {"ord": np.inf, "axis": 0}), ("linalg.norm", K, {"ord": -np.inf}),
    ("linalg.norm", F, {"ord": 0, "axis": 0}), ("rollaxis", F, {"axis": 2}),
    ("atleast_3d", K, {}), ("atleast_2d", U, {}), ("searchsorted", np.sort(U), {"v": K}),
]  # fmt: skip


def lookup(module, name):
    for part in name.split("."):
        module = getattr(module, part)
    return module


def case_id(case):
    name, x, options = case
    return f"{name}-{x.dtype}{list(x.shape)}-{','.join(f'{k}' for k in options)}"


@pytest.mark.parametrize("case", CALLS, ids=case_id)
def test_function_of_one_array(case):
    name, x, options = case
    expected = quiet(lookup(np, name), x, **options)
    assert_close(lookup(fnp, name)(x, **options), expected)
    assert_close(run_traced(lambda a: lookup(fnp, name)(a, **options), x), expected)


def assert_close(actual, expected):
    assert isinstance(actual, np.generic) == isinstance(expected, np.generic), type(actual)
    assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
    tolerance = {"float16": 4e-3, "float32": 1e-5}.get(actual.dtype.name, 1e-12)
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


M, V = np.arange(6.0).reshape(2, 3), np.arange(3.0)
T = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
PAIRS = [
    ("matmul", M, V), ("matmul", V, V), ("matmul", V, M.T), ("matmul", M, M.T),
    ("matmul", T, T[0].T),
    ("matmul", M, T[:, :, :]), ("matmul", T, np.swapaxes(T, 1, 2)),
    ("matmul", T[:, None], T[None, :, :].swapaxes(2, 3)),
    ("matmul", K, K.T), ("matmul", B, B), ("matmul", K, V), ("dot", M, V), ("dot", T, T[0].T),
    ("dot", T, np.swapaxes(T, 1, 2)), ("dot", M, 2), ("inner", T, T[0]), ("outer", V, U),
    ("vdot", M, M), ("kron", M, K), ("kron", V, M), ("cross", V, V[::-1]), ("cross", M, M[::-1]),
]  # fmt: skip


def test_vdot_conjugates_its_first_operand():
    a, b = np.array([1j, 2 - 1j]), np.array([3 + 1j, 1])
    assert fnp.vdot(a, b) == np.vdot(a, b)


@pytest.mark.parametrize("name, a, b", PAIRS)
def test_products(name, a, b):
    expected = getattr(np, name)(a, b)
    assert_close(getattr(fnp, name)(a, b), expected)
    assert_close(run_traced(getattr(fnp, name), a, b), expected)


def test_tensordot():
    for axes in (1, ([2], [1]), ([0, 2], [0, 1])):
        b = T if axes != 1 else T[0].T
        if axes == ([0, 2], [0, 1]):
            b = np.swapaxes(T, 1, 2)
        if axes == ([2], [1]):
            b = np.swapaxes(T, 1, 2)
        assert_close(fnp.tensordot(T, b, axes), np.tensordot(T, b, axes))


EINSUMS = [
    ("ij,j->i", M, V), ("ij,kj", M, M), ("ii", np.eye(3)), ("ii->i", M @ M.T), ("ij->ji", M),
    ("ij->", M), ("...i,...i->...", T, T), ("bij,bjk->bik", T, np.swapaxes(T, 1, 2)),
    ("i,j,k->kji", V, V, V), ("ij,jk,kl->il", M, M.T, M), ("ij,ij->ij", M, M), ("i,i", V, V),
    ("...ij,jk", T, T[0].T), ("iij->j", np.ones((2, 2, 3))), ("ij,jk,k", K, K.T, K[:, 0]),
    ("i->i", U), ("ab,bc,cd,de->ae", M, M.T, M, M.T), ("ij,k->i", M, V),
]  # fmt: skip


@pytest.mark.parametrize("subscripts, operands", [(e[0], e[1:]) for e in EINSUMS])
def test_einsum(subscripts, operands):
    expected = np.einsum(subscripts, *operands)
    expected = expected if expected.ndim else expected[()]
    assert_close(fnp.einsum(subscripts, *operands), expected)
    assert_close(run_traced(lambda *xs: fnp.einsum(subscripts, *xs), *operands), expected)


def test_joining_and_splitting():
    xs = [K, K.astype(np.float32)]
    for name in ["concatenate", "stack", "vstack", "hstack", "dstack", "column_stack"]:
        assert_same(getattr(fnp, name)(xs), getattr(np, name)(xs))
        assert_same(getattr(fnp, name)([U, U]), getattr(np, name)([U, U]))
    for ours, theirs in zip(fnp.array_split(V, 2), np.array_split(V, 2)):
        assert_same(ours, theirs)
    assert_same(fnp.append(U, [7]), np.append(U, [7]))


def test_creation():
    for name, args in [
        ("zeros", ((2, 3),)), ("ones", (2, np.int8)), ("full", ((2,), 3)), ("eye", (2, 3, 1)),
        ("tri", (3,)), ("identity", (2,)), ("arange", (5,)), ("arange", (1, 7, 2)),
        ("arange", (0.0, 1.0, 0.3)), ("linspace", (0, 1, 5)), ("logspace", (0, 2, 3)),
        ("indices", ((2, 3),)),
    ]:  # fmt: skip
        assert_same(getattr(fnp, name)(*args), getattr(np, name)(*args))
        assert_same(run_traced(partial(getattr(fnp, name), *args)), getattr(np, name)(*args))
    a, b = np.array([0.0, 1.0]), np.float32(3)
    for options in ({}, {"endpoint": False}, {"axis": 1}):
        expected = np.linspace(a, b, 5, **options)
        assert_close(run_traced(partial(fnp.linspace, num=5, **options), a, b), expected)
    for ours, theirs in zip(fnp.meshgrid(V, U), np.meshgrid(V, U)):
        assert_same(ours, theirs)


def test_where_and_select():
    c = K > 0
    assert_same(fnp.where(c, K, 2.5), np.where(c, K, 2.5))
    assert_same(fnp.where(c, F[0, 0, 0], 0), np.where(c, F[0, 0, 0], 0))
    assert_same(fnp.select([c, K < 0], [K, -K], 7), np.select([c, K < 0], [K, -K], 7))
    with pytest.raises(TypeError, match="where"):
        run_traced(lambda x: fnp.where(x)[0], K)


@pytest.mark.parametrize("dtype", [">i8", ">f2", ">f4"])
def test_arrays_of_foreign_byte_order_give_native_results(dtype):
    x = np.arange(12).astype(dtype).reshape(3, 4)
    functions = [
        lambda x: fnp.sum(x, axis=0),
        lambda x: fnp.cumsum(x, axis=1),
        fnp.transpose,
        lambda x: fnp.reshape(x, (4, 3)),
        lambda x: fnp.take(x, [1, 0], axis=1),
        lambda x: fnad.vmap(fnp.square)(x),
    ]
    for function in functions:
        out = function(x)
        assert out.dtype.isnative
        np.testing.assert_array_equal(out, function(x.astype(x.dtype.newbyteorder("="))))
        np.testing.assert_array_equal(fnad.jit(function)(x), out)


@pytest.mark.parametrize("dtype", [np.bool_, np.int8, np.float32])
def test_parts_of_a_real_number_have_numpys_dtype(dtype):
    x = np.array([1, 0], dtype)
    for name in ("real", "imag", "conjugate"):
        expected = getattr(np, name)(x)
        got = fnad.jit(getattr(fnp, name))(x)
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)


def test_argsort_descending_keeps_equal_elements_in_order():
    x = np.array([1, 3, 2, 3])
    assert fnp.argsort(x, stable=True, descending=True).tolist() == [1, 3, 2, 0]


def test_a_known_index_out_of_bounds_follows_the_mode():
    x = np.array([1.0, 2.0])
    assert np.isnan(fnp.take(x, 5, mode="fill"))
    assert fnp.at(x)[5].set(0.0).tolist() == [1.0, 2.0]
    with pytest.raises(IndexError):
        fnp.take(x, 5)


@pytest.mark.parametrize("index", [2**63, 2**64 - 1])
def test_unsigned_indices_that_int64_cannot_hold_are_beyond_the_end(index):
    x = np.arange(3.0)
    known = np.array([index], np.uint64)
    for read in (lambda i: fnp.take(x, i, mode="fill"), lambda i: fnp.at(x)[i].get(mode="fill")):
        assert np.isnan(read(known)).all()
        assert np.isnan(fnad.jit(read)(known)).all()
    write = lambda i: fnp.at(x)[i].add(1.0)
    np.testing.assert_array_equal(write(known), x)
    np.testing.assert_array_equal(fnad.jit(write)(known), x)
    window = lambda i: lax.dynamic_slice(x, (i,), (2,))
    np.testing.assert_array_equal(window(known[0]), [1.0, 2.0])
    np.testing.assert_array_equal(fnad.jit(window)(known[0]), [1.0, 2.0])


def test_small_integers_start_slices_of_long_arrays():
    x = np.arange(300.0)
    np.testing.assert_array_equal(lax.dynamic_slice(x, (np.int8(-2),), (2,)), [298.0, 299.0])


@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "mean", "all", "any"])
def test_reductions_of_numbers_are_scalars_of_numpy(name):
    for x in (np.float32(2), np.array(2.0), np.array(True)):
        assert_same(getattr(fnp, name)(x), getattr(np, name)(x))
        assert type(getattr(fnp, name)(x)) is type(getattr(np, name)(x))


def test_arguments_that_change_nothing():
    x = np.array([[1.0, -2.0]])
    np.testing.assert_array_equal(fnp.max(x, axis=1, where=True), np.max(x, axis=1, where=True))
    np.testing.assert_array_equal(fnp.transpose(x[0], 0), np.transpose(x[0], 0))
