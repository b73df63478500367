"""The grammar of `/filter` bodies: per collection a filter of fields, per field its operators; null constrains nothing."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from headgate.schema.logs import Level
from headgate.schema.states import StateType
from headgate.schema.times import make_aware
from headgate.schema.workers import WorkerStatus

MAX_PAGE = 200
"""The largest page, and the default."""

Offset = Annotated[int, Meta(ge=0, le=2**63 - 1)]
PageNumber = Annotated[int, Meta(ge=1, le=2**53)]
Count = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]


class Operator(StrEnum):
    """How the fields of one filter combine."""

    AND = "and_"
    OR = "or_"


class Filter(Struct, kw_only=True, forbid_unknown_fields=True):
    """Ground of all filters: a misspelt operator is refused rather than ignored."""


class IdFilter(Filter):
    any_: list[UUID] | None = None
    not_any_: list[UUID] | None = None


class NullableIdFilter(Filter):
    operator: Operator = Operator.AND
    any_: list[UUID] | None = None
    is_null_: bool | None = None


class NameFilter(Filter):
    any_: list[str] | None = None
    like_: str | None = None


class QueueNameFilter(Filter):
    any_: list[str] | None = None
    startswith_: list[str] | None = None


class NullableNameFilter(Filter):
    operator: Operator = Operator.AND
    any_: list[str] | None = None
    is_null_: bool | None = None


class TagsFilter(Filter):
    operator: Operator = Operator.AND
    all_: list[str] | None = None
    any_: list[str] | None = None
    is_null_: bool | None = None


class TextsFilter(Filter):
    any_: list[str] | None = None
    not_any_: list[str] | None = None


class TimeFilter(Filter):
    before_: datetime | None = None
    after_: datetime | None = None
    is_null_: bool | None = None

    def __post_init__(self) -> None:
        make_aware(self, "before_", "after_")


class StateTypeFilter(Filter):
    any_: list[StateType] | None = None
    not_any_: list[StateType] | None = None


class StateFilter(Filter):
    operator: Operator = Operator.AND
    type: StateTypeFilter | None = None
    name: TextsFilter | None = None


class BoolFilter(Filter):
    eq_: bool | None = None


class NullFilter(Filter):
    operator: Operator = Operator.AND
    is_null_: bool | None = None


class IntFilter(Filter):
    ge_: Count | None = None
    le_: Count | None = None
    is_null_: bool | None = None


class CreatorFilter(Filter):
    operator: Operator = Operator.AND
    id_: list[UUID] | None = None
    type_: list[str] | None = None
    is_null_: bool | None = None


class FlowFilter(Filter):
    operator: Operator = Operator.AND
    id: IdFilter | None = None
    name: NameFilter | None = None
    tags: TagsFilter | None = None
    deployment: NullFilter | None = None


class FlowRunFilter(Filter):
    operator: Operator = Operator.AND
    id: IdFilter | None = None
    name: NameFilter | None = None
    tags: TagsFilter | None = None
    deployment_id: NullableIdFilter | None = None
    work_queue_name: NullableNameFilter | None = None
    state: StateFilter | None = None
    flow_version: TextsFilter | None = None
    start_time: TimeFilter | None = None
    end_time: TimeFilter | None = None
    expected_start_time: TimeFilter | None = None
    next_scheduled_start_time: TimeFilter | None = None
    parent_flow_run_id: NullableIdFilter | None = None
    parent_task_run_id: NullableIdFilter | None = None
    idempotency_key: TextsFilter | None = None
    created_by: CreatorFilter | None = None


class SubflowFilter(Filter):
    exists_: bool | None = None


class TaskRunFilter(Filter):
    operator: Operator = Operator.AND
    id: IdFilter | None = None
    name: NameFilter | None = None
    tags: TagsFilter | None = None
    state: StateFilter | None = None
    start_time: TimeFilter | None = None
    end_time: TimeFilter | None = None
    expected_start_time: TimeFilter | None = None
    subflow_runs: SubflowFilter | None = None
    """Those that stand for a flow run within another, or those that do not."""
    flow_run_id: NullableIdFilter | None = None


class DeploymentFilter(Filter):
    operator: Operator = Operator.AND
    id: IdFilter | None = None
    name: NameFilter | None = None
    flow_or_deployment_name: NameFilter | None = None
    paused: BoolFilter | None = None
    is_schedule_active: BoolFilter | None = None
    """2.x clients' name for what is not paused."""
    tags: TagsFilter | None = None
    work_queue_name: QueueNameFilter | None = None
    concurrency_limit: IntFilter | None = None


