"""Runs the suite of data-apis on `fnad.numpy`, called eagerly or compiled.

``python -m tests.array_api [--compiled | --numpy] [--suite FOLDER] [-- OPTIONS OF PYTEST]``

Without ``--suite`` the suite is cloned from GitHub, with its submodule, into ``array-api-tests`` at
the root of this checkout. What is known to fail, and why, is in ``eager-xfails.txt`` and
``compiled-xfails.txt``; a test listed there that passes is reported as XPASS.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
SUITE = "https://github.com/data-apis/array-api-tests"
VERSION = "2025.12"
NEEDED = {"pytest": "pytest", "pytest_jsonreport": "pytest-json-report",
          "hypothesis": "hypothesis", "ndindex": "ndindex"}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.array_api", description=__doc__)
    parser.add_argument("--suite", type=Path, default=ROOT / "array-api-tests")
    parser.add_argument("--max-examples", type=int, default=20)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--compiled", action="store_true", help="call every function under jit")
    which.add_argument("--numpy", action="store_true", help="run on NumPy itself, to compare")
    parser.add_argument("options", nargs="*", help="for pytest, after --")
    args = parser.parse_args()
    missing = [name for module, name in NEEDED.items() if not importlib.util.find_spec(module)]
    if missing:
        print(f"The suite needs {', '.join(missing)}: pip install {' '.join(missing)}")
        return 2
    if not args.suite.exists():
        subprocess.run(["git", "clone", "--recurse-submodules", SUITE, args.suite], check=True)
    module, known = "fnad.numpy", HERE / "eager-xfails.txt"
    if args.compiled:
        module, known = "tests.array_api.compiled", HERE / "compiled-xfails.txt"
    command = [sys.executable, "-m", "pytest", "-q", "-rfEX", "-W", "ignore", "--tb=short"]
    command += ["-p", "no:cacheprovider", "--disable-deadline", "--derandomize"]
    command += [f"--max-examples={args.max_examples}"]
    if args.numpy:
        module = "numpy"
    else:
        command += [f"--xfails-file={known}"]
    named = any(option.startswith("array_api_tests") for option in args.options)
    paths = [] if named else ["array_api_tests"]
    environment = os.environ | {
        "ARRAY_API_TESTS_MODULE": module,
        "ARRAY_API_TESTS_VERSION": VERSION,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    command += [*args.options, *paths]
    return subprocess.run(command, cwd=args.suite, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
