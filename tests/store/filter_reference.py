"""What the `/filter` grammar means, said again in plain Python over records in memory, one by one."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from headgate.core.liveness import worker_status
from headgate.schema.agents import Agent
from headgate.schema.deployments import Deployment
from headgate.schema.filters import (
    BoolFilter,
    CreatorFilter,
    Filter,
    IdFilter,
    IntFilter,
    LevelFilter,
    NameFilter,
    NullableIdFilter,
    NullableNameFilter,
    Operator,
    QueueNameFilter,
    Selection,
    StateFilter,
    StateTypeFilter,
    TagsFilter,
    TextFilter,
    TextsFilter,
    TimeFilter,
    WorkerStatusFilter,
)
from headgate.schema.flow_runs import CreatedBy, FlowRun
from headgate.schema.flows import Flow
from headgate.schema.logs import Log
from headgate.schema.secrets import Secret
from headgate.schema.task_runs import TaskRun
from headgate.schema.variables import Variable
from headgate.schema.work_pools import WorkPool
from headgate.schema.work_queues import WorkQueue
from headgate.schema.workers import Worker


@dataclass
class Data:
    """All records of a database."""

    flows: list[Flow] = field(default_factory=list)
    deployments: list[Deployment] = field(default_factory=list)
    flow_runs: list[FlowRun] = field(default_factory=list)
    task_runs: list[TaskRun] = field(default_factory=list)
    work_pools: list[WorkPool] = field(default_factory=list)
    work_queues: list[WorkQueue] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)
    agents: list[Agent] = field(default_factory=list)
    logs: list[Log] = field(default_factory=list)
    variables: list[Variable] = field(default_factory=list)
    secrets: list[Secret] = field(default_factory=list)


def combined(tests: Sequence[bool | None], operator: Operator = Operator.AND) -> bool:
    """None is a test that was not asked for; no test at all holds."""
    asked = [test for test in tests if test is not None]
    if not asked:
        return True
    return any(asked) if operator is Operator.OR else all(asked)


def among(value: Any, wanted: list[Any] | None) -> bool | None:
    return None if wanted is None else value in wanted


def not_among(value: Any, unwanted: list[Any] | None) -> bool | None:
    return None if unwanted is None else value not in unwanted


def null(value: Any, wanted: bool | None) -> bool | None:
    return None if wanted is None else (value is None) is wanted


def bounded(value: Any, *, least: Any, most: Any, is_null: bool | None = None) -> bool:
    above = None if least is None else value is not None and value >= least
    below = None if most is None else value is not None and value <= most
    return combined([above, below, null(value, is_null)])


def tagged(tags: list[str], f: TagsFilter) -> bool:
    every = None if not f.all_ else set(f.all_) <= set(tags)
    some = None if f.any_ is None else bool(set(f.any_) & set(tags))
    return combined([every, some, None if f.is_null_ is None else (not tags) is f.is_null_], f.operator)


def holds(f: Any, value: Any) -> bool | None:
    """Whether `value` passes the filter of one field; None when there is no filter."""
    match f:
        case None:
            return None
        case IdFilter() | TextsFilter() | StateTypeFilter() | WorkerStatusFilter():
            return combined([among(value, f.any_), not_among(value, f.not_any_)])
        case NullableIdFilter() | NullableNameFilter():
            return combined([among(value, f.any_), null(value, f.is_null_)], f.operator)
        case NameFilter() | QueueNameFilter() | TextFilter():
            return worded(value, f)
        case TimeFilter() | IntFilter() | LevelFilter():
            return measured(value, f)
        case TagsFilter():
            return tagged(value, f)
        case BoolFilter():
            return None if f.eq_ is None else value is f.eq_
        case CreatorFilter():
            return created(value, f)
    raise AssertionError(f)


def wild(value: str | None, f: NameFilter, *, signs: str = "%_") -> bool:
    """As a name, whose `%` stands for any text, but `_` for any character as well."""
    parts = {sign: {"%": ".*", "_": "."}[sign] for sign in signs}
    pattern = "".join(parts.get(c, re.escape(c)) for c in (f.like_ or "").lower())
    found = value is not None and re.search(pattern, value.lower(), re.DOTALL) is not None
    return combined([among(value, f.any_), None if f.like_ is None else found])


def worded(value: str | None, f: NameFilter | QueueNameFilter | TextFilter) -> bool:
    match f:
        case NameFilter():
            return wild(value, f, signs="%")
        case QueueNameFilter():
            starts = None if f.startswith_ is None else value is not None and value.startswith(tuple(f.startswith_))
            return combined([among(value, f.any_), starts])
    return value is not None and f.query.lower() in value.lower()


def searched(text: str, words: list[str]) -> bool | None:
    """Of a search without quotes: one of the plain words, each with a plus, none with a minus."""
    plain = [word for word in words if word[0] not in "-!+"]
    if not words:
        return None
    wanted = all(word[1:] in text for word in words if word[0] == "+")
    unwanted = any(word[1:] in text for word in words if word[0] in "-!")
    return wanted and not unwanted and (not plain or any(word in text for word in plain))


def measured(value: Any, f: TimeFilter | IntFilter | LevelFilter) -> bool:
    match f:
        case TimeFilter():
            return bounded(value, least=f.after_, most=f.before_, is_null=f.is_null_)
        case IntFilter():
            return bounded(value, least=f.ge_, most=f.le_, is_null=f.is_null_)
    return bounded(value, least=f.ge_, most=f.le_)


def created(value: CreatedBy | None, f: CreatorFilter) -> bool:
    ids = among(value.id if value else None, f.id_)
    return combined([ids, among(value.type if value else None, f.type_), null(value, f.is_null_)], f.operator)


def state_holds(run: FlowRun | TaskRun, f: StateFilter | None) -> bool | None:
    if f is None:
        return None
    return combined([holds(f.type, run.state_type), holds(f.name, run.state_name)], f.operator)


class Reference:
    """Answers queries over `data`, as `now` sees it."""

    def __init__(self, data: Data, now: datetime) -> None:
        self.data = data
        self.now = now

    def matches(self, collection: str, record: Any, f: Filter | None) -> bool:
        """Whether a record of a collection passes that collection's filter."""
        if f is None:
            return True
        special: dict[str, Callable[[Any, Any], bool | None]] = {
            "flows.deployment": lambda flow, f: None if f.is_null_ is None else self._is_deployed(flow) is not f.is_null_,
            "flow_runs.state": state_holds,
            "flow_runs.parent_flow_run_id": lambda run, f: holds(f, self._parent(run)),
            "task_runs.state": state_holds,
            "task_runs.subflow_runs": lambda task, f: None if f.exists_ is None else self._stands(task) is f.exists_,
            "flow_runs.start_time": lambda run, f: combined(
                [
                    bounded(run.start_time or run.expected_start_time, least=f.after_, most=f.before_),
                    null(run.start_time, f.is_null_),
                ]
            ),
            "flow_runs.next_scheduled_start_time": lambda run, f: holds(f, run.next_scheduled_start_time),
            "deployments.is_schedule_active": lambda it, f: None if f.eq_ is None else it.paused is not f.eq_,
            "deployments.concurrency_limit": lambda it, f: holds(f, it.limit),
            "deployments.flow_or_deployment_name": lambda it, f: holds(f, it.name) or holds(f, self._flow(it).name),
            "variables.name": lambda variable, f: wild(variable.name, f),
            "variables.value": lambda variable, f: wild(None if variable.value is None else str(variable.value), f),
            "workers.status": lambda worker, f: holds(f, self._status(worker)),
            "agents.status": lambda agent, f: holds(f, self._status(agent)),
            "logs.text": lambda line, f: searched(f"{line.message} {line.name}".lower(), f.query.lower().split()),
        }
        tests = []
        for name in f.__struct_fields__:
            value = getattr(f, name)
            if name == "operator" or value is None:
                continue
            test = special.get(f"{collection}.{name}")
            tests.append(test(record, value) if test else holds(value, getattr(record, name)))
        return combined(tests, getattr(f, "operator", Operator.AND))

    def select(self, collection: str, query: Selection) -> list[Any]:
        """Records that pass their own filter, and that have related ones that pass theirs.

        Where a collection hangs on another by way of a third, one record of the third has to do for all of their filters.
        """
        wanted = {name: getattr(query, name) for name in ("flows", "flow_runs", "task_runs", "deployments", "work_pools")}
        wanted["work_queues"] = query.work_queues or query.work_pool_queues
        given = {name: f for name, f in wanted.items() if f is not None}
        return [each for each in getattr(self.data, collection) if self._passes(collection, each, given)]

    def _passes(self, collection: str, record: Any, given: dict[str, Filter]) -> bool:
        if not self.matches(collection, record, given.get(collection)):
            return False
        groups: dict[str, dict[str, Filter]] = {}
        for name, f in given.items():
            if name != collection:
                groups.setdefault(self._by_way_of(collection, name), {})[name] = f
        return all(
            any(self._passes(name, other, group) for other in self._related(collection, record, name))
            for name, group in groups.items()
        )

    def _by_way_of(self, collection: str, name: str) -> str:
        match collection, name:
            case (("flows" | "deployments"), "task_runs"):
                return "flow_runs"
            case "flows", ("work_queues" | "work_pools"):
                return "deployments"
            case "task_runs", _:
                return "flow_runs"
        return name

    def _related(self, collection: str, record: Any, name: str) -> list[Any]:
        keys = {
            "flows": "flow_id",
            "flow_runs": "flow_run_id",
            "deployments": "deployment_id",
            "work_queues": "work_queue_id",
            "work_pools": "work_pool_id",
        }
        others = getattr(self.data, name)
        if (name, collection) in (("flow_runs", "flows"), ("deployments", "flows"), ("flow_runs", "deployments")) or (
            name == "task_runs"
        ):
            return [other for other in others if getattr(other, keys[collection]) == record.id]
        return [other for other in others if getattr(record, keys[name]) == other.id]

    def _parent(self, run: FlowRun) -> Any:
        tasks = {task.id: task for task in self.data.task_runs}
        return tasks[run.parent_task_run_id].flow_run_id if run.parent_task_run_id in tasks else None

    def _stands(self, task: TaskRun) -> bool:
        return any(run.parent_task_run_id == task.id for run in self.data.flow_runs)

    def _deployments(self, flow: Flow) -> list[Deployment]:
        return [each for each in self.data.deployments if each.flow_id == flow.id]

    def _is_deployed(self, flow: Flow) -> bool:
        return bool(self._deployments(flow))

    def _flow(self, deployment: Deployment) -> Flow:
        return next(each for each in self.data.flows if each.id == deployment.flow_id)

    def _status(self, it: Worker | Agent) -> Any:
        return worker_status(it.last_heartbeat_time, it.heartbeat_interval_seconds, now=self.now)
