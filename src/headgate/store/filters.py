"""The `/filter` grammar as SQL conditions.

Every condition is text over fixed aliases (`f` flow, `e` deployment, `r` flow_run, `d` its detail, `t` task_run, `q`
work_queue, `p` work_pool, `w` worker, `a` agent, `v` variable, `s` secret, `l` log) with its values in `Params`, so that
requests of the same shape share one prepared statement.
"""

from datetime import datetime, timedelta
from typing import Any

from headgate.core.event_filters import words
from headgate.core.liveness import HEARTBEAT_SECONDS, MISSED_BEATS
from headgate.schema.filters import (
    AgentFilter,
    CreatorFilter,
    DeploymentFilter,
    FlowFilter,
    FlowRunFilter,
    IdFilter,
    IntFilter,
    LevelFilter,
    LogFilter,
    NameFilter,
    NullableIdFilter,
    NullableNameFilter,
    Operator,
    QueueNameFilter,
    SecretFilter,
    StateFilter,
    TagsFilter,
    TaskRunFilter,
    TextsFilter,
    TimeFilter,
    VariableFilter,
    WorkerFilter,
    WorkerStatusFilter,
    WorkPoolFilter,
    WorkQueueFilter,
)
from headgate.schema.states import StateType
from headgate.schema.workers import WorkerStatus


