"""Rows of artifacts. The latest of a key is the one of the highest id."""

from typing import Any
from uuid import UUID

from headgate.schema.artifacts import Artifact, ArtifactCollection, ArtifactCollectionQuery, ArtifactQuery, ArtifactSort
from headgate.schema.filters import Selection
from headgate.schema.graphs import GraphArtifact
from headgate.store.database import Row, Tx
from headgate.store.document_filters import artifact_condition
from headgate.store.filters import Params, joined, task_run_condition
from headgate.store.paging import page
from headgate.store.selections import runs_for, selection_condition
from headgate.store.statements import load_statements

_SQL = load_statements("artifacts")
_SELECT = _SQL["select"].sqlite
_LATEST = "art.key IS NOT NULL AND NOT EXISTS (SELECT 1 FROM artifact later WHERE later.key = art.key AND later.id > art.id)"
_ORDER = {
    ArtifactSort.CREATED_DESC: "art.created DESC, art.id DESC",
    ArtifactSort.UPDATED_DESC: "art.updated DESC, art.id DESC",
    ArtifactSort.ID_DESC: "art.id DESC",
    ArtifactSort.KEY_DESC: "art.key DESC, art.id DESC",
    ArtifactSort.KEY_ASC: "art.key, art.id DESC",
}

Query = ArtifactQuery | ArtifactCollectionQuery


def _latest(row: Row) -> ArtifactCollection:
    return ArtifactCollection(**row, latest_id=row["id"])


async def insert(tx: Tx, artifact: Artifact) -> None:
    """Insert."""
    await tx.execute(_SQL["insert"], _values(artifact))


async def get(tx: Tx, id: UUID) -> Artifact | None:
    """By id."""
    row = await tx.fetch_one(f"{_SELECT} WHERE art.id = :id", {"id": id})
    return Artifact(**row) if row else None


async def get_latest(tx: Tx, key: str) -> ArtifactCollection | None:
    """The latest of a key."""
    row = await tx.fetch_one(f"{_SELECT} WHERE art.key = :key ORDER BY art.id DESC LIMIT 1", {"key": key})
    return _latest(row) if row else None


async def list_page(tx: Tx, query: ArtifactQuery) -> list[Artifact]:
    """A page of those that match."""
    return [Artifact(**row) for row in await _page(tx, query, "TRUE")]


async def of_graph(tx: Tx, flow_run_id: UUID, *, limit: int) -> list[tuple[UUID | None, GraphArtifact]]:
    """Those that a flow run and its task runs left, the oldest first, but for results; each with the task run's id."""
    rows = await tx.fetch(_SQL["of_graph"], {"flow_run_id": flow_run_id, "limit": limit})
    found = []
    for row in rows:
        values = dict(row)
        task_run_id, is_latest = values.pop("task_run_id"), bool(values.pop("is_latest"))
        data = values.pop("data")
        told = data if values["type"] == "progress" else None
        found.append((task_run_id, GraphArtifact(**values, is_latest=is_latest, data=told)))
    return found


async def list_latest(tx: Tx, query: ArtifactCollectionQuery) -> list[ArtifactCollection]:
    """A page of those that match, and are the latest of their keys."""
    return [_latest(row) for row in await _page(tx, query, _LATEST)]


async def count(tx: Tx, query: ArtifactQuery) -> int:
    """How many match."""
    return await _count(tx, query, "TRUE")


async def count_latest(tx: Tx, query: ArtifactCollectionQuery) -> int:
    """How many match, and are the latest of their keys."""
    return await _count(tx, query, _LATEST)


async def _page(tx: Tx, query: Query, which: str) -> list[Row]:
    p = Params(tx.dialect)
    where = _where(query, p, which)
    order = _ORDER[query.sort or ArtifactSort.ID_DESC]
    return await tx.fetch(f"{_SELECT} WHERE {where} ORDER BY {order} {page(query, p)}", p.values)


async def _count(tx: Tx, query: Query, which: str) -> int:
    p = Params(tx.dialect)
    where = _where(query, p, which)
    found: int = await tx.fetch_value(f"SELECT count(*) FROM artifact art WHERE {where}", p.values)
    return found


def _where(query: Query, p: Params, which: str) -> str:
    conditions: list[str | None] = [which, artifact_condition(query.artifacts, p)]
    if query.flows or query.flow_runs or query.deployments:
        runs = Selection(flows=query.flows, flow_runs=query.flow_runs, deployments=query.deployments)
        condition = selection_condition("flow_runs", runs, p)
        conditions.append(f"EXISTS (SELECT 1 FROM {runs_for(condition)} WHERE r.id = art.flow_run_id AND {condition})")
    if query.task_runs:
        condition = task_run_condition(query.task_runs, p)
        conditions.append(f"EXISTS (SELECT 1 FROM task_run t WHERE t.id = art.task_run_id AND {condition})")
    return joined(conditions)


async def update(tx: Tx, artifact: Artifact) -> None:
    """Write what may be changed."""
    await tx.execute(_SQL["update"], _values(artifact))


async def delete(tx: Tx, id: UUID) -> bool:
    """Delete; False when there is none."""
    return await tx.execute(_SQL["delete"], {"id": id}) > 0


def _values(artifact: Artifact) -> dict[str, Any]:
    return {name: getattr(artifact, name) for name in Artifact.__struct_fields__}
