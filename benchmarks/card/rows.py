"""What is measured on a card, and what is to be reached."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from benchmarks.training import STEP_REASON, STEP_TOLERANCE
from benchmarks.workload import Workload
from benchmarks.workloads import attention, cnn, find, large, lstm, mlp, transformer


@dataclass(frozen=True, slots=True)
class Aim:
    """How many times the time of fnad that of something else must be.

    ``against`` is a peer, the "fastest" peer, or "copy": a copy of as many bytes on the card.
    """

    against: str
    at_least: float


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table.

    Attributes
    ----------
    group : str
        Rows whose ratios are averaged.
    precision : str
        How matrices of float32 are multiplied: "float32" or "tf32"; "bfloat16" where they are not.
    quick : bool
        Whether ``--quick`` measures it.
    cupy : bool
        Whether the array program is one for CuPy as it stands.
    first : bool
        Whether the first call is measured, in processes of its own.
    flops : float
        Operations of a run, where they bound it; else it is bound by its bytes.
    """

    group: str
    workload: Workload
    aims: tuple[Aim, ...]
    precision: str = "float32"
    quick: bool = True
    cupy: bool = False
    first: bool = False
    flops: float = 0.0

    @property
    def name(self) -> str:
        """The workload's, or what is measured of it."""
        return f"first call of {self.workload.name}" if self.first else self.workload.name


_STREAMED = Aim("copy", 0.9), Aim("fastest", 1.0)
_MOVED = Aim("copy", 0.8), Aim("fastest", 1.0)
_FASTEST = (Aim("fastest", 1.0),)
_BF16_REASON = "losses of three steps in bfloat16, whose sums are rounded in other places"
_GPT2 = transformer.Sizes(12, 768, 12, time=1024, batch=8, vocabulary=50257, attention=True)
_TINY_GPT = transformer.Sizes(1, 8, 2, time=8, batch=2, vocabulary=11, attention=True)


def rows(tiny: bool = False) -> list[Row]:
    """All rows; ``tiny`` ones have the same programs on arrays of a few numbers."""
    families = (_streams, _reductions, _moves, _products, _attentions, _small, _steps, _firsts)
    return [row for family in families for row in family(tiny)]


def _streams(tiny: bool) -> Iterator[Row]:
    def shape(rows: int, columns: int) -> tuple[int, int]:
        return (4, 24) if tiny else (rows, columns)

    softmax = large.softmax, large.torch_softmax
    chain = large.chain, large.torch_chain
    wide = shape(16384, 4096)
    yield Row(
        "streams",
        large.unary("chain of 6 operations", "256 MB", *chain, wide, 1e-5),
        _STREAMED,
        cupy=True,
    )
    of = "x".join(map(str, wide))
    for workload in (
        large.gradient_of_unary("chain of 6 operations", "256 MB", *chain, wide, 1e-4),
        large.unary("softmax", of, *softmax, wide, 1e-5),
        large.gradient_of_unary("softmax", of, *softmax, wide, 1e-4),
        *(large.layer_norm(shape(65536, 1024), gradient) for gradient in (False, True)),
        *(large.cross_entropy(shape(2048, 32768), gradient) for gradient in (False, True)),
    ):
        yield Row("streams", workload, _STREAMED)


def _reductions(tiny: bool) -> Iterator[Row]:
    square = (12, 20) if tiny else (8192, 8192)
    cube = (4, 6, 8) if tiny else (256, 256, 1024)
    for kind in ("rows", "columns", "all"):
        yield Row("reductions", large.sums(kind, "256 MB", square), _MOVED, cupy=True)
    yield Row("reductions", large.sums("middle", "256 MB", cube), _MOVED, cupy=True)
    yield Row("reductions", large.cumulative_sums(square), _MOVED, cupy=True)


def _moves(tiny: bool) -> Iterator[Row]:
    square = (12, 20) if tiny else (8192, 8192)
    cube = (4, 6, 8) if tiny else (256, 256, 1024)
    table = (16, 8) if tiny else (1 << 20, 64)
    yield Row("moves", large.transposed(square, (1, 0)), _MOVED, cupy=True)
    for axes in ((0, 2, 1), (2, 0, 1)):
        quick = axes == (0, 2, 1)
        yield Row("moves", large.transposed(cube, axes), _MOVED, cupy=True, quick=quick)
    yield Row("moves", large.gather(table), _MOVED, cupy=True)
    yield Row("moves", large.scatter_add(table), _MOVED)


