"""Why a flow run waits, or waited, for people: its gates with their holders, its place, its workers, its history."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from headgate.cli.output import ago, counted, local, span
from headgate.core.states import AWAITING_INFRA, AWAITING_RETRY
from headgate.schema.explanations import Estimate, Explanation, Gate, Position, SeenAgent, SeenWorker, Wait
from headgate.schema.states import State, StateType

WORDS = 300
"""How much is shown of a log line."""


def explanation_text(it: Explanation, *, now: datetime) -> str:
    """All that an explanation says, the answer first."""
    lines = [it.summary, "", *_about(it, now)]
    if it.gates:
        heading = "What blocks it:" if it.waiting else "What it waits for:" if it.state_type is StateType.PENDING else "Why:"
        lines += ["", heading, *_indented(_gates(it, now))]
    if it.waiting and it.work_pool_name:
        workers = [_worker(worker, now) for worker in it.workers]
        lines += ["", f"Workers of {it.work_pool_name}:", *_indented(workers or ["none"])]
    if it.agents:
        agents = [_holder(agent.name or str(agent.id), agent, now) for agent in it.agents]
        lines += ["", f"Agents that poll {it.work_queue_name}:", *_indented(agents)]
    if it.waits:
        lines += ["", f"{_word(it)} {span(it.waited_seconds)} beyond its time:", *_indented(_waits(it.waits))]
    return "\n".join(lines)


def waiting_text(it: Explanation, history: Sequence[State], *, now: datetime) -> str:
    """What a run waits or waited for, in short, and its states."""
    lines = []
    if it.waiting:
        lines += ["Waiting:", *_indented(_gates(it, now) or [it.summary])]
    if it.waits:
        word = "Waited so far" if it.waiting else "Waited"
        lines += [f"{word}: {span(it.waited_seconds)} beyond its time", *_indented(_waits(it.waits))]
    width = max((len(state.name) for state in history), default=0)
    states = [f"{local(state.timestamp)}  {state.name:<{width}}  {state.message or ''}".rstrip() for state in history]
    return "\n".join([*lines, "History:", *_indented(states)])


def _word(it: Explanation) -> str:
    return "It has waited" if it.waiting else "It waited"


def _about(it: Explanation, now: datetime) -> Iterator[str]:
    """What the run is and where, a line for each fact."""
    of = f" of {it.deployment_name}" if it.deployment_name else ""
    yield f"flow run     {it.name}{of} ({it.flow_run_id})"
    yield f"state        {it.state_name}" + (f" for {_age(it.since, now)}" if it.since else "")
    if it.state_message and it.state_name in (AWAITING_RETRY, AWAITING_INFRA, "Crashed", "Failed"):
        yield f"message      {it.state_message}"
    if it.work_pool_name:
        polled = f" (last polled {ago(it.last_polled, now)})" if it.last_polled else " (never polled)"
        yield f"work queue   {it.work_pool_name}/{it.work_queue_name}" + polled * it.waiting
    if it.waiting and it.process_polled:
        yield f"served by    a process of its own (last polled {ago(it.process_polled, now)})"
    if it.due_at:
        yield f"due          {local(it.due_at)} ({ago(it.due_at, now)})"
    if it.earliest_start:
        yield f"can start    {local(it.earliest_start)} at the earliest ({ago(it.earliest_start, now)})"
    if it.estimate:
        yield f"likely start {local(it.estimate.start_time)} ({ago(it.estimate.start_time, now)}), {_basis(it.estimate)}"
    if it.holder:
        lease = f" (lease ends {ago(it.lease_expires_at, now)})" if it.lease_expires_at else ""
        yield f"held by      {it.holder}{lease}"
    elif it.lease_expires_at:
        yield f"held by      its own process (lease ends {ago(it.lease_expires_at, now)})"


def _basis(estimate: Estimate) -> str:
    """On what an estimate rests."""
    names = estimate.deployments[:3] + [f"{len(estimate.deployments) - 3} more"] * (len(estimate.deployments) > 3)
    ahead = f", {counted(estimate.ahead, 'run')} ahead" if estimate.ahead else ""
    return f"by the last {counted(estimate.runs, 'run')} of {', '.join(names)}{ahead}"


def _gates(it: Explanation, now: datetime) -> list[str]:
    """The gates, each followed by who holds it; and the run's place among others."""
    lines = []
    for gate in it.gates:
        when = f" ({ago(gate.until, now)})" if gate.until else ""
        lines += [f"{gate.message}{when}", *_indented(_holders(gate, now))]
        if word := gate.last_word:
            lines += _indented([f"last logged, {ago(word.timestamp, now)} by {word.name}: {_first_line(word.message)}"])
    return lines + ([_place(it.position)] if it.position and it.gates and it.position.ahead else [])


def _holders(gate: Gate, now: datetime) -> list[str]:
    states = [f"{each.state_name} for {_age(each.since, now)}" for each in gate.holders]
    name = max((len(each.name) for each in gate.holders), default=0)
    width = max(map(len, states), default=0)
    pairs = zip(gate.holders, states, strict=True)
    lines = [f"{each.name:<{name}}  {state:<{width}}  {each.flow_run_id}" for each, state in pairs]
    others = (gate.used or 0) - gate.ahead - len(gate.holders)
    return lines + [f"and {others} more"] * (others > 0)


def _first_line(message: str) -> str:
    return (message.splitlines() or [""])[0][:WORDS]


def _place(position: Position) -> str:
    if position.more:
        return f"at least {position.ahead} runs go before it; of these at least {position.starting} can start now"
    verb = "goes" if position.ahead == 1 else "go"
    return f"{counted(position.ahead, 'run')} {verb} before it; of these {position.starting or 'none'} can start now"


def _worker(worker: SeenWorker, now: datetime) -> str:
    return _holder(worker.name, worker, now)


def _holder(name: str, it: SeenWorker | SeenAgent, now: datetime) -> str:
    beat = f"heartbeat {ago(it.last_heartbeat_time, now)}" if it.last_heartbeat_time else "never heard of"
    leaving = ", draining" if it.draining else ""
    return f"{name}  {it.status}{leaving}, {beat}, has {counted(it.runs, 'run')}"


def _waits(waits: Sequence[Wait]) -> list[str]:
    return [f"{each.state_name} {span(each.seconds)}" + (f": {each.message}" if each.message else "") for each in waits]


def _age(since: datetime, now: datetime) -> str:
    return span(max((now - since).total_seconds(), 0.0))


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]
