"""`headgate concurrency-limit`: how many task runs with a tag may be in progress at a time."""

from typing import Annotated

from cyclopts import App, Parameter

from headgate.cli.find import every
from headgate.cli.options import InSession, Output, Yes
from headgate.cli.output import Column, ago, confirm, print_json, print_table, show
from headgate.client.calls import tag_limits
from headgate.client.client import Client
from headgate.errors import NotFound
from headgate.schema.concurrency_limits import ConcurrencyLimit, ConcurrencyLimitCreate, ConcurrencyLimitQuery

app = App(name="concurrency-limit")

Tag = Annotated[str, Parameter(help="The tag.")]


@app.command
def create(
    tag: Tag,
    limit: Annotated[int, Parameter(help="How many task runs with the tag may be in progress at a time.")],
    /,
    *,
    output: Output = "table",
    session: InSession,
) -> None:
    """Limit the task runs with a tag; a limit that exists is changed.

    For example:
        headgate concurrency-limit create database 10
    """
    with session.client() as client:
        made = client.send(tag_limits.create(ConcurrencyLimitCreate(tag=tag, concurrency_limit=limit)))
    if output == "json":
        print_json(made)
    else:
        print(f"Task runs with the tag {tag!r} are limited to {limit} at a time")


@app.command
def ls(*, output: Output = "table", session: InSession) -> None:
    """List the limits of all tags.

    For example:
        headgate concurrency-limit ls
    """
    with session.client() as client:
        found = every(client, tag_limits.query, ConcurrencyLimitQuery())
    if output == "json":
        print_json(found)
        return
    now = session.now()
    rows = [
        (each.tag, str(each.concurrency_limit), str(len(each.active_slots)), str(each.id), ago(each.updated, now))
        for each in found
    ]
    columns = [
        Column("Tag"),
        Column("Limit", right=True),
        Column("Active task runs", right=True),
        Column("ID", keep=True, spare=True),
        Column("Updated", spare=True),
    ]
    print_table("Concurrency limits of tags", columns, rows)


@app.command(name="inspect")
def inspect_(tag: Tag, /, *, output: Output = "table", session: InSession) -> None:
    """Show a tag's limit, and which task runs hold its slots.

    For example:
        headgate concurrency-limit inspect database
    """
    with session.client() as client:
        found = _find(client, tag)
    show(found, output, now=session.now())


@app.command
def reset(tag: Tag, /, *, session: InSession) -> None:
    """Free all slots of a tag's limit, whoever holds them.

    For example:
        headgate concurrency-limit reset database
    """
    with session.client() as client:
        _find(client, tag)
        client.send(tag_limits.reset(tag))
    print(f"Freed all slots of the tag {tag!r}")


@app.command
def delete(tag: Tag, /, *, yes: Yes = False, session: InSession) -> None:
    """Delete a tag's limit.

    For example:
        headgate concurrency-limit delete database
    """
    with session.client() as client:
        _find(client, tag)
        confirm(f"Task runs with the tag {tag!r} would no longer be limited. Delete the limit?", yes=yes)
        client.send(tag_limits.delete_by_tag(tag))
    print(f"Deleted the concurrency limit of the tag {tag!r}")


def _find(client: Client, tag: str) -> ConcurrencyLimit:
    try:
        return client.send(tag_limits.get_by_tag(tag))
    except NotFound:
        raise NotFound(f"The tag {tag!r} has no concurrency limit; `headgate concurrency-limit ls` lists all.") from None
