"""Fingerprints tell programs apart by everything that lowering depends on, and by nothing else."""

import subprocess
import sys

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax, nn
from fnad.core.fingerprint import fingerprint, source_fingerprint
from fnad.extend import Primitive, elementwise

X = np.ones((4, 3), np.float32)


def of(fun, *args):
    return fingerprint(fnad.make_jaxpr(fun)(*args).jaxpr)


def test_the_same_program_written_twice():
    assert of(lambda x: fnp.sin(x) * 2, X) == of(lambda y: (lambda z: z * 2)(fnp.sin(y)), X)


DIFFERENT = [
    lambda x: fnp.sin(x) * 2,
    lambda x: fnp.sin(x) * 3,
    lambda x: fnp.sin(x) * np.float32(2.0000002),
    lambda x: fnp.sin(x) * -2,
    lambda x: fnp.cos(x) * 2,
    lambda x: x * fnp.sin(x),
    lambda x: x + 0.0,
    lambda x: x + -0.0,
    lambda x: x + np.inf,
    lambda x: x + np.nan,
    lambda x: x.sum(0),
    lambda x: x.sum(1),
    lambda x: (x, fnp.sin(x)),
    lambda x: (fnp.sin(x), x),
    lambda x: x.astype(np.float64),
    lambda x: x.astype(np.int32),
    lambda x: lax.scan(lambda c, _: (c * 2, None), x, None, length=3)[0],
    lambda x: lax.scan(lambda c, _: (c * 2, None), x, None, length=4)[0],
    lambda x: lax.scan(lambda c, _: (c * 3, None), x, None, length=3)[0],
    lambda x: x.reshape(3, 4),
    lambda x: x.reshape(2, 6),
    lambda x: x[1:],
    lambda x: x[:-1],
]


def test_different_programs():
    found = [of(f, X) for f in DIFFERENT]
    assert None not in found
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    "other", [X[:2], X.T, X.astype(np.float64), X.astype(np.int32), np.float32(1.0), 1.0]
)
def test_types_of_arguments(other):
    assert of(lambda x: x + 1, X) != of(lambda x: x + 1, other)


def test_inner_programs_and_users_rules():
    @fnad.custom_jvp
    def f(x):
        return fnp.sin(x)

    f.defjvp(lambda primals, tangents: (f(*primals), tangents[0]))
    inlined = of(lambda x: f(fnad.jit(lambda y: y * 2)(x)), X)
    assert inlined is not None
    assert inlined != of(lambda x: f(fnad.jit(lambda y: y * 3)(x)), X)


def test_names_of_functions_and_lines_do_not_matter():
    def one(x):
        return fnad.jit(lambda y: y * 2)(x)

    def other(x):
        def with_a_name(y):
            return y * 2

        return fnad.jit(with_a_name)(x)

    assert of(one, X) == of(other, X)


def test_primitives_of_users_have_none():
    own = elementwise("sin", "Not fnad's.", lambda b, x: b.cos(x), kinds="f", derivatives=[None])
    assert of(lambda x: own.bind(x), X) is None
    bare = Primitive("neg")
    bare.type_rule(lambda x: x)
    assert of(lambda x: bare.bind(x), X) is None


def test_fnads_own_primitives_have_one():
    params = nn.Dense(3, 2).init(fnad.random.key(0))

    def loss(params, x):
        return nn.softmax(nn.Dense(3, 2).apply(params, x)).sum()

    assert of(fnad.grad(loss), params, X) is not None
    assert of(lambda k: fnad.random.normal(k, (3,)), fnad.random.key(0)) is not None


_PROGRAM = """
import numpy as np, fnad, fnad.numpy as fnp
from fnad.core.fingerprint import fingerprint, source_fingerprint
f = lambda x: fnp.where(x > 0, fnp.sin(x) @ x.T, 1.5).sum(0)
print(fingerprint(fnad.make_jaxpr(fnad.grad(lambda x: f(x).sum()))(np.ones((3, 3))).jaxpr).hex())
print(source_fingerprint().hex())
"""


def test_every_process_finds_the_same():
    outs = {
        subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outs) == 1
    assert source_fingerprint().hex() in outs.pop()


def test_a_process_whose_files_were_edited_is_on_its_own(monkeypatch):
    compute = source_fingerprint.__wrapped__
    assert compute() == compute() == source_fingerprint()
    monkeypatch.setattr("fnad.core.fingerprint._LOADED", 0)
    assert len({compute(), compute(), source_fingerprint()}) == 3
