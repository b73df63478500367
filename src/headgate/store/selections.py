"""Filters of several collections at once, as one SQL condition on the records of one of them.

The records that a filter is about hang on those that are asked for. What a condition does not name is not joined, so that
a count of runs, or the ids of a page of them, are read off an index where one knows the answer.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from headgate.schema.filters import Filter, IdFilter, Operator, Selection
from headgate.store.filters import (
    Params,
    among,
    deployment_condition,
    flow_condition,
    flow_run_condition,
    joined,
    task_run_condition,
    work_pool_condition,
    work_queue_condition,
)

_DEPLOYMENTS = "FROM deployment e LEFT JOIN work_queue q ON q.id = e.work_queue_id"
_OF_RUNS = {
    "d": "JOIN flow_run_detail d ON d.flow_run_id = r.id",
    "q": "LEFT JOIN work_queue q ON q.id = r.work_queue_id",
}
_NAMED = re.compile(r"\b([dq])\.")


def runs_for(*texts: str) -> str:
    """`flow_run r`, with as much of what hangs on it as conditions and orders name: its detail `d`, its queue `q`."""
    named = {alias for text in texts for alias in _NAMED.findall(text)}
    return " ".join(["flow_run r", *(join for alias, join in _OF_RUNS.items() if alias in named)])


# How the records of a collection hang on the record that is asked for. Inner aliases hide outer ones of the same
# name, so each link names the outer record by an alias that its own FROM does not use.
_LINKS: Mapping[tuple[str, str], str] = {
    ("flows", "flow_runs"): "FROM {runs} WHERE r.flow_id = f.id",
    ("flows", "deployments"): f"{_DEPLOYMENTS} WHERE e.flow_id = f.id",
    ("flow_runs", "task_runs"): "FROM task_run t WHERE t.flow_run_id = r.id",
    ("task_runs", "flow_runs"): "FROM {runs} WHERE r.id = t.flow_run_id",
    ("deployments", "flow_runs"): "FROM {runs} WHERE r.deployment_id = e.id",
    ("deployments", "work_pools"): (
        "FROM work_pool p JOIN work_queue q ON q.work_pool_id = p.id WHERE q.id = e.work_queue_id"
    ),
}

# The same where the record itself names the other one, of which there are few: these are found once, for all records.
_NAMES: Mapping[tuple[str, str], tuple[str, str]] = {
    ("flow_runs", "flows"): ("r.flow_id", "SELECT f.id FROM flow f"),
    ("flow_runs", "deployments"): ("r.deployment_id", f"SELECT e.id {_DEPLOYMENTS}"),
    ("flow_runs", "work_queues"): ("r.work_queue_id", "SELECT q.id FROM work_queue q"),
    ("flow_runs", "work_pools"): ("r.work_pool_id", "SELECT p.id FROM work_pool p"),
    ("deployments", "flows"): ("e.flow_id", "SELECT f.id FROM flow f"),
    ("deployments", "work_queues"): ("e.work_queue_id", "SELECT q.id FROM work_queue q"),
}

_VIA: Mapping[tuple[str, str], str] = {
    ("flows", "task_runs"): "flow_runs",
    ("flows", "work_queues"): "deployments",
    ("flows", "work_pools"): "deployments",
    ("task_runs", "flows"): "flow_runs",
    ("task_runs", "deployments"): "flow_runs",
    ("task_runs", "work_queues"): "flow_runs",
    ("task_runs", "work_pools"): "flow_runs",
    ("deployments", "task_runs"): "flow_runs",
}
"""Collections that hang on another by way of a third: one record of that third has to match all of their filters."""

_CONDITIONS: Mapping[str, Callable[[Any, Params], str]] = {
    "flows": flow_condition,
    "flow_runs": flow_run_condition,
    "task_runs": task_run_condition,
    "deployments": deployment_condition,
    "work_pools": work_pool_condition,
    "work_queues": work_queue_condition,
}


def selection_condition(root: str, selection: Selection, p: Params) -> str:
    """The condition of all filters of a request for records of `root`: its own, and one test per related record."""
    given = {name: getattr(selection, name) for name in _CONDITIONS}
    given["work_queues"] = given["work_queues"] or selection.work_pool_queues
    return _selected(root, {name: wanted for name, wanted in given.items() if wanted is not None}, p)


def _selected(root: str, given: Mapping[str, Filter], p: Params) -> str:
    conditions: list[str | None] = []
    groups: dict[str, dict[str, Filter]] = {}
    for name, wanted in given.items():
        if name == root:
            conditions.append(_CONDITIONS[name](wanted, p))
        else:
            groups.setdefault(_VIA.get((root, name), name), {})[name] = wanted
    for name, group in groups.items():
        conditions += _related(root, name, group, p)
    return joined(conditions)


def _related(root: str, name: str, group: Mapping[str, Filter], p: Params) -> list[str | None]:
    """That a record of another collection matches, and, where the filter says so, which it has to be."""
    ids = _named(group.get(name))
    inner = _selected(name, group, p)
    if (root, name) in _NAMES:
        column, select = _NAMES[root, name]
        return [among(column, ids, p, "uuid"), f"{column} IN ({select} WHERE {inner})"]
    exists = f"EXISTS (SELECT 1 {_LINKS[root, name].replace('{runs}', runs_for(inner))} AND {inner})"
    # SQLite looks at every task run where only an EXISTS says whose they are.
    return [among("t.flow_run_id", ids, p, "uuid") if root == "task_runs" else None, exists]


def _named(f: Filter | None) -> list[Any] | None:
    """The ids that a filter names; None when it does not, or lets others through, too."""
    if f is None or getattr(f, "operator", Operator.AND) is Operator.OR:
        return None
    ids = getattr(f, "id", None)
    return ids.any_ if isinstance(ids, IdFilter) else None
