"""Use cases of many flow runs at once: created, or changed and deleted by filter, in short transactions among all others."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from headgate.core.selections import constrains
from headgate.core.states import Abort, Decision, Reject, Wait, decide
from headgate.errors import HeadgateError, Invalid, NotFound
from headgate.schema.filters import Selection
from headgate.schema.flow_runs import DeploymentFlowRunCreate
from headgate.schema.flow_runs_bulk import (
    MOST,
    BulkCreate,
    BulkCreated,
    BulkDelete,
    BulkDeleted,
    BulkOutcome,
    BulkSelection,
    BulkSetState,
    BulkStatesSet,
    CreateResult,
    CreateStatus,
    SetStateResult,
)
from headgate.services import deployments, flow_runs
from headgate.services.scope import Scope
from headgate.services.states import Proposal, propose
from headgate.store import flow_runs as rows
from headgate.store import retention as deletion
from headgate.store.database import Tx, Unit

PAGE = 50
"""How many runs share a transaction, at most: others wait some milliseconds for it."""

_COLLECTIONS = ("flows", "flow_runs", "deployments", "work_pools", "work_queues", "work_pool_queues")
_GONE = "Flow run not found"


# --- create


async def create(scope: Scope, body: BulkCreate) -> BulkCreated:
    """Create runs of the deployments that they name; one that fails does not fail the others."""
    return await _create(scope, [(each.deployment_id, each) for each in body.flow_runs])


async def create_of_deployment(scope: Scope, deployment_id: UUID, body: list[DeploymentFlowRunCreate]) -> BulkCreated:
    """Create runs of one deployment."""
    if len(body) > MOST:
        raise Invalid(f"At most {MOST:,} runs are created in one call; send the others in another.", value=len(body))
    await deployments.get(scope, deployment_id)
    return await _create(scope, [(deployment_id, each) for each in body])


async def _create(scope: Scope, new: Sequence[tuple[UUID, DeploymentFlowRunCreate]]) -> BulkCreated:
    results: list[CreateResult] = []
    for start in range(0, len(new), PAGE):
        page = new[start : start + PAGE]
        results += await asyncio.gather(*(_create_one(scope, deployment_id, body) for deployment_id, body in page))
    return BulkCreated(results=results)


async def _create_one(scope: Scope, deployment_id: UUID, body: DeploymentFlowRunCreate) -> CreateResult:
    try:
        created = await flow_runs.create_of_deployment(scope, deployment_id, body)
    except HeadgateError as error:
        return CreateResult(status=CreateStatus.FAILED, error=str(error))
    return CreateResult(status=CreateStatus.CREATED, flow_run_id=created.run.id)


# --- change and delete


async def set_state(scope: Scope, body: BulkSetState) -> BulkStatesSet:
    """Propose a state for every run that is selected."""
    selection = _selection(body)
    outcome = BulkStatesSet(matched=await _count(scope, selection, body), changed=0)
    reasons: Counter[str] = Counter()
    async for page in _pages(scope, selection, body, outcome):
        if body.dry_run:
            answers = await _foresee(scope, body, page)
        else:
            answers = await asyncio.gather(*(_propose(scope, body, id) for id in page))
            outcome.results += [each.result for each in answers if each.result]
        outcome.changed += sum(each.refusal is None for each in answers)
        reasons.update(each.refusal for each in answers if each.refusal is not None)
    outcome.refused = dict(reasons)
    return outcome


async def delete(scope: Scope, body: BulkDelete) -> BulkDeleted:
    """Delete every run that is selected, whatever it is doing, with its states and logs; slots are free at once."""
    selection = _selection(body)
    outcome = BulkDeleted(matched=await _count(scope, selection, body), changed=0)
    async for page in _pages(scope, selection, body, outcome):
        if not body.dry_run:
            outcome.deleted += await _delete(scope, page)
        outcome.changed = len(outcome.deleted) if not body.dry_run else outcome.changed + len(page)
    return outcome


def _selection(body: BulkSelection) -> Selection:
    """The filters; `Invalid` where none constrains and `all` is not said, or is said beside one."""
    selection = Selection(**{name: getattr(body, name) for name in _COLLECTIONS})
    constrained = any(constrains(getattr(selection, name)) for name in _COLLECTIONS)
    if not constrained and not body.all:
        raise Invalid("No filter says which flow runs; for every one there is, send `all: true`.", field="all", value=False)
    if constrained and body.all:
        raise Invalid("`all: true` means every flow run: leave the filters out, or `all`.", field="all", value=True)
    return selection


async def _count(scope: Scope, selection: Selection, body: BulkSelection) -> int:
    return await scope.store.read(lambda tx: rows.count_selected(tx, selection, after=body.after))


async def _pages(scope: Scope, selection: Selection, body: BulkSelection, outcome: BulkOutcome) -> AsyncIterator[list[UUID]]:
    """Ids of the runs that are selected, as many as the call may concern; `outcome.next` says where it stopped short."""
    after, left = body.after, body.limit
    while left and (page := await _page(scope, selection, after, min(left, PAGE))):
        yield page
        after, left = page[-1], left - len(page)
    if not left and await _page(scope, selection, after, 1):
        outcome.next = after


async def _page(scope: Scope, selection: Selection, after: UUID | None, limit: int) -> list[UUID]:
    return await scope.store.read(lambda tx: rows.selected(tx, selection, after=after, limit=limit))


@dataclass(frozen=True, slots=True)
class _Answer:
    """What became of a proposal for a run; `refusal` is why it kept its state."""

    refusal: str | None = None
    result: SetStateResult | None = None


async def _propose(scope: Scope, body: BulkSetState, run_id: UUID) -> _Answer:
    try:
        answered = await propose(scope, Proposal(run_id, body.state, scope.now, force=body.force))
    except NotFound:
        return _Answer(_GONE)
    result, entered = answered.result, answered.entered is not None
    told = SetStateResult(flow_run_id=run_id, status=result.status, state=result.state, details=result.details)
    return _Answer(None if entered else result.details.reason or result.status, told)


async def _foresee(scope: Scope, body: BulkSetState, ids: Sequence[UUID]) -> list[_Answer]:
    """What the rules say of each run as it is now; whether there is a slot for it only a real proposal finds out."""
    runs, now = await scope.store.read(lambda tx: rows.peek(tx, ids)), scope.now
    decisions = [decide(runs[id].current, body.state, now=now, force=body.force) for id in ids if id in runs]
    return [_foreseen(decision) for decision in decisions]


def _foreseen(decision: Decision) -> _Answer:
    match decision:
        case Reject(reason, None) | Wait(_, reason) | Abort(reason):
            return _Answer(reason)
    return _Answer()


async def _delete(scope: Scope, ids: Sequence[UUID]) -> list[UUID]:
    """Delete runs, the big ones in several steps; answers those that were still there."""
    deleted: list[UUID] = []
    left = list(ids)
    while left:
        found, left, pools = await scope.store.write(_deletion(left))
        scope.wakeups.wake(pools)
        deleted += found
    return deleted


def _deletion(ids: Sequence[UUID]) -> Unit[tuple[list[UUID], list[UUID], list[UUID | None]]]:
    async def unit(tx: Tx) -> tuple[list[UUID], list[UUID], list[UUID | None]]:
        runs = await rows.lock(tx, ids)
        step = await deletion.delete_some(tx, [*runs])
        gone = [id for id in runs if id not in set(step.left)]
        return gone, step.left, [runs[id].work_pool_id for id in gone]

    return unit
