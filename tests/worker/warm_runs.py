"""Runs of flows against an API in memory, started as the worker's process type starts them; used by the tests of warmth."""

import asyncio
import importlib.util
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

from headgate.client.transport import Request, Response
from headgate.errors import Unreachable
from headgate.flows.reporter import Assignment
from headgate.settings import Settings
from headgate.worker.infra.process import ProcessInfrastructure, RunningProcess
from headgate.worker.types import Job

PATIENCE = 60.0


def load_fake_api() -> ModuleType:
    """The API of the flows' tests, which speaks HTTP: tests are imported without packages."""
    place = Path(__file__).parents[1] / "flows" / "fake_api.py"
    spec = importlib.util.spec_from_file_location("flows_fake_api", place)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["flows_fake_api"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass
class Started:
    """A run that was started, its lines as they come, and what the API knows of it."""

    id: UUID
    running: RunningProcess
    lines: list[str]
    runs: "Runs"

    @property
    def pid(self) -> int:
        return int(self.running.identifier.rpartition(":")[2])

    @property
    def state(self) -> str:
        name: str = self.runs.api.runs[self.id].state_name
        return name

    @property
    def parent(self) -> int:
        """The process that started it."""
        return int(Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[1])

    async def ended(self) -> int:
        """The exit code."""
        async with asyncio.timeout(PATIENCE):
            return await self.running.wait()

    async def printed(self, line: str) -> None:
        """Wait until the run has printed this."""
        async with asyncio.timeout(PATIENCE):
            while line not in self.lines:  # noqa: ASYNC110 - told by a callback
                await asyncio.sleep(0.01)


@dataclass
class Runs:
    """Starts runs of the files in `directory`."""

    api: Any
    url: str
    directory: Path
    settings: Settings = field(default_factory=Settings)
    relayed: bool = True
    forwarded: list[str] = field(default_factory=list)
    unreachable: int = 0

    def __post_init__(self) -> None:
        self.kind = ProcessInfrastructure(self.settings)

    def write(self, text: str, name: str = "warm_flows.py") -> Path:
        """A file of flows."""
        file = self.directory / name
        file.write_text(text)
        return file

    async def start(
        self, entrypoint: str = "warm_flows.py:go", *, env: Mapping[str, str | None] = {}, **about: Any
    ) -> Started:
        """Start a run of a new deployment."""
        directory = about.pop("directory", None)
        configuration = about.pop("configuration", {})
        deployment = {"path": str(self.directory), **about.pop("deployment", {})}
        run = self.api.add_run(entrypoint, deployment=deployment, **about)
        lines: list[str] = []
        job = Job(
            flow_run_id=run.id,
            flow_run_name=run.name,
            configuration=configuration,
            env={
                "HEADGATE_API_URL": self.url,
                "HEADGATE_HOME": str(self.directory / "home"),
                "HEADGATE__FLOW_RUN_ID": str(run.id),
                "HEADGATE__FENCE": "1",
                **env,
            },
            on_line=lines.append,
            directory=directory,
            assignment=Assignment(run, "program", self.api.deployments[run.deployment_id]),
            forward=self.forward if self.relayed else None,
        )
        return Started(run.id, await self.kind.start(job), lines, self)

    async def forward(self, request: Request) -> Response:
        """What the worker's line to the API does."""
        self.forwarded.append(f"{request.method} {request.target}")
        if self.unreachable:
            self.unreachable -= 1
            raise Unreachable("No answer from the API, says the test.")
        return await asyncio.to_thread(self.api.send, request)

    async def run(self, entrypoint: str = "warm_flows.py:go", **about: Any) -> list[str]:
        """What a run prints that has to end well."""
        started = await self.start(entrypoint, **about)
        code = await started.ended()
        assert (code, started.state) == (0, "Completed"), (code, started.state, started.lines, self.api.messages())
        return started.lines

    async def facts(self, entrypoint: str = "warm_flows.py:go", **about: Any) -> Any:
        """The JSON that a run prints."""
        return json.loads((await self.run(entrypoint, **about))[-1])
