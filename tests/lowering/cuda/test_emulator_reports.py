"""Misuse of the emulated device: an exception that names the kernel, the block, the thread."""

import numpy as np
import pytest

from tests.cuda_emulator import (
    CompileError,
    EmulatedDevice,
    KernelError,
    LaunchError,
    needs_emulator,
)
from tests.lowering.cuda.launching import run, zeros

pytestmark = needs_emulator

SEEDS = [0, 1, 2]


def failure(source, args, **options):
    with pytest.raises(KernelError) as caught:
        run(source, args, **options)
    return str(caught.value)


def test_barrier_that_others_do_not_reach():
    source = """
    extern "C" __global__ void k(int *x) {
      if (threadIdx.x < 40) __syncthreads();
      else x[0] = __shfl_sync(0xffffffffu, 1, 0);
    }
    """
    message = failure(source, [zeros(1)], block=(64, 1, 1))
    assert "kernel 'k': deadlock in block (0, 0, 0), thread" in message
    assert "40 threads wait at the barrier of line 3, the first is (0, 0, 0)" in message
    assert "24 threads wait in __shfl_*_sync of line 4 for the lanes 0xffffffff" in message
    assert "line 3: if (threadIdx.x < 40) __syncthreads();" in message


def test_barriers_of_two_branches():
    source = """
    extern "C" __global__ void k() {
      if (threadIdx.x % 2)
        __syncthreads();
      else
        __syncthreads();
    }
    """
    assert "it reaches the one of line 4, while others wait at that of line 6" in failure(
        source, []
    )


def test_shuffle_that_does_not_name_its_caller():
    source = """
    extern "C" __global__ void k(int *x) { x[0] = __shfl_sync(1u, 1, 0); }
    """
    message = failure(source, [zeros(1)], grid=(2, 1, 1))
    assert "block (0, 0, 0), thread (1, 0, 0), lane 1" in message
    assert "the mask does not name the calling lane 1" in message


def test_shuffle_with_lanes_that_do_not_come():
    source = """
    extern "C" __global__ void k(int *x) {
      if (threadIdx.x < 16) x[0] = __shfl_sync(0xffffffffu, 1, 0);
      __syncthreads();
    }
    """
    assert "16 threads wait in __shfl_*_sync of line 3" in failure(source, [zeros(1)])


@pytest.mark.parametrize("threads", [48, 16])
def test_shuffle_that_reads_a_lane_that_is_not_there(threads):
    source = """
    extern "C" __global__ void k(int *x) { x[0] = __shfl_down_sync(0xffffffffu, 1, 8); }
    """
    assert "it reads lane 16, which does not take part" in failure(
        source, [zeros(1)], block=(threads, 1, 1)
    )


def test_two_operations_at_once():
    source = """
    extern "C" __global__ void k(int *x) {
      x[0] = threadIdx.x % 2 ? __any_sync(~0u, 1) : __all_sync(~0u, 1);
    }
    """
    assert "waits in another operation" in failure(source, [zeros(1)])


@pytest.mark.parametrize("threads", [(1025, 1, 1), (32, 33, 1), (1, 1, 65), (0, 1, 1)])
def test_too_large_blocks(threads):
    with pytest.raises(LaunchError, match="kernel 'k' launched with"):
        run('extern "C" __global__ void k() {}', [], block=threads)


def test_launch_bounds():
    source = 'extern "C" __global__ void __launch_bounds__(64, 2) k() {}'
    run(source, [], block=(64, 1, 1))
    with pytest.raises(LaunchError, match="65 threads a block, where 64 are allowed"):
        run(source, [], block=(65, 1, 1))


@pytest.mark.parametrize("grid", [(2**31, 1, 1), (1, 65536, 1), (1, 0, 1)])
def test_too_large_grids(grid):
    with pytest.raises(LaunchError, match="a grid of"):
        run('extern "C" __global__ void k() {}', [], grid=grid)


def test_too_much_shared_memory():
    def source(count):
        declaration = f"__shared__ char x[{count}];"
        return f"""
        extern "C" __global__ void k(char *out) {{ {declaration} x[*out] = 1; *out = x[1]; }}
        """

    out = zeros(1, np.int8)
    with pytest.raises(LaunchError, match="49153 bytes of static shared memory"):
        run(source(48 * 1024 + 1), [out])
    run(source(1024), [out], block=(1, 1, 1), shared_bytes=226 * 1024)
    with pytest.raises(LaunchError, match="bytes of shared memory, beyond 232448"):
        run(source(1024), [out], shared_bytes=226 * 1024 + 1)


def test_static_shared_memory_is_counted_by_kernel():
    source = """
    __device__ int helper(int *x) { __shared__ int h[4]; h[x[0]] = 1; return h[x[1]]; }
    extern "C" __global__ void k(int *x) { __shared__ int t[10]; t[*x] = 2; x[0] = t[1]; }
    extern "C" __global__ void l(int *x) {
      __shared__ int t[30];
      t[*x] = helper(x);
      x[0] = t[1];
    }
    """
    kernels = EmulatedDevice().module(source).kernels
    assert (kernels["k"].shared_bytes, kernels["l"].shared_bytes) == (56, 136)


