"""The channel of 3.x workers: hello and ready, then heartbeats one way and snapshots of the pool the other."""

import asyncio
from typing import NoReturn

import msgspec

from headgate.api.sockets import FAILED, PROTOCOL_ERROR, REFUSED, Gone, Socket, SocketRoute, until_first
from headgate.errors import HeadgateError
from headgate.ids import uuid7
from headgate.schema.worker_channel import (
    CAPABILITIES,
    VERSION,
    BeatFrame,
    Hello,
    HelloFrame,
    Ready,
    ReadyFrame,
    ResolvedQueue,
    Snapshot,
    SnapshotFrame,
)
from headgate.services import worker_channel
from headgate.services.scope import Scope
from headgate.services.wakeups import changes_of
from headgate.services.worker_channel import Joined, Refused

AUTHENTICATION, AUTHORIZATION = "authentication_failed", "authorization_failed"
UNSUPPORTED, MALFORMED = "unsupported_version", "protocol_error"
NO_HEARTBEAT = "heartbeat_persistence_failed"
"""Reasons of closing that workers know."""

_HELLO = msgspec.json.Decoder(HelloFrame)
_BEAT = msgspec.json.Decoder(BeatFrame)


async def connect(scope: Scope, socket: Socket, work_pool_name: str) -> None:
    """Serve one worker until it hangs up or its pool is gone."""
    hello = await _read_hello(socket)
    try:
        joined = await worker_channel.join(scope, work_pool_name, hello)
    except Refused:
        await _close(socket, REFUSED, AUTHORIZATION)
    except HeadgateError:
        await _close(socket, PROTOCOL_ERROR, MALFORMED)
    with scope.wakeups.waiting([changes_of(joined.pool.id)]) as changed:
        channel = _Channel(scope, socket, hello, joined)
        await socket.send(channel.ready(joined))
        await until_first(channel.receive(changed), channel.tell(changed))


async def _read_hello(socket: Socket) -> Hello:
    try:
        hello = (await socket.receive(_HELLO)).payload
    except msgspec.DecodeError:
        await _close(socket, PROTOCOL_ERROR, MALFORMED)
    if not set(CAPABILITIES) <= set(hello.requested_capabilities):
        await _close(socket, PROTOCOL_ERROR, MALFORMED)
    if VERSION not in hello.supported_channel_versions:
        await _close(socket, REFUSED, UNSUPPORTED)
    return hello


async def _close(socket: Socket, code: int, reason: str) -> NoReturn:
    await socket.close(code, reason)
    raise Gone


class _Channel:
    """What one worker has been told, and how it is told more."""

    def __init__(self, scope: Scope, socket: Socket, hello: Hello, joined: Joined) -> None:
        self._scope = scope
        self._socket = socket
        self._hello = hello
        self._joined = joined
        self._sequence = 0
        self._reason: str | None = None

    def ready(self, joined: Joined) -> ReadyFrame:
        """The answer to the hello."""
        asked = [*dict.fromkeys(self._hello.requested_capabilities)]
        payload = Ready(
            consumer_id=self._hello.consumer_id,
            effective_heartbeat_interval_seconds=self._hello.heartbeat_interval_seconds,
            accepted_capabilities=[each for each in asked if each in CAPABILITIES],
            rejected_capabilities=[each for each in asked if each not in CAPABILITIES],
            resolved_work_queues=[ResolvedQueue(id=queue.id, name=queue.name) for queue in joined.queues],
            initial_snapshot=self._snapshot("initial"),
        )
        return ReadyFrame(id=uuid7(self._scope.now), sent_at=self._scope.now, payload=payload)

    async def receive(self, changed: asyncio.Event) -> None:
        """Take heartbeats. A worker that missed a change of its pool is told of it now."""
        while True:
            try:
                said = (await self._socket.receive(_BEAT)).payload
            except msgspec.DecodeError:
                await _close(self._socket, PROTOCOL_ERROR, MALFORMED)
            if (said.consumer_id, said.worker_name) != (self._hello.consumer_id, self._hello.worker_name):
                await _close(self._socket, PROTOCOL_ERROR, MALFORMED)
            self._hello.heartbeat_interval_seconds = said.heartbeat_interval_seconds
            try:
                pool = await worker_channel.beat(self._scope, self._joined.pool.name, self._hello)
            except HeadgateError:
                await _close(self._socket, FAILED, NO_HEARTBEAT)
            if pool.updated != self._joined.pool.updated:
                self._reason = "heartbeat_reconciliation"
                changed.set()

    async def tell(self, changed: asyncio.Event) -> None:
        """Send a snapshot whenever the pool, or a queue of the worker's, has changed in what workers go by."""
        while True:
            await changed.wait()
            changed.clear()
            joined = await worker_channel.look(self._scope, self._joined, self._hello)
            if joined is None:
                await _close(self._socket, REFUSED, AUTHORIZATION)
            before, self._joined = self._joined, joined
            if (change := worker_channel.change_of(before, joined)) is not None:
                now = self._scope.now
                payload = self._snapshot(self._reason or change)
                await self._socket.send(SnapshotFrame(id=uuid7(now), sent_at=now, payload=payload))
            self._reason = None

    def _snapshot(self, reason: str) -> Snapshot:
        self._sequence += 1
        return Snapshot(snapshot_sequence=self._sequence, reason=reason, work_pool=self._joined.pool)


SOCKETS = (SocketRoute("/work_pools/{work_pool_name}/workers/connect", connect, must_ask=True, refusal=AUTHENTICATION),)
