"""What reverse mode keeps, by policy, and how it is printed."""

import numpy as np
import pytest

import fnad
from fnad.ad_checkpoint import (
    checkpoint,
    checkpoint_name,
    checkpoint_policies,
    print_saved_residuals,
    saved_residuals,
)
from fnad.primitives.custom import custom_vjp

MATRIX = np.ones((3, 3))


def layer(x, w):
    hidden = checkpoint_name(np.sin(MATRIX @ x), "hidden")
    wide = checkpoint_name(np.cos(w * hidden), "wide")
    return np.sum(np.exp(wide) * hidden)


def origins(policy=None, fun=layer):
    fun = fun if policy is None else checkpoint(fun, policy=policy)
    return sorted(
        origin.split(" from /")[0]
        for _, origin in saved_residuals(fun, np.ones(3), np.float64(2.0))
    )


def test_arguments_constants_and_results_are_named():
    found = origins()
    assert "from a constant" in found
    assert "named 'hidden'" in found
    assert "output of cos" in found


@pytest.mark.parametrize(
    "policy, kept",
    [
        (checkpoint_policies.nothing_saveable, []),
        (checkpoint_policies.dots_saveable, ["output of dot_general"]),
        (checkpoint_policies.dots_with_no_batch_dims_saveable, ["output of dot_general"]),
        (checkpoint_policies.save_only_these_names("wide"), ["named 'wide'"]),
        (checkpoint_policies.save_any_names_but_these("wide"), ["named 'hidden'"]),
        (
            checkpoint_policies.save_from_both_policies(
                checkpoint_policies.dots_saveable, checkpoint_policies.save_only_these_names("wide")
            ),
            ["named 'wide'", "output of dot_general"],
        ),
    ],
    ids=["nothing", "dots", "dots without batch", "names", "names but these", "both"],
)
def test_policies(policy, kept):
    found = origins(policy)
    assert [o for o in found if not o.startswith("from ")] == kept
    assert "from the argument w" in found
    x = np.array([0.1, 0.2, 0.3])
    want = fnad.grad(layer, (0, 1))(x, 2.0)
    got = fnad.grad(checkpoint(layer, policy=policy), (0, 1))(x, 2.0)
    for a, b in zip(got, want):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_everything_saveable_is_as_if_there_were_no_checkpoint():
    everything = origins(checkpoint_policies.everything_saveable)
    assert [o for o in everything if "output" in o] == [o for o in origins() if "output" in o]


def test_printing(capsys):
    fun = lambda x, *, y: checkpoint_name(np.sin(x["a"]), "s") * y
    print_saved_residuals(checkpoint(fun), {"a": np.ones(2)}, y=3.0)
    printed = capsys.readouterr().out.splitlines()
    assert sorted(printed) == ["f64*[] from the argument y", "f64[2] from the argument x['a']"]
    print_saved_residuals(fun, {"a": np.ones(2, np.float32)}, y=np.float32(3))
    assert "f32[2] named 's' from " in capsys.readouterr().out
    print_saved_residuals(lambda x: 2.0 * x, 1.0)
    assert capsys.readouterr().out == ""


def test_forward_rules_compute_no_residuals_that_nobody_reads():
    """As `optimize_remat` of JAX: a checkpoint's forward pass leaves them out."""
    traced = []

    @custom_vjp
    def fun(x):
        return np.sin(x)

    def forward(x):
        traced.append(True)
        return np.sin(x), np.cosh(x)  # no other rule makes a cosh

    fun.defvjp(forward, lambda residual, ct: (ct * residual,))

    def names(program):
        found = []
        for eqn in program.eqns:
            inner = eqn.params.get("jaxpr")
            found += names(inner) if inner is not None else [eqn.primitive.name]
        return found

    assert "cosh" not in names(fnad.make_jaxpr(fnad.jit(fun))(1.0))
    value_only = lambda x: fnad.value_and_grad(checkpoint(fun))(x)[0]
    lowered = fnad.jit(value_only).lower(1.0).as_text("simplified")
    assert traced and "sin" in lowered and "cosh" not in lowered
    both = fnad.jit(fnad.value_and_grad(checkpoint(fun))).lower(1.0).as_text("simplified")
    assert both.count("cosh") == 1
    assert fnad.grad(checkpoint(fun))(1.0) == pytest.approx(np.cosh(1.0))
