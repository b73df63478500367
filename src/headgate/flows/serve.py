"""Serving deployments: one process that holds no work pool, runs what falls due in children, and pauses what it leaves."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Unpack, cast
from uuid import UUID, uuid4

from msgspec import UNSET

from headgate.client.calls import deployments, flow_runs
from headgate.client.connect import connect, connect_async
from headgate.clock import now
from headgate.errors import ConfigError, HeadgateError
from headgate.flows.deploy import register
from headgate.flows.flow import Flow
from headgate.flows.plans import DeploymentOptions, DeploymentPlan, plan
from headgate.flows.processes import ENGINE_ARGV, LaunchError, Process, explain_exit, launch
from headgate.schema.deployments import DeploymentPatch, GetScheduledRuns
from headgate.schema.filters import FlowRunFilter, FlowRunQuery, IdFilter, StateFilter, StateTypeFilter
from headgate.schema.flow_runs import FlowRun
from headgate.schema.states import (
    OrchestrationResult,
    OrchestrationStatus,
    SetState,
    StateCreate,
    StateDetails,
    StateType,
)
from headgate.settings import Settings, env_name, load

_POLL_SECONDS = 2.0
_LAST_CLAIM_SECONDS = 5.0
_PREFETCH_SECONDS = 3.0
"""Enough for the pause between polls and the start of a process; a run that waits for its time takes up room."""


class ServeOptions(DeploymentOptions, total=False):
    """`DeploymentOptions`, and:

    - `limit`: how many runs are executed at once; by default the setting `runner_process_limit`.
    - `pause_on_shutdown`: pause the deployment when the process leaves, so that no runs pile up; by default true.
    """

    limit: int | None
    pause_on_shutdown: bool


def serve(*programs: Flow[..., Any] | DeploymentPlan, limit: int | None = None, pause_on_shutdown: bool = True) -> None:
    """Register deployments without a work pool and execute their runs in child processes, until SIGINT or SIGTERM.

    Then no more runs are taken, those under way get the setting `worker_shutdown_grace_seconds` to finish and are
    stopped after it; a second signal stops them at once. Raises `ConfigError` when there is no server to serve for.
    """
    settings = load().settings
    if settings.api_url is None:
        raise ConfigError(
            "Serving needs a running server: start one with `headgate server start` and set HEADGATE_API_URL to its URL."
        )
    plans = [plan(program, program.name) if isinstance(program, Flow) else program for program in programs]
    plans = [each if each.paused else replace(each, paused=False) for each in plans]  # it was paused when it was left
    with connect(settings) as client:
        made = [register(client, each, work_pool_name=None) for each in plans]
    for each in plans:
        print(f"Serving {each.full_name!r}. Run it: headgate deployment run {each.full_name!r}")
    print("Ctrl-C stops it.", flush=True)
    directories = {deployment.id: each.path for deployment, each in zip(made, plans, strict=True)}
    asyncio.run(_Serving(directories, settings, limit or settings.runner_process_limit, pause_on_shutdown).run())


def serve_flow(flow: Flow[..., Any], name: str, **options: Unpack[ServeOptions]) -> None:
    """`serve` for one deployment of one flow."""
    about: dict[str, Any] = dict(options)
    limit, pause = about.pop("limit", None), about.pop("pause_on_shutdown", True)
    serve(plan(flow, name, **cast(DeploymentOptions, about)), limit=limit, pause_on_shutdown=pause)


class _Serving:
    """The process's work: claim, start, watch, stop."""

    def __init__(self, directories: dict[UUID, Path], settings: Settings, limit: int, pause: bool) -> None:
        self._directories = directories
        self._settings = settings
        self._limit = limit
        self._pause = pause
        self._children: dict[UUID, asyncio.Task[None]] = {}
        self._processes: dict[UUID, Process] = {}
        self._cancelled: dict[UUID, asyncio.Task[int]] = {}
        self._leaving = asyncio.Event()
        self._hurry = asyncio.Event()

    async def run(self) -> None:
        """Serve until a signal comes, then leave in order."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal)
        async with connect_async(self._settings, patience=self._settings.api_outage_tolerance) as self._client:
            polling, leaving = asyncio.create_task(self._poll()), asyncio.create_task(self._leaving.wait())
            await asyncio.wait({polling, leaving}, return_when=asyncio.FIRST_COMPLETED)
            # A claim that is under way is finished: its run would else be nobody's.
            await asyncio.wait({polling}, timeout=_LAST_CLAIM_SECONDS)
            await self._leave()
            if polling.done():
                polling.result()

    def _on_signal(self) -> None:
        if self._leaving.is_set():
            self._hurry.set()
        self._leaving.set()

    async def _poll(self) -> None:
        leaving = asyncio.create_task(self._leaving.wait())
        while not self._leaving.is_set():
            try:
                await self._claim()
                await self._stop_cancelled()
            except HeadgateError as error:
                sys.stderr.write(f"{error}\n")
            changes = {leaving, *self._children.values()}
            await asyncio.wait(changes, timeout=_POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)

    async def _claim(self) -> None:
        """Take due runs while there is room. The server's answer to Pending decides who gets a run."""
        room = self._limit - len(self._children)
        if room <= 0:
            return
        until = now() + timedelta(seconds=min(_PREFETCH_SECONDS, self._settings.worker_prefetch_seconds))
        wanted = GetScheduledRuns(deployment_ids=list(self._directories), scheduled_before=until, limit=room)
        for run in (await self._client.send(deployments.get_scheduled_flow_runs(wanted)))[:room]:
            if run.id in self._children:
                continue
            # The claim takes a lease, which the engine keeps: a run whose processes all die does not stay Running.
            result = await self._propose(run.id, StateType.PENDING, take_lease=True)
            fence = None if result.fence is UNSET else result.fence
            # A fence without ACCEPT: the answer to the first sending of this claim was lost on its way.
            if result.status is OrchestrationStatus.ACCEPT or fence is not None:
                self._children[run.id] = asyncio.create_task(self._execute(run, fence))

    async def _execute(self, run: FlowRun, fence: int | None) -> None:
        """One run from its claim to its end. The engine reports; what it could not report is reported here."""
        try:
            try:
                process = await self._start(run, fence)
            except LaunchError as error:
                await self._report_crash(run.id, str(error), fence)
                return
            self._processes[run.id] = process
            code = await process.wait()
            if run.id in self._cancelled:
                await self._cancelled[run.id]
                await self._propose(run.id, StateType.CANCELLED, "Flow run was cancelled.", fence=fence)
            elif code != 0:
                await self._report_crash(run.id, f"Flow run's process ended with {explain_exit(code)}.", fence)
        except HeadgateError as error:
            sys.stderr.write(f"Flow run {run.name!r}: {error}\n")
        finally:
            self._processes.pop(run.id, None)
            self._cancelled.pop(run.id, None)
            del self._children[run.id]

    async def _start(self, run: FlowRun, fence: int | None) -> Process:
        assert run.deployment_id is not None
        env = {
            **os.environ,
            env_name("api_url"): self._settings.api_url or "",
            env_name("home"): str(self._settings.home_path),
            "HEADGATE__FLOW_RUN_ID": str(run.id),
            "HEADGATE__FENCE": "" if fence is None else str(fence),
        }
        if self._settings.api_auth_string:
            env[env_name("api_auth_string")] = self._settings.api_auth_string
        return await launch(ENGINE_ARGV, env=env, cwd=self._directories[run.deployment_id], on_line=_print_line)

    async def _report_crash(self, id: UUID, cause: str, fence: int | None) -> None:
        """Crashed, unless the run has ended already; Cancelled, when that is what it was stopped for."""
        result = await self._propose(id, StateType.CRASHED, cause, fence=fence)
        if result.status is OrchestrationStatus.REJECT and result.state and result.state.type is StateType.CANCELLING:
            await self._propose(id, StateType.CANCELLED, "Flow run was cancelled.", fence=fence)

    async def _propose(
        self, id: UUID, kind: StateType, message: str | None = None, *, fence: int | None = None, take_lease: bool = False
    ) -> OrchestrationResult:
        state = StateCreate(type=kind, message=message, state_details=StateDetails(transition_id=uuid4()))
        return await self._client.send(flow_runs.set_state(id, SetState(state=state, fence=fence, take_lease=take_lease)))

    async def _stop_cancelled(self) -> None:
        """Stop the children whose runs are to be cancelled."""
        watched = [id for id in self._processes if id not in self._cancelled]
        if not watched:
            return
        cancelling = StateFilter(type=StateTypeFilter(any_=[StateType.CANCELLING]))
        query = FlowRunQuery(flow_runs=FlowRunFilter(id=IdFilter(any_=watched), state=cancelling))
        for run in await self._client.send(flow_runs.query(query)):
            if process := self._processes.get(run.id):
                stop = process.stop(self._settings.worker_cancel_grace_seconds)
                self._cancelled[run.id] = asyncio.create_task(stop)

    async def _leave(self) -> None:
        """Pause the deployments, let the children finish, stop those that do not."""
        if self._pause:
            for id in self._directories:
                try:
                    await self._client.send(deployments.update(id, DeploymentPatch(paused=True)))
                except HeadgateError as error:
                    sys.stderr.write(f"A deployment could not be paused: {error}\n")
        if self._children:
            grace = self._settings.worker_shutdown_grace_seconds
            print(f"Waiting up to {grace:g} s for {len(self._children)} runs; Ctrl-C again stops them now.", flush=True)
            await self._finished_within(grace)
        stops = [process.stop(self._settings.worker_cancel_grace_seconds) for process in self._processes.values()]
        await asyncio.gather(*stops, return_exceptions=True)
        await asyncio.gather(*self._children.values(), return_exceptions=True)

    async def _finished_within(self, seconds: float) -> None:
        """Until all children have ended, `seconds` are over, or somebody is in a hurry."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                hurry = asyncio.create_task(self._hurry.wait())
                while self._children and not hurry.done():
                    changes = {hurry, *self._children.values()}
                    await asyncio.wait(changes, return_when=asyncio.FIRST_COMPLETED)
                hurry.cancel()


def _print_line(line: str) -> None:
    print(line, flush=True)
