"""The graph of a flow run: which of its tasks took whose results, and which ran inside of which."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from headgate.schema.flow_runs import FlowRun
from headgate.schema.graphs import Dependency, Edge, Node, NodeKind, Upstream
from headgate.schema.states import StateType
from headgate.schema.task_runs import TaskRun

_TASKS = ("task_run",)
_PARENT = "__parents__"
"""Under this name a task run's inputs say inside of which tasks it was called."""


def nodes_of(tasks: Sequence[TaskRun], children: Mapping[UUID, FlowRun], flows: Mapping[UUID, str]) -> list[Node]:
    """A node for each task run that has begun, or has a time to; for one that stands for a flow run (`children`, by task
    run), that one.

    They come in the order in which they began. `flows`: the names of the children's flows.
    """
    nodes: dict[UUID, Node] = {}
    by_input: dict[UUID, Node] = {}
    for task in tasks:
        child = children.get(task.id)
        run: TaskRun | FlowRun = child or task
        began = _began(run)
        if run.state_type is None or began is None:
            continue
        kind = NodeKind.FLOW_RUN if child else NodeKind.TASK_RUN
        label = f"{flows.get(child.flow_id, '')} / {child.name}" if child else run.name
        nodes[task.id] = Node(
            kind=kind, id=run.id, label=label, state_type=run.state_type, start_time=began, end_time=_ended(run)
        )
        by_input[task.id] = by_input[run.id] = nodes[task.id]
    for task in tasks:
        if (node := nodes.get(task.id)) is not None:
            parents = {by_input[id].id: by_input[id] for id in _taken(task) if id in by_input}
            node.parents = [Edge(id=id) for id in parents]
            node.encapsulating = _edges(nodes, _sources(task.task_inputs.get(_PARENT), _TASKS))
            for parent in parents.values():
                parent.children.append(Edge(id=node.id))
    return sorted(nodes.values(), key=lambda node: (node.start_time, node.id))


def _began(run: TaskRun | FlowRun) -> datetime | None:
    """When it began, or was to begin."""
    return run.start_time or run.expected_start_time


def _ended(run: TaskRun | FlowRun) -> datetime | None:
    """When it ended; one that was cached never began."""
    return run.end_time or (run.expected_start_time if run.state_type is StateType.COMPLETED else None)


def _edges(nodes: Mapping[UUID, Node], ids: Iterable[UUID]) -> list[Edge]:
    return [Edge(id=nodes[id].id) for id in ids if id in nodes]


def _taken(task: TaskRun, kinds: Collection[str] = ("task_run", "flow_run")) -> list[UUID]:
    """The runs whose results it took."""
    inputs = (value for name, value in task.task_inputs.items() if name != _PARENT)
    return [*dict.fromkeys(id for value in inputs for id in _sources(value, kinds))]


def _sources(value: Any, kinds: Collection[str]) -> list[UUID]:
    found: dict[UUID, None] = {}
    for each in value if isinstance(value, list) else ():
        if isinstance(each, dict) and each.get("input_type") in kinds:
            try:
                found[UUID(str(each.get("id")))] = None
            except ValueError:
                continue
    return [*found]


def dependencies_of(tasks: Iterable[TaskRun]) -> list[Dependency]:
    """Each task run with the runs whose results it took."""
    return [
        Dependency(
            id=task.id,
            name=task.name,
            upstream_dependencies=[Upstream(id=id) for id in _taken(task, _TASKS)],
            state=task.state,
            expected_start_time=task.expected_start_time,
            start_time=task.start_time,
            end_time=task.end_time,
            total_run_time=task.total_run_time,
            estimated_run_time=task.estimated_run_time,
            untrackable_result=task.state.state_details.untrackable_result if task.state else False,
        )
        for task in tasks
    ]
