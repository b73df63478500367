"""From a deployment to its flow: enters the working directory and loads the code."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headgate.errors import ConfigError
from headgate.flows import outcomes
from headgate.flows.entrypoints import load_flow
from headgate.flows.flow import Flow
from headgate.flows.interrupts import Terminated
from headgate.flows.run_logger import RunLogger
from headgate.schema.deployments import Deployment
from headgate.schema.flow_runs import FlowRun


class NotLoaded(Exception):
    """A run has no code that could be called; the message says why."""


@dataclass(frozen=True, slots=True)
class Code:
    """Where a run's flow is: the directories that its engine enters one after the other, and the entrypoint."""

    entrypoint: str
    directories: tuple[str, ...]


def code_of(run: FlowRun, deployment: Deployment | None) -> Code | None:
    """What `load_for_run` will load; None when it will only say why it cannot."""
    if deployment is None or deployment.entrypoint is None:
        return None
    try:
        return Code(deployment.entrypoint, directories_of(deployment, run))
    except ConfigError:
        return None


def load_for_run(run: FlowRun, deployment: Deployment | None, *, logger: RunLogger) -> Flow[..., Any]:
    """The flow of a run; `NotLoaded` when it cannot be had. What the code itself raised stands in the log."""
    entrypoint = deployment.entrypoint if deployment else None
    try:
        if deployment is None:
            raise ConfigError("the run belongs to no deployment, so it is not known where its code is.")
        if entrypoint is None:
            raise ConfigError(f"deployment {deployment.name!r} names no entrypoint.")
        enter_working_directory(deployment, run)
        return load_flow(entrypoint, base=Path.cwd())
    except (Terminated, KeyboardInterrupt):
        raise
    except ConfigError as error:
        raise NotLoaded(f"Flow could not be loaded: {error}") from error
    except BaseException as error:
        logger.error("Flow could not be loaded from %r:\n%s", entrypoint, outcomes.trace(error))
        raise NotLoaded(f"Flow could not be loaded from {entrypoint!r}: {outcomes.describe(error)}") from error


def enter_working_directory(deployment: Deployment, run: FlowRun) -> None:
    """Change to where the deployment's code is, see `directories_of`.

    Raises `ConfigError` when a step is not known or a directory is not there.
    """
    for directory in directories_of(deployment, run):
        enter(directory)


def directories_of(deployment: Deployment, run: FlowRun) -> tuple[str, ...]:
    """The directories that are entered one after the other: as the deployment's pull steps say, else its `path`.

    A working directory that the job variables name was already entered by whoever started this process, and stays.
    Raises `ConfigError` when a step is not known.
    """
    if deployment.pull_steps:
        return tuple(map(_directory, deployment.pull_steps))
    chosen = {**deployment.job_variables, **(run.job_variables or {})}.get("working_dir")
    return (deployment.path,) if deployment.path and not chosen else ()


def enter(directory: str) -> None:
    """Change to a directory of a deployment; `ConfigError` when it cannot be entered."""
    try:
        os.chdir(os.path.expanduser(directory))
    except OSError as error:
        raise ConfigError(
            f"cannot enter the deployment's directory {directory!r}: {error.strerror}. Is the code on this machine?"
        ) from error


def _directory(step: dict[str, Any]) -> str:
    match list(step.items()):
        case [(str(name), {"directory": str(directory)})] if name.rpartition(".")[2] == "set_working_directory":
            return directory
        case _:
            names = ", ".join(map(str, step)) or "an empty one"
            raise ConfigError(f"pull step not understood: {names}; known is `set_working_directory: {{directory: …}}`.")
