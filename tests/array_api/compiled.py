"""`fnad.numpy` as the standard's namespace, where every function and operator runs under `jit`."""

from types import SimpleNamespace

import fnad.numpy
from tests.array_api.programs import namespace

globals().update(namespace(fnad.numpy))
linalg = SimpleNamespace(**namespace(fnad.numpy.linalg))
if hasattr(fnad.numpy, "fft"):
    fft = SimpleNamespace(**namespace(fnad.numpy.fft))
__array_api_version__ = fnad.numpy.__array_api_version__
__array_namespace_info__ = fnad.numpy.__array_namespace_info__
