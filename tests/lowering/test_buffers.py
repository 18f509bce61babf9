"""Places of buffers in the arena."""

import numpy as np
import pytest

from fnad.lowering.buffers import ALIGNMENT, _place_large
from fnad.lowering.plan import Buffer

F32 = np.dtype(np.float32)


def placed_one_by_one(temps, intervals):
    """The largest first, each into the tightest gap between all that live at the same time."""
    offsets = {}
    for b in sorted(temps, key=lambda b: (-b.nbytes, b.number)):
        size = -(-b.nbytes // ALIGNMENT) * ALIGNMENT
        first, last = intervals[b.number]
        taken = np.zeros(1 << 16, bool)
        for other, offset in offsets.items():
            start, end = intervals[other]
            if start <= last and first <= end:
                nbytes = temps[other].nbytes
                taken[offset // ALIGNMENT : -(-(offset + nbytes) // ALIGNMENT)] = True
        edges = np.flatnonzero(np.diff(np.concatenate([[True], taken, [True]]).astype(int)))
        gaps = [(int(stop - start), int(start)) for start, stop in edges.reshape(-1, 2)]
        offsets[b.number] = ALIGNMENT * min(g for g in gaps if g[0] * ALIGNMENT >= size)[1]
    return offsets


@pytest.mark.parametrize("positions", [3, 30, 300])
@pytest.mark.parametrize("count", [1, 20, 200])
def test_buffers_lie_in_the_tightest_gaps(positions, count):
    rng = np.random.default_rng(positions + count)
    temps = [Buffer(k, (int(rng.integers(1, 2000)),), F32, "temp") for k in range(count)]
    intervals = {}
    for k in range(count):
        first = int(rng.integers(positions))
        intervals[k] = first, first + int(rng.integers(positions - first))
    offsets, arena = _place_large(temps, intervals)
    assert offsets == placed_one_by_one(temps, intervals)
    assert arena == max(offsets[b.number] + -(-b.nbytes // 64) * 64 for b in temps)
