"""Routes of task workers, and the websocket over which they are given task runs that were put off."""

import asyncio
from typing import Literal

import msgspec

from headgate.api.routing import Router
from headgate.api.sockets import Socket, SocketRoute, until_first
from headgate.ids import uuid7
from headgate.schema.task_workers import TaskWorker, TaskWorkerQuery
from headgate.services import task_workers
from headgate.services.scope import Scope
from headgate.services.task_workers import ACK_SECONDS, ATTEND_SECONDS, Offer

router = Router("/task_workers", tag="Task workers")

VIOLATION, STOPPING = 4001, 1012
"""Codes of closing: what came is not what the wire says; the server stops, and clients connect again."""


@router.post("/filter")
async def read_task_workers(scope: Scope, body: TaskWorkerQuery | None) -> list[TaskWorker]:
    """Task workers that are connected, all or those that run certain tasks."""
    return await task_workers.query(scope, body or TaskWorkerQuery())


class _Subscribe(msgspec.Struct):
    type: str = ""
    keys: list[str] = []
    client_id: str = ""


class _Reply(msgspec.Struct):
    type: Literal["ack", "quit"]


_SUBSCRIBE = msgspec.json.Decoder(_Subscribe)
_REPLY = msgspec.json.Decoder(_Reply)


async def stream_scheduled_task_runs(scope: Scope, socket: Socket) -> None:
    """Give a task worker the task runs of its tasks, one after the other, each as soon as the one before is acknowledged.

    What is not acknowledged goes to the next task worker.
    """
    try:
        asked = await socket.receive(_SUBSCRIBE)
    except msgspec.DecodeError:
        asked = _Subscribe()
    if (missing := _missing(asked)) is not None:
        await socket.close(VIOLATION, f"Protocol violation: expected {missing}")
        return
    connection = uuid7(scope.now)
    replies: asyncio.Queue[str | bytes] = asyncio.Queue()

    async def read() -> None:
        while True:
            replies.put_nowait(await socket.receive_text())

    async def attend() -> None:
        while True:
            await asyncio.sleep(ATTEND_SECONDS)
            await task_workers.attend(scope, connection, asked.client_id, asked.keys)

    await task_workers.attend(scope, connection, asked.client_id, asked.keys)
    try:
        await until_first(read(), attend(), _deliver(scope, socket, asked.keys, replies))
    finally:
        await task_workers.leave(scope, connection)


def _missing(asked: _Subscribe) -> str | None:
    if asked.type != "subscribe":
        return "'subscribe' message"
    return next((f"{name!r} in subscribe message" for name in ("keys", "client_id") if not getattr(asked, name)), None)


async def _deliver(scope: Scope, socket: Socket, keys: list[str], replies: "asyncio.Queue[str | bytes]") -> None:
    turn = 0
    while (offer := await task_workers.next_offer(scope, keys, turn=turn)) is not None:
        turn += 1
        reply = await _offer(scope, socket, offer, replies)
        if reply is None:
            await socket.close(VIOLATION, "Protocol violation: expected 'ack' message")
            return
        if reply.type == "quit":
            return
    await socket.close(STOPPING, "The server stops; connect again.")


async def _offer(scope: Scope, socket: Socket, offer: Offer, replies: "asyncio.Queue[str | bytes]") -> _Reply | None:
    """What a task worker said to an offer; None for what is no answer."""
    reply = None
    try:
        await socket.send(offer.run)
        async with asyncio.timeout(ACK_SECONDS):
            reply = _REPLY.decode(await replies.get())
    except (TimeoutError, msgspec.DecodeError):
        return None
    finally:
        await (task_workers.withdraw if reply is None else task_workers.accept)(scope, offer)
    return reply


SOCKETS = (SocketRoute("/task_runs/subscriptions/scheduled", stream_scheduled_task_runs),)
