"""Which server runs which background job, where several share a PostgreSQL.

Every job may run on several servers at once and do no harm; one at a time is enough. So each has a leader, by a lease in
the database that is renewed three times before it ends. Whoever is dead or cut off loses it, another takes over within
a lease and a third, and a leader that cannot renew in time stops by itself. On SQLite the one server leads everywhere.
"""

import asyncio
import os
import random
import socket
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import uuid4

from headgate.errors import Unavailable
from headgate.schema.leaders import Leader, Service
from headgate.services.scope import Scope
from headgate.settings import NAMES
from headgate.store import leaders as rows
from headgate.store.database import Tx
from headgate.store.leaders import Lease
from headgate.telemetry import LeadershipChanged

_RENEWALS = 3
_GOODBYE_SECONDS = 2.0


class Leadership:
    """This server's turns at jobs; `reached_since`: from when on the database has answered without a break."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.id = uuid4()
        self.place = f"{socket.gethostname()}:{os.getpid()}"
        self.reached_since: datetime | None = None
        self._names = sorted(names)
        self._led: set[str] = set()
        self._until: datetime | None = None
        self._changed = asyncio.Event()

    def join(self, names: Iterable[str]) -> None:
        """Stand by for these jobs, too."""
        self._names = sorted({*self._names, *names})

    def leads(self, name: str, *, now: datetime) -> bool:
        """Whether this server has the turn at a job."""
        return name in self._led and self._until is not None and now < self._until

    async def turn(self, scope: Scope, name: str) -> None:
        """Wait until this server has the turn at a job; at once on SQLite."""
        while scope.store.dialect != "sqlite" and not self.leads(name, now=scope.now):
            self._changed.clear()
            await self._changed.wait()

    async def keep(self, scope: Scope) -> None:
        """Renew and take over, until cancelled."""
        while scope.store.dialect != "sqlite":
            await self.renew(scope)
            pause = scope.settings.server_services_lease_seconds / _RENEWALS
            await asyncio.sleep(pause * random.uniform(0.8, 1.0))

    async def renew(self, scope: Scope) -> None:
        """Renew what is held, take what is free. Without an answer in time this server leads nowhere until there is one."""
        now = scope.now
        until = now + timedelta(seconds=scope.settings.server_services_lease_seconds)
        try:
            led = await scope.store.write(lambda tx: self._renew(tx, now, until))
        except Unavailable:
            self.reached_since = self._until = None
            return
        if self._until is None or scope.now > self._until:
            self.reached_since = scope.now
        for name in sorted(led ^ self._led):
            scope.telemetry.emit(LeadershipChanged(name, name in led))
        self._led, self._until = led, until
        self._changed.set()

    async def _renew(self, tx: Tx, now: datetime, until: datetime) -> set[str]:
        present = {lease.name: lease for lease in await rows.list_all(tx) if lease.name in self._names}
        own = [name for name, lease in present.items() if lease.holder_id == self.id]
        led = await rows.renew(tx, self.id, own, expires_at=until) if own else set()
        for name in self._names:
            if name not in led and (name not in present or present[name].expires_at < now):
                lease = Lease(name, self.id, self.place, now, until)
                if await rows.take(tx, lease, now=now):
                    led.add(name)
        return led

    async def give_back(self, scope: Scope) -> None:
        """Let others take over at once."""
        if not self._led:
            return
        self._led = set()
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await scope.store.write(lambda tx: rows.give_back(tx, self.id))


async def list_services(scope: Scope) -> list[Service]:
    """All background jobs, and who leads at each."""
    leases = {lease.name: lease for lease in await scope.store.read(rows.list_all) if lease.expires_at > scope.now}
    services = []
    for name in (name.removesuffix("_enabled") for name in NAMES if _is_switch(name)):
        lease = leases.get(name.removeprefix("server_services_").replace("_", " "))
        services.append(
            Service(
                name=name.removeprefix("server_services_").replace("_", " "),
                enabled=getattr(scope.settings, f"{name}_enabled"),
                loop_seconds=getattr(scope.settings, f"{name}_loop_seconds"),
                leader=Leader(place=lease.place, since=lease.since, expires_at=lease.expires_at) if lease else None,
            )
        )
    return services


def _is_switch(name: str) -> bool:
    return name.startswith("server_services_") and name.endswith("_enabled")
