"""The schema: every table, column and index. Read by migrations and by the tests; the running server does not import it.

Hot: `flow_run` holds what dispatch needs, in few fixed-width columns, with partial indexes on live states only.
Cold: `flow_run_detail` is written once; the states of runs and `log` are append-only, and on PostgreSQL partitioned
by their time-ordered ids.
"""

from sqlalchemy import Column, Double, ForeignKey, Index, Integer, Table, Text, UniqueConstraint, text

from headgate.store import document_tables as document_tables  # on the same metadata
from headgate.store.columns import FILL_FACTOR as FILL_FACTOR
from headgate.store.columns import Flag as Flag
from headgate.store.columns import Json as Json
from headgate.store.columns import Tags as Tags
from headgate.store.columns import Timestamp as Timestamp
from headgate.store.columns import Uuid as Uuid
from headgate.store.columns import id_column, only_where, parent_column, pause_column, time_columns
from headgate.store.columns import metadata as metadata

flow = Table(
    "flow",
    metadata,
    id_column(),
    *time_columns(),
    Column("name", Text, nullable=False, unique=True),
    Column("tags", Tags, nullable=False),
    Column("labels", Json, nullable=False),
)

work_pool = Table(
    "work_pool",
    metadata,
    id_column(),
    *time_columns(),
    Column("name", Text, nullable=False, unique=True),
    Column("description", Text),
    Column("type", Text, nullable=False),
    Column("base_job_template", Json, nullable=False),
    Column("is_paused", Flag, nullable=False),
    Column("concurrency_limit", Integer),
    Column("default_queue_id", Uuid, nullable=False),
    Column("storage_configuration", Json, nullable=False),
    pause_column(),
    Column("launch_rate", Json),
    # What was launched lately, as far as it counts for the rate; null until then.
    Column("launches", Json),
    Column("launch_limit", Integer),
    Column("fair_share", Flag, nullable=False, server_default=text("FALSE")),
    # Who was served lately, where the pool is shared fairly; null until then.
    Column("turns", Json),
)

work_queue = Table(
    "work_queue",
    metadata,
    id_column(),
    *time_columns(),
    parent_column("work_pool_id", "work_pool.id"),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("is_paused", Flag, nullable=False),
    Column("concurrency_limit", Integer),
    # Unique in a pool, too: kept so by the service under the pool's lock, because shifting ranks passes through doubles.
    Column("priority", Integer, nullable=False),
    Column("filter", Json),
    Column("last_polled", Timestamp),
    pause_column(),
    UniqueConstraint("work_pool_id", "name", name="uq_work_queue_pool_name"),
)

worker = Table(
    "worker",
    metadata,
    id_column(),
    *time_columns(),
    parent_column("work_pool_id", "work_pool.id"),
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
    id_column(),
    *time_columns(),
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
    id_column(),
    *time_columns(),
    Column("name", Text, nullable=False, unique=True),
    Column("value", Json, nullable=False),
    Column("tags", Tags, nullable=False),
)

secret = Table(
    "secret",
    metadata,
    id_column(),
    *time_columns(),
    Column("name", Text, nullable=False, unique=True),
    Column("ciphertext", Text, nullable=False),
)

deployment = Table(
    "deployment",
    metadata,
    id_column(),
    *time_columns(),
    parent_column("flow_id", "flow.id"),
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
    pause_column(),
    # What its concurrency options say, where dispatch can look for it: a run that finds no slot is cancelled.
    Column("cancels_new", Flag),
    Column("infra_retries", Json),
    Column("concurrency_key", Json),
    # What it says, where dispatch can look for it: how many runs of a key may be in progress, and, unless further ones
    # simply wait, what becomes of them.
    Column("key_limit", Integer),
    Column("key_strategy", Text),
    # The named limit of which its runs take slots, if it has none of its own.
    Column("shared_limit_id", Uuid),
    UniqueConstraint("flow_id", "name", name="uq_deployment_flow_name"),
    Index("ix_deployment_cancels_new", "id", **only_where("cancels_new")),
    Index("ix_deployment_key_strategy", "id", **only_where("key_strategy IS NOT NULL")),
    Index("ix_deployment_shared_limit_id", "shared_limit_id", **only_where("shared_limit_id IS NOT NULL")),
)

deployment_schedule = Table(
    "deployment_schedule",
    metadata,
    id_column(),
    *time_columns(),
    parent_column("deployment_id", "deployment.id", index=True),
    Column("schedule", Json, nullable=False),
    Column("active", Flag, nullable=False),
    Column("max_scheduled_runs", Integer),
    Column("parameters", Json, nullable=False),
    Column("job_variables", Json, nullable=False),
    Column("slug", Text),
    pause_column(),
    Column("misfire", Json),
    # Up to when the scheduler has made its runs; null while it makes none.
    Column("made_until", Timestamp),
    Index("ix_deployment_schedule_misfire", "id", **only_where("misfire IS NOT NULL")),
)

