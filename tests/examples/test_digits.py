"""The example trains: in full it reaches 98 % (slow); a short run has all its parts."""

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("tqdm")
pytest.importorskip("matplotlib")

PATH = Path(__file__).parents[2] / "examples" / "digits.py"


@pytest.fixture(scope="module")
def digits():
    spec = importlib.util.spec_from_file_location("digits_example", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_short_run(digits, tmp_path, capsys):
    picture = tmp_path / "digits.png"
    accuracy = digits.main(["--epochs", "4", "--out", str(picture)])
    assert accuracy > 0.75
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "test accuracy" in capsys.readouterr().out


@pytest.mark.slow
def test_full_run_reaches_98_percent(digits, tmp_path):
    assert digits.main(["--out", str(tmp_path / "digits.png")]) >= 0.98
