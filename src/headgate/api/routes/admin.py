"""Routes about the server itself."""

from typing import Any

from headgate.api.routing import Router
from headgate.schema.admin import Confirmation, ResultStorage, ResultStorageUpdate
from headgate.schema.leaders import Service
from headgate.services import admin, leaders, result_storage
from headgate.services.scope import Scope

router = Router(tag="Admin")


@router.get("/health")
async def read_health() -> bool:
    """Whether the server is up."""
    return True


@router.get("/ready")
async def read_ready(scope: Scope) -> dict[str, str]:
    """Whether the server reaches its database: 503 when it does not."""
    await admin.check_ready(scope)
    return {"message": "OK"}


@router.get("/admin/services")
async def read_services(scope: Scope) -> list[Service]:
    """The background jobs, and which server leads at each."""
    return await leaders.list_services(scope)


@router.get("/hello")
async def read_hello() -> str:
    """A greeting."""
    return "👋"


@router.get("/version")
async def read_version() -> str:
    """Version of the wire, which existing clients compare."""
    return admin.WIRE_VERSION


@router.get("/admin/version")
async def read_server_version() -> str:
    """Version of the server that existing clients take this one for; their majors must match."""
    return admin.PEER_VERSION


@router.get("/admin/settings")
async def read_server_settings(scope: Scope) -> dict[str, Any]:
    """The server's settings, without passwords."""
    return admin.settings(scope)


@router.get("/admin/storage")
async def read_result_storage(scope: Scope) -> ResultStorage:
    """The block that keeps results of runs which name no storage of their own."""
    return await result_storage.get(scope)


@router.put("/admin/storage")
async def choose_result_storage(scope: Scope, body: ResultStorageUpdate) -> ResultStorage:
    """Choose the block that keeps results of runs which name no storage of their own."""
    return await result_storage.choose(scope, body.default_result_storage_block_id)


@router.delete("/admin/storage")
async def clear_result_storage(scope: Scope) -> None:
    """Have runs that name no storage keep their results on their own machine."""
    await result_storage.clear(scope)


@router.post("/admin/database/clear", status=204)
async def clear_database(scope: Scope, body: Confirmation | None) -> None:
    """Delete every record."""
    await admin.clear_database(scope, body or Confirmation())


@router.post("/admin/database/drop", status=204)
async def drop_database(scope: Scope, body: Confirmation | None) -> None:
    """Delete every record. The empty schema stays, since the server works on it."""
    await admin.clear_database(scope, body or Confirmation())


@router.post("/admin/database/create", status=204)
async def create_database(scope: Scope, body: Confirmation | None) -> None:
    """Nothing: the schema is there while a server runs."""
    admin.create_database(body or Confirmation())
