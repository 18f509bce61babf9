"""The emulated device itself: it computes what a GPU would."""

import numpy as np
import pytest

from tests.cuda_emulator import EmulatedDevice, needs_emulator
from tests.lowering.cuda.launching import run, zeros

pytestmark = needs_emulator

SEEDS = [0, 1, 2]


@pytest.mark.parametrize("seed", SEEDS)
def test_threads_of_a_grid_of_three_axes(seed):
    source = """
    extern "C" __global__ void k(int *out) {
      unsigned x = blockIdx.x * blockDim.x + threadIdx.x, width = gridDim.x * blockDim.x;
      unsigned y = blockIdx.y * blockDim.y + threadIdx.y, height = gridDim.y * blockDim.y;
      unsigned z = blockIdx.z * blockDim.z + threadIdx.z;
      out[(z * height + y) * width + x] = 10000 * z + 100 * y + x;
    }
    """
    (out,) = run(source, [zeros((8, 15, 14))], grid=(7, 3, 2), block=(2, 5, 4), seed=seed)
    z, y, x = np.indices(out.shape)
    np.testing.assert_array_equal(out, 10000 * z + 100 * y + x)


@pytest.mark.parametrize("seed", SEEDS)
def test_sum_in_shared_memory_by_barriers_and_shuffles(seed, rng):
    source = """
    extern "C" __global__ void __launch_bounds__(256) k(double *out, const double *x, long long n) {
      __shared__ double tile[256];
      double mine = 0;
      for (long long i = blockIdx.x * 256 + threadIdx.x; i < n; i += 256 * gridDim.x) mine += x[i];
      tile[threadIdx.x] = mine;
      __syncthreads();
      for (int width = 128; width >= 32; width >>= 1) {
        if (threadIdx.x < width) tile[threadIdx.x] += tile[threadIdx.x + width];
        __syncthreads();
      }
      if (threadIdx.x >= 32) return;
      mine = tile[threadIdx.x];
      for (int width = 16; width; width >>= 1) mine += __shfl_down_sync(0xffffffffu, mine, width);
      if (threadIdx.x == 0) atomicAdd(out, mine);
    }
    """
    x = rng.integers(-1000, 1000, 5000).astype(np.float64)
    out, _ = run(source, [zeros(1, np.float64), x, x.size], grid=(4, 1, 1), block=(256, 1, 1))
    assert out[0] == x.sum()


@pytest.mark.parametrize("seed", SEEDS)
def test_dynamic_shared_memory_reverses_a_block(seed):
    source = """
    extern "C" __global__ void k(long long *x) {
      extern __shared__ __align__(16) long long mirror[];
      mirror[threadIdx.x] = x[threadIdx.x];
      __syncthreads();
      x[threadIdx.x] = mirror[blockDim.x - 1 - threadIdx.x];
    }
    """
    x = np.arange(100)
    (out,) = run(source, [x], block=(100, 1, 1), shared_bytes=800, seed=seed)
    np.testing.assert_array_equal(out, x[::-1])


