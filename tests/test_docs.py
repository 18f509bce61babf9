"""What the pages say is true: their programs run, and their commands are those of CI."""

import io
import re
import sys
from contextlib import redirect_stdout
from inspect import signature
from pathlib import Path

import pytest

from fnad.core.primitive import Primitive
from fnad.lowering.planner import Planner
from fnad.primitives.numpy_builder import NUMPY

ROOT = Path(__file__).parent.parent
PAGES = ["README.md", "docs/new_primitive.md", "docs/dynamic_sizes.md"]


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


def primitives() -> dict[str, Primitive]:
    modules = [m for name, m in sys.modules.items() if name.startswith("fnad.primitives")]
    found = [x for m in modules for x in vars(m).values() if isinstance(x, Primitive)]
    return {p.name: p for p in found}


def test_the_architecture_names_the_parameters_of_primitives():
    text = (ROOT / "docs/architecture.md").read_text()
    calls = re.findall(r"`(\w+)(?:\{([\w,\s]+)\})?\(([^;`()]*);([^;`()]*)\)`", text)
    assert len(calls) > 15
    for name, endings, _, params in calls:
        for ending in re.split(r"\W+", endings):
            parameters = signature(primitives()[name + ending].rule("type_rule")).parameters
            named = [p.name for p in parameters.values() if p.kind is p.KEYWORD_ONLY]
            listed = re.findall(r"\w+", params)
            if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
                assert set(named) <= set(listed), name + ending
            else:
                assert sorted(named) == sorted(listed), name + ending


def test_the_architecture_names_methods_of_the_planner_and_the_builders():
    text = (ROOT / "docs/architecture.md").read_text()
    for name, params in re.findall(r"`p\.(\w+)\(([^`]*)\)`", text):
        given = [g for g in re.split(r", (?!\w+: )", params) if "lambda" not in g]
        known = list(signature(getattr(Planner, name)).parameters)
        assert all(g.strip() in known for g in given if g.isidentifier()), (name, given, known)
    [operations] = re.findall(r"`add subtract.*?`bitcast", text, flags=re.DOTALL)
    operations = re.sub(r"\([^`]*?\)", "", operations)
    for name in set(re.findall(r"[a-z_]\w+", " ".join(re.findall(r"`([^`]*)`", operations)))):
        for builder in (Planner.b, NUMPY):
            assert hasattr(builder, name), name
