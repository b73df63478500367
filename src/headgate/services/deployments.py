"""Use cases of deployments; their schedules are in `deployment_schedules`."""

from contextlib import suppress
from typing import Any, TypeVar
from uuid import UUID

from msgspec import UNSET
from msgspec.structs import replace

from headgate.core import templates
from headgate.core.concurrency_keys import check_expression
from headgate.core.parameters import check_parameters, check_size
from headgate.core.pauses import pause_after
from headgate.core.redeploy import complete
from headgate.core.resource_events import told
from headgate.core.selections import constrains
from headgate.errors import Conflict, Invalid, NotFound
from headgate.ids import uuid7
from headgate.schema.deployments import (
    BulkDeletedDeployments,
    BulkDeleteDeployments,
    Deployment,
    DeploymentCreate,
    DeploymentPage,
    DeploymentPatch,
    DeploymentScheduleCreate,
    DeploymentUpdate,
    ScheduleRuns,
)
from headgate.schema.filters import DeploymentPageQuery, DeploymentQuery
from headgate.schema.pauses import PauseNote
from headgate.schema.schedules import Schedule
from headgate.schema.work_queues import WorkQueue
from headgate.services import deployment_schedules, resource_events, scheduling, work_pools, work_queues
from headgate.services.hydration import hydrated
from headgate.services.pages import numbered
from headgate.services.scope import Scope
from headgate.services.wakeups import place_of_new
from headgate.store import block_documents as document_rows
from headgate.store import concurrency_limits as limit_rows
from headgate.store import deployments as rows
from headgate.store import flow_runs as run_rows
from headgate.store import flows as flow_rows
from headgate.store import waiting_runs
from headgate.store import work_queues as queue_rows
from headgate.store.database import Tx

_PLAIN = (
    "version",
    "description",
    "concurrency_options",
    "concurrency_key",
    "infra_retries",
    "parameters",
    "tags",
    "parameter_openapi_schema",
    "path",
    "pull_steps",
    "entrypoint",
    "command",
    "storage_document_id",
    "infrastructure_document_id",
    "enforce_parameter_schema",
)
"""Fields that are stored as they come."""


async def create(scope: Scope, body: DeploymentCreate) -> tuple[Deployment, bool]:
    """Create a deployment, or bring the one of that flow and name to the body; and whether it is new.

    What the body leaves out keeps its value on an existing deployment: a deploy changes what it names. Of what existing
    clients always name, a null takes it away: a limit that is no longer in their file is to hold no longer.
    """
    body = _of_today(body)
    _check(scope, body)

    async def unit(tx: Tx) -> tuple[Deployment, bool]:
        if await flow_rows.get(tx, body.flow_id) is None:
            raise Conflict(f"Data integrity conflict: there is no flow with id {body.flow_id}.")
        existing = await rows.get_of_flow(tx, body.flow_id, body.name, now=scope.now)
        if existing is None and (made := await _insert(scope, tx, body)) is not None:
            return made, True
        existing = existing or _found(await rows.get_of_flow(tx, body.flow_id, body.name, now=scope.now))
        await rows.lock(tx, [existing.id])
        await _change(scope, tx, existing.id, _as_update(body))
        return await _get(scope, tx, existing.id), False

    deployment, is_new = await scope.store.write(unit)
    scope.wakeups.wake([deployment.work_pool_id or deployment.id])
    return deployment, is_new


Body = TypeVar("Body", DeploymentCreate, DeploymentUpdate)
_TWO_LIMITS = "A deployment cannot have both a concurrency limit and a global concurrency limit."


def _of_today(body: Body) -> Body:
    """`body` with what clients of old say by `schedule` and `is_schedule_active` where they leave the others out."""
    active = body.is_schedule_active
    changes: dict[str, Any] = {}
    if isinstance(active, bool) and (body.paused is UNSET or body.paused is None):
        changes["paused"] = not active
    if isinstance(body.schedule, Schedule) and not body.schedules:
        changes["schedules"] = [DeploymentScheduleCreate(schedule=body.schedule, active=active is not False)]
    return replace(body, **changes) if changes else body


