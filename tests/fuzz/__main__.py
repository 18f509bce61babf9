"""Draw programs, compare, and print those that disagree: ``python -m tests.fuzz --help``."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.fuzz.programs import Program

# XLA as oracle: what it makes need not be fast, and these halve the time of a program and more.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    " --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1",
)
_VERDICT = "= "
# Of one process, which then ends and gives back what compilers keep.
_CHUNK = 200


def main() -> int:
    options = _options()
    began = time.monotonic()
    counts: Counter[str] = Counter()
    one = options.programs <= _CHUNK
    for text in _in_this_one(options) if one else _in_processes(options):
        if text.startswith(_VERDICT):
            counts[text.removeprefix(_VERDICT)] += 1
            if counts.total() % _CHUNK == 0:
                print(f"# so far: {dict(counts)}", file=sys.stderr, flush=True)
        if one or not text.startswith(_VERDICT):
            print(text, flush=True)
    print(f"# from seed {options.first}: {dict(counts)}, {time.monotonic() - began:.0f} s")
    return 1 if counts["disagree"] else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--programs", type=int, default=200, help="how many to draw")
    parser.add_argument("--first", type=int, default=0, help="the first program's seed")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after these")
    parser.add_argument("--statements", type=int, help="lines of each (3 to 8, by seed)")
    parser.add_argument("--checks", nargs="+", help="for every program (one, by seed)")
    parser.add_argument("--without-jax", action="store_true", help="only eager against jit")
    parser.add_argument("--processes", type=int, default=1, help="how many work side by side")
    return parser.parse_args()


def _in_processes(options: argparse.Namespace) -> Iterator[str]:
    """Run chunks of the programs, each in a process of its own; give the lines that they print."""
    until = time.monotonic() + options.seconds
    last = options.first + options.programs

    def chunk(first: int) -> list[str]:
        lines: list[str] = []
        seed, end = first, min(first + _CHUNK, last)
        while seed < end and time.monotonic() < until:
            command = _command(options, seed, end - seed)
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
            found = done.stdout.splitlines()
            lines += [line for line in found if not line.startswith("# from seed")]
            if done.returncode in (0, 1):
                break
            # The process died. By XLA's hand, if the program runs without it.
            seed += sum(line.startswith(_VERDICT) for line in found)
            alone = subprocess.run(
                [*_command(options, seed, 1), "--without-jax"], stdout=subprocess.DEVNULL
            )
            ours = alone.returncode != 0
            lines.append(f"{_VERDICT}{'disagree' if ours else 'JAX dies'}")
            if ours:
                lines.append(f"# seed {seed}: the process dies with {done.returncode}")
            seed += 1
        return lines

    with ThreadPoolExecutor(options.processes) as pool:
        for lines in pool.map(chunk, range(options.first, last, _CHUNK)):
            yield from lines


def _command(options: argparse.Namespace, first: int, programs: int) -> list[str]:
    command = [sys.executable, "-m", "tests.fuzz"]
    command += ["--first", str(first), "--programs", str(programs)]
    command += ["--without-jax"] * options.without_jax
    if options.statements:
        command += ["--statements", str(options.statements)]
    return command + (["--checks", *options.checks] if options.checks else [])


def _in_this_one(options: argparse.Namespace) -> Iterator[str]:
    until = time.monotonic() + options.seconds
    for verdict in _verdicts(options):
        yield _VERDICT + verdict
        if time.monotonic() > until:
            break


def _verdicts(options: argparse.Namespace) -> Iterator[str]:
    from tests.fuzz.checks import CHECKS
    from tests.fuzz.programs import generate

    for seed in range(options.first, options.first + options.programs):
        try:
            program = generate(seed, options.statements or 3 + seed % 6)
        except Exception as error:
            print(f"# seed {seed}: drawing it, NumPy's evaluation raises {error!r}"[:400])
            yield "disagree"
            continue
        checks = list(CHECKS) if program.has_floating_inputs else ["forward", "batched"]
        for check in options.checks or [checks[seed % len(checks)]]:
            yield _verdict(program, check, not options.without_jax)


def _verdict(program: Program, check: str, with_jax: bool) -> str:
    from tests.fuzz.checks import RefusedError, disagreement
    from tests.fuzz.shrink import shrink

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
