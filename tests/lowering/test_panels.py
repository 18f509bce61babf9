"""What runs behind and before products of any size, by blocks of rows, against NumPy."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax
from fnad.lowering import panels
from fnad.lowering.access import access, node_bodies
from fnad.lowering.plan import Contraction, For, Group
from tests.lowering.test_plan import check, plan_of


@pytest.fixture
def eager(monkeypatch):
    """Products of small matrices run by blocks, and pack what they would not, were they larger."""
    for name in ("_SMALL_BYTES", "_FEW_ROWS", "_MANY_ROWS", "_NEAR_BYTES", "_FAR_BYTES"):
        monkeypatch.setattr(panels, name, 0)
    monkeypatch.setattr(panels, "_AGAIN", 1 << 20)


def grouped_products(plan):
    """The products of a plan that are members of groups."""
    members = [m.node for node in plan.body if isinstance(node, Group) for m in node.members]
    return [node for node in members if isinstance(node, Contraction)]


def in_threads(function, *args):
    """The result with 1, 2 and 3 threads, whose bits must be the same."""
    before, results = fnad.config.num_threads, []
    try:
        for threads in (1, 2, 3):
            fnad.config.num_threads = threads
            results.append(function(*args))
    finally:
        fnad.config.num_threads = before
    for other in results[1:]:
        for x, y in zip(np.atleast_1d(results[0]), np.atleast_1d(other), strict=True):
            np.testing.assert_array_equal(x, y)
    return results[0]


EPILOGUES = {
    "bias": lambda xp, y, b, c, r: y + b,
    "bias of rows": lambda xp, y, b, c, r: y * c[:, None],
    "activation": lambda xp, y, b, c, r: xp.maximum(y + b, 0),
    "residual": lambda xp, y, b, c, r: xp.maximum(y + b, 0) * 2 + r,
    "two consumers": lambda xp, y, b, c, r: xp.where(y > 0, y + b, y - r) + y.max(1)[:, None],
    "shares of rows": lambda xp, y, b, c, r: y - y.sum(1, keepdims=True) * c[:, None],
}
SHAPES = [(400, 40, 70), (515, 300, 129), (384, 9, 600), (1001, 64, 33)]
TOLERANCE = {"float16": 2e-2, "bfloat16": 1e-1, "float32": 1e-4, "float64": 1e-12}


@pytest.mark.parametrize("transposed", [False, True], ids=["rows", "columns"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", EPILOGUES)
def test_epilogues(name, shape, transposed, eager, rng):
    (m, k, n), epilogue = shape, EPILOGUES[name]
    x, w = rng.normal(size=(m, k)), rng.normal(size=(k, n)) / k**0.5
    rest = rng.normal(size=n), rng.normal(size=m), rng.normal(size=(m, n))
    given = np.ascontiguousarray(w.T) if transposed else w

    def program(x, w, *rest):
        return epilogue(fnp, x @ (w.T if transposed else w), *rest)

    plan, *_ = plan_of(program, x, given, *rest)
    assert [product.panel for product in grouped_products(plan)] == [16]
    found = in_threads(fnad.jit(program), x, given, *rest)
    np.testing.assert_allclose(found, epilogue(np, x @ w, *rest), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int32", "int64"])
def test_dtypes(dtype, eager, rng):
    m, k, n = 450, 130, 75
    x, w, r = (rng.integers(-9, 9, size) * 0.5 for size in ((m, k), (k, n), (m, n)))
    x, w, r = (fnp.asarray(v * (2 if "int" in dtype else 1)).astype(dtype) for v in (x, w, r))
    found = fnad.jit(lambda x, w, r: fnp.maximum(x @ w, 0) + r)(x, w, r)
    x, w, r = (np.asarray(v).astype(np.float64) for v in (x, w, r))
    expected = np.maximum(x @ w, 0) + r
    scale = np.abs(x) @ np.abs(w) + np.abs(r)
    assert str(found.dtype) == dtype
    difference = np.abs(np.asarray(found).astype(np.float64) - expected)
    assert np.all(difference <= TOLERANCE.get(dtype, 0) * scale)


def test_the_product_is_a_result_too(eager, rng):
    x, w, b = rng.normal(size=(600, 90)), rng.normal(size=(90, 100)), rng.normal(size=100)
    program = lambda x, w, b: (x @ w, fnp.tanh(x @ w + b))
    plan, *_ = plan_of(program, x, w, b)
    assert len(grouped_products(plan)) == 1
    product, activated = fnad.jit(program)(x, w, b)
    np.testing.assert_allclose(product, x @ w, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(activated, np.tanh(x @ w + b), rtol=1e-10, atol=1e-10)


def test_a_right_side_is_packed_once_for_two_products(eager, rng):
    x, y, w = rng.normal(size=(500, 60)), rng.normal(size=(500, 60)), rng.normal(size=(60, 80))
    program = lambda x, y, w: fnp.exp(x @ w) + fnp.sin(y @ w)
    plan, *_ = plan_of(program, x, y, w)
    first, second = grouped_products(plan)
    assert first.right == second.right and len(plan.body) == 2
    np.testing.assert_allclose(
        fnad.jit(program)(x, y, w), np.exp(x @ w) + np.sin(y @ w), rtol=1e-9, atol=1e-9
    )


def test_layers_run_by_blocks_of_rows(eager, rng):
    """Two products, what is between and behind them: no result of a layer is ever in memory."""
    sizes = [(700, 50), (50, 200), 200, (200, 50), 50]
    x, v, a, w, b = (rng.normal(size=size) / 7 for size in sizes)

    def program(xp, x, v, a, w, b):
        return x + xp.tanh(x @ v + a) @ w + b

    plan, *_ = plan_of(lambda *args: program(fnp, *args), x, v, a, w, b)
    assert len(grouped_products(plan)) == 2
    assert sum(n.nbytes for n in plan.buffers if n.role == "temp") < 700 * 200 * 8
    found = in_threads(fnad.jit(lambda *args: program(fnp, *args)), x, v, a, w, b)
    np.testing.assert_allclose(found, program(np, x, v, a, w, b), rtol=1e-10, atol=1e-10)


def test_convolutions_lay_out_windows_by_blocks(eager, rng):
    x, w, b = rng.normal(size=(9, 10, 11, 6)), rng.normal(size=(3, 3, 6, 20)), rng.normal(size=20)

    def program(x, w, b):
        numbers = ("NHWC", "HWIO", "NHWC")
        y = lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=numbers)
        return fnp.maximum(y + b, 0)

    plan, *_ = plan_of(program, x, w, b)
    assert [product.panel for product in grouped_products(plan)] == [16]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
    expected = np.maximum(np.einsum("bhwcij,ijcd->bhwd", windows, w) + b, 0)
    found = in_threads(fnad.jit(program), x, w, b)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("strides", [(1, 1), (2, 1), (1, 2)], ids=str)
def test_convolutions_of_few_images_lay_out_lines(strides, rng):
    x, w = rng.normal(size=(3, 30, 23, 5)), rng.normal(size=(3, 2, 5, 8))
    down, right = strides

    def program(x, w):
        numbers = ("NHWC", "HWIO", "NHWC")
        y = lax.conv_general_dilated(x, w, strides, "VALID", dimension_numbers=numbers)
        return fnp.maximum(y, 0) + 1

    plan, *_ = plan_of(program, x, w)
    [group] = plan.body
    assert group.extent == 3 * len(range(0, 28, down))
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 2), (1, 2))[:, ::down, ::right]
    expected = np.maximum(np.einsum("bhwcij,ijcd->bhwd", windows, w), 0) + 1
    found = in_threads(fnad.jit(program), x, w)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


def test_weights_of_a_loop(eager, rng):
    """What is packed depends on the turn."""
    x, ws = rng.normal(size=(400, 40)) / 40, rng.normal(size=(3, 40, 40)) / 7
    program = lambda x, ws: lax.scan(lambda c, w: (fnp.tanh(c @ w) + c, None), x, ws)[0]
    expected = x
    for w in ws:
        expected = np.tanh(expected @ w) + expected
    np.testing.assert_allclose(fnad.jit(program)(x, ws), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("transposed", [False, True], ids=["rows", "columns"])
def test_plans_mean_what_they_say(transposed, eager, rng):
    x, w, b = rng.normal(size=(64, 5)), rng.normal(size=(5, 37)), rng.normal(size=37)
    w = np.ascontiguousarray(w.T) if transposed else w
    plan = check(lambda x, w, b: fnp.exp(x @ (w.T if transposed else w) + b) * 2, x, w, b)
    assert "in panels of 16" in str(plan)


def test_large_products_pack_before_their_groups(rng):
    x, w = rng.normal(size=(4096, 64)).astype("f4"), rng.normal(size=(64, 1100)).astype("f4")
    program = lambda x, w: fnp.maximum(x @ w, 0) + 1
    plan, *_ = plan_of(program, x, w)
    [product] = grouped_products(plan)
    assert product.panel == 32
    assert plan.arena_size < 1 << 20
    found = in_threads(fnad.jit(program), x, w)
    np.testing.assert_allclose(found, np.maximum(x @ w, 0) + 1, rtol=1e-4, atol=1e-4)


def test_long_sums_do_not_run_by_blocks():
    """Reading a large right side for each block of rows would take more than a pass over memory."""
    x, w = np.zeros((2048, 2048), "f4"), np.zeros((2048, 2048), "f4")
    plan, *_ = plan_of(lambda x, w: fnp.maximum(x @ w, 0) + 1, x, w)
    assert grouped_products(plan) == []


def products_of_loops(nodes, inside=False):
    """The products in a schedule's loops."""
    for node in nodes:
        if inside and isinstance(node, Contraction):
            yield node
        for body in node_bodies(node):
            yield from products_of_loops(body, inside or isinstance(node, For))


