"""The schema: every table, column and index. Read by migrations and by the tests; the running server does not import it.

Hot: `flow_run` holds what dispatch needs, in few fixed-width columns, with partial indexes on live states only.
Cold: `flow_run_detail` is written once; the states of runs and `log` are append-only, and on PostgreSQL partitioned
by their time-ordered ids.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from sqlalchemy import Column, Double, ForeignKey, Index, Integer, MetaData, Table, Text, UniqueConstraint, text
from sqlalchemy.dialects.sqlite.base import ischema_names
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import UserDefinedType


class _Typed(UserDefinedType[Any]):
    """A column type with a name of its own on each database; SQLite's names carry our converters and the affinity."""

    cache_ok = True
    names: ClassVar[Mapping[str, str]]


@compiles(_Typed)
def _name_of(kind: _Typed, compiler: Any, **_: Any) -> str:
    return kind.names[compiler.dialect.name]


class Uuid(_Typed):
    names: ClassVar = {"sqlite": "UUID_TEXT", "postgresql": "UUID"}


class Timestamp(_Typed):
    names: ClassVar = {"sqlite": "TIMESTAMP_INT", "postgresql": "TIMESTAMPTZ"}


class Json(_Typed):
    """Kept letter by letter: the order of keys in a template or a parameter set is the user's."""

    names: ClassVar = {"sqlite": "JSON_TEXT", "postgresql": "JSON"}


class Tags(_Typed):
    """A JSON list that filters look into."""

    names: ClassVar = {"sqlite": "JSON_TEXT", "postgresql": "JSONB"}


class Flag(_Typed):
    names: ClassVar = {"sqlite": "BOOL_INT", "postgresql": "BOOLEAN"}


# So that drafts of migrations, which compare with a SQLite database, read the types back.
ischema_names.update({kind.names["sqlite"]: kind for kind in (Uuid, Timestamp, Json, Flag)})

metadata = MetaData()


def _id() -> Column[Any]:
    return Column("id", Uuid, primary_key=True, nullable=False)


def _times() -> list[Column[Any]]:
    return [Column("created", Timestamp, nullable=False), Column("updated", Timestamp, nullable=False)]


def _parent(name: str, target: str, **options: Any) -> Column[Any]:
    return Column(name, Uuid, ForeignKey(target, ondelete="CASCADE"), nullable=False, **options)


def _pause() -> Column[Any]:
    """Why, by whom and since when a record is paused; null while it is not."""
    return Column("pause", Json)


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


flow = Table(
    "flow",
    metadata,
    _id(),
    *_times(),
    Column("name", Text, nullable=False, unique=True),
    Column("tags", Tags, nullable=False),
    Column("labels", Json, nullable=False),
)

work_pool = Table(
    "work_pool",
    metadata,
    _id(),
    *_times(),
    Column("name", Text, nullable=False, unique=True),
    Column("description", Text),
    Column("type", Text, nullable=False),
    Column("base_job_template", Json, nullable=False),
    Column("is_paused", Flag, nullable=False),
    Column("concurrency_limit", Integer),
    Column("default_queue_id", Uuid, nullable=False),
    Column("storage_configuration", Json, nullable=False),
    _pause(),
    Column("launch_rate", Json),
    # What was launched lately, as far as it counts for the rate; null until then.
    Column("launches", Json),
)

work_queue = Table(
    "work_queue",
    metadata,
    _id(),
    *_times(),
    _parent("work_pool_id", "work_pool.id"),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("is_paused", Flag, nullable=False),
    Column("concurrency_limit", Integer),
    # Unique in a pool, too: kept so by the service under the pool's lock, because shifting ranks passes through doubles.
    Column("priority", Integer, nullable=False),
    Column("filter", Json),
    Column("last_polled", Timestamp),
    _pause(),
    UniqueConstraint("work_pool_id", "name", name="uq_work_queue_pool_name"),
)

