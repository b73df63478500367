"""Explanations on the wire: why a run waits, or who has it and how long it waited."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct, field

from headgate.schema.pauses import Pause
from headgate.schema.states import StateType
from headgate.schema.workers import WorkerStatus


class Holder(Struct, kw_only=True):
    """A run that has a slot; `since` is when it entered its state."""

    flow_run_id: UUID
    name: str
    state_name: str
    since: datetime


class LastWord(Struct, kw_only=True):
    """The last log line of a run; `name` is its logger's, such as `headgate.worker`."""

    timestamp: datetime
    name: str
    message: str


class Gate(Struct, kw_only=True):
    """One thing that holds a run back; `message` says it in a sentence.

    Of a limit: `used` of `limit` slots are taken, `ahead` of them by better runs that are about to start; `holders` are
    up to ten of those that have one. `until` is when it opens by itself, where that is known. `last_word` is what was
    logged last while its infrastructure is being started.
    """

    kind: str
    message: str
    record_id: UUID | None = None
    limit: int | None = None
    used: int | None = None
    ahead: int = 0
    holders: list[Holder] = field(default_factory=list)
    pause: Pause | None = None
    until: datetime | None = None
    last_word: LastWord | None = None


class Position(Struct, kw_only=True):
    """How many due runs go before it, and how many of those can start now; `more`: there are more than were counted."""

    ahead: int
    starting: int
    more: bool = False


class Estimate(Struct, kw_only=True):
    """The likely start of a run that waits for slots, by how long runs took that ended lately: so many `runs`, of those
    `deployments` whose runs hold the slots, with `ahead` runs that want one of them before it.
    """

    start_time: datetime
    runs: int
    deployments: list[str]
    ahead: int = 0


class SeenWorker(Struct, kw_only=True):
    """A worker of the run's pool, and how many runs it has. `draining`: it takes no more, and leaves."""

    name: str
    status: WorkerStatus
    last_heartbeat_time: datetime | None
    runs: int
    draining: bool = False


class SeenAgent(Struct, kw_only=True):
    """An agent that polls the run's queue, and how many runs it has. Without a name it is known by its id."""

    id: UUID
    name: str | None
    status: WorkerStatus
    last_heartbeat_time: datetime | None
    runs: int
    draining: bool = False


class Wait(Struct, kw_only=True):
    """A stretch of waiting beyond its time, under the name and with the message of the state that it waited in."""

    state_name: str
    since: datetime
    seconds: float
    message: str | None = None


class Explanation(Struct, kw_only=True):
    """Why a run waits: its gates, outermost first, or none when the next poll takes it; or who has it.

    A run that is being started, and one that crashed before its code began, can have gates, too.

    `position` is there for a run that is due in a queue. `waits` are how long it waited so far beyond its time, and for
    what; `waited_seconds` is their sum. `earliest_start` is when all that holds it back opens by itself; null where
    something does not, or nobody can say when. `process_polled` is when a process that serves its
    deployment itself polled last. `estimate` is there where limits hold it back whose holders have a history.
    """

    flow_run_id: UUID
    name: str
    summary: str
    waiting: bool
    state_type: StateType | None
    state_name: str | None
    state_message: str | None = None
    since: datetime | None = None
    due_at: datetime | None = None
    work_pool_name: str | None = None
    work_queue_name: str | None = None
    deployment_name: str | None = None
    gates: list[Gate] = field(default_factory=list)
    position: Position | None = None
    workers: list[SeenWorker] = field(default_factory=list)
    agents: list[SeenAgent] = field(default_factory=list)
    earliest_start: datetime | None = None
    estimate: Estimate | None = None
    last_polled: datetime | None = None
    process_polled: datetime | None = None
    holder: str | None = None
    lease_expires_at: datetime | None = None
    waits: list[Wait] = field(default_factory=list)
    waited_seconds: float = 0.0


class OldestRun(Struct, kw_only=True):
    """The run of a queue that has been due for longest, and what holds it back first (none: the next poll takes it)."""

    flow_run_id: UUID
    name: str
    due_at: datetime
    gate: Gate | None = None


class QueueExplanation(Struct, kw_only=True):
    """A queue at work: slots in use of its limit, runs that are due and held by nobody, and how many of those are Late.

    `served`: something polled it lately that takes runs. `more`: more are due than were counted.
    """

    name: str
    priority: int
    is_paused: bool
    pause: Pause | None = None
    concurrency_limit: int | None = None
    active_slots: int
    last_polled: datetime | None = None
    served: bool
    due: int
    late: int
    more: bool = False
    oldest: OldestRun | None = None


class PoolExplanation(Struct, kw_only=True):
    """A pool at work, with its queues by priority and its workers."""

    name: str
    type: str
    is_paused: bool
    pause: Pause | None = None
    concurrency_limit: int | None = None
    active_slots: int
    queues: list[QueueExplanation]
    workers: list[SeenWorker]
