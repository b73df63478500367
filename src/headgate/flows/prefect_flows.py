"""Flows written for Prefect: known by their type, and deployed like any other.

Nothing here imports Prefect, which takes a second.
"""

import importlib.util
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from headgate.flows.flow import Flow
from headgate.schema.deployments import Deployment


class PrefectFlow(Flow[..., Any]):
    """A flow whose decorator was Prefect's. It has the name, the description and the version that it has there.

    Retries, hooks, time-outs and tasks are the business of Prefect's engine.
    """

    def __init__(self, program: Any) -> None:
        super().__init__(program.fn, name=program.name, description=program.description, version=program.version)
        self.program = program


def is_prefect_flow(program: object) -> bool:
    """Whether this is a flow of Prefect's, of whichever version."""
    return any(kind.__name__ == "Flow" and kind.__module__ == "prefect.flows" for kind in type(program).__mro__)


_IMPORT = re.compile(r"^\s*(?:import|from)\s+prefect\b", re.MULTILINE)


def import_ahead(file: Path) -> None:
    """Have Prefect's engine imported, in a process that many runs are forked from, where a file of flows imports Prefect.

    Its import is the larger part of a run's time. It draws random numbers (rich does, for its links), which nobody sees:
    so it comes before an import of the flow's own code is watched for such things.
    """
    with suppress(OSError, UnicodeDecodeError, ImportError):
        if file.suffix == ".py" and _IMPORT.search(file.read_text("utf-8")) and importlib.util.find_spec("prefect"):
            for name in ("prefect.engine", "prefect.flow_engine"):  # the second is new in version 3
                importlib.import_module(name)


def needs_prefect(deployment: Deployment | None) -> bool:
    """Whether only Prefect can fetch the code: a pull step is one of its own, and it is installed."""
    steps = [name for step in (deployment.pull_steps if deployment else None) or () for name in step]
    foreign = [name for name in steps if name.startswith("prefect") and not name.endswith(".set_working_directory")]
    return bool(foreign) and importlib.util.find_spec("prefect") is not None
