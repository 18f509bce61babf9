"""The page of primitives is up to date, and what a primitive lacks has a reason."""

import pytest

from tests.primitive_coverage import COLUMNS, PAGE, cells, page, reasons
from tests.test_primitives import PRIMITIVES


@pytest.fixture(scope="module")
def table():
    return {name: cells(name) for name in PRIMITIVES}


@pytest.mark.parametrize("column", COLUMNS)
def test_a_cell_is_empty_for_a_reason(table, column):
    empty = {name for name, row in table.items() if row[column] is None}
    missing = sorted(empty - reasons(column).keys())
    assert not missing, f"say why in REASONS[{column!r}] of tests/primitive_coverage.py: {missing}"


@pytest.mark.parametrize("column", COLUMNS)
def test_a_reason_is_for_an_empty_cell(table, column):
    needless = sorted(n for n in reasons(column) if table.get(n, {column: ""})[column] is not None)
    assert not needless, f"these have something in column {column!r}: {needless}"


def test_the_page_is_up_to_date():
    assert PAGE.read_text() == page(), "run python -m tests.primitive_coverage"
