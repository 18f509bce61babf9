"""fnad.config: settings are checked; limits of the machine are found."""

import math
import os
import subprocess
import sys

import pytest

import fnad
from fnad.config import available_cpus, cgroup_quota


@pytest.fixture
def threads():
    before = fnad.config.num_threads
    yield
    fnad.config.num_threads = before


def test_num_threads_can_be_changed(threads):
    fnad.config.num_threads = 5
    assert fnad.config.num_threads == 5
    for wrong in (0, -1, 2.0, "2", True, None):
        with pytest.raises(ValueError, match="num_threads is a number of at least 1"):
            fnad.config.num_threads = wrong
    assert fnad.config.num_threads == 5


def test_matmul_precision():
    assert fnad.config.matmul_precision == "float32"
    try:
        fnad.config.matmul_precision = "tensorfloat32"
        assert fnad.config.matmul_precision == "tensorfloat32"
        with pytest.raises(ValueError, match="one of float32, tensorfloat32, bfloat16, not 'tf32'"):
            fnad.config.matmul_precision = "tf32"
    finally:
        fnad.config.matmul_precision = "float32"


def test_misspelt_settings_are_refused():
    with pytest.raises(AttributeError, match=r"no setting 'nthreads'.*num_threads"):
        fnad.config.nthreads = 2


@pytest.mark.parametrize("value, shown", [("3", "3"), ("", str(available_cpus()))])
def test_num_threads_from_the_environment(value, shown):
    assert run_with(FNAD_NUM_THREADS=value).stdout.strip() == shown


def test_wrong_environment_is_an_error():
    assert "FNAD_NUM_THREADS is a number of at least 1, not 'two'" in (
        run_with(FNAD_NUM_THREADS="two").stderr
    )


def run_with(**environment):
    code = "import fnad; print(fnad.config.num_threads)"
    env = os.environ | environment
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs affinity")
def test_affinity_counts():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert available_cpus() == 1
    finally:
        os.sched_setaffinity(0, before)


def groups(tmp_path, membership, files):
    """A process's membership and a hierarchy of control groups."""
    (tmp_path / "cgroup").write_text(membership)
    for name, text in files.items():
        file = tmp_path / "fs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return cgroup_quota(tmp_path / "cgroup", tmp_path / "fs")


def test_quota_of_version_2_and_its_ancestors(tmp_path):
    files = {"a/b/cpu.max": "400000 100000\n", "a/cpu.max": "150000 100000\n"}
    assert groups(tmp_path, "0::/a/b\n", files) == 1.5
    assert groups(tmp_path, "0::/a/b\n", {"a/cpu.max": "max 100000\n"}) == 4
    assert groups(tmp_path, "0::/a\n", {}) == math.inf


def test_quota_of_version_1(tmp_path):
    files = {
        "cpu,cpuacct/job/cpu.cfs_quota_us": "250000\n",
        "cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
    }
    assert groups(tmp_path, "4:cpu,cpuacct:/job\n3:memory:/x\n", files) == 2.5
    unlimited = {"cpu,cpuacct/job/cpu.cfs_quota_us": "-1\n"}
    assert groups(tmp_path, "4:cpu,cpuacct:/job\n", unlimited) == math.inf


def test_no_control_groups(tmp_path):
    assert cgroup_quota(tmp_path / "none", tmp_path) == math.inf
