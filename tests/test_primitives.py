"""The generic tests: every primitive's every rule, on the rows of ``tests/samples``."""

import importlib
import pkgutil
from dataclasses import replace

import pytest

import fnad.primitives
from fnad.core.primitive import Primitive
from fnad.testing import check_primitive
from tests.primitive_dtypes import check_dtypes, holes
from tests.samples import SAMPLES, SPECIAL_CASES

CHECKS = ["types", "reference", "jit", "jvp", "transpose", "vmap", "second"]


def all_primitives() -> dict[str, Primitive]:
    found: dict[str, Primitive] = {}
    for info in pkgutil.walk_packages(fnad.primitives.__path__, "fnad.primitives."):
        for value in vars(importlib.import_module(info.name)).values():
            if isinstance(value, Primitive):
                assert found.setdefault(value.name, value) is value, f"two named {value.name}"
    return found


PRIMITIVES = all_primitives()


def test_every_primitive_has_a_row():
    missing = sorted(set(PRIMITIVES) - set(SAMPLES) - set(SPECIAL_CASES))
    assert not missing, f"add rows to tests/samples for {missing}"


def test_every_row_has_a_primitive():
    assert set(SAMPLES) <= set(PRIMITIVES), sorted(set(SAMPLES) - set(PRIMITIVES))


@pytest.mark.parametrize("name", sorted(PRIMITIVES))
def test_documented(name):
    assert PRIMITIVES[name].__doc__, f"primitive {name} does not say what it computes"


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", sorted(set(SAMPLES) & set(PRIMITIVES)))
def test_rules(name, check):
    check_primitive(PRIMITIVES[name], SAMPLES[name], [check])


@pytest.mark.parametrize("name", sorted(set(SAMPLES) & set(PRIMITIVES)))
def test_derivatives_in_bfloat16(name):
    samples = [replace(s, dtypes=("bfloat16",)) for s in SAMPLES[name] if "float16" in s.dtypes]
    if samples:
        check_primitive(PRIMITIVES[name], samples, ["jvp", "transpose"])


@pytest.mark.parametrize("name", sorted(set(SAMPLES) & set(PRIMITIVES)))
def test_rules_in_every_dtype(name):
    check_dtypes(PRIMITIVES[name], SAMPLES[name])


@pytest.mark.parametrize("name", sorted(set(SAMPLES) & set(PRIMITIVES)))
def test_rows_have_every_dtype_that_the_type_rule_takes(name):
    missing = holes(PRIMITIVES[name], SAMPLES[name])
    assert not missing, f"add rows of {name} to tests/samples: by operand, {missing}"
