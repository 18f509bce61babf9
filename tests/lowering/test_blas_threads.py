"""Programs of small products run BLAS on one thread and leave its setting as they found it."""

import ctypes
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.linalg import cython_blas

import fnad
from fnad.lowering import lower_jaxpr
from fnad.lowering.llvm import blas_threads


def openblas():
    library = ctypes.CDLL(cython_blas.__file__)
    try:
        return library.scipy_openblas_get_num_threads, library.scipy_openblas_set_num_threads
    except AttributeError:
        pytest.skip("SciPy brings another BLAS")


def plan_of(size):
    shape = fnad.ShapeDtypeStruct((size, size), np.float32)
    return lower_jaxpr(fnad.make_jaxpr(lambda a: a @ a)(shape).jaxpr)


def threads_within(plan):
    get, set_ = openblas()
    before, seen = get(), []
    set_(2)
    try:
        blas_threads.with_few_threads(plan, lambda table, arena: seen.append(get()))(None, None)
        return seen, get()
    finally:
        set_(before)


def test_small_products_get_one_thread():
    assert threads_within(plan_of(64)) == ([1], 2)


def test_large_products_get_all_threads():
    assert threads_within(plan_of(1024)) == ([2], 2)


def test_setting_survives_an_error_and_concurrent_programs():
    get, set_ = openblas()
    before = get()
    set_(2)
    try:
        step = fnad.jit(lambda a: a @ a)
        a = np.ones((64, 64), np.float32)
        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(lambda _: step(a), range(200)))
        assert all(np.array_equal(r, a @ a) for r in results)
        assert get() == 2

        def broken(table, arena):
            raise KeyError

        with pytest.raises(KeyError):
            blas_threads.with_few_threads(plan_of(64), broken)(None, None)
        assert get() == 2
    finally:
        set_(before)
