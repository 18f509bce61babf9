"""``jit(f, dynamic=...)`` of convolutions and pooling: what static programs, NumPy and JAX give."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax

SIZES = (1, 2, 3, 5, 8, 17)
rng = np.random.default_rng(0)


def array(*shape, dtype="f8"):
    return rng.standard_normal(shape).astype(dtype)


def compare(function, dynamic, make, sizes=SIZES, programs=1, rtol=1e-12):
    """Compare with evaluation by NumPy for many sizes, and with a static program for the last."""
    compiled = fnad.jit(function, dynamic=dynamic)
    for n in sizes:
        args = make(n)
        found = fnad.tree.leaves(compiled(*args))
        for other in (function, fnad.jit(function)) if n == sizes[-1] else (function,):
            for a, b in zip(found, fnad.tree.leaves(other(*args)), strict=True):
                assert np.shape(a) == np.shape(b) and a.dtype == b.dtype, n
                scale = np.abs(b).max(initial=1)
                np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * scale, err_msg=f"n={n}")
    assert compiled.num_programs >= 1
    assert programs is None or compiled.num_programs == programs


def gradient(function):
    return fnad.grad(lambda *args: fnp.sum(fnp.sin(function(*args))), (0, 1))


# -- a network ------------------------------------------------------------------------------------

PARAMS = {
    "first": array(4, 1, 3, 3, dtype="f4"),
    "second": array(6, 4, 3, 3, dtype="f4"),
    "last": array(24, 3, dtype="f4"),
}


def network(conv, pool, relu, params, x):
    x = pool(relu(conv(x, params["first"], (1, 1), "SAME")), "max", "SAME")
    x = pool(relu(conv(x, params["second"], (2, 2), "SAME")), "add", "VALID")
    return x.reshape(x.shape[0], 24) @ params["last"]


def net(params, x):
    def pool(x, kind, padding):
        init = -np.inf if kind == "max" else 0.0
        size = 3 if kind == "max" else 2
        return lax.reduce_window(x, init, kind, (1, 1, size, size), (1, 1, 2, 2), padding)

    return network(lax.conv, pool, lambda x: fnp.maximum(x, 0), params, x)


def loss(params, x, y):
    return fnp.mean((net(params, x) - y) ** 2)


def batch(n):
    return array(n, 1, 16, 16, dtype="f4"), array(n, 3, dtype="f4")


def test_a_network_for_any_batch_is_that_of_jax():
    jax = pytest.importorskip("jax")

    def pool(x, kind, padding):
        init, combine = (-np.inf, jax.lax.max) if kind == "max" else (0.0, jax.lax.add)
        size = 3 if kind == "max" else 2
        window, strides = (1, 1, size, size), (1, 1, 2, 2)
        return jax.lax.reduce_window(x, init, combine, window, strides, padding)

    def reference(params, x, y):
        out = network(jax.lax.conv, pool, lambda x: jax.numpy.maximum(x, 0), params, x)
        return jax.numpy.mean((out - y) ** 2)

    step = fnad.value_and_grad(loss, (0, 1))
    compiled = fnad.jit(step, dynamic=(None, "n ...", "n _"))
    for n in (1, 5):
        x, y = batch(n)
        found = fnad.tree.leaves(compiled(PARAMS, x, y))
        expected = fnad.tree.leaves(jax.value_and_grad(reference, (0, 1))(PARAMS, x, y))
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * abs(b).max())
    assert compiled.num_programs == 1


def test_training_with_any_batch():
    def step(params, x, y):
        grads = fnad.grad(loss)(params, x, y)
        return fnad.tree.map(lambda p, g: p - 0.01 * g, params, grads)

    dynamic = (None, "n ...", "n _")
    compare(step, dynamic, lambda n: (PARAMS, *batch(n)), (1, 2, 7, 33), rtol=1e-5)
    compiled = fnad.jit(net, dynamic=(None, "n ..."))
    assert compiled(PARAMS, batch(0)[0]).shape == (0, 3)


# -- convolutions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_convolve_is_that_of_numpy(mode):
    compiled = fnad.jit(lambda x, y: fnp.convolve(x, y, mode), dynamic=("n", "m"))
    for n, m in ((1, 1), (7, 3), (3, 7), (64, 5), (100, 31), (31, 100)):
        x, y = array(n), array(m)
        np.testing.assert_allclose(compiled(x, y), np.convolve(x, y, mode), atol=1e-13)
    with pytest.raises(ValueError, match="empty"):
        compiled(array(0), array(3))


def general(*args, **kwargs):
    return lambda x, w: lax.conv_general_dilated(x, w, *args, **kwargs)


IMAGES = lambda n: (array(n, 2, 7, 6), array(4, 2, 3, 2))
ALL = lambda n: (array(n, 2 + n % 2, n + 4, n % 5 + 5), array(n % 3 + 1, 2 + n % 2, 3, 2))

CONVOLUTIONS = {
    "padded": (general((1, 1), "SAME"), ("n ...", None), IMAGES, 1),
    "strides": (general((2, 3), "SAME"), ("n ...", None), IMAGES, 1),
    "cropped": (general((1, 1), ((-1, 1), (2, -1))), ("n ...", None), IMAGES, 1),
    "dilated": (general((1, 2), "VALID", (2, 1), (1, 2)), ("n ...", None), IMAGES, 1),
    "groups": (general((1, 1), "SAME", feature_group_count=2), ("n ...", None),
               lambda n: (array(n, 4, 5, 6), array(6, 2, 3, 2)), 1),
    "channels last": (general((1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")),
                      ("n ...", None), lambda n: (array(n, 7, 6, 2), array(3, 2, 2, 4)), 1),
    "images of any size": (general((1, 1), "SAME"), ("n _ h w", None),
                           lambda n: (array(n, 2, n + 2, n % 5 + 3), array(4, 2, 3, 2)), 1),
    "everything": (general((1, 1), "VALID"), ("n c h w", "o c _ _"), ALL, None),
    "signals": (general((1,), "SAME"), ("_ _ n", "_ _ k"),
                lambda n: (array(1, 1, n + 7), array(2, 1, n % 5 + 2)), None),
    "transposed": (lambda x, w: lax.conv_transpose(x, w, (2, 2), "SAME"), ("n h w _", None),
                   lambda n: (array(n, n + 2, 5, 2), array(3, 3, 2, 3)), 1),
    "batched": (fnad.vmap(lambda x, w: lax.conv(x, w, (1, 1), "SAME")), ("b n _ _ _", "b ..."),
                lambda n: (array(n % 3 + 1, n, 2, 5, 6), array(n % 3 + 1, 3, 2, 3, 2)), None),
}  # fmt: skip


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_and_their_gradients(name):
    function, dynamic, make, programs = CONVOLUTIONS[name]
    sizes = SIZES[:3] if programs is None else SIZES[:4]
    for f in (function, gradient(function)):
        compare(f, dynamic, make, sizes, programs)


def test_what_is_learned_while_planning_is_no_answer_to_what_was_asked_before():
    # That filters have one row follows from an order that is noted when loops have been numbered.
    function = gradient(lambda x, w: lax.conv(x, w, (2, 3), "SAME"))
    compiled = fnad.jit(function, dynamic=("_ _ h w", "_ _ k l"))
    args = array(2, 2, 7, 6), array(3, 2, 1, 4)
    for _ in range(2):
        for a, b in zip(compiled(*args), function(*args), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    assert compiled.num_programs == 1


# -- pooling --------------------------------------------------------------------------------------

KINDS = {"max": -np.inf, "min": np.inf, "add": 0.0, "mul": 1.0}


WINDOWS = {
    "max": ((3, 2), (1, 2)),
    "min": ((2, 2), (3, 3)),
    "add": ((2, 3), (2, 1)),
    "mul": ((2, 2),) * 2,
}


@pytest.mark.parametrize("kind", KINDS)
def test_pooling(kind):
    window, strides = WINDOWS[kind]

    def pooled(x):
        return lax.reduce_window(x, KINDS[kind], kind, (1, 1, *window), (1, 1, *strides), "SAME")

    derivative = fnad.grad(lambda x: fnp.sum(fnp.sin(pooled(x))))
    make = lambda n: (array(n, 3, 7, 6),)
    compare(lambda x: (pooled(x), derivative(x)), "n ...", make, (0, *SIZES[:4]), None)


def test_images_of_any_size_are_pooled():
    pooled = lambda x: lax.reduce_window(x, -np.inf, "max", (1, 1, 2, 3), (1, 1, 2, 1), "VALID")
    compiled = fnad.jit(pooled, dynamic="n c h w")
    for n in (1, 2, 5, 8):
        x = array(n, 3, 2 * n, n + 3)
        windows = np.lib.stride_tricks.sliding_window_view(x, (2, 3), (2, 3))[:, :, ::2]
        np.testing.assert_array_equal(compiled(x), windows.max((-2, -1)))


# -- memory ---------------------------------------------------------------------------------------

GUARDED = """
import ctypes, mmap
import numpy as np
import fnad, fnad.numpy as fnp
from fnad import lax
page = mmap.PAGESIZE
memory = mmap.mmap(-1, 5 * page)
whole = np.frombuffer(memory, np.uint8)
protect = ctypes.CDLL(None).mprotect
for place in (0, 4):
    assert protect(ctypes.c_void_p(whole.ctypes.data + place * page), ctypes.c_size_t(page), 0) == 0

def pooled(x, kind, init, strides):
    return lax.reduce_window(x, init, kind, (1, 1, 2, 3), (1, 1, *strides), "SAME")

w = np.arange(12.0).reshape(2, 1, 3, 2)
functions = [
    lambda x: lax.conv(x, w, (1, 1), "SAME"),
    lambda x: lax.conv(x, w, (2, 3), "VALID"),
    lambda x: pooled(x, "max", -np.inf, (2, 3)),
    lambda x: pooled(x, "add", 0.0, (1, 1)),
]
functions += [fnad.grad(lambda x, f=f: fnp.sum(f(x) ** 2)) for f in functions]
for f in functions:
    compiled = fnad.jit(f, dynamic="n _ h w")
    for n in (1, 2, 5):
        shape = (n, 1, n + 3, n % 3 + 3)
        count = 8 * int(np.prod(shape))
        for start in (page, 4 * page - count):
            x = whole[start : start + count].view(np.float64).reshape(shape)
            x[:] = np.arange(x.size).reshape(shape)
            np.testing.assert_allclose(compiled(x), f(x))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="protects pages")
def test_nothing_outside_of_arrays_is_read():
    subprocess.run([sys.executable, "-W", "ignore", "-c", GUARDED], check=True)
