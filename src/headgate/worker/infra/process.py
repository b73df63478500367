"""Worker type `process`: each run is a process of its own on the worker's machine."""

import asyncio
import os
import shlex
import shutil
import socket
import tempfile
from functools import cached_property
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from headgate.errors import Invalid
from headgate.flows.processes import ENGINE_ARGV, Child, Process, attend, launch, spawn
from headgate.settings import Settings, load
from headgate.worker.infra import remnants
from headgate.worker.infra.warm import WarmStarts, is_possible
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
    """Starts runs as child processes, those of flows warm where that can be; `settings`: by default those of the worker."""

    type = "process"
    display_name = "Process"
    description = "Runs each flow run in a process of its own on the worker's machine."

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings

    def default_base_job_template(self) -> dict[str, Any]:
        """Every variable as it is."""
        return {
            "job_configuration": {name: f"{{{{ {name} }}}}" for name in VARIABLES},
            "variables": {"type": "object", "properties": VARIABLES},
        }

    async def start(self, job: Job) -> "RunningProcess":
        """Start the command or the engine in the job's directory, else in a fresh one."""
        argv = job.argv or _command(_configuration(job).command)
        env = {name: value for name, value in (os.environ | dict(job.env)).items() if value is not None}
        scratch = None if job.directory else tempfile.mkdtemp(prefix="headgate-")
        try:
            process = await self._start(job, argv, env, job.directory or scratch or "")
        except BaseException:
            await _remove(scratch)
            raise
        return RunningProcess(process, scratch)

    @property
    def site(self) -> str | None:
        """This user's processes, on this boot of this machine."""
        return remnants.site()

    async def find(self, handle: str, flow_run_id: UUID) -> remnants.Remnant | None:
        """The processes of a run that another worker of this machine started."""
        return remnants.find(handle, flow_run_id)

    async def _start(self, job: Job, argv: tuple[str, ...] | None, env: dict[str, str], directory: str) -> Process:
        if argv is not None:
            guarded = job.argv is not None
            return await launch(argv, env=env, cwd=directory, on_line=job.on_line, die_with_parent=guarded)

        async def begin(output: int | None) -> Child:
            warm = self._warm
            child = await warm.start(job, env, directory, output) if warm is not None and output is not None else None
            return child or await spawn(ENGINE_ARGV, env=env, cwd=directory, sink=output)

        return await attend(begin, job.on_line)

    @cached_property
    def _warm(self) -> WarmStarts | None:
        settings = load().settings if self._settings is None else self._settings
        return WarmStarts(settings) if settings.worker_warm_processes and is_possible() else None


class RunningProcess:
    """A process with its scratch directory."""

    def __init__(self, process: Process, scratch: str | None) -> None:
        self._process = process
        self._scratch = scratch
        self.handle = remnants.identify(process.pid)

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


def _command(command: str | None) -> tuple[str, ...] | None:
    """Its words; None for the engine of the worker's own Python."""
    try:
        return tuple(shlex.split(command)) if command else None
    except ValueError as error:
        raise Invalid(f"The command {command!r} of the job configuration cannot be read: {error}.") from None


async def _remove(scratch: str | None) -> None:
    if scratch is not None:
        await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)
