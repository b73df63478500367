"""Late runs: names the Scheduled runs that are past their time, and says of each why it waits."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from headgate.clock import monotonic
from headgate.core.reasons import as_message, not_taken
from headgate.core.states import LATE, NAMES
from headgate.schema.states import StateCreate, StateType
from headgate.services.scope import Scope
from headgate.services.situations import Situation, situation_of
from headgate.services.states import Proposal, propose_all
from headgate.store import explanations as explanation_rows
from headgate.store import waiting_runs as rows
from headgate.store.database import Tx
from headgate.store.explanations import Located

_PAGE = 200

_PAUSE = 1.0
"""For each second that a page took, how long the database is left to the others: marks are not urgent."""


async def tick(scope: Scope) -> int:
    """Mark all that turned late, a page at a time."""
    marked = 0
    while True:
        now, began = scope.now, monotonic()
        before = now - timedelta(seconds=scope.settings.server_services_late_runs_after_seconds)
        late = await scope.store.read(lambda tx, before=before, now=now: _page(tx, before, now))  # type: ignore[misc]
        proposals = [
            Proposal(id, _state(reason), scope.now, from_name=NAMES[StateType.SCHEDULED]) for id, reason in late.items()
        ]
        count = await propose_all(scope, proposals)
        marked += count
        if len(late) < _PAGE or not count:
            return marked
        await asyncio.sleep(_PAUSE * (monotonic() - began))


def _state(reason: str | None) -> StateCreate:
    return StateCreate(type=StateType.SCHEDULED, name=LATE, message=reason)


async def _page(tx: Tx, before: datetime, now: datetime) -> Mapping[UUID, str | None]:
    """Runs that turned late, with why they wait: runs that wait for the same do so for the same reason."""
    ids = await rows.turned_late(tx, before=before, limit=_PAGE)
    runs = await explanation_rows.candidates(tx, ids, now=now) if ids else []
    situation = await situation_of(tx, runs, now=now)
    reasons = {_waits_for(run): run for run in runs}
    told = {key: _reason(run, situation) for key, run in reasons.items()}
    found = {run.candidate.id: told[_waits_for(run)] for run in runs}
    return {id: found.get(id) for id in ids}


def _waits_for(run: Located) -> tuple[UUID | None, UUID, UUID | None, UUID | None]:
    return run.work_pool_id, run.candidate.queue_id, run.candidate.deployment_id, run.candidate.key_id


def _reason(run: Located, situation: Situation) -> str:
    sentences = [situation.sentence(gate, run) for gate in situation.gates(run)]
    return as_message("; ".join(sentences) or not_taken(situation.subject(run)))
