"""Results that are only copied: written where the copy goes, if vectors and caches allow it."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax
from fnad.lowering.expr import axis, load, make
from fnad.lowering.forwarding import forward_stores
from fnad.lowering.plan import Buffer, For, Kernel, Store
from tests.lowering.test_plan import plan_of

RNG = np.random.default_rng(0)
F4 = np.dtype(np.float32)


def signals(*shape, dtype="c16"):
    return (RNG.normal(size=shape) + 1j * RNG.normal(size=shape)).astype(dtype)


def all_nodes(body):
    for node in body:
        members = getattr(node, "members", ())
        yield from all_nodes([m.node for m in members]) if members else [node]
        yield from all_nodes(getattr(node, "body", ()))


def copies(function, *args):
    """How many kernels of a plan do nothing but bring parts together."""
    plan, _, _ = plan_of(function, *args)
    kernels = [n for n in all_nodes(plan.body) if isinstance(n, Kernel) and len(n.stores) == 2]
    return sum(all(s.value.op == "load" for s in kernel.stores) for kernel in kernels)


# Of each: the transform, the shape, and how many copies stay.
TRANSFORMS = {
    "rows": (lambda fft, x: fft.fft(x), (40, 256), 0),
    "columns": (lambda fft, x: fft.fft(x, axis=0), (64, 48), 0),
    "two axes": (lambda fft, x: fft.fft2(x), (512, 512), 0),
    "lines that contend": (lambda fft, x: fft.fft(x), (11 * 1024,), 1),
    "long rows, of vectors and a piece": (lambda fft, x: fft.fft(x), (40, 1000), 0),
    "pieces of vectors": (lambda fft, x: fft.fft(x), (40, 100), 1),
    "inverse": (lambda fft, x: fft.ifft(x), (40, 256), 0),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms(name):
    function, shape, kept = TRANSFORMS[name]
    x = signals(*shape, dtype="c8")
    assert copies(lambda x: function(fnp.fft, x), x) == kept
    want = function(np.fft, x.astype("c16"))
    got = fnad.jit(lambda x: function(fnp.fft, x))(x)
    np.testing.assert_allclose(got, want, atol=1e-6 * np.abs(want).max())


def test_what_something_else_reads_stays():
    x = signals(40, 256)

    def f(x):
        y = fnp.fft.fft(x)
        return y, fnp.cumsum(y.real, 1)

    want = np.fft.fft(x)
    got = fnad.jit(f)(x)
    np.testing.assert_allclose(got[0], want, atol=1e-10)
    np.testing.assert_allclose(got[1], np.cumsum(want.real, 1), atol=1e-10)


def test_in_loops_and_in_place():
    x = signals(40, 256)

    def repeated(x):
        return lax.fori_loop(0, 3, lambda i, x: fnp.fft.fft(x) / 16, x)

    want = x
    for _ in range(3):
        want = np.fft.fft(want) / 16
    np.testing.assert_allclose(fnad.jit(repeated)(x), want, atol=1e-12)
    given = x.copy()
    got = fnad.jit(fnp.fft.fft, donate_argnums=0)(given)
    np.testing.assert_allclose(got, np.fft.fft(x), atol=1e-10)


# -- nodes --------------------------------------------------------------------------------------

BUFFERS = [
    Buffer(0, (64,), F4, "input"),
    Buffer(1, (64,), F4, "temp"),
    Buffer(2, (64,), F4, "temp"),
    Buffer(3, (128,), F4, "output"),
    Buffer(4, (64,), F4, "output"),
]
I0 = axis(0, 64)
X = load(0, I0, F4)


def kernel(axes, *stores):
    return Kernel(axes, (), tuple(Store(*s) for s in stores))


WRITER = kernel(
    ((0, 64),), (1, I0, make("negative", (X,), F4)), (2, I0, make("multiply", (X, X), F4))
)
COPY = kernel(((0, 64),), (3, I0 * 2, load(1, I0, F4)), (3, I0 * 2 + 1, load(2, I0, F4)))


def test_stores_go_where_the_copy_goes():
    [found] = forward_stores([WRITER, COPY], BUFFERS)
    assert [(s.buffer, str(s.offset)) for s in found.stores] == [
        (3, str(I0 * 2)),
        (3, str(I0 * 2 + 1)),
    ]
    assert [s.value for s in found.stores] == [s.value for s in WRITER.stores]


def test_loops_are_split_along_the_axes_of_the_copy():
    outer, inner = axis(0, 16), axis(1, 4)  # elements 4 and more apart first: a transposed copy
    place = inner * 16 + outer
    transposed = kernel(
        ((0, 16), (1, 4)), (3, outer * 2 + inner * 32, load(1, place, F4)),
        (3, outer * 2 + inner * 32 + 1, load(2, place, F4)),
    )  # fmt: skip
    [found] = forward_stores([WRITER, transposed], BUFFERS)
    assert found.axes == ((0, 4), (1, 16))
    values = {}
    for i in range(4):
        for j in range(16):
            for s in found.stores:
                terms = dict(zip(s.offset.args, s.offset.attr[0]))
                at = s.offset.attr[1] + terms[axis(0, 4)] * i + terms[axis(1, 16)] * j
                values[at] = (s.value.op, 16 * i + j)
    want = {}
    for k in range(64):
        want[2 * k], want[2 * k + 1] = ("negative", k), ("multiply", k)
    assert values == want


def test_each_turn_of_a_loop_has_its_own():
    loop = For(0, 3, (WRITER, COPY))
    [found] = forward_stores([loop], BUFFERS)
    assert len(found.body) == 1


READS_TARGET = kernel(((0, 64),), (1, I0, load(3, I0, F4)), (2, I0, X))
HALF = axis(0, 32)
COPY_OF_HALF = kernel(
    ((0, 32),), (3, HALF * 2, load(1, HALF, F4)), (3, HALF * 2 + 1, load(2, HALF, F4))
)
MORE_THAN_A_COPY = kernel(
    ((0, 64),), (3, I0, load(1, I0, F4)), (3, I0 + 64, load(2, I0, F4)), (4, I0, X + X)
)
FROM, TO = axis(0, 2) * 32 + axis(1, 32), (axis(0, 2) + axis(1, 32) * 2) * 2
FAR_APART = kernel(
    ((0, 2), (1, 32)), (3, TO, load(1, FROM, F4)), (3, TO + 1, load(2, FROM, F4))
)  # fmt: skip


@pytest.mark.parametrize(
    ("nodes", "why"),
    [
        ([WRITER, COPY, kernel(((0, 64),), (4, I0, load(1, I0, F4)))], "one more reader"),
        ([WRITER, kernel(((0, 64),), (3, I0, X)), COPY], "the target is written between"),
        ([WRITER, kernel(((0, 64),), (1, I0, X)), COPY], "two writers"),
        ([READS_TARGET, COPY], "the writer reads the target"),
        ([WRITER, COPY_OF_HALF], "half of it is copied"),
        ([WRITER, MORE_THAN_A_COPY], "not only a copy"),
        ([WRITER, FAR_APART], "neighbours come to lie apart"),
    ],
)
def test_other_copies_stay(nodes, why):
    assert forward_stores(nodes, BUFFERS) == nodes, why
