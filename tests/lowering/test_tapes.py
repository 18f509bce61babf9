"""Tapes in plans: memory for as many rows as a loop makes turns, found when it runs."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax, make_jaxpr
from fnad.lowering import profile_jaxpr
from fnad.lowering.plan import For, Release, Reserve
from fnad.lowering.planning import plan_jaxpr
from fnad.lowering.simplify import simplify
from fnad.lowering.tapes import with_releases
from tests.lowering.plan_interpreter import run_plan
from tests.tiers import tiered

X = np.linspace(0.1, 1.0, 6)


def loop(x, n):
    body = lambda s: (s[0] + 1, fnp.sin(s[1]) * 1.5)
    return lax.while_loop(lambda s: s[0] < n, body, (0, x))[1]


def several(x, n):
    """Tapes one after the other, and in a loop."""
    y = fnp.sum(loop(x, n) ** 2) + fnp.sum(loop(x * 2, n + 1) ** 3)
    return y + lax.scan(lambda c, k: (c + fnp.sum(loop(x * c, k)), None), y, np.arange(3))[0]


def plan_of(f, *args):
    return plan_jaxpr(simplify(make_jaxpr(f)(*args).jaxpr))


@pytest.mark.parametrize("f", [lambda x, n: fnp.sum(loop(x, n)), several])
@pytest.mark.parametrize("n", [0, 1, 5])
def test_plans_do_what_the_program_says(f, n):
    g = fnad.grad(f)
    closed = make_jaxpr(g)(X, n)
    plan = plan_jaxpr(simplify(closed.jaxpr))
    [found] = run_plan(plan, [*closed.consts, X, np.int64(n)])
    np.testing.assert_allclose(found, g(X, n), rtol=1e-12)
    np.testing.assert_allclose(fnad.jit(g)(X, n), g(X, n), rtol=1e-12)


def test_a_tape_lives_until_its_last_use():
    plan = plan_of(fnad.grad(several), X, 5)
    kinds = [type(node) for node in plan.body]
    assert kinds.count(Reserve) == kinds.count(Release) == 2
    ends = [i for i, kind in enumerate(kinds) if kind is Release]
    assert all(isinstance(plan.body[i - 1], For) and plan.body[i - 1].backwards for i in ends)
    loops = [node for node in plan.body if isinstance(node, For) and node.count is None]
    inside = [type(node) for node in loops[-1].body]
    assert inside.count(Reserve) == inside.count(Release) == 1


def test_releases_of_two_turns_in_one():
    reserve, loop = Reserve(0, 1, (2, 3)), For(0, 9, (), None, 1)
    user = For(0, 9, (Release((3,)),), None, 1)  # a node that touches a tape
    found = with_releases([reserve, user, loop, reserve, loop, user])
    release = Release((2, 3))
    assert found == [reserve, user, release, loop, reserve, loop, user, release]


def test_the_plan_and_the_profile_say_what_a_step_takes():
    jaxpr = make_jaxpr(fnad.grad(lambda x, n: fnp.sum(loop(x, n))))(X, 5).jaxpr
    text = fnad.jit(fnad.grad(lambda x, n: fnp.sum(loop(x, n)))).lower(X, 5).as_text("plan")
    [tape] = [line for line in text.splitlines() if line.startswith("  tape")]
    assert tape.endswith(",6]")
    times = profile_jaxpr(jaxpr, [X, np.int64(5)], 1)
    assert "tape of 48 bytes a step" in [t.description for t in times]
    assert all(t.num_bytes < 2**20 for t in times)


@tiered("way", [{}, {"max_steps": 9}], lambda way: not way)
def test_two_turns_in_one(way):
    x = np.linspace(0.1, 1.0, 1200)

    def f(x, n):
        body = lambda s: (s[0] + 1, fnp.sin(s[1]) + fnp.roll(s[1], 1) ** 2)
        return fnp.sum(lax.while_loop(lambda s: s[0] < n, body, (0, x), **way)[1])

    closed = make_jaxpr(fnad.grad(f))(x, 5)
    plan = plan_jaxpr(simplify(closed.jaxpr))
    assert "case %" in str(plan)  # in place of a copy of the carry
    for n in range(7):
        wanted = fnad.grad(f)(x, n)
        [found] = run_plan(plan, [*closed.consts, x, np.int64(n)])
        np.testing.assert_allclose(found, wanted, rtol=1e-11)
        np.testing.assert_allclose(fnad.jit(fnad.grad(f))(x, n), wanted, rtol=1e-11)
