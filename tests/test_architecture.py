"""The arrows of docs/architecture.md: imports run one way, and folders keep to their doors."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "fnad"
FILES = sorted(PACKAGE.rglob("*.py"))

# A folder may import those of a smaller or equal rank.
RANKS = {
    "config": 0,
    "core": 0,
    "primitives": 1,
    "lowering": 2,
    "transforms": 3,
    "tree": 3,
    "errors": 3,
    "extend": 3,
    "jet": 3,
    "ad_checkpoint": 3,
    "debug": 3,
    "numpy": 4,
    "flatten_util": 4,
    "ops": 4,
    "image": 4,
    "custom_batching": 4,
    "lax": 4,
    "random": 4,
    "scipy": 4,
    "nn": 5,
    "optim": 5,
    "train": 5,
    "data": 5,
    "testing": 6,
    "diagnosis": 7,
    "__main__": 7,
    "": 7,  # fnad/__init__.py
}
PUBLIC_ONLY = ("nn", "optim", "train", "data")
INTERNAL = ("core", "primitives", "lowering", "transforms")
MAX_LINES = 600


def folder(module: str) -> str:
    return [*module.split("."), ""][1]


def module_of(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(file: Path) -> Iterator[tuple[str, str, int]]:
    """Every import of fnad in a file, also inside functions: (module, name, line)."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "fnad":
                    yield alias.name, "", node.lineno
        elif isinstance(node, ast.ImportFrom) and node.level:
            pytest.fail(f"{file}:{node.lineno}: relative import; write the full name")
        elif isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "fnad":
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                is_module = (PACKAGE.parent / inner.replace(".", "/")).exists() or (
                    PACKAGE.parent / (inner.replace(".", "/") + ".py")
                ).exists()
                yield (
                    (inner, "", node.lineno)
                    if is_module
                    else (
                        node.module,
                        alias.name,
                        node.lineno,
                    )
                )


def test_every_folder_has_a_rank():
    found = {folder(module_of(f)) for f in FILES}
    assert found <= set(RANKS)


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_imports_run_one_way(file):
    home = folder(module_of(file))
    for module, _, line in imports(file):
        target = folder(module)
        if target == "" and home in (*PUBLIC_ONLY, "testing"):
            continue  # `import fnad` is what users write
        assert RANKS[target] <= RANKS[home], f"{file}:{line} imports {module}, an arrow backwards"


@pytest.mark.parametrize("name", PUBLIC_ONLY)
def test_libraries_use_only_what_users_could_import(name):
    for file in (PACKAGE / name).rglob("*.py"):
        for module, imported, line in imports(file):
            assert folder(module) not in INTERNAL, f"{file}:{line} imports the internal {module}"
            assert not imported.startswith("_"), f"{file}:{line} imports the private {imported}"


def test_core_imports_nothing_but_core():
    for file in (PACKAGE / "core").rglob("*.py"):
        for module, _, line in imports(file):
            assert folder(module) == "core", f"{file}:{line} imports {module}"


def test_lowering_names_no_transform():
    for file in (PACKAGE / "lowering").rglob("*.py"):
        names = {n.id for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.Name)}
        wrappers = {"grad", "vjp", "jvp", "vmap", "jit", "linearize", "jvp_jaxpr", "batch_jaxpr"}
        assert not names & wrappers, f"{file} names {names & wrappers}"


def test_core_needs_only_numpy_and_the_standard_library():
    for file in (PACKAGE / "core").rglob("*.py"):
        text = file.read_text()
        assert "llvmlite" not in text and "import scipy" not in text, file


def test_files_can_be_read_in_a_sitting():
    lengths = {str(f.relative_to(PACKAGE)): len(f.read_text().splitlines()) for f in FILES}
    longest = sorted(lengths.items(), key=lambda item: -item[1])
    for name, lines in longest[:10]:
        print(f"{lines:5} {name}")  # shown by pytest -s
    too_long = {name: lines for name, lines in longest if lines > MAX_LINES}
    assert not too_long, f"split these: {too_long}"


def test_importing_fnad_imports_nothing_that_may_not_be_needed():
    import subprocess
    import sys

    optional = [
        "scipy",
        "jax",
        "optax",
        "torch",
        "matplotlib",
        "sklearn",
        "tqdm",
        "pytest",
        "hypothesis",
    ]
    later = ["fnad.lowering.binary", "fnad.lowering.pipeline", "fnad.scipy.stats", "llvmlite"]
    code = f"import sys, fnad; print([m for m in {optional + later!r} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
