"""The passes of simplify, by the programs that they print."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.core.ir import Jaxpr
from fnad.core.primitive import Primitive
from fnad.core.tracer import trace_to_jaxpr
from fnad.core.types import aval_of
from fnad.lowering.simplify import drop_dead, fold, inline, merge_common, simplify
from fnad.primitives.arithmetic import integer_pow_p, mul_p, sub_p
from fnad.primitives.calls import jit_p, optimization_barrier
from fnad.primitives.control_flow.scan import scan

X = np.ones(3)


def traced(function, *args):
    return trace_to_jaxpr(lambda *xs: [function(*xs)], [aval_of(a) for a in args], "a test")[0]


def names(jaxpr):
    return [eqn.primitive.name for eqn in jaxpr.eqns]


def test_dead_equations_go_but_inputs_stay():
    jaxpr = traced(lambda a, b: (fnp.cos(b), fnp.sin(a))[1], X, X)
    slim = drop_dead(jaxpr)
    assert names(slim) == ["sin"] and len(slim.invars) == 2


def test_common_subexpressions_merge():
    jaxpr = merge_common(traced(lambda a: fnp.sin(a) * fnp.sin(a), X))
    assert names(jaxpr) == ["sin", "mul"]
    assert len(set(jaxpr.eqns[1].invars)) == 1


def test_zeros_of_either_sign_stay_apart():
    def signed(a):
        return sub_p.bind(mul_p.bind(a, np.float64(0.0)), mul_p.bind(a, np.float64(-0.0)))

    assert names(merge_common(traced(signed, X))) == ["mul", "mul", "sub"]


def test_nothing_merges_across_a_barrier():
    jaxpr = simplify(traced(lambda a: fnp.sin(a) + fnp.sin(optimization_barrier(a)), X))
    assert names(jaxpr).count("sin") == 2


def test_scalar_constants_fold():
    jaxpr = fold(traced(lambda a: mul_p.bind(a, mul_p.bind(np.float64(2), np.float64(3))), X))
    assert names(jaxpr) == ["mul"]
    assert jaxpr.eqns[0].invars[1].val == 6.0


def call(jaxpr, *args):
    return jit_p.bind(*args, jaxpr=jaxpr, name="f")[0]


def test_calls_are_inlined():
    inner = traced(fnp.sin, X)
    jaxpr = inline(traced(lambda a: call(inner, call(inner, a)), X))
    assert names(jaxpr) == ["sin", "sin"]


def test_programs_inside_loops_are_simplified():
    inner = traced(fnp.sin, X)
    jaxpr = traced(lambda a: scan(lambda c, v: (call(inner, c), v), a, a)[0], X)
    [eqn] = simplify(jaxpr).eqns
    [body] = [p for p in eqn.params.values() if isinstance(p, Jaxpr)]
    assert names(body) == ["sin"]


def test_deep_nesting_is_linear():
    program = traced(lambda a: fnp.sin(a) * 2.0, X)
    for _ in range(200):
        program = traced(lambda a, inner=program: call(inner, a), X)
    assert names(simplify(program)) == names(traced(lambda a: fnp.sin(a) * 2.0, X))


def test_primitives_bring_their_own_algebra():
    twice = Primitive("twice_negated", "x.")
    twice.type_rule(lambda x: x)
    twice.simplify(lambda eqn, definition: eqn.invars[0])
    assert names(fold(traced(lambda a: fnp.sin(twice.bind(a)), X))) == ["sin"]


def test_a_simple_program_is_simplified_once():
    jaxpr = traced(fnp.sin, X)
    assert simplify(jaxpr) is simplify(jaxpr)


ALGEBRA = {
    "neg neg": lambda a: fnp.negative(fnp.negative(a)),
    "add -0": lambda a: fnp.add(a, -0.0),
    "add -0 everywhere": lambda a: fnp.add(fnp.full(3, -0.0), a),
    "sub 0": lambda a: a - 0.0,
    "mul 1": lambda a: 1.0 * a,
    "mul ones": lambda a: a * fnp.ones(3),
    "div 1": lambda a: a / 1.0,
    "integer_pow 1": lambda a: integer_pow_p.bind(a, y=1),
    "reshape there and back": lambda a: a.reshape(3, 1).reshape(3),
    "transpose there and back": lambda a: a.reshape(3, 1).T.T.reshape(3),
    "rev there and back": lambda a: a[::-1][::-1],
    "select of equals": lambda a: fnp.where(a > 0, a, a),
}


@pytest.mark.parametrize("function", ALGEBRA.values(), ids=ALGEBRA.keys())
def test_algebraic_rules_leave_nothing(function):
    assert names(drop_dead(fold(traced(function, X)))) == []
    values = np.array([-0.0, np.inf, np.nan])
    np.testing.assert_array_equal(fnad.jit(function)(values), values)
    assert np.signbit(fnad.jit(function)(values)[0])


def test_algebraic_rules_join_equations():
    x = np.ones((2, 3, 4))
    transposed = drop_dead(fold(traced(lambda a: a.transpose(1, 2, 0).transpose(1, 2, 0), x)))
    assert [eqn.params for eqn in transposed.eqns] == [{"permutation": (2, 0, 1)}]
    wide = drop_dead(
        fold(traced(lambda a: fnp.broadcast_to(fnp.broadcast_to(a, (2, 3)), (4, 2, 3)), X))
    )
    assert [eqn.params["broadcast_dimensions"] for eqn in wide.eqns] == [(2,)]


def test_algebraic_rules_keep_what_changes_bits():
    for function in (lambda a: a + 0.0, lambda a: a - (-0.0), lambda a: 0.0 - a, lambda a: 1.0 / a):
        assert len(names(drop_dead(fold(traced(function, X))))) == 1
