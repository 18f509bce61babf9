"""Sample inputs: one row a primitive, by the name that is printed in jaxprs.

Adding a primitive means adding one row to the file of its family. ``SPECIAL_CASES`` names the
primitives that only make sense inside a program, and where they are tested instead.
"""

from fnad.testing import Sample
from tests.samples import (
    arithmetic,
    attention,
    bits,
    complex_numbers,
    fft,
    indexing,
    linalg,
    linear,
    logic,
    reductions,
    shape,
    special,
)

FAMILIES = (
    arithmetic,
    attention,
    bits,
    complex_numbers,
    special,
    logic,
    reductions,
    shape,
    indexing,
    linear,
    linalg,
    fft,
)

SAMPLES: dict[str, list[Sample]] = {}
for family in FAMILIES:
    assert not SAMPLES.keys() & family.SAMPLES.keys(), "a primitive has rows in two files"
    SAMPLES.update(family.SAMPLES)

SPECIAL_CASES = {
    "jit": "tests/test_transforms.py",
    "checkpoint": "tests/test_transforms.py",
    "custom_jvp_call": "tests/test_transforms.py",
    "custom_vjp_call": "tests/test_transforms.py",
    "custom_lin": "tests/test_transforms.py",
    "custom_vmap_call": "tests/primitives/test_custom_vmap.py",
    "linear_call": "tests/primitives/test_linear_call.py",
    "linear_solve": "tests/primitives/test_implicit.py",
    "routine": "tests/primitives/test_complex_linalg.py",
    "psum": "tests/test_transforms.py",
    "pmax": "tests/test_transforms.py",
    "pmin": "tests/test_transforms.py",
    "all_gather": "tests/primitives/test_exchanges.py",
    "axis_index": "tests/test_transforms.py",
    "scan": "tests/test_control_flow.py",
    "while": "tests/test_control_flow.py",
    "counted_scan": "tests/primitives/control_flow/test_replay.py",
    "cond": "tests/test_control_flow.py",
    "pure_callback": "tests/primitives/test_callbacks.py",
    "debug_callback": "tests/test_debug.py",
    "io_callback": "tests/primitives/test_io_callback.py",
    "platform_index": "tests/primitives/control_flow/test_platforms.py",
    "size": "tests/transforms/test_dynamic.py",
}
