"""A few random programs in every run of the tests; many by ``python -m tests.fuzz``."""

from __future__ import annotations

import pytest

from tests.fuzz.checks import CHECKS, RefusedError, disagreement
from tests.fuzz.programs import generate


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("seed", range(12))
def test_compiled_programs_give_what_eager_ones_give(seed: int, check: str) -> None:
    program = generate(seed)
    try:
        assert disagreement(program, check, with_jax=False) is None, program.source
    except RefusedError as reason:
        pytest.skip(str(reason))


def test_a_program_of_one_complex_scalar_gets_another_input() -> None:
    assert [array.shape for _, array in generate(700_413).inputs] == [(), (3,)]
