"""The suite for cards: its rows run on the emulated card, and what fails is said, not hidden."""

import dataclasses
import json
import sys

import numpy as np
import pytest

from benchmarks import plain_optax
from benchmarks.agreement import disagreement
from benchmarks.card import process
from benchmarks.card.measuring import measure_row
from benchmarks.card.peers import CARD_PEERS, CardPeer, Place
from benchmarks.card.report import CACHED, ratio, seconds_of, text_of
from benchmarks.card.rows import Aim, Row, rows
from benchmarks.card.worker import MARK, measured, seconds_of_first
from benchmarks.child import ChildError
from benchmarks.measure import Effort
from benchmarks.suites import cuda
from benchmarks.training import adam_step
from benchmarks.workload import LeftOutError, Program, Workload, fnad_vocabulary
from tests.cuda_emulator.cards import card_of
from tests.tiers import tiered

HOST = Place("cpu", np)
SHORT = Effort(0.0001, 0.001, 2)
TINY = {row.name: row for row in rows(tiny=True)}
RUN_ON_EMULATOR = [
    "softmax 4x24 gradient",
    "cross entropy 4x24",
    "sum over all 256 MB",
    "transpose to (2,0,1) 4x6x8",
    "scatter-add rows 16x8",
    "matmul 8 bfloat16",
    "matmul 8 tf32",
    "attention T=8 bfloat16 gradient",
]
OTHERS = [n for n, row in TINY.items() if not row.first and n not in RUN_ON_EMULATOR]


def peers(*names):
    """fnad, NumPy in CuPy's place, and those of the others that are installed."""
    return [CARD_PEERS[n] for n in names if n == "cupy" or CARD_PEERS[n].missing() is None]


def run_row(name):
    with card_of("emulated"):
        chosen = peers("fnad", "jax", "torch", "cupy")
        result = measure_row(TINY[name], chosen, HOST, SHORT)
    assert result.reason is None
    assert not result.reasons
    assert "fnad" in result.times
    copied = TINY[name].aims[0].against == "copy"
    assert ("copy (cupy)" in result.times) == copied
    assert ("copy (torch)" in result.times) == (copied and "torch" in result.times)
    for peer in chosen:
        has_version = TINY[name].cupy if peer.name == "cupy" else TINY[name].workload.torch
        if peer.name not in ("fnad", "jax") and has_version:
            assert peer.name in result.times
    return result


