"""Optimisers as pairs of pure functions, in Optax's shape.

``optimizer.init(params)`` makes the state, ``optimizer.update(grads, state, params)`` returns
``(updates, state)``, and `apply_updates` adds them to the parameters. The dtype of parameters is
kept throughout.
"""

import sys
from typing import TYPE_CHECKING, NoReturn

from fnad import nn as _nn
from fnad.optim.base import (
    EmptyState,
    GradientTransformation,
    MaskedNode,
    MaskedState,
    apply_updates,
    chain,
    identity,
    masked,
    stateless,
)
from fnad.optim.clipping import clip, clip_by_global_norm, global_norm
from fnad.optim.optimizers import adagrad, adam, adamw, rmsprop, sgd
from fnad.optim.schedules import (
    constant_schedule,
    cosine_decay_schedule,
    exponential_decay,
    join_schedules,
    linear_schedule,
    piecewise_constant_schedule,
    polynomial_schedule,
    warmup_cosine_decay_schedule,
)
from fnad.optim.transforms import (
    ScaleByAdamState,
    ScaleByRmsState,
    ScaleByRssState,
    ScaleByRStdDevState,
    ScaleByScheduleState,
    TraceState,
    add_decayed_weights,
    scale,
    scale_by_adam,
    scale_by_learning_rate,
    scale_by_rms,
    scale_by_rss,
    scale_by_schedule,
    scale_by_stddev,
    trace,
)

__all__ = [
    "GradientTransformation",
    "apply_updates",
    "global_norm",
    # optimisers
    "sgd",
    "adam",
    "adamw",
    "rmsprop",
    "adagrad",
    # rules and their combination
    "chain",
    "masked",
    "identity",
    "stateless",
    "clip",
    "clip_by_global_norm",
    "scale",
    "scale_by_learning_rate",
    "scale_by_schedule",
    "scale_by_adam",
    "scale_by_rms",
    "scale_by_stddev",
    "scale_by_rss",
    "trace",
    "add_decayed_weights",
    # schedules
    "constant_schedule",
    "linear_schedule",
    "polynomial_schedule",
    "exponential_decay",
    "cosine_decay_schedule",
    "warmup_cosine_decay_schedule",
    "piecewise_constant_schedule",
    "join_schedules",
    # states
    "EmptyState",
    "MaskedNode",
    "MaskedState",
    "TraceState",
    "ScaleByScheduleState",
    "ScaleByAdamState",
    "ScaleByRmsState",
    "ScaleByRStdDevState",
    "ScaleByRssState",
]

if not TYPE_CHECKING:  # a checker would take it for a promise that every name is there

    def __getattr__(name: str) -> NoReturn:
        there = name in _nn.__all__
        place = f": Optax's losses are in fnad.nn, fnad.nn.{name}" if there else ""
        text = f"module 'fnad.optim' has no attribute {name!r}{place}"
        raise AttributeError(text, name=name, obj=sys.modules[__name__])
