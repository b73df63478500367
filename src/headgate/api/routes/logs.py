"""Routes of log lines."""

from typing import Literal

import msgspec

from headgate.api.routing import Router
from headgate.api.sockets import Socket, SocketRoute
from headgate.schema.filters import LogFilter, LogQuery
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


class _Filter(msgspec.Struct):
    type: Literal["filter"]
    filter: LogFilter


class _Line(msgspec.Struct, tag="log", tag_field="type"):
    log: Log


_FILTER = msgspec.json.Decoder(_Filter)


async def stream_logs_out(scope: Scope, socket: Socket) -> None:
    """Lines that match, as they come, until the caller hangs up."""
    asked = await socket.receive_filter(_FILTER)
    if asked is None:
        return
    wanted = asked.filter

    async def send() -> None:
        async for lines in scope.log_streams.follow(scope, wanted):
            for line in lines:
                await socket.send(_Line(line))

    await socket.while_there(send())


SOCKETS = (SocketRoute("/logs/out", stream_logs_out),)
