"""Entrypoints: where a flow's function is, as text, and how it is loaded from there.

Two forms: `path/to/file.py:name`, relative to a directory, and `package.module:name`. A name may be dotted.
"""

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

from headgate.errors import ConfigError, Invalid
from headgate.flows.flow import Flow, as_flow
from headgate.flows.prefect_flows import PrefectFlow, is_prefect_flow


def load_flow(entrypoint: str, *, base: Path) -> Flow[..., Any]:
    """The flow at `entrypoint`; a plain callable is made one.

    `base`, and the file's own directory, are put on `sys.path`, so that modules beside the flow can be imported.
    Raises `ConfigError` when the file, the module or the name is not there or not callable, and whatever the
    module raises while it is imported.
    """
    place, name = split(entrypoint)
    _make_importable(base)
    module = _load_file(base / place) if place.endswith(".py") else _load_module(place, base)
    program = _find(module, name, entrypoint)
    return PrefectFlow(program) if is_prefect_flow(program) else as_flow(program)


def split(entrypoint: str) -> tuple[str, str]:
    """File or module, and name; `ConfigError` when it is neither form."""
    place, separator, name = entrypoint.rpartition(":")
    if not separator or not place or not name:
        raise ConfigError(f"Entrypoint {entrypoint!r} is neither `path/to/file.py:function` nor `package.module:function`.")
    return place, name


def entrypoint_of(flow: Flow[..., Any], *, base: Path) -> tuple[str, Path]:
    """The file form of a flow's place, and the directory that it is relative to: `base`, or the file's own when outside.

    Raises `Invalid` when the function cannot be found again from its file.
    """
    if flow.file is None or not os.path.isfile(flow.file):
        raise Invalid(f"Flow {flow.name!r} does not come from a file; save it in one, or give `entrypoint=`.")
    name: str = _global_name(flow) or getattr(flow.fn, "__qualname__", None) or "<unnamed>"
    if "<" in name:
        raise Invalid(
            f"Flow {flow.name!r} is {name!r}, which cannot be found from outside: define it at the top of its file, "
            "or give `entrypoint=`."
        )
    file = Path(flow.file)
    if not file.is_relative_to(base):
        base = file.parent
    return f"{file.relative_to(base).as_posix()}:{name}", base


def _global_name(flow: Flow[..., Any]) -> str | None:
    """The name of the module's variable that holds this very flow."""
    scope: dict[str, Any] = getattr(flow.fn, "__globals__", {})
    return next((name for name, value in scope.items() if value is flow), None)


def _make_importable(directory: Path) -> None:
    place = str(directory.resolve())
    if place not in sys.path:
        sys.path.insert(0, place)


def _load_module(name: str, base: Path) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # the module is there; something that it imports is not
        raise ConfigError(
            f"There is no module {name!r}, neither installed in {sys.prefix} nor below {base.resolve()}."
        ) from error


def _load_file(file: Path) -> ModuleType:
    """The module of a file, under its own name if that is free, so that it can be imported and pickled as any other."""
    file = file.resolve()
    if not file.is_file():
        raise ConfigError(f"There is no file {file}.")
    _make_importable(file.parent)
    if _stands_for(_spec_of(file.stem), file):
        return importlib.import_module(file.stem)
    return _load_as(_free_name(file), file)


def _free_name(file: Path) -> str:
    """A module name that no other file has."""
    stem = file.stem.replace(".", "_")
    names = (f"{stem}_{number}" for number in count(2))
    return next(
        name for name in names if name not in sys.modules or getattr(sys.modules[name], "__file__", None) == str(file)
    )


def _spec_of(name: str) -> ModuleSpec | None:
    if "." in name:
        return None
    importlib.invalidate_caches()
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None


def _stands_for(spec: ModuleSpec | None, file: Path) -> bool:
    return spec is not None and spec.origin is not None and Path(spec.origin).resolve() == file


def _load_as(name: str, file: Path) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _find(module: ModuleType, name: str, entrypoint: str) -> Callable[..., Any]:
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise ConfigError(f"{entrypoint!r} names nothing: {_origin(module)} has no {name!r}. {_candidates(module)}")
        found = getattr(found, part)
    if not callable(found):
        raise ConfigError(f"{entrypoint!r} is of type {type(found).__name__}, not a function. {_candidates(module)}")
    program: Callable[..., Any] = found
    return program


def _origin(module: ModuleType) -> str:
    return getattr(module, "__file__", None) or module.__name__


def _candidates(module: ModuleType) -> str:
    """The flows of a module, else its own functions, as a sentence."""
    public = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    flows = sorted(name for name, value in public.items() if isinstance(value, Flow) or is_prefect_flow(value))
    if flows:
        return f"Flows there: {', '.join(flows)}."
    own = sorted(name for name, v in public.items() if callable(v) and getattr(v, "__module__", None) == module.__name__)
    return f"Functions there: {', '.join(own)}." if own else "There is no function in it."
