"""Names of NumPy and JAX that `fnad.numpy` does not have: why, and what to use.

`fnad.numpy.__getattr__` raises with these sentences, and ``docs/numpy_coverage.md`` lists them.
"""

from __future__ import annotations

import difflib
from typing import Any

_IN_PLACE = "changes its argument in place, which a traced array does not allow"
_MEMORY = "is about the memory of an array, and a traced array has none yet"
_DTYPES = "fnad holds booleans, integers, floating and complex numbers only"
_FILES = "reads or writes files with Python; a traced program cannot"
_NUMPYS = "is NumPy's own, and does nothing to arrays that could be traced"
_STEPWISE = "gives elements to Python one by one"
_NARROW = "has fewer than 16 bits, and fnad has no arithmetic of such numbers"
_RENAMED = "is an older name"
_CLASS = "is a class of arrays of its own; fnad's arrays are numpy.ndarray"

_MASKS = "fnp.where, where= of reductions, or the nan-functions"
_CALL_NUMPY = "numpy's, outside of the traced function"

# Why, what to use instead, and the names, separated by spaces.
_GROUPS: tuple[tuple[str, str, str], ...] = (
    (_IN_PLACE, "x = fnp.where(mask, values, x) or fnp.at(x)[index].set(values)", "copyto putmask"),
    (
        _MEMORY,
        "fnp.asarray; layouts of compiled programs are chosen by fnad",
        "ascontiguousarray asfortranarray isfortran require",
    ),
    (_MEMORY, _CALL_NUMPY, "may_share_memory shares_memory memmap flatiter broadcast"),
    (
        _STEPWISE,
        "fnad.vmap, lax.scan, or numpy's on numpy.empty(x.shape)",
        "ndenumerate ndindex nditer nested_iters",
    ),
    (_FILES, _CALL_NUMPY, "fromregex genfromtxt loadtxt savetxt savez_compressed"),
    (
        f"would need dates, and {_DTYPES}",
        "numpy's, and integers (x.astype('int64')) in traced functions",
        "busday_count busday_offset busdaycalendar datetime64 datetime_as_string datetime_data"
        " is_busday isnat timedelta64",
    ),
    (
        f"would need texts, bytes or records, and {_DTYPES}",
        "numpy's, outside of the traced function",
        "bytes_ char chararray rec recarray record str_ strings void",
    ),
    (
        "needs more than 64 bits a number, and no compiled program has them",
        "fnp.float64 or fnp.complex128",
        "clongdouble complex256 float128 longdouble complex192 float96",
    ),
    (
        _NARROW,
        "fnp.float16, fnp.bfloat16 or fnp.int8",
        "float4_e2m1fn float6_e2m3fn float6_e3m2fn float8_e3m4 float8_e4m3 float8_e4m3b11fnuz"
        " float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu int1 int2 int4"
        " uint1 uint2 uint4",
    ),
    (_CLASS, "arrays of two axes, and x @ y", "asmatrix bmat matrix"),
    (f"{_CLASS}, and masks are arrays of booleans", _MASKS, "ma"),
    (_CLASS, "fnp.polyval, fnp.polyadd and their kin, on coefficients", "poly1d polynomial"),
    (
        "chooses by values, which a traced array does not have",
        "fnp.result_type, fnp.promote_types",
        "min_scalar_type",
    ),
    (
        "asks characters of dtypes",
        "fnp.result_type, dtype.name",
        "common_type mintypecode typename",
    ),
    (
        "says what NumPy does about invalid operations; compiled programs do nothing about them",
        "fnp.isfinite, fnp.nan_to_num",
        "errstate geterr geterrcall seterr seterrcall getbufsize setbufsize",
    ),
    (
        "raises for values, which a traced array does not have",
        "fnp.asarray, and fnp.isfinite",
        "asarray_chkfinite",
    ),
    ("keeps subclasses of numpy.ndarray, which fnad does not", "fnp.asarray", "asanyarray"),
    ("answers of negative numbers with complex ones, by value", "x.astype(complex)", "emath"),
    (_RENAMED, "fnp.vstack", "row_stack"),
    (_RENAMED, "fnp.trapezoid", "trapz"),
    (_RENAMED, "fnp.isin", "in1d"),
    (_RENAMED, "fnp.cumprod, fnp.prod, fnp.round", "cumproduct product round_"),
    ("is a package of its own in fnad", "fnad.random", "random"),
    ("is a package of its own in fnad", "fnad.testing", "testing test"),
    (
        "is raised for values, which a traced array does not have",
        "fnp.isfinite of the result: what NumPy raises it for is NaN or infinite",
        "linalg.LinAlgError",
    ),
    (_NUMPYS, "pytest", "linalg.test fft.test"),
    (
        _NUMPYS,
        "numpy's",
        "array2string base_repr binary_repr core ctypeslib dtypes exceptions f2py"
        " format_float_positional format_float_scientific get_include info lib show_config"
        " show_runtime typing ScalarType sctypeDict typecodes little_endian",
    ),
)

ABSENT: dict[str, tuple[str, str]] = {
    name: (why, instead) for why, instead, names in _GROUPS for name in names.split()
}


def missing(name: str, names: Any) -> str:
    """The sentence for a name that the namespace does not have."""
    if name in ABSENT:
        why, instead = ABSENT[name]
        return f"fnad.numpy has no {name}: it {why}. Use {instead}."
    public = [n for n in names if n[0] != "_"]
    # Tools ask modules for many a private name, and to compare it with all of these takes long.
    near = [] if name[0] == "_" else difflib.get_close_matches(name, public, 3, 0.75)
    hint = f". Near names: {', '.join('fnp.' + n for n in near)}" if near else ""
    return f"module 'fnad.numpy' has no attribute {name!r}{hint}"
