"""CUDA's own compiler accepts what it should, and says what is wrong with the rest."""

import pytest

from tests.cuda_emulator import CompileError
from tests.cuda_emulator.toolchain import (
    ARCHITECTURES,
    Usage,
    check,
    needs_toolchain,
    supported,
    toolchain,
)

pytestmark = needs_toolchain

SOURCE = """
extern "C" __global__ void __launch_bounds__(256) total(float *out, const float *x, long long n) {
  __shared__ float tile[256];
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  tile[threadIdx.x] = i < n ? x[i] : 0;
  __syncthreads();
  for (int width = 128; width; width >>= 1) {
    if (threadIdx.x < width) tile[threadIdx.x] += tile[threadIdx.x + width];
    __syncthreads();
  }
  if (threadIdx.x == 0) atomicAdd(out, tile[0]);
}
extern "C" __global__ void nothing() {}
"""


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_machine_code_for_every_architecture(architecture):
    if architecture not in supported():
        pytest.skip(f"{toolchain().name} does not know {architecture}")
    usage = check(SOURCE, architecture)
    assert usage["total"].shared_bytes >= 1024
    assert 8 <= usage["total"].registers <= 255
    assert usage["nothing"].spilled_bytes == 0


@pytest.mark.parametrize("optimized", [True, False])
def test_an_error_shows_the_line(optimized):
    source = 'extern "C" __global__ void k(int *x) {\n  *x =\n    missing;\n}\n'
    with pytest.raises(CompileError, match=r'"missing" is undefined\n    line 3: missing;'):
        check(source, "sm_80", optimized)


@pytest.mark.parametrize("optimized", [True, False])
def test_a_warning_is_an_error(optimized):
    with pytest.raises(CompileError, match="division by zero"):
        check('extern "C" __global__ void k(int *x) { *x = 1 / 0; }', "sm_80", optimized)


def test_too_much_shared_memory():
    source = """
    extern "C" __global__ void k(int *x) { __shared__ int y[12289]; y[*x] = 1; *x = y[2]; }
    """
    with pytest.raises(CompileError, match="for sm_80"):
        check(source, "sm_80")


def test_spilled_registers_are_counted():
    source = """
    extern "C" __global__ void __launch_bounds__(1024, 2) k(double *x) {
      double y[64];
      for (int i = 0; i < 64; ++i) y[i] = x[64 * threadIdx.x + i];
      for (int turn = 0; turn < 3; ++turn)
        for (int i = 0; i < 64; ++i) y[i] = y[i] * y[(i + 7) % 64] + y[(i + 31) % 64];
      for (int i = 0; i < 64; ++i) x[64 * threadIdx.x + i] = y[i];
    }
    """
    usage = check(source, "sm_80")["k"]
    assert usage == Usage(32, 0, usage.spilled_bytes)
    assert usage.spilled_bytes > 0
