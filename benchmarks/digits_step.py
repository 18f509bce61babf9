"""Time the training step of examples/digits.py in fnad and in JAX, alternating in one run.

    python benchmarks/digits_step.py [--repeats 200]

Needs the extra "bench" (JAX and Optax): pip install "fnad[bench]". Prints the medians and their
ratio, fnad to JAX: below 1 fnad is faster.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import digits

from fnad import optim, random, tree

LEARNING_RATE, WEIGHT_DECAY, DROPOUT = 3e-3, 1e-3, 0.5


def fnad_step(model, params):
    """The example's own step; returns a function without arguments that runs one."""
    optimizer = optim.adamw(LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    step = digits.make_functions(model, optimizer)[0]
    opt_state, key = optimizer.init(params), random.key(0)

    def run(batch):
        return step(params, opt_state, batch, key)

    return run


def jax_step(params):
    """The same network, loss and optimiser written in JAX and Optax."""
    import jax
    import jax.numpy as jnp
    import optax
    from jax import lax

    def conv(p, x):
        y = lax.conv_general_dilated(
            x, p["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return jax.nn.relu(y + p["bias"])

    def pool(x):
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")

    def dropout(key, x):
        return jnp.where(jax.random.bernoulli(key, 1 - DROPOUT, x.shape), x / (1 - DROPOUT), 0)

    def loss(params, batch, key):
        images, labels = batch
        first, second, third, fourth = [p for p in params if p]
        first_key, second_key = jax.random.split(key)
        x = pool(conv(second, pool(conv(first, images))))
        x = dropout(first_key, x.reshape(len(x), -1))
        x = dropout(second_key, jax.nn.relu(x @ third["kernel"] + third["bias"]))
        logits = x @ fourth["kernel"] + fourth["bias"]
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    optimizer = optax.adamw(LEARNING_RATE, weight_decay=WEIGHT_DECAY)

    @jax.jit
    def step(params, opt_state, batch, key):
        value, grads = jax.value_and_grad(loss)(params, batch, key)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, value

    params = tree.map(jnp.asarray, params)
    opt_state, key = optimizer.init(params), jax.random.key(0)

    def run(batch):
        return jax.block_until_ready(step(params, opt_state, batch, key))

    return run


def seconds(run, batch):
    """The time of one step."""
    start = time.perf_counter()
    run(batch)
    return time.perf_counter() - start


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=200)
    repeats = parser.parse_args().repeats
    rng = np.random.default_rng(0)
    batch = (
        rng.random((digits.BATCH_SIZE, 8, 8, 1), np.float32),
        rng.integers(0, 10, digits.BATCH_SIZE, np.int32),
    )
    model = digits.make_model(8, channels=32)
    params = model.init(random.key(0))
    try:
        runs = {"fnad": fnad_step(model, params), "JAX": jax_step(params)}
    except ImportError as error:
        raise SystemExit(f"{error}: install JAX and Optax with pip install 'fnad[bench]'") from None
    times = {name: [] for name in runs}
    for name, run in runs.items():
        print(f"{name:5} first call {1e3 * seconds(run, batch):8.1f} ms (with compilation)")
    for _ in range(repeats):
        for name, run in runs.items():
            times[name].append(seconds(run, batch))
    medians = {name: statistics.median(many) for name, many in times.items()}
    for name, median in medians.items():
        print(f"{name:5} median     {1e3 * median:8.3f} ms of {repeats} steps")
    print(f"fnad / JAX {medians['fnad'] / medians['JAX']:.2f}")


if __name__ == "__main__":
    main()