def test_wrong_number_of_arguments():
    source = 'extern "C" __global__ void k(int *x /* out */, long long n) {}'
    with pytest.raises(LaunchError, match="1 arguments, where it takes 2"):
        run(source, [0])
    with pytest.raises(LaunchError, match="no kernel 'l': the module has k"):
        run(source, [0, 0], name="l")


@pytest.mark.parametrize("index", [-1, 5, 40, 10**6, 2**40])
def test_writes_beyond_a_buffer(index):
    source = 'extern "C" __global__ void k(int *x, long long i) { x[i] = 1; }'
    message = failure(source, [zeros(5), index], block=(1, 1, 1))
    if abs(index) <= 10**6:
        assert f"{4 * index} bytes from the start of an allocation of 20 bytes" in message
    else:
        assert "illegal access in block (0, 0, 0), thread (0, 0, 0)" in message
    if abs(index) >= 10**6:
        assert "at line 1" in message


def test_reads_beyond_a_buffer():
    source = 'extern "C" __global__ void k(float *x, long long i) { x[0] = x[i]; }'
    (out,) = run(source, [zeros(5, np.float32), 5], block=(1, 1, 1))
    assert np.isnan(out[0])
    assert "illegal access" in failure(source, [zeros(5, np.float32), 70], block=(1, 1, 1))


@pytest.mark.parametrize("index", [-1, 4, 100, 10**5])
def test_accesses_beyond_dynamic_shared_memory(index):
    source = """
    extern "C" __global__ void k(long long i) {
      extern __shared__ char x[];
      x[i] = 1;
    }
    """
    message = failure(source, [index], block=(1, 1, 1), shared_bytes=4)
    assert "of dynamic shared memory" in message


def test_index_beyond_an_array():
    source = """
    extern "C" __global__ void k(float *x, long long i) {
      __shared__ float tile[8][33];
      tile[threadIdx.x][i] = 1;
      x[0] = tile[0][0];
    }
    """
    message = failure(source, [zeros(1, np.float32), 33], block=(1, 1, 1))
    assert "index 33 beyond the bounds of an array in line 4" in message


@pytest.mark.parametrize(
    "statement, expected",
    [
        ("*(float4 *)(x + 1) = make_float4(0, 0, 0, 0)", "misaligned address"),
        ("x[0] = 7 / n", "integer division by zero"),
        ("x[0] = 1 << (n + 32)", "shift by 32 bits"),
        ("x[0] = (int)(1e30 + n)", "conversion of a number to an integer"),
        ("__trap()", "__trap()"),
    ],
)
def test_undefined_behaviour(statement, expected):
    source = f'extern "C" __global__ void k(int *x, long long n) {{\n{statement};\n}}'
    message = failure(source, [zeros(8), 0])
    assert expected in message
    assert "line 2" in message
    assert "block (0, 0, 0), thread (0, 0, 0)" in message


def test_local_variables_beyond_the_stack():
    source = """
    extern "C" __global__ void k(int *x, long long n) {
      volatile int local[1 << 20];
      for (int i = 0; i < 1 << 20; i += 16) local[(1 << 20) - 1 - i] = i;
      x[0] = local[n];
    }
    """
    message = failure(source, [zeros(1), 0])
    assert "stack overflow" in message
    assert "at line 4\n" in message


def test_kernels_that_do_not_end():
    source = """
    extern "C" __global__ void k(volatile int *flag) {
      if (threadIdx.x == 0) while (*flag == 0) {}
      if (threadIdx.x == 1) *flag = 1;
    }
    """
    device = EmulatedDevice(time_limit=1)
    flag = device.array(zeros(1))
    with pytest.raises(KernelError, match=r"not done after 1 seconds(.|\n)*line 3: if"):
        device.launch(device.module(source), "k", (1, 1, 1), (2, 1, 1), 0, [flag.address])


def test_errors_of_the_compiler():
    with pytest.raises(CompileError, match=r"nonsense.*not declared"):
        EmulatedDevice().module('extern "C" __global__ void k() { nonsense(); }')
    with pytest.raises(CompileError, match="undefined symbol"):
        EmulatedDevice().module(
            'extern "C" void nowhere(); extern "C" __global__ void k() { nowhere(); }'
        )


@pytest.mark.parametrize("seed", SEEDS)
def test_the_device_works_on_after_a_failure(seed):
    bad = """
    extern "C" __global__ void k() { if (threadIdx.x < 9) __syncthreads(); else __trap(); }
    """
    good = """
    extern "C" __global__ void k(int *x) {
      int before = x[threadIdx.x ^ 1];
      __syncthreads();
      x[threadIdx.x] = before;
    }
    """
    failure(bad, [], seed=seed)
    (out,) = run(good, [np.arange(32, dtype=np.int32)], seed=seed)
    np.testing.assert_array_equal(out, np.arange(32) ^ 1)
