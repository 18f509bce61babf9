"""Draw programs, compare, and print those that disagree: ``python -m tests.fuzz --help``."""

from __future__ import annotations

import argparse
import time
from collections import Counter

from tests.fuzz.checks import CHECKS, RefusedError, disagreement
from tests.fuzz.programs import Program, generate
from tests.fuzz.shrink import shrink


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--programs", type=int, default=200, help="how many to draw")
    parser.add_argument("--first", type=int, default=0, help="the first program's seed")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after these")
    parser.add_argument("--statements", type=int, default=8, help="lines of each program")
    parser.add_argument("--checks", nargs="+", choices=CHECKS, default=list(CHECKS))
    parser.add_argument("--without-jax", action="store_true", help="only eager against jit")
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    began = time.monotonic()
    for seed in range(options.first, options.first + options.programs):
        if time.monotonic() - began > options.seconds:
            break
        counts["programs"] += 1
        try:
            program = generate(seed, options.statements)
        except Exception as error:
            counts["disagree"] += 1
            print(
                f"# seed {seed}: drawing it, NumPy's evaluation raises {error!r}"[:400], flush=True
            )
            continue
        for check in options.checks:
            counts[_verdict(program, check, not options.without_jax)] += 1
    print(f"from seed {options.first}: {dict(counts)}, {time.monotonic() - began:.0f} s")
    return 1 if counts["disagree"] else 0


def _verdict(program: Program, check: str, with_jax: bool) -> str:
    def fails(candidate: Program) -> bool:
        try:
            return disagreement(candidate, check, with_jax) is not None
        except RefusedError:
            return False

    try:
        if disagreement(program, check, with_jax) is None:
            return "agree"
    except RefusedError as error:
        return str(error)
    small = shrink(program, fails)
    print(f"# seed {program.seed}, {check}: {disagreement(small, check, with_jax)}")
    print(
        "".join(f"# {n}: {a.dtype}{a.shape}\n" for n, a in small.inputs) + small.source, flush=True
    )
    return "disagree"


if __name__ == "__main__":
    raise SystemExit(main())
