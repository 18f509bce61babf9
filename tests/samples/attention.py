"""Attention and its derivatives."""

import numpy as np

from fnad.testing import Sample

RNG = np.random.default_rng(3)
QUERY, CT, TANGENT = (RNG.standard_normal((2, 3, 4, 2)) for _ in range(3))
KEY, VALUE, KEY_TANGENT, VALUE_TANGENT = (RNG.standard_normal((2, 5, 2, 2)) for _ in range(4))
BIAS = RNG.standard_normal((1, 4, 3, 5))
MASK = RNG.random((2, 1, 3, 5)) < 0.7
MASK[..., 0] = True  # each position attends to something, whatever the row below makes of it
LENGTHS = np.array([5, 4])
INTEGERS = [np.dtype(f"{kind}{size}") for kind in "iu" for size in (1, 2, 4, 8)]
LIVE = np.array([True, False, True])[None, :, None, None], RNG.random((2, 1, 4, 2)) < 0.6
LSE, CT_LSE = (RNG.standard_normal((2, 4, 3)) for _ in range(2))


def attention(query, key, value, bias=0.0, mask=True, lengths=None, *, scale, before, behind):
    """Position by position; sums in double precision."""
    outs, lse = np.zeros(query.shape), np.zeros((*query.shape[:1], *query.shape[2:0:-1]))
    full = (*lse.shape, key.shape[1])
    bias, mask = np.broadcast_to(bias, full), np.broadcast_to(mask, full)
    wide = [x.astype(np.float64) for x in (query, key, value)]
    for b, n, t in np.ndindex(lse.shape):
        q, k, v = wide[0][b, t, n], *(x[b, :, n // (full[1] // key.shape[2])] for x in wide[1:])
        # Products are rounded to the dtype of the operands, as weights are.
        logits = (k @ q).astype(query.dtype).astype(np.float64) * scale + bias[b, n, t]
        at = np.arange(full[3])
        kept = mask[b, n, t] & (at >= t - before) & (at <= t + behind)
        kept &= at < (full[3] if lengths is None else lengths[b])
        weights = np.exp(logits) * kept
        lse[b, n, t] = np.log(weights.sum())
        outs[b, t, n] = weights @ v / weights.sum()
    single = np.float64 if query.dtype == np.float64 else np.float32
    return [outs.astype(query.dtype), lse.astype(single)]


def params(extras=(), scale=0.6, window=(None, None), **more):
    return {"extras": extras, "scale": scale, "window": window, **more}


def row(args, extras, before, behind):
    window = tuple(None if w == 9 else w for w in (before, behind))
    return Sample(
        args,
        params(extras, window=window),
        reference=lambda q, k, v, *more: attention(
            q,
            k,
            v,
            **dict(zip([{"key_lengths": "lengths"}.get(n, n) for n in extras], more)),
            scale=0.6,
            before=before,
            behind=behind,
        ),
    )


OPERANDS = QUERY, KEY, VALUE

SAMPLES = {
    "attention": [
        row(OPERANDS, (), 9, 9),
        row(OPERANDS, (), 2, 0),
        row((*OPERANDS, BIAS, MASK, LENGTHS), ("bias", "mask", "key_lengths"), 9, 2),
        *(row((*OPERANDS, LENGTHS.astype(d)), ("key_lengths",), 9, 0) for d in INTEGERS),
    ],
    "attention_tangent": [
        Sample((*OPERANDS, CT, LSE, TANGENT, KEY_TANGENT, VALUE_TANGENT), params(window=(None, 0))),
        Sample(
            (*OPERANDS, BIAS, CT, LSE, TANGENT, KEY_TANGENT, VALUE_TANGENT),
            params(("bias",)),
        ),
    ],
    "attention_grad": [
        Sample((*OPERANDS, CT, LSE, CT), params(window=(None, 0), has_lse=False, has_live=False)),
        Sample(
            (*OPERANDS, BIAS, CT, LSE, CT, CT_LSE), params(("bias",), has_lse=True, has_live=False)
        ),
        *(
            Sample(
                (*OPERANDS, CT, LSE, np.where(live, CT, 0), live),
                params(has_lse=False, has_live=True),
            )
            for live in LIVE
        ),
    ],
}
