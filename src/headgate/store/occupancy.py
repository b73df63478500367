"""Rows of who holds slots."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from headgate.schema.occupancy import SlotHolder
from headgate.schema.states import StateType
from headgate.store.database import Tx
from headgate.store.statements import load_statements

_SQL = load_statements("occupancy")


async def holders(
    tx: Tx, pool_id: UUID, queue_ids: Sequence[UUID], *, limit: int, offset: int = 0, now: datetime
) -> dict[UUID, list[SlotHolder]]:
    """The runs that hold slots of these queues of a pool, by queue: of each up to `limit` from `offset` on."""
    places = {"first": offset, "last": offset + limit}
    found: dict[UUID, list[SlotHolder]] = defaultdict(list)
    for row in await tx.fetch(_SQL["holders"], {"pool_id": pool_id, "queue_ids": list(queue_ids), **places}):
        since = row["state_timestamp"]
        found[row["work_queue_id"]].append(
            SlotHolder(
                id=row["id"],
                name=row["name"],
                state_type=StateType(row["state_type"]) if row["state_type"] else None,
                state_name=row["state_name"],
                start_time=row["start_time"],
                state_timestamp=since,
                time_in_current_state=(now - since).total_seconds() if since else None,
            )
        )
    return found
