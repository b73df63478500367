"""What is asked about a server, and of it, on the wire."""

from uuid import UUID

from msgspec import Struct


class Confirmation(Struct, kw_only=True):
    """Body of a call that deletes everything: it does so only when told twice."""

    confirm: bool = False


class ResultStorage(Struct, kw_only=True):
    """The block that keeps the results of runs which name no storage of their own; null where each client has its own."""

    default_result_storage_block_id: UUID | None = None


class ResultStorageUpdate(Struct, kw_only=True):
    """Body that chooses it."""

    default_result_storage_block_id: UUID