class WorkPoolFilter(Filter):
    operator: Operator = Operator.AND
    id: IdFilter | None = None
    name: TextsFilter | None = None
    type: TextsFilter | None = None


class WorkQueueFilter(Filter):
    operator: Operator = Operator.AND
    id: IdFilter | None = None
    name: QueueNameFilter | None = None


class WorkerStatusFilter(Filter):
    any_: list[WorkerStatus] | None = None
    not_any_: list[WorkerStatus] | None = None


class WorkerFilter(Filter):
    operator: Operator = Operator.AND
    last_heartbeat_time: TimeFilter | None = None
    status: WorkerStatusFilter | None = None


class VariableFilter(Filter):
    operator: Operator = Operator.AND
    id: IdFilter | None = None
    name: NameFilter | None = None
    """Its `like_` may hold the wildcards `%` and `_`, as that of the value."""
    value: NameFilter | None = None
    tags: TagsFilter | None = None


class SecretFilter(Filter):
    operator: Operator = Operator.AND
    id: IdFilter | None = None
    name: NameFilter | None = None


class AgentFilter(Filter):
    operator: Operator = Operator.AND
    id: IdFilter | None = None
    name: TextsFilter | None = None
    work_pool_name: TextsFilter | None = None
    last_heartbeat_time: TimeFilter | None = None
    status: WorkerStatusFilter | None = None


class LevelFilter(Filter):
    ge_: Level | None = None
    le_: Level | None = None


class TextFilter(Filter):
    """Words, of which one must occur; one with `-` or `!` before it must not, with `+` must. Quotes hold words together."""

    query: Annotated[str, Meta(max_length=200)]


class LogFilter(Filter):
    operator: Operator = Operator.AND
    level: LevelFilter | None = None
    timestamp: TimeFilter | None = None
    flow_run_id: IdFilter | None = None
    task_run_id: NullableIdFilter | None = None
    text: TextFilter | None = None


class FlowSort(StrEnum):
    CREATED_DESC = "CREATED_DESC"
    UPDATED_DESC = "UPDATED_DESC"
    NAME_ASC = "NAME_ASC"
    NAME_DESC = "NAME_DESC"


class DeploymentSort(StrEnum):
    CREATED_DESC = "CREATED_DESC"
    UPDATED_DESC = "UPDATED_DESC"
    NAME_ASC = "NAME_ASC"
    NAME_DESC = "NAME_DESC"


class FlowRunSort(StrEnum):
    ID_DESC = "ID_DESC"
    START_TIME_ASC = "START_TIME_ASC"
    START_TIME_DESC = "START_TIME_DESC"
    EXPECTED_START_TIME_ASC = "EXPECTED_START_TIME_ASC"
    EXPECTED_START_TIME_DESC = "EXPECTED_START_TIME_DESC"
    NAME_ASC = "NAME_ASC"
    NAME_DESC = "NAME_DESC"
    NEXT_SCHEDULED_START_TIME_ASC = "NEXT_SCHEDULED_START_TIME_ASC"
    END_TIME_DESC = "END_TIME_DESC"


