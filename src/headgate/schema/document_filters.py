"""The grammar of `/filter` bodies for what is kept beside runs; see `schema/filters.py`."""

from datetime import datetime
from uuid import UUID

from msgspec import field

from headgate.schema.filters import BoolFilter, Filter, Operator, TagsFilter, TextsFilter
from headgate.schema.times import make_aware


class AnyIdFilter(Filter):
    any_: list[UUID] | None = None


class AnyTextFilter(Filter):
    any_: list[str] | None = None


class PatternFilter(Filter):
    """`like_` may hold the wildcards `%` and `_`."""

    any_: list[str] | None = None
    like_: str | None = None


class LikeFilter(Filter):
    like_: str | None = None


class AllTextFilter(Filter):
    all_: list[str] | None = None


class BlockTypeFilter(Filter):
    name: LikeFilter | None = None
    slug: AnyTextFilter | None = None


class BlockSchemaFilter(Filter):
    operator: Operator = Operator.AND
    block_type_id: AnyIdFilter | None = None
    block_capabilities: AllTextFilter | None = None
    id: AnyIdFilter | None = None
    version: AnyTextFilter | None = None


class BlockDocumentFilter(Filter):
    """Anonymous documents match only when `is_anonymous` is given: null for all, true for none but them."""

    operator: Operator = Operator.AND
    id: AnyIdFilter | None = None
    is_anonymous: BoolFilter | None = field(default_factory=lambda: BoolFilter(eq_=False))
    block_type_id: AnyIdFilter | None = None
    name: PatternFilter | None = None


class KeyFilter(PatternFilter):
    exists_: bool | None = None


class ArtifactFilter(Filter):
    operator: Operator = Operator.AND
    id: AnyIdFilter | None = None
    key: KeyFilter | None = None
    flow_run_id: AnyIdFilter | None = None
    task_run_id: AnyIdFilter | None = None
    type: TextsFilter | None = None


class ArtifactCollectionFilter(Filter):
    operator: Operator = Operator.AND
    latest_id: AnyIdFilter | None = None
    key: KeyFilter | None = None
    flow_run_id: AnyIdFilter | None = None
    task_run_id: AnyIdFilter | None = None
    type: TextsFilter | None = None


class FlowRunNotificationPolicyFilter(Filter):
    is_active: BoolFilter | None = field(default_factory=lambda: BoolFilter(eq_=False))


class BeforeFilter(Filter):
    before_: datetime | None = None

    def __post_init__(self) -> None:
        make_aware(self, "before_")


class AutomationFilter(Filter):
    operator: Operator = Operator.AND
    id: AnyIdFilter | None = None
    name: AnyTextFilter | None = None
    created: BeforeFilter | None = None
    tags: TagsFilter | None = None
