"""Machine code of modules: the same whatever was compiled before, in bounded memory."""

import concurrent.futures
import re
import subprocess
import sys

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax
from fnad.lowering.llvm.target import (
    OPTIMIZED,
    PLAIN,
    VECTOR_CODE,
    _strength_reduction,
    compile_module,
    object_file,
)

SUM = """
define double @sum(ptr %x, i64 %n) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %total = phi double [ 0.0, %entry ], [ %more, %loop ]
  %place = getelementptr double, ptr %x, i64 %i
  %value = load double, ptr %place
  %more = fadd reassoc double %total, %value
  %next = add i64 %i, 1
  %again = icmp ult i64 %next, %n
  br i1 %again, label %loop, label %end
end:
  ret double %more
}
"""


def constant(number):
    return f"define i64 @constant() {{\n  ret i64 {number}\n}}\n"


@pytest.mark.parametrize("recipe", [OPTIMIZED, VECTOR_CODE, PLAIN])
def test_code_does_not_depend_on_what_was_compiled_before(recipe):
    first = object_file(SUM, recipe)
    for number in range(3):
        object_file(constant(number), recipe)
    assert object_file(SUM, recipe) == first


def test_threads_compile_at_the_same_time():
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        files = list(pool.map(lambda k: object_file(constant(k % 5), VECTOR_CODE), range(40)))
    assert len(set(files)) == 5
    assert all(files[k] == files[k % 5] for k in range(40))
    assert compile_module(constant(7)).address("constant")


@pytest.mark.parametrize("reduced", [True, False])
def test_plain_code_waits_for_nobody(reduced):
    alone = object_file(SUM, PLAIN)
    with concurrent.futures.ThreadPoolExecutor(1) as pool, _strength_reduction.of(reduced):
        beside = pool.submit(object_file, SUM, PLAIN).result(timeout=60)
    assert beside == alone


def test_recipes_beside_each_other_make_the_same_code():
    recipes = [PLAIN, VECTOR_CODE, OPTIMIZED] * 40
    alone = {recipe: object_file(SUM, recipe) for recipe in recipes[:3]}
    assert len(set(alone.values())) == 3
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for recipe, made in zip(recipes, pool.map(lambda r: object_file(SUM, r), recipes)):
            assert made == alone[recipe]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_compiling_leaves_no_memory_behind():
    script = """
from fnad.lowering.llvm.target import PLAIN, object_file
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
for k in range(1300):
    object_file(f"define i64 @f() {{ ret i64 {k} }}", PLAIN)
    if k == 300:
        before = resident()
print(resident() - before)
"""
    grown = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert int(grown.stdout) < 1_500_000


def test_code_has_no_instructions_of_sse4a():
    x = np.arange(700, dtype=np.uint8).reshape(100, 7)
    code = fnad.jit(lambda x: fnp.sum(x * x, 1)).lower(x).as_text("asm")
    assert not re.search(r"\b(insertq|extrq)\b", code)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_no_masked_stores_of_what_is_selected_in_place(dtype):
    def settle(taken, x):
        return lax.fori_loop(0, 10, lambda i, x: fnp.where(taken, x + 1, x), x)

    x = np.zeros(64, dtype)
    lowered = fnad.jit(settle).lower(x > 0, x)
    assert "maskmov" not in lowered.as_text("asm")
    lanes = lowered.compile()(np.arange(64) % 3 == 0, x)
    np.testing.assert_array_equal(lanes, np.where(np.arange(64) % 3 == 0, 10, 0))
