"""`headgate flow-run cancel` and `delete`: one flow run, or all that match, counted beforehand."""

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, TypeVar
from uuid import UUID, uuid4

import msgspec
from cyclopts import Parameter

from headgate.cli.find import find_deployment, find_flow_run, find_pool
from headgate.cli.options import DryRun, InSession, Output, Yes
from headgate.cli.output import UsageError, confirm, counted, print_json
from headgate.client.call import Call
from headgate.client.calls import flow_runs, flow_runs_bulk
from headgate.client.client import Client
from headgate.core.states import TERMINAL
from headgate.errors import Conflict
from headgate.schema.deployments import Deployment
from headgate.schema.filters import (
    FlowFilter,
    FlowRunFilter,
    NameFilter,
    NullableIdFilter,
    NullableNameFilter,
    StateFilter,
    StateTypeFilter,
    TextsFilter,
    WorkPoolFilter,
)
from headgate.schema.flow_runs import DeploymentFlowRunCreate, FlowRun
from headgate.schema.flow_runs_bulk import (
    MOST,
    BulkDelete,
    BulkOutcome,
    BulkSelection,
    BulkSetState,
    CreateResult,
    CreateStatus,
)
from headgate.schema.states import OrchestrationStatus, SetState, StateCreate, StateDetails, StateType

B = TypeVar("B", bound=BulkSelection)
Outcome = TypeVar("Outcome", bound=BulkOutcome)

_STEP = 1_000
"""How many runs one call concerns: it takes a second or so, and then progress is shown."""


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Which:
    """The runs that a command concerns. All that is given must hold."""

    state: Annotated[
        list[str] | None, Parameter(name="--state", help="Those in a state of this name, such as Late; again for each.")
    ] = None
    state_type: Annotated[
        list[StateType] | None,
        Parameter(name="--state-type", help="Those in a state of this type, again for each.", show_choices=True),
    ] = None
    flow_name: Annotated[list[str] | None, Parameter(name="--flow-name", help="Those of this flow, again for each.")] = None
    deployment: Annotated[
        list[str] | None,
        Parameter(name="--deployment", metavar="FLOW/DEPLOYMENT", help="Those of this deployment, again for each."),
    ] = None
    work_pool: Annotated[
        list[str] | None, Parameter(name="--work-pool", help="Those of this work pool, again for each.")
    ] = None
    work_queue: Annotated[
        list[str] | None, Parameter(name="--work-queue", help="Those of queues of this name, again for each.")
    ] = None
    all: Annotated[bool, Parameter(name="--all", help="Every one there is, where nothing else is given.")] = False

    @property
    def filters(self) -> bool:
        """Whether anything says which."""
        names = ("state", "state_type", "flow_name", "deployment", "work_pool", "work_queue")
        return any(getattr(self, name) for name in names)


NOBODY = Which()

Named = Annotated[str | None, Parameter(help="Id of the flow run, or its name when only one run has it.")]


def cancel(
    flow_run: Named = None,
    /,
    *,
    which: Which = NOBODY,
    dry_run: DryRun = False,
    yes: Yes = False,
    output: Output = "table",
    session: InSession,
) -> None:
    """Stop a flow run, or all that match: their workers end them, by force after a grace period.

    What has ended is left alone. Several are counted first, and you are asked.

    For example:
        headgate flow-run cancel careful-wolf
        headgate flow-run cancel --deployment inventory/nightly --state Late
        headgate flow-run cancel --work-pool local --dry-run
    """
    _check(flow_run, which)
    with session.client() as client:
        if flow_run is not None:
            _cancel_one(client, find_flow_run(client, flow_run), dry_run=dry_run, output=output)
            return
        state = StateCreate(type=StateType.CANCELLING)
        body = _selected(client, which, BulkSetState(state=state, limit=_STEP), ended=False)
        verbs = _Verbs("Cancel", "cancelled", "are cancelled or being cancelled")
        _apply(client, flow_runs_bulk.set_state, body, verbs, dry_run=dry_run, yes=yes, output=output)


def delete(
    flow_run: Named = None,
    /,
    *,
    which: Which = NOBODY,
    dry_run: DryRun = False,
    yes: Yes = False,
    output: Output = "table",
    session: InSession,
) -> None:
    """Delete a flow run, or all that match, with their states and logs.

    Runs in progress are deleted as well; their processes are not stopped by that. Several are counted first, and you
    are asked.

    For example:
        headgate flow-run delete careful-wolf
        headgate flow-run delete --flow-name inventory --state-type FAILED
        headgate flow-run delete --all --dry-run
    """
    _check(flow_run, which)
    with session.client() as client:
        if flow_run is not None:
            _delete_one(client, find_flow_run(client, flow_run), dry_run=dry_run, yes=yes, output=output)
            return
        body = _selected(client, which, BulkDelete(limit=_STEP), ended=True)
        verbs = _Verbs("Delete", "deleted", "are deleted")
        _apply(client, flow_runs_bulk.delete, body, verbs, dry_run=dry_run, yes=yes, output=output)


def _check(flow_run: str | None, which: Which) -> None:
    if flow_run is not None and (which.filters or which.all):
        raise UsageError("Give a flow run, or say which ones with options such as --state; not both.")
    if which.filters and which.all:
        raise UsageError("--all means every flow run; leave it out, or the other options that say which.")
    if flow_run is None and not (which.filters or which.all):
        raise UsageError("Give a flow run, or say which ones with --state, --flow-name, --deployment, …, or --all.")


# --- one


