"""More statements: special functions, densities, matrices, windows, statistics, sets, randomness.

As in `tests.fuzz.statements`, a template's names and arguments mean the same in fnad and in JAX.
Operands are brought into a function's smooth and finite domain inside the template.
"""

from __future__ import annotations

from tests.fuzz.draw import Draw, UnfitError
from tests.fuzz.statements import STATEMENTS, body, statement

__all__ = ["STATEMENTS"]

_SPECIAL = (
    "special.gammaln({p})",
    "special.digamma({p})",
    "special.polygamma(1, {p})",
    "special.i0e({v})",
    "special.i1e({v})",
    "special.i0(np.tanh({v}))",
    "special.i1(np.tanh({v}))",
    "special.entr({p})",
    "special.expit({v})",
    "special.logit(0.1 + 0.8 * special.expit({v}))",
    "special.ndtr({v})",
    "special.log_ndtr({v})",
    "special.ndtri(0.1 + 0.8 * special.expit({v}))",
    "special.zeta({p} + 1, 1.5)",
    "special.xlogy({p}, 1 + {p})",
    "special.xlog1py({p}, {p})",
    "special.gammainc({p}, 1 + {p})",
    "special.gammaincc({p}, 1 + {p})",
    "special.betainc(1 + {p}, 2.0, 0.1 + 0.8 * special.expit({v}))",
    "special.rel_entr({p}, 1 + {p})",
    "special.kl_div({p}, 1 + {p})",
    "special.erfinv(0.9 * np.tanh({v}))",
    "special.erfc({v})",
    "special.exp1({p})",
    "special.expi({p})",
    "special.gamma({p})",
    "special.spence({p})",
    "lax.igamma({p}, 1 + {p})",
    "lax.bessel_i0e({v})",
    "np.i0(np.tanh({v}))",
    "lax.reduce_precision({v}, 8, 10)",
    "lax.integer_pow({v}, 4)",
    "lax.expm1(-{p})",
    "lax.clamp(-0.5, {v}, 0.75)",
    "lax.nextafter({v}, {v} + 1)",
    "lax.square({v})",
)
_DENSITIES = (
    "stats.norm.logpdf({v}, 0.5, 2.0)",
    "stats.norm.cdf({v})",
    "stats.norm.logcdf({v})",
    "stats.norm.ppf(0.1 + 0.8 * special.expit({v}))",
    "stats.gamma.logpdf({p}, 2.5)",
    "stats.beta.logpdf(0.1 + 0.8 * special.expit({v}), 1.5, 2.5)",
    "stats.t.logpdf({v}, 3.5)",
    "stats.cauchy.logpdf({v})",
    "stats.laplace.logpdf({v}, 0.3)",
    "stats.logistic.logpdf({v})",
    "stats.expon.logpdf({p})",
    "stats.chi2.logpdf({p}, 3.0)",
    "stats.pareto.logpdf(1 + {p}, 2.0)",
    "stats.poisson.logpmf(np.round({p}), 1.5)",
    "stats.truncnorm.logpdf(np.tanh({v}), -2.0, 2.0)",
)
_NEURAL = (
    "nn.relu({v})",
    "nn.gelu({v})",
    "nn.silu({v})",
    "nn.elu({v})",
    "nn.selu({v})",
    "nn.softplus({v})",
    "nn.leaky_relu({v})",
    "nn.hard_tanh({v})",
    "nn.relu6({v})",
    "nn.log_sigmoid({v})",
    "nn.celu({v})",
    "nn.soft_sign({v})",
    "nn.hard_swish({v})",
    "nn.gelu({v}, approximate=False)",
    "nn.one_hot(np.clip(np.round({v}), 0, 3).astype('int32'), 4, dtype='float32')",
    "nn.standardize({v}, axis=None)",
)
_STATISTICS = (
    "np.nanmean({v}, axis={k})",
    "np.nanvar({v}, axis={k})",
    "np.nanmin({v}, axis={k})",
    "np.nancumsum({v}, axis={k})",
    "np.average({v}, axis={k}, weights=1.5 + np.cos({v}))",
    "np.percentile({v}, 35.0, axis={k})",
    "np.quantile({v}, np.array([0.2, 0.9]), axis={k}, method='linear')",
    "np.nanmedian({v}, axis={k})",
    "np.std(np.sin({v}) + np.arange({n}.0), axis=-1)",
    "np.histogram({v}, bins=4, range=(-2.0, 2.0))[0].astype('float32')",
    "np.trapezoid({v}, axis={k})",
    "np.interp({v}, np.array([-1.0, 0.0, 2.0]), np.array([0.5, 1.5, -1.0]))",
    "np.digitize({v}, np.array([-1.0, 0.0, 0.5])).astype('int32')",
    "np.ediff1d({v})",
    "np.unwrap({v} * 3, axis={k})",
    "np.polyval(np.array([0.5, -1.0, 2.0]), np.tanh({v}))",
    "np.bincount(np.clip(np.round({v}.ravel()), 0, 5).astype('int32'), length=6).astype('float32')",
    "np.gradient({v}, axis={k}) if {v}.shape[{k}] > 1 else {v}",
    "np.count_nonzero({v} > 0, axis={k}).astype('int32')",
    "np.select([{v} > 1, {v} > 0], [np.sin({v}), {v} ** 2], -1.0)",
    "np.piecewise({v}, [{v} < 0, {v} > 1], [np.cos, lambda x: x * 2, 0.5])",
    "np.take(np.partition({v}, 0, axis={k}), 0, axis={k})",
    "np.lexsort(({v}, np.floor({v}))).astype('int32')",
    "np.apply_along_axis(lambda r: np.cumsum(r) - r[0], {k}, {v})",
    "np.cov({v}.reshape({v}.shape[0], -1))",
    "np.unique(np.round({v}), size=4, fill_value=0.0)",
    "np.nonzero({v} > 0, size=5, fill_value=0)[0].astype('int32')",
    "np.argwhere({v} > 0.5, size=3, fill_value=0).astype('int32')",
    "np.extract({v} > 0, {v}, size=4, fill_value=1.5)",
    "np.union1d(np.round({v}), np.array([1.0, 7.0]), size=5, fill_value=9.0)",
    "np.isin(np.round({v}), np.array([0.0, 1.0]))",
    "np.compress(np.array([True, False, True]), np.concatenate([{v}, {v}, {v}], 0), axis=0)",
    "np.vectorize(lambda a, b: a * b + 1, signature='(i),()->(i)')({v}, {v}[..., 0])",
)
_PLACED = (
    "np.insert({v}, 1, 0.5, axis={k})",
    "np.delete({v}, 0, axis={k})",
    "np.append({v}, {v}, axis={k})",
    "np.hstack([{v}, {v}])",
    "np.vstack([{v}, {v}])",
    "np.dstack([{v}, {v}])",
    "np.column_stack([{v}, {v}])",
    "np.block([{v}, {v}])",
    "np.kron({v}.ravel()[:4], {v})",
    "np.resize({v}, (3, 4))",
    "np.rollaxis({v}, {k})",
    "np.flipud({v})",
    "np.take({v}, np.array([0, 0, -1]), axis={k})",
    "np.take({v}, np.array([0, 99]), axis={k}, mode='clip')",
    "lax.pad({v}, np.zeros((), {v}.dtype), [(1, -1, 2)] + [(0, 1, 0)] * ({v}.ndim - 1))",
    "lax.rev({v}, (0, {v}.ndim - 1) if {v}.ndim > 1 else (0,))",
    "lax.sort((np.floor({v}), {v}), dimension=0, num_keys=2)[1]",
    "lax.sort((np.round({v}.ravel()).astype('int32'), {v}.ravel()), num_keys=1)[1]",
    "lax.slice_in_dim({v}, 0, {v}.shape[0], 2, axis=0)",
    "lax.index_in_dim({v}, -1, 0)",
    "lax.collapse({v}, 0, {v}.ndim)",
    "lax.reduce({v}, np.zeros((), {v}.dtype), lambda a, b: a + b, (0,))",
    "lax.reduce({v}, np.full((), -9.0, {v}.dtype), lambda a, b: np.maximum(a, b), (0,))",
    "lax.associative_scan(lambda a, b: a * 0.5 + b, {v}, axis=0) if {v}.shape[0] < 3 else {v}",
    "lax.associative_scan(lambda a, b: (a[0] * b[0], a[1] * b[0] + b[1]), (np.tanh({v}), "
    "{v}), axis={k})[1]",
    "lax.select_n({v} > 0, {v}, np.cos({v}))",
    "lax.bitcast_convert_type({v}, 'int32' if {v}.dtype.itemsize == 4 else 'int64') & 255",
    "np.meshgrid({v}.ravel()[:3], {v}.ravel()[:5])[1]",
    "np.diag({v}.ravel()[:5])",
    "np.vander({v}.ravel()[:4] * 0.5, 3)",
    "np.fft.fftshift({v})",
    "np.fft.rfftn({v}).real",
    "np.fft.fft2({v}.reshape({v}.shape[0], -1)).imag",
    "np.fft.hfft(np.ravel({v}), 2 * max({v}.size - 1, 1))",
    "np.fft.ifft2({v}.reshape({v}.shape[0], -1))",
    "np.tril({v}.reshape(1, -1), -1)",
    "np.triu({v}.reshape({v}.shape[0], -1))",
    "np.fill_diagonal({v}.reshape({v}.shape[0], -1), 0.5, inplace=False)",
)
_MATRICES = (
    "np.linalg.inv({m})",
    "np.linalg.det({m} / 9)",
    "np.linalg.slogdet({m})[1]",
    "np.linalg.eigvalsh({s})",
    "np.linalg.svd({w}, compute_uv=False)",
    "np.linalg.pinv({m})",
    "np.linalg.matrix_power({w} / 9, 3)",
    "np.linalg.norm({w}, 'fro')",
    "np.linalg.norm({w} + 0.1, 1)",
    "np.linalg.norm({m}, 2)",
    "np.trace({w})",
    "np.abs(np.linalg.qr({m})[1])",
    "linalg.expm({w} / 9)",
    "linalg.cho_solve((linalg.cholesky({s}, lower=True), True), {w})",
    "linalg.solve_triangular({m}, {w}, lower=True)",
    "linalg.lu({m})[2]",
    "linalg.toeplitz({w}[0])",
    "np.linalg.lstsq({m}, {w})[0]",
    "linalg.block_diag({w}, {w}[:1])",
    "np.linalg.multi_dot([{w} / 9, {w}, {m} / 9])",
    "np.linalg.tensorsolve({m}, {w}[0])",
    "linalg.solve({m}, {w})",
    "lax.linalg.triangular_solve({m}, {w}, left_side=False, lower=True)",
    "np.linalg.cond({m})",
    "np.linalg.eigh({s})[0]",
    "np.cross({w}[:1, :3], np.array([[0.5, 1.0, -1.0]], {w}.dtype)) if {w}.shape[1] > 2 else {w}",
)
_WINDOWS = (
    "lax.conv_general_dilated({i}, {f}, ({a},), 'SAME')",
    "lax.conv_general_dilated({i}, {f}, (1,), [({a}, 2)], rhs_dilation=(2,))",
    "lax.conv_general_dilated({i}, {f}, (1,), [(1, 1)], lhs_dilation=(2,))",
    "lax.conv_general_dilated({i}, {f}.transpose(1, 0, 2), (1,), 'SAME', feature_group_count=2)",
    "lax.conv_transpose({i}.transpose(0, 2, 1), {f}.transpose(2, 1, 0), ({a},), 'SAME')",
    "lax.reduce_window({i}, -9.0, lax.max, (1, 1, 2), (1, 1, {a}), 'SAME')",
    "lax.reduce_window({i}, 0.0, lax.add, (1, 1, 2), (1, 1, {a}), 'SAME')",
    "lax.reduce_window({i}, 9.0, lax.min, (1, 1, 2), (1, 1, 1), ((0, 0), (0, 0), (1, {a})))",
    "signal.convolve({i}[0, 0], {f}[0, 0], mode='full')",
    "signal.fftconvolve({i}[0, 0], {f}[0, 0], mode='same')",
    "signal.convolve2d({i}[0], {f}[0], mode='same')",
    "ndimage.map_coordinates({i}[0, 0], [np.abs({v}) * 0.9], order=1, mode='nearest')",
)
_RANDOM = (
    "{v} + random.uniform(random.key({a}), {v}.shape, 'float32')",
    "{v} * random.normal(random.key({a}), {v}.shape, 'float32')",
    "random.permutation(random.key({a}), {v})",
    "random.categorical(random.key({a}), {v}).astype('int32')",
    "np.where(random.bernoulli(random.key({a}), np.float32(0.3), {v}.shape), {v}, 0.0)",
    "{v} - random.gumbel(random.key({a}), {v}.shape, 'float32')",
    "random.randint(random.key({a}), {v}.shape, -4, 9, 'int32')",
    "random.exponential(random.fold_in(random.key({a}), 7), {v}.shape, 'float32')",
    "random.choice(random.key({a}), {v}, ({v}.shape[0],), replace=False)",
    "random.truncated_normal(random.key({a}), -1.0, 2.0, {v}.shape, 'float32')",
    "random.laplace(random.key({a}), {v}.shape, 'float32')",
)
_DEEPER = (
    "fn.vmap(lambda c: {part}, in_axes={k}, out_axes=-1)({v})",
    "fn.vmap(fn.vmap(lambda c: {part}))({m2})",
    "fn.linearize(lambda c: {part}, {v})[1](np.cos({v}))",
    "fn.jvp(fn.grad(lambda c: np.sum({part})), ({v},), (np.sin({v}),))[1]",
    "fn.grad(lambda c: np.sum(fn.vmap(fn.grad(lambda d: np.sum(np.sin(d) * d)))(c) * "
    "{part}))({m2})",
    "fn.grad(lambda c: np.sum(fn.checkpoint(lambda c: {part})(np.sin(c))))({v})",
    "fn.vmap(fn.checkpoint(lambda c: {part}))({v})",
    "fn.grad(lambda c: np.sum(lax.scan(lambda s, x: (np.tanh(s + x) * 0.7, s * x), c[0], "
    "{part})[1]))({v})",
    "fn.jvp(lambda c: lax.fori_loop(0, {a}, lambda i, c: np.sin(c) + {part} * 0.1, c), "
    "({v},), (np.cos({v}),))[1]",
    "fn.grad(lambda c: np.sum(lax.fori_loop(0, {a}, lambda i, c: np.sin(c) * 0.9 + {part} * "
    "0.1, c)))({v})",
    "lax.fori_loop(0, {n}, lambda i, c: fn.at(c, i, 'add', np.sin(c[(i + 1) % {n}])), {v})",
    "fn.vmap(lambda c: lax.fori_loop(0, 3, lambda i, s: np.where(s > 0, s * 0.5, s + "
    "{part}), c))({v})",
    "lax.while_loop(lambda c: c[0] < {a}, lambda c: (c[0] + 1, np.tanh(c[1]) + 0.1), (0, {v}))[1]",
    "fn.grad(lambda c: np.sum(lax.cond(np.sum(c) > 0, lambda c: {part}, np.sin, c)))({v})",
    "fn.vmap(fn.grad(lambda c: np.sum(lax.cond(np.sum(c) > 0, lambda c: {part}, np.sin, c))))({v})",
    "fn.vmap(lambda c: lax.switch((np.sum(c) > 0).astype('int32') + 1, [np.sin, lambda c: "
    "{part}, np.cos], c))({v})",
    "fn.jacfwd(fn.grad(lambda c: np.sum({part} ** 2)))({v}.ravel()[:3])",
    "fn.jit(fn.grad(lambda c: np.sum({part} * c)))({v})",
    "lax.scan(lambda s, x: ((s[0] + np.sum(x), fn.at(s[1], 0, 'set', s[0])), s[1] * 2), "
    "(np.zeros((), {v}.dtype), {v}.ravel()[:3]), {v})[1]",
    "lax.map(fn.grad(lambda c: np.sum({part})), {v})",
    "fn.vmap(lambda c: np.sort({part}.ravel())[::2])({v})",
    "fn.vmap(lambda c, i: c.ravel()[i], in_axes=(0, None))({v}, np.array([0, -1]))",
    "fn.vmap(lambda c: np.dot(c.ravel(), np.sin(c.ravel())) / 9)({v})",
    "fn.vmap(lambda i: np.take({v}.ravel(), i) * 2)(np.arange(min({v}.size, 4)))",
    "fn.vmap(lambda c: fn.at(c.ravel(), np.argmax(c), 'multiply', 2.0))({v})",
    "fn.vmap(lambda c: np.cumsum({part}.ravel())[-1:])({v})",
    "fn.vmap(lambda c: lax.dynamic_slice_in_dim(c.ravel(), np.argmin(c), 1))({v})",
)