def _check(scope: Scope, body: DeploymentCreate | DeploymentUpdate) -> None:
    if isinstance(body.global_concurrency_limit_id, UUID) and isinstance(body.concurrency_limit, int):
        raise Invalid(f"Value error, {_TWO_LIMITS}", value=str(body.global_concurrency_limit_id))
    if isinstance(body.parameters, dict):
        check_size(body.parameters, most=scope.settings.server_api_max_parameter_size)
    if isinstance(body.entrypoint, str) and isinstance(body.command, str):
        raise Invalid("A deployment has an entrypoint or a command, not both.", field="command", value=body.command)
    if isinstance(body.schedules, list):
        deployment_schedules.check(body.schedules)


def _as_update(body: DeploymentCreate) -> DeploymentUpdate:
    given = {name: getattr(body, name) for name in DeploymentUpdate.__struct_fields__}
    clears = {name for name in given if getattr(_SILENT, name) is UNSET}
    return DeploymentUpdate(**{name: value for name, value in given.items() if value is not None or name in clears})


_SILENT = DeploymentCreate(name="-", flow_id=UUID(int=0))
"""A body that says nothing: what it leaves UNSET, a null clears."""


async def _insert(scope: Scope, tx: Tx, body: DeploymentCreate) -> Deployment | None:
    """None when somebody else created it meanwhile."""
    now = scope.now
    deployment = Deployment(id=uuid7(now), created=now, updated=now, name=body.name, flow_id=body.flow_id, pull_steps=[])
    flow = await flow_rows.get(tx, body.flow_id)
    deployment.labels = {**(flow.labels if flow else {}), "prefect.flow.id": str(body.flow_id)}
    # Clients that leave it out have their runs judged, not their defaults.
    await _apply(scope, tx, deployment, _as_update(body), enforce=body.enforce_parameter_schema is True)
    if not await rows.insert(tx, deployment):
        return None
    await deployment_schedules.check_job_variables(scope, tx, deployment, body.schedules or [])
    await deployment_schedules.insert(scope, tx, deployment.id, body.schedules or [])
    await scheduling.materialise_deployment(scope, tx, await _get(scope, tx, deployment.id))
    made = await _get(scope, tx, deployment.id)
    await resource_events.keep(scope, tx, (await resource_events.of_deployment(tx, made)).was("created"))
    return made


async def patch(scope: Scope, id: UUID, body: DeploymentPatch) -> None:
    """Change a deployment as a client asks for it: of its schedules perhaps only those that it names."""
    given = {name: getattr(body, name) for name in DeploymentUpdate.__struct_fields__ if name != "schedules"}
    await update(scope, id, DeploymentUpdate(**given), patch=body)


async def update(scope: Scope, id: UUID, body: DeploymentUpdate, *, patch: DeploymentPatch | None = None) -> None:
    """Change a deployment; its waiting runs follow it to another queue, its schedules keep their ids.

    Its schedules become those of `body`, or what the ones of `patch` come to with those that are there.
    """

    async def unit(tx: Tx) -> UUID:
        await rows.lock(tx, [id])  # the list that is there is completed: nobody is to change it meanwhile
        change = body
        if patch is not None and patch.schedules is not UNSET:
            present = (await _get(scope, tx, id)).schedules
            change = replace(body, schedules=complete(present, patch.schedules, whole=patch.whole_schedules))
        change = _of_today(change)
        _check(scope, change)
        try:
            changed = await _change(scope, tx, id, change)
        except Invalid as error:
            raise _as_update_refused(error) from None
        return changed.work_pool_id or id

    scope.wakeups.wake([await scope.store.write(unit)])


