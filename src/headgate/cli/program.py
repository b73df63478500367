"""What a deployment is to run, as far as it can be known before it is written: a flow is loaded, a command is read."""

import shlex
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headgate.cli.project import DeploymentEntry
from headgate.core.parameters import check_parameters
from headgate.errors import ConfigError, HeadgateError, Invalid
from headgate.flows.entrypoints import load_flow
from headgate.flows.flow import Flow
from headgate.flows.parameters import Parameters


@dataclass(frozen=True, slots=True)
class Program:
    """What is known of the code: all of it for a flow that is here, a schema for one that is not, nothing for a command."""

    flow_name: str | None = None
    version: str | None = None
    description: str | None = None
    parameters: Parameters | None = None
    given_schema: dict[str, Any] | None = None

    @property
    def schema(self) -> dict[str, Any] | None:
        """JSON Schema of the parameters."""
        return self.parameters.schema() if self.parameters else self.given_schema

    def check(self, values: dict[str, Any], field: str) -> None:
        """Refuse values that the flow would not take."""
        try:
            if self.parameters:
                self.parameters.check_some(values)
            else:
                check_parameters(self.given_schema, values, partial=True)
        except Invalid as error:
            raise Invalid(str(error), field=field) from None


def program_of(entry: DeploymentEntry, directory: Path) -> Program:
    """The program of an entry; `Invalid` names the key that is wrong, `ConfigError` says that there is none."""
    if entry.parameter_openapi_schema is not None and entry.command is None:
        return Program(entry.flow_name, given_schema=entry.parameter_openapi_schema)
    if (entry.entrypoint is None) == (entry.command is None):
        raise ConfigError("exactly one of `entrypoint` and `command` says what is to be run.")
    if entry.command is not None:
        _check_command(entry.command)
        return Program(given_schema=entry.parameter_openapi_schema)
    flow = _load(str(entry.entrypoint), directory)
    return Program(flow.name, flow.version, flow.description, flow.parameters)


def _load(entrypoint: str, directory: Path) -> Flow[..., Any]:
    try:
        # What the module prints while it is imported does not belong between the records of `-o json`.
        with redirect_stdout(sys.stderr):
            return load_flow(entrypoint, base=directory)
    except HeadgateError as error:
        raise Invalid(str(error), field="entrypoint") from None
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # The user's module ran: whatever it raised, even SystemExit, is one line about this deployment.
        raise Invalid(f"{entrypoint} raised {type(error).__name__}: {error}", field="entrypoint") from error


def _check_command(command: str) -> None:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise Invalid(f"{command!r} cannot be split into words: {error}", field="command") from None
    if not words:
        raise Invalid("the command is empty", field="command")