@statement(2)
def special(draw: Draw) -> str:
    v = draw.value(most=400)
    template = str(draw.among(draw.among([_SPECIAL, _SPECIAL, _DENSITIES, _NEURAL])))
    return template.format(v=v.name, p=f"(0.3 + np.abs({v.name}))")


@statement(3)
def statistics(draw: Draw) -> str:
    v = draw.value(ndim=1, most=600)
    if v.size == 0:
        raise UnfitError
    return str(draw.among(_STATISTICS)).format(v=v.name, k=draw.axis(v), n=v.shape[-1])


@statement(3)
def place(draw: Draw) -> str:
    v = draw.value(ndim=1, most=600)
    if v.size == 0:
        raise UnfitError
    return str(draw.among(_PLACED)).format(v=v.name, k=draw.axis(v))


@statement(2)
def matrices(draw: Draw) -> str:
    v = draw.value(ndim=2, most=300)
    if v.size == 0:
        raise UnfitError
    side = min(v.shape[-2:])
    square = f"{v.name}[{', '.join(['0'] * (v.ndim - 2) + [f':{side}', f':{side}'])}]"
    eye = f"np.eye({side}, dtype={v.name}.dtype)"
    # Far from singular, with eigenvalues and singular values apart: sin makes the entries small.
    apart = f"np.diag(np.arange(3.0, {side} + 3.0) * {side}).astype({v.name}.dtype)"
    return str(draw.among(_MATRICES)).format(
        w=square,
        m=f"(np.sin({square}) + {apart} + {eye})",
        s=f"({apart} + np.sin({square} + {square}.T))",
    )


@statement(2)
def window(draw: Draw) -> str:
    v = draw.value(ndim=1, most=300)
    if v.size < 4:
        raise UnfitError
    length = v.size // 2
    return str(draw.among(_WINDOWS)).format(
        v=v.name,
        i=f"{v.name}.ravel()[:{2 * length}].reshape(1, 2, {length})",
        f=f"np.sin({v.name}.ravel()[:4]).reshape(1, 2, 2)",
        a=draw.integer(1, 2),
    )


@statement()
def randomness(draw: Draw) -> str:
    v = draw.value(ndim=1, most=400)
    if v.size == 0:
        raise UnfitError
    return str(draw.among(_RANDOM)).format(v=v.name, a=draw.integer(0, 99))


@statement(4)
def deeper(draw: Draw) -> str:
    v = draw.value(ndim=1, most=200)
    if v.size == 0:
        raise UnfitError
    return str(draw.among(_DEEPER)).format(
        v=v.name,
        part=body(draw, "c"),
        k=draw.axis(v),
        a=draw.integer(0, 4),
        n=v.shape[0],
        m2=f"{v.name}.reshape({v.shape[0]}, -1)",
    )
