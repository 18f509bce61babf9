"""Compilations are explained, counted, bounded and forgotten."""

import gc
import warnings
import weakref

import numpy as np
import pytest

import fnad
from fnad.errors import RecompilationWarning
from fnad.testing import assert_no_recompile
from fnad.transforms import jit as jit_module


def warned(calls):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for call in calls:
            call()
    return [w for w in caught if w.category is RecompilationWarning]


def test_warns_once_at_the_third_compilation():
    def loss(params, x):
        return (params["w"] * x).sum()

    f = fnad.jit(loss)
    params = {"w": np.float32(2)}
    calls = [lambda n=n: f(params, np.ones(n, np.float32)) for n in (3, 3, 4, 4, 5, 6, 7)]
    assert not warned(calls[:4])
    found = warned(calls[4:])
    assert len(found) == 1
    text = str(found[0].message)
    assert "loss is compiled for new arguments:\n  x was f32[3], is f32[5]" in text
    assert found[0].filename == __file__


@pytest.mark.parametrize(
    "args, change",
    [
        (({"w": np.ones(3)}, 1.0), "params['w'] was f32[3], is f64[3]"),
        (({"w": np.ones((1, 3), np.float32)}, 1.0), "params['w'] was f32[3], is f32[1,3]"),
        (({"w": np.ones(3, np.float32)}, 1), "x was f64*[], is i64*[]"),
        (({"v": np.ones(3, np.float32)}, 1.0), "the structure was"),
    ],
)
def test_names_the_argument_that_changed(args, change):
    f = fnad.jit(lambda params, x: next(iter(params.values())) * x)
    f({"w": np.ones(3, np.float32)}, 1.0)
    with pytest.raises(AssertionError) as error, assert_no_recompile():
        f(*args)
    assert change in str(error.value)


@pytest.mark.filterwarnings("ignore::fnad.errors.RecompilationWarning")
def test_names_the_static_value_that_changed():
    f = fnad.jit(lambda x, n, *, mode="a": x * n, static_argnums=1, static_argnames="mode")
    f(1.0, 2)
    with pytest.raises(AssertionError, match="static n was 2, is 3"), assert_no_recompile():
        f(1.0, 3)
    with (
        pytest.raises(AssertionError, match="static mode was not given, is 'b'"),
        assert_no_recompile(),
    ):
        f(1.0, 3, mode="b")
    with pytest.raises(AssertionError, match=r"static n was 3, is 3\.0"), assert_no_recompile():
        f(1.0, 3.0, mode="b")


def test_assert_no_recompile_lets_the_rest_pass():
    f = fnad.jit(lambda x: x + 1)
    f(1.0)
    with assert_no_recompile():
        for _ in range(5):
            f(2.0)
    with pytest.raises(ValueError, match="mine"), assert_no_recompile():
        raise ValueError("mine")
    with pytest.raises(AssertionError, match="compiled for the first time"), assert_no_recompile():
        fnad.jit(lambda x: x + 2)(1.0)


def test_new_functions_do_not_warn():
    assert not warned([lambda i=i: fnad.jit(lambda x: x * i)(1.0) for i in range(5)])


@pytest.mark.filterwarnings("ignore::fnad.errors.RecompilationWarning")
def test_the_cache_is_bounded(monkeypatch):
    monkeypatch.setattr(jit_module, "MAX_PROGRAMS", 5)
    traces = []

    @fnad.jit
    def f(x):
        traces.append(x.shape)
        return x.sum()

    for n in range(1, 21):
        for _ in range(2):
            assert f(np.ones(n)) == n
        assert len(f._programs._by_key) <= 5
    assert len(traces) == 20
    assert f(np.ones(20)) == 20 and f(np.ones(17)) == 17 and len(traces) == 20
    f.clear_signatures()
    assert f(np.ones(3)) == 3 and len(traces) == 21  # was forgotten, is compiled again


@pytest.mark.filterwarnings("ignore::fnad.errors.RecompilationWarning")
def test_forgotten_programs_die_without_the_collector(monkeypatch):
    monkeypatch.setattr(jit_module, "MAX_PROGRAMS", 2)
    f = fnad.jit(lambda x: (x * 2).sum())
    gc.collect()
    gc.disable()
    try:
        refs = []
        for n in range(1, 8):
            f(np.ones(n))
            f(np.ones(n))
            program = list(f._programs._by_key.values())[-1]
            refs.append(weakref.ref(fnad.lowering.compile_jaxpr(program.jaxpr)))
        del program
        f.clear_signatures()
        assert [r() is not None for r in refs] == [False] * 5 + [True] * 2
    finally:
        gc.enable()
