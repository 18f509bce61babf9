"""The statements that random programs are made of, as source text over ``np``, ``lax`` and ``fn``.

Each takes a `Draw` and returns the right side of an assignment. ``np`` is `fnad.numpy` or
`jax.numpy`, ``lax`` and ``fn`` (``grad``, ``vmap`` ...) accordingly: the names and arguments used
here mean the same in both.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.fuzz.draw import Draw, UnfitError, Value

Statement = Callable[[Draw], str]
STATEMENTS: list[Statement] = []


def statement(weight: int = 1) -> Callable[[Statement], Statement]:
    """Enter a statement, as often as its weight says."""

    def enter(function: Statement) -> Statement:
        STATEMENTS.extend([function] * weight)
        return function

    return enter


# fmt: off
# Smooth and finite for every finite operand, and small for small ones.
_SMOOTH = (
    "np.sin({v})", "np.cos({v})", "np.tanh({v})", "np.exp(-np.abs({v}))", "np.log1p(np.abs({v}))",
    "np.sqrt(np.abs({v}) + 0.1)", "np.arctan({v})", "np.arcsinh({v})", "np.sinc(0.5 + np.abs({v}))",
    "lax.erf({v})", "lax.logistic({v})", "lax.rsqrt(np.abs({v}) + 0.3)",
    "np.reciprocal(1.5 + np.abs({v}))", "np.log(np.abs({v}) + 0.5)", "np.maximum({v}, 0.25)",
)
_UNARY = (
    *_SMOOTH,
    "np.expm1(np.minimum({v}, 2.0))", "np.exp2(np.minimum({v}, 3.0))", "np.square({v})",
    "np.negative({v})", "np.abs({v})", "np.cbrt(np.abs({v}) + 0.1) * np.sign({v})",
    "np.sinh(np.tanh({v}))",
    "np.cosh(np.tanh({v}))", "np.arccos(0.9 * np.tanh({v}))", "np.arcsin(0.9 * np.tanh({v}))",
    "np.arctanh(0.9 * np.sin({v}))", "np.arccosh(1.1 + np.abs({v}))", "np.log2(1 + np.abs({v}))",
    "np.log10(1 + np.abs({v}))", "np.deg2rad({v})", "{v} ** 2", "{v} ** 3", "(1 + {v} ** 2) ** -1",
    "lax.lgamma(np.abs({v}) + 0.5)", "lax.digamma(np.abs({v}) + 0.5)", "lax.erfc({v})",
    "lax.erf_inv(0.9 * np.tanh({v}))", "np.nan_to_num({v})", "np.clip({v}, -1.0, 1.5)",
    "np.where({v} > 0.25, {v} * 2.0, {v} - 1.0)", "np.where({v} > 0, np.sqrt({v}), 0.0)",
    "np.where(np.abs({v}) > 0.1, 1 / {v}, 0.0)", "np.tan(0.3 * np.sin({v}))",
    "np.floor({v})", "np.ceil({v})", "np.trunc({v})", "np.round({v})", "np.sign({v})",
    "np.heaviside({v}, 0.5)", "np.modf({v})[0]", "np.rint({v})",
)
_BINARY = (
    "{a} + {b}", "{a} - {b}", "{a} * {b}", "np.maximum({a}, {b})", "np.minimum({a}, {b})",
    "np.hypot({a}, {b})", "np.arctan2({a}, 1.0 + np.abs({b}))", "{a} / (1.0 + {b} * {b})",
    "np.logaddexp(np.sin({a}), np.cos({b}))", "np.power(np.abs({a}) + 0.5, np.tanh({b}))",
    "np.copysign({a}, {b})", "np.fmax({a}, {b})", "np.where({a} > {b}, {a}, np.tanh({b}))",
    "np.true_divide({a}, 2.0 + np.cos({b}))", "np.remainder({a}, 0.7 + np.abs({b}))",
    "np.floor_divide({a}, 0.7 + np.abs({b}))", "np.fmod({a}, 0.7 + np.abs({b}))",
)
_INTEGER_UNARY = (
    "-{v}", "~{v}", "np.abs({v})", "np.square({v})", "np.sign({v})", "{v} % 5", "{v} // 3",
    "{v} << 1", "{v} >> 1", "lax.population_count({v})", "lax.clz({v})",
)
_INTEGER_BINARY = (
    "{a} + {b}", "{a} - {b}", "{a} * {b}", "{a} & {b}", "{a} | {b}", "{a} ^ {b}",
    "np.maximum({a}, {b})", "np.minimum({a}, {b})", "{a} // (np.abs({b}) + 1)",
    "{a} % (np.abs({b}) + 1)", "np.where({a} > {b}, {a}, {b})", "np.gcd({a}, {b})",
)
_COMPLEX_UNARY = (
    "np.exp(0.3 * {v})", "np.sin(0.3 * {v})", "np.cos(0.3 * {v})", "np.tanh(0.2 * {v})", "-{v}",
    "np.log({v} + 9)", "np.sqrt({v} + 9)", "np.conj({v})", "{v} ** 2", "{v} * 1j", "np.square({v})",
    "1 / ({v} + 9)", "np.real({v})", "np.imag({v})", "np.abs({v} + 9)", "np.angle({v} + 9)",
    "np.sum({v}, axis=-1)" , "np.mean({v}, axis=0)", "np.cumsum({v}, axis=0)", "np.fft.fft({v})",
    "np.fft.ifft({v}, axis=0)", "np.prod(np.tanh(0.2 * {v}) + 1, axis=-1)", "np.vecdot({v}, {v})",
    "np.einsum('...i,...i->...', {v}, {v}) / 9", "np.outer({v}.ravel()[:9], {v}.ravel()[:9])",
)
_COMPLEX_BINARY = ("{a} + {b}", "{a} - {b}", "{a} * {b}", "{a} / ({b} * np.conj({b}) + 1)")
_PREDICATES = (
    "{a} < {b}", "{a} <= {b}", "{a} > {b}", "{a} >= {b}", "{a} == {b}", "{a} != {b}",
    "np.isclose({a}, {b}, rtol=0.1)", "np.signbit({a} - {b})", "np.isfinite({a} + {b})",
)
# fmt: on


def body(draw: Draw, name: str, depth: int = 2) -> str:
    """Return a nested elementwise expression of one name: the body of a function."""
    if depth == 0:
        return name
    if draw.chance(0.3):
        left, right = body(draw, name, depth - 1), body(draw, name, depth - 1)
        return f"({left} {draw.among('+-*')} {right})"
    return str(draw.among(_SMOOTH)).format(v=body(draw, name, depth - 1))


@statement(6)
def unary(draw: Draw) -> str:
    return str(draw.among(_UNARY)).format(v=draw.value().name)


@statement(6)
def binary(draw: Draw) -> str:
    v = draw.value()
    return str(draw.among(_BINARY)).format(a=v.name, b=draw.like(v))


@statement(2)
def integers(draw: Draw) -> str:
    v = draw.value("iu")
    if draw.chance(0.5):
        return str(draw.among(_INTEGER_UNARY)).format(v=v.name)
    # In NumPy functions of plain numbers are int64, which would not be JAX's dtype.
    b = f"np.asarray({draw.like(v)}, '{v.dtype}')"
    return str(draw.among(_INTEGER_BINARY)).format(a=v.name, b=b)


@statement(2)
def complex_numbers(draw: Draw) -> str:
    v = draw.value("c", ndim=1)
    if v.size == 0:
        raise UnfitError
    if draw.chance(0.6):
        return str(draw.among(_COMPLEX_UNARY)).format(v=v.name)
    return str(draw.among(_COMPLEX_BINARY)).format(a=v.name, b=draw.like(v))


@statement()
def spectrum(draw: Draw) -> str:
    v = draw.value(ndim=1)
    if v.size == 0:
        raise UnfitError
    templates = [
        "np.fft.rfft({v})",
        "np.fft.fft({v}, axis=0)",
        "{v} + 0.5j",
        "np.fft.irfft({v}, {n})",
        "np.exp({v} * 0.5j)",
    ]
    return str(draw.among(templates)).format(v=v.name, n=max(2, v.shape[-1]))


@statement(2)
def predicate(draw: Draw) -> str:
    v = draw.value()
    return str(draw.among(_PREDICATES)).format(a=v.name, b=draw.like(v))


@statement()
def boolean(draw: Draw) -> str:
    v = draw.value("b")
    return f"{v.name} {draw.among('&|^')} ~{draw.like(v)}" if draw.chance(0.7) else f"~{v.name}"


@statement(2)
def select(draw: Draw) -> str:
    mask, v = draw.value("b"), draw.value()
    if mask.shape != v.shape and mask.size != 1:
        raise UnfitError
    return f"np.where({mask.name}, {v.name}, {draw.like(v)})"


@statement(2)
def convert(draw: Draw) -> str:
    v = draw.value("fiub")
    dtypes = {
        "f": ("float32", "float64"),
        "i": ("float32", "int32", "float64"),
        "u": ("float32", "int32", "uint8"),
        "b": ("int32", "float32"),
    }
    return f"{v.name}.astype('{draw.among(dtypes[v.dtype.kind])}')"


@statement()
def whole_numbers(draw: Draw) -> str:
    v = draw.value()
    return f"np.clip(np.round({v.name} * 3), -50, 50).astype('int32')"


_REDUCTIONS = (
    "np.sum({v}, {how})",
    "np.mean({v}, {how})",
    "np.max({v}, {how})",
    "np.min({v}, {how})",
    "np.var({v}, {how})",
    "np.sqrt(np.var({v}, {how}) + 0.1)",
    "np.prod(np.tanh({v}), {how})",
    "np.ptp({v}, {how})",
    "np.nansum({v}, {how})",
    "np.nanmax({v}, {how})",
)


@statement(4)
def reduce(draw: Draw) -> str:
    v = draw.value()
    template = draw.among(_REDUCTIONS) if v.size else _REDUCTIONS[0]
    how = f"axis={draw.axes(v)}, keepdims={draw.chance(0.4)}"
    return str(template).format(v=v.name, how=how)


@statement()
def reduce_others(draw: Draw) -> str:
    v = draw.value("iub", most=500)
    if v.size == 0:
        raise UnfitError
    name = draw.among(["sum", "max", "min"] if v.dtype.kind in "iu" else ["any", "all"])
    how = f"axis={draw.axes(v)}, keepdims={draw.chance(0.4)}"
    return f"np.{name}({v.name}, {how}).astype('{v.dtype}')"


_ROW_WISE = (
    "({v} - np.mean({v}, {how})) / np.sqrt(np.var({v}, {how}) + 0.1)",
    "np.exp({v} - np.max({v}, {how})) / np.sum(np.exp({v} - np.max({v}, {how})), {how})",
    "fn.softmax({v}, axis={k})",
    "fn.log_softmax({v}, axis={k})",
    "fn.logsumexp({v}, axis={k})",
    "{v} / (0.1 + np.linalg.norm({v}, {how}))",
)


@statement(2)
def row_wise(draw: Draw) -> str:
    v = draw.value(ndim=1)
    if v.size == 0:
        raise UnfitError
    k = draw.axis(v)
    return str(draw.among(_ROW_WISE)).format(v=v.name, k=k, how=f"axis={k}, keepdims=True")


_RUNNING = (
    "np.cumsum({v}, axis={k})",
    "np.cumprod(np.tanh({v}) + 0.5, axis={k})",
    "lax.cummax({v}, axis={k}, reverse={r})",
    "lax.cummin({v}, axis={k})",
    "lax.cumsum({v}, axis={k}, reverse={r})",
    "lax.cumlogsumexp({v}, axis={k})",
    "np.diff({v}, axis={k})",
    "lax.associative_scan(np.maximum, {v}, axis={k})",
)


@statement(2)
def running(draw: Draw) -> str:
    v = draw.value(ndim=1)
    k = draw.axis(v) % v.ndim
    return str(draw.among(_RUNNING)).format(v=v.name, k=k, r=draw.chance(0.5))


_ORDERED = (
    "np.sort({v}, axis={k})",
    "np.flip(np.sort({v}, axis={k}), axis={k})",
    "np.argsort({v}, axis={k}).astype('int32')",
    "np.argmax({v}, axis={k}).astype('int32')",
    "np.argmin({v}, axis={k}, keepdims=True).astype('int32')",
    "np.take_along_axis({v}, np.argsort(-{v}, axis={k}), axis={k})",
    "np.median({v}, axis={k})",
    "np.quantile({v}, 0.3, axis={k})",
    "lax.top_k(np.moveaxis({v}, {k}, -1), 1)[0]",
    "np.searchsorted(np.sort({v}.ravel()), {v}).astype('int32')",
)


@statement(2)
def order(draw: Draw) -> str:
    v = draw.value(ndim=1)
    k = draw.axis(v)
    if v.shape[k] == 0:
        raise UnfitError
    return str(draw.among(_ORDERED)).format(v=v.name, k=k)


_ARRANGED = (
    "np.transpose({v}, {permutation})",
    "np.ravel({v})",
    "np.reshape({v}, {reshaped})",
    "np.flip({v}, axis={k})",
    "np.roll({v}, {shift}, axis={k})",
    "np.expand_dims({v}, {k})",
    "np.concatenate([{v}, {v}], axis={k})",
    "np.stack([{v}, {v}], axis={k})",
    "np.tile({v}, 2)",
    "np.repeat({v}, 2, axis={k})",
    "np.squeeze({v})",
    "np.swapaxes({v}, {k}, 0)",
    "np.moveaxis({v}, {k}, 0)",
    "np.broadcast_to({v}, (2, *{v}.shape))",
    "np.pad({v}, 1)",
    "np.array_split({v}, 2, axis={k})[0]",
    "np.atleast_2d({v})",
)
_ARRANGED_MATRICES = (
    "np.rot90({v})",
    "np.tril({v})",
    "np.triu({v}, 1)",
    "np.diagonal({v}, axis1=0, axis2=1)",
    "np.pad({v}, (({low}, 2),) * {v}.ndim, mode='edge')",
    "np.pad({v}, ((0, {low}),) * {v}.ndim, mode='wrap')",
)


@statement(4)
def arrange(draw: Draw) -> str:
    v = draw.value("fffiubc", ndim=1)
    matrix = v.ndim > 1 and v.size and draw.chance(0.3)
    return str(draw.among(_ARRANGED_MATRICES if matrix else _ARRANGED)).format(
        v=v.name,
        k=draw.axis(v),
        permutation=tuple(int(axis) for axis in draw.rng.permutation(v.ndim)),
        shift=draw.integer(-5, 5),
        low=draw.integer(0, 2),
        reshaped=_reshaped(v, draw),
    )


def _reshaped(v: Value, draw: Draw) -> tuple[int, ...]:
    """Return another shape of as many elements."""
    if v.ndim >= 2 and draw.chance(0.6):
        at = draw.integer(0, v.ndim - 2)
        return (*v.shape[:at], v.shape[at] * v.shape[at + 1], *v.shape[at + 2 :])
    return next((v.size // d, d) for d in (8, 4, 3, 2, 1) if v.size % d == 0)


@statement(3)
def index(draw: Draw) -> str:
    v = draw.value("fffiubc", ndim=1)
    items = [_index_item(draw, size) for size in v.shape[: draw.integer(1, v.ndim)]]
    return f"{v.name}[{', '.join(items)}]"


def _index_item(draw: Draw, size: int) -> str:
    if size == 0:
        return ":"
    step = draw.among(["", ":2", ":-1", ":3", ":-2"])
    pair = [draw.integer(-size, size - 1) for _ in range(2)]
    items = [str(pair[0]), f"{pair[1]}:{step}", f":{size}{step}", "None, :", f"np.array({pair})"]
    return str(draw.among([*items, ":"]))


@statement(3)
def update(draw: Draw) -> str:
    v = draw.value(ndim=1)
    if (n := v.shape[0]) == 0:
        raise UnfitError
    rows = sorted({draw.integer(0, n - 1) for _ in range(draw.integer(1, 4))})
    place = draw.among([f"{rows[0] - n}", f"np.array({rows})", "::2", f"{rows[0]}:"])
    method = draw.among(["set", "add", "multiply", "max", "min"])
    return f"fn.at({v.name}, np.index_exp[{place}], '{method}', {draw.literal(v.dtype)})"


@statement()
def add_repeatedly(draw: Draw) -> str:
    v = draw.value(ndim=1)
    if (n := v.shape[0]) == 0:
        raise UnfitError
    rows = [draw.integer(-n, n - 1) for _ in range(6)]
    added = f"np.sin({v.name}[np.array({rows[::-1]})])"
    return f"fn.at({v.name}, np.array({rows}), 'add', {added})"


@statement()
def gather_by_values(draw: Draw) -> str:
    v, rows = draw.value(ndim=1), draw.value("i", most=200)
    if v.size == 0:
        raise UnfitError
    how = f"axis={draw.axis(v)}, mode='{draw.among(['clip', 'wrap'])}'"
    return f"np.take({v.name}, {rows.name}, {how})"


@statement()
def dynamic(draw: Draw) -> str:
    v = draw.value(ndim=1)
    if v.size == 0:
        raise UnfitError
    size, start = draw.integer(1, v.shape[0]), f"np.argmax({v.name}.ravel())"
    if draw.chance(0.5):
        return f"lax.dynamic_slice_in_dim({v.name}, {start}, {size}, 0)"
    return f"lax.dynamic_update_slice_in_dim({v.name}, np.cos({v.name}[:{size}]), {start}, 0)"


# A factor is divided by the number of terms, so that products stay small.
_VECTOR_PRODUCTS = (
    "np.dot({v} / {k}, {v})",
    "np.outer({v} / {k}, {v})",
    "np.inner({v} / {k}, {v})",
    "np.convolve({v}, np.array([0.5, -0.25, 0.125], {v}.dtype), mode='same')",
    "np.correlate(np.array([0.5, -0.25, 0.125], {v}.dtype), {v}, mode='full')",
    "({v} / {k}) @ np.arange({k} * 3.0, dtype={v}.dtype).reshape({k}, 3)",
)
_PRODUCTS = (
    "np.matmul({v} / {k}, np.swapaxes({v}, -1, -2))",
    "np.einsum('...i,...i->...', {v} / {k}, {v})",
    "np.einsum('...ij,...ik->...jk', {v} / {k}, np.cos({v}))",
    "np.vecdot({v} / {k}, {v})",
    "np.tensordot({v} / {k}, {v}, axes=([0, 1], [0, 1]))",
    "({v} / {k}) @ np.arange({k} * 3.0, dtype={v}.dtype).reshape({k}, 3)",
    "np.linalg.solve({v} @ np.swapaxes({v}, -1, -2) + 9 * np.eye({m}, dtype={v}.dtype), {v})",
    "np.linalg.cholesky({v} @ np.swapaxes({v}, -1, -2) + 9 * np.eye({m}, dtype={v}.dtype))",
)


@statement(3)
def product(draw: Draw) -> str:
    v = draw.value(ndim=1, most=1200)
    if v.size == 0:
        raise UnfitError
    template = draw.among(_VECTOR_PRODUCTS if v.ndim == 1 else _PRODUCTS)
    return str(template).format(v=v.name, k=v.shape[-1], m=v.shape[-2:][0])


_LOOPS = (
    "lax.scan(lambda c, x: ({step}, {out}), {v}[0] * 0.5, {v}, reverse={flag})[{which}]",
    "lax.fori_loop(0, {count}, lambda i, c: ({part} + i).astype(c.dtype), {v})",
    "lax.while_loop(lambda c: np.max(np.abs(c)) > 1, lambda c: c * 0.5, {v})",
    "lax.cond(np.sum({v}) > 0, lambda c: {part}, lambda c: c * 2, {v})",
    "lax.switch({count}, [np.sin, lambda c: c, lambda c: {part}], {v})",
    "lax.map(lambda c: {part}, {v})",
    "fn.checkpoint(lambda c: {part})({v})",
    "fn.jit(lambda c: {part})({v})",
)
_TRANSFORMS = (
    "fn.grad(lambda c: np.sum({part}))({v})",
    "fn.vmap(lambda c: {part} - np.sum(c))({v})",
    "fn.vmap(fn.grad(lambda c: np.sum({part})))({v})",
    "fn.jvp(lambda c: {part}, ({v},), (np.cos({v}),))[1]",
    "fn.vjp(lambda c: {part}, {v})[1](np.sin({v}))[0]",
    "fn.jacrev(lambda c: {part})({v}.ravel()[:4])",
    "fn.jacfwd(lambda c: {part})({v}.ravel()[:4])",
    "fn.hessian(lambda c: np.sum({small}))({v}.ravel()[:3])",
    "fn.vmap(lambda c: lax.cond(np.sum(c) > 0, np.sin, lambda c: {part}, c))({v})",
    "fn.vmap(lambda c: lax.while_loop(lambda c: np.sum(c * c) > 1, lambda c: c / 2, c))({v})",
    "fn.vmap(lambda c: lax.scan(lambda s, x: (np.tanh(s + x), s), c * 0, {v})[1])({v})",
)


@statement(5)
def transform(draw: Draw) -> str:
    v = draw.value(ndim=1, most=400)
    if v.size == 0:
        raise UnfitError
    return str(draw.among(_LOOPS + _TRANSFORMS)).format(
        v=v.name,
        step=body(draw, "(c + x)"),
        out=body(draw, "(c - x)", 1),
        part=body(draw, "c"),
        small=body(draw, "c", 1),
        count=draw.integer(0, 4),
        flag=draw.chance(0.3),
        which=draw.integer(0, 1),
    )