@pytest.mark.parametrize("dtype", ["i4", "u4", "i8", "u8", "f4", "f8"])
@pytest.mark.parametrize(
    "shuffle, source_of",
    [
        ("__shfl_sync(~0u, v, 5)", lambda i: 5),
        ("__shfl_sync(~0u, v, 9, 8)", lambda i: i // 8 * 8 + 1),
        ("__shfl_up_sync(~0u, v, 3)", lambda i: i - 3 if i >= 3 else i),
        ("__shfl_up_sync(~0u, v, 3, 8)", lambda i: i - 3 if i % 8 >= 3 else i),
        ("__shfl_down_sync(~0u, v, 4)", lambda i: i + 4 if i + 4 < 32 else i),
        ("__shfl_down_sync(~0u, v, 1, 4)", lambda i: i + 1 if i % 4 < 3 else i),
        ("__shfl_xor_sync(~0u, v, 16)", lambda i: i ^ 16),
        ("__shfl_xor_sync(~0u, v, 3, 4)", lambda i: i ^ 3),
    ],
)
def test_shuffles(shuffle, source_of, dtype):
    names = {"i4": "int", "u4": "unsigned", "i8": "long long", "u8": "unsigned long long"}
    name = {**names, "f4": "float", "f8": "double"}[dtype]
    source = f"""
    extern "C" __global__ void k({name} *x) {{
      int i = threadIdx.x + blockDim.x * threadIdx.y;
      {name} v = x[i];
      x[i] = {shuffle};
    }}
    """
    x = (np.arange(64) * 1.5 + 0.25).astype(dtype)
    if x.itemsize == 8:
        x *= np.array(2**40, dtype)  # the upper half must travel too
    expected = [x[i // 32 * 32 + source_of(i % 32)] for i in range(64)]
    (out,) = run(source, [x], block=(16, 4, 1), seed=3)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_divergent_lanes_meet_by_their_masks(seed):
    source = """
    extern "C" __global__ void k(int *out) {
      int lane = threadIdx.x, sum = lane;
      if (lane < 8) {
        for (int w = 4; w; w >>= 1) sum += __shfl_xor_sync(0x000000ffu, sum, w);
      } else if (lane % 2) {
        sum = __popc(__ballot_sync(0xaaaaaa00u, lane > 20));
      } else {
        sum = __reduce_max_sync(0x55555500u, lane);
      }
      __syncwarp();
      out[lane] = sum;
    }
    """
    (out,) = run(source, [zeros(32)], seed=seed)
    expected = [28 if i < 8 else 6 if i % 2 else 30 for i in range(32)]
    np.testing.assert_array_equal(out, expected)


def test_votes_and_reductions():
    source = """
    extern "C" __global__ void k(unsigned *out, const int *x) {
      int v = x[threadIdx.x];
      unsigned *o = out + 16 * threadIdx.x, all = 0xffffffffu;
      o[0] = __ballot_sync(all, v > 0);
      o[1] = __any_sync(all, v == 7);
      o[2] = __any_sync(all, v == 1000);
      o[3] = __all_sync(all, v < 100);
      o[4] = __all_sync(all, v > 0);
      o[5] = __reduce_add_sync(all, v);
      o[6] = __reduce_min_sync(all, v);
      o[7] = __reduce_max_sync(all, v);
      o[8] = __reduce_min_sync(all, (unsigned)v);
      o[9] = __reduce_max_sync(all, (unsigned)v);
      o[10] = __reduce_and_sync(all, (unsigned)v | 64);
      o[11] = __reduce_or_sync(all, (unsigned)v & 15);
      o[12] = __reduce_xor_sync(all, (unsigned)v);
      o[13] = __match_any_sync(all, v & 3);
      o[14] = __activemask() >> threadIdx.x;
      o[15] = warpSize;
    }
    """
    x = (np.arange(32, dtype=np.int32) * 5 - 40).astype(np.int32)
    out, _ = run(source, [zeros((32, 16), np.uint32), x], seed=4)
    u = x.view(np.uint32)
    bits = np.uint32(1) << np.arange(32, dtype=np.uint32)
    for lane in range(32):
        expected = [
            bits[x > 0].sum(),
            (x == 7).any(),
            False,
            False,
            (x > 0).all(),
            x.sum(dtype=np.int32),
            x.min(),
            x.max(),
            u.min(),
            u.max(),
            np.bitwise_and.reduce(u | 64),
            np.bitwise_or.reduce(u & 15),
            np.bitwise_xor.reduce(u),
            bits[(x & 3) == (x[lane] & 3)].sum(),
            1,
            32,
        ]
        np.testing.assert_array_equal(out[lane], np.array(expected).astype(np.uint32))


@pytest.mark.parametrize("seed", SEEDS)
def test_barriers_that_count(seed):
    source = """
    extern "C" __global__ void k(int *out) {
      int i = threadIdx.x;
      int count = __syncthreads_count(i % 3 == 0), some = __syncthreads_or(i == 77);
      int every = __syncthreads_and(i < 99), none = __syncthreads_or(i > 100);
      out[i] = count * 1000 + some * 100 + every * 10 + none + __syncthreads_and(5);
    }
    """
    (out,) = run(source, [zeros(100)], block=(100, 1, 1), seed=seed)
    np.testing.assert_array_equal(out, 34101)


@pytest.mark.parametrize("seed", SEEDS)
def test_atomics(seed):
    source = """
    extern "C" __global__ void k(int *i, unsigned long long *u, float *f, double *d) {
      int t = blockIdx.x * blockDim.x + threadIdx.x;
      atomicAdd(&i[0], t);
      atomicMin(&i[1], 5 - t);
      atomicMax(&i[2], t);
      atomicOr(&i[3], 1 << t % 31);
      atomicXor(&i[4], t);
      atomicAnd(&i[5], ~(1 << t % 5));
      atomicSub(&i[6], t);
      for (int seen = i[7], old = -1; old != seen;) {
        old = seen;
        seen = atomicCAS(&i[7], old, old + 2);
      }
      atomicAdd(u, 1ull << 33);
      atomicMax(u + 1, (unsigned long long)t << 40);
      atomicExch(u + 2, 9ull);
      atomicAdd(f, 0.5f);
      atomicAdd(d, 0.25);
      __threadfence();
    }
    """
    i = np.array([0, 0, 0, 0, 0, -1, 0, 0], np.int32)
    arrays = [i, zeros(3, np.uint64), zeros(1, np.float32), zeros(1, np.float64)]
    i, u, f, d = run(source, arrays, grid=(3, 1, 1), block=(40, 1, 1), seed=seed)
    t = np.arange(120)
    xor = np.bitwise_xor.reduce(t)
    np.testing.assert_array_equal(i, [t.sum(), -114, 119, 2**31 - 1, xor, -32, -t.sum(), 240])
    np.testing.assert_array_equal(u, [120 << 33, 119 << 40, 9])
    assert (f[0], d[0]) == (60, 30)


def test_vectors_and_cached_accesses():
    source = """
    extern "C" __global__ void k(float4 *out, const float4 *x, ulonglong2 *u, ushort4 *s) {
      float4 v = __ldg(&x[threadIdx.x]);
      __stcs(&out[threadIdx.x], make_float4(v.w, v.z, v.y, v.x));
      u[threadIdx.x] = make_ulonglong2(threadIdx.x, ~0ull);
      s[threadIdx.x] = make_ushort4(1, 2, 3, 4);
    }
    """
    x = np.arange(16, dtype=np.float32).reshape(4, 4)
    arrays = [np.zeros_like(x), x, zeros((4, 2), np.uint64), zeros((4, 4), np.uint16)]
    out, _, u, s = run(source, arrays, block=(4, 1, 1))
    np.testing.assert_array_equal(out, x[:, ::-1])
    np.testing.assert_array_equal(u, [[i, 2**64 - 1] for i in range(4)])
    np.testing.assert_array_equal(s, [[1, 2, 3, 4]] * 4)


@pytest.mark.parametrize(
    "expression, expected",
    [
        ("__clz(1)", 31),
        ("__clz(0)", 32),
        ("__clzll(1ll << 40)", 23),
        ("__popc(0xf0f0u)", 8),
        ("__popcll(~0ull)", 64),
        ("__ffs(8)", 4),
        ("__ffsll(0)", 0),
        ("__brev(1u) == 0x80000000u", 1),
        ("__brevll(2ull) == 1ull << 62", 1),
        ("__byte_perm(0x33221100u, 0x77665544u, 0x7150u) == 0x77115500u", 1),
        ("__funnelshift_l(0x80000000u, 1u, 1) == 3u", 1),
        ("__funnelshift_r(0u, 1u, 1) == 0x80000000u", 1),
        ("__mulhi(-1, 2)", -1),
        ("__umulhi(~0u, ~0u) == ~0u - 1", 1),
        ("__mul64hi(-1ll, 2ll)", -1),
        ("__umul64hi(~0ull, 2ull)", 1),
        ("__float_as_int(1.0f) == 0x3f800000", 1),
        ("__longlong_as_double(__double_as_longlong(2.5)) == 2.5", 1),
        ("__hiloint2double(__double2hiint(-1.7), __double2loint(-1.7)) == -1.7", 1),
        ("__float2int_rz(-2.7f)", -2),
        ("__float2int_rn(2.5f)", 2),
        ("__float2int_rz(1e20f)", 2**31 - 1),
        ("__float2int_rz(__int_as_float(0x7fc00000))", 0),
        ("__float2uint_rz(-5.0f)", 0),
        ("__double2ll_rz(1e30)", 2**63 - 1),
        ("__double2int_rd(-0.5)", -1),
        ("min(3, -2)", -2),
        ("max(3u, 4u)", 4),
        ("min(1.0f, __int_as_float(0x7fc00000)) == 1.0f", 1),
        ("abs(-5ll)", 5),
        ("isnan(0.0 / blockIdx.x) && isinf(1.0f / blockIdx.x) && signbit(-0.0)", 1),
    ],
)
def test_intrinsics(expression, expected):
    source = f'extern "C" __global__ void k(long long *out) {{ *out = {expression}; }}'
    (out,) = run(source, [zeros(1, np.int64)], block=(1, 1, 1))
    assert out[0] == expected


def test_maths():
    mpmath = pytest.importorskip("mpmath")
    values = [0.3, 0.9, 1.7]
    functions = {
        "exp10": lambda x: mpmath.mpf(10) ** x,
        "rsqrt": lambda x: 1 / mpmath.sqrt(x),
        "rcbrt": lambda x: 1 / mpmath.cbrt(x),
        "sinpi": mpmath.sinpi,
        "cospi": mpmath.cospi,
        "tanpi": lambda x: mpmath.sinpi(x) / mpmath.cospi(x),
        "normcdf": mpmath.ncdf,
        "erfcx": lambda x: mpmath.exp(x * x) * mpmath.erfc(x),
        "erfcinv": lambda y: mpmath.erfinv(1 - y),
        "erfinv": lambda y: mpmath.erfinv(y) if abs(y) < 1 else mpmath.nan,
        "normcdfinv": lambda y: (
            mpmath.sqrt(2) * mpmath.erfinv(2 * y - 1) if 0 < y < 1 else mpmath.nan
        ),
        "cyl_bessel_i0": lambda x: mpmath.besseli(0, x),
        "cyl_bessel_i1": lambda x: mpmath.besseli(1, x),
        "lgamma": mpmath.loggamma,
        "expm1": mpmath.expm1,
    }
    lines = [
        f"out[{i}] = {name}(x[{j}]); single[{i}] = {name}((float)x[{j}]);"
        for i, (name, j) in enumerate((name, j) for name in functions for j in range(3))
    ]
    body = " ".join(lines)
    source = f"""
    extern "C" __global__ void k(double *out, float *single, const double *x) {{ {body} }}
    """
    shape = (len(functions), 3)
    arrays = [zeros(shape, np.float64), zeros(shape, np.float32), np.array(values)]
    out, single, _ = run(source, arrays, block=(1, 1, 1))
    with mpmath.workdps(40):
        exact = [[float(mpmath.re(f(mpmath.mpf(x)))) for x in values] for f in functions.values()]
        rounded = [mpmath.mpf(float(np.float32(x))) for x in values]
        exact_single = [[float(mpmath.re(f(x))) for x in rounded] for f in functions.values()]
    np.testing.assert_allclose(out, exact, rtol=1e-14)
    np.testing.assert_allclose(single, exact_single, rtol=5e-7)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_kernel_of_many_arguments(seed):
    names = [f"a{i}" for i in range(40)]
    parameters = ", ".join(f"long long {name}" for name in names)
    body = " ".join(f"out[{i}] = {name};" for i, name in enumerate(names))
    source = f'extern "C" __global__ void k(long long *out, {parameters}) {{ {body} }}'
    numbers = [-7 * i for i in range(40)]
    (out,) = run(source, [zeros(40, np.int64), *numbers], seed=seed)
    np.testing.assert_array_equal(out, numbers)


def test_races_show_by_the_seed():
    source = """
    extern "C" __global__ void k(int *out) {
      __shared__ int last;
      last = threadIdx.x;
      __syncthreads();
      out[threadIdx.x] = last;
    }
    """
    results = {int(run(source, [zeros(64)], block=(64, 1, 1), seed=s)[0][0]) for s in range(1, 9)}
    assert len(results) > 4


def test_a_missing_barrier_reads_nan():
    source = """
    extern "C" __global__ void k(float *out) {
      __shared__ float tile[64];
      tile[threadIdx.x] = 1;
      out[threadIdx.x] = tile[63 - threadIdx.x];
    }
    """
    (out,) = run(source, [zeros(64, np.float32)], block=(64, 1, 1))
    assert np.isnan(out).sum() == 32


def test_what_was_not_written_is_nan():
    device = EmulatedDevice()
    for dtype in (np.float16, np.float32, np.float64):
        assert np.isnan(device.empty(64).array(dtype)).all()
    assert device.empty(0).nbytes == 0


def test_shared_memory_is_forgotten_between_blocks():
    source = """
    extern "C" __global__ void k(float *out) {
      extern __shared__ float dynamic[];
      __shared__ float fixed;
      out[blockIdx.x] = fixed + dynamic[0];
      fixed = dynamic[0] = 1;
    }
    """
    (out,) = run(source, [zeros(3, np.float32)], (3, 1, 1), (1, 1, 1), shared_bytes=4)
    assert np.isnan(out).all()


def test_threads_that_have_ended_are_not_waited_for():
    source = """
    extern "C" __global__ void k(int *x) {
      if (threadIdx.x >= 20) return;
      __syncthreads();
      x[threadIdx.x] = __ballot_sync(0xffffffffu, 1);
    }
    """
    for seed in SEEDS:
        (out,) = run(source, [zeros(20)], block=(50, 1, 1), seed=seed)
        np.testing.assert_array_equal(out, 2**20 - 1)
