"""Worker type `process`: each run is a process of its own on the worker's machine."""

import asyncio
import os
import shlex
import shutil
import socket
import tempfile
from typing import Any

import msgspec
from msgspec import Struct

from headgate.errors import Invalid
from headgate.flows.processes import ENGINE_ARGV, Process, launch
from headgate.worker.types import Job

VARIABLES: dict[str, Any] = {
    "name": {
        "title": "Name",
        "description": "Name given to the process.",
        "anyOf": [{"type": "string"}, {"type": "null"}],
        "default": None,
    },
    "env": {
        "title": "Environment Variables",
        "description": "Environment variables to set; null takes one out.",
        "type": "object",
        "additionalProperties": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "labels": {
        "title": "Labels",
        "description": "Labels of the process.",
        "type": "object",
        "additionalProperties": {"type": "string"},
    },
    "command": {
        "title": "Command",
        "description": "Command that starts the run; unset, the engine of the worker's own Python.",
        "anyOf": [{"type": "string"}, {"type": "null"}],
        "default": None,
    },
    "stream_output": {
        "title": "Stream Output",
        "description": "Write the output of runs to the worker's own.",
        "type": "boolean",
        "default": True,
    },
    "working_dir": {
        "title": "Working Directory",
        "description": "Directory to run in; unset, a fresh one that is removed afterwards.",
        "anyOf": [{"type": "string", "format": "path"}, {"type": "null"}],
        "default": None,
    },
}


class Configuration(Struct):
    """The part of a rendered job configuration that this type reads; the rest is in the job already."""

    command: str | None = None


class ProcessInfrastructure:
    """Starts runs as child processes."""

    type = "process"
    display_name = "Process"
    description = "Runs each flow run in a process of its own on the worker's machine."

    def default_base_job_template(self) -> dict[str, Any]:
        """Every variable as it is."""
        return {
            "job_configuration": {name: f"{{{{ {name} }}}}" for name in VARIABLES},
            "variables": {"type": "object", "properties": VARIABLES},
        }

    async def start(self, job: Job) -> "RunningProcess":
        """Start the command or the engine in the job's directory, else in a fresh one."""
        configuration = _configuration(job)
        env = {name: value for name, value in (os.environ | dict(job.env)).items() if value is not None}
        scratch = None if job.directory else tempfile.mkdtemp(prefix="headgate-")
        try:
            process = await launch(
                job.argv or _engine(configuration.command),
                env=env,
                cwd=job.directory or scratch,
                on_line=job.on_line,
                die_with_parent=job.argv is not None,
            )
        except BaseException:
            await _remove(scratch)
            raise
        return RunningProcess(process, scratch)


class RunningProcess:
    """A process with its scratch directory."""

    def __init__(self, process: Process, scratch: str | None) -> None:
        self._process = process
        self._scratch = scratch

    @property
    def identifier(self) -> str:
        """`host:pid`."""
        return f"{socket.gethostname()}:{self._process.pid}"

    async def wait(self) -> int:
        """The exit code; the scratch directory is gone by then."""
        code = await self._process.wait()
        await _remove(self._scratch)
        return code

    async def stop(self, grace: float) -> int:
        """SIGTERM to the process group, SIGKILL after `grace` seconds."""
        await self._process.stop(grace)
        return await self.wait()


def _configuration(job: Job) -> Configuration:
    try:
        return msgspec.convert(dict(job.configuration), Configuration)
    except msgspec.ValidationError as error:
        raise Invalid(f"The job configuration does not fit a process: {error}.") from None


def _engine(command: str | None) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(command)) if command else ENGINE_ARGV
    except ValueError as error:
        raise Invalid(f"The command {command!r} of the job configuration cannot be read: {error}.") from None


async def _remove(scratch: str | None) -> None:
    if scratch is not None:
        await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)