def _as_update_refused(error: Invalid) -> Exception:
    """What a change answers that was refused: for parameters a `Conflict`, as existing clients know it."""
    if (error.field or "").partition(".")[0] == "parameters":
        return Conflict(f"Error updating deployment: {error}")
    return error


async def _change(scope: Scope, tx: Tx, id: UUID, body: DeploymentUpdate) -> Deployment:
    """Change a deployment that the caller has locked; answers it as it is now."""
    deployment = await _get(scope, tx, id)
    before, queue_id, made_from = told(deployment), deployment.work_queue_id, _source(deployment)
    await _apply(scope, tx, deployment, body)
    deployment.updated = scope.now
    await rows.update(tx, deployment)
    if _concerns_variables(body):
        schedules = deployment.schedules if body.schedules is UNSET else body.schedules
        await deployment_schedules.check_job_variables(scope, tx, deployment, schedules)
    if deployment.work_queue_id != queue_id:
        await rows.move_runs(tx, deployment.id, queue_id=deployment.work_queue_id, pool_id=deployment.work_pool_id)
    changed = set()
    if body.schedules is not UNSET:
        changed = await deployment_schedules.replace(scope, tx, deployment, body.schedules)
    if deployment.paused or _source(deployment) != made_from:
        changed |= {schedule.id for schedule in deployment.schedules}
    await scheduling.withdraw(scope, tx, [*changed])
    now_is = await _get(scope, tx, deployment.id)
    await scheduling.materialise_deployment(scope, tx, now_is)
    if before != (after := told(now_is)):
        subject = await resource_events.of_deployment(tx, now_is)
        await resource_events.keep(scope, tx, *subject.changed(before, after))
    return now_is


def _concerns_variables(body: DeploymentUpdate) -> bool:
    """Whether schedules have to fit anew: a change of anything else must go through, whatever became of the template."""
    given = (body.job_variables, body.infra_overrides, body.work_pool_name, body.schedules)
    return any(value is not UNSET for value in given)


def _source(deployment: Deployment) -> tuple[Any, ...]:
    """What runs that were made ahead took from their deployment."""
    return deployment.parameters, deployment.tags, deployment.version


async def _apply(
    scope: Scope, tx: Tx, deployment: Deployment, body: DeploymentUpdate, *, enforce: bool | None = None
) -> None:
    """Write the change into the record; `enforce` says whether its schema is obeyed, where the record does not."""
    body = _sparing_shared(deployment, body)
    for name in _PLAIN:
        if (value := getattr(body, name)) is not UNSET:
            setattr(deployment, name, value)
    await _check_documents(tx, body)
    if isinstance(body.entrypoint, str):
        deployment.command = None
    if isinstance(body.command, str):
        deployment.entrypoint = None
    was_paused = deployment.paused
    if body.paused is not UNSET:
        deployment.paused = body.paused
    await _apply_limit(scope, tx, deployment, body)
    deployment.pause = pause_after(deployment.pause, body, was_paused=was_paused, is_paused=deployment.paused, now=scope.now)
    if body.labels is not UNSET:
        deployment.labels = deployment.labels | body.labels
    await _apply_parameters(
        tx, deployment, body, enforce=deployment.enforce_parameter_schema if enforce is None else enforce
    )
    if deployment.concurrency_key is not None and _concerns_key(body):
        expression = deployment.concurrency_key.expression
        check_expression(expression, deployment.parameter_openapi_schema, deployment.parameters)
    variables = body.job_variables if body.job_variables is not UNSET else body.infra_overrides
    if variables is not UNSET:
        deployment.job_variables = variables or {}
    await _choose_queue(scope, tx, deployment, body)


def _sparing_shared(deployment: Deployment, body: DeploymentUpdate) -> DeploymentUpdate:
    """The change without the null of a limit of the deployment's own, where it shares one instead: existing clients say so
    with every deploy and every start of `serve`, and have no word for the one that is shared."""
    takes_away = body.concurrency_limit is None and body.global_concurrency_limit_id is UNSET
    if not takes_away or deployment.shared_limit_id is None:
        return body
    options = UNSET if body.concurrency_options is None else body.concurrency_options
    return replace(body, concurrency_limit=UNSET, concurrency_options=options)


