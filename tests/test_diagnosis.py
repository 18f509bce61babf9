"""``python -m fnad doctor``: what is found, and what is said of what is missing."""

import ctypes
import subprocess
import sys

import pytest

import fnad
from fnad import diagnosis
from fnad.core.errors import BackendError


class Driver:
    """A library of a driver for some version of CUDA."""

    def __init__(self, version, status=0):
        self.version, self.status = version, status

    def cuInit(self, flags):  # noqa: N802 - the driver's name
        return self.status

    def cuDriverGetVersion(self, place):  # noqa: N802 - the driver's name
        place._obj.value = self.version


def without_driver(monkeypatch):
    def missing(name, *args, **kwargs):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(diagnosis.ctypes, "CDLL", missing)


def with_driver(monkeypatch, driver, installed=()):
    monkeypatch.setattr(diagnosis.ctypes, "CDLL", lambda name, *args, **kwargs: driver)
    versions = dict.fromkeys(installed, "14.2.0")
    monkeypatch.setattr(diagnosis, "_version_of", versions.get)


def test_without_a_driver(monkeypatch, capsys):
    without_driver(monkeypatch)
    assert fnad.doctor() is False
    said = capsys.readouterr().out
    assert "-- driver" in said and "apt install nvidia-driver" in said
    assert "CuPy" not in said, "what needs a driver is not looked for"
    assert said.endswith("Programs run on the CPU only.\n")


def test_the_extra_follows_the_driver(monkeypatch):
    for version, extra in ((12040, "cuda12"), (13000, "cuda13")):
        with_driver(monkeypatch, Driver(version))
        *_, last = diagnosis.findings()
        assert not last.works and last.what == "CuPy"
        assert last.remedy == f'pip install "fnad[{extra}]"'


def test_a_driver_that_fails(monkeypatch):
    with_driver(monkeypatch, Driver(12040, status=999))
    *_, last = diagnosis.findings()
    assert not last.works and "999" in last.detail


def test_two_copies_of_cupy(monkeypatch):
    with_driver(monkeypatch, Driver(13000), ["cupy-cuda12x", "cupy-cuda13x"])
    *_, last = diagnosis.findings()
    assert not last.works and "overwrite" in last.detail
    assert last.remedy.startswith("pip uninstall -y cupy-cuda12x cupy-cuda13x && pip install")


def test_command():
    def run(*arguments):
        command = [sys.executable, "-m", "fnad", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    found = run("doctor")
    assert "ok CPU" in found.stdout and found.returncode in (0, 1)
    wrong = run("dokter")
    assert wrong.returncode == 2 and "usage" in wrong.stderr


def test_no_card_is_said():
    if _has_driver():
        pytest.skip("there is a card")
    for call in (
        lambda: fnad.device_put([1.0]),
        lambda: fnad.jit(lambda x: x, backend="cuda")(1.0),
    ):
        with pytest.raises(BackendError, match="doctor"):
            call()


def _has_driver():
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True
