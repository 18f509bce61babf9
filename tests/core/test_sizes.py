"""Sizes that are known when a program is called: arithmetic, questions, facts."""

from __future__ import annotations

import copy
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fnad.core.facts import Fact
from fnad.core.polynomials import evaluate
from fnad.core.sizes import (
    Scope,
    Size,
    SizeError,
    bound,
    common_shape,
    polynomial,
    range_length,
    same_shape,
    slice_indices,
)


def sizes(**hints):
    scope = Scope(hints)
    return [scope.size(name) for name in hints]


def test_sums_products_and_exact_quotients_are_polynomials():
    n, m = sizes(n=7, m=5)
    assert str(2 * n * m + n - 1) == "2*m*n + n - 1"
    assert str((n * m + n) // n) == "m + 1"
    assert (n * m) % m == 0 and n - n == 0 and type(n - n + 3) is int
    assert str(math.prod((n, 3, m))) == "3*m*n" and str(sum((n, n, 1))) == "2*n + 1"
    assert [str(f) for f in n.scope.facts] == ["n != 0", "m != 0"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("+-*/%"), st.sampled_from(["n", "m", 2, 3, 5]))),
    st.integers(1, 40),
    st.integers(1, 40),
)
def test_polynomials_have_the_values_of_the_integers(operations, n, m):
    made, plain = Scope({"n": 13, "m": 8}), {"n": n, "m": m}
    value, expected = made.size("n"), n
    for operation, other in operations[:5]:
        right, number = (made.size(other), plain[other]) if other in plain else (other, other)
        made.lowering = True  # nothing is asked here
        if operation == "+":
            value, expected = value + right, expected + number
        elif operation == "-":
            value, expected = value - right, expected - number
        elif operation == "*":
            value, expected = value * right, expected * number
        elif operation == "/":
            value, expected = value // right, expected // number
        else:
            value, expected = value % right, expected % number
    assert evaluate(polynomial(value), plain) == expected


@settings(max_examples=100, deadline=None)
@given(st.integers(-6, 6), st.integers(-6, 6), st.integers(0, 30), st.integers(0, 30))
def test_what_is_decided_holds_for_all_sizes(a, b, n, m):
    x, y = sizes(n=n, m=m)
    left, right = a * x + b, y * b + a
    for ask, truth in (
        (lambda: left < right, a * n + b < m * b + a),
        (lambda: left <= right, a * n + b <= m * b + a),
        (lambda: left == right, a * n + b == m * b + a),
        (lambda: left > 3, a * n + b > 3),
    ):
        assert ask() is truth
    for fact in x.scope.facts:
        assert fact.check({"n": n, "m": m})


def test_questions_that_sizes_decide_are_noted_once():
    (n,) = sizes(n=7)
    assert n != 1 and n != 1 and n > 3 and n >= 0 and n + 1 > n
    assert [str(f) for f in n.scope.facts] == ["n != 1", "3 < n"]
    facts = n.scope.facts
    assert [f.check({"n": 3}) for f in facts] == [True, False]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(-3, 3), st.integers(-3, 3), st.integers(-9, 9),
            st.sampled_from(["==", "<", "<="]),
        ),
        max_size=6,
    ),
    st.integers(0, 9),
    st.integers(0, 9),
)  # fmt: skip
def test_what_follows_from_facts_is_so(questions, n, m):
    x, y = sizes(n=n, m=m)
    for a, b, c, relation in questions:
        asked = {"==": a * x + c == b * y, "<": a * x + c < b * y, "<=": a * x + c <= b * y}
        truth = {"==": a * n + c == b * m, "<": a * n + c < b * m, "<=": a * n + c <= b * m}
        assert asked[relation] is truth[relation]
    others = [(i, j) for i in range(12) for j in range(12)]
    served = [s for s in others if all(f.check(dict(zip("nm", s))) for f in x.scope.facts)]
    assert (n, m) in served
    for left, relation, right in [(x, "<", y), (x, "<=", y + 1), (x, "==", y), (2 * x, "<", 5)]:
        answer = x.scope.known.answer(polynomial(left), relation, polynomial(right))
        for i, j in served if answer is not None else []:
            fact = Fact(polynomial(left), relation, polynomial(right), answer)
            assert fact.check({"n": i, "m": j})


