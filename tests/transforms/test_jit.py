"""The user's jit: signatures, static arguments, closures, stages, methods."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import fnad.numpy as fnp
from fnad.transforms.autodiff import grad
from fnad.transforms.jit import jit
from fnad.transforms.tracing import make_jaxpr
from fnad.transforms.vmap import vmap


def counted(f):
    calls = []

    def g(*args, **kwargs):
        calls.append(1)
        return f(*args, **kwargs)

    g.calls = calls
    return g


def test_traces_once_a_signature():
    f = counted(lambda x: x * 2)
    g = jit(f)
    x = np.arange(3.0)
    np.testing.assert_array_equal(g(x), 2 * x)
    np.testing.assert_array_equal(g(x + 1), 2 * x + 2)
    assert len(f.calls) == 1
    g(x.astype(np.float32))
    g(np.ones((2, 2)))
    g(1.0)  # a weak scalar is another signature than a strong one
    g(np.float64(1.0))
    assert len(f.calls) == 5


def test_pytrees_in_and_out():
    out = jit(lambda d, *, k: {"s": d["a"] + k, "t": (d["b"], None)})({"a": 1.0, "b": 2}, k=3)
    assert out["s"] == 4.0 and out["t"] == (2, None)


def test_static_arguments_by_position_and_name():
    @jit
    def plain(x):
        return x

    assert plain.__name__ == "plain"
    f = counted(lambda x, n: x**n if n > 1 else x)
    g = jit(lambda x, n: f(x, n), static_argnames="n")
    assert g(3.0, 2) == 9.0 and g(3.0, n=2) == 9.0 and g(3.0, 1) == 3.0
    h = jit(lambda x, flag: x + 1 if flag is True else x - 1, static_argnums=1)
    assert h(1.0, True) == 2.0
    assert h(1.0, 1) == 0.0  # equal to True, but another value


def test_unhashable_static_argument():
    f = jit(lambda x, n: x, static_argnames=("n",))
    with pytest.raises(ValueError, match="static argument 'n' must be hashable, got list"):
        f(1.0, n=[1])
    with pytest.raises(ValueError, match="static argument number 1 must be hashable"):
        f(1.0, [1])


def test_unknown_static_name():
    with pytest.raises(ValueError, match="no such argument"):
        jit(lambda x: x, static_argnames="m")


def test_not_an_array():
    with pytest.raises(TypeError, match=r"argument at \[0\]\['a'\] is not an array.*static_arg"):
        jit(lambda d: d)({"a": "text"})
    with pytest.raises(TypeError, match="returned 'text' of type str"):
        jit(lambda x: "text")(1.0)


def test_closed_over_arrays_are_snapshots():
    w = np.ones(3)
    f = jit(lambda x: x * w)
    f(np.ones(3))
    w[:] = 5
    np.testing.assert_array_equal(f(np.ones(3)), np.ones(3))


def test_closed_over_tracers():
    def f(x):
        return jit(lambda y: y * x)(2.0)

    assert grad(f)(3.0) == 2.0
    np.testing.assert_array_equal(vmap(f)(np.arange(3.0)), [0, 2, 4])
    g = jit(lambda y: y)

    def twice(x):
        return jit(lambda y: y * x + g(y))(x)

    assert grad(twice)(3.0) == 7.0


def test_inputs_are_neither_changed_nor_returned():
    x = np.ones(3)
    y = jit(lambda x: x, donate_argnums=0)(x)
    y[:] = 2
    np.testing.assert_array_equal(x, np.ones(3))


def test_constant_results():
    assert jit(lambda x: (1, x))(2.0) == (1, 2.0)


def test_decorator_with_arguments_and_methods():
    class Model:
        @staticmethod
        @jit
        def double(x):
            return 2 * x

    assert Model.double(2.0) == 4.0

    @jit(static_argnums=(0,))
    def power(n, x):
        """Doc."""
        return x**n

    assert power(3, 2.0) == 8.0 and power.__doc__ == "Doc."


def test_bound_method_with_static_self():
    class Scaler:
        def __init__(self, s):
            self.s = s

        def f(self, x):
            return self.s * x

    Scaler.f = jit(Scaler.f, static_argnums=0)
    assert Scaler(3.0).f(2.0) == 6.0 and Scaler(4.0).f(2.0) == 8.0


def test_printed_as_an_equation_with_its_name():
    @jit
    def inner(x):
        return fnp.sin(x)

    text = str(make_jaxpr(lambda x: inner(x) + 1)(np.float32(1)))
    assert "jit[" in text and "name=inner" in text
    assert "name=inner" in str(make_jaxpr(grad(inner))(np.float32(1)))


def test_known_results_are_not_computed_again_in_the_backward_pass():
    @jit
    def f(x):
        return fnp.exp(fnp.sin(x))

    text = str(make_jaxpr(grad(f))(1.0))
    assert text.count("= exp ") == 1 and text.count("= sin ") == 1


@pytest.mark.parametrize("stage", ["jaxpr", "simplified", "plan", "llvm", "asm"])
def test_every_stage_has_a_text(stage):
    assert jit(lambda x: fnp.sin(x) + 1).lower(np.ones(3)).as_text(stage)


def test_lower_and_compile():
    lowered = jit(lambda x, n: x * n, static_argnums=1).lower(np.ones(3), 2)
    compiled = lowered.compile()
    np.testing.assert_array_equal(compiled(np.arange(3.0)), [0, 2, 4])
    with pytest.raises(TypeError, match="compiled for arguments of types"):
        compiled(np.arange(4.0))


def test_jit_written_again_compiles_nothing_again():
    traces = []

    def f(x, n=1):
        traces.append(n)
        return x * n

    for _ in range(3):
        assert jit(f)(np.float32(2)) == 2
    assert traces == [1]
    # Other static arguments make other programs, though the cache is the same.
    for _ in range(2):
        assert jit(f, static_argnums=1)(np.float32(2), 3) == 6
    assert jit(f)(np.float32(2), 3) == 6
    assert len(traces) == 3 and traces[:2] == [1, 3]


@jit
def by_name(x):
    return x + 1


def test_copied_and_pickled_as_functions_are():
    by_name(1.0)
    assert copy.copy(by_name) is by_name and copy.deepcopy([by_name])[0] is by_name
    assert pickle.loads(pickle.dumps(by_name)) is by_name
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(jit(lambda x: x))


def test_the_cache_keeps_no_function_alive():
    def f(x):
        return x + 1

    jit(f)(1.0)
    alive = weakref.ref(f)
    del f
    gc.collect()
    assert alive() is None
