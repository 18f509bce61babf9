"""Races on the emulated device: found where they are, whatever the order, and not elsewhere."""

import numpy as np
import pytest

from tests.cuda_emulator import EmulatedDevice, KernelError, needs_emulator

pytestmark = needs_emulator


def run(body, grid=1, block=64, shared_bytes=0, seed=0, declarations=""):
    source = f"""
    {declarations}
    extern "C" __global__ void k(int *x, unsigned *done) {{
      int i = threadIdx.x, global = blockIdx.x * blockDim.x + i;
      {body}
    }}
    """
    device = EmulatedDevice(seed, races=True)
    x, done = device.array(np.zeros(1024, np.int32)), device.array(np.zeros(1, np.uint32))
    module = device.module(source)
    addresses = [x.address, done.address]
    device.launch(module, "k", (grid, 1, 1), (block, 1, 1), shared_bytes, addresses)
    device.launch(module, "k", (grid, 1, 1), (block, 1, 1), shared_bytes, addresses)
    return x.array(np.int32)


def race(body, **options):
    messages = []
    for seed in (0, 1):
        with pytest.raises(KernelError, match="race: ") as caught:
            run(body, seed=seed, **options)
        messages.append(str(caught.value))
    return messages[0]


TILE = "__shared__ int tile[64];"

RACES = {
    "a missing barrier": f"{TILE} tile[i] = i;\n x[i] = tile[63 - i];",
    "a barrier too late": f"{TILE} tile[i] = i; x[i] = tile[i ^ 1]; __syncthreads();",
    "a tile that is written again": f"""
        {TILE}
        for (int turn = 0; turn < 2; ++turn) {{
          tile[i] = turn;
          __syncthreads();
          x[i] = tile[63 - i];
        }}
        """,
    "everybody writes": "x[0] = i;",
    "across blocks": "x[i] = blockIdx.x;",
    "what another block wrote": "x[global] = 1; x[global + 512] = x[global ^ 64];",
    "plain and atomic": "if (i) atomicAdd(x, 1); else x[0] = 1;",
    "bytes of one word": "((char *)x)[i] = ((char *)x)[i ^ 1];",
    "part of a wider access": "if (i == 3) ((longlong2 *)x)[0] = {}; else x[8 + i] = x[i];",
    "dynamic shared memory": "extern __shared__ int t[]; t[i] = i; x[i] = t[i ^ 1];",
    "lanes in step": f"{TILE} tile[i] = i; x[i] = tile[i ^ 1];",
    "a shuffle of other lanes": f"""
        {TILE}
        tile[i] = i;
        __syncwarp(i % 32 < 16 ? 0xffffu : 0xffff0000u);
        x[i] = tile[i ^ 16];
        """,
    "another warp": f"{TILE} tile[i] = i; __syncwarp(); x[i] = tile[i ^ 32];",
    "a partial result without a fence": """
        __shared__ bool last;
        x[global] = i;
        __syncthreads();
        if (i == 0) last = atomicInc(done, gridDim.x - 1) == gridDim.x - 1;
        __syncthreads();
        if (last) x[512 + i] = x[i] + x[64 + i];
        """,
}

SAFE = {
    "barriers": f"{TILE} tile[i] = i; __syncthreads(); x[global] = tile[63 - i];",
    "a tile that is written again": f"""
        {TILE}
        for (int turn = 0; turn < 2; ++turn) {{
          tile[i] = turn;
          __syncthreads();
          x[global] = tile[63 - i];
          __syncthreads();
        }}
        """,
    "one warp": f"{TILE} tile[i] = i; __syncwarp(); x[global] = tile[i ^ 1];",
    "some lanes": f"""
        {TILE}
        tile[i] = i;
        __syncwarp(i % 32 < 16 ? 0xffffu : 0xffff0000u);
        x[global] = tile[i ^ 8];
        """,
    "a shuffle": f"{TILE} tile[i] = i; __shfl_sync(~0u, i, 0); x[global] = tile[i ^ 7];",
    "knowledge through a third lane": f"""
        {TILE}
        if (i < 2) {{ if (i == 0) tile[0] = 7; __syncwarp(3u); }}
        if (i == 1 || i == 2) {{ __syncwarp(6u); if (i == 2) x[global] = tile[0]; }}
        """,
    "atomics": "atomicAdd(x, i); atomicMax(x + 1, i); atomicCAS(done, 0u, 1u);",
    "one value from all": f"{TILE} tile[i / 32] = 5; __syncthreads(); x[global] = tile[i % 2];",
    "all read": "x[512 + global] = x[5];",
    "neighbouring bytes": "((char *)x)[global] = 1;",
    "partial results": """
        __shared__ bool last;
        x[global] = i;
        __threadfence();
        __syncthreads();
        if (i == 0) last = atomicInc(done, gridDim.x - 1) == gridDim.x - 1;
        __syncthreads();
        if (last) x[512 + i] = x[i] + x[64 + i];
        """,
}


@pytest.mark.parametrize("name", RACES)
def test_races_are_found(name):
    blocks = 2 if "block" in name or "partial" in name else 1
    race(RACES[name], grid=blocks, shared_bytes=256)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", SAFE)
def test_none_is_found_where_there_is_none(name, seed):
    run(SAFE[name], grid=2, shared_bytes=256, seed=seed)


def test_both_accesses_are_named():
    message = race(RACES["a missing barrier"])
    block = "block (0, 0, 0)"
    assert f"{block}, thread (32, 0, 0) writes in line 5 what {block}, thread (31, 0, 0)" in message
    assert "read in line 6, and nothing orders the two" in message
    assert "line 5: __shared__ int tile[64]; tile[i] = i;" in message