worker = Table(
    "worker",
    metadata,
    _id(),
    *_times(),
    _parent("work_pool_id", "work_pool.id"),
    Column("name", Text, nullable=False),
    Column("type", Text),
    Column("last_heartbeat_time", Timestamp),
    Column("heartbeat_interval_seconds", Double),
    # When it was told to finish what it has and to leave.
    Column("drain_requested", Timestamp),
    # Where infrastructure is that it can find again though another started it.
    Column("site", Text),
    UniqueConstraint("work_pool_id", "name", name="uq_worker_pool_name"),
)

agent = Table(
    "agent",
    metadata,
    # The agent's own, which it makes up when it starts.
    _id(),
    *_times(),
    Column("name", Text),
    # The pool, the queues or the prefix that it was started with.
    Column("work_pool_name", Text),
    Column("work_queue_names", Json, nullable=False),
    Column("work_queue_prefix", Text),
    Column("last_heartbeat_time", Timestamp),
    Column("heartbeat_interval_seconds", Double),
    Column("drain_requested", Timestamp),
)

variable = Table(
    "variable",
    metadata,
    _id(),
    *_times(),
    Column("name", Text, nullable=False, unique=True),
    Column("value", Json, nullable=False),
    Column("tags", Tags, nullable=False),
)

secret = Table(
    "secret",
    metadata,
    _id(),
    *_times(),
    Column("name", Text, nullable=False, unique=True),
    Column("ciphertext", Text, nullable=False),
)

csrf_token = Table(
    "csrf_token",
    metadata,
    _id(),
    *_times(),
    Column("client", Text, nullable=False, unique=True),
    Column("token", Text, nullable=False),
    Column("expiration", Timestamp, nullable=False),
)

configuration = Table(
    "configuration",
    metadata,
    # What is configured for all clients while the server runs, by name.
    Column("key", Text, primary_key=True, nullable=False),
    Column("updated", Timestamp, nullable=False),
    Column("value", Json, nullable=False),
)

block_type = Table(
    "block_type",
    metadata,
    _id(),
    *_times(),
    Column("name", Text, nullable=False),
    Column("slug", Text, nullable=False, unique=True),
    Column("logo_url", Text),
    Column("documentation_url", Text),
    Column("description", Text),
    Column("code_example", Text),
    Column("is_protected", Flag, nullable=False),
)

