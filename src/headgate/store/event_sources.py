"""Where events are read from: those that were sent, and those that are derived from the states that runs entered.

Both are given the same columns, so that one condition, written once over a source's columns, means the same of either.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from headgate.core.run_events import LONGEST_MESSAGE, PREFIX

NAMES = ("id", "row_id", "occurred", "event", "resource_id", "resource", "related", "payload", "follows")
STATE_NAMES = ("type", "name", "message", "state_details")
"""What an event that is derived is completed from; null in others."""


@dataclass(frozen=True, slots=True)
class Source:
    """Expressions by the name of the column, and the tables that they are over."""

    columns: Mapping[str, str]
    tables: str

    def select(self, condition: str) -> str:
        """A query for all columns."""
        listed = ", ".join(f"{self.columns[name]} AS {name}" for name in (*NAMES, *STATE_NAMES))
        return f"SELECT {listed} {self.tables} WHERE {condition}"


def sent() -> Source:
    """Events that clients sent."""
    columns = {
        "id": "v.event_id",
        "row_id": "v.id",
        "occurred": "v.occurred",
        "event": "v.event",
        "resource_id": "v.resource_id",
        "follows": "v.follows",
        **{name: f"CAST(v.{name} AS text)" for name in ("resource", "related", "payload")},
        **dict.fromkeys(STATE_NAMES, "CAST(NULL AS text)"),
    }
    return Source(columns, "FROM event v")


def derived(dialect: str) -> Source:
    """One event for each state that a run entered; without what only a whole state tells, its payload among it."""
    columns = {
        "id": "s.id",
        "row_id": "s.id",
        "occurred": "s.timestamp",
        "event": f"('{PREFIX}' || s.name)",
        "resource_id": f"('{PREFIX}' || s.flow_run_id)",
        "resource": _resource(dialect),
        "related": _related(dialect),
        "payload": "CAST(NULL AS text)",
        "follows": "CAST(NULL AS uuid)" if dialect == "postgresql" else "NULL",
        "type": "s.type",
        "name": "s.name",
        "message": "s.message",
        "state_details": "CAST(s.state_details AS text)",
    }
    return Source(columns, _TABLES)


_TABLES = """
FROM flow_run_state s JOIN flow_run r ON r.id = s.flow_run_id JOIN flow_run_detail d ON d.flow_run_id = r.id
LEFT JOIN flow f ON f.id = r.flow_id LEFT JOIN deployment e ON e.id = r.deployment_id
LEFT JOIN work_queue q ON q.id = r.work_queue_id LEFT JOIN work_pool p ON p.id = r.work_pool_id
LEFT JOIN task_run t ON t.id = d.parent_task_run_id"""

_RUN_COUNT = """(SELECT count(*) FROM flow_run_state c
 WHERE c.flow_run_id = s.flow_run_id AND c.id <= s.id AND c.type = 'RUNNING')"""


def _object(dialect: str, **labels: str) -> str:
    """A JSON object as text; names of labels have a double underscore for a dot, and one for a dash."""
    made = "json_build_object" if dialect == "postgresql" else "json_object"
    listed = ", ".join(f"'prefect.{name.replace('__', '.').replace('_', '-')}', {value}" for name, value in labels.items())
    return f"CAST({made}({listed}) AS text)"


def _resource(dialect: str) -> str:
    return _object(
        dialect,
        resource__id=f"'{PREFIX}' || r.id",
        resource__name="d.name",
        run_count=f"CAST({_RUN_COUNT} AS text)",
        state_message=f"COALESCE(substr(s.message, 1, {LONGEST_MESSAGE}), '')",
        state_name="s.name",
        state_type="s.type",
    )


def _related(dialect: str) -> str:
    """A JSON list as text: what the run is of, and its tags and theirs."""
    parts = [
        _one(dialect, "f", "flow"),
        _one(dialect, "e", "deployment"),
        _one(dialect, "q", "work-queue"),
        _one(dialect, "p", "work-pool", work_pool__type="p.type"),
        _one(dialect, "t", "task-run"),
        _tags(dialect),
    ]
    return f"('[' || substr({' || '.join(parts)}, 2) || ']')"


def _one(dialect: str, alias: str, role: str, **more: str) -> str:
    labels = {"resource__id": f"'prefect.{role}.' || {alias}.id", "resource__role": f"'{role}'"}
    made = _object(dialect, **labels, resource__name=f"{alias}.name", **more)
    return f"CASE WHEN {alias}.id IS NULL THEN '' ELSE ',' || {made} END"


def _tags(dialect: str) -> str:
    if dialect == "postgresql":
        lists = "SELECT jsonb_array_elements_text(COALESCE({}, '[]')) AS value"
        joined = "string_agg(',' || {}, '' ORDER BY g.value)"
    else:
        lists, joined = "SELECT value FROM json_each({})", "group_concat(',' || {}, '')"
    every = " UNION ".join(lists.format(column) for column in ("d.tags", "f.tags", "e.tags"))
    tag = _object(dialect, resource__id="'prefect.tag.' || g.value", resource__role="'tag'")
    return f"COALESCE((SELECT {joined.format(tag)} FROM (SELECT value FROM ({every}) AS h ORDER BY value) g), '')"
