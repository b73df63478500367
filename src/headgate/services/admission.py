"""Whether a run that takes a slot outside of a claim fits under the limits of its pool, queue and deployment."""

from uuid import UUID

from headgate.store import claims as rows
from headgate.store.database import Tx


async def full_lane(tx: Tx, pool_id: UUID | None, queue_id: UUID | None, deployment_id: UUID | None) -> str | None:
    """The first limit that leaves no slot, as a sentence; None when there is room. The caller holds the locks."""
    for lane, used, limit in await rows.limits(tx, pool_id, queue_id, deployment_id):
        if limit is not None and used >= limit:
            return f"{lane} concurrency limit reached."
    return None
