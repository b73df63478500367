"""The suite that every worker type passes, Headgate's own and yours; it needs pytest with pytest-asyncio.

class TestMyType(WorkerTypeSuite):
    def make(self) -> WorkerType:
        return MyInfrastructure()
"""

import asyncio
from typing import Any
from uuid import uuid4

from headgate.core.templates import check, render
from headgate.worker.types import Finding, Job, Running, Traced, WorkerType

PATIENCE = 60.0
"""Seconds that each promise may take; types with slow infrastructure override `patience`."""


class WorkerTypeSuite:
    """Promises of a worker type, on commands that a POSIX shell runs: the infrastructure needs an `sh`."""

    patience = PATIENCE

    def make(self) -> WorkerType:
        """The type under test."""
        raise NotImplementedError

    def configuration(self, kind: WorkerType) -> dict[str, Any]:
        """A job configuration that can run `sh`; by default that of the default template with nothing set."""
        return render(kind.default_base_job_template(), {})

    async def start(self, script: str, lines: list[str], **env: str | None) -> Running:
        """Start a shell script."""
        kind = self.make()
        job = Job(
            flow_run_id=uuid4(),
            flow_run_name="suite",
            configuration=self.configuration(kind),
            env=env,
            on_line=lines.append,
            argv=("sh", "-c", script),
        )
        return await kind.start(job)

    def test_it_names_and_describes_itself(self) -> None:
        """A type has a name without spaces, a name for people, and a sentence."""
        kind = self.make()
        assert kind.type == kind.type.strip().lower()
        assert " " not in kind.type
        assert kind.display_name
        assert kind.description

    def test_its_default_template_is_sound(self) -> None:
        """Every placeholder of the default template has a variable, and nothing is required."""
        template = self.make().default_base_job_template()
        check(template)
        assert not template["variables"].get("required"), "a new pool must work before anybody sets a variable"
        assert isinstance(render(template, {}), dict)

    async def test_what_it_started_is_found_again_and_stopped_by_another_worker(self) -> None:
        """Where a type finds infrastructure again: by site and handle, as long as it lives."""
        other = self.make()
        lines: list[str] = []
        running = await self.start("echo up; sleep 600", lines)
        try:
            if not isinstance(other, Finding) or not isinstance(running, Traced) or not other.site:
                return
            assert running.handle, "started infrastructure has a handle on its site"
            remnant = await other.find(running.handle, uuid4())
            assert remnant is not None
            assert remnant.identifier
            async with asyncio.timeout(self.patience):
                await remnant.stop(0.0)
                await remnant.gone()
            assert await other.find(running.handle, uuid4()) is None
        finally:
            async with asyncio.timeout(self.patience):
                await running.stop(0.0)

    async def test_it_answers_the_exit_code_after_the_last_line(self) -> None:
        """`wait` answers the exit code to everybody who asks, once all output was handed on."""
        lines: list[str] = []
        async with asyncio.timeout(self.patience):
            running = await self.start("echo one; echo two >&2; exit 7", lines)
            assert running.identifier
            assert await running.wait() == 7
            assert await running.wait() == 7
        assert sorted(lines) == ["one", "two"]

    async def test_it_sets_and_unsets_variables(self) -> None:
        """What the job's environment names is set; None takes a name out."""
        lines: list[str] = []
        async with asyncio.timeout(self.patience):
            running = await self.start('echo "$SET"; echo "${HOME-unset}"', lines, SET="a b", HOME=None)
            assert await running.wait() == 0
        assert lines == ["a b", "unset"]

    async def test_it_lets_a_stopped_run_clean_up(self) -> None:
        """`stop` asks first, and waits for the answer."""
        lines: list[str] = []
        async with asyncio.timeout(self.patience):
            running = await self.start("trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done", lines)
            await self._until(lines, "up")
            assert await running.stop(self.patience) == 3
        assert lines[-1] == "bye"

    async def test_it_ends_what_does_not_listen(self) -> None:
        """After the grace `stop` ends the run by force; it may be called again when the run is gone."""
        lines: list[str] = []
        async with asyncio.timeout(self.patience):
            running = await self.start("trap '' TERM; echo up; while :; do sleep 0.05; done", lines)
            await self._until(lines, "up")
            code = await running.stop(0.2)
            assert code != 0
            assert await running.stop(0.2) == code
            assert await running.wait() == code

    async def _until(self, lines: list[str], line: str) -> None:
        while line not in lines:  # noqa: ASYNC110 - told by a callback
            await asyncio.sleep(0.01)
