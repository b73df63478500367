"""Events of records, kept in the transaction that makes them true."""

from datetime import datetime
from uuid import UUID

from headgate.core import resource_events
from headgate.core.resource_events import Happening, Subject
from headgate.ids import uuid7
from headgate.schema.deployments import Deployment
from headgate.schema.events import ReceivedEvent
from headgate.schema.work_queues import WorkQueue
from headgate.services.scope import Scope
from headgate.store import events as rows
from headgate.store import flows as flow_rows
from headgate.store import work_pools as pool_rows
from headgate.store.database import Tx


async def keep(scope: Scope, tx: Tx, *happenings: Happening) -> None:
    """Keep their events. Who follows hears of them with the next signal, and within a second."""
    if not happenings:
        return
    now = scope.now
    events = [_event(happening, uuid7(now), now) for happening in happenings]
    await rows.insert(tx, [(event.id, event) for event in events])


def _event(it: Happening, id: UUID, now: datetime) -> ReceivedEvent:
    return ReceivedEvent(
        occurred=now,
        event=it.event,
        resource=it.resource,
        related=it.related,
        payload=it.payload,
        id=id,
        received=now,
    )


async def of_queue(tx: Tx, queue: WorkQueue) -> Subject:
    """A queue as events tell of it."""
    return resource_events.of_queue(queue, pool_type=await _type(tx, queue.work_pool_id) or "")


async def of_deployment(tx: Tx, deployment: Deployment) -> Subject:
    """A deployment as events tell of it."""
    flow = await flow_rows.get(tx, deployment.flow_id)
    pool_type = await _type(tx, deployment.work_pool_id)
    return resource_events.of_deployment(deployment, flow_name=flow.name if flow else None, pool_type=pool_type)


async def _type(tx: Tx, pool: UUID | None) -> str | None:
    return None if pool is None else await pool_rows.type_of(tx, pool)
