"""Late runs: names the Scheduled runs that are past their time."""

import asyncio
from datetime import timedelta

from headgate.core.states import LATE, NAMES
from headgate.schema.states import StateCreate, StateType
from headgate.services.scope import Scope
from headgate.services.states import Proposal, propose
from headgate.store import flow_runs as rows

_PAGE = 500


async def tick(scope: Scope) -> int:
    """Mark all that turned late, a page at a time."""
    marked = 0
    while True:
        before = scope.now - timedelta(seconds=scope.settings.server_services_late_runs_after_seconds)
        ids = await scope.store.read(lambda tx, before=before: rows.turned_late(tx, before=before, limit=_PAGE))  # type: ignore[misc]
        state = StateCreate(type=StateType.SCHEDULED, name=LATE)
        proposals = [Proposal(id, state, scope.now, from_name=NAMES[StateType.SCHEDULED]) for id in ids]
        answers = await asyncio.gather(*(propose(scope, proposal) for proposal in proposals), return_exceptions=True)
        count = sum(1 for answer in answers if not isinstance(answer, BaseException) and answer.entered)
        marked += count
        if len(ids) < _PAGE or not count:
            return marked
