"""One program of each family of kernels: its numbers, and on a card what compute-sanitizer sees."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cuda_emulator.cards import CARDS, card_of
from tests.lowering.cuda.families import FAMILIES, check

_ROOT = Path(__file__).parents[3]
_FOUND = 9  # the exit status that tells errors found from others


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("name", FAMILIES)
def test_family(name, card):
    with card_of(card):
        check(name)


def sanitizer():
    """compute-sanitizer, which comes with the toolkit."""
    places = [
        os.environ.get("PATH", ""),
        "/usr/local/cuda/bin",
        "/usr/local/cuda/compute-sanitizer",
    ]
    return shutil.which("compute-sanitizer", path=os.pathsep.join(places))


@pytest.mark.gpu
@pytest.mark.slow
@pytest.mark.parametrize("tool", ["memcheck", "racecheck"])
@pytest.mark.parametrize("name", FAMILIES)
def test_sanitizer(name, tool):
    command = sanitizer()
    if command is None:
        pytest.skip("compute-sanitizer is not installed")
    done = subprocess.run(
        [
            *(command, "--tool", tool, "--error-exitcode", str(_FOUND)),
            *(sys.executable, "-m", "tests.lowering.cuda.families", name),
        ],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