def _cancel_one(client: Client, run: FlowRun, *, dry_run: bool, output: str) -> None:
    if dry_run:
        _tell_one(run, "cancelled", output)
        return
    details = StateDetails(transition_id=uuid4())
    proposal = SetState(state=StateCreate(type=StateType.CANCELLING, state_details=details))
    answer = client.send(flow_runs.set_state(run.id, proposal))
    if answer.status is OrchestrationStatus.ABORT:
        raise Conflict(f"Flow run {run.name!r} cannot be cancelled: {answer.details.reason}")
    if output == "json":
        print_json(answer)
    elif answer.state is not None and answer.state.type is StateType.CANCELLED:
        print(f"Cancelled flow run {run.name!r}; it had not started.")
    else:
        print(f"Flow run {run.name!r} is being cancelled.")


def _delete_one(client: Client, run: FlowRun, *, dry_run: bool, yes: bool, output: str) -> None:
    if dry_run:
        _tell_one(run, "deleted", output)
        return
    confirm(f"Delete flow run {run.name!r} ({run.id}) with its logs?", yes=yes)
    client.send(flow_runs.delete(run.id))
    if output == "json":
        print_json(run)
    else:
        print(f"Deleted flow run {run.name!r}.")


def _tell_one(run: FlowRun, past: str, output: str) -> None:
    if output == "json":
        print_json(run)
    else:
        print(f"Flow run {run.name!r} ({run.id}), which is {run.state_name}, would be {past}.")


# --- many alike


def run_many(client: Client, deployment: Deployment, body: DeploymentFlowRunCreate, count: int, output: str) -> int:
    """Create so many runs of a deployment, and say how many there are; the exit code is 1 when some could not be."""
    if not 1 <= count <= MOST:
        raise UsageError(f"--count: {count} is not between 1 and {MOST:,}.")
    results: list[CreateResult] = []
    while (left := count - len(results)) > 0:
        call = flow_runs_bulk.create_of_deployment(deployment.id, [body] * min(left, _STEP))
        results += client.send(call).results
        _progress(len(results), count)
    reasons = Counter(each.error for each in results if each.status is CreateStatus.FAILED)
    if output == "json":
        print_json(results)
    else:
        print(f"Created {counted(count - reasons.total(), 'flow run')} of {deployment.name!r}.")
        for reason, failed in reasons.most_common():
            print(f"    {failed:,} could not be created: {reason}")
    return 1 if reasons else 0


# --- all that match


@dataclass(frozen=True, slots=True)
class _Verbs:
    """What is asked for, what would be, and what is in the end."""

    asked: str
    foreseen: str
    done: str


@dataclass(slots=True)
class _Totals:
    """The counts of several calls that went on from each other."""

    matched: int = 0
    changed: int = 0
    refused: Counter[str] = field(default_factory=Counter)


def _selected(client: Client, which: Which, body: B, *, ended: bool) -> B:
    """`body` with the filters; without `ended` they leave out what has ended already, and `--all` means what has not."""
    types = which.state_type or None
    unwanted = None if ended or types else sorted({*TERMINAL, StateType.CANCELLING})
    state = StateFilter(
        name=TextsFilter(any_=which.state) if which.state else None,
        type=StateTypeFilter(any_=types, not_any_=unwanted) if types or unwanted else None,
    )
    ids: list[UUID] = [find_deployment(client, name).id for name in which.deployment or []]
    pools = [find_pool(client, name).name for name in which.work_pool or []]
    runs = FlowRunFilter(
        state=state if state != StateFilter() else None,
        deployment_id=NullableIdFilter(any_=ids) if ids else None,
        work_queue_name=NullableNameFilter(any_=which.work_queue) if which.work_queue else None,
    )
    return msgspec.structs.replace(
        body,
        flow_runs=runs if runs != FlowRunFilter() else None,
        flows=FlowFilter(name=NameFilter(any_=which.flow_name)) if which.flow_name else None,
        work_pools=WorkPoolFilter(name=TextsFilter(any_=pools)) if pools else None,
        all=which.all and ended,
    )


def _apply(
    client: Client,
    call: Callable[[B], Call[Outcome]],
    body: B,
    verbs: _Verbs,
    *,
    dry_run: bool,
    yes: bool,
    output: str,
) -> None:
    """Count; ask; then go through all of them, call by call."""
    foreseen = _sum(client, call, msgspec.structs.replace(body, dry_run=True), None)
    if dry_run or not foreseen.changed:
        _tell(foreseen, f"would be {verbs.foreseen}", output)
        return
    confirm(f"{verbs.asked} {counted(foreseen.changed, 'flow run')}?", yes=yes)
    _tell(_sum(client, call, body, foreseen.matched), verbs.done, output)


def _sum(client: Client, call: Callable[[B], Call[Outcome]], body: B, expected: int | None) -> _Totals:
    totals, visited = _Totals(), 0
    while True:
        outcome = client.send(call(body))
        totals.matched = totals.matched or outcome.matched
        totals.changed += outcome.changed
        totals.refused.update(outcome.refused)
        if outcome.next is None:
            return totals
        visited += body.limit
        if expected:
            _progress(visited, expected)
        body = msgspec.structs.replace(body, after=outcome.next)


def _tell(totals: _Totals, past: str, output: str) -> None:
    if output == "json":
        print_json({"matched": totals.matched, "changed": totals.changed, "refused": dict(totals.refused)})
        return
    if not totals.matched:
        print("No flow run matches.")
        return
    print(f"Of {counted(totals.matched, 'flow run')} that matched, {totals.changed:,} {past}.")
    for reason, count in totals.refused.most_common():
        print(f"    {count:,} left alone: {reason}")


def _progress(done: int, total: int) -> None:
    """A line on stderr while a person looks at it."""
    if sys.stderr.isatty():
        print(f"\r{done:,} of {total:,} ", end="" if done < total else "\n", file=sys.stderr, flush=True)