async def _apply_limit(scope: Scope, tx: Tx, deployment: Deployment, body: DeploymentUpdate) -> None:
    """Its own limit, or a named one that it shares; the null of one takes that away."""
    if body.concurrency_limit is not UNSET:
        deployment.global_concurrency_limit = rows.limit(deployment, body.concurrency_limit)
    if body.global_concurrency_limit_id is None and deployment.shared_limit_id is not None:
        deployment.global_concurrency_limit = None
    if isinstance(id := body.global_concurrency_limit_id, UUID):
        # Held: what is decided under it meanwhile is decided without this deployment's runs.
        found = [each for each in await limit_rows.by_ids(tx, [id], lock=True) if not each.name.startswith(limit_rows.TAGS)]
        if not found:
            raise NotFound("Concurrency limit not found")
        deployment.global_concurrency_limit = found[0].record(scope.now)


async def _apply_parameters(tx: Tx, deployment: Deployment, body: DeploymentUpdate, *, enforce: bool) -> None:
    """Resolve what parameters refer to; `Invalid` for those that their schema forbids, but for what runs may still bring."""
    changes = (body.parameters, body.parameter_openapi_schema)
    if any(value is not UNSET for value in changes):
        deployment.parameters = await hydrated(tx, deployment.parameters, of="deployment parameters")
    if enforce and any(value is not UNSET for value in (*changes, body.enforce_parameter_schema)):
        check_parameters(deployment.parameter_openapi_schema, deployment.parameters, partial=True)


async def _check_documents(tx: Tx, body: DeploymentUpdate) -> None:
    """`Conflict` for a block document that is not there."""
    named = {"storage": body.storage_document_id, "infrastructure": body.infrastructure_document_id}
    given = {kind: id for kind, id in named.items() if isinstance(id, UUID)}
    found = await document_rows.get_many(tx, {*given.values()}) if given else {}
    for kind, id in given.items():
        if id not in found:
            raise Conflict(f"Error creating deployment. Could not find {kind} block with id: {id}. Save the block first.")


def _concerns_key(body: DeploymentUpdate) -> bool:
    given = (body.concurrency_key, body.parameters, body.parameter_openapi_schema)
    return any(value is not UNSET for value in given)


async def _choose_queue(scope: Scope, tx: Tx, deployment: Deployment, body: DeploymentUpdate) -> None:
    """Find the queue that the body names, making it if need be; a pool without a queue means its default queue."""
    pool_name, queue_name = body.work_pool_name, body.work_queue_name
    variables_changed = body.job_variables is not UNSET or body.infra_overrides is not UNSET
    if pool_name is UNSET and queue_name is UNSET and not (variables_changed and deployment.work_pool_name):
        return
    if pool_name is None:
        deployment.work_pool_name = deployment.work_pool_id = deployment.work_queue_id = deployment.work_queue_name = None
        return
    wanted_pool = deployment.work_pool_name if pool_name is UNSET else pool_name
    wanted_queue = queue_name if queue_name is not UNSET else (deployment.work_queue_name if pool_name is UNSET else None)
    if wanted_pool is None and not wanted_queue:
        return
    pool = await work_queues.locked_pool(tx, wanted_pool) if wanted_pool else await work_pools.ensure_default(scope, tx)
    if pool.base_job_template:
        doing = "creating deployment"
        templates.validate_variables(pool.base_job_template, deployment.job_variables, doing=doing, partial=True)
    queue = await work_queues.ensure(scope, tx, pool, wanted_queue or None)
    deployment.work_pool_id, deployment.work_pool_name = pool.id, pool.name
    deployment.work_queue_id, deployment.work_queue_name = queue.id, queue.name


