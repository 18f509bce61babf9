"""The page of what JAX has and fnad has not is up to date."""

import pytest

pytest.importorskip("jax")

from tests.jax_coverage import PAGE, page


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_page_is_up_to_date():
    assert PAGE.read_text() == page(), "run python -m tests.jax_coverage"