def recurrence(xp, carry, x, w):
    return xp.tanh(carry @ w + x)


@pytest.mark.parametrize("transposed", [False, True], ids=["rows", "columns"])
def test_weights_that_no_turn_changes_are_packed_before_the_loop(transposed, rng):
    carry, xs, w = (
        rng.normal(size=(20, 70)),
        rng.normal(size=(9, 20, 70)),
        rng.normal(size=(70, 70)),
    )
    given = np.ascontiguousarray(w.T) if transposed else w

    def program(carry, xs, w):
        w = w.T if transposed else w
        return lax.scan(lambda c, x: (recurrence(fnp, c, x, w), None), carry, xs)[0]

    plan = check(program, carry, xs, given / 9)
    assert [product.panel for product in products_of_loops(plan.body)] == [16]
    expected = carry
    for x in xs:
        expected = recurrence(np, expected, x, w / 9)
    found = in_threads(fnad.jit(program), carry, xs, given / 9)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


def test_weights_are_packed_before_the_outermost_loop(rng):
    carry, xs, w = (
        rng.normal(size=(20, 70)),
        rng.normal(size=(8, 9, 20, 70)),
        rng.normal(size=(70, 70)),
    )

    def program(carry, xs, w):
        inner = lambda c, rows: lax.scan(lambda c, x: (recurrence(fnp, c, x, w), None), c, rows)[0]
        return lax.scan(lambda c, rows: (inner(c, rows), None), carry, xs)[0]

    plan, *_ = plan_of(program, carry, xs, w / 9)
    [product] = products_of_loops(plan.body)
    [loop] = [node for node in plan.body if isinstance(node, For)]
    assert product.panel == 16
    assert product.right.buffer not in access(loop).writes
    expected = carry
    for x in xs.reshape(72, 20, 70):
        expected = recurrence(np, expected, x, w / 9)
    found = fnad.jit(program)(carry, xs, w / 9)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


def test_weights_that_turns_change_are_read_where_they_lie(rng):
    x, w = rng.normal(size=(20, 70)), rng.normal(size=(70, 70)) / 9

    def program(xp, turns, x, w):
        return turns(lambda c: (xp.tanh(c[0] @ c[1]), c[1] * 0.5 + xp.sin(c[1])), (x, w))

    loop = lambda step, c: lax.scan(lambda c, _: (step(c), None), c, None, length=9)[0]
    plan, *_ = plan_of(lambda x, w: program(fnp, loop, x, w), x, w)
    assert [product.panel for product in products_of_loops(plan.body)] == [0]

    def turns(step, c):
        for _ in range(9):
            c = step(c)
        return c

    found = fnad.jit(lambda x, w: program(fnp, loop, x, w))(x, w)
    for one, other in zip(found, program(np, turns, x, w), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)
