"""Bulk verbs on the wire: many flow runs created in one call, or changed and deleted by filter.

Their answers hold what existing clients read from calls of these names, and the counts that people ask for.
"""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct, field

from headgate.schema.filters import (
    DeploymentFilter,
    FlowFilter,
    FlowRunFilter,
    WorkPoolFilter,
    WorkQueueFilter,
)
from headgate.schema.flow_runs import DeploymentFlowRunCreate
from headgate.schema.states import OrchestrationDetails, OrchestrationStatus, State, StateCreate

MOST = 10_000
"""How many runs one call concerns, at most."""

Many = Annotated[int, Meta(ge=1, le=MOST)]


class BulkFlowRunCreate(DeploymentFlowRunCreate, kw_only=True):
    """A run to be created among others, of the deployment that it names."""

    deployment_id: UUID


class BulkCreate(Struct, kw_only=True):
    """Body that creates runs, of one or of several deployments."""

    flow_runs: Annotated[list[BulkFlowRunCreate], Meta(max_length=MOST)]


class CreateStatus(StrEnum):
    """What became of a run that was to be created."""

    CREATED = "CREATED"
    """It is there: made now, or earlier under the same idempotency key."""
    FAILED = "FAILED"


class CreateResult(Struct, kw_only=True):
    """A run's id, or why there is none."""

    status: CreateStatus
    flow_run_id: UUID | None = None
    error: str | None = None


class BulkCreated(Struct, kw_only=True):
    """One result for each run of the body, in its order."""

    results: list[CreateResult]


class BulkSelection(Struct, kw_only=True):
    """Which runs a bulk call concerns: the filters of `/flow_runs/filter`, or `all` of them where no filter constrains.

    They are visited by ascending id, at most `limit` in one call, from behind `after` on. A `dry_run` changes nothing and
    answers the same counts.
    """

    flows: FlowFilter | None = None
    flow_runs: FlowRunFilter | None = None
    deployments: DeploymentFilter | None = None
    work_pools: WorkPoolFilter | None = None
    work_queues: WorkQueueFilter | None = None
    work_pool_queues: WorkQueueFilter | None = None
    all: bool = False
    dry_run: bool = False
    limit: Many = MOST
    after: UUID | None = None


class BulkDelete(BulkSelection, kw_only=True):
    """Body that deletes runs with their states and logs."""


class BulkSetState(BulkSelection, kw_only=True):
    """Body that proposes a state for runs, each under the ordinary rules unless `force`."""

    state: StateCreate
    force: bool = False


class BulkOutcome(Struct, kw_only=True):
    """Counts of a bulk call.

    `matched`: runs that are selected, those behind `after` that this call did not come to included. `changed`: runs that
    entered a state or were deleted; in a dry run, that would. `refused`: the others, by the reason why. `next`: what to
    give as `after` to go on, null when all have been visited.
    """

    matched: int
    changed: int
    refused: dict[str, int] = field(default_factory=dict)
    next: UUID | None = None


class SetStateResult(Struct, kw_only=True):
    """The answer to the proposal for one run, with the state that it is in now."""

    flow_run_id: UUID
    status: OrchestrationStatus
    state: State | None = None
    details: OrchestrationDetails


class BulkStatesSet(BulkOutcome, kw_only=True):
    """Counts, and the answer for each run that was visited; none in a dry run."""

    results: list[SetStateResult] = field(default_factory=list)


class BulkDeleted(BulkOutcome, kw_only=True):
    """Counts, and the ids of what is gone; none in a dry run."""

    deleted: list[UUID] = field(default_factory=list)
