"""`headgate global-concurrency-limit`: slots under a name, which any code may take and give back."""

from typing import Annotated

from cyclopts import App, Parameter

from headgate.cli.find import every, find_limit
from headgate.cli.options import InSession, Output, Yes
from headgate.cli.output import Column, UsageError, ago, confirm, print_json, print_table, show
from headgate.client.calls import concurrency_limits
from headgate.schema.concurrency_limits import (
    ConcurrencyLimitQuery,
    GlobalConcurrencyLimit,
    GlobalConcurrencyLimitCreate,
    GlobalConcurrencyLimitUpdate,
)

app = App(name="global-concurrency-limit")

Name = Annotated[str, Parameter(help="Name of the limit, or its id.")]
NewName = Annotated[str, Parameter(help="Name of the limit.")]
NewLimit = Annotated[int, Parameter(name=["--limit", "-l"], help="How many slots it has.")]
Limit = Annotated[int | None, Parameter(name=["--limit", "-l"], help="How many slots it has.")]
ActiveSlots = Annotated[int | None, Parameter(name="--active-slots", help="How many slots count as taken.")]
Decay = Annotated[
    float | None,
    Parameter(
        name="--slot-decay-per-second", help="How many taken slots come back by themselves each second: a rate limit."
    ),
]


@app.command
def create(
    name: NewName,
    /,
    *,
    limit: NewLimit,
    disable: Annotated[
        bool, Parameter(name="--disable", negative="", help="Create it so that it constrains nobody.")
    ] = False,
    active_slots: ActiveSlots = None,
    slot_decay_per_second: Decay = None,
    output: Output = "table",
    session: InSession,
) -> None:
    """Create a limit.

    For example:
        headgate global-concurrency-limit create database --limit 5
        headgate gcl create requests --limit 10 --slot-decay-per-second 2
    """
    body = GlobalConcurrencyLimitCreate(
        name=name,
        limit=limit,
        active=not disable,
        active_slots=active_slots or 0,
        slot_decay_per_second=slot_decay_per_second or 0.0,
    )
    with session.client() as client:
        made = client.send(concurrency_limits.create(body))
    if output == "json":
        print_json(made)
    else:
        print(f"Created concurrency limit {name!r} of {limit} slots")


@app.command
def ls(*, output: Output = "table", session: InSession) -> None:
    """List all limits, those of deployments and tags among them.

    For example:
        headgate global-concurrency-limit ls
    """
    with session.client() as client:
        found = every(client, concurrency_limits.query, ConcurrencyLimitQuery())
    if output == "json":
        print_json(found)
        return
    now = session.now()
    columns = [
        Column("Name"),
        Column("Limit", right=True),
        Column("Active slots", right=True),
        Column("Slot decay per second", right=True),
        Column("Active"),
        Column("Updated", spare=True),
    ]
    print_table("Global concurrency limits", columns, [_row(each, ago(each.updated, now)) for each in found])


@app.command(name="inspect")
def inspect_(name: Name, /, *, output: Output = "table", session: InSession) -> None:
    """Show all fields of a limit.

    For example:
        headgate global-concurrency-limit inspect database
    """
    with session.client() as client:
        found = find_limit(client, name)
    show(found, output, now=session.now())


@app.command
def update(
    name: Name,
    /,
    *,
    enable: Annotated[bool, Parameter(name="--enable", negative="", help="Let it constrain again.")] = False,
    disable: Annotated[bool, Parameter(name="--disable", negative="", help="Let everything pass.")] = False,
    limit: Limit = None,
    active_slots: ActiveSlots = None,
    slot_decay_per_second: Decay = None,
    session: InSession,
) -> None:
    """Change a limit; what is left out stays.

    For example:
        headgate global-concurrency-limit update database --limit 8
        headgate global-concurrency-limit update database --active-slots 0
    """
    if enable and disable:
        raise UsageError("Give either --enable or --disable.")
    if not (enable or disable) and limit is active_slots is slot_decay_per_second is None:
        raise UsageError("Say what to change: --limit, --active-slots, --slot-decay-per-second, --enable or --disable.")
    body = GlobalConcurrencyLimitUpdate(
        active=True if enable else False if disable else None,
        limit=limit,
        active_slots=active_slots,
        slot_decay_per_second=slot_decay_per_second,
    )
    _change(session, name, body)
    print(f"Changed concurrency limit {name!r}")


@app.command
def enable(name: Name, /, *, session: InSession) -> None:
    """Let a limit constrain again.

    For example:
        headgate global-concurrency-limit enable database
    """
    _change(session, name, GlobalConcurrencyLimitUpdate(active=True))
    print(f"Enabled concurrency limit {name!r}")


@app.command
def disable(name: Name, /, *, session: InSession) -> None:
    """Let everything pass a limit; nothing is counted meanwhile.

    For example:
        headgate global-concurrency-limit disable database
    """
    _change(session, name, GlobalConcurrencyLimitUpdate(active=False))
    print(f"Disabled concurrency limit {name!r}")


@app.command
def delete(name: Name, /, *, yes: Yes = False, session: InSession) -> None:
    """Delete a limit: from then on its name constrains nobody.

    For example:
        headgate global-concurrency-limit delete database
    """
    with session.client() as client:
        found = find_limit(client, name)
        confirm(f"What takes slots of {found.name!r} would no longer be limited. Delete it?", yes=yes)
        client.send(concurrency_limits.delete(name))
    print(f"Deleted concurrency limit {found.name!r}")


def _change(session: InSession, name: str, body: GlobalConcurrencyLimitUpdate) -> None:
    with session.client() as client:
        find_limit(client, name)
        client.send(concurrency_limits.update(name, body))


def _row(limit: GlobalConcurrencyLimit, updated: str) -> tuple[str, ...]:
    decay = f"{limit.slot_decay_per_second:g}"
    return limit.name, str(limit.limit), str(limit.active_slots), decay, "yes" if limit.active else "no", updated