@tiered("name", RUN_ON_EMULATOR, lambda name: "gradient" not in name)
def test_rows_run_and_agree(name):
    run_row(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_all_other_rows_run_and_agree(name):
    run_row(name)


def test_bytes_are_those_of_arguments_and_results():
    result = run_row("softmax 4x24 gradient")
    assert result.nbytes == 3 * 4 * 24 * 4
    assert run_row("sum over all 256 MB").nbytes == (12 * 20 + 1) * 4


def test_first_calls():
    with card_of("emulated"):
        row = TINY["first call of MLP 4096-4096-4096-1000 step"]
        assert 0.01 < seconds_of_first(CARD_PEERS["fnad"], row, HOST) < 100


def test_rows_are_those_of_the_table():
    everything = rows()
    assert len({row.name for row in everything}) == len(everything)
    aims = {row.name: row.aims for row in everything}
    assert aims["softmax 16384x4096"] == (Aim("copy", 0.9), Aim("fastest", 1.0))
    assert aims["matmul 16384 bfloat16"] == (Aim("torch", 0.97),)
    assert aims["Lorenz 10k steps"] == (Aim("jax", 10.0),)
    assert {row.group for row in everything if row.quick} == {row.group for row in everything}


# -- what goes wrong ----------------------------------------------------------------------------


def peer(name, value):
    def prepare(workload, place):
        if isinstance(value, Exception):
            raise value
        return lambda: np.full(3, value)

    return CardPeer(name, prepare, lambda x, _: [x], lambda x, _: None, lambda: None)


ROW = Row(
    "streams",
    Workload("w", lambda v: Program(lambda x: x, (np.ones(3),)), None, 1e-6, "exact"),
    (Aim("copy", 0.9), Aim("fastest", 1.0)),
)


def test_fnad_is_compared_with_a_peer():
    result = measure_row(ROW, [peer("fnad", 2.0), peer("jax", 1.0)], HOST, SHORT)
    assert "fnad" not in result.times and "jax" in result.times
    assert "disagrees with jax: result 0 differs by 1.0e+00" in result.reasons["fnad"]


def test_one_failure_does_not_end_the_row():
    others = [peer("jax", ValueError("no memory")), peer("torch", LeftOutError("no such thing"))]
    result = measure_row(ROW, [peer("fnad", 1.0), *others], HOST, SHORT)
    assert "fnad" in result.times
    assert result.reasons == {"jax": "ValueError: no memory", "torch": "no such thing"}


def timing(seconds):
    return dict.fromkeys(("best", "median", "lower", "upper"), seconds) | {"samples": 1}


def test_text_has_no_figure_that_was_not_measured():
    first = dataclasses.replace(ROW, first=True, group="first calls", aims=(Aim("jax", 3.0),))
    times = {"fnad": 2e-3, "jax": 4e-3, "copy (cupy)": 1.9e-3, "copy (torch)": 3e-3}
    found = {
        "w": {
            "times": {name: timing(t) for name, t in times.items()},
            "reasons": {"torch": "no"},
            "nbytes": 8_000_000,
        },
        "first call of w": {"times": {}, "reasons": {}, "reason": "over 5 s"},
    }
    assert seconds_of(found["w"], "copy") == 1.9e-3
    assert ratio(found["w"], "fastest") == 2.0
    text = text_of([ROW, first], found, ["fnad", "jax", "torch"])
    line = next(line for line in text.splitlines() if line.startswith("w "))
    assert line.split() == [
        *("w", "2", "ms", "-", "4", "ms", "not", "measured", "1.9", "ms", "4", "GB/s"),
        *("copy", "0.95", "(0.9),", "fastest", "2.00", "(1)", "yes"),
    ]
    assert "first call of w  not measured" in text
    assert "first call of w: not measured: over 5 s" in text and "w, torch: no" in text
    assert CACHED in text


WORKER = """
import json, sys, time
names, _, _ = json.loads(sys.argv[-1])
for name in names:
    if name == "hangs":
        time.sleep(60)
    if name == "fails":
        sys.exit("a kernel failed")
    print({mark!r} + json.dumps({{"name": name, "times": {{}}}}), flush=True)
    if name == "last":
        break
"""


def run_worker(names, limit=lambda: 5.0):
    command = [sys.executable, "-c", WORKER.format(mark=MARK)]
    return list(process.measured_rows(names, ["fnad"], True, limit, command))


def test_rows_behind_one_that_fails_are_measured():
    found = run_worker(["a", "fails", "last", "b"])
    assert [f["name"] for f in found] == ["a", "fails", "last", "b"]
    assert found[1]["reason"] == "exit status 1: a kernel failed"
    assert "reason" not in found[2]


def test_a_row_that_hangs_is_given_up():
    found = run_worker(["hangs", "b"], lambda: 1.0)
    assert found[0] == {"name": "hangs", "reason": "over 1 s"}
    assert found[1]["name"] == "b"


def test_the_end_of_the_time_ends_the_rows():
    limits = iter([5.0, 5.0, 5.0, 0.0, 0.0])
    assert [f["name"] for f in run_worker(["a", "b", "c"], lambda: next(limits))] == ["a", "b"]


def test_results_stay_until_they_are_measured_again(tmp_path):
    choice = cuda.Choice(("fnad", "jax"), True, "", tmp_path, None, True)
    name = rows()[0].name
    good = {"name": name, "times": {"fnad": timing(1.0)}, "reasons": {}, "nbytes": 8}
    cuda.Record(choice, {"card": "A Card 1"}).add(good)
    record = cuda.Record(choice, {"card": "A Card 1", "driver": "2"})
    record.add({"name": name, "reason": "over 1 s"})
    record.add({"name": rows()[1].name, "reason": "over 2 s"})
    kept = json.loads((tmp_path / "cuda-a-card-1.json").read_text())["rows"]
    assert kept[name]["times"] == good["times"] and "driver" not in kept[name]["origin"]
    assert kept[rows()[1].name]["reason"] == "over 2 s"
    text = (tmp_path / "cuda-a-card-1.txt").read_text()
    assert "card A Card 1" in text and "driver 2" in text and "command" in text
    chosen = cuda._chosen(choice, record.found)
    assert name not in [row.name for row in chosen] and all(row.quick for row in chosen)


def test_what_fails_while_it_is_timed_is_said():
    def prepare(workload, place):
        calls = iter([1.0, 2.0])
        return lambda: np.full(3, next(calls))

    late = CardPeer("fnad", prepare, lambda x, _: [x], lambda x, _: None, lambda: None)
    result = measure_row(ROW, [late], HOST, SHORT)
    assert not result.times and result.reason.startswith("StopIteration")


@pytest.mark.parametrize("broken", [False, True])
def test_a_process_with_little_memory_left_is_used_up(broken):
    class Full(Place):
        def free_bytes(self):
            if broken:
                raise RuntimeError("illegal address")
            return 1, 2

    chosen = [ROW, ROW, ROW]
    assert len(list(measured(chosen, [peer("fnad", 1.0)], Full("cpu", np), True))) == 1


def test_a_run_writes_all_it_finds(tmp_path, monkeypatch, capsys):
    names = ["MLP 784-512-512-10 step", "first call of MLP 784-512-512-10 step"]

    def found(chosen, peers, quick, limit):
        assert limit() <= 100 and quick and peers == ("fnad", "jax", "torch", "cupy")
        for name in chosen:
            times = {"fnad": timing(1.0), "jax": timing(2.0)}
            yield {"name": name, "times": times, "reasons": {}, "nbytes": 0, "reason": None}

    def first(peer, name, environment, limit):
        if peer == "torch":
            raise ChildError("no such luck")
        return [6.0, 2.0] if peer == "fnad" else [12.0]

    monkeypatch.setattr(cuda.process, "measured_rows", found)
    monkeypatch.setattr(cuda, "first_calls", first)
    peers = ("fnad", "jax", "torch", "cupy")
    choice = cuda.Choice(peers, True, names[0], tmp_path, 100.0, False)
    assert cuda.run(choice, {"card": "Card"}) == 0
    choice = dataclasses.replace(choice, only=names[1])
    assert cuda.run(choice, {"card": "Card"}) == 0
    kept = json.loads((tmp_path / "cuda-card.json").read_text())["rows"]
    assert list(kept) == names
    assert kept[names[1]]["times"]["fnad, cached"]["median"] == 2.0
    assert kept[names[1]]["reasons"] == {"torch": "no such luck"}
    text = (tmp_path / "cuda-card.txt").read_text()
    assert text.strip() in capsys.readouterr().out
    assert "jax 2.00 (3)" in text and "all others without figures: not measured: not chosen" in text


def test_without_a_card_nothing_is_written(tmp_path, monkeypatch, capsys):
    from benchmarks import __main__ as program

    monkeypatch.setattr(cuda, "card", lambda: "CUDARuntimeError: no device")
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--suite", "cuda", "--out", str(tmp_path)])
    assert program.main() == 2
    line = "nothing is measured, for there is no card: CUDARuntimeError: no device\n"
    assert capsys.readouterr().out == line
    assert not list(tmp_path.iterdir())


def test_adam_without_optax_is_adam():
    if reason := CARD_PEERS["jax"].missing():
        pytest.skip(reason)
    import jax

    vocabulary = dataclasses.replace(fnad_vocabulary(), top=jax, numpy=jax.numpy, optim=plain_optax)
    params = {"w": np.linspace(-1, 1, 6, dtype=np.float32)}

    def loss(p, x):
        return ((p["w"] * x) ** 2).sum()

    found = []
    for v in (fnad_vocabulary(), vocabulary):
        program = adam_step(v, loss, params, np.float32(3.0))
        given, state, x = program.arguments
        for _ in range(3):
            given, state, value = program.function(given, state, x)
        found.append([np.asarray(given["w"]), np.asarray(value)])
    assert disagreement(*found, 1e-6) is None


def test_cross_entropy_without_optax():
    if reason := CARD_PEERS["jax"].missing():
        pytest.skip(reason)
    x, labels = np.random.default_rng(0).random((4, 3), np.float32), np.array([0, 2, 1, 1])
    ours = fnad_vocabulary().cross_entropy(x, labels)
    theirs = plain_optax.softmax_cross_entropy_with_integer_labels(x, labels)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
