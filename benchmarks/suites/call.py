"""The price of a call: of a scalar, of each further leaf, and of arrays that are not in C order."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks import workloads
from benchmarks.formatting import seconds_text, table
from benchmarks.measure import FULL, QUICK, measure
from benchmarks.options import Options, Report
from benchmarks.peers import PEERS, Run
from benchmarks.workload import (
    Program,
    Vocabulary,
    Workload,
    fnad_vocabulary,
    jax_vocabulary,
)

_CALL_LIMIT = 1e-6
_LEAF_LIMIT = 50e-9
_COUNTS = (1, 33, 129)

Pack = Callable[[list[Any]], Any]


def _dict(leaves: list[Any]) -> Any:
    return {f"w{i}": leaf for i, leaf in enumerate(leaves)}


def _layers(leaves: list[Any]) -> Any:
    """A list of dicts of a kernel and a bias, as parameters of networks are."""
    return [dict(zip(("kernel", "bias"), leaves[i : i + 2])) for i in range(0, len(leaves), 2)]


_PACKS: dict[str, Pack] = {"list": list, "dict": _dict, "list of dicts": _layers}


def _arguments(pack: Pack, count: int, v: Vocabulary) -> Program:
    """A function of many arrays that uses one."""
    arrays = [np.full(4, i, np.float32) for i in range(count)]
    return Program(lambda x, unused: x + 1, (np.float32(2.0), pack(arrays)))


def _results(pack: Pack, count: int, v: Vocabulary) -> Program:
    """A function with many small results."""

    def function(x: Any) -> Any:
        return pack([x + np.float32(i) for i in range(count)])

    return Program(function, (np.zeros(4, np.float32),))


def _in_other_orders(v: Vocabulary) -> dict[str, Program]:
    """Functions of NumPy arrays that are transposed views, as they come to a call."""
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, np.float32)

    def transformed(x: Any) -> Any:
        return x * 2 + 1

    def product(x: Any, y: Any) -> Any:
        return x @ y

    images = normal(8, 128, 128, 8).transpose(0, 3, 1, 2)
    return {
        "x * 2 + 1, x = (1000, 1000).T": Program(transformed, (normal(1000, 1000).T,)),
        "x * 2 + 1, x = images NHWC as NCHW": Program(transformed, (images,)),
        "softmax, x = (1000, 1000).T": Program(v.nn.softmax, (normal(1000, 1000).T,)),
        "X.T @ v, X = (8192, 1024)": Program(product, (normal(8192, 1024).T, normal(8192))),
        "x @ W.T, W = (50000, 128)": Program(product, (normal(32, 128), normal(50000, 128).T)),
    }


def _called_with_numpy(name: str, program: Program) -> Run:
    """Calls of a compiled function with NumPy arrays, which JAX has to take over."""
    if name == "fnad":
        import fnad

        function = fnad.jit(program.function)
        return lambda: function(*program.arguments)
    import jax

    function = jax.jit(program.function)
    return lambda: jax.block_until_ready(function(*program.arguments))


def _orders(peers: list[str], options: Options) -> dict[str, dict[str, float]]:
    """Seconds of each of these calls."""
    vocabularies = {"fnad": fnad_vocabulary, "jax": jax_vocabulary}
    programs = {peer: _in_other_orders(vocabularies[peer]()) for peer in peers}
    seconds: dict[str, dict[str, float]] = {}
    for name in programs[peers[0]] if peers else ():
        runs = {peer: _called_with_numpy(peer, programs[peer][name]) for peer in peers}
        for run in runs.values():
            run()
        timings = measure(runs, QUICK if options.quick else FULL)
        seconds[name] = {peer: t.typical(options.best) for peer, t in timings.items()}
    return seconds


def run(options: Options) -> Report:
    """Measure fnad and the peers; PyTorch has no compiled functions of trees to compare with."""
    effort = QUICK if options.quick else FULL
    scalar: dict[str, Run] = {}
    for peer in options.peers:
        run = peer.prepare(workloads.find("call x + 1")[0])
        assert run is not None
        run()
        scalar[peer.name] = run
    timings = measure(scalar, effort)
    calls = {name: t.typical(options.best) for name, t in timings.items()}
    slopes = {}
    compared = [p.name for p in options.peers if p.name in ("fnad", "jax")]
    for kind, build in (("argument", _arguments), ("result", _results)):
        for name, pack in _PACKS.items():
            slopes[f"{kind} leaf, {name}"] = _slopes(compared, partial(build, pack), options)
    orders = _orders(compared, options)
    data = {"call_seconds": calls, "leaf_seconds": slopes, "order_seconds": orders}
    return Report(_text(calls, slopes, orders, compared), data)


def _slopes(
    peers: list[str], build: Callable[[int, Vocabulary], Program], options: Options
) -> dict[str, float]:
    """Seconds that each further leaf adds to a call."""
    runs = {}
    for count in _COUNTS:
        workload = Workload(f"{count} leaves", partial(build, count), None, 0.0, "not compared")
        for peer in peers:
            run = PEERS[peer].prepare(workload)
            assert run is not None
            run()
            runs[f"{peer} {count}"] = run
    timings = measure(runs, QUICK if options.quick else FULL)
    times = {name: t.typical(options.best) for name, t in timings.items()}
    return {
        peer: float(np.polyfit(_COUNTS, [times[f"{peer} {count}"] for count in _COUNTS], 1)[0])
        for peer in peers
    }


def _text(
    calls: dict[str, float],
    slopes: dict[str, dict[str, float]],
    orders: dict[str, dict[str, float]],
    peers: list[str],
) -> str:
    def verdict(seconds: float, limit: float) -> str:
        return "yes" if seconds <= limit else "no"

    rows = [
        [name, seconds_text(t), verdict(t, _CALL_LIMIT) if name == "fnad" else ""]
        for name, t in calls.items()
    ]
    first = table(["call of x + 1 on a scalar", "time", "at most 1 us"], rows)
    rows = [
        [name, *(seconds_text(many[p]) for p in peers), verdict(many["fnad"], _LEAF_LIMIT)]
        for name, many in slopes.items()
    ]
    second = table(["each further", *peers, "at most 50 ns"], rows)
    rows = [[name, *(seconds_text(times[p]) for p in peers)] for name, times in orders.items()]
    return f"{first}\n\n{second}\n\n{table(['call with NumPy arrays', *peers], rows)}"
