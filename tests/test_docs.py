"""What the pages say is true: their programs run, and their commands are those of CI."""

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = ["README.md", "docs/new_primitive.md"]


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


@pytest.mark.parametrize(
    ("page", "index"), [(page, i) for page in PAGES for i in range(len(blocks(page, "python")))]
)
def test_programs_of_the_pages_run(page, index):
    source = blocks(page, "python")[index]
    # The tracer reports lines of user code by file name, so the program gets one of its own.
    code = compile(source, f"<{page} block {index}>", "exec")
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(code, {"__name__": "__main__"})
    assert printed.getvalue()


def test_tour_trains():
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(blocks("README.md", "python")[0], {"__name__": "__main__"})
    first, last = map(float, printed.getvalue().splitlines()[-1].split(" -> "))
    assert last < 0.05 * first


def test_a_primitive_takes_fewer_than_25_lines():
    source = blocks("docs/new_primitive.md", "python")[0]
    lines = [line for line in source.splitlines() if line.strip()]
    assert len(lines) < 25


def test_ci_runs_the_test_command_of_the_readme():
    (_, test_command) = blocks("README.md", "sh")
    assert test_command.strip() in (ROOT / ".ci/run").read_text()