concurrency_limit = Table(
    "concurrency_limit",
    metadata,
    id_column(),
    *time_columns(),
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
    id_column(),
    Column("limit_id", Uuid, primary_key=True, nullable=False),
    Column("created", Timestamp, nullable=False),
    Column("expires_at", Timestamp, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("holder_type", Text),
    Column("holder_id", Uuid),
    Index("ix_concurrency_lease_limit", "limit_id", "expires_at"),
    Index("ix_concurrency_lease_expires", "expires_at"),
)


LANES = (
    "CREATE INDEX ix_flow_run_lanes ON flow_run (work_queue_id, priority, deployment_id NULLS FIRST, key_id NULLS FIRST, "
    "due_at NULLS FIRST, id) WHERE state_type = 'SCHEDULED'"
)
"""PostgreSQL's own wording of that index. The order is SQLite's, and no other index gives it: else the planner, where it
knows of one deployment only, may take another and go through all that waits."""

flow_run = Table(
    "flow_run",
    metadata,
    id_column(),
    *time_columns(),
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
    # It waits, and had been due before it began to (`core.fronts`); null is no.
    Column("belated", Flag),
    Index("ix_flow_run_flow", "flow_id"),
    Index("ix_flow_run_deployment", "deployment_id", "expected_start_time"),
    # What lists of runs go by. With its id an offset is passed over without a look at the runs themselves.
    Index("ix_flow_run_expected_start", "expected_start_time", "id"),
    Index("ix_flow_run_state", "state_type", "expected_start_time"),
    # All that a history adds up of a run that is over: SQLite takes too long to read the runs. It is written once per run.
    Index(
        "ix_flow_run_over",
        *("state_type", "expected_start_time", "state_name", "start_time", "total_run_time"),
        sqlite_where=text("state_type IN ('CANCELLED', 'COMPLETED', 'CRASHED', 'FAILED')"),
    ).ddl_if(dialect="sqlite"),
    Index("ix_flow_run_start", text("COALESCE(start_time, expected_start_time)")),
    Index("ix_flow_run_ready", "work_queue_id", "priority", "due_at", "id", **only_where("state_type = 'SCHEDULED'")),
    Index(
        "ix_flow_run_lanes",
        *("work_queue_id", "priority", "deployment_id", "key_id", "due_at", "id"),
        **only_where("state_type = 'SCHEDULED'"),
    ).ddl_if(dialect="sqlite"),
    Index("ix_flow_run_waiting_of_deployment", "deployment_id", "due_at", **only_where("state_type = 'SCHEDULED'")),
    Index("ix_flow_run_ahead", "schedule_id", "due_at", **only_where("state_type = 'SCHEDULED'")),
    Index("ix_flow_run_not_late", "due_at", **only_where("state_name = 'Scheduled'")),
    Index("ix_flow_run_slots", "work_pool_id", "work_queue_id", "deployment_id", **only_where("holds_slot")),
    Index("ix_flow_run_deployment_slots", "deployment_id", **only_where("holds_slot")),
    Index("ix_flow_run_key_slots", "key_id", **only_where("holds_slot AND key_id IS NOT NULL")),
    Index("ix_flow_run_key_waiting", "key_id", "due_at", **only_where("state_type = 'SCHEDULED' AND key_id IS NOT NULL")),
    Index("ix_flow_run_lease", "lease_expires_at", **only_where("lease_expires_at IS NOT NULL")),
    Index("ix_flow_run_ended", "end_time", "id", **only_where("end_time IS NOT NULL")),
    Index("ix_flow_run_holder", "worker_id", **only_where("lease_expires_at IS NOT NULL")),
    Index("ix_flow_run_belated", "work_queue_id", "priority", "due_at", "id", **only_where("belated")),
    Index("ix_flow_run_attended", "worker_id", **only_where("state_type = 'CANCELLING' OR state_name = 'Lost?'")),
    # Updates touch no index but the partial ones; room on the page keeps them in place.
    info={FILL_FACTOR: 70},
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
    Index(
        "uq_flow_run_idempotency_key", "flow_id", "idempotency_key", unique=True, **only_where("idempotency_key IS NOT NULL")
    ),
    Index("ix_flow_run_parent_task_run", "parent_task_run_id", **only_where("parent_task_run_id IS NOT NULL")),
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
    *time_columns(),
    Column("value", Text, nullable=False),
    Column("sender", Text),
)

LATEST_TASKS = "CREATE INDEX ix_task_run_expected_start ON task_run (expected_start_time DESC NULLS LAST, id DESC)"
"""PostgreSQL's own wording of that index: in no other order does it give a list of the latest task runs, those without a
time last."""

task_run = Table(
    "task_run",
    metadata,
    # Its client's: most task runs are made by events that their engine sends.
    id_column(),
    *time_columns(),
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
    Index("uq_task_run_key", "flow_run_id", "task_key", "dynamic_key", unique=True, **only_where("flow_run_id IS NOT NULL")),
    Index("uq_task_run_alone", "task_key", "dynamic_key", unique=True, **only_where("flow_run_id IS NULL")),
    Index("ix_task_run_expected_start", "expected_start_time", "id").ddl_if(dialect="sqlite"),
    Index("ix_task_run_alone_ended", "end_time", "id", **only_where("flow_run_id IS NULL AND end_time IS NOT NULL")),
    info={FILL_FACTOR: 70},
)

# Task runs that were put off and that no task worker has taken yet: with a row here, so that all others cost nothing.
waiting_task = Table(
    "waiting_task",
    metadata,
    parent_column("task_run_id", "task_run.id", primary_key=True),
    Column("task_key", Text, nullable=False),
    Column("created", Timestamp, nullable=False),
    # One task worker has been offered it until then.
    Column("offered_until", Timestamp, nullable=False),
    Index("ix_waiting_task_key", "task_key", "created", "task_run_id"),
)

# A row for each connection of a task worker, to whichever server.
task_worker = Table(
    "task_worker",
    metadata,
    id_column(),
    Column("identifier", Text, nullable=False),
    Column("task_keys", Json, nullable=False),
    Column("last_seen", Timestamp, nullable=False),
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
    Index("ix_task_run_state_cache_key", "cache_key", **only_where("cache_key IS NOT NULL")),
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
    Index("ix_log_timestamp", "flow_run_id", "timestamp", "id"),
    sqlite_with_rowid=False,
    postgresql_partition_by="RANGE (id)",
)

event = Table(
    "event",
    metadata,
    # Ours, made when it was received; `event_id` is its sender's.
    id_column(),
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
