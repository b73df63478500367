"""Misfires: skips the runs of schedules that could not start in time, where their misfire policy says so.

It goes by time alone, whatever kept a run from starting: an outage, a pause, a limit. A pass is made before a server
answers its first call, so that no worker is given what an outage has made stale.
"""

from uuid import UUID

from headgate.core.misfires import skipped
from headgate.core.states import SKIPPED
from headgate.schema.deployments import Misfire
from headgate.schema.states import StateCreate, StateType
from headgate.services.scope import Scope
from headgate.services.states import Proposal, propose_all
from headgate.store import deployment_schedules as schedule_rows
from headgate.store import waiting_runs as rows
from headgate.store.database import Tx
from headgate.store.waiting_runs import DueRun


async def tick(scope: Scope) -> int:
    """Skip all that misfired."""
    policies = await scope.store.read(schedule_rows.with_misfire)
    return sum([await _skip(scope, id, policy) for id, policy in policies.items()])


async def _skip(scope: Scope, schedule_id: UUID, policy: Misfire) -> int:
    """How many of a schedule's runs were skipped; what was claimed meanwhile goes on."""
    now, late_after = scope.now, scope.settings.server_services_late_runs_after_seconds

    async def unit(tx: Tx) -> list[DueRun]:
        return await rows.due_of_schedule(tx, schedule_id, now=now)

    due = {run.id: run for run in await scope.store.read(unit)}
    reasons = skipped(policy, [(run.id, run.due_at) for run in due.values()], now=now, late_after=late_after)
    proposals = [
        Proposal(id, StateCreate(type=StateType.CANCELLED, name=SKIPPED, message=reason), now, from_name=due[id].state_name)
        for id, reason in reasons.items()
    ]
    return await propose_all(scope, proposals)
