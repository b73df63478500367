"""From a grant to a job: render the pool's template, put the environment together, fill in a command."""

import json
import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headgate.core.launch_checks import check_launch
from headgate.core.placeholders import Kind
from headgate.core.templates import Layer, render
from headgate.errors import Invalid
from headgate.flows.loading import directories_of
from headgate.flows.reporter import Assignment
from headgate.schema.claims import NO_FENCE, Grant
from headgate.schema.deployments import Deployment
from headgate.schema.flow_runs import FlowRun
from headgate.settings import Settings, database_url, env_name
from headgate.worker.types import Job

FLOW_RUN_ID = "HEADGATE__FLOW_RUN_ID"
FENCE = "HEADGATE__FENCE"
PARAMETERS = "HEADGATE_PARAMETERS"

_PLACEHOLDER = re.compile(r"\{\{\s*([\w.-]+)\s*\}\}")


def prepare(
    grant: Grant,
    template: dict[str, Any],
    layers: Sequence[Layer],
    *,
    settings: Settings,
    environ: Mapping[str, str],
    on_line: Callable[[str], None],
) -> Job:
    """The job of a granted run. `layers` are its job variables. Raises `HeadgateError` if they or its command are wrong."""
    run, deployment = grant.flow_run, grant.deployment
    references = grant.references
    check_launch(template, *layers, references=references, unresolved=grant.unresolved)
    configuration = render(template, *layers, environ=environ, references=references)
    command = deployment.command if deployment is not None else None
    env = _connection(settings) | _own_env(configuration) | {FLOW_RUN_ID: str(run.id)}
    # A command does not report for itself, so it gets no fence: the worker holds it.
    if command:
        env[PARAMETERS] = json.dumps(run.parameters)
    elif grant.lease.fence != NO_FENCE:
        env[FENCE] = str(grant.lease.fence)
    directory = _configured_directory(configuration)
    if command and deployment is not None:
        directory = code_directory(deployment, run, directory)
    return Job(
        flow_run_id=run.id,
        flow_run_name=run.name,
        configuration=configuration,
        env=env,
        on_line=on_line,
        argv=command_argv(command, run.parameters) if command else None,
        directory=directory,
        assignment=None if command else Assignment(run, grant.flow.name, deployment),
    )


def secrets_of(grant: Grant) -> list[str]:
    """What the secrets hold that the grant brought."""
    return [str(value) for key, value in grant.references.items() if key.startswith(f"{Kind.SECRET}s.")]


def command_argv(command: str, parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """`command` split as a POSIX shell would, no shell being run; `{{ name }}` in an argument becomes that parameter's text.

    Text stands as it is, any other value as JSON; a value never makes two arguments. Raises `Invalid`.
    """
    try:
        words = shlex.split(_PLACEHOLDER.sub(r"{{\1}}", command))
    except ValueError as error:
        raise Invalid(f"The command {command!r} cannot be read: {error}.", field="command", value=command) from None
    if not words:
        raise Invalid("The command is empty.", field="command", value=command)
    return tuple(_PLACEHOLDER.sub(lambda found: _text(found[1], parameters), word) for word in words)


def code_directory(deployment: Deployment, run: FlowRun, configured: str | None) -> str | None:
    """Where a command runs: from the `configured` directory on, as the engine would enter directories itself.

    Raises `ConfigError` for a pull step that is not known.
    """
    entered = map(os.path.expanduser, directories_of(deployment, run))
    return os.path.join(configured or "", *entered) or None


def _text(name: str, parameters: Mapping[str, Any]) -> str:
    if name not in parameters:
        known = ", ".join(sorted(parameters)) or "none"
        raise Invalid(f"The command names the parameter {name!r}, which the run does not have; it has: {known}.")
    value = parameters[name]
    return value if isinstance(value, str) else json.dumps(value)


def _configured_directory(configuration: Mapping[str, Any]) -> str | None:
    given = configuration.get("working_dir")
    if given is not None and not isinstance(given, str):
        raise Invalid(f"working_dir={given!r} in the job configuration is not a path.", field="working_dir", value=given)
    return os.path.expanduser(given) if given else None


def _connection(settings: Settings) -> dict[str, str | None]:
    """What makes settings in the run's process find the same API as this worker."""
    env: dict[str, str | None] = {env_name("home"): str(settings.home_path), env_name("api_url"): settings.api_url}
    if settings.api_auth_string:
        env[env_name("api_auth_string")] = settings.api_auth_string
    if settings.api_url is None:
        env[env_name("server_database_connection_url")] = database_url(settings)
    else:  # a worker may have been started in its server's environment
        env[env_name("server_encryption_key")] = None
    return env


def _own_env(configuration: Mapping[str, Any]) -> dict[str, str | None]:
    given = configuration.get("env") or {}
    if not isinstance(given, Mapping):
        raise Invalid(
            f"env={given!r} in the job configuration is not a mapping of names to values.", field="env", value=given
        )
    return {str(name): _env_value(value) for name, value in given.items()}


def _env_value(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)
