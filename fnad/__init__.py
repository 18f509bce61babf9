"""fnad: functional transformations of plain NumPy programs.

Pure functions of NumPy arrays are traced into one readable IR; ``grad``, ``vjp``, ``jvp`` and
``vmap`` rewrite it; ``jit`` compiles it through LLVM. Arrays stay ``numpy.ndarray``.

Examples
--------
>>> import numpy as np, fnad
>>> @fnad.jit
... def energy(x):
...     return np.sum(np.sin(x) ** 2)
>>> fnad.grad(energy)(np.zeros(2))
array([0., 0.])
"""

import importlib
from typing import TYPE_CHECKING, Any

from fnad import (
    ad_checkpoint,
    config,
    custom_batching,
    debug,
    errors,
    extend,
    flatten_util,
    image,
    jet,
    lax,
    nn,
    numpy,
    ops,
    optim,
    random,
    tree,
)
from fnad.core.checks import debug_nans, disable_jit
from fnad.core.ir import ClosedJaxpr, Jaxpr
from fnad.core.names import missing_name
from fnad.core.scopes import named_call, named_scope
from fnad.core.types import ShapeDtypeStruct, float0
from fnad.diagnosis import doctor
from fnad.primitives.callbacks import io_callback, pure_callback
from fnad.primitives.checkpoint import checkpoint, checkpoint_name, checkpoint_policies
from fnad.primitives.custom import custom_jvp, custom_vjp
from fnad.primitives.logic import stop_gradient
from fnad.transforms.autodiff import grad, jvp, linear_transpose, linearize, value_and_grad, vjp
from fnad.transforms.closures import closure_convert, custom_gradient, fwd_and_bwd
from fnad.transforms.jacobians import hessian, jacfwd, jacrev
from fnad.transforms.jit import jit
from fnad.transforms.placement import block_until_ready, device_get, device_put
from fnad.transforms.sparse_derivatives import hessian_sparse, jacobian_sparse
from fnad.transforms.symbolic_shapes import symbolic_shape
from fnad.transforms.tracing import eval_shape, make_jaxpr
from fnad.transforms.vmap import vmap

remat = checkpoint
jacobian = jacrev

__version__ = "0.1.0"

__all__ = [
    "jit",
    "grad",
    "value_and_grad",
    "vjp",
    "jvp",
    "linearize",
    "linear_transpose",
    "fwd_and_bwd",
    "closure_convert",
    "vmap",
    "jacfwd",
    "jacrev",
    "jacobian",
    "hessian",
    "jacobian_sparse",
    "hessian_sparse",
    "checkpoint",
    "checkpoint_name",
    "checkpoint_policies",
    "remat",
    "custom_jvp",
    "custom_vjp",
    "custom_gradient",
    "io_callback",
    "pure_callback",
    "stop_gradient",
    "device_put",
    "device_get",
    "block_until_ready",
    "disable_jit",
    "debug_nans",
    "named_scope",
    "named_call",
    "doctor",
    "make_jaxpr",
    "eval_shape",
    "symbolic_shape",
    "ShapeDtypeStruct",
    "ClosedJaxpr",
    "Jaxpr",
    "float0",
    "config",
    "custom_batching",
    "debug",
    "errors",
    "ad_checkpoint",
    "extend",
    "flatten_util",
    "image",
    "jet",
    "lax",
    "nn",
    "numpy",
    "ops",
    "optim",
    "random",
    "tree",
]

# Imported when they are asked for: few programs need them.
_LATER = ("data", "testing", "train")

# Where those who know JAX find what it has under these names.
_ONE_MACHINE = "programs run on one machine, on the CPU or the card that their arrays are on"
_ELSEWHERE = {
    **{f"tree_{name}": f"it is fnad.tree.{name}" for name in tree.__all__},
    "tree_util": "it is fnad.tree, whose functions have no tree_: fnad.tree.map",
    "Array": "arrays are numpy.ndarray",
    "clear_caches": "compiled functions have a method clear_cache",
    "enable_x64": "dtypes are NumPy's, doubles included",
    "experimental": "docs/jax_coverage.md says what there is of JAX",
    "pmap": "programs run on one machine; fnad.vmap maps over an axis",
    **dict.fromkeys(("devices", "device_count", "local_device_count", "sharding"), _ONE_MACHINE),
    **dict.fromkeys(("dtypes", "typing"), "arrays, dtypes and their types are NumPy's"),
}

if not TYPE_CHECKING:  # a checker would take it for a promise that every name is there

    def __getattr__(name: str) -> Any:
        if name in _LATER:
            return importlib.import_module(f"fnad.{name}")
        raise missing_name(__name__, name, _ELSEWHERE)
