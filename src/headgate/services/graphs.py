"""Use cases of graphs of flow runs."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from headgate.core import graphs as rules
from headgate.errors import NotFound, Unprocessable
from headgate.schema.flow_runs import FlowRun
from headgate.schema.graphs import Dependency, Graph, GraphArtifact, GraphState
from headgate.schema.task_runs import TaskRun
from headgate.schema.times import aware
from headgate.services.scope import Scope
from headgate.store import artifacts as artifact_rows
from headgate.store import flow_run_states as state_rows
from headgate.store import flow_runs as run_rows
from headgate.store import flows as flow_rows
from headgate.store import task_runs as rows
from headgate.store.database import Tx

MAX_NODES, MAX_ARTIFACTS = 10_000, 10_000


async def graph(scope: Scope, flow_run_id: UUID, *, since: datetime | None) -> Graph:
    """The graph of a flow run: nodes that are at work at or after `since`, or all; `Unprocessable` above `MAX_NODES`."""

    async def unit(tx: Tx) -> Graph:
        run, tasks = await _tasks(tx, scope, flow_run_id)
        ids = await rows.children(tx, [task.id for task in tasks])
        found = await run_rows.get_many(tx, [*ids.values()], now=scope.now)
        children = {task_id: found[id] for task_id, id in ids.items() if id in found}
        flows = await flow_rows.get_many(tx, {child.flow_id for child in children.values()}) if children else {}
        nodes = rules.nodes_of(tasks, children, {id: flow.name for id, flow in flows.items()})
        if since is not None:
            nodes = [node for node in nodes if node.end_time is None or node.end_time >= aware(since)]
        states = await state_rows.of_run(tx, flow_run_id)
        artifacts: dict[UUID | None, list[GraphArtifact]] = {}
        for task_run_id, artifact in await artifact_rows.of_graph(tx, flow_run_id, limit=MAX_ARTIFACTS):
            artifacts.setdefault(task_run_id, []).append(artifact)
        for node in nodes:
            node.artifacts = artifacts.get(node.id, [])
        return Graph(
            start_time=run.start_time or run.expected_start_time,
            end_time=run.end_time,
            root_node_ids=[node.id for node in nodes if not node.parents],
            nodes=[(node.id, node) for node in nodes],
            artifacts=artifacts.get(None, []),
            states=[GraphState(id=each.id, timestamp=each.timestamp, type=each.type, name=each.name) for each in states],
        )

    return await scope.store.read(unit)


async def dependencies(scope: Scope, flow_run_id: UUID) -> list[Dependency]:
    """The task runs of a flow run, each with those whose results it took."""

    async def unit(tx: Tx) -> list[Dependency]:
        return rules.dependencies_of((await _tasks(tx, scope, flow_run_id))[1])

    return await scope.store.read(unit)


async def _tasks(tx: Tx, scope: Scope, flow_run_id: UUID) -> tuple[FlowRun, Sequence[TaskRun]]:
    run = await run_rows.get(tx, flow_run_id, now=scope.now)
    if run is None:
        raise NotFound(f"Flow run with id {flow_run_id} not found")
    tasks = await rows.of_flow_run(tx, flow_run_id, limit=MAX_NODES + 1, now=scope.now)
    if len(tasks) > MAX_NODES:
        raise Unprocessable(f"The graph of flow run {flow_run_id} has more than {MAX_NODES} nodes.")
    return run, tasks
