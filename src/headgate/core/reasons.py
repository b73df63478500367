"""Gates in words for people."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from headgate.core.dispatch import Gate, GateKind
from headgate.core.states import SUSPECTED
from headgate.schema.pauses import Pause
from headgate.schema.states import StateType

_LABELS = {
    GateKind.POOL_PAUSED: "work pool paused",
    GateKind.QUEUE_PAUSED: "work queue paused",
    GateKind.DEPLOYMENT_PAUSED: "deployment paused",
    GateKind.POOL_LIMIT: "work pool limit",
    GateKind.QUEUE_LIMIT: "work queue limit",
    GateKind.DEPLOYMENT_LIMIT: "deployment limit",
    GateKind.SHARED_LIMIT: "shared limit",
    GateKind.KEY_LIMIT: "concurrency key limit",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """What the words about a run's gates need: names of where it belongs, and facts that gates do not carry.

    `typed`: its pool is served by workers, of which `online` are so, `draining` of them. `deployment` is
    `flow/deployment`, `key` its concurrency key, `shared` the name of the limit that its deployment shares with others, of
    which so many slots were `taken_by_name`, not by runs.
    """

    pool: str | None = None
    queue: str | None = None
    deployment: str | None = None
    key: str | None = None
    shared: str | None = None
    taken_by_name: int = 0
    typed: bool = True
    rate_seconds: float | None = None
    online: int = 0
    draining: int = 0
    due_at: datetime | None = None
    retries: bool = False
    pauses: Mapping[GateKind, Pause] = field(default_factory=dict)


def label(gate: Gate) -> str:
    """A gate in two or three words: `work pool paused`, `deployment limit 0`."""
    text = _LABELS.get(gate.kind, gate.kind.value)
    return text if gate.limit is None else f"{text} {gate.limit}"


def sentence(gate: Gate, about: Subject) -> str:
    """A gate as a sentence without its capital and its full stop: `work queue 'high' has all of its 3 slots in use`."""
    match gate.kind:
        case GateKind.POOL_PAUSED | GateKind.QUEUE_PAUSED | GateKind.DEPLOYMENT_PAUSED:
            return _paused(_lane(gate, about), about.pauses.get(gate.kind))
        case (
            GateKind.POOL_LIMIT
            | GateKind.QUEUE_LIMIT
            | GateKind.DEPLOYMENT_LIMIT
            | GateKind.SHARED_LIMIT
            | GateKind.KEY_LIMIT
        ):
            return _full(_lane(gate, about), gate.limit or 0, gate.used or 0, gate.ahead) + _by_name(gate, about)
        case GateKind.LAUNCH_RATE | GateKind.LAUNCH_LIMIT:
            return _too_quick(gate, about) if gate.kind is GateKind.LAUNCH_RATE else _too_many(gate, about)
        case GateKind.HELD:
            return "the process that ran it still has it" + ", and is to retry it" * about.retries
        case GateKind.NO_QUEUE if about.deployment is None:
            return "it belongs to no work pool and no deployment: only whoever made it can run it"
        case GateKind.NO_QUEUE:
            return f"it belongs to no work pool, and no process serves deployment {about.deployment!r}"
        case GateKind.NOT_DUE:
            what = "its next attempt is" if about.retries else "it is"
            return f"{what} due at {_moment(about.due_at)}" if about.due_at else "it is not due"
        case GateKind.NO_WORKER:
            return _unserved(about)
        case GateKind.NO_ROOM:
            return "the worker has no room for it"


def as_message(text: str) -> str:
    """A sentence as it stands alone."""
    return f"{text[:1].upper()}{text[1:]}."


def none_blocks(about: Subject, ahead: int, *, more: bool = False) -> str:
    """What to say of a run that waits without a gate; `ahead` runs go before it, or `more`."""
    if about.queue is None:
        return "Nothing blocks it: the process that serves its deployment takes it with its next poll."
    if ahead == 0:
        return "Nothing blocks it: the next poll with room for a run takes it."
    others = f"at least {ahead} runs" if more else "the run" if ahead == 1 else f"the {ahead} runs"
    return f"Nothing blocks it: it is taken after {others} ahead of it, as soon as polls have room."


def not_taken(about: Subject) -> str:
    """Why a run that no gate blocks was not taken in time; as a sentence without its capital and its full stop."""
    if about.queue is None:
        return "the process that serves its deployment has not taken it"
    if about.typed:
        return f"workers poll work queue {about.queue!r}, but none has had room for it"
    return f"work queue {about.queue!r} is polled, but nothing has taken it"


def whereabouts(type: StateType | None, name: str | None, holder: str | None) -> str:
    """What to say of a run that does not wait; `holder` is who has it, such as `worker 'night'`."""
    match type:
        case StateType.PENDING:
            return as_message(f"{holder} has claimed it and starts it" if holder else "it was claimed, and is being started")
        case StateType.RUNNING if name == SUSPECTED:
            asked = " " + as_message(f"{holder} holds it") if holder else ""
            return f"It may be lost: nothing that holds it has reported for longer than its lease.{asked}"
        case StateType.RUNNING:
            return f"It is running; {holder} started it." if holder else "It is running."
        case StateType.CANCELLING:
            return f"It is being cancelled; {holder} is to stop it." if holder else "It is being cancelled."
        case StateType.PAUSED:
            return "It is paused until somebody resumes it."
        case None:
            return "It has no state yet."
    return f"It is over: {name}."


class LaunchGate(StrEnum):
    """What holds up a run that no limit holds back. Dispatch does not know these: such a run is handed out."""

    TEMPLATE_ERROR = "template error"
    LAUNCHING = "infrastructure pending"


@dataclass(frozen=True, slots=True)
class Launch:
    """How far the start of a run has come: whose it is since when and until when, and what it has been given."""

    holder: str | None
    since: datetime
    infrastructure: str | None
    lease_expires_at: datetime | None
    due_at: datetime | None


def flawed(pool: str, flaw: str) -> str:
    """That a run would crash, and for what; as a sentence without its capital and its full stop."""
    return f"its job cannot be made of the template of work pool {pool!r}, so that it crashes before its code begins: {flaw}"


def crashed_early(message: str | None) -> str:
    """What to say of a run that crashed before its code began."""
    return f"It crashed before its code began: {message}" if message else "It crashed before its code began."


def launching(launch: Launch, *, now: datetime) -> str:
    """Who starts a run, and how far that is; as a sentence without its capital and its full stop."""
    who = launch.holder or "whoever polled for it"
    if launch.infrastructure is None:
        told = f"{who} has been starting its infrastructure since {_moment(launch.since)}"
    elif launch.due_at and launch.due_at > now:
        told = f"{who} has started it as {launch.infrastructure}, ahead of its time, {_moment(launch.due_at)}"
    else:
        told = f"{who} has started it as {launch.infrastructure}, which has not reported since {_moment(launch.since)}"
    if launch.lease_expires_at is None:
        return f"{told}; no lease says how long it may take"
    if launch.lease_expires_at <= now:
        return f"{told}; its lease ended at {_moment(launch.lease_expires_at)}, so that it is about to be taken back"
    return f"{told}; its lease is good until {_moment(launch.lease_expires_at)}"


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _lane(gate: Gate, about: Subject) -> str:
    match gate.kind:
        case GateKind.POOL_PAUSED | GateKind.POOL_LIMIT:
            return f"work pool {about.pool!r}"
        case GateKind.QUEUE_PAUSED | GateKind.QUEUE_LIMIT:
            return f"work queue {about.queue!r}"
        case GateKind.SHARED_LIMIT:
            return f"concurrency limit {about.shared!r}, which deployment {about.deployment!r} shares,"
        case GateKind.KEY_LIMIT:
            return f"concurrency key {about.key!r} of deployment {about.deployment!r}"
    return f"deployment {about.deployment!r}"


def _paused(lane: str, pause: Pause | None) -> str:
    if pause is None:
        return f"{lane} is paused"
    by = f" by {pause.by}" if pause.by else ""
    reason = f": {pause.reason.rstrip('.')}" if pause.reason else ""
    return f"{lane} is paused since {_moment(pause.at)}{by}{reason}"


def _full(lane: str, limit: int, used: int, ahead: int) -> str:
    """`used` counts the slots that go to better runs, `ahead`, as well."""
    if limit == 0:
        return f"{lane} has a concurrency limit of 0"
    in_use, free = used - ahead, limit - (used - ahead)
    if in_use > limit:
        return f"{lane} has {in_use} slots in use, more than its limit of {limit}"
    if free <= 0:
        return f"{lane} has its only slot in use" if limit == 1 else f"{lane} has all of its {limit} slots in use"
    slots = "slot goes to a run" if free == 1 else f"{free} slots go to runs"
    return f"{lane} has {in_use} of {limit} slots in use, and the free {slots} ahead of it"


def _by_name(gate: Gate, about: Subject) -> str:
    if gate.kind is not GateKind.SHARED_LIMIT or not gate.limit or not about.taken_by_name:
        return ""
    return f"; {about.taken_by_name} of them by others than runs"


def _too_quick(gate: Gate, about: Subject) -> str:
    time = f"{about.rate_seconds:g} s" if about.rate_seconds else "its time"
    rate = f"work pool {about.pool!r} launches no more than {gate.limit} {'run' if gate.limit == 1 else 'runs'} in {time}"
    return f"{rate}; its turn is at {_moment(gate.until)}" if gate.until else rate


def _too_many(gate: Gate, about: Subject) -> str:
    """`used` counts the launches of better runs, `ahead`, as well."""
    limit, used = gate.limit or 0, (gate.used or 0) - gate.ahead
    many = "1 run" if limit == 1 else f"{limit} runs"
    are = "is" if used == 1 else "are"
    text = f"work pool {about.pool!r} launches no more than {many} at the same time, and {used} {are} on the way"
    return f"{text}; {gate.ahead} {'goes' if gate.ahead == 1 else 'go'} ahead of it" if gate.ahead else text


def _unserved(about: Subject) -> str:
    place = f"work queue {about.queue!r} of work pool {about.pool!r}"
    if not about.typed:
        return f"nothing polls {place}"
    if about.online == 0:
        return f"no worker of work pool {about.pool!r} is online"
    if about.draining == about.online:
        return f"every online worker of work pool {about.pool!r} is draining and takes no more runs"
    return f"no online worker polls {place}"