class TaskRunSort(StrEnum):
    ID_DESC = "ID_DESC"
    EXPECTED_START_TIME_ASC = "EXPECTED_START_TIME_ASC"
    EXPECTED_START_TIME_DESC = "EXPECTED_START_TIME_DESC"
    NAME_ASC = "NAME_ASC"
    NAME_DESC = "NAME_DESC"
    NEXT_SCHEDULED_START_TIME_ASC = "NEXT_SCHEDULED_START_TIME_ASC"
    END_TIME_DESC = "END_TIME_DESC"
    DURATION_DESC = "DURATION_DESC"
    DURATION_ASC = "DURATION_ASC"


class VariableSort(StrEnum):
    CREATED_DESC = "CREATED_DESC"
    UPDATED_DESC = "UPDATED_DESC"
    NAME_DESC = "NAME_DESC"
    NAME_ASC = "NAME_ASC"


class LogSort(StrEnum):
    TIMESTAMP_ASC = "TIMESTAMP_ASC"
    TIMESTAMP_DESC = "TIMESTAMP_DESC"


class Page(Struct, kw_only=True):
    """`limit` rows (default and at most `MAX_PAGE`) from `offset` on."""

    limit: int | None = None
    offset: Offset | None = None


class Selection(Page, kw_only=True):
    """Filters by collection: each means "a related record of that collection matches"; all must hold.

    Work queues answer to both of the names that clients use.
    """

    flows: FlowFilter | None = None
    flow_runs: FlowRunFilter | None = None
    task_runs: TaskRunFilter | None = None
    deployments: DeploymentFilter | None = None
    work_pools: WorkPoolFilter | None = None
    work_queues: WorkQueueFilter | None = None
    work_pool_queues: WorkQueueFilter | None = None


class NumberedSelection(Selection, kw_only=True):
    """Page number `page`, from 1 on, of the records that match, `limit` a page; an offset has no meaning."""

    page: PageNumber | None = None


class FlowQuery(Selection, kw_only=True):
    sort: FlowSort | None = None


class FlowRunQuery(Selection, kw_only=True):
    sort: FlowRunSort | None = None


class TaskRunQuery(Selection, kw_only=True):
    sort: TaskRunSort | None = None


class TaskRunPageQuery(NumberedSelection, kw_only=True):
    sort: TaskRunSort | None = None


class FlowPageQuery(NumberedSelection, kw_only=True):
    sort: FlowSort | None = None


class FlowBulkDelete(Struct, kw_only=True):
    """Body that deletes flows that match, at most `limit` in one call."""

    flows: FlowFilter | None = None
    limit: Annotated[int, Meta(ge=1, le=50)] = 50


class FlowRunPageQuery(NumberedSelection, kw_only=True):
    sort: FlowRunSort | None = None


class HistoryQuery(Selection, kw_only=True):
    """Runs by the time that they were expected to start at, in intervals of so many seconds, 500 at most."""

    history_start: datetime
    history_end: datetime
    history_interval_seconds: float

    def __post_init__(self) -> None:
        make_aware(self, "history_start", "history_end")


class DeploymentQuery(Selection, kw_only=True):
    sort: DeploymentSort | None = None


class DeploymentPageQuery(NumberedSelection, kw_only=True):
    sort: DeploymentSort | None = None


class WorkPoolQuery(Page, kw_only=True):
    work_pools: WorkPoolFilter | None = None


class WorkQueueQuery(Page, kw_only=True):
    work_queues: WorkQueueFilter | None = None


class WorkerQuery(Page, kw_only=True):
    workers: WorkerFilter | None = None


class VariableQuery(Page, kw_only=True):
    variables: VariableFilter | None = None
    sort: VariableSort | None = None


class SecretQuery(Page, kw_only=True):
    secrets: SecretFilter | None = None


class AgentQuery(Page, kw_only=True):
    agents: AgentFilter | None = None


class LogQuery(Page, kw_only=True):
    logs: LogFilter | None = None
    sort: LogSort | None = None
