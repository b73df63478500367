"""What an engine asks of the outside world, and the answer over HTTP."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Protocol
from uuid import UUID

from msgspec.structs import replace

from headgate.client.calls import claims, deployments, flow_runs, flows, logs
from headgate.client.client import Client
from headgate.errors import Invalid
from headgate.schema.claims import HeldLease, LeaseRenewalResponse
from headgate.schema.deployments import Deployment
from headgate.schema.flow_runs import FlowRun, FlowRunPolicy, FlowRunUpdate
from headgate.schema.logs import LogCreate
from headgate.schema.states import OrchestrationResult, SetState, State, StateCreate, StateDetails


@dataclass(frozen=True, slots=True)
class Assignment:
    """A run to execute, with what belongs to it."""

    flow_run: FlowRun
    flow_name: str
    deployment: Deployment | None


class Reporter(Protocol):
    """The engine's only way to the outside. Calls are made from the main thread, except `log` and `renew`, which have
    a thread each. They keep trying while the API is away and then raise `Unavailable`.
    """

    @property
    def fence(self) -> int | None:
        """The number from the claim; None for a run that nobody claimed."""
        ...

    def fetch(self) -> Assignment:
        """The run, its flow's name and its deployment."""
        ...

    def update(self, changes: FlowRunUpdate) -> None:
        """Change the run."""
        ...

    def propose(self, state: StateCreate) -> OrchestrationResult:
        """Propose the run's next state; the same proposal is never applied twice."""
        ...

    def look(self) -> State | None:
        """The state that the run is in; gives up within seconds, for one who has to stop."""
        ...

    def log(self, lines: list[LogCreate]) -> None:
        """Write log lines."""
        ...

    def renew(self) -> LeaseRenewalResponse | None:
        """Renew the run's lease; None when there is none."""
        ...


class ApiReporter:
    """A `Reporter` that speaks HTTP.

    `connect` makes a client that keeps trying for so many seconds; `fence` is the number from the claim, None for a
    run that nobody claimed. `assignment` is given where it is known already.
    """

    def __init__(
        self,
        flow_run_id: UUID,
        *,
        fence: int | None,
        connect: Callable[[float], Client],
        patience: float,
        assignment: Assignment | None = None,
    ) -> None:
        self._assignment = assignment
        self._id = flow_run_id
        self._fence = fence
        self._connect = connect
        self._client = connect(patience)

    @property
    def fence(self) -> int | None:
        """The number from the claim."""
        return self._fence

    def fetch(self) -> Assignment:
        """Three calls, or none."""
        if self._assignment is not None:
            return self._assignment
        run = self._client.send(flow_runs.get(self._id))
        flow = self._client.send(flows.get(run.flow_id))
        deployment = self._client.send(deployments.get(run.deployment_id)) if run.deployment_id else None
        return Assignment(run, flow.name, deployment)

    def update(self, changes: FlowRunUpdate) -> None:
        """One call, or a second one, to a server that takes delays of retries only as one number of whole seconds."""
        try:
            self._client.send(flow_runs.update(self._id, changes))
        except Invalid:
            if not _has_delays(changes):
                raise
            self._client.send(flow_runs.update(self._id, _with_one_delay(changes)))

    def propose(self, state: StateCreate) -> OrchestrationResult:
        """One call; its transition id lets the server know a repetition."""
        state.state_details = state.state_details or StateDetails()
        state.state_details.transition_id = UUID(bytes=os.urandom(16), version=4)
        return self._client.send(flow_runs.set_state(self._id, SetState(state=state, fence=self._fence)))

    def look(self) -> State | None:
        """One call."""
        with self._connect(_HASTE) as client:
            return client.send(flow_runs.get(self._id)).state

    def log(self, lines: list[LogCreate]) -> None:
        """One call."""
        self._client.send(logs.create(lines))

    def renew(self) -> LeaseRenewalResponse | None:
        """One call."""
        if self._fence is None:
            return None
        return self._client.send(claims.renew_run(self._id, HeldLease(flow_run_id=self._id, fence=self._fence)))

    def close(self) -> None:
        """Give up the connection."""
        self._client.close()


_HASTE = 5.0


def _has_delays(changes: FlowRunUpdate) -> bool:
    return isinstance(changes.empirical_policy, FlowRunPolicy) and isinstance(changes.empirical_policy.retry_delay, list)


def _with_one_delay(changes: FlowRunUpdate) -> FlowRunUpdate:
    """The longest of the delays, rounded up."""
    policy = changes.empirical_policy
    assert isinstance(policy, FlowRunPolicy)
    assert isinstance(policy.retry_delay, list)
    longest = float(ceil(max(policy.retry_delay, default=0.0)))
    return replace(changes, empirical_policy=replace(policy, retry_delay=longest))
