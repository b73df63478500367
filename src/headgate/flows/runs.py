"""Runs of deployments, created from code and waited for."""

import asyncio
import time
from collections.abc import Generator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict, Unpack
from uuid import UUID

from headgate.client.call import Call
from headgate.client.calls import deployments, flow_runs
from headgate.client.connect import connect, connect_async
from headgate.clock import monotonic
from headgate.errors import Invalid
from headgate.flows.parameters import jsonable
from headgate.schema.deployments import Deployment
from headgate.schema.flow_runs import DeploymentFlowRunCreate, FlowRun
from headgate.schema.states import StateCreate, StateDetails, StateType
from headgate.settings import load

FINAL = frozenset({StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED})

_LONGEST_PAUSE = 5.0

Steps = Generator[Call[Any] | float, Any, FlowRun]
"""Yields calls to send, whose answers it gets back, and pauses in seconds; returns a run."""


class RunOptions(TypedDict, total=False):
    """What may be said about a run.

    - `parameters` overlay the deployment's, `tags` add to its tags, `job_variables` overlay its job variables.
    - `scheduled_time`: when it starts, by default at once; without a zone it is local time.
    - `flow_run_name`: by default a made-up name. `idempotency_key`: the same key answers with the same run.
    """

    parameters: Mapping[str, Any] | None
    scheduled_time: datetime | None
    flow_run_name: str | None
    tags: Sequence[str] | None
    idempotency_key: str | None
    job_variables: Mapping[str, Any] | None


def run_deployment(
    name: str | UUID, *, timeout: float | None = None, poll_interval: float = 0.5, **options: Unpack[RunOptions]
) -> FlowRun:
    """Create a run of the deployment `flow/deployment` (or of that id) and wait until it has ended.

    Answers the run as it is after `timeout` seconds at the latest: None waits for ever, 0 does not wait. Looks every
    `poll_interval` seconds at first, later less often. It blocks, also inside an event loop: there, await
    `run_deployment_async`. Raises `NotFound` for an unknown deployment, `Invalid` for parameters that do not fit.
    """
    settings = load().settings
    with connect(settings) as client:
        run = _carry_out(_creation(name, options), client.send)
    with connect(settings, patience=settings.api_outage_tolerance) as client:
        return _carry_out(_waiting(run, timeout, poll_interval), client.send)


async def run_deployment_async(
    name: str | UUID, *, timeout: float | None = None, poll_interval: float = 0.5, **options: Unpack[RunOptions]
) -> FlowRun:
    """`run_deployment` for coroutines: waits without blocking the event loop."""
    settings = load().settings
    async with connect_async(settings) as client:
        run = await _carry_out_async(_creation(name, options), client.send)
    async with connect_async(settings, patience=settings.api_outage_tolerance) as client:
        return await _carry_out_async(_waiting(run, timeout, poll_interval), client.send)


def _creation(name: str | UUID, options: RunOptions) -> Steps:
    if unknown := set(options) - set(RunOptions.__annotations__):
        raise TypeError(f"A run has no option {', '.join(sorted(unknown))}; it has {', '.join(RunOptions.__annotations__)}.")
    body = _body(options)
    deployment: Deployment = yield _lookup(name)
    run: FlowRun = yield deployments.create_flow_run(deployment.id, body)
    return run


def _waiting(run: FlowRun, timeout: float | None, poll_interval: float) -> Steps:
    ends = None if timeout is None else monotonic() + timeout
    pause = poll_interval
    while not _is_final(run):
        left = pause if ends is None else ends - monotonic()
        if left <= 0:
            break
        yield min(pause, left)
        pause = min(pause * 1.5, max(poll_interval, _LONGEST_PAUSE))
        run = yield flow_runs.get(run.id)
    return run


def _carry_out(steps: Steps, send: Any) -> FlowRun:
    answer: Any = None
    while True:
        try:
            step = steps.send(answer)
        except StopIteration as end:
            run: FlowRun = end.value
            return run
        if isinstance(step, Call):
            answer = send(step)
        else:
            time.sleep(step)


async def _carry_out_async(steps: Steps, send: Any) -> FlowRun:
    answer: Any = None
    while True:
        try:
            step = steps.send(answer)
        except StopIteration as end:
            run: FlowRun = end.value
            return run
        if isinstance(step, Call):
            answer = await send(step)
        else:
            await asyncio.sleep(step)


def _lookup(name: str | UUID) -> Call[Deployment]:
    if isinstance(name, UUID):
        return deployments.get(name)
    flow_name, separator, deployment_name = name.partition("/")
    if separator and flow_name and deployment_name:
        return deployments.get_by_name(flow_name, deployment_name)
    try:
        return deployments.get(UUID(name))
    except ValueError:
        raise Invalid(f"{name!r} is neither `flow/deployment` nor a deployment's id.", field="name", value=name) from None


def _body(options: RunOptions) -> DeploymentFlowRunCreate:
    return DeploymentFlowRunCreate(
        state=_scheduled(options.get("scheduled_time")),
        name=options.get("flow_run_name"),
        parameters={key: jsonable(key, value) for key, value in (options.get("parameters") or {}).items()},
        tags=list(options.get("tags") or ()),
        idempotency_key=options.get("idempotency_key"),
        job_variables=dict(options.get("job_variables") or {}) or None,
    )


def _scheduled(at: datetime | None) -> StateCreate | None:
    if at is None:
        return None
    at = at.astimezone() if at.tzinfo is None else at
    return StateCreate(type=StateType.SCHEDULED, state_details=StateDetails(scheduled_time=at))


def _is_final(run: FlowRun) -> bool:
    kind = run.state.type if run.state else run.state_type
    return kind in FINAL
