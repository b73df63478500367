"""Calls about artifacts."""

from uuid import UUID

from headgate.client.call import Call
from headgate.schema.artifacts import (
    Artifact,
    ArtifactCollection,
    ArtifactCollectionQuery,
    ArtifactCreate,
    ArtifactQuery,
    ArtifactUpdate,
)


def create(body: ArtifactCreate) -> Call[Artifact]:
    """Create an artifact."""
    return Call("POST", "/artifacts/", body=body, returns=Artifact)


def get(id: UUID) -> Call[Artifact]:
    """One artifact."""
    return Call("GET", "/artifacts/{id}", at={"id": id}, returns=Artifact)


def get_latest(key: str) -> Call[ArtifactCollection]:
    """The latest artifact of a key."""
    return Call("GET", "/artifacts/{key}/latest", at={"key": key}, returns=ArtifactCollection)


def query(body: ArtifactQuery | None = None) -> Call[list[Artifact]]:
    """Artifacts that match."""
    return Call("POST", "/artifacts/filter", body=body or ArtifactQuery(), returns=list[Artifact])


def count(body: ArtifactQuery | None = None) -> Call[int]:
    """How many artifacts match."""
    return Call("POST", "/artifacts/count", body=body or ArtifactQuery(), returns=int)


def query_latest(body: ArtifactCollectionQuery | None = None) -> Call[list[ArtifactCollection]]:
    """The latest artifacts of their keys that match."""
    sent = body or ArtifactCollectionQuery()
    return Call("POST", "/artifacts/latest/filter", body=sent, returns=list[ArtifactCollection])


def count_latest(body: ArtifactCollectionQuery | None = None) -> Call[int]:
    """How many of the latest artifacts of their keys match."""
    return Call("POST", "/artifacts/latest/count", body=body or ArtifactCollectionQuery(), returns=int)


def update(id: UUID, body: ArtifactUpdate) -> Call[None]:
    """Change an artifact."""
    return Call("PATCH", "/artifacts/{id}", at={"id": id}, body=body)


def delete(id: UUID) -> Call[None]:
    """Delete an artifact."""
    return Call("DELETE", "/artifacts/{id}", at={"id": id})
