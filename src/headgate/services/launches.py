"""What a run meets once it is past all limits, as explanations tell it: the making of its job, and the start of that."""

from datetime import datetime

from headgate.core.launch_checks import flaw_of
from headgate.core.placeholders import holds_reference
from headgate.core.reasons import Launch, LaunchGate, flawed, launching
from headgate.core.templates import list_references
from headgate.schema.explanations import Gate
from headgate.schema.flow_runs import FlowRun
from headgate.schema.work_pools import UNTYPED
from headgate.services import references
from headgate.services.scope import Scope
from headgate.store import deployments as deployment_rows
from headgate.store import explanations as rows
from headgate.store import work_pools as pool_rows
from headgate.store.database import Tx
from headgate.store.explanations import Located


async def template_gates(scope: Scope, tx: Tx, run: FlowRun, *, now: datetime) -> list[Gate]:
    """Whether its worker would crash a run before any of its code begins, by the rules that the worker goes by.

    Pools without a type are left alone: which template an agent fills is known where the agent runs.
    """
    pool = await pool_rows.get(tx, run.work_pool_name, now=now) if run.work_pool_name else None
    if pool is None or pool.type == UNTYPED:
        return []
    owner = await deployment_rows.get(tx, run.deployment_id, now=now) if run.deployment_id else None
    template, layers = pool.base_job_template, (owner.job_variables if owner else {}, run.job_variables or {})
    refers = any(map(holds_reference, (template, *layers)))
    wanted = {use.reference for use in list_references(template, *layers)} if refers else set()
    found, unresolved = await references.fetch(scope, tx, wanted)
    flaw = flaw_of(template, *layers, references=found, unresolved=unresolved)
    return [Gate(kind=LaunchGate.TEMPLATE_ERROR, message=flawed(pool.name, flaw), record_id=pool.id)] if flaw else []


async def launch_gate(tx: Tx, run: FlowRun, located: Located, *, now: datetime) -> Gate:
    """Who starts a run that was handed out, since when, and what was last heard of that."""
    since = run.state.timestamp if run.state else now
    launch = Launch(
        holder=located.holder,
        since=since,
        infrastructure=run.infrastructure_pid if run.fence <= 1 else None,  # of a later claim it may be the earlier one's
        lease_expires_at=located.lease_expires_at,
        due_at=run.state.state_details.scheduled_time if run.state else None,
    )
    word = await rows.last_word(tx, run.id, since=since)
    return Gate(kind=LaunchGate.LAUNCHING, message=launching(launch, now=now), last_word=word)
