"""Arrays of other libraries are read where they lie."""

import array

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp


class Column:
    """What pandas and pyarrow give: NumPy reads it by ``__array__``."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        if copy:
            return np.array(self.values, dtype)
        return np.asarray(self.values, dtype)


class Exporter:
    """An array that knows DLPack only."""

    def __init__(self, values):
        self.values = values

    def __dlpack__(self, **options):
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.values.__dlpack_device__()


@pytest.mark.parametrize("kind", [Column, Exporter, memoryview])
def test_memory_is_shared(kind):
    values = np.arange(6.0)
    other = kind(values)
    assert np.shares_memory(fnp.asarray(other), values)
    assert np.shares_memory(fnp.asarray(other, copy=False), values)
    assert not np.shares_memory(fnp.array(other), values)
    np.testing.assert_array_equal(fnp.sin(other), np.sin(values))


def test_python_arrays():
    np.testing.assert_array_equal(fnp.square(array.array("i", [1, 2, 3])), np.int32([1, 4, 9]))


def test_tensors_of_pytorch():
    torch = pytest.importorskip("torch")
    tensor = torch.arange(6.0).reshape(2, 3).T
    read = fnp.asarray(tensor)
    assert np.shares_memory(read, tensor.numpy())
    np.testing.assert_array_equal(fnad.jit(fnp.square)(read), tensor.numpy() ** 2)
    with pytest.raises(TypeError, match=r"Tensor cannot be read .*detach"):
        fnp.asarray(tensor.clone().requires_grad_())
    made = torch.from_dlpack(fnad.jit(fnp.square)(read))
    assert made.tolist() == [[0, 9], [1, 16], [4, 25]]


@pytest.mark.parametrize("transform", [fnad.jit, fnad.grad, fnad.vmap])
def test_transformed_functions_say_what_to_pass(transform):
    with pytest.raises(TypeError, match=r"Column.*fnp\.asarray\(x\)"):
        transform(lambda x: fnp.sum(x))(Column(np.arange(3.0)))


def test_columns_of_strings_are_refused():
    with pytest.raises(TypeError, match="dtype"):
        fnp.sin(Column(np.array(["a", "b"])))


def test_bfloat16_of_other_libraries():
    torch = pytest.importorskip("torch")
    bfloat16 = fnp.bfloat16
    tensor = torch.arange(6).reshape(2, 3).to(torch.bfloat16)
    for read in (fnp.from_dlpack(tensor), fnp.asarray(tensor), fnp.asarray(tensor, copy=False)):
        assert read.dtype == bfloat16
        tensor[0, 0] = tensor[0, 0] + 8  # the memory is shared
        np.testing.assert_array_equal(read.astype(np.float32), tensor.float().numpy())
    np.testing.assert_array_equal(fnp.from_dlpack(tensor[:, ::2]), np.asarray([[24, 2], [3, 5]]))
    copied = fnp.asarray(tensor, copy=True)
    tensor[0, 0] = 1
    assert copied[0, 0] == 24
    del tensor
    np.testing.assert_array_equal(read, [[1, 1, 2], [3, 4, 5]])
    with pytest.raises(TypeError, match=r"Tensor cannot be read .*detach"):
        fnp.asarray(torch.ones(2, dtype=torch.bfloat16, requires_grad=True))


def test_arrays_of_jax():
    jnp = pytest.importorskip("jax.numpy")
    x = jnp.arange(3, dtype=jnp.float32)
    np.testing.assert_array_equal(fnp.square(x), [0, 1, 4])
    np.testing.assert_array_equal(fnad.jit(lambda y: y * x)(np.ones(3)), [0, 1, 2])
    assert fnp.from_dlpack(x.astype(jnp.bfloat16)).dtype == fnp.bfloat16
    with pytest.raises(TypeError, match=r"fnp\.asarray\(x\)"):
        fnad.jit(fnp.square)(x)
    with pytest.raises(BufferError, match="float8_e4m3fn cannot be read"):
        fnp.from_dlpack(x.astype(jnp.float8_e4m3fn))


def test_masked_arrays_are_refused():
    masked = np.ma.array([1.0, 2.0, 4.0], mask=[0, 1, 0])
    square = fnad.jit(fnp.square)
    for _ in range(3):
        square(np.ones(3))  # compiled, and called natively
    for call in (
        lambda: fnp.sum(masked),
        lambda: square(masked),
        lambda: fnad.grad(fnp.sum)(masked),
        lambda: fnad.vmap(fnp.sin)(masked),
        lambda: fnad.jit(lambda x: x * masked)(np.ones(3)),
    ):
        with pytest.raises(TypeError, match="does not take masked arrays"):
            call()
