"""Run the benchmarks: ``python -m benchmarks``, in a checkout of fnad.

Installs what is missing of fnad's extra "bench" (JAX, Optax, PyTorch, matplotlib), measures fnad
and the peers in turn, and writes a table, a JSON file and a picture. The suite "cuda" does that on
a card, and installs nothing.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Protocol, TypeVar

from benchmarks import environment
from benchmarks.options import Options, Report
from benchmarks.peers import PEERS

_SUITES = (
    "run",
    "call",
    "compile",
    "memory",
    "scaling",
    "threads",
    "accuracy",
    "minimize",
    "ode",
    "selects",
)


class _CanBeMissing(Protocol):
    @property
    def missing(self) -> Callable[[], str | None]: ...


_Peer = TypeVar("_Peer", bound=_CanBeMissing)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--suite", choices=[*_SUITES, "all", "cuda"], default="run")
    parser.add_argument(
        "--quick", action="store_true", help="fewer samples, and no torch.compile: < 3 minutes"
    )
    parser.add_argument("--only", metavar="PATTERN", default="", help="a part of workloads' names")
    parser.add_argument(
        "--peers",
        metavar="NAME",
        nargs="*",
        help=f"of {', '.join(PEERS)}, and on a card cupy; fnad always runs",
    )
    parser.add_argument(
        "--best",
        action="store_true",
        help="compare the best samples, not the medians: for a machine with other work",
    )
    parser.add_argument(
        "--profile", metavar="WORKLOAD", help="the kernels of one workload: time, bytes, operations"
    )
    parser.add_argument("--no-install", action="store_true", help="use what is installed")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where results are written")
    parser.add_argument("--seconds", type=float, help="cuda: end the run after so many seconds")
    parser.add_argument(
        "--missing", action="store_true", help="cuda: only rows that have not been measured"
    )
    return parser.parse_args()


def _choose_peers(args: argparse.Namespace, there: Mapping[str, _Peer]) -> tuple[_Peer, ...]:
    """fnad and the peers that were asked for and can run; says why one cannot."""
    default = [p for p in there if not (args.quick and p == "torch.compile")]
    names = ",".join(args.peers).split(",") if args.peers is not None else default
    unknown = sorted({*names} - {*there, ""})
    if unknown:
        raise SystemExit(f"no such peers: {unknown}; there are {list(there)}")
    chosen = []
    for name, peer in there.items():
        if name in names or name == "fnad":
            reason = peer.missing()
            if reason is None:
                chosen.append(peer)
            else:
                print(f"{name} is left out: {reason}")
    return tuple(chosen)


def _on_card(args: argparse.Namespace) -> int:
    """Results of the card have a place in the repository."""
    from benchmarks.card.peers import CARD_PEERS
    from benchmarks.suites import cuda

    card = cuda.card()
    if isinstance(card, str):
        print(f"nothing is measured, for there is no card: {card}")
        return 2
    peers = tuple(peer.name for peer in _choose_peers(args, CARD_PEERS))
    out = args.out or cuda.RESULTS
    choice = cuda.Choice(peers, args.quick, args.only, out, args.seconds, args.missing)
    return cuda.run(choice, card)


def _chosen_suites(args: argparse.Namespace) -> tuple[str, ...]:
    if args.profile is not None:
        return ("profile",)
    return _SUITES if args.suite == "all" else (args.suite,)


def _quieten() -> None:
    """Keep the peers' warnings about things that the figures do not depend on out of the table."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.getLogger("jax").setLevel(logging.ERROR)


def _save(name: str, report: Report, options: Options, seconds: float) -> None:
    options.out.mkdir(parents=True, exist_ok=True)
    data = {"environment": environment.describe(), "seconds": seconds, **report.data}
    (options.out / f"{name}.json").write_text(json.dumps(data, indent=1) + "\n")
    (options.out / f"{name}.txt").write_text(report.text + "\n")
    print(f"\n{report.text}\n")
    written = [options.out / f"{name}.{kind}" for kind in ("txt", "json")] + report.pictures
    print(f"{seconds:.0f} s; wrote {', '.join(map(str, written))}")


def main() -> int:
    """Run the suites; the exit status is 1 if something failed that must hold."""
    args = _parse()
    _quieten()
    if args.suite == "cuda":
        return _on_card(args)
    if not args.no_install:
        environment.install_missing()
    only = args.only if args.profile is None else args.profile
    out = args.out or Path("benchmark-results")
    options = Options(_choose_peers(args, PEERS), args.quick, args.best, only, out)
    options.out.mkdir(parents=True, exist_ok=True)
    ok = True
    for name in _chosen_suites(args):
        start = time.perf_counter()
        suite: Callable[[Options], Report] = import_module(f"benchmarks.suites.{name}").run
        report = suite(options)
        _save(name, report, options, time.perf_counter() - start)
        ok = ok and report.ok
    return 0 if ok else 1


if __name__ == "__main__":
    raise SystemExit(main())
