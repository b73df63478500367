"""State proposals of a worker: sent until the API answers, under the run's fence."""

import logging
from datetime import datetime
from uuid import uuid4

from msgspec import UNSET, UnsetType

from headgate.client.calls import flow_runs
from headgate.schema.claims import Grant, HeldLease
from headgate.schema.states import (
    CrashReason,
    OrchestrationResult,
    OrchestrationStatus,
    SetState,
    StateCreate,
    StateDetails,
    StateType,
)
from headgate.worker.channel import Channel

logger = logging.getLogger("headgate.worker")


async def propose(
    channel: Channel,
    lease: HeldLease,
    type: StateType,
    *,
    message: str | None = None,
    crash_reason: CrashReason | UnsetType = UNSET,
) -> OrchestrationResult | None:
    """The server's answer, or None when there is none to be had: the run was deleted, or the API stays away."""
    details = StateDetails(transition_id=uuid4(), crash_reason=crash_reason)
    state = StateCreate(type=type, message=message, state_details=details)
    call = flow_runs.set_state(lease.flow_run_id, SetState(state=state, fence=lease.fence))
    try:
        return await channel.insist(call)
    except Exception as error:
        logger.warning("Run %s could not be reported as %s: %s", lease.flow_run_id, type, error)
        return None


def accepted(result: OrchestrationResult, type: StateType) -> bool:
    """Whether the run is now in the proposed state; the answer to a call that was sent twice says REJECT with that state."""
    if result.status is OrchestrationStatus.REJECT:
        return result.state is not None and result.state.type is type
    return result.status is OrchestrationStatus.ACCEPT


def refused_as(answer: OrchestrationResult, type: StateType) -> bool:
    """Whether the run is in a state of that type instead."""
    return answer.status is OrchestrationStatus.REJECT and answer.state is not None and answer.state.type is type


def due_at(grant: Grant) -> datetime | None:
    """When the run's code may start."""
    state = grant.flow_run.state
    scheduled = state.state_details.scheduled_time if state is not None else None
    return scheduled or grant.flow_run.expected_start_time


def scheduled_time(result: OrchestrationResult) -> datetime | None:
    """When the run that this answer speaks of may start (again)."""
    return result.state.state_details.scheduled_time if result.state is not None else None


def held(lease_of: Grant) -> HeldLease:
    """The grant's lease as its holder names it."""
    return HeldLease(flow_run_id=lease_of.lease.flow_run_id, fence=lease_of.lease.fence)
