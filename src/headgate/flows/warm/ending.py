"""The end of a forked process: all that a flow can see of an interpreter's end, without taking the engine apart.

Taking apart touches every page of what the zygote shares: two thirds of what a no-op run costs (15 of 22 ms of CPU).
"""

import atexit
import ctypes
import gc
import os
import sys
import threading
import weakref
from contextlib import suppress
from types import ModuleType
from typing import NoReturn

_engines_own: frozenset[str] = frozenset()


def spare_what_is_here() -> None:
    """What is imported now is the engine's: it stays as it is, in later collections too, until the process is gone."""
    global _engines_own
    _engines_own = frozenset(sys.modules)
    gc.collect()
    gc.freeze()


def leave(code: int) -> NoReturn:
    """End as `sys.exit(code)` would: wait for threads, call what is registered for the exit, write what is buffered,
    give up what the flow's modules hold, and let the C library do the same for its own.
    """
    ctypes.PyDLL(None).fflush(None)  # what C code has buffered is written first, as `sys.exit` does
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    _flush()
    _dissolve([module for name, module in sys.modules.items() if name not in _engines_own])
    _flush()
    ctypes.PyDLL(None).exit(code)  # holding the lock, so that no thread runs on meanwhile
    os._exit(code)


def _dissolve(modules: list[ModuleType]) -> None:
    """Give modules up in the order of the interpreter: first whole, then, where something still holds them, their names."""
    gc.collect()  # first, as the interpreter does: it puts files before their buffers, so that what these hold is written
    # By its true type: libraries of cffi only say that they are modules, and nobody may hold them weakly.
    held = [weakref.ref(module) for module in modules if issubclass(type(module), ModuleType)]
    for name in sys.modules.keys() - _engines_own:
        del sys.modules[name]
    modules.clear()
    gc.collect()
    for reference in held:
        if (module := reference()) is not None:
            vars(module).update(dict.fromkeys(name for name in vars(module) if name != "__builtins__"))
    gc.collect()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
