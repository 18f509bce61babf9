"""Results must have the same bits with any number of threads."""

from __future__ import annotations

import hashlib
from typing import Any

from benchmarks import workloads
from benchmarks.child import ChildError, call_in_child
from benchmarks.formatting import table
from benchmarks.options import Options, Report
from benchmarks.peers import PEERS

_COUNTS = (1, 2, 3, 8, 64)


def run(options: Options) -> Report:
    """Digests of all results, computed in one process for each number of threads."""
    names = [w.name for w in workloads.find(options.only)]
    digests: dict[int, dict[str, str]] = {}
    for count in _COUNTS:
        environment = {"FNAD_NUM_THREADS": str(count)}
        try:
            digests[count] = call_in_child(__name__, "digests", names, environment=environment)
        except ChildError as error:
            return Report(f"{count} threads: {error}", {}, ok=False)
    rows, ok = [], True
    for name in names:
        found = {digests[count][name] for count in _COUNTS}
        ok = ok and len(found) == 1
        rows.append([name, "same bits" if len(found) == 1 else f"{len(found)} different results"])
    text = table([f"with {', '.join(map(str, _COUNTS))} threads", "results"], rows)
    return Report(text, {"digests": digests}, ok)


def digests(names: list[str]) -> dict[str, str]:
    """A digest of the results of each workload (of a training step: its state); in a child."""
    import fnad

    found = {}
    for name in names:
        program = workloads.find(name)[0].fnad()
        arguments: Any = program.arguments
        function = fnad.jit(program.function)
        for _ in range(2):
            results = function(*arguments)
            if program.carried:
                arguments = (*results[: program.carried], *arguments[program.carried :])
        leaves = PEERS["fnad"].leaves(results)
        digest = hashlib.sha256()
        for leaf in leaves:
            digest.update(f"{leaf.dtype}{leaf.shape}".encode() + leaf.tobytes())
        found[name] = digest.hexdigest()
    return found
