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
