"""Routes about the server itself."""

from headgate.api.routing import Router
from headgate.services import admin
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
