"""Random programs: whatever transforms they run under, in whatever order, results agree.

Programs are drawn as lists of instructions on a pool of values, all of shape ``(N,)``, made of
functions that are smooth and bounded, so that derivatives of every order stay of moderate size.
"""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fnad
import fnad.numpy as fnp
from fnad import lax
from fnad.testing import assert_allclose, check_grads

N = 3

UNARY = {
    "sin": fnp.sin,
    "tanh": fnp.tanh,
    "square": lambda x: 0.5 * x * x,
    "exp": lambda x: fnp.exp(-x * x),
    "log": lambda x: fnp.log(2.0 + x * x),
    "sqrt": lambda x: fnp.sqrt(1.0 + x * x),
    "center": lambda x: x - fnp.mean(x),
    "flip": lambda x: x[::-1],
    "roll": lambda x: fnp.concatenate([x[1:], x[:1]]),
    "cumsum": lambda x: fnp.cumsum(x) * 0.3,
    "gather": lambda x: x[np.array([2, 0, 2])],
    "update": lambda x: fnp.at(x)[1].set(x[0] * x[2]),
    "softmax": lambda x: fnp.exp(x - fnp.max(x)) / fnp.sum(fnp.exp(x - fnp.max(x))),
    "jit": fnad.jit(lambda x: fnp.sin(x) * 0.7 + x),
    "checkpoint": fnad.checkpoint(lambda x: fnp.cos(fnp.sin(x))),
    "scan": lambda x: lax.scan(lambda c, v: (fnp.sin(c + v), c * v), fnp.sum(x), x)[1],
    "fori": lambda x: lax.fori_loop(0, 2, lambda i, c: fnp.sin(c) + 0.1 * i, x),
    "cond": lambda x: lax.cond(fnp.sum(x) > 0.1234, fnp.sin, lambda v: v * 0.5, x),
    "switch": lambda x: lax.switch(1, [fnp.cos, fnp.tanh], x),
    "vmap": lambda x: fnad.vmap(lambda v: v * fnp.sum(x))(x) * 0.3,
    "grad": lambda x: fnad.grad(lambda v: fnp.sum(fnp.sin(v) * v))(x) * 0.5,
    "jvp": lambda x: fnad.jvp(fnp.tanh, (x,), (fnp.cos(x),))[1],
}
BINARY = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: 0.5 * x * y,
    "div": lambda x, y: x / (1.5 + y * y),
    "where": lambda x, y: fnp.where(x > y + 0.0371, x, y * 0.5),
    "outer": lambda x, y: fnp.matmul(fnp.outer(x, y), x) * 0.2,
    "dot": lambda x, y: x * fnp.dot(x, y) * 0.3,
}