def test_facts_that_follow_are_not_noted():
    n, m = sizes(n=7, m=9)
    assert n >= 3 and n > 2 and n != 0 and 2 * n + m > 5 and not n < 3 and n + 1 > 3
    assert n < m and n != m and n <= m + 1 and n + 1 <= m
    assert [str(f) for f in n.scope.facts] == ["3 <= n", "n < m"]
    n, m = sizes(n=7, m=7)
    assert n == m and m == n and n + 1 == m + 1 and n <= m and not n < m
    assert [str(f) for f in n.scope.facts] == ["n == m"]


def test_what_was_answered_is_not_asked_again():
    n, m = sizes(n=7, m=9)
    half = (n + 1) // 2
    for _ in range(3):
        assert 2 * half >= 2 and half != 3 and half != m and n % 4 < m and n // 3 <= m - n // 2
        assert n * m >= 2 * n and (n - m) * n < m
    shown = [str(fact) for fact in n.scope.facts]
    assert len(shown) == len(set(shown)) <= 7


def test_while_lowering_sizes_are_equal_only_for_all_values():
    n, m = sizes(n=7, m=7)
    with n.scope.lowered():
        assert n != m and n != 7 and n * m == m * n
        assert not bound(n) < 100 and not bound(n) > 100 and bound(n) <= n
    assert n.scope.facts == []


def test_sizes_of_different_makings_are_never_equal():
    (n,), (other,) = sizes(n=7), sizes(n=7)
    assert n != other and not same_shape((n,), (other,)) and same_shape((n, 1), (n, 1))


@pytest.mark.parametrize(
    "function",
    [
        int, float, complex, math.sqrt, math.ceil, range, np.zeros, list("abc").__getitem__,
        lambda n: "abc"[:n], lambda n: n > 0.5, lambda n: n == 2.0, lambda n: n == Fraction(7),
        lambda n: {7: 1}.get(n), lambda n: n in {7}, lambda n: "%d".__mod__(n), lambda n: [0] * n,
        np.random.default_rng(0).standard_normal, copy.copy, lambda n: np.broadcast_to(0, (n, 2)),
        lambda n: np.arange(9).reshape(n, -1), lambda n: np.float64(n), lambda n: np.full(n, 1),
        lambda n: n & 1, lambda n: 1 << n, lambda n: n.bit_length(), lambda n: ~n,
    ],
)  # fmt: skip
def test_what_would_need_the_value_is_refused(function):
    (n,) = sizes(n=7)
    with pytest.raises(SizeError, match="of the size n"):
        function(n)


def test_numpy_keeps_sizes_among_objects():
    (n,) = sizes(n=7)
    assert str(np.prod((n, 3, n))) == "3*n*n" and str(np.cumsum([n, 1])[1]) == "n + 1"
    assert n == np.int64(7) and np.all(np.array([n, 8]) > 6)
    assert [str(f) for f in n.scope.facts] == ["n == 7"]  # from which the other follows


def test_texts_are_noted():
    (n,) = sizes(n=7)
    assert n.scope.shown is None
    assert f"{n}" == str(n) == "n" and str((n, 1)) == "(n, 1)"
    assert n.scope.shown.function == "test_texts_are_noted"


def test_nothing_is_divided_by_zero():
    n, m = sizes(n=7, m=3)
    assert str(n * m // m) == "n"
    assert [str(f) for f in m.scope.facts] == ["m != 0"]
    n, m = sizes(n=7, m=0)
    for operation in (lambda: n // m, lambda: n % m, lambda: 5 // m):
        with pytest.raises(ZeroDivisionError):
            operation()


@pytest.mark.parametrize("step", [None, 1, 2, -1, -3])
@pytest.mark.parametrize("stop", [None, 0, 3, -2, 20])
@pytest.mark.parametrize("start", [None, 0, 2, -1, -20])
def test_slices_are_those_of_python(start, stop, step):
    for length in (0, 1, 5, 9):
        (n,) = sizes(n=length)
        found = slice_indices(start, stop, step, n)
        expected = slice(start, stop, step).indices(length)
        values = {"n": length}
        assert tuple(evaluate(polynomial(x), values) for x in found) == expected
        assert evaluate(polynomial(range_length(*found)), values) == len(range(*expected))


def test_shapes_are_broadcast_as_by_numpy():
    n, m = sizes(n=7, m=5)
    assert common_shape((n, 1), (m,)) == (n, m)
    assert common_shape((1,), (3, n)) == (3, n)
    with pytest.raises(ValueError, match="cannot be broadcast"):
        common_shape((n,), (m,))
    assert isinstance(common_shape((n,), ())[0], Size)
