"""The graph of a flow run on the wire: its task runs and the flow runs within it, and what waited for what."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from msgspec import Struct, field

from headgate.schema.states import State, StateType


class GraphState(Struct, kw_only=True):
    """A state that the flow run was in."""

    id: UUID
    timestamp: datetime
    type: StateType
    name: str


class GraphArtifact(Struct, kw_only=True):
    """An artifact that a run left."""

    id: UUID
    created: datetime
    key: str | None = None
    type: str | None = None
    is_latest: bool = True
    data: Any = None


class Edge(Struct, kw_only=True):
    """Another node."""

    id: UUID


class NodeKind(StrEnum):
    """What a node stands for."""

    FLOW_RUN = "flow-run"
    TASK_RUN = "task-run"


class Node(Struct, kw_only=True):
    """A task run, or a flow run within; `encapsulating` are nodes in which it ran."""

    kind: NodeKind
    id: UUID
    label: str
    state_type: StateType
    start_time: datetime
    end_time: datetime | None = None
    parents: list[Edge] = field(default_factory=list)
    children: list[Edge] = field(default_factory=list)
    encapsulating: list[Edge] = field(default_factory=list)
    artifacts: list[GraphArtifact] = field(default_factory=list)


class Graph(Struct, kw_only=True):
    """The graph, by node; the roots waited for none."""

    start_time: datetime | None
    end_time: datetime | None
    root_node_ids: list[UUID]
    nodes: list[tuple[UUID, Node]]
    artifacts: list[GraphArtifact] = field(default_factory=list)
    states: list[GraphState] = field(default_factory=list)


class UpstreamKind(StrEnum):
    """What gave a task its input."""

    TASK_RUN = "task_run"


class Upstream(Struct, kw_only=True):
    """A run whose result was taken."""

    id: UUID
    input_type: UpstreamKind = UpstreamKind.TASK_RUN


class Dependency(Struct, kw_only=True):
    """A task run, and the runs whose results it took."""

    id: UUID
    name: str
    upstream_dependencies: list[Upstream]
    state: State | None
    expected_start_time: datetime | None
    start_time: datetime | None
    end_time: datetime | None
    total_run_time: float
    estimated_run_time: float
    untrackable_result: bool
