"""Headgate: a work-pool orchestrator.

The names below are loaded when they are first used, so that `import headgate` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headgate.flows.context import runtime
    from headgate.flows.deploy import deploy, run_deployment, run_deployment_async
    from headgate.flows.flow import Flow, flow
    from headgate.flows.run_logger import get_run_logger
    from headgate.flows.serve import serve

__version__ = "0.1.0"

_HOMES = {
    "Flow": "headgate.flows.flow",
    "deploy": "headgate.flows.deploy",
    "flow": "headgate.flows.flow",
    "get_run_logger": "headgate.flows.run_logger",
    "run_deployment": "headgate.flows.deploy",
    "run_deployment_async": "headgate.flows.deploy",
    "runtime": "headgate.flows.context",
    "serve": "headgate.flows.serve",
}

__all__ = [
    "Flow",
    "__version__",
    "deploy",
    "flow",
    "get_run_logger",
    "run_deployment",
    "run_deployment_async",
    "runtime",
    "serve",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'headgate' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value
