"""Promotion: NumPy's answers, and JAX's for bfloat16, for which NumPy has none."""

import numpy as np
import pytest

import fnad.numpy as fnp
from fnad.core.dtypes import canonical_dtype, result_type
from fnad.core.types import BFLOAT16, aval_of, computing_dtype, kind_of, short_dtype

# What JAX 0.10 answers for bfloat16 and another dtype, with 64 bits enabled.
WITH_BFLOAT16 = {
    "bool": "bfloat16", "int8": "bfloat16", "int16": "bfloat16", "int32": "bfloat16",
    "int64": "bfloat16", "uint8": "bfloat16", "uint16": "bfloat16", "uint32": "bfloat16",
    "uint64": "bfloat16", "bfloat16": "bfloat16", "float16": "float32", "float32": "float32",
    "float64": "float64", "complex64": "complex64", "complex128": "complex128",
}  # fmt: skip


@pytest.mark.parametrize("other", WITH_BFLOAT16)
def test_bfloat16_promotes_as_in_jax(other):
    want = np.dtype(WITH_BFLOAT16[other])
    assert result_type(BFLOAT16, other) == result_type(other, "bfloat16") == want
    assert fnp.promote_types(other, BFLOAT16) == want
    x, y = np.ones(2, BFLOAT16), np.ones(2, other)
    assert fnp.add(x, y).dtype == fnp.concatenate([y, x]).dtype == want


def test_python_numbers_take_bfloat16():
    x = np.ones(2, BFLOAT16)
    assert result_type(x, True) == result_type(x, 1) == result_type(x, 1.0) == BFLOAT16
    assert result_type(x, 1j) == np.complex64
    assert fnp.multiply(x, 2.5).dtype == fnp.power(x, 2).dtype == BFLOAT16
    assert result_type(np.float16(1), x, 1.0) == np.float32


def test_bfloat16_is_known_as_a_floating_dtype():
    assert canonical_dtype(fnp.bfloat16) is canonical_dtype("bfloat16") is BFLOAT16
    assert kind_of(BFLOAT16) == "f" and kind_of(np.dtype("V2")) == "V"
    assert computing_dtype(BFLOAT16) == computing_dtype(np.dtype(np.float16)) == np.float32
    assert short_dtype(BFLOAT16) == "bf16"
    assert aval_of(fnp.bfloat16(1)) is aval_of(np.zeros((), BFLOAT16))
    assert fnp.issubdtype(fnp.bfloat16, fnp.floating)
    assert not fnp.issubdtype(fnp.bfloat16, fnp.integer)
    assert float(fnp.finfo(fnp.bfloat16).eps) == 2.0**-7


def test_other_dtypes_of_two_bytes_are_refused():
    with pytest.raises(TypeError, match="not supported"):
        canonical_dtype("V2")
    with pytest.raises(TypeError, match="cannot be traced"):
        aval_of(np.zeros(2, "V2"))
