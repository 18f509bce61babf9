"""Train a convolutional network on handwritten digits.

    python examples/digits.py                  scikit-learn's 1,797 digits of 8 x 8 pixels
    python examples/digits.py --mnist DIR      MNIST's IDX files, 28 x 28 pixels

Needs the extra "examples": pip install "fnad[examples]". Writes a picture with the loss, the
accuracy, and the test images on which the network errs or would have the most to learn from, as
measured by the norms of their own gradients.
"""

import argparse
import time

import numpy as np

import fnad
import fnad.numpy as fnp
from fnad import data, lax, nn, optim, random, train, tree

BATCH_SIZE = 64


def make_model(image_size, channels):
    """Two convolutions, each followed by pooling, and two dense layers."""
    pooled = image_size // 4
    return nn.Sequential(
        nn.Conv(1, channels, (3, 3)),
        nn.Activation(nn.relu),
        nn.MaxPool((2, 2)),
        nn.Conv(channels, 2 * channels, (3, 3)),
        nn.Activation(nn.relu),
        nn.MaxPool((2, 2)),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Dense(pooled * pooled * 2 * channels, 128),
        nn.Activation(nn.relu),
        nn.Dropout(0.5),
        nn.Dense(128, 10),
    )


def jitter(key, images, pixels):
    """Move each image by its own random offset, at most ``pixels`` in each direction."""
    border = ((pixels, pixels), (pixels, pixels), (0, 0))

    def move(key, image):
        row, column = random.randint(key, (2,), 0, 2 * pixels + 1)
        return lax.dynamic_slice(fnp.pad(image, border), (row, column, 0), image.shape)

    return fnad.vmap(move)(random.split(key, len(images)), images)


def make_functions(model, optimizer, pixels=0):
    """The compiled functions of the example: training step, evaluation, per-example norms.

    Training moves the images by up to ``pixels``, which large images gain from.
    """

    def loss(params, batch, key=None):
        images, labels = batch
        logits = model.apply(params, images, key=key, deterministic=key is None)
        return nn.softmax_cross_entropy(logits, labels).mean()

    @fnad.jit
    def step(params, opt_state, batch, key):
        images, labels = batch
        move_key, drop_key = random.split(key)
        if pixels:
            images = jitter(move_key, images, pixels)
        value, grads = fnad.value_and_grad(loss)(params, (images, labels), drop_key)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optim.apply_updates(params, updates), opt_state, value

    @fnad.jit
    def evaluate(params, batch):
        images, labels = batch
        logits = model.apply(params, images, deterministic=True)
        return nn.softmax(logits), train.accuracy(logits, labels)

    @fnad.jit
    def gradient_norms(params, batch):
        """The norm of each example's own gradient: (batch,)."""

        def norm(image, label):
            return optim.global_norm(fnad.grad(loss)(params, (image[None], label[None])))

        return fnad.vmap(norm)(*batch)

    return step, evaluate, gradient_norms


def load(mnist):
    """Training and test data; scikit-learn's are sorted by writer, so they are shuffled first."""
    if mnist is None:
        return data.train_test_split(data.digits(), 297, key=random.key(0))
    images, labels = data.mnist(mnist)
    return data.train_test_split((images, labels), len(labels) // 10)


def fit(step, evaluate, params, opt_state, splits, epochs, key):
    """Train; returns the parameters, the loss of each step and the accuracy of each epoch."""
    from tqdm import tqdm

    train_data, test_data = splits
    losses, accuracies = [], []
    steps = epochs * (len(train_data[1]) // BATCH_SIZE)
    with tqdm(total=steps, unit="step") as progress:
        for epoch_key in random.split(key, epochs):
            shuffle_key, step_key = random.split(epoch_key)
            epoch = data.batches(train_data, BATCH_SIZE, key=shuffle_key, drop_last=True)
            for i, batch in enumerate(epoch):
                drop_key = random.fold_in(step_key, i)
                params, opt_state, value = step(params, opt_state, batch, drop_key)
                losses.append(float(value))
                progress.update()
            accuracies.append(float(evaluate(params, test_data)[1]))
            progress.set_postfix(loss=f"{losses[-1]:.3f}", accuracy=f"{accuracies[-1]:.4f}")
    return params, np.array(losses), np.array(accuracies)


def plot(path, losses, accuracies, images, labels, probabilities, norms):
    """Write the picture: curves above, the sixteen hardest test images below."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(10, 8), layout="constrained")
    grid = figure.add_gridspec(4, 8)
    curve = figure.add_subplot(grid[:2, :4])
    curve.semilogy(losses, lw=0.8)
    curve.set(title="training loss", xlabel="step", ylabel="cross entropy")
    curve = figure.add_subplot(grid[:2, 4:])
    curve.plot(np.arange(1, len(accuracies) + 1), 100 * accuracies, ".-")
    curve.set(title=f"test accuracy: {accuracies[-1]:.2%}", xlabel="epoch", ylabel="%")
    for place, i in enumerate(np.argsort(-norms)[:16]):
        axes = figure.add_subplot(grid[2 + place // 8, place % 8])
        axes.imshow(images[i, ..., 0], cmap="gray_r")
        guess = int(np.argmax(probabilities[i]))
        right = guess == labels[i]
        axes.set_title(
            f"{guess} ({probabilities[i, guess]:.0%})" + ("" if right else f", is {labels[i]}"),
            color="black" if right else "tab:red",
            fontsize=8,
        )
        axes.set_xlabel(f"|grad| {norms[i]:.2g}", fontsize=7)
        axes.set(xticks=[], yticks=[])
    figure.suptitle("Below: the test images with the largest gradients of their own")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mnist", metavar="DIR", help="folder with MNIST's IDX files")
    parser.add_argument("--epochs", type=int, help="passes over the data")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="digits.png", help="where the picture goes")
    return parser.parse_args(argv)


def main(argv=None):
    """Run the example; returns the final accuracy."""
    args = parse(argv)
    splits = load(args.mnist)
    images, labels = splits[1]
    train_size = len(splits[0][1])
    epochs = args.epochs or (30 if args.mnist is None else 10)
    model = make_model(images.shape[1], channels=32 if args.mnist is None else 16)
    steps = epochs * (train_size // BATCH_SIZE)
    optimizer = optim.adamw(
        optim.warmup_cosine_decay_schedule(0.0, 3e-3, steps // 10, steps), weight_decay=1e-3
    )
    init_key, fit_key = random.split(random.key(args.seed))
    params = model.init(init_key)
    step, evaluate, gradient_norms = make_functions(
        model, optimizer, pixels=0 if args.mnist is None else 2
    )
    size = sum(leaf.size for leaf in tree.leaves(params))
    print(f"{train_size} images to train on, {len(labels)} to test; {size} parameters")

    start = time.perf_counter()
    params, losses, accuracies = fit(
        step, evaluate, params, optimizer.init(params), splits, epochs, fit_key
    )
    seconds = time.perf_counter() - start
    probabilities, _ = evaluate(params, (images, labels))
    norms = np.asarray(gradient_norms(params, (images, labels)))
    plot(args.out, losses, accuracies, images, labels, np.asarray(probabilities), norms)
    print(f"test accuracy {accuracies[-1]:.4f} after {epochs} epochs, {seconds:.1f} seconds")
    print(f"picture: {args.out}")
    return accuracies[-1]


if __name__ == "__main__":
    main()
