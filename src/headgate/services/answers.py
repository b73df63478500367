"""Answers to proposals as the wire shows them."""

from msgspec import UNSET

from headgate.schema.states import DetailsType, OrchestrationDetails, OrchestrationResult, OrchestrationStatus, State


def answer(
    state: State | None,
    status: OrchestrationStatus,
    reason: str | None,
    *,
    delay: int | None = None,
    fence: int | None = None,
) -> OrchestrationResult:
    """The state that a run is in now, and why; `delay` is in seconds."""
    details = OrchestrationDetails(type=DetailsType[status.name], reason=reason, delay_seconds=delay)
    return OrchestrationResult(state=state, status=status, details=details, fence=UNSET if fence is None else fence)
