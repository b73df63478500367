"""Use cases of artifacts."""

from uuid import UUID

from msgspec import UNSET
from msgspec.structs import asdict

from headgate.core.document_events import of_latest_artifact
from headgate.errors import NotFound
from headgate.ids import uuid7
from headgate.schema.artifacts import (
    Artifact,
    ArtifactCollection,
    ArtifactCollectionQuery,
    ArtifactCreate,
    ArtifactQuery,
    ArtifactUpdate,
)
from headgate.services.resource_events import keep
from headgate.services.scope import Scope
from headgate.store import artifacts as rows
from headgate.store.database import Tx


async def create(scope: Scope, body: ArtifactCreate) -> Artifact:
    """Create an artifact: the latest of its key from now on."""
    now = scope.now
    artifact = Artifact(id=uuid7(now), created=now, updated=now, **asdict(body))

    async def unit(tx: Tx) -> None:
        before = await _latest(tx, artifact.key)
        await rows.insert(tx, artifact)
        await keep(scope, tx, *of_latest_artifact(before, await _latest(tx, artifact.key)))

    await scope.store.write(unit)
    return artifact


async def _latest(tx: Tx, key: str | None) -> ArtifactCollection | None:
    return None if key is None else await rows.get_latest(tx, key)


async def get(scope: Scope, id: UUID) -> Artifact:
    """One artifact."""
    artifact = await scope.store.read(lambda tx: rows.get(tx, id))
    if artifact is None:
        raise _missing()
    return artifact


async def get_latest(scope: Scope, key: str) -> ArtifactCollection:
    """The latest artifact of a key."""
    artifact = await scope.store.read(lambda tx: rows.get_latest(tx, key))
    if artifact is None:
        raise _missing()
    return artifact


async def list_page(scope: Scope, query: ArtifactQuery) -> list[Artifact]:
    """A page of those that match."""
    return await scope.store.read(lambda tx: rows.list_page(tx, query))


async def list_latest(scope: Scope, query: ArtifactCollectionQuery) -> list[ArtifactCollection]:
    """A page of the latest of their keys that match."""
    return await scope.store.read(lambda tx: rows.list_latest(tx, query))


async def count(scope: Scope, query: ArtifactQuery) -> int:
    """How many match."""
    return await scope.store.read(lambda tx: rows.count(tx, query))


async def count_latest(scope: Scope, query: ArtifactCollectionQuery) -> int:
    """How many of the latest of their keys match."""
    return await scope.store.read(lambda tx: rows.count_latest(tx, query))


async def update(scope: Scope, id: UUID, body: ArtifactUpdate) -> None:
    """Change an artifact: what is left out stays."""

    async def unit(tx: Tx) -> None:
        artifact = await rows.get(tx, id)
        if artifact is None:
            raise _missing()
        for name, value in asdict(body).items():
            if value is not UNSET:
                setattr(artifact, name, value)
        artifact.updated = scope.now
        await rows.update(tx, artifact)

    await scope.store.write(unit)


async def delete(scope: Scope, id: UUID) -> None:
    """Delete; the one of its key before it is the latest again."""

    async def unit(tx: Tx) -> None:
        artifact = await rows.get(tx, id)
        if artifact is None:
            raise _missing()
        before = await _latest(tx, artifact.key)
        await rows.delete(tx, id)
        if before is not None and before.latest_id == id:
            await keep(scope, tx, *of_latest_artifact(before, await _latest(tx, artifact.key)))

    await scope.store.write(unit)


def _missing() -> NotFound:
    return NotFound("Artifact not found.")
