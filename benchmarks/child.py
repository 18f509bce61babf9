"""Measurements in processes of their own.

``python -m benchmarks.child MODULE FUNCTION ARGUMENTS`` calls a function with arguments written in
JSON and prints its result in JSON; `call_in_child` starts that.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]


class ChildError(Exception):
    """A process that failed or took too long; its last line says why."""


def call_in_child(
    module: str,
    function: str,
    *arguments: Any,
    environment: Mapping[str, str] | None = None,
    timeout: float = 900.0,
) -> Any:
    """The result of ``module.function(*arguments)`` in a fresh interpreter."""
    command = [sys.executable, "-m", "benchmarks.child", module, function, json.dumps(arguments)]
    try:
        done = subprocess.run(
            command,
            cwd=_ROOT,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ChildError(f"over {timeout:.0f} s") from None
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        reasons = done.stderr.strip().splitlines()
        raise ChildError(reasons[-1][:300] if reasons else f"exit status {done.returncode}")
    return json.loads(lines[-1])


if __name__ == "__main__":
    _, _module, _function, _arguments = sys.argv
    print(json.dumps(getattr(import_module(_module), _function)(*json.loads(_arguments))))