async def pause(scope: Scope, id: UUID, *, paused: bool, note: PauseNote | None = None) -> None:
    """Stop its schedules and hold back its runs, or undo that."""
    note = note or PauseNote()
    await update(scope, id, DeploymentUpdate(paused=paused, pause_reason=note.pause_reason, paused_by=note.paused_by))


async def get(scope: Scope, id: UUID) -> Deployment:
    """One deployment."""
    return await scope.store.read(lambda tx: _get(scope, tx, id))


async def get_by_name(scope: Scope, flow_name: str, name: str) -> Deployment:
    """One deployment, by its flow's name and its own."""
    return _found(await scope.store.read(lambda tx: rows.get_by_name(tx, flow_name, name, now=scope.now)))


async def list_page(scope: Scope, query: DeploymentQuery) -> list[Deployment]:
    """A page of those that match."""
    return await scope.store.read(lambda tx: rows.list_page(tx, query, now=scope.now))


async def count(scope: Scope, query: DeploymentQuery) -> int:
    """How many match."""
    return await scope.store.read(lambda tx: rows.count(tx, query))


async def paginate(scope: Scope, query: DeploymentPageQuery) -> DeploymentPage:
    """The page of that number of those that match."""

    async def page(tx: Tx, asked: DeploymentQuery) -> list[Deployment]:
        return await rows.list_page(tx, asked, now=scope.now)

    return await numbered(scope, query, kind=DeploymentQuery, rows=page, count=rows.count, page=DeploymentPage)


async def delete_many(scope: Scope, body: BulkDeleteDeployments) -> BulkDeletedDeployments:
    """Delete those that match, each in a transaction of its own; one that is gone by then is left out."""
    if not constrains(body.deployments):
        raise Invalid("No filter says which deployments; name them, such as by `id.any_`.", field="deployments")
    query = DeploymentQuery(deployments=body.deployments, limit=body.limit)
    deleted = []
    for found in await list_page(scope, query):
        with suppress(NotFound):
            await delete(scope, found.id)
            deleted.append(found.id)
    return BulkDeletedDeployments(deleted=deleted)


async def schedule_runs(scope: Scope, id: UUID, body: ScheduleRuns) -> None:
    """Have its active schedules make runs of a span of time, of which some may be there already."""

    async def unit(tx: Tx) -> UUID:
        deployment = await _get(scope, tx, id)
        await scheduling.materialise_span(scope, tx, deployment, body)
        return place_of_new(deployment)

    scope.wakeups.wake([await scope.store.write(unit)])


async def queues_of(scope: Scope, id: UUID) -> list[WorkQueue]:
    """The queue that its runs go to, if there is one."""

    async def unit(tx: Tx) -> list[WorkQueue]:
        queue_id = (await _get(scope, tx, id)).work_queue_id
        queue = await queue_rows.get(tx, queue_id, now=scope.now) if queue_id else None
        return [queue] if queue else []

    return await scope.store.read(unit)


async def delete(scope: Scope, id: UUID) -> None:
    """Delete, with its schedules and the runs that have not started; the others stay as history."""

    async def unit(tx: Tx) -> None:
        await rows.lock(tx, [id])
        subject = await resource_events.of_deployment(tx, await _get(scope, tx, id))
        waiting = await waiting_runs.waiting_of_deployment(tx, id)
        await run_rows.delete(tx, await scheduling.still_waiting(tx, waiting))
        await rows.delete(tx, id)
        await resource_events.keep(scope, tx, subject.was("deleted"))

    await scope.store.write(unit)


async def _get(scope: Scope, tx: Tx, id: UUID) -> Deployment:
    return _found(await rows.get(tx, id, now=scope.now))


def _found(deployment: Deployment | None) -> Deployment:
    if deployment is None:
        raise _missing()
    return deployment


def _missing() -> NotFound:
    return NotFound("Deployment not found")
