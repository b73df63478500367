"""Routes of log lines."""

from headgate.api.routing import Router
from headgate.schema.filters import LogQuery
from headgate.schema.logs import Log, LogCreate
from headgate.services import logs
from headgate.services.scope import Scope

router = Router("/logs", tag="Logs")


@router.post("/", status=201, replaces_nul=True)
async def create_logs(scope: Scope, body: list[LogCreate]) -> None:
    """Write log lines."""
    await logs.create(scope, body)


@router.post("/filter")
async def read_logs(scope: Scope, body: LogQuery | None) -> list[Log]:
    """Log lines that match."""
    return await logs.list_page(scope, body or LogQuery())
