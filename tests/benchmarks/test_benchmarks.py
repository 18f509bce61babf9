"""The benchmarks measure what they say, and every workload runs in fnad as it does in JAX."""

import time

import numpy as np
import pytest

from benchmarks import workloads
from benchmarks.agreement import disagreement
from benchmarks.child import ChildError, call_in_child
from benchmarks.formatting import seconds_text, table
from benchmarks.measure import QUICK, Effort, compare, measure, summary
from benchmarks.options import Options
from benchmarks.peers import PEERS
from benchmarks.suites import run as run_suite
from benchmarks.workload import Program, Workload

SMALL = Workload("small", lambda v: Program(lambda x: x + 1, (np.ones(3),)), None, 0.0, "exact")


def test_times_are_those_of_one_call():
    timings = measure(
        {"short": lambda: time.sleep(0.001), "long": lambda: time.sleep(0.004)}, QUICK
    )
    assert 0.001 <= timings["short"].best <= timings["short"].median < 0.004
    assert timings["long"].median >= 0.004


def test_comparison_tells_small_differences():
    slow, fast = (lambda: time.sleep(0.0015)), (lambda: time.sleep(0.001))
    found = compare(slow, fast, Effort(0.001, 0.05, 5))
    assert 1.1 < found.lower <= found.ratio <= found.upper < 1.6
    assert found.ours.median > found.other.median
    assert found.ours.samples == found.other.samples >= 10


def test_summary_is_median_and_quartiles():
    timing = summary([5.0, 1.0, 2.0, 3.0, 4.0])
    assert (timing.best, timing.lower, timing.median, timing.upper) == (1.0, 2.0, 3.0, 4.0)
    assert timing.spread == pytest.approx(1 / 3)


def test_disagreement_is_relative_to_the_largest_value():
    ours = [np.array([100.0, 1.0])]
    assert disagreement(ours, [np.array([100.0, 1.05])], 1e-3) is None
    assert "result 0 differs by 1.0e-03" in disagreement(ours, [np.array([100.0, 1.1])], 9e-4)
    assert "nan" in disagreement(ours, [np.array([100.0, np.nan])], 1.0)
    assert "shape" in disagreement(ours, [np.ones(3)], 1.0)
    assert "1 results against 2" in disagreement(ours, ours + ours, 1.0)


def test_a_peer_that_disagrees_is_not_timed(tmp_path):
    peers = (PEERS["fnad"], _lying_peer())
    row = run_suite.measure_row(SMALL, Options(peers, True, False, "", tmp_path))
    assert list(row.times) == ["fnad"]
    assert "disagrees with fnad" in row.failures["liar"]


def _lying_peer():
    from benchmarks.peers import Peer

    return Peer("liar", lambda w: lambda: np.zeros(3), lambda x: [x], lambda: None)


def test_steps_hand_on_their_state():
    def step(count, by):
        return count + by, count

    workload = Workload("s", lambda v: Program(step, (np.ones(2), 2.0), 1), None, 0.0, "exact")
    run = PEERS["fnad"].prepare(workload)
    found = [PEERS["fnad"].leaves(run())[0][0] for _ in range(3)]
    assert found == [1.0, 3.0, 5.0]


def test_children_answer_or_say_why_not():
    assert call_in_child("benchmarks.formatting", "seconds_text", 0.002) == "2 ms"
    with pytest.raises(ChildError, match="TypeError"):
        call_in_child("benchmarks.formatting", "seconds_text", "two")


def test_text():
    assert [seconds_text(t) for t in (2.5, 0.0125, 3.5e-6, 2e-8)] == [
        "2.5 s",
        "12.5 ms",
        "3.5 us",
        "20 ns",
    ]
    assert table(["a", "bb"], [["ccc", "1"]]) == "a    bb\n-------\nccc   1"


def test_names_are_unique_and_found():
    names = [w.name for w in workloads.WORKLOADS]
    assert len(set(names)) == len(names)
    assert [w.name for w in workloads.find("CNN step")] == ["CNN step"]
    assert all("LSTM" in w.name for w in workloads.find("lstm"))


@pytest.mark.slow
@pytest.mark.parametrize("workload", workloads.WORKLOADS, ids=lambda w: w.name)
def test_workloads_agree_with_jax(workload):
    if reason := PEERS["jax"].missing():
        pytest.skip(reason)
    results = {}
    # Other tests of a process ask JAX for double precision, with which it draws other numbers.
    with pytest.importorskip("jax").enable_x64(False):
        for name in ("fnad", "jax"):
            run = PEERS[name].prepare(workload)
            results[name] = [leaf for _ in range(2) for leaf in PEERS[name].leaves(run())]
    assert disagreement(results["fnad"], results["jax"], workload.tolerance) is None