block_schema = Table(
    "block_schema",
    metadata,
    _id(),
    *_times(),
    Column("checksum", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("fields", Json, nullable=False),
    Column("capabilities", Tags, nullable=False),
    _parent("block_type_id", "block_type.id", index=True),
    UniqueConstraint("checksum", "version", name="uq_block_schema_checksum_version"),
)

block_document = Table(
    "block_document",
    metadata,
    _id(),
    *_times(),
    Column("name", Text, nullable=False),
    _parent("block_type_id", "block_type.id"),
    _parent("block_schema_id", "block_schema.id", index=True),
    Column("is_anonymous", Flag, nullable=False),
    # JSON, encrypted or not.
    Column("is_sealed", Flag, nullable=False),
    Column("data", Text, nullable=False),
    UniqueConstraint("block_type_id", "name", name="uq_block_document_type_name"),
)

block_reference = Table(
    "block_reference",
    metadata,
    # Which document holds which other one, and in which field.
    Column("parent_id", Uuid, ForeignKey("block_document.id", ondelete="CASCADE"), primary_key=True, nullable=False),
    Column("name", Text, primary_key=True, nullable=False),
    _parent("document_id", "block_document.id", index=True),
)

deployment = Table(
    "deployment",
    metadata,
    _id(),
    *_times(),
    _parent("flow_id", "flow.id"),
    Column("name", Text, nullable=False),
    Column("version", Text),
    Column("description", Text),
    Column("paused", Flag, nullable=False),
    Column("concurrency_limit", Integer),
    Column("concurrency_options", Json),
    Column("job_variables", Json, nullable=False),
    Column("parameters", Json, nullable=False),
    Column("parameter_openapi_schema", Json),
    Column("enforce_parameter_schema", Flag, nullable=False),
    Column("tags", Tags, nullable=False),
    Column("labels", Json, nullable=False),
    Column("work_queue_id", Uuid, ForeignKey("work_queue.id", ondelete="SET NULL"), index=True),
    Column("work_queue_name", Text),
    Column("path", Text),
    Column("pull_steps", Json),
    Column("entrypoint", Text),
    Column("command", Text),
    Column("storage_document_id", Uuid),
    Column("infrastructure_document_id", Uuid),
    Column("last_polled", Timestamp),
    _pause(),
    # What its concurrency options say, where dispatch can look for it: a run that finds no slot is cancelled.
    Column("cancels_new", Flag),
    Column("infra_retries", Json),
    Column("concurrency_key", Json),
    # What it says, where dispatch can look for it: how many runs of a key may be in progress, and, unless further ones
    # simply wait, what becomes of them.
    Column("key_limit", Integer),
    Column("key_strategy", Text),
    UniqueConstraint("flow_id", "name", name="uq_deployment_flow_name"),
    Index("ix_deployment_cancels_new", "id", **_where("cancels_new")),
    Index("ix_deployment_key_strategy", "id", **_where("key_strategy IS NOT NULL")),
)

deployment_schedule = Table(
    "deployment_schedule",
    metadata,
    _id(),
    *_times(),
    _parent("deployment_id", "deployment.id", index=True),
    Column("schedule", Json, nullable=False),
    Column("active", Flag, nullable=False),
    Column("max_scheduled_runs", Integer),
    Column("parameters", Json, nullable=False),
    Column("job_variables", Json, nullable=False),
    Column("slug", Text),
    _pause(),
    Column("misfire", Json),
    # Up to when the scheduler has made its runs; null while it makes none.
    Column("made_until", Timestamp),
    Index("ix_deployment_schedule_misfire", "id", **_where("misfire IS NOT NULL")),
)

concurrency_limit = Table(
    "concurrency_limit",
    metadata,
    _id(),
    *_times(),
    Column("name", Text, nullable=False, unique=True),
    Column("active", Flag, nullable=False),
    Column("slot_limit", Integer, nullable=False),
    # The figures as they were at `counted_at`; with a decay, taken slots come back by themselves.
    Column("active_slots", Double, nullable=False),
    Column("denied_slots", Double, nullable=False),
    Column("slot_decay_per_second", Double, nullable=False),
    Column("avg_slot_occupancy_seconds", Double, nullable=False),
    Column("counted_at", Timestamp, nullable=False),
)

concurrency_lease = Table(
    "concurrency_lease",
    metadata,
    # A row for each limit of which the lease holds slots; its holder may outlive the limit.
    _id(),
    Column("limit_id", Uuid, primary_key=True, nullable=False),
    Column("created", Timestamp, nullable=False),
    Column("expires_at", Timestamp, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("holder_type", Text),
    Column("holder_id", Uuid),
    Index("ix_concurrency_lease_limit", "limit_id", "expires_at"),
    Index("ix_concurrency_lease_expires", "expires_at"),
)

flow_run = Table(
    "flow_run",
    metadata,
    _id(),
    *_times(),
    Column("flow_id", Uuid, nullable=False),
    Column("deployment_id", Uuid),
    Column("schedule_id", Uuid),
    Column("work_pool_id", Uuid),
    Column("work_queue_id", Uuid),
    Column("state_id", Uuid),
    Column("state_type", Text),
    Column("state_name", Text),
    Column("state_timestamp", Timestamp),
    Column("due_at", Timestamp),
    Column("expected_start_time", Timestamp),
    Column("start_time", Timestamp),
    Column("end_time", Timestamp),
    Column("total_run_time", Double, nullable=False),
    Column("run_count", Integer, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("auto_scheduled", Flag, nullable=False),
    Column("holds_slot", Flag, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("lease_expires_at", Timestamp),
    Column("worker_id", Uuid),
    # How often it was given other infrastructure, and how often of these when its code had begun; null is never.
    Column("restarts", Integer),
    Column("restarts_begun", Integer),
    # Its concurrency key, in short.
    Column("key_id", Uuid),
    Index("ix_flow_run_flow", "flow_id"),
    Index("ix_flow_run_deployment", "deployment_id", "expected_start_time"),
    Index("ix_flow_run_expected_start", "expected_start_time"),
    Index("ix_flow_run_ready", "work_queue_id", "priority", "due_at", "id", **_where("state_type = 'SCHEDULED'")),
    Index("ix_flow_run_waiting_of_deployment", "deployment_id", "due_at", **_where("state_type = 'SCHEDULED'")),
    Index("ix_flow_run_ahead", "schedule_id", "due_at", **_where("state_type = 'SCHEDULED'")),
    Index("ix_flow_run_not_late", "due_at", **_where("state_name = 'Scheduled'")),
    Index("ix_flow_run_slots", "work_pool_id", "work_queue_id", "deployment_id", **_where("holds_slot")),
    Index("ix_flow_run_deployment_slots", "deployment_id", **_where("holds_slot")),
    Index("ix_flow_run_key_slots", "key_id", **_where("holds_slot AND key_id IS NOT NULL")),
    Index("ix_flow_run_key_waiting", "key_id", "due_at", **_where("state_type = 'SCHEDULED' AND key_id IS NOT NULL")),
    Index("ix_flow_run_lease", "lease_expires_at", **_where("lease_expires_at IS NOT NULL")),
    Index("ix_flow_run_ended", "end_time", "id", **_where("end_time IS NOT NULL")),
    Index("ix_flow_run_holder", "worker_id", **_where("lease_expires_at IS NOT NULL")),
    # Updates touch no index but the partial ones; room on the page keeps them in place.
    postgresql_with={"fillfactor": 70},
)

flow_run_detail = Table(
    "flow_run_detail",
    metadata,
    Column("flow_run_id", Uuid, primary_key=True, nullable=False),
    Column("flow_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("idempotency_key", Text),
    Column("flow_version", Text),
    Column("deployment_version", Text),
    Column("parameters", Json, nullable=False),
    Column("context", Json, nullable=False),
    Column("tags", Tags, nullable=False),
    Column("labels", Json, nullable=False),
    Column("empirical_policy", Json, nullable=False),
    Column("job_variables", Json),
    Column("parent_task_run_id", Uuid),
    Column("infrastructure_document_id", Uuid),
    Column("infrastructure_pid", Text),
    Column("created_by", Json),
    Column("concurrency_key", Text),
    # How its infrastructure is found again by another than who started it.
    Column("infrastructure_trace", Json),
    Index("uq_flow_run_idempotency_key", "flow_id", "idempotency_key", unique=True, **_where("idempotency_key IS NOT NULL")),
    Index("ix_flow_run_parent_task_run", "parent_task_run_id", **_where("parent_task_run_id IS NOT NULL")),
)

flow_run_state = Table(
    "flow_run_state",
    metadata,
    Column("flow_run_id", Uuid, primary_key=True, nullable=False),
    Column("id", Uuid, primary_key=True, nullable=False),
    Column("type", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("timestamp", Timestamp, nullable=False),
    Column("message", Text),
    Column("state_details", Json, nullable=False),
    Column("data", Json),
    # What was entered lately, of all runs: events are derived from it.
    Index("ix_flow_run_state_id", "id"),
    # One tree that keeps a run's history together.
    sqlite_with_rowid=False,
    postgresql_partition_by="RANGE (id)",
)

flow_run_input = Table(
    "flow_run_input",
    metadata,
    # No reference to the run, as nowhere that would cost its deletion a look; it goes with the run.
    Column("flow_run_id", Uuid, primary_key=True, nullable=False),
    Column("key", Text, primary_key=True, nullable=False),
    Column("id", Uuid, nullable=False),
    *_times(),
    Column("value", Text, nullable=False),
    Column("sender", Text),
)

task_run = Table(
    "task_run",
    metadata,
    # Its client's: most task runs are made by events that their engine sends.
    _id(),
    *_times(),
    Column("flow_run_id", Uuid),
    Column("task_key", Text, nullable=False),
    Column("dynamic_key", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("cache_key", Text),
    Column("cache_expiration", Timestamp),
    Column("task_version", Text),
    Column("empirical_policy", Json, nullable=False),
    Column("tags", Tags, nullable=False),
    Column("labels", Json, nullable=False),
    Column("task_inputs", Json, nullable=False),
    Column("state_id", Uuid),
    Column("state_type", Text),
    Column("state_name", Text),
    Column("state_timestamp", Timestamp),
    Column("due_at", Timestamp),
    Column("expected_start_time", Timestamp),
    Column("start_time", Timestamp),
    Column("end_time", Timestamp),
    Column("total_run_time", Double, nullable=False),
    Column("run_count", Integer, nullable=False),
    Column("flow_run_run_count", Integer, nullable=False),
    Index("uq_task_run_key", "flow_run_id", "task_key", "dynamic_key", unique=True, **_where("flow_run_id IS NOT NULL")),
    Index("uq_task_run_alone", "task_key", "dynamic_key", unique=True, **_where("flow_run_id IS NULL")),
    Index("ix_task_run_expected_start", "expected_start_time"),
    Index("ix_task_run_alone_ended", "end_time", "id", **_where("flow_run_id IS NULL AND end_time IS NOT NULL")),
    postgresql_with={"fillfactor": 70},
)

task_run_state = Table(
    "task_run_state",
    metadata,
    Column("task_run_id", Uuid, primary_key=True, nullable=False),
    Column("id", Uuid, primary_key=True, nullable=False),
    Column("type", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("timestamp", Timestamp, nullable=False),
    Column("message", Text),
    Column("state_details", Json, nullable=False),
    Column("data", Json),
    # Under which it stands for the result of other task runs, and until when.
    Column("cache_key", Text),
    Column("cache_expiration", Timestamp),
    Index("ix_task_run_state_cache_key", "cache_key", **_where("cache_key IS NOT NULL")),
    sqlite_with_rowid=False,
    postgresql_partition_by="RANGE (id)",
)

log = Table(
    "log",
    metadata,
    # The zero id where a line belongs to no flow run.
    Column("flow_run_id", Uuid, primary_key=True, nullable=False),
    Column("id", Uuid, primary_key=True, nullable=False),
    Column("task_run_id", Uuid),
    Column("timestamp", Timestamp, nullable=False),
    Column("level", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("message", Text, nullable=False),
    sqlite_with_rowid=False,
    postgresql_partition_by="RANGE (id)",
)

event = Table(
    "event",
    metadata,
    # Ours, made when it was received; `event_id` is its sender's.
    _id(),
    Column("event_id", Uuid, nullable=False),
    Column("occurred", Timestamp, nullable=False),
    Column("event", Text, nullable=False),
    Column("resource_id", Text, nullable=False),
    Column("resource", Json, nullable=False),
    Column("related", Json, nullable=False),
    Column("payload", Json, nullable=False),
    Column("follows", Uuid),
    Index("ix_event_event_id", "event_id"),
    Index("ix_event_occurred", "occurred"),
    sqlite_with_rowid=False,
    postgresql_partition_by="RANGE (id)",
)

# One row for each background job that some server runs, or ran.
loop_leader = Table(
    "loop_leader",
    metadata,
    Column("name", Text, primary_key=True, nullable=False),
    Column("holder_id", Uuid, nullable=False),
    Column("place", Text, nullable=False),
    Column("since", Timestamp, nullable=False),
    Column("expires_at", Timestamp, nullable=False),
)

PARTITIONED = ("flow_run_state", "task_run_state", "log", "event")
