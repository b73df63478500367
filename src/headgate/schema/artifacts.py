"""Artifacts on the wire: what runs leave behind for people to look at, such as tables, links and progress."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from headgate.schema.block_types import Slug
from headgate.schema.document_filters import ArtifactCollectionFilter, ArtifactFilter
from headgate.schema.filters import Selection


class Artifact(Struct, kw_only=True):
    """An artifact. Those of one `key` are versions of each other."""

    id: UUID
    created: datetime
    updated: datetime
    key: str | None
    type: str | None
    description: str | None
    data: Any
    metadata_: dict[str, Any] | None
    flow_run_id: UUID | None
    task_run_id: UUID | None


class ArtifactCollection(Artifact, kw_only=True):
    """The latest artifact of a key."""

    key: str
    latest_id: UUID


class ArtifactCreate(Struct, kw_only=True):
    """Body that creates an artifact."""

    key: Slug | None = None
    type: str | None = None
    description: str | None = None
    data: Any = None
    metadata_: dict[str, str] | None = None
    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None


class ArtifactUpdate(Struct, kw_only=True):
    """Body that changes an artifact; what is left out stays."""

    data: Any | UnsetType = UNSET
    description: str | None | UnsetType = UNSET
    metadata_: dict[str, str] | None | UnsetType = UNSET


class ArtifactSort(StrEnum):
    CREATED_DESC = "CREATED_DESC"
    UPDATED_DESC = "UPDATED_DESC"
    ID_DESC = "ID_DESC"
    KEY_DESC = "KEY_DESC"
    KEY_ASC = "KEY_ASC"


class ArtifactQuery(Selection, kw_only=True):
    """Artifacts that match, and of runs that match."""

    artifacts: ArtifactFilter | None = None
    sort: ArtifactSort | None = None


class ArtifactCollectionQuery(Selection, kw_only=True):
    """The latest artifacts of their keys that match, and of runs that match."""

    artifacts: ArtifactCollectionFilter | None = None
    sort: ArtifactSort | None = None
