"""The cache of machine code on disk: found again, never trusted blindly, bounded."""

import os
import stat
import subprocess
import sys
import time

import numpy as np
import pytest

import fnad
from fnad.lowering.llvm import cache, target

TEXT = """
; a comment
define double @f(double %x) {
  %y = fmul double %x, 3.0
  ret double %y
}
"""


@pytest.fixture
def folder(tmp_path):
    before = fnad.config.cache_dir, fnad.config.cache_bytes
    fnad.config.cache_dir = tmp_path / "cache"
    yield tmp_path / "cache"
    fnad.config.cache_dir, fnad.config.cache_bytes = before


@pytest.fixture
def compilations(monkeypatch):
    """The texts that LLVM is given."""
    seen, compile_text = [], target.object_file
    monkeypatch.setattr(
        target, "object_file", lambda text, *rest: seen.append(text) or compile_text(text, *rest)
    )
    return seen


def test_machine_code_is_found_again(folder, compilations):
    first = target.machine_code(TEXT)
    again = target.machine_code(TEXT.replace("a comment", "another one"))
    assert again == first and len(compilations) == 1
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    target.machine_code(TEXT.replace("3.0", "4.0"))
    target.machine_code(TEXT, target.PLAIN)
    assert len(compilations) == 3 and len(list(folder.iterdir())) == 3


def test_another_machine_or_llvm_has_other_entries(folder, compilations, monkeypatch):
    target.machine_code(TEXT)
    monkeypatch.setattr(target, "host", lambda: b"another")
    target.machine_code(TEXT)
    assert len(compilations) == 2


@pytest.mark.parametrize("damage", ["empty", "cut", "changed", "foreign text"])
def test_damaged_entries_are_made_again(folder, compilations, damage):
    good = target.machine_code(TEXT)
    (entry,) = folder.iterdir()
    content = entry.read_bytes()
    entry.write_bytes({
        "empty": b"",
        "cut": content[:-10],
        "changed": content[:200] + bytes([content[200] ^ 1]) + content[201:],
        "foreign text": b"something else that is quite long, longer than the digest is",
    }[damage])  # fmt: skip
    assert target.machine_code(TEXT) == good and len(compilations) == 2
    assert entry.read_bytes() == content


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_entries_that_others_could_write_are_ignored(folder, compilations, mode):
    target.machine_code(TEXT)
    (entry,) = folder.iterdir()
    entry.chmod(mode)
    target.machine_code(TEXT)
    assert len(compilations) == 2


@pytest.mark.parametrize("mode", [0o720, 0o702])
def test_folders_that_others_could_write_are_ignored(folder, mode):
    cache.store("entry", b"content")
    assert cache.load("entry") == b"content"
    folder.chmod(mode)
    assert cache.load("entry") is None
    cache.store("other", b"content")
    assert not (folder / "other.code").exists()


def test_entries_of_other_users_are_ignored(folder, monkeypatch):
    cache.store("entry", b"content")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert cache.load("entry") is None


def test_links_are_not_followed(folder, tmp_path):
    cache.store("entry", b"content")
    entry = folder / "entry.code"
    entry.rename(tmp_path / "elsewhere")
    entry.symlink_to(tmp_path / "elsewhere")
    assert cache.load("entry") is None
    folder.rename(tmp_path / "real")
    folder.symlink_to(tmp_path / "real")
    cache.store("new", b"content")
    assert cache.load("new") is None


def test_no_folder_no_cache(tmp_path, folder):
    (tmp_path / "file").write_text("in the way")
    for place in (None, "", tmp_path / "file", tmp_path / "file" / "below"):
        fnad.config.cache_dir = place
        cache.store("entry", b"content")
        assert cache.load("entry") is None
    assert (tmp_path / "file").read_text() == "in the way"


def test_what_was_used_longest_ago_goes_first(folder):
    for age, name in enumerate("abcdef"):
        cache.store(name, bytes(1000))
        moment = time.time() - 10_000 + age
        os.utime(folder / f"{name}.code", (moment, moment))
    assert cache.load("b") is not None  # used now
    cache.evict(folder, 3500)
    assert sorted(p.name[0] for p in folder.iterdir()) == ["b", "e", "f"]


def test_the_bound_is_kept_while_writing(folder):
    fnad.config.cache_bytes = 100_000
    for i in range(60):
        cache.store(f"entry{i}", bytes(5000))
    assert sum(p.stat().st_size for p in folder.iterdir()) < 120_000
    assert cache.load("entry59") is not None
    cache.store("huge", bytes(200_000))
    assert cache.load("huge") is None


def test_remnants_of_writers_that_died_are_removed(folder):
    cache.store("entry", b"content")
    for name, age in (("old.new", 10_000), ("young.new", 10)):
        (folder / name).write_bytes(b"half")
        moment = time.time() - age
        os.utime(folder / name, (moment, moment))
    cache.evict(folder, 10**6)
    assert sorted(p.name for p in folder.iterdir()) == ["entry.code", "young.new"]


SCRIPT = """
import numpy as np, fnad
from fnad.lowering.llvm import target
compiled = []
original = target._emit
target._emit = lambda *args: compiled.append(1) or original(*args)
def loss(w, x):
    return (np.tanh(x @ w) ** 2).sum() + np.sort(x.ravel())[5] % 0.7
w, x = np.ones((70, 60)) / 64, np.linspace(-1, 1, 90 * 70).reshape(90, 70)
value, gradient = fnad.jit(fnad.value_and_grad(loss))(w, x)
print(len(compiled), repr(float(value)), repr(float((gradient * w).sum())))
"""


def test_a_second_process_compiles_nothing_and_gets_the_same(folder):
    env = os.environ | {"FNAD_CACHE_DIR": str(folder)}
    runs = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=env, check=True
        ).stdout.split()
        for _ in range(2)
    ]
    assert int(runs[0][0]) > 0 and int(runs[1][0]) == 0
    assert runs[0][1:] == runs[1][1:]
    w, x = np.ones((70, 60)) / 64, np.linspace(-1, 1, 90 * 70).reshape(90, 70)
    want = (np.tanh(x @ w) ** 2).sum() + np.sort(x.ravel())[5] % 0.7
    np.testing.assert_allclose(float(runs[0][1]), want, rtol=1e-12)
