"""Settings of the whole suite: one BLAS thread, no cache on disk, fixed examples and seeds."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the suite's matrices are small
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ["FNAD_CACHE_DIR"] = ""  # what is tested is compiled, not found

from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from fnad.primitives.control_flow.scan import scan_p
from fnad.primitives.control_flow.while_loop import while_p
from tests.cuda_emulator.cards import has_card

settings.register_profile("fnad", derandomize=True, deadline=None, database=None, max_examples=25)
settings.load_profile("fnad")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs a card where there is none."""
    on_card = [item for item in items if item.get_closest_marker("gpu")]
    if on_card and not has_card():
        items[:] = [item for item in items if item not in set(on_card)]
        config.hook.pytest_deselected(items=on_card)


@pytest.fixture
def no_loop_is_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a loop that NumPy is to go through, step by step, fail the test."""

    def refuse(*args: Any, **params: Any) -> None:
        raise AssertionError("a loop is evaluated step by step")

    for primitive in (while_p, scan_p):
        monkeypatch.setitem(primitive.rules, "evaluate", refuse)


@pytest.fixture
def rng() -> np.random.Generator:
    """The same random numbers in every run."""
    return np.random.default_rng(0)
