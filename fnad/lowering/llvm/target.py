"""LLVM itself: the host's target, the optimisation pipeline, and symbols of other libraries."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import re
import threading
import weakref
from typing import Any

import llvmlite.binding as llvm

from fnad.core.errors import InternalError

# LLVM's command-line options, its symbol table and llvmlite's ownership of contexts are global.
_lock = threading.RLock()


@functools.cache
def _initialize() -> tuple[str, str]:
    """Initialise LLVM once; returns the host's CPU name and features."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


def _target_machine() -> Any:
    """A fresh target machine: an execution engine takes ownership of the one it is given."""
    cpu, features = _initialize()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(cpu=cpu, features=features, opt=2)


class CompiledModule:
    """A module of machine code in this process.

    Parameters
    ----------
    text : str
        LLVM IR. Symbols that it declares must be known to `bind_symbol`.

    Attributes
    ----------
    text : str
        The IR as given.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        with _lock:
            machine = _target_machine()
            context = llvm.create_context()
            module = llvm.parse_assembly(text, context)
            module.verify()
            _optimize(module, machine)
            self._engine = llvm.create_mcjit_compiler(module, machine)
            self._engine.finalize_object()
        # The engine owns machine and module, and the module needs its context. The collector may
        # dispose of a cycle's members in any order, so the finalizer keeps both, for this order.
        weakref.finalize(self, _dispose, self._engine, context).atexit = False

    def address(self, name: str) -> int:
        """The address of a function."""
        return int(self._engine.get_function_address(name))


def _dispose(engine: Any, context: Any) -> None:
    with _lock:
        engine.close()
        context.close()


def _optimize(module: Any, machine: Any) -> None:
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = True
    options.slp_vectorization = True
    options.loop_unrolling = False  # halves the time of compilation, gains nothing measurable
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)


def assembly(text: str) -> str:
    """Compile a module to readable assembly."""
    with _lock:
        machine = _target_machine()
        module = llvm.parse_assembly(text, llvm.create_context())
        module.verify()
        _optimize(module, machine)
        return str(machine.emit_assembly(module))


@functools.cache
def _libm() -> ctypes.CDLL:
    """The C mathematics library; where the interpreter is linked to it, no search is needed."""
    process = ctypes.CDLL(None)
    return process if hasattr(process, "erff") else ctypes.CDLL(ctypes.util.find_library("m"))


@functools.cache
def bind_libm_symbol(name: str) -> None:
    """Make a function of the C mathematics library callable from compiled code."""
    address = ctypes.cast(getattr(_libm(), name), ctypes.c_void_p).value
    assert address is not None
    llvm.add_symbol(name, address)


@functools.cache
def bind_cython_symbol(module: str, function: str, signature: str, name: str) -> None:
    """Make a C function that a Cython module of SciPy exports callable under ``name``.

    ``signature`` is how its C declaration starts; of the specialisations of a fused function
    (their names are prefixed) it tells which one is meant.
    """
    exported = __import__(module, fromlist=["__pyx_capi__"]).__pyx_capi__
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype = ctypes.c_char_p
    api.PyCapsule_GetName.argtypes = [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    for key, capsule in exported.items():
        declared = api.PyCapsule_GetName(capsule)
        fused = re.fullmatch(rf"(__pyx_fuse_\d+)?{function}", key)
        if fused and declared.startswith(signature.encode()):
            llvm.add_symbol(name, api.PyCapsule_GetPointer(capsule, declared))
            return
    raise InternalError(f"{module} of this SciPy exports no {signature}...) {function}")
