"""The namespace about itself, its dtypes and devices, and DLPack both ways."""

import ml_dtypes
import numpy as np
import pytest

import fnad
import fnad.numpy as fnp

FLOATS = ["float16", "float32", "float64", "complex64", "complex128"]
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
X = np.arange(6.0).reshape(2, 3)


def test_namespace_info():
    info = fnp.__array_namespace_info__()
    assert fnp.__array_api_version__ == "2025.12"
    assert info.default_device() in info.devices()
    assert info.capabilities()["data-dependent shapes"] is True
    for kind, dtype in info.default_dtypes().items():
        numbers = {"real floating": 1.0, "complex floating": 1j, "integral": 1, "indexing": 1}
        assert dtype == np.asarray(numbers[kind]).dtype
    assert info.dtypes(kind=("bool", "unsigned integer")).keys() == {
        "bool", "uint8", "uint16", "uint32", "uint64",
    }  # fmt: skip
    assert len(info.dtypes()) == 13
    assert info.dtypes(kind=()) == {}


@pytest.mark.parametrize("name", FLOATS)
def test_finfo_is_numpys(name):
    expected = np.finfo(name)
    for asked in (name, np.dtype(name), np.ones(2, name), np.dtype(name).type(1)):
        info = fnp.finfo(asked)
        assert info.dtype == expected.dtype
        for field in ("bits", "nmant", "nexp", "iexp", "machep", "negep", "minexp", "maxexp"):
            assert getattr(info, field) == getattr(expected, field), field
        for field in ("eps", "epsneg", "max", "min", "tiny", "smallest_subnormal", "resolution"):
            assert type(getattr(info, field)) is float
            assert getattr(info, field) == getattr(expected, field), field


def test_limits_of_traced_arrays_and_bfloat16():
    traced = fnad.jit(lambda x: x + fnp.finfo(x).eps)(np.float32(1))
    assert traced.dtype == np.float32 and traced == np.nextafter(np.float32(1), np.float32(2))
    info = fnp.finfo(fnp.bfloat16)
    assert info.eps == 2.0**-7 and info.max == float(ml_dtypes.finfo("bfloat16").max)
    with pytest.raises(ValueError, match=r"int32 is no floating dtype; use fnp\.iinfo"):
        fnp.finfo(np.int32)


@pytest.mark.parametrize("name", INTEGERS)
def test_iinfo(name):
    for asked in (name, np.ones(2, name)):
        info = fnp.iinfo(asked)
        expected = np.iinfo(name)
        assert (info.dtype, info.bits) == (expected.dtype, expected.bits)
        assert (info.min, info.max) == (expected.min, expected.max)
        assert type(info.max) is int
    with pytest.raises(ValueError, match=r"float64 is no integer dtype; use fnp\.finfo"):
        fnp.iinfo(1.0)


def test_can_cast_of_every_pair():
    for a in ["bool", *INTEGERS, *FLOATS]:
        for b in ["bool", *INTEGERS, *FLOATS]:
            assert fnp.can_cast(a, b) == np.can_cast(a, b)
            assert fnp.can_cast(np.ones(1, a), b, "same_kind") == np.can_cast(a, b, "same_kind")
    assert fnad.eval_shape(lambda x: x * fnp.can_cast(x, np.float32), X).dtype == np.float64


def test_isdtype():
    for name in ["bool", *INTEGERS, *FLOATS]:
        for kind in ["bool", "signed integer", "unsigned integer", "integral", "real floating",
                     "complex floating", "numeric", np.dtype("int8")]:  # fmt: skip
            assert fnp.isdtype(np.dtype(name), kind) == np.isdtype(np.dtype(name), kind)
    assert fnp.isdtype(fnp.bfloat16, ("bool", "numeric"))
    with pytest.raises(ValueError, match="'float' is none of 'bool', 'signed integer'"):
        fnp.isdtype(np.float32, "float")


MAKERS = {
    "zeros": lambda device: fnp.zeros(2, device=device),
    "ones": lambda device: fnp.ones(2, np.int32, device=device),
    "empty": lambda device: fnp.empty((0, 2), device=device),
    "full": lambda device: fnp.full((2,), 3, device=device),
    "full_like": lambda device: fnp.full_like(X, 3, device=device),
    "zeros_like": lambda device: fnp.zeros_like(X, device=device),
    "arange": lambda device: fnp.arange(3, device=device),
    "linspace": lambda device: fnp.linspace(0, 1, 3, device=device),
    "eye": lambda device: fnp.eye(2, device=device),
    "asarray": lambda device: fnp.asarray(X, device=device),
    "astype": lambda device: fnp.astype(X, np.int8, device=device),
}


@pytest.mark.parametrize("name", MAKERS)
def test_devices(name):
    expected = MAKERS[name](None)
    for got in (MAKERS[name]("cpu"), fnad.jit(lambda: MAKERS[name]("cpu"))()):
        np.testing.assert_array_equal(got, expected)
        assert got.dtype == expected.dtype
    with pytest.raises(ValueError, match="device must be None, 'cpu'"):
        MAKERS[name]("gpu")


def test_devices_of_traced_arrays():
    def program(x):
        return fnp.zeros(2, device=x.device) + x.to_device("cpu").to_device(x.device)

    np.testing.assert_array_equal(program(X[0, :2]), X[0, :2])
    np.testing.assert_array_equal(fnad.jit(program)(X[0, :2]), X[0, :2])
    with pytest.raises(ValueError, match="device must be None"):
        fnad.jit(lambda x: x.to_device("gpu"))(X)


def test_copies():
    assert fnp.asarray(np.float64(2), copy=False) == 2
    assert fnp.asarray(X) is X and fnp.asarray(X, copy=False) is X
    assert not np.shares_memory(fnp.asarray(X, copy=True), X)
    with pytest.raises(ValueError, match="copy"):
        fnp.asarray([1, 2], copy=False)
    assert np.shares_memory(fnp.reshape(X, 6, copy=False), X)
    assert not np.shares_memory(fnp.reshape(X, 6, copy=True), X)
    with pytest.raises(ValueError, match="copy"):
        fnp.reshape(X.T, 6, copy=False)
    assert np.shares_memory(fnp.astype(X, float, copy=False), X)
    assert not np.shares_memory(fnp.astype(X, float), X)
    np.testing.assert_array_equal(fnad.jit(lambda x: fnp.asarray(x, copy=True))(X), X)


def test_dlpack_from_and_to_pytorch():
    torch = pytest.importorskip("torch")
    theirs = torch.arange(3.0)
    ours = fnp.from_dlpack(theirs)
    theirs[0] = 7
    np.testing.assert_array_equal(ours, [7, 1, 2])
    np.testing.assert_array_equal(fnad.jit(lambda x: 2 * x)(ours), [14, 2, 4])
    made = fnad.jit(lambda x: 2 * x)(ours)
    assert torch.from_dlpack(made).data_ptr() == made.ctypes.data
    copied = fnp.from_dlpack(theirs, copy=True)
    assert not np.shares_memory(copied, ours)
    np.testing.assert_array_equal(copied, ours)


def test_dlpack_of_what_has_no_memory():
    np.testing.assert_array_equal(fnad.jit(fnp.from_dlpack)(X), X)
    with pytest.raises(fnad.errors.TracerArrayConversionError, match="has no memory"):
        fnad.jit(np.from_dlpack)(X)
    with pytest.raises(TypeError, match=r"list does not export its memory.*fnp\.asarray"):
        fnp.from_dlpack([1, 2])