@dataclass(frozen=True)
class Program:
    """Instructions ``(operation, operand indices)``; each appends its result to the pool."""

    instructions: tuple[tuple[str, tuple[int, ...]], ...]

    def __call__(self, x, y):
        pool = [x, y]
        for name, operands in self.instructions:
            operation = UNARY.get(name) or BINARY[name]
            pool.append(operation(*(pool[i] for i in operands)))
        return pool[-1] + 0.5 * pool[len(pool) // 2]


@st.composite
def programs(draw, max_length=6):
    length = draw(st.integers(1, max_length))
    instructions = []
    for size in range(2, 2 + length):
        name = draw(st.sampled_from([*UNARY, *BINARY]))
        arity = 1 if name in UNARY else 2
        # Recent values, so that long chains form.
        operand = st.integers(max(0, size - 3), size - 1)
        instructions.append((name, tuple(draw(operand) for _ in range(arity))))
    return Program(tuple(instructions))


def inputs(shape=(N,)):
    rng = np.random.default_rng(7)
    return rng.uniform(-1, 1, shape), rng.uniform(-1, 1, shape)


def loss(program):
    return lambda x, y: fnp.sum(program(x, y) * np.array([1.0, -0.5, 0.25]))


def close(actual, expected):
    assert_allclose(actual, expected, rtol=1e-9, atol=1e-10)


def rows(f, *batches):
    return np.stack([f(*row) for row in zip(*batches)])


@given(programs())
def test_jit_agrees_with_eager(program):
    close(fnad.jit(program)(*inputs()), program(*inputs()))


@given(programs())
def test_float32_agrees_with_double(program):
    single = tuple(v.astype(np.float32) for v in inputs())
    out = fnad.jit(program)(*single)
    assert out.dtype == np.float32 == program(*single).dtype
    assert_allclose(out, program(*inputs()), rtol=1e-3, atol=1e-4, check_dtypes=False)


@given(programs(max_length=4))
def test_derivatives_agree_with_differences(program):
    check_grads(program, inputs(), order=2, rtol=1e-5, atol=1e-5)


@given(programs())
def test_reverse_agrees_with_forward(program):
    close(fnad.jacrev(program)(*inputs()), fnad.jacfwd(program)(*inputs()))


@given(programs())
def test_vmap_agrees_with_a_loop(program):
    batch = inputs((4, N))
    close(fnad.vmap(program)(*batch), rows(program, *batch))
    y = batch[1][0]
    close(fnad.vmap(program, (0, None))(batch[0], y), rows(lambda x: program(x, y), batch[0]))


@given(programs())
def test_vmap_of_grad(program):
    batch = inputs((4, N))
    gradient = fnad.grad(loss(program))
    expected = rows(gradient, *batch)
    close(fnad.vmap(gradient)(*batch), expected)
    close(fnad.jit(fnad.vmap(gradient))(*batch), expected)


@given(programs())
def test_grad_of_vmap(program):
    batch = inputs((4, N))
    total = lambda x, y: fnp.sum(fnad.vmap(loss(program))(x, y))
    expected = rows(fnad.grad(loss(program)), *batch)
    close(fnad.grad(total)(*batch), expected)
    close(fnad.jit(fnad.grad(total))(*batch), expected)


@given(programs(max_length=4))
def test_jit_of_hessian(program):
    expected = fnad.hessian(loss(program))(*inputs())
    close(fnad.jit(fnad.hessian(loss(program)))(*inputs()), expected)
    close(fnad.jacrev(fnad.jacrev(loss(program)))(*inputs()), expected)
    close(expected, expected.T)


@given(programs(max_length=4))
def test_grad_of_scan(program):
    def total(x, y):
        step = lambda carry, _: (program(carry, y), fnp.sum(carry))
        carry, sums = lax.scan(step, x, None, length=3)
        return fnp.sum(carry) + fnp.sum(sums)

    def unrolled(x, y):
        out = 0.0
        for _ in range(3):
            out = out + fnp.sum(x)
            x = program(x, y)
        return out + fnp.sum(x)

    expected = fnad.grad(unrolled, (0, 1))(*inputs())
    close(fnad.grad(total, (0, 1))(*inputs()), expected)
    close(fnad.jit(fnad.grad(total, (0, 1)))(*inputs()), expected)


@given(programs(max_length=4))
def test_vmap_of_scan_of_grad(program):
    def descend(x, y):
        step = lambda c, _: (c - 0.1 * fnad.grad(loss(program))(c, y), fnp.sum(c))
        return lax.scan(step, x, None, length=2)[0]

    batch = inputs((3, N))
    expected = rows(descend, *batch)
    close(fnad.vmap(descend)(*batch), expected)
    close(fnad.jit(fnad.vmap(descend))(*batch), expected)


@given(programs(max_length=4))
def test_jvp_of_jit_of_vmap_of_grad(program):
    batch = inputs((3, N))
    gradient = fnad.grad(loss(program))
    whole = fnad.jit(fnad.vmap(gradient))
    one = lambda x, y: fnad.jvp(gradient, (x, y), (y, x))[1]
    close(fnad.jvp(whole, batch, batch[::-1])[1], rows(one, *batch))


@given(programs())
def test_checkpoint_changes_nothing(program):
    close(fnad.grad(fnad.checkpoint(loss(program)))(*inputs()), fnad.grad(loss(program))(*inputs()))


@given(programs())
def test_linearize_and_its_transpose(program):
    x, y = inputs()
    _, push = fnad.linearize(lambda x: program(x, y), x)
    jacobian = fnad.jacfwd(lambda x: program(x, y))(x)
    close(push(y), jacobian @ y)
    close(fnad.linear_transpose(push, x)(y)[0], jacobian.T @ y)


@pytest.mark.slow
@settings(max_examples=150)
@given(programs(max_length=12))
def test_long_programs(program):
    batch = inputs((3, N))
    gradient = fnad.value_and_grad(loss(program), (0, 1))
    expected = [gradient(*row) for row in zip(*batch)]
    stacked = fnad.tree.map(lambda *leaves: np.stack(leaves), *expected)
    close(fnad.jit(fnad.vmap(gradient))(*batch), stacked)
