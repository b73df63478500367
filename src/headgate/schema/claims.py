"""The claim call: the one atomic step from Scheduled to Pending, with its lease and fence."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta, Struct, field

from headgate.schema.deployments import Deployment
from headgate.schema.flow_runs import FlowRun
from headgate.schema.flows import Flow, Name
from headgate.schema.workers import Interval

Prefix = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^/%&><]+$", description="no / % & > < in it")]
"""What names of queues begin with."""


CLAIM_HEADER = "x-headgate-claim"
"""By which a client of another make, whose bodies have no fence, says which claim its writes belong to."""


def claim_text(flow_run_id: UUID, fence: int) -> str:
    """The header's value: the run's id and its fence."""
    return f"{flow_run_id} {fence}"


def fence_of(claim: str | None, flow_run_id: UUID) -> int | None:
    """The fence that such a header has for this run; None when it is about none, or about another one."""
    id, _, fence = (claim or "").partition(" ")
    return int(fence) if id == str(flow_run_id) and fence.isdecimal() else None


NO_FENCE = 0
"""In the place of a fence, of a run from a server that gives none: claims count from 1."""


class Lease(Struct, kw_only=True):
    """Until when the holder owns the run, and the number that its writes must carry."""

    flow_run_id: UUID
    fence: int
    expires_at: datetime


class ClaimRequest(Struct, kw_only=True):
    """A worker asks for up to `room` runs that are due within `prefetch_seconds`.

    With none ready the call is held for up to `wait_seconds` and answered as soon as one is, or as soon as a
    run that this worker holds is to be cancelled. A call with `room` 0 only listens. `cancelling` are the runs that
    the worker is stopping, or looking after, already: the call is not answered for them again. `paused` is whether the
    worker takes its pool to be paused: the call is answered when that is not so, or not any more.
    """

    worker: Name
    worker_type: str | None = None
    queues: list[Name] = field(default_factory=list)
    room: Annotated[int, Meta(ge=0, le=1000)] = 1
    prefetch_seconds: Annotated[float, Meta(ge=0, le=31_536_000)] = 0.0
    wait_seconds: Annotated[float, Meta(ge=0, le=30)] = 0.0
    cancelling: list[UUID] = field(default_factory=list)
    paused: bool | None = None
    heartbeat_interval_seconds: Interval | None = None


class Grant(Struct, kw_only=True):
    """A claimed run with everything that is needed to start it, so that no further call per run is made.

    `job_variables` are the deployment's overlaid with the run's, `env` name by name. `references` has what the pool's
    template and these variables refer to, such as `variables.region`, secrets in the clear; it stands nowhere else.
    `unresolved` says of each that could not be had why.
    """

    lease: Lease
    flow_run: FlowRun
    flow: Flow
    deployment: Deployment | None = None
    work_queue_name: str
    job_variables: dict[str, Any] = field(default_factory=dict)
    references: dict[str, Any] = field(default_factory=dict)
    unresolved: dict[str, str] = field(default_factory=dict)

    @property
    def layers(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The job variables before they are overlaid: the deployment's, and the run's, which go over them."""
        return self.deployment.job_variables if self.deployment else {}, self.flow_run.job_variables or {}


class Stray(Struct, kw_only=True):
    """A run whose holder went silent. Its infrastructure is found by `handle` on the caller's site.

    The caller holds its lease from now on, together with the holder, should that come back: their fence is the same.
    """

    lease: Lease
    name: str
    handle: str


class Found(Struct, kw_only=True):
    """What a look for work found: granted runs, and the ids of runs held by the caller that it has to stop.

    `strays` are runs of others that the caller is to look after: report those that are gone, watch or stop the others.
    `drain`: claim no more, finish what is begun, and leave. `held` says, in sentences, why runs that are due are held back.
    """

    grants: list[Grant] = field(default_factory=list)
    cancel: list[UUID] = field(default_factory=list)
    strays: list[Stray] = field(default_factory=list)
    drain: bool = False
    held: list[str] = field(default_factory=list)


class ClaimResponse(Found, kw_only=True):
    """What a worker is answered; `base_job_template` and `paused` are its pool's."""

    base_job_template: dict[str, Any] = field(default_factory=dict)
    paused: bool = False


class AgentClaimRequest(Struct, kw_only=True):
    """An agent asks for up to `room` runs of all that it polls; the call is held open like a worker's.

    It polls the queues of these names, or all whose names begin with `match`, or else all of the pool. Without a pool,
    names are looked for in `default-agent-pool`, and `match` in all untyped pools. Queues that are named and do not exist
    are created. With `make_pool` a missing pool is, too; an agent asks for that in its first call only, so that a pool that
    is deleted later stays deleted. `types` are the worker types that it can start: a typed pool of another gives it nothing.
    `paused` are the pools that it takes to be paused, as in a worker's call.
    """

    agent_id: UUID
    name: Name | None = None
    pool: Name | None = None
    queues: list[Name] = field(default_factory=list)
    match: Prefix | None = None
    make_pool: bool = True
    types: list[str] | None = None
    room: Annotated[int, Meta(ge=0, le=1000)] = 1
    prefetch_seconds: Annotated[float, Meta(ge=0, le=31_536_000)] = 0.0
    wait_seconds: Annotated[float, Meta(ge=0, le=30)] = 0.0
    cancelling: list[UUID] = field(default_factory=list)
    paused: list[str] | None = None
    heartbeat_interval_seconds: Interval | None = None


class PolledPool(Struct, kw_only=True):
    """A pool that runs are claimed from."""

    name: str
    type: str
    base_job_template: dict[str, Any] = field(default_factory=dict)
    paused: bool = False


class AgentClaimResponse(Found, kw_only=True):
    """What an agent is answered; `pools` are all that it polls at present."""

    pools: list[PolledPool] = field(default_factory=list)


class HeldLease(Struct, kw_only=True):
    """A lease as its holder knows it."""

    flow_run_id: UUID
    fence: int


class LeaseRenewal(Struct, kw_only=True):
    """One batched heartbeat of a worker: it is alive, and so are the runs that it holds.

    `joins_as` is an id that a process makes up at its start. It belongs into the process's first call, which is repeated
    until it is answered and before any other: a request to drain that came before it was for an earlier process.

    `site` is where the worker can find infrastructure again that another worker started.
    """

    worker: Name
    worker_type: str | None = None
    joins_as: UUID | None = None
    site: str | None = None
    heartbeat_interval_seconds: Interval | None = None
    leases: list[HeldLease] = field(default_factory=list)


class AgentLeaseRenewal(Struct, kw_only=True):
    """One batched heartbeat of an agent: it is alive, and so are the runs that it holds."""

    agent_id: UUID
    heartbeat_interval_seconds: Interval | None = None
    leases: list[HeldLease] = field(default_factory=list)


class LeaseRenewalResponse(Struct, kw_only=True):
    """`lost`: runs that are no longer the caller's, to be stopped without a report; `cancel`: runs to stop.

    `drain`: claim no more, finish what is begun, and leave.
    """

    expires_at: datetime
    lost: list[UUID] = field(default_factory=list)
    cancel: list[UUID] = field(default_factory=list)
    drain: bool = False


class LeaseReturn(Struct, kw_only=True):
    """Claimed runs that were not started and go back to their queue at once."""

    worker: Name
    leases: list[HeldLease]


class AgentLeaseReturn(Struct, kw_only=True):
    """The same, of an agent."""

    agent_id: UUID
    name: Name | None = None
    leases: list[HeldLease]
