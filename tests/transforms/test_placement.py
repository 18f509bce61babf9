"""Arrays on a card, the emulated one: where programs run, what they return, what is refused."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax, nn, optim
from fnad.core.types import is_device_array
from fnad.lowering.cuda.device import installed
from tests.cuda_emulator.cards import CARDS, card_of

X = np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4)


@pytest.fixture(autouse=True, params=CARDS)
def card(request):
    with card_of(request.param) as device:
        yield device


def on_card(tree):
    return all(map(is_device_array, fnad.tree.leaves(tree)))


def close(got, want, rtol=1e-5):
    assert on_card(got)
    for a, b in zip(fnad.tree.leaves(fnad.device_get(got)), fnad.tree.leaves(want), strict=True):
        assert a.dtype == np.asarray(b).dtype
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-6)


def test_there_and_back():
    tree = {"w": X, "b": [np.arange(3), np.float64(2.5), True]}
    put = fnad.device_put(tree)
    assert on_card(put)
    assert fnad.device_put(put)["w"] is put["w"]
    back = fnad.device_get(put)
    np.testing.assert_array_equal(back["w"], X)
    assert back["b"][1] == 2.5 and isinstance(back["b"][1], np.float64)
    assert fnad.device_get(X) is X


def test_jit_follows_its_arguments():
    f = fnad.jit(lambda tree, s: {"y": np.sin(tree["x"]) * s})
    close(f({"x": fnad.device_put(X)}, 2.0), {"y": np.sin(X) * 2})
    assert isinstance(f({"x": X}, 2.0)["y"], np.ndarray)
    close(f({"x": fnad.device_put(X)}, np.float32(3.0)), {"y": np.sin(X) * 3})


def test_backend_cuda_moves_numpy_arrays():
    f = fnad.jit(lambda x: x.sum(axis=0), backend="cuda")
    close(f(X), X.sum(axis=0))
    close(f(fnad.device_put(X)), X.sum(axis=0))


def test_backends_have_programs_of_their_own():
    def f(x):
        return x + 1

    assert isinstance(fnad.jit(f)(X), np.ndarray)
    close(fnad.jit(f, backend="cuda")(X), X + 1)
    with pytest.raises(ValueError, match="'cpu' and 'cuda'"):
        fnad.jit(f, backend="tpu")


def test_mixtures_are_refused_by_name():
    f = fnad.jit(lambda p, x: p["w"] * x)
    with pytest.raises(TypeError, match=r"\[0\]\['w'\] is a NumPy array.*device_put"):
        f({"w": X}, fnad.device_put(X))
    with pytest.raises(TypeError, match="backend='cpu'"):
        fnad.jit(lambda x: x, backend="cpu")(fnad.device_put(X))


def test_closures():
    w = fnad.device_put(X)
    f = fnad.jit(lambda x: x * w + X)
    close(f(fnad.device_put(X)), X * X + X)
    close(fnad.jit(lambda: fnp.multiply(w, 2))(), X * 2)
    close(fnad.jit(lambda s: w * s)(3.0), X * 3)
    with pytest.raises(TypeError, match="closes over arrays of CuPy"):
        f(X)


def test_closed_over_arrays_are_read_when_traced():
    w = fnad.device_put(X)
    f = fnad.jit(lambda x: x + w)
    x = fnad.device_put(X)
    close(f(x), 2 * X)
    w.set(np.zeros_like(X))
    close(f(x), 2 * X)


def test_eager_functions():
    x = fnad.device_put(X)
    close(fnp.exp(x), np.exp(X))
    close(fnp.matmul(x, fnp.transpose(x)), X @ X.T)
    close(fnp.concatenate([x, x], axis=1), np.concatenate([X, X], axis=1))
    close(fnp.where(fnp.greater(x, 0), x, 0), np.where(X > 0, X, 0))
    close(fnp.mean(x, axis=1), X.mean(axis=1))
    close(fnp.astype(x, np.float64), X.astype(np.float64))
    close([fnp.asarray(x), fnp.array(x, np.float64), fnp.full_like(x, 2), fnp.zeros_like(x)],
          [X, X.astype(np.float64), np.full_like(X, 2), np.zeros_like(X)])  # fmt: skip
    assert fnp.sum(x).shape == ()
    assert abs(float(fnp.max(x)) - X.max()) < 1e-6


def test_transforms_outside_of_jit():
    x = fnad.device_put(X)

    def f(x):
        return (fnp.sin(x) * x).sum()

    close(fnad.grad(f)(x), np.sin(X) + X * np.cos(X))
    value, gradient = fnad.value_and_grad(f)(x)
    close([value, gradient], [(np.sin(X) * X).sum(), np.sin(X) + X * np.cos(X)])
    close(fnad.vmap(fnp.sum)(x), X.sum(axis=1))
    close(fnad.jvp(fnp.tanh, (x,), (x,))[1], X * (1 - np.tanh(X) ** 2))


def test_loops_and_branches():
    x = fnad.device_put(X)
    final, states = fnad.jit(lambda x: lax.scan(lambda c, r: (c * 0.5 + r, c), x[0], x))(x)
    want, c = [], X[0]
    for row in X:
        want.append(c)
        c = c * np.float32(0.5) + row
    close([final, states], [c, np.stack(want)])
    doubled = fnad.jit(lambda x: lax.while_loop(lambda c: c.max() < 50, lambda c: c * 2, x))(x)
    close(doubled, X * 32)
    branch = fnad.jit(lambda i, x: lax.switch(i, [lambda x: x, lambda x: -x, lambda x: x * x], x))
    for i, want in enumerate((X, -X, X * X)):
        close(branch(np.int32(i), x), want)


def test_random_numbers_are_those_of_the_cpu():
    key = fnad.random.key(7)
    close(fnad.jit(lambda k: fnad.random.uniform(k, (5,)), backend="cuda")(key),
          fnad.random.uniform(key, (5,)))  # fmt: skip


def test_donated_arguments_leave_results_right():
    f = fnad.jit(lambda x, y: (x + y, x * y), donate_argnums=(0,))
    x, y = fnad.device_put(X), fnad.device_put(X)
    close(f(x, y), (X + X, X * X))


def test_training_step():
    model = nn.Sequential(nn.Dense(4, 8), nn.Activation(nn.relu), nn.Dense(8, 3))
    params = model.init(fnad.random.key(0))
    optimizer = optim.adam(1e-2)

    def step(params, state, x):
        def loss(p):
            return (model.apply(p, x) ** 2).mean()

        value, gradient = fnad.value_and_grad(loss)(params)
        updates, state = optimizer.update(gradient, state, params)
        return optim.apply_updates(params, updates), state, value

    state = optimizer.init(params)
    want = fnad.jit(step)(params, state, X)
    got = fnad.jit(step)(*fnad.device_put((params, state, X)))
    close(got, want, rtol=1e-4)


def test_calls_with_arrays_in_the_same_places_are_replayed(card):
    f = fnad.jit(lambda x, y: (fnp.sin(x).sum(axis=0) * y.sum(axis=0), x + 1))
    x, y = fnad.device_put(X), fnad.device_put(X)
    kept = []
    for turn in range(6):
        results = f(x, y)
        close(results, (np.sin(X).sum(axis=0) * X.sum(axis=0), X + 1))
        if turn % 2:
            kept.append(results)  # so that the next ones lie elsewhere
        del results
    for results in kept:
        close(results, (np.sin(X).sum(axis=0) * X.sum(axis=0), X + 1))


def test_replays_see_new_values(card):
    f = fnad.jit(lambda x: fnp.sin(x).sum(axis=0) + x[0] + x.sum())
    x = fnad.device_put(X)
    for turn in range(8):
        values = X + np.float32(turn)
        x.set(values)
        close(f(x), np.sin(values).sum(axis=0) + values[0] + values.sum())
    assert getattr(card, "replays", 1), "memory of results was never used again"


def test_precision_of_products():
    rng = np.random.default_rng(0)
    x, y = (rng.uniform(1, 2, (512, 512)).astype(np.float32) for _ in range(2))
    f = fnad.jit(lambda x, y: x @ y, backend="cuda")
    exact = x.astype(np.float64) @ y

    def error():
        return np.abs(fnad.device_get(f(x, y)) / exact - 1).max()

    unrounded = error()
    assert unrounded < 5e-6  # whatever order the library adds in
    try:
        fnad.config.matmul_precision = "tensorfloat32"
        rounded = error()
        assert 5 * unrounded < rounded < 1e-3
        fnad.config.matmul_precision = "bfloat16"
        assert rounded < error() < 1e-2
    finally:
        fnad.config.matmul_precision = "float32"
    assert error() == unrounded


def test_text():
    lowered = fnad.jit(lambda x: np.exp(x).sum(), backend="cuda").lower(X)
    assert "__global__" in lowered.as_text() and "expf(" in lowered.as_text("cuda")
    with pytest.raises(ValueError, match="cuda"):
        lowered.as_text("llvm")
    with pytest.raises(ValueError, match="Nsight"):
        lowered.compile().profile(X)


def test_what_does_not_fit_is_explained():
    from tests.cuda_emulator.card import EmulatedCard

    def loss(x):
        table = fnp.outer(x, x)  # 16 MB
        return fnp.sort(table, axis=1)[:, 0]

    x = np.ones(2000, np.float32)
    with (
        installed(EmulatedCard(memory_limit=1 << 20)),
        pytest.raises(fnad.errors.OutOfMemoryError) as caught,
    ):
        fnad.jit(loss)(fnad.device_put(x))
    assert isinstance(caught.value, MemoryError)
    said = str(caught.value)
    assert "15.3 MiB  f32[2000,2000]  temporary" in said and "test_placement.py:" in said, said
    assert "fnad.checkpoint" in said


def test_text_needs_no_card():
    import subprocess
    import sys

    code = """if True:
        import fnad, numpy as np
        table = np.arange(6.0)
        lowered = fnad.jit(lambda x: np.exp(x) + table, backend="cuda").lower(np.ones(6))
        print("__global__" in lowered.as_text(), "exp" in lowered.as_text("plan"))
    """
    run = [sys.executable, "-c", code]
    assert subprocess.check_output(run, text=True).split() == ["True", "True"]


def test_importing_takes_no_cupy():
    import subprocess
    import sys

    code = "import fnad, sys; print([m for m in sys.modules if 'cupy' in m or '.cuda' in m])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