def _products(tiny: bool) -> Iterator[Row]:
    for dtype in ("bfloat16", "tf32", "float32"):
        for size in (8, 16) if tiny else (1024, 2048, 4096, 8192, 16384):
            yield Row(
                "products",
                large.products(size, dtype),
                (Aim("torch", 0.97),),
                precision=dtype,
                quick=size in ((1024, 4096, 16384) if dtype == "bfloat16" else (4096,)),
                cupy=dtype == "float32",
                flops=2.0 * size**3,
            )


def _attentions(tiny: bool) -> Iterator[Row]:
    for gradient in (False, True):
        for time in (8,) if tiny else (1024, 2048, 4096, 8192, 16384):
            heads, width = (2, 4) if tiny else (16, 64)
            sizes = attention.Sizes(2 if tiny else 16384 // time, time, heads, width)
            # Half of the scores are masked; the gradient has five products for the two before it,
            # which it repeats.
            products = 7 if gradient else 2
            yield Row(
                "attention",
                attention.attention(sizes, gradient),
                (Aim("torch", 1.0),),
                precision="bfloat16",
                quick=time in (1024, 16384),
                flops=products * float(sizes.batch * heads * time * time * width),
            )


def _small(tiny: bool) -> Iterator[Row]:
    """The same in both sizes."""
    yield Row("small steps", find("MLP 64-32-10 step")[0], (Aim("jax", 2.0),))
    yield Row("loops", find("Lorenz 10k steps")[0], (Aim("jax", 10.0),))


def _steps(tiny: bool) -> Iterator[Row]:
    for workload, quick in _training(tiny):
        precision = "bfloat16" if "bfloat16" in workload.name else "float32"
        yield Row("training steps", workload, _FASTEST, precision=precision, quick=quick)


def _training(tiny: bool) -> Iterator[tuple[Workload, bool]]:
    """Steps, and whether they belong to the quick ones."""

    def step(name: str, array: partial, torch: partial) -> Workload:
        return Workload(name, array, torch, STEP_TOLERANCE, STEP_REASON)

    if not tiny:  # these are what they are
        yield find("MLP 784-512-512-10 step")[0], True
        yield find("LSTM step")[0], True
        yield find("transformer step")[0], False
    layers, batch = ((6, 8, 3), 4) if tiny else ((4096, 4096, 4096, 1000), 4096)
    yield (
        step(
            "MLP 4096-4096-4096-1000 step",
            partial(mlp.step, layers, batch),
            partial(mlp.torch_step, layers, batch),
        ),
        False,
    )
    image_sizes = cnn.Sizes(8, (4, 8), 16) if tiny else cnn.Sizes()
    for images in (2,) if tiny else (64, 1024):
        yield (
            step(
                f"CNN step of {images} images",
                partial(cnn.step, images, sizes=image_sizes),
                partial(cnn.torch_step, images, sizes=image_sizes),
            ),
            True,
        )
    sizes = lstm.Sizes(3, 2, 4, 5) if tiny else lstm.Sizes(128, 256, 512, 1024)
    large_lstm = partial(lstm.step, sizes), partial(lstm.torch_step, sizes)
    yield step("LSTM 512-1024 step", *large_lstm), False
    for dtype in ("bfloat16", "float32"):
        model = dataclasses.replace(_TINY_GPT if tiny else _GPT2, dtype=dtype)
        yield (
            Workload(
                f"GPT-2 small step {dtype}",
                partial(transformer.step, model),
                partial(transformer.torch_step, model),
                STEP_TOLERANCE if dtype == "float32" else 2e-2,
                STEP_REASON if dtype == "float32" else _BF16_REASON,
            ),
            dtype == "bfloat16",
        )


def _firsts(tiny: bool) -> Iterator[Row]:
    for row in (*_small(tiny), *_steps(tiny)):
        quick = row.name in ("MLP 784-512-512-10 step", "CNN step of 64 images")
        yield Row(
            "first calls",
            row.workload,
            (Aim("jax", 3.0),),
            precision=row.precision,
            quick=quick,
            first=True,
        )