class Params:
    """Values of a statement, each under a name of its own."""

    def __init__(self, dialect: str) -> None:
        self.values: dict[str, Any] = {}
        self.second = "INTERVAL '1 second'" if dialect == "postgresql" else "1000000"
        """What the difference of two times is counted in."""
        self._dialect = dialect
        self._text_as = "({} #>> '{{}}')" if dialect == "postgresql" else "CAST({} ->> '$' AS TEXT)"
        self._lists_as = "jsonb_array_elements_text({}) AS each(value)" if dialect == "postgresql" else "json_each({})"

    def one(self, value: Any, kind: str | None = None) -> str:
        """A placeholder for `value`."""
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f":{name}::{kind}" if kind else f":{name}"

    def many(self, values: list[Any], kind: str) -> str:
        """A placeholder for the list on the right of `IN`."""
        return self.one(values, kind) + "[]"

    def seconds(self, difference: str) -> str:
        """The difference of two times in seconds."""
        if self._dialect == "postgresql":
            return f"date_part('epoch', {difference})"
        return f"(({difference}) / 1000000.0)"

    def intervals(self, time: str, start: datetime, interval: timedelta) -> str:
        """How many whole intervals have passed from a start to a later time."""
        since, length = self.one(start, "timestamptz"), self.one(interval // timedelta(microseconds=1), "bigint")
        if self._dialect == "postgresql":  # of what is equal to the microsecond; numbers of arbitrary size are slow
            begun = f"date_bin({length} * INTERVAL '1 microsecond', {time}, {since})"
            return f"CAST(round(date_part('epoch', {begun} - {since}) * 1000000 / {length}) AS bigint)"
        return f"(({time} - {since}) / {length})"

    def text_of(self, column: str) -> str:
        """A JSON column that holds one value, as the text of that."""
        return self._text_as.format(column)

    def items(self, column: str) -> str:
        """A JSON list column as rows of `value`."""
        return self._lists_as.format(column)


def joined(conditions: list[str | None], operator: Operator = Operator.AND) -> str:
    """Conditions combined; none means true."""
    given = [condition for condition in conditions if condition]
    word = " OR " if operator is Operator.OR else " AND "
    return "(" + word.join(given) + ")" if given else "TRUE"


def _ids(column: str, f: IdFilter | NullableIdFilter | None, p: Params, *, kind: str = "uuid") -> str | None:
    match f:
        case IdFilter(any_=wanted, not_any_=unwanted):
            return joined([among(column, wanted, p, kind), _not_among(column, unwanted, p, kind)])
        case NullableIdFilter(any_=wanted, is_null_=null):
            return joined([among(column, wanted, p, kind), _null(column, null)], f.operator)
    return None


def among(column: str, values: list[Any] | None, p: Params, kind: str) -> str | None:
    """Whether a column is one of some values; None where there are none to compare with."""
    if values is None:
        return None
    if len(values) == 1:  # an equality, behind which an index goes on in its order
        return f"{column} = {p.one(values[0], kind)}"
    return f"{column} IN {p.many(values, kind)}"


def _not_among(column: str, values: list[Any] | None, p: Params, kind: str) -> str | None:
    return f"({column} IS NULL OR {column} NOT IN {p.many(values, kind)})" if values is not None else None


def _null(column: str, wanted: bool | None) -> str | None:
    return None if wanted is None else f"{column} IS NULL" if wanted else f"{column} IS NOT NULL"


def _like(column: str, text: str, p: Params, *, wild: str = "") -> str:
    """Whether a part of a column is a text, in which the signs of `wild` stand for any text (`%`) and any sign (`_`)."""
    # Both sides are lowered by the database: its idea of letters may differ from Python's.
    escaped = text.replace("\\", r"\\")
    for sign in {"%", "_"} - {*wild}:
        escaped = escaped.replace(sign, f"\\{sign}")
    return f"lower({column}) LIKE lower({p.one(f'%{escaped}%', 'text')}) ESCAPE '\\'"


def _name(column: str, f: NameFilter | TextsFilter | QueueNameFilter | NullableNameFilter | None, p: Params) -> str | None:
    match f:
        case NameFilter(any_=wanted, like_=text):
            like = None if text is None else _like(column, text, p, wild="%")
            return joined([among(column, wanted, p, "text"), like])
        case TextsFilter(any_=wanted, not_any_=unwanted):
            return joined([among(column, wanted, p, "text"), _not_among(column, unwanted, p, "text")])
        case NullableNameFilter(any_=wanted, is_null_=null):
            return joined([among(column, wanted, p, "text"), _null(column, null)], f.operator)
        case QueueNameFilter(any_=wanted, startswith_=starts):
            return joined([among(column, wanted, p, "text"), _starts(column, starts, p)])
    return None


def _starts(column: str, starts: list[str] | None, p: Params) -> str | None:
    if starts is None:
        return None
    tests: list[str | None] = [f"substr({column}, 1, {len(start)}) = {p.one(start, 'text')}" for start in starts]
    return joined(tests, Operator.OR) if tests else "FALSE"


def _creator(column: str, f: CreatorFilter | None, p: Params) -> str | None:
    if f is None:
        return None
    ids = None if f.id_ is None else [str(id) for id in f.id_]
    own = [among(f"({column} ->> 'id')", ids, p, "text"), among(f"({column} ->> 'type')", f.type_, p, "text")]
    return joined([*own, _null(column, f.is_null_)], f.operator)


def tags(column: str, f: TagsFilter | None, p: Params) -> str | None:
    """What a list of tags is to hold."""
    if f is None:
        return None
    rows = p.items(column)
    every = f.all_ and (
        f"(SELECT count(DISTINCT value) FROM {rows} WHERE value IN {p.many(f.all_, 'text')}) = {len(set(f.all_))}"
    )
    some = f.any_ is not None and f"EXISTS (SELECT 1 FROM {rows} WHERE value IN {p.many(f.any_, 'text')})"
    none = f.is_null_ is not None and f"{column} {'=' if f.is_null_ else '<>'} '[]'"
    return joined([every or None, some or None, none or None], f.operator)


def _times(column: str, f: TimeFilter | None, p: Params, *, instead: str | None = None) -> str | None:
    """`instead`: the column that bounds go by where the first is null."""
    if f is None:
        return None

    def bound(sign: str, time: datetime | None) -> str | None:
        found = f"COALESCE({column}, {instead})" if instead else column
        return f"{found} {sign} {p.one(time, 'timestamptz')}" if time is not None else None

    return joined([bound("<=", f.before_), bound(">=", f.after_), _null(column, f.is_null_)])


def _state(alias: str, f: StateFilter | None, p: Params) -> str | None:
    if f is None:
        return None
    kind = None
    if f.type is not None:
        column = f"{alias}.state_type"
        kind = joined([_is_type(column, f.type.any_), _not_among(column, f.type.not_any_, p, "text")])
    return joined([kind, _name(f"{alias}.state_name", f.name, p)], f.operator)


def _is_type(column: str, types: list[StateType] | None) -> str | None:
    # Written out: there are few, and the planner has to see which they are, to know of partial indexes and of how many rows.
    wanted = [f"'{kind.value}'" for kind in sorted({*types})] if types is not None else None
    if not wanted:
        return None if wanted is None else "FALSE"
    return f"{column} = {wanted[0]}" if len(wanted) == 1 else f"{column} IN ({', '.join(wanted)})"


def flow_condition(f: FlowFilter | None, p: Params) -> str:
    """On `f`."""
    if f is None:
        return "TRUE"
    without = f.deployment.is_null_ if f.deployment else None
    exists = "EXISTS (SELECT 1 FROM deployment x WHERE x.flow_id = f.id)"
    deployed = None if without is None else f"NOT {exists}" if without else exists
    return joined([_ids("f.id", f.id, p), _name("f.name", f.name, p), tags("f.tags", f.tags, p), deployed], f.operator)


def flow_run_condition(f: FlowRunFilter | None, p: Params) -> str:
    """On `r`, its detail `d` and its queue `q`."""
    if f is None:
        return "TRUE"
    return joined(
        [
            _ids("r.id", f.id, p),
            _name("d.name", f.name, p),
            tags("d.tags", f.tags, p),
            _ids("r.deployment_id", f.deployment_id, p),
            _name("q.name", f.work_queue_name, p),
            _state("r", f.state, p),
            _name("d.flow_version", f.flow_version, p),
            _times("r.start_time", f.start_time, p, instead="r.expected_start_time"),
            _times("r.end_time", f.end_time, p),
            _times("r.expected_start_time", f.expected_start_time, p),
            _times("r.due_at", f.next_scheduled_start_time, p),
            _ids("d.parent_task_run_id", f.parent_task_run_id, p),
            _parents(f.parent_flow_run_id, p),
            _name("d.idempotency_key", f.idempotency_key, p),
            _creator("d.created_by", f.created_by, p),
        ],
        f.operator,
    )


def _parents(f: NullableIdFilter | None, p: Params) -> str | None:
    """A run is the child of a task run, and of a flow run through that."""
    if f is None:
        return None
    parent = "(SELECT x.flow_run_id FROM task_run x WHERE x.id = d.parent_task_run_id)"
    return _ids(parent, f, p)


def task_run_condition(f: TaskRunFilter | None, p: Params) -> str:
    """On `t`."""
    if f is None:
        return "TRUE"
    stands = "EXISTS (SELECT 1 FROM flow_run_detail x WHERE x.parent_task_run_id = t.id)"
    wanted = f.subflow_runs.exists_ if f.subflow_runs else None
    return joined(
        [
            _ids("t.id", f.id, p),
            _name("t.name", f.name, p),
            tags("t.tags", f.tags, p),
            _state("t", f.state, p),
            _times("t.start_time", f.start_time, p),
            _times("t.end_time", f.end_time, p),
            _times("t.expected_start_time", f.expected_start_time, p),
            None if wanted is None else stands if wanted else f"NOT {stands}",
            _ids("t.flow_run_id", f.flow_run_id, p),
        ],
        f.operator,
    )


def deployment_condition(f: DeploymentFilter | None, p: Params) -> str:
    """On `e` and its queue `q`."""
    if f is None:
        return "TRUE"
    paused = f.paused.eq_ if f.paused else None
    active = f.is_schedule_active.eq_ if f.is_schedule_active else None
    either = f.flow_or_deployment_name
    return joined(
        [
            _ids("e.id", f.id, p),
            _name("e.name", f.name, p),
            tags("e.tags", f.tags, p),
            _name("COALESCE(q.name, e.work_queue_name)", f.work_queue_name, p),
            None if paused is None else "e.paused" if paused else "NOT e.paused",
            None if active is None else "NOT e.paused" if active else "e.paused",
            _numbers("e.concurrency_limit", f.concurrency_limit, p),
            joined([_name("e.name", either, p), _flow_name(either, p)], Operator.OR) if either else None,
        ],
        f.operator,
    )


def _flow_name(f: NameFilter, p: Params) -> str:
    return f"EXISTS (SELECT 1 FROM flow f WHERE f.id = e.flow_id AND {_name('f.name', f, p)})"


def _numbers(column: str, f: IntFilter | LevelFilter | None, p: Params) -> str | None:
    if f is None:
        return None
    at_least = None if f.ge_ is None else f"{column} >= {p.one(f.ge_, 'integer')}"
    at_most = None if f.le_ is None else f"{column} <= {p.one(f.le_, 'integer')}"
    return joined([at_least, at_most, _null(column, f.is_null_) if isinstance(f, IntFilter) else None])


def work_pool_condition(f: WorkPoolFilter | None, p: Params) -> str:
    """On `p`."""
    if f is None:
        return "TRUE"
    return joined([_ids("p.id", f.id, p), _name("p.name", f.name, p), _name("p.type", f.type, p)], f.operator)


def work_queue_condition(f: WorkQueueFilter | None, p: Params) -> str:
    """On `q`."""
    return "TRUE" if f is None else joined([_ids("q.id", f.id, p), _name("q.name", f.name, p)], f.operator)


def worker_condition(f: WorkerFilter | None, p: Params, now: datetime) -> str:
    """On `w`; the status as it is at `now`, by the rule of `core.liveness`."""
    if f is None:
        return "TRUE"
    return joined([_times("w.last_heartbeat_time", f.last_heartbeat_time, p), _alive("w", f.status, p, now)], f.operator)


def agent_condition(f: AgentFilter | None, p: Params, now: datetime) -> str:
    """On `a`; the status as for workers."""
    if f is None:
        return "TRUE"
    own = [_ids("a.id", f.id, p), _name("a.name", f.name, p), _name("a.work_pool_name", f.work_pool_name, p)]
    seen = [_times("a.last_heartbeat_time", f.last_heartbeat_time, p), _alive("a", f.status, p, now)]
    return joined([*own, *seen], f.operator)


def _alive(alias: str, f: WorkerStatusFilter | None, p: Params, now: datetime) -> str | None:
    if f is None:
        return None
    interval = f"COALESCE(NULLIF({alias}.heartbeat_interval_seconds, 0), {HEARTBEAT_SECONDS})"
    age = f"{p.one(now, 'timestamptz')} - {alias}.last_heartbeat_time"
    online = f"({age} <= {MISSED_BEATS} * {interval} * {p.second})"
    current = f"CASE WHEN {online} THEN '{WorkerStatus.ONLINE}' ELSE '{WorkerStatus.OFFLINE}' END"
    return joined([among(current, f.any_, p, "text"), _not_among(current, f.not_any_, p, "text")])


def variable_condition(f: VariableFilter | None, p: Params) -> str:
    """On `v`."""
    if f is None:
        return "TRUE"
    own = [_ids("v.id", f.id, p), _wild("v.name", f.name, p), _wild(p.text_of("v.value"), f.value, p)]
    return joined([*own, tags("v.tags", f.tags, p)], f.operator)


def _wild(column: str, f: NameFilter | None, p: Params) -> str | None:
    if f is None:
        return None
    like = None if f.like_ is None else _like(column, f.like_, p, wild="%_")
    return joined([among(column, f.any_, p, "text"), like])


def secret_condition(f: SecretFilter | None, p: Params) -> str:
    """On `s`."""
    return "TRUE" if f is None else joined([_ids("s.id", f.id, p), _name("s.name", f.name, p)], f.operator)


def _words(text: str, query: str, p: Params) -> str | None:
    """What a search in words asks for; a search without any constrains nothing."""
    wanted = words(query)
    tests: list[str | None] = [_like(text, word, p) for word in wanted.all]
    tests += [f"NOT {_like(text, word, p)}" for word in wanted.none]
    if wanted.any:
        tests.append(joined([_like(text, word, p) for word in wanted.any], Operator.OR))
    return joined(tests) if tests else None


def log_condition(f: LogFilter | None, p: Params) -> str:
    """On `l`."""
    if f is None:
        return "TRUE"
    return joined(
        [
            _numbers("l.level", f.level, p),
            _times("l.timestamp", f.timestamp, p),
            _ids("l.flow_run_id", f.flow_run_id, p),
            _ids("l.task_run_id", f.task_run_id, p),
            _words("l.message || ' ' || l.name", f.text.query, p) if f.text else None,
        ],
        f.operator,
    )
