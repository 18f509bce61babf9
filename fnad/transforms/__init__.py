"""The transforms of programs (Jaxpr to Jaxpr) and the user's wrappers of them.

Reading order: ``forward`` (jvp), ``partial_eval``, ``transpose``, ``batching``, ``dce``; then the
wrappers ``autodiff``, ``jacobians``, ``vmap``, ``jit``, ``tracing``; ``placement`` moves arrays to
a card and back.
"""

from __future__ import annotations

from fnad.core.rewrites import install_rewrites
from fnad.lowering import compile_jaxpr, in_parts
from fnad.transforms.batching import batch_jaxpr
from fnad.transforms.dce import dce_jaxpr
from fnad.transforms.forward import jvp_jaxpr
from fnad.transforms.partial_eval import partial_eval_jaxpr
from fnad.transforms.placement import evaluate_on_device
from fnad.transforms.taylor import jet_jaxpr
from fnad.transforms.transpose import strong_transpose_jaxpr, transpose_jaxpr


class _Installed:
    jvp = staticmethod(jvp_jaxpr)
    jet = staticmethod(jet_jaxpr)
    partial_eval = staticmethod(partial_eval_jaxpr)
    transpose = staticmethod(transpose_jaxpr)
    strong_transpose = staticmethod(strong_transpose_jaxpr)
    batch = staticmethod(batch_jaxpr)
    dce = staticmethod(dce_jaxpr)
    in_parts = staticmethod(in_parts)
    compile = staticmethod(compile_jaxpr)
    evaluate_on_device = staticmethod(evaluate_on_device)


install_rewrites(_Installed())
