"""Routes of artifacts."""

from uuid import UUID

from headgate.api.routing import Router
from headgate.schema.artifacts import (
    Artifact,
    ArtifactCollection,
    ArtifactCollectionQuery,
    ArtifactCreate,
    ArtifactQuery,
    ArtifactUpdate,
)
from headgate.services import artifacts
from headgate.services.scope import Scope

router = Router("/artifacts", tag="Artifacts")


@router.post("/", status=201)
async def create_artifact(scope: Scope, body: ArtifactCreate) -> Artifact:
    """Create an artifact: the latest of its key, if it has one."""
    return await artifacts.create(scope, body)


@router.post("/filter")
async def read_artifacts(scope: Scope, body: ArtifactQuery | None) -> list[Artifact]:
    """Artifacts that match, the newest first."""
    return await artifacts.list_page(scope, body or ArtifactQuery())


@router.post("/count")
async def count_artifacts(scope: Scope, body: ArtifactQuery | None) -> int:
    """How many artifacts match."""
    return await artifacts.count(scope, body or ArtifactQuery())


@router.post("/latest/filter")
async def read_latest_artifacts(scope: Scope, body: ArtifactCollectionQuery | None) -> list[ArtifactCollection]:
    """The latest artifacts of their keys that match."""
    return await artifacts.list_latest(scope, body or ArtifactCollectionQuery())


@router.post("/latest/count")
async def count_latest_artifacts(scope: Scope, body: ArtifactCollectionQuery | None) -> int:
    """How many of the latest artifacts of their keys match."""
    return await artifacts.count_latest(scope, body or ArtifactCollectionQuery())


@router.get("/{key}/latest")
async def read_latest_artifact(scope: Scope, key: str) -> ArtifactCollection:
    """The latest artifact of a key."""
    return await artifacts.get_latest(scope, key)


@router.get("/{id}")
async def read_artifact(scope: Scope, id: UUID) -> Artifact:
    """One artifact."""
    return await artifacts.get(scope, id)


@router.patch("/{id}")
async def update_artifact(scope: Scope, id: UUID, body: ArtifactUpdate) -> None:
    """Change an artifact: what is left out stays."""
    await artifacts.update(scope, id, body)


@router.delete("/{id}")
async def delete_artifact(scope: Scope, id: UUID) -> None:
    """Delete an artifact."""
    await artifacts.delete(scope, id)
